//! The columns of pods, jobs, nodes and services, where most of what is printed is reckoned.

use super::cells::{containers, created, images, pairs, selector, some};
use super::{Built, age, duration, number, or_none};
use crate::resource::plain;
use jiff::Timestamp;
use serde_json::Value;

pub(super) const POD: &[Built] = &[
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

pub(super) const JOB: &[Built] = &[
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

pub(super) const NODE: &[Built] = &[
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

pub(super) const SERVICE: &[Built] = &[
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
