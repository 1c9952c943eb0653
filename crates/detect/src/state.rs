//! What is known of a cluster.

use crate::redact;
use reckon_model::kernel::NodeFacts;
use reckon_model::{Answer, Body, ClusterId, Gap, Kind, LogLine, Need, Object, ResourceRef, Sample, Timestamp};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a cluster: objects, what went away, what was answered, and how far the knowledge reaches.
///
/// Intake redacts; nothing secret gets past it. Every map is ordered, so that nothing depends on the order of arrival.
#[derive(Debug, Default)]
pub struct State {
    cluster: ClusterId,
    objects: BTreeMap<ResourceRef, Object>,
    tombstones: BTreeMap<ResourceRef, Tombstone>,
    coverage: BTreeMap<(Kind, Option<String>), Coverage>,
    answers: BTreeMap<Need, Standing>,
    logs: BTreeMap<Need, Vec<LogLine>>,
    manifests: BTreeMap<Need, Vec<Value>>,
    kernels: BTreeMap<String, NodeFacts>,
    samples: BTreeMap<(String, String, String), Vec<Sample>>,
    index: Index,
}

/// An object that went away.
#[derive(Debug)]
pub(crate) struct Tombstone {
    /// As it last was.
    pub object: Object,
    /// When it was seen to be gone.
    pub at: Timestamp,
}

/// Whether all objects of a kind in a scope are in the state.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Coverage {
    Complete,
    Refused(Gap),
}

/// What came of a question that was asked one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Got,
    NotFound,
    Refused(Gap),
}

/// Ways to find objects other than by name.
#[derive(Debug, Default)]
struct Index {
    /// Events by what they are about: kind, namespace, name.
    events: BTreeMap<(String, String, String), BTreeSet<ResourceRef>>,
    /// Objects by the owner that controls them.
    children: BTreeMap<ResourceRef, BTreeSet<ResourceRef>>,
    /// Pods by node.
    on_node: BTreeMap<String, BTreeSet<ResourceRef>>,
}

/// How long what went away stays evidence.
const TOMBSTONE_HOURS: i64 = 24;

impl State {
    /// Nothing is known yet.
    pub fn new(cluster: ClusterId) -> Self {
        State { cluster, ..State::default() }
    }

    /// Which cluster this is.
    pub fn cluster(&self) -> &ClusterId {
        &self.cluster
    }

    /// An object appeared or was written.
    pub fn apply(&mut self, mut object: Object) {
        redact::object_in_place(&mut object);
        let reference = object.reference();
        let restarted = self.objects.get(&reference).is_some_and(|old| old.pod().map(ends) != object.pod().map(ends));
        if restarted {
            self.forget_logs(&reference);
        }
        if let Some(old) = self.objects.get(&reference) {
            self.index.remove(&reference, old);
            // Another object of the same name: the one before it is gone.
            if old.meta.uid != object.meta.uid
                && let (Some(at), Some(old)) = (object.meta.created, self.objects.remove(&reference))
            {
                self.tombstones.insert(reference.clone(), Tombstone { object: old, at });
            }
        }
        self.index.insert(&reference, &object);
        self.objects.insert(reference, object);
    }

    /// Answers grow old while the cluster goes on: those that were refused, that found nothing, or that brought what nobody
    /// follows are asked again when they are needed again. Logs stay as long as their pod does not change.
    pub fn forget_answers(&mut self) {
        let is_log = |need: &Need| matches!(need, Need::Log { .. });
        self.answers.retain(|need, standing| is_log(need) && *standing == Standing::Got);
        self.samples.clear();
        self.manifests.clear();
    }

    /// What was told of a pod's containers before it changed or went.
    fn forget_logs(&mut self, pod: &ResourceRef) {
        let of_it = |need: &Need| matches!(need, Need::Log { namespace, pod: name, .. } if *name == pod.name && namespace == pod.namespace());
        self.logs.retain(|need, _| !of_it(need));
        self.answers.retain(|need, _| !of_it(need));
    }

    /// An object went away, seen at this time.
    pub fn delete(&mut self, reference: &ResourceRef, at: Timestamp) {
        if reference.kind == Kind::Pod {
            self.forget_logs(reference);
        }
        if let Some((reference, object)) = self.objects.remove_entry(reference) {
            self.index.remove(&reference, &object);
            // Events expire, and slices follow their Service: neither is evidence by its absence.
            if matches!(reference.kind, Kind::Event | Kind::EndpointSlice) {
                return;
            }
            self.tombstones.insert(reference, Tombstone { object, at });
        }
        let horizon = at.saturating_sub(jiff::SignedDuration::from_hours(TOMBSTONE_HOURS)).unwrap_or(Timestamp::MIN);
        self.tombstones.retain(|_, tombstone| tombstone.at >= horizon);
    }

