//! Secrets out, once, at intake.
//!
//! What looks like a credential is replaced before anything else sees it, so that every output agrees and no verdict can
//! hold one. Names of keys, objects and files are no secrets: an answer without them would be worthless.

mod addresses;
mod blocks;
#[cfg(test)]
mod carriers;
mod clients;
mod names;
mod patterns;
mod shapes;
#[cfg(test)]
mod tests;

use clients::{Client, Says};
use names::Name;
use patterns::REDACTED;
use reckon_model::k8s::{Container, ContainerState, EnvVar, PodSpec, Probe};
use reckon_model::{Body, Shared};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What is left may read anew once a part has gone; it settles after a round or two, and the bound is for the hostile.
const ROUNDS: usize = 8;

/// The text without what looks like a credential. What is redacted once stays as it is.
pub fn text(text: &str) -> Cow<'_, str> {
    let mut redacted = Cow::Borrowed(text);
    for _ in 0..ROUNDS {
        match round(&redacted) {
            Some(shorter) => redacted = Cow::Owned(shorter),
            None => break,
        }
    }
    redacted
}

/// Whether something was taken out of a text.
pub fn is_redacted(text: &str) -> bool {
    text.contains(REDACTED)
}

/// One pass; `None` if nothing looks like a credential.
fn round(text: &str) -> Option<String> {
    if !patterns::suspicious(text) {
        return None;
    }
    let spans = patterns::credentials(text);
    if spans.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for span in spans {
        out.push_str(text.get(from..span.start).unwrap_or(""));
        out.push_str(REDACTED);
        from = span.end;
    }
    out.push_str(text.get(from..).unwrap_or(""));
    Some(out)
}

/// As [`text`], in place.
pub fn in_place(line: &mut String) {
    if let Cow::Owned(redacted) = text(line) {
        *line = redacted;
    }
}

/// A whole object as JSON.
pub fn object(object: &mut Value) {
    match object {
        Value::Object(map) => {
            let kind = map.get("kind").and_then(Value::as_str);
            let (secret, config) = (kind == Some("Secret"), kind == Some("ConfigMap"));
            // A variable, or a parameter of a chart or template: the name says what the value is.
            let named_secret = map.get("name").and_then(Value::as_str).is_some_and(names::of_variable);
            for (key, value) in map.iter_mut() {
                match (key.as_str(), value) {
                    ("data" | "stringData", value) if secret => values_away(value),
                    ("binaryData", value) if config => values_away(value),
                    // Names of fields only.
                    ("fieldsV1", _) => {}
                    ("value", Value::String(value)) if named_secret => away(value),
                    (key, Value::String(value)) => field(key, value),
                    (_, value) => self::object(value),
                }
            }
        }
        Value::Array(items) => {
            let mut words = Words::default();
            for item in items {
                match item {
                    Value::String(item) => words.redact(item),
                    item => self::object(item),
                }
            }
        }
        Value::String(value) => written_or_plain(value),
        _ => {}
    }
}

/// Annotations: their names say what they hold.
pub(crate) fn annotations(annotations: &mut Shared<BTreeMap<String, String>>) {
    if !annotations.is_empty() {
        for (key, value) in annotations.iter_mut() {
            field(key, value);
        }
    }
}

/// What else of a decoded object may hold a secret; what many objects have alike is seen to one by one.
pub(crate) fn body(body: &mut Body) {
    match body {
        Body::Event(event) => in_place(&mut event.message),
        Body::StorageClass(class) => {
            for (key, value) in &mut class.parameters {
                match value {
                    Value::String(value) => field(key, value),
                    value => self::object(value),
                }
            }
        }
        _ => {}
    }
}

/// The value is not kept, whatever it is.
fn away(value: &mut String) {
    if !value.is_empty() && value != REDACTED {
        REDACTED.clone_into(value);
    }
}

fn values_away(data: &mut Value) {
    match data {
        Value::Object(entries) => entries.values_mut().for_each(|value| *value = Value::Null),
        other => *other = Value::Null,
    }
}

