//! What belongs to the object that is asked about.
//!
//! `reckon why` starts from a name. Reading its surroundings through a [`View`] makes them needs, so that the driver fetches
//! the neighbourhood of the target and not the cluster.

use crate::Scope;
use crate::problem;
use crate::view::View;
use reckon_model::document::Problem;
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Kind, Object, ResourceRef};
use std::collections::BTreeSet;

/// Which problems concern the question.
pub(crate) enum Explored {
    /// All of them.
    Everything,
    /// Those about objects of a namespace.
    Namespace(String),
    /// Those that name one of these.
    Objects(BTreeSet<ResourceRef>),
}

impl Explored {
    pub(crate) fn concerns(&self, problem: &Problem) -> bool {
        match self {
            Explored::Everything => true,
            Explored::Namespace(namespace) => {
                let names = problem::names(problem);
                names.iter().any(|name| name.namespace() == namespace)
            }
            Explored::Objects(objects) => problem::names(problem).iter().any(|name| objects.contains(name)),
        }
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
            if let Some(object) = view.look_up(target).found() {
                neighbours(view, object, &mut related);
            }
            Explored::Objects(related)
        }
    }
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
            for pod in view.matching(&Kind::Pod, namespace, &selector).items {
                workload(view, pod, related);
            }
        }
        Body::Service(_) | Body::Node(_) | Body::Volume(_) | Body::StorageClass(_) => {}
        Body::Claim(claim) => {
            let _ = view.all(&Kind::Pod, namespace);
            if !claim.spec.volume_name.is_empty() {
                let _ = view.object(&Kind::PersistentVolume, None, &claim.spec.volume_name);
            }
        }
        Body::Config(_) => {
            let _ = view.all(&Kind::Pod, namespace);
        }
        _ => workload(view, object, related),
    }
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
        // The other pods of a workload belong to the answer about it, but not to that about one pod.
        if object.kind != Kind::Pod || pod.reference() == object.reference() {
            related.insert(pod.reference());
        }
        let Some(body) = pod.pod() else { continue };
        if !body.spec.node_name.is_empty() && (pod.reference() == object.reference() || !body.is_ready()) {
            let _ = view.object(&Kind::Node, None, &body.spec.node_name);
        }
        if !body.is_ready() {
            for volume in &body.spec.volumes {
                if let Some(claim) = &volume.persistent_volume_claim {
                    let _ = view.object(&Kind::PersistentVolumeClaim, namespace, &claim.claim_name);
                }
            }
        }
    }
    if namespace.is_some() {
        let _ = view.all(&Kind::Service, namespace);
    }
}
