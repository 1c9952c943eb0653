//! Opening a database: whose it is, which version it has, and whether it can be used.

use super::connection::{Lite, error};
use crate::Error;
use crate::schema::{self, Dialect};
use futures::executor::block_on;
use rusqlite::{Connection, OpenFlags};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `RCKN`: what SQLite keeps for programs to know their files by.
const APPLICATION: i32 = 0x5243_4B4E;

/// How many statements a connection keeps prepared: all there are, and those with several words.
const STATEMENTS: usize = 128;

/// Pages that a connection holds, in KiB (SQLite counts them so with a minus). The writer needs those into which postings of
/// all clusters go at the moment.
const WRITER_CACHE: i32 = -65_536;
const READER_CACHE: i32 = -16_384;

const DIALECT: Dialect = Dialect { bytes: "BLOB", clustered: " WITHOUT ROWID" };

/// Takes the lock that says that this process has the database. It ends with the process, however that ends.
pub(super) fn own(path: &Path) -> Result<File, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let told = |error: &std::io::Error| format!("{}: {error}", name.display());
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&name).map_err(|error| {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Error::ReadOnly(told(&error)),
            ErrorKind::StorageFull => Error::Full(told(&error)),
            _ => Error::Unreachable(told(&error)),
        }
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Owned(format!("{} is held", name.display()))),
        Err(TryLockError::Error(error)) => Err(Error::Database(told(&error))),
    }
}

/// Opens for writing, and brings the schema to this program's version.
pub(super) fn open(path: &Path) -> Result<Connection, Error> {
    open_with(path, schema::STEPS)
}

pub(super) fn open_with(path: &Path, steps: &[&[&str]]) -> Result<Connection, Error> {
    let mut connection = Connection::open(path).map_err(error)?;
    prepare(&connection, WRITER_CACHE)?;
    identify(&connection, steps)?;
    // Checkpoints are the writer's to make when nobody waits.
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;")
        .map_err(error)?;
    if connection.is_readonly(rusqlite::MAIN_DB).map_err(error)? {
        return Err(Error::ReadOnly(path.display().to_string()));
    }
    migrate(&mut connection, steps)?;
    Ok(connection)
}

/// Opens for reading.
pub(super) fn reader(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(error)?;
    prepare(&connection, READER_CACHE)?;
    connection.execute_batch("PRAGMA query_only = 1").map_err(error)?;
    Ok(connection)
}

fn prepare(connection: &Connection, cache: i32) -> Result<(), Error> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(Duration::from_secs(5)).map_err(error)?;
    // What is damaged is found, and not believed.
    connection.execute_batch(&format!("PRAGMA cache_size = {cache}; PRAGMA cell_size_check = 1;")).map_err(error)
}

fn pragma(connection: &Connection, name: &str) -> Result<i32, Error> {
    connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).map_err(error)
}

/// Whether the database is ours, or nobody's yet.
fn identify(connection: &Connection, steps: &[&[&str]]) -> Result<(), Error> {
    let (application, version) = (pragma(connection, "application_id")?, pragma(connection, "user_version")?);
    let tables: i64 =
        connection.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(error)?;
    if application == 0 && version == 0 && tables == 0 {
        return Ok(());
    }
    if application != APPLICATION {
        return Err(Error::Foreign("another program made this file".to_owned()));
    }
    let found = u32::try_from(version).map_err(|_| Error::Corrupt(format!("its version is {version}")))?;
    let known = u32::try_from(steps.len()).unwrap_or(u32::MAX);
    if found > known { Err(Error::Newer { found, known }) } else { Ok(()) }
}

fn migrate(connection: &mut Connection, steps: &[&[&str]]) -> Result<(), Error> {
    loop {
        let version = u32::try_from(pragma(connection, "user_version")?).unwrap_or_default();
        if version as usize >= steps.len() {
            return Ok(());
        }
        let transaction = connection.transaction().map_err(error)?;
        drop(transaction);
        connection.execute_batch("BEGIN IMMEDIATE").map_err(error)?;
        let done = block_on(schema::step(&mut Lite::new(connection), steps, version, &DIALECT)).and_then(|()| {
            let sql = format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {}; COMMIT", version + 1);
            connection.execute_batch(&sql).map_err(error)
        });
        if let Err(failed) = done {
            if !connection.is_autocommit() {
                connection.execute_batch("ROLLBACK").map_err(error)?;
            }
            return Err(failed);
        }
    }
}
