//! What keeps the store small and quick: trimming and packing, a little and often, so that nobody who appends waits for it.

use reckon_model::Timestamp;
use reckon_store::{Budget, Error, Retention, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Looked at this often. An agent that sends a block of a few entries each second leaves sixty to be packed into one.
const EVERY: Duration = Duration::from_secs(60);

/// So much at once: on the slowest disks that databases are put on, some tens of milliseconds.
const BUDGET: Budget = Budget { blocks: 64 };

/// Between two steps others have the database for as long as a step may have taken.
const BREATH: Duration = Duration::from_millis(50);

/// Does so for ever. With several replicas each does it: a step finds what is left to do in its own transaction.
pub(crate) async fn for_ever(store: Arc<dyn Store>, retention: Retention, now: fn() -> Timestamp) {
    loop {
        sleep(EVERY).await;
        if let Err(error) = once(&*store, &retention, now()).await {
            tracing::warn!("trimming waits: {error}");
        }
    }
}

/// Until nothing is left to do.
pub(crate) async fn once(store: &dyn Store, retention: &Retention, now: Timestamp) -> Result<(), Error> {
    while store.trim(retention, BUDGET, now).await?.more {
        sleep(BREATH).await;
    }
    while store.compact(BUDGET).await?.more {
        sleep(BREATH).await;
    }
    Ok(())
}
