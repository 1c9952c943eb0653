//! Who took the memory of a node, where that was not who died.

use super::course::readings;
use super::killed::Killed;
use super::remedy::bytes;
use crate::detectors::template::Site;
use crate::{Fact, describe};
use reckon_model::document::{Remedy, RemedyKind, Role, Source};
use reckon_model::k8s::{Container, ContainerStatus};
use reckon_model::{Object, Timestamp, quantity};

/// What a container of the node held at the kill.
struct Held<'a> {
    pod: &'a Object,
    container: &'a Container,
    /// In bytes.
    used: u64,
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

impl<'a> Killed<'_, 'a> {
    /// The containers of the same node by what they held at the kill; nothing where use was not read. One that is within its
    /// request is named as the largest, too: then the requests are more than the node has beside all else.
    pub(super) fn neighbours(&self) -> Neighbours {
        let mut found = Neighbours::default();
        let Some((at, held)) = self.held() else { return found };
        let Some(most) = held.iter().max_by_key(|held| held.used).filter(|held| !held.is_own) else { return found };
        found.consumer = Some(most.name());
        let text = format!("{} held most, {}, and {}", most.name(), quantity::bytes(most.used), most.requests());
        found.facts.push(Fact::new(Role::Cause, Source::Kernel, Some(at), most.pod, text));
        let within = held.iter().find(|held| held.is_own).is_some_and(|own| own.beyond() == 0);
        let greedy = held.iter().filter(|held| held.beyond() > 0 && !held.is_own).max_by_key(|held| held.beyond());
        let Some(greedy) = greedy.filter(|_| within) else { return found };
        if !std::ptr::eq(greedy, most) {
            let text = format!("{} held {}, and {}", greedy.name(), quantity::bytes(greedy.used), greedy.requests());
            found.facts.push(Fact::new(Role::Cause, Source::Kernel, Some(at), greedy.pod, text));
        }
        let (name, beyond) = (greedy.name(), quantity::bytes(greedy.beyond()));
        found.blamed = Some(format!(
            "{name} held {beyond} more than it requests, while {} was within its request",
            self.container.name
        ));
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

    fn held(&self) -> Option<(Timestamp, Vec<Held<'a>>)> {
        let facts = self.view.kernel(&self.pod.spec.node_name, false)?;
        let last = self.record.as_ref()?.last()?;
        let at = last.at?;
        let mut held = Vec::new();
        for pod in self.view.pods_on(&self.pod.spec.node_name)? {
            for (_, container, status) in pod.pod()?.containers() {
                let instances = status.into_iter().flat_map(ContainerStatus::instances);
                let used = instances
                    .flat_map(|id| readings(Some(facts), id))
                    .filter(|reading| reading.at <= at)
                    .max_by_key(|reading| reading.at);
                let Some(used) = used.map(|reading| reading.peak) else { continue };
                let is_own = pod.meta.uid == self.subject.meta.uid && container.name == self.container.name;
                // What the kernel wrote of the one that died is newer than any reading.
                let resident = last.victims.iter().map(crate::kernel::resident).sum::<u64>() * 1024;
                let used = if is_own { used.max(resident) } else { used };
                held.push(Held { pod, container, used, is_own });
            }
        }
        Some((at, held))
    }
}

impl Held<'_> {
    /// `namespace/pod[container]`.
    fn name(&self) -> String {
        format!("{}[{}]", describe::object(self.pod), self.container.name)
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
