//! What is asked. Everything happens in one namespace and with one definition of a custom resource.

use crate::target::{Compare, Target};
use serde_json::{Value, json};

const SPACE: &str = "/api/v1/namespaces/sim-conformance";
const MAPS: &str = "/api/v1/namespaces/sim-conformance/configmaps";
const PODS: &str = "/api/v1/namespaces/sim-conformance/pods";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const THINGS: &str = "/apis/conformance.sim.reckon.dev/v1/namespaces/sim-conformance/things";

/// Removes what an earlier run may have left behind, and waits until it is gone.
pub(crate) async fn clean(target: &mut Target) {
    let _ = target
        .send(&format!("DELETE {DEFINITIONS}/things.conformance.sim.reckon.dev"), &[], "", Compare::Nothing)
        .await;
    for _ in 0..120 {
        let (code, _) = target.send(&format!("DELETE {SPACE}"), &[], "", Compare::Nothing).await;
        if code == 404 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    panic!("the namespace sim-conformance does not go away");
}

/// Asks everything and tidies up.
pub(crate) async fn run(target: &mut Target) {
    let space = json!({"metadata": {"name": "sim-conformance"}}).to_string();
    target.send("POST /api/v1/namespaces", &[], &space, Compare::Nothing).await;
    creating(target).await;
    listing(target).await;
    changing(target).await;
    watching(target).await;
    deleting(target).await;
    pods(target).await;
    custom(target).await;
    access(target).await;
    forms(target).await;
    discovery(target).await;
    target.send(&format!("DELETE {SPACE}"), &[], "", Compare::Nothing).await;
}

fn map(name: &str, app: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": app, "suite": "yes"}}, "data": {"a": "1"}})
}

async fn creating(target: &mut Target) {
    for name in ["a", "b", "c", "d"] {
        target.ask(&format!("POST {MAPS}"), map(name, "web")).await;
    }
    target.ask(&format!("POST {MAPS}"), map("a", "web")).await;
    for name in ["Upper", "under_score", "-dash"] {
        target.ask(&format!("POST {MAPS}"), map(name, "web")).await;
    }
    target.ask(&format!("POST {MAPS}"), json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}})).await;
    let mut elsewhere = map("e", "web");
    elsewhere["metadata"]["namespace"] = "default".into();
    target.ask(&format!("POST {MAPS}"), elsewhere).await;
    target.ask("POST /api/v1/namespaces/sim-no-such/configmaps", map("e", "web")).await;
    target.ask(&format!("POST {MAPS}?dryRun=All"), map("e", "web")).await;
    target.ask(&format!("POST {MAPS}?dryRun=Some"), map("e", "web")).await;
    target
        .send(
            &format!("POST {MAPS}"),
            &[],
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"e"}}"#,
            Compare::Reason,
        )
        .await;
    target.send(&format!("POST {MAPS}"), &[], "{", Compare::Reason).await;
    target.send(&format!("POST {MAPS}"), &[("content-type", "text/html")], "{}", Compare::Reason).await;
    let mut versioned = map("e", "web");
    versioned["metadata"]["resourceVersion"] = "5".into();
    target.send(&format!("POST {MAPS}"), &[], &versioned.to_string(), Compare::Reason).await;
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "app", "image": "a:1", "ports": [{"containerPort": 80}], "resources": {"limits": {"memory": "1Gi"}}}]},
        }},
    });
    target.ask("POST /apis/apps/v1/namespaces/sim-conformance/deployments?dryRun=All", deployment.clone()).await;
    target.ask("POST /apis/apps/v1/namespaces/sim-conformance/statefulsets", deployment).await;
}

