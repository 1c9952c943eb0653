//! The one thread that writes.

use super::connection::{Lite, error};
use crate::Error;
use rusqlite::Connection;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{Builder, JoinHandle};
use tokio::sync::oneshot;

/// How many may wait; who comes later waits to wait.
const WAITING: usize = 1_024;

/// How many bytes of blocks go into one transaction: what a disk of 100 MB/s writes in the time of some fsyncs.
const AT_ONCE: usize = 2 * 1024 * 1024;

/// How many bytes are written before the log is brought to where it belongs, and what a transaction counts for at least: it
/// writes whole pages.
const CHECKPOINT: usize = 8 * 1024 * 1024;
const LEAST: usize = 32 * 1024;

/// Does something within a transaction, where there is one, and gives what went wrong and who is to be told how all ended.
type Work = Box<dyn FnOnce(Option<&mut Lite<'_>>) -> (Option<Error>, Tell) + Send>;
type Tell = Box<dyn FnOnce(Result<(), Error>) + Send>;

struct Job {
    /// About how many bytes it writes.
    weight: usize,
    work: Work,
}

/// Where to hand in what is to be written.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Writer, Error> {
        let (jobs, waiting) = sync_channel(WAITING);
        let run = move || Thread { connection, waiting, written: 0 }.run();
        let thread = Builder::new()
            .name("store-writer".to_owned())
            .spawn(run)
            .map_err(|error| Error::Database(format!("no thread to write with: {error}")))?;
        Ok(Writer { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Writes. What comes back was committed.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        weight: usize,
        work: impl FnOnce(&mut Lite<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (tell, told) = oneshot::channel();
        let work: Work = Box::new(move |db| {
            let result = db.map_or(Err(Error::Closed), work);
            let failed = result.as_ref().err().map(Error::repeat);
            let done = move |committed: Result<(), Error>| {
                // Who asked may have gone.
                let _ = tell.send(committed.and(result));
            };
            (failed, Box::new(done) as Tell)
        });
        let jobs = self.jobs.clone().ok_or(Error::Closed)?;
        let mut job = Job { weight, work };
        // Nearly always there is room at once.
        if let Err(error) = jobs.try_send(job) {
            job = match error {
                std::sync::mpsc::TrySendError::Full(job) => job,
                std::sync::mpsc::TrySendError::Disconnected(_) => return Err(Error::Closed),
            };
            let sent = tokio::task::spawn_blocking(move || jobs.send(job).is_ok()).await;
            if !matches!(sent, Ok(true)) {
                return Err(Error::Closed);
            }
        }
        told.await.map_err(|_| Error::Closed)?
    }
}

impl Drop for Writer {
    /// What was handed in is written before the store is gone.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It has told everybody what it could.
            let _ = thread.join();
        }
    }
}

struct Thread {
    connection: Connection,
    waiting: Receiver<Job>,
    /// Bytes since the log was last brought to where it belongs.
    written: usize,
}

impl Thread {
    fn run(mut self) {
        while let Ok(first) = self.waiting.recv() {
            let mut weight = first.weight;
            let mut group = vec![first];
            while weight < AT_ONCE {
                match self.waiting.try_recv() {
                    Ok(job) => {
                        weight += job.weight;
                        group.push(job);
                    }
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
            self.group(group);
            self.checkpoint(weight);
        }
    }

    /// All in one transaction; each in a part of its own, so that one that fails takes no other along.
    fn group(&mut self, group: Vec<Job>) {
        let mut told = Vec::with_capacity(group.len());
        let mut failed = self.connection.execute_batch("BEGIN IMMEDIATE").map_err(error).err();
        for Job { weight: _, work } in group {
            if failed.is_none() {
                failed = self.connection.execute_batch("SAVEPOINT job").map_err(error).err();
            }
            let (own, tell) = work(failed.is_none().then_some(&mut Lite::new(&mut self.connection)));
            told.push(tell);
            if failed.is_some() {
                continue;
            }
            // Some failures end the whole transaction, and all that was done in it.
            failed = if self.connection.is_autocommit() {
                Some(own.unwrap_or_else(|| Error::Database("the transaction was given up".to_owned())))
            } else {
                let end = if own.is_none() { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" };
                self.connection.execute_batch(end).map_err(error).err()
            };
        }
        if failed.is_none() {
            failed = self.connection.execute_batch("COMMIT").map_err(error).err();
        }
        if failed.is_some() && !self.connection.is_autocommit() {
            // Nothing was acknowledged, and nothing shall come of it later.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        for tell in told {
            tell(failed.as_ref().map_or(Ok(()), |failed| Err(failed.repeat())));
        }
    }

    /// Brings the log to where it belongs, once that is worth it; whoever comes next waits a few milliseconds.
    fn checkpoint(&mut self, weight: usize) {
        self.written += weight.max(LEAST);
        if self.written >= CHECKPOINT {
            self.written = 0;
            // Where it cannot be done now it is done next time: the log is as durable.
            let _ = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        }
    }
}
