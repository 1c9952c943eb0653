//! What came of looking at each object, and when it has to be looked at again.
//!
//! A detector sees the world through its view alone, and the view writes down what it read. So what an evaluation gave holds
//! until something changes that it read, or a time comes that it asked about: of a hundred thousand pods those are looked at
//! that changed, and what looked at them. That this gives what looking at everything would is tested, change by change.

use crate::catalogue::Detector;
use crate::explore::Explored;
use crate::finding::Finding;
use crate::state::{Changes, Digest, Number, State};
use crate::view::{Asked, Reads, View};
use reckon_model::selector::LabelSelector;
use reckon_model::{Demand, Gap, Kind, Object, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// What came of looking at each object.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// By the objects' numbers.
    runs: Vec<Run>,
    /// Who read a topic: one set, as most topics have few readers, and a set for each would weigh more than what is in it.
    readers: BTreeSet<(Digest, Number)>,
    /// Who selected by labels: by kind and namespace (`None` for all).
    selecting: BTreeMap<(Kind, Option<String>), BTreeMap<LabelSelector, BTreeSet<Number>>>,
    /// Whose result holds until then at most.
    due: BTreeSet<(Timestamp, Number)>,
    /// When a diagnosis has to be made though nothing changed, and for whom.
    rechecks: BTreeSet<(Timestamp, Number)>,
    /// Whose result holds for one moment.
    timed: BTreeSet<Number>,
    /// Of whom there is something to tell.
    telling: BTreeSet<Number>,
    /// When it was last brought up to date; `None`: it holds nothing.
    at: Option<Timestamp>,
    /// How many objects were looked at the last time.
    looked_at: usize,
}

/// What came of looking at one object. Of nearly all of them nothing came, and little was read.
#[derive(Debug, Default)]
struct Run {
    /// Digests of what was read, in order.
    topics: Box<[Digest]>,
    rest: Option<Box<Rest>>,
}

#[derive(Debug, Default)]
struct Rest {
    outcomes: Vec<Outcome>,
    selections: Vec<(Kind, Option<String>, LabelSelector)>,
    due: Option<Timestamp>,
    recheck_at: Option<Timestamp>,
    timed: bool,
}

/// What one detector made of one object, if anything.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The detector by its place in the list, and the kind by its place among the detector's subjects.
    pub(crate) rank: (usize, usize),
    pub(crate) findings: Vec<Finding>,
    pub(crate) demands: BTreeSet<Demand>,
    pub(crate) gaps: BTreeSet<Gap>,
}

