//! Releases whose manifests the API server does not take.

mod gitops;
mod helm;

use super::rejection::removed_in;
use crate::catalogue::{Failure, Stage, Verified};
use crate::spot::{self, Path};
use crate::{Detector, Finding, Place, View, describe};
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Risk, Severity};
use reckon_model::{Kind, Object, ResourceRef};
use serde_json::{Value, json};

pub(crate) static DETECTOR: Detector = Detector {
    name: "manifest",
    failures: &[Failure {
        slug: "manifest-rejected",
        title: "The manifests of a release are not taken",
        stage: Stage::Admission,
        family: "manifest",
        echo: false,
        verified: Verified::Constructed,
        page: include_str!("../pages/manifest-rejected.md"),
    }],
    subjects: &[Kind::Secret],
    others: &[
        ("argoproj.io", "Application"),
        ("helm.toolkit.fluxcd.io", "HelmRelease"),
        ("kustomize.toolkit.fluxcd.io", "Kustomization"),
    ],
    detect,
};

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let found = match subject.kind {
        Kind::Secret => helm::found(view, subject),
        _ => gitops::found(view, subject),
    };
    if view.is_waiting() { Vec::new() } else { found.into_iter().collect() }
}

/// A finding about a release, or about the object that does not let itself be changed.
fn finding(about: &Object, class: &'static str, title: String, cause: Cause) -> Finding {
    let mut finding = Finding::new("manifest-rejected", Place::of(about), title, cause);
    finding.class = Some(class);
    // What was there before the release is still there.
    finding.severity = Severity::Warning;
    finding
}

/// A cause that is a field of an object as a release has it.
fn of_field(
    object: &ResourceRef,
    field: (&str, &str),
    value: Option<Value>,
    managed_by: &str,
    sentence: String,
) -> Cause {
    let mut cause = Cause::plain(CauseKind::Resource, Some(object), sentence);
    cause.managed_by = Some(managed_by.to_owned());
    cause.at_field(field.0, field.1, value)
}

/// What ends it where a field may not be changed.
fn make_again(object: &ResourceRef, field: &str) -> Vec<Remedy> {
    let name = describe::name(object);
    let mut keep = spot::remedy(
        RemedyKind::Outside,
        object,
        format!("Put {field} of {} {name} back in the release, if it was not meant to change.", object.kind.singular()),
    );
    keep.risk = Risk::Low;
    let (how, risk) = match object.kind {
        Kind::StatefulSet | Kind::Deployment | Kind::DaemonSet => (
            format!(
                "kubectl delete {} {} --cascade=orphan leaves its pods running; then install the release again.",
                object.kind.singular(),
                object.name
            ),
            Risk::Medium,
        ),
        _ => (format!("Delete {} {name}, then install the release again.", object.kind.singular()), Risk::High),
    };
    let mut again = spot::remedy(RemedyKind::Delete, object, format!("Else it has to be made anew: {how}"));
    again.risk = risk;
    vec![keep, again]
}

/// What ends it where a kind is not served.
fn serve(object: &ResourceRef, group: &str, version: Option<&str>) -> Remedy {
    let sentence = match version.and_then(|version| removed_in(group, version)) {
        Some(since) => format!(
            "Kubernetes {since} took {group}/{} away: use a release made for it. Where Helm's stored manifest has it, too, its mapkubeapis plug-in rewrites that.",
            version.unwrap_or("")
        ),
        None => "Install the CustomResourceDefinition first, or correct apiVersion and kind.".to_owned(),
    };
    spot::remedy(RemedyKind::Outside, object, sentence)
}

/// A part of a manifest that is not as it is live.
struct Difference {
    path: Path,
    wanted: Value,
    has: Option<Value>,
}

/// How deep a manifest is looked into.
const DEPTH: usize = 12;

/// The first part of a manifest that does not stand in what is live: what the server filled in is not looked at.
fn difference(wanted: &Value, live: &Value, path: Path, depth: usize) -> Option<Difference> {
    let differs = |path: Path| Some(Difference { path, wanted: wanted.clone(), has: Some(live.clone()) });
    match (wanted, live) {
        _ if depth >= DEPTH => None,
        (Value::Object(wanted), Value::Object(live)) => {
            wanted.iter().filter(|(_, value)| !value.is_null()).find_map(|(key, value)| {
                let path = path.entry(key);
                match live.get(key) {
                    Some(live) => difference(value, live, path, depth + 1),
                    None => Some(Difference { path, wanted: value.clone(), has: None }),
                }
            })
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
            items.iter().zip(others).enumerate().find_map(|(index, (item, other))| {
                let named = [item.pointer("/metadata/name"), item.get("name")].into_iter().flatten();
                let name = named.filter_map(Value::as_str).next().map_or_else(|| index.to_string(), str::to_owned);
                difference(item, other, path.item(&name, index), depth + 1)
            })
        }
        (Value::String(a), Value::String(b)) => {
            let nanos = |text: &str| reckon_model::Quantity::new(text).nanos();
            if a == b || (nanos(a).is_some() && nanos(a) == nanos(b)) { None } else { differs(path) }
        }
        // A number may be written as a text.
        (wanted, live) if wanted == live || json!(wanted.to_string()) == *live => None,
        _ => differs(path),
    }
}
