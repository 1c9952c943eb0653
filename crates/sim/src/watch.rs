//! Watches: each reads the shared log from where it stands, so that a slow one costs nothing but itself.

use crate::body::{Answer, JSON, Payload, full};
use crate::faults::FaultKind;
use crate::list::revision;
use crate::present::{self, Form};
use crate::request::{Call, Target};
use crate::resource::Resource;
use crate::selection::Selection;
use crate::status::ApiError;
use crate::store::{Event, Verb};
use crate::world::{World, at_revision};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Notify;

/// How often a bookmark is sent, as the real server does.
const BOOKMARK_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// How long a watch lasts where its client does not say: the real server takes 30 to 60 minutes.
const LASTS: i64 = 2700;

/// Where a watch stands.
#[derive(Debug)]
pub(crate) struct Cursor {
    table: usize,
    resource: Arc<Resource>,
    qualified: String,
    version: String,
    namespace: Option<String>,
    selection: Selection,
    form: Form,
    /// Everything up to this revision was told.
    at: u64,
    initial: std::vec::IntoIter<Bytes>,
    /// The revision of the bookmark that closes the initial events, until it was sent.
    closing: Option<u64>,
    bookmarks: bool,
    next_bookmark: Timestamp,
    ends: Timestamp,
    connections: u64,
    frozen: bool,
    /// What is said at once before the end.
    refused: Option<ApiError>,
    /// An event that comes after the next one.
    held: Option<Event>,
    pub(crate) wake: Arc<Notify>,
}

/// What a watch has to say now.
#[derive(Debug)]
pub(crate) enum Read {
    Chunk(Bytes),
    /// Nothing before it is woken, or before this time.
    Wait(Timestamp),
    /// The proper end.
    End,
    /// These bytes, and the connection breaks.
    Cut(Bytes),
    /// Nothing, ever.
    Silence,
}

