//! What a container reads of ConfigMaps and Secrets, and what was changed of it.

use crate::{Fact, View, describe, history, ownership};
use reckon_model::document::{Cause, CauseKind, Ref, Remedy, RemedyKind, Requires, Risk, Role, Source};
use reckon_model::k8s::{Container, PodSpec};
use reckon_model::{Body, Change, FieldChange, Kind, Object, ResourceRef, Timestamp, Verb};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Longer values are not repeated in a cause.
const LONG: usize = 200;

/// A ConfigMap or Secret that was changed, with the key that is to blame where that is known.
pub(crate) struct Edited<'a> {
    pub(crate) object: &'a Object,
    pub(crate) change: Change,
    pub(crate) key: Option<String>,
}

/// The newest change of what an object holds, in a stretch of time as far as its ends are known.
pub(crate) fn changed<'a>(
    view: &View<'a>,
    object: &'a Object,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Option<Change> {
    history::changes(view, object)
        .into_iter()
        .filter(of_content)
        .rfind(|change| until.is_none_or(|until| change.at <= until) && since.is_none_or(|since| change.at >= since))
}

/// Whether a change is of what an object holds, as far as its fields are known: a label is read by no program.
fn of_content(change: &Change) -> bool {
    let content = |field: &FieldChange| held(&field.pointer).is_some();
    change.verb == Verb::Updated && (change.fields.is_empty() || change.fields.iter().any(content))
}

/// The key below `/data` or `/binaryData`; nothing below them where the whole was changed.
fn held(pointer: &str) -> Option<&str> {
    ["/data", "/binaryData"]
        .iter()
        .filter_map(|start| pointer.strip_prefix(start))
        .find_map(|rest| if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') })
}

/// The keys that changed where that is known, else all there are.
pub(crate) fn keys(object: &Object, change: &Change) -> Vec<String> {
    let changed: Vec<String> = change
        .fields
        .iter()
        .filter_map(|field| held(&field.pointer))
        .filter(|key| !key.is_empty())
        .map(|key| key.replace("~1", "/").replace("~0", "~"))
        .collect();
    match &object.body {
        Body::Config(config) if changed.is_empty() => config.keys.iter().flatten().cloned().collect(),
        _ => changed,
    }
}

/// The ConfigMaps and Secrets that a container reads, with the variables a program knows their keys by. The path
/// of a mount names all of its keys, and so none that changed.
pub(crate) fn read_by(
    spec: &PodSpec,
    container: &Container,
    namespace: Option<&str>,
) -> BTreeMap<ResourceRef, Vec<(String, String)>> {
    let mut found: BTreeMap<ResourceRef, Vec<(String, String)>> = BTreeMap::new();
    let mut add = |kind: Kind, name: &str, called: Option<(&str, &str)>| {
        let entry = found.entry(ResourceRef::new(kind, namespace, name)).or_default();
        entry.extend(called.map(|(variable, key)| (variable.to_owned(), key.to_owned())));
    };
    for variable in &container.env {
        let Some(source) = &variable.value_from else { continue };
        if let Some(from) = &source.config_map_key_ref {
            add(Kind::ConfigMap, &from.name, Some((&variable.name, &from.key)));
        }
        if let Some(from) = &source.secret_key_ref {
            add(Kind::Secret, &from.name, Some((&variable.name, &from.key)));
        }
    }
    for from in &container.env_from {
        if let Some(map) = &from.config_map_ref {
            add(Kind::ConfigMap, &map.name, None);
        }
        if let Some(secret) = &from.secret_ref {
            add(Kind::Secret, &secret.name, None);
        }
    }
    for mount in &container.volume_mounts {
        let Some(volume) = spec.volumes.iter().find(|volume| volume.name == mount.name) else { continue };
        if let Some(map) = &volume.config_map {
            add(Kind::ConfigMap, &map.name, None);
        }
        if let Some(secret) = &volume.secret {
            add(Kind::Secret, &secret.name, None);
        }
        for source in volume.projected.iter().flat_map(|projected| &projected.sources) {
            if let Some(map) = source.config_map.as_ref().filter(|map| map.name != "kube-root-ca.crt") {
                add(Kind::ConfigMap, &map.name, None);
            }
            if let Some(secret) = &source.secret {
                add(Kind::Secret, &secret.name, None);
            }
        }
    }
    found
}

impl Edited<'_> {
    /// `ConfigMap settings`.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.object.kind, self.object.meta.name)
    }

    fn field(&self) -> Option<usize> {
        let key = self.key.as_deref()?;
        self.change.fields.iter().position(|field| field.pointer.ends_with(&reckon_model::diff::escape(key)))
    }

    /// It as the cause, in words that say what follows from it.
    pub(crate) fn cause(&self, follows: &str) -> Cause {
        let by = self.change.actor.as_ref().map(|actor| format!(" by {}", actor.manager)).unwrap_or_default();
        let what = self.key.as_ref().map(|key| format!("{key} in ")).unwrap_or_default();
        let at = describe::time(self.change.at);
        let sentence = format!("{what}{} was changed at {at}{by}{follows}", self.name());
        let mut cause = Cause::changed(&self.change, self.field().unwrap_or(usize::MAX), sentence);
        cause.kind = CauseKind::Change;
        cause.managed_by = ownership::managed_by(self.object);
        if let (None, Some(key)) = (&cause.field, &self.key) {
            cause.field = Some(format!("data.{key}"));
            cause.pointer = Some(format!("/data/{}", reckon_model::diff::escape(key)));
        }
        for value in [&mut cause.from, &mut cause.to] {
            if value.as_ref().and_then(Value::as_str).is_some_and(|text| text.chars().count() > LONG) {
                *value = None;
            }
        }
        cause
    }

    /// The change as a fact, where no more is known than that it was made.
    pub(crate) fn fact(&self) -> Option<Fact> {
        let by = self.change.actor.as_ref().map(|actor| format!("  ({})", actor.manager)).unwrap_or_default();
        let text = format!("{} was written{by}", self.object.reference());
        let unknown = self.field().is_none();
        unknown.then(|| Fact::new(Role::Cause, Source::Change, Some(self.change.at), self.object, text))
    }

    pub(crate) fn remedy(&self) -> Remedy {
        let before = self.field().and_then(|at| self.change.fields.get(at)).and_then(|field| field.from.clone());
        let patch = match (&self.key, before) {
            (Some(key), Some(before)) if self.object.kind == Kind::ConfigMap => Some(json!({"data": {key: before}})),
            _ => None,
        };
        let what = self.key.as_ref().map(|key| format!("{key} in ")).unwrap_or_default();
        Remedy {
            option: 0,
            kind: RemedyKind::Patch,
            reference: Some(Ref::from(&self.object.reference())),
            managed_by: ownership::managed_by(self.object),
            patch_type: patch.as_ref().map(|_| "merge".to_owned()),
            patch,
            risk: Risk::Low,
            reversible: true,
            requires: Some(Requires { verb: "patch".to_owned(), resource: self.object.kind.resource() }),
            allowed: None,
            sentence: format!("Put the earlier content of {what}{} back, then restart the pods.", self.name()),
        }
    }
}
