//! Who ended a container: what every 137 has to be asked.

use crate::View;
use jiff::SignedDuration;
use reckon_model::k8s::{Container, ContainerStatus, Event, Terminated};
use reckon_model::{Object, Timestamp};

/// Who ended an instance of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Killer {
    /// The kernel, for memory: the runtime says so.
    OutOfMemory,
    /// The kubelet, because this probe failed (`liveness`, `startup`).
    Probe(&'static str),
    /// The kubelet, because the pod is being deleted, or was preempted or evicted.
    Removal,
    /// Nobody: the kubelet lost the container and wrote 137 itself.
    Lost,
    /// Nobody that is known: the program ended, or was signalled from within.
    Unknown,
}

/// The kubelet says why it kills just before; the runtime reports the end after the grace period at the latest.
const BEFORE: SignedDuration = SignedDuration::from_secs(60);

/// Who ended this instance.
pub(crate) fn killer(view: &View<'_>, pod: &Object, container: &Container, end: &Terminated) -> Killer {
    match end.reason.as_str() {
        "OOMKilled" => return Killer::OutOfMemory,
        "ContainerStatusUnknown" | "RestartingAllContainers" => return Killer::Lost,
        _ => {}
    }
    // Only a signal needs a sender.
    if !(129..=192).contains(&end.exit_code) && end.exit_code != 0 {
        return Killer::Unknown;
    }
    let grace = pod.pod().and_then(|pod| pod.spec.termination_grace_period_seconds).unwrap_or(30);
    if let Some(due) = pod.meta.deleted {
        let asked = due.checked_sub(SignedDuration::from_secs(pod.meta.deletion_grace.unwrap_or(grace))).unwrap_or(due);
        if end.finished_at.is_none_or(|at| at >= asked) {
            return Killer::Removal;
        }
    }
    if container.liveness_probe.is_none() && container.startup_probe.is_none() {
        return Killer::Unknown;
    }
    let near = |event: &Event| match (end.finished_at, event.last_seen(), event.first_seen()) {
        (Some(end), Some(last), Some(first)) => {
            let from = first.checked_sub(BEFORE).unwrap_or(first);
            let to = last
                .checked_add(SignedDuration::from_secs(grace))
                .and_then(|at| at.checked_add(BEFORE))
                .unwrap_or(last);
            (from..=to).contains(&end)
        }
        _ => true,
    };
    let killing = view
        .events(pod)
        .into_iter()
        .filter(|event| event.reason == "Killing" && event.container() == Some(container.name.as_str()) && near(event))
        .find_map(|event| match () {
            () if event.message.contains("failed liveness probe") => Some(Killer::Probe("liveness")),
            () if event.message.contains("failed startup probe") => Some(Killer::Probe("startup")),
            () if event.message.contains("Stopping container") || event.message.contains("Preempt") => {
                Some(Killer::Removal)
            }
            () => None,
        });
    killing.unwrap_or(Killer::Unknown)
}

/// When a container that died is to be taken as recovered: ready for ten minutes since its last start.
const RECOVERED: SignedDuration = SignedDuration::from_mins(10);

/// Whether deaths of this container are history: it has been up and ready for long since.
pub(crate) fn recovered(view: &View<'_>, status: &ContainerStatus) -> bool {
    let Some(since) = status.state.running.as_ref().and_then(|running| running.started_at) else { return false };
    let due = since.checked_add(RECOVERED).unwrap_or(Timestamp::MAX);
    if status.ready && due > view.now() {
        view.recheck_at(due);
    }
    status.ready && due <= view.now()
}
