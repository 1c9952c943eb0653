//! The record in one file, for one process.
//!
//! One thread writes. It takes all that waits, does it in one transaction and answers when that is on disk, so that a hundred
//! agents wait for one fsync and not for a hundred. Readers have connections of their own and see what is committed.

mod connection;
mod open;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use crate::Error;
use connection::Lite;
use rusqlite::Connection;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, watch};
use writer::Writer;

/// How many read at once: more would wait for the same disk and processors.
const READERS: usize = 4;

/// The record in a SQLite database.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    writer: Writer,
    readers: Arc<Readers>,
    appends: watch::Sender<u64>,
    /// Held as long as the store is there, so that no other process writes the same file.
    _owned: File,
}

#[derive(Debug)]
struct Readers {
    idle: Mutex<Vec<Connection>>,
    turns: Semaphore,
}

impl Sqlite {
    /// Opens the database in this file, and makes it where there is none. Beside it a file with `.lock` at its end says that a
    /// process has it, as long as that lives.
    ///
    /// # Errors
    /// [`Error::Owned`], [`Error::Newer`], [`Error::Foreign`], [`Error::Corrupt`], [`Error::ReadOnly`], [`Error::Full`].
    pub fn open(path: &Path) -> Result<Sqlite, Error> {
        let owned = open::own(path)?;
        let connection = open::open(path)?;
        Ok(Sqlite {
            path: path.to_owned(),
            writer: Writer::start(connection)?,
            readers: Arc::new(Readers { idle: Mutex::default(), turns: Semaphore::new(READERS) }),
            appends: watch::Sender::new(0),
            _owned: owned,
        })
    }

    /// Reads, off the threads that must not wait, in a transaction of its own: what is read belongs to one moment.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Lite<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let turn = self.readers.turns.acquire().await.map_err(|_| Error::Closed)?;
        let (path, readers) = (self.path.clone(), Arc::clone(&self.readers));
        let done = tokio::task::spawn_blocking(move || {
            let idle = readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = match idle {
                Some(connection) => connection,
                None => open::reader(&path)?,
            };
            connection.execute_batch("BEGIN").map_err(connection::error)?;
            let result = read(&mut Lite::new(&mut connection));
            // A connection that cannot end its transaction is not used again.
            if connection.execute_batch("COMMIT").is_ok() {
                readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            }
            result
        })
        .await
        .map_err(|error| Error::Database(error.to_string()))?;
        drop(turn);
        done
    }

    fn note_append(&self) {
        self.appends.send_modify(|count| *count += 1);
    }
}
