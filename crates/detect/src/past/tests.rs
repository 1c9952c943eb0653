//! What is told of literal objects: of whom, when, by whom, and what is said not to be known.

mod comparisons;
mod objects;

use super::*;
use crate::engine::Scope;
use objects::*;
use reckon_model::{Answer, Kind, Object};
use serde_json::{Value, json};

/// A state in which everything there is was read.
fn state(objects: &[Value]) -> State {
    let mut state = State::default();
    Kind::named().for_each(|kind| state.cover(kind, None));
    for object in objects {
        state.apply(Object::decode(object.to_string().as_bytes(), None).unwrap());
    }
    state
}

fn past(state: &State, scope: &Scope, since: Option<&str>) -> Past {
    let read = of(state, scope, since.map(at), &[], at(NOW));
    assert_eq!(read.demands, BTreeSet::new());
    read.found
}

fn target(kind: Kind, name: &str) -> Scope {
    Scope::Object(ResourceRef::new(kind, Some("shop"), name))
}

/// A line for each entry: time, word, subject, sentence.
fn told(past: &Past) -> Vec<String> {
    let line = |entry: &Entry| {
        let time = entry.at.strftime("%H:%M:%S");
        format!("{time} {} {}: {}", entry.fact.word(), subject(entry), sentence(entry))
    };
    past.entries.iter().map(line).collect()
}

#[test]
fn a_deployment_is_told_with_its_rollouts_its_pods_and_their_deaths() {
    let objects = [
        deployment("64Mi"),
        replica_set("a", "1", "09:00:01", "256Mi"),
        replica_set("b", "2", "11:50:00", "64Mi"),
        killed_pod("checkout-b-x", "b"),
    ];
    let past = past(&state(&objects), &target(Kind::Deployment, "checkout"), None);
    assert_eq!(
        told(&past),
        [
            "09:00:00 change deployment/checkout: created (kubectl-create)",
            "10:30:00 change deployment/checkout: spec.replicas set to 3 (kubectl)",
            "11:49:59 rollout deployment/checkout: revision 2 begun: app: limits.memory 256Mi → 64Mi (kubectl-edit)",
            "11:50:01 phase pod/checkout-b-x: pending",
            "11:50:02 phase pod/checkout-b-x: starting on n1",
            "11:58:00 death pod/checkout-b-x: app OOMKilled, exit 137, after 3 restarts",
            "11:58:00 phase pod/checkout-b-x: not ready: CrashLoopBackOff",
        ]
    );
    let death = past.entries.iter().find(|entry| entry.fact.word() == "death").unwrap();
    assert_eq!(death.line().to_string(), "deployment/checkout", "a pod is in the timeline of its workload");
}

#[test]
fn who_looks_at_a_pod_sees_the_writes_to_its_workload_and_not_the_other_pods() {
    let objects = [
        deployment("64Mi"),
        replica_set("a", "1", "09:00:01", "256Mi"),
        replica_set("b", "2", "11:50:00", "64Mi"),
        killed_pod("checkout-b-x", "b"),
        killed_pod("checkout-b-y", "b"),
    ];
    let lines = told(&past(&state(&objects), &target(Kind::Pod, "checkout-b-x"), None));
    assert!(lines.iter().any(|line| line.contains("revision 2 begun")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("death pod/checkout-b-x")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("checkout-b-y")), "{lines:#?}");
}

#[test]
fn what_is_not_remembered_is_said_for_which_time_and_why() {
    let objects = [deployment("64Mi"), replica_set("b", "2", "11:50:00", "64Mi"), killed_pod("checkout-b-x", "b")];
    let unseen = past(&state(&objects), &target(Kind::Deployment, "checkout"), None).unseen;
    let lines: Vec<String> = unseen
        .iter()
        .map(|it| format!("{}-{} {}: {}", it.from.strftime("%H:%M"), it.to.strftime("%H:%M:%S"), it.resource, it.why))
        .collect();
    assert_eq!(
        lines,
        [
            "09:00-11:00:00 events: Events are kept for an hour, unless the API server is told otherwise; of pods that are \
             gone only they tell",
            "09:00-11:50:00 deployments.apps: deployment/checkout keeps no revision before 2",
            "09:00-11:57:00 pods: 3 deaths not remembered (app of checkout-b-x): a pod's status keeps the newest of each \
             container",
        ]
    );
    let late = past(&state(&objects), &target(Kind::Deployment, "checkout"), Some("11:57:30")).unseen;
    assert_eq!(late, [], "nothing is missing of the last minutes");
}

