//! The bytes that pods made in bulk have in common, with slots for what differs.

use crate::clock::seconds;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

/// What differs between pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Name,
    Namespace,
    Uid,
    Revision,
    Workload,
    ReplicaSet,
    OwnerUid,
    Node,
    Ip,
    Restarts,
}

/// How the slots are written while the template is made.
const SLOTS: &[(&str, Slot)] = &[
    ("@NAME@", Slot::Name),
    ("@NAMESPACE@", Slot::Namespace),
    ("@UID@", Slot::Uid),
    ("@REVISION@", Slot::Revision),
    ("@WORKLOAD@", Slot::Workload),
    ("@REPLICASET@", Slot::ReplicaSet),
    ("@OWNER@", Slot::OwnerUid),
    ("@NODE@", Slot::Node),
    ("@IP@", Slot::Ip),
    // A number: it has no quotes in the end.
    ("\"@RESTARTS@\"", Slot::Restarts),
];

/// Text, each piece followed by a slot, the last by none.
#[derive(Debug)]
pub(super) struct Template {
    pieces: Vec<(String, Option<Slot>)>,
    bytes: usize,
}

impl Template {
    fn of(json: &str) -> Template {
        let mut pieces = Vec::new();
        let mut rest = json;
        while let Some((at, text, slot)) = SLOTS
            .iter()
            .filter_map(|(text, slot)| rest.find(text).map(|at| (at, *text, *slot)))
            .min_by_key(|found| found.0)
        {
            pieces.push((rest[..at].to_owned(), Some(slot)));
            rest = &rest[at + text.len()..];
        }
        pieces.push((rest.to_owned(), None));
        Template { pieces, bytes: json.len() + 512 }
    }

    pub(super) fn fill<'a>(&self, value: impl Fn(Slot) -> &'a str) -> Bytes {
        let mut out = Vec::with_capacity(self.bytes);
        for (text, slot) in &self.pieces {
            out.extend_from_slice(text.as_bytes());
            if let Some(slot) = slot {
                out.extend_from_slice(value(*slot).as_bytes());
            }
        }
        // What stays allocated is counted a hundred thousand times.
        out.shrink_to_fit();
        Bytes::from(out)
    }
}

/// A running pod of about so many bytes.
pub(super) fn pod(bytes: usize, now: Timestamp) -> Template {
    let now = seconds(now);
    let env = |count: usize| -> Vec<Value> {
        (0..count)
            .map(|i| json!({"name": format!("SETTING_{i}"), "value": format!("the value of setting number {i}")}))
            .collect()
    };
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10, "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3});
    let container = |name: &str, settings: usize| {
        json!({
            "name": name, "image": format!("registry.example/{name}:1.0"), "imagePullPolicy": "IfNotPresent",
            "ports": [{"containerPort": 8080, "protocol": "TCP", "name": "http"}], "env": env(settings),
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            "livenessProbe": probe("/healthz"), "readinessProbe": probe("/readyz"),
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            "volumeMounts": [
                {"name": "config", "mountPath": "/etc/app"},
                {"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true},
            ],
        })
    };
    let condition =
        |kind: &str| json!({"type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": now});
    let status = |name: &str| {
        json!({
            "name": name, "ready": true, "started": true, "restartCount": "@RESTARTS@",
            "image": format!("registry.example/{name}:1.0"), "imageID": format!("registry.example/{name}@sha256:{}", "5".repeat(64)),
            "containerID": format!("containerd://{}", "7".repeat(64)), "lastState": {}, "state": {"running": {"startedAt": now}},
        })
    };
    let make = |settings: usize| {
        let mut made = json!({
            "metadata": {
                "name": "@NAME@", "generateName": "@REPLICASET@-", "namespace": "@NAMESPACE@", "uid": "@UID@",
                "resourceVersion": "@REVISION@", "creationTimestamp": now, "generation": 1,
                "labels": {"app": "@WORKLOAD@", "app.kubernetes.io/name": "@WORKLOAD@", "tier": "bulk"},
                "ownerReferences": [{
                    "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "@REPLICASET@", "uid": "@OWNER@",
                    "controller": true, "blockOwnerDeletion": true,
                }],
            },
            "spec": {
                "containers": [container("app", settings), container("proxy", settings / 2)],
                "nodeName": "@NODE@", "restartPolicy": "Always", "schedulerName": "default-scheduler",
                "serviceAccountName": "default", "serviceAccount": "default", "dnsPolicy": "ClusterFirst",
                "terminationGracePeriodSeconds": 30, "securityContext": {}, "priority": 0, "enableServiceLinks": true,
                "volumes": [
                    {"name": "config", "configMap": {"name": "@WORKLOAD@", "defaultMode": 420}},
                    {"name": "kube-api-access", "projected": {"defaultMode": 420, "sources": [
                        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                    ]}},
                ],
            },
        });
        crate::managed::note(None, &mut made, "kube-controller-manager", "", "v1", Timestamp::UNIX_EPOCH);
        let before = made.clone();
        let conditions =
            ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"].map(condition);
        made["status"] = json!({
            "phase": "Running", "qosClass": "Burstable", "podIP": "@IP@", "podIPs": [{"ip": "@IP@"}], "hostIP": "10.0.0.1",
            "startTime": now, "containerStatuses": [status("app"), status("proxy")],
            "conditions": conditions,
        });
        crate::managed::note(Some(&before), &mut made, "kubelet", "status", "v1", Timestamp::UNIX_EPOCH);
        String::from_utf8_lossy(&crate::store::body(&made)).replace("1970-01-01T00:00:00Z", &now)
    };
    let (none, some) = (make(0).len(), make(20).len());
    let each = some.saturating_sub(none).max(20) / 20;
    Template::of(&make(bytes.saturating_sub(none) / each))
}

pub(super) fn node_name(i: usize) -> String {
    format!("node-{i}")
}

/// A node that is well.
pub(super) fn node(i: usize, now: Timestamp) -> Value {
    let now = seconds(now);
    let resources = json!({"cpu": "32", "memory": "131072Mi", "pods": "250", "ephemeral-storage": "200Gi"});
    let condition = |kind: &str, status: &str, reason: &str, message: &str| json!({"type": kind, "status": status, "reason": reason, "message": message, "lastHeartbeatTime": now, "lastTransitionTime": now});
    json!({
        "metadata": {"name": node_name(i), "labels": {
            "kubernetes.io/hostname": node_name(i), "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
            "topology.kubernetes.io/zone": format!("zone-{}", i % 3),
        }},
        "spec": {"podCIDR": format!("10.{}.{}.0/24", 128 + (i >> 8), i & 255)},
        "status": {
            "capacity": resources, "allocatable": resources,
            "addresses": [{"type": "InternalIP", "address": format!("10.0.{}.{}", i >> 8, i & 255)}, {"type": "Hostname", "address": node_name(i)}],
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            ],
            "nodeInfo": {"kubeletVersion": "v1.37.2", "osImage": "Debian GNU/Linux 12 (bookworm)", "kernelVersion": "6.1.0",
                "containerRuntimeVersion": "containerd://2.1.4", "operatingSystem": "linux", "architecture": "amd64"},
        },
    })
}
