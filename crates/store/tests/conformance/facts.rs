//! Entries to append.

use reckon_model::document::Severity;
use reckon_model::record::{Batch, Block, Death, Entry, Fact, Phase, PhaseTurn, Position, ProblemTurn, Turn, Written};
use reckon_model::{ClusterId, FieldChange, Kind, ResourceRef, SignedDuration, Timestamp, Verb};
use reckon_store::{Error, Page, Query, Recorded, Store};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) type Db = Arc<dyn Store>;

/// So many milliseconds after the first of November.
pub(crate) fn at(ms: i64) -> Timestamp {
    "2026-11-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_millis(ms)
}

pub(crate) const HOUR: i64 = 3_600_000;
pub(crate) const DAY: i64 = 24 * HOUR;

pub(crate) fn cluster(name: &str) -> ClusterId {
    ClusterId(format!("{name}-0000-4000-8000-000000000000"))
}

pub(crate) fn deployment(namespace: &str, name: &str) -> ResourceRef {
    ResourceRef::new(Kind::Deployment, Some(namespace), name)
}

pub(crate) fn pod(namespace: &str, name: &str) -> ResourceRef {
    ResourceRef::new(Kind::Pod, Some(namespace), name)
}

pub(crate) fn death(ms: i64, namespace: &str, workload: &str, reason: &str) -> Entry {
    Entry {
        at: at(ms),
        subject: pod(namespace, &format!("{workload}-{ms}")),
        workload: Some(deployment(namespace, workload)),
        fact: Fact::Death(Death {
            container: "app".to_owned(),
            reason: reason.to_owned(),
            exit_code: 137,
            started: None,
            restarts: 0,
            untold: 0,
            node: None,
        }),
    }
}

pub(crate) fn ready(ms: i64, namespace: &str, workload: &str) -> Entry {
    let fact = Fact::Phase(PhaseTurn { to: Phase::Ready, from: None, node: None, reason: None });
    Entry { fact, ..death(ms, namespace, workload, "") }
}

pub(crate) fn written(
    ms: i64,
    subject: &ResourceRef,
    verb: Verb,
    object: Option<Value>,
    replicas: Option<(i64, i64)>,
) -> Entry {
    let fields = replicas.map(|(from, to)| FieldChange {
        field: "spec.replicas".to_owned(),
        pointer: "/spec/replicas".to_owned(),
        from: Some(json!(from)),
        to: Some(json!(to)),
    });
    Entry {
        at: at(ms),
        subject: subject.clone(),
        workload: None,
        fact: Fact::Change(Written {
            verb,
            fields: fields.into_iter().collect(),
            actor: None,
            generation: None,
            version: ms.to_string(),
            object,
            after: None,
        }),
    }
}

pub(crate) fn problem(ms: i64, id: &str, episode: u32, turn: Turn, title: &str) -> Entry {
    Entry {
        at: at(ms),
        subject: pod("shop", "checkout-1"),
        workload: Some(deployment("shop", "checkout")),
        fact: Fact::Problem(ProblemTurn {
            id: id.to_owned(),
            episode,
            turn,
            failure: "oom-killed".to_owned(),
            severity: Severity::Critical,
            title: title.to_owned(),
            reason: (turn == Turn::Closed).then(|| "it is ready again".to_owned()),
        }),
    }
}

pub(crate) fn batch(epoch: u64, seq: u64, entries: &[Entry]) -> Batch {
    Batch::new(Position { epoch, seq }, Block::pack(entries).unwrap().remove(0))
}

/// Begins a cluster and appends each list as a block.
pub(crate) async fn fill(store: &Db, name: &str, blocks: &[Vec<Entry>]) -> Position {
    let mark = store.begin(&cluster(name), "spool", 0, at(0)).await.unwrap();
    append(store, name, mark, blocks).await.unwrap()
}

pub(crate) async fn append(store: &Db, name: &str, mark: Position, blocks: &[Vec<Entry>]) -> Result<Position, Error> {
    let batches = (mark.seq + 1..).zip(blocks).map(|(seq, entries)| batch(mark.epoch, seq, entries)).collect();
    let now = blocks.iter().flatten().map(|entry| entry.at).max().unwrap_or_default().min(at(400 * DAY));
    store.append(&cluster(name), batches, now).await
}

/// All pages of a query.
pub(crate) async fn all(store: &Db, query: &Query, most: usize) -> Vec<Recorded> {
    let mut records = Vec::new();
    let mut cursor = None;
    loop {
        let Page { records: more, next, damaged } = store.entries(query, cursor.as_ref(), most).await.unwrap();
        assert!(damaged.is_empty(), "{damaged:?}");
        assert!(more.len() <= most);
        records.extend(more);
        cursor = next;
        if cursor.is_none() {
            return records;
        }
    }
}

pub(crate) fn entries(records: Vec<Recorded>) -> Vec<Entry> {
    records.into_iter().map(|record| record.entry).collect()
}
