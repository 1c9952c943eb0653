//! Input that nobody meant: what is said of it is right, or says what it does not know, and is said in bounds.

use crate::cluster::{Cluster, REPLICAS, app, object};
use crate::watched::{Watched, decoded};
use reckon_detect::{Diagnosis, Engine, Scope, State};
use reckon_model::document::Problem;
use reckon_model::{Answer, ClusterId, Demand, Kind, LogLine, ResourceRef, SignedDuration, Timestamp};
use serde_json::{Value, json};

const NOW: &str = "2026-01-01T12:00:00Z";

/// The diagnosis of these objects as all there are; `log` is what every container says.
fn diagnosed(objects: &[Value], scope: &Scope, log: &str) -> Diagnosis {
    let mut state = State::new(ClusterId("bad".into()));
    Kind::named().for_each(|kind| state.cover(kind, None));
    objects.iter().for_each(|object| state.apply(decoded(object)));
    let mut engine = Engine::new(state);
    let now: Timestamp = NOW.parse().unwrap();
    for _ in 0..8 {
        let diagnosis = engine.diagnose(scope, now);
        if diagnosis.demands.is_empty() {
            return diagnosis;
        }
        for demand in diagnosis.demands {
            let answer = match &demand {
                Demand::Log { .. } => {
                    Answer::Log(log.lines().map(|text| LogLine { at: None, text: text.to_owned() }).collect())
                }
                _ => Answer::NotFound,
            };
            engine.state_mut().answer(demand, answer);
        }
    }
    panic!("still asks");
}

fn failures(diagnosis: &Diagnosis) -> Vec<&str> {
    diagnosis.problems.iter().map(|problem| problem.failure.as_str()).collect()
}

/// How large a problem is when it is told.
fn size(problem: &Problem) -> usize {
    serde_json::to_string(problem).unwrap().len()
}

/// A container that ends again and again.
fn crashing(name: &str) -> Value {
    let mut pod = object("v1", "Pod", "shop", name);
    pod["spec"] = json!({"nodeName": "n1", "containers": [{"name": "app", "image": "a:1"}]});
    pod["status"] = json!({"phase": "Running", "startTime": "2026-01-01T11:00:00Z",
        "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T11:00:00Z"}],
        "containerStatuses": [{"name": "app", "image": "a:1", "imageID": "a@sha256:1", "ready": false, "restartCount": 9,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": "2026-01-01T11:55:00Z", "finishedAt": "2026-01-01T11:55:01Z"}}}]});
    pod
}

#[test]
fn a_status_that_is_missing_or_contradicts_itself_hides_no_other_problem() {
    let with = |name: &str, status: Value| {
        let mut pod = crashing(name);
        pod["status"] = status;
        pod
    };
    let state = json!({"waiting": {"reason": "CrashLoopBackOff"}, "running": {"startedAt": "2026-01-01T11:00:00Z"},
        "terminated": {"exitCode": 0, "finishedAt": "2026-01-01T10:00:00Z", "startedAt": "2026-01-01T11:00:00Z"}});
    let strange = json!({"name": "app", "ready": true, "restartCount": 4_000_000_000_u32, "image": "", "imageID": "", "state": state,
        "lastState": {"terminated": {"exitCode": -2_147_483_648_i64, "reason": "", "finishedAt": null}}});
    let ready = |status: &str| json!({"type": "Ready", "status": status, "lastTransitionTime": null});
    let objects = [
        with("no-status", Value::Null),
        with("empty", json!({})),
        with("nulls", json!({"phase": null, "conditions": null, "containerStatuses": null, "startTime": null})),
        with(
            "no-such-container",
            json!({"phase": "Running", "containerStatuses": [{"name": "ghost", "restartCount": 7, "state": {}, "lastState": {}}]}),
        ),
        with(
            "all-at-once",
            json!({"phase": "Running", "conditions": [ready("True"), ready("False"), ready("Maybe")], "containerStatuses": [strange]}),
        ),
        with(
            "phase",
            json!({"phase": "Confused", "reason": "\u{0}", "conditions": [{"type": "", "status": ""}, {"type": "Quantum", "status": "Both"}]}),
        ),
        with(
            "done-and-running",
            json!({"phase": "Succeeded", "containerStatuses": [{"name": "app", "ready": true, "state": {"running": {}}}]}),
        ),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "negative", "namespace": "shop"},
            "spec": {"replicas": -3}, "status": {"replicas": -1, "readyReplicas": 900, "observedGeneration": 99}}),
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "status": {"conditions": [
            {"type": "Ready", "status": "True"}, {"type": "FrobnicatorDown", "status": "True", "reason": "X"}], "allocatable": {"memory": "-5", "cpu": "lots"}}}),
        json!({"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "shop"}, "status": "yes"}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "shop"}}),
        crashing("really"),
    ];
    let diagnosis = diagnosed(&objects, &Scope::Cluster, "fatal: no");
    let about: Vec<&str> = diagnosis.problems.iter().map(|problem| problem.subject.reference.name.as_str()).collect();
    assert!(about.contains(&"really"), "{:?} {about:?}", failures(&diagnosis));
    for silent in ["no-status", "empty", "nulls", "n1", "w", "s"] {
        assert!(!about.contains(&silent), "{silent}: {:?} {about:?}", failures(&diagnosis));
    }
    // Each by itself, too: an answer, whatever it is, that claims no cause for sure.
    for object in &objects {
        let kind = Kind::of(object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
        let name = object["metadata"]["name"].as_str().unwrap();
        let namespace = object["metadata"]["namespace"].as_str();
        let scope = Scope::Object(ResourceRef::new(kind, namespace, name));
        let answer = diagnosed(&objects, &scope, "fatal: no");
        assert!(!answer.sentence.is_empty(), "{name}");
    }
}

#[test]
fn a_kind_that_nobody_knows_is_told_by_its_own_conditions_and_not_called_well() {
    let widget = |status: Value| {
        let mut widget = object("example.org/v1", "Widget", "shop", "w");
        widget["status"] = status;
        widget
    };
    let scope = Scope::Object(ResourceRef::new(Kind::of_group("example.org", "Widget"), Some("shop"), "w"));
    let ill = widget(
        json!({"conditions": [{"type": "Ready", "status": "False", "reason": "Frobbed", "message": "no frob"}, {"type": "Quantum", "status": "Both"}]}),
    );
    let answer = diagnosed(&[ill], &scope, "");
    assert!(answer.sentence.contains("no frob"), "{}", answer.sentence);
    assert_ne!(answer.answer, reckon_model::document::Answer::NoFault);
    let mute = widget(json!({"conditions": [{"type": "Quantum", "status": "Both"}, 7, null, "x"]}));
    assert!(diagnosed(&[mute], &scope, "").problems.is_empty());
}

#[test]
fn owners_that_own_each_other_end_nothing_but_themselves() {
    let set = |name: &str, owner: &str| {
        let mut set = object("apps/v1", "ReplicaSet", "shop", name);
        set["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": format!("uid-replicaset-{owner}"), "controller": true}]);
        set["spec"] = json!({"replicas": 1, "selector": {"matchLabels": {"app": "a"}}, "template": {"spec": {"containers": [{"name": "app", "image": "a:1"}]}}});
        set
    };
    let mut pod = crashing("ring");
    pod["metadata"]["ownerReferences"] = set("x", "a")["metadata"]["ownerReferences"].clone();
    let mut own = crashing("own");
    own["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "Pod", "name": "own", "uid": "uid-pod-own", "controller": true}]);
    let objects = [set("a", "b"), set("b", "c"), set("c", "a"), set("self", "self"), pod, own];
    let diagnosis = diagnosed(&objects, &Scope::Cluster, "fatal: no");
    let crashes = diagnosis.problems.iter().filter(|problem| problem.failure == "crash-loop").count();
    assert_eq!(crashes, 2, "{:?}", failures(&diagnosis));
    for (kind, name) in [(Kind::Pod, "ring"), (Kind::ReplicaSet, "a"), (Kind::Pod, "own"), (Kind::ReplicaSet, "self")] {
        let scope = Scope::Object(ResourceRef::new(kind, Some("shop"), name));
        assert!(!diagnosed(&objects, &scope, "fatal: no").sentence.is_empty());
    }
}

