//! The scheduler: a node for each pod, or the reasons why there is none.

use super::{ending, events, key, name, namespace, set_condition};
use crate::clock::seconds;
use crate::world::World;
use reckon_model::quantity::Quantity;
use serde_json::Value;
use std::collections::BTreeMap;

/// What is counted; pods are counted apart.
const RESOURCES: [&str; 2] = ["cpu", "memory"];

/// What a node has promised: CPU in thousandths, bytes of memory, pods.
type Promised = [i64; 3];

pub(super) fn run(world: &mut World) {
    let Some(table) = world.named("pods") else { return };
    // The node is the first of a pod's selectable fields: pods that have one need not be taken apart to be passed over.
    let waits = world.objects("pods").any(|(_, stored)| stored.fields.first().is_some_and(String::is_empty));
    if !waits {
        return;
    }
    let pods = world.all("pods");
    let nodes = world.all("nodes");
    let mut promised: BTreeMap<&str, Promised> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| super::pods::active(pod) || ending(pod)) {
        if let Some(node) = pod["spec"]["nodeName"].as_str() {
            add(promised.entry(node).or_default(), &pod["spec"]);
        }
    }
    for pod in &pods {
        let mine = pod["spec"]["schedulerName"] == "default-scheduler" && pod["spec"]["nodeName"].is_null();
        if !mine || ending(pod) || !super::pods::active(pod) {
            continue;
        }
        if let Some(why) = unbound(world, pod) {
            refuse(world, pod, nodes.len(), &BTreeMap::from([(why, 0)]));
            continue;
        }
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        let mut best: Option<(&str, i64)> = None;
        for node in &nodes {
            let used = promised.get(name(node)).copied().unwrap_or_default();
            match may_run(&pod["spec"], node, false)
                .map_or_else(|| lacks(&pod["spec"], node, &used), |reason| vec![reason])
            {
                none if none.is_empty() => {
                    if best.is_none_or(|(_, least)| used[2] < least) {
                        best = Some((name(node), used[2]));
                    }
                }
                why => why.into_iter().for_each(|reason| *reasons.entry(reason).or_default() += 1),
            }
        }
        match best {
            Some((node, _)) => {
                add(promised.entry(node).or_default(), &pod["spec"]);
                if world.bind(table, &key(pod), node, "kube-scheduler", false).is_ok() {
                    let message = format!("Successfully assigned {}/{} to {node}", namespace(pod), name(pod));
                    events::say(world, "Pod", pod, "", false, "Scheduled", &message, "default-scheduler");
                }
            }
            None => refuse(world, pod, nodes.len(), &reasons),
        }
    }
}

/// Why a pod may not be on a node, whatever the node has left; `None` if it may. Pods of DaemonSets bear more.
pub(super) fn may_run(spec: &Value, node: &Value, daemon: bool) -> Option<String> {
    let labels = &node["metadata"]["labels"];
    let wanted = spec["nodeSelector"].as_object().into_iter().flatten();
    if wanted.clone().any(|(key, value)| labels[key.as_str()] != *value) {
        return Some("node(s) didn't match Pod's node affinity/selector".to_owned());
    }
    if node["spec"]["unschedulable"] == true && !daemon {
        return Some("node(s) were unschedulable".to_owned());
    }
    let tolerations: Vec<&Value> = spec["tolerations"].as_array().into_iter().flatten().collect();
    let taints = node["spec"]["taints"].as_array().into_iter().flatten();
    let hard = taints.filter(|taint| taint["effect"] != "PreferNoSchedule");
    for taint in hard {
        let own = taint["key"].as_str().is_some_and(|key| daemon && key.starts_with("node.kubernetes.io/"));
        let tolerated = own
            || tolerations.iter().any(|toleration| {
                let key = toleration["key"].as_str().unwrap_or_default();
                (key.is_empty() || taint["key"] == key)
                    && (toleration["operator"] == "Exists" || toleration["value"] == taint["value"])
                    && (toleration["effect"].is_null() || toleration["effect"] == taint["effect"])
            });
        if !tolerated {
            return Some("node(s) had untolerated taint(s)".to_owned());
        }
    }
    None
}