    /// Every object of this kind in this scope (`None`: the whole cluster) has been applied.
    pub fn cover(&mut self, kind: &Kind, namespace: Option<&str>) {
        self.coverage.insert((kind.clone(), namespace.map(str::to_owned)), Coverage::Complete);
    }

    /// The objects of this kind in this scope could not be listed.
    pub fn refuse(&mut self, kind: &Kind, namespace: Option<&str>, gap: Gap) {
        self.coverage.insert((kind.clone(), namespace.map(str::to_owned)), Coverage::Refused(gap));
    }

    /// A question was answered.
    pub fn answer(&mut self, need: Need, answer: Answer) {
        let standing = match answer {
            Answer::NotFound => Standing::NotFound,
            Answer::Refused(gap) => Standing::Refused(gap),
            Answer::Objects(objects) => {
                objects.into_iter().for_each(|object| self.apply(object));
                Standing::Got
            }
            Answer::Part(objects, gap) => {
                objects.into_iter().for_each(|object| self.apply(object));
                Standing::Refused(gap)
            }
            Answer::Log(mut lines) => {
                for line in &mut lines {
                    redact::in_place(&mut line.text);
                }
                self.logs.insert(need.clone(), lines);
                Standing::Got
            }
            Answer::Samples(samples) => {
                for sample in samples {
                    let key = (sample.namespace.clone(), sample.pod.clone(), sample.container.clone());
                    let series = self.samples.entry(key).or_default();
                    if !series.contains(&sample) {
                        series.push(sample);
                        series.sort_by_key(|sample| sample.at);
                    }
                }
                Standing::Got
            }
            Answer::Kernel(facts) => {
                if let Need::Kernel { node, .. } = &need {
                    self.observe(node, *facts);
                }
                Standing::Got
            }
            Answer::Manifest(mut objects) => {
                objects.iter_mut().for_each(redact::object);
                self.manifests.insert(need.clone(), objects);
                Standing::Got
            }
        };
        self.answers.insert(need, standing);
    }

    /// Whether this object is known.
    pub fn holds(&self, reference: &ResourceRef) -> bool {
        self.objects.contains_key(reference)
    }

    /// The labels of a known object.
    pub fn labels(&self, reference: &ResourceRef) -> Option<&BTreeMap<String, String>> {
        self.objects.get(reference).map(|object| &object.meta.labels)
    }

    /// The namespaces in which something is known, and those that are known themselves.
    pub fn namespaces(&self) -> BTreeSet<String> {
        let used = self.objects.keys().filter_map(|reference| reference.namespace.clone());
        used.chain(self.names(&Kind::Namespace, None)).collect()
    }

    /// The namespaces with a known object of this kind and name.
    pub fn places(&self, kind: &Kind, name: &str) -> Vec<String> {
        let named = self.objects(kind, None).filter(|object| object.meta.name == name);
        named.filter_map(|object| object.meta.namespace.clone()).collect()
    }

    /// The names of the known objects of a kind, in a namespace if one is given.
    pub fn names(&self, kind: &Kind, namespace: Option<&str>) -> Vec<String> {
        self.objects(kind, namespace).map(|object| object.meta.name.clone()).collect()
    }

    pub(crate) fn get(&self, reference: &ResourceRef) -> Option<&Object> {
        self.objects.get(reference)
    }

    pub(crate) fn tombstone(&self, reference: &ResourceRef) -> Option<&Tombstone> {
        self.tombstones.get(reference)
    }

    pub(crate) fn tombstones(&self) -> impl Iterator<Item = (&ResourceRef, &Tombstone)> {
        self.tombstones.iter()
    }

    /// The known objects of a kind, in a namespace if one is given, by namespace and name.
    pub(crate) fn objects<'a>(
        &'a self,
        kind: &Kind,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = &'a Object> + use<'a> {
        let from =
            ResourceRef { kind: kind.clone(), namespace: namespace.map(str::to_owned), name: String::new(), uid: None };
        let kind = kind.clone();
        let namespace = namespace.map(str::to_owned);
        self.objects
            .range(from..)
            .take_while(move |(key, _)| {
                key.kind == kind && namespace.as_deref().is_none_or(|namespace| key.namespace() == namespace)
            })
            .map(|(_, object)| object)
    }

    /// Whether every object of this kind in this scope is here: `None` if nobody has looked.
    pub(crate) fn covered(&self, kind: &Kind, namespace: Option<&str>) -> Option<Result<(), &Gap>> {
        let namespace = namespace.filter(|_| kind.namespaced());
        let whole = self.coverage.get(&(kind.clone(), None));
        let part = namespace.and_then(|namespace| self.coverage.get(&(kind.clone(), Some(namespace.to_owned()))));
        match (part, whole) {
            (Some(Coverage::Complete), _) | (_, Some(Coverage::Complete)) => Some(Ok(())),
            (Some(Coverage::Refused(gap)), _) | (None, Some(Coverage::Refused(gap))) => Some(Err(gap)),
            (None, None) => None,
        }
    }

