//! Many healthy pods and their workloads as JSON, as an API server writes them, and the way that their changes take.

use reckon_detect::{Diagnosis, Engine, Scope, State};
use reckon_model::{ClusterId, Kind, Object, SignedDuration, Specs, Timestamp};
use serde_json::{Value, json};

/// Pods of one workload.
const REPLICAS: usize = 10;

/// Pods on one node.
const ON_NODE: usize = 100;

/// A cluster of running pods of about 10 kB, half of it `managedFields`.
pub(crate) struct Fleet {
    pods: usize,
    /// A pod as text, with words to be replaced.
    template: String,
    changes: usize,
    engine: Engine,
    specs: Specs,
    now: Timestamp,
}

impl Fleet {
    /// Decodes and takes in the whole cluster, and diagnoses it once.
    pub(crate) fn new(pods: usize) -> Fleet {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let specs = Specs::default();
        let mut engine = Engine::new(State::new(ClusterId("fleet".into())).with_specs(specs.clone()));
        let mut take = |object: &str| {
            engine.state_mut().apply(Object::decode(object.as_bytes(), None).unwrap());
        };
        for node in 0..pods.div_ceil(ON_NODE) {
            take(&self::node(node).to_string());
        }
        for group in 0..pods.div_ceil(REPLICAS) {
            workload(group).iter().for_each(|object| take(&object.to_string()));
        }
        let mut fleet = Fleet { pods, template: pod().to_string(), changes: 0, engine, specs, now };
        for i in 0..pods {
            let text = fleet.pod(i);
            fleet.take(&text);
        }
        for kind in reckon_detect::kinds() {
            fleet.engine.state_mut().cover(&kind, None);
        }
        let first = fleet.diagnose();
        assert!(
            first.problems.is_empty() && first.demands.is_empty(),
            "{:?} {:?}",
            first.sentence,
            first.demands.first()
        );
        fleet
    }

    /// The text of so many changes: of pods all over the fleet, of which only the status differs from before.
    pub(crate) fn changes(&mut self, count: usize) -> Vec<String> {
        let changed = |fleet: &mut Fleet| {
            fleet.changes += 1;
            // A step that has no divisor with the number of pods meets all of them.
            let i = fleet.changes * 7919 % fleet.pods;
            fleet.pod(i)
        };
        (0..count).map(|_| changed(self)).collect()
    }

    pub(crate) fn decode(&self, change: &str) -> Object {
        Object::decode_with(&self.specs, change.as_bytes(), Some(&Kind::Pod)).unwrap()
    }

    /// Decodes a change and takes it in.
    pub(crate) fn take(&mut self, change: &str) {
        let pod = self.decode(change);
        self.engine.state_mut().apply(pod);
    }

    /// Diagnoses, some time after the last.
    pub(crate) fn diagnose(&mut self) -> Diagnosis {
        self.now += SignedDuration::from_secs(2);
        self.engine.diagnose(&Scope::Cluster, self.now)
    }

    /// How many objects the last diagnosis looked at.
    pub(crate) fn looked_at(&self) -> usize {
        self.engine.looked_at()
    }

    fn pod(&self, i: usize) -> String {
        let group = i / REPLICAS;
        let words = [
            ("@NAME@", format!("web-{group}-6d4cf56db6-{i:05}")),
            ("@SPACE@", space(group)),
            ("@UID@", uid(i)),
            ("@SET@", format!("web-{group}-6d4cf56db6")),
            ("@OWNER@", uid(1_000_000 + group)),
            ("@APP@", format!("web-{group}")),
            ("@NODE@", format!("node-{}", i % self.pods.div_ceil(ON_NODE))),
            ("@IP@", format!("10.{}.{}.{}", i >> 16, (i >> 8) & 255, i & 255)),
            ("@TOKEN@", format!("kube-api-access-{:05}", i % 100_000)),
            ("@ID@", format!("containerd://{:064x}", i + self.changes)),
            ("@SINCE@", time(i)),
            ("\"@RESTARTS@\"", (self.changes % 5).to_string()),
        ];
        words.into_iter().fold(self.template.clone(), |text, (word, value)| text.replace(word, &value))
    }
}

fn space(group: usize) -> String {
    format!("team-{}", group % 100)
}

fn uid(i: usize) -> String {
    format!("{i:08x}-0000-4000-8000-{i:012x}")
}

/// No two pods became ready at one moment.
fn time(i: usize) -> String {
    let start: Timestamp = "2026-01-01T06:00:00Z".parse().unwrap();
    (start + SignedDuration::from_secs(i64::try_from(i % 10_000).unwrap())).to_string()
}

fn fields(names: &[&str]) -> Value {
    let each = |name: &&str| (format!("f:{name}"), json!({".": {}, "f:name": {}, "f:value": {}, "f:protocol": {}}));
    names.iter().map(each).collect::<serde_json::Map<_, _>>().into()
}

