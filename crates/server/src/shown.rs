//! The forms of what is answered. Names and times are those of the record; nothing is judged here.

use crate::lane;
use reckon_model::Timestamp;
use reckon_model::document::{Ref, Severity};
use reckon_model::record::{Entry, Position};
use reckon_store as store;
use schemars::JsonSchema;
use serde::Serialize;

/// An entry with its place.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Change {
    /// Names the entry for ever: `CLUSTER/EPOCH/SEQ/INDEX`.
    id: String,
    /// The cluster's id.
    cluster: String,
    /// What happened.
    #[serde(flatten)]
    entry: Entry,
}

impl From<store::Recorded> for Change {
    fn from(recorded: store::Recorded) -> Self {
        let store::Recorded { cluster, position: Position { epoch, seq }, index, entry } = recorded;
        let id = format!("{}/{epoch}/{seq}/{index}", cluster.0);
        Change { id, cluster: lane::cluster(&cluster).0, entry }
    }
}

/// A part of the record that cannot be read any more.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Damaged {
    /// The cluster's id.
    cluster: String,
    /// Which writer.
    epoch: u64,
    /// Its first block that cannot be read.
    first: u64,
    /// Its last.
    last: u64,
    /// When the earliest of what was in it happened.
    #[schemars(with = "String")]
    from: Timestamp,
    /// When the latest of it happened.
    #[schemars(with = "String")]
    to: Timestamp,
    /// What is wrong with it.
    why: String,
}

impl From<store::Damaged> for Damaged {
    fn from(damaged: store::Damaged) -> Self {
        let store::Damaged { cluster, epoch, first, last, from, to, why } = damaged;
        Damaged { cluster: lane::cluster(&cluster).0, epoch, first, last, from, to, why }
    }
}

/// A cluster whose record is kept.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cluster {
    /// The UID of its namespace kube-system.
    id: String,
    /// What people call it.
    name: Option<String>,
    /// When its agent was last heard of.
    #[schemars(with = "String")]
    heard: Timestamp,
    /// The last block that is kept.
    mark: Position,
    /// How many entries are kept.
    entries: u64,
    /// How many bytes they take, packed.
    bytes: u64,
    /// Since when the record is complete.
    #[schemars(with = "Option<String>")]
    begins: Option<Timestamp>,
}

impl From<store::KnownCluster> for Cluster {
    fn from(known: store::KnownCluster) -> Self {
        let store::KnownCluster { id, name, heard, mark, entries, bytes, begins } = known;
        Cluster { id: id.0, name, heard, mark, entries, bytes, begins }
    }
}

/// One time that a problem was there.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Episode {
    /// The cluster's id.
    cluster: String,
    /// The problem's id, which all its episodes have.
    problem: String,
    /// Which time, from 1.
    episode: u32,
    /// What it is about.
    subject: Ref,
    /// Whose timeline it is on, where that is another object.
    workload: Option<Ref>,
    /// The failure's slug.
    failure: String,
    /// How bad, as last told.
    severity: Severity,
    /// In a sentence, as last told.
    title: String,
    /// When it opened.
    #[schemars(with = "String")]
    opened: Timestamp,
    /// When it was last told of.
    #[schemars(with = "String")]
    turned: Timestamp,
    /// When it closed.
    #[schemars(with = "Option<String>")]
    closed: Option<Timestamp>,
    /// Why it closed.
    reason: Option<String>,
    /// When its document was made, which `/problems/{cluster}/{problem}/{episode}` gives.
    #[schemars(with = "Option<String>")]
    snapshot: Option<Timestamp>,
}

impl From<store::Episode> for Episode {
    fn from(episode: store::Episode) -> Self {
        let store::Episode {
            cluster,
            problem,
            episode,
            subject,
            workload,
            failure,
            severity,
            title,
            opened,
            turned,
            closed,
            reason,
            snapshot,
        } = episode;
        Episode {
            cluster: cluster.0,
            problem: problem.0,
            episode,
            subject: Ref::from(&subject),
            workload: workload.as_ref().map(Ref::from),
            failure,
            severity,
            title,
            opened,
            turned,
            closed,
            reason,
            snapshot,
        }
    }
}
