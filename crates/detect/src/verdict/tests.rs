//! The answer where nothing fails: what is done on purpose, and what it is that is waited for.

use super::*;
use crate::state::State;
use reckon_model::{ClusterId, Timestamp};
use serde_json::{Value, json};

const NOW: &str = "2026-01-01T12:00:00Z";

fn state(objects: &[Value]) -> State {
    let mut state = State::new(ClusterId("c".into()));
    Kind::named().for_each(|kind| state.cover(kind, None));
    for object in objects {
        state.apply(Object::decode(object.to_string().as_bytes(), None).unwrap());
    }
    state
}

/// The answer about one object of `shop`, of which no problem is known.
fn answer(kind: Kind, name: &str, objects: &[Value]) -> (Answer, String) {
    let state = state(objects);
    let now: Timestamp = NOW.parse().unwrap();
    let view = View::new(&state, now);
    let Verdict { answer, sentence } = of(&view, &Scope::Object(ResourceRef::new(kind, Some("shop"), name)), &[]);
    (answer, sentence)
}

fn in_progress(sentence: &str) -> (Answer, String) {
    (Answer::InProgress, sentence.to_owned())
}

fn pod(spec: Value, status: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-1", "namespace": "shop", "uid": "p",
        "labels": {"app": "web"}}, "spec": spec, "status": status})
}

fn about_pod(spec: Value, status: Value) -> (Answer, String) {
    answer(Kind::Pod, "web-1", &[pod(spec, status)])
}

fn event(reason: &str, message: &str, at: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": format!("e-{at}"), "namespace": "shop"},
        "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-1", "fieldPath": "spec.containers{app}"},
        "reason": reason, "message": message, "lastTimestamp": at})
}

#[test]
fn a_pod_waits_for_its_gates_or_for_a_node() {
    let containers = json!([{"name": "app", "image": "a"}]);
    let gated = |gates: Value| {
        about_pod(json!({"containers": containers, "schedulingGates": gates}), json!({"phase": "Pending"}))
    };
    assert_eq!(
        gated(json!([{"name": "example.com/quota"}])),
        in_progress("pod shop/web-1 waits until its scheduling gate example.com/quota is removed.")
    );
    assert_eq!(
        gated(json!([{"name": "a"}, {"name": "b"}])),
        in_progress("pod shop/web-1 waits until its scheduling gates a and b are removed.")
    );
    assert_eq!(
        about_pod(json!({"containers": containers}), json!({"phase": "Pending"})),
        in_progress("pod shop/web-1 waits for the scheduler to find it a node.")
    );
    assert_eq!(
        about_pod(json!({"containers": containers, "schedulerName": "batch"}), json!({"phase": "Pending"})),
        in_progress("pod shop/web-1 waits for the scheduler batch to find it a node.")
    );
    let said = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
        "reason": "Unschedulable", "message": "0/1 nodes are available: 1 Insufficient cpu."}]});
    assert_eq!(
        about_pod(json!({"containers": containers}), said),
        in_progress("pod shop/web-1 waits for a node: 0/1 nodes are available: 1 Insufficient cpu.")
    );
}

#[test]
fn a_pod_waits_for_the_image_that_is_pulled_and_since_when() {
    let spec = json!({"nodeName": "n1", "containers": [{"name": "app", "image": "shop:2"}]});
    let status = json!({"phase": "Pending", "containerStatuses": [{"name": "app", "state": {"waiting": {"reason": "ContainerCreating"}}}]});
    let about = |events: &[Value]| {
        let mut objects = vec![pod(spec.clone(), status.clone())];
        objects.extend(events.iter().cloned());
        answer(Kind::Pod, "web-1", &objects)
    };
    let pulling = event("Pulling", "Pulling image \"shop:2\"", "2026-01-01T11:58:00Z");
    assert_eq!(
        about(std::slice::from_ref(&pulling)),
        in_progress(
            "pod shop/web-1 waits for image shop:2 of container app, which is being pulled since 11:58:00 UTC."
        )
    );
    let pulled = event("Pulled", "Successfully pulled image \"shop:2\"", "2026-01-01T11:59:00Z");
    let made = in_progress("pod shop/web-1 waits for its container app to be made on node n1.");
    assert_eq!(about(&[pulling, pulled]), made);
    assert_eq!(about(&[]), made);
    assert_eq!(
        about_pod(spec, json!({"phase": "Pending"})),
        in_progress("pod shop/web-1 waits for the kubelet of node n1 to take it up.")
    );
}

