//! Each rule leaves out what it says and nothing beside it, and can be turned off; the page tells of all of them.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and reads files; the room does not"
)]

mod feed;

use feed::{Feed, changes, deployment, fields, merge, object, owned, pod, replica_set, running, with, words, wrote};
use reckon_model::record::Entry;
use reckon_record::Noise;
use reckon_record::noise::{RULES, page};
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn the_page_is_what_the_rules_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/noise.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    assert!(std::fs::read_to_string(&path).unwrap_or_default() == page(), "run the tests with UPDATE=1");
}

#[test]
fn a_rule_that_is_not_there_cannot_be_turned_off() {
    assert!(Noise::without(["leases", "nois"]).unwrap_err().to_string().contains("nois"));
}

/// What is told of two states of an object, with these rules turned off.
fn told(off: &[&str], around: &[Value], before: Option<&Value>, now: &Value) -> Vec<Entry> {
    let mut feed = Feed::with(Noise::without(off.iter().copied()).unwrap());
    around.iter().chain(before).for_each(|object| drop(feed.apply(object)));
    feed.pass(10);
    feed.steps();
    feed.apply(now)
}

/// What is told of the second state with the rule is nothing; without it, that many entries.
fn only_by(rule: &str, around: &[Value], before: Option<&Value>, now: &Value) -> Vec<Entry> {
    assert!(RULES.iter().any(|known| known.id == rule));
    let with_it = told(&[], around, before, now);
    assert_eq!(with_it, Vec::new(), "{rule}");
    let without = told(&[rule], around, before, now);
    assert!(!without.is_empty(), "{rule} leaves out what others leave out, too");
    without
}

fn config(rest: &Value) -> Value {
    object("v1", "ConfigMap", "settings", &with(&json!({"data": {"a": "1"}}), rest))
}

fn node(rest: &Value) -> Value {
    let mut node = object(
        "v1",
        "Node",
        "n1",
        &json!({"spec": {}, "status": {"conditions": [
        {"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T12:00:00Z", "lastTransitionTime": "2026-01-01T12:00:00Z"}]}}),
    );
    node["metadata"].as_object_mut().unwrap().remove("namespace");
    merge(&mut node, rest);
    node
}

#[test]
fn status() {
    let before = object(
        "policy/v1",
        "PodDisruptionBudget",
        "b",
        &json!({"spec": {"minAvailable": 1}, "status": {"currentHealthy": 1}}),
    );
    only_by("status", &[], Some(&before), &with(&before, &json!({"status": {"currentHealthy": 2}})));
}

#[test]
fn bookkeeping() {
    only_by("bookkeeping", &[], Some(&config(&json!({}))), &config(&json!({"metadata": {"selfLink": "/x"}})));
}

#[test]
fn leases() {
    let lease =
        object("coordination.k8s.io/v1", "Lease", "n1", &json!({"spec": {"renewTime": "2026-01-01T12:00:00.000000Z"}}));
    only_by("leases", &[], Some(&lease), &with(&lease, &json!({"spec": {"renewTime": "2026-01-01T12:00:10.000000Z"}})));
}

#[test]
fn leader_election() {
    let holds =
        |who: &str| config(&json!({"metadata": {"annotations": {"control-plane.alpha.kubernetes.io/leader": who}}}));
    only_by("leader-election", &[], Some(&holds("a")), &holds("b"));
}

#[test]
fn node_heartbeats() {
    let mut beat = node(&json!({}));
    beat["status"]["conditions"][0]["lastHeartbeatTime"] = "2026-01-01T12:05:00Z".into();
    // The state itself does not take them in, so there is nothing to turn off.
    for off in [&[][..], &["node-heartbeats", "status"]] {
        assert_eq!(told(off, &[], Some(&node(&json!({}))), &beat), Vec::new());
    }
}

#[test]
fn node_bookkeeping() {
    let noted = node(&json!({"metadata": {"annotations": {"node.alpha.kubernetes.io/ttl": "0"}}}));
    only_by("node-bookkeeping", &[], Some(&node(&json!({}))), &noted);
}

#[test]
fn node_taints() {
    let tainted = |key: &str| node(&json!({"spec": {"taints": [{"key": key, "effect": "NoSchedule"}]}}));
    only_by("node-taints", &[], Some(&node(&json!({}))), &tainted("node.kubernetes.io/not-ready"));
    assert_eq!(told(&[], &[], Some(&node(&json!({}))), &tainted("gpu")).len(), 1);
}

