//! What the company is, and that its story follows from the seed alone.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use jiff::{SignedDuration, Timestamp};
use reckon_demo::Demo;
use serde_json::Value;
use std::collections::BTreeSet;

const BEGIN: &str = "2026-05-04T09:00:00Z";

fn demo(seed: u64) -> Demo {
    Demo::new(seed, BEGIN.parse().unwrap())
}

fn all(demo: &Demo, resource: &str) -> Vec<Value> {
    demo.server().world().objects(resource).map(|(_, stored)| stored.value()).collect()
}

/// Every object as it is stored, in the order of lists.
fn bytes(demo: &Demo) -> Vec<(String, Vec<u8>)> {
    let world = demo.server().world();
    let resources: Vec<String> = world.resources().map(reckon_sim::Resource::qualified).collect();
    let objects = resources.iter().flat_map(|resource| {
        world.objects(resource).map(move |(key, stored)| (format!("{resource} {key:?}"), stored.bytes.to_vec()))
    });
    objects.collect()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn the_company_is_of_a_believable_size_and_well() {
    let demo = demo(1);
    let kinds = ["deployments.apps", "statefulsets.apps", "daemonsets.apps", "cronjobs.batch"];
    let workloads: usize = kinds.iter().map(|kind| all(&demo, kind).len()).sum();
    assert!((38..=46).contains(&workloads), "{workloads}");
    for kind in ["nodes", "ingresses.networking.k8s.io", "poddisruptionbudgets.policy", "persistentvolumes"] {
        assert!(all(&demo, kind).len() > 3, "{kind}");
    }
    for pod in all(&demo, "pods") {
        let phase = text(&pod, "/status/phase");
        let ready = pod["status"]["containerStatuses"][0]["ready"] == true;
        assert!(phase == "Succeeded" || phase == "Running" && ready, "{pod:#}");
    }
    for deployment in all(&demo, "deployments.apps") {
        assert_eq!(deployment["status"]["availableReplicas"], deployment["spec"]["replicas"], "{deployment:#}");
    }
}

#[test]
fn it_looks_lived_in() {
    let demo = demo(1);
    let begin = demo.begin();
    let age = |object: &Value| begin.duration_since(text(object, "/metadata/creationTimestamp").parse().unwrap());
    assert!(all(&demo, "nodes").iter().all(|node| age(node) > SignedDuration::from_hours(24 * 60)));
    let sets = all(&demo, "replicasets.apps");
    assert!(sets.iter().filter(|set| set["spec"]["replicas"] == 0).count() >= 8, "earlier revisions");
    let restarted = |pod: &&Value| pod["status"]["containerStatuses"][0]["restartCount"] == 1;
    assert_eq!(all(&demo, "pods").iter().filter(restarted).count(), 3);
    let hour = begin.checked_sub(SignedDuration::from_hours(1)).unwrap();
    let events = all(&demo, "events");
    assert!(!events.is_empty());
    assert!(events.iter().all(|event| text(event, "/lastTimestamp").parse::<Timestamp>().unwrap() >= hour));
    let managers: BTreeSet<String> = all(&demo, "deployments.apps")
        .iter()
        .flat_map(|object| object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default())
        .map(|entry| text(&entry, "/manager").to_owned())
        .collect();
    let expected = ["argocd-controller", "helm", "kube-controller-manager", "kubectl-client-side-apply"];
    assert_eq!(managers, expected.map(str::to_owned).into());
    let releases: Vec<Value> =
        all(&demo, "secrets").into_iter().filter(|secret| secret["type"] == "helm.sh/release.v1").collect();
    let deployed = releases.iter().filter(|secret| text(secret, "/metadata/labels/status") == "deployed").count();
    assert!(deployed >= 8 && releases.len() >= deployed + 5, "{deployed} of {}", releases.len());
}

#[test]
fn nothing_of_how_it_is_played_stands_in_its_objects() {
    let mut demo = demo(1);
    demo.advance_to(demo.begin() + SignedDuration::from_mins(3));
    for (name, bytes) in bytes(&demo) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("sim.reckon.dev") && !text.contains("\"manager\":\"sim\""), "{name}");
    }
}

#[test]
fn the_same_seed_gives_the_same_cluster_however_time_is_divided() {
    let (mut once, mut often, mut other) = (demo(7), demo(7), demo(8));
    assert_ne!(once.incidents(), other.incidents());
    let end = once.begin() + SignedDuration::from_mins(12);
    once.advance_to(end);
    other.advance_to(end);
    let mut now = often.begin();
    while now < end {
        now = (now + SignedDuration::from_millis(7300)).min(end);
        often.advance_to(now);
    }
    let (once, often, other) = (bytes(&once), bytes(&often), bytes(&other));
    for (a, b) in once.iter().zip(&often) {
        assert_eq!(a.0, b.0);
        assert!(a.1 == b.1, "{}\n{}\n{}", a.0, String::from_utf8_lossy(&a.1), String::from_utf8_lossy(&b.1));
    }
    assert_eq!(once.len(), often.len());
    assert_ne!(once, other);
}

#[test]
fn incidents_come_in_their_order_and_end_before_the_story() {
    for seed in 0..50 {
        let incidents = reckon_demo::incidents(seed);
        assert!(incidents.len() >= 8);
        assert!(incidents.is_sorted_by(|a, b| a.after < b.after), "{seed}");
        assert!(incidents.iter().all(|incident| incident.after + incident.shows <= Demo::length()), "{seed}");
    }
}

#[test]
fn what_a_person_puts_right_gets_well() {
    let mut demo = demo(1);
    demo.advance_to(demo.begin() + SignedDuration::from_mins(9));
    let ready = |demo: &Demo, name: &str| {
        let world = demo.server().world();
        let object = world.get("deployments.apps", if name == "checkout" { "shop" } else { "payments" }, name).unwrap();
        object["status"]["readyReplicas"].as_i64().unwrap_or(0)
    };
    assert_eq!((ready(&demo, "checkout"), ready(&demo, "ledger"), ready(&demo, "payments-api")), (0, 0, 0));
    demo.server().world().edit("configmaps", "payments", "ledger-config", "kubectl-edit", |config| {
        config["data"]["DATABASE_HOST"] = "payments-postgres".into();
    });
    demo.server().world().edit("deployments.apps", "shop", "checkout", "kubectl-patch", |deployment| {
        deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] = "512Mi".into();
    });
    demo.advance_to(demo.begin() + SignedDuration::from_mins(20));
    assert_eq!((ready(&demo, "checkout"), ready(&demo, "ledger"), ready(&demo, "payments-api")), (3, 2, 3));
}
