//! What `reckon fix` does to nodes and pods, and what servers, budgets and rights refuse it.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fixing;

use fixing::{Served, stderr};
use reckon_model::{SignedDuration, Timestamp};
use reckon_sim::{Clock, Config, Server, User};
use serde_json::{Value, json};

/// A cluster in which nothing happens by itself.
async fn with(objects: &[(&str, Value)]) -> Served {
    since(Clock::real(), objects).await
}

/// The same by this clock.
async fn since(clock: Clock, objects: &[(&str, Value)]) -> Served {
    let server = Server::new(Config { controllers: false, ..Config::default() }, clock);
    {
        let mut world = server.world();
        world.create("namespaces", json!({"metadata": {"name": "shop"}})).unwrap();
        for (resource, object) in objects {
            world.create(resource, object.clone()).unwrap();
        }
    }
    Served::new(server).await
}

fn ago(minutes: i64) -> String {
    (Timestamp::now() - SignedDuration::from_mins(minutes)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The one node is cordoned, and a pod waits for it.
fn cordoned() -> [(&'static str, Value); 2] {
    [
        (
            "nodes",
            json!({"metadata": {"name": "n1"}, "spec": {"unschedulable": true, "taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]},
                "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": ago(60), "lastHeartbeatTime": ago(0)}], "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}}}),
        ),
        (
            "pods",
            json!({"metadata": {"namespace": "shop", "name": "p"}, "spec": {"containers": [{"name": "app", "image": "a:1"}]},
                "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available: 1 node(s) were unschedulable.", "lastTransitionTime": ago(5)}]}}),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lives_in_no_namespace_is_told_of_in_the_namespace_default() {
    let served = with(&cordoned()).await;
    let done = served.json("fix pod/p -n shop --apply -y").await;
    assert_eq!((&done["remedy"]["kind"], &done["applied"]), (&json!("uncordon"), &json!(true)), "{done}");
    let node = served.server.world().get("nodes", "", "n1").unwrap();
    assert_ne!(node["spec"]["unschedulable"], true, "{node}");
    let told = served.told("Node", "n1");
    let [event] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(event["metadata"]["namespace"], "default");
    let about = &event["involvedObject"];
    assert_eq!((&about["namespace"], &about["uid"]), (&Value::Null, &node["metadata"]["uid"]), "{event}");
    assert!(event["message"].as_str().unwrap().contains("--option 1: Uncordon n1"), "{event}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_write_is_told_which_right_is_missing_before_anything_is_tried() {
    let served = with(&cordoned()).await;
    {
        let mut world = served.server.world();
        let rules = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]);
        world
            .create("clusterroles.rbac.authorization.k8s.io", json!({"metadata": {"name": "look"}, "rules": rules}))
            .unwrap();
        let binding = json!({"metadata": {"name": "look"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "look"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}]});
        world.create("clusterrolebindings.rbac.authorization.k8s.io", binding).unwrap();
        world.add_token("janes", User::new("jane", &[]));
    }
    let before = served.server.world().revision();
    served.come_as(Some("janes"));
    for apply in ["", " --apply -y"] {
        let output = served.run(&format!("fix pod/p -n shop{apply}")).await;
        assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
        let said = stderr(&output);
        assert!(said.contains("you may not patch nodes, which this remedy needs"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    assert_eq!(served.server.world().revision(), before, "nothing was written");
}

/// A pod that was asked to take more than its node has free, a quarter of an hour ago, and what makes it again.
fn deferred() -> [(&'static str, Value); 3] {
    let node = json!({"metadata": {"name": "n1"}, "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": ago(60), "lastHeartbeatTime": ago(0)}], "allocatable": {"cpu": "4", "memory": "4Gi", "pods": "110"}}});
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": "web:1", "resources": {"requests": {"memory": "64Mi"}}}]}});
    let set = json!({"metadata": {"namespace": "shop", "name": "web", "uid": "set-1"},
        "spec": {"replicas": 1, "serviceName": "", "selector": {"matchLabels": {"app": "web"}}, "template": template},
        "status": {"observedGeneration": 1, "replicas": 1, "readyReplicas": 1, "availableReplicas": 1, "currentReplicas": 1, "updatedReplicas": 1}});
    let pod = json!({"metadata": {"namespace": "shop", "name": "web-0", "labels": {"app": "web"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "app", "image": "web:1", "resources": {"requests": {"memory": "6Gi"}}}]},
        "status": {"phase": "Running", "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": ago(30)},
                {"type": "PodResizePending", "status": "True", "reason": "Deferred", "message": "Node didn't have enough resource: memory, requested: 6442450944, used: 1610612736, capacity: 4294967296", "lastTransitionTime": ago(15)}],
            "containerStatuses": [{"name": "app", "image": "web:1", "ready": true, "restartCount": 0, "state": {"running": {"startedAt": ago(30)}}, "resources": {"requests": {"memory": "64Mi"}}}]}});
    [("nodes", node), ("statefulsets.apps", set), ("pods", pod)]
}

