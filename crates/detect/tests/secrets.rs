//! That nothing secret gets into an answer, whatever carries it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use reckon_detect::{Diagnosis, Engine, Scope, State};
use reckon_model::{Answer, ClusterId, Demand, Kind, LogLine, Object, Timestamp};
use serde_json::{Value, json};

/// A credential that must not survive.
const CANARY: &str = "Zq7Lm2Xv9Kp4Rt8W";

const NOW: &str = "2026-01-01T12:00:00Z";

/// A crash-looping Deployment that carries the canary wherever people and programs put credentials.
fn objects() -> Vec<Value> {
    let template = |level: &str| {
        json!({"metadata": {"labels": {"app": "web"}, "annotations": {"vault/token": CANARY}},
            "spec": {"containers": [{"name": "app", "image": format!("registry.local/web:{level}"),
                "args": ["--db", format!("postgres://web:{CANARY}@db/web"), "--api-key", CANARY],
                "env": [{"name": "LEVEL", "value": level}, {"name": "DB_PASSWORD", "value": format!("{CANARY}{level}")}]}]}})
    };
    let owner = |kind: &str, name: &str| json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": name, "controller": true}]);
    let set = |name: &str, revision: &str, created: &str, level: &str| {
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name, "namespace": "shop", "uid": name,
            "creationTimestamp": created, "labels": {"app": "web", "pod-template-hash": name}, "ownerReferences": owner("Deployment", "web"),
            "annotations": {"deployment.kubernetes.io/revision": revision}}, "spec": {"replicas": 1, "template": template(level)}})
    };
    let applied = json!({"kind": "Deployment", "spec": {"replicas": 2, "template": template("old")}}).to_string();
    let end = json!({"exitCode": 1, "reason": "Error", "message": format!("token={CANARY} rejected"),
        "startedAt": "2026-01-01T11:58:00Z", "finishedAt": "2026-01-01T11:58:03Z"});
    vec![
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop", "uid": "web",
            "creationTimestamp": "2026-01-01T09:00:00Z", "generation": 2,
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied}},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template("new")},
            "status": {"observedGeneration": 2, "replicas": 1, "conditions": [
                {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable", "message": format!("password: {CANARY}")}]}}),
        set("web-a", "1", "2026-01-01T09:00:00Z", "old"),
        set("web-b", "2", "2026-01-01T11:40:00Z", "new"),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-b-x", "namespace": "shop", "uid": "p",
            "creationTimestamp": "2026-01-01T11:40:01Z", "labels": {"app": "web", "pod-template-hash": "web-b"},
            "ownerReferences": owner("ReplicaSet", "web-b")},
            "spec": {"nodeName": "n", "containers": template("new")["spec"]["containers"]},
            "status": {"phase": "Running", "startTime": "2026-01-01T11:40:01Z", "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T11:40:01Z"},
                {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "lastTransitionTime": "2026-01-01T11:40:01Z"}],
                "containerStatuses": [{"name": "app", "restartCount": 6, "ready": false, "image": "registry.local/web:new",
                    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": format!("Bearer {CANARY} back-off")}},
                    "lastState": {"terminated": end}}]}}),
        json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "shop"}, "reason": "BackOff",
            "type": "Warning", "count": 9, "lastTimestamp": "2026-01-01T11:59:00Z",
            "involvedObject": {"kind": "Pod", "name": "web-b-x", "namespace": "shop", "uid": "p"},
            "message": format!("Back-off, Authorization: Basic {CANARY}")}),
    ]
}

fn diagnose() -> (Diagnosis, Engine) {
    let now: Timestamp = NOW.parse().unwrap();
    let mut state = State::new(ClusterId("c".into()));
    Kind::named().for_each(|kind| state.cover(kind, None));
    for object in objects() {
        state.apply(Object::decode_whole(object.to_string().as_bytes(), None).unwrap());
    }
    let mut engine = Engine::new(state);
    for _ in 0..8 {
        let demands = engine.diagnose(&Scope::Cluster, now).demands;
        for demand in demands {
            let answer = match &demand {
                Demand::Log { .. } => {
                    let lines = [
                        format!("fatal: password authentication failed, password={CANARY}"),
                        format!("panic: cannot open postgres://web:{CANARY}@db/web"),
                        format!("{{\"level\":\"error\",\"secret\":\"{CANARY}\",\"msg\":\"bye\"}}"),
                    ];
                    Answer::Log(lines.into_iter().map(|text| LogLine { at: None, text }).collect())
                }
                _ => Answer::NotFound,
            };
            engine.state_mut().answer(demand, answer);
        }
    }
    (engine.diagnose(&Scope::Cluster, now), engine)
}

#[test]
fn no_credential_reaches_a_problem_or_the_state() {
    let (diagnosis, engine) = diagnose();
    assert!(!diagnosis.problems.is_empty(), "the test shows nothing without a problem");
    let printed = serde_json::to_string(&diagnosis.problems).unwrap();
    assert!(!printed.contains(CANARY), "{printed}");
    assert!(!format!("{diagnosis:?}").contains(CANARY));
    assert!(!format!("{:?}", engine.state()).contains(CANARY));
}