async fn listing(target: &mut Target) {
    let only = "labelSelector=suite%3Dyes";
    target.get(&format!("{MAPS}/a")).await;
    target.get(&format!("{MAPS}/none")).await;
    target.get(&format!("{MAPS}?{only}")).await;
    let page = target.get(&format!("{MAPS}?{only}&limit=2")).await;
    let token = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
    let page = target.get(&format!("{MAPS}?{only}&limit=1&continue={token}")).await;
    let token = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
    target.get(&format!("{MAPS}?{only}&limit=2&continue={token}")).await;
    target.get(&format!("{MAPS}?{only}&limit=2&resourceVersion=0")).await;
    target.get(&format!("{MAPS}?continue={token}&resourceVersion=7")).await;
    target.send(&format!("GET {MAPS}?continue=rubbish"), &[], "", Compare::Reason).await;
    for selector in ["app%3Dweb,suite", "app!%3Dweb,suite", "app%20in%20(web,api),suite", "!app,suite"] {
        target.get(&format!("{MAPS}?labelSelector={selector}")).await;
    }
    target.send(&format!("GET {MAPS}?labelSelector=a%20b"), &[], "", Compare::Reason).await;
    target.get(&format!("{MAPS}?{only}&fieldSelector=metadata.name%3Db")).await;
    target.get(&format!("{MAPS}?fieldSelector=data.a%3D1")).await;
    for query in [
        "resourceVersionMatch=Exact",
        "resourceVersion=0&resourceVersionMatch=Exact",
        "resourceVersion=5&resourceVersionMatch=Wrong",
        "resourceVersion=abc",
        "resourceVersion=4000000000",
        "sendInitialEvents=true",
        "limit=abc",
    ] {
        target.get(&format!("{MAPS}?{query}")).await;
    }
    target.get(&format!("{MAPS}/a?resourceVersion=4000000000")).await;
    let version = page["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    target.get(&format!("{MAPS}?{only}&resourceVersion={version}&resourceVersionMatch=Exact")).await;
    target.get(&format!("{MAPS}?{only}&resourceVersion={version}&resourceVersionMatch=NotOlderThan&limit=1")).await;
    for path in [
        "/api/v1/things",
        "/apis/nowhere.example/v1/things",
        "/apis/nowhere.example/v1",
        "/apis/nowhere.example",
        "/nowhere",
    ] {
        target.get(path).await;
    }
    for ask in ["POST /api/v1/configmaps", "DELETE /api/v1/configmaps"] {
        target.ask(ask, json!({})).await;
    }
    target.get("/api/v1/configmaps/a").await;
}

async fn changing(target: &mut Target) {
    let path = format!("{MAPS}/a");
    let old = target.get(&path).await;
    let mut new = old.clone();
    new["data"]["a"] = "2".into();
    target.ask(&format!("PUT {path}"), new.clone()).await;
    target.ask(&format!("PUT {path}"), new.clone()).await;
    new["metadata"]["resourceVersion"] = Value::Null;
    target.ask(&format!("PUT {path}"), new.clone()).await;
    new["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000".into();
    target.ask(&format!("PUT {path}"), new.clone()).await;
    new["metadata"]["name"] = "other".into();
    target.ask(&format!("PUT {path}"), new).await;
    target.ask(&format!("PUT {MAPS}/none"), map("none", "x")).await;
    target.patch(&path, "merge-patch", json!({"data": {"b": "2"}})).await;
    target.patch(&path, "json-patch", json!([{"op": "add", "path": "/data/c", "value": "3"}])).await;
    target
        .patch(&path, "strategic-merge-patch", json!({"data": {"b": null}, "metadata": {"labels": {"more": "1"}}}))
        .await;
    target.patch(&path, "merge-patch", json!({"metadata": {"resourceVersion": "1"}})).await;
    target.patch(&path, "merge-patch", json!({})).await;
    target.patch(&format!("{path}?dryRun=All"), "merge-patch", json!({"data": {"z": "9"}})).await;
    target.patch(&format!("{MAPS}/none"), "merge-patch", json!({})).await;
    let reason = Compare::Reason;
    for (kind, body) in [
        ("application/json-patch+json", r#"[{"op":"remove","path":"/data/none"}]"#),
        ("application/merge-patch+json", "{"),
    ] {
        target.send(&format!("PATCH {path}"), &[("content-type", kind)], body, reason).await;
    }
    target.send(&format!("PATCH {path}"), &[("content-type", "application/json")], "{}", Compare::Reason).await;
    target.ask(&format!("POST {path}"), json!({})).await;
    target.get(&format!("{path}/status")).await;
}

async fn watching(target: &mut Target) {
    let list = target.get(&format!("{MAPS}?labelSelector=suite%3Dyes&fieldSelector=metadata.name%3Dnone")).await;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    let label = |app: &str| json!({"metadata": {"labels": {"app": app}}});
    target.ask(&format!("POST {MAPS}"), map("w", "web")).await;
    target.patch(&format!("{MAPS}/w"), "merge-patch", label("api")).await;
    target.patch(&format!("{MAPS}/w"), "merge-patch", json!({"data": {"a": "5"}})).await;
    target.patch(&format!("{MAPS}/w"), "merge-patch", label("web")).await;
    target.ask(&format!("DELETE {MAPS}/w"), Value::Null).await;
    for selector in
        ["labelSelector=suite%3Dyes", "labelSelector=suite%3Dyes,app%3Dweb", "fieldSelector=metadata.name%3Dw"]
    {
        target.get(&format!("{MAPS}?watch=true&{selector}&resourceVersion={version}&timeoutSeconds=1")).await;
    }
    let only = "watch=true&labelSelector=suite%3Dyes&timeoutSeconds=1";
    target.get(&format!("{MAPS}?{only}&resourceVersion=0&fieldSelector=metadata.name%3Db")).await;
    target.get(&format!("{MAPS}?{only}&fieldSelector=metadata.name%3Db")).await;
    let streaming = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    target.get(&format!("{MAPS}?{only}&{streaming}")).await;
    target.get(&format!("{MAPS}?{only}&resourceVersion=1")).await;
    target.get(&format!("{MAPS}?{only}&resourceVersion=4000000000")).await;
    for query in [
        "sendInitialEvents=true",
        "sendInitialEvents=true&resourceVersionMatch=Exact&resourceVersion=5",
        "resourceVersionMatch=NotOlderThan&resourceVersion=5",
        "resourceVersion=abc",
    ] {
        target.get(&format!("{MAPS}?{only}&{query}")).await;
    }
}

async fn deleting(target: &mut Target) {
    target
        .ask(
            &format!("DELETE {MAPS}/b"),
            json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "x"}}),
        )
        .await;
    target.ask(&format!("DELETE {MAPS}/b?dryRun=All"), Value::Null).await;
    target.ask(&format!("DELETE {MAPS}/b"), Value::Null).await;
    target.ask(&format!("DELETE {MAPS}/b"), Value::Null).await;
    target.ask(&format!("DELETE {MAPS}/c?propagationPolicy=Wrong"), Value::Null).await;
    target
        .patch(&format!("{MAPS}/c"), "merge-patch", json!({"metadata": {"finalizers": ["sim.reckon.dev/hold"]}}))
        .await;
    target.ask(&format!("DELETE {MAPS}/c"), Value::Null).await;
    target.ask(&format!("DELETE {MAPS}/c"), Value::Null).await;
    target
        .patch(
            &format!("{MAPS}/c"),
            "merge-patch",
            json!({"metadata": {"finalizers": ["sim.reckon.dev/hold", "sim.reckon.dev/more"]}}),
        )
        .await;
    target.patch(&format!("{MAPS}/c"), "merge-patch", json!({"metadata": {"finalizers": null}})).await;
    target.get(&format!("{MAPS}/c")).await;
    target.ask(&format!("DELETE {MAPS}?labelSelector=suite%3Dyes"), Value::Null).await;
    target.get(&format!("{MAPS}?labelSelector=suite%3Dyes")).await;
}

