//! Connecting, and bringing the schema to this program's version.

use super::connection::{Pg, error, pool_error};
use crate::Error;
use crate::schema::{self, Dialect};
use crate::sql::{Sql, cells};
use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use std::time::Duration;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How many connections a replica has at most: of what a small server allows (100) some replicas' share.
const CONNECTIONS: usize = 16;

/// How long somebody waits for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// What holds for each connection: whose tables, and that a commit is on disk when it is told.
const SESSION: &str = "SET search_path TO reckon; SET synchronous_commit TO on";

const DIALECT: Dialect = Dialect { bytes: "BYTEA", clustered: "" };

pub(super) fn pool(address: &str) -> Result<Pool, Error> {
    let mut config: Config =
        address.parse().map_err(|error| Error::Database(format!("this is no address of a database: {error}")))?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(PATIENCE);
    }
    config.application_name("reckon");
    let tls = if config.get_ssl_mode() == SslMode::Disable { None } else { trusted(&config)? };
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = match tls {
        Some(tls) => Manager::from_config(config, tls, recycling),
        None => Manager::from_config(config, NoTls, recycling),
    };
    let session = Hook::async_fn(|client, _| {
        Box::pin(async move { client.batch_execute(SESSION).await.map_err(HookError::Backend) })
    });
    Pool::builder(manager)
        .max_size(CONNECTIONS)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(PATIENCE))
        .post_create(session)
        .build()
        .map_err(|error| Error::Database(error.to_string()))
}

/// TLS with what the system trusts; without that it is an error only where TLS was asked for.
fn trusted(config: &Config) -> Result<Option<MakeRustlsConnect>, Error> {
    match MakeRustlsConnect::with_native_certs() {
        Ok((tls, _)) => Ok(Some(tls)),
        Err(_) if config.get_ssl_mode() == SslMode::Prefer => Ok(None),
        Err(errors) => {
            let why = errors.first().map_or_else(|| "there are none".to_owned(), ToString::to_string);
            Err(Error::Unreachable(format!("the certificates that the system trusts cannot be read: {why}")))
        }
    }
}

/// Makes the tables, or those of the versions since. Replicas that start at the same time wait for each other.
pub(super) async fn migrate(pool: &Pool, steps: &[&[&str]]) -> Result<(), Error> {
    let mut client = pool.get().await.map_err(pool_error)?;
    prepare(&client).await?;
    let known = u32::try_from(steps.len()).unwrap_or(u32::MAX);
    loop {
        let mut db = Pg::new(client.transaction().await.map_err(error)?);
        let rows = db.query("SELECT version FROM version WHERE one = 1 FOR UPDATE", &cells![]).await?;
        let version = rows.first().map(|row| row.int(0)).transpose()?;
        let version = version.ok_or_else(|| Error::Foreign("its schema reckon has another's tables".to_owned()))?;
        let found = u32::try_from(version).map_err(|_| Error::Corrupt(format!("its version is {version}")))?;
        if found > known {
            return Err(Error::Newer { found, known });
        }
        if found == known {
            return Ok(());
        }
        schema::step(&mut db, steps, found, &DIALECT).await?;
        db.execute("UPDATE version SET version = $1 WHERE one = 1", &cells![version + 1]).await?;
        db.commit().await.map_err(|(error, _)| error)?;
    }
}

/// The table that says which version there is, where nothing is there yet.
async fn prepare(client: &deadpool_postgres::Client) -> Result<(), Error> {
    let there = "SELECT CAST(COUNT(*) AS BIGINT), CAST(COUNT(CASE WHEN table_name = 'version' THEN 1 END) AS BIGINT)
        FROM information_schema.tables WHERE table_schema = 'reckon'";
    let row = client.query_one(there, &[]).await.map_err(error)?;
    let (tables, version): (i64, i64) = (row.get(0), row.get(1));
    if version > 0 {
        return Ok(());
    }
    if tables > 0 {
        return Err(Error::Foreign("its schema reckon has another's tables".to_owned()));
    }
    let make = "CREATE SCHEMA IF NOT EXISTS reckon;
        CREATE TABLE IF NOT EXISTS reckon.version (one BIGINT NOT NULL PRIMARY KEY, version BIGINT NOT NULL);
        INSERT INTO reckon.version VALUES (1, 0) ON CONFLICT DO NOTHING";
    let mut made = client.batch_execute(make).await;
    // Of two that make it at the same time one may be told that it is there.
    if made.as_ref().is_err_and(|error| error.code().is_some_and(|code| code.code().starts_with("23"))) {
        made = client.batch_execute(make).await;
    }
    made.map_err(error)
}
