//! What the server itself writes about a cluster: in a lane of its own, beside the record that the cluster's agent writes.
//!
//! A record has one writer, and its positions have no holes. So marks from outside are, to the store, the record of another
//! cluster, whose id is the cluster's with an end that no agent may give; to everybody who asks they are the cluster's. Each
//! replica writes as a writer of its own, and one that another has taken over from begins anew.

use reckon_model::ClusterId;
use reckon_model::record::{Batch, Block, Entry, Position};
use reckon_store::{Error, Store};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::sleep;

use reckon_model::Timestamp;

/// What the ids of lanes end with. The ids of clusters are UIDs, and an agent with another may not enrol.
const END: &str = "#marks";

/// How often is tried while other replicas write the same lane.
const TRIES: u32 = 20;

/// The lane of a cluster.
pub(crate) fn of(cluster: &ClusterId) -> ClusterId {
    ClusterId(format!("{}{END}", cluster.0))
}

/// Whether this is the id of a lane.
pub(crate) fn is_lane(id: &ClusterId) -> bool {
    id.0.ends_with(END)
}

/// The cluster that this is the id, or the lane, of.
pub(crate) fn cluster(id: &ClusterId) -> ClusterId {
    ClusterId(id.0.strip_suffix(END).unwrap_or(&id.0).to_owned())
}

/// As whom this replica writes, by lane: the instance and the epoch that it was granted.
#[derive(Debug, Default)]
pub(crate) struct Lanes(Mutex<HashMap<ClusterId, (String, u64)>>);

impl Lanes {
    /// Appends entries to the lane of a cluster; durable on return.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn note(
        &self,
        store: &dyn Store,
        cluster: &ClusterId,
        entries: &[Entry],
        now: Timestamp,
    ) -> Result<(), Error> {
        let lane = of(cluster);
        // One after the other within this replica: positions are counted.
        let mut granted = self.0.lock().await;
        for turn in 0..TRIES {
            let (instance, held) = match granted.get(&lane) {
                Some(granted) => granted.clone(),
                None => (reckon_store::Secret::random("lane")?.reveal().to_owned(), 0),
            };
            match append(store, &lane, &instance, held, entries, now).await {
                Ok(epoch) => {
                    granted.insert(lane, (instance, epoch));
                    return Ok(());
                }
                Err(Error::Fenced { .. }) => {
                    granted.remove(&lane);
                    sleep(Duration::from_millis(u64::from(turn))).await;
                }
                Err(other) => return Err(other),
            }
        }
        Err(Error::Unreachable(format!("other replicas were quicker {TRIES} times")))
    }
}

/// Writes as this instance; the epoch in which it did.
async fn append(
    store: &dyn Store,
    lane: &ClusterId,
    instance: &str,
    held: u64,
    entries: &[Entry],
    now: Timestamp,
) -> Result<u64, Error> {
    let Position { epoch, seq } = store.begin(lane, instance, held, now).await?;
    let blocks = Block::pack(entries).map_err(|source| Error::Block { position: Position { epoch, seq }, source })?;
    let batches = (seq + 1..).zip(blocks).map(|(seq, block)| Batch::new(Position { epoch, seq }, block)).collect();
    store.append(lane, batches, now).await?;
    Ok(epoch)
}
