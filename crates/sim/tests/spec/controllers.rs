//! What the controllers make of objects.

use crate::ask::{Sim, names, start_with};
use reckon_sim::{Bulk, Config};
use serde_json::{Value, json};

/// A cluster with so many nodes.
fn start(nodes: usize) -> Sim {
    let sim = start_with(Config::default());
    sim.server.world().fill(&Bulk { pods: 0, nodes, namespaces: 1, workloads: false, ..Bulk::default() });
    sim.server.world().step();
    sim
}

fn workload(kind: &str, replicas: i64, script: &Value) -> Value {
    json!({
        "kind": kind, "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}, "annotations": {"sim.reckon.dev/behaviour": script.to_string()}},
            "spec": {"containers": [{"name": "app", "image": "a:1"}]},
        }},
    })
}

/// Lets time pass, second by second.
fn pass(sim: &Sim, seconds: i64) {
    for _ in 0..seconds {
        sim.advance(1);
        sim.server.world().step();
    }
}

fn apply(sim: &Sim, resource: &str, object: Value) {
    sim.server.world().create(resource, object).unwrap();
    sim.server.world().step();
}

fn only_pod(sim: &Sim) -> Value {
    sim.get("/api/v1/pods").json["items"][0].clone()
}

fn reasons(sim: &Sim) -> Vec<String> {
    let events = sim.get("/api/v1/events").json;
    let mut reasons: Vec<String> =
        events["items"].as_array().unwrap().iter().map(|event| event["reason"].as_str().unwrap().to_owned()).collect();
    reasons.sort();
    reasons.dedup();
    reasons
}

#[test]
fn a_deployment_becomes_running_pods() {
    let sim = start(2);
    apply(&sim, "deployments.apps", workload("Deployment", 3, &json!({})));
    let deployment = sim.server.world().get("deployments.apps", "default", "web").unwrap();
    assert_eq!(
        (&deployment["status"]["readyReplicas"], &deployment["status"]["updatedReplicas"]),
        (&json!(3), &json!(3))
    );
    let conditions = deployment["status"]["conditions"].as_array().unwrap();
    let reason = |kind: &str| conditions.iter().find(|condition| condition["type"] == kind).unwrap()["reason"].clone();
    assert_eq!([reason("Available"), reason("Progressing")], ["MinimumReplicasAvailable", "NewReplicaSetAvailable"]);
    let pods = sim.get("/api/v1/pods").json;
    let nodes: std::collections::BTreeSet<&str> =
        pods["items"].as_array().unwrap().iter().map(|pod| pod["spec"]["nodeName"].as_str().unwrap()).collect();
    assert_eq!((names(&pods).len(), nodes.len()), (3, 2));
    assert_eq!(pods["items"][0]["status"]["phase"], "Running");
    assert_eq!(reasons(&sim), ["Created", "Pulled", "ScalingReplicaSet", "Scheduled", "Started", "SuccessfulCreate"]);
    let before = sim.server.world().revision();
    pass(&sim, 60);
    assert_eq!(sim.server.world().revision(), before, "what is well is left alone");
}

#[test]
fn a_new_template_is_rolled_out_and_the_old_set_stays_empty() {
    let sim = start(2);
    apply(&sim, "deployments.apps", workload("Deployment", 4, &json!({})));
    sim.server.world().edit("deployments.apps", "default", "web", "me", |deployment| {
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] = "a:2".into();
    });
    pass(&sim, 3);
    let sets = sim.get("/apis/apps/v1/replicasets").json;
    let mut counts: Vec<i64> =
        sets["items"].as_array().unwrap().iter().map(|set| set["spec"]["replicas"].as_i64().unwrap()).collect();
    counts.sort_unstable();
    assert_eq!(counts, [0, 4]);
    let pods = sim.get("/api/v1/pods").json;
    assert!(pods["items"].as_array().unwrap().iter().all(|pod| pod["spec"]["containers"][0]["image"] == "a:2"));
    assert_eq!(
        sim.server.world().get("deployments.apps", "default", "web").unwrap()["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "2"
    );
}

#[test]
fn a_roll_out_that_does_not_come_forward_says_so_at_its_deadline() {
    let sim = start(1);
    let mut deployment = workload("Deployment", 1, &json!({"app": {"ready": false}}));
    deployment["spec"]["progressDeadlineSeconds"] = 30.into();
    apply(&sim, "deployments.apps", deployment);
    pass(&sim, 29);
    let progressing = || {
        let deployment = sim.server.world().get("deployments.apps", "default", "web").unwrap();
        let conditions = deployment["status"]["conditions"].as_array().unwrap().clone();
        conditions.into_iter().find(|condition| condition["type"] == "Progressing").unwrap()["reason"].clone()
    };
    assert_eq!(progressing(), "ReplicaSetUpdated");
    pass(&sim, 2);
    assert_eq!(progressing(), "ProgressDeadlineExceeded");
}

