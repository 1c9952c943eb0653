//! What stands before anybody deploys anything: machines, storage, classes, namespaces, rules.

use crate::company::{PLATFORM, TEAMS, workloads};
use crate::workload::{Runs, claim};
use reckon_sim::World;
use serde_json::{Value, json};

/// The machines: name, zone, pool.
pub(crate) const NODES: [(&str, &str, &str); 7] = [
    ("ip-10-40-11-23", "eu-west-1a", "general"),
    ("ip-10-40-11-87", "eu-west-1a", "general"),
    ("ip-10-40-12-14", "eu-west-1b", "general"),
    ("ip-10-40-12-90", "eu-west-1b", "general"),
    ("ip-10-40-13-41", "eu-west-1c", "general"),
    ("ip-10-40-13-66", "eu-west-1c", "general"),
    ("ip-10-40-13-70", "eu-west-1c", "batch"),
];

/// How much of a machine's memory its pods may have, in bytes.
pub(crate) const ALLOCATABLE: u64 = 15_100 << 20;

fn add(world: &mut World, resource: &str, object: Value, manager: &str) {
    // All of this is complete, new and in namespaces that are there: nothing refuses it.
    let _ = world.create_as(resource, object, manager);
}

/// Machines and what belongs to the cluster as a whole.
pub(crate) fn lay(world: &mut World) {
    for (name, zone, pool) in NODES {
        add(world, "nodes", node(name, zone, pool, &world.now().to_string()), "kubelet");
    }
    let default = json!({"storageclass.kubernetes.io/is-default-class": "true"});
    for (name, annotations, kind) in
        [("gp3", default, "gp3"), ("gp3-retain", json!({}), "gp3"), ("io2", json!({}), "io2")]
    {
        let class = json!({"metadata": {"name": name, "annotations": annotations}, "provisioner": "block.csi.cloud.example",
            "parameters": {"type": kind}, "reclaimPolicy": if name == "gp3-retain" { "Retain" } else { "Delete" },
            "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": true});
        add(world, "storageclasses.storage.k8s.io", class, "kubectl-client-side-apply");
    }
    for (name, value) in [
        ("system-cluster-critical", 2_000_000_000),
        ("system-node-critical", 2_000_001_000),
        ("business-reports", 100_000),
    ] {
        let class = json!({"metadata": {"name": name}, "value": value, "globalDefault": false});
        add(world, "priorityclasses.scheduling.k8s.io", class, "kube-apiserver");
    }
    let class = json!({"metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"}});
    add(world, "ingressclasses.networking.k8s.io", class, "helm");
    for name in PLATFORM {
        add(world, "namespaces", json!({"metadata": {"name": name}}), "kubectl-client-side-apply");
    }
    certificates(world);
}

fn node(name: &str, zone: &str, pool: &str, now: &str) -> Value {
    let condition = |kind: &str, status: &str, reason: &str, message: &str| json!({"type": kind, "status": status, "reason": reason, "message": message, "lastHeartbeatTime": now, "lastTransitionTime": now});
    let address = name.trim_start_matches("ip-").replace('-', ".");
    let own = json!([{"key": "harbourbooks.example/pool", "value": "batch", "effect": "NoSchedule"}]);
    let taints = if pool == "batch" { own } else { json!([]) };
    let capacity = json!({"cpu": "4", "memory": "16077832Ki", "pods": "58", "ephemeral-storage": "104845292Ki"});
    let mut allocatable = capacity.clone();
    allocatable["cpu"] = "3920m".into();
    allocatable["memory"] = format!("{}Ki", ALLOCATABLE >> 10).into();
    json!({
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
            "node.kubernetes.io/instance-type": "m6i.xlarge", "topology.kubernetes.io/region": "eu-west-1",
            "topology.kubernetes.io/zone": zone, "harbourbooks.example/pool": pool,
        }},
        "spec": {"providerID": format!("cloud:///{zone}/{name}"), "taints": taints},
        "status": {
            "capacity": capacity, "allocatable": allocatable,
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            ],
            "nodeInfo": {"kubeletVersion": "v1.37.2", "osImage": "Debian GNU/Linux 13 (trixie)", "kernelVersion": "6.12.48-cloud-amd64",
                "containerRuntimeVersion": "containerd://2.1.4", "operatingSystem": "linux", "architecture": "amd64"},
        },
    })
}