/// The same, once the pod says who made it.
async fn resized() -> Served {
    let served = with(&deferred()).await;
    let mut world = served.server.world();
    let set = world.get("statefulsets.apps", "shop", "web").unwrap();
    let owner = json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": set["metadata"]["uid"], "controller": true}]);
    world.edit("pods", "shop", "web-0", "kube-controller-manager", |pod| pod["metadata"]["ownerReferences"] = owner);
    drop(world);
    served
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_is_evicted_only_as_its_budget_allows() {
    let served = resized().await;
    let budget = json!({"metadata": {"namespace": "shop", "name": "web"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
        "status": {"disruptionsAllowed": 0, "desiredHealthy": 1, "currentHealthy": 1, "expectedPods": 1, "observedGeneration": 1}});
    served.server.world().create("poddisruptionbudgets.policy", budget).unwrap();
    let evict = "fix statefulset/web -n shop --option 2 --apply -y";
    // The dry run meets it already, and then nothing is tried.
    for words in [evict, "fix statefulset/web -n shop --option 2", &format!("{evict} --dry-run none")] {
        let output = served.run(words).await;
        assert_eq!(output.status.code(), Some(6), "{words}: {}", stderr(&output));
        let said = stderr(&output);
        assert!(said.contains("the eviction is refused, and nothing was changed: "), "{said}");
        assert!(said.contains("disruption budget"), "{said}");
    }
    let there = |served: &Served| {
        let pod = served.server.world().get("pods", "shop", "web-0");
        pod.is_some_and(|pod| pod["metadata"]["deletionTimestamp"].is_null())
    };
    assert!(there(&served) && served.told("Pod", "web-0").is_empty());

    served.server.world().edit("poddisruptionbudgets.policy", "shop", "web", "disruption-controller", |budget| {
        budget["status"]["disruptionsAllowed"] = 1.into();
    });
    let done = served.json(evict).await;
    assert_eq!((&done["remedy"]["kind"], &done["applied"]), (&json!("evict"), &json!(true)), "{done}");
    assert!(!there(&served));
    assert_eq!(served.told("Pod", "web-0").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_resources_of_a_running_pod_are_changed_by_the_way_that_is_there_for_it() {
    let served = resized().await;
    let done = served.json("fix statefulset/web -n shop --option 1 --apply -y").await;
    assert_eq!((&done["remedy"]["kind"], &done["applied"]), (&json!("set-resources"), &json!(true)), "{done}");
    let pod = served.server.world().get("pods", "shop", "web-0").unwrap();
    assert_eq!(pod["spec"]["containers"][0]["resources"]["requests"]["memory"], "64Mi", "{pod}");
    assert_eq!(served.told("Pod", "web-0").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_nothing_would_make_again_is_not_taken_away() {
    let node = deferred()[0].clone();
    let settings =
        json!({"metadata": {"namespace": "shop", "name": "settings"}, "data": {"LEVEL": "info", "REGION": "eu"}});
    let pod = json!({"metadata": {"namespace": "shop", "name": "solo"},
        "spec": {"nodeName": "n1", "containers": [{"name": "app", "image": "a:1", "env": [{"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "LEVEL"}}}]}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": ago(60)}],
            "containerStatuses": [{"name": "app", "image": "a:1", "ready": true, "restartCount": 0, "state": {"running": {"startedAt": ago(60)}}}]}});
    // A configuration that was edited half an hour ago: before, somebody may be about to restart what reads it.
    let clock = Clock::stepped(Timestamp::now() - SignedDuration::from_mins(60));
    let served = since(clock.clone(), &[node, ("configmaps", settings), ("pods", pod)]).await;
    clock.advance(SignedDuration::from_mins(30));
    served
        .server
        .world()
        .edit("configmaps", "shop", "settings", "kubectl-edit", |it| it["data"]["LEVEL"] = "debug".into());
    clock.advance(SignedDuration::from_mins(30));
    let asked = served.json("problems -n shop").await;
    let problem = &asked["problems"][0];
    assert_eq!(
        problem["failure"],
        "stale-config",
        "{asked:#} {:#}",
        served.server.world().get("configmaps", "shop", "settings").unwrap()
    );
    let output = served.run(&format!("fix {} -n shop --apply -y", problem["id"].as_str().unwrap())).await;
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    assert!(served.server.world().get("pods", "shop", "solo").unwrap()["metadata"]["deletionTimestamp"].is_null());
    // Nor is a command told that would do so.
    let why = served.run("why pod/solo -n shop").await;
    assert!(!fixing::stdout(&why).contains("kubectl delete"), "{}", fixing::stdout(&why));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_that_would_restart_nothing_is_refused() {
    let template = json!({"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [{"name": "app", "image": "agent:2"}]}});
    let agent = json!({"metadata": {"namespace": "shop", "name": "agent"},
        "spec": {"selector": {"matchLabels": {"app": "agent"}}, "updateStrategy": {"type": "OnDelete"}, "template": template},
        "status": {"observedGeneration": 1, "desiredNumberScheduled": 3, "currentNumberScheduled": 3, "updatedNumberScheduled": 1, "numberReady": 3, "numberAvailable": 3, "numberMisscheduled": 0}});
    let served = with(&[("daemonsets.apps", agent)]).await;
    let before = served.server.world().get("daemonsets.apps", "shop", "agent").unwrap();
    let output = served.run("fix daemonset/agent -n shop --apply -y").await;
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    assert!(stderr(&output).contains("only when somebody deletes them"), "{}", stderr(&output));
    assert_eq!(served.server.world().get("daemonsets.apps", "shop", "agent").unwrap(), before);
}