#[test]
fn selectors_that_match_everything_make_nobody_an_owner_of_everything() {
    let mut objects: Vec<Value> = (0..40)
        .map(|i| {
            let mut greedy = object("apps/v1", "Deployment", "shop", &format!("greedy-{i}"));
            greedy["spec"] = json!({"replicas": 1, "selector": {}, "template": {"spec": {"containers": [{"name": "app", "image": "a:1"}]}}});
            greedy["status"] = json!({"replicas": 1, "readyReplicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "observedGeneration": 1});
            greedy
        })
        .collect();
    let mut budget = object("policy/v1", "PodDisruptionBudget", "shop", "all");
    budget["spec"] = json!({"selector": {}, "minAvailable": 1});
    let mut policy = object("networking.k8s.io/v1", "NetworkPolicy", "shop", "all");
    policy["spec"] = json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]});
    let mut service = object("v1", "Service", "shop", "all");
    service["spec"] = json!({"selector": {}, "ports": [{"port": 80}]});
    objects.extend([budget, policy, service, crashing("lonely")]);
    let diagnosis = diagnosed(&objects, &Scope::Cluster, "fatal: no");
    // The pod is its own workload: that a selector matches it makes it nobody's.
    let problem = diagnosis.problems.iter().find(|problem| problem.failure == "crash-loop");
    let problem = problem.unwrap_or_else(|| panic!("{:?}", failures(&diagnosis)));
    assert_eq!((problem.subject.reference.kind.as_str(), problem.impact.pods.of), ("Pod", 1));
    assert_eq!(diagnosis.problems.len(), 1, "{:?}", failures(&diagnosis));
}

