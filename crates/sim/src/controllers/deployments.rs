//! Deployments: one ReplicaSet for each template, and the way from one to the next.

use super::{after, condition, ending, events, hash, name, namespace, number, pods, set_condition, time};
use crate::clock::seconds;
use crate::world::{World, controlled_by};
use serde_json::{Value, json};
use std::sync::Arc;

/// Numbers the ReplicaSets of a Deployment.
const REVISION: &str = "deployment.kubernetes.io/revision";
const HASH: &str = "pod-template-hash";

pub(super) fn run(world: &mut World) {
    for deployment in world.all("deployments.apps") {
        if !ending(&deployment) {
            reconcile(world, &deployment);
        }
    }
}

fn reconcile(world: &mut World, deployment: &Value) {
    let wanted = number(&deployment["spec"]["replicas"]);
    let paused = deployment["spec"]["paused"] == true;
    let hash = hash(&deployment["spec"]["template"]);
    let mut sets = world.owned("replicasets.apps", deployment);
    if !paused && !sets.iter().any(|set| set["metadata"]["labels"][HASH] == hash) {
        make(world, deployment, &hash, &sets);
        sets = world.owned("replicasets.apps", deployment);
    }
    let (new, old): (Vec<Arc<Value>>, Vec<Arc<Value>>) =
        sets.into_iter().partition(|set| set["metadata"]["labels"][HASH] == hash);
    if let Some(new) = new.first().filter(|_| !paused) {
        roll(world, deployment, new, &old, wanted);
    }
    report(world, deployment, &hash, wanted);
}

fn make(world: &mut World, deployment: &Value, hash: &str, sets: &[Arc<Value>]) {
    let revision =
        |set: &Value| set["metadata"]["annotations"][REVISION].as_str().and_then(|text| text.parse::<i64>().ok());
    let next = 1 + sets.iter().filter_map(|set| revision(set)).max().unwrap_or(0);
    let mut template = deployment["spec"]["template"].clone();
    template["metadata"]["labels"][HASH] = hash.into();
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][HASH] = hash.into();
    let set = json!({
        "metadata": {
            "name": format!("{}-{hash}", name(deployment)), "namespace": namespace(deployment),
            "labels": template["metadata"]["labels"], "annotations": {REVISION: next.to_string()},
            "ownerReferences": controlled_by("apps/v1", "Deployment", deployment),
        },
        "spec": {"replicas": 0, "selector": selector, "template": template},
    });
    let _ = world.create_as("replicasets.apps", set, "kube-controller-manager");
    world.edit("deployments.apps", namespace(deployment), name(deployment), "kube-controller-manager", |deployment| {
        deployment["metadata"]["annotations"][REVISION] = next.to_string().into();
    });
}

/// A number of pods, or a percentage of those wanted.
fn portion(value: &Value, wanted: i64, up: bool) -> i64 {
    match value.as_str().and_then(|text| text.strip_suffix('%')).and_then(|text| text.parse::<i64>().ok()) {
        Some(percent) if up => (wanted * percent + 99) / 100,
        Some(percent) => wanted * percent / 100,
        None => number(value),
    }
}

fn roll(world: &mut World, deployment: &Value, new: &Value, old: &[Arc<Value>], wanted: i64) {
    let count = |set: &Value| number(&set["spec"]["replicas"]);
    let before: i64 = old.iter().map(|set| count(set)).sum();
    if deployment["spec"]["strategy"]["type"] == "Recreate" {
        old.iter().filter(|set| count(set) > 0).for_each(|set| scale(world, deployment, set, 0));
        let gone = before == 0
            && old.iter().all(|set| world.owned("pods", set).iter().all(|pod| !pods::active(pod) && !ending(pod)));
        if gone || old.is_empty() {
            scale(world, deployment, new, wanted);
        }
        return;
    }
    let rolling = &deployment["spec"]["strategy"]["rollingUpdate"];
    let surge = portion(&rolling["maxSurge"], wanted, true);
    let mut unavailable = portion(&rolling["maxUnavailable"], wanted, false);
    if surge == 0 && unavailable == 0 {
        unavailable = 1;
    }
    let here = count(new);
    let room = (wanted + surge - before - here).max(0);
    let target = if here > wanted || before == 0 { wanted } else { (here + room).min(wanted) };
    scale(world, deployment, new, target);
    // Old pods go as new ones serve; those that do not serve go first of all.
    let serving = |set: &Value| number(&set["status"]["availableReplicas"]);
    let available = serving(new) + old.iter().map(|set| serving(set)).sum::<i64>();
    let least = wanted - unavailable;
    let mut spare = (available - least).max(0);
    // Of these, as many as are not needed once they serve again: new ones that do not serve replace nobody.
    let mut needless = (before + serving(new) - least).max(0);
    for set in old.iter().filter(|set| count(set) > 0) {
        let idle = (count(set) - serving(set)).clamp(0, needless);
        needless -= idle;
        let less = (idle + spare.min(serving(set))).min(count(set));
        spare -= less - idle;
        if less > 0 {
            scale(world, deployment, set, count(set) - less);
        }
    }
}

