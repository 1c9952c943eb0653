//! The spool: what happened, on disk, until a server has it and for a day more.
//!
//! One thread owns the files. All that was appended while it was syncing is packed and made durable together, so that a
//! sync of a few milliseconds is shared by as many as there are.

mod disk;
mod error;
mod files;
mod identity;
mod log;
mod lost;
mod reading;
mod record;
mod room;
#[cfg(test)]
mod simulated;
mod tally;
#[cfg(test)]
mod tests;
mod writer;

pub use error::{AppendError, OpenError, TurnError};
pub use reading::Outgoing;

use disk::Disk;
use log::Log;
use reckon_model::frame::Instance;
use reckon_model::record::{Entry, Position};
use reckon_model::{ClusterId, SignedDuration, Timestamp};
use std::path::Path;
use std::thread;
use tokio::sync::{mpsc, oneshot, watch};
use writer::Request;

/// How much a spool holds, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all its segments; a few kilobytes come on top, and one segment more while it is being opened.
    pub bytes: u64,
    /// How long is kept what the server has acknowledged, where there is room: a server that is put back to an older state gets
    /// it again.
    pub keep: SignedDuration,
}

impl Limits {
    /// The least bound that is taken.
    pub const LEAST: u64 = 1024 * 1024;

    /// When a segment is full: a sixteenth of all, so that making room costs little of it, and 4 MiB at most, as much as is read
    /// at once.
    fn segment(&self) -> u64 {
        (self.bytes / 16).clamp(1024, 4 * 1024 * 1024)
    }
}

impl Default for Limits {
    /// 256 MiB, several million changes, for a day.
    fn default() -> Self {
        Limits { bytes: 256 * 1024 * 1024, keep: SignedDuration::from_hours(24) }
    }
}

/// How a spool is.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whose it is.
    pub instance: Instance,
    /// The epoch that a server granted, 0 where none has yet.
    pub epoch: u64,
    /// The last position that is durable, 0 before the first.
    pub last: u64,
    /// The server has everything up to here.
    pub mark: u64,
    /// Bytes of all segments.
    pub bytes: u64,
    /// Why the last append failed, if it did.
    pub trouble: Option<AppendError>,
}

/// A spool that this process owns. Clones are the same spool; when the last is gone, it closes by itself.
#[derive(Clone, Debug)]
pub struct Spool {
    cluster: ClusterId,
    requests: mpsc::Sender<Request>,
    status: watch::Receiver<Status>,
}

/// How many requests wait before whoever makes one more waits, too.
const WAITING: usize = 256;

impl Spool {
    /// Opens the spool in a directory, which is made with a new spool in it where there is none. Reads all of it once.
    ///
    /// # Errors
    /// Whose it is, or what is wrong with it. Nothing has been changed then, and it may be tried again.
    pub fn open(directory: &Path, cluster: &ClusterId, limits: Limits) -> Result<Spool, OpenError> {
        if limits.bytes < Limits::LEAST {
            return Err(OpenError::Bound(limits.bytes));
        }
        let disk = Disk::open(directory)?;
        let log = Log::open(disk, cluster, limits, Timestamp::now()).map_err(|error| match error {
            OpenError::Io(source) => OpenError::of_io(directory, source),
            other => other,
        })?;
        let (requests, waiting) = mpsc::channel(WAITING);
        let (told, status) = watch::channel(writer::status(&log, None));
        thread::Builder::new().name("spool".to_owned()).spawn(move || writer::run(log, waiting, &told))?;
        Ok(Spool { cluster: cluster.clone(), requests, status })
    }

    /// The cluster whose record it keeps.
    pub fn cluster(&self) -> &ClusterId {
        &self.cluster
    }

    /// Appends entries, in their order, after all that was appended before. Durable on return; the position is that of the
    /// block which the last of them is in, of epoch 0 while none is granted. Whoever has more to append meanwhile does: it is
    /// made durable together. Waits while too much waits already.
    ///
    /// # Errors
    /// Why they are not in the spool. Where the process does not end before the next append, they will not be.
    pub async fn append(&self, entries: Vec<Entry>) -> Result<Position, AppendError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Append { entries, reply }).await.map_err(|_| AppendError::Closed)?;
        answer.await.unwrap_or(Err(AppendError::Closed))
    }

    /// [`Spool::append`] for threads.
    ///
    /// # Errors
    /// As there.
    pub fn append_blocking(&self, entries: Vec<Entry>) -> Result<Position, AppendError> {
        let (reply, answer) = oneshot::channel();
        self.requests.blocking_send(Request::Append { entries, reply }).map_err(|_| AppendError::Closed)?;
        answer.blocking_recv().unwrap_or(Err(AppendError::Closed))
    }

    /// What is durable after a position, in order: a block at least where there is one, and no more once there are `budget`
    /// bytes of them. What cannot be read, or is not kept any more, has a block that says so.
    ///
    /// # Errors
    /// What the system says, or that the spool is closed.
    pub async fn read(&self, after: u64, budget: usize) -> std::io::Result<Vec<Outgoing>> {
        let (reply, answer) = oneshot::channel();
        let closed = || std::io::Error::other("the spool is closed");
        self.requests.send(Request::Read { after, budget, reply }).await.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Notes that the server has everything up to `mark`. An older mark changes nothing.
    ///
    /// # Errors
    /// [`TurnError::Ahead`] for what was never written.
    pub async fn acknowledge(&self, mark: u64) -> Result<(), TurnError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Acknowledge { mark, reply }).await.map_err(|_| TurnError::Closed)?;
        answer.await.unwrap_or(Err(TurnError::Closed))
    }

    /// Notes under which epoch a server takes this spool, durably, and what it has: less than before where it was put back.
    ///
    /// # Errors
    /// Why that cannot be.
    pub async fn resume(&self, epoch: u64, mark: u64) -> Result<(), TurnError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Resume { epoch, mark, reply }).await.map_err(|_| TurnError::Closed)?;
        answer.await.unwrap_or(Err(TurnError::Closed))
    }

    /// How it is, and when that changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Closes it: what was asked for before is done, and another process may have it on return.
    pub async fn close(self) {
        let (reply, answer) = oneshot::channel();
        if self.requests.send(Request::Close { reply }).await.is_ok() {
            let _ = answer.await;
        }
    }
}
