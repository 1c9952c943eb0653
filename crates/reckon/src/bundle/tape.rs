//! What a diagnosis was told, for writing it down.

use crate::session::Right;
use reckon_detect::redact;
use reckon_model::{Answer, Gap, Kind, LogLine, Need, Object, ResourceRef};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Everything a diagnosis was told, in the order of names and not of arrival.
#[derive(Default)]
pub(crate) struct Tape {
    /// A tape that does not run keeps nothing.
    running: bool,
    pub(super) objects: BTreeMap<ResourceRef, Value>,
    pub(super) logs: BTreeMap<Need, Vec<LogLine>>,
    pub(super) answers: BTreeMap<Need, Answer>,
    pub(super) complete: BTreeSet<(Kind, Option<String>)>,
    pub(super) refused: BTreeSet<(Kind, Option<String>, Gap)>,
    pub(super) skipped: BTreeSet<Gap>,
    pub(super) rights: BTreeMap<Right, bool>,
}

impl Tape {
    /// A tape that runs.
    pub(crate) fn running() -> Self {
        Tape { running: true, ..Tape::default() }
    }

    /// An object was delivered. Gives back what a reader of the tape will see: redacted, and decoded from that.
    pub(crate) fn object(&mut self, object: Object) -> Object {
        if !self.running {
            return object;
        }
        let Some(whole) = object.whole() else { return object };
        let mut whole = Value::clone(&whole);
        redact::object(&mut whole);
        let replayed = Object::decode(whole.to_string().as_bytes(), Some(&object.kind));
        self.objects.insert(object.reference(), whole);
        // What was decoded once decodes again; were it not so, the first decoding would serve.
        replayed.unwrap_or(object)
    }

    /// A kind was listed to the end.
    pub(crate) fn listed(&mut self, kind: &Kind, namespace: Option<&str>) {
        self.complete.insert((kind.clone(), namespace.map(str::to_owned)));
    }

    /// A kind could not be listed.
    pub(crate) fn refused(&mut self, kind: &Kind, namespace: Option<&str>, gap: &Gap) {
        self.refused.insert((kind.clone(), namespace.map(str::to_owned), gap.clone()));
    }

    /// An object could not be decoded.
    pub(crate) fn skipped(&mut self, gap: &Gap) {
        self.skipped.insert(gap.clone());
    }

    /// What the user may do.
    pub(crate) fn rights(&mut self, known: BTreeMap<Right, bool>) {
        self.rights.extend(known);
    }

    /// A need was answered. Gives back what a reader of the tape will see.
    pub(crate) fn answer(&mut self, need: &Need, answer: Answer) -> Answer {
        if !self.running {
            return answer;
        }
        match answer {
            Answer::Objects(objects) => {
                let objects = objects.into_iter().map(|object| self.object(object)).collect();
                self.answers.insert(need.clone(), Answer::Objects(Vec::new()));
                Answer::Objects(objects)
            }
            Answer::Part(objects, gap) => {
                let objects = objects.into_iter().map(|object| self.object(object)).collect();
                self.answers.insert(need.clone(), Answer::Refused(gap.clone()));
                Answer::Part(objects, gap)
            }
            Answer::Log(mut lines) => {
                // A line is a line of the file as well.
                for line in &mut lines {
                    line.text = redact::text(&line.text).replace(['\n', '\r'], " ");
                }
                self.logs.insert(need.clone(), lines.clone());
                Answer::Log(lines)
            }
            Answer::Manifest(mut objects) => {
                objects.iter_mut().for_each(redact::object);
                self.answers.insert(need.clone(), Answer::Manifest(objects.clone()));
                Answer::Manifest(objects)
            }
            other => {
                self.answers.insert(need.clone(), other.clone());
                other
            }
        }
    }
}
