//! The store's methods over SQLite.

use super::Sqlite;
use super::connection::Lite;
use crate::block::Prepared;
use crate::{
    AsOf, Budget, Compacted, Cursor, EpisodePage, EpisodeQuery, Error, Grant, Issued, KnownCluster, KnownToken,
    LiveCursor, LivePage, Page, Query, Retention, Snapshot, Store, TokenHash, TokenId, Trimmed, Who, append, compact,
    episode, live, object, tokens, trim, walk,
};
use async_trait::async_trait;
use futures::executor::block_on;
use reckon_model::record::{Batch, Position};
use reckon_model::{ClusterId, ProblemId, ResourceRef, Timestamp};
use std::time::Duration;

#[async_trait]
impl Store for Sqlite {
    async fn begin(&self, cluster: &ClusterId, instance: &str, held: u64, now: Timestamp) -> Result<Position, Error> {
        let (cluster, instance) = (cluster.clone(), instance.to_owned());
        self.writer.write(0, move |db| block_on(append::begin(db, &cluster, &instance, held, now))).await
    }

    async fn append(&self, cluster: &ClusterId, batches: Vec<Batch>, now: Timestamp) -> Result<Position, Error> {
        let cluster = cluster.clone();
        let blocks =
            tokio::task::spawn_blocking(move || batches.into_iter().map(Prepared::of).collect::<Result<Vec<_>, _>>());
        let blocks = blocks.await.map_err(|error| Error::Database(error.to_string()))??;
        let weight = blocks.iter().map(|block| block.bytes.len()).sum();
        let mark = self.writer.write(weight, move |db| block_on(append::append(db, &cluster, blocks, now))).await?;
        self.note_append();
        Ok(mark)
    }

    async fn mark(&self, cluster: &ClusterId) -> Result<Option<Position>, Error> {
        let cluster = cluster.clone();
        self.read(move |db| block_on(append::mark(db, &cluster))).await
    }

    async fn heard_of(&self, cluster: &ClusterId, name: Option<&str>, now: Timestamp) -> Result<(), Error> {
        let (cluster, name) = (cluster.clone(), name.map(str::to_owned));
        self.writer.write(0, move |db| block_on(append::heard_of(db, &cluster, name.as_deref(), now))).await
    }

    async fn clusters(&self) -> Result<Vec<KnownCluster>, Error> {
        self.read(|db| block_on(append::clusters(db))).await
    }

    async fn entries(&self, query: &Query, cursor: Option<&Cursor>, most: usize) -> Result<Page, Error> {
        let (query, cursor) = (query.clone(), cursor.cloned());
        self.read(move |db| block_on(walk::entries(db, &query, cursor.as_ref(), most))).await
    }

    async fn live(&self, query: &Query, since: Option<&LiveCursor>, most: usize) -> Result<LivePage, Error> {
        let (query, since) = (query.clone(), since.cloned());
        self.read(move |db| block_on(live::live(db, &query, since.as_ref(), most))).await
    }

    async fn appended(&self, seen: u64, within: Duration) -> u64 {
        let mut appends = self.appends.subscribe();
        // The sender lives as long as the store, and a time that is up is an answer.
        let _ = tokio::time::timeout(within, appends.wait_for(|count| *count != seen)).await;
        *appends.borrow()
    }

    async fn episodes(&self, query: &EpisodeQuery, cursor: Option<&Cursor>, most: usize) -> Result<EpisodePage, Error> {
        let (query, cursor) = (query.clone(), cursor.cloned());
        self.read(move |db| block_on(episode::episodes(db, &query, cursor.as_ref(), most))).await
    }

    async fn keep_snapshot(
        &self,
        cluster: &ClusterId,
        problem: &ProblemId,
        number: u32,
        snapshot: Snapshot,
    ) -> Result<(), Error> {
        let (cluster, problem, weight) = (cluster.clone(), problem.clone(), snapshot.bytes.len());
        let work = move |db: &mut Lite<'_>| block_on(episode::keep_snapshot(db, &cluster, &problem, number, snapshot));
        self.writer.write(weight, work).await
    }

    async fn snapshot(&self, cluster: &ClusterId, problem: &ProblemId, number: u32) -> Result<Option<Snapshot>, Error> {
        let (cluster, problem) = (cluster.clone(), problem.clone());
        self.read(move |db| block_on(episode::snapshot(db, &cluster, &problem, number))).await
    }

    async fn object(&self, cluster: &ClusterId, subject: &ResourceRef, at: Timestamp) -> Result<AsOf, Error> {
        let (cluster, subject) = (cluster.clone(), subject.clone());
        self.read(move |db| block_on(object::object(db, &cluster, &subject, at))).await
    }

    async fn issue(
        &self,
        grant: Grant,
        label: &str,
        expires: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Issued, Error> {
        let label = label.to_owned();
        self.writer.write(0, move |db| block_on(tokens::issue(db, &grant, &label, expires, now))).await
    }

    async fn enrol(&self, token: &TokenHash, cluster: &ClusterId, now: Timestamp) -> Result<Option<Issued>, Error> {
        let (token, cluster) = (*token, cluster.clone());
        self.writer.write(0, move |db| block_on(tokens::enrol(db, &token, &cluster, now))).await
    }

    async fn who(&self, token: &TokenHash, now: Timestamp) -> Result<Option<Who>, Error> {
        let token = *token;
        self.read(move |db| block_on(tokens::who(db, &token, now))).await
    }

    async fn revoke(&self, token: &TokenId) -> Result<bool, Error> {
        let token = token.clone();
        self.writer.write(0, move |db| block_on(tokens::revoke(db, &token))).await
    }

    async fn tokens(&self) -> Result<Vec<KnownToken>, Error> {
        self.read(|db| block_on(tokens::tokens(db))).await
    }

    async fn trim(&self, retention: &Retention, budget: Budget, now: Timestamp) -> Result<Trimmed, Error> {
        let retention = *retention;
        self.writer.write(0, move |db| block_on(trim::trim(db, &retention, budget, now))).await
    }

    async fn compact(&self, budget: Budget) -> Result<Compacted, Error> {
        self.writer.write(0, move |db| block_on(compact::compact(db, budget))).await
    }

    async fn check(&self) -> Result<(), Error> {
        self.mark(&ClusterId::default()).await.map(|_| ())
    }
}
