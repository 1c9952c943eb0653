//! Which columns the built-in kinds have beside their names.

use crate::columns::{age, duration, number, or_none};
use crate::resource::plain;
use jiff::Timestamp;
use serde_json::{Value, json};

type Built = (&'static str, i64, fn(&Value, Timestamp) -> Value);

/// The columns of a kind; empty for kinds that have none of their own.
pub(crate) fn of(kind: &str) -> &'static [Built] {
    match kind {
        "Pod" => POD,
        "Deployment" => &[
            ("Ready", 0, |o, _| {
                format!("{}/{}", number(&o["status"]["readyReplicas"]), number(&o["spec"]["replicas"])).into()
            }),
            ("Up-to-date", 0, |o, _| number(&o["status"]["updatedReplicas"]).into()),
            ("Available", 0, |o, _| number(&o["status"]["availableReplicas"]).into()),
            ("Age", 0, created),
            ("Containers", 1, containers),
            ("Images", 1, images),
            ("Selector", 1, selector),
        ],
        "ReplicaSet" | "ReplicationController" => &[
            ("Desired", 0, |o, _| number(&o["spec"]["replicas"]).into()),
            ("Current", 0, |o, _| number(&o["status"]["replicas"]).into()),
            ("Ready", 0, |o, _| number(&o["status"]["readyReplicas"]).into()),
            ("Age", 0, created),
            ("Containers", 1, containers),
            ("Images", 1, images),
            ("Selector", 1, selector),
        ],
        "StatefulSet" => &[
            ("Ready", 0, |o, _| {
                format!("{}/{}", number(&o["status"]["readyReplicas"]), number(&o["spec"]["replicas"])).into()
            }),
            ("Age", 0, created),
            ("Containers", 1, containers),
            ("Images", 1, images),
        ],
        "DaemonSet" => &[
            ("Desired", 0, |o, _| number(&o["status"]["desiredNumberScheduled"]).into()),
            ("Current", 0, |o, _| number(&o["status"]["currentNumberScheduled"]).into()),
            ("Ready", 0, |o, _| number(&o["status"]["numberReady"]).into()),
            ("Up-to-date", 0, |o, _| number(&o["status"]["updatedNumberScheduled"]).into()),
            ("Available", 0, |o, _| number(&o["status"]["numberAvailable"]).into()),
            ("Node Selector", 0, |o, _| pairs(&o["spec"]["template"]["spec"]["nodeSelector"])),
            ("Age", 0, created),
            ("Containers", 1, containers),
            ("Images", 1, images),
            ("Selector", 1, selector),
        ],
        "Job" => JOB,
        "CronJob" => &[
            ("Schedule", 0, |o, _| o["spec"]["schedule"].clone()),
            ("Timezone", 0, |o, _| or_none(&o["spec"]["timeZone"])),
            ("Suspend", 0, |o, _| (o["spec"]["suspend"] == true).into()),
            ("Active", 0, |o, _| o["status"]["active"].as_array().map_or(0, Vec::len).into()),
            ("Last Schedule", 0, |o, now| match &o["status"]["lastScheduleTime"] {
                Value::Null => "<none>".into(),
                time => age(time, now).into(),
            }),
            ("Age", 0, created),
            ("Containers", 1, |o, now| containers(&o["spec"]["jobTemplate"], now)),
            ("Images", 1, |o, now| images(&o["spec"]["jobTemplate"], now)),
            ("Selector", 1, |o, now| selector(&o["spec"]["jobTemplate"], now)),
        ],
        "Node" => NODE,
        "Service" => SERVICE,
        "Endpoints" => &[("Endpoints", 0, |o, _| endpoints(&o["subsets"])), ("Age", 0, created)],
        "EndpointSlice" => &[
            ("AddressType", 0, |o, _| o["addressType"].clone()),
            ("Ports", 0, |o, _| {
                some(o["ports"].as_array().into_iter().flatten().map(|port| plain(&port["port"])), "<unset>")
            }),
            ("Endpoints", 0, |o, _| {
                some(o["endpoints"].as_array().into_iter().flatten().map(|end| plain(&end["addresses"][0])), "<unset>")
            }),
            ("Age", 0, created),
        ],
        "Event" => &[
            ("Last Seen", 0, |o, now| {
                let seen = ["lastTimestamp", "eventTime", "firstTimestamp"].iter().find(|key| o[**key].is_string());
                age(seen.map_or(&Value::Null, |key| &o[*key]), now).into()
            }),
            ("Type", 0, |o, _| o["type"].clone()),
            ("Reason", 0, |o, _| o["reason"].clone()),
            ("Object", 0, |o, _| {
                let about = &o["involvedObject"];
                format!("{}/{}", plain(&about["kind"]).to_ascii_lowercase(), plain(&about["name"])).into()
            }),
            ("Subobject", 1, |o, _| plain(&o["involvedObject"]["fieldPath"]).into()),
            ("Source", 1, |o, _| plain(&o["source"]["component"]).into()),
            ("Message", 0, |o, _| plain(&o["message"]).trim().into()),
            ("First Seen", 1, |o, now| age(&o["firstTimestamp"], now).into()),
            ("Count", 1, |o, _| o["count"].as_i64().unwrap_or(1).to_string().into()),
            ("Name", 1, |o, _| o["metadata"]["name"].clone()),
        ],
        "ConfigMap" => &[("Data", 0, |o, _| (size(&o["data"]) + size(&o["binaryData"])).into()), ("Age", 0, created)],
        "Secret" => {
            &[("Type", 0, |o, _| o["type"].clone()), ("Data", 0, |o, _| size(&o["data"]).into()), ("Age", 0, created)]
        }
        "Namespace" => &[("Status", 0, |o, _| o["status"]["phase"].clone()), ("Age", 0, created)],
        "PersistentVolumeClaim" => &[
            ("Status", 0, |o, _| ended_or(o, &o["status"]["phase"])),
            ("Volume", 0, |o, _| plain(&o["spec"]["volumeName"]).into()),
            ("Capacity", 0, |o, _| plain(&o["status"]["capacity"]["storage"]).into()),
            ("Access Modes", 0, |o, _| modes(&o["status"]["accessModes"])),
            ("StorageClass", 0, |o, _| plain(&o["spec"]["storageClassName"]).into()),
            ("VolumeAttributesClass", 0, |_, _| "<unset>".into()),
            ("Age", 0, created),
            ("VolumeMode", 1, |o, _| plain(&o["spec"]["volumeMode"]).into()),
        ],
        "PersistentVolume" => &[
            ("Capacity", 0, |o, _| plain(&o["spec"]["capacity"]["storage"]).into()),
            ("Access Modes", 0, |o, _| modes(&o["spec"]["accessModes"])),
            ("Reclaim Policy", 0, |o, _| plain(&o["spec"]["persistentVolumeReclaimPolicy"]).into()),
            ("Status", 0, |o, _| ended_or(o, &o["status"]["phase"])),
            ("Claim", 0, |o, _| match &o["spec"]["claimRef"] {
                Value::Null => "".into(),
                claim => format!("{}/{}", plain(&claim["namespace"]), plain(&claim["name"])).into(),
            }),
            ("StorageClass", 0, |o, _| plain(&o["spec"]["storageClassName"]).into()),
            ("VolumeAttributesClass", 0, |_, _| "<unset>".into()),
            ("Reason", 0, |o, _| plain(&o["status"]["reason"]).into()),
            ("Age", 0, created),
            ("VolumeMode", 1, |o, _| plain(&o["spec"]["volumeMode"]).into()),
        ],
        "Ingress" => &[
            ("Class", 0, |o, _| or_none(&o["spec"]["ingressClassName"])),
            ("Hosts", 0, |o, _| {
                some(o["spec"]["rules"].as_array().into_iter().flatten().map(|rule| plain(&rule["host"])), "*")
            }),
            ("Address", 0, |o, _| plain(&o["status"]["loadBalancer"]["ingress"][0]["ip"]).into()),
            ("Ports", 0, |o, _| if o["spec"]["tls"].is_array() { "80, 443" } else { "80" }.into()),
            ("Age", 0, created),
        ],
        "HorizontalPodAutoscaler" => &[
            ("Reference", 0, |o, _| {
                let of = &o["spec"]["scaleTargetRef"];
                format!("{}/{}", plain(&of["kind"]), plain(&of["name"])).into()
            }),
            ("Targets", 0, |o, _| {
                let wanted = &o["spec"]["metrics"][0]["resource"];
                let seen = o["status"]["currentMetrics"][0]["resource"]["current"]["averageUtilization"].as_i64();
                let seen = seen.map_or("<unknown>".to_owned(), |percent| format!("{percent}%"));
                match wanted["target"]["averageUtilization"].as_i64() {
                    Some(percent) => format!("{}: {seen}/{percent}%", plain(&wanted["name"])).into(),
                    None => "<none>".into(),
                }
            }),
            ("MinPods", 0, |o, _| plain(&o["spec"]["minReplicas"]).into()),
            ("MaxPods", 0, |o, _| plain(&o["spec"]["maxReplicas"]).into()),
            ("Replicas", 0, |o, _| number(&o["status"]["currentReplicas"]).into()),
            ("Age", 0, created),
        ],
        "PodDisruptionBudget" => &[
            ("Min Available", 0, |o, _| or_na(&o["spec"]["minAvailable"])),
            ("Max Unavailable", 0, |o, _| or_na(&o["spec"]["maxUnavailable"])),
            ("Allowed Disruptions", 0, |o, _| number(&o["status"]["disruptionsAllowed"]).into()),
            ("Age", 0, created),
        ],
        "RoleBinding" | "ClusterRoleBinding" => &[
            ("Role", 0, |o, _| format!("{}/{}", plain(&o["roleRef"]["kind"]), plain(&o["roleRef"]["name"])).into()),
            ("Age", 0, created),
            ("Users", 1, |o, _| subjects(o, "User")),
            ("Groups", 1, |o, _| subjects(o, "Group")),
            ("ServiceAccounts", 1, |o, _| subjects(o, "ServiceAccount")),
        ],
        "CustomResourceDefinition" => &[
            ("Scope", 0, |o, _| o["spec"]["scope"].clone()),
            ("Versions", 0, |o, _| {
                some(o["spec"]["versions"].as_array().into_iter().flatten().map(|v| plain(&v["name"])), "")
            }),
            ("Created At", 0, |o, _| o["metadata"]["creationTimestamp"].clone()),
            ("Group", 1, |o, _| o["spec"]["group"].clone()),
            ("Kind", 1, |o, _| o["spec"]["names"]["kind"].clone()),
            ("ShortNames", 1, |o, _| {
                some(o["spec"]["names"]["shortNames"].as_array().into_iter().flatten().map(plain), "")
            }),
            ("Established", 1, |o, _| {
                let mut conditions = o["status"]["conditions"].as_array().into_iter().flatten();
                conditions.any(|c| c["type"] == "Established" && c["status"] == "True").into()
            }),
        ],
        "Lease" => &[("Holder", 0, |o, _| o["spec"]["holderIdentity"].clone()), ("Age", 0, created)],
        "StorageClass" => &[
            ("Provisioner", 0, |o, _| o["provisioner"].clone()),
            ("ReclaimPolicy", 0, |o, _| plain(&o["reclaimPolicy"]).into()),
            ("VolumeBindingMode", 0, |o, _| plain(&o["volumeBindingMode"]).into()),
            ("AllowVolumeExpansion", 0, |o, _| (o["allowVolumeExpansion"] == true).into()),
            ("Age", 0, created),
        ],
        _ => &[],
    }
}