#[test]
fn last_applied() {
    let applied = |what: &str| {
        config(&json!({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": what}}}))
    };
    only_by("last-applied", &[], Some(&applied("{}")), &applied("{\"data\":{}}"));
}

#[test]
fn revision_numbers() {
    let revised = with(
        &deployment("web", "a"),
        &json!({"metadata": {"annotations": {"deployment.kubernetes.io/revision": "2"}}}),
    );
    only_by("revision-numbers", &[], Some(&deployment("web", "a")), &revised);
}

#[test]
fn that_a_restart_was_asked_for_is_told() {
    let restarted = json!({"metadata": {"generation": 2}, "spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-01T12:00:00Z"}}}}});
    let entries = told(&[], &[], Some(&deployment("web", "a")), &with(&deployment("web", "a"), &restarted));
    assert_eq!(
        fields(feed::change(&entries)),
        ["spec.template.metadata.annotations[kubectl.kubernetes.io/restartedAt]"]
    );
}

#[test]
fn controller_labels() {
    let bare = pod("x", None);
    only_by(
        "controller-labels",
        &[],
        Some(&bare),
        &with(&bare, &json!({"metadata": {"labels": {"controller-uid": "u"}}})),
    );
}

#[test]
fn controller_finalizers() {
    let bare = pod("x", None);
    let held = with(&bare, &json!({"metadata": {"finalizers": ["batch.kubernetes.io/job-tracking"]}}));
    only_by("controller-finalizers", &[], Some(&bare), &held);
}

#[test]
fn network_of_pods() {
    let bare = pod("x", None);
    only_by(
        "network-of-pods",
        &[],
        Some(&bare),
        &with(&bare, &json!({"metadata": {"annotations": {"cni.projectcalico.org/podIP": "10.0.0.1/32"}}})),
    );
}

