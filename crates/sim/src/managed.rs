//! `metadata.managedFields`: which field was last written by whom, kept as the real server keeps it for updates.

use crate::clock::seconds;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Notes that `manager` made `new` out of `old` (`None`: created it). `sub` is the sub-resource, empty for none.
pub(crate) fn note(old: Option<&Value>, new: &mut Value, manager: &str, sub: &str, api_version: &str, now: Timestamp) {
    let mut entries =
        old.map_or(Vec::new(), |old| old["metadata"]["managedFields"].as_array().cloned().unwrap_or_default());
    if let Some(meta) = new["metadata"].as_object_mut() {
        meta.remove("managedFields");
    }
    let before = old.map_or_else(|| json!({}), owned);
    let changed = set(&before, &owned(new));
    let gone = set(&owned(new), &before);
    if changed.is_empty() && gone.is_empty() {
        set_entries(new, entries);
        return;
    }
    for entry in &mut entries {
        if let Some(fields) = entry["fieldsV1"].as_object_mut() {
            without(fields, &changed);
            without(fields, &gone);
        }
    }
    entries.retain(|entry| entry["fieldsV1"].as_object().is_some_and(|fields| !fields.is_empty()));
    let mine = |entry: &Value| {
        entry["manager"] == manager
            && entry["operation"] == "Update"
            && entry["subresource"].as_str().unwrap_or_default() == sub
    };
    let mut entry = entries.iter().position(mine).map_or_else(|| json!({"fieldsV1": {}}), |at| entries.remove(at));
    if let Some(fields) = entry["fieldsV1"].as_object_mut() {
        with(fields, changed);
    }
    let mut full = json!({
        "manager": manager,
        "operation": "Update",
        "apiVersion": api_version,
        "time": seconds(now),
        "fieldsType": "FieldsV1",
        "fieldsV1": entry["fieldsV1"],
    });
    if !sub.is_empty() {
        full["subresource"] = sub.into();
    }
    if full["fieldsV1"].as_object().is_some_and(|fields| !fields.is_empty()) {
        entries.push(full);
    }
    set_entries(new, entries);
}

fn set_entries(object: &mut Value, entries: Vec<Value>) {
    if !entries.is_empty() {
        object["metadata"]["managedFields"] = entries.into();
    }
}

/// The object without what nobody owns.
fn owned(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("kind");
        fields.remove("apiVersion");
        if let Some(meta) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.retain(|key, _| matches!(key.as_str(), "labels" | "annotations" | "ownerReferences" | "finalizers"));
            if meta.is_empty() {
                fields.remove("metadata");
            }
        }
    }
    object
}

/// The fields that `new` has and `old` has not, or has differently, as `fieldsV1` writes them.
fn set(old: &Value, new: &Value) -> Map<String, Value> {
    let mut fields = Map::new();
    match new {
        Value::Object(members) => {
            for (key, value) in members {
                let before = &old[key.as_str()];
                if before == value {
                    continue;
                }
                let inner = match value {
                    Value::Object(map) if map.is_empty() => Map::new(),
                    Value::Object(_) => set(before, value),
                    Value::Array(items) if items.iter().all(|item| key_of(item).is_some()) => set_items(before, items),
                    _ => Map::new(),
                };
                fields.insert(format!("f:{key}"), inner.into());
            }
        }
        _ => return fields,
    }
    fields
}

fn set_items(old: &Value, items: &[Value]) -> Map<String, Value> {
    let mut fields = Map::new();
    let before = old.as_array().map_or(&[][..], Vec::as_slice);
    for item in items {
        let Some(key) = key_of(item) else { continue };
        let twin = before.iter().find(|before| key_of(before).as_ref() == Some(&key)).unwrap_or(&Value::Null);
        if twin == item {
            continue;
        }
        let mut inner = set(twin, item);
        if twin.is_null() {
            inner.insert(".".to_owned(), json!({}));
        }
        fields.insert(format!("k:{key}"), inner.into());
    }
    fields
}

/// What names an item of a list among its like.
fn key_of(item: &Value) -> Option<String> {
    let item = item.as_object()?;
    for keys in
        [&["containerPort", "protocol"][..], &["port", "protocol"], &["uid"], &["name"], &["type"], &["ip"], &["key"]]
    {
        if keys.iter().all(|key| item.contains_key(*key)) {
            let named: Map<String, Value> = keys.iter().map(|key| ((*key).to_owned(), item[*key].clone())).collect();
            return Some(Value::from(named).to_string());
        }
    }
    None
}

fn with(fields: &mut Map<String, Value>, more: Map<String, Value>) {
    for (key, value) in more {
        match (fields.get_mut(&key).and_then(Value::as_object_mut), value) {
            (Some(inner), Value::Object(value)) => with(inner, value),
            (_, value) => {
                fields.insert(key, value);
            }
        }
    }
}

fn without(fields: &mut Map<String, Value>, less: &Map<String, Value>) {
    for (key, value) in less {
        let Some(inner) = fields.get_mut(key).and_then(Value::as_object_mut) else { continue };
        let leaf = value.as_object().is_none_or(Map::is_empty);
        if !leaf {
            without(inner, value.as_object().unwrap_or(&Map::new()));
        }
        if leaf || inner.is_empty() {
            fields.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_belongs_to_who_wrote_it_last() {
        let now = Timestamp::UNIX_EPOCH;
        let mut made = json!({"metadata": {"name": "a"}, "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "app", "image": "a:1"}]}}}});
        note(None, &mut made, "kubectl", "", "apps/v1", now);
        let mut scaled = made.clone();
        scaled["spec"]["replicas"] = 3.into();
        note(Some(&made), &mut scaled, "autoscaler", "scale", "apps/v1", now);
        let entries = scaled["metadata"]["managedFields"].as_array().unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0]["fieldsV1"]["f:spec"].get("f:replicas"), None);
        let app = r#"k:{"name":"app"}"#;
        assert_eq!(entries[0]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"][app]["f:image"], json!({}));
        assert_eq!(entries[1]["fieldsV1"], json!({"f:spec": {"f:replicas": {}}}));
        assert_eq!(entries[1]["subresource"], "scale");
    }
}