#[test]
fn a_container_that_exits_backs_off_longer_and_longer() {
    let sim = start(1);
    apply(
        &sim,
        "deployments.apps",
        workload("Deployment", 1, &json!({"app": {"exitCode": 1, "after": 2, "log": ["no database"]}})),
    );
    pass(&sim, 2);
    let status = only_pod(&sim)["status"]["containerStatuses"][0].clone();
    assert_eq!(status["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert!(
        status["state"]["waiting"]["message"]
            .as_str()
            .unwrap()
            .starts_with("back-off 10s restarting failed container=app pod=web-")
    );
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 1);
    pass(&sim, 10);
    assert_eq!(only_pod(&sim)["status"]["containerStatuses"][0]["restartCount"], 1);
    pass(&sim, 2);
    let status = only_pod(&sim)["status"]["containerStatuses"][0].clone();
    assert!(status["state"]["waiting"]["message"].as_str().unwrap().starts_with("back-off 20s"));
    let name = only_pod(&sim)["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(sim.get(&format!("/api/v1/namespaces/default/pods/{name}/log?previous=true")).text, "no database\n");
    assert!(reasons(&sim).contains(&"BackOff".to_owned()));
}

#[test]
fn memory_and_images_run_out_in_the_kubelets_words() {
    let sim = start(1);
    let script = json!({"app": {"oomAfter": 5}});
    apply(&sim, "deployments.apps", workload("Deployment", 1, &script));
    pass(&sim, 5);
    let last = only_pod(&sim)["status"]["containerStatuses"][0]["lastState"]["terminated"].clone();
    assert_eq!((&last["reason"], &last["exitCode"]), (&json!("OOMKilled"), &json!(137)));
    let sim = start(1);
    apply(&sim, "deployments.apps", workload("Deployment", 1, &json!({"*": {"pull": false}})));
    pass(&sim, 1);
    let pod = only_pod(&sim);
    assert_eq!(pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"], "ImagePullBackOff");
    assert_eq!(pod["status"]["phase"], "Pending");
}

#[test]
fn a_pod_that_fits_nowhere_is_told_why() {
    let sim = start(2);
    sim.server.world().edit("nodes", "", "node-0", "me", |node| {
        node["spec"]["taints"] = json!([{"key": "dedicated", "value": "x", "effect": "NoSchedule"}]);
    });
    let mut deployment = workload("Deployment", 1, &json!({}));
    deployment["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "100"}});
    apply(&sim, "deployments.apps", deployment);
    let pod = only_pod(&sim);
    let scheduled = pod["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|condition| condition["type"] == "PodScheduled")
        .unwrap();
    assert_eq!(scheduled["reason"], "Unschedulable");
    assert_eq!(
        scheduled["message"],
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s). preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling."
    );
    assert!(reasons(&sim).contains(&"FailedScheduling".to_owned()));
}

#[test]
fn dependents_go_with_their_owner_unless_they_are_let_go() {
    let sim = start(1);
    apply(&sim, "deployments.apps", workload("Deployment", 2, &json!({})));
    sim.delete("/apis/apps/v1/namespaces/default/deployments/web");
    pass(&sim, 2);
    assert_eq!(names(&sim.get("/apis/apps/v1/replicasets").json).len() + names(&sim.get("/api/v1/pods").json).len(), 0);
    apply(&sim, "deployments.apps", workload("Deployment", 2, &json!({})));
    sim.delete("/apis/apps/v1/namespaces/default/deployments/web?propagationPolicy=Orphan");
    pass(&sim, 2);
    assert_eq!(names(&sim.get("/apis/apps/v1/deployments").json).len(), 0);
    assert_eq!(
        (names(&sim.get("/apis/apps/v1/replicasets").json).len(), names(&sim.get("/api/v1/pods").json).len()),
        (1, 2)
    );
    apply(&sim, "statefulsets.apps", workload("StatefulSet", 2, &json!({})));
    sim.delete("/apis/apps/v1/namespaces/default/statefulsets/web?propagationPolicy=Foreground");
    pass(&sim, 2);
    assert_eq!(names(&sim.get("/apis/apps/v1/statefulsets").json).len(), 0);
    assert_eq!(names(&sim.get("/api/v1/pods").json).len(), 2);
}

#[test]
fn a_namespace_goes_with_everything_in_it() {
    let sim = start(1);
    sim.map("a", &json!({}));
    assert_eq!(sim.get("/api/v1/namespaces/default/serviceaccounts/default").code, 200);
    assert_eq!(sim.delete("/api/v1/namespaces/default").json["status"]["phase"], "Terminating");
    let refused = sim.ask("POST /api/v1/namespaces/default/configmaps", &json!({"metadata": {"name": "b"}}));
    assert_eq!(refused.json["details"]["causes"][0]["reason"], "NamespaceTerminating");
    pass(&sim, 1);
    assert_eq!(sim.get("/api/v1/namespaces/default").code, 404);
    assert_eq!(sim.get("/api/v1/namespaces/default/configmaps/a").code, 404);
}

#[test]
fn a_service_leads_to_the_pods_that_are_ready_and_a_budget_counts_them() {
    let sim = start(1);
    apply(&sim, "deployments.apps", workload("Deployment", 2, &json!({})));
    let service = json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}});
    apply(&sim, "services", service);
    let budget = json!({"metadata": {"name": "web"}, "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}});
    apply(&sim, "poddisruptionbudgets.policy", budget);
    let slice = sim.get("/apis/discovery.k8s.io/v1/endpointslices").json["items"][0].clone();
    assert_eq!((slice["endpoints"].as_array().unwrap().len(), &slice["ports"][0]["port"]), (2, &json!(8080)));
    assert_eq!(slice["endpoints"][0]["conditions"]["ready"], true);
    let status = sim.get("/apis/policy/v1/poddisruptionbudgets").json["items"][0]["status"].clone();
    assert_eq!((&status["currentHealthy"], &status["disruptionsAllowed"]), (&json!(2), &json!(1)));
}

#[test]
fn a_job_completes_or_gives_up() {
    let sim = start(1);
    let job = |script: Value| {
        json!({"metadata": {"name": "job"}, "spec": {"backoffLimit": 1, "template": {
            "metadata": {"annotations": {"sim.reckon.dev/behaviour": script.to_string()}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "app", "image": "a:1"}]},
        }}})
    };
    apply(&sim, "jobs.batch", job(json!({})));
    pass(&sim, 2);
    let done = sim.server.world().get("jobs.batch", "default", "job").unwrap();
    assert_eq!((&done["status"]["succeeded"], done["status"]["completionTime"].is_string()), (&json!(1), true));
    sim.server.world().remove_now("jobs.batch", "default", "job");
    apply(&sim, "jobs.batch", job(json!({"*": {"exitCode": 3, "after": 1}})));
    pass(&sim, 5);
    let failed = sim.server.world().get("jobs.batch", "default", "job").unwrap();
    let conditions = failed["status"]["conditions"].as_array().unwrap();
    assert!(
        conditions
            .iter()
            .any(|condition| condition["type"] == "Failed" && condition["reason"] == "BackoffLimitExceeded")
    );
    assert_eq!(failed["status"]["failed"], 2);
}

