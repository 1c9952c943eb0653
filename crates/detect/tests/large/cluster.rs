//! A cluster of ten thousand pods as JSON, with all that stands around them: what the API server of a company has.

use serde_json::{Value, json};

/// Pods of one workload.
pub(crate) const REPLICAS: usize = 10;

/// Pods of workloads on one node.
const ON_NODE: usize = 100;

/// When everything became as it is: hours before the diagnosis.
const SINCE: &str = "2026-01-01T06:00:00Z";

/// So many workloads, and what belongs to them.
pub(crate) struct Cluster {
    workloads: usize,
    /// How many of them share a namespace.
    together: usize,
}

impl Cluster {
    pub(crate) fn new(workloads: usize) -> Cluster {
        Cluster { workloads, together: 50 }
    }

    /// All of them in one namespace.
    pub(crate) fn together(workloads: usize) -> Cluster {
        Cluster { workloads, together: workloads }
    }

    /// How many pods the workloads have.
    pub(crate) fn pods(&self) -> usize {
        self.workloads * REPLICAS
    }

    pub(crate) fn nodes(&self) -> usize {
        self.pods().div_ceil(ON_NODE)
    }

    /// All of it, healthy.
    pub(crate) fn objects(&self) -> Vec<Value> {
        let mut objects: Vec<Value> = (0..self.nodes()).map(|i| self.node(i)).collect();
        let spaces = (0..self.workloads.div_ceil(self.together)).map(|i| format!("team-{i}"));
        objects.extend(spaces.chain(["kube-system".to_owned()]).map(|name| namespace(&name)));
        objects.extend(self.system());
        for i in 0..self.workloads {
            objects.extend(self.workload(i));
            objects.extend((0..REPLICAS).map(|k| self.pod(i * REPLICAS + k)));
        }
        objects
    }

    /// A node that has just said that it is well.
    pub(crate) fn node(&self, i: usize) -> Value {
        let condition = |kind: &str, status: &str| {
            json!({"type": kind, "status": status, "reason": kind,
            "lastHeartbeatTime": "2026-01-01T11:58:00Z", "lastTransitionTime": SINCE})
        };
        let resources = json!({"cpu": "64", "memory": "131072Mi", "pods": "250"});
        let mut node = object("v1", "Node", "", &format!("node-{i}"));
        node["metadata"]["labels"] =
            json!({"kubernetes.io/hostname": format!("node-{i}"), "kubernetes.io/arch": "amd64"});
        node["metadata"]["managedFields"] = json!([
            {"manager": "kubelet", "operation": "Update", "apiVersion": "v1", "time": SINCE, "fieldsV1": {"f:metadata": {"f:labels": {}}}},
            {"manager": "kubelet", "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T11:58:00Z", "subresource": "status",
                "fieldsV1": {"f:status": {"f:conditions": {}}}}]);
        node["status"] = json!({"capacity": resources, "allocatable": resources,
            "conditions": [condition("MemoryPressure", "False"), condition("DiskPressure", "False"),
                condition("PIDPressure", "False"), condition("Ready", "True")],
            "nodeInfo": {"kubeletVersion": "v1.35.0", "kernelVersion": "6.12.0", "architecture": "amd64"}});
        node
    }

    pub(crate) fn space(&self, workload: usize) -> String {
        format!("team-{}", workload / self.together)
    }

    pub(crate) fn pod_name(&self, i: usize) -> String {
        format!("{}-{i:05}", set_name(i / REPLICAS))
    }

    /// The pod of this number, ready.
    pub(crate) fn pod(&self, i: usize) -> Value {
        let workload = i / REPLICAS;
        let app = app(workload);
        let labels = json!({"app": app, "tier": "bulk", "pod-template-hash": HASH});
        let owner = owner("apps/v1", "ReplicaSet", &set_name(workload));
        let mut pod =
            running(&self.space(workload), &self.pod_name(i), labels, owner, &format!("node-{}", i % self.nodes()));
        pod["spec"] = merged(&pod["spec"], &template(workload)["spec"]);
        pod["status"]["podIP"] = format!("10.{}.{}.{}", i >> 16, (i >> 8) & 255, i & 255).into();
        pod
    }