/// What keeps a pod from all nodes: a claim that is not there, or has no volume and waits for no pod to get one.
fn unbound(world: &World, pod: &Value) -> Option<String> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    for claim in volumes.filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str()) {
        let Some(found) = world.get("persistentvolumeclaims", namespace(pod), claim) else {
            return Some(format!("persistentvolumeclaim {claim:?} not found"));
        };
        let class = found["spec"]["storageClassName"].as_str().unwrap_or_default();
        let class = world.get("storageclasses.storage.k8s.io", "", class).unwrap_or_default();
        if found["status"]["phase"] != "Bound" && class["volumeBindingMode"] != "WaitForFirstConsumer" {
            return Some("pod has unbound immediate PersistentVolumeClaims".to_owned());
        }
    }
    None
}

/// Of what a node has too little left.
fn lacks(spec: &Value, node: &Value, used: &Promised) -> Vec<String> {
    let has = |resource: &str| amount(resource, &node["status"]["allocatable"][resource]);
    let mut wants = Promised::default();
    add(&mut wants, spec);
    let mut reasons = Vec::new();
    for (i, resource) in RESOURCES.iter().enumerate() {
        if wants[i] > 0 && used[i] + wants[i] > has(resource) {
            reasons.push(format!("Insufficient {resource}"));
        }
    }
    if used[2] + 1 > has("pods") {
        reasons.push("Too many pods".to_owned());
    }
    reasons
}

fn add(to: &mut Promised, spec: &Value) {
    for container in spec["containers"].as_array().into_iter().flatten() {
        for (i, resource) in RESOURCES.iter().enumerate() {
            to[i] += amount(resource, &container["resources"]["requests"][*resource]);
        }
    }
    to[2] += 1;
}

/// A quantity: of CPU in thousandths, of everything else in its unit.
fn amount(resource: &str, value: &Value) -> i64 {
    let quantity = Quantity::new(&crate::resource::plain(value));
    let amount = if resource == "cpu" { quantity.millis() } else { quantity.value() };
    amount.unwrap_or(0)
}

fn refuse(world: &mut World, pod: &Value, nodes: usize, reasons: &BTreeMap<String, usize>) {
    // What is said of no node in particular stands without a number.
    let line =
        |(reason, count): (&String, &usize)| if *count == 0 { reason.clone() } else { format!("{count} {reason}") };
    let mut lines: Vec<String> = reasons.iter().map(line).collect();
    lines.sort();
    let lacking: usize = reasons
        .iter()
        .filter(|(why, _)| why.starts_with("Insufficient") || why.starts_with("Too many"))
        .map(|(_, n)| *n)
        .max()
        .unwrap_or(0);
    let mut preemption = Vec::new();
    if lacking > 0 {
        preemption.push(format!("{lacking} No preemption victims found for incoming pod"));
    }
    if nodes > lacking {
        preemption.push(format!("{} Preemption is not helpful for scheduling", nodes - lacking));
    }
    let message = if nodes == 0 {
        "no nodes available to schedule pods".to_owned()
    } else {
        format!(
            "0/{nodes} nodes are available: {}. preemption: 0/{nodes} nodes are available: {}.",
            lines.join(", "),
            preemption.join(", ")
        )
    };
    let known = super::condition(pod, "PodScheduled");
    if known["message"] == message {
        return;
    }
    let now = seconds(world.now);
    world.edit("pods", namespace(pod), name(pod), "kube-scheduler", |pod| {
        set_condition(&mut pod["status"], "PodScheduled", "False", "Unschedulable", &message, &now);
    });
    events::say(world, "Pod", pod, "", true, "FailedScheduling", &message, "default-scheduler");
}
