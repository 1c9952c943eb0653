//! The life of a pod: its phases, and the deaths of its containers.

use crate::look::Look;
use crate::memory::Mark;
use crate::noise::table::{ORDINARY_END, ORDINARY_LIFE};
use reckon_model::k8s::{ContainerStatus, ContainerType, Pod, Terminated};
use reckon_model::record::{Death, Entry, Fact, Phase, PhaseTurn};
use reckon_model::{Object, SignedDuration, Timestamp};

/// A kubelet says that a pod is not ready when it takes it; a condition that is not older turned since.
const TAKEN: SignedDuration = SignedDuration::from_secs(2);

/// Why a container waits while all goes its way.
const ON_THE_WAY: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// Where a pod is in its life, and since when.
pub(crate) fn phase(object: &Object, pod: &Pod) -> (Phase, Option<Timestamp>) {
    let ready = pod.condition("Ready");
    let turned = ready.and_then(|ready| ready.since);
    match () {
        () if object.meta.deleted.is_some() => (Phase::Terminating, object.meta.deleted),
        () if pod.status.phase == "Succeeded" => (Phase::Succeeded, turned),
        () if pod.status.phase == "Failed" => (Phase::Failed, turned),
        () if pod.spec.node_name.is_empty() => (Phase::Pending, object.meta.created),
        () if pod.is_ready() => (Phase::Ready, turned),
        () if has_run(pod) => (Phase::NotReady, turned),
        () => (Phase::Starting, pod.status.start_time.or(object.meta.created)),
    }
}

/// Whether it was ready before, or its containers ended before: then it is not just starting.
fn has_run(pod: &Pod) -> bool {
    let restarted =
        pod.status.container_statuses.iter().any(|status| status.restart_count > 0 || status.last_end().is_some());
    let turned = pod.condition("Ready").and_then(|ready| ready.since).zip(pod.status.start_time);
    restarted || turned.is_some_and(|(turned, taken)| turned.duration_since(taken) > TAKEN)
}

/// What holds a pod back, in a word.
fn reason(pod: &Pod) -> Option<String> {
    if !pod.status.reason.is_empty() {
        return Some(pod.status.reason.clone());
    }
    if let Some(placed) =
        pod.condition("PodScheduled").filter(|placed| placed.status == "False" && !placed.reason.is_empty())
    {
        return Some(placed.reason.clone());
    }
    let waiting = pod.containers().filter_map(|(_, _, status)| status?.state.waiting.as_deref());
    let mut reasons = waiting.map(|waiting| waiting.reason.as_str());
    reasons.find(|reason| !reason.is_empty() && !ON_THE_WAY.contains(reason)).map(str::to_owned)
}

/// A pod's step, as it is told of; nothing where it is where it was, or a rule leaves it out.
pub(crate) fn turn(look: &Look<'_>, from: Option<Phase>, object: &Object, pod: &Pod) -> Option<Entry> {
    let (to, at) = phase(object, pod);
    let reason = reason(pod);
    let ordinary = matches!(to, Phase::Pending | Phase::Starting) && reason.is_none() || to == Phase::Terminating;
    if from == Some(to) || (ordinary && look.noise.holds(ORDINARY_LIFE)) {
        return None;
    }
    // A deletion is due at the end of its grace, and asked for now.
    let at = at.filter(|_| to != Phase::Terminating);
    let turn = PhaseTurn { to, from, node: node(pod), reason };
    Some(look.entry(look.moment(at), object, Fact::Phase(turn)))
}

/// That a pod is gone.
pub(crate) fn gone(look: &Look<'_>, at: Timestamp, object: &Object, pod: &Pod) -> Entry {
    let from = Some(phase(object, pod).0);
    let turn = PhaseTurn { to: Phase::Deleted, from, node: node(pod), reason: reason(pod) };
    look.entry(at, object, Fact::Phase(turn))
}