#[test]
fn a_pod_waits_for_the_init_container_whose_turn_it_is() {
    let spec = json!({"nodeName": "n1", "containers": [{"name": "app", "image": "a"}], "initContainers": [
        {"name": "first", "image": "a"}, {"name": "migrate", "image": "a"}]});
    let status = |migrate: Value| {
        json!({"phase": "Pending", "initContainerStatuses": [
            {"name": "first", "state": {"terminated": {"exitCode": 0}}}, {"name": "migrate", "state": migrate}],
            "containerStatuses": [{"name": "app", "state": {"waiting": {"reason": "PodInitializing"}}}]})
    };
    assert_eq!(
        about_pod(spec.clone(), status(json!({"running": {"startedAt": "2026-01-01T11:50:00Z"}}))),
        in_progress("pod shop/web-1 waits for init container migrate, which is running since 11:50:00 UTC.")
    );
    assert_eq!(
        about_pod(spec, status(json!({"terminated": {"exitCode": 0}}))),
        in_progress("pod shop/web-1 waits for its container app to be made on node n1.")
    );
    let sidecar = json!({"nodeName": "n1", "containers": [{"name": "app", "image": "a"}],
        "initContainers": [{"name": "proxy", "image": "a", "restartPolicy": "Always"}]});
    let status = json!({"phase": "Pending",
        "initContainerStatuses": [{"name": "proxy", "started": false, "state": {"running": {}}}]});
    assert_eq!(
        about_pod(sidecar, status),
        in_progress("pod shop/web-1 waits for sidecar proxy, whose startup probe is not passed yet.")
    );
}

#[test]
fn a_running_pod_waits_for_its_gate_or_its_probe() {
    let status = |ready: Value, started: bool| {
        json!({"phase": "Running", "conditions": [ready],
            "containerStatuses": [{"name": "app", "ready": false, "started": started, "state": {"running": {}}}]})
    };
    let plain = json!({"type": "Ready", "status": "False", "reason": "ContainersNotReady"});
    let gate = json!({"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady",
        "message": "corresponding condition of pod readiness gate \"example.com/lb\" does not exist."});
    let spec = |probes: &[&str]| {
        let mut container = json!({"name": "app", "image": "a"});
        probes.iter().for_each(|probe| container[*probe] = json!({"tcpSocket": {"port": 80}}));
        json!({"nodeName": "n1", "containers": [container]})
    };
    assert_eq!(
        about_pod(spec(&[]), status(gate, true)),
        in_progress("pod shop/web-1 waits for its readiness gate example.com/lb.")
    );
    let both = spec(&["readinessProbe", "startupProbe"]);
    assert_eq!(
        about_pod(both.clone(), status(plain.clone(), false)),
        in_progress("pod shop/web-1 waits for the startup probe of container app.")
    );
    assert_eq!(
        about_pod(both, status(plain.clone(), true)),
        in_progress("pod shop/web-1 waits for the readiness probe of container app.")
    );
    assert_eq!(about_pod(spec(&[]), status(plain, true)), in_progress("pod shop/web-1 is running and not ready yet."));
    let well = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    assert_eq!(about_pod(spec(&[]), well), (Answer::NoFault, "No fault found: pod shop/web-1 is ready.".to_owned()));
}

