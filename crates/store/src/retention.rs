//! How long and how much is kept.

use reckon_model::{SignedDuration, Timestamp};

/// What to keep. `None` for without end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Entries not older than this.
    pub age: Option<SignedDuration>,
    /// So many bytes of blocks, of all clusters together; the oldest go first.
    pub bytes: Option<u64>,
}

/// How much may be done at once, so that nobody who appends waits for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// So many blocks.
    pub blocks: usize,
}

/// What trimming did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Blocks let go.
    pub blocks: u64,
    /// Entries let go.
    pub entries: u64,
    /// Entries kept of blocks let go, because they are the last whole state of an object that lives.
    pub kept: u64,
    /// Bytes of blocks let go.
    pub bytes: u64,
    /// Nothing is let go from this time on; `None` where nothing was.
    pub cut: Option<Timestamp>,
    /// More is to be done.
    pub more: bool,
}

/// What compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Blocks before.
    pub from: u64,
    /// Blocks they became.
    pub to: u64,
    /// More is to be done.
    pub more: bool,
}
