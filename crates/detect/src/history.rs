//! What Kubernetes itself remembers of earlier states.
//!
//! ReplicaSets and ControllerRevisions hold old pod templates, and so do the Jobs of a CronJob; `last-applied-configuration`
//! holds what `kubectl apply` sent; `managedFields` hold who wrote a field last, and when; Helm's Secrets hold manifests.
//! From these, changes are told by a program that was started a second ago.

mod template;
#[cfg(test)]
mod tests;

pub(crate) use template::{Revised, templates};

use crate::ownership;
use crate::view::View;
use jiff::SignedDuration;
use reckon_model::diff::diff;
use reckon_model::selector::LabelSelector;
use reckon_model::{Actor, ActorSource, Change, FieldChange, Kind, Object, Timestamp, Verb};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Objects are finished being created (by several managers in a row) within this time; later writes are changes.
const CREATION: SignedDuration = SignedDuration::from_secs(2);

/// The parts of objects that people write.
const WRITTEN: [&str; 9] =
    ["spec", "data", "rules", "subjects", "roleRef", "webhooks", "provisioner", "parameters", "metadata/labels"];

/// The changes of an object that can be told from what the cluster keeps, oldest first.
pub fn changes<'a>(view: &View<'a>, object: &'a Object) -> Vec<Change> {
    let templates = templates(view, object);
    let mut changes: Vec<Change> = templates.iter().filter_map(|revised| revised.change.clone()).collect();
    changes.extend(beside(object, &changes, &templates));
    if changes.is_empty() {
        changes.extend(helm(view, object));
    }
    if changes.is_empty() {
        changes.extend(written(object));
    }
    changes.sort_by_key(|change| change.at);
    changes
}

/// The changes that an object tells of itself, beside those of its template's revisions, which are told.
pub(crate) fn beside(object: &Object, told: &[Change], templates: &[Revised]) -> Vec<Change> {
    let mut changes = since_applied(object, told);
    let told: Vec<Change> = told.iter().chain(&changes).cloned().collect();
    // The template's past is told by its revisions; even a single one says that it was never written again.
    changes.extend(taken_over(object, &told, templates.is_empty()));
    changes
}

/// Fields by who wrote them when: one change each.
#[derive(Default)]
struct Writes(BTreeMap<(Timestamp, Actor), Vec<FieldChange>>);

impl Writes {
    fn add(&mut self, at: Timestamp, actor: Actor, field: FieldChange) {
        self.0.entry((at, actor)).or_default().push(field);
    }

    fn changes(self, object: &Object) -> impl Iterator<Item = Change> {
        let subject = object.reference();
        self.0.into_iter().map(move |((at, actor), mut fields)| {
            fields.sort_by(|a, b| a.pointer.cmp(&b.pointer));
            Change { at, subject: subject.clone(), verb: Verb::Updated, fields, actor: Some(actor) }
        })
    }
}

fn is_told(told: &[Change], pointer: &str) -> bool {
    told.iter().any(|change| change.fields.iter().any(|known| known.pointer == pointer))
}

/// What differs between the live object and what `kubectl apply` sent last: a later write by somebody else. What the
/// template's revisions tell already is left to them.
fn since_applied(object: &Object, told: &[Change]) -> Vec<Change> {
    let (Some(applied), Some(live)) = (object.last_applied(), object.whole()) else { return Vec::new() };
    let mut writes = Writes::default();
    for part in WRITTEN {
        let pointer = format!("/{part}");
        let Some(old) = applied.pointer(&pointer) else { continue };
        let new = live.pointer(&pointer).unwrap_or(&Value::Null);
        for field in diff(old, new, &part.replace('/', "."), &pointer) {
            // What only the live object has is a default, or another manager's own business; who applied left it open.
            if field.from.is_none() || is_told(told, &field.pointer) {
                continue;
            }
            let owner = match field.to {
                Some(_) => ownership::field_owner(object, &field.pointer),
                // Nobody owns what is gone; whoever wrote last is the best guess there is.
                None => last_writer(object).map(|(actor, at)| (actor, Some(at))),
            };
            match owner {
                // The applier's own: the server spells it otherwise.
                Some((actor, _)) if actor.manager == "kubectl-client-side-apply" => {}
                Some((actor, Some(at))) => writes.add(at, actor, field),
                _ => {}
            }
        }
    }
    writes.changes(object).collect()
}

