//! Cells that several kinds have.

use super::age;
use crate::resource::plain;
use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) fn created(object: &Value, now: Timestamp) -> Value {
    age(&object["metadata"]["creationTimestamp"], now).into()
}

pub(super) fn containers(object: &Value, _: Timestamp) -> Value {
    let list = object["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten();
    some(list.map(|container| plain(&container["name"])), "")
}

pub(super) fn images(object: &Value, _: Timestamp) -> Value {
    let list = object["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten();
    some(list.map(|container| plain(&container["image"])), "")
}

pub(super) fn selector(object: &Value, _: Timestamp) -> Value {
    let selector = &object["spec"]["selector"];
    pairs(if selector["matchLabels"].is_object() { &selector["matchLabels"] } else { selector })
}

pub(super) fn pairs(labels: &Value) -> Value {
    let pairs = labels.as_object().into_iter().flatten();
    some(pairs.map(|(key, value)| format!("{key}={}", plain(value))), "<none>")
}

/// Texts with commas between them, the empty ones left out.
pub(super) fn some(texts: impl Iterator<Item = String>, none: &str) -> Value {
    let texts: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
    if texts.is_empty() { none.into() } else { texts.join(",").into() }
}

pub(super) fn subjects(binding: &Value, kind: &str) -> Value {
    let subjects = binding["subjects"].as_array().into_iter().flatten().filter(|subject| subject["kind"] == kind);
    let name = |subject: &Value| match subject["namespace"].as_str() {
        Some(namespace) => format!("{namespace}/{}", plain(&subject["name"])),
        None => plain(&subject["name"]),
    };
    some(subjects.map(name), "")
}

pub(super) fn endpoints(subsets: &Value) -> Value {
    let mut ends = Vec::new();
    for subset in subsets.as_array().into_iter().flatten() {
        for address in subset["addresses"].as_array().into_iter().flatten() {
            for port in subset["ports"].as_array().into_iter().flatten() {
                ends.push(format!("{}:{}", plain(&address["ip"]), plain(&port["port"])));
            }
        }
    }
    some(ends.into_iter(), "<none>")
}

pub(super) fn modes(modes: &Value) -> Value {
    let short = |mode: &Value| match plain(mode).as_str() {
        "ReadWriteOnce" => "RWO".to_owned(),
        "ReadOnlyMany" => "ROX".to_owned(),
        "ReadWriteMany" => "RWX".to_owned(),
        "ReadWriteOncePod" => "RWOP".to_owned(),
        other => other.to_owned(),
    };
    some(modes.as_array().into_iter().flatten().map(short), "")
}

pub(super) fn ended_or(object: &Value, phase: &Value) -> Value {
    if object["metadata"]["deletionTimestamp"].is_string() { json!("Terminating") } else { phase.clone() }
}

pub(super) fn or_na(value: &Value) -> Value {
    if value.is_null() { "N/A".into() } else { plain(value).into() }
}

pub(super) fn size(map: &Value) -> usize {
    map.as_object().map_or(0, serde_json::Map::len)
}
