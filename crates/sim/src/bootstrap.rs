//! What each cluster has from its first second on.

use crate::world::World;
use crate::write::By;
use serde_json::{Value, json};

/// Creates namespaces, the API server's own Service and the roles that every user has.
pub(crate) fn fill(world: &mut World) {
    for name in ["kube-system", "kube-public", "kube-node-lease", "default"] {
        make(world, "namespaces", "", json!({"metadata": {"name": name}}));
    }
    let ports = json!([{"name": "https", "port": 443, "targetPort": 6443}]);
    let service = json!({
        "metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "ports": ports},
    });
    make(world, "services", "default", service);
    let read = json!(["get", "list", "watch"]);
    let all = json!(["*"]);
    let roles = [
        (
            "cluster-admin",
            json!([
                {"apiGroups": all, "resources": all, "verbs": all},
                {"nonResourceURLs": all, "verbs": all},
            ]),
        ),
        (
            "view",
            json!([
                {"apiGroups": [""], "verbs": read, "resources": [
                    "configmaps", "endpoints", "events", "limitranges", "namespaces", "persistentvolumeclaims", "pods",
                    "pods/log", "pods/status", "replicationcontrollers", "resourcequotas", "serviceaccounts", "services",
                ]},
                {"apiGroups": ["apps", "batch", "autoscaling", "policy", "networking.k8s.io", "discovery.k8s.io", "metrics.k8s.io"],
                 "resources": all, "verbs": read},
            ]),
        ),
        (
            "system:discovery",
            json!([{"verbs": ["get"], "nonResourceURLs": [
                "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version", "/version/",
            ]}]),
        ),
        (
            "system:basic-user",
            json!([
                {"apiGroups": ["authorization.k8s.io"], "verbs": ["create"],
                 "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]},
                {"apiGroups": ["authentication.k8s.io"], "verbs": ["create"], "resources": ["selfsubjectreviews"]},
            ]),
        ),
        (
            "system:public-info-viewer",
            json!([{"verbs": ["get"], "nonResourceURLs": [
                "/healthz", "/livez", "/readyz", "/version", "/version/",
            ]}]),
        ),
    ];
    for (name, rules) in roles {
        make(world, "clusterroles.rbac.authorization.k8s.io", "", json!({"metadata": {"name": name}, "rules": rules}));
    }
    for (name, groups) in [
        ("cluster-admin", &["system:masters"][..]),
        ("system:discovery", &["system:authenticated"]),
        ("system:basic-user", &["system:authenticated"]),
        ("system:public-info-viewer", &["system:authenticated", "system:unauthenticated"]),
    ] {
        let group = |group: &&str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group});
        let binding = json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": groups.iter().map(group).collect::<Vec<_>>(),
        });
        make(world, "clusterrolebindings.rbac.authorization.k8s.io", "", binding);
    }
}

fn make(world: &mut World, resource: &str, namespace: &str, object: Value) {
    let by = By { manager: "kube-apiserver", sub: "", version: "v1", dry_run: false };
    if let Some(table) = world.named(resource) {
        // These are complete and new, so that nothing refuses them.
        let _ = world.create_in(table, namespace, object, by);
    }
}
