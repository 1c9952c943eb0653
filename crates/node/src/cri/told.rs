//! What was told of each container last.

use reckon_model::Timestamp;
use reckon_model::kernel::{ContainerFacts, RuntimeState};
use std::collections::{BTreeMap, BTreeSet};

/// Knows what is news.
#[derive(Debug, Default)]
pub(super) struct Told {
    containers: BTreeMap<String, Last>,
}

#[derive(Debug)]
struct Last {
    facts: ContainerFacts,
    /// It has ended and said the same twice.
    settled: bool,
}

impl Told {
    /// Whether nothing more can come of it. What has ended is asked twice, as a runtime may hear of a kill after it has
    /// heard of the end.
    pub(super) fn is_settled(&self, listed: &ContainerFacts) -> bool {
        listed.state == RuntimeState::Exited
            && self.containers.get(&listed.container_id).is_some_and(|last| last.settled)
    }

    /// Gives the facts back if they differ from what was told.
    pub(super) fn take(&mut self, facts: ContainerFacts, now: Timestamp) -> Option<ContainerFacts> {
        debug_assert_eq!(facts.at, None, "the time is no news");
        let settled = facts.state == RuntimeState::Exited;
        match self.containers.get_mut(&facts.container_id) {
            Some(last) if last.facts == facts => {
                last.settled = settled;
                return None;
            }
            Some(last) => *last = Last { facts: facts.clone(), settled: false },
            None => {
                self.containers.insert(facts.container_id.clone(), Last { facts: facts.clone(), settled: false });
            }
        }
        Some(ContainerFacts { at: Some(now), ..facts })
    }

    /// Forgets those that are no longer there.
    pub(super) fn keep(&mut self, listed: &[ContainerFacts]) {
        let there: BTreeSet<&str> = listed.iter().map(|facts| facts.container_id.as_str()).collect();
        self.containers.retain(|id, _| there.contains(id.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert!(!told.is_settled(&first));
            assert_eq!(told.take(facts.clone(), now).is_some(), news);
        }
        assert!(told.is_settled(&first));
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let mut told = Told::default();
        told.take(container(RuntimeState::Exited, None), Timestamp::UNIX_EPOCH);
        told.keep(&[]);
        assert!(told.containers.is_empty());
    }
}