const POD: &[Built] = &[
    ("Ready", 0, |o, _| {
        let statuses = o["status"]["containerStatuses"].as_array();
        let ready = statuses.into_iter().flatten().filter(|status| status["ready"] == true).count();
        format!("{ready}/{}", o["spec"]["containers"].as_array().map_or(0, Vec::len)).into()
    }),
    ("Status", 0, |o, _| pod_status(o).into()),
    ("Restarts", 0, |o, now| {
        let statuses = || o["status"]["containerStatuses"].as_array().into_iter().flatten();
        let count: i64 = statuses().map(|status| number(&status["restartCount"])).sum();
        let last = statuses().filter_map(|status| status["lastState"]["terminated"]["finishedAt"].as_str()).max();
        match last {
            Some(last) if count > 0 => format!("{count} ({} ago)", age(&last.into(), now)).into(),
            _ => count.to_string().into(),
        }
    }),
    ("Age", 0, created),
    ("IP", 1, |o, _| or_none(&o["status"]["podIP"])),
    ("Node", 1, |o, _| or_none(&o["spec"]["nodeName"])),
    ("Nominated Node", 1, |o, _| or_none(&o["status"]["nominatedNodeName"])),
    ("Readiness Gates", 1, |_, _| "<none>".into()),
];

/// The word under STATUS: what is wrong with a container before the phase.
fn pod_status(pod: &Value) -> String {
    let status = &pod["status"];
    let mut reason = match plain(&status["reason"]) {
        none if none.is_empty() => plain(&status["phase"]),
        reason => reason,
    };
    let initial = status["initContainerStatuses"].as_array().into_iter().flatten().enumerate();
    for (i, container) in initial {
        let state = &container["state"];
        if state["terminated"]["exitCode"] == 0 {
            continue;
        }
        let wrong = plain(&state["terminated"]["reason"]) + &plain(&state["waiting"]["reason"]);
        reason = if wrong.is_empty() || wrong == "PodInitializing" {
            format!("Init:{i}/{}", pod["spec"]["initContainers"].as_array().map_or(0, Vec::len))
        } else {
            format!("Init:{wrong}")
        };
        break;
    }
    if !reason.starts_with("Init:") {
        let mut running = false;
        for container in status["containerStatuses"].as_array().into_iter().flatten().rev() {
            let state = &container["state"];
            if let Some(waiting) = state["waiting"]["reason"].as_str().filter(|reason| !reason.is_empty()) {
                reason = waiting.to_owned();
            } else if let Some(ended) = state["terminated"]["reason"].as_str().filter(|reason| !reason.is_empty()) {
                reason = ended.to_owned();
            } else if state["terminated"].is_object() {
                reason = format!("ExitCode:{}", number(&state["terminated"]["exitCode"]));
            } else if container["ready"] == true && state["running"].is_object() {
                running = true;
            }
        }
        if reason == "Completed" && running {
            reason = "Running".to_owned();
        }
    }
    match (pod["metadata"]["deletionTimestamp"].is_string(), reason.as_str()) {
        (true, _) if status["reason"] == "NodeLost" => "Unknown".to_owned(),
        (true, _) if !matches!(plain(&status["phase"]).as_str(), "Succeeded" | "Failed") => "Terminating".to_owned(),
        _ => reason,
    }
}

