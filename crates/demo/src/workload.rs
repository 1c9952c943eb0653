//! One workload of the company and the objects that it is made of.

use crate::owner::Owner;
use serde_json::{Value, json};

/// Where the company keeps its images.
pub(crate) const REGISTRY: &str = "registry.harbourbooks.example";

/// What runs its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runs {
    Deployment,
    StatefulSet,
    DaemonSet,
    /// On this schedule.
    CronJob(&'static str),
}

impl Runs {
    /// As the simulated server calls it.
    pub(crate) fn resource(self) -> &'static str {
        match self {
            Runs::Deployment => "deployments.apps",
            Runs::StatefulSet => "statefulsets.apps",
            Runs::DaemonSet => "daemonsets.apps",
            Runs::CronJob(_) => "cronjobs.batch",
        }
    }
}

/// A workload as its team thinks of it.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) namespace: &'static str,
    pub(crate) name: &'static str,
    pub(crate) runs: Runs,
    pub(crate) replicas: u32,
    pub(crate) container: &'static str,
    pub(crate) image: String,
    pub(crate) tag: &'static str,
    /// The tag that ran before the last roll-out.
    pub(crate) before: Option<&'static str>,
    pub(crate) owner: Owner,
    pub(crate) part_of: &'static str,
    pub(crate) port: Option<u16>,
    /// Whether it answers HTTP: then it is probed.
    pub(crate) http: bool,
    /// CPU and memory that are requested, and the limit of memory.
    pub(crate) requests: (&'static str, &'static str),
    pub(crate) limit: Option<&'static str>,
    /// What it really uses: thousandths of a processor and MiB.
    pub(crate) uses: (u64, u64),
    pub(crate) log: &'static [&'static str],
    pub(crate) config: &'static [(&'static str, &'static str)],
    pub(crate) host: Option<&'static str>,
    pub(crate) storage: Option<&'static str>,
    pub(crate) budget: bool,
    pub(crate) scaled_to: Option<u32>,
    /// Put into the pod's specification as it stands.
    pub(crate) spec: Value,
}

impl Workload {
    pub(crate) fn new(namespace: &'static str, name: &'static str, tag: &'static str, owner: Owner) -> Workload {
        Workload {
            namespace,
            name,
            runs: Runs::Deployment,
            replicas: 2,
            container: name,
            image: format!("{REGISTRY}/{namespace}/{name}"),
            tag,
            before: None,
            owner,
            part_of: namespace,
            port: None,
            http: false,
            requests: ("100m", "128Mi"),
            limit: Some("256Mi"),
            uses: (20, 90),
            log: &[],
            config: &[],
            host: None,
            storage: None,
            budget: false,
            scaled_to: None,
            spec: json!({}),
        }
    }

    pub(crate) fn runs(mut self, runs: Runs) -> Self {
        self.runs = runs;
        self
    }

    pub(crate) fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// A container that bears another name than the workload.
    pub(crate) fn container(mut self, name: &'static str) -> Self {
        self.container = name;
        self
    }

    /// An image from somewhere else.
    pub(crate) fn image(mut self, image: &str) -> Self {
        image.clone_into(&mut self.image);
        self
    }

    pub(crate) fn was(mut self, tag: &'static str) -> Self {
        self.before = Some(tag);
        self
    }

    pub(crate) fn http(mut self, port: u16) -> Self {
        self.port = Some(port);
        self.http = true;
        self
    }

    pub(crate) fn tcp(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    pub(crate) fn memory(mut self, cpu: &'static str, request: &'static str, limit: &'static str, uses: u64) -> Self {
        self.requests = (cpu, request);
        self.limit = (!limit.is_empty()).then_some(limit);
        self.uses.1 = uses;
        self
    }

    pub(crate) fn log(mut self, log: &'static [&'static str]) -> Self {
        self.log = log;
        self
    }

    pub(crate) fn config(mut self, config: &'static [(&'static str, &'static str)]) -> Self {
        self.config = config;
        self
    }

    pub(crate) fn host(mut self, host: &'static str) -> Self {
        self.host = Some(host);
        self
    }

    pub(crate) fn storage(mut self, size: &'static str) -> Self {
        self.storage = Some(size);
        self
    }

    pub(crate) fn budget(mut self) -> Self {
        self.budget = true;
        self
    }

    pub(crate) fn scaled_to(mut self, most: u32) -> Self {
        self.scaled_to = Some(most);
        self
    }

    pub(crate) fn with(mut self, spec: Value) -> Self {
        self.spec = spec;
        self
    }

    /// What its pods are selected by.
    pub(crate) fn selector(&self) -> Value {
        json!({"app.kubernetes.io/name": self.name, "app.kubernetes.io/instance": self.owner.instance(self.name)})
    }

    /// The ConfigMap that it reads, if it reads one.
    pub(crate) fn config_name(&self) -> String {
        format!("{}-config", self.name)
    }

