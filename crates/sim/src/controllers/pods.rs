//! Pods as their controllers make and count them.

use super::{ending, is_true, name, namespace};
use crate::world::{World, controlled_by};
use serde_json::{Value, json};

/// Whether it counts among its owner's replicas.
pub(super) fn active(pod: &Value) -> bool {
    !ending(pod) && !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

pub(super) fn ready(pod: &Value) -> bool {
    !ending(pod) && is_true(pod, "Ready")
}

/// Makes a pod from its owner's template, under a name or a prefix of one; says so as the owner's controller.
pub(super) fn make(
    world: &mut World,
    owner: &Value,
    kind: &str,
    api_version: &str,
    fixed: Option<&str>,
    change: impl FnOnce(&mut Value),
) -> Result<(), String> {
    let template = &owner["spec"]["template"];
    let mut pod = json!({"metadata": template["metadata"], "spec": template["spec"]});
    if !pod["metadata"].is_object() {
        pod["metadata"] = json!({});
    }
    pod["metadata"]["namespace"] = namespace(owner).into();
    pod["metadata"]["ownerReferences"] = controlled_by(api_version, kind, owner);
    match fixed {
        Some(name) => pod["metadata"]["name"] = name.into(),
        None => pod["metadata"]["generateName"] = format!("{}-", name(owner)).into(),
    }
    change(&mut pod);
    let by = format!("{}-controller", kind.to_ascii_lowercase());
    match world.create_as("pods", pod, "kube-controller-manager") {
        Ok(made) => {
            let message = format!("Created pod: {}", name(&made));
            super::events::say(world, kind, owner, "", false, "SuccessfulCreate", &message, &by);
            Ok(())
        }
        Err(error) => {
            let message = format!("Error creating: {error}");
            super::events::say_at_times(world, kind, owner, "", true, "FailedCreate", &message, &by);
            Err(error.to_string())
        }
    }
}

/// Deletes a pod as its owner's controller.
pub(super) fn delete(world: &mut World, owner: &Value, kind: &str, pod: &Value) {
    if world.delete("pods", namespace(pod), name(pod)).is_ok() {
        let message = format!("Deleted pod: {}", name(pod));
        let by = format!("{}-controller", kind.to_ascii_lowercase());
        super::events::say(world, kind, owner, "", false, "SuccessfulDelete", &message, &by);
    }
}

/// Writes an owner's status, where it is another.
pub(super) fn report(world: &mut World, resource: &str, owner: &Value, status: Value) {
    if owner["status"] != status {
        world.edit(resource, namespace(owner), name(owner), "kube-controller-manager", |object| {
            object["status"] = status;
        });
    }
}