#[test]
fn stateful_pods_come_in_order_and_daemons_everywhere() {
    let sim = start(3);
    apply(&sim, "statefulsets.apps", workload("StatefulSet", 3, &json!({})));
    pass(&sim, 1);
    assert_eq!(names(&sim.get("/api/v1/pods").json), ["web-0", "web-1", "web-2"]);
    sim.server.world().edit("statefulsets.apps", "default", "web", "me", |set| set["spec"]["replicas"] = 1.into());
    pass(&sim, 3);
    assert_eq!(names(&sim.get("/api/v1/pods").json), ["web-0"]);
    sim.server.world().remove_now("statefulsets.apps", "default", "web");
    pass(&sim, 1);
    apply(&sim, "daemonsets.apps", workload("DaemonSet", 0, &json!({})));
    assert_eq!(names(&sim.get("/api/v1/pods").json).len(), 3);
    let status = sim.server.world().get("daemonsets.apps", "default", "web").unwrap()["status"].clone();
    assert_eq!((&status["desiredNumberScheduled"], &status["numberReady"]), (&json!(3), &json!(3)));
}

#[test]
fn a_node_that_goes_away_is_noticed_and_its_pods_move() {
    let sim = start(2);
    apply(&sim, "deployments.apps", workload("Deployment", 2, &json!({})));
    sim.server.world().lose_node("node-0");
    pass(&sim, 49);
    let ready = |sim: &Sim| {
        let node = sim.server.world().get("nodes", "", "node-0").unwrap();
        let conditions = node["status"]["conditions"].as_array().unwrap().clone();
        conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap()["status"].clone()
    };
    assert_eq!(ready(&sim), "True");
    pass(&sim, 2);
    assert_eq!(ready(&sim), "Unknown");
    assert_eq!(sim.server.world().get("deployments.apps", "default", "web").unwrap()["status"]["readyReplicas"], 1);
    sim.advance(300);
    pass(&sim, 2);
    let pods = sim.get("/api/v1/pods").json;
    let on: Vec<(&str, bool)> = pods["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pod| (pod["spec"]["nodeName"].as_str().unwrap(), pod["metadata"]["deletionTimestamp"].is_string()))
        .collect();
    assert_eq!(on.iter().filter(|pod| **pod == ("node-1", false)).count(), 2);
    assert_eq!(on.iter().filter(|pod| **pod == ("node-0", true)).count(), 1);
    sim.server.world().revive_node("node-0");
    pass(&sim, 1);
    assert_eq!(ready(&sim), "True");
    assert_eq!(names(&sim.get("/api/v1/pods").json).len(), 2);
}
