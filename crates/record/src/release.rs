//! Helm releases, as Helm keeps them: a Secret for each revision, whose labels say all but what is in it.

use crate::bound;
use crate::look::Look;
use reckon_detect::ownership;
use reckon_model::diff::diff;
use reckon_model::record::{Entry, Fact, Release};
use reckon_model::{Demand, FieldChange, Kind, Object};
use serde_json::Value;
use std::collections::BTreeMap;

/// What the revision of a release came to, where that is news.
pub(crate) fn turn(look: &Look<'_>, before: Option<&Object>, secret: &Object) -> Option<Entry> {
    let label = |object: &Object, key: &str| object.meta.labels.get(key).cloned();
    if secret.kind != Kind::Secret || label(secret, "owner").as_deref() != Some("helm") {
        return None;
    }
    let (name, status) = (label(secret, "name")?, label(secret, "status")?);
    let revision: u64 = label(secret, "version")?.parse().ok()?;
    if before.is_some_and(|before| label(before, "status").as_ref() == Some(&status)) {
        return None;
    }
    let (chart, version) = chart(look, secret.namespace(), &name).unwrap_or_default();
    let release = Release {
        objects: objects(look, secret, &name, revision),
        name,
        revision,
        status,
        chart,
        version: Some((None, version)).filter(|(_, version)| !version.is_empty()),
    };
    let told = if before.is_none() { secret.meta.created } else { modified(secret) };
    Some(look.entry(look.moment(told), secret, Fact::Release(release)))
}

/// When Helm says it last wrote, in seconds since 1970.
fn modified(secret: &Object) -> Option<reckon_model::Timestamp> {
    reckon_model::Timestamp::from_second(secret.meta.labels.get("modifiedAt")?.parse().ok()?).ok()
}

/// The chart of a release and its version, as most charts label what they make: `checkout-1.2.3`.
fn chart(look: &Look<'_>, namespace: &str, release: &str) -> Option<(String, String)> {
    let kinds = [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet, Kind::Service, Kind::ConfigMap];
    let mut own = kinds.iter().flat_map(|kind| look.state.objects(kind, Some(namespace)));
    let label = own.find_map(|object| {
        object.meta.labels.get("helm.sh/chart").filter(|_| ownership::helm_release(object) == Some(release))
    })?;
    // Names of charts may hold dashes and digits, too, and versions dashes: a version begins with three numbers.
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let at = label.match_indices('-').map(|(at, _)| at).find(|at| {
        let version = label.get(at + 1..).unwrap_or_default();
        let numbers = version.split(['-', '+', '_']).next().unwrap_or_default();
        numbers.split('.').count() == 3 && numbers.split('.').all(is_number)
    })?;
    Some((label.get(..at)?.to_owned(), label.get(at + 1..)?.to_owned()))
}

/// What differs between the manifests of a revision and of the one before, where somebody asked for both.
fn objects(look: &Look<'_>, secret: &Object, name: &str, revision: u64) -> BTreeMap<String, Vec<FieldChange>> {
    let manifest = |revision: u64| {
        let demand = Demand::HelmRevision {
            namespace: secret.namespace().to_owned(),
            secret: format!("sh.helm.release.v1.{name}.v{revision}"),
        };
        look.state.manifest(&demand)
    };
    let mut objects = BTreeMap::new();
    let (Some(old), Some(new)) = (revision.checked_sub(1).and_then(manifest), manifest(revision)) else {
        return objects;
    };
    for object in new.iter().chain(old) {
        let Some(called) = called(object) else { continue };
        let of = |objects: &[Value]| {
            objects.iter().find(|object| self::called(object).as_ref() == Some(&called)).cloned().unwrap_or_default()
        };
        let mut fields = diff(&of(old), &of(new), "", "");
        fields.iter_mut().for_each(bound::field);
        if !fields.is_empty() {
            objects.insert(called, fields);
        }
    }
    objects
}

/// `Deployment shop/checkout`.
fn called(object: &Value) -> Option<String> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let (kind, name) = (text("/kind")?, text("/metadata/name")?);
    Some(match text("/metadata/namespace") {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    })
}
