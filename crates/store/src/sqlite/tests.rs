//! What only SQLite can meet: files, locks, disks, and bits that flip.

mod damage;
mod files;

use super::Sqlite;
use crate::{Query, Recorded, Store};
use futures::executor::block_on;
use reckon_model::record::{Batch, Block, Entry, Fact, Mark, Position};
use reckon_model::{ClusterId, Kind, ResourceRef, SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("record.db")
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn shop() -> ClusterId {
    ClusterId("shop".to_owned())
}

fn at(seconds: i64) -> Timestamp {
    "2026-11-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

fn entry(seconds: i64) -> Entry {
    let fact = Fact::Mark(Mark {
        source: "test".to_owned(),
        title: format!("mark {seconds}"),
        text: String::new(),
        url: None,
        labels: BTreeMap::new(),
    });
    Entry { at: at(seconds), subject: ResourceRef::new(Kind::Deployment, Some("shop"), "web"), workload: None, fact }
}

fn batch(seq: u64, entries: &[Entry]) -> Batch {
    Batch::new(Position { epoch: 1, seq }, Block::pack(entries).unwrap().remove(0))
}

/// Blocks of three entries, one an hour.
async fn fill(store: &Sqlite, seqs: std::ops::RangeInclusive<u64>) -> Result<Position, crate::Error> {
    let batches = seqs.map(|seq| {
        let hour = seq.cast_signed() * 3_600;
        batch(seq, &[entry(hour), entry(hour + 1), entry(hour + 2)])
    });
    store.append(&shop(), batches.collect(), at(0)).await
}

async fn all(store: &Sqlite) -> (Vec<Recorded>, Vec<crate::Damaged>) {
    let page = store.entries(&Query::default(), None, 10_000).await.unwrap();
    assert!(page.next.is_none());
    (page.records, page.damaged)
}
