//! Edges that more than one field makes, or that follow from what an object is.

use super::path::{at, text};
use super::{Edge, End, Relation};
use crate::ownership;
use reckon_model::k8s::EndpointSlice;
use reckon_model::selector::LabelSelector;
use reckon_model::{Kind, Object, ResourceRef};
use serde_json::Value;

/// Where kubelets renew their Leases.
const LEASES: &str = "kube-node-lease";

/// What a Node of Cluster API says of its Machine.
const MACHINE: (&str, &str) = ("cluster.x-k8s.io/machine", "cluster.x-k8s.io/cluster-namespace");

/// The `provisioner` of a class whose volumes people make by hand: no program has this name.
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

fn one(relation: Relation, field: impl Into<String>, end: ResourceRef) -> Edge {
    Edge { relation, field: field.into(), end: End::One(end), optional: false }
}

fn program(relation: Relation, field: impl Into<String>, name: &str) -> Edge {
    Edge { relation, field: field.into(), end: End::Program(name.to_owned()), optional: true }
}

/// All of a kind in a namespace.
fn every(relation: Relation, field: &str, kind: Kind, namespace: &str) -> Edge {
    let end = End::Selected { kind, namespace: Some(namespace.to_owned()), selector: LabelSelector::default() };
    Edge { relation, field: field.to_owned(), end, optional: true }
}

/// What the metadata of any object names.
pub(super) fn metadata(object: &Object, edges: &mut Vec<Edge>) {
    for owner in &object.meta.owners {
        let kind = Kind::of(&owner.api_version, &owner.kind);
        // An owner is beside what it owns, or belongs to the whole cluster.
        let end = ResourceRef::new(kind, object.meta.namespace.as_deref(), &owner.name);
        // Whether a kind that nobody knows by name has namespaces is not known, and so not where its owner is sought.
        let optional = matches!(end.kind, Kind::Other(_));
        let field = format!("metadata.ownerReferences[{}]", owner.name);
        edges.push(Edge { optional, ..one(Relation::Owner, field, end) });
    }
    for finalizer in &object.meta.finalizers {
        edges.push(program(Relation::Finalizer, format!("metadata.finalizers[{finalizer}]"), finalizer));
    }
    match (ownership::helm_release(object), ownership::managed_by(object)) {
        (Some(release), _) => edges.push(program(Relation::Release, "metadata", &format!("helm release {release}"))),
        (None, Some(by)) => edges.push(program(Relation::Release, "metadata", &by)),
        (None, None) => {}
    }
}

/// What an EndpointSlice names: its Service, its pods, their nodes.
pub(super) fn endpoints(object: &Object, body: &EndpointSlice, edges: &mut Vec<Edge>) {
    const SERVICE: &str = "kubernetes.io/service-name";
    let namespace = object.meta.namespace.as_deref();
    if let Some(service) = object.meta.labels.get(SERVICE) {
        let end = ResourceRef::new(Kind::Service, namespace, service);
        edges.push(one(Relation::Owner, format!("metadata.labels[{SERVICE}]"), end));
    }
    for (index, endpoint) in body.endpoints.iter().enumerate() {
        if let Some(target) = endpoint.target_ref.as_ref().filter(|target| target.kind == "Pod") {
            let end = ResourceRef::new(Kind::Pod, namespace, &target.name);
            edges.push(one(Relation::Backend, format!("endpoints[{index}].targetRef"), end));
        }
        if let Some(node) = &endpoint.node_name {
            let end = ResourceRef::new(Kind::Node, None, node);
            edges.push(one(Relation::Node, format!("endpoints[{index}].nodeName"), end));
        }
    }
}