    /// Its objects, under the names of the server's resources, at this tag. Nothing in them says who made them.
    pub(crate) fn objects(&self, tag: &str) -> Vec<(&'static str, Value)> {
        let mut all = Vec::new();
        if !self.config.is_empty() {
            let data: serde_json::Map<String, Value> =
                self.config.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
            all.push(("configmaps", self.named(&self.config_name(), "v1", "ConfigMap", json!({"data": data}))));
        }
        if let Some(port) = self.port {
            let ports = json!([{"name": if self.http { "http" } else { "tcp" }, "port": if self.http { 80 } else { port },
                "targetPort": if self.http { "http" } else { "tcp" }}]);
            let mut spec = json!({"selector": self.selector(), "ports": ports});
            if self.runs == Runs::StatefulSet {
                spec["clusterIP"] = "None".into();
            }
            all.push(("services", self.named(self.name, "v1", "Service", json!({"spec": spec}))));
        }
        all.push((self.runs.resource(), self.workload(tag)));
        if let Some(host) = self.host {
            let backend = json!({"service": {"name": self.name, "port": {"name": "http"}}});
            let paths = json!([{"path": "/", "pathType": "Prefix", "backend": backend}]);
            let spec = json!({"ingressClassName": "nginx", "tls": [{"hosts": [host], "secretName": format!("{}-tls", self.name)}],
                "rules": [{"host": host, "http": {"paths": paths}}]});
            let object = self.named(self.name, "networking.k8s.io/v1", "Ingress", json!({"spec": spec}));
            all.push(("ingresses.networking.k8s.io", object));
        }
        if self.budget {
            let spec = json!({"maxUnavailable": 1, "selector": {"matchLabels": self.selector()}});
            let object = self.named(self.name, "policy/v1", "PodDisruptionBudget", json!({"spec": spec}));
            all.push(("poddisruptionbudgets.policy", object));
        }
        if let Some(most) = self.scaled_to {
            let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": self.name});
            let metrics = json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}]);
            let spec = json!({"scaleTargetRef": target, "minReplicas": self.replicas, "maxReplicas": most, "metrics": metrics});
            let status = json!({"currentReplicas": self.replicas, "desiredReplicas": self.replicas,
            "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 34, "averageValue": "85m"}}}],
            "conditions": [
                {"type": "AbleToScale", "status": "True", "reason": "ReadyForNewScale", "message": "recommended size matches current size"},
                {"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound", "message": "the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)"},
                {"type": "ScalingLimited", "status": "False", "reason": "DesiredWithinRange", "message": "the desired count is within the acceptable range"},
            ]});
            let rest = json!({"spec": spec, "status": status});
            let object = self.named(self.name, "autoscaling/v2", "HorizontalPodAutoscaler", rest);
            all.push(("horizontalpodautoscalers.autoscaling", object));
        }
        all
    }

    fn named(&self, name: &str, api_version: &str, kind: &str, mut rest: Value) -> Value {
        rest["apiVersion"] = api_version.into();
        rest["kind"] = kind.into();
        let mut labels = self.selector();
        labels["app.kubernetes.io/part-of"] = self.part_of.into();
        rest["metadata"] = json!({"name": name, "namespace": self.namespace, "labels": labels});
        rest
    }

    fn workload(&self, tag: &str) -> Value {
        let template = json!({"metadata": {"labels": self.selector()}, "spec": self.pod_spec(tag)});
        let selector = json!({"matchLabels": self.selector()});
        let (kind, api_version, spec) = match self.runs {
            Runs::Deployment => (
                "Deployment",
                "apps/v1",
                json!({"replicas": self.replicas, "selector": selector, "template": template}),
            ),
            Runs::StatefulSet => {
                let mut spec = json!({"replicas": self.replicas, "selector": selector, "serviceName": self.name, "template": template});
                if let Some(size) = self.storage {
                    spec["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": claim(size)}]);
                }
                ("StatefulSet", "apps/v1", spec)
            }
            Runs::DaemonSet => ("DaemonSet", "apps/v1", json!({"selector": selector, "template": template})),
            Runs::CronJob(schedule) => {
                let job = json!({"spec": {"backoffLimit": 2, "template": template}});
                let spec = json!({"schedule": schedule, "concurrencyPolicy": "Forbid", "suspend": false,
                    "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1, "jobTemplate": job});
                ("CronJob", "batch/v1", spec)
            }
        };
        self.named(self.name, api_version, kind, json!({"spec": spec}))
    }

    fn pod_spec(&self, tag: &str) -> Value {
        let mut container = json!({
            "name": self.container, "image": format!("{}:{tag}", self.image),
            "resources": {"requests": {"cpu": self.requests.0, "memory": self.requests.1}},
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        });
        if let Some(limit) = self.limit {
            container["resources"]["limits"] = json!({"memory": limit});
        }
        if let Some(port) = self.port {
            container["ports"] = json!([{"name": if self.http { "http" } else { "tcp" }, "containerPort": port}]);
        }
        if self.http {
            container["readinessProbe"] =
                json!({"httpGet": {"path": "/healthz/ready", "port": "http"}, "periodSeconds": 10});
            container["livenessProbe"] = json!({"httpGet": {"path": "/healthz/live", "port": "http"}, "initialDelaySeconds": 10, "timeoutSeconds": 5});
        } else if self.port.is_some() {
            container["readinessProbe"] = json!({"tcpSocket": {"port": "tcp"}, "periodSeconds": 10});
        }
        if !self.config.is_empty() {
            container["envFrom"] = json!([{"configMapRef": {"name": self.config_name()}}]);
        }
        if self.runs == Runs::StatefulSet && self.storage.is_some() {
            container["volumeMounts"] = json!([{"name": "data", "mountPath": "/var/lib/data"}]);
        }
        let mut spec = json!({"containers": [container]});
        if matches!(self.runs, Runs::CronJob(_)) {
            spec["restartPolicy"] = "Never".into();
        }
        for (key, value) in self.spec.as_object().into_iter().flatten() {
            spec[key.as_str()] = value.clone();
        }
        spec
    }
}

/// The specification of a claim on the company's usual storage.
pub(crate) fn claim(size: &str) -> Value {
    json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "gp3", "resources": {"requests": {"storage": size}}})
}