#[test]
fn only_what_happened_since_then_is_told() {
    let objects = [deployment("64Mi"), replica_set("b", "2", "11:50:00", "64Mi"), killed_pod("checkout-b-x", "b")];
    let lines = told(&past(&state(&objects), &target(Kind::Deployment, "checkout"), Some("11:50:02")));
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[0].starts_with("11:50:02"), "{lines:#?}");
}

#[test]
fn events_of_one_reason_are_one_entry_and_pods_that_are_gone_are_known_by_their_names() {
    let objects = [
        deployment("64Mi"),
        replica_set("b", "2", "11:50:00", "64Mi"),
        event("e1", "Pod", "checkout-b-gone", "Evicted", "The node was low on memory", "11:20:00", 1),
        event("e2", "Pod", "checkout-b-gone", "BackOff", "Back-off restarting", "11:10:00", 4),
        event("e3", "Pod", "checkout-b-gone", "BackOff", "Back-off restarting failed container", "11:15:00", 2),
        event("e4", "Pod", "checkout-other", "BackOff", "named likewise", "11:10:00", 1),
        event("e5", "Deployment", "checkout", "ScalingReplicaSet", "Scaled up", "11:50:00", 1),
        event("e6", "Pod", "cart-b-x", "BackOff", "of somebody else", "11:10:00", 1),
    ];
    let past = past(&state(&objects), &target(Kind::Deployment, "checkout"), Some("11:00:00"));
    let lines: Vec<String> = told(&past).into_iter().filter(|line| line.contains(" event ")).collect();
    assert_eq!(
        lines,
        [
            "11:10:00 event pod/checkout-other: BackOff: named likewise",
            "11:15:00 event pod/checkout-b-gone: BackOff ×6 in 14m: Back-off restarting failed container",
            "11:20:00 event pod/checkout-b-gone: Evicted: The node was low on memory",
            "11:50:00 event deployment/checkout: ScalingReplicaSet: Scaled up",
        ]
    );
    let gone = past.entries.iter().find(|entry| entry.subject.name == "checkout-b-gone").unwrap();
    assert_eq!(gone.line().to_string(), "deployment/checkout");
}

#[test]
fn a_pods_phases_are_those_that_its_conditions_tell() {
    let phases = |pod: Value| told(&past(&state(&[pod]), &target(Kind::Pod, "p"), None));
    let condition = |kind: &str, status: &str, time: &str, reason: &str| json!({"type": kind, "status": status, "reason": reason, "lastTransitionTime": day(time)});
    let ready = pod(
        "p",
        "Running",
        &[condition("PodScheduled", "True", "11:00:01", ""), condition("Ready", "True", "11:00:09", "")],
    );
    assert_eq!(
        phases(ready),
        ["11:00:00 phase pod/p: pending", "11:00:01 phase pod/p: starting on n1", "11:00:09 phase pod/p: ready"]
    );
    let unplaced = pod("p", "Pending", &[condition("PodScheduled", "False", "11:00:01", "Unschedulable")]);
    assert_eq!(phases(unplaced), ["11:00:00 phase pod/p: pending: Unschedulable"]);
    // The kubelet's first word is that it is not ready: that is not a turn.
    let fresh = pod(
        "p",
        "Running",
        &[
            condition("PodScheduled", "True", "11:00:01", ""),
            condition("Ready", "False", "11:00:02", "ContainersNotReady"),
        ],
    );
    assert_eq!(phases(fresh).len(), 2);
    let mut evicted = pod(
        "p",
        "Failed",
        &[condition("PodScheduled", "True", "11:00:01", ""), condition("Ready", "False", "11:30:00", "")],
    );
    evicted["status"]["reason"] = "Evicted".into();
    assert_eq!(phases(evicted)[2], "11:30:00 phase pod/p: failed: Evicted");
    let mut leaving = pod("p", "Running", &[condition("PodScheduled", "True", "11:00:01", "")]);
    leaving["metadata"]["deletionTimestamp"] = day("11:40:30").into();
    leaving["metadata"]["deletionGracePeriodSeconds"] = 30.into();
    assert_eq!(
        phases(leaving)[2],
        "11:40:00 phase pod/p: terminating",
        "when it was asked to go, not when it has to be gone"
    );
}

#[test]
fn what_ends_well_and_is_meant_to_end_has_no_death() {
    let done = |policy: &str| {
        let mut pod = pod("p", "Succeeded", &[]);
        pod["spec"]["restartPolicy"] = policy.into();
        pod["status"]["containerStatuses"] = json!([{"name": "app", "restartCount": 0, "state": {"terminated":
            {"exitCode": 0, "reason": "Completed", "startedAt": day("11:00:05"), "finishedAt": day("11:01:00")}}}]);
        told(&past(&state(&[pod]), &target(Kind::Pod, "p"), None)).iter().any(|line| line.contains("death"))
    };
    assert!(!done("Never"));
    assert!(done("Always"));
}

