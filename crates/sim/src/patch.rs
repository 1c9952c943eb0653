//! Patches: merge, JSON patch, strategic merge.

use crate::body::Answer;
use crate::request::{Call, Target};
use crate::resource::Resource;
use crate::status::ApiError;
use crate::world::{World, whole};
use crate::write::{By, key_of};
use serde_json::{Map, Value};

const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

impl World {
    pub(crate) fn patch_called(&mut self, call: &Call, target: &Target, table: usize) -> Result<Answer, ApiError> {
        let resource = self.tables[table].resource.clone();
        let manager = call.manager();
        let by = By { manager: &manager, sub: target.sub(), version: &target.version, dry_run: call.dry_run()? };
        let made = self.change(table, &key_of(target), by, |old| {
            let old = whole(&resource, &target.version, old.clone());
            patched(call, &resource, &old)
        })?;
        Ok(Answer::json(200, &whole(&resource, &target.version, made)))
    }
}

/// The object after the patch in the body of the call.
pub(crate) fn patched(call: &Call, resource: &Resource, old: &Value) -> Result<Value, ApiError> {
    let media = call.header("content-type").split(';').next().unwrap_or_default().trim();
    if media == APPLY {
        // Ownership of fields by sets, and conflicts, are beyond what this server is for.
        let message =
            "this simulated server does not take server-side apply: send a merge, JSON or strategic merge patch";
        return Err(ApiError::new(415, "UnsupportedMediaType", message));
    }
    let accepted: &[&str] =
        if resource.built_in { &[JSON_PATCH, MERGE, STRATEGIC, APPLY] } else { &[JSON_PATCH, MERGE, APPLY] };
    if !accepted.contains(&media) {
        return Err(ApiError::unsupported_media(accepted));
    }
    let bad = |error: &dyn std::fmt::Display| ApiError::bad_request(format!("error decoding patch: {error}"));
    let patch: Value = serde_json::from_slice(&call.body).map_err(|error| bad(&error))?;
    let mut new = old.clone();
    match media {
        JSON_PATCH => {
            let patch: json_patch::Patch = serde_json::from_value(patch).map_err(|error| bad(&error))?;
            json_patch::patch(&mut new, &patch).map_err(|error| {
                let message = format!("the server rejected our request due to an error in our request: {error}");
                ApiError::new(422, "Invalid", message)
            })?;
        }
        _ if !patch.is_object() => return Err(bad(&"it is no JSON object")),
        STRATEGIC => strategic(&mut new, &patch),
        _ => json_patch::merge(&mut new, &patch),
    }
    Ok(new)
}

/// What names the items of a list that strategic patches merge; `None` for lists that are replaced.
fn merge_key(list: &str, items: &[Value]) -> Option<&'static str> {
    Some(match list {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "secrets" => "name",
        "ports" if items.iter().any(|item| !item["containerPort"].is_null()) => "containerPort",
        "ports" => "port",
        "volumeMounts" => "mountPath",
        "volumeDevices" => "devicePath",
        "conditions" | "addresses" => "type",
        "ownerReferences" => "uid",
        "hostAliases" => "ip",
        "topologySpreadConstraints" => "topologyKey",
        "taints" => "key",
        _ => return None,
    })
}

/// Applies a strategic merge patch.
pub(crate) fn strategic(target: &mut Value, patch: &Value) {
    let Some(members) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if members.get("$patch").is_some_and(|how| how == "replace") {
        *target = without_directives(members);
        return;
    }
    if !target.is_object() {
        *target = Map::new().into();
    }
    if let Some(kept) = members.get("$retainKeys").and_then(Value::as_array)
        && let Some(fields) = target.as_object_mut()
    {
        fields.retain(|key, _| kept.iter().any(|kept| kept == key.as_str()));
    }
    for (key, value) in members {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            if let Some(items) = target[list].as_array_mut() {
                items.retain(|item| !value.as_array().is_some_and(|gone| gone.contains(item)));
            }
            continue;
        }
        if key.starts_with('$') {
            continue;
        }
        match value {
            Value::Null => {
                if let Some(fields) = target.as_object_mut() {
                    fields.remove(key);
                }
            }
            Value::Object(inner) if inner.get("$patch").is_some_and(|how| how == "delete") => {
                if let Some(fields) = target.as_object_mut() {
                    fields.remove(key);
                }
            }
            Value::Object(_) => strategic(&mut target[key.as_str()], value),
            Value::Array(items) if key == "finalizers" => {
                let mut all = target[key.as_str()].as_array().cloned().unwrap_or_default();
                all.extend(items.iter().filter(|item| !all.contains(item)).cloned().collect::<Vec<_>>());
                target[key.as_str()] = all.into();
            }
            Value::Array(items) => match merge_key(key, items) {
                Some(by) => merge_items(&mut target[key.as_str()], items, by),
                None => target[key.as_str()] = value.clone(),
            },
            _ => target[key.as_str()] = value.clone(),
        }
    }
}

fn merge_items(target: &mut Value, items: &[Value], by: &str) {
    let mut all = match target.take() {
        Value::Array(all) => all,
        _ => Vec::new(),
    };
    if items.iter().any(|item| item["$patch"] == "replace") {
        all.clear();
    }
    for item in items {
        match (item["$patch"].as_str(), all.iter().position(|known| known[by] == item[by])) {
            (Some("replace"), _) => {}
            (Some("delete"), Some(at)) => {
                all.remove(at);
            }
            (Some("delete"), None) => {}
            (_, Some(at)) => strategic(&mut all[at], item),
            (_, None) => all.push(item.as_object().map_or_else(|| item.clone(), without_directives)),
        }
    }
    *target = all.into();
}

fn without_directives(members: &Map<String, Value>) -> Value {
    let kept = members.iter().filter(|(key, value)| !key.starts_with('$') && !value.is_null());
    kept.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_strategic_patch_merges_named_items_and_replaces_other_lists() {
        let mut pod = json!({"spec": {
            "containers": [{"name": "a", "image": "a:1", "args": ["x"]}, {"name": "b", "image": "b:1"}],
            "tolerations": [{"key": "k"}],
        }});
        let patch = json!({"spec": {
            "$setElementOrder/containers": [{"name": "a"}],
            "containers": [{"name": "a", "image": "a:2", "args": ["y"]}, {"name": "b", "$patch": "delete"}, {"name": "c"}],
            "tolerations": [],
        }});
        strategic(&mut pod, &patch);
        assert_eq!(
            pod,
            json!({"spec": {"containers": [{"name": "a", "image": "a:2", "args": ["y"]}, {"name": "c"}], "tolerations": []}})
        );
    }
}