#[test]
fn a_claim_waits_for_the_pod_that_uses_it_or_for_who_makes_its_volume() {
    let class = |mode: &str| {
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"},
            "provisioner": "csi.example.com", "volumeBindingMode": mode})
    };
    let claim = |name: Option<&str>, volume: &str, node: Option<&str>| {
        let mut claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": "shop"}, "spec": {"volumeName": volume}, "status": {"phase": "Pending"}});
        if let Some(name) = name {
            claim["spec"]["storageClassName"] = name.into();
        }
        if let Some(node) = node {
            claim["metadata"]["annotations"] = json!({"volume.kubernetes.io/selected-node": node});
        }
        claim
    };
    let about = |objects: &[Value]| answer(Kind::PersistentVolumeClaim, "data", objects);
    let late = class("WaitForFirstConsumer");
    assert_eq!(
        about(&[late.clone(), claim(Some("fast"), "", None)]),
        in_progress(
            "persistentvolumeclaim shop/data waits for a pod that uses it: class fast makes volumes only then."
        )
    );
    let user = pod(
        json!({"containers": [], "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]}),
        json!({"phase": "Pending"}),
    );
    assert_eq!(
        about(&[late.clone(), claim(Some("fast"), "", None), user]),
        in_progress(
            "persistentvolumeclaim shop/data waits for pod web-1 to get a node: class fast makes volumes only then."
        )
    );
    assert_eq!(
        about(&[late, claim(Some("fast"), "", Some("n1"))]),
        in_progress("persistentvolumeclaim shop/data waits for csi.example.com to make its volume for node n1.")
    );
    assert_eq!(
        about(&[class("Immediate"), claim(Some("fast"), "", None)]),
        in_progress("persistentvolumeclaim shop/data waits for csi.example.com to make its volume.")
    );
    assert_eq!(
        about(&[claim(Some(""), "pv1", None)]),
        in_progress("persistentvolumeclaim shop/data waits to be bound to volume pv1.")
    );
    assert_eq!(
        about(&[claim(Some(""), "", None)]),
        in_progress("persistentvolumeclaim shop/data waits for a volume that fits it: it wants none to be made.")
    );
}

#[test]
fn a_job_and_a_cron_job_are_suspended_on_purpose_or_run() {
    let job = |spec: Value, status: Value| json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "sync", "namespace": "shop"}, "spec": spec, "status": status});
    let about = |job: Value| answer(Kind::Job, "sync", &[job]);
    assert_eq!(
        about(job(json!({"suspend": true}), json!({}))),
        (Answer::Intentional, "job shop/sync is suspended: it starts no pod until spec.suspend is false.".to_owned())
    );
    assert_eq!(
        about(job(json!({"completions": 5}), json!({"succeeded": 2, "active": 1}))),
        in_progress("job shop/sync is running: 2 of 5 completed.")
    );
    assert_eq!(
        about(job(json!({}), json!({"completionTime": "2026-01-01T11:00:00Z"}))),
        (Answer::NoFault, "No fault found: job shop/sync completed.".to_owned())
    );
    let mut cron = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "sync", "namespace": "shop"},
        "spec": {"schedule": "* * * * *", "suspend": true}});
    assert_eq!(
        answer(Kind::CronJob, "sync", std::slice::from_ref(&cron)),
        (
            Answer::Intentional,
            "cronjob shop/sync is suspended: it starts no Job until spec.suspend is false.".to_owned()
        )
    );
    cron["spec"]["suspend"] = false.into();
    assert_eq!(
        answer(Kind::CronJob, "sync", &[cron]),
        (
            Answer::NoFault,
            "No fault found: cronjob shop/sync waits for its next run, by schedule * * * * *.".to_owned()
        )
    );
}

