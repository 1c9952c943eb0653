//! A pod's phases and the deaths of its containers, as far as its status tells.

use jiff::SignedDuration;
use reckon_model::k8s::{Condition, ContainerStatus, ContainerType, Pod, Terminated};
use reckon_model::record::{Death, Entry, Fact, Phase, PhaseTurn};
use reckon_model::{Object, ResourceRef, Timestamp};

/// The kubelet says that a pod is not ready within this time of taking it. What says so later was ready in between.
const FIRST_WORD: SignedDuration = SignedDuration::from_secs(5);

/// What containers wait for when nothing is wrong.
const ORDINARY: [&str; 3] = ["", "ContainerCreating", "PodInitializing"];

/// All that is remembered of a pod; nothing of other objects.
pub(super) fn entries(object: &Object, line: Option<&ResourceRef>) -> Vec<Entry> {
    let Some(pod) = object.pod() else { return Vec::new() };
    let mut turns = phases(object, pod);
    turns.sort_by_key(|(at, _)| *at);
    let mut before = None;
    for (_, turn) in &mut turns {
        turn.from = before.replace(turn.to);
    }
    let entry = |(at, turn)| entry(at, object, line, Fact::Phase(turn));
    turns.into_iter().map(entry).chain(deaths(object, pod, line)).collect()
}

/// How its containers ended, and it as a whole if it ended badly: what is of interest on the node.
pub(super) fn ends(object: &Object, line: Option<&ResourceRef>) -> Vec<Entry> {
    let is_end = |fact: &Fact| match fact {
        Fact::Death(_) => true,
        Fact::Phase(turn) => turn.to == Phase::Failed,
        _ => false,
    };
    entries(object, line).into_iter().filter(|entry| is_end(&entry.fact)).collect()
}

/// The last step of a pod that is gone.
pub(super) fn deleted(object: &Object) -> Fact {
    let node = object.pod().and_then(node);
    Fact::Phase(PhaseTurn { to: Phase::Deleted, from: None, node, reason: None })
}

fn entry(at: Timestamp, object: &Object, line: Option<&ResourceRef>, fact: Fact) -> Entry {
    let subject = object.reference();
    let workload = line.filter(|line| **line != subject).cloned();
    Entry { at, subject, workload, fact }
}

fn node(pod: &Pod) -> Option<String> {
    Some(pod.spec.node_name.clone()).filter(|node| !node.is_empty())
}

fn phases(object: &Object, pod: &Pod) -> Vec<(Timestamp, PhaseTurn)> {
    let mut turns = Vec::new();
    let mut turn = |at: Option<Timestamp>, to: Phase, reason: Option<String>| {
        let node = node(pod).filter(|_| to != Phase::Pending);
        turns.extend(at.map(|at| (at, PhaseTurn { to, from: None, node, reason })));
    };
    let scheduled = pod.condition("PodScheduled");
    let unplaced = scheduled.filter(|it| !it.is_true()).map(|it| it.reason.clone()).filter(|it| !it.is_empty());
    turn(object.meta.created, Phase::Pending, unplaced);
    let placed = scheduled.filter(|it| it.is_true()).and_then(|it| it.since).or(pod.status.start_time);
    let waits = waiting(pod);
    let ready = pod.condition("Ready");
    let is_late = |since: Timestamp| placed.is_some_and(|placed| since.duration_since(placed) > FIRST_WORD);
    let was_ready = ready.is_some_and(|it| it.is_true() || it.since.is_some_and(is_late));
    turn(placed, Phase::Starting, waits.clone().filter(|_| !was_ready && !pod.is_finished()));
    let ended = || {
        let ends = pod.containers().filter_map(|(_, _, status)| status?.last_end()?.finished_at);
        ends.max().or(ready.and_then(|it| it.since)).or(object.meta.created)
    };
    let why = Some(pod.status.reason.clone()).filter(|reason| !reason.is_empty());
    match (pod.status.phase.as_str(), ready) {
        ("Succeeded", _) => turn(ended(), Phase::Succeeded, why),
        ("Failed", _) => turn(ended(), Phase::Failed, why),
        (_, Some(condition)) if condition.is_true() => turn(condition.since, Phase::Ready, None),
        (_, Some(condition)) if was_ready => turn(condition.since, Phase::NotReady, waits.or(reason(condition))),
        _ => {}
    }
    if let Some(due) = object.meta.deleted {
        let grace = SignedDuration::from_secs(object.meta.deletion_grace.unwrap_or(0).max(0));
        turn(due.checked_sub(grace).ok(), Phase::Terminating, None);
    }
    turns
}

/// What a container waits for that is not in order: `CrashLoopBackOff`, `ImagePullBackOff`.
fn waiting(pod: &Pod) -> Option<String> {
    pod.containers()
        .filter_map(|(_, _, status)| status?.state.waiting.as_ref())
        .map(|waiting| &waiting.reason)
        .find(|reason| !ORDINARY.contains(&reason.as_str()))
        .cloned()
}

/// Why it is not ready, where that is more than that its containers are not.
fn reason(condition: &Condition) -> Option<String> {
    Some(condition.reason.clone()).filter(|reason| !matches!(reason.as_str(), "" | "ContainersNotReady"))
}

fn deaths(object: &Object, pod: &Pod, line: Option<&ResourceRef>) -> Vec<Entry> {
    let mut found = Vec::new();
    for (kind, container, status) in pod.containers() {
        let Some(status) = status else { continue };
        // What ends well and is meant to end has no death.
        let may_end = kind == ContainerType::Init || !pod.spec.restarts_always();
        for (end, restarts) in ends_of(status) {
            if may_end && end.exit_code == 0 {
                continue;
            }
            let Some(at) = end.finished_at else { continue };
            let death = Death {
                container: container.name.clone(),
                reason: end.reason.clone(),
                exit_code: i32::try_from(end.exit_code).unwrap_or(i32::MAX),
                started: end.started_at,
                restarts,
                // What was before the last death is told apart, as unseen.
                untold: 0,
                node: node(pod),
            };
            found.push(entry(at, object, line, Fact::Death(death)));
        }
    }
    found
}

/// The ends that a status remembers, two at most, with how often the container had been restarted before each. Its count
/// is that of its newest instance: one that runs or has just ended is one more than the one before it.
fn ends_of(status: &ContainerStatus) -> impl Iterator<Item = (&Terminated, u32)> {
    let before = match status.state.waiting {
        Some(_) => status.restart_count,
        None => status.restart_count.saturating_sub(1),
    };
    let now = status.state.terminated.as_deref().map(|end| (end, status.restart_count));
    now.into_iter().chain(status.last_state.terminated.as_deref().map(|end| (end, before)))
}

/// How many deaths of a container are not remembered, where there are any, with the time before which they were.
pub(super) fn forgotten(status: &ContainerStatus) -> Option<(u32, Timestamp)> {
    let (oldest, restarts) = ends_of(status).last()?;
    (restarts > 0).then_some((restarts, oldest.started_at.or(oldest.finished_at)?))
}