#[test]
fn a_service_that_selects_ten_thousand_pods_is_one_object_to_look_at() {
    let cluster = Cluster::together(1000);
    let mut service = object("v1", "Service", &cluster.space(0), "all");
    service["spec"] = json!({"selector": {"tier": "bulk"}, "ports": [{"port": 80, "targetPort": 8080}]});
    let mut watched = Watched::new(&cluster, &[service]);
    assert_eq!(watched.settle().0.problems.len(), 0);
    let looked_at = watched.looked_at_for(&[cluster.unready(4711)]);
    assert!(looked_at <= 50, "{looked_at}");
    // All of them at once: one problem for each workload, and the Service is named by each; none of it is large.
    let ill: Vec<Value> = (0..cluster.pods()).map(|i| cluster.unready(i)).collect();
    watched.looked_at_for(&ill);
    watched.now += SignedDuration::from_mins(10);
    let (diagnosis, _) = watched.settle();
    assert!(!diagnosis.problems.is_empty());
    let largest = diagnosis.problems.iter().map(size).max().unwrap();
    assert!(largest < 256 << 10, "{largest} bytes");
    assert!(diagnosis.problems.iter().any(|problem| problem.impact.empty_services.iter().any(|it| it.name == "all")));
}

#[test]
fn a_line_of_a_megabyte_is_quoted_in_part() {
    let long = format!("fatal: {}", "no such thing as é ".repeat(60_000));
    let noise = "x".repeat(1 << 20);
    let addresses = "http://db-1:5432/,".repeat(60_000);
    for log in [long.clone(), noise, addresses, format!("{long}\n{long}\n{long}"), "{".repeat(1 << 20)] {
        let diagnosis = diagnosed(&[crashing("talker")], &Scope::Cluster, &log);
        assert_eq!(failures(&diagnosis), ["crash-loop"], "{}", &log[..20]);
        let (problem, title) = (&diagnosis.problems[0], diagnosis.problems[0].title.len());
        assert!(title < 300 && size(problem) < 8 << 10, "{title} {}", size(problem));
    }
}

#[test]
fn events_of_the_future_and_by_the_billion_are_told_as_they_are_and_open_nothing_in_the_future() {
    let now: Timestamp = NOW.parse().unwrap();
    for (first, last) in [
        ("2026-01-01T11:00:00Z", "2026-01-01T13:00:00Z"),
        ("2031-01-01T00:00:00Z", "2031-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00Z", "9999-12-01T00:00:00Z"),
    ] {
        let cluster = Cluster::new(10);
        let mut event = cluster.probe_event(17);
        event["firstTimestamp"] = first.into();
        event["lastTimestamp"] = last.into();
        event["count"] = 1_000_000_000.into();
        let mut watched = Watched::new(&cluster, &[cluster.unready(17), event]);
        let (diagnosis, looked_at) = watched.settle();
        assert_eq!(failures(&diagnosis), ["readiness-failing"], "{first} {last}");
        let problem = &diagnosis.problems[0];
        assert!(problem.opened.is_none_or(|at| at <= now), "{first} {last}: {:?}", problem.opened);
        assert!(looked_at <= 50);
    }
}

#[test]
fn a_map_of_a_megabyte_of_addresses_is_no_reason_for_anything() {
    let cluster = Cluster::new(50);
    let mut map = object("v1", "ConfigMap", &cluster.space(0), &app(1));
    map["data"] = json!({"hosts": (0..40_000).map(|i| format!("http://host-{i}.shop:80\n")).collect::<String>()});
    let mut watched = Watched::new(&cluster, &[map, cluster.crashing(REPLICAS + 3)]);
    let scope = Scope::Object(ResourceRef::new(Kind::Deployment, Some(&cluster.space(0)), &app(1)));
    let diagnosis = watched.engine.diagnose(&scope, watched.now);
    assert!(diagnosis.demands.len() < 100, "{} questions", diagnosis.demands.len());
    assert!(diagnosis.problems.iter().map(size).all(|size| size < 32 << 10));
    assert_eq!(failures(&diagnosis), ["crash-loop"]);
}

#[test]
fn a_host_that_a_log_names_is_found_in_a_map_of_a_megabyte_by_a_few_looks() {
    let cluster = Cluster::new(50);
    let mut map = object("v1", "ConfigMap", &cluster.space(0), &app(1));
    map["data"] = json!({"hosts": (0..40_000).map(|i| format!("http://host-{i}.shop:80\n")).collect::<String>()});
    // The first addresses of a text are read, and the last are not: neither costs more.
    for (host, blamed) in [("host-7.shop", "ConfigMap"), ("host-39999.shop", "Deployment")] {
        let mut watched = Watched::new(&cluster, &[map.clone()]);
        watched.log = format!("fatal: dial tcp: lookup {host}: no such host");
        let looked_at = watched.looked_at_for(&[cluster.crashing(REPLICAS + 3)]);
        let (diagnosis, _) = watched.settle();
        assert_eq!(failures(&diagnosis), ["dependency-name"], "{host}");
        let problem = &diagnosis.problems[0];
        assert_eq!(problem.cause.reference.as_ref().unwrap().kind, blamed, "{host}");
        assert!(size(problem) < 8 << 10, "{}", size(problem));
        assert!(watched.asked < 40 && looked_at <= 50, "{} questions, {looked_at} looks", watched.asked);
    }
}
