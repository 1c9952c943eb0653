//! StatefulSets: named pods, one after the other.

use super::{ending, hash, name, number, pods};
use crate::world::World;
use serde_json::{Value, json};
use std::sync::Arc;

const REVISION: &str = "controller-revision-hash";

pub(super) fn run(world: &mut World) {
    for set in world.all("statefulsets.apps") {
        if !ending(&set) {
            reconcile(world, &set);
        }
    }
}

/// Each pod has claims of its own, one for each template; that they exist is left to whoever made the set.
fn claims(pod: &mut Value, set: &Value, name: &str) {
    let templates = set["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten();
    let volumes = templates
        .filter_map(|template| template["metadata"]["name"].as_str())
        .map(|volume| json!({"name": volume, "persistentVolumeClaim": {"claimName": format!("{volume}-{name}")}}));
    let all: Vec<Value> = volumes.chain(pod["spec"]["volumes"].as_array().cloned().unwrap_or_default()).collect();
    if !all.is_empty() {
        pod["spec"]["volumes"] = all.into();
    }
}

fn reconcile(world: &mut World, set: &Value) {
    let wanted = number(&set["spec"]["replicas"]);
    let revision = format!("{}-{}", name(set), hash(&set["spec"]["template"]));
    let all = world.owned("pods", set);
    let of = |i: i64| {
        let wanted = format!("{}-{i}", name(set));
        all.iter().find(|pod| name(pod) == wanted)
    };
    let parallel = set["spec"]["podManagementPolicy"] == "Parallel";
    for i in 0..wanted {
        match of(i) {
            Some(pod) if pods::ready(pod) || parallel => {}
            Some(_) => break,
            None => {
                let fixed = format!("{}-{i}", name(set));
                let _ = pods::make(world, set, "StatefulSet", "apps/v1", Some(&fixed), |pod| {
                    pod["metadata"]["labels"][REVISION] = revision.as_str().into();
                    pod["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] = fixed.as_str().into();
                    pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"] = i.to_string().into();
                    claims(pod, set, &fixed);
                });
                if !parallel {
                    break;
                }
            }
        }
    }
    let index = |pod: &Value| name(pod).rsplit('-').next().and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    let last = all.iter().max_by_key(|pod| index(pod));
    if let Some(last) = last.filter(|last| index(last) >= wanted && !ending(last)) {
        pods::delete(world, set, "StatefulSet", last);
    } else if set["spec"]["updateStrategy"]["type"] == "RollingUpdate" {
        // From the last to the first, one at a time, as long as the others serve.
        let stale = |pod: &&Arc<Value>| pod["metadata"]["labels"][REVISION] != revision.as_str();
        let steady = all.iter().filter(|pod| !stale(pod)).all(|pod| pods::ready(pod));
        let next = all.iter().filter(stale).filter(|pod| !ending(pod)).max_by_key(|pod| index(pod));
        if let Some(next) = next.filter(|_| steady && !all.iter().any(|pod| ending(pod))) {
            pods::delete(world, set, "StatefulSet", next);
        }
    }
    let now = world.owned("pods", set);
    let ready = now.iter().filter(|pod| pods::ready(pod)).count();
    let updated = now.iter().filter(|pod| pod["metadata"]["labels"][REVISION] == revision.as_str()).count();
    let status = json!({
        "observedGeneration": set["metadata"]["generation"], "replicas": now.len(), "readyReplicas": ready,
        "availableReplicas": ready, "currentReplicas": updated, "updatedReplicas": updated,
        "currentRevision": revision, "updateRevision": revision, "collisionCount": 0,
    });
    pods::report(world, "statefulsets.apps", set, status);
}
