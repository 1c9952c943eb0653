//! What an object is made of: whose past is its own.

use super::namespace_of;
use crate::engine::Scope;
use crate::graph::{self, End, Relation};
use crate::view::{Lookup, View};
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Kind, Object, ResourceRef};
use std::collections::{BTreeMap, BTreeSet};

/// So many ConfigMaps and Secrets of a workload are read, a question for each; a template that names more is hostile.
const CONFIGURATIONS: usize = 12;

/// What of a part is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tell {
    /// Only Events about it.
    Events,
    /// What ails it, of a node that pods are on.
    Ills,
    /// How its containers and it ended, of a pod on a node.
    Ends,
    /// What was written to it.
    Writes,
    /// Everything.
    All,
}

/// A part of what was asked about.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) object: &'a Object,
    /// The workload in whose timeline it is, where that is another.
    pub(super) line: Option<ResourceRef>,
    pub(super) tell: Tell,
}

/// All parts, in a deterministic order.
#[derive(Debug, Default)]
pub(super) struct Parts<'a> {
    pub(super) members: Vec<Member<'a>>,
    /// What is known to be gone, with the time.
    pub(super) gone: Vec<(&'a Object, reckon_model::Timestamp)>,
    /// What makes pods, with the line these are in: pods that are gone are known by their names.
    pub(super) makers: Vec<(ResourceRef, ResourceRef)>,
}

/// Collects parts, each once and told as fully as anything asks for.
struct Collection<'a, 'v> {
    view: &'v View<'a>,
    members: BTreeMap<ResourceRef, Member<'a>>,
    makers: BTreeMap<ResourceRef, ResourceRef>,
}

/// The parts of what was asked about.
pub(super) fn of<'a>(view: &View<'a>, scope: &Scope) -> Parts<'a> {
    let mut all = Collection { view, members: BTreeMap::new(), makers: BTreeMap::new() };
    let mut gone = Vec::new();
    match scope {
        Scope::Cluster | Scope::Namespace(_) => all.everything(namespace_of(scope)),
        Scope::Object(target) => match view.look_up(target) {
            Lookup::Found(object) => all.around(object),
            Lookup::Absent { .. } | Lookup::Unread => {}
        },
    }
    let kinds: BTreeSet<Kind> = match scope {
        Scope::Object(target) => {
            let mut kinds: BTreeSet<Kind> = all.members.keys().map(|reference| reference.kind.clone()).collect();
            kinds.extend([Kind::Pod, target.kind.clone()]);
            kinds
        }
        _ => Kind::named().cloned().collect(),
    };
    for kind in &kinds {
        for (object, at) in view.deleted(kind, namespace_of(scope).filter(|_| kind.namespaced())) {
            let reference = object.reference();
            let is_asked = matches!(scope, Scope::Object(target) if *target == reference);
            let is_part = all.makers.keys().any(|maker| {
                object
                    .meta
                    .controller()
                    .is_some_and(|owner| owner.uid == maker.uid.as_deref().unwrap_or("") && owner.name == maker.name)
            });
            if is_asked || is_part || !matches!(scope, Scope::Object(_)) {
                gone.push((object, at));
            }
        }
    }
    let Collection { members, makers, .. } = all;
    Parts { members: members.into_values().collect(), gone, makers: makers.into_iter().collect() }
}

