//! What belongs to the object that is asked about.
//!
//! `reckon why` starts from a name. Reading its surroundings through a [`View`] makes them demands, so that the driver fetches
//! the neighbourhood of the target and not the cluster.

use crate::Scope;
use crate::problem;
use crate::view::View;
use reckon_model::document::Problem;
use reckon_model::k8s::PodSpec;
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Kind, Object, ResourceRef, Shared};
use std::collections::{BTreeMap, BTreeSet};

/// So many pods of a node are looked at: what is of the node shows in each of them.
const STRUCK: usize = 3;

/// Which problems concern the question.
pub(crate) enum Explored {
    /// All of them.
    Everything,
    /// Those about objects of a namespace.
    Namespace(String),
    /// Those that name one of these.
    Objects {
        /// What was asked about.
        target: ResourceRef,
        /// It and what it is part of.
        related: BTreeSet<ResourceRef>,
        /// What is looked at besides: what ails the target may show in these alone. What else ails them is not its affair.
        beside: BTreeSet<ResourceRef>,
        /// The labels of the pods among them, to find the Services in front.
        labels: Vec<(String, Shared<BTreeMap<String, String>>)>,
    },
}

impl Explored {
    pub(crate) fn concerns(&self, problem: &Problem) -> bool {
        match self {
            Explored::Everything => true,
            Explored::Namespace(namespace) => {
                let names = problem::names(problem);
                names.iter().any(|name| name.namespace() == namespace)
            }
            Explored::Objects { related, .. } => problem::names(problem).iter().any(|name| related.contains(name)),
        }
    }

    /// Whether detectors look at this object. In a namespace of a hundred Services the question about one pod reaches
    /// those in front of it, and does not fetch the pods of all the others.
    pub(crate) fn reaches(&self, subject: &Object) -> bool {
        match (self, &subject.body) {
            (Explored::Everything, _) => true,
            (Explored::Namespace(namespace), _) => subject.meta.namespace.as_ref().is_none_or(|own| own == namespace),
            (Explored::Objects { related, labels, .. }, Body::Service(service)) => {
                let selector = &service.spec.selector;
                related.contains(&subject.reference())
                    || labels.iter().any(|(namespace, labels)| {
                        namespace == subject.namespace()
                            && !selector.is_empty()
                            && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
                    })
            }
            (Explored::Objects { related, beside, .. }, _) => {
                !subject.kind.namespaced()
                    || subject.kind == Kind::PersistentVolumeClaim
                    || related.contains(&subject.reference())
                    || beside.contains(&subject.reference())
            }
        }
    }

    /// Whether one object was asked about.
    pub(crate) fn is_close(&self) -> bool {
        matches!(self, Explored::Objects { .. })
    }

    /// Whether this is the object that was asked about: it comes first, so that its demands are the last to be cut by a
    /// budget.
    pub(crate) fn is_target(&self, subject: &Object) -> bool {
        matches!(self, Explored::Objects { target, .. } if subject.reference() == *target)
    }
}

/// Reads the surroundings of what is asked about.
pub(crate) fn around(view: &View<'_>, scope: &Scope) -> Explored {
    match scope {
        Scope::Cluster => Explored::Everything,
        Scope::Namespace(namespace) => whole_namespace(view, namespace),
        Scope::Object(target) if target.kind == Kind::Namespace => {
            let _ = view.look_up(target);
            whole_namespace(view, &target.name)
        }
        Scope::Object(target) => {
            let mut related = BTreeSet::from([target.clone()]);
            let mut beside = BTreeSet::new();
            if let Some(object) = view.look_up(target).found() {
                neighbours(view, object, &mut related);
                beside.extend(struck(view, object).map(Object::reference));
            }
            let labels = related
                .iter()
                .filter(|reference| reference.kind == Kind::Pod)
                .filter_map(|pod| view.look_up(pod).found())
                .map(|pod| (pod.namespace().to_owned(), pod.meta.labels.clone()))
                .collect();
            Explored::Objects { target: target.clone(), related, beside, labels }
        }
    }
}

/// Running pods of a node that are not ready, some of them: that probes reach none says something of the node.
fn struck<'a>(view: &View<'a>, object: &'a Object) -> impl Iterator<Item = &'a Object> {
    let pods = match &object.body {
        Body::Node(_) => view.pods_on(&object.meta.name),
        _ => None,
    };
    let is_struck = |pod: &&Object| pod.pod().is_some_and(|body| body.status.phase == "Running" && !body.is_ready());
    pods.into_iter().flatten().filter(is_struck).take(STRUCK)
}

fn whole_namespace(view: &View<'_>, namespace: &str) -> Explored {
    for kind in Kind::named().filter(|kind| kind.namespaced()) {
        let _ = view.all(kind, Some(namespace));
    }
    Explored::Namespace(namespace.to_owned())
}

