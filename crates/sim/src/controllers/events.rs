//! Events: one object for what is said again and again.

use super::{after, name, namespace, time};
use crate::clock::seconds;
use crate::world::World;
use serde_json::{Value, json};

/// How often that is said again which is tried again and again.
const AGAIN: i64 = 60;

/// Says what goes on being so: the same words not within a minute.
#[expect(clippy::too_many_arguments, reason = "an event has these parts, and each caller all of them")]
pub(super) fn say_at_times(
    world: &mut World,
    kind: &str,
    about: &Value,
    field: &str,
    warns: bool,
    reason: &str,
    message: &str,
    by: &str,
) {
    let (space, event) = place(about, field, reason, message);
    let last = world.get("events", &space, &event).and_then(|event| time(&event["lastTimestamp"]));
    match last.map(|last| after(last, AGAIN)).filter(|next| *next > world.now) {
        Some(next) => world.due_at(next),
        None => {
            say(world, kind, about, field, warns, reason, message, by);
            world.due_at(after(world.now, AGAIN));
        }
    }
}

/// The namespace and the name of the event that holds these words about an object.
fn place(about: &Value, field: &str, reason: &str, message: &str) -> (String, String) {
    let space = namespace(about);
    let id = super::hash(&json!([about["metadata"]["uid"], reason, message, field]));
    (if space.is_empty() { "default" } else { space }.to_owned(), format!("{}.{id}", name(about)))
}

/// Says something about an object; the same words again only raise the count.
#[expect(clippy::too_many_arguments, reason = "an event has these parts, and each caller all of them")]
pub(super) fn say(
    world: &mut World,
    kind: &str,
    about: &Value,
    field: &str,
    warns: bool,
    reason: &str,
    message: &str,
    by: &str,
) {
    let of = name(about);
    let (space, event) = place(about, field, reason, message);
    let now = seconds(world.now);
    let again = world.edit("events", &space, &event, by, |event| {
        event["count"] = (event["count"].as_i64().unwrap_or(0) + 1).into();
        event["lastTimestamp"] = now.as_str().into();
    });
    if again {
        return;
    }
    let api_version = match kind {
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" => "apps/v1",
        "Job" => "batch/v1",
        _ => "v1",
    };
    let mut object = json!({
        "metadata": {"name": event, "namespace": space},
        "involvedObject": {
            "kind": kind, "apiVersion": api_version, "namespace": about["metadata"]["namespace"], "name": of,
            "uid": about["metadata"]["uid"], "resourceVersion": about["metadata"]["resourceVersion"],
        },
        "type": if warns { "Warning" } else { "Normal" }, "reason": reason, "message": message, "count": 1,
        "firstTimestamp": now, "lastTimestamp": now, "eventTime": null,
        "source": {"component": by}, "reportingComponent": by, "reportingInstance": "",
    });
    if !field.is_empty() {
        object["involvedObject"]["fieldPath"] = field.into();
    }
    if by == "kubelet" {
        object["source"]["host"] = about["spec"]["nodeName"].clone();
    }
    // In a namespace that is ending nothing more is said.
    let _ = world.create_as("events", object, by);
}
