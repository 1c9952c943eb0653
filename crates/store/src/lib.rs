//! The server's memory of the record: one trait, [`Store`], with SQLite and PostgreSQL behind it.
//!
//! What a cluster's agent sent is kept in the blocks it came in, each with a checksum; beside them postings that lead from a
//! workload, an object, a namespace or a kind of fact to the blocks that speak of it. A query reads the blocks that the
//! postings name and nothing else, so what it costs goes by what it finds.

mod append;
mod block;
mod candidates;
mod compact;
mod cursor;
mod episode;
mod error;
mod filter;
mod live;
mod object;
mod postgres;
mod posting;
mod query;
mod retention;
mod schema;
mod sql;
mod sqlite;
mod token;
mod tokens;
mod trim;
mod walk;

pub use error::Error;
pub use postgres::Postgres;
pub use query::{
    AsOf, Cursor, Damaged, Episode, EpisodePage, EpisodeQuery, KnownCluster, LiveCursor, LivePage, Order, Page, Query,
    Recorded, Snapshot, Standing,
};
pub use retention::{Budget, Compacted, Retention, Trimmed};
pub use sqlite::Sqlite;
pub use token::{Grant, Issued, KnownToken, Secret, TokenHash, TokenId, Who};

use async_trait::async_trait;
use reckon_model::record::{Batch, Position};
use reckon_model::{ClusterId, ProblemId, ResourceRef, Timestamp};
use std::time::Duration;

/// The record of many clusters. What is acknowledged is durable; what was acknowledged by one replica is seen by all.
///
/// Times are handed in, so that there is one clock and a test can turn it. No method waits for more than the database.
#[async_trait]
pub trait Store: std::fmt::Debug + Send + Sync {
    /// A writer takes over a cluster: `instance` names the agent's spool, `held` is the epoch under which that has written (0:
    /// none yet). The writer until now goes on where it was; one that has not written yet gets the next epoch, and whoever wrote
    /// before is fenced from then on, on every replica; one whose epoch was passed is fenced itself. An epoch later than any that
    /// is known was given out by a store that this one was put back behind: it is the writer's still.
    /// Gives the mark: the epoch to write in and the last block of it that is kept (0: none). A cluster not known before is
    /// known from then on.
    ///
    /// # Errors
    /// [`Error::Fenced`] when another writer took over.
    async fn begin(&self, cluster: &ClusterId, instance: &str, held: u64, now: Timestamp) -> Result<Position, Error>;

    /// Appends blocks, in their order. Gives the new mark when all of them are durable. A block that is kept already is passed
    /// over, whatever it says. All are kept or none.
    ///
    /// # Errors
    /// [`Error::Hole`] with the mark to go on from, [`Error::Fenced`] when another writer took over, [`Error::Block`] when
    /// bytes are no block. After any other error nothing is known to be kept: ask for the mark.
    async fn append(&self, cluster: &ClusterId, batches: Vec<Batch>, now: Timestamp) -> Result<Position, Error>;

    /// The epoch that may write and the last block of it that is kept; `None` for a cluster that is not known.
    async fn mark(&self, cluster: &ClusterId) -> Result<Option<Position>, Error>;

    /// What people call a cluster, and that it was heard of just now.
    async fn heard_of(&self, cluster: &ClusterId, name: Option<&str>, now: Timestamp) -> Result<(), Error>;

    /// Every cluster that is known, by id.
    async fn clusters(&self) -> Result<Vec<KnownCluster>, Error>;

    /// Up to `most` entries (at most [`Query::MOST`]) by time, from after `cursor`. A page may be shorter, or empty, and have a
    /// cursor to go on from, where much had to be read for little; without a cursor there is no more. Paging holds while others
    /// append, compact and trim: nothing is told twice, and nothing left out that was there when it began and is still.
    async fn entries(&self, query: &Query, cursor: Option<&Cursor>, most: usize) -> Result<Page, Error>;

    /// Up to `most` entries that were appended after `since`, each cluster's in the order of its positions; the query's
    /// order is not looked at. Without `since`: none, and the cursor of now. None is ever passed over because another was
    /// committed first: a cursor holds one position for each cluster, and those of one cluster are committed in order.
    /// A page ends with whole blocks, so it may be longer than asked by one block.
    async fn live(&self, query: &Query, since: Option<&LiveCursor>, most: usize) -> Result<LivePage, Error>;

    /// How many appends this process knows of, as soon as these are not `seen` any more or `within` has passed: who follows
    /// the live order asks with what he got before. What other replicas append is not waited for: ask [`Store::live`] again
    /// after `within`.
    async fn appended(&self, seen: u64, within: Duration) -> u64;

    /// Problems by their episodes, latest opening first.
    async fn episodes(&self, query: &EpisodeQuery, cursor: Option<&Cursor>, most: usize) -> Result<EpisodePage, Error>;

    /// Keeps the full document of a problem's episode as opaque bytes (zstd, by convention), in place of an earlier one.
    async fn keep_snapshot(
        &self,
        cluster: &ClusterId,
        problem: &ProblemId,
        episode: u32,
        snapshot: Snapshot,
    ) -> Result<(), Error>;

    /// The document kept of an episode. One that does not have its checksum any more is [`Error::Corrupt`].
    async fn snapshot(&self, cluster: &ClusterId, problem: &ProblemId, episode: u32)
    -> Result<Option<Snapshot>, Error>;

    /// An object as it was at a time: its last whole state before, and the fields that were written since.
    async fn object(&self, cluster: &ClusterId, subject: &ResourceRef, at: Timestamp) -> Result<AsOf, Error>;

    /// Issues a token: 256 random bits from the operating system. Only its SHA-256 is kept.
    async fn issue(
        &self,
        grant: Grant,
        label: &str,
        expires: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Issued, Error>;

    /// Changes an enrolment token into an agent's, in one transaction: it can be done once. `None` where the token is unknown,
    /// used, revoked, expired or grants something else.
    async fn enrol(&self, token: &TokenHash, cluster: &ClusterId, now: Timestamp) -> Result<Option<Issued>, Error>;

    /// Who bears a token; `None` where it is unknown, used, revoked or expired.
    async fn who(&self, token: &TokenHash, now: Timestamp) -> Result<Option<Who>, Error>;

    /// Takes a token back. `false` where there is none of that id.
    async fn revoke(&self, token: &TokenId) -> Result<bool, Error>;

    /// All tokens that were issued and not revoked, without their secrets, oldest first.
    async fn tokens(&self) -> Result<Vec<KnownToken>, Error>;

    /// Lets go what is too old or too much, oldest first and not more than `budget` at once; of each living object the last
    /// whole state before the cut stays. Call it again until nothing is left to do.
    async fn trim(&self, retention: &Retention, budget: Budget, now: Timestamp) -> Result<Trimmed, Error>;

    /// Packs small blocks that follow each other into full ones, not more than `budget` at once. Positions, cursors and the
    /// live order stay as they are. Call it again until nothing is left to do.
    async fn compact(&self, budget: Budget) -> Result<Compacted, Error>;

    /// Whether the database answers.
    async fn check(&self) -> Result<(), Error>;
}
