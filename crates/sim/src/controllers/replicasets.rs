//! ReplicaSets: as many pods as are wanted.

use super::{ending, number, pods, set_condition};
use crate::clock::seconds;
use crate::world::World;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn run(world: &mut World) {
    for set in world.all("replicasets.apps") {
        if !ending(&set) {
            reconcile(world, &set);
        }
    }
}

fn reconcile(world: &mut World, set: &Value) {
    let all = world.owned("pods", set);
    let mut active: Vec<&Arc<Value>> = all.iter().filter(|pod| pods::active(pod)).collect();
    let wanted = usize::try_from(number(&set["spec"]["replicas"])).unwrap_or(0);
    let mut refused = None;
    for _ in active.len()..wanted {
        refused = pods::make(world, set, "ReplicaSet", "apps/v1", None, |_| ()).err();
        if refused.is_some() {
            break;
        }
    }
    // Those that serve least go first.
    active.sort_by_key(|pod| (pods::ready(pod), pod["spec"]["nodeName"].is_string()));
    for pod in active.iter().take(active.len().saturating_sub(wanted)) {
        pods::delete(world, set, "ReplicaSet", pod);
    }
    let now = world.owned("pods", set);
    let count = now.iter().filter(|pod| pods::active(pod)).count();
    let ready = now.iter().filter(|pod| pods::active(pod) && pods::ready(pod)).count();
    let mut status = json!({"replicas": count, "observedGeneration": set["metadata"]["generation"]});
    if count > 0 {
        status["fullyLabeledReplicas"] = count.into();
    }
    if ready > 0 {
        status["readyReplicas"] = ready.into();
        status["availableReplicas"] = ready.into();
    }
    if let Some(message) = refused {
        status["conditions"] = set["status"]["conditions"].clone();
        let now = seconds(world.now);
        set_condition(&mut status, "ReplicaFailure", "True", "FailedCreate", &message, &now);
    }
    pods::report(world, "replicasets.apps", set, status);
}
