//! Whether a new revision of the template is to blame for what its containers do.

use super::template::below;
use crate::blame::{self, Blame};
use crate::{Fact, View, describe, history};
use jiff::SignedDuration;
use reckon_model::document::{Role, Source};
use reckon_model::k8s::{ContainerStatus, Pod, Terminated};
use reckon_model::{FieldChange, Kind, Object, Timestamp, duration};

/// A change that was lived with for a day did not make what fails now.
pub(crate) const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// Less than this proves nothing of a pod that is ready.
const SETTLED: SignedDuration = SignedDuration::from_secs(60);

/// A change that may have made a container fail.
pub(crate) struct Suspect {
    /// The change.
    pub(crate) blame: Blame,
    /// A pod of the revision before that is well, as a fact: with the failing one it settles the matter.
    pub(crate) contrast: Option<Fact>,
}

/// The newest plausible change of the template that made this pod, if it came shortly before the trouble began, and if
/// the revisions before are not failing as well.
pub(crate) fn suspect<'a>(
    view: &View<'a>,
    workload: &'a Object,
    pod: &'a Object,
    container: &str,
    onset: Option<Timestamp>,
    rank: impl Fn(&str, &FieldChange) -> Option<u8>,
) -> Option<Suspect> {
    let blame =
        blame::template_change(view, workload, Some(pod), None, |change| rank(below(change, container)?, change))?;
    let fresh = onset.and_then(|onset| onset.checked_sub(WINDOW).ok()).is_none_or(|since| blame.change.at >= since);
    if !fresh {
        return None;
    }
    let (same, before): (Vec<&Object>, Vec<&Object>) = view
        .pods_of(workload)
        .items
        .into_iter()
        .filter(|other| other.meta.deleted.is_none() && other.reference() != pod.reference())
        .partition(|other| revision(other) == revision(pod));
    // What the change made runs elsewhere: it is not the change.
    if same.iter().any(|other| outlives(view, other, pod, container)) {
        return None;
    }
    let well = before.iter().find(|other| other.pod().is_some_and(|body| body.is_ready() && calm(body, container)));
    let ill = before.iter().any(|other| {
        other.pod().is_some_and(|body| {
            body.containers().any(|(_, item, status)| {
                item.name == container
                    && status
                        .is_some_and(|status| !status.ready && status.restart_count > 1 && status.last_end().is_some())
            })
        })
    });
    let contrast = well.map(|other| {
        Fact::new(
            Role::Cause,
            Source::Status,
            other.pod().and_then(|body| body.condition("Ready")?.since),
            other,
            format!("{} of the revision before is ready", describe::object(other)),
        )
    });
    // All revisions fail at once: something else is to blame.
    (contrast.is_some() || !ill).then_some(Suspect { blame, contrast })
}

fn calm(pod: &Pod, container: &str) -> bool {
    pod.containers().any(|(_, item, status)| item.name == container && status.is_some_and(|status| status.ready))
}

/// Whether the controller's template is the one that made the pod, and not a later one, as far as that is known.
pub(crate) fn is_made_by<'a>(view: &View<'a>, owner: &'a Object, pod: &Object) -> Option<bool> {
    match owner.kind {
        // A Deployment makes a new one for each template, and a Job's cannot be changed.
        Kind::ReplicaSet if owner.meta.controller().is_some() => Some(true),
        Kind::Job => Some(true),
        Kind::ReplicaSet | Kind::ReplicationController => (owner.meta.generation == Some(1)).then_some(true),
        Kind::StatefulSet => {
            let own = pod.meta.labels.get("controller-revision-hash")?;
            let update = &owner.workload()?.status.update_revision;
            (!update.is_empty()).then_some(own == update)
        }
        _ => history::templates(view, owner).last().map(|newest| newest.made(pod)),
    }
}

/// The other pods that the same template made.
pub(crate) fn peers<'a>(view: &View<'a>, workload: &'a Object, pod: &Object) -> Vec<&'a Object> {
    let mut pods = view.pods_of(workload).items;
    pods.retain(|other| {
        other.meta.deleted.is_none() && other.reference() != pod.reference() && revision(other) == revision(pod)
    });
    pods
}

/// Whether another pod has been well, without a restart, for longer than the failing one lived.
pub(crate) fn outlives(view: &View<'_>, other: &Object, pod: &Object, container: &str) -> bool {
    fn status<'o>(object: &'o Object, container: &str) -> Option<&'o ContainerStatus> {
        object.pod()?.containers().find(|(_, item, _)| item.name == container)?.2
    }
    let Some(since) = other.pod().filter(|body| body.is_ready()).and_then(|body| body.condition("Ready")?.since) else {
        return false;
    };
    let lived = status(pod, container).and_then(|status| Some(life(pod, status.last_end()?))).unwrap_or_default();
    let well = status(other, container).is_some_and(|status| status.ready && status.restart_count == 0);
    let due = since.checked_add(lived.max(SETTLED)).unwrap_or(Timestamp::MAX);
    if well && !view.reached(due) {
        view.recheck_at(due);
    }
    well && view.reached(due)
}

fn revision(pod: &Object) -> Option<&str> {
    ["pod-template-hash", "controller-revision-hash"]
        .iter()
        .find_map(|label| pod.meta.labels.get(*label))
        .map(String::as_str)
}

/// When the trouble of a container began, at the earliest, as far as its status tells: with its death where that came
/// late, else as long ago as its restarts can have taken, and not before the pod.
pub(crate) fn onset(pod: &Object, status: &ContainerStatus, end: &Terminated) -> Option<Timestamp> {
    let finished = end.finished_at.or(end.started_at)?;
    let life = life(pod, end);
    if life >= WINDOW {
        return Some(finished);
    }
    let began = finished.checked_sub(life).ok()?;
    // Instances before the last may have lived longer, and a node may have been slow: twice the time is allowed for.
    let began = began.checked_sub(restarting(status.restart_count, life).saturating_mul(2)).unwrap_or(Timestamp::MIN);
    Some(pod.meta.created.map_or(began, |created| began.max(created)))
}

/// How long an instance lived; none that never ran has its start in 1970.
fn life(pod: &Object, end: &Terminated) -> SignedDuration {
    match (end.started_at, end.finished_at) {
        (Some(started), Some(finished)) if pod.meta.created.is_none_or(|created| started >= created) => {
            duration::between(started, finished)
        }
        _ => SignedDuration::ZERO,
    }
}

/// What this many restarts take at most: the pauses of 10 s, doubled up to 300 s, and the lives between them.
fn restarting(restarts: u32, life: SignedDuration) -> SignedDuration {
    let restarts = i32::try_from(restarts).unwrap_or(i32::MAX);
    let doubled = (0..restarts.min(5)).map(|at| 10 << at).sum();
    let pauses = SignedDuration::from_secs(doubled)
        .saturating_add(SignedDuration::from_secs(300).saturating_mul(restarts.saturating_sub(5).max(0)));
    pauses.saturating_add(life.saturating_mul(restarts))
}
