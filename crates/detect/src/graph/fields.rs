//! Edges that one field makes, as a table: which kinds have it, where it is, and what it names.

use super::path::{at, text};
use super::{Edge, End, Relation};
use reckon_model::selector::LabelSelector;
use reckon_model::{Kind, Object, ResourceRef};
use serde::Deserialize;
use serde_json::Value;

/// What stands in a field.
enum Shape {
    /// The name of an object of this group and kind, beside the object that names it.
    Name(&'static str, &'static str),
    /// The name of a cluster-scoped object of this group and kind.
    ClusterName(&'static str, &'static str),
    /// `{apiVersion or group, kind, name, namespace}`, of which all but the name may be left out: then it is of this group and
    /// kind, beside the object that names it.
    Object(&'static str, &'static str),
    /// Labels of objects of this kind beside it, as `matchLabels` and `matchExpressions`.
    Selector(&'static str, &'static str),
    /// Labels as a plain map; empty for none.
    Labels(&'static str, &'static str),
    /// Labels of cluster-scoped objects of this kind.
    ClusterSelector(&'static str, &'static str),
    /// The name of a program.
    Program,
}

use Relation::{
    Backend, Certificate, Class, Configuration, Device, Gateway, Grant, Issuer, Node, Parameter, Policy, Program,
    Selected, Storage, Target,
};
use Shape::{ClusterName, ClusterSelector, Labels, Name, Object as Reference, Program as Called, Selector};

const APPS: &str = "apps";
const CERTIFICATES: &str = "cert-manager.io";
const GATEWAY: &str = "gateway.networking.k8s.io";
const NETWORKING: &str = "networking.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const STORAGE: &str = "storage.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";

