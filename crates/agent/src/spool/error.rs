//! What can be wrong with a spool, a sentence each.

use super::files::is_full;
use reckon_model::record::BlockError;
use std::io;
use std::path::{Path, PathBuf};

/// Why a spool does not open. Nothing in it has been changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its lock is held.
    #[error("another process uses the spool in {}", directory.display())]
    Owned {
        /// The directory.
        directory: PathBuf,
    },
    /// It was written beside another cluster.
    #[error("the spool is of cluster {found}, not of {wanted}: give each cluster a directory of its own")]
    OtherCluster {
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
    /// It was written by a program that keeps it in another way.
    #[error("the spool is of version {0}; this program knows version {known}", known = super::identity::VERSION)]
    Version(u16),
    /// What says whose it is cannot be read.
    #[error("the spool does not say whose it is: both copies in its file `identity` are damaged or gone")]
    Identity,
    /// Names that are no names.
    #[error("a cluster's id of {0} bytes; it has 1 to {most}", most = super::identity::MOST_ID)]
    ClusterId(usize),
    /// A bound that is no bound.
    #[error("a spool of at most {0} bytes; it needs {least} at least", least = super::Limits::LEAST)]
    Bound(u64),
    /// The disk is full, even without what the server has already.
    #[error("no room on the disk for the spool")]
    NoRoom,
    /// The directory cannot be written to.
    #[error("the directory of the spool, {}, cannot be written to: {source}", directory.display())]
    Denied {
        /// The directory.
        directory: PathBuf,
        /// In the system's words.
        source: io::Error,
    },
    /// Something else the system says.
    #[error("the spool cannot be opened: {0}")]
    Io(#[from] io::Error),
}

impl OpenError {
    pub(super) fn of_io(directory: &Path, source: io::Error) -> OpenError {
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::NotADirectory => {
                OpenError::Denied { directory: directory.to_owned(), source }
            }
            _ if is_full(&source) => OpenError::NoRoom,
            _ => OpenError::Io(source),
        }
    }
}

/// Why entries are not in the spool. Nothing that was acknowledged is lost by it; appending them again may succeed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The disk is full. It goes on by itself when there is room.
    #[error("no room on the disk for the spool")]
    NoRoom,
    /// A block larger than all the spool may hold.
    #[error("a block of {0} bytes, more than the spool may hold")]
    Large(u64),
    /// What the system says. What was being written counts as not written.
    #[error("the spool cannot be written: {0}")]
    Io(String),
    /// Entries that cannot be packed.
    #[error("entries that fit into no block: {0}")]
    Block(String),
    /// Its thread has ended.
    #[error("the spool is closed")]
    Closed,
}

impl From<io::Error> for AppendError {
    fn from(error: io::Error) -> Self {
        if is_full(&error) { AppendError::NoRoom } else { AppendError::Io(error.to_string()) }
    }
}

impl From<BlockError> for AppendError {
    fn from(error: BlockError) -> Self {
        AppendError::Block(error.to_string())
    }
}

/// Why a server's word about epoch or mark is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TurnError {
    /// The server has what was never written here.
    #[error(
        "the server has positions up to {mark}, this spool wrote none after {last}: it was put back from a copy. Move it \
         away, and a new one begins"
    )]
    Ahead {
        /// What the server has.
        mark: u64,
        /// What was written.
        last: u64,
    },
    /// An epoch that is not the one which was granted.
    #[error("the server takes this spool for one of epoch {theirs}, and it is of epoch {ours}")]
    Epoch {
        /// The server's.
        theirs: u64,
        /// The spool's.
        ours: u64,
    },
    /// It could not be noted.
    #[error("the spool cannot be written: {0}")]
    Io(String),
    /// Its thread has ended.
    #[error("the spool is closed")]
    Closed,
}
