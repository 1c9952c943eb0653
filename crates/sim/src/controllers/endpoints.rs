//! EndpointSlices: where a Service leads, and budgets, which count the same pods.

use super::{ending, name, namespace, number, pods};
use crate::world::World;
use reckon_model::selector::LabelSelector;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn run(world: &mut World) {
    for service in world.all("services") {
        if service["spec"]["selector"].is_object() && !ending(&service) {
            slice(world, &service);
        }
    }
    for budget in world.all("poddisruptionbudgets.policy") {
        count(world, &budget);
    }
}

/// The pods of a namespace that a selector selects.
fn selected(world: &World, space: &str, selector: &LabelSelector) -> Vec<Arc<Value>> {
    let Some(table) = world.named("pods") else { return Vec::new() };
    let range = world.tables[table].range(Some(space), None);
    range.filter(|(_, stored)| selector.matches(&stored.labels)).map(|(_, stored)| stored.shared()).collect()
}

fn slice(world: &mut World, service: &Value) {
    let labels = serde_json::from_value(service["spec"]["selector"].clone()).unwrap_or_default();
    let pods = selected(world, namespace(service), &LabelSelector::exact(&labels));
    let ends: Vec<Value> = pods
        .iter()
        .filter(|pod| pod["status"]["podIP"].is_string() && !matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded")))
        .map(|pod| {
            let serving = super::is_true(pod, "Ready");
            json!({
                "addresses": [pod["status"]["podIP"]],
                "conditions": {"ready": serving && !ending(pod), "serving": serving, "terminating": ending(pod)},
                "nodeName": pod["spec"]["nodeName"],
                "targetRef": {"kind": "Pod", "namespace": namespace(pod), "name": name(pod), "uid": pod["metadata"]["uid"]},
            })
        })
        .collect();
    let ports: Vec<Value> = service["spec"]["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|port| {
            let target = match &port["targetPort"] {
                Value::String(named) => pods.iter().find_map(|pod| container_port(pod, named)).unwrap_or(Value::Null),
                number => number.clone(),
            };
            json!({"name": port["name"].as_str().unwrap_or_default(), "port": target, "protocol": port["protocol"]})
        })
        .collect();
    let slices = world.owned("endpointslices.discovery.k8s.io", service);
    let by = "kube-controller-manager";
    match slices.first() {
        Some(old) if old["endpoints"] == json!(ends) && old["ports"] == json!(ports) => {}
        Some(old) => {
            world.edit("endpointslices.discovery.k8s.io", namespace(old), name(old), by, |slice| {
                slice["endpoints"] = ends.into();
                slice["ports"] = ports.into();
            });
        }
        None => {
            let slice = json!({
                "metadata": {
                    "generateName": format!("{}-", name(service)), "namespace": namespace(service),
                    "labels": {"kubernetes.io/service-name": name(service), "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
                    "ownerReferences": crate::world::controlled_by("v1", "Service", service),
                },
                "addressType": "IPv4", "endpoints": ends, "ports": ports,
            });
            let _ = world.create_as("endpointslices.discovery.k8s.io", slice, by);
        }
    }
}

fn container_port(pod: &Value, named: &str) -> Option<Value> {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let mut ports = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
    ports.find(|port| port["name"] == named).map(|port| port["containerPort"].clone())
}

fn count(world: &mut World, budget: &Value) {
    let Ok(selector) = serde_json::from_value::<LabelSelector>(budget["spec"]["selector"].clone()) else { return };
    let all: Vec<Arc<Value>> =
        selected(world, namespace(budget), &selector).into_iter().filter(|pod| pods::active(pod)).collect();
    let total = i64::try_from(all.len()).unwrap_or(0);
    let healthy = i64::try_from(all.iter().filter(|pod| pods::ready(pod)).count()).unwrap_or(0);
    let portion = |value: &Value| match value
        .as_str()
        .and_then(|text| text.strip_suffix('%'))
        .and_then(|text| text.parse::<i64>().ok())
    {
        Some(percent) => (total * percent + 99) / 100,
        None => number(value),
    };
    let spec = &budget["spec"];
    let desired = if spec["minAvailable"].is_null() {
        total - portion(&spec["maxUnavailable"])
    } else {
        portion(&spec["minAvailable"])
    };
    let desired = desired.max(0);
    let mut status = budget["status"].clone();
    for (field, value) in [
        ("currentHealthy", healthy),
        ("desiredHealthy", desired),
        ("disruptionsAllowed", (healthy - desired).max(0)),
        ("expectedPods", total),
        ("observedGeneration", number(&budget["metadata"]["generation"])),
    ] {
        status[field] = value.into();
    }
    if let Some(status) = status.as_object_mut() {
        status.remove("disruptedPods");
    }
    pods::report(world, "poddisruptionbudgets.policy", budget, status);
}
