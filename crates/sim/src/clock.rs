//! The time of the simulated cluster.

use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Where the server takes the time from.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Running { base: Timestamp, start: Instant, factor: u32 },
    Stepped(Arc<Stepped>),
}

#[derive(Debug)]
struct Stepped {
    now: Mutex<Timestamp>,
    moved: Notify,
}

impl Clock {
    /// The machine's time. Under tokio's paused clock it begins at the machine's time and goes on as that clock does.
    pub fn real() -> Clock {
        Clock::running(Timestamp::now(), 1)
    }

    /// Begins at `base` and runs `factor` times as fast as tokio's clock, which a test may have paused: with a fixed
    /// `base` such a test is the same at every run. A factor of 0 counts as 1.
    pub fn running(base: Timestamp, factor: u32) -> Clock {
        Clock(Kind::Running { base, start: Instant::now(), factor: factor.max(1) })
    }

    /// Stands still until [`Clock::advance`].
    pub fn stepped(base: Timestamp) -> Clock {
        Clock(Kind::Stepped(Arc::new(Stepped { now: Mutex::new(base), moved: Notify::new() })))
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::Running { base, start, factor } => {
                let passed = SignedDuration::try_from(start.elapsed()).unwrap_or(SignedDuration::MAX);
                base.checked_add(passed.saturating_mul((*factor).try_into().unwrap_or(1))).unwrap_or(Timestamp::MAX)
            }
            Kind::Stepped(stepped) => *stepped.now.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Moves a stepped clock forward and wakes what waits for it. A running clock is not changed.
    pub fn advance(&self, by: SignedDuration) {
        if let Kind::Stepped(stepped) = &self.0 {
            let mut now = stepped.now.lock().unwrap_or_else(PoisonError::into_inner);
            *now = now.checked_add(by).unwrap_or(Timestamp::MAX);
            drop(now);
            stepped.moved.notify_waiters();
        }
    }

    /// Waits until this clock shows `until`.
    pub async fn sleep_until(&self, until: Timestamp) {
        match &self.0 {
            Kind::Running { factor, .. } => {
                let left = until.duration_since(self.now()).unsigned_abs();
                if until > self.now() {
                    // Timers count milliseconds: one more, so that the time has surely come.
                    tokio::time::sleep(left / *factor + std::time::Duration::from_millis(1)).await;
                }
            }
            Kind::Stepped(stepped) => loop {
                let moved = stepped.moved.notified();
                tokio::pin!(moved);
                moved.as_mut().enable();
                if self.now() >= until {
                    return;
                }
                moved.await;
            },
        }
    }
}

/// A time as the API writes it: whole seconds.
pub(crate) fn seconds(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}
