//! What was written: the oracle of tests that nothing is lost.

use crate::resource::Resource;
use crate::store::{Key, Stored, Verb};
use std::sync::Arc;

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Counts how often an earlier state was restored: revisions are used again after it.
    pub epoch: u32,
    /// The global revision it made.
    pub revision: u64,
    /// What happened.
    pub verb: Verb,
    /// Kind as in manifests.
    pub kind: String,
    /// API group, empty for the core group.
    pub group: String,
    /// Namespace and name.
    pub key: Key,
    /// `metadata.uid`.
    pub uid: Arc<str>,
}

impl Write {
    pub(crate) fn of(epoch: u32, revision: u64, verb: Verb, resource: &Resource, key: &Key, stored: &Stored) -> Write {
        Write {
            epoch,
            revision,
            verb,
            kind: resource.kind.clone(),
            group: resource.group.clone(),
            key: key.clone(),
            uid: stored.uid.clone(),
        }
    }
}

/// All writes, in order. Only ever appended to: restoring an earlier state takes nothing back.
#[derive(Debug, Default)]
pub struct WriteLog {
    keep: bool,
    epoch: u32,
    writes: Vec<Write>,
    count: u64,
}

impl WriteLog {
    pub(crate) fn new(keep: bool) -> WriteLog {
        WriteLog { keep, ..WriteLog::default() }
    }

    pub(crate) fn push(&mut self, write: impl FnOnce(u32) -> Write) {
        self.count += 1;
        if self.keep {
            self.writes.push(write(self.epoch));
        }
    }

    pub(crate) fn new_epoch(&mut self) {
        self.epoch += 1;
    }

    /// The writes; none where [`Config::keep_writes`](crate::Config::keep_writes) is off.
    pub fn all(&self) -> &[Write] {
        &self.writes
    }

    /// How many there were, kept or not.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How often an earlier state was restored.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }
}
