//! Secrets out, once, at intake.
//!
//! What looks like a credential is replaced before anything else sees it, so that every output agrees and no verdict can
//! hold one. Names of keys, objects and files are no secrets: an answer without them would be worthless.

mod names;
mod patterns;
mod shapes;
#[cfg(test)]
mod tests;

use names::Name;
use patterns::REDACTED;
use reckon_model::k8s::{Condition, Container, ContainerStatus, EnvVar, Pod, PodSpec, Probe};
use reckon_model::object::LAST_APPLIED;
use reckon_model::{Body, Object};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

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
                    (LAST_APPLIED, Value::String(applied)) => last_applied(applied),
                    (key, Value::String(value)) => field(key, value),
                    (_, value) => self::object(value),
                }
            }
        }
        Value::Array(items) => {
            let mut flag = false;
            for item in items {
                match item {
                    Value::String(item) => flag = argument(item, flag),
                    item => self::object(item),
                }
            }
        }
        Value::String(value) => in_place(value),
        _ => {}
    }
}

/// A decoded object, its whole JSON included.
pub(crate) fn object_in_place(object: &mut Object) {
    let Object { kind: _, api_version: _, meta, body, whole } = object;
    if let Some(whole) = whole {
        self::object(Arc::make_mut(whole));
    }
    for (key, value) in &mut meta.annotations {
        field(key, value);
    }
    match body {
        Body::Pod(pod) => {
            let Pod { spec, status } = &mut **pod;
            pod_spec(spec);
            in_place(&mut status.message);
            conditions(&mut status.conditions);
            let statuses = [
                &mut status.container_statuses,
                &mut status.init_container_statuses,
                &mut status.ephemeral_container_statuses,
            ];
            statuses.into_iter().flatten().for_each(container_status);
        }
        Body::Workload(workload) => {
            template(&mut workload.spec.template);
            conditions(&mut workload.status.conditions);
        }
        Body::CronJob(cron) => template(&mut cron.spec.job_template.spec.template),
        Body::Node(node) => conditions(&mut node.status.conditions),
        Body::Claim(claim) => conditions(&mut claim.status.conditions),
        Body::Event(event) => in_place(&mut event.message),
        Body::StorageClass(class) => {
            for (key, value) in &mut class.parameters {
                match value {
                    Value::String(value) => field(key, value),
                    value => self::object(value),
                }
            }
        }
        Body::Service(_) | Body::EndpointSlice(_) | Body::Config(_) | Body::Volume(_) | Body::Bare => {}
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
        in_place(value);
    }
}

/// What `kubectl apply` sent: an object written as text.
fn last_applied(applied: &mut String) {
    match serde_json::from_str::<Value>(applied) {
        Ok(mut sent) => {
            object(&mut sent);
            *applied = sent.to_string();
        }
        Err(_) => in_place(applied),
    }
}

/// One argument; says whether the next one is a credential, as in `--password hunter2`.
fn argument(argument: &mut String, secret: bool) -> bool {
    if secret && !argument.starts_with('-') {
        away(argument);
        return false;
    }
    in_place(argument);
    argument.starts_with("--")
        && !argument.contains(['=', ' '])
        && names::of(argument.trim_start_matches('-')) > Name::Weak
}

fn arguments(arguments: &mut [String]) {
    let mut secret = false;
    for one in arguments {
        secret = argument(one, secret);
    }
}

fn template(template: &mut reckon_model::k8s::PodTemplate) {
    for (key, value) in &mut template.metadata.annotations {
        field(key, value);
    }
    pod_spec(&mut template.spec);
}

fn pod_spec(spec: &mut PodSpec) {
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
    for Probe { http_get, exec, .. } in probes.into_iter().flatten() {
        if let Some(http) = http_get {
            in_place(&mut http.path);
        }
        if let Some(exec) = exec {
            arguments(&mut exec.command);
        }
    }
}

fn container_status(status: &mut ContainerStatus) {
    for state in [&mut status.state, &mut status.last_state] {
        if let Some(waiting) = &mut state.waiting {
            in_place(&mut waiting.message);
        }
        if let Some(terminated) = &mut state.terminated {
            in_place(&mut terminated.message);
        }
    }
}

fn conditions(conditions: &mut [Condition]) {
    for condition in conditions {
        in_place(&mut condition.message);
    }
}