const JOB: &[Built] = &[
    ("Status", 0, |o, _| {
        let conditions = o["status"]["conditions"].as_array().into_iter().flatten();
        let met = |kind: &str| conditions.clone().any(|c| c["type"] == kind && c["status"] == "True");
        if met("Complete") {
            "Complete"
        } else if met("Failed") {
            "Failed"
        } else if o["metadata"]["deletionTimestamp"].is_string() {
            "Terminating"
        } else if met("Suspended") {
            "Suspended"
        } else if met("FailureTarget") {
            "FailureTarget"
        } else {
            "Running"
        }
        .into()
    }),
    ("Completions", 0, |o, _| {
        let wanted = o["spec"]["completions"].as_i64().unwrap_or(1);
        format!("{}/{wanted}", number(&o["status"]["succeeded"])).into()
    }),
    ("Duration", 0, |o, now| {
        let time = |key: &str| o["status"][key].as_str().and_then(|text| text.parse::<Timestamp>().ok());
        match time("startTime") {
            Some(start) => duration(time("completionTime").unwrap_or(now).as_second() - start.as_second()).into(),
            None => "".into(),
        }
    }),
    ("Age", 0, created),
    ("Containers", 1, containers),
    ("Images", 1, images),
    ("Selector", 1, selector),
];

