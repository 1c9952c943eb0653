//! Times that a node wrote by a clock that is wrong.
//!
//! A kubelet writes by its own clock when containers began and ended and when it saw something; the API server writes by
//! its clock when an object was made and when somebody wrote it. Where the two cannot both be right, the node's times are
//! moved to the API server's clock as objects come in: all that is compared with them is told by that.

use jiff::SignedDuration;
use reckon_model::k8s::{Event, PodStatus};
use reckon_model::{Meta, Timestamp};

/// Clocks that differ by less are right enough: causes are looked for with a minute's allowance everywhere, and a write may
/// take its time.
const SLACK: SignedDuration = SignedDuration::from_mins(5);

/// The annotation of a static pod's mirror, which may be made long after the pod began.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Conditions of a pod that its kubelet does not write.
const OF_OTHERS: [&str; 2] = ["PodScheduled", "DisruptionTarget"];

/// Moves the times in a pod's status where its node's clock is wrong.
pub(crate) fn set_right(meta: &Meta, status: &mut PodStatus) {
    let Some(ahead) = ahead(meta, status) else { return };
    each(status, &mut |at| *at = at.checked_sub(ahead).unwrap_or(*at));
}

/// By how much the node's clock is ahead of the API server's, at least; negative where it is behind. `None` where they
/// agree, or nothing tells.
fn ahead(meta: &Meta, status: &mut PodStatus) -> Option<SignedDuration> {
    // What has not been taken by a kubelet has no time of one.
    let taken = status.start_time?;
    let behind = meta.created.map(|created| created.duration_since(taken)).filter(|by| *by > SLACK);
    if let Some(behind) = behind.filter(|_| !meta.annotations.contains_key(MIRROR)) {
        return Some(-behind);
    }
    // Nothing was seen after it was written down.
    let written =
        meta.managers.iter().filter(|manager| manager.subresource == "status").filter_map(|it| it.time).max()?;
    let mut newest = taken;
    each(status, &mut |at| newest = newest.max(*at));
    Some(newest.duration_since(written)).filter(|by| *by > SLACK)
}

/// Every time in a status that its kubelet wrote.
fn each(status: &mut PodStatus, act: &mut dyn FnMut(&mut Timestamp)) {
    if let Some(at) = &mut status.start_time {
        act(at);
    }
    for condition in status.conditions.iter_mut().filter(|it| !OF_OTHERS.contains(&it.words.kind.as_str())) {
        if let Some(at) = &mut condition.since {
            act(at);
        }
    }
    let PodStatus { container_statuses, init_container_statuses, ephemeral_container_statuses, .. } = status;
    for containers in [container_statuses, init_container_statuses, ephemeral_container_statuses] {
        for container in containers.iter_mut() {
            for state in [&mut container.state, &mut *container.last_state] {
                let running = state.running.as_mut().and_then(|running| running.started_at.as_mut());
                running.into_iter().for_each(&mut *act);
                if let Some(end) = &mut state.terminated {
                    end.started_at.iter_mut().for_each(&mut *act);
                    end.finished_at.iter_mut().for_each(&mut *act);
                }
            }
        }
    }
}

/// Moves the times of an Event where whoever saw it has a clock that is wrong: it was made when it was first seen.
pub(crate) fn set_event_right(meta: &Meta, event: &mut Event) {
    let Some((created, first)) = meta.created.zip(event.first_seen()) else { return };
    let ahead = first.duration_since(created);
    if ahead.abs() > SLACK {
        event.shift(-ahead);
    }
}