fn pod() -> Value {
    let env = |count: usize| -> Vec<Value> {
        (0..count)
            .map(|i| json!({"name": format!("SETTING_{i}"), "value": format!("the value of setting {i}")}))
            .collect()
    };
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10, "timeoutSeconds": 1, "failureThreshold": 3});
    let container = |name: &str, settings: usize| {
        json!({
            "name": name, "image": format!("registry.example/{name}:1.0"), "imagePullPolicy": "IfNotPresent",
            "ports": [{"containerPort": 8080, "protocol": "TCP", "name": "http"}], "env": env(settings),
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            "livenessProbe": probe("/healthz"), "readinessProbe": probe("/readyz"),
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            "volumeMounts": [{"name": "config", "mountPath": "/etc/app"}, {"name": "@TOKEN@", "readOnly": true,
                "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
        })
    };
    let status = |name: &str| {
        json!({
            "name": name, "ready": true, "started": true, "restartCount": "@RESTARTS@", "lastState": {},
            "image": format!("registry.example/{name}:1.0"),
            "imageID": format!("registry.example/{name}@sha256:{}", "5".repeat(64)),
            "containerID": "@ID@", "state": {"running": {"startedAt": "@SINCE@"}},
            "allocatedResources": {"cpu": "100m", "memory": "128Mi"},
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        })
    };
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": "@SINCE@", "observedGeneration": 1});
    let conditions =
        ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"].map(condition);
    let settings: Vec<String> = (0..40).map(|i| format!("k:{{\"name\":\"SETTING_{i}\"}}")).collect();
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "@NAME@", "generateName": "@SET@-", "namespace": "@SPACE@", "uid": "@UID@",
            "resourceVersion": "4711", "creationTimestamp": "@SINCE@", "generation": 1,
            "labels": {"app": "@APP@", "pod-template-hash": "6d4cf56db6"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "@SET@", "uid": "@OWNER@",
                "controller": true, "blockOwnerDeletion": true}],
            "managedFields": [
                {"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": "@SINCE@",
                    "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:containers": fields(&settings)}}},
                {"manager": "kubelet", "operation": "Update", "apiVersion": "v1", "time": "@SINCE@",
                    "subresource": "status", "fieldsType": "FieldsV1",
                    "fieldsV1": {"f:status": fields(&["conditions", "containerStatuses", "podIP", "startTime"])}},
            ],
        },
        "spec": {
            "containers": [container("app", 18), container("proxy", 9)], "nodeName": "@NODE@",
            "restartPolicy": "Always", "schedulerName": "default-scheduler", "serviceAccountName": "default",
            "dnsPolicy": "ClusterFirst", "terminationGracePeriodSeconds": 30, "securityContext": {}, "priority": 0,
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": 300}],
            "volumes": [{"name": "config", "configMap": {"name": "settings", "defaultMode": 420}},
                {"name": "@TOKEN@", "projected": {"defaultMode": 420, "sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}]}}],
        },
        "status": {
            "phase": "Running", "qosClass": "Burstable", "podIP": "@IP@", "podIPs": [{"ip": "@IP@"}],
            "hostIP": "10.0.0.1", "startTime": "@SINCE@", "containerStatuses": [status("app"), status("proxy")],
            "conditions": conditions,
        },
    })
}

fn node(i: usize) -> Value {
    let resources = json!({"cpu": "64", "memory": "131072Mi", "pods": "250"});
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": format!("node-{i}"), "uid": uid(2_000_000 + i), "creationTimestamp": time(0),
            "labels": {"kubernetes.io/hostname": format!("node-{i}")}},
        "status": {"capacity": resources, "allocatable": resources,
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": time(0)}]},
    })
}

/// A Deployment and its ReplicaSet.
fn workload(group: usize) -> [Value; 2] {
    let app = format!("web-{group}");
    let labels = json!({"app": app});
    let containers = json!([{"name": "app", "image": "registry.example/app:1.0",
        "resources": {"limits": {"memory": "256Mi"}}}]);
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": containers}});
    let spec = json!({"replicas": REPLICAS, "selector": {"matchLabels": labels}, "template": template});
    let status = json!({"observedGeneration": 1, "replicas": REPLICAS, "readyReplicas": REPLICAS,
        "availableReplicas": REPLICAS, "updatedReplicas": REPLICAS});
    let one = |kind: &str, name: String, number: usize| {
        json!({"apiVersion": "apps/v1", "kind": kind,
            "metadata": {"name": name, "namespace": space(group), "uid": uid(number), "generation": 1, "labels": labels,
                "creationTimestamp": time(group), "annotations": {"deployment.kubernetes.io/revision": "1"},
                "managedFields": [{"manager": "helm", "operation": "Update", "apiVersion": "apps/v1", "time": time(group),
                    "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": fields(&["replicas", "selector", "template"])}}]},
            "spec": spec, "status": status})
    };
    let mut set = one("ReplicaSet", format!("{app}-6d4cf56db6"), 1_000_000 + group);
    set["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": app,
        "uid": uid(3_000_000 + group), "controller": true}]);
    [one("Deployment", app, 3_000_000 + group), set]
}
