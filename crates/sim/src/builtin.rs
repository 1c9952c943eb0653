//! The kinds that the server serves by itself.

use crate::resource::{Resource, Scale};

/// A row: versions, kind, plural, short names (with `,` between them), flags.
///
/// Flags: `n` namespaced, `s` status, `c` scale, `g` generation, `a` category `all`, `x` category `api-extensions`.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

const ROWS: &[Row] = &[
    ("", "v1", "Namespace", "namespaces", "ns", "s"),
    ("", "v1", "Node", "nodes", "no", "s"),
    ("", "v1", "Pod", "pods", "po", "nsga"),
    ("", "v1", "Service", "services", "svc", "nsa"),
    ("", "v1", "Endpoints", "endpoints", "ep", "n"),
    ("", "v1", "Event", "events", "ev", "n"),
    ("", "v1", "ConfigMap", "configmaps", "cm", "n"),
    ("", "v1", "Secret", "secrets", "", "n"),
    ("", "v1", "ServiceAccount", "serviceaccounts", "sa", "n"),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", "ns"),
    ("", "v1", "PersistentVolume", "persistentvolumes", "pv", "s"),
    ("", "v1", "ReplicationController", "replicationcontrollers", "rc", "nscga"),
    ("", "v1", "ResourceQuota", "resourcequotas", "quota", "ns"),
    ("", "v1", "LimitRange", "limitranges", "limits", "n"),
    ("apps", "v1", "Deployment", "deployments", "deploy", "nscga"),
    ("apps", "v1", "ReplicaSet", "replicasets", "rs", "nscga"),
    ("apps", "v1", "StatefulSet", "statefulsets", "sts", "nscga"),
    ("apps", "v1", "DaemonSet", "daemonsets", "ds", "nsga"),
    ("apps", "v1", "ControllerRevision", "controllerrevisions", "", "n"),
    ("batch", "v1", "Job", "jobs", "", "nsga"),
    ("batch", "v1", "CronJob", "cronjobs", "cj", "nsga"),
    ("autoscaling", "v2,v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", "nsa"),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", "nsg"),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "", "ng"),
    ("networking.k8s.io", "v1", "Ingress", "ingresses", "ing", "nsg"),
    ("networking.k8s.io", "v1", "IngressClass", "ingressclasses", "", "g"),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", "netpol", "ng"),
    ("storage.k8s.io", "v1", "StorageClass", "storageclasses", "sc", ""),
    ("storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", "", "s"),
    ("storage.k8s.io", "v1", "CSIDriver", "csidrivers", "", ""),
    ("storage.k8s.io", "v1", "CSINode", "csinodes", "", ""),
    ("rbac.authorization.k8s.io", "v1", "Role", "roles", "", "n"),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", "", "n"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", "", ""),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", "", ""),
    ("coordination.k8s.io", "v1", "Lease", "leases", "", "n"),
    ("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", "pc", "g"),
    ("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", "", "gx"),
    (
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        "",
        "gx",
    ),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", "crd,crds", "sgx"),
    ("apiregistration.k8s.io", "v1", "APIService", "apiservices", "", "sx"),
    ("certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests", "csr", "s"),
];

/// All of them, in the order of discovery: the core group first.
pub(crate) fn resources() -> Vec<Resource> {
    let texts = |list: &str| list.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let resource = |&(group, versions, kind, plural, short, flags): &Row| Resource {
        group: group.to_owned(),
        versions: texts(versions),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        singular: kind.to_ascii_lowercase(),
        short: texts(short),
        categories: [('a', "all"), ('x', "api-extensions")]
            .iter()
            .filter(|(flag, _)| flags.contains(*flag))
            .map(|(_, category)| (*category).to_owned())
            .collect(),
        namespaced: flags.contains('n'),
        status: flags.contains('s'),
        scale: flags.contains('c').then(|| Scale {
            replicas: "spec.replicas".to_owned(),
            status_replicas: "status.replicas".to_owned(),
            selector: "spec.selector".to_owned(),
        }),
        generation: flags.contains('g'),
        built_in: true,
        fields: fields(kind).iter().map(|&field| field.to_owned()).collect(),
        columns: Vec::new(),
    };
    ROWS.iter().map(resource).collect()
}

/// What field selectors may name, as the real server has it.
fn fields(kind: &str) -> &'static [&'static str] {
    match kind {
        "Pod" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        "Event" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        "Secret" => &["type"],
        "Namespace" => &["status.phase"],
        "Node" => &["spec.unschedulable"],
        "ReplicaSet" | "ReplicationController" => &["status.replicas"],
        "Job" => &["status.successful"],
        "Service" => &["spec.clusterIP", "spec.type"],
        "CertificateSigningRequest" => &["spec.signerName"],
        _ => &[],
    }
}
