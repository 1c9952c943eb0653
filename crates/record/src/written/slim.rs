//! Of kinds that are not kept whole: what may be written of them once they are there, and what they are told from.

use reckon_detect::redact;
use reckon_model::k8s::{Container, EndpointSlice, Pod, Resources, Toleration};
use reckon_model::shared::digest;
use reckon_model::{Meta, Quantity};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Labels, annotations, owners, finalizers.
pub(super) fn metadata(meta: &Meta) -> Value {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| drop(out.insert(key.to_owned(), value));
    if !meta.labels.is_empty() {
        put("labels", json!(*meta.labels));
    }
    if !meta.annotations.is_empty() {
        put("annotations", json!(*meta.annotations));
    }
    if !meta.finalizers.is_empty() {
        put("finalizers", json!(*meta.finalizers));
    }
    if !meta.owners.is_empty() {
        let owners = meta.owners.iter().map(|owner| {
            json!({"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid, "controller": owner.controller})
        });
        put("ownerReferences", owners.collect());
    }
    out.into()
}

/// What the API server lets people change of a pod: images, resources, tolerations, gates, deadlines, and where it may be
/// while a gate holds it. Where it is, the phase tells.
pub(super) fn pod(meta: &Meta, pod: &Pod) -> Value {
    let spec = &pod.spec;
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| drop(out.insert(key.to_owned(), value));
    put("containers", spec.containers.iter().map(container).collect());
    if !spec.init_containers.is_empty() {
        put("initContainers", spec.init_containers.iter().map(container).collect());
    }
    if !spec.ephemeral_containers.is_empty() {
        put("ephemeralContainers", spec.ephemeral_containers.iter().map(container).collect());
    }
    if !spec.tolerations.is_empty() {
        put("tolerations", spec.tolerations.iter().map(toleration).collect());
    }
    if !spec.scheduling_gates.is_empty() {
        put("schedulingGates", spec.scheduling_gates.iter().map(|gate| json!({"name": gate.name})).collect());
    }
    if !spec.node_selector.is_empty() {
        put("nodeSelector", json!(spec.node_selector));
    }
    if let Some(seconds) = spec.active_deadline_seconds {
        put("activeDeadlineSeconds", seconds.into());
    }
    if let Some(seconds) = spec.termination_grace_period_seconds {
        put("terminationGracePeriodSeconds", seconds.into());
    }
    if *spec.resources != Resources::default() {
        put("resources", resources(&spec.resources));
    }
    if *spec.affinity != reckon_model::k8s::Affinity::default() {
        put("affinity", format!("(digest {:016x})", digest(&*spec.affinity)).into());
    }
    for (key, value) in
        [("serviceAccountName", &spec.service_account_name), ("priorityClassName", &spec.priority_class_name)]
    {
        if !value.is_empty() {
            put(key, value.as_str().into());
        }
    }
    json!({"metadata": metadata(meta), "spec": out})
}

fn container(container: &Container) -> Value {
    // No image has one, and whoever writes a credential there all the same will not find it in the record.
    let mut out = json!({"name": container.name, "image": redact::text(&container.image)});
    if *container.resources != Resources::default() {
        out["resources"] = resources(&container.resources);
    }
    out
}

fn resources(resources: &Resources) -> Value {
    let amounts = |amounts: &BTreeMap<String, Quantity>| -> Value {
        amounts.iter().map(|(name, amount)| (name.clone(), Value::from(amount.to_string()))).collect()
    };
    json!({"limits": amounts(&resources.limits), "requests": amounts(&resources.requests)})
}

fn toleration(toleration: &Toleration) -> Value {
    let Toleration { key, operator, value, effect, toleration_seconds } = toleration;
    let mut out = Map::new();
    for (name, text) in [("key", key), ("operator", operator), ("value", value), ("effect", effect)] {
        if !text.is_empty() {
            out.insert(name.to_owned(), text.as_str().into());
        }
    }
    if let Some(seconds) = toleration_seconds {
        out.insert("tolerationSeconds".to_owned(), (*seconds).into());
    }
    out.into()
}

/// Who takes the traffic of a Service, where somebody writes that by hand.
pub(super) fn endpoint_slice(meta: &Meta, slice: &EndpointSlice) -> Value {
    let endpoints =
        slice.endpoints.iter().map(|endpoint| json!({"addresses": endpoint.addresses, "ready": endpoint.ready()}));
    let ports = slice.ports.iter().map(|port| json!({"name": port.name, "port": port.port}));
    json!({"metadata": metadata(meta), "endpoints": endpoints.collect::<Value>(), "ports": ports.collect::<Value>()})
}
