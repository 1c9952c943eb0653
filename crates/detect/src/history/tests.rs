//! Changes told from what clusters keep.

use super::*;
use crate::state::State;
use reckon_model::{Answer, ClusterId, Demand};
use serde_json::json;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// What is told of an object, one line for each field: `time field from -> to by manager`.
fn told(objects: &[Value], kind: &Kind, name: &str, helm: &[(&str, Value)]) -> Vec<String> {
    let mut state = State::new(ClusterId("c".into()));
    Kind::named().for_each(|kind| state.cover(kind, None));
    for object in objects {
        state.apply(Object::decode(object.to_string().as_bytes(), None).unwrap());
    }
    for (secret, manifest) in helm {
        let demand = Demand::HelmRevision { namespace: "shop".into(), secret: (*secret).to_owned() };
        state.answer(demand, Answer::Manifest(vec![manifest.clone()]));
    }
    let view = View::new(&state, at("2026-01-01T12:00:00Z"));
    let object = view.object(kind, Some("shop"), name).found().unwrap();
    let mut lines = Vec::new();
    for change in changes(&view, object) {
        let time = change.at.strftime("%H:%M:%S").to_string();
        let by = change.actor.map_or("nobody".to_owned(), |actor| actor.manager);
        if change.fields.is_empty() {
            lines.push(format!("{time} written by {by}"));
        }
        for FieldChange { field, from, to, .. } in change.fields {
            let value = |value: Option<Value>| value.map_or("?".to_owned(), |value| value.to_string());
            lines.push(format!("{time} {field} {} -> {} by {by}", value(from), value(to)));
        }
    }
    lines
}

/// A Deployment as a server keeps it after `kubectl create`, an edit of the limit and a `kubectl scale`.
fn deployment(memory: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "checkout", "namespace": "shop", "uid": "d", "creationTimestamp": "2026-01-01T09:00:00Z",
            "managedFields": [
                {"manager": "kubectl-create", "operation": "Update", "apiVersion": "apps/v1", "time": "2026-01-01T09:00:00Z",
                 "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:progressDeadlineSeconds": {}, "f:selector": {},
                    "f:template": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {"f:containers": {
                        "k:{\"name\":\"app\"}": {".": {}, "f:image": {}, "f:name": {}, "f:resources": {".": {}}}}}}}}},
                {"manager": "kubectl", "operation": "Update", "apiVersion": "apps/v1", "time": "2026-01-01T10:30:00Z",
                 "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                {"manager": "kubectl-edit", "operation": "Update", "apiVersion": "apps/v1", "time": "2026-01-01T11:49:59Z",
                 "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {
                    "f:resources": {"f:limits": {".": {}, "f:memory": {}}}}}}}}}},
                {"manager": "kube-controller-manager", "operation": "Update", "time": "2026-01-01T11:59:00Z",
                 "subresource": "status", "fieldsV1": {"f:status": {"f:replicas": {}}}}]},
        "spec": {"replicas": 3, "progressDeadlineSeconds": 600, "selector": {"matchLabels": {"app": "checkout"}},
            "template": template(memory)}})
}

fn template(memory: &str) -> Value {
    json!({"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": [
        {"name": "app", "image": "checkout:1", "resources": {"limits": {"memory": memory}}}]}})
}

fn owned(kind: &str, name: &str, created: &str, labels: Value, annotations: Value, owner: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": "shop", "uid": name,
        "creationTimestamp": created, "labels": labels, "annotations": annotations,
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": owner, "name": "checkout", "uid": "d", "controller": true}]}})
}

