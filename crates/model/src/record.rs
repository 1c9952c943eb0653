//! The record: what happened in a cluster, one entry after the other, for months.
//!
//! Kubernetes keeps an Event for an hour and the earlier state of most objects not at all. What is worth keeping of what was
//! watched becomes an [`Entry`]; entries travel and are kept in [`Block`]s of up to a thousand, and each block has its place
//! in the order of its cluster, a [`Position`].

mod block;
mod fact;
mod outline;
#[cfg(test)]
mod tests;
mod wire;

pub use block::{Block, BlockError, MOST_ENTRIES, MOST_INFLATED};
pub use fact::{
    Death, Fact, Folded, Mark, NodeTurn, Phase, PhaseTurn, ProblemTurn, Release, Rollout, RolloutState, Seen, Summary,
    Synced, Turn, Unseen, Written,
};

pub use outline::{Lines, Named, Outline};

use crate::{ResourceRef, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When it happened by the clock of the cluster's API server, to the millisecond; of what was inferred, when it was seen.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What it happened to.
    #[serde(with = "wire::reference")]
    #[schemars(with = "wire::Reference<'static>")]
    pub subject: ResourceRef,
    /// The nearest owner with a pod template, where that is another object than the subject: a timeline is that of a workload.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "wire::maybe_reference")]
    #[schemars(with = "Option<wire::Reference<'static>>")]
    pub workload: Option<ResourceRef>,
    /// What happened.
    pub fact: Fact,
}

impl Entry {
    /// Whose timeline this is in: the workload's, else the subject's own.
    pub fn line(&self) -> &ResourceRef {
        self.workload.as_ref().unwrap_or(&self.subject)
    }
}

/// The place of a block in the order of its cluster. Positions of one cluster are compared first by epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Position {
    /// Which writer: a new one begins where an agent without the spool of the one before it takes over a cluster. From 1.
    pub epoch: u64,
    /// Which block of that writer, from 1, without a hole: what was never written has an entry that says so. A block that sums
    /// up others, which were let go, stands for all their positions and has the last of them.
    pub seq: u64,
}

/// A block with its place: what an agent sends and a store appends, in their order. Appending it twice is appending it once.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Its place.
    pub position: Position,
    /// The first `seq` it stands for: its own, but of a block that sums up others.
    pub first: u64,
    /// What happened.
    pub block: Block,
}

impl Batch {
    /// A block that stands for its own position alone.
    pub fn new(position: Position, block: Block) -> Self {
        Batch { position, first: position.seq, block }
    }
}