fn neighbours<'a>(view: &View<'a>, object: &'a Object, related: &mut BTreeSet<ResourceRef>) {
    let namespace = object.meta.namespace.as_deref();
    match &object.body {
        Body::Service(service) if !service.spec.selector.is_empty() => {
            let selector = LabelSelector::exact(&service.spec.selector);
            let pods = view.matching(&Kind::Pod, namespace, &selector).items;
            // Whose pods it would select had they any: what became of those is why there are none.
            if pods.is_empty() {
                for kind in [Kind::Deployment, Kind::StatefulSet] {
                    let made = |object: &&Object| {
                        object.workload().is_some_and(|body| selector.matches(&body.spec.template.metadata.labels))
                    };
                    for owner in view.all(&kind, namespace).items.into_iter().filter(made) {
                        workload(view, owner, related);
                    }
                }
            }
            for pod in pods {
                workload(view, pod, related);
            }
        }
        Body::Service(_) | Body::Node(_) | Body::Volume(_) | Body::StorageClass(_) | Body::Autoscaler(_) => {}
        Body::Claim(claim) => {
            for pod in view.all(&Kind::Pod, namespace).items {
                if pod.pod().is_some_and(|body| refers(&body.spec, &object.kind, &object.meta.name)) {
                    workload(view, pod, related);
                }
            }
            if !claim.spec.volume_name.is_empty() {
                let _ = view.object(&Kind::PersistentVolume, None, &claim.spec.volume_name);
            }
        }
        Body::Config(_) => {
            for pod in view.all(&Kind::Pod, namespace).items {
                if pod.pod().is_some_and(|body| refers(&body.spec, &object.kind, &object.meta.name)) {
                    workload(view, pod, related);
                }
            }
        }
        _ => workload(view, object, related),
    }
}

/// Whether a pod takes something from this ConfigMap or Secret, or mounts this claim.
fn refers(spec: &PodSpec, kind: &Kind, name: &str) -> bool {
    let of = |config: Option<&str>, secret: Option<&str>| match kind {
        Kind::ConfigMap => config == Some(name),
        Kind::Secret => secret == Some(name),
        _ => false,
    };
    let in_volume = spec.volumes.iter().any(|volume| {
        let projected = volume.projected.iter().flat_map(|projected| &projected.sources).any(|source| {
            of(source.config_map.as_ref().map(|it| it.name.as_str()), source.secret.as_ref().map(|it| it.name.as_str()))
        });
        let claim = volume.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.as_str());
        projected
            || of(
                volume.config_map.as_ref().map(|it| it.name.as_str()),
                volume.secret.as_ref().map(|it| it.name.as_str()),
            )
            || (*kind == Kind::PersistentVolumeClaim && claim == Some(name))
    });
    let in_container = spec.all_containers().any(|(_, container)| {
        let from = container.env_from.iter().any(|from| {
            of(
                from.config_map_ref.as_ref().map(|it| it.name.as_str()),
                from.secret_ref.as_ref().map(|it| it.name.as_str()),
            )
        });
        let one = container.env.iter().filter_map(|variable| variable.value_from.as_ref()).any(|from| {
            of(
                from.config_map_key_ref.as_ref().map(|it| it.name.as_str()),
                from.secret_key_ref.as_ref().map(|it| it.name.as_str()),
            )
        });
        from || one
    });
    in_volume || in_container
}

/// The workload an object belongs to, its pods, their nodes and claims, and the Services in front of them.
fn workload<'a>(view: &View<'a>, object: &'a Object, related: &mut BTreeSet<ResourceRef>) {
    let namespace = object.meta.namespace.as_deref();
    let top = view.workload_of(object);
    related.insert(top.reference());
    if top.kind == Kind::Deployment
        && let Some(workload) = top.workload()
    {
        let _ = view.matching(&Kind::ReplicaSet, namespace, &workload.spec.selector);
    }
    if top.kind == Kind::CronJob {
        let _ = view.all(&Kind::Job, namespace);
        let jobs: Vec<_> = view.children(&top.reference()).collect();
        for job in jobs {
            related.insert(job.reference());
            let _ = view.pods_of(job);
        }
    }
    let pods = if object.kind == Kind::Pod && top.kind == Kind::Pod { vec![object] } else { view.pods_of(top).items };
    for pod in pods {
        related.insert(pod.reference());
        let Some(body) = pod.pod() else { continue };
        if !body.spec.node_name.is_empty() && (pod.reference() == object.reference() || !body.is_ready()) {
            let _ = view.object(&Kind::Node, None, &body.spec.node_name);
        }
        if !body.is_ready() {
            for volume in &body.spec.volumes {
                if let Some(claim) = &volume.persistent_volume_claim {
                    let _ = view.object(&Kind::PersistentVolumeClaim, namespace, &claim.claim_name);
                } else if volume.ephemeral.is_some() {
                    // The controller makes its claim under this name.
                    let claim = format!("{}-{}", pod.meta.name, volume.name);
                    let _ = view.object(&Kind::PersistentVolumeClaim, namespace, &claim);
                }
            }
        }
    }
    if namespace.is_some() {
        let _ = view.all(&Kind::Service, namespace);
    }
}
