//! DaemonSets: a pod on each node that they may be on.

use super::{ending, name, pods, scheduler};
use crate::world::World;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn run(world: &mut World) {
    for set in world.all("daemonsets.apps") {
        if !ending(&set) {
            reconcile(world, &set);
        }
    }
}

fn reconcile(world: &mut World, set: &Value) {
    let nodes = world.all("nodes");
    let fits = |node: &&Arc<Value>| scheduler::may_run(&set["spec"]["template"]["spec"], node, true).is_none();
    let wanted: Vec<&str> = nodes.iter().filter(fits).map(|node| name(node)).collect();
    let all = world.owned("pods", set);
    let on = |pod: &Value| pod["spec"]["nodeName"].as_str().unwrap_or_default().to_owned();
    for node in &wanted {
        if !all.iter().any(|pod| on(pod) == **node) {
            let _ =
                pods::make(world, set, "DaemonSet", "apps/v1", None, |pod| pod["spec"]["nodeName"] = (*node).into());
        }
    }
    for pod in all.iter().filter(|pod| !ending(pod) && !wanted.contains(&on(pod).as_str())) {
        pods::delete(world, set, "DaemonSet", pod);
    }
    let ended =
        |pod: &&Arc<Value>| matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded")) && !ending(pod);
    for pod in all.iter().filter(ended) {
        pods::delete(world, set, "DaemonSet", pod);
    }
    let now: Vec<Arc<Value>> = world.owned("pods", set).into_iter().filter(|pod| pods::active(pod)).collect();
    let ready = now.iter().filter(|pod| pods::ready(pod)).count();
    let mut status = json!({
        "observedGeneration": set["metadata"]["generation"], "desiredNumberScheduled": wanted.len(),
        "currentNumberScheduled": now.len(), "updatedNumberScheduled": now.len(), "numberReady": ready,
        "numberMisscheduled": 0,
    });
    if ready > 0 {
        status["numberAvailable"] = ready.into();
    }
    if wanted.len() > ready {
        status["numberUnavailable"] = (wanted.len() - ready).into();
    }
    pods::report(world, "daemonsets.apps", set, status);
}
