//! What programs do where no object says so, and what keeps pods from being made or placed.

use crate::ask::{Sim, start_with};
use reckon_sim::{Behaviour, Bulk, Config};
use serde_json::{Value, json};

fn start() -> Sim {
    let sim = start_with(Config::default());
    sim.server.world().fill(&Bulk { pods: 0, nodes: 2, namespaces: 1, workloads: false, ..Bulk::default() });
    sim.server.world().step();
    sim
}

fn web(replicas: i64, resources: &Value) -> Value {
    json!({
        "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "app", "image": "a:1", "resources": resources}]},
        }},
    })
}

fn behave(sim: &Sim, script: Option<Value>) {
    let of = |script| Behaviour {
        namespace: "default".to_owned(),
        labels: [("app".to_owned(), "web".to_owned())].into(),
        image: None,
        script,
    };
    sim.server.world().behave("web", script.map(of));
    sim.server.world().step();
}

fn pass(sim: &Sim, seconds: i64) {
    for _ in 0..seconds {
        sim.advance(1);
        sim.server.world().step();
    }
}

fn container(sim: &Sim) -> Value {
    sim.get("/api/v1/pods").json["items"][0]["status"]["containerStatuses"][0].clone()
}

fn messages(sim: &Sim, reason: &str) -> Vec<(String, i64)> {
    let events = sim.get("/api/v1/events").json;
    let all = events["items"].as_array().unwrap().iter().filter(|event| event["reason"] == reason);
    all.map(|event| (event["message"].as_str().unwrap().to_owned(), event["count"].as_i64().unwrap())).collect()
}

fn create(sim: &Sim, resource: &str, object: Value) {
    sim.server.world().create(resource, object).unwrap();
    sim.server.world().step();
}

#[test]
fn what_a_program_is_said_to_do_it_does_at_once_and_no_longer_when_it_is_taken_back() {
    let sim = start();
    create(&sim, "deployments.apps", web(1, &json!({})));
    assert_eq!(container(&sim)["ready"], true);
    behave(&sim, Some(json!({"unready": "dial tcp: connection refused"})));
    assert_eq!(container(&sim)["ready"], false);
    pass(&sim, 150);
    let said = "Readiness probe failed: dial tcp: connection refused".to_owned();
    assert_eq!(messages(&sim, "Unhealthy"), [(said, 3)], "once a minute");
    behave(&sim, None);
    assert_eq!(container(&sim)["ready"], true);
    assert_eq!(container(&sim)["restartCount"], 0);
}

#[test]
fn who_uses_more_memory_than_its_limit_is_killed_until_it_may_have_more() {
    let sim = start();
    create(&sim, "deployments.apps", web(1, &json!({"limits": {"memory": "64Mi"}})));
    behave(&sim, Some(json!({"memoryMi": 90})));
    pass(&sim, 25);
    let end = &container(&sim)["lastState"]["terminated"];
    assert_eq!((&end["reason"], &end["exitCode"]), (&json!("OOMKilled"), &json!(137)));
    sim.server.world().edit("deployments.apps", "default", "web", "kubectl-patch", |web| {
        web["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] = "128Mi".into();
    });
    pass(&sim, 60);
    assert_eq!((&container(&sim)["ready"], &container(&sim)["restartCount"]), (&json!(true), &json!(0)));
}

#[test]
fn a_liveness_probe_that_fails_ends_its_container() {
    let sim = start();
    create(&sim, "deployments.apps", web(1, &json!({})));
    behave(&sim, Some(json!({"liveness": "context deadline exceeded", "after": 30})));
    pass(&sim, 32);
    let end = &container(&sim)["lastState"]["terminated"];
    assert_eq!((&end["reason"], &end["exitCode"]), (&json!("Error"), &json!(137)));
    assert_eq!(messages(&sim, "Killing"), [("Container app failed liveness probe, will be restarted".to_owned(), 1)]);
}

#[test]
fn a_quota_refuses_pods_that_it_has_no_room_for_and_says_so() {
    let sim = start();
    let quota = json!({"metadata": {"name": "small"}, "spec": {"hard": {"requests.memory": "1Gi", "pods": "5"}}});
    create(&sim, "resourcequotas", quota);
    create(&sim, "deployments.apps", web(3, &json!({"requests": {"memory": "400Mi"}})));
    let deployment = sim.server.world().get("deployments.apps", "default", "web").unwrap();
    assert_eq!(deployment["status"]["readyReplicas"], 2);
    let conditions = deployment["status"]["conditions"].as_array().unwrap();
    let failure = conditions.iter().find(|condition| condition["type"] == "ReplicaFailure").unwrap();
    let message = failure["message"].as_str().unwrap();
    let words = "is forbidden: exceeded quota: small, requested: requests.memory=400Mi, used: requests.memory=800Mi, limited: requests.memory=1Gi";
    assert!(message.starts_with("pods \"web-") && message.ends_with(words), "{message}");
    pass(&sim, 100);
    assert_eq!(messages(&sim, "FailedCreate").len(), 1, "the same words are one event");
    assert_eq!(
        sim.server.world().get("resourcequotas", "default", "small").unwrap()["status"]["used"],
        json!({"requests.memory": "800Mi", "pods": "2"})
    );
    sim.server.world().edit("resourcequotas", "default", "small", "kubectl-edit", |quota| {
        quota["spec"]["hard"]["requests.memory"] = "2Gi".into();
    });
    pass(&sim, 1);
    let deployment = sim.server.world().get("deployments.apps", "default", "web").unwrap();
    assert_eq!(deployment["status"]["readyReplicas"], 3);
    assert!(!deployment["status"].to_string().contains("ReplicaFailure"));
}

#[test]
fn a_pod_waits_for_its_claim() {
    let sim = start();
    let mut object = web(1, &json!({}));
    object["spec"]["template"]["spec"]["volumes"] =
        json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
    create(&sim, "deployments.apps", object);
    let why = |sim: &Sim| messages(sim, "FailedScheduling").into_iter().map(|(message, _)| message).collect::<Vec<_>>();
    assert!(
        why(&sim)[0].starts_with("0/2 nodes are available: persistentvolumeclaim \"data\" not found."),
        "{:?}",
        why(&sim)
    );
    let claim = json!({"metadata": {"name": "data"}, "spec": {"storageClassName": "absent"}});
    create(&sim, "persistentvolumeclaims", claim);
    let unbound = |message: &String| message.contains("pod has unbound immediate PersistentVolumeClaims");
    assert!(why(&sim).iter().any(unbound), "{:?}", why(&sim));
    sim.server.world().edit("persistentvolumeclaims", "default", "data", "kube-controller-manager", |claim| {
        claim["status"]["phase"] = "Bound".into();
    });
    pass(&sim, 1);
    assert_eq!(container(&sim)["ready"], true);
}