    pub(crate) fn standing(&self, need: &Need) -> Option<&Standing> {
        self.answers.get(need)
    }

    pub(crate) fn log(&self, need: &Need) -> Option<&[LogLine]> {
        self.logs.get(need).map(Vec::as_slice)
    }

    pub(crate) fn manifest(&self, need: &Need) -> Option<&[Value]> {
        self.manifests.get(need).map(Vec::as_slice)
    }

    /// Takes what a node's kernel tells, instead of what was known of it.
    pub fn observe(&mut self, node: &str, facts: NodeFacts) {
        self.kernels.insert(node.to_owned(), facts);
    }

    pub(crate) fn kernel(&self, node: &str) -> Option<&NodeFacts> {
        self.kernels.get(node)
    }

    pub(crate) fn samples(&self, namespace: &str, pod: &str, container: &str) -> &[Sample] {
        self.samples.get(&(namespace.to_owned(), pod.to_owned(), container.to_owned())).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn events_about(&self, reference: &ResourceRef) -> impl Iterator<Item = &Object> {
        let key = (reference.kind.name().to_owned(), reference.namespace().to_owned(), reference.name.clone());
        self.index.events.get(&key).into_iter().flatten().filter_map(|event| self.objects.get(event))
    }

    pub(crate) fn children(&self, owner: &ResourceRef) -> impl Iterator<Item = &Object> {
        self.index.children.get(owner).into_iter().flatten().filter_map(|child| self.objects.get(child))
    }

    pub(crate) fn pods_on(&self, node: &str) -> impl Iterator<Item = &Object> {
        self.index.on_node.get(node).into_iter().flatten().filter_map(|pod| self.objects.get(pod))
    }

    /// What could not be read at all.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = &Gap> {
        self.coverage.values().filter_map(|coverage| match coverage {
            Coverage::Refused(gap) => Some(gap),
            Coverage::Complete => None,
        })
    }

    /// The kinds that were looked at, and whether logs and metrics were.
    pub(crate) fn looked(&self) -> Vec<String> {
        let mut kinds: BTreeSet<&Kind> = self.objects.keys().map(|reference| &reference.kind).collect();
        kinds.extend(self.coverage.iter().filter(|(_, c)| **c == Coverage::Complete).map(|((kind, _), _)| kind));
        kinds.extend(self.answers.iter().filter(|(_, standing)| **standing == Standing::Got).filter_map(
            |(need, _)| match need {
                Need::Object { kind, .. } | Need::List { kind, .. } => Some(kind),
                Need::PodsOn { .. } => Some(&Kind::Pod),
                Need::Events { .. } => Some(&Kind::Event),
                _ => None,
            },
        ));
        let mut looked: Vec<String> = kinds.into_iter().map(|kind| kind.name().to_owned()).collect();
        if !self.logs.is_empty() {
            looked.push("logs".to_owned());
        }
        if !self.samples.is_empty() {
            looked.push("metrics".to_owned());
        }
        if !self.kernels.is_empty() {
            looked.push("kernel log".to_owned());
        }
        looked
    }
}

/// The ends of a pod's containers: another one makes another log.
fn ends(pod: &reckon_model::k8s::Pod) -> Vec<(&str, i64, bool)> {
    let of = |status: &reckon_model::k8s::ContainerStatus| i64::from(status.restart_count);
    let statuses = pod.containers().filter_map(|(_, container, status)| Some((container.name.as_str(), status?)));
    statuses.map(|(name, status)| (name, of(status), status.state.terminated.is_some())).collect()
}

impl Index {
    fn insert(&mut self, reference: &ResourceRef, object: &Object) {
        for (set, member) in self.places(reference, object) {
            set.insert(member);
        }
    }

    fn remove(&mut self, reference: &ResourceRef, object: &Object) {
        for (set, member) in self.places(reference, object) {
            set.remove(&member);
        }
    }

    /// The sets an object belongs to. Sets stay when they run empty: names come back.
    fn places(&mut self, reference: &ResourceRef, object: &Object) -> Vec<(&mut BTreeSet<ResourceRef>, ResourceRef)> {
        let mut places = Vec::new();
        if let Body::Event(event) = &object.body {
            let about = &event.involved_object;
            let key = (about.kind.clone(), about.namespace.clone(), about.name.clone());
            places.push((self.events.entry(key).or_default(), reference.clone()));
        }
        if let Some(owner) = object.meta.controller() {
            let owner = owner.reference(object.meta.namespace.as_deref());
            places.push((self.children.entry(owner).or_default(), reference.clone()));
        }
        if let Some(pod) = object.pod()
            && !pod.spec.node_name.is_empty()
        {
            places.push((self.on_node.entry(pod.spec.node_name.clone()).or_default(), reference.clone()));
        }
        places
    }
}
