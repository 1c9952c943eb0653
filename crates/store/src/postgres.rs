//! The record in PostgreSQL, for replicas that share nothing else.
//!
//! What is written of a cluster is written by who holds the cluster's row; what is read is read of one moment. Nothing is
//! asked that only PostgreSQL itself knows (docs/store.md), so that one that distributes its rows can stand in.

mod connection;
mod open;
mod store;

use crate::Error;
use connection::Pg;
use deadpool_postgres::Pool;
use tokio::sync::watch;
use tokio_postgres::IsolationLevel;

/// How often a transaction is tried that the database gave up for another's sake.
const TRIES: usize = 8;

/// The record in a PostgreSQL database.
#[derive(Debug)]
pub struct Postgres {
    pool: Pool,
    appends: watch::Sender<u64>,
}

impl Postgres {
    /// Connects to a database, such as `postgres://reckon@db.example/reckon?sslmode=require`, and makes the tables in a schema
    /// `reckon` of their own where there is none. TLS is used where the server has it, or as `sslmode` says, and then the
    /// server's certificate has to be one that the system trusts.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Refused`], [`Error::Newer`], [`Error::Foreign`], [`Error::ReadOnly`],
    /// [`Error::Full`]; [`Error::Database`] for an address that is none.
    pub async fn open(address: &str) -> Result<Postgres, Error> {
        let pool = open::pool(address)?;
        open::migrate(&pool, crate::schema::STEPS).await?;
        Ok(Postgres { pool, appends: watch::Sender::new(0) })
    }

    fn note_append(&self) {
        self.appends.send_modify(|count| *count += 1);
    }
}

/// Writes within a transaction, once more where the database gave it up for another's sake.
macro_rules! write {
    ($store:expr, |$db:ident| $work:expr) => {{
        let mut tries = 0;
        loop {
            tries += 1;
            let mut client = $store.pool.get().await.map_err($crate::postgres::connection::pool_error)?;
            let transaction = client.transaction().await.map_err($crate::postgres::connection::error)?;
            let mut $db = $crate::postgres::Pg::new(transaction);
            let done = match $work.await {
                Ok(value) => $db.commit().await.map(|()| value),
                Err(error) => Err((error, $db.given_up)),
            };
            match done {
                Ok(value) => break Ok(value),
                Err((_, true)) if tries < $crate::postgres::TRIES => {}
                Err((error, _)) => break Err(error),
            }
        }
    }};
}

/// Reads within a transaction that sees one moment.
macro_rules! read {
    ($store:expr, |$db:ident| $work:expr) => {{
        let mut client = $store.pool.get().await.map_err($crate::postgres::connection::pool_error)?;
        let transaction = client
            .build_transaction()
            .isolation_level($crate::postgres::IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await
            .map_err($crate::postgres::connection::error)?;
        let mut $db = $crate::postgres::Pg::new(transaction);
        $work.await
    }};
}

pub(crate) use {read, write};