#[test]
fn a_roll_out_names_what_the_first_pod_waits_for() {
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web", "namespace": "shop", "uid": "s", "generation": 1},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}},
        "status": {"observedGeneration": 1, "replicas": 2, "readyReplicas": 1, "updatedReplicas": 2}});
    let owned = |mut pod: Value| {
        pod["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "s", "controller": true}]);
        pod
    };
    let spec = json!({"nodeName": "n1", "containers": [{"name": "app", "image": "a", "readinessProbe": {"tcpSocket": {"port": 80}}}]});
    let status =
        json!({"phase": "Running", "containerStatuses": [{"name": "app", "ready": false, "state": {"running": {}}}]});
    assert_eq!(
        answer(Kind::StatefulSet, "web", &[set.clone(), owned(pod(spec, status))]),
        in_progress(
            "statefulset shop/web is rolling out: 1 of 2 ready; pod web-1 waits for the readiness probe of container app."
        )
    );
    assert_eq!(
        answer(Kind::StatefulSet, "web", &[set]),
        in_progress("statefulset shop/web is rolling out: 1 of 2 ready.")
    );
}

#[test]
fn what_is_gone_was_never_there_or_was_put_aside_is_not_called_well() {
    let none = answer(Kind::Deployment, "web", &[]);
    assert_eq!(none, (Answer::Undetermined, "shop/web does not exist.".to_owned()));
    let idle = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}, "spec": {"replicas": 0}});
    assert_eq!(
        answer(Kind::Deployment, "web", &[idle]),
        (Answer::Intentional, "deployment shop/web is scaled to zero.".to_owned())
    );
    let going = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "deletionTimestamp": "2026-01-01T11:59:00Z"}});
    assert_eq!(
        answer(Kind::Deployment, "web", std::slice::from_ref(&going)),
        in_progress("deployment shop/web is being deleted.")
    );
    let mut held = going;
    held["metadata"]["finalizers"] = json!(["example.com/backup", "foregroundDeletion"]);
    assert_eq!(
        answer(Kind::Deployment, "web", &[held]),
        in_progress(
            "deployment shop/web is being deleted, and waits for its finalizers example.com/backup and foregroundDeletion."
        )
    );
    let mut state = state(&[pod(json!({}), json!({}))]);
    state.delete(&ResourceRef::new(Kind::Pod, Some("shop"), "web-1"), "2026-01-01T11:59:00Z".parse().unwrap());
    let view = View::new(&state, NOW.parse().unwrap());
    let deleted = of(&view, &Scope::Object(ResourceRef::new(Kind::Pod, Some("shop"), "web-1")), &[]);
    assert_eq!(deleted.answer, Answer::Undetermined);
    assert!(deleted.sentence.starts_with("shop/web-1 was deleted at "), "{}", deleted.sentence);
    let cluster = of(&view, &Scope::Cluster, &[]);
    assert_eq!((cluster.answer, cluster.sentence.as_str()), (Answer::NoFault, "No fault found in the cluster."));
}

#[test]
fn a_service_is_as_well_as_the_pods_behind_it() {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"selector": {"app": "web"}}});
    let about = |others: &[Value]| {
        let mut objects = vec![service.clone()];
        objects.extend(others.iter().cloned());
        answer(Kind::Service, "web", &objects)
    };
    let ready =
        |status: &str| pod(json!({}), json!({"phase": "Running", "conditions": [{"type": "Ready", "status": status}]}));
    assert_eq!(
        about(&[ready("True")]),
        (Answer::NoFault, "No fault found: service shop/web has 1 ready endpoint.".to_owned())
    );
    assert_eq!(
        about(&[ready("False")]),
        in_progress("service shop/web has no ready endpoint yet: its one pod is not ready.")
    );
    let idle = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"replicas": 0, "template": {"metadata": {"labels": {"app": "web"}}}}});
    assert_eq!(
        about(&[idle]),
        (Answer::Intentional, "service shop/web has no endpoint: deployment web is scaled to zero.".to_owned())
    );
    assert_eq!(
        about(&[]),
        (Answer::Undetermined, "service shop/web has no endpoint: its selector matches no pod.".to_owned())
    );
}
