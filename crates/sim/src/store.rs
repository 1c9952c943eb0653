//! Objects as they are stored: bytes as served, and what selectors look at. And the log of what happened to them.

use crate::resource::{Resource, at, plain};
use bytes::Bytes;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;

/// Labels of an object; shared by objects of one owner where they are made in bulk.
pub type Labels = BTreeMap<String, String>;

/// Namespace (empty for none) and name: the order of lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Empty for objects of the cluster.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
}

impl Key {
    /// A key of these texts.
    pub fn new(namespace: &str, name: &str) -> Key {
        Key { namespace: namespace.into(), name: name.into() }
    }
}

/// One state of one object.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The object as compact JSON that begins `{"metadata":`: without `kind` and `apiVersion`, which depend on how it is
    /// asked for.
    pub bytes: Bytes,
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.resourceVersion`.
    pub revision: u64,
    /// `metadata.labels`.
    pub labels: Arc<Labels>,
    /// Values of the fields that selectors may name, in the order of [`Resource::fields`].
    pub fields: Arc<[String]>,
    /// The bytes taken apart, once a controller has looked at them: it looks at most objects again and again.
    pub(crate) parsed: OnceLock<Arc<Value>>,
}

impl Stored {
    /// The stored form of an object whose metadata is complete.
    pub(crate) fn of(resource: &Resource, object: &Value, revision: u64) -> Stored {
        let labels = object["metadata"]["labels"].as_object();
        let labels = labels.map(|labels| labels.iter().map(|(key, value)| (key.clone(), plain(value))).collect());
        Stored {
            bytes: body(object),
            uid: object["metadata"]["uid"].as_str().unwrap_or_default().into(),
            revision,
            labels: Arc::new(labels.unwrap_or_default()),
            fields: resource.fields.iter().map(|path| plain(at(object, path))).collect(),
            parsed: OnceLock::new(),
        }
    }

    /// The object, without `kind` and `apiVersion`, shared by all who look at it.
    pub fn shared(&self) -> Arc<Value> {
        self.parsed.get_or_init(|| Arc::new(self.value())).clone()
    }

    /// The object, without `kind` and `apiVersion`.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }
}

/// Compact JSON without `kind` and `apiVersion`, metadata first as the real server writes it.
pub(crate) fn body(object: &Value) -> Bytes {
    let mut bytes = Vec::with_capacity(1024);
    bytes.extend_from_slice(br#"{"metadata":"#);
    // Writing JSON to memory cannot fail.
    let _ = serde_json::to_writer(&mut bytes, &object["metadata"]);
    for (key, value) in object.as_object().into_iter().flatten() {
        if !matches!(key.as_str(), "metadata" | "kind" | "apiVersion") {
            bytes.push(b',');
            let _ = serde_json::to_writer(&mut bytes, key);
            bytes.push(b':');
            let _ = serde_json::to_writer(&mut bytes, value);
        }
    }
    bytes.push(b'}');
    Bytes::from(bytes)
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// It was created.
    Added,
    /// It was changed.
    Modified,
    /// It was removed.
    Deleted,
}

impl Verb {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Verb::Added => "ADDED",
            Verb::Modified => "MODIFIED",
            Verb::Deleted => "DELETED",
        }
    }
}

/// One entry of a resource's log.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) revision: u64,
    pub(crate) verb: Verb,
    pub(crate) key: Key,
    /// The state before.
    pub(crate) old: Option<Stored>,
    /// The state after; of what was deleted, its last state with the revision of its end.
    pub(crate) now: Stored,
}

/// All objects of one resource.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) resource: Arc<Resource>,
    pub(crate) objects: BTreeMap<Key, Stored>,
    pub(crate) log: VecDeque<Event>,
    pub(crate) log_bytes: usize,
    /// Watches from below this revision have expired.
    pub(crate) floor: u64,
    /// The revision of the newest entry that the log lost: an open watch that has not read it cannot go on.
    pub(crate) lost: u64,
    /// Wakes who watches this resource.
    pub(crate) wake: Arc<Notify>,
    /// Whether it is still served: definitions of custom resources go away.
    pub(crate) served: bool,
}

impl Table {
    pub(crate) fn new(resource: Resource, floor: u64) -> Table {
        Table {
            resource: Arc::new(resource),
            objects: BTreeMap::new(),
            log: VecDeque::new(),
            log_bytes: 0,
            floor,
            lost: 0,
            wake: Arc::new(Notify::new()),
            served: true,
        }
    }

    /// Appends to the log and drops its oldest entries beyond these limits.
    pub(crate) fn record(&mut self, event: Event, limit: usize, limit_bytes: usize) {
        self.log_bytes += event.now.bytes.len();
        self.log.push_back(event);
        while self.log.len() > limit || (self.log_bytes > limit_bytes && self.log.len() > 1) {
            let Some(oldest) = self.log.pop_front() else { break };
            self.log_bytes -= oldest.now.bytes.len();
            self.floor = self.floor.max(oldest.revision);
            self.lost = oldest.revision;
        }
        self.wake.notify_waiters();
    }

    /// Forgets everything up to a revision.
    pub(crate) fn compact(&mut self, revision: u64) {
        while self.log.front().is_some_and(|event| event.revision <= revision) {
            let Some(oldest) = self.log.pop_front() else { break };
            self.log_bytes -= oldest.now.bytes.len();
            self.lost = oldest.revision;
        }
        self.floor = self.floor.max(revision);
    }

    /// The state as it was at a revision, given what has to be put back for it; in order, from a key on.
    pub(crate) fn states<'a>(
        &'a self,
        namespace: Option<&'a str>,
        from: Option<&Key>,
        undo: &'a BTreeMap<Key, Option<Stored>>,
    ) -> impl Iterator<Item = (&'a Key, &'a Stored)> + use<'a> {
        let mut kept = self.range(namespace, from).peekable();
        let start = from.cloned().unwrap_or_else(|| Key::new(namespace.unwrap_or_default(), ""));
        let inside = move |key: &Key| namespace.is_none_or(|namespace| &*key.namespace == namespace);
        let mut back = undo.range(start..).take_while(move |(key, _)| inside(key)).peekable();
        std::iter::from_fn(move || {
            loop {
                match (kept.peek(), back.peek()) {
                    (Some((key, _)), Some((undone, _))) if key >= undone => {
                        if key == undone {
                            kept.next();
                        }
                        if let Some((key, Some(stored))) = back.next() {
                            return Some((key, stored));
                        }
                    }
                    (Some(_), _) => return kept.next(),
                    (None, Some(_)) => {
                        if let Some((key, Some(stored))) = back.next() {
                            return Some((key, stored));
                        }
                    }
                    (None, None) => return None,
                }
            }
        })
    }

    /// Objects of a namespace (of all for `None`), from a key on, in order.
    pub(crate) fn range<'a>(
        &'a self,
        namespace: Option<&'a str>,
        from: Option<&Key>,
    ) -> impl Iterator<Item = (&'a Key, &'a Stored)> + use<'a> {
        let start = match (from, namespace) {
            (Some(key), _) => key.clone(),
            (None, Some(namespace)) => Key::new(namespace, ""),
            (None, None) => Key::new("", ""),
        };
        let inside = move |key: &Key| namespace.is_none_or(|namespace| &*key.namespace == namespace);
        self.objects.range(start..).take_while(move |(key, _)| inside(key))
    }

    /// What has to be put back to see the state as it was at a revision: for each object that changed since, what it was.
    /// `None` where the log does not reach so far back.
    pub(crate) fn undo(&self, revision: u64) -> Option<BTreeMap<Key, Option<Stored>>> {
        if revision < self.floor {
            return None;
        }
        let mut undo = BTreeMap::new();
        for event in self.log.iter().rev().take_while(|event| event.revision > revision) {
            undo.insert(event.key.clone(), event.old.clone());
        }
        Some(undo)
    }
}
