//! The store's methods over PostgreSQL.

use super::Postgres;
use super::{read, write};
use crate::block::Prepared;
use crate::{
    AsOf, Budget, Compacted, Cursor, EpisodePage, EpisodeQuery, Error, Grant, Issued, KnownCluster, KnownToken,
    LiveCursor, LivePage, Page, Query, Retention, Snapshot, Store, TokenHash, TokenId, Trimmed, Who, append, compact,
    episode, live, object, tokens, trim, walk,
};
use async_trait::async_trait;
use reckon_model::record::{Batch, Position};
use reckon_model::{ClusterId, ProblemId, ResourceRef, Timestamp};
use std::time::Duration;

#[async_trait]
impl Store for Postgres {
    async fn begin(&self, cluster: &ClusterId, instance: &str, held: u64, now: Timestamp) -> Result<Position, Error> {
        write!(self, |db| append::begin(&mut db, cluster, instance, held, now))
    }

    async fn append(&self, cluster: &ClusterId, batches: Vec<Batch>, now: Timestamp) -> Result<Position, Error> {
        let blocks =
            tokio::task::spawn_blocking(move || batches.into_iter().map(Prepared::of).collect::<Result<Vec<_>, _>>());
        let blocks = blocks.await.map_err(|error| Error::Database(error.to_string()))??;
        let mark = write!(self, |db| append::append(&mut db, cluster, blocks.clone(), now))?;
        self.note_append();
        Ok(mark)
    }

    async fn mark(&self, cluster: &ClusterId) -> Result<Option<Position>, Error> {
        read!(self, |db| append::mark(&mut db, cluster))
    }

    async fn heard_of(&self, cluster: &ClusterId, name: Option<&str>, now: Timestamp) -> Result<(), Error> {
        write!(self, |db| append::heard_of(&mut db, cluster, name, now))
    }

    async fn clusters(&self) -> Result<Vec<KnownCluster>, Error> {
        read!(self, |db| append::clusters(&mut db))
    }

    async fn entries(&self, query: &Query, cursor: Option<&Cursor>, most: usize) -> Result<Page, Error> {
        read!(self, |db| walk::entries(&mut db, query, cursor, most))
    }

    async fn live(&self, query: &Query, since: Option<&LiveCursor>, most: usize) -> Result<LivePage, Error> {
        read!(self, |db| live::live(&mut db, query, since, most))
    }

    async fn appended(&self, seen: u64, within: Duration) -> u64 {
        let mut appends = self.appends.subscribe();
        // The sender lives as long as the store, and a time that is up is an answer.
        let _ = tokio::time::timeout(within, appends.wait_for(|count| *count != seen)).await;
        *appends.borrow()
    }

    async fn episodes(&self, query: &EpisodeQuery, cursor: Option<&Cursor>, most: usize) -> Result<EpisodePage, Error> {
        read!(self, |db| episode::episodes(&mut db, query, cursor, most))
    }

    async fn keep_snapshot(
        &self,
        cluster: &ClusterId,
        problem: &ProblemId,
        number: u32,
        snapshot: Snapshot,
    ) -> Result<(), Error> {
        write!(self, |db| episode::keep_snapshot(&mut db, cluster, problem, number, snapshot.clone()))
    }

    async fn snapshot(&self, cluster: &ClusterId, problem: &ProblemId, number: u32) -> Result<Option<Snapshot>, Error> {
        read!(self, |db| episode::snapshot(&mut db, cluster, problem, number))
    }

    async fn object(&self, cluster: &ClusterId, subject: &ResourceRef, at: Timestamp) -> Result<AsOf, Error> {
        read!(self, |db| object::object(&mut db, cluster, subject, at))
    }

    async fn issue(
        &self,
        grant: Grant,
        label: &str,
        expires: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Issued, Error> {
        write!(self, |db| tokens::issue(&mut db, &grant, label, expires, now))
    }

    async fn enrol(&self, token: &TokenHash, cluster: &ClusterId, now: Timestamp) -> Result<Option<Issued>, Error> {
        write!(self, |db| tokens::enrol(&mut db, token, cluster, now))
    }

    async fn who(&self, token: &TokenHash, now: Timestamp) -> Result<Option<Who>, Error> {
        read!(self, |db| tokens::who(&mut db, token, now))
    }

    async fn revoke(&self, token: &TokenId) -> Result<bool, Error> {
        write!(self, |db| tokens::revoke(&mut db, token))
    }

    async fn tokens(&self) -> Result<Vec<KnownToken>, Error> {
        read!(self, |db| tokens::tokens(&mut db))
    }

    async fn trim(&self, retention: &Retention, budget: Budget, now: Timestamp) -> Result<Trimmed, Error> {
        write!(self, |db| trim::trim(&mut db, retention, budget, now))
    }

    async fn compact(&self, budget: Budget) -> Result<Compacted, Error> {
        write!(self, |db| compact::compact(&mut db, budget))
    }

    async fn check(&self) -> Result<(), Error> {
        self.mark(&ClusterId::default()).await.map(|_| ())
    }
}
