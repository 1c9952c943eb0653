//! What only pods have.

use crate::ask::{Sim, start};
use serde_json::{Value, json};

const PODS: &str = "/api/v1/namespaces/default/pods";

fn pod(sim: &Sim, name: &str, node: Option<&str>) -> Value {
    let mut pod = json!({
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "app", "image": "a:1"}]},
    });
    if let Some(node) = node {
        pod["spec"]["nodeName"] = node.into();
    }
    let said = sim.ask(&format!("POST {PODS}"), &pod);
    assert_eq!(said.code, 201, "{}", said.text);
    said.json
}

#[test]
fn a_pod_on_a_node_has_its_grace_and_others_are_gone_at_once() {
    let sim = start();
    pod(&sim, "here", Some("n1"));
    let ending = sim.delete(&format!("{PODS}/here")).json;
    assert_eq!(ending["metadata"]["deletionTimestamp"], "2026-01-01T00:00:30Z");
    assert_eq!(ending["metadata"]["deletionGracePeriodSeconds"], 30);
    let sooner = sim.delete(&format!("{PODS}/here?gracePeriodSeconds=5")).json;
    assert_eq!(sooner["metadata"]["deletionGracePeriodSeconds"], 5);
    assert_eq!(sim.delete(&format!("{PODS}/here?gracePeriodSeconds=0")).json["kind"], "Pod");
    assert_eq!(sim.get(&format!("{PODS}/here")).code, 404);
    pod(&sim, "nowhere", None);
    sim.delete(&format!("{PODS}/nowhere"));
    assert_eq!(sim.get(&format!("{PODS}/nowhere")).code, 404);
}

#[test]
fn of_a_pods_specification_little_can_change() {
    let sim = start();
    pod(&sim, "p", Some("n1"));
    let path = format!("{PODS}/p");
    let image = json!({"spec": {"containers": [{"name": "app", "image": "a:2"}]}});
    assert_eq!(sim.patch(&path, "strategic-merge-patch", &image).code, 200);
    let said = sim.patch(&path, "merge-patch", &json!({"spec": {"nodeName": "n2"}}));
    assert_eq!(said.code, 422);
    assert!(said.text.contains("pod updates may not change fields other than"), "{}", said.text);
    let larger = json!({"spec": {"containers": [{"name": "app", "resources": {"requests": {"memory": "1Gi"}}}]}});
    assert_eq!(sim.patch(&path, "strategic-merge-patch", &larger).code, 422);
    let said = sim.patch(&format!("{path}/resize"), "strategic-merge-patch", &larger);
    assert_eq!(said.json["spec"]["containers"][0]["resources"]["requests"]["memory"], "1Gi");
}

#[test]
fn a_binding_assigns_once() {
    let sim = start();
    pod(&sim, "p", None);
    let bind = |node: &str| sim.ask(&format!("POST {PODS}/p/binding"), &json!({"target": {"name": node}}));
    assert_eq!((bind("n1").code, bind("n2").code), (201, 409));
    assert_eq!(sim.get(&format!("{PODS}/p")).json["spec"]["nodeName"], "n1");
}

#[test]
fn an_eviction_obeys_the_budget() {
    let sim = start();
    for name in ["a", "b"] {
        pod(&sim, name, Some("n1"));
        sim.patch(&format!("{PODS}/{name}/status"), "merge-patch", &json!({"status": {"phase": "Running"}}));
    }
    let budget = json!({
        "metadata": {"name": "pdb"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
        "status": {"disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1},
    });
    sim.server.world().create("poddisruptionbudgets.policy", budget).unwrap();
    let evict = |name: &str| sim.ask(&format!("POST {PODS}/{name}/eviction"), &json!({"metadata": {"name": name}}));
    assert_eq!(evict("a").code, 201);
    assert!(sim.get(&format!("{PODS}/a")).json["metadata"]["deletionTimestamp"].is_string());
    let refused = evict("b");
    assert_eq!((refused.code, &refused.json["reason"]), (429, &json!("TooManyRequests")));
    assert_eq!(refused.json["message"], "Cannot evict pod as it would violate the pod's disruption budget.");
    assert_eq!(refused.json["details"]["causes"][0]["reason"], "DisruptionBudget");
}

#[test]
fn logs_are_read_as_they_are_asked_for() {
    let sim = start();
    pod(&sim, "p", Some("n1"));
    sim.server.world().edit("pods", "default", "p", "kubelet", |pod| {
        pod["status"]["containerStatuses"] = json!([{"name": "app", "restartCount": 0, "state": {"running": {}}}]);
    });
    for i in 0..3 {
        sim.server.world().log("default", "p", "app", &format!("line {i}"));
        sim.advance(10);
    }
    let log = |query: &str| sim.get(&format!("{PODS}/p/log?{query}"));
    assert_eq!(log("").text, "line 0\nline 1\nline 2\n");
    assert_eq!(log("tailLines=1").text, "line 2\n");
    assert_eq!(log("limitBytes=4").text, "line");
    assert_eq!(log("sinceSeconds=15").text, "line 2\n");
    assert_eq!(
        log("sinceTime=2026-01-01T00:00:10Z&timestamps=true&tailLines=1").text,
        "2026-01-01T00:00:20.000000000Z line 2\n"
    );
    assert_eq!(log("container=other").code, 400);
    let previous = log("previous=true");
    assert_eq!(previous.json["message"], r#"previous terminated container "app" in pod "p" not found"#);
    assert_eq!(sim.get(&format!("{PODS}/none/log")).code, 404);
}

#[test]
fn a_log_is_followed_until_its_container_ends() {
    use futures::FutureExt;
    use http_body_util::BodyExt;
    let sim = start();
    pod(&sim, "p", Some("n1"));
    sim.server.world().log("default", "p", "app", "first");
    let mut body = sim.send(&format!("GET {PODS}/p/log?follow=true"), &[], "").unwrap().into_body();
    let mut next = || body.frame().now_or_never().map(|frame| frame.map(|frame| frame.unwrap().into_data().unwrap()));
    assert_eq!(next().unwrap().unwrap(), "first\n");
    assert_eq!(next(), None);
    sim.server.world().log("default", "p", "app", "second");
    assert_eq!(next().unwrap().unwrap(), "second\n");
    sim.server.world().remove_now("pods", "default", "p");
    assert_eq!(next(), Some(None));
}

#[test]
fn metrics_are_what_the_world_says() {
    let sim = start();
    pod(&sim, "p", Some("n1"));
    let usage = reckon_sim::Usage { cpu_nanos: 5_000_000, memory_bytes: 64 << 20 };
    sim.server.world().use_container("default", "p", "app", usage);
    let said = sim.get("/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/p").json;
    assert_eq!(said["containers"], json!([{"name": "app", "usage": {"cpu": "5000000n", "memory": "65536Ki"}}]));
    assert_eq!(sim.get("/apis/metrics.k8s.io/v1beta1/nodes").json["items"], json!([]));
    assert_eq!(sim.get("/apis/metrics.k8s.io/v1beta1/nodes/n1").code, 404);
}
