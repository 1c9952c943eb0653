//! A connection to PostgreSQL, as the logic wants it.

use crate::Error;
use crate::sql::{Cell, Row, Sql};
use bytes::BytesMut;
use deadpool_postgres::{PoolError, Transaction};
use futures::future::try_join_all;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// How many statements are on their way at once.
const PIPELINED: usize = 256;

/// A transaction.
pub(crate) struct Pg<'c> {
    transaction: Transaction<'c>,
    /// The database gave up the transaction because of another, and it may be tried again.
    pub(crate) given_up: bool,
}

impl<'c> Pg<'c> {
    pub(crate) fn new(transaction: Transaction<'c>) -> Self {
        Pg { transaction, given_up: false }
    }

    /// Commits; what went wrong, and whether all may be tried again.
    pub(crate) async fn commit(self) -> Result<(), (Error, bool)> {
        self.transaction.commit().await.map_err(|failed| {
            let again = may_try_again(&failed);
            (error(failed), again)
        })
    }

    fn note(&mut self, failed: tokio_postgres::Error) -> Error {
        self.given_up |= may_try_again(&failed);
        error(failed)
    }

    async fn run(&self, sql: &str, width: usize, params: &[Cell]) -> Result<u64, tokio_postgres::Error> {
        let statement = self.transaction.prepare_cached(sql).await?;
        let mut changed = 0;
        for group in params.chunks(width * PIPELINED) {
            let rows: Vec<Vec<&(dyn ToSql + Sync)>> = group.chunks(width).map(references).collect();
            let running = rows.iter().map(|row| self.transaction.execute(&statement, row));
            changed += try_join_all(running).await?.into_iter().sum::<u64>();
        }
        Ok(changed)
    }
}

fn references(cells: &[Cell]) -> Vec<&(dyn ToSql + Sync)> {
    cells.iter().map(|cell| cell as &(dyn ToSql + Sync)).collect()
}

impl ToSql for Cell {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Cell::Null => Ok(IsNull::Yes),
            Cell::Int(value) => value.to_sql(kind, out),
            Cell::Text(text) => text.to_sql(kind, out),
            Cell::Bytes(bytes) => bytes.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8, Type::TEXT, Type::BYTEA].contains(kind)
    }

    to_sql_checked!();
}

impl Sql for Pg<'_> {
    const FOR_UPDATE: &'static str = " FOR UPDATE";

    async fn query(&mut self, sql: &str, params: &[Cell]) -> Result<Vec<Row>, Error> {
        let found = match self.transaction.prepare_cached(sql).await {
            Ok(statement) => self.transaction.query(&statement, &references(params)).await,
            Err(failed) => Err(failed),
        };
        let rows = found.map_err(|failed| self.note(failed))?;
        rows.iter().map(|row| (0..row.len()).map(|at| cell(row, at)).collect::<Result<_, _>>().map(Row)).collect()
    }

    async fn execute(&mut self, sql: &str, params: &[Cell]) -> Result<u64, Error> {
        let done = match self.transaction.prepare_cached(sql).await {
            Ok(statement) => self.transaction.execute(&statement, &references(params)).await,
            Err(failed) => Err(failed),
        };
        done.map_err(|failed| self.note(failed))
    }

    async fn many(&mut self, sql: &str, width: usize, params: &[Cell]) -> Result<u64, Error> {
        let done = self.run(sql, width, params).await;
        done.map_err(|failed| self.note(failed))
    }
}

fn cell(row: &tokio_postgres::Row, at: usize) -> Result<Cell, Error> {
    let kind = row.columns()[at].type_();
    let read = if *kind == Type::INT8 {
        row.try_get::<_, Option<i64>>(at).map(Cell::from)
    } else if *kind == Type::TEXT {
        row.try_get::<_, Option<String>>(at).map(Cell::from)
    } else {
        row.try_get::<_, Option<Vec<u8>>>(at).map(Cell::from)
    };
    read.map_err(error)
}

/// Whether the database gave up a transaction for the sake of another.
fn may_try_again(error: &tokio_postgres::Error) -> bool {
    error
        .code()
        .is_some_and(|code| [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code))
}

/// What PostgreSQL says, as what it means here.
pub(crate) fn error(error: tokio_postgres::Error) -> Error {
    let Some(told) = error.as_db_error() else {
        // What the library says names only the step that failed; why is below.
        let mut text = error.to_string();
        let mut below = std::error::Error::source(&error);
        while let Some(why) = below {
            text = format!("{text}: {why}");
            below = why.source();
        }
        return if error.is_closed() || text.contains("connect") || std::error::Error::source(&error).is_some() {
            Error::Unreachable(text)
        } else {
            Error::Database(text)
        };
    };
    let text = told.message().to_owned();
    match told.code().code() {
        // The names are those of PostgreSQL's appendix A.
        "28000" | "28P01" | "42501" => Error::Refused(text),
        "53100" => Error::Full(text),
        "25006" => Error::ReadOnly(text),
        "XX001" | "XX002" => Error::Corrupt(text),
        "3D000" => Error::Unreachable(text),
        code if ["08", "53", "57"].iter().any(|class| code.starts_with(class)) => Error::Unreachable(text),
        _ => Error::Database(text),
    }
}

/// Why there is no connection.
pub(crate) fn pool_error(failed: PoolError) -> Error {
    match failed {
        PoolError::Backend(failed) => error(failed),
        PoolError::Timeout(_) => Error::Unreachable("no connection became free in time".to_owned()),
        PoolError::Closed => Error::Closed,
        other => Error::Database(other.to_string()),
    }
}