/// A string under a name.
fn field(name: &str, value: &mut String) {
    // Where a variable's value comes from is written `$(NAME)`, and no secret.
    let reference = value.starts_with("$(") && value.ends_with(')');
    if names::of(name) > Name::Weak && !reference {
        away(value);
    } else {
        written_or_plain(value);
    }
}

fn written_or_plain(value: &mut String) {
    if !written(value) {
        in_place(value);
    }
}

/// What `kubectl apply` sent, or anybody else: JSON written as text.
fn written(text: &mut String) -> bool {
    let looks = text.trim_start().starts_with(['{', '[']);
    let Some(mut sent) = looks.then(|| serde_json::from_str::<Value>(text).ok()).flatten() else { return false };
    let before = sent.clone();
    object(&mut sent);
    // What holds nothing stays as it was written, to the last blank.
    if sent != before {
        *text = sent.to_string();
    }
    true
}

/// The words of a command, one after the other.
#[derive(Default)]
struct Words {
    client: Option<&'static Client>,
    earlier: Vec<String>,
    /// Where in the next word a credential begins.
    next: Option<Next>,
}

enum Next {
    Whole,
    OfClient,
}

impl Words {
    /// Takes what stands after this one and before others of the same command.
    fn redact(&mut self, word: &mut String) {
        let original = word.clone();
        match (self.next.take(), self.client) {
            (Some(Next::Whole), _) if !word.starts_with('-') => away(word),
            (Some(Next::OfClient), Some(client)) => {
                if let Some(from) = client.secret_of(word) {
                    cut(word, from);
                }
            }
            _ => {
                in_place(word);
                self.next = self.flag(word);
            }
        }
        if self.client.is_none() && self.earlier.is_empty() {
            self.client = clients::client(&original);
        }
        self.earlier.push(original);
    }

    fn flag(&self, word: &mut String) -> Option<Next> {
        if let Some(client) = self.client {
            let earlier: Vec<&str> = self.earlier.iter().map(String::as_str).collect();
            match client.says(word, &earlier) {
                Says::Nothing => {}
                Says::Next => return Some(Next::OfClient),
                Says::From(from) => cut(word, from),
            }
        }
        let named = word.starts_with('-') && !word.contains(['=', ' ', '[']);
        (named && names::of(word.trim_start_matches('-')) > Name::Weak).then_some(Next::Whole)
    }
}

/// Everything from there on is a credential.
fn cut(word: &mut String, from: usize) {
    if word.len() > from && word.get(from..).is_some_and(|rest| rest != REDACTED) {
        word.truncate(from);
        word.push_str(REDACTED);
    }
}

fn arguments(arguments: &mut [String]) {
    let mut words = Words::default();
    for one in arguments {
        words.redact(one);
    }
}

/// The spec of a pod, or of what pods are made from.
pub(crate) fn pod_spec(spec: &mut PodSpec) {
    [&mut spec.containers, &mut spec.init_containers, &mut spec.ephemeral_containers]
        .into_iter()
        .flatten()
        .for_each(container);
}

fn container(container: &mut Container) {
    for EnvVar { name, value, value_from: _ } in &mut container.env {
        match value {
            Some(value) if names::of_variable(name) => away(value),
            Some(value) => in_place(value),
            None => {}
        }
    }
    arguments(&mut container.command);
    arguments(&mut container.args);
    let probes = [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe];
    for probe in probes.into_iter().flatten() {
        let Probe { http_get, exec, .. } = &mut **probe;
        if let Some(http) = http_get {
            in_place(&mut http.path);
        }
        if let Some(exec) = exec {
            arguments(&mut exec.command);
        }
    }
}

/// The state of a container: what programs say when they end, and kubelets when they cannot begin.
pub(crate) fn container_state(state: &mut ContainerState) {
    if let Some(waiting) = &mut state.waiting {
        in_place(&mut waiting.message);
    }
    if let Some(terminated) = &mut state.terminated {
        in_place(&mut terminated.message);
    }
}
