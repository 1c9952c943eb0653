//! Killed for memory: what the API tells, and what the kernel of the node adds to it.

mod blind;
mod cause;
mod class;
mod course;
mod elsewhere;
mod evicted;
mod killed;
mod load;
mod neighbour;
mod reconfigured;
mod record;
mod remedy;
mod resize;
mod start;
mod words;

use super::killed_by;
use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Finding, View};
pub(crate) use course::readings;
use jiff::SignedDuration;
use reckon_model::k8s::{Container, ContainerState, ContainerStatus, ContainerType, Pod, Terminated};
use reckon_model::{Kind, Object};
pub(crate) use record::Record;
pub(crate) use start::{meant, room};

const fn failure(slug: &'static str, title: &'static str, verified: Verified) -> Failure {
    Failure { slug, title, stage: Stage::Memory, family: "memory", echo: false, verified, page: PAGE }
}

/// What `reckon explain` says of all of them.
const PAGE: &str = include_str!("oom_killed.md");

pub(crate) static DETECTOR: Detector = Detector {
    name: "oom_killed",
    failures: &[
        failure("oom-killed", "A container is killed for its memory", Verified::Live),
        failure("evicted", "A pod was evicted for memory", Verified::Live),
        // Before its volumes are mounted: a limit so small is the reason why they are not.
        Failure {
            stage: Stage::Volume,
            ..failure("killed-before-start", "A memory limit leaves no room to start", Verified::Live)
        },
    ],
    subjects: &[Kind::Pod],
    others: &[],
    detect,
};

/// A process that was killed in a container that lives on is history after a day without another.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(24);

/// The kubelet looks for containers that ended every second, and its word takes its way: what ended is known to the API
/// server within so much.
const TOLD_WITHIN: SignedDuration = SignedDuration::from_secs(5);

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    if pod.status.reason == "Evicted" && evicted::for_memory(&pod.status.message) {
        return evicted::finding(view, subject, pod).into_iter().collect();
    }
    // One that is on its way out is replaced or not wanted.
    if subject.meta.deleted.is_some() {
        return Vec::new();
    }
    let before_start = start::finding(view, subject, pod);
    let killed = pod.containers().filter_map(|(kind, container, status)| {
        let status = status.filter(|_| kind != ContainerType::Ephemeral)?;
        let (end, record) = death(view, subject, pod, container, status)?;
        let workload = view.workload_of(subject);
        // A wrong success stays wrong; any other end is history once its work was done by another.
        if end.is_some_and(|end| end.exit_code != 0) && killed_by::superseded(view, workload, subject) {
            return None;
        }
        Some(killed::Killed { view, subject, pod, workload, kind, container, status, end, record }.finding())
    });
    before_start.into_iter().chain(killed).collect()
}

/// The death to tell of: of the instance that ended last, of the one before, or of a process in the one that runs.
fn death<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    container: &'a Container,
    status: &'a ContainerStatus,
) -> Option<(Option<&'a Terminated>, Option<Record<'a>>)> {
    let ended = |state: &'a ContainerState| {
        let end = state.terminated.as_deref()?;
        let record = killed_by::record(view, subject, container, end);
        (end.reason == "OOMKilled" || record.is_some()).then_some((Some(end), record))
    };
    // What has come to a good end since is over: an init container that succeeded on its second try.
    let is_done = status.state.terminated.as_ref().is_some_and(|end| end.exit_code == 0);
    let is_over = is_done || killed_by::recovered(view, status);
    let before = || if is_over { None } else { ended(&status.last_state) };
    let running = || {
        status.state.running.as_ref()?;
        let facts = view.kernel(&pod.spec.node_name, false)?;
        let Some(record) = Record::of(facts, subject, pod, &status.container_id) else {
            return record::marked(facts, &status.container_id).then_some((None, None));
        };
        let due = record.span().and_then(|(_, last)| last.checked_add(FORGOTTEN).ok());
        match due {
            Some(due) if view.reached(due) => return None,
            Some(due) => view.recheck_at(due),
            None => {}
        }
        Some((None, Some(record)))
    };
    ended(&status.state).or_else(before).or_else(running)
}
