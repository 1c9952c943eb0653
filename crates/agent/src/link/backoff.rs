//! How long to wait before trying again.

use std::time::Duration;

/// The longest pause: a network that is there for 20 seconds in every five minutes is met in each of them.
const MOST: Duration = Duration::from_secs(6);

/// The first.
const FIRST: Duration = Duration::from_millis(500);

/// A server may ask for more, and for so much at most.
const MOST_ASKED: Duration = Duration::from_secs(300);

/// Doubles with each attempt that came to nothing, and takes between half of that and all of it, so that agents that a server
/// lost at once do not come at once.
#[derive(Debug)]
pub(super) struct Backoff {
    attempts: u32,
    dice: fastrand::Rng,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Backoff {
        Backoff { attempts: 0, dice: fastrand::Rng::with_seed(seed) }
    }

    /// Something came of it.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }

    /// How long this time, at least what the server asked for.
    pub(super) fn pause(&mut self, asked: Option<Duration>) -> Duration {
        let most = FIRST.saturating_mul(1 << self.attempts.min(8)).min(MOST);
        self.attempts = self.attempts.saturating_add(1);
        let jittered = most.mul_f64(0.5 + self.dice.f64() / 2.0);
        // Whoever is asked to wait waits a little longer than the others, or all of them would be there at once.
        asked.map_or(jittered, |asked| asked.min(MOST_ASKED) + jittered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_six_seconds_and_begin_anew() {
        let mut backoff = Backoff::new(1);
        let pauses: Vec<Duration> = (0..20).map(|_| backoff.pause(None)).collect();
        assert!(pauses[0] <= FIRST && pauses[0] >= FIRST / 2);
        assert!(pauses[4..].iter().all(|pause| (MOST / 2..=MOST).contains(pause)), "{pauses:?}");
        backoff.reset();
        assert!(backoff.pause(None) <= FIRST);
    }

    #[test]
    fn two_hundred_agents_do_not_come_at_once() {
        let mut tenths = [0; 60];
        for seed in 0..200 {
            let mut backoff = Backoff::new(seed);
            let at = (0..6).map(|_| backoff.pause(None)).last().unwrap_or_default();
            tenths[usize::try_from(at.as_millis() / 100).unwrap().min(59)] += 1;
        }
        assert!(tenths.iter().all(|come| *come <= 20), "{tenths:?}");
    }

    #[test]
    fn a_server_may_ask_for_five_minutes_at_most() {
        let mut backoff = Backoff::new(1);
        assert!(backoff.pause(Some(Duration::from_secs(30))) > Duration::from_secs(30));
        assert!(backoff.pause(Some(Duration::from_secs(86_400))) <= MOST_ASKED + MOST);
    }
}