impl Runs {
    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Runs::default();
    }

    /// Looks again at all that may have become another.
    pub(crate) fn update(
        &mut self,
        detectors: &[&'static Detector],
        state: &State,
        changes: &Changes,
        now: Timestamp,
        explored: &Explored,
    ) {
        let looking = Looking { by_kind: by_kind(detectors), state, now, explored };
        // Clocks are set back, too.
        let afresh = changes.everything || self.at.is_none_or(|at| at > now);
        if afresh {
            self.clear();
        }
        self.at = Some(now);
        let again: Vec<Number> = if afresh {
            let numbers = looking.by_kind.keys().flat_map(|kind| state.numbered(kind, None)).map(|(number, _)| number);
            numbers.collect()
        } else {
            self.stale(state, changes, now).into_iter().collect()
        };
        self.looked_at = again.len();
        for number in again {
            let run = state.number(number).and_then(|object| looking.at(object));
            self.put(number, run);
        }
    }

    /// Whose results may hold no more.
    fn stale(&self, state: &State, changes: &Changes, now: Timestamp) -> BTreeSet<Number> {
        let mut stale = changes.numbers.clone();
        stale.extend(&self.timed);
        stale.extend(self.due.range(..=(now, Number::MAX)).map(|(_, number)| number));
        for topic in &changes.topics {
            let readers = self.readers.range((*topic, Number::MIN)..=(*topic, Number::MAX));
            stale.extend(readers.map(|(_, number)| number));
        }
        let now = changes.numbers.iter().filter_map(|number| state.number(*number));
        let now = now.map(|object| (&object.kind, object.namespace(), &object.meta.labels));
        let before = changes.labels.iter().map(|(kind, namespace, labels)| (kind, &**namespace, labels));
        for (kind, namespace, labels) in now.chain(before) {
            for space in [None, Some(namespace.to_owned())] {
                for (selector, numbers) in self.selecting.get(&(kind.clone(), space)).into_iter().flatten() {
                    if selector.matches(labels) {
                        stale.extend(numbers);
                    }
                }
            }
        }
        stale
    }

    /// How many objects the last update looked at.
    pub(crate) fn looked_at(&self) -> usize {
        self.looked_at
    }

    /// When a diagnosis has to be made though nothing changed.
    pub(crate) fn recheck_at(&self) -> Option<Timestamp> {
        self.rechecks.first().map(|(at, _)| *at)
    }

    /// What there is to tell, with the objects that it is about.
    pub(crate) fn outcomes<'a>(&'a self, state: &'a State) -> impl Iterator<Item = (&'a Object, &'a Outcome)> {
        self.telling.iter().flat_map(move |number| {
            let rest = self.runs.get(*number as usize).and_then(|run| run.rest.as_deref());
            let outcomes = rest.map_or(&[][..], |rest| &rest.outcomes);
            state.number(*number).into_iter().flat_map(move |object| outcomes.iter().map(move |it| (object, it)))
        })
    }

    /// Takes a result instead of the one before; `None`: nobody looks at it.
    fn put(&mut self, number: Number, run: Option<Run>) {
        let at = number as usize;
        if self.runs.len() <= at {
            if run.is_none() {
                return;
            }
            self.runs.resize_with(at + 1, Run::default);
        }
        let Some(slot) = self.runs.get_mut(at) else { return };
        let Run { topics, rest } = std::mem::replace(slot, run.unwrap_or_default());
        let now = &self.runs[at];
        if topics != now.topics {
            for topic in topics.iter().filter(|topic| now.topics.binary_search(topic).is_err()) {
                self.readers.remove(&(*topic, number));
            }
            for topic in now.topics.iter().filter(|topic| topics.binary_search(topic).is_err()) {
                self.readers.insert((*topic, number));
            }
        }
        if let Some(rest) = rest {
            let Rest { outcomes: _, selections, due, recheck_at, timed: _ } = *rest;
            due.map(|due| self.due.remove(&(due, number)));
            recheck_at.map(|at| self.rechecks.remove(&(at, number)));
            self.timed.remove(&number);
            self.telling.remove(&number);
            for (kind, namespace, selector) in selections {
                let key = (kind, namespace);
                let Some(selectors) = self.selecting.get_mut(&key) else { continue };
                if let Some(numbers) = selectors.get_mut(&selector) {
                    numbers.remove(&number);
                    if numbers.is_empty() {
                        selectors.remove(&selector);
                    }
                }
                if selectors.is_empty() {
                    self.selecting.remove(&key);
                }
            }
        }
        if let Some(rest) = &self.runs[at].rest {
            self.due.extend(rest.due.map(|due| (due, number)));
            self.rechecks.extend(rest.recheck_at.map(|at| (at, number)));
            self.timed.extend(rest.timed.then_some(number));
            self.telling.extend((!rest.outcomes.is_empty()).then_some(number));
            for (kind, namespace, selector) in &rest.selections {
                let selectors = self.selecting.entry((kind.clone(), namespace.clone())).or_default();
                selectors.entry(selector.clone()).or_default().insert(number);
            }
        }
    }
}

/// The detectors of a kind, each with its place in the list and the kind's among its subjects.
type ByKind = BTreeMap<Kind, Vec<((usize, usize), &'static Detector)>>;

fn by_kind(detectors: &[&'static Detector]) -> ByKind {
    let mut by_kind = ByKind::new();
    for (place, detector) in detectors.iter().enumerate() {
        let others = detector.others.iter().map(|(group, kind)| Kind::of_group(group, kind));
        for (among, kind) in detector.subjects.iter().cloned().chain(others).enumerate() {
            by_kind.entry(kind).or_default().push(((place, among), detector));
        }
    }
    by_kind
}

/// What is the same for all objects that are looked at.
struct Looking<'a> {
    by_kind: ByKind,
    state: &'a State,
    now: Timestamp,
    explored: &'a Explored,
}

impl Looking<'_> {
    /// Runs every detector that looks at objects of this kind, as far as the question reaches.
    fn at(&self, subject: &Object) -> Option<Run> {
        let detectors = self.by_kind.get(&subject.kind)?;
        if !self.explored.reaches(subject) {
            return None;
        }
        let mut topics = Vec::new();
        let mut rest = Rest::default();
        for (rank, detector) in detectors {
            let view = View::new(self.state, self.now).closely(self.explored.is_close());
            let mut findings = (detector.detect)(&view, subject);
            let (Asked { demands, gaps, recheck_at }, reads) = view.into_parts();
            let Reads { topics: read, selections, timed, due } = reads;
            topics.extend(read);
            rest.selections.extend(selections);
            rest.timed |= timed;
            rest.due = earlier(rest.due, due);
            rest.recheck_at = earlier(rest.recheck_at, recheck_at);
            if !(findings.is_empty() && demands.is_empty() && gaps.is_empty()) {
                for finding in &mut findings {
                    finding.gaps.extend(gaps.iter().cloned());
                }
                rest.outcomes.push(Outcome { rank: *rank, findings, demands, gaps });
            }
        }
        topics.sort_unstable();
        topics.dedup();
        let Rest { outcomes, selections, due, recheck_at, timed } = &rest;
        let is_all = outcomes.is_empty() && selections.is_empty() && due.or(*recheck_at).is_none() && !timed;
        Some(Run { topics: topics.into(), rest: (!is_all).then(|| Box::new(rest)) })
    }
}

/// The earlier of two times, where there are any.
pub(crate) fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
