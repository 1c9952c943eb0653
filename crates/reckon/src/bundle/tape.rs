//! What a diagnosis was told, for writing it down.

use crate::session::Right;
use reckon_detect::redact;
use reckon_model::{Answer, Demand, Gap, Kind, LogLine, Object, ResourceRef};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Everything a diagnosis was told, in the order of names and not of arrival.
#[derive(Default)]
pub(crate) struct Tape {
    /// A tape that does not run keeps nothing.
    running: bool,
    pub(super) objects: BTreeMap<ResourceRef, Value>,
    pub(super) logs: BTreeMap<Demand, Vec<LogLine>>,
    pub(super) answers: BTreeMap<Demand, Answer>,
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
        if replayed.as_ref().is_ok_and(|replayed| replayed.whole().is_none()) {
            without_field_sets(&mut whole);
        }
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

    /// A demand was answered. Gives back what a reader of the tape will see.
    pub(crate) fn answer(&mut self, demand: &Demand, answer: Answer) -> Answer {
        if !self.running {
            return answer;
        }
        match answer {
            Answer::Objects(objects) => {
                let objects = objects.into_iter().map(|object| self.object(object)).collect();
                self.answers.insert(demand.clone(), Answer::Objects(Vec::new()));
                Answer::Objects(objects)
            }
            Answer::Part(objects, gap) => {
                let objects = objects.into_iter().map(|object| self.object(object)).collect();
                self.answers.insert(demand.clone(), Answer::Refused(gap.clone()));
                Answer::Part(objects, gap)
            }
            Answer::Log(mut lines) => {
                // A line is a line of the file as well.
                for line in &mut lines {
                    line.text = redact::text(&line.text).replace(['\n', '\r'], " ");
                }
                self.logs.insert(demand.clone(), lines.clone());
                Answer::Log(lines)
            }
            Answer::Manifest(mut objects) => {
                objects.iter_mut().for_each(redact::object);
                self.answers.insert(demand.clone(), Answer::Manifest(objects.clone()));
                Answer::Manifest(objects)
            }
            other => {
                self.answers.insert(demand.clone(), other.clone());
                other
            }
        }
    }
}

/// Takes away which fields each manager wrote, of kinds of which no rule sees that: of a pod or an Event it is half of all
/// bytes. Who wrote, and when, stays.
fn without_field_sets(whole: &mut Value) {
    let managers = whole.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
    for manager in managers.into_iter().flatten().filter_map(Value::as_object_mut) {
        manager.retain(|key, _| !key.starts_with("fields"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn taped(object: &Value) -> Value {
        let mut tape = Tape::running();
        let object = Object::decode_whole(object.to_string().as_bytes(), None).unwrap();
        let read = tape.object(object);
        let (_, written) = tape.objects.pop_first().unwrap();
        let again = Object::decode(written.to_string().as_bytes(), None).unwrap();
        assert_eq!(read.meta.managers, again.meta.managers, "what was read is what will be read");
        written
    }

    #[test]
    fn which_fields_somebody_wrote_is_kept_only_where_a_rule_can_see_it() {
        let managers = |subresource: &str| {
            json!([{"manager": "kubectl-edit", "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
                "subresource": subresource, "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}}}])
        };
        let object = |kind: &str, api_version: &str, subresource: &str| json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a", "namespace": "n", "managedFields": managers(subresource)}});
        let sets = |object: &Value| taped(object).pointer("/metadata/managedFields/0/fieldsV1").is_some();
        assert!(sets(&object("Deployment", "apps/v1", "")));
        assert!(sets(&object("Pod", "v1", "resize")), "what its resources were before is read from them");
        for kind in ["Pod", "Event"] {
            let written = taped(&object(kind, "v1", ""));
            let manager = &written["metadata"]["managedFields"][0];
            assert!(manager.get("fieldsV1").is_none() && manager["time"] == "2026-01-01T00:00:00Z", "{kind} {manager}");
        }
    }
}
