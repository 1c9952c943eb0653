//! Episodes that come faster than anybody reads them.

use super::whose;
use jiff::{SignedDuration, Timestamp};
use reckon_model::kernel::{CounterKill, OomEpisode, OomScope};
use std::collections::BTreeMap;

/// So many are told in full of one container within a minute. Further ones are counted and told together.
const IN_FULL: u32 = 20;
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// The most containers that are kept in mind; a node has some hundreds.
const KEPT: usize = 10_000;

/// Holds back what is too much.
#[derive(Debug, Default)]
pub(super) struct Storm {
    since: Option<Timestamp>,
    told: BTreeMap<String, u32>,
    held: BTreeMap<String, CounterKill>,
}

impl Storm {
    /// Gives the episode back if it is to be told in full.
    pub(super) fn take(&mut self, episode: OomEpisode, now: Timestamp) -> Option<OomEpisode> {
        self.since.get_or_insert(now);
        let key = whose(&episode).unwrap_or_default().to_owned();
        if self.told.len() >= KEPT && !self.told.contains_key(&key) {
            return Some(episode);
        }
        let told = self.told.entry(key.clone()).or_default();
        if *told < IN_FULL {
            *told += 1;
            return Some(episode);
        }
        let held = self.held.entry(key).or_insert_with(|| CounterKill {
            path: episode.task_memcg.clone().or(episode.oom_memcg.clone()).unwrap_or_default(),
            pod_uid: episode.pod_uid.clone(),
            container_id: episode.container_id.clone(),
            level: episode.level,
            global: episode.scope == Some(OomScope::Global),
            logged: true,
            ..CounterKill::default()
        });
        held.at = episode.at.or(Some(now));
        held.kills = held.kills.saturating_add(u64::try_from(episode.victims.len()).unwrap_or(u64::MAX));
        None
    }

    /// What was held back in the minute that has ended.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<CounterKill> {
        let ended = self.since.is_some_and(|since| now.duration_since(since) >= MINUTE || now < since);
        if !ended {
            return Vec::new();
        }
        self.since = None;
        self.told.clear();
        std::mem::take(&mut self.held).into_values().filter(|kill| kill.kills > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reckon_model::kernel::Victim;

    #[test]
    fn ten_thousand_kills_a_minute_are_all_counted_and_few_are_told_in_full() {
        let mut storm = Storm::default();
        let start = Timestamp::UNIX_EPOCH;
        let mut told = 0;
        for kill in 0..10_000_u32 {
            let episode = OomEpisode {
                container_id: Some("c1".into()),
                victims: vec![Victim { pid: kill, ..Victim::default() }],
                ..OomEpisode::default()
            };
            told += u64::from(storm.take(episode, start).is_some());
        }
        assert_eq!((told, storm.due(start).len()), (20, 0));
        let due = storm.due(start + MINUTE);
        assert_eq!((due.len(), told + due[0].kills, due[0].container_id.as_deref()), (1, 10_000, Some("c1")));
        let episode = OomEpisode { container_id: Some("c1".into()), ..OomEpisode::default() };
        assert!(storm.take(episode, start + MINUTE).is_some(), "a new minute begins");
    }
}