    /// The same pod, whose program ends again and again.
    pub(crate) fn crashing(&self, i: usize) -> Value {
        let mut pod = self.unready(i);
        pod["status"]["containerStatuses"][0]["restartCount"] = 4.into();
        pod["status"]["containerStatuses"][0]["state"] =
            json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 1m20s restarting failed container"}});
        pod["status"]["containerStatuses"][0]["lastState"] = json!({"terminated": {"exitCode": 1, "reason": "Error",
            "startedAt": "2026-01-01T11:58:00Z", "finishedAt": "2026-01-01T11:58:05Z"}});
        pod
    }

    /// The same pod, whose readiness probe fails.
    pub(crate) fn unready(&self, i: usize) -> Value {
        let mut pod = self.pod(i);
        for condition in pod["status"]["conditions"].as_array_mut().into_iter().flatten() {
            if condition["type"] == "Ready" || condition["type"] == "ContainersReady" {
                condition["status"] = "False".into();
                condition["reason"] = "ContainersNotReady".into();
                condition["lastTransitionTime"] = "2026-01-01T11:50:00Z".into();
            }
        }
        pod["status"]["containerStatuses"][0]["ready"] = false.into();
        pod
    }

    /// The same pod with one of five faults, by its number: it ends again and again, was killed for memory, has no image, is
    /// not ready, or finds no node.
    pub(crate) fn ill(&self, i: usize) -> Value {
        let waiting = |mut pod: Value, reason: &str, message: &str| {
            let status = &mut pod["status"]["containerStatuses"][0];
            status["started"] = false.into();
            status["state"] = json!({"waiting": {"reason": reason, "message": message}});
            pod
        };
        match i / 20 % 5 {
            0 => self.crashing(i),
            1 => {
                let mut pod = self.crashing(i);
                let end = &mut pod["status"]["containerStatuses"][0]["lastState"]["terminated"];
                end["exitCode"] = 137.into();
                end["reason"] = "OOMKilled".into();
                pod
            }
            2 => {
                let message = "rpc error: code = NotFound desc = failed to pull and unpack image \"registry.example/app:1.0\": not found";
                waiting(self.unready(i), "ImagePullBackOff", message)
            }
            3 => self.unready(i),
            _ => {
                let mut pod = self.unready(i);
                pod["spec"]["nodeName"] = Value::Null;
                pod["spec"]["containers"][0]["resources"]["requests"]["memory"] = "512Gi".into();
                pod["status"] = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
                    "reason": "Unschedulable", "lastTransitionTime": "2026-01-01T11:00:00Z",
                    "message": format!("0/{} nodes are available: {} Insufficient memory.", self.nodes(), self.nodes())}]});
                pod
            }
        }
    }

    /// What the kubelet says of a pod whose probe fails.
    pub(crate) fn probe_event(&self, i: usize) -> Value {
        let space = self.space(i / REPLICAS);
        let mut event = object("v1", "Event", &space, &format!("{}.17", self.pod_name(i)));
        event["involvedObject"] = json!({"kind": "Pod", "namespace": space, "name": self.pod_name(i),
            "uid": uid("Pod", &self.pod_name(i)), "fieldPath": "spec.containers{app}"});
        event["reason"] = "Unhealthy".into();
        event["type"] = "Warning".into();
        event["message"] = "Readiness probe failed: HTTP probe failed with statuscode: 503".into();
        event["count"] = 30.into();
        event["firstTimestamp"] = "2026-01-01T11:50:00Z".into();
        event["lastTimestamp"] = "2026-01-01T11:59:50Z".into();
        event["source"] = json!({"component": "kubelet", "host": "node-0"});
        event
    }

    /// A slice in which so many endpoints of a workload's Service are ready.
    pub(crate) fn slice(&self, workload: usize, ready: usize) -> Value {
        let (space, app) = (self.space(workload), app(workload));
        let mut slice = object("discovery.k8s.io/v1", "EndpointSlice", &space, &format!("{app}-x1"));
        slice["metadata"]["labels"] = json!({"kubernetes.io/service-name": app});
        slice["addressType"] = "IPv4".into();
        slice["ports"] = json!([{"name": "http", "port": 8080, "protocol": "TCP"}]);
        slice["endpoints"] = (0..REPLICAS)
            .map(|k| {
                let name = self.pod_name(workload * REPLICAS + k);
                json!({"addresses": [format!("10.0.0.{k}")], "conditions": {"ready": k < ready, "serving": k < ready},
                    "nodeName": format!("node-{k}"), "targetRef": {"kind": "Pod", "namespace": space, "name": name}})
            })
            .collect();
        slice
    }

    /// The Deployment and the ReplicaSet of a workload with so many ready pods.
    pub(crate) fn controllers(&self, workload: usize, ready: usize) -> [Value; 2] {
        let (space, app) = (self.space(workload), app(workload));
        let status = json!({"observedGeneration": 1, "replicas": REPLICAS, "updatedReplicas": REPLICAS,
            "readyReplicas": ready, "availableReplicas": ready});
        let make = |kind: &str, name: &str| {
            let mut made = object("apps/v1", kind, &space, name);
            made["metadata"]["labels"] = json!({"app": app});
            made["metadata"]["generation"] = 1.into();
            made["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": "2"});
            made["spec"] = json!({"replicas": REPLICAS, "selector": {"matchLabels": {"app": app}}, "template": template(workload)});
            made["status"] = status.clone();
            made
        };
        let mut set = make("ReplicaSet", &set_name(workload));
        set["metadata"]["ownerReferences"] = owner("apps/v1", "Deployment", &app);
        set["metadata"]["labels"]["pod-template-hash"] = HASH.into();
        [make("Deployment", &app), set]
    }

    fn workload(&self, i: usize) -> Vec<Value> {
        let (space, app) = (self.space(i), app(i));
        let [deployment, set] = self.controllers(i, REPLICAS);
        let mut old = set.clone();
        old["metadata"]["name"] = format!("{app}-58c9f6d7b4").into();
        old["metadata"]["uid"] = uid("ReplicaSet", &format!("{app}-58c9f6d7b4")).into();
        old["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": "1"});
        old["spec"]["replicas"] = 0.into();
        old["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example/app:0.9".into();
        old["status"] = json!({"observedGeneration": 1, "replicas": 0});
        let mut service = object("v1", "Service", &space, &app);
        service["spec"] = json!({"type": "ClusterIP", "clusterIP": format!("10.96.{}.{}", i >> 8, i & 255),
            "selector": {"app": app}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]});
        let mut config = object("v1", "ConfigMap", &space, &app);
        config["data"] = json!({"level": "info", "next": format!("http://{}.{space}:80", self::app(i + 1))});
        let mut made = vec![deployment, set, old, service, self.slice(i, REPLICAS), config];
        if i.is_multiple_of(5) {
            let mut scaler = object("autoscaling/v2", "HorizontalPodAutoscaler", &space, &app);
            scaler["spec"] = json!({"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": app},
                "minReplicas": 2, "maxReplicas": 20});
            scaler["status"] = json!({"currentReplicas": REPLICAS, "desiredReplicas": REPLICAS});
            made.push(scaler);
            let mut ingress = object("networking.k8s.io/v1", "Ingress", &space, &app);
            ingress["spec"] = json!({"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": app, "port": {"number": 80}}}}]}}]});
            made.push(ingress);
        }
        made
    }

    /// The cluster's DNS, and what runs on every node.
    fn system(&self) -> Vec<Value> {
        let space = "kube-system";
        let labels = json!({"k8s-app": "kube-dns"});
        let mut dns = object("apps/v1", "Deployment", space, "coredns");
        let spec = json!({"containers": [{"name": "coredns", "image": "registry.k8s.io/coredns:1.12"}]});
        dns["spec"] = json!({"replicas": 2, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}});
        dns["status"] = json!({"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2});
        let mut set = dns.clone();
        set["kind"] = "ReplicaSet".into();
        set["metadata"] = object("apps/v1", "ReplicaSet", space, "coredns-1")["metadata"].clone();
        set["metadata"]["ownerReferences"] = owner("apps/v1", "Deployment", "coredns");
        let mut service = object("v1", "Service", space, "kube-dns");
        service["metadata"]["labels"] = labels.clone();
        service["spec"] = json!({"clusterIP": "10.96.0.10", "selector": labels, "ports": [{"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53}]});
        let mut objects = vec![dns, set, service];
        objects.extend((0..2).map(|i| {
            running(
                space,
                &format!("coredns-1-{i}"),
                labels.clone(),
                owner("apps/v1", "ReplicaSet", "coredns-1"),
                &format!("node-{i}"),
            )
        }));
        let labels = json!({"k8s-app": "kube-proxy"});
        let mut proxy = object("apps/v1", "DaemonSet", space, "kube-proxy");
        let spec = json!({"containers": [{"name": "kube-proxy", "image": "registry.k8s.io/kube-proxy:1.35"}], "tolerations": [{"operator": "Exists"}]});
        proxy["spec"] =
            json!({"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}});
        proxy["status"] = json!({"desiredNumberScheduled": self.nodes(), "currentNumberScheduled": self.nodes(),
            "numberReady": self.nodes(), "updatedNumberScheduled": self.nodes(), "numberAvailable": self.nodes()});
        objects.push(proxy);
        objects.extend((0..self.nodes()).map(|i| {
            running(
                space,
                &format!("kube-proxy-{i}"),
                labels.clone(),
                owner("apps/v1", "DaemonSet", "kube-proxy"),
                &format!("node-{i}"),
            )
        }));
        objects
    }
}

const HASH: &str = "6d4cf56db6";

pub(crate) fn app(workload: usize) -> String {
    format!("web-{workload}")
}

fn set_name(workload: usize) -> String {
    format!("{}-{HASH}", app(workload))
}

fn uid(kind: &str, name: &str) -> String {
    format!("uid-{}-{name}", kind.to_lowercase())
}

/// The beginning of any object; cluster-scoped without a namespace.
pub(crate) fn object(version: &str, kind: &str, namespace: &str, name: &str) -> Value {
    let mut object = json!({"apiVersion": version, "kind": kind,
        "metadata": {"name": name, "uid": uid(kind, name), "creationTimestamp": "2026-01-01T05:59:00Z"}});
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = namespace.into();
    }
    object
}

fn namespace(name: &str) -> Value {
    let mut namespace = object("v1", "Namespace", "", name);
    namespace["status"] = json!({"phase": "Active"});
    namespace
}

fn owner(version: &str, kind: &str, name: &str) -> Value {
    json!([{"apiVersion": version, "kind": kind, "name": name, "uid": uid(kind, name), "controller": true, "blockOwnerDeletion": true}])
}

/// A pod that has been ready for hours.
fn running(namespace: &str, name: &str, labels: Value, owners: Value, node: &str) -> Value {
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": SINCE});
    let mut pod = object("v1", "Pod", namespace, name);
    pod["metadata"]["labels"] = labels;
    pod["metadata"]["ownerReferences"] = owners;
    pod["spec"] = json!({"nodeName": node, "containers": [{"name": "app", "image": "registry.example/app:1.0"}],
        "tolerations": [{"operator": "Exists"}], "schedulerName": "default-scheduler"});
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(condition);
    pod["status"] = json!({"phase": "Running", "startTime": SINCE, "qosClass": "Burstable", "conditions": conditions,
        "containerStatuses": [{"name": "app", "ready": true, "started": true, "restartCount": 0, "lastState": {},
            "image": "registry.example/app:1.0", "imageID": format!("registry.example/app@sha256:{}", "5".repeat(64)),
            "containerID": format!("containerd://{name}"), "state": {"running": {"startedAt": SINCE}}}]});
    pod
}

/// What the pods of a workload are made from. Every third has no limit of memory.
fn template(workload: usize) -> Value {
    let resources = match workload % 3 {
        0 => json!({"requests": {"cpu": "100m", "memory": "128Mi"}}),
        _ => json!({"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}}),
    };
    let probe = json!({"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 10, "failureThreshold": 3});
    json!({"metadata": {"labels": {"app": app(workload), "tier": "bulk"}}, "spec": {
        "containers": [{"name": "app", "image": "registry.example/app:1.0", "resources": resources, "readinessProbe": probe,
            "ports": [{"containerPort": 8080, "name": "http"}], "envFrom": [{"configMapRef": {"name": app(workload)}}],
            "env": [{"name": "NEXT", "value": format!("http://{}:80", app(workload + 1))}]}],
        "serviceAccountName": "default"}})
}

/// The one with the fields of the other in place of its own.
fn merged(one: &Value, other: &Value) -> Value {
    let mut merged = one.clone();
    for (key, value) in other.as_object().into_iter().flatten() {
        merged[key] = value.clone();
    }
    merged
}