async fn pods(target: &mut Target) {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"app": "p"}},
        // No scheduler and no kubelet will touch it.
        "spec": {"schedulerName": "nobody", "automountServiceAccountToken": false, "containers": [
            {"name": "app", "image": "a:1", "resources": {"requests": {"cpu": "1m"}}}, {"name": "side", "image": "b"},
        ]},
    });
    target.ask(&format!("POST {PODS}"), pod).await;
    target.get(&format!("{PODS}?fieldSelector=status.phase%3DPending,spec.nodeName%3D")).await;
    target.get(&format!("{PODS}?fieldSelector=spec.volumes%3Dx")).await;
    let merge = [("content-type", "application/merge-patch+json")];
    let forbidden = json!({"spec": {"hostNetwork": true}}).to_string();
    target.send(&format!("PATCH {PODS}/p"), &merge, &forbidden, Compare::Reason).await;
    target
        .patch(
            &format!("{PODS}/p"),
            "strategic-merge-patch",
            json!({"spec": {"containers": [{"name": "app", "image": "a:2"}]}}),
        )
        .await;
    target
        .patch(
            &format!("{PODS}/p/status"),
            "strategic-merge-patch",
            json!({"status": {"conditions": [{"type": "Custom", "status": "True"}]}}),
        )
        .await;
    for query in ["", "?container=none", "?container=app&previous=true"] {
        target.send(&format!("GET {PODS}/p/log{query}"), &[], "", Compare::Reason).await;
    }
    target.get(&format!("{PODS}/none/log")).await;
    target
        .ask(
            &format!("POST {PODS}/p/eviction?dryRun=All"),
            json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}),
        )
        .await;
    target
        .ask(
            &format!("POST {PODS}/none/eviction"),
            json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "none"}}),
        )
        .await;
    target
        .ask(
            &format!("POST {PODS}/p/binding"),
            json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {}}),
        )
        .await;
    target.ask(&format!("DELETE {PODS}/p"), Value::Null).await;
    target.get(&format!("{PODS}/p")).await;
}

