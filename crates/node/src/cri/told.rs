//! What was told of each container last.

use super::facts::Listed;
use reckon_model::Timestamp;
use reckon_model::kernel::{ContainerFacts, RuntimeState};
use std::collections::{BTreeMap, BTreeSet};

/// Knows what is news.
#[derive(Debug, Default)]
pub(super) struct Told {
    containers: BTreeMap<String, Last>,
}

/// What may change while a container keeps its id.
#[derive(Debug, PartialEq, Eq)]
struct Last {
    state: RuntimeState,
    reason: Option<String>,
    exit_code: Option<i32>,
    memory_limit: Option<u64>,
    /// It has ended and said the same twice.
    settled: bool,
}

impl Told {
    /// Whether nothing more can come of it. What has ended is asked twice, as a runtime may hear of a kill after it has
    /// heard of the end.
    pub(super) fn is_settled(&self, listed: &Listed) -> bool {
        listed.state == RuntimeState::Exited && self.containers.get(&listed.id).is_some_and(|last| last.settled)
    }

    /// Gives the facts back, with the time, if they differ from what was told.
    pub(super) fn take(&mut self, facts: ContainerFacts, now: Timestamp) -> Option<ContainerFacts> {
        let said = Last {
            state: facts.state,
            reason: facts.reason.clone(),
            exit_code: facts.exit_code,
            memory_limit: facts.memory_limit,
            settled: false,
        };
        if let Some(last) = self.containers.get_mut(&facts.container_id) {
            let settled = std::mem::take(&mut last.settled);
            if *last == said {
                last.settled = settled || said.state == RuntimeState::Exited;
                return None;
            }
        }
        self.containers.insert(facts.container_id.clone(), said);
        Some(ContainerFacts { at: Some(now), ..facts })
    }

    /// Forgets those that are no longer there.
    pub(super) fn keep(&mut self, listed: &[Listed]) {
        let there: BTreeSet<&str> = listed.iter().map(|container| container.id.as_str()).collect();
        self.containers.retain(|id, _| there.contains(id.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cri::message::{Container, ContainerState};

    fn listed(state: ContainerState) -> Listed {
        Listed::of(Container { id: "c1".into(), state: state.into(), ..Container::default() }).unwrap()
    }

    fn container(state: RuntimeState, reason: Option<&str>) -> ContainerFacts {
        let reason = reason.map(str::to_owned);
        ContainerFacts { container_id: "c1".into(), state, reason, ..ContainerFacts::default() }
    }

    #[test]
    fn the_same_is_told_once_and_what_changes_is_told_with_its_time() {
        let mut told = Told::default();
        let now = Timestamp::UNIX_EPOCH;
        let running = container(RuntimeState::Running, None);
        assert_eq!(told.take(running.clone(), now).and_then(|facts| facts.at), Some(now));
        assert_eq!(told.take(running.clone(), now), None);
        assert!(told.take(container(RuntimeState::Running, Some("OOMKilled")), now).is_some());
        assert!(told.take(running, now).is_some());
    }

    #[test]
    fn an_end_is_asked_about_until_it_has_said_the_same_twice() {
        let mut told = Told::default();
        let now = Timestamp::UNIX_EPOCH;
        let (first, later) =
            (container(RuntimeState::Exited, Some("Error")), container(RuntimeState::Exited, Some("OOMKilled")));
        for (facts, news) in [(&first, true), (&later, true), (&later, false)] {
            assert!(!told.is_settled(&listed(ContainerState::Exited)));
            assert_eq!(told.take(facts.clone(), now).is_some(), news);
        }
        assert!(told.is_settled(&listed(ContainerState::Exited)));
        assert!(!told.is_settled(&listed(ContainerState::Running)));
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let mut told = Told::default();
        told.take(container(RuntimeState::Exited, None), Timestamp::UNIX_EPOCH);
        told.keep(&[]);
        assert!(told.containers.is_empty());
    }
}
