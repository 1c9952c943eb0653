//! What a detector sees.

mod seen;

pub use seen::{Lookup, Many, There};

use crate::state::{Digest, Full, Standing, State, Topic};
use reckon_model::k8s::Event;
use reckon_model::kernel::NodeFacts;
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Demand, Gap, Kind, LogLine, Object, Obstacle, ResourceRef, Sample, Shared, Timestamp};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// A frozen state at one moment, for one evaluation of one detector.
///
/// Every read of what is not known becomes a [`Demand`]; every read of what was refused becomes a gap of the findings made
/// with it. A detector therefore just reads, concludes from what there is, and is run again when more is known.
pub struct View<'a> {
    state: &'a State,
    now: Timestamp,
    close: bool,
    asked: RefCell<Asked>,
    reads: RefCell<Reads>,
}

/// What an evaluation read, beyond its subject: when any of it changes, the evaluation has to be made again.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// Digests of topics.
    pub(crate) topics: Vec<Digest>,
    /// Selections: kind, namespace (`None` for all), selector.
    pub(crate) selections: Vec<(Kind, Option<String>, LabelSelector)>,
    /// Whether it read the time, so that every moment may give another result.
    pub(crate) timed: bool,
    /// When it is made again though nothing changed.
    pub(crate) due: Option<Timestamp>,
}

/// Where `reckon node` runs, and what its pods are labelled with (`deploy/node.yaml`). Pods of that label in other
/// namespaces are not believed: people may make those who may not read a kernel.
const NODE_NAMESPACE: &str = "reckon";
const NODE_LABEL: (&str, &str) = ("app.kubernetes.io/name", "reckon-node");

/// So many nodes' reports are read for a list of all problems; of more, those that settle something.
const FEW_NODES: usize = 50;

/// What is said where a node's kernel cannot be asked.
const NO_NODE_REPORTS: &str = "no `reckon node` reports from there: which memory filled the limit, which process was killed, and \
                               kills that no status shows are not known";

/// What an evaluation asked for beyond what was there.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) demands: BTreeSet<Demand>,
    pub(crate) gaps: BTreeSet<Gap>,
    pub(crate) recheck_at: Option<Timestamp>,
}

impl<'a> View<'a> {
    pub(crate) fn new(state: &'a State, now: Timestamp) -> Self {
        View { state, now, close: false, asked: RefCell::default(), reads: RefCell::default() }
    }

    /// The same where one object was asked about: what would cost too much for all of them is worth asking then.
    pub(crate) fn closely(self, close: bool) -> Self {
        View { close, ..self }
    }

    pub(crate) fn into_asked(self) -> Asked {
        self.asked.into_inner()
    }

    /// What was asked for, and what was read.
    pub(crate) fn into_parts(self) -> (Asked, Reads) {
        (self.asked.into_inner(), self.reads.into_inner())
    }

    fn read(&self, topic: &Topic<'_>) {
        self.reads.borrow_mut().topics.push(topic.digest());
    }