/// A row: the group and the kinds that have the field, the field, what its far end is, and what stands in it.
type Row = (&'static str, &'static [&'static str], &'static str, Relation, Shape);

/// All rows, by what they are about. The fields are those of the API reference of Kubernetes 1.37, Gateway API 1.4,
/// cert-manager 1.19, KEDA 2.18 and the vertical autoscaler 1.5.
const ROWS: &[Row] = &[
    ("", &["Service"], "spec.selector", Selected, Labels("", "Pod")),
    ("", &["ReplicationController"], "spec.selector", Selected, Labels("", "Pod")),
    (APPS, &["Deployment"], "spec.selector", Selected, Selector(APPS, "ReplicaSet")),
    (APPS, &["ReplicaSet", "StatefulSet", "DaemonSet"], "spec.selector", Selected, Selector("", "Pod")),
    (APPS, &["StatefulSet"], "spec.serviceName", Selected, Name("", "Service")),
    ("batch", &["Job"], "spec.selector", Selected, Selector("", "Pod")),
    ("policy", &["PodDisruptionBudget"], "spec.selector", Selected, Selector("", "Pod")),
    (NETWORKING, &["NetworkPolicy"], "spec.podSelector", Selected, Selector("", "Pod")),
    (NETWORKING, &["Ingress"], "spec.defaultBackend.service", Backend, Reference("", "Service")),
    (NETWORKING, &["Ingress"], "spec.rules[].http.paths[].backend.service", Backend, Reference("", "Service")),
    (NETWORKING, &["Ingress"], "spec.tls[].secretName", Certificate, Name("", "Secret")),
    (NETWORKING, &["Ingress"], "spec.ingressClassName", Class, ClusterName(NETWORKING, "IngressClass")),
    (NETWORKING, &["IngressClass"], "spec.controller", Program, Called),
    (GATEWAY, ROUTES, "spec.parentRefs[]", Gateway, Reference(GATEWAY, "Gateway")),
    (GATEWAY, ROUTES, "spec.rules[].backendRefs[]", Backend, Reference("", "Service")),
    (GATEWAY, &["Gateway"], "spec.gatewayClassName", Class, ClusterName(GATEWAY, "GatewayClass")),
    (GATEWAY, &["Gateway"], "spec.listeners[].tls.certificateRefs[]", Certificate, Reference("", "Secret")),
    (GATEWAY, &["GatewayClass"], "spec.controllerName", Program, Called),
    (GATEWAY, &["GatewayClass"], "spec.parametersRef", Parameter, Reference("", "ConfigMap")),
    (CERTIFICATES, &["Certificate", "CertificateRequest"], "spec.issuerRef", Issuer, Reference(CERTIFICATES, "Issuer")),
    ("acme.cert-manager.io", &["Order", "Challenge"], "spec.issuerRef", Issuer, Reference(CERTIFICATES, "Issuer")),
    (ADMISSION, WEBHOOKS, "webhooks[].clientConfig.service", Backend, Reference("", "Service")),
    (
        ADMISSION,
        &["ValidatingAdmissionPolicyBinding"],
        "spec.policyName",
        Policy,
        ClusterName(ADMISSION, "ValidatingAdmissionPolicy"),
    ),
    (
        ADMISSION,
        &["MutatingAdmissionPolicyBinding"],
        "spec.policyName",
        Policy,
        ClusterName(ADMISSION, "MutatingAdmissionPolicy"),
    ),
    (
        "apiextensions.k8s.io",
        &["CustomResourceDefinition"],
        "spec.conversion.webhook.clientConfig.service",
        Backend,
        Reference("", "Service"),
    ),
    ("apiregistration.k8s.io", &["APIService"], "spec.service", Backend, Reference("", "Service")),
    ("autoscaling", &["HorizontalPodAutoscaler"], "spec.scaleTargetRef", Target, Reference(APPS, "Deployment")),
    ("autoscaling.k8s.io", &["VerticalPodAutoscaler"], "spec.targetRef", Target, Reference(APPS, "Deployment")),
    ("keda.sh", &["ScaledObject"], "spec.scaleTargetRef", Target, Reference(APPS, "Deployment")),
    (
        "keda.sh",
        &["ScaledObject", "ScaledJob"],
        "spec.triggers[].authenticationRef",
        Configuration,
        Reference("keda.sh", "TriggerAuthentication"),
    ),
    (RBAC, &["RoleBinding", "ClusterRoleBinding"], "roleRef", Grant, Reference(RBAC, "ClusterRole")),
    (RBAC, &["ClusterRole"], "aggregationRule.clusterRoleSelectors[]", Grant, ClusterSelector(RBAC, "ClusterRole")),
    ("", &["PersistentVolumeClaim"], "spec.volumeName", Storage, ClusterName("", "PersistentVolume")),
    ("", &["PersistentVolumeClaim"], "spec.storageClassName", Class, ClusterName(STORAGE, "StorageClass")),
    ("", &["PersistentVolumeClaim"], "spec.dataSourceRef", Storage, Reference("", "PersistentVolumeClaim")),
    ("", &["PersistentVolume"], "spec.claimRef", Storage, Reference("", "PersistentVolumeClaim")),
    ("", &["PersistentVolume"], "spec.storageClassName", Class, ClusterName(STORAGE, "StorageClass")),
    ("", &["PersistentVolume"], "spec.csi.driver", Program, ClusterName(STORAGE, "CSIDriver")),
    (STORAGE, &["VolumeAttachment"], "spec.source.persistentVolumeName", Storage, ClusterName("", "PersistentVolume")),
    (STORAGE, &["VolumeAttachment"], "spec.nodeName", Node, ClusterName("", "Node")),
    (STORAGE, &["VolumeAttachment"], "spec.attacher", Program, ClusterName(STORAGE, "CSIDriver")),
    (STORAGE, &["CSINode"], "spec.drivers[].name", Program, ClusterName(STORAGE, "CSIDriver")),
    (
        "resource.k8s.io",
        &["ResourceClaim"],
        "spec.devices.requests[].exactly.deviceClassName",
        Device,
        ClusterName("resource.k8s.io", "DeviceClass"),
    ),
    (
        "resource.k8s.io",
        &["ResourceClaim"],
        "spec.devices.requests[].deviceClassName",
        Device,
        ClusterName("resource.k8s.io", "DeviceClass"),
    ),
];

const ROUTES: &[&str] = &["HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"];
const WEBHOOKS: &[&str] = &["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"];

/// What is well without the other end: a volume outlives its claim, and the name of a class may be no more than a word that
/// claim and volume agree on.
const SPARED: [(&str, &str); 3] = [
    ("PersistentVolume", "spec.claimRef"),
    ("PersistentVolume", "spec.storageClassName"),
    ("PersistentVolumeClaim", "spec.storageClassName"),
];

/// Of these the cluster has one of a name.
const CLUSTER_SCOPED: [&str; 3] = ["ClusterIssuer", "ClusterRole", "ClusterTriggerAuthentication"];

/// Adds what the fields of this object name.
pub(super) fn read(object: &Object, whole: &Value, edges: &mut Vec<Edge>) {
    let own = object.meta.namespace.as_deref();
    for (group, kinds, path, relation, shape) in ROWS {
        if *group != object.kind.group() || !kinds.contains(&object.kind.name()) {
            continue;
        }
        for (field, value) in at(whole, path) {
            if let Some(end) = end(shape, own, value) {
                let spared = *relation == Program || SPARED.contains(&(object.kind.name(), path));
                edges.push(Edge { relation: *relation, field, end, optional: spared });
            }
        }
    }
}

fn end(shape: &Shape, own: Option<&str>, value: &Value) -> Option<End> {
    let word = || value.as_str().filter(|word| !word.is_empty());
    let one = |kind: Kind, namespace: Option<&str>, name: &str| {
        let namespace = namespace.filter(|_| !CLUSTER_SCOPED.contains(&kind.name()));
        Some(End::One(ResourceRef::new(kind, namespace, name)))
    };
    let selected = |group: &str, kind: &str, namespace: Option<&str>, selector: LabelSelector| {
        Some(End::Selected { kind: Kind::of_group(group, kind), namespace: namespace.map(str::to_owned), selector })
    };
    match shape {
        Shape::Name(group, kind) => one(Kind::of_group(group, kind), own, word()?),
        Shape::ClusterName(group, kind) => one(Kind::of_group(group, kind), None, word()?),
        Shape::Object(group, kind) => {
            let kind =
                match (text(value, "apiVersion"), value.get("group").or(value.get("apiGroup")), text(value, "kind")) {
                    (Some(version), _, Some(kind)) => Kind::of(version, kind),
                    (None, Some(group), Some(kind)) => Kind::of_group(group.as_str()?, kind),
                    (_, _, other) => Kind::of_group(group, other.unwrap_or(kind)),
                };
            let namespace = text(value, "namespace").or(own);
            one(kind, namespace, text(value, "name")?)
        }
        Shape::Selector(group, kind) => selected(group, kind, own, LabelSelector::deserialize(value).ok()?),
        Shape::ClusterSelector(group, kind) => selected(group, kind, None, LabelSelector::deserialize(value).ok()?),
        Shape::Labels(group, kind) => {
            let selector =
                LabelSelector { match_labels: Deserialize::deserialize(value).ok()?, ..LabelSelector::default() };
            if selector.is_empty() { None } else { selected(group, kind, own, selector) }
        }
        Shape::Program => Some(End::Program(word()?.to_owned())),
    }
}
