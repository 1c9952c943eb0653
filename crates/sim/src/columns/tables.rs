//! Which columns the built-in kinds have beside their names.

use super::busy::{JOB, NODE, POD, SERVICE};
use super::cells::{
    containers, created, ended_or, endpoints, images, modes, or_na, pairs, selector, size, some, subjects,
};
use super::{Built, age, number, or_none};
use crate::resource::plain;
use serde_json::Value;

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