    /// What came of a question that was asked one by one.
    fn standing(&self, demand: &Demand) -> Option<&'a Standing> {
        self.read(&Topic::Demand(demand));
        self.state.standing(demand)
    }

    /// Whether one object was asked about, and what costs more may be asked for it.
    pub fn is_close(&self) -> bool {
        self.close
    }

    /// The moment of the diagnosis. Who reads it is run again at every other; [`View::reached`] costs less.
    pub fn now(&self) -> Timestamp {
        self.reads.borrow_mut().timed = true;
        self.now
    }

    /// Whether this time has come. If not, who asks is run again when it has, as part of the next diagnosis;
    /// [`View::recheck_at`] is what makes that diagnosis happen.
    pub fn reached(&self, at: Timestamp) -> bool {
        if at > self.now {
            let mut reads = self.reads.borrow_mut();
            reads.due = Some(reads.due.map_or(at, |before| before.min(at)));
        }
        at <= self.now
    }

    /// Asks to be run again at this time: a grace ends, a deadline passes.
    pub fn recheck_at(&self, at: Timestamp) {
        if !self.reached(at) {
            let mut asked = self.asked.borrow_mut();
            asked.recheck_at = Some(asked.recheck_at.map_or(at, |before| before.min(at)));
        }
    }

    /// Looks up one object.
    pub fn object(&self, kind: &Kind, namespace: Option<&str>, name: &str) -> Lookup<'a> {
        self.look_up(&ResourceRef::new(kind.clone(), namespace, name))
    }

    /// Looks up the object of a reference.
    pub fn look_up(&self, reference: &ResourceRef) -> Lookup<'a> {
        self.read(&Topic::Object(&reference.kind, reference.namespace(), &reference.name));
        self.sought(reference)
    }

    /// Whether an object is there: what a thousand pods ask of what they stand on. Who asks is not run again for what else
    /// becomes of the object, so nothing may be read of it.
    pub fn there(&self, reference: &ResourceRef) -> There {
        self.read(&Topic::There(&reference.kind, reference.namespace(), &reference.name));
        match self.sought(reference) {
            Lookup::Found(_) => There::Yes,
            Lookup::Absent { deleted } => There::No { deleted },
            Lookup::Unread => There::Unread,
        }
    }

    fn sought(&self, reference: &ResourceRef) -> Lookup<'a> {
        if let Some(object) = self.state.get(reference) {
            return Lookup::Found(object);
        }
        let absent = || Lookup::Absent { deleted: self.state.tombstone(reference).map(|tombstone| tombstone.at) };
        let demand = Demand::Object {
            kind: reference.kind.clone(),
            namespace: reference.namespace.clone(),
            name: reference.name.clone(),
        };
        // What was asked one by one speaks before what is known of the whole kind: a user may get what they cannot list.
        match (self.standing(&demand), self.state.covered(&reference.kind, reference.namespace.as_deref())) {
            (Some(Standing::NotFound), _) | (None, Some(Ok(()))) => absent(),
            (Some(Standing::Got), _) => absent(),
            (Some(Standing::Refused(gap)), _) => self.gap(gap.clone()),
            (None, _) => self.ask(demand),
        }
    }

    /// One object that may have been meant. Asks for it, and takes a refusal for its absence: it is a help to people, and
    /// the diagnosis lacks nothing without it.
    pub fn perhaps(&self, reference: &ResourceRef) -> Option<&'a Object> {
        if let Some(object) = self.known_one(reference) {
            return Some(object);
        }
        let demand = Demand::Object {
            kind: reference.kind.clone(),
            namespace: reference.namespace.clone(),
            name: reference.name.clone(),
        };
        if let (None, None) =
            (self.standing(&demand), self.state.covered(&reference.kind, reference.namespace.as_deref()))
        {
            let _: Lookup<'_> = self.ask(demand);
        }
        None
    }

    /// All objects of a kind, in a namespace if one is given.
    pub fn all(&self, kind: &Kind, namespace: Option<&str>) -> Many<'a> {
        self.matching(kind, namespace, &LabelSelector::default())
    }

    /// The objects of a kind whose labels match.
    pub fn matching(&self, kind: &Kind, namespace: Option<&str>, selector: &LabelSelector) -> Many<'a> {
        let complete = self.is_complete(kind, namespace, selector);
        if selector.is_empty() {
            return Many { items: self.known(kind, namespace).collect(), complete };
        }
        let selection = (kind.clone(), namespace.map(str::to_owned), selector.clone());
        self.reads.borrow_mut().selections.push(selection);
        // Those of one template follow each other and have one set of labels: it is looked at once.
        let mut last: Option<(&Shared<BTreeMap<String, String>>, bool)> = None;
        let items = self.state.objects(kind, namespace).filter(|object| {
            let labels = &object.meta.labels;
            let matches = match last {
                Some((known, matches)) if known.is_one(labels) => matches,
                _ => selector.matches(labels),
            };
            last = Some((labels, matches));
            matches
        });
        Many { items: items.collect(), complete }
    }

    /// Whether all objects of a kind are known that this selector may match. Asks for them if nobody has.
    fn is_complete(&self, kind: &Kind, namespace: Option<&str>, selector: &LabelSelector) -> bool {
        if self.state.covered(kind, namespace) == Some(Ok(())) {
            return true;
        }
        let demand = Demand::List {
            kind: kind.clone(),
            namespace: namespace.filter(|_| kind.namespaced()).map(str::to_owned),
            selector: selector.query(),
        };
        match (self.state.covered(kind, namespace), self.standing(&demand)) {
            (Some(Ok(())), _) | (_, Some(Standing::Got | Standing::NotFound)) => true,
            (_, Some(Standing::Refused(gap))) | (Some(Err(gap)), None) => {
                let _: Lookup<'_> = self.gap(gap.clone());
                false
            }
            (None, None) => {
                let _: Lookup<'_> = self.ask(demand);
                false
            }
        }
    }

    /// The objects of a kind that happen to be known. Asks nothing, concludes nothing about the rest.
    pub fn known(&self, kind: &Kind, namespace: Option<&str>) -> impl Iterator<Item = &'a Object> + use<'a> {
        match namespace {
            Some(namespace) => self.read(&Topic::In(kind, namespace)),
            None => self.read(&Topic::All(kind)),
        }
        self.state.objects(kind, namespace)
    }

    /// The objects of a kind, near by name or not, that are known to have been deleted lately.
    pub fn deleted(&self, kind: &Kind, namespace: Option<&str>) -> impl Iterator<Item = (&'a Object, Timestamp)> {
        self.read(&Topic::Gone(kind));
        self.state
            .tombstones()
            .filter(move |(reference, _)| {
                reference.kind == *kind && namespace.is_none_or(|namespace| reference.namespace() == namespace)
            })
            .map(|(_, tombstone)| (&*tombstone.object, tombstone.at))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// The Events about an object, oldest first.
    pub fn events(&self, object: &Object) -> Vec<&'a Event> {
        let reference = object.reference();
        let namespace = object.meta.namespace.as_deref();
        let demand = Demand::Events {
            kind: reference.kind.clone(),
            namespace: reference.namespace.clone(),
            name: reference.name.clone(),
        };
        match (self.state.covered(&Kind::Event, namespace), self.standing(&demand)) {
            (Some(Ok(())), _) | (_, Some(Standing::Got | Standing::NotFound)) => {}
            (_, Some(Standing::Refused(gap))) => drop(self.gap(gap.clone())),
            (Some(Err(gap)), None) => drop(self.gap(gap.clone())),
            (None, None) => drop(self.ask(demand)),
        }
        self.read(&Topic::Events(reference.kind.name(), reference.namespace(), &reference.name));
        let mut events: Vec<&Event> = self
            .state
            .events_about(&reference)
            .filter_map(|event| match &event.body {
                Body::Event(event) => Some(&**event),
                _ => None,
            })
            // A predecessor of the same name has another UID; the kubelet writes a node's name for its UID.
            .filter(|event| {
                let uid = &event.involved_object.uid;
                uid.is_empty() || *uid == object.meta.uid || *uid == object.meta.name || object.meta.uid.is_empty()
            })
            .collect();
        events.sort_by(|a, b| (a.last_seen(), &a.reason, &a.message).cmp(&(b.last_seen(), &b.reason, &b.message)));
        events
    }

    /// The end of a container's log, oldest line first; `None` while it is not known.
    pub fn log(&self, pod: &Object, container: &str, previous: bool) -> Option<&'a [LogLine]> {
        let demand = Demand::Log {
            namespace: pod.namespace().to_owned(),
            pod: pod.meta.name.clone(),
            container: container.to_owned(),
            previous,
        };
        match self.standing(&demand) {
            Some(Standing::Got) => self.state.log(&demand),
            Some(Standing::NotFound) => None,
            Some(Standing::Refused(gap)) => {
                let _: Lookup<'_> = self.gap(gap.clone());
                None
            }
            None => {
                let _: Lookup<'_> = self.ask(demand);
                None
            }
        }
    }

    /// What a container was measured to use, oldest first. Asks for the metrics API's answer where there is none.
    pub fn samples(&self, pod: &Object, container: &str) -> &'a [Sample] {
        let demand = Demand::PodMetrics { namespace: pod.namespace().to_owned(), pod: pod.meta.name.clone() };
        match self.standing(&demand) {
            Some(Standing::Got | Standing::NotFound) => {}
            Some(Standing::Refused(gap)) => drop(self.gap(gap.clone())),
            None => drop(self.ask(demand)),
        }
        self.read(&Topic::Samples);
        self.state.samples(pod.namespace(), &pod.meta.name, container)
    }

    /// What the kernel of a node tells; `None` while it is not known. Asks for it if that is the way to settle something,
    /// or if one object was asked about.
    pub fn kernel(&self, node: &str, to_settle: bool) -> Option<&'a NodeFacts> {
        self.read(&Topic::Kernel(node));
        if let Some(facts) = self.state.kernel(node) {
            return Some(facts);
        }
        let label = [(NODE_LABEL.0.to_owned(), NODE_LABEL.1.to_owned())].into();
        let selector = LabelSelector::exact(&label);
        // Of few nodes all are asked: what no status shows is found by nobody else.
        let few = || {
            let known = self.known(&Kind::Pod, Some(NODE_NAMESPACE)).filter(|pod| selector.matches(&pod.meta.labels));
            (1..=FEW_NODES).contains(&known.take(FEW_NODES + 1).count())
        };
        if node.is_empty() || !(to_settle || self.close || few()) {
            return None;
        }
        let mut what = format!("kernel log of {node}");
        let reporters = self.matching(&Kind::Pod, Some(NODE_NAMESPACE), &selector);
        let running = |pod: &&&Object| pod.pod().is_some_and(|pod| pod.spec.node_name == node && !pod.is_finished());
        let Some(reporter) = reporters.items.iter().find(running) else {
            if reporters.complete {
                // One word for all nodes where it runs nowhere.
                if reporters.items.is_empty() {
                    what.truncate("kernel log".len());
                }
                self.not_checked(what, NO_NODE_REPORTS);
            }
            return None;
        };
        let (namespace, pod) = (reporter.namespace().to_owned(), reporter.meta.name.clone());
        let demand = Demand::Kernel { node: node.to_owned(), namespace, pod };
        match self.standing(&demand) {
            Some(Standing::Got) => {}
            Some(Standing::NotFound) => self.not_checked(what, NO_NODE_REPORTS),
            Some(Standing::Refused(gap)) => drop(self.gap(gap.clone())),
            None => drop(self.ask(demand)),
        }
        None
    }

    /// Whether what is known of a node's kernel is still added to: its reporter runs, or it was read without one. What a
    /// reporter that is down does not tell has not been ruled out.
    pub fn is_reported(&self, node: &str) -> bool {
        let label = [(NODE_LABEL.0.to_owned(), NODE_LABEL.1.to_owned())].into();
        let selector = LabelSelector::exact(&label);
        let mut reporters = self
            .known(&Kind::Pod, Some(NODE_NAMESPACE))
            .filter(|pod| selector.matches(&pod.meta.labels))
            .filter_map(Object::pod)
            .filter(|pod| pod.spec.node_name == node)
            .peekable();
        let runs = |pod: &reckon_model::k8s::Pod| {
            pod.containers().any(|(_, _, status)| status.is_some_and(|status| status.state.running.is_some()))
        };
        reporters.peek().is_none() || reporters.any(runs)
    }

    /// The objects of one revision of a Helm release; `None` while it is not known.
    pub fn helm_revision(&self, namespace: &str, secret: &str) -> Option<&'a [Value]> {
        let demand = Demand::HelmRevision { namespace: namespace.to_owned(), secret: secret.to_owned() };
        match self.standing(&demand) {
            Some(Standing::Got) => self.state.manifest(&demand),
            Some(Standing::NotFound) => None,
            // A convenience, not a gap in the diagnosis: the change is told from ReplicaSets where it can be.
            Some(Standing::Refused(_)) => None,
            None => {
                let _: Lookup<'_> = self.ask(demand);
                None
            }
        }
    }

    /// The pods on a node; `None` while they are not known, or may not be.
    pub fn pods_on(&self, node: &str) -> Option<Vec<&'a Object>> {
        self.may_know_on(node).then(|| self.known_on(node).collect())
    }

    /// The pods on a node as a scheduler sees them: nothing may be read of them but their specs, labels and nodes, whether
    /// they have ended or have to go, and when they were scheduled. Who asks is not run again for all else that they do.
    pub fn placed_on(&self, node: &str) -> Option<Vec<&'a Object>> {
        self.may_know_on(node).then(|| {
            self.read(&Topic::PlacedOn(node));
            self.state.pods_on(node).collect()
        })
    }

    /// All pods that happen to be known, as a scheduler sees them; as [`View::placed_on`].
    pub fn placed(&self) -> impl Iterator<Item = &'a Object> {
        self.read(&Topic::Placed);
        self.state.objects(&Kind::Pod, None)
    }

    /// Whether the pods on a node are known. Asks for them if nobody has.
    fn may_know_on(&self, node: &str) -> bool {
        let demand = Demand::PodsOn { node: node.to_owned() };
        match (self.state.covered(&Kind::Pod, None), self.standing(&demand)) {
            (Some(Ok(())), _) | (_, Some(Standing::Got | Standing::NotFound)) => return true,
            (_, Some(Standing::Refused(gap))) => drop(self.gap(gap.clone())),
            (Some(Err(gap)), None) => drop(self.gap(gap.clone())),
            (None, None) => drop(self.ask(demand)),
        }
        false
    }

    /// The pods on a node that happen to be known. Asks nothing, concludes nothing about the rest.
    pub fn known_on(&self, node: &str) -> impl Iterator<Item = &'a Object> {
        self.read(&Topic::OnNode(node));
        self.state.pods_on(node)
    }

    /// What has the kind and the name of an object in other namespaces, as far as it is known. Asks nothing.
    pub fn namesakes(&self, object: &Object) -> impl Iterator<Item = &'a Object> {
        self.read(&Topic::All(&object.kind));
        let own = object.namespace().to_owned();
        self.state.named(&object.kind, &object.meta.name).filter(move |other| other.namespace() != own)
    }

    /// What the known pods on a node that have not ended request of its memory, where that is nearly all of it. Asks
    /// nothing.
    pub fn full(&self, node: &str) -> Option<Full> {
        self.read(&Topic::Full(node));
        self.state.full(node)
    }

    /// One object, if it happens to be known. Asks nothing, concludes nothing from its absence.
    pub fn known_one(&self, reference: &ResourceRef) -> Option<&'a Object> {
        self.read(&Topic::Object(&reference.kind, reference.namespace(), &reference.name));
        self.state.get(reference)
    }

    /// The end of a container's log, if it happens to be known. Asks nothing.
    pub(crate) fn known_log(&self, pod: &Object, container: &str, previous: bool) -> &'a [LogLine] {
        let demand = Demand::Log {
            namespace: pod.namespace().to_owned(),
            pod: pod.meta.name.clone(),
            container: container.to_owned(),
            previous,
        };
        self.standing(&demand).and_then(|_| self.state.log(&demand)).unwrap_or_default()
    }

    /// Whether a kind could not be listed in this scope. Asks nothing.
    pub fn is_refused(&self, kind: &Kind, namespace: Option<&str>) -> bool {
        matches!(self.state.covered(kind, namespace), Some(Err(_)))
    }

    /// Whether all objects of a kind are known. Asks nothing.
    pub fn all_known(&self, kind: &Kind) -> bool {
        self.state.covered(kind, None) == Some(Ok(()))
    }

    /// The objects that this one controls, as far as they are known.
    pub fn children(&self, owner: &ResourceRef) -> impl Iterator<Item = &'a Object> {
        self.read(&Topic::Children(&owner.kind, owner.namespace(), &owner.name));
        self.state.children(owner)
    }

    /// The topmost owner that can be seen from an object: what a person would edit. The object itself if nothing
    /// controls it.
    pub fn workload_of(&self, object: &'a Object) -> &'a Object {
        let mut top = object;
        // Owners form a chain of at most a handful; a cycle in hostile metadata ends here.
        for _ in 0..8 {
            // A static pod's mirror names its node, which nobody edits to change the pod.
            let Some(owner) = top.meta.controller().filter(|owner| owner.kind != "Node") else { break };
            match self.look_up(&owner.reference(top.meta.namespace.as_deref())) {
                Lookup::Found(found) if found.meta.uid == owner.uid || owner.uid.is_empty() => top = found,
                _ => break,
            }
        }
        top
    }

    /// The pods that a workload controls, directly or through its ReplicaSets and Jobs. Complete if all pods of the
    /// namespace, or those of its selector, are known.
    pub fn pods_of(&self, workload: &'a Object) -> Many<'a> {
        let namespace = workload.meta.namespace.as_deref();
        let complete = match workload.workload().map(|workload| &workload.spec.selector) {
            Some(selector) if !selector.is_empty() => self.is_complete(&Kind::Pod, namespace, selector),
            _ => self.state.covered(&Kind::Pod, namespace) == Some(Ok(())),
        };
        let mut items = Vec::new();
        let mut queue = vec![workload.reference()];
        // Owners that own each other are hostile, and end here.
        let mut seen = BTreeSet::from([workload.reference()]);
        while let Some(owner) = queue.pop() {
            for child in self.children(&owner) {
                if child
                    .meta
                    .controller()
                    .is_some_and(|o| owner.uid.as_ref().is_some_and(|uid| *uid != o.uid && !o.uid.is_empty()))
                {
                    continue;
                }
                if !seen.insert(child.reference()) {
                    continue;
                }
                match child.kind {
                    Kind::Pod => items.push(child),
                    Kind::ReplicaSet | Kind::Job => queue.push(child.reference()),
                    _ => {}
                }
            }
        }
        if workload.kind == Kind::Pod {
            items.push(workload);
        }
        items.sort_by(|a, b| (a.namespace(), &a.meta.name).cmp(&(b.namespace(), &b.meta.name)));
        Many { items, complete }
    }

    /// Records something that could not be read, for the *not checked* of what is found.
    pub fn not_checked(&self, what: impl Into<String>, why: impl Into<String>) {
        self.asked.borrow_mut().gaps.insert(Gap { what: what.into(), why: why.into(), obstacle: Obstacle::NotFound });
    }

    /// Whether anything that was read had been refused.
    pub fn has_gaps(&self) -> bool {
        !self.asked.borrow().gaps.is_empty()
    }

    /// Whether anything that was read is still to be asked: what will be known then may undo what is concluded now.
    pub fn is_waiting(&self) -> bool {
        !self.asked.borrow().demands.is_empty()
    }

    fn ask(&self, demand: Demand) -> Lookup<'a> {
        self.asked.borrow_mut().demands.insert(demand);
        Lookup::Unread
    }

    fn gap(&self, gap: Gap) -> Lookup<'a> {
        self.asked.borrow_mut().gaps.insert(gap);
        Lookup::Unread
    }
}
