//! Whether a new revision of the template is to blame for what its containers do.

use super::template::below;
use crate::blame::{self, Blame};
use crate::{Fact, View, describe};
use jiff::SignedDuration;
use reckon_model::document::{Role, Source};
use reckon_model::k8s::{ContainerStatus, Pod, Terminated};
use reckon_model::{FieldChange, Object, Timestamp};

/// A change that was lived with for a day did not make what fails now.
pub(crate) const WINDOW: SignedDuration = SignedDuration::from_hours(24);

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
    let before: Vec<&Object> = view
        .pods_of(workload)
        .items
        .into_iter()
        .filter(|other| revision(other) != revision(pod) && other.meta.deleted.is_none())
        .collect();
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

fn revision(pod: &Object) -> Option<&str> {
    ["pod-template-hash", "controller-revision-hash"]
        .iter()
        .find_map(|label| pod.meta.labels.get(*label))
        .map(String::as_str)
}

/// When the trouble of a container began, as far as its status tells: with the pod where it restarts often, with the
/// instance that died where that died young, else with its death.
pub(crate) fn onset(pod: &Object, status: &ContainerStatus, end: &Terminated) -> Option<Timestamp> {
    let often = match (pod.meta.created, end.finished_at) {
        (Some(created), Some(finished)) if status.restart_count > 0 => {
            finished.duration_since(created) / i32::try_from(status.restart_count).unwrap_or(i32::MAX) < WINDOW
        }
        _ => false,
    };
    match (end.started_at, end.finished_at) {
        _ if often => pod.meta.created,
        (Some(started), Some(finished)) if finished.duration_since(started) < WINDOW => Some(started),
        (started, finished) => finished.or(started),
    }
}