/// The kind of cert-manager that says how long a certificate is good.
fn certificates(world: &mut World) {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let version = json!({"name": "v1", "served": true, "storage": true, "schema": schema, "subresources": {"status": {}},
    "additionalPrinterColumns": [
        {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
        {"name": "Secret", "type": "string", "jsonPath": ".spec.secretName"},
    ]});
    let names = json!({"kind": "Certificate", "listKind": "CertificateList", "plural": "certificates", "singular": "certificate", "shortNames": ["cert", "certs"]});
    let spec = json!({"group": "cert-manager.io", "scope": "Namespaced", "names": names, "versions": [version]});
    let object = json!({"metadata": {"name": "certificates.cert-manager.io"}, "spec": spec});
    add(world, "customresourcedefinitions.apiextensions.k8s.io", object, "helm");
}

/// The namespaces of the company with their rules, and the volumes of what keeps data.
pub(crate) fn settle(world: &mut World) {
    for (name, team) in TEAMS {
        let labels = json!({"team": team, "pod-security.kubernetes.io/warn": "restricted"});
        let space = json!({"metadata": {"name": name, "labels": labels}});
        add(world, "namespaces", space, "kubectl-client-side-apply");
        let policy = json!({"metadata": {"name": "same-namespace-and-ingress", "namespace": name}, "spec": {
            "podSelector": {}, "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {}}, {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}]}]}});
        add(world, "networkpolicies.networking.k8s.io", policy, "kubectl-client-side-apply");
    }
    let hard = json!({"requests.cpu": "12", "requests.memory": "11Gi", "pods": "40"});
    let quota = json!({"metadata": {"name": "team-insights", "namespace": "data"}, "spec": {"hard": hard}});
    add(world, "resourcequotas", quota, "kubectl-client-side-apply");
    for workload in workloads().iter().filter(|workload| workload.runs == Runs::StatefulSet) {
        for i in 0..workload.replicas {
            let name = format!("data-{}-{i}", workload.name);
            let size = workload.storage.unwrap_or("10Gi");
            let meta = json!({"name": name, "namespace": workload.namespace, "labels": workload.selector()});
            add(
                world,
                "persistentvolumeclaims",
                json!({"metadata": meta, "spec": claim(size)}),
                "kube-controller-manager",
            );
            provision(world, workload.namespace, &name);
        }
    }
    for (namespace, name, host) in [
        ("shop", "storefront", "www.harbourbooks.example"),
        ("shop", "back-office", "back-office.harbourbooks.example"),
        ("payments", "payments-api", "pay.harbourbooks.example"),
        ("payments", "bank-gateway", "client.bank-gateway.harbourbooks.example"),
        ("data", "dashboards", "dashboards.harbourbooks.example"),
    ] {
        certificate(world, namespace, name, host);
    }
}

fn certificate(world: &mut World, namespace: &str, name: &str, host: &str) {
    let secret = format!("{name}-tls");
    let now = world.now().to_string();
    // No key of anybody's: the shape is what matters, and Reckon does not ask for values.
    let data = json!({"tls.crt": "Y2VydGlmaWNhdGU=", "tls.key": "a2V5"});
    let meta =
        json!({"name": secret, "namespace": namespace, "annotations": {"cert-manager.io/certificate-name": secret}});
    add(
        world,
        "secrets",
        json!({"metadata": meta, "type": "kubernetes.io/tls", "data": data}),
        "cert-manager-certificates-issuing",
    );
    let issuer =
        json!({"kind": "ClusterIssuer", "name": if name == "bank-gateway" { "bank-ca" } else { "letsencrypt" }});
    let ready = json!({"type": "Ready", "status": "True", "reason": "Ready", "message": "Certificate is up to date and has not expired", "lastTransitionTime": now});
    let object = json!({"metadata": {"name": secret, "namespace": namespace},
        "spec": {"secretName": secret, "dnsNames": [host], "issuerRef": issuer}, "status": {"conditions": [ready]}});
    add(world, "certificates.cert-manager.io", object, "kubectl-client-side-apply");
}

/// Makes the volume of a claim, as the driver does.
pub(crate) fn provision(world: &mut World, namespace: &str, name: &str) {
    let Some(claim) = world.get("persistentvolumeclaims", namespace, name) else { return };
    let uid = claim["metadata"]["uid"].as_str().unwrap_or_default();
    let volume = format!("pvc-{uid}");
    let reference = json!({"kind": "PersistentVolumeClaim", "namespace": namespace, "name": name, "uid": uid});
    let spec = json!({"capacity": claim["spec"]["resources"]["requests"], "accessModes": claim["spec"]["accessModes"],
        "storageClassName": claim["spec"]["storageClassName"], "persistentVolumeReclaimPolicy": "Delete", "claimRef": reference,
        "csi": {"driver": "block.csi.cloud.example", "volumeHandle": format!("vol-{uid}")}});
    let object = json!({"metadata": {"name": volume}, "spec": spec, "status": {"phase": "Bound"}});
    add(world, "persistentvolumes", object, "csi-provisioner");
    world.edit("persistentvolumeclaims", namespace, name, "kube-controller-manager", |claim| {
        claim["spec"]["volumeName"] = volume.into();
        claim["status"] = json!({"phase": "Bound", "accessModes": claim["spec"]["accessModes"], "capacity": claim["spec"]["resources"]["requests"]});
    });
}