fn replica_set(hash: &str, revision: &str, created: &str, memory: &str) -> Value {
    let labels = json!({"app": "checkout", "pod-template-hash": hash});
    let annotations = json!({"deployment.kubernetes.io/revision": revision});
    let mut set = owned("ReplicaSet", &format!("checkout-{hash}"), created, labels, annotations, "Deployment");
    set["spec"]["template"] = template(memory);
    set["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] = hash.into();
    set
}

const LIMIT: &str = "spec.template.spec.containers[app].resources.limits.memory";

#[test]
fn a_deployments_past_is_that_of_its_replica_sets_and_of_its_fields_owners() {
    let objects = [
        deployment("64Mi"),
        replica_set("b", "2", "2026-01-01T11:50:00Z", "64Mi"),
        replica_set("a", "1", "2026-01-01T09:00:01Z", "256Mi"),
    ];
    assert_eq!(
        told(&objects, &Kind::Deployment, "checkout", &[]),
        [
            "10:30:00 spec.replicas ? -> 3 by kubectl".to_owned(),
            format!("11:49:59 {LIMIT} \"256Mi\" -> \"64Mi\" by kubectl-edit"),
        ]
    );
}

#[test]
fn a_roll_back_is_dated_by_its_writer_and_not_by_the_old_replica_set() {
    let objects = [
        deployment("256Mi"),
        replica_set("a", "3", "2026-01-01T09:00:01Z", "256Mi"),
        replica_set("b", "2", "2026-01-01T11:00:00Z", "64Mi"),
    ];
    let lines = told(&objects, &Kind::Deployment, "checkout", &[]);
    assert_eq!(lines[1], format!("11:49:59 {LIMIT} \"64Mi\" -> \"256Mi\" by kubectl-edit"));
    // Without the writer there is no time, and a wrong one would date what follows before its cause.
    let mut bare = objects.to_vec();
    bare[0]["metadata"]["managedFields"] = json!([]);
    assert_eq!(told(&bare, &Kind::Deployment, "checkout", &[]), Vec::<String>::new());
}

#[test]
fn an_older_revision_is_whose_write_made_it() {
    let objects = [
        deployment("64Mi"),
        replica_set("a", "1", "2026-01-01T09:00:01Z", "128Mi"),
        replica_set("b", "2", "2026-01-01T10:30:05Z", "256Mi"),
        replica_set("c", "3", "2026-01-01T11:50:00Z", "64Mi"),
    ];
    let lines = told(&objects, &Kind::Deployment, "checkout", &[]);
    assert_eq!(lines[1], format!("10:30:05 {LIMIT} \"128Mi\" -> \"256Mi\" by kubectl"));
}

#[test]
fn a_stateful_sets_past_is_that_of_its_revisions() {
    let mut set = deployment("64Mi");
    set["kind"] = "StatefulSet".into();
    set["metadata"]["managedFields"] = json!([]);
    let revision = |name: &str, number: i64, created: &str, memory: &str| {
        let labels = json!({"app": "checkout", "controller.kubernetes.io/hash": name});
        let mut revision = owned("ControllerRevision", name, created, labels, json!({}), "StatefulSet");
        revision["revision"] = number.into();
        revision["data"] = json!({"spec": {"template": template(memory)}});
        revision["data"]["spec"]["template"]["$patch"] = "replace".into();
        revision
    };
    let objects = [
        set,
        revision("checkout-b", 2, "2026-01-01T11:50:00Z", "64Mi"),
        revision("checkout-a", 1, "2026-01-01T09:00:00Z", "256Mi"),
    ];
    assert_eq!(
        told(&objects, &Kind::StatefulSet, "checkout", &[]),
        [format!("11:50:00 {LIMIT} \"256Mi\" -> \"64Mi\" by nobody")]
    );
}

#[test]
fn a_cron_jobs_past_is_that_of_its_jobs() {
    let job = |name: &str, created: &str, memory: &str| {
        let mut job = owned("Job", name, created, json!({}), json!({}), "CronJob");
        job["apiVersion"] = "batch/v1".into();
        job["metadata"]["ownerReferences"][0]["apiVersion"] = "batch/v1".into();
        job["spec"]["template"] = template(memory);
        job["spec"]["template"]["metadata"]["labels"]["job-name"] = name.into();
        job
    };
    let cron = json!({"apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {"name": "checkout", "namespace": "shop", "uid": "d", "creationTimestamp": "2026-01-01T08:00:00Z",
            "managedFields": [
                {"manager": "helm", "operation": "Update", "time": "2026-01-01T08:00:00Z", "fieldsV1": {"f:spec": {
                    "f:schedule": {}, "f:jobTemplate": {"f:spec": {"f:template": {"f:spec": {"f:containers": {
                        "k:{\"name\":\"app\"}": {".": {}, "f:name": {}, "f:image": {}}}}}}}}}},
                {"manager": "kubectl-edit", "operation": "Update", "time": "2026-01-01T11:20:00Z", "fieldsV1": {"f:spec": {
                    "f:jobTemplate": {"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {
                        "f:resources": {"f:limits": {"f:memory": {}}}}}}}}}}}}]},
        "spec": {"schedule": "0 * * * *", "jobTemplate": {"spec": {"template": template("64Mi")}}}});
    let objects =
        [cron, job("checkout-2", "2026-01-01T12:00:00Z", "64Mi"), job("checkout-1", "2026-01-01T11:00:00Z", "256Mi")];
    let field = LIMIT.replace("spec.template", "spec.jobTemplate.spec.template");
    assert_eq!(
        told(&objects, &Kind::CronJob, "checkout", &[]),
        [format!("11:20:00 {field} \"256Mi\" -> \"64Mi\" by kubectl-edit")]
    );
}

/// A Service as `kubectl apply` leaves it, with its selector edited later.
fn service() -> Value {
    let applied = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "checkout"},
        "spec": {"selector": {"app": "checkout"}, "ports": [{"port": 80, "targetPort": 8080}]}});
    json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "checkout", "namespace": "shop", "creationTimestamp": "2026-01-01T09:00:00Z",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied.to_string()},
            "managedFields": [
                {"manager": "kubectl-client-side-apply", "operation": "Update", "time": "2026-01-01T09:00:00Z", "fieldsV1": {
                    "f:metadata": {"f:annotations": {".": {}}}, "f:spec": {"f:internalTrafficPolicy": {}, "f:ports": {
                        ".": {}, "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {}}},
                        "f:sessionAffinity": {}, "f:type": {}}}},
                {"manager": "kubectl-edit", "operation": "Update", "time": "2026-01-01T11:40:00Z", "fieldsV1": {
                    "f:spec": {"f:selector": {}}}}]},
        "spec": {"type": "ClusterIP", "internalTrafficPolicy": "Cluster", "sessionAffinity": "None", "selector": {"app": "chekout"},
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}]}})
}