/// Fields that somebody took over from whoever made the object: their earlier value is not known, but that they were
/// written, when and by whom is.
fn taken_over(object: &Object, told: &[Change], template_too: bool) -> Vec<Change> {
    let (Some(live), Some(created)) = (object.whole(), object.meta.created) else { return Vec::new() };
    let entries: Vec<ownership::Entry<'_>> = ownership::entries(&live).collect();
    let late = |entry: &ownership::Entry<'_>| entry.at.filter(|at| at.duration_since(created) > CREATION);
    let largest = entries.iter().map(ownership::Entry::size).max().unwrap_or(0);
    let makers = entries.iter().filter(|entry| late(entry).is_none()).map(ownership::Entry::size).max().unwrap_or(0);
    let mut writes = Writes::default();
    // Who owns most of it made it, or applies it as a whole: his time says nothing about a field.
    for entry in entries.iter().filter(|entry| entry.size() < largest || entry.size() <= makers) {
        let Some(at) = late(entry) else { continue };
        for part in WRITTEN {
            for (field, pointer) in entry.owned(part) {
                let within_template = pointer.starts_with("/spec/template/");
                let known = is_told(told, &pointer) || (within_template && !template_too);
                if known || writes.0.values().flatten().any(|known| known.pointer == pointer) {
                    continue;
                }
                let to = live.pointer(&pointer).filter(|value| !value.is_null()).cloned();
                writes.add(at, entry.actor(), FieldChange { field, pointer, from: None, to });
            }
        }
    }
    writes.changes(object).collect()
}

/// Who wrote last, and when, if that was after the creation.
fn last_writer(object: &Object) -> Option<(Actor, Timestamp)> {
    let created = object.meta.created?;
    let last = object
        .meta
        .managers
        .iter()
        .filter(|manager| manager.subresource != "status")
        .max_by_key(|manager| manager.time)?;
    let at = last.time.filter(|at| at.duration_since(created) > CREATION)?;
    Some((Actor { manager: last.manager.clone(), user: None, source: ActorSource::ManagedFields }, at))
}

/// That somebody wrote after the creation, when nothing tells what.
pub(crate) fn written(object: &Object) -> Option<Change> {
    let (actor, at) = last_writer(object)?;
    Some(Change { at, subject: object.reference(), verb: Verb::Updated, fields: Vec::new(), actor: Some(actor) })
}

/// The difference between the last two revisions of the Helm release an object belongs to.
fn helm<'a>(view: &View<'a>, object: &'a Object) -> Option<Change> {
    let (namespace, release) = release_of(object)?;
    let revisions = release_revisions(view, namespace, release);
    let [.., (_, old), (_, new)] = revisions.as_slice() else { return None };
    let (before, after) = (manifest(view, namespace, old, object)?, manifest(view, namespace, new, object)?);
    let fields = meant(before, after);
    (!fields.is_empty()).then_some(Change {
        at: new.meta.created?,
        subject: object.reference(),
        verb: Verb::Updated,
        fields,
        actor: Some(Actor { manager: "helm".to_owned(), user: None, source: ActorSource::Helm }),
    })
}

/// The namespace and the name of the Helm release that an object belongs to.
pub(crate) fn release_of(object: &Object) -> Option<(&str, &str)> {
    let release = ownership::helm_release(object)?;
    let named = object.meta.annotations.get("meta.helm.sh/release-namespace").map(String::as_str);
    Some((named.or(object.meta.namespace.as_deref())?, release))
}

/// The Secrets that hold the revisions of a Helm release, oldest first, by their numbers.
pub(crate) fn release_revisions<'a>(view: &View<'a>, namespace: &str, release: &str) -> Vec<(u64, &'a Object)> {
    let labels = BTreeMap::from([("owner".to_owned(), "helm".to_owned()), ("name".to_owned(), release.to_owned())]);
    let secrets = view.matching(&Kind::Secret, Some(namespace), &LabelSelector::exact(&labels)).items;
    let mut revisions: Vec<(u64, &Object)> = secrets
        .into_iter()
        .filter_map(|secret| Some((secret.meta.labels.get("version")?.parse().ok()?, secret)))
        .collect();
    revisions.sort_by_key(|(version, _)| *version);
    revisions
}

/// What differs between two states of an object in the parts that people write.
pub(crate) fn meant(before: &Value, after: &Value) -> Vec<FieldChange> {
    let is_written = |field: &FieldChange| {
        WRITTEN.iter().any(|part| field.pointer.strip_prefix('/').is_some_and(|at| at.starts_with(part)))
    };
    diff(before, after, "", "").into_iter().filter(is_written).collect()
}

/// The object as a revision of its release has it.
pub(crate) fn manifest<'a>(view: &View<'a>, namespace: &str, secret: &Object, object: &Object) -> Option<&'a Value> {
    view.helm_revision(namespace, &secret.meta.name)?.iter().find(|candidate| {
        candidate.get("kind").and_then(Value::as_str) == Some(object.kind.name())
            && candidate.pointer("/metadata/name").and_then(Value::as_str) == Some(object.meta.name.as_str())
    })
}

/// The managers that wrote an object other than its status, for telling whose write is whose.
fn writers(object: &Object) -> impl Iterator<Item = (&str, Timestamp)> {
    let managers = object.meta.managers.iter().filter(|manager| manager.subresource != "status");
    let mut seen = BTreeSet::new();
    managers
        .filter_map(|manager| Some((manager.manager.as_str(), manager.time?)))
        .filter(move |writer| seen.insert(*writer))
}