/// What a pod is seen in first.
pub(crate) fn seen(object: &Object, pod: &Pod) -> PhaseTurn {
    PhaseTurn { to: phase(object, pod).0, from: None, node: node(pod), reason: reason(pod) }
}

pub(crate) fn node(pod: &Pod) -> Option<String> {
    Some(pod.spec.node_name.clone()).filter(|node| !node.is_empty())
}

/// How many ends of its containers a pod counts.
pub(crate) fn count(pod: &Pod) -> u32 {
    pod.containers().filter_map(|(_, _, status)| status).map(ends).fold(0, u32::saturating_add)
}

fn ends(status: &ContainerStatus) -> u32 {
    status.restart_count.saturating_add(u32::from(status.state.terminated.is_some()))
}

/// The ends that a status shows, with how often the container had been restarted before each: the one before, and this.
fn shown(status: &ContainerStatus) -> impl Iterator<Item = (u32, &Terminated)> {
    let now = status.state.terminated.as_deref();
    // Of a container that it lost track of a kubelet tells one end in both places.
    let before = status.last_state.terminated.as_deref().filter(|end| now.is_none_or(|now| !is_same(end, now)));
    let before = before.map(|end| (status.restart_count.saturating_sub(1), end));
    before.into_iter().chain(now.map(|end| (status.restart_count, end)))
}

/// What was known of a pod's deaths before.
pub(crate) enum Before<'a> {
    /// Nothing: all that it shows is news.
    Nothing,
    /// What another run told of it, until a moment.
    Told(&'a Mark, Timestamp),
    /// The pod before.
    Pod(&'a Pod),
}

/// The deaths of a pod's containers that were not told.
pub(crate) fn deaths(look: &Look<'_>, before: &Before<'_>, object: &Object, pod: &Pod) -> Vec<Entry> {
    if let Before::Told(mark, _) = before
        && mark.deaths >= count(pod)
    {
        return Vec::new();
    }
    let mut entries = Vec::new();
    for (kind, container, status) in pod.containers() {
        let Some(status) = status else { continue };
        let old = match before {
            Before::Pod(old) => {
                old.containers().find(|(_, other, _)| other.name == container.name).and_then(|(_, _, old)| old)
            }
            _ => None,
        };
        let known = |end: &Terminated| match before {
            Before::Told(_, until) => end.finished_at.is_none_or(|at| at <= *until),
            _ => old.is_some_and(|old| shown(old).any(|(_, other)| is_same(end, other))),
        };
        let news: Vec<(u32, &Terminated)> = shown(status).filter(|(_, end)| !known(end)).collect();
        let counted = match before {
            // What it is one by one is not known, only the sum.
            Before::Told(..) => 0,
            _ => ends(status).saturating_sub(old.map_or(0, ends)),
        };
        let mut untold = counted.saturating_sub(u32::try_from(news.len()).unwrap_or(u32::MAX));
        let ends_well = kind == ContainerType::Init || !pod.spec.restarts_always();
        for (restarts, end) in news {
            if ends_well && end.exit_code == 0 && look.noise.holds(ORDINARY_END) {
                continue;
            }
            let death = Death {
                container: container.name.clone(),
                reason: end.reason.clone(),
                exit_code: i32::try_from(end.exit_code).unwrap_or(i32::MAX),
                started: end.started_at,
                restarts,
                untold: std::mem::take(&mut untold),
                node: node(pod),
            };
            entries.push(look.entry(look.moment(end.finished_at), object, Fact::Death(death)));
        }
    }
    entries
}

/// Whether two ends are that of one instance: it is shown as the present one and then as the one before.
fn is_same(one: &Terminated, other: &Terminated) -> bool {
    (&one.container_id, one.started_at, one.finished_at, one.exit_code)
        == (&other.container_id, other.started_at, other.finished_at, other.exit_code)
}

/// That a pod went while nobody watched.
pub(crate) fn gone_unseen(from: Phase) -> PhaseTurn {
    PhaseTurn { to: Phase::Deleted, from: Some(from), node: None, reason: None }
}
