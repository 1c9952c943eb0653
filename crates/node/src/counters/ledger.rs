//! Kills that were counted against kills that were told.

use super::tree::Rise;
use jiff::{SignedDuration, Timestamp};
use reckon_model::kernel::{CgroupLevel, CounterKill, OomEpisode};
use std::collections::BTreeMap;

/// The kernel counts a kill before it writes of it, and the log is read apart from the counters.
const LATER: SignedDuration = SignedDuration::from_secs(2);

/// The most pods that are kept in mind: those whose kills are longest ago are forgotten first.
const PODS: usize = 10_000;

/// What was counted and what was told, of every pod in which processes were killed.
#[derive(Debug, Default)]
pub struct Ledger {
    pods: BTreeMap<String, Pod>,
}

#[derive(Debug, Default)]
struct Pod {
    whole: Account,
    containers: BTreeMap<String, Account>,
}

#[derive(Debug, Default)]
struct Account {
    counted: u64,
    logged: u64,
    told: u64,
    risen: Option<Risen>,
}

#[derive(Clone, Debug)]
struct Risen {
    at: Timestamp,
    path: String,
    level: Option<CgroupLevel>,
    global: bool,
    before: bool,
}

impl Ledger {
    /// Enters kills that were counted.
    pub fn counted(&mut self, rise: &Rise, at: Timestamp) {
        let Some(uid) = &rise.pod_uid else { return };
        let Rise { path, level, global, before, .. } = rise.clone();
        let risen = Risen { at, path, level, global, before };
        let pod = self.pod(uid);
        pod.whole.count(rise.kills, risen.clone());
        if let Some(container) = &rise.container_id {
            pod.containers.entry(container.clone()).or_default().count(rise.kills, risen);
        }
    }

    /// Enters kills that the log has told of.
    pub fn logged(&mut self, episode: &OomEpisode) {
        let Some(uid) = &episode.pod_uid else { return };
        let kills = u64::try_from(episode.victims.len()).unwrap_or(u64::MAX);
        let pod = self.pod(uid);
        pod.whole.logged = pod.whole.logged.saturating_add(kills);
        if let Some(container) = &episode.container_id {
            let account = pod.containers.entry(container.clone()).or_default();
            account.logged = account.logged.saturating_add(kills);
        }
    }

    /// Kills that were counted, and of which the log has not told within the time that it may take.
    pub fn untold(&mut self, now: Timestamp) -> Vec<CounterKill> {
        let mut untold = Vec::new();
        for (uid, pod) in &mut self.pods {
            // What the whole pod lacks bounds what its containers may: the log may have named the pod alone.
            let mut missing = pod.whole.missing(now);
            let mut tell = |account: &mut Account, container: Option<&String>, missing: u64| {
                let Some(risen) = account.risen.clone().filter(|_| missing > 0) else { return };
                account.told = account.told.saturating_add(missing);
                untold.push(CounterKill {
                    at: (!risen.before).then_some(risen.at),
                    path: risen.path,
                    pod_uid: Some(uid.clone()),
                    container_id: container.cloned(),
                    kills: missing,
                    level: risen.level,
                    global: risen.global,
                    logged: false,
                });
            };
            let mut by_container = 0;
            for (id, account) in &mut pod.containers {
                let lacks = account.missing(now).min(missing);
                missing -= lacks;
                by_container += lacks;
                tell(account, Some(id), lacks);
            }
            pod.whole.told = pod.whole.told.saturating_add(by_container);
            tell(&mut pod.whole, None, missing);
        }
        untold
    }

    fn pod(&mut self, uid: &str) -> &mut Pod {
        if self.pods.len() >= PODS && !self.pods.contains_key(uid) {
            let oldest = self.pods.iter().min_by_key(|(_, pod)| pod.whole.risen.as_ref().map(|risen| risen.at));
            if let Some(oldest) = oldest.map(|(uid, _)| uid.clone()) {
                self.pods.remove(&oldest);
            }
        }
        self.pods.entry(uid.to_owned()).or_default()
    }
}

