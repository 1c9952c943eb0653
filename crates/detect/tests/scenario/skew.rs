//! Objects as nodes write them whose clocks are wrong.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// The object with all times moved that a kubelet wrote by its own clock: those of a pod's status and of what the kubelet
/// says in Events. Who wrote when is the API server's.
pub(super) fn by(mut object: Value, ahead: SignedDuration) -> Value {
    if ahead.is_zero() {
        return object;
    }
    match object["kind"].as_str() {
        // What no kubelet has taken has no time of one.
        Some("Pod") if object["spec"]["nodeName"].is_string() => {
            let scheduled = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            // A kubelet takes a pod as soon as it is there.
            let mut newest = None;
            times(&object["status"], &mut newest);
            if newest.is_some() && object["status"]["startTime"].is_null() {
                object["status"]["startTime"] = object["metadata"]["creationTimestamp"].clone();
            }
            times(&object["status"], &mut newest);
            moved(&mut object["status"], ahead);
            // The API server notes by its own clock when the kubelet wrote.
            if let Some(newest) = newest {
                let entry = json!({"manager": "kubelet", "operation": "Update", "subresource": "status",
                    "time": newest.to_string(), "fieldsV1": {"f:status": {}}});
                match object["metadata"]["managedFields"].as_array_mut() {
                    Some(entries) => entries.push(entry),
                    None => object["metadata"]["managedFields"] = json!([entry]),
                }
            }
            // The scheduler's clock and the controllers' are not the node's.
            for (condition, before) in
                object["status"]["conditions"].as_array_mut().into_iter().flatten().zip(scheduled)
            {
                if before["type"] == "PodScheduled" || before["type"] == "DisruptionTarget" {
                    *condition = before;
                }
            }
        }
        Some("Event") => {
            let by_node =
                [&object["source"]["component"], &object["reportingComponent"]].iter().any(|it| **it == "kubelet");
            if by_node {
                for key in ["firstTimestamp", "lastTimestamp", "eventTime", "series"] {
                    if let Some(time) = object.get_mut(key) {
                        moved(time, ahead);
                    }
                }
            }
        }
        _ => {}
    }
    object
}

fn moved(value: &mut Value, ahead: SignedDuration) {
    match value {
        Value::Object(map) => map.values_mut().for_each(|value| moved(value, ahead)),
        Value::Array(items) => items.iter_mut().for_each(|item| moved(item, ahead)),
        Value::String(text) => {
            if let Ok(at) = text.parse::<Timestamp>() {
                *text = (at + ahead).to_string();
            }
        }
        _ => {}
    }
}

/// The newest time in a value.
fn times(value: &Value, newest: &mut Option<Timestamp>) {
    match value {
        Value::Object(map) => map.values().for_each(|value| times(value, newest)),
        Value::Array(items) => items.iter().for_each(|item| times(item, newest)),
        Value::String(text) => *newest = (*newest).max(text.parse().ok()),
        _ => {}
    }
}
