//! Who ended a container: what every 137 has to be asked.

use super::oom_killed::Record;
use crate::{Fact, View};
use jiff::SignedDuration;
use reckon_model::document::{Role, Source};
use reckon_model::k8s::{Condition, Container, ContainerStatus, Event, Pod, Terminated};
use reckon_model::{Body, Kind, Object, Quantity, Timestamp};

/// Who ended an instance of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Killer {
    /// The kernel, for memory: the runtime says so.
    OutOfMemory,
    /// The kubelet, because this probe failed (`liveness`, `startup`).
    Probe(&'static str),
    /// The kubelet, because the hook that runs beside its start failed.
    PostStartHook,
    /// The kubelet, because the pod is being deleted, was preempted or evicted, or the container was changed in place.
    Removal,
    /// Nobody: the kubelet or the runtime lost the container, and the code was made up.
    Lost,
    /// Nobody that is known: the program ended, or was signalled from within.
    Unknown,
}

/// The kubelet says why it kills just before; the runtime reports the end after the grace period at the latest.
const SLACK: SignedDuration = SignedDuration::from_secs(60);

/// Events and states are told to the second.
const ROUNDING: SignedDuration = SignedDuration::from_secs(2);

/// What the kubelet writes as a pod's reason when it ends it.
const ENDED_BY_KUBELET: [&str; 6] =
    ["Evicted", "Preempting", "Terminated", "NodeShutdown", "NodeLost", "DeadlineExceeded"];

/// Who ended this instance.
pub(crate) fn killer<'a>(view: &View<'a>, pod: &'a Object, container: &Container, end: &Terminated) -> Killer {
    if end.reason == "OOMKilled" || record(view, pod, container, end).is_some_and(|record| !record.is_late(end)) {
        return Killer::OutOfMemory;
    }
    sent_by(view, pod, container, end)
}

/// What the kernel tells of kills in the instance that ended so. The runtime's label is lost now and then, and then
/// nothing but the kernel tells a kill for memory from any other SIGKILL.
pub(crate) fn record<'a>(
    view: &View<'a>,
    pod: &'a Object,
    container: &Container,
    end: &Terminated,
) -> Option<Record<'a>> {
    let body = pod.pod()?;
    let unexplained = || end.exit_code == 137 && sent_by(view, pod, container, end) == Killer::Unknown;
    let facts = view.kernel(&body.spec.node_name, end.reason == "OOMKilled" || unexplained())?;
    Record::of(facts, pod, body, &end.container_id)
}

/// That the kernel killed nothing in a container, where its log covers the moment of the end and was read.
pub(crate) fn spared<'a>(view: &View<'a>, pod: &'a Object, end: &Terminated) -> Option<Fact> {
    let body = pod.pod()?;
    let facts = view.kernel(&body.spec.node_name, true)?;
    let finished = end.finished_at?;
    let read = !facts.not_checked.iter().any(|why| why.starts_with("kernel log"));
    let covered = facts.since.is_some_and(|since| since <= finished) && view.is_reported(&body.spec.node_name);
    if !read || !covered || Record::of(facts, pod, body, &end.container_id).is_some() {
        return None;
    }
    let text = "the kernel's log covers its end and holds no kill for memory in this container";
    Some(Fact::new(Role::RuledOut, Source::Kernel, Some(finished), pod, text))
}