impl Account {
    fn count(&mut self, kills: u64, risen: Risen) {
        self.counted = self.counted.saturating_add(kills);
        self.risen = Some(risen);
    }

    fn missing(&self, now: Timestamp) -> u64 {
        let due = self.risen.as_ref().is_some_and(|risen| now.duration_since(risen.at) >= LATER);
        if due { self.counted.saturating_sub(self.logged.saturating_add(self.told)) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reckon_model::kernel::Victim;

    const THEN: Timestamp = Timestamp::UNIX_EPOCH;

    fn later(seconds: i64) -> Timestamp {
        THEN + SignedDuration::from_secs(seconds)
    }

    fn rise(container: Option<&str>, kills: u64) -> Rise {
        Rise {
            path: format!("/kubepods/podu1/{}", container.unwrap_or_default()),
            pod_uid: Some("u1".into()),
            container_id: container.map(str::to_owned),
            kills,
            level: Some(CgroupLevel::Container),
            global: false,
            before: false,
        }
    }

    fn episode(container: Option<&str>, victims: usize) -> OomEpisode {
        OomEpisode {
            pod_uid: Some("u1".into()),
            container_id: container.map(str::to_owned),
            victims: vec![Victim::default(); victims],
            ..OomEpisode::default()
        }
    }

    fn kills(untold: &[CounterKill]) -> Vec<(Option<&str>, u64)> {
        untold.iter().map(|kill| (kill.container_id.as_deref(), kill.kills)).collect()
    }

    #[test]
    fn a_kill_that_the_log_tells_is_not_told_again() {
        let mut ledger = Ledger::default();
        ledger.counted(&rise(Some("c1"), 1), THEN);
        assert_eq!(ledger.untold(later(1)), []);
        ledger.logged(&episode(Some("c1"), 1));
        assert_eq!(ledger.untold(later(9)), []);
    }

    #[test]
    fn what_the_log_swallows_is_told_once_and_with_its_time() {
        let mut ledger = Ledger::default();
        ledger.logged(&episode(Some("c1"), 10));
        ledger.counted(&rise(Some("c1"), 40), THEN);
        let untold = ledger.untold(later(2));
        assert_eq!(kills(&untold), [(Some("c1"), 30)]);
        assert_eq!(untold[0].at, Some(THEN));
        assert_eq!(ledger.untold(later(60)), []);
        ledger.counted(&rise(Some("c1"), 2), later(60));
        assert_eq!(kills(&ledger.untold(later(70))), [(Some("c1"), 2)]);
    }

    #[test]
    fn kills_in_a_container_that_is_gone_are_told_of_its_pod() {
        let mut ledger = Ledger::default();
        ledger.counted(&rise(Some("c2"), 1), THEN);
        ledger.counted(&rise(None, 3), THEN);
        ledger.logged(&episode(Some("c1"), 1));
        assert_eq!(kills(&ledger.untold(later(5))), [(Some("c2"), 1), (None, 2)]);
    }

    #[test]
    fn what_the_log_tells_of_the_pod_alone_is_taken_off_its_containers() {
        let mut ledger = Ledger::default();
        ledger.counted(&rise(Some("c1"), 2), THEN);
        ledger.logged(&episode(None, 2));
        assert_eq!(ledger.untold(later(5)), []);
    }

    #[test]
    fn kills_before_the_first_look_have_no_time() {
        let mut ledger = Ledger::default();
        ledger.counted(&Rise { before: true, ..rise(Some("c1"), 1) }, THEN);
        assert_eq!(ledger.untold(later(5))[0].at, None);
    }

    #[test]
    fn a_storm_of_pods_is_kept_within_bounds() {
        let mut ledger = Ledger::default();
        for pod in 0..i64::try_from(PODS).unwrap() + 50 {
            ledger.counted(&Rise { pod_uid: Some(format!("u{pod}")), ..rise(None, 1) }, later(pod));
        }
        assert_eq!(ledger.pods.len(), PODS);
        assert!(!ledger.pods.contains_key("u0"));
    }
}
