//! What belongs to the object that is asked about.
//!
//! `reckon why` starts from a name. Reading its surroundings through a [`View`] makes them demands, so that the driver fetches
//! the neighbourhood of the target and not the cluster.

mod neighbours;

use crate::Scope;
use crate::problem;
use crate::view::View;
use neighbours::neighbours;
pub(crate) use neighbours::pending;
use reckon_model::document::Problem;
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

#[cfg(test)]
mod tests;