impl World {
    pub(crate) fn watch(&mut self, call: &Call, target: &Target, table: usize) -> Result<Answer, ApiError> {
        let resource = self.tables[table].resource.clone();
        let selection = Selection::of(&call.query, &resource, target.name.as_deref())?;
        let form = present::form(call)?;
        let streaming = call.query.flag("sendInitialEvents");
        let rule = call.query.get("resourceVersionMatch");
        match (call.query.has("sendInitialEvents"), rule) {
            (false, "") | (true, "NotOlderThan") => {}
            (false, _) => {
                let message = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                return Err(ApiError::options("resourceVersionMatch", message));
            }
            (true, rule) => {
                let field = "resourceVersionMatch";
                let message = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
                let mut causes = vec![(field, "FieldValueForbidden", message.to_owned())];
                if !rule.is_empty() {
                    let message = format!("Unsupported value: {rule:?}: supported values: \"NotOlderThan\"");
                    causes.push((field, "FieldValueNotSupported", message));
                }
                return Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &causes));
            }
        }
        let qualified = target.qualified();
        let asked = revision(call.query.get("resourceVersion"))
            .map_err(|error| {
                // Lists say it properly, watches do not.
                ApiError::new(500, "", error.message.trim_start_matches("invalid resource version: "))
            })?
            .filter(|&version| version > 0);
        let newest = if asked.is_none() { self.revision } else { self.newest(&qualified) };
        let all = streaming || (asked.is_none() && !call.query.has("sendInitialEvents"));
        if streaming && self.faults.strikes(&qualified, &FaultKind::RevisionTooLarge) {
            return Err(ApiError::too_large(asked.unwrap_or(newest + 1), newest));
        }
        if let Some(version) = asked.filter(|&version| streaming && version > newest) {
            return Err(ApiError::too_large(version, newest));
        }
        let mut refused = None;
        let mut initial = Vec::new();
        let mut closing = None;
        let bookmarks = call.query.flag("allowWatchBookmarks");
        let at = if all {
            let undo = if newest == self.revision {
                BTreeMap::new()
            } else {
                self.tables[table].undo(newest).unwrap_or_default()
            };
            let states = self.tables[table].states(target.namespace.as_deref(), None, &undo);
            initial =
                states.filter(|(key, stored)| selection.matches(key, stored)).map(|(_, s)| s.bytes.clone()).collect();
            closing = (streaming && bookmarks).then_some(newest);
            newest
        } else {
            let floor = self.tables[table].floor;
            let from = asked.unwrap_or(newest);
            let expired = self.faults.strikes(&qualified, &FaultKind::ExpiredInStream);
            refused = (from < floor || expired)
                .then(|| ApiError::expired(format!("too old resource version: {from} ({})", floor.max(from + 1))));
            from
        };
        let seconds = call.query.number("timeoutSeconds")?.filter(|&seconds| seconds > 0).unwrap_or(LASTS);
        let after = |span| self.now.checked_add(span).unwrap_or(Timestamp::MAX);
        let cursor = Cursor {
            table,
            resource,
            qualified,
            version: target.version.clone(),
            namespace: target.namespace.clone(),
            selection,
            form,
            at,
            initial: initial.into_iter(),
            closing,
            bookmarks,
            next_bookmark: after(BOOKMARK_EVERY),
            ends: after(SignedDuration::from_secs(seconds)),
            connections: self.connections,
            frozen: false,
            refused,
            held: None,
            wake: self.tables[table].wake.clone(),
        };
        Ok(Answer::of(200, JSON, Payload::Watch(Box::new(cursor))))
    }

    /// What the watch has to say now; moves it on.
    pub(crate) fn read(&mut self, cursor: &mut Cursor) -> Read {
        if cursor.frozen || self.faults.strikes(&cursor.qualified, &FaultKind::HalfOpen) {
            cursor.frozen = true;
            return Read::Silence;
        }
        if cursor.connections != self.connections {
            return Read::Cut(Bytes::new());
        }
        if self.now >= cursor.ends {
            return Read::End;
        }
        if self.faults.storage_down(&cursor.qualified) {
            return Read::Wait(cursor.ends);
        }
        if let Some(error) = cursor.refused.take() {
            cursor.ends = self.now;
            return Read::Chunk(line("ERROR", &error.bytes()));
        }
        let table = &self.tables[cursor.table];
        if !table.served || !Arc::ptr_eq(&table.resource, &cursor.resource) {
            return Read::End;
        }
        let chunk = self.pending(cursor);
        if !chunk.is_empty() {
            if self.faults.strikes(&cursor.qualified, &FaultKind::CutMidLine) {
                // In the middle of what is told, but never between two lines.
                let middle = chunk.len() / 2;
                let at = if chunk[..middle].ends_with(b"\n") { middle + 1 } else { middle };
                return Read::Cut(Bytes::from(chunk).slice(..at));
            }
            return Read::Chunk(Bytes::from(chunk));
        }
        if self.tables[cursor.table].lost > cursor.at {
            // It was too slow for the log. The real server ends such watches without a word.
            return Read::End;
        }
        Read::Wait(if cursor.bookmarks { cursor.ends.min(cursor.next_bookmark) } else { cursor.ends })
    }

    fn pending(&mut self, cursor: &mut Cursor) -> Vec<u8> {
        let mut chunk = Vec::new();
        let resource = cursor.resource.clone();
        let (form, version, now) = (cursor.form, cursor.version.clone(), self.now);
        let write = |chunk: &mut Vec<u8>, verb: &str, bytes: &[u8]| {
            open_line(chunk, verb);
            present::write(chunk, form, &resource, &version, bytes, now);
            chunk.extend_from_slice(b"}\n");
        };
        while let Some(bytes) = if full(&chunk) { return chunk } else { cursor.initial.next() } {
            write(&mut chunk, "ADDED", &bytes);
        }
        if let Some(revision) = cursor.closing {
            if self.faults.strikes(&cursor.qualified, &FaultKind::NoClosingBookmark) {
                cursor.frozen = true;
                return chunk;
            }
            cursor.closing = None;
            bookmark(&mut chunk, cursor, revision, true);
        }
        let newest = self.newest(&cursor.qualified);
        let World { tables, faults, .. } = self;
        let table = &tables[cursor.table];
        if table.lost > cursor.at {
            return chunk;
        }
        let from = table.log.partition_point(|event| event.revision <= cursor.at);
        for event in table.log.range(from..) {
            if event.revision > newest {
                break;
            }
            if full(&chunk) {
                return chunk;
            }
            cursor.at = event.revision;
            let mut tell = |event: &Event| {
                if let Some((verb, bytes)) = cursor.shows(event) {
                    write(&mut chunk, verb, &bytes);
                }
            };
            if !cursor.wants(event) {
                continue;
            }
            if faults.strikes(&cursor.qualified, &FaultKind::DropEvents) {
                continue;
            }
            if cursor.held.is_none() && faults.strikes(&cursor.qualified, &FaultKind::ReorderEvents) {
                cursor.held = Some(event.clone());
                continue;
            }
            tell(event);
            if faults.strikes(&cursor.qualified, &FaultKind::DuplicateEvents) {
                tell(event);
            }
            if let Some((verb, bytes)) = cursor.held.take().and_then(|held| cursor.shows(&held)) {
                write(&mut chunk, verb, &bytes);
            }
        }
        cursor.at = cursor.at.max(newest.min(self.revision));
        if cursor.bookmarks && self.now >= cursor.next_bookmark {
            cursor.next_bookmark = self.now.checked_add(BOOKMARK_EVERY).unwrap_or(Timestamp::MAX);
            bookmark(&mut chunk, cursor, cursor.at, false);
        }
        chunk
    }
}