#[test]
fn what_was_applied_tells_the_value_before_an_edit() {
    let line = "11:40:00 spec.selector.app \"checkout\" -> \"chekout\" by kubectl-edit";
    assert_eq!(told(&[service()], &Kind::Service, "checkout", &[])[0], line);
}

#[test]
fn without_what_was_applied_the_owner_of_a_field_tells_that_it_was_written() {
    let mut service = service();
    service["metadata"]["annotations"] = json!({});
    assert_eq!(
        told(&[service], &Kind::Service, "checkout", &[]),
        ["11:40:00 spec.selector ? -> {\"app\":\"chekout\"} by kubectl-edit"]
    );
}

#[test]
fn the_only_key_of_a_config_map_is_taken_over_as_well() {
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "shop", "creationTimestamp": "2026-01-01T09:00:00Z", "managedFields": [
            {"manager": "kubectl-create", "operation": "Update", "time": "2026-01-01T09:00:00Z", "fieldsV1": {"f:data": {".": {}}}},
            {"manager": "kubectl-edit", "operation": "Update", "time": "2026-01-01T11:30:00Z",
             "fieldsV1": {"f:data": {"f:app.yaml": {}}}}]},
        "data": {"app.yaml": "a: ["}});
    assert_eq!(
        told(&[config], &Kind::ConfigMap, "settings", &[]),
        ["11:30:00 data[app.yaml] ? -> \"a: [\" by kubectl-edit"]
    );
}

#[test]
fn what_the_server_adds_or_spells_otherwise_is_no_change() {
    let mut service = service();
    service["spec"]["selector"]["app"] = "checkout".into();
    service["spec"]["ports"][0]["targetPort"] = "8080".into();
    service["metadata"]["managedFields"].as_array_mut().unwrap().pop();
    assert_eq!(told(&[service], &Kind::Service, "checkout", &[]), Vec::<String>::new());
}

#[test]
fn a_key_that_was_applied_and_is_gone_was_removed_by_the_last_writer() {
    let applied = json!({"kind": "ConfigMap", "data": {"level": "info", "mode": "fast"}});
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "shop", "creationTimestamp": "2026-01-01T09:00:00Z",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied.to_string()},
            "managedFields": [
                {"manager": "kubectl-client-side-apply", "operation": "Update", "time": "2026-01-01T09:00:00Z",
                 "fieldsV1": {"f:data": {".": {}, "f:mode": {}}}},
                {"manager": "kubectl-edit", "operation": "Update", "time": "2026-01-01T11:30:00Z", "fieldsV1": {"f:data": {}}}]},
        "data": {"mode": "fast"}});
    let lines = told(&[config], &Kind::ConfigMap, "settings", &[]);
    assert!(lines.contains(&"11:30:00 data.level \"info\" -> ? by kubectl-edit".to_owned()), "{lines:?}");
}

#[test]
fn helm_is_asked_where_nothing_else_tells() {
    let release = |version: &str, created: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
            "metadata": {"name": format!("sh.helm.release.v1.checkout.v{version}"), "namespace": "shop", "creationTimestamp": created,
                "labels": {"owner": "helm", "name": "checkout", "version": version, "status": "superseded"}}})
    };
    let config = |level: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "labels": {"helm.sh/chart": level}},
            "data": {"level": level}})
    };
    let mut live = config("debug");
    live["metadata"]["namespace"] = "shop".into();
    live["metadata"]["annotations"] =
        json!({"meta.helm.sh/release-name": "checkout", "meta.helm.sh/release-namespace": "shop"});
    let objects = [
        live,
        release("9", "2026-01-01T09:00:00Z"),
        release("10", "2026-01-01T11:30:00Z"),
        release("8", "2026-01-01T08:00:00Z"),
    ];
    let manifests = [
        ("sh.helm.release.v1.checkout.v9", config("info")),
        ("sh.helm.release.v1.checkout.v10", config("debug")),
        ("sh.helm.release.v1.checkout.v8", config("warn")),
    ];
    let lines = told(&objects, &Kind::ConfigMap, "settings", &manifests);
    assert!(lines.contains(&"11:30:00 data.level \"info\" -> \"debug\" by helm".to_owned()), "{lines:?}");
}

#[test]
fn an_object_nobody_touched_has_no_past() {
    let mut fresh = deployment("64Mi");
    fresh["metadata"]["managedFields"].as_array_mut().unwrap().truncate(1);
    assert_eq!(told(&[fresh], &Kind::Deployment, "checkout", &[]), Vec::<String>::new());
}
