//! What happens to machines.

use super::Scripted;
use crate::ground::NODES;
use reckon_sim::{Behaviour, World};
use serde_json::{Value, json};

/// The machine that goes.
const LOST: &str = NODES[3].0;

/// The machine of the reports.
const BATCH: &str = NODES[6].0;

pub(super) static NODE: Scripted = Scripted {
    minute: 23,
    what: "machine ip-10-40-12-90 goes away without a word",
    ask: "node/ip-10-40-12-90",
    namespace: None,
    failure: "node-unreachable",
    shows: 120,
    begin: |world| world.lose_node(LOST),
};

pub(super) static NEIGHBOUR: Scripted = Scripted {
    minute: 34,
    what: "report-builder, without a limit, takes the memory of its machine, and the kubelet evicts its neighbours",
    ask: "node/ip-10-40-13-70",
    namespace: None,
    failure: "node-pressure",
    shows: 90,
    begin: |world| {
        let labels = [("app.kubernetes.io/name".to_owned(), "report-builder".to_owned())].into();
        let script = json!({"memoryMi": 12_600, "cpuMillis": 1900});
        world.behave("2/neighbour", Some(Behaviour { namespace: "data".to_owned(), labels, image: None, script }));
        pressure(world);
        for name in ["clickstream-rollup", "price-history"] {
            evict(world, name);
        }
    },
};

/// The kubelet says that memory runs out, and the controller keeps new pods away.
fn pressure(world: &mut World) {
    let now = world.now().to_string();
    world.edit("nodes", "", BATCH, "kubelet", |node| {
        for condition in node["status"]["conditions"].as_array_mut().into_iter().flatten() {
            if condition["type"] == "MemoryPressure" {
                *condition = json!({"type": "MemoryPressure", "status": "True", "reason": "KubeletHasInsufficientMemory",
                    "message": "kubelet has insufficient memory available", "lastHeartbeatTime": now, "lastTransitionTime": now});
            }
        }
        if let Some(taints) = node["spec"]["taints"].as_array_mut() {
            taints.push(json!({"key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule", "timeAdded": now}));
        }
    });
}

/// Evicts the pods of a workload from the machine: they use more than they request, and matter less than the reports.
fn evict(world: &mut World, name: &str) {
    let now = world.now().to_string();
    let uses = crate::company::workload("data", name).map_or(0, |workload| workload.uses.1);
    let pods: Vec<String> = world
        .objects("pods")
        .filter(|(_, stored)| stored.shared()["spec"]["nodeName"] == BATCH)
        .map(|(key, _)| key.name.to_string())
        .filter(|pod| pod.starts_with(name))
        .collect();
    for pod in pods {
        let message = format!(
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 61412Ki. Container {name} was using {}Ki, request is 256Mi, has larger consumption of memory. ",
            uses << 10
        );
        let about = world.get("pods", "data", &pod).unwrap_or_default();
        world.edit("pods", "data", &pod, "kubelet", |object| {
            let status = &mut object["status"];
            let ended = json!({"terminated": {"exitCode": 137, "reason": "Error", "startedAt": status["containerStatuses"][0]["state"]["running"]["startedAt"],
                "finishedAt": now, "containerID": status["containerStatuses"][0]["containerID"]}});
            status["phase"] = "Failed".into();
            status["reason"] = "Evicted".into();
            status["message"] = message.as_str().into();
            status["containerStatuses"][0]["state"] = ended;
            status["containerStatuses"][0]["ready"] = false.into();
            for condition in status["conditions"].as_array_mut().into_iter().flatten() {
                if matches!(condition["type"].as_str(), Some("Ready" | "ContainersReady")) {
                    condition["status"] = "False".into();
                    condition["reason"] = "PodFailed".into();
                    condition["lastTransitionTime"] = now.as_str().into();
                }
            }
            if let Some(conditions) = status["conditions"].as_array_mut() {
                conditions.push(json!({"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet", "message": message, "lastTransitionTime": now}));
            }
        });
        event(world, &about, &message, &now);
    }
}

fn event(world: &mut World, pod: &Value, message: &str, now: &str) {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let object = json!({
        "metadata": {"name": format!("{name}.evicted"), "namespace": "data"},
        "involvedObject": {"kind": "Pod", "apiVersion": "v1", "namespace": "data", "name": name, "uid": pod["metadata"]["uid"]},
        "type": "Warning", "reason": "Evicted", "message": message, "count": 1, "firstTimestamp": now, "lastTimestamp": now,
        "source": {"component": "kubelet", "host": BATCH}, "reportingComponent": "kubelet",
    });
    // A second one of a pod of the same name would be refused, and is not needed.
    let _ = world.create_as("events", object, "kubelet");
}
