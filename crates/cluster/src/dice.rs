//! Chance, for spreading load: seeded by the machine, or by a test that has to be the same each time.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A source of numbers that nobody has to be unable to guess.
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

impl Dice {
    /// The standard library seeds its hashers at random.
    pub(crate) fn of_this_machine() -> Dice {
        Dice::new(RandomState::new().hash_one(()))
    }

    pub(crate) fn new(seed: u64) -> Dice {
        Dice(AtomicU64::new(seed))
    }

    /// A number below `bound`, which is taken for at least 1. SplitMix64, one step for each throw.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    /// Between half of the duration and all of it.
    pub(crate) fn jittered(&self, duration: Duration) -> Duration {
        let half = duration / 2;
        half + Duration::from_millis(self.below(u64::try_from(half.as_millis()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_between_half_and_all_of_it_and_follows_from_the_seed() {
        let throws = |seed| {
            let dice = Dice::new(seed);
            (0..1000).map(|_| dice.jittered(Duration::from_secs(1))).collect::<Vec<_>>()
        };
        assert_eq!(throws(7), throws(7));
        assert!(throws(7).iter().all(|pause| (500..1000).contains(&pause.as_millis())));
        assert_ne!(throws(7), throws(8));
    }
}