const NODE: &[Built] = &[
    ("Status", 0, |o, _| {
        let conditions = o["status"]["conditions"].as_array();
        let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
        let mut words = vec![match ready.map(|ready| plain(&ready["status"])).as_deref() {
            Some("True") => "Ready",
            Some(_) => "NotReady",
            None => "Unknown",
        }];
        if o["spec"]["unschedulable"] == true {
            words.push("SchedulingDisabled");
        }
        words.join(",").into()
    }),
    ("Roles", 0, |o, _| {
        let labels = o["metadata"]["labels"].as_object();
        let keys = labels.into_iter().flatten().map(|(key, _)| key);
        some(keys.filter_map(|key| key.strip_prefix("node-role.kubernetes.io/").map(str::to_owned)), "<none>")
    }),
    ("Age", 0, created),
    ("Version", 0, |o, _| o["status"]["nodeInfo"]["kubeletVersion"].clone()),
    ("Internal-IP", 1, |o, _| {
        let addresses = o["status"]["addresses"].as_array().into_iter().flatten();
        some(addresses.filter(|a| a["type"] == "InternalIP").map(|a| plain(&a["address"])), "<none>")
    }),
    ("External-IP", 1, |_, _| "<none>".into()),
    ("OS-Image", 1, |o, _| plain(&o["status"]["nodeInfo"]["osImage"]).into()),
    ("Kernel-Version", 1, |o, _| plain(&o["status"]["nodeInfo"]["kernelVersion"]).into()),
    ("Container-Runtime", 1, |o, _| plain(&o["status"]["nodeInfo"]["containerRuntimeVersion"]).into()),
];