#[test]
fn volume_binding() {
    let claim = object("v1", "PersistentVolumeClaim", "data", &json!({"spec": {"storageClassName": "fast"}}));
    only_by(
        "volume-binding",
        &[],
        Some(&claim),
        &with(&claim, &json!({"metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}})),
    );
    assert_eq!(told(&[], &[], Some(&claim), &with(&claim, &json!({"spec": {"volumeName": "pv-1"}}))).len(), 1);
}

#[test]
fn gitops_refresh() {
    let refreshed = config(&json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}));
    only_by("gitops-refresh", &[], Some(&config(&json!({}))), &refreshed);
}

#[test]
fn made_by_controller() {
    let job = with(&object("batch/v1", "Job", "nightly-1", &json!({"spec": {}})), &owned("CronJob", "nightly"));
    only_by("made-by-controller", &[], None, &job);
    let by_hand = object("batch/v1", "Job", "once", &json!({"spec": {}}));
    assert_eq!(words(&told(&[], &[], None, &by_hand)), ["change"]);
}

#[test]
fn replica_set_scaling() {
    let set = replica_set(&deployment("web", "a"), "h1", 1, feed::NOON);
    let scaled = |manager: &str| {
        with(
            &set,
            &json!({"metadata": {"generation": 2, "managedFields": [wrote(manager, "2026-01-01T12:00:09Z", &json!({"f:spec": {"f:replicas": {}}}))]}, "spec": {"replicas": 5}}),
        )
    };
    only_by("replica-set-scaling", &[], Some(&set), &scaled("kube-controller-manager"));
    let entries = told(&[], &[], Some(&set), &scaled("kubectl"));
    assert_eq!(feed::change(&entries).actor.as_ref().unwrap().manager, "kubectl");
    assert_eq!(entries[0].workload.as_ref().unwrap().name, "web");
}

#[test]
fn autoscaler_within_bounds() {
    let scaler = object(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "web",
        &json!({"spec": {"minReplicas": 2, "maxReplicas": 9,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}}),
    );
    let scaled = |manager: &str, to: u32| {
        with(
            &deployment("web", "a"),
            &json!({"metadata": {"generation": 2, "managedFields": [wrote(manager, "2026-01-01T12:00:09Z", &json!({"f:spec": {"f:replicas": {}}}))]}, "spec": {"replicas": to}}),
        )
    };
    let around = [scaler];
    only_by("autoscaler-within-bounds", &around, Some(&deployment("web", "a")), &scaled("kube-controller-manager", 5));
    for (manager, to) in [("kube-controller-manager", 10), ("kube-controller-manager", 1), ("kubectl-scale", 5)] {
        assert_eq!(told(&[], &around, Some(&deployment("web", "a")), &scaled(manager, to)).len(), 1, "{manager} {to}");
    }
    assert_eq!(told(&[], &[], Some(&deployment("web", "a")), &scaled("kube-controller-manager", 5)).len(), 1);
}

#[test]
fn defaulted_fields() {
    let defaulted = |value: &str, managed: &Value| {
        with(
            &deployment("web", "a"),
            &json!({"metadata": {"generation": 2, "managedFields": managed}, "spec": {"template": {"spec": {"dnsPolicy": value}}}}),
        )
    };
    let owned = json!([wrote(
        "kubectl",
        "2026-01-01T12:00:09Z",
        &json!({"f:spec": {"f:template": {"f:spec": {"f:dnsPolicy": {}}}}})
    )]);
    only_by("defaulted-fields", &[], Some(&deployment("web", "a")), &defaulted("ClusterFirst", &json!([])));
    for (value, managed) in [("Default", json!([])), ("ClusterFirst", owned)] {
        assert_eq!(told(&[], &[], Some(&deployment("web", "a")), &defaulted(value, &managed)).len(), 1, "{value}");
    }
}

#[test]
fn endpoints_follow_pods() {
    let slice = |address: &str| {
        object(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            "web-1",
            &json!({"addressType": "IPv4", "endpoints": [{"addresses": [address]}]}),
        )
    };
    let kept = |address: &str| {
        with(
            &slice(address),
            &json!({"metadata": {"labels": {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}}}),
        )
    };
    only_by("endpoints-follow-pods", &[], Some(&kept("10.0.0.1")), &kept("10.0.0.2"));
    assert_eq!(fields(feed::change(&told(&[], &[], Some(&slice("10.0.0.1")), &slice("10.0.0.2")))), ["endpoints"]);
}

#[test]
fn helm_storage() {
    let secret = |status: &str| {
        object(
            "v1",
            "Secret",
            "sh.helm.release.v1.shop.v1",
            &json!({"metadata": {"labels": {"owner": "helm", "name": "shop", "version": "1", "status": status}}}),
        )
    };
    assert_eq!(words(&told(&[], &[], Some(&secret("pending-install")), &secret("deployed"))), ["release"]);
    assert_eq!(
        words(&told(&["helm-storage"], &[], Some(&secret("pending-install")), &secret("deployed"))),
        ["change", "release"]
    );
}

#[test]
fn ordinary_life_of_pods() {
    let made = pod("web-h1-x", Some(("ReplicaSet", "web-h1")));
    let entries = only_by("ordinary-life-of-pods", &[], None, &made);
    assert_eq!(words(&entries), ["phase"]);
    let started = running(&made, true, 0, &json!({"running": {}}), &json!({}));
    assert_eq!(words(&told(&[], &[], Some(&made), &started)), ["phase"]);
    let stuck = with(
        &made,
        &json!({"status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}}),
    );
    assert_eq!(words(&told(&[], &[], None, &stuck)), ["phase"]);
}

#[test]
fn ordinary_ends() {
    let made = with(&pod("once-x", Some(("Job", "once"))), &json!({"spec": {"restartPolicy": "Never"}}));
    let ended = |code: u32| {
        let end = json!({"terminated": {"exitCode": code, "reason": "X", "finishedAt": "2026-01-01T12:00:05Z"}});
        with(
            &running(&made, false, 0, &end, &json!({})),
            &json!({"status": {"phase": if code == 0 { "Succeeded" } else { "Failed" }}}),
        )
    };
    assert_eq!(words(&told(&[], &[], Some(&made), &ended(0))), ["phase"]);
    assert_eq!(words(&told(&["ordinary-ends"], &[], Some(&made), &ended(0))), ["death", "phase"]);
    assert_eq!(words(&told(&[], &[], Some(&made), &ended(1))), ["death", "phase"]);
}

#[test]
fn routine_events() {
    let event = |severity: &str| {
        object(
            "v1",
            "Event",
            "e",
            &json!({"reason": "Pulled", "type": severity, "message": "m", "count": 1, "lastTimestamp": feed::NOON,
            "involvedObject": {"kind": "Pod", "apiVersion": "v1", "name": "x", "namespace": "shop", "uid": "u"}}),
        )
    };
    only_by("routine-events", &[], None, &event("Normal"));
    assert_eq!(words(&told(&[], &[], None, &event("Warning"))), ["event"]);
}

#[test]
fn every_rule_has_a_test_of_its_name() {
    let here = include_str!("noise.rs");
    for rule in RULES {
        assert!(here.contains(&format!("fn {}()", rule.id.replace('-', "_"))), "{}", rule.id);
    }
}

#[test]
fn what_no_rule_names_is_told_whatever_its_kind() {
    let role = |verbs: &Value| {
        object(
            "rbac.authorization.k8s.io/v1",
            "Role",
            "r",
            &json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": verbs}]}),
        )
    };
    assert_eq!(
        fields(feed::change(&told(&[], &[], Some(&role(&json!(["get"]))), &role(&json!(["get", "list"]))))),
        ["rules"]
    );
    let labelled = config(
        &json!({"metadata": {"labels": {"tier": "front"}, "annotations": {"team": "blue"}}, "data": {"a": "2"}}),
    );
    let entries = told(&[], &[], Some(&config(&json!({}))), &labelled);
    assert_eq!(fields(changes(&entries)[0]), ["data.a", "metadata.annotations.team", "metadata.labels.tier"]);
}
