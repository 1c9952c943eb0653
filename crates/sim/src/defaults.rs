//! Fields that the API server fills in where a client leaves them out: those that readers and controllers look at.

use crate::resource::Resource;
use crate::world::World;
use serde_json::{Value, json};

/// Fills in the defaults of a new object.
pub(crate) fn on_create(resource: &Resource, object: &mut Value, world: &mut World) {
    if !resource.built_in {
        return;
    }
    match resource.kind.as_str() {
        "Namespace" => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
            object["spec"]["finalizers"] = json!(["kubernetes"]);
            object["status"] = json!({"phase": "Active"});
        }
        "Pod" => pod(object),
        "Deployment" => {
            let defaults = json!({
                "replicas": 1,
                "revisionHistoryLimit": 10,
                "progressDeadlineSeconds": 600,
                "strategy": {"type": "RollingUpdate"},
            });
            fill(&mut object["spec"], &defaults);
            if object["spec"]["strategy"]["type"] == "RollingUpdate" {
                let rolling = json!({"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}});
                fill(&mut object["spec"]["strategy"], &rolling);
            }
            template(&mut object["spec"]["template"]);
            object["status"] = json!({});
        }
        "ReplicaSet" | "ReplicationController" => {
            fill(&mut object["spec"], &json!({"replicas": 1}));
            template(&mut object["spec"]["template"]);
            object["status"] = json!({"replicas": 0});
        }
        "StatefulSet" => {
            let defaults = json!({
                "replicas": 1,
                "podManagementPolicy": "OrderedReady",
                "revisionHistoryLimit": 10,
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            });
            fill(&mut object["spec"], &defaults);
            template(&mut object["spec"]["template"]);
        }
        "DaemonSet" => {
            let update = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}});
            fill(&mut object["spec"], &json!({"revisionHistoryLimit": 10, "updateStrategy": update}));
            template(&mut object["spec"]["template"]);
        }
        "Job" => {
            let defaults = json!({"completions": 1, "parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": false});
            fill(&mut object["spec"], &defaults);
            let uid = object["metadata"]["uid"].clone();
            let labels = json!({
                "batch.kubernetes.io/controller-uid": uid,
                "batch.kubernetes.io/job-name": object["metadata"]["name"],
                "controller-uid": uid,
                "job-name": object["metadata"]["name"],
            });
            fill(
                &mut object["spec"],
                &json!({"selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}}),
            );
            fill(&mut object["spec"]["template"]["metadata"]["labels"], &labels);
            template(&mut object["spec"]["template"]);
        }
        "Service" => service(object, world),
        "PersistentVolumeClaim" => object["status"] = json!({"phase": "Pending"}),
        _ => {}
    }
}

/// The items of a list, if it is there: looking it up by index would make it.
fn items<'a>(object: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> + use<'a> {
    object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Adds members that are not there.
pub(crate) fn fill(target: &mut Value, defaults: &Value) {
    let Some(members) = defaults.as_object() else { return };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in members {
        if target[key.as_str()].is_null() {
            target[key.as_str()] = value.clone();
        }
    }
}

fn template(template: &mut Value) {
    fill(template, &json!({"metadata": {}, "spec": {}}));
    pod_spec(&mut template["spec"]);
}

fn pod_spec(spec: &mut Value) {
    let defaults = json!({
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "securityContext": {},
    });
    fill(spec, &defaults);
    for list in ["containers", "initContainers"] {
        for container in items(spec, list) {
            let image = container["image"].as_str().unwrap_or_default();
            let latest =
                image.ends_with(":latest") || !image.rsplit('/').next().unwrap_or_default().contains([':', '@']);
            let defaults = json!({
                "imagePullPolicy": if latest { "Always" } else { "IfNotPresent" },
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "resources": {},
            });
            fill(container, &defaults);
            for port in items(container, "ports") {
                fill(port, &json!({"protocol": "TCP"}));
            }
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                if container.get(probe).is_some_and(Value::is_object) {
                    let defaults =
                        json!({"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3});
                    fill(&mut container[probe], &defaults);
                }
            }
        }
    }
}

fn pod(pod: &mut Value) {
    pod_spec(&mut pod["spec"]);
    for container in items(&mut pod["spec"], "containers") {
        // What is limited and not requested is requested.
        let limits = container["resources"]["limits"].clone();
        if limits.is_object() {
            fill(&mut container["resources"]["requests"], &limits);
        }
    }
    fill(
        &mut pod["spec"],
        &json!({"serviceAccountName": "default", "serviceAccount": "default", "enableServiceLinks": true, "priority": 0, "preemptionPolicy": "PreemptLowerPriority"}),
    );
    let tolerations = pod["spec"]["tolerations"].as_array().cloned().unwrap_or_default();
    let mut all = tolerations.clone();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        // A toleration without a key is of every taint.
        if !tolerations.iter().any(|toleration| toleration["key"].is_null() || toleration["key"] == key) {
            all.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
        }
    }
    pod["spec"]["tolerations"] = all.into();
    pod["status"] = json!({"phase": "Pending", "qosClass": qos(&pod["spec"])});
}

/// The quality of service that follows from requests and limits.
fn qos(spec: &Value) -> &'static str {
    let containers: Vec<&Value> = spec["containers"].as_array().into_iter().flatten().collect();
    let set =
        |container: &Value, what: &str| container["resources"][what].as_object().is_some_and(|map| !map.is_empty());
    if !containers.iter().any(|container| set(container, "requests") || set(container, "limits")) {
        return "BestEffort";
    }
    let guaranteed = containers.iter().all(|container| {
        ["cpu", "memory"].iter().all(|resource| {
            let limit = &container["resources"]["limits"][*resource];
            !limit.is_null() && *limit == container["resources"]["requests"][*resource]
        })
    });
    if guaranteed { "Guaranteed" } else { "Burstable" }
}

fn service(service: &mut Value, world: &mut World) {
    fill(
        &mut service["spec"],
        &json!({"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"}),
    );
    let kind = service["spec"]["type"].clone();
    if service["spec"]["clusterIP"].is_null() && kind != "ExternalName" {
        let ip = format!("10.96.{}.{}", world.rng.below(256), 1 + world.rng.below(254));
        service["spec"]["clusterIPs"] = json!([ip]);
        service["spec"]["clusterIP"] = ip.into();
    }
    let node_ports = kind == "NodePort" || kind == "LoadBalancer";
    for port in items(&mut service["spec"], "ports") {
        let target = port["port"].clone();
        fill(port, &json!({"protocol": "TCP", "targetPort": target}));
        if node_ports {
            let node_port = 30_000 + world.rng.below(2768);
            fill(port, &json!({"nodePort": node_port}));
        }
    }
    fill(&mut service["spec"], &json!({"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}));
    service["status"] = json!({"loadBalancer": {}});
}