#[test]
fn a_node_is_told_with_what_turned_after_it_joined_and_with_who_ended_on_it() {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "uid": "n1", "creationTimestamp": day("08:00:00")},
        "status": {"conditions": [
            {"type": "MemoryPressure", "status": "True", "reason": "KubeletHasInsufficientMemory", "lastTransitionTime": day("11:20:00")},
            {"type": "DiskPressure", "status": "False", "reason": "KubeletHasNoDiskPressure", "lastTransitionTime": day("08:00:00")},
            {"type": "PIDPressure", "status": "False", "lastTransitionTime": day("09:30:00")},
            {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": day("08:00:20")}]}});
    let past = past(&state(&[node, killed_pod("checkout-b-x", "b")]), &target(Kind::Node, "n1"), None);
    assert_eq!(
        told(&past),
        [
            "08:00:00 node node/n1: joined",
            "08:00:20 node node/n1: Ready is True (KubeletReady)",
            "09:30:00 node node/n1: PIDPressure is False",
            "11:20:00 node node/n1: MemoryPressure is True (KubeletHasInsufficientMemory)",
            "11:58:00 death pod/checkout-b-x: app OOMKilled, exit 137, after 3 restarts",
        ]
    );
}

#[test]
fn what_its_pods_read_is_part_of_a_workload() {
    let mut workload = deployment("64Mi");
    workload["spec"]["template"]["spec"]["containers"][0]["envFrom"] = json!([{"configMapRef": {"name": "settings"}}]);
    let objects = [workload, replica_set("b", "1", "09:00:01", "64Mi"), settings("db-2")];
    let lines = told(&past(&state(&objects), &target(Kind::Deployment, "checkout"), Some("11:00:00")));
    assert_eq!(lines, ["11:40:00 change configmap/settings: data.DATABASE_HOST db-1 → db-2 (kubectl-edit)"]);
}

#[test]
fn revisions_of_a_release_are_told_with_chart_and_differences() {
    let mut objects = vec![released("64Mi")];
    let mut known = {
        objects.extend([secret(6, "superseded", "10:00:00"), secret(7, "deployed", "11:50:00")]);
        state(&objects)
    };
    for (number, version, memory) in [(6, "1.9.3", "256Mi"), (7, "1.9.4", "64Mi")] {
        let demand =
            Demand::HelmRevision { namespace: "shop".into(), secret: format!("sh.helm.release.v1.checkout.v{number}") };
        known.answer(demand, Answer::Manifest(vec![manifest(version, memory)]));
    }
    let lines = told(&past(&known, &target(Kind::Deployment, "checkout"), Some("09:30:00")));
    assert_eq!(
        lines,
        [
            "10:00:00 release helm/checkout: revision 6, chart checkout 1.9.3".to_owned(),
            "11:50:00 release helm/checkout: revision 7 deployed, chart checkout 1.9.3 → 1.9.4: Deployment shop/checkout · app: \
             limits.memory 256Mi → 64Mi"
                .to_owned(),
        ]
    );
}

#[test]
fn a_rollout_that_is_done_or_was_given_up_has_its_time() {
    let outcome = |condition: Value| {
        let mut workload = deployment("64Mi");
        workload["status"]["conditions"] = json!([condition]);
        let objects = [workload, replica_set("b", "2", "11:50:00", "64Mi")];
        told(&past(&state(&objects), &target(Kind::Deployment, "checkout"), Some("11:51:00")))
    };
    let done = json!({"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable",
        "lastTransitionTime": day("09:00:00"), "lastUpdateTime": day("11:52:00")});
    assert_eq!(outcome(done), ["11:52:00 rollout deployment/checkout: revision 2 done: its pods are available"]);
    let failed = json!({"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
        "message": "ReplicaSet \"checkout-b\" has timed out progressing.", "lastTransitionTime": day("11:55:00")});
    assert_eq!(
        outcome(failed),
        [
            "11:55:00 rollout deployment/checkout: revision 2 failed: ReplicaSet \"checkout-b\" has timed out progressing."
        ]
    );
}

#[test]
fn who_watched_tells_what_is_gone() {
    let mut known = state(&[
        deployment("64Mi"),
        replica_set("b", "2", "11:50:00", "64Mi"),
        killed_pod("checkout-b-x", "b"),
        settings("db-2"),
    ]);
    known.delete(&ResourceRef::new(Kind::Pod, Some("shop"), "checkout-b-x"), at(&day("11:59:00")));
    known.delete(&ResourceRef::new(Kind::ConfigMap, Some("shop"), "settings"), at(&day("11:59:30")));
    let of = |scope: &Scope| told(&past(&known, scope, Some("11:59:00")));
    assert_eq!(of(&target(Kind::Deployment, "checkout")), ["11:59:00 phase pod/checkout-b-x: deleted"]);
    assert_eq!(of(&target(Kind::ConfigMap, "settings")), ["11:59:30 change configmap/settings: deleted"]);
    assert_eq!(of(&Scope::Namespace("shop".into())).len(), 2);
}

#[test]
fn a_namespace_is_told_with_everything_in_it_and_nothing_else() {
    let mut other = pod("p", "Running", &[]);
    other["metadata"]["namespace"] = "bank".into();
    let objects = [
        deployment("64Mi"),
        replica_set("b", "2", "11:50:00", "64Mi"),
        killed_pod("checkout-b-x", "b"),
        settings("db-2"),
        other,
    ];
    let lines = told(&past(&state(&objects), &Scope::Namespace("shop".into()), None));
    for part in ["deployment/checkout", "pod/checkout-b-x", "configmap/settings"] {
        assert!(lines.iter().any(|line| line.contains(part)), "{part} in {lines:#?}");
    }
    assert!(!lines.iter().any(|line| line.contains("pod/p:")), "{lines:#?}");
}

#[test]
fn the_order_in_which_objects_came_changes_nothing() {
    let mut objects = vec![
        deployment("64Mi"),
        replica_set("a", "1", "09:00:01", "256Mi"),
        replica_set("b", "2", "11:50:00", "64Mi"),
        killed_pod("checkout-b-x", "b"),
        killed_pod("checkout-b-y", "b"),
        settings("db-2"),
        event("e1", "Pod", "checkout-b-x", "BackOff", "a", "11:10:00", 4),
        event("e2", "Pod", "checkout-b-x", "BackOff", "b", "11:10:00", 2),
    ];
    let all = |objects: &[Value]| past(&state(objects), &Scope::Namespace("shop".into()), None);
    let first = all(&objects);
    for _ in 0..objects.len() {
        objects.rotate_left(1);
        assert_eq!(all(&objects), first);
    }
    objects.reverse();
    assert_eq!(all(&objects), first);
}

#[test]
fn what_is_not_known_is_asked_for_and_what_is_refused_is_a_gap() {
    let mut known = State::default();
    let scope = target(Kind::Deployment, "checkout");
    let ask = |known: &State| of(known, &scope, None, &[], at(NOW));
    let first = ask(&known);
    let wanted = Demand::Object { kind: Kind::Deployment, namespace: Some("shop".into()), name: "checkout".into() };
    assert_eq!(first.demands, BTreeSet::from([wanted.clone()]));
    let object = Object::decode(deployment("64Mi").to_string().as_bytes(), None).unwrap();
    known.answer(wanted, Answer::Objects(vec![object]));
    let mut read = ask(&known);
    let events = Demand::List { kind: Kind::Event, namespace: Some("shop".into()), selector: String::new() };
    assert!(read.demands.contains(&events), "{:?}", read.demands);
    while !read.demands.is_empty() {
        for demand in read.demands {
            let gap = reckon_model::Gap {
                what: demand.what(),
                why: "forbidden".into(),
                obstacle: reckon_model::Obstacle::Denied,
            };
            known.answer(demand, Answer::Refused(gap));
        }
        read = ask(&known);
    }
    let gaps: Vec<&str> = read.not_checked.iter().map(|gap| gap.what.as_str()).collect();
    assert!(gaps.contains(&"events in namespace shop"), "{gaps:?}");
    assert!(told(&read.found)[0].contains("created"));
}

#[test]
fn a_problem_is_told_when_it_opened_and_when_it_closed() {
    let problem: Problem = serde_json::from_value(problem(Some("11:30:00"), Some("11:45:00"))).unwrap();
    let known = state(&[deployment("64Mi"), replica_set("b", "1", "09:00:01", "64Mi")]);
    let scope = target(Kind::Deployment, "checkout");
    let read = of(&known, &scope, Some(at("11:00:00")), &[problem], at(NOW));
    assert_eq!(
        told(&read.found),
        [
            "11:30:00 problem deployment/checkout: oom-killed opened: checkout is killed",
            "11:45:00 problem deployment/checkout: oom-killed closed: its pods are ready",
        ]
    );
}