/// What the whole of an object names beyond the table of single fields.
pub(super) fn whole(object: &Object, whole: &Value, edges: &mut Vec<Edge>) {
    let own = object.meta.namespace.as_deref();
    match (object.kind.group(), object.kind.name()) {
        ("", "Namespace") => {
            let name = &object.meta.name;
            edges.push(every(Relation::Bound, "metadata.name", Kind::of_group("", "ResourceQuota"), name));
            edges.push(every(Relation::Bound, "metadata.name", Kind::of_group("", "LimitRange"), name));
        }
        ("", "Node") => node(object, edges),
        ("storage.k8s.io", "StorageClass") => {
            if let Some(name) = text(whole, "provisioner").filter(|name| *name != NO_PROVISIONER) {
                let driver = ResourceRef::new(Kind::of_group("storage.k8s.io", "CSIDriver"), None, name);
                edges.push(Edge { optional: true, ..one(Relation::Program, "provisioner", driver) });
            }
        }
        ("autoscaling", "HorizontalPodAutoscaler") => metrics(whole, edges),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            for (field, subject) in at(whole, "subjects[]") {
                if text(subject, "kind") == Some("ServiceAccount")
                    && let Some(name) = text(subject, "name")
                {
                    let account = ResourceRef::new(Kind::ServiceAccount, text(subject, "namespace").or(own), name);
                    edges.push(one(Relation::Account, field, account));
                }
            }
        }
        ("cert-manager.io", "Certificate") => {
            if let Some((field, name)) = at(whole, "spec.secretName").into_iter().next()
                && let Some(name) = name.as_str()
            {
                // It is the issuer who makes it: as long as it waits, there is none.
                let secret = ResourceRef::new(Kind::Secret, own, name);
                edges.push(Edge { optional: true, ..one(Relation::Certificate, field, secret) });
            }
        }
        ("gateway.networking.k8s.io", _) => grants(own, whole, edges),
        ("apps" | "batch" | "", _) => runtime_class(whole, edges),
        _ => {}
    }
}

/// A Node, its Lease, what its kubelet says of storage, and the machine that it is.
fn node(object: &Object, edges: &mut Vec<Edge>) {
    let name = &object.meta.name;
    let lease = ResourceRef::new(Kind::of_group("coordination.k8s.io", "Lease"), Some(LEASES), name);
    // A virtual node may have none.
    edges.push(Edge { optional: true, ..one(Relation::Heartbeat, "metadata.name", lease) });
    let drivers = ResourceRef::new(Kind::of_group("storage.k8s.io", "CSINode"), None, name);
    edges.push(Edge { optional: true, ..one(Relation::Program, "metadata.name", drivers) });
    let annotations = &object.meta.annotations;
    if let (Some(machine), Some(namespace)) = (annotations.get(MACHINE.0), annotations.get(MACHINE.1)) {
        let machine = ResourceRef::new(Kind::of_group("cluster.x-k8s.io", "Machine"), Some(namespace), machine);
        edges.push(one(Relation::Machine, format!("metadata.annotations[{}]", MACHINE.0), machine));
    }
}

/// The aggregated APIs that an autoscaler's metrics come from.
fn metrics(whole: &Value, edges: &mut Vec<Edge>) {
    for (field, metric) in at(whole, "spec.metrics[]") {
        let service = match text(metric, "type") {
            Some("Resource" | "ContainerResource") => "v1beta1.metrics.k8s.io",
            Some("External") => "v1beta1.external.metrics.k8s.io",
            // Adapters serve `custom.metrics.k8s.io` as v1beta1, v1beta2 or both.
            _ => continue,
        };
        let service = ResourceRef::new(Kind::of_group("apiregistration.k8s.io", "APIService"), None, service);
        edges.push(one(Relation::Metrics, format!("{field}.type"), service));
    }
}

/// What lets a route, or a Gateway, name something in another namespace.
fn grants(own: Option<&str>, whole: &Value, edges: &mut Vec<Edge>) {
    for path in ["spec.rules[].backendRefs[]", "spec.listeners[].tls.certificateRefs[]"] {
        for (field, reference) in at(whole, path) {
            if let Some(namespace) = text(reference, "namespace").filter(|namespace| Some(*namespace) != own) {
                let kind = Kind::of_group("gateway.networking.k8s.io", "ReferenceGrant");
                edges.push(every(Relation::Grant, &format!("{field}.namespace"), kind, namespace));
            }
        }
    }
}

fn runtime_class(whole: &Value, edges: &mut Vec<Edge>) {
    for path in ["spec.template.spec.runtimeClassName", "spec.jobTemplate.spec.template.spec.runtimeClassName"] {
        for (field, name) in at(whole, path) {
            if let Some(name) = name.as_str().filter(|name| !name.is_empty()) {
                let class = ResourceRef::new(Kind::of_group("node.k8s.io", "RuntimeClass"), None, name);
                edges.push(one(Relation::Class, field, class));
            }
        }
    }
}
