//! What a pod, or a template for pods, names.

use super::{Edge, End, Relation};
use crate::spot::Spot;
use reckon_model::k8s::{ObjectSource, Pod, PodSpec};
use reckon_model::selector::LabelSelector;
use reckon_model::{Kind, Object, ResourceRef};
use std::collections::BTreeMap;

/// Where the cluster's own DNS is, by the label that every distribution but OpenShift gives its pods and Service.
const DNS: (&str, &str, &str) = ("kube-system", "k8s-app", "kube-dns");

/// Adds what a pod names, its node among it.
pub(super) fn placed(object: &Object, body: &Pod, edges: &mut Vec<Edge>) {
    spec(&body.spec, "spec", object, edges);
    if !body.spec.node_name.is_empty() {
        let node = ResourceRef::new(Kind::Node, None, &body.spec.node_name);
        edges.push(Edge {
            relation: Relation::Node,
            field: "spec.nodeName".to_owned(),
            end: End::One(node),
            optional: false,
        });
    }
    for volume in body.spec.volumes.iter().filter(|volume| volume.ephemeral.is_some()) {
        // The controller makes its claim under this name.
        let name = format!("{}-{}", object.meta.name, volume.name);
        let claim = ResourceRef::new(Kind::PersistentVolumeClaim, object.meta.namespace.as_deref(), &name);
        let field = format!("spec.volumes[{}].ephemeral", volume.name);
        edges.push(Edge { relation: Relation::Storage, field, end: End::One(claim), optional: false });
    }
}

/// Adds what a pod spec names that stands in this field.
pub(super) fn spec(spec: &PodSpec, place: &str, object: &Object, edges: &mut Vec<Edge>) {
    let mut names = Names { place, namespace: object.meta.namespace.as_deref(), edges };
    names.volumes(spec);
    names.containers(spec);
    names.classes(spec);
    for claim in &spec.resource_claims {
        if let Some(name) = &claim.resource_claim_name {
            let kind = Kind::of_group("resource.k8s.io", "ResourceClaim");
            names.add(Relation::Device, &format!("resourceClaims[{}]", claim.name), kind, name, false);
        } else if let Some(name) = &claim.resource_claim_template_name {
            let kind = Kind::of_group("resource.k8s.io", "ResourceClaimTemplate");
            names.add(Relation::Device, &format!("resourceClaims[{}]", claim.name), kind, name, false);
        }
    }
    for secret in &spec.image_pull_secrets {
        // A missing one is passed over: the kubelet tries the others, and then without.
        names.add(
            Relation::PullSecret,
            &format!("imagePullSecrets[{}]", secret.name),
            Kind::Secret,
            &secret.name,
            true,
        );
    }
    let (namespace, label, value) = DNS;
    let end = End::Selected {
        kind: Kind::Service,
        namespace: Some(namespace.to_owned()),
        selector: LabelSelector::exact(&BTreeMap::from([(label.to_owned(), value.to_owned())])),
    };
    if !spec.host_network {
        let field = format!("{place}.dnsPolicy");
        names.edges.push(Edge { relation: Relation::Names, field, end, optional: true });
    }
}

struct Names<'e> {
    place: &'e str,
    namespace: Option<&'e str>,
    edges: &'e mut Vec<Edge>,
}

impl Names<'_> {
    /// An object of this kind by its name, beside the pod or in the whole cluster as its kind is.
    fn add(&mut self, relation: Relation, field: &str, kind: Kind, name: &str, optional: bool) {
        if name.is_empty() {
            return;
        }
        let end = End::One(ResourceRef::new(kind, self.namespace, name));
        self.edges.push(Edge { relation, field: format!("{}.{field}", self.place), end, optional });
    }

    fn cluster(&mut self, relation: Relation, field: &str, kind: Kind, name: &str) {
        let namespace = self.namespace.take();
        self.add(relation, field, kind, name, false);
        self.namespace = namespace;
    }

    fn source(&mut self, field: &str, kind: Kind, source: Option<&ObjectSource>) {
        if let Some(source) = source {
            self.add(Relation::Configuration, field, kind, &source.name, source.optional);
        }
    }

    fn volumes(&mut self, spec: &PodSpec) {
        for volume in &spec.volumes {
            let field = |what: &str| format!("volumes[{}].{what}", volume.name);
            self.source(&field("configMap"), Kind::ConfigMap, volume.config_map.as_ref());
            self.source(&field("secret"), Kind::Secret, volume.secret.as_ref());
            for source in volume.projected.iter().flat_map(|projected| &projected.sources) {
                self.source(&field("projected"), Kind::ConfigMap, source.config_map.as_ref());
                self.source(&field("projected"), Kind::Secret, source.secret.as_ref());
            }
            if let Some(claim) = &volume.persistent_volume_claim {
                let kind = Kind::PersistentVolumeClaim;
                self.add(Relation::Storage, &field("persistentVolumeClaim"), kind, &claim.claim_name, false);
            }
            if let Some(csi) = &volume.csi {
                let kind = Kind::of_group("storage.k8s.io", "CSIDriver");
                self.cluster(Relation::Program, &field("csi"), kind, &csi.driver);
            }
        }
    }

    fn containers(&mut self, spec: &PodSpec) {
        for (which, container) in spec.all_containers() {
            let list = Spot::list(which);
            let field = |what: &str| format!("{list}[{}].{what}", container.name);
            for from in &container.env_from {
                self.source(&field("envFrom"), Kind::ConfigMap, from.config_map_ref.as_ref());
                self.source(&field("envFrom"), Kind::Secret, from.secret_ref.as_ref());
            }
            for variable in &container.env {
                let Some(from) = variable.value_from.as_deref() else { continue };
                let field = field(&format!("env[{}]", variable.name));
                if let Some(key) = &from.config_map_key_ref {
                    self.add(Relation::Configuration, &field, Kind::ConfigMap, &key.name, key.optional);
                }
                if let Some(key) = &from.secret_key_ref {
                    self.add(Relation::Configuration, &field, Kind::Secret, &key.name, key.optional);
                }
            }
        }
    }

    fn classes(&mut self, spec: &PodSpec) {
        self.add(Relation::Account, "serviceAccountName", Kind::ServiceAccount, &spec.service_account_name, false);
        let priority = Kind::of_group("scheduling.k8s.io", "PriorityClass");
        self.cluster(Relation::Class, "priorityClassName", priority, &spec.priority_class_name);
        if !spec.scheduler_name.is_empty() {
            let end = End::Program(spec.scheduler_name.clone());
            let field = format!("{}.schedulerName", self.place);
            self.edges.push(Edge { relation: Relation::Program, field, end, optional: false });
        }
    }
}
