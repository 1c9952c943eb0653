//! Configuration that a container reads and that was changed before it began to end.

use super::Crash;
use crate::detectors::revision::{self, Suspect};
use crate::{Fact, describe, history, ownership};
use jiff::SignedDuration;
use reckon_model::document::{
    Alternative, Cause, CauseKind, Ref, Remedy, RemedyKind, Requires, Risk, Role, Source, Verdict,
};
use reckon_model::{Change, FieldChange, Kind, LogLine, Object, ResourceRef, Verb, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A change that was lived with for a day did not make what fails now.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);
/// Clocks differ by less.
const SLACK: SignedDuration = SignedDuration::from_secs(60);
/// Longer values are not repeated in a cause.
const LONG: usize = 200;

/// What was changed of what the container reads.
#[derive(Default)]
pub(super) struct Changed<'a> {
    /// The change that the log names.
    pub(super) culprit: Option<Culprit<'a>>,
    /// Changes that it does not.
    pub(super) alternatives: Vec<Alternative>,
}

/// A changed object with the key the log speaks of.
pub(super) struct Culprit<'a> {
    object: &'a Object,
    change: Change,
    key: Option<String>,
}

/// What of the container's ConfigMaps and Secrets was changed after the template and before the trouble.
pub(super) fn changed<'a>(crash: &Crash<'_, 'a>, suspect: Option<&Suspect>, line: Option<&LogLine>) -> Changed<'a> {
    let mut changed = Changed::default();
    let Some(end) = crash.end.filter(|_| crash.not_started.is_none()) else { return changed };
    let onset = revision::onset(crash.subject, crash.status, end);
    let since = onset.and_then(|onset| onset.checked_sub(WINDOW).ok());
    // The instance that died has read what was there when it started.
    let until = end.started_at.or(end.finished_at).and_then(|at| at.checked_add(SLACK).ok());
    for (reference, variables) in consumed(crash) {
        let Some(object) = crash.view.look_up(&reference).found() else { continue };
        let newest = history::changes(crash.view, object).into_iter().filter(of_content).rfind(|change| {
            until.is_none_or(|until| change.at <= until) && since.is_none_or(|since| change.at >= since)
        });
        let Some(change) = newest else { continue };
        // The newer of two changes explains what began after it.
        if suspect.is_some_and(|suspect| suspect.blame.change.at > change.at) {
            continue;
        }
        let says = line.map(|line| line.text.as_str()).unwrap_or_default();
        let said = |name: &str| name.len() > 2 && says.contains(name);
        let keys = keys(object, &change);
        let variable = variables.iter().find(|(variable, key)| keys.contains(key) && said(variable));
        let key = keys.iter().find(|key| said(key)).or(variable.map(|(_, key)| key)).cloned();
        let named = key.is_some() || said(&object.meta.name);
        if named && changed.culprit.is_none() {
            changed.culprit = Some(Culprit { object, change, key });
        } else {
            changed.alternatives.push(alternative(object, &change));
        }
    }
    changed
}

fn alternative(object: &Object, change: &Change) -> Alternative {
    let by = change.actor.as_ref().map(|actor| format!(" by {}", actor.manager)).unwrap_or_default();
    Alternative {
        reference: Some(Ref::from(&object.reference())),
        verdict: Verdict::Possible,
        sentence: format!(
            "{} {} was changed at {}{by}, and the container reads it; what it says does not name what was changed. Putting the earlier content back would settle it.",
            object.kind,
            describe::object(object),
            describe::time(change.at)
        ),
    }
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
fn keys(object: &Object, change: &Change) -> Vec<String> {
    let changed: Vec<String> = change
        .fields
        .iter()
        .filter_map(|field| held(&field.pointer))
        .filter(|key| !key.is_empty())
        .map(|key| key.replace("~1", "/").replace("~0", "~"))
        .collect();
    match &object.body {
        reckon_model::Body::Config(config) if changed.is_empty() => config.keys.iter().flatten().cloned().collect(),
        _ => changed,
    }
}

/// The ConfigMaps and Secrets that a container reads, with the variables a program knows their keys by. The path
/// of a mount names all of its keys, and so none that changed.
fn consumed(crash: &Crash<'_, '_>) -> BTreeMap<ResourceRef, Vec<(String, String)>> {
    let namespace = crash.subject.meta.namespace.as_deref();
    let mut found: BTreeMap<ResourceRef, Vec<(String, String)>> = BTreeMap::new();
    let mut add = |kind: Kind, name: &str, called: Option<(&str, &str)>| {
        let entry = found.entry(ResourceRef::new(kind, namespace, name)).or_default();
        entry.extend(called.map(|(variable, key)| (variable.to_owned(), key.to_owned())));
    };
    for variable in &crash.container.env {
        let Some(source) = &variable.value_from else { continue };
        if let Some(from) = &source.config_map_key_ref {
            add(Kind::ConfigMap, &from.name, Some((&variable.name, &from.key)));
        }
        if let Some(from) = &source.secret_key_ref {
            add(Kind::Secret, &from.name, Some((&variable.name, &from.key)));
        }
    }
    for from in &crash.container.env_from {
        if let Some(map) = &from.config_map_ref {
            add(Kind::ConfigMap, &map.name, None);
        }
        if let Some(secret) = &from.secret_ref {
            add(Kind::Secret, &secret.name, None);
        }
    }
    for mount in &crash.container.volume_mounts {
        let Some(volume) = crash.pod.spec.volumes.iter().find(|volume| volume.name == mount.name) else { continue };
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

impl Culprit<'_> {
    /// `ConfigMap settings`.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.object.kind, self.object.meta.name)
    }

    fn field(&self) -> Option<usize> {
        let key = self.key.as_deref()?;
        self.change.fields.iter().position(|field| field.pointer.ends_with(&reckon_model::diff::escape(key)))
    }

    pub(super) fn cause(&self, container: &str, said: Option<&str>) -> Cause {
        let by = self.change.actor.as_ref().map(|actor| format!(" by {}", actor.manager)).unwrap_or_default();
        let what = self.key.as_ref().map(|key| format!("{key} in ")).unwrap_or_default();
        let says = said.map(|said| format!(", saying: {}", text::shorten(said, 120))).unwrap_or_default();
        let sentence = format!(
            "{what}{} was changed at {}{by}; {container} reads it and ends since{says}.",
            self.name(),
            describe::time(self.change.at)
        );
        let mut cause = Cause::changed(&self.change, self.field().unwrap_or(usize::MAX), sentence);
        cause.kind = CauseKind::Change;
        cause.managed_by = ownership::managed_by(self.object).map(str::to_owned);
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
    pub(super) fn fact(&self) -> Option<Fact> {
        let by = self.change.actor.as_ref().map(|actor| format!("  ({})", actor.manager)).unwrap_or_default();
        let text = format!("{} was written{by}", self.object.reference());
        let unknown = self.field().is_none();
        unknown.then(|| Fact::new(Role::Cause, Source::Change, Some(self.change.at), self.object, text))
    }

    pub(super) fn remedy(&self) -> Remedy {
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
            managed_by: ownership::managed_by(self.object).map(str::to_owned),
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
