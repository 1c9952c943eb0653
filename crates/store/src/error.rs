//! What can go wrong, each with one sentence.

use reckon_model::record::{BlockError, Position};

/// Why a store did not do what was asked. Reads as a fragment after "failed to …:".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A block does not follow the last one that is kept.
    #[error("a block is missing: the last one kept is {} of epoch {}", mark.seq, mark.epoch)]
    Hole {
        /// The last block that is kept: go on after it.
        mark: Position,
    },
    /// Another writer has taken over the cluster.
    #[error("another writer has taken over: the epoch is {epoch} now")]
    Fenced {
        /// The epoch that may write.
        epoch: u64,
    },
    /// Blocks of an epoch that was never given out, or of a cluster that was never begun.
    #[error("this epoch was never begun")]
    NotBegun,
    /// Bytes that are no block.
    #[error("block {} of epoch {} is none: {source}", position.seq, position.epoch)]
    Block {
        /// Which.
        position: Position,
        /// Why.
        source: BlockError,
    },
    /// A cursor that this program did not write, or wrote for another query.
    #[error("the cursor is not one of this query")]
    Cursor,
    /// The database was written by a newer program.
    #[error("the database has version {found}, and this program knows up to {known}: use a newer program")]
    Newer {
        /// Its schema version.
        found: u32,
        /// The last that this program knows.
        known: u32,
    },
    /// There is a database, and it is something else's.
    #[error("the database is not Reckon's: {0}")]
    Foreign(String),
    /// What is on disk is damaged.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// It may be read and not written.
    #[error("the database cannot be written to: {0}")]
    ReadOnly(String),
    /// Another process has it.
    #[error("another process uses the database: {0}")]
    Owned(String),
    /// It does not answer. Asking again later is right.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// It does not know us.
    #[error("the database refuses the credentials: {0}")]
    Refused(String),
    /// There is no room. Reading goes on, and writing will once there is.
    #[error("there is no room left for the database: {0}")]
    Full(String),
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers: {0}")]
    Random(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// Anything else that the database said.
    #[error("the database says: {0}")]
    Database(String),
}

impl Error {
    /// The same once more, for each of several who waited for one transaction.
    pub(crate) fn repeat(&self) -> Error {
        match self {
            Error::Hole { mark } => Error::Hole { mark: *mark },
            Error::Fenced { epoch } => Error::Fenced { epoch: *epoch },
            Error::NotBegun => Error::NotBegun,
            Error::Block { .. } => Error::Database(self.to_string()),
            Error::Cursor => Error::Cursor,
            Error::Newer { found, known } => Error::Newer { found: *found, known: *known },
            Error::Foreign(why) => Error::Foreign(why.clone()),
            Error::Corrupt(why) => Error::Corrupt(why.clone()),
            Error::ReadOnly(why) => Error::ReadOnly(why.clone()),
            Error::Owned(why) => Error::Owned(why.clone()),
            Error::Unreachable(why) => Error::Unreachable(why.clone()),
            Error::Refused(why) => Error::Refused(why.clone()),
            Error::Full(why) => Error::Full(why.clone()),
            Error::Random(why) => Error::Random(why.clone()),
            Error::Closed => Error::Closed,
            Error::Database(why) => Error::Database(why.clone()),
        }
    }
}
