//! The revisions of the Helm releases that parts belong to.

use super::parts::{Parts, Tell};
use crate::history;
use crate::view::View;
use reckon_model::record::{Entry, Fact, Release};
use reckon_model::{FieldChange, Kind, Object, ResourceRef, Timestamp};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// So many releases are compared revision by revision: a question for each revision follows. Of further ones it is told that
/// they were.
const COMPARED: usize = 3;

/// As many revisions as Helm keeps (`--history-max`).
const REVISIONS: usize = 10;

/// What every revision of a chart writes to every object of it, and says by itself.
const OWN_LABEL: &str = "/metadata/labels/helm.sh~1chart";

/// An entry for each revision that is kept, with what differs in what it made.
pub(super) fn entries<'a>(view: &View<'a>, parts: &Parts<'a>, since: Option<Timestamp>) -> Vec<Entry> {
    let names: BTreeSet<(&str, &str)> = parts
        .members
        .iter()
        .filter(|member| matches!(member.tell, Tell::All | Tell::Writes))
        .filter_map(|member| history::release_of(member.object))
        .collect();
    let mut entries = Vec::new();
    for (place, (namespace, name)) in names.into_iter().enumerate() {
        let revisions = history::release_revisions(view, namespace, name);
        let from = revisions.len().saturating_sub(REVISIONS);
        let revisions = revisions.get(from..).unwrap_or_default();
        let mut before: Option<&[Value]> = None;
        for (at, (number, secret)) in revisions.iter().enumerate() {
            let Some(deployed) = secret.meta.created else { continue };
            // The one before the first that is told is what that one is compared with.
            let next = revisions.get(at + 1).and_then(|(_, next)| next.meta.created);
            let is_old = |at: Option<Timestamp>| since.is_some_and(|since| at.is_some_and(|at| at < since));
            let is_compared = place < COMPARED && !(is_old(Some(deployed)) && (next.is_none() || is_old(next)));
            let manifest = if is_compared { view.helm_revision(namespace, &secret.meta.name) } else { None };
            entries.push(entry(namespace, name, *number, secret, deployed, before, manifest));
            before = manifest;
        }
    }
    entries
}

fn entry(
    namespace: &str,
    name: &str,
    revision: u64,
    secret: &Object,
    at: Timestamp,
    before: Option<&[Value]>,
    manifest: Option<&[Value]>,
) -> Entry {
    let (chart, version) = manifest.and_then(chart_of).unwrap_or_default();
    let old = before.and_then(chart_of).map(|(_, version)| version).filter(|old| *old != version);
    let release = Release {
        name: name.to_owned(),
        revision,
        status: secret.meta.labels.get("status").cloned().unwrap_or_default(),
        version: (!version.is_empty()).then_some((old, version)),
        chart,
        objects: match (before, manifest) {
            (Some(before), Some(manifest)) => differing(namespace, before, manifest),
            _ => BTreeMap::new(),
        },
    };
    let subject = ResourceRef { uid: None, ..ResourceRef::new(Kind::Secret, Some(namespace), &secret.meta.name) };
    Entry { at, subject, workload: None, fact: Fact::Release(release) }
}

/// The chart and its version, from the label that charts give to what they make: `checkout-1.9.4`.
fn chart_of(manifest: &[Value]) -> Option<(String, String)> {
    let label = manifest.iter().find_map(|object| object.pointer("/metadata/labels/helm.sh~1chart")?.as_str())?;
    // The version begins at the first part that begins with a digit, or with a `v` before one.
    let is_version = |rest: &str| rest.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
    let at = label.match_indices('-').map(|(at, _)| at).find(|at| label.get(at + 1..).is_some_and(is_version))?;
    Some((label.get(..at)?.to_owned(), label.get(at + 1..)?.to_owned()))
}

/// What differs, by object as people name it: `Deployment shop/checkout`.
fn differing(namespace: &str, before: &[Value], after: &[Value]) -> BTreeMap<String, Vec<FieldChange>> {
    let (old, new) = (named(namespace, before), named(namespace, after));
    let mut found = BTreeMap::new();
    for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let fields: Vec<FieldChange> = match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => {
                history::meant(old, new).into_iter().filter(|field| field.pointer != OWN_LABEL).collect()
            }
            // It came or went: one change, not one for each of its fields.
            (old, new) => {
                let part = |object: Option<&&Value>| object.map(|object| Value::clone(object));
                vec![FieldChange { field: String::new(), pointer: String::new(), from: part(old), to: part(new) }]
            }
        };
        if !fields.is_empty() {
            found.insert(name.clone(), fields);
        }
    }
    found
}

fn named<'a>(namespace: &str, objects: &'a [Value]) -> BTreeMap<String, &'a Value> {
    let name = |object: &Value| {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let (kind, name) = (text("/kind")?, text("/metadata/name")?);
        // What lives in no namespace is told apart by its kind all the same.
        let place = text("/metadata/namespace").unwrap_or(namespace);
        Some(format!("{kind} {place}/{name}"))
    };
    objects.iter().filter_map(|object| Some((name(object)?, object))).collect()
}
