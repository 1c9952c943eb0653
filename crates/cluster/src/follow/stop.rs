//! Ending followers in good order: what they know is then what they have sent.

use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// How followers are told to stop.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    called: AtomicBool,
    wake: Notify,
}

impl Stop {
    pub(crate) fn call(&self) {
        self.called.store(true, Ordering::Relaxed);
        self.wake.notify_waiters();
    }

    pub(crate) fn is_called(&self) -> bool {
        self.called.load(Ordering::Relaxed)
    }

    pub(super) async fn called(&self) {
        let woken = self.wake.notified();
        if !self.called.load(Ordering::Relaxed) {
            woken.await;
        }
    }
}
