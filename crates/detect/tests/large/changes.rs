//! One thing changes among ten thousand pods.

use crate::cluster::{Cluster, REPLICAS};
use crate::watched::Watched;
use reckon_model::Kind;
use serde_json::{Value, json};

/// So many objects may be looked at for one change.
const FEW: usize = 50;

/// The node as it reports later.
fn beat(cluster: &Cluster, i: usize) -> Value {
    let mut node = cluster.node(i);
    for condition in node["status"]["conditions"].as_array_mut().unwrap() {
        condition["lastHeartbeatTime"] = "2026-01-01T12:00:00Z".into();
    }
    node["metadata"]["managedFields"][1]["time"] = "2026-01-01T12:00:00Z".into();
    node["metadata"]["resourceVersion"] = "4712".into();
    node
}

#[test]
fn one_change_among_ten_thousand_pods_has_fifty_objects_looked_at_again_at_most_whatever_else_is_wrong() {
    let cluster = Cluster::new(1000);
    let mut watched = Watched::new(&cluster, &[]);
    let (first, idle) = watched.settle();
    assert!(first.problems.is_empty() && idle == 0, "{} {idle}", first.sentence);
    let pod = 1234;
    let workload = pod / REPLICAS;
    let mut images = beat(&cluster, 7);
    images["status"]["images"] = json!([{"names": ["registry.example/app:1.0"], "sizeBytes": 7}]);
    let changes = [
        ("a heartbeat", vec![beat(&cluster, 7)]),
        ("a node's images", vec![images]),
        ("a pod that crashes", vec![cluster.crashing(pod)]),
        ("its controllers", cluster.controllers(workload, REPLICAS - 1).to_vec()),
        ("its slice", vec![cluster.slice(workload, REPLICAS - 1)]),
        ("a pod that is well again", vec![cluster.pod(pod)]),
        ("a readiness flip", vec![cluster.unready(pod)]),
        ("an Event", vec![cluster.probe_event(pod)]),
    ];
    let mut wrong = Vec::new();
    for (what, objects) in changes {
        let looked_at = watched.looked_at_for(&objects);
        if looked_at > FEW {
            wrong.push(format!("{what}: {looked_at}"));
        }
    }
    let (space, gone) = (cluster.space(9), 9 * REPLICAS);
    for (what, looked_at) in [
        ("a pod that goes", watched.looked_at_without(Kind::Pod, &space, &cluster.pod_name(gone))),
        ("a pod that comes", watched.looked_at_for(&[cluster.pod(gone)])),
    ] {
        if looked_at > FEW {
            wrong.push(format!("{what}: {looked_at}"));
        }
    }
    // The same beside five hundred problems of five kinds.
    let ill: Vec<Value> = (0..500).map(|i| cluster.ill(i * 20)).collect();
    watched.looked_at_for(&ill);
    let found = watched.settle().0.problems.len();
    assert!(found > 450, "{found} problems");
    for (what, objects) in [
        ("a heartbeat", vec![beat(&cluster, 8)]),
        ("a pod that crashes", vec![cluster.crashing(pod)]),
        ("a pod that is well again", vec![cluster.pod(pod)]),
        ("a readiness flip", vec![cluster.unready(pod)]),
        ("an Event", vec![cluster.probe_event(pod)]),
    ] {
        let looked_at = watched.looked_at_for(&objects);
        if looked_at > FEW {
            wrong.push(format!("{what}: {looked_at}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