impl Cursor {
    fn wants(&self, event: &Event) -> bool {
        self.namespace.as_deref().is_none_or(|namespace| namespace == &*event.key.namespace)
    }

    /// How an event looks from here: an object that begins or ceases to be selected is added or deleted.
    fn shows(&self, event: &Event) -> Option<(&'static str, Bytes)> {
        if self.selection.is_everything() {
            return Some((event.verb.word(), event.now.bytes.clone()));
        }
        let selected = |stored| self.selection.matches(&event.key, stored);
        let before = event.old.as_ref().is_some_and(selected);
        let after = event.verb != Verb::Deleted && selected(&event.now);
        match (before, after) {
            (false, false) => None,
            (false, true) => Some(("ADDED", event.now.bytes.clone())),
            (true, true) => Some(("MODIFIED", event.now.bytes.clone())),
            (true, false) if event.verb == Verb::Deleted => Some(("DELETED", event.now.bytes.clone())),
            // The state in which it was last selected, as the real server does.
            (true, false) => event.old.as_ref().map(|old| ("DELETED", at_revision(old, event.revision).bytes)),
        }
    }
}

fn open_line(chunk: &mut Vec<u8>, verb: &str) {
    chunk.extend_from_slice(br#"{"type":""#);
    chunk.extend_from_slice(verb.as_bytes());
    chunk.extend_from_slice(br#"","object":"#);
}

fn line(verb: &str, object: &[u8]) -> Bytes {
    let mut line = Vec::new();
    open_line(&mut line, verb);
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    Bytes::from(line)
}

fn bookmark(chunk: &mut Vec<u8>, cursor: &Cursor, revision: u64, closes: bool) {
    let annotations = if closes { r#","annotations":{"k8s.io/initial-events-end":"true"}"# } else { "" };
    let (kind, version) = match cursor.form {
        Form::Plain => (cursor.resource.kind.as_str(), cursor.resource.api_version(&cursor.version)),
        Form::Partial => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
        Form::Table => ("Table", "meta.k8s.io/v1".to_owned()),
    };
    let object = format!(
        r#"{{"kind":"{kind}","apiVersion":"{version}","metadata":{{"resourceVersion":"{revision}"{annotations}}}}}"#
    );
    chunk.extend_from_slice(&line("BOOKMARK", object.as_bytes()));
}