fn scale(world: &mut World, deployment: &Value, set: &Value, to: i64) {
    let from = number(&set["spec"]["replicas"]);
    if from == to {
        return;
    }
    world.edit("replicasets.apps", namespace(set), name(set), "kube-controller-manager", |set| {
        set["spec"]["replicas"] = to.into();
    });
    let way = if to > from { "up" } else { "down" };
    let message = format!("Scaled {way} replica set {} from {from} to {to}", name(set));
    events::say(world, "Deployment", deployment, "", false, "ScalingReplicaSet", &message, "deployment-controller");
}

fn report(world: &mut World, deployment: &Value, hash: &str, wanted: i64) {
    let Some(deployment) = world.get("deployments.apps", namespace(deployment), name(deployment)) else { return };
    let sets = world.owned("replicasets.apps", &deployment);
    let sum = |field: &str, only: Option<&str>| -> i64 {
        let of = |set: &&Arc<Value>| only.is_none_or(|hash| set["metadata"]["labels"][HASH] == hash);
        sets.iter().filter(of).map(|set| number(&set["status"][field])).sum()
    };
    let (all, updated) = (sum("replicas", None), sum("replicas", Some(hash)));
    let (ready, available) = (sum("readyReplicas", None), sum("availableReplicas", None));
    let mut status = json!({"observedGeneration": deployment["metadata"]["generation"]});
    for (field, value) in [
        ("replicas", all),
        ("updatedReplicas", updated),
        ("readyReplicas", ready),
        ("availableReplicas", available),
        ("unavailableReplicas", (wanted.max(all) - available).max(0)),
    ] {
        if value > 0 {
            status[field] = value.into();
        }
    }
    let old = &deployment["status"];
    if old["conditions"].is_array() {
        status["conditions"] = old["conditions"].clone();
    }
    let now = seconds(world.now);
    let unavailable = portion(&deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], wanted, false);
    let (value, reason, message) = if available >= wanted - unavailable {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    set_condition(&mut status, "Available", value, reason, message, &now);
    let failures = sets.iter().map(|set| condition(set, "ReplicaFailure")).find(|failure| failure["status"] == "True");
    match failures {
        Some(failure) => {
            let message = failure["message"].as_str().unwrap_or_default();
            set_condition(&mut status, "ReplicaFailure", "True", "FailedCreate", message, &now);
        }
        None => {
            if let Some(conditions) = status["conditions"].as_array_mut() {
                conditions.retain(|condition| condition["type"] != "ReplicaFailure");
            }
        }
    }
    progress(world, &deployment, &mut status, hash, (updated, all, available, wanted), &now);
    pods::report(world, "deployments.apps", &deployment, status);
}

fn progress(
    world: &mut World,
    deployment: &Value,
    status: &mut Value,
    hash: &str,
    (updated, all, available, wanted): (i64, i64, i64, i64),
    now: &str,
) {
    let set = format!("{}-{hash}", name(deployment));
    let before = condition(deployment, "Progressing");
    let moved = ["replicas", "updatedReplicas", "availableReplicas", "observedGeneration"]
        .iter()
        .any(|field| deployment["status"][*field] != status[*field]);
    let done = updated == wanted && all == wanted && available >= wanted;
    let since = if moved || before.is_null() { Some(world.now) } else { time(&before["lastUpdateTime"]) };
    let deadline = after(since.unwrap_or(world.now), number(&deployment["spec"]["progressDeadlineSeconds"]).max(1));
    let (value, reason, message) = if done {
        ("True", "NewReplicaSetAvailable", format!("ReplicaSet {set:?} has successfully progressed."))
    } else if world.now >= deadline || (before["reason"] == "ProgressDeadlineExceeded" && !moved) {
        ("False", "ProgressDeadlineExceeded", format!("ReplicaSet {set:?} has timed out progressing."))
    } else {
        world.due_at(deadline);
        ("True", "ReplicaSetUpdated", format!("ReplicaSet {set:?} is progressing."))
    };
    set_condition(status, "Progressing", value, reason, &message, now);
    let updated = since.map_or_else(|| now.to_owned(), seconds);
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        if condition["type"] == "Progressing" {
            condition["lastUpdateTime"] = updated.as_str().into();
        } else if condition["lastUpdateTime"].is_null() || condition["lastTransitionTime"] == now {
            condition["lastUpdateTime"] = condition["lastTransitionTime"].clone();
        }
    }
}
