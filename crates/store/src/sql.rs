//! What the logic needs of a database. All of it is written once, over SQL that SQLite and every kind of PostgreSQL take.

use crate::Error;
use std::future::Future;

/// A value of a row or a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Cell::Int(value)
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Cell::Text(value.to_owned())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Cell::Text(value)
    }
}

impl From<Vec<u8>> for Cell {
    fn from(value: Vec<u8>) -> Self {
        Cell::Bytes(value)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Null, Into::into)
    }
}

/// The parameters of a statement.
macro_rules! cells {
    ($($value:expr),* $(,)?) => { [$($crate::sql::Cell::from($value)),*] };
}
pub(crate) use cells;

/// A row of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Row(pub(crate) Vec<Cell>);

impl Row {
    pub(crate) fn int(&self, column: usize) -> Result<i64, Error> {
        self.maybe_int(column)?.ok_or_else(|| odd(column))
    }

    pub(crate) fn first_int(&self) -> Result<i64, Error> {
        self.int(0)
    }

    pub(crate) fn maybe_int(&self, column: usize) -> Result<Option<i64>, Error> {
        match self.0.get(column) {
            Some(Cell::Int(value)) => Ok(Some(*value)),
            Some(Cell::Null) => Ok(None),
            _ => Err(odd(column)),
        }
    }

    pub(crate) fn text(&mut self, column: usize) -> Result<String, Error> {
        self.maybe_text(column)?.ok_or_else(|| odd(column))
    }

    pub(crate) fn maybe_text(&mut self, column: usize) -> Result<Option<String>, Error> {
        match self.0.get_mut(column) {
            Some(Cell::Text(value)) => Ok(Some(std::mem::take(value))),
            Some(Cell::Null) => Ok(None),
            _ => Err(odd(column)),
        }
    }

    pub(crate) fn bytes(&mut self, column: usize) -> Result<Vec<u8>, Error> {
        self.maybe_bytes(column)?.ok_or_else(|| odd(column))
    }

    pub(crate) fn maybe_bytes(&mut self, column: usize) -> Result<Option<Vec<u8>>, Error> {
        match self.0.get_mut(column) {
            Some(Cell::Bytes(value)) => Ok(Some(std::mem::take(value))),
            Some(Cell::Null) => Ok(None),
            _ => Err(odd(column)),
        }
    }
}

fn odd(column: usize) -> Error {
    Error::Corrupt(format!("column {column} of a row holds what does not belong there"))
}

/// A connection within a transaction. Parameters are `$1`, `$2` …, each first used in that order.
pub(crate) trait Sql: Send {
    /// What makes a `SELECT` hold the row until the transaction ends, where transactions run side by side.
    const FOR_UPDATE: &'static str;

    /// All rows.
    fn query(&mut self, sql: &str, params: &[Cell]) -> impl Future<Output = Result<Vec<Row>, Error>> + Send;

    /// How many rows it changed.
    fn execute(&mut self, sql: &str, params: &[Cell]) -> impl Future<Output = Result<u64, Error>> + Send;

    /// The same statement for every `width` parameters. How many rows all of them changed.
    fn many(&mut self, sql: &str, width: usize, params: &[Cell]) -> impl Future<Output = Result<u64, Error>> + Send;
}

/// The number of a position as databases have numbers; what is beyond them was never given out and is never reached.
pub(crate) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A number that was stored by [`number`]; a negative one was damaged.
pub(crate) fn unsigned(value: i64) -> Result<u64, Error> {
    u64::try_from(value).map_err(|_| Error::Corrupt(format!("a number is {value} where none is below 0")))
}

/// `$FIRST, …`: so many parameters.
pub(crate) fn places(first: usize, count: usize) -> String {
    (first..first + count).map(|at| format!("${at}")).collect::<Vec<_>>().join(", ")
}
