//! Objects as servers keep them, of one day.

use reckon_model::Timestamp;
use serde_json::{Value, json};

/// The moment of the answers.
pub(super) const NOW: &str = "2026-01-01T12:00:00Z";

/// The time of day as the API writes it.
pub(super) fn day(time: &str) -> String {
    format!("2026-01-01T{time}Z")
}

/// A full time, or a time of the day.
pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|_| day(text).parse().unwrap())
}

pub(super) fn template(memory: &str) -> Value {
    json!({"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": [
        {"name": "app", "image": "checkout:1", "resources": {"limits": {"memory": memory}}}]}})
}

/// A Deployment after `kubectl create`, a `kubectl scale` and an edit of the limit.
pub(super) fn deployment(memory: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "checkout", "namespace": "shop", "uid": "d", "creationTimestamp": day("09:00:00"),
            "managedFields": [
                {"manager": "kubectl-create", "operation": "Update", "apiVersion": "apps/v1", "time": day("09:00:00"),
                 "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:progressDeadlineSeconds": {}, "f:selector": {},
                    "f:template": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {"f:containers": {
                        "k:{\"name\":\"app\"}": {".": {}, "f:image": {}, "f:name": {}, "f:resources": {".": {}}}}}}}}},
                {"manager": "kubectl", "operation": "Update", "apiVersion": "apps/v1", "time": day("10:30:00"),
                 "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                {"manager": "kubectl-edit", "operation": "Update", "apiVersion": "apps/v1", "time": day("11:49:59"),
                 "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {
                    "f:resources": {"f:limits": {".": {}, "f:memory": {}}}}}}}}}}]},
        "spec": {"replicas": 3, "progressDeadlineSeconds": 600, "selector": {"matchLabels": {"app": "checkout"}},
            "template": template(memory)}})
}

pub(super) fn replica_set(hash: &str, revision: &str, created: &str, memory: &str) -> Value {
    let mut template = template(memory);
    template["metadata"]["labels"]["pod-template-hash"] = hash.into();
    json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": format!("checkout-{hash}"),
            "namespace": "shop", "uid": format!("rs-{hash}"), "creationTimestamp": day(created),
            "labels": {"app": "checkout", "pod-template-hash": hash},
            "annotations": {"deployment.kubernetes.io/revision": revision},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout", "uid": "d", "controller": true}]},
        "spec": {"selector": {"matchLabels": {"app": "checkout"}}, "template": template}})
}

/// A pod on the node `n1`, made at eleven.
pub(super) fn pod(name: &str, phase: &str, conditions: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop", "uid": name,
            "creationTimestamp": day("11:00:00"), "labels": {"app": "checkout"}},
        "spec": {"nodeName": if phase == "Pending" { "" } else { "n1" }, "containers": [{"name": "app", "image": "checkout:1"}]},
        "status": {"phase": phase, "conditions": conditions}})
}

/// A pod of a ReplicaSet whose container waits after it was killed for the fourth time.
pub(super) fn killed_pod(name: &str, hash: &str) -> Value {
    let mut pod = pod(
        name,
        "Running",
        &[
            json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": day("11:50:02")}),
            json!({"type": "Ready", "status": "False", "reason": "ContainersNotReady", "lastTransitionTime": day("11:58:00")}),
        ],
    );
    pod["metadata"]["creationTimestamp"] = day("11:50:01").into();
    pod["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("checkout-{hash}"), "uid": format!("rs-{hash}"), "controller": true}]);
    pod["status"]["containerStatuses"] = json!([{"name": "app", "image": "checkout:1", "restartCount": 3, "ready": false,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "startedAt": day("11:57:00"), "finishedAt": day("11:58:00")}}}]);
    pod
}

/// A ConfigMap that was applied with `db-1` and edited since.
pub(super) fn settings(host: &str) -> Value {
    let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "shop"},
        "data": {"DATABASE_HOST": "db-1", "TIMEOUT": "5s"}});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "shop", "uid": "c",
            "creationTimestamp": day("09:00:00"),
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied.to_string()},
            "managedFields": [
                {"manager": "kubectl-client-side-apply", "operation": "Update", "time": day("09:00:00"),
                 "fieldsV1": {"f:data": {".": {}, "f:TIMEOUT": {}}}},
                {"manager": "kubectl-edit", "operation": "Update", "time": day("11:40:00"),
                 "fieldsV1": {"f:data": {"f:DATABASE_HOST": {}}}}]},
        "data": {"DATABASE_HOST": host, "TIMEOUT": "5s"}})
}

pub(super) fn event(name: &str, kind: &str, about: &str, reason: &str, message: &str, time: &str, count: u32) -> Value {
    json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": "shop", "uid": name, "creationTimestamp": day("11:00:30")},
        "involvedObject": {"kind": kind, "namespace": "shop", "name": about}, "reason": reason, "message": message,
        "type": "Warning", "count": count, "firstTimestamp": day("11:00:30"), "lastTimestamp": day(time),
        "source": {"component": "kubelet"}})
}

/// The Deployment as Helm installed it; nothing else tells of its past.
pub(super) fn released(memory: &str) -> Value {
    let mut object = deployment(memory);
    object["metadata"]["managedFields"] = json!([]);
    object["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "Helm"});
    object["metadata"]["annotations"] =
        json!({"meta.helm.sh/release-name": "checkout", "meta.helm.sh/release-namespace": "shop"});
    object
}

/// The Secret of a revision of the release.
pub(super) fn secret(revision: u64, status: &str, created: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
        "metadata": {"name": format!("sh.helm.release.v1.checkout.v{revision}"), "namespace": "shop", "uid": format!("s{revision}"),
            "creationTimestamp": day(created),
            "labels": {"owner": "helm", "name": "checkout", "status": status, "version": revision.to_string()}}})
}

/// What the chart made in a version.
pub(super) fn manifest(version: &str, memory: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "checkout", "namespace": "shop", "labels": {"helm.sh/chart": format!("checkout-{version}")}},
        "spec": {"template": template(memory)}})
}

pub(super) fn problem(opened: Option<&str>, closed: Option<&str>) -> Value {
    json!({"id": "7f3k", "mergedInto": null, "failure": "oom-killed", "class": null, "title": "checkout is killed",
        "severity": "critical", "verdict": "confirmed", "opened": opened.map(day), "closed": closed.map(day),
        "closedReason": "its pods are ready", "episode": 1,
        "subject": {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "checkout", "uid": "d",
            "container": "app", "containerType": "app"},
        "cause": {"kind": "unknown", "ref": null, "field": null, "pointer": null, "from": null, "to": null, "at": null,
            "actor": null, "managedBy": null, "sentence": ""},
        "death": null, "alternatives": [], "chain": [], "evidence": [], "ruledOut": [], "notChecked": [],
        "impact": {"pods": {"affected": 0, "of": 0}, "workloads": [], "services": [], "routes": [], "callers": []},
        "symptoms": [], "remedies": [], "considered": [], "show": null})
}