/// The same without the label of a kill for memory, which stays with a container whatever ends it later.
pub(crate) fn sent_by(view: &View<'_>, pod: &Object, container: &Container, end: &Terminated) -> Killer {
    let Some(body) = pod.pod() else { return Killer::Unknown };
    // What the pod says of itself goes before a state that was made up for want of a better one: of most evicted pods the
    // containers' ends are not known.
    let disrupted = body.condition("DisruptionTarget").is_some_and(Condition::is_true);
    if disrupted || ENDED_BY_KUBELET.contains(&body.status.reason.as_str()) {
        return Killer::Removal;
    }
    // `Unknown` is written for containers that the runtime no longer knew after a restart of itself or of the node.
    if matches!(end.reason.as_str(), "ContainerStatusUnknown" | "RestartingAllContainers" | "Unknown") {
        return Killer::Lost;
    }
    let grace = body.spec.termination_grace_period_seconds.unwrap_or(30);
    if let Some(due) = pod.meta.deleted {
        let asked = due.checked_sub(SignedDuration::from_secs(pod.meta.deletion_grace.unwrap_or(grace))).unwrap_or(due);
        if end.finished_at.is_none_or(|at| at >= asked) {
            return Killer::Removal;
        }
    }
    // Without a probe only what may be the answer to a signal is worth asking the Events for.
    let probed = container.liveness_probe.is_some() || container.startup_probe.is_some();
    if !probed && !matches!(end.exit_code, 0 | 130 | 137 | 143) {
        return Killer::Unknown;
    }
    // A kill is repeated as one Event with a count, of which only the first and the last time are known. A code that no
    // signal gives needs to be close to one of them; 0, 137, 143 and the like may be any of those between.
    let signalled = (129..=192).contains(&end.exit_code) || end.exit_code == 0;
    let started = end.started_at;
    let near = |event: &Event| match (end.finished_at, event.last_seen(), event.first_seen()) {
        (Some(end), Some(last), Some(first)) => {
            let after = SignedDuration::from_secs(grace).saturating_add(SLACK);
            // A kill before its start was another instance's.
            let own = |at: Timestamp| started.is_none_or(|started| at.duration_since(started) >= -ROUNDING);
            let close = |at: Timestamp| own(at) && end.duration_since(at) >= -SLACK && end.duration_since(at) <= after;
            close(first) || close(last) || (signalled && first <= end && end <= last)
        }
        _ => true,
    };
    let killing = view
        .events(pod)
        .into_iter()
        .filter(|event| event.reason == "Killing" && names(event, &container.name) && near(event))
        .find_map(|event| match () {
            () if event.message.contains("failed liveness probe") => Some(Killer::Probe("liveness")),
            () if event.message.contains("failed startup probe") => Some(Killer::Probe("startup")),
            () if event.message.contains("FailedPostStartHook") => Some(Killer::PostStartHook),
            () if ["Stopping container", "Preempt", "definition changed", "requires restart"]
                .iter()
                .any(|words| event.message.contains(words)) =>
            {
                Some(Killer::Removal)
            }
            () => None,
        });
    killing.unwrap_or(Killer::Unknown)
}

/// Whether an Event is about this container: by its path, or in its words where it carries none.
pub(crate) fn names(event: &Event, container: &str) -> bool {
    match event.container() {
        Some(name) => name == container,
        None => event.message.split(|c: char| !(c.is_alphanumeric() || c == '-')).any(|word| word == container),
    }
}

/// When a container that died is to be taken as recovered: ready for ten minutes since its last start.
const RECOVERED: SignedDuration = SignedDuration::from_mins(10);

/// Whether deaths of this container are history: it has been up and ready for long since.
pub(crate) fn recovered(view: &View<'_>, status: &ContainerStatus) -> bool {
    let Some(since) = status.state.running.as_ref().and_then(|running| running.started_at) else { return false };
    let due = since.checked_add(RECOVERED).unwrap_or(Timestamp::MAX);
    if status.ready && !view.reached(due) {
        view.recheck_at(due);
    }
    status.ready && view.reached(due)
}

/// Whether a pod that has ended is only what is left: its Job completed in spite of it, a later run of its CronJob
/// succeeded, or another pod took its place.
pub(crate) fn superseded<'a>(view: &View<'a>, workload: &'a Object, pod: &'a Object) -> bool {
    let Some(body) = pod.pod().filter(|body| body.is_finished()) else { return false };
    let ended = body.containers().filter_map(|(_, _, status)| status?.last_end()?.finished_at).max();
    match &workload.body {
        Body::CronJob(cron) => match (cron.status.last_successful_time, ended) {
            (Some(succeeded), Some(ended)) => succeeded > ended,
            _ => false,
        },
        Body::Workload(job) if workload.kind == Kind::Job => {
            job.status.completion_time.is_some()
                || Condition::find(&job.status.conditions, "Complete").is_some_and(Condition::is_true)
        }
        Body::Workload(_) => view.pods_of(workload).items.iter().any(|other| other.pod().is_some_and(Pod::is_ready)),
        _ => false,
    }
}

/// Below this no runtime can set up a container: runc itself needs a few MiB, CRI-O and Docker refuse less than 12 and 6.
const ROOM_TO_START: i64 = 16 << 20;

/// The memory limit that leaves no room even for the runtime that sets the container up.
pub(crate) fn no_room(container: &Container) -> Option<&Quantity> {
    container.resources.limits.get("memory").filter(|limit| limit.value().is_some_and(|value| value < ROOM_TO_START))
}
