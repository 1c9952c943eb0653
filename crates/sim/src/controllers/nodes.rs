//! Nodes that go away without a word, and what follows: unknown, tainted, their pods unready and at last evicted.

use super::{after, condition, ending, events, name, namespace, set_condition, time};
use crate::clock::seconds;
use crate::world::World;
use serde_json::{Value, json};

/// Since when a node is gone: an annotation, so that it is part of the state.
const GONE: &str = "sim.reckon.dev/gone-since";

/// How long the node controller waits for a heartbeat (`--node-monitor-grace-period`).
const GRACE: i64 = 50;

/// How long a pod stays where its tolerations do not say (`--default-unreachable-toleration-seconds`).
const STAYS: i64 = 300;

const TAINT: &str = "node.kubernetes.io/unreachable";

impl World {
    /// A node's machine dies: its kubelet says nothing more.
    pub fn lose_node(&mut self, node: &str) {
        let now = seconds(self.now);
        self.edit("nodes", "", node, "sim", |node| node["metadata"]["annotations"][GONE] = now.into());
    }

    /// It is there again.
    pub fn revive_node(&mut self, node: &str) {
        self.edit("nodes", "", node, "sim", |node| {
            if let Some(annotations) = node["metadata"]["annotations"].as_object_mut() {
                annotations.remove(GONE);
            }
        });
    }
}

pub(super) fn gone(node: &Value) -> bool {
    node["metadata"]["annotations"][GONE].is_string()
}

pub(super) fn run(world: &mut World) {
    for node in world.all("nodes") {
        let since = time(&node["metadata"]["annotations"][GONE]);
        let unknown = condition(&node, "Ready")["status"] == "Unknown";
        match since {
            None if unknown => recover(world, &node),
            None => {}
            Some(since) if world.now < after(since, GRACE) => world.due_at(after(since, GRACE)),
            Some(_) if !unknown => give_up(world, &node),
            Some(since) => evict(world, &node, after(since, GRACE)),
        }
    }
}

fn give_up(world: &mut World, node: &Value) {
    let now = seconds(world.now);
    world.edit("nodes", "", name(node), "kube-controller-manager", |node| {
        for kind in ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"] {
            let message = "Kubelet stopped posting node status.";
            set_condition(&mut node["status"], kind, "Unknown", "NodeStatusUnknown", message, &now);
        }
        let mut taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
        taints.extend(
            ["NoSchedule", "NoExecute"].map(|effect| json!({"key": TAINT, "effect": effect, "timeAdded": now})),
        );
        node["spec"]["taints"] = taints.into();
    });
    let message = format!("Node {} status is now: NodeNotReady", name(node));
    events::say(world, "Node", node, "", false, "NodeNotReady", &message, "node-controller");
    for pod in world.all("pods").iter().filter(|pod| pod["spec"]["nodeName"] == name(node)) {
        world.edit("pods", namespace(pod), name(pod), "kube-controller-manager", |pod| {
            set_condition(&mut pod["status"], "Ready", "False", "", "", &now);
        });
        events::say(world, "Pod", pod, "", true, "NodeNotReady", "Node is not ready", "node-controller");
    }
}

/// Pods whose toleration has run out are deleted; they stay ending, as no kubelet confirms their end.
fn evict(world: &mut World, node: &Value, tainted: jiff::Timestamp) {
    for pod in world.all("pods").iter().filter(|pod| pod["spec"]["nodeName"] == name(node) && !ending(pod)) {
        let tolerations = pod["spec"]["tolerations"].as_array().into_iter().flatten();
        let of = tolerations.clone().find(|toleration| toleration["key"].is_null() || toleration["key"] == TAINT);
        let stays = match of {
            Some(toleration) if toleration["tolerationSeconds"].is_null() => continue,
            Some(toleration) => toleration["tolerationSeconds"].as_i64().unwrap_or(STAYS),
            None => STAYS,
        };
        let until = after(tainted, stays);
        if world.now < until {
            world.due_at(until);
        } else {
            let message = format!("Marking for deletion Pod {}/{}", namespace(pod), name(pod));
            events::say(world, "Pod", pod, "", false, "TaintManagerEviction", &message, "taint-eviction-controller");
            let _ = world.delete("pods", namespace(pod), name(pod));
        }
    }
}

fn recover(world: &mut World, node: &Value) {
    let now = seconds(world.now);
    world.edit("nodes", "", name(node), "kubelet", |node| {
        for (kind, value, reason, message) in [
            ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ] {
            set_condition(&mut node["status"], kind, value, reason, message, &now);
        }
        if let Some(taints) = node["spec"]["taints"].as_array_mut() {
            taints.retain(|taint| taint["key"] != TAINT);
        }
    });
    let message = format!("Node {} status is now: NodeReady", name(node));
    events::say(world, "Node", node, "", false, "NodeReady", &message, "kubelet");
}