const SERVICE: &[Built] = &[
    ("Type", 0, |o, _| o["spec"]["type"].clone()),
    ("Cluster-IP", 0, |o, _| or_none(&o["spec"]["clusterIP"])),
    ("External-IP", 0, |o, _| {
        let given = plain(&o["status"]["loadBalancer"]["ingress"][0]["ip"]);
        match (o["spec"]["type"] == "LoadBalancer", given.is_empty()) {
            (true, true) => "<pending>".into(),
            (_, false) => given.into(),
            (false, true) => "<none>".into(),
        }
    }),
    ("Port(s)", 0, |o, _| {
        let ports = o["spec"]["ports"].as_array().into_iter().flatten().map(|port| {
            let node = port["nodePort"].as_i64().map(|node| format!(":{node}")).unwrap_or_default();
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            format!("{}{node}/{protocol}", plain(&port["port"]))
        });
        some(ports, "<none>")
    }),
    ("Age", 0, created),
    ("Selector", 1, |o, _| pairs(&o["spec"]["selector"])),
];

fn created(object: &Value, now: Timestamp) -> Value {
    age(&object["metadata"]["creationTimestamp"], now).into()
}

fn containers(object: &Value, _: Timestamp) -> Value {
    let list = object["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten();
    some(list.map(|container| plain(&container["name"])), "")
}

fn images(object: &Value, _: Timestamp) -> Value {
    let list = object["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten();
    some(list.map(|container| plain(&container["image"])), "")
}

fn selector(object: &Value, _: Timestamp) -> Value {
    let selector = &object["spec"]["selector"];
    pairs(if selector["matchLabels"].is_object() { &selector["matchLabels"] } else { selector })
}

fn pairs(labels: &Value) -> Value {
    let pairs = labels.as_object().into_iter().flatten();
    some(pairs.map(|(key, value)| format!("{key}={}", plain(value))), "<none>")
}

/// Texts with commas between them, the empty ones left out.
fn some(texts: impl Iterator<Item = String>, none: &str) -> Value {
    let texts: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
    if texts.is_empty() { none.into() } else { texts.join(",").into() }
}

fn subjects(binding: &Value, kind: &str) -> Value {
    let subjects = binding["subjects"].as_array().into_iter().flatten().filter(|subject| subject["kind"] == kind);
    let name = |subject: &Value| match subject["namespace"].as_str() {
        Some(namespace) => format!("{namespace}/{}", plain(&subject["name"])),
        None => plain(&subject["name"]),
    };
    some(subjects.map(name), "")
}

fn endpoints(subsets: &Value) -> Value {
    let mut ends = Vec::new();
    for subset in subsets.as_array().into_iter().flatten() {
        for address in subset["addresses"].as_array().into_iter().flatten() {
            for port in subset["ports"].as_array().into_iter().flatten() {
                ends.push(format!("{}:{}", plain(&address["ip"]), plain(&port["port"])));
            }
        }
    }
    some(ends.into_iter(), "<none>")
}

fn modes(modes: &Value) -> Value {
    let short = |mode: &Value| match plain(mode).as_str() {
        "ReadWriteOnce" => "RWO".to_owned(),
        "ReadOnlyMany" => "ROX".to_owned(),
        "ReadWriteMany" => "RWX".to_owned(),
        "ReadWriteOncePod" => "RWOP".to_owned(),
        other => other.to_owned(),
    };
    some(modes.as_array().into_iter().flatten().map(short), "")
}

fn ended_or(object: &Value, phase: &Value) -> Value {
    if object["metadata"]["deletionTimestamp"].is_string() { json!("Terminating") } else { phase.clone() }
}

fn or_na(value: &Value) -> Value {
    if value.is_null() { "N/A".into() } else { plain(value).into() }
}

fn size(map: &Value) -> usize {
    map.as_object().map_or(0, serde_json::Map::len)
}
