//! A connection to SQLite, as the logic wants it.

use crate::Error;
use crate::sql::{Cell, Row, Sql};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, ToSql};

/// A connection for as long as a transaction lasts. Its futures are ready at once, as SQLite does not wait for a network.
#[derive(Debug)]
pub(super) struct Lite<'c>(&'c mut Connection);

impl<'c> Lite<'c> {
    pub(super) fn new(connection: &'c mut Connection) -> Self {
        Lite(connection)
    }

    fn prepare(&mut self, sql: &str) -> Result<CachedStatement<'_>, Error> {
        self.0.prepare_cached(&sql.replace('$', "?")).map_err(error)
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Cell::Null => ToSqlOutput::Owned(Value::Null),
            Cell::Int(value) => ToSqlOutput::Owned(Value::Integer(*value)),
            Cell::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Cell::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

impl Sql for Lite<'_> {
    const FOR_UPDATE: &'static str = "";

    async fn query(&mut self, sql: &str, params: &[Cell]) -> Result<Vec<Row>, Error> {
        let mut statement = self.prepare(sql)?;
        let width = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(params)).map_err(error)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(error)? {
            let cells = (0..width).map(|at| row.get_ref(at).map_err(error).and_then(cell));
            all.push(Row(cells.collect::<Result<_, _>>()?));
        }
        Ok(all)
    }

    async fn execute(&mut self, sql: &str, params: &[Cell]) -> Result<u64, Error> {
        let mut statement = self.prepare(sql)?;
        statement.execute(rusqlite::params_from_iter(params)).map(|rows| rows as u64).map_err(error)
    }

    async fn many(&mut self, sql: &str, width: usize, params: &[Cell]) -> Result<u64, Error> {
        let mut statement = self.prepare(sql)?;
        let mut changed = 0;
        for row in params.chunks(width) {
            changed += statement.execute(rusqlite::params_from_iter(row)).map_err(error)? as u64;
        }
        Ok(changed)
    }
}

fn cell(value: ValueRef<'_>) -> Result<Cell, Error> {
    Ok(match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::Int(value),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Cell::Text(text.to_owned()),
            Err(error) => return Err(Error::Corrupt(error.to_string())),
        },
        ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
        ValueRef::Real(_) => return Err(Error::Corrupt("a fraction where none belongs".to_owned())),
    })
}

/// What SQLite says, as what it means here.
pub(super) fn error(error: rusqlite::Error) -> Error {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::Full(text),
        Some(ErrorCode::DatabaseCorrupt) => Error::Corrupt(text),
        Some(ErrorCode::NotADatabase) => Error::Foreign(text),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            Error::ReadOnly(text)
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            Error::Owned(text)
        }
        Some(ErrorCode::CannotOpen) => Error::Unreachable(text),
        _ => Error::Database(text),
    }
}
