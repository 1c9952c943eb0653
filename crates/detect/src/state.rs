//! What is known of a cluster.

mod changes;
mod nodes;
mod objects;
mod steps;

use crate::intake::Intake;
use crate::lease::Lease;
use crate::redact;
pub(crate) use changes::{Changes, Digest, Topic};
pub use nodes::Full;
pub(crate) use objects::Number;
use objects::{Objects, Places, request_alike};
use reckon_model::kernel::NodeFacts;
use reckon_model::{
    Answer, Body, ClusterId, Demand, Gap, Kind, LogLine, Object, ResourceRef, Sample, Specs, Timestamp,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
pub use steps::Step;
use steps::Steps;

/// What is known of a cluster: objects, what went away, what was answered, and how far the knowledge reaches.
///
/// Intake redacts; nothing secret gets past it. Every map is ordered, so that nothing depends on the order of arrival.
#[derive(Debug, Default)]
pub struct State {
    cluster: ClusterId,
    intake: Intake,
    objects: Objects,
    tombstones: BTreeMap<ResourceRef, Tombstone>,
    /// When the oldest tombstone was set, if not before that.
    oldest: Option<Timestamp>,
    coverage: BTreeMap<(Kind, Option<String>), Coverage>,
    answers: BTreeMap<Demand, Standing>,
    logs: BTreeMap<Demand, Vec<LogLine>>,
    manifests: BTreeMap<Demand, Vec<Value>>,
    kernels: BTreeMap<String, NodeFacts>,
    samples: BTreeMap<(String, String, String), Vec<Sample>>,
    changes: Changes,
    /// What became of objects, where somebody keeps a record.
    steps: Steps,
}

/// An object that went away.
#[derive(Debug)]
pub(crate) struct Tombstone {
    /// As it last was.
    pub object: Arc<Object>,
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

/// How long what went away stays evidence, at least.
const TOMBSTONE_HOURS: i64 = 24;

/// How much longer it may stay, so that not every deletion has to look through all that went before.
const TOMBSTONE_SLACK_HOURS: i64 = 1;

impl State {
    /// Nothing is known yet.
    pub fn new(cluster: ClusterId) -> Self {
        State { cluster, ..State::default() }
    }

    /// Takes in what was decoded with these.
    pub fn with_specs(mut self, specs: Specs) -> Self {
        self.intake.decoded = specs;
        self
    }

    /// Which cluster this is.
    pub fn cluster(&self) -> &ClusterId {
        &self.cluster
    }

    /// An object appeared or was written.
    pub fn apply(&mut self, object: Object) {
        let version = self.steps.version(&object);
        let before = self.objects.named(&object.kind, object.namespace(), &object.meta.name);
        let object = Arc::new(self.intake.take(object, before));
        if before.is_some_and(|before| nodes::repeats(before, &object)) {
            return;
        }
        let filled = self.filled(before, Some(&object));
        let places = Places::of(&object);
        let (number, before) = self.objects.insert(&object, &places);
        let was = before.as_ref().map(|(before, left)| (&**before, left.as_ref().unwrap_or(&places)));
        self.changes.object(number, was, Some((&object, &places)));
        self.touch_filled(&filled);
        self.steps.applied(before.as_ref().map(|(before, _)| before), &object, version);
        let Some((before, _)) = before else { return };
        let restarted = match (before.pod(), object.pod()) {
            (Some(before), Some(now)) => !ends(before).eq(ends(now)),
            _ => false,
        };
        if restarted {
            self.forget_logs(&object.reference());
        }
        // Another object of the same name: the one before it is gone.
        if before.meta.uid != object.meta.uid
            && let Some(at) = object.meta.created
        {
            self.bury(before, at);
        }
    }

    /// The nodes that may become full by a change, or no more be, as they are before it.
    fn filled(&self, before: Option<&Object>, now: Option<&Object>) -> BTreeMap<String, Option<Full>> {
        let place = |object: &'_ Object| match &object.body {
            Body::Node(_) => Some(object.meta.name.clone()),
            Body::Pod(pod) => Some(pod.spec.node_name.clone()).filter(|node| !node.is_empty()),
            _ => None,
        };
        if let (Some(Body::Pod(one)), Some(Body::Pod(other))) = (before.map(|it| &it.body), now.map(|it| &it.body))
            && one.spec.node_name == other.spec.node_name
            && before.zip(now).is_some_and(|(before, now)| request_alike(before, now))
        {
            return BTreeMap::new();
        }
        let nodes = before.into_iter().chain(now).filter_map(place);
        nodes.map(|node| (node.clone(), self.full(&node))).collect()
    }

    fn touch_filled(&mut self, before: &BTreeMap<String, Option<Full>>) {
        for (node, full) in before {
            if self.full(node) != *full {
                self.changes.touch(&Topic::Full(node));
            }
        }
    }

    fn bury(&mut self, object: Arc<Object>, at: Timestamp) {
        self.changes.touch(&Topic::Gone(&object.kind));
        self.oldest = Some(self.oldest.map_or(at, |oldest| oldest.min(at)));
        self.tombstones.insert(object.reference(), Tombstone { object, at });
    }

    /// Forgets what went away too long ago to be evidence.
    fn exhume(&mut self, now: Timestamp) {
        let before = |hours| now.saturating_sub(jiff::SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MIN);
        if self.oldest.is_none_or(|oldest| oldest >= before(TOMBSTONE_HOURS + TOMBSTONE_SLACK_HOURS)) {
            return;
        }
        let horizon = before(TOMBSTONE_HOURS);
        let State { tombstones, changes, .. } = self;
        tombstones.retain(|reference, tombstone| {
            let stays = tombstone.at >= horizon;
            if !stays {
                changes.touch(&Topic::Gone(&reference.kind));
                changes.touch(&Topic::Object(&reference.kind, reference.namespace(), &reference.name));
                changes.touch(&Topic::There(&reference.kind, reference.namespace(), &reference.name));
            }
            stays
        });
        self.oldest = self.tombstones.values().map(|tombstone| tombstone.at).min();
    }

    /// From now on keeps what becomes of each object until [`State::take_steps`] takes it.
    pub fn keep_steps(&mut self) {
        self.steps.keep();
    }

    /// What became of objects since this was last asked, in order; nothing without [`State::keep_steps`].
    pub fn take_steps(&mut self) -> Vec<Step> {
        self.steps.take()
    }

    /// What changed since this was last asked.
    pub(crate) fn take_changes(&mut self) -> Changes {
        std::mem::replace(&mut self.changes, Changes::none())
    }

    /// Answers grow old while the cluster goes on: those that were refused, that found nothing, or that brought what nobody
    /// follows are asked again when they are needed again. Logs stay as long as their pod does not change.
    pub fn forget_answers(&mut self) {
        // A Lease that nobody follows tells that its holder was there when it was read, and nothing of later.
        let leases: Vec<ResourceRef> =
            self.objects(&Lease::kind(), None).map(reckon_model::Object::reference).collect();
        for reference in leases {
            if let Some((number, object, places)) = self.objects.remove(&reference) {
                self.changes.object(number, Some((&object, &places)), None);
            }
        }
        let is_log = |demand: &Demand| matches!(demand, Demand::Log { .. });
        let State { answers, changes, .. } = self;
        answers.retain(|demand, standing| {
            let stays = is_log(demand) && *standing == Standing::Got;
            if !stays {
                changes.touch(&Topic::Demand(demand));
            }
            stays
        });
        self.changes.touch(&Topic::Samples);
        self.samples.clear();
        self.manifests.clear();
    }

    /// What was told of a pod's containers before it changed or went.
    fn forget_logs(&mut self, pod: &ResourceRef) {
        let of_it = |demand: &Demand| matches!(demand, Demand::Log { namespace, pod: name, .. } if *name == pod.name && namespace == pod.namespace());
        let State { logs, answers, changes, .. } = self;
        logs.retain(|demand, _| !of_it(demand));
        answers.retain(|demand, _| {
            let gone = of_it(demand);
            if gone {
                changes.touch(&Topic::Demand(demand));
            }
            !gone
        });
    }

    /// An object went away, seen at this time.
    pub fn delete(&mut self, reference: &ResourceRef, at: Timestamp) {
        if reference.kind == Kind::Pod {
            self.forget_logs(reference);
        }
        let filled = self.filled(self.objects.get(reference), None);
        if let Some((number, object, places)) = self.objects.remove(reference) {
            self.changes.object(number, Some((&object, &places)), None);
            self.touch_filled(&filled);
            self.steps.deleted(&object, at);
            // Events expire, and slices follow their Service: neither is evidence by its absence.
            if matches!(reference.kind, Kind::Event | Kind::EndpointSlice) {
                return;
            }
            self.bury(object, at);
        }
        self.exhume(at);
    }

    /// Every object of this kind in this scope (`None`: the whole cluster) has been applied.
    pub fn cover(&mut self, kind: &Kind, namespace: Option<&str>) {
        self.reach(kind, namespace, Coverage::Complete);
    }

    /// The objects of this kind in this scope could not be listed.
    pub fn refuse(&mut self, kind: &Kind, namespace: Option<&str>, gap: Gap) {
        self.reach(kind, namespace, Coverage::Refused(gap));
    }

    /// What is known to be all there is bears on everything, and seldom changes.
    fn reach(&mut self, kind: &Kind, namespace: Option<&str>, coverage: Coverage) {
        let key = (kind.clone(), namespace.map(str::to_owned));
        if self.coverage.get(&key) != Some(&coverage) {
            self.coverage.insert(key, coverage);
            self.changes.all();
        }
    }

    /// A question was answered.
    pub fn answer(&mut self, demand: Demand, answer: Answer) {
        self.changes.touch(&Topic::Demand(&demand));
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
                self.logs.insert(demand.clone(), lines);
                Standing::Got
            }
            Answer::Samples(samples) => {
                self.changes.touch(&Topic::Samples);
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
                if let Demand::Kernel { node, .. } = &demand {
                    self.observe(node, *facts);
                }
                Standing::Got
            }
            Answer::Manifest(mut objects) => {
                objects.iter_mut().for_each(redact::object);
                self.manifests.insert(demand.clone(), objects);
                Standing::Got
            }
        };
        self.answers.insert(demand, standing);
    }

    /// Whether this object is known.
    pub fn holds(&self, reference: &ResourceRef) -> bool {
        self.objects.get(reference).is_some()
    }

    /// The labels of a known object.
    pub fn labels(&self, reference: &ResourceRef) -> Option<&BTreeMap<String, String>> {
        self.objects.get(reference).map(|object| &*object.meta.labels)
    }

    /// The namespaces in which something is known, and those that are known themselves.
    pub fn namespaces(&self) -> BTreeSet<String> {
        let used = self.objects.namespaces().map(str::to_owned);
        used.chain(self.names(&Kind::Namespace, None)).collect()
    }

    /// The namespaces with a known object of this kind and name.
    pub fn places(&self, kind: &Kind, name: &str) -> Vec<String> {
        self.named(kind, name).filter_map(|object| object.meta.namespace.clone()).collect()
    }

    /// The known objects of a kind and name, by namespace.
    pub(crate) fn named<'a>(&'a self, kind: &Kind, name: &str) -> impl Iterator<Item = &'a Object> + use<'a> {
        self.objects.of_name(kind, name).collect::<Vec<_>>().into_iter()
    }

    /// The names of the known objects of a kind, in a namespace if one is given.
    pub fn names(&self, kind: &Kind, namespace: Option<&str>) -> Vec<String> {
        self.objects(kind, namespace).map(|object| object.meta.name.clone()).collect()
    }

    /// One object, if it is known.
    pub fn get(&self, reference: &ResourceRef) -> Option<&Object> {
        self.objects.get(reference)
    }

    pub(crate) fn tombstone(&self, reference: &ResourceRef) -> Option<&Tombstone> {
        self.tombstones.get(reference)
    }

    pub(crate) fn tombstones(&self) -> impl Iterator<Item = (&ResourceRef, &Tombstone)> {
        self.tombstones.iter()
    }

    /// The known objects of a kind, in a namespace if one is given, by namespace and name.
    pub fn objects<'a>(&'a self, kind: &Kind, namespace: Option<&str>) -> impl Iterator<Item = &'a Object> + use<'a> {
        self.numbered(kind, namespace).map(|(_, object)| object)
    }

    /// As [`State::objects`], with their numbers.
    pub(crate) fn numbered<'a>(
        &'a self,
        kind: &Kind,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = (Number, &'a Object)> + use<'a> {
        self.objects.of(kind, namespace)
    }

    /// The object of a number, if there is one.
    pub(crate) fn number(&self, number: Number) -> Option<&Object> {
        self.objects.numbered(number)
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

    pub(crate) fn standing(&self, demand: &Demand) -> Option<&Standing> {
        self.answers.get(demand)
    }

    pub(crate) fn log(&self, demand: &Demand) -> Option<&[LogLine]> {
        self.logs.get(demand).map(Vec::as_slice)
    }

    /// The redacted objects of a Helm revision's manifest, where that was asked for.
    pub fn manifest(&self, demand: &Demand) -> Option<&[Value]> {
        self.manifests.get(demand).map(Vec::as_slice)
    }

    /// Takes what a node's kernel tells, instead of what was known of it.
    pub fn observe(&mut self, node: &str, facts: NodeFacts) {
        self.changes.touch(&Topic::Kernel(node));
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
        self.objects.events(&key)
    }

    /// What an owner controls.
    pub fn children(&self, owner: &ResourceRef) -> impl Iterator<Item = &Object> {
        self.objects.children(owner)
    }

    pub(crate) fn pods_on(&self, node: &str) -> impl Iterator<Item = &Object> {
        self.objects.on_node(node)
    }

    /// What is requested of a node's memory where that is nearly all of it.
    pub(crate) fn full(&self, node: &str) -> Option<Full> {
        Full::of(self.objects.named(&Kind::Node, "", node)?, self.objects.requested_on(node))
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
        let mut kinds: BTreeSet<&Kind> = self.objects.kinds().collect();
        kinds.extend(self.coverage.iter().filter(|(_, c)| **c == Coverage::Complete).map(|((kind, _), _)| kind));
        kinds.extend(self.answers.iter().filter(|(_, standing)| **standing == Standing::Got).filter_map(
            |(demand, _)| match demand {
                Demand::Object { kind, .. } | Demand::List { kind, .. } => Some(kind),
                Demand::PodsOn { .. } => Some(&Kind::Pod),
                Demand::Events { .. } => Some(&Kind::Event),
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
fn ends(pod: &reckon_model::k8s::Pod) -> impl Iterator<Item = (&str, u32, bool)> {
    let statuses = pod.containers().filter_map(|(_, container, status)| Some((container.name.as_str(), status?)));
    statuses.map(|(name, status)| (name, status.restart_count, status.state.terminated.is_some()))
}