impl<'a> Collection<'a, '_> {
    fn add(&mut self, object: &'a Object, line: Option<&ResourceRef>, tell: Tell) {
        let reference = object.reference();
        let line = line.filter(|line| **line != reference).cloned();
        let member = self.members.entry(reference).or_insert_with(|| Member { object, line: line.clone(), tell });
        member.tell = member.tell.max(tell);
        member.line = member.line.take().or(line);
    }

    fn around(&mut self, object: &'a Object) {
        let view = self.view;
        match &object.body {
            Body::Pod(_) => {
                let top = view.workload_of(object);
                self.add(object, Some(&top.reference()), Tell::All);
                self.configurations(object);
                if top.reference() != object.reference() {
                    self.add(top, None, Tell::Writes);
                }
                self.node(object);
            }
            Body::Workload(_) | Body::CronJob(_) => {
                self.workload(object);
                self.configurations(object);
                // A ReplicaSet is what somebody made of its Deployment.
                let top = view.workload_of(object);
                if top.reference() != object.reference() {
                    self.add(top, None, Tell::Writes);
                }
            }
            Body::Service(service) => {
                self.add(object, None, Tell::All);
                if !service.spec.selector.is_empty() {
                    let selector = LabelSelector::exact(&service.spec.selector);
                    let pods = view.matching(&Kind::Pod, object.meta.namespace.as_deref(), &selector).items;
                    let tops: BTreeMap<ResourceRef, &Object> =
                        pods.into_iter().map(|pod| view.workload_of(pod)).map(|top| (top.reference(), top)).collect();
                    tops.into_values().for_each(|top| self.workload(top));
                }
            }
            Body::Node(_) => {
                self.add(object, None, Tell::All);
                for pod in view.pods_on(&object.meta.name).unwrap_or_default() {
                    let top = view.known_one(&self.owner_known(pod)).map_or(pod, |owner| owner);
                    self.add(pod, Some(&top.reference()), Tell::Ends);
                }
            }
            _ => self.add(object, None, Tell::All),
        }
    }

    /// The topmost owner that is known; asks nothing.
    fn owner_known(&self, object: &Object) -> ResourceRef {
        let mut top = object.reference();
        let mut owner = object.meta.controller().cloned();
        // Owners form a chain of at most a handful; a cycle in hostile metadata ends here.
        for _ in 0..8 {
            let Some(named) = owner.filter(|owner| owner.kind != "Node") else { break };
            top = named.reference(object.meta.namespace.as_deref());
            owner = self.view.known_one(&top).and_then(|found| found.meta.controller().cloned());
        }
        top
    }

    /// A workload with what it makes.
    fn workload(&mut self, object: &'a Object) {
        let view = self.view;
        let namespace = object.meta.namespace.as_deref();
        let line = view.workload_of(object).reference();
        self.add(object, Some(&line), Tell::All);
        match (&object.kind, object.workload()) {
            (Kind::Deployment, Some(body)) => {
                let _ = view.matching(&Kind::ReplicaSet, namespace, &body.spec.selector);
            }
            (Kind::CronJob, _) => drop(view.all(&Kind::Job, namespace)),
            _ => {}
        }
        let mut makers = vec![object];
        if matches!(object.kind, Kind::Deployment | Kind::CronJob) {
            makers.extend(view.children(&object.reference()).filter(|child| {
                matches!(child.kind, Kind::ReplicaSet | Kind::Job)
                    && child.meta.controller().is_some_and(|owner| owner.uid == object.meta.uid)
            }));
        }
        for maker in makers {
            if maker.reference() != object.reference() {
                self.add(maker, Some(&line), Tell::Events);
            }
            // The pods of a Deployment are named after its ReplicaSets, and these after it.
            self.makers.insert(maker.reference(), line.clone());
        }
        for pod in view.pods_of(object).items {
            self.add(pod, Some(&line), Tell::All);
            self.node(pod);
        }
    }

    /// The node of a pod, if it happens to be known: what ails it explains the pod.
    fn node(&mut self, pod: &Object) {
        let name = pod.pod().map_or("", |body| &body.spec.node_name);
        if let Some(node) = self.view.known_one(&ResourceRef::new(Kind::Node, None, name)).filter(|_| !name.is_empty())
        {
            self.add(node, None, Tell::Ills);
        }
    }

    /// The ConfigMaps and Secrets that pods of it read: what is written there is written to it.
    fn configurations(&mut self, object: &'a Object) {
        let named: BTreeSet<ResourceRef> = graph::of(object)
            .into_iter()
            .filter(|edge| edge.relation == Relation::Configuration)
            .filter_map(|edge| match edge.end {
                End::One(reference) if matches!(reference.kind, Kind::ConfigMap | Kind::Secret) => Some(reference),
                _ => None,
            })
            // In every namespace, and nobody's business.
            .filter(|reference| reference.name != "kube-root-ca.crt")
            .collect();
        for reference in named.into_iter().take(CONFIGURATIONS) {
            if let Lookup::Found(found) = self.view.look_up(&reference) {
                self.add(found, None, Tell::Writes);
            }
        }
    }

    /// All of a namespace, or of the cluster.
    fn everything(&mut self, namespace: Option<&str>) {
        let view = self.view;
        for kind in Kind::named() {
            let is_noise = matches!(
                kind,
                Kind::Pod | Kind::ReplicaSet | Kind::Job | Kind::Event | Kind::EndpointSlice | Kind::ControllerRevision
            );
            if is_noise || (namespace.is_some() && !kind.namespaced()) {
                continue;
            }
            for object in view.known(kind, namespace) {
                match &object.body {
                    Body::Workload(_) | Body::CronJob(_) => self.workload(object),
                    // Releases are told by what they brought.
                    _ if object.meta.labels.get("owner").is_some_and(|owner| owner == "helm") => {}
                    Body::Node(_) => self.add(object, None, Tell::All),
                    _ => self.add(object, None, Tell::Writes),
                }
            }
        }
        // What no workload above makes.
        for kind in [Kind::ReplicaSet, Kind::Job, Kind::Pod] {
            for object in view.known(&kind, namespace) {
                if self.members.contains_key(&object.reference()) {
                    continue;
                }
                match kind {
                    Kind::Pod => self.add(object, None, Tell::All),
                    _ => self.workload(object),
                }
            }
        }
    }
}
