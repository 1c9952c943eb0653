//! Words that all detectors use alike.

use reckon_model::{Change, FieldChange, Object, ResourceRef, Timestamp, text};
use serde_json::Value;

/// `namespace/name` as people say it, the bare name for cluster-scoped objects.
pub fn name(reference: &ResourceRef) -> String {
    match &reference.namespace {
        Some(namespace) => format!("{namespace}/{}", reference.name),
        None => reference.name.clone(),
    }
}

/// As [`name`], of an object.
pub fn object(object: &Object) -> String {
    name(&object.reference())
}

/// The time of day in UTC, as sentences say it.
pub fn time(at: Timestamp) -> String {
    at.strftime("%H:%M:%S UTC").to_string()
}

/// A change of one field in words: `changed from 256Mi to 64Mi at 14:02:31 UTC by kubectl-edit`.
pub fn change(change: &Change, field: &FieldChange) -> String {
    let what = match (&field.from, &field.to) {
        (Some(from), Some(to)) => format!("changed from {} to {}", value(from), value(to)),
        (None, Some(to)) => format!("set to {}", value(to)),
        (Some(from), None) => format!("removed (it was {})", value(from)),
        (None, None) => "changed".to_owned(),
    };
    let by = change.actor.as_ref().map(|actor| format!(" by {}", actor.manager)).unwrap_or_default();
    format!("{what} at {}{by}", time(change.at))
}

/// A value as sentences show it: bare strings, short JSON for the rest.
pub fn value(value: &Value) -> String {
    match value {
        Value::String(text) => text::shorten(text, 80).into_owned(),
        other => text::shorten(&other.to_string(), 80).into_owned(),
    }
}
