//! What is asked, and what is answered.

use reckon_model::document::Severity;
use reckon_model::record::{Entry, Position};
use reckon_model::{ClusterId, ProblemId, ResourceRef, Timestamp};
use serde_json::Value;

/// Which entries. Of each list one has to match; an empty list asks for nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Of these clusters; empty for all.
    pub clusters: Vec<ClusterId>,
    /// On these timelines ([`Entry::line`]): workloads with all that is theirs.
    pub lines: Vec<ResourceRef>,
    /// About these objects themselves.
    pub subjects: Vec<ResourceRef>,
    /// About objects in these namespaces; the empty one is that of objects without.
    pub namespaces: Vec<String>,
    /// By [`reckon_model::record::Fact::word`].
    pub facts: Vec<String>,
    /// By [`reckon_model::record::Fact::reason`], such as `OOMKilled`.
    pub reasons: Vec<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
    /// Which come first.
    pub order: Order,
}

impl Query {
    /// How many entries, or episodes, a page has at most, whatever is asked for.
    pub const MOST: usize = 10_000;
}

/// Which entries come first. Of those of one millisecond and one cluster the position decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The latest.
    #[default]
    NewestFirst,
    /// The earliest.
    OldestFirst,
}

/// Where a page ended. Opaque, of letters, digits, `-` and `_`; whoever changes one gets [`crate::Error::Cursor`] or another
/// place of the same query, never what he did not ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub String);

/// Up to where the live order was read: a position for each cluster. Opaque, of letters, digits, `-` and `_`; some seven
/// bytes for each cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveCursor(pub String);

/// An entry with its place, which names it for ever.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Whose.
    pub cluster: ClusterId,
    /// The block it came in.
    pub position: Position,
    /// Which of that block's entries, from 0.
    pub index: u32,
    /// What happened.
    pub entry: Entry,
}

/// Blocks that cannot be read any more. Whatever was in them is missing from the answer, and all else is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Damaged {
    /// Whose.
    pub cluster: ClusterId,
    /// The epoch.
    pub epoch: u64,
    /// The first block.
    pub first: u64,
    /// The last block: of several where small ones had been packed together.
    pub last: u64,
    /// When the earliest of what was in it happened.
    pub from: Timestamp,
    /// When the latest of it happened.
    pub to: Timestamp,
    /// What is wrong with it.
    pub why: String,
}

/// Entries by time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// In the query's order.
    pub records: Vec<Recorded>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
    /// What could not be read on the way.
    pub damaged: Vec<Damaged>,
}

/// Entries as they were appended.
#[derive(Clone, Debug, PartialEq)]
pub struct LivePage {
    /// Each cluster's in the order of their positions.
    pub records: Vec<Recorded>,
    /// Where to go on.
    pub next: LiveCursor,
    /// More is there already.
    pub more: bool,
    /// What could not be read on the way.
    pub damaged: Vec<Damaged>,
    /// Clusters of which entries after the cursor were trimmed before they were told.
    pub trimmed: Vec<ClusterId>,
}

/// What is known of a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownCluster {
    /// Its id.
    pub id: ClusterId,
    /// What people call it, where they said.
    pub name: Option<String>,
    /// When it was last heard of.
    pub heard: Timestamp,
    /// The epoch that may write and the last block of it.
    pub mark: Position,
    /// How many entries are kept.
    pub entries: u64,
    /// How many bytes their blocks have.
    pub bytes: u64,
    /// Since when the record is complete: the earliest entry's time, or where it was last trimmed. `None` while there is none.
    pub begins: Option<Timestamp>,
}

/// Which episodes of problems.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EpisodeQuery {
    /// Of these clusters; empty for all.
    pub clusters: Vec<ClusterId>,
    /// Of these problems; empty for all.
    pub problems: Vec<ProblemId>,
    /// About objects in these namespaces; empty for all.
    pub namespaces: Vec<String>,
    /// Of these failures, by slug; empty for all.
    pub failures: Vec<String>,
    /// Open, closed or either.
    pub standing: Option<Standing>,
    /// That lasted at or after this time.
    pub from: Option<Timestamp>,
    /// That opened before this time.
    pub to: Option<Timestamp>,
}

/// Whether a problem is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Open,
    /// It is over.
    Closed,
}

/// One time that a problem was there.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// Where.
    pub cluster: ClusterId,
    /// The problem.
    pub problem: ProblemId,
    /// Which time, from 1.
    pub episode: u32,
    /// What it is about.
    pub subject: ResourceRef,
    /// Whose timeline it is on, where that is another.
    pub workload: Option<ResourceRef>,
    /// The failure's slug.
    pub failure: String,
    /// How bad, as last told.
    pub severity: Severity,
    /// In a sentence, as last told.
    pub title: String,
    /// When it opened; of one whose opening is not in the record, when it was first told of.
    pub opened: Timestamp,
    /// When it was last told of.
    pub turned: Timestamp,
    /// When it closed.
    pub closed: Option<Timestamp>,
    /// Why it closed, in words.
    pub reason: Option<String>,
    /// When its document was kept, if it was.
    pub snapshot: Option<Timestamp>,
}

/// Episodes, latest opening first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EpisodePage {
    /// The episodes.
    pub episodes: Vec<Episode>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// The document of a problem's episode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// When it was made.
    pub at: Timestamp,
    /// The document, as it was handed in.
    pub bytes: Vec<u8>,
}

/// An object as of a time.
#[derive(Clone, Debug, PartialEq)]
pub enum AsOf {
    /// It was there.
    There {
        /// All that was recorded of it.
        object: Value,
        /// When it was last written before that time.
        written: Timestamp,
        /// `metadata.resourceVersion` then, empty where not known.
        version: String,
        /// Blocks that could not be read and may hold a later write.
        damaged: Vec<Damaged>,
    },
    /// It was not there: deleted at this time and not made again.
    Gone {
        /// When.
        deleted: Timestamp,
        /// Blocks that could not be read and may hold a later write.
        damaged: Vec<Damaged>,
    },
    /// The record does not say: no whole state of it is kept from before that time.
    Unknown {
        /// Blocks that could not be read and may hold one.
        damaged: Vec<Damaged>,
    },
}