async fn custom(target: &mut Target) {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.conformance.sim.reckon.dev"},
        "spec": {
            "group": "conformance.sim.reckon.dev", "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList", "shortNames": ["thg"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
            }],
        },
    });
    target.send(&format!("POST {DEFINITIONS}"), &[], &definition.to_string(), Compare::Nothing).await;
    // A real server needs a moment until it serves the kind.
    for _ in 0..100 {
        let (code, _) = target.send(&format!("GET {THINGS}"), &[], "", Compare::Nothing).await;
        let (found, _) = target.send("GET /apis/conformance.sim.reckon.dev/v1", &[], "", Compare::Nothing).await;
        if code == 200 && found == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    target.get("/apis/conformance.sim.reckon.dev/v1").await;
    target.get("/apis/conformance.sim.reckon.dev").await;
    let thing = json!({"apiVersion": "conformance.sim.reckon.dev/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"size": 1, "replicas": 2}, "status": {"lost": true}});
    target.ask(&format!("POST {THINGS}"), thing).await;
    target.get(THINGS).await;
    target.patch(&format!("{THINGS}/a"), "merge-patch", json!({"spec": {"size": 2}, "status": {"lost": true}})).await;
    target
        .patch(&format!("{THINGS}/a/status"), "merge-patch", json!({"spec": {"size": 9}, "status": {"replicas": 1}}))
        .await;
    target.patch(&format!("{THINGS}/a"), "strategic-merge-patch", json!({"spec": {"size": 3}})).await;
    let scale = target.get(&format!("{THINGS}/a/scale")).await;
    let mut more = scale.clone();
    more["spec"]["replicas"] = 5.into();
    target.ask(&format!("PUT {THINGS}/a/scale"), more.clone()).await;
    target.ask(&format!("PUT {THINGS}/a/scale"), more).await;
    target.patch(&format!("{THINGS}/a/scale"), "merge-patch", json!({"spec": {"replicas": 3}})).await;
    target.get(&format!("{THINGS}/a")).await;
    target.get(&format!("{THINGS}?watch=true&timeoutSeconds=1")).await;
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    target.send(&format!("GET {THINGS}"), &table, "", Compare::All).await;
    target.get("/apis/conformance.sim.reckon.dev/v2/things").await;
    target.ask(&format!("DELETE {THINGS}/a"), Value::Null).await;
    target.send(&format!("DELETE {DEFINITIONS}/things.conformance.sim.reckon.dev"), &[], "", Compare::Nothing).await;
}

async fn access(target: &mut Target) {
    let jane = [("impersonate-user", "sim-jane"), ("impersonate-group", "sim-dev")];
    for ask in [
        "GET /api/v1/pods",
        "GET /api/v1/namespaces/sim-conformance/pods/p",
        "GET /api/v1/namespaces/sim-conformance/pods/p/log",
        "GET /api/v1/nodes/n",
        "GET /apis/apps/v1/namespaces/sim-conformance/deployments?watch=true",
        "DELETE /api/v1/namespaces/sim-conformance/configmaps",
        "GET /api/v1/namespaces/sim-conformance",
        "GET /metrics",
    ] {
        target.send(ask, &jane, "", Compare::All).await;
    }
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/sim-conformance";
    let role = json!({"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]});
    let binding = json!({
        "metadata": {"name": "r"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "Group", "name": "sim-dev", "apiGroup": "rbac.authorization.k8s.io"}],
    });
    target.ask(&format!("POST {rbac}/roles"), role).await;
    target.ask(&format!("POST {rbac}/rolebindings"), binding).await;
    // A real server needs a moment until it knows.
    for _ in 0..50 {
        if target.send(&format!("GET {MAPS}/none"), &jane, "", Compare::Nothing).await.0 != 403 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    for ask in [
        "GET /api/v1/namespaces/sim-conformance/configmaps/none",
        "POST /api/v1/namespaces/sim-conformance/configmaps",
        "GET /api/v1/configmaps",
    ] {
        target.send(ask, &jane, if ask.starts_with("POST") { "{}" } else { "" }, Compare::All).await;
    }
    for (verb, resource, space) in [
        ("list", "configmaps", "sim-conformance"),
        ("delete", "configmaps", "sim-conformance"),
        ("list", "configmaps", ""),
    ] {
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": verb, "resource": resource, "namespace": space}}});
        let path = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let (code, text) = target.send(path, &jane, &review.to_string(), Compare::Nothing).await;
        let said: Value = serde_json::from_str(&text).unwrap_or_default();
        target.said.push(
            json!({"asked": format!("may {verb} {resource} {space}"), "code": code, "said": said["status"]["allowed"]}),
        );
    }
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).to_string();
    let (_, text) =
        target.send("POST /apis/authentication.k8s.io/v1/selfsubjectreviews", &jane, &review, Compare::Nothing).await;
    let said: Value = serde_json::from_str(&text).unwrap_or_default();
    target.said.push(json!({"asked": "who am I", "code": 201, "said": said["status"]["userInfo"]}));
    target.send("GET /api/v1/pods", &[("authorization", "Bearer no-such-token")], "", Compare::Nothing).await;
}

async fn forms(target: &mut Target) {
    target.ask(&format!("POST {MAPS}"), map("t", "web")).await;
    for accept in [
        "application/json;as=Table;v=v1;g=meta.k8s.io",
        "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json",
    ] {
        target.send(&format!("GET {MAPS}?labelSelector=suite%3Dyes"), &[("accept", accept)], "", Compare::All).await;
    }
    let partial = [("accept", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")];
    target.send(&format!("GET {MAPS}/t"), &partial, "", Compare::All).await;
    target
        .send(&format!("GET {MAPS}?watch=true&labelSelector=suite%3Dyes&timeoutSeconds=1"), &partial, "", Compare::All)
        .await;
    target.send(&format!("GET {MAPS}"), &[("accept", "text/html")], "", Compare::Reason).await;
    let columns = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    for path in [
        "/api/v1/pods",
        "/api/v1/services",
        "/api/v1/nodes",
        "/api/v1/namespaces",
        "/api/v1/events",
        "/api/v1/secrets",
        "/api/v1/endpoints",
        "/api/v1/serviceaccounts",
        "/api/v1/persistentvolumeclaims",
        "/api/v1/persistentvolumes",
        "/apis/apps/v1/deployments",
        "/apis/apps/v1/replicasets",
        "/apis/apps/v1/statefulsets",
        "/apis/apps/v1/daemonsets",
        "/apis/batch/v1/jobs",
        "/apis/batch/v1/cronjobs",
        "/apis/autoscaling/v2/horizontalpodautoscalers",
        "/apis/policy/v1/poddisruptionbudgets",
        "/apis/networking.k8s.io/v1/ingresses",
        "/apis/discovery.k8s.io/v1/endpointslices",
        "/apis/storage.k8s.io/v1/storageclasses",
        "/apis/coordination.k8s.io/v1/leases",
        "/apis/rbac.authorization.k8s.io/v1/roles",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    ] {
        let (code, text) = target.send(&format!("GET {path}?limit=1"), &columns, "", Compare::Nothing).await;
        let said: Value = serde_json::from_str(&text).unwrap_or_default();
        let column = |column: &Value| format!("{} {} {}", column["name"], column["type"], column["priority"]);
        let columns: Vec<String> = said["columnDefinitions"].as_array().into_iter().flatten().map(column).collect();
        target.said.push(json!({"asked": format!("columns of {path}"), "code": code, "said": columns}));
    }
}

/// What is served under each path, of the many resources that a real server has.
const SERVED: &[(&str, &str)] = &[
    (
        "/api/v1",
        "namespaces namespaces/status namespaces/finalize nodes nodes/status pods pods/binding pods/eviction pods/log pods/resize pods/status services services/status endpoints events configmaps secrets serviceaccounts serviceaccounts/token persistentvolumeclaims persistentvolumeclaims/status persistentvolumes persistentvolumes/status replicationcontrollers replicationcontrollers/scale resourcequotas limitranges",
    ),
    (
        "/apis/apps/v1",
        "deployments deployments/scale deployments/status replicasets replicasets/scale statefulsets statefulsets/scale daemonsets daemonsets/status controllerrevisions",
    ),
    ("/apis/batch/v1", "jobs jobs/status cronjobs cronjobs/status"),
    ("/apis/autoscaling/v2", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    ("/apis/policy/v1", "poddisruptionbudgets poddisruptionbudgets/status"),
    ("/apis/discovery.k8s.io/v1", "endpointslices"),
    ("/apis/networking.k8s.io/v1", "ingresses ingresses/status ingressclasses networkpolicies"),
    ("/apis/storage.k8s.io/v1", "storageclasses volumeattachments volumeattachments/status csidrivers csinodes"),
    ("/apis/rbac.authorization.k8s.io/v1", "roles rolebindings clusterroles clusterrolebindings"),
    ("/apis/coordination.k8s.io/v1", "leases"),
    ("/apis/scheduling.k8s.io/v1", "priorityclasses"),
    ("/apis/admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations validatingwebhookconfigurations"),
    ("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions customresourcedefinitions/status"),
    ("/apis/apiregistration.k8s.io/v1", "apiservices apiservices/status"),
    ("/apis/certificates.k8s.io/v1", "certificatesigningrequests certificatesigningrequests/status"),
    (
        "/apis/authorization.k8s.io/v1",
        "selfsubjectaccessreviews selfsubjectrulesreviews subjectaccessreviews localsubjectaccessreviews",
    ),
    ("/apis/authentication.k8s.io/v1", "selfsubjectreviews"),
];

async fn discovery(target: &mut Target) {
    for (path, names) in SERVED {
        let (_, text) = target.send(&format!("GET {path}"), &[], "", Compare::Nothing).await;
        let said: Value = serde_json::from_str(&text).unwrap_or_default();
        for name in names.split(' ') {
            let mut all = said["resources"].as_array().into_iter().flatten();
            let mut entry = all.find(|entry| entry["name"] == name).cloned().unwrap_or_default();
            if let Some(members) = entry.as_object_mut() {
                members.remove("storageVersionHash");
            }
            target.said.push(json!({"asked": format!("discovery of {path} {name}"), "said": entry}));
        }
    }
}
