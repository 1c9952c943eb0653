//! Helm keeps with each revision whether it failed, and not why in a form that is read: its manifest held against what is there
//! tells.

use super::super::rejection::removed_in;
use super::Difference;
use crate::spot::Path;
use crate::{Fact, Finding, Lookup, View, describe};
use reckon_model::document::{Role, Source, Verdict};
use reckon_model::selector::LabelSelector;
use reckon_model::{Kind, Object, ResourceRef};
use serde_json::Value;
use std::collections::BTreeMap;

/// How many objects of a release are looked at.
const MOST: usize = 200;

/// What may not be changed once it is there, by kind.
const IMMUTABLE: [(&str, &[(&str, &str)]); 5] = [
    ("Deployment", &[("spec.selector", "/spec/selector")]),
    ("DaemonSet", &[("spec.selector", "/spec/selector")]),
    (
        "StatefulSet",
        &[
            ("spec.selector", "/spec/selector"),
            ("spec.serviceName", "/spec/serviceName"),
            ("spec.podManagementPolicy", "/spec/podManagementPolicy"),
            ("spec.volumeClaimTemplates", "/spec/volumeClaimTemplates"),
        ],
    ),
    (
        "Job",
        &[
            ("spec.template.spec.containers", "/spec/template/spec/containers"),
            ("spec.completions", "/spec/completions"),
        ],
    ),
    (
        "PersistentVolumeClaim",
        &[
            ("spec.accessModes", "/spec/accessModes"),
            ("spec.storageClassName", "/spec/storageClassName"),
            ("spec.volumeName", "/spec/volumeName"),
        ],
    ),
];

/// The newest revision of a release, if it failed.
struct Revision<'a> {
    release: &'a str,
    number: u64,
    secret: &'a Object,
}

fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// The finding about a revision that failed and that no later one followed.
pub(super) fn found<'a>(view: &View<'a>, secret: &'a Object) -> Option<Finding> {
    let label = |key: &str| secret.meta.labels.get(key).map(String::as_str);
    if label("owner") != Some("helm") || label("status") != Some("failed") {
        return None;
    }
    let (release, number) = (label("name")?, label("version")?.parse::<u64>().ok()?);
    let namespace = secret.meta.namespace.as_deref()?;
    let labels = BTreeMap::from([("owner".to_owned(), "helm".to_owned()), ("name".to_owned(), release.to_owned())]);
    let all = view.matching(&Kind::Secret, Some(namespace), &LabelSelector::exact(&labels)).items;
    let later = |other: &Object| {
        other.meta.labels.get("version").and_then(|it| it.parse::<u64>().ok()).is_some_and(|other| other > number)
    };
    if all.into_iter().any(later) {
        return None;
    }
    let revision = Revision { release, number, secret };
    let manifest = view.helm_revision(namespace, &secret.meta.name)?;
    let objects = || manifest.iter().take(MOST);
    objects()
        .find_map(|object| not_served(view, &revision, namespace, object))
        .or_else(|| objects().find_map(|object| immutable(view, &revision, namespace, object)))
}

fn reference(namespace: &str, object: &Value) -> Option<ResourceRef> {
    let kind = Kind::of(text(object, "/apiVersion")?, text(object, "/kind")?);
    let namespace = text(object, "/metadata/namespace").unwrap_or(namespace);
    Some(ResourceRef::new(kind, Some(namespace), text(object, "/metadata/name")?))
}

/// Kinds that the cluster does not serve, or not in this version.
fn not_served<'a>(view: &View<'a>, revision: &Revision<'a>, namespace: &str, object: &Value) -> Option<Finding> {
    let api = text(object, "/apiVersion")?;
    let kind = text(object, "/kind")?;
    let (group, version) = api.split_once('/')?;
    let custom = group.contains('.') && !group.ends_with(".k8s.io");
    let (why, verdict) = match removed_in(group, version) {
        Some(since) => (format!("{kind} of {api} is gone since Kubernetes {since}"), Verdict::Likely),
        None if custom => {
            let definitions = view.all(&Kind::of_group("apiextensions.k8s.io", "CustomResourceDefinition"), None);
            let defined = definitions.items.iter().any(|definition| {
                definition.whole().is_some_and(|whole| {
                    text(&whole, "/spec/group") == Some(group) && text(&whole, "/spec/names/kind") == Some(kind)
                })
            });
            if defined || !definitions.complete {
                return None;
            }
            (format!("no CustomResourceDefinition makes {kind} of {group} known"), Verdict::Confirmed)
        }
        None => return None,
    };
    let on = reference(namespace, object)?;
    let Revision { release, number, secret } = *revision;
    let sentence = format!("Revision {number} of Helm release {release} has {} {}, and {why}.", kind, on.name);
    let cause = super::of_field(&on, ("apiVersion", "/apiVersion"), Some(api.into()), "helm", sentence);
    let title = format!("Helm release {namespace}/{release}: revision {number} failed, {why}");
    let mut finding = super::finding(secret, "no-such-kind", title, cause);
    finding.verdict = verdict;
    told(&mut finding, revision);
    finding.remedies.push(super::serve(&on, group, Some(version)));
    Some(finding)
}

/// Objects that are there and differ in what may not be changed.
fn immutable<'a>(view: &View<'a>, revision: &Revision<'a>, namespace: &str, object: &Value) -> Option<Finding> {
    let kind = text(object, "/kind")?;
    let (_, fields) = IMMUTABLE.iter().find(|(of, _)| *of == kind)?;
    let on = reference(namespace, object)?;
    // What is not there is made, and may be anything.
    let Lookup::Found(live) = view.look_up(&on) else { return None };
    let whole = live.whole()?;
    let Difference { path, wanted, has } = fields.iter().find_map(|(field, pointer)| {
        let path = Path { field: (*field).to_owned(), pointer: (*pointer).to_owned() };
        super::difference(object.pointer(pointer)?, whole.pointer(pointer)?, path, 0)
    })?;
    let field = path.field.as_str();
    let is = has.as_ref().map_or_else(|| "not there".to_owned(), describe::value);
    let Revision { release, number, .. } = *revision;
    let name = format!("{} {}", on.kind.singular(), describe::name(&on));
    let sentence = format!(
        "Revision {number} of Helm release {release} wants {field} of {name} to be {}; it is {is}, and that may not be changed.",
        describe::value(&wanted)
    );
    let cause = super::of_field(&on, (field, &path.pointer), Some(wanted.clone()), "helm", sentence);
    let title =
        format!("Helm release {namespace}/{release}: revision {number} failed, {field} of {name} may not be changed");
    let mut finding = super::finding(live, "immutable", title, cause);
    finding.verdict = Verdict::Confirmed;
    let text = format!("{field} is {is}");
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, live, text));
    told(&mut finding, revision);
    finding.remedies = super::make_again(&on, field);
    Some(finding)
}

fn told(finding: &mut Finding, revision: &Revision<'_>) {
    let Revision { release, number, secret } = *revision;
    let text = format!("revision {number} of release {release} failed");
    finding.opened = secret.meta.created;
    finding.evidence.push(Fact::new(Role::Symptom, Source::Status, secret.meta.created, secret, text));
}
