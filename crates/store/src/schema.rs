//! The tables, and how they came to be what they are.
//!
//! Each step is one transaction together with the version it leads to, so a database has one version or the next and nothing
//! between. Steps are never changed once released; a new version is a new step.

use crate::Error;
use crate::sql::{Sql, cells};

/// What differs between databases.
pub(crate) struct Dialect {
    /// The type of bytes.
    pub(crate) bytes: &'static str,
    /// What keeps a table in the order of its primary key.
    pub(crate) clustered: &'static str,
}

/// The steps, the first to version 1.
pub(crate) const STEPS: &[&[&str]] = &[
    &[
        // Numbers for clusters: their ids are long, and every row begins with one.
        "CREATE TABLE cluster (number BIGINT NOT NULL PRIMARY KEY, id TEXT NOT NULL UNIQUE)",
        // Who may write a cluster and how far it is; whoever writes anything of a cluster locks this row.
        "CREATE TABLE head (cluster BIGINT NOT NULL PRIMARY KEY, instance TEXT NOT NULL, epoch BIGINT NOT NULL,
            seq BIGINT NOT NULL, name TEXT, heard BIGINT NOT NULL, entries BIGINT NOT NULL, bytes BIGINT NOT NULL,
            begins BIGINT, trimmed_epoch BIGINT NOT NULL, trimmed_seq BIGINT NOT NULL,
            packed_epoch BIGINT NOT NULL, packed_seq BIGINT NOT NULL)",
        // What is told of a block without reading it. `parts`: of one packed from several, how many entries each had.
        "CREATE TABLE block (cluster BIGINT NOT NULL, epoch BIGINT NOT NULL, last BIGINT NOT NULL, first BIGINT NOT NULL,
            entries BIGINT NOT NULL, from_ms BIGINT NOT NULL, to_ms BIGINT NOT NULL, arrived BIGINT NOT NULL,
            size BIGINT NOT NULL, crc BIGINT NOT NULL, parts {bytes}, PRIMARY KEY (cluster, epoch, last)){clustered}",
        "CREATE TABLE body (cluster BIGINT NOT NULL, epoch BIGINT NOT NULL, last BIGINT NOT NULL, bytes {bytes} NOT NULL,
            PRIMARY KEY (cluster, epoch, last))",
        // Which blocks speak of an object or a namespace; by day first, so that what comes in touches few pages.
        "CREATE TABLE posting (cluster BIGINT NOT NULL, day BIGINT NOT NULL, word BIGINT NOT NULL, hour BIGINT NOT NULL,
            epoch BIGINT NOT NULL, last BIGINT NOT NULL,
            PRIMARY KEY (cluster, day, word, hour, epoch, last)){clustered}",
        // Which blocks hold a kind of fact: few rows, and read across clusters, too.
        "CREATE TABLE fact (cluster BIGINT NOT NULL, day BIGINT NOT NULL, word BIGINT NOT NULL, hour BIGINT NOT NULL,
            epoch BIGINT NOT NULL, last BIGINT NOT NULL,
            PRIMARY KEY (cluster, day, word, hour, epoch, last)){clustered}",
        "CREATE INDEX fact_of_fleet ON fact (word, day, hour, cluster, epoch, last)",
        "CREATE TABLE episode (cluster BIGINT NOT NULL, problem TEXT NOT NULL, episode BIGINT NOT NULL,
            failure TEXT NOT NULL, severity TEXT NOT NULL, title TEXT NOT NULL, namespace TEXT NOT NULL,
            subject TEXT NOT NULL, workload TEXT, opened BIGINT NOT NULL, turned BIGINT NOT NULL, closed BIGINT, reason TEXT,
            standing BIGINT NOT NULL, PRIMARY KEY (cluster, problem, episode))",
        "CREATE INDEX episode_by_opening ON episode (opened, cluster, problem, episode)",
        "CREATE INDEX episode_by_standing ON episode (standing, opened, cluster, problem, episode)",
        "CREATE TABLE snapshot (cluster BIGINT NOT NULL, problem TEXT NOT NULL, episode BIGINT NOT NULL, at BIGINT NOT NULL,
            crc BIGINT NOT NULL, bytes {bytes} NOT NULL, PRIMARY KEY (cluster, problem, episode))",
        // Objects as they were where the record begins.
        "CREATE TABLE base (cluster BIGINT NOT NULL, api_group TEXT NOT NULL, kind TEXT NOT NULL, namespace TEXT NOT NULL,
            name TEXT NOT NULL, at BIGINT NOT NULL, crc BIGINT NOT NULL, bytes {bytes} NOT NULL,
            PRIMARY KEY (cluster, api_group, kind, namespace, name))",
        "CREATE TABLE token (id TEXT NOT NULL PRIMARY KEY, hash {bytes} NOT NULL UNIQUE, kind TEXT NOT NULL,
            bearer TEXT NOT NULL, label TEXT NOT NULL, issued BIGINT NOT NULL, expires BIGINT)",
    ],
];

/// Makes the tables of one version out of the one before. The caller commits it together with the version.
pub(crate) async fn step<S: Sql>(db: &mut S, steps: &[&[&str]], from: u32, dialect: &Dialect) -> Result<(), Error> {
    for statement in steps.get(from as usize).copied().unwrap_or_default() {
        let sql = statement.replace("{bytes}", dialect.bytes).replace("{clustered}", dialect.clustered);
        db.execute(&sql, &cells![]).await?;
    }
    Ok(())
}
