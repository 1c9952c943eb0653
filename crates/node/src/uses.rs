//! Use of memory over time, told so seldom that years of it fit into a log and so often that a leak shows.
//!
//! The older a container, the slower what matters in it: readings are a fortieth of its age apart. What does not move is
//! told an eighth as often; a sudden rise is told at once, within an allowance.

use jiff::{SignedDuration, Timestamp};
use reckon_model::kernel::{ContainerUse, MemoryUse};
use std::collections::BTreeMap;

/// Readings of one container are no closer than this.
pub(crate) const CLOSEST: SignedDuration = SignedDuration::from_secs(5);

/// They are this share of its age apart: some 250 in its first day.
const OF_ITS_AGE: i32 = 40;

/// What does not move is told once in so many of its turns.
const STEADY: i32 = 8;

/// A change of this share of the limit is one, in percent.
const MOVED: u64 = 1;

/// A rise of this share of the limit is told at once.
const SUDDEN: u64 = 5;

/// So often, and once more every ten minutes.
const ALLOWANCE: u32 = 20;
const ONE_MORE: SignedDuration = SignedDuration::from_mins(10);

/// One reading of one container's cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The container.
    pub container_id: String,
    /// Bytes that cannot be given back.
    pub held: u64,
    /// The limit in bytes.
    pub limit: Option<u64>,
}

/// The containers of a node, and what was told of each.
#[derive(Debug, Default)]
pub struct Uses {
    containers: BTreeMap<String, Told>,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    since: Timestamp,
    last: MemoryUse,
    floor: u64,
    peak: u64,
    allowance: u32,
    granted: Timestamp,
}

impl Uses {
    /// Takes what all containers hold now; what of it is worth telling comes back. A container that is missing is gone.
    pub fn take(&mut self, now: Timestamp, all: Vec<Held>) -> Vec<ContainerUse> {
        let mut kept = BTreeMap::new();
        let mut told = Vec::new();
        for Held { container_id, held, limit } in all {
            let before = self.containers.remove(&container_id);
            let (known, reading) = match before {
                // A clock that was set back begins anew.
                Some(known) if known.last.at <= now => known.and_then(now, held, limit.unwrap_or(held)),
                _ => Told::first(now, held),
            };
            told.extend(reading.map(|reading| ContainerUse {
                id: container_id.clone(),
                floor: reading.floor,
                peak: reading.peak,
            }));
            kept.insert(container_id, known);
        }
        self.containers = kept;
        told
    }
}

impl Told {
    fn first(now: Timestamp, held: u64) -> (Told, Option<MemoryUse>) {
        let last = MemoryUse { at: now, floor: held, peak: held };
        (Told { since: now, last, floor: held, peak: held, allowance: ALLOWANCE, granted: now }, Some(last))
    }

    fn and_then(mut self, now: Timestamp, held: u64, limit: u64) -> (Told, Option<MemoryUse>) {
        self.floor = self.floor.min(held);
        self.peak = self.peak.max(held);
        if now.duration_since(self.granted) >= ONE_MORE {
            self.allowance = ALLOWANCE.min(self.allowance + 1);
            self.granted = now;
        }
        let share = |percent: u64| limit / 100 * percent;
        let interval = CLOSEST.max(now.duration_since(self.since) / OF_ITS_AGE);
        let passed = now.duration_since(self.last.at);
        let moved = self.floor.abs_diff(self.last.floor).max(self.peak.abs_diff(self.last.peak)) > share(MOVED);
        let sudden = held > self.last.peak.saturating_add(share(SUDDEN)) && passed >= CLOSEST && self.allowance > 0;
        let due = passed >= interval && (moved || passed >= interval * STEADY);
        if !due && !sudden {
            return (self, None);
        }
        if !due {
            self.allowance -= 1;
        }
        let reading = MemoryUse { at: now, floor: self.floor, peak: self.peak };
        (Told { last: reading, floor: held, peak: held, ..self }, Some(reading))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 1000;

    /// What is told of one container that holds so much at each look.
    fn told(looks: u32, held: impl Fn(u32) -> u64) -> Vec<(u32, u64, u64)> {
        let mut uses = Uses::default();
        let look = |look: u32| {
            let now = Timestamp::UNIX_EPOCH + CLOSEST * i32::try_from(look).unwrap();
            let all = vec![Held { container_id: "c1".into(), held: held(look), limit: Some(LIMIT) }];
            uses.take(now, all).into_iter().map(move |told| (look, told.floor, told.peak))
        };
        (0..looks).flat_map(look).collect()
    }

    #[test]
    fn a_leak_of_minutes_is_told_at_every_look_and_one_of_days_in_some_hundred_readings() {
        assert_eq!(told(40, |look| 20 * u64::from(look)).len(), 40);
        let day = told(17_280, |look| u64::from(look) * LIMIT / 17_280);
        assert!((80..400).contains(&day.len()), "{}", day.len());
    }

    #[test]
    fn what_does_not_move_is_told_now_and_then() {
        let day = told(17_280, |_| 500);
        assert!((10..60).contains(&day.len()), "{}", day.len());
    }

    #[test]
    fn least_and_most_between_two_readings_are_kept() {
        // Up and down at every look, so that no reading alone would show the floor.
        let saw = told(4_000, |look| if look % 2 == 0 { 200 } else { 600 });
        let late: Vec<_> = saw.iter().filter(|(look, ..)| *look > 1_000).collect();
        assert!(!late.is_empty() && late.iter().all(|(_, floor, peak)| (*floor, *peak) == (200, 600)), "{late:?}");
    }

    #[test]
    fn a_sudden_rise_is_told_at_once_but_not_for_ever() {
        let rise = told(4_002, |look| if look > 4_000 { 900 } else { 100 });
        assert_eq!(rise.last(), Some(&(4_001, 100, 900)));
        // In the last hours a quiet container has some turns; teeth have their allowance on top, and no more.
        let teeth = told(17_280, |look| if look % 3 == 0 { 900 } else { 100 });
        assert!(teeth.len() < 600, "{}", teeth.len());
    }

    #[test]
    fn a_container_that_is_gone_is_forgotten_and_a_clock_that_is_set_back_begins_anew() {
        let mut uses = Uses::default();
        let one = || vec![Held { container_id: "c1".into(), held: 1, limit: None }];
        let later = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
        assert_eq!(uses.take(later, one()).len(), 1);
        assert_eq!(uses.take(Timestamp::UNIX_EPOCH, one()).len(), 1);
        assert_eq!(uses.take(later, Vec::new()), []);
        assert!(uses.containers.is_empty());
    }
}
