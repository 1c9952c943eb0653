//! What a recorder that starts again has to know of what it told before.

use reckon_model::record::Phase;
use reckon_model::shared::digest;
use reckon_model::{Kind, ResourceRef, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What was last told of one object. About 110 bytes as a line of JSON, names included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// `metadata.uid`.
    pub uid: String,
    /// Of what people wrote of it; of a pod of which only phases are told, nothing.
    pub written: Option<u64>,
    /// How many deaths of its containers were counted.
    pub deaths: u32,
    /// The phase of a pod.
    pub phase: Option<Phase>,
}

/// What was last told of each object, until a moment. Whoever keeps the entries keeps these beside them, as lines: the later
/// of two about one object holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Until when was told what happened; nothing is known of another run where that is absent.
    pub until: Option<Timestamp>,
    marks: BTreeMap<ResourceRef, Mark>,
}

/// Why lines are no memory.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of what was told before: {source}")]
pub struct MemoryError {
    /// Which, from 1.
    line: usize,
    /// Where and what.
    source: serde_json::Error,
}

/// A line: group, kind, namespace, name, and what is known; nothing of what is gone.
type Line = (String, String, Option<String>, String, Option<Told>);

#[derive(Serialize, Deserialize)]
struct Told(String, #[serde(default)] Option<u64>, #[serde(default)] u32, #[serde(default)] Option<Phase>);

impl Memory {
    /// Reads lines.
    ///
    /// # Errors
    /// Where a line is none of these.
    pub fn read(until: Option<Timestamp>, lines: &str) -> Result<Memory, MemoryError> {
        let mut memory = Memory { until, marks: BTreeMap::new() };
        for (at, line) in lines.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let line: Line = serde_json::from_str(line).map_err(|source| MemoryError { line: at + 1, source })?;
            let (group, kind, namespace, name, told) = line;
            let reference = ResourceRef { kind: Kind::of_group(&group, &kind), namespace, name, uid: None };
            let mark = told.map(|Told(uid, written, deaths, phase)| Mark { uid, written, deaths, phase });
            memory.learn(&reference, mark);
        }
        Ok(memory)
    }

    /// All lines.
    pub fn lines(&self) -> String {
        self.marks.iter().map(|(reference, mark)| line(reference, Some(mark))).collect()
    }

    /// How many objects are known.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Takes what was told since of an object; `None`: that it is gone.
    pub fn learn(&mut self, reference: &ResourceRef, mark: Option<Mark>) {
        match mark {
            Some(mark) => drop(self.marks.insert(reference.clone(), mark)),
            None => drop(self.marks.remove(reference)),
        }
    }

    /// What was told of an object, which is not asked for again.
    pub(crate) fn take(&mut self, reference: &ResourceRef) -> Option<Mark> {
        self.marks.remove(reference)
    }

    /// What was told of a kind in a scope and did not come again.
    pub(crate) fn rest(&mut self, kind: &Kind, namespace: Option<&str>) -> Vec<(ResourceRef, Mark)> {
        let of = |reference: &ResourceRef| {
            reference.kind == *kind && namespace.is_none_or(|namespace| reference.namespace() == namespace)
        };
        let rest: Vec<ResourceRef> = self.marks.keys().filter(|reference| of(reference)).cloned().collect();
        rest.into_iter().filter_map(|reference| self.marks.remove_entry(&reference)).collect()
    }
}

/// The line about an object, with its end.
pub fn line(reference: &ResourceRef, mark: Option<&Mark>) -> String {
    let ResourceRef { kind, namespace, name, uid: _ } = reference;
    let told = mark.map(|mark| Told(mark.uid.clone(), mark.written, mark.deaths, mark.phase));
    let line: Line = (kind.group().to_owned(), kind.name().to_owned(), namespace.clone(), name.clone(), told);
    // Texts and numbers are always JSON.
    serde_json::to_string(&line).unwrap_or_default() + "\n"
}

/// What people wrote, in eight bytes.
pub(crate) fn of_written(written: &Value) -> u64 {
    digest(&written.to_string())
}
