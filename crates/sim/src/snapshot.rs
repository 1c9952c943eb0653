//! Earlier states, and going back to them.

use crate::store::{Key, Stored};
use crate::world::World;
use std::collections::BTreeMap;

/// A state to which a world can be put back, as an etcd from a backup is.
#[derive(Clone, Debug)]
pub struct Snapshot {
    revision: u64,
    tables: Vec<(bool, BTreeMap<Key, Stored>)>,
}

impl Snapshot {
    /// The revision it was taken at.
    pub fn revision(&self) -> u64 {
        self.revision
    }
}

impl World {
    /// The present state, to be put back later.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            revision: self.revision,
            tables: self.tables.iter().map(|table| (table.served, table.objects.clone())).collect(),
        }
    }

    /// Puts an earlier state back, its revision with it, as when etcd is restored from a backup. Watches are not told:
    /// those from the lost future stay silent until the revision has come to them again.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.revision = snapshot.revision;
        self.writes.new_epoch();
        for (i, table) in self.tables.iter_mut().enumerate() {
            let (served, objects) = snapshot.tables.get(i).cloned().unwrap_or_default();
            let before = table.log.partition_point(|event| event.revision <= snapshot.revision);
            table.lost = before.checked_sub(1).map_or(table.lost.min(snapshot.revision), |i| table.log[i].revision);
            table.served = served;
            table.objects = objects;
            table.log.clear();
            table.log_bytes = 0;
            table.floor = snapshot.revision;
        }
        self.rules.forget();
        self.wake_all();
    }

    /// Keeps the present state for [`World::restore_kept`].
    pub fn keep_snapshot(&mut self) {
        self.kept = Some(self.snapshot());
    }

    /// Puts the kept state back; `false` where none was kept.
    pub fn restore_kept(&mut self) -> bool {
        let kept = self.kept.clone();
        kept.as_ref().map(|kept| self.restore(kept)).is_some()
    }
}
