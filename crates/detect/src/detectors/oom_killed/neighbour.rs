//! Who took the memory of a node, where that was not who died.

use super::course::readings;
use super::killed::Killed;
use super::remedy::bytes;
use crate::detectors::template::Site;
use crate::{Fact, describe};
use jiff::SignedDuration;
use reckon_model::document::{Remedy, RemedyKind, Role, Source};
use reckon_model::k8s::{Container, ContainerStatus, Terminated, bare_id};
use reckon_model::{Body, Object, Timestamp, quantity};

/// What a container of the node held at the kill.
struct Held<'a> {
    pod: &'a Object,
    container: &'a Container,
    /// In bytes.
    used: u64,
    /// When that was read.
    at: Timestamp,
    is_own: bool,
}

/// Who held what, as far as it says something about others than the one that died.
#[derive(Default)]
pub(super) struct Neighbours {
    /// Who held most: `namespace/pod[container]`.
    pub(super) consumer: Option<String>,
    pub(super) facts: Vec<Fact>,
    /// Who went furthest beyond its request, in words, where the one that died was within its own.
    pub(super) blamed: Option<String>,
    pub(super) remedy: Option<Remedy>,
}

/// A reading that is older than this says nothing of what was held at the kill.
const RECENT: SignedDuration = SignedDuration::from_mins(10);

/// Who went beyond its request by less than this share of the node, in parts of a hundred, has not taken its memory.
const MUCH: u64 = 5;

/// Where all that was read together is less than this share of the node, in parts of a hundred, most of it is elsewhere: in
/// processes of the machine, or in pods that were not read.
const MOST: u64 = 50;

impl<'a> Killed<'_, 'a> {
    /// The containers of the same node by what they held at the kill; nothing where use was not read. One that is within its
    /// request is named as the largest, too: then the requests are more than the node has beside all else.
    pub(super) fn neighbours(&self) -> Neighbours {
        let mut found = Neighbours::default();
        let Some(held) = self.held() else { return found };
        let Some(most) = held.iter().max_by_key(|held| held.used).filter(|held| !held.is_own) else { return found };
        let sum = held.iter().map(|held| held.used).fold(0, u64::saturating_add);
        let share = self.share();
        if share.is_some_and(|share| sum < share / 100 * MOST) {
            let text = format!(
                "the containers that were read held {} of {}: most of it is in no pod that was read",
                quantity::bytes(sum),
                quantity::bytes(share.unwrap_or(0))
            );
            found.facts.push(Fact::new(Role::Cause, Source::Kernel, Some(most.at), self.subject, text));
            return found;
        }
        found.consumer = Some(most.name());
        found.facts.push(most.fact("most of those that were read, "));
        let within = held.iter().find(|held| held.is_own).is_some_and(|own| own.beyond() == 0);
        let much = |held: &&Held<'_>| share.is_some_and(|share| held.beyond() >= share / 100 * MUCH);
        let greedy = held.iter().filter(|held| !held.is_own).filter(much).max_by_key(|held| held.beyond());
        let Some(greedy) = greedy.filter(|_| within) else { return found };
        if !std::ptr::eq(greedy, most) {
            found.facts.push(greedy.fact(""));
        }
        let (name, beyond) = (greedy.name(), quantity::bytes(greedy.beyond()));
        let own = &self.container.name;
        found.blamed = Some(format!("{name} held {beyond} more than it requests, while {own} was within its request"));
        let workload = self.view.workload_of(greedy.pod);
        let limited = greedy.container.resources.limits.contains_key("memory");
        let sentence = format!(
            "Give {} of {} a memory request of what it uses, {}{}: it {}, and the scheduler counts requests alone.",
            greedy.container.name,
            describe::object(workload),
            quantity::bytes(greedy.used),
            if limited { "" } else { ", and a limit" },
            greedy.requests(),
        );
        found.remedy = Some(Site::new(workload, &greedy.container.name).advice(RemedyKind::SetResources, sentence));
        found
    }

    /// What pods of the node may use together, in bytes.
    fn share(&self) -> Option<u64> {
        let node = self.node_reference().and_then(|node| self.view.look_up(&node).found())?;
        match &node.body {
            Body::Node(node) => node.status.allocatable.get("memory").and_then(bytes),
            _ => None,
        }
    }

    /// What instances that ran at the kill held, by their last reading before it.
    fn held(&self) -> Option<Vec<Held<'a>>> {
        let facts = self.view.kernel(&self.pod.spec.node_name, false)?;
        let last = self.record.as_ref()?.last()?;
        let killed = last.at?;
        let mut held = Vec::new();
        for pod in self.view.pods_on(&self.pod.spec.node_name)? {
            for (_, container, status) in pod.pod()?.containers() {
                let Some(id) = status.and_then(|status| ran_at(status, killed)) else { continue };
                let is_own = pod.meta.uid == self.subject.meta.uid && container.name == self.container.name;
                let before = readings(Some(facts), id).iter().rfind(|reading| reading.at <= killed);
                let recent = before.filter(|reading| killed.duration_since(reading.at) <= RECENT);
                let Some((used, at)) = recent.map(|reading| (reading.peak, reading.at)) else { continue };
                // What the kernel wrote of the one that died is newer than any reading.
                let resident = last.victims.iter().map(crate::kernel::resident).fold(0, u64::saturating_add);
                let used = if is_own { used.max(resident.saturating_mul(1024)) } else { used };
                held.push(Held { pod, container, used, at, is_own });
            }
        }
        Some(held)
    }
}

/// The instance that ran at a time: the current one, or the one before.
fn ran_at(status: &ContainerStatus, at: Timestamp) -> Option<&str> {
    let started = |since: Option<Timestamp>| since.is_none_or(|since| since <= at + SLACK);
    let ended =
        |end: &&Terminated| started(end.started_at) && end.finished_at.is_none_or(|finished| finished >= at - SLACK);
    let mut ends = [&status.state, &*status.last_state].into_iter().filter_map(|state| state.terminated.as_deref());
    let running = status.state.running.as_ref().filter(|running| started(running.started_at));
    // One that ended then may have been followed by the next at once.
    let id = ends.find(ended).map(|end| end.container_id.as_str()).or(running.map(|_| &*status.container_id));
    id.map(bare_id)
}

/// Statuses are told to the second, and kernels and kubelets have clocks of their own.
const SLACK: SignedDuration = SignedDuration::from_secs(2);

impl Held<'_> {
    /// `namespace/pod[container]`.
    fn name(&self) -> String {
        format!("{}[{}]", describe::object(self.pod), self.container.name)
    }

    fn fact(&self, which: &str) -> Fact {
        let text = format!("{} held {which}{}, and {}", self.name(), quantity::bytes(self.used), self.requests());
        Fact::new(Role::Cause, Source::Kernel, Some(self.at), self.pod, text)
    }

    fn requests(&self) -> String {
        match self.container.resources.requests.get("memory") {
            Some(request) => format!("requests {request}"),
            None => "requests none".to_owned(),
        }
    }

    /// What it held beyond what the scheduler counts.
    fn beyond(&self) -> u64 {
        self.used.saturating_sub(self.container.resources.requests.get("memory").and_then(bytes).unwrap_or(0))
    }
}
