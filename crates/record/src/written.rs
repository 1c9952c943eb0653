//! What people wrote of an object: what a record compares and keeps.

mod slim;

use crate::noise::Noise;
use reckon_detect::redact::REDACTED;
use reckon_model::{Body, Kind, Object};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What is in the place of a value that was not read: those of Secrets never are, and of ConfigMaps seldom. Their names are
/// known from who owns them.
pub const UNREAD: &str = "[not read]";

/// What says who, when and which object; no part of what was written.
const IDENTITY: [&str; 6] =
    ["name", "namespace", "uid", "creationTimestamp", "generateName", "deletionGracePeriodSeconds"];

/// What people wrote of an object.
pub(crate) struct Text {
    /// Without what the rules leave out.
    pub(crate) written: Value,
    /// All of it, where that is kept.
    pub(crate) live: Option<Arc<Value>>,
}

/// Reads an object. Of Pods and EndpointSlices it is what the decoder keeps of them; of all others everything.
pub(crate) fn read(object: &Object, noise: &Noise) -> Text {
    let live = object.whole();
    let mut written = match (&object.body, &live) {
        // A captured pod is kept whole, a watched one is not: both are told alike.
        (Body::Pod(pod), _) => slim::pod(&object.meta, pod),
        (Body::EndpointSlice(slice), _) => slim::endpoint_slice(&object.meta, slice),
        (_, Some(live)) => whole(live),
        (_, None) => json!({"metadata": slim::metadata(&object.meta)}),
    };
    if let Body::Config(config) = &object.body
        && let Some(keys) = &config.keys
    {
        names_of_keys(&mut written, keys.iter().map(String::as_str), object.kind == Kind::Secret);
    }
    noise.strip(&mut written);
    if let Some(members) = written.as_object_mut() {
        crate::noise::prune(members);
    }
    Text { written, live }
}

/// Whether something of it cannot be seen: it was redacted, or never read.
pub(crate) fn hides(written: &Value) -> bool {
    match written {
        Value::String(text) => is_hidden(text),
        Value::Array(items) => items.iter().any(hides),
        Value::Object(members) => members.values().any(hides),
        _ => false,
    }
}

/// Whether a text is not what it was.
pub(crate) fn is_hidden(text: &str) -> bool {
    text == UNREAD || text.contains(REDACTED)
}

fn whole(live: &Value) -> Value {
    let Some(members) = live.as_object() else { return json!({}) };
    let mut written = Map::new();
    for (key, value) in members {
        match key.as_str() {
            "kind" | "apiVersion" => {}
            "metadata" => {
                let kept = value.as_object().into_iter().flatten();
                let kept = kept.filter(|(key, _)| !IDENTITY.contains(&key.as_str()));
                // Half of an object, copied for nothing by all rules but one that is off.
                let kept = kept.filter(|(key, _)| *key != "managedFields");
                written.insert(key.clone(), kept.map(|(key, value)| (key.clone(), value.clone())).collect());
            }
            _ => drop(written.insert(key.clone(), value.clone())),
        }
    }
    written.into()
}

/// The names of keys whose values were not read. Of a Secret no value is kept, whatever was read.
fn names_of_keys<'a>(written: &mut Value, keys: impl Iterator<Item = &'a str>, secret: bool) {
    let Some(members) = written.as_object_mut() else { return };
    members.remove("stringData");
    let read = ["data", "binaryData"].iter().any(|part| members.get(*part).is_some_and(|part| !part.is_null()));
    if secret || !read {
        members.remove("binaryData");
        let keys: Map<String, Value> = keys.map(|key| (key.to_owned(), UNREAD.into())).collect();
        members.insert("data".to_owned(), keys.into());
    }
}
