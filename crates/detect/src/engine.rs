//! From a state to problems.

use crate::addresses::calls;
use crate::catalogue::Detector;
use crate::explore::Explored;
use crate::finding::Finding;
use crate::registry::DETECTORS;
use crate::runs::{Outcome, Runs, earlier};
use crate::state::State;
use crate::verdict::{self, Verdict};
use crate::view::{Asked, View};
use crate::{considered, contrast, explore, graph, impact, merge, problem, rank, reconcile};
use reckon_model::document::{self, Answer, NotChecked, Problem};
use reckon_model::{Body, Demand, Kind, Object, ResourceRef, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    Cluster,
    /// One namespace.
    Namespace(String),
    /// One object and what it is part of.
    Object(ResourceRef),
}

/// The answer of one run.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// Problems: open before closed, most severe first, then widest impact, then oldest.
    pub problems: Vec<Problem>,
    /// What would have to be known to go on.
    pub demands: BTreeSet<Demand>,
    /// When time alone may change the answer.
    pub recheck_at: Option<Timestamp>,
    /// The answer in a word.
    pub answer: Answer,
    /// The answer in a sentence.
    pub sentence: String,
    /// What was looked at.
    pub looked: Vec<String>,
    /// What could not be read.
    pub not_checked: Vec<NotChecked>,
    /// What the object that was asked about names, and whether it is there.
    pub connected: Vec<document::Connected>,
}

/// Runs detectors over a state and keeps the problems they open from run to run.
#[derive(Debug)]
pub struct Engine {
    state: State,
    problems: Vec<Problem>,
    detectors: Vec<&'static Detector>,
    runs: Runs,
    /// Who calls whom.
    calls: calls::Read,
    /// What the runs answer.
    scope: Option<Scope>,
}

impl Engine {
    /// An engine that has seen nothing fail yet.
    pub fn new(state: State) -> Self {
        Engine::with_detectors(state, DETECTORS.to_vec())
    }

    /// The same with these detectors, in this order; that the order changes nothing is tested with it.
    pub fn with_detectors(state: State, detectors: Vec<&'static Detector>) -> Self {
        Engine {
            state,
            problems: Vec::new(),
            detectors,
            runs: Runs::default(),
            calls: calls::Read::default(),
            scope: None,
        }
    }

    /// The state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The state, to apply what happened.
    pub fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// Takes these problems for known, as another run found them: they keep their episodes, and close when they are over.
    pub fn resume(&mut self, problems: Vec<Problem>) {
        self.problems = problems;
    }

    /// Forgets which problems were known, and nothing else: the next diagnosis is that of an engine that has seen nothing
    /// fail yet, for less work.
    pub fn forget_problems(&mut self) {
        self.problems.clear();
    }

    /// Forgets what came of looking at each object, so that the next diagnosis looks at all of them. It gives the same:
    /// tests hold one against the other.
    pub fn forget_runs(&mut self) {
        self.runs.clear();
        self.calls = calls::Read::default();
    }

    /// How many objects the last diagnosis looked at.
    pub fn looked_at(&self) -> usize {
        self.runs.looked_at()
    }

    /// Diagnoses the state at this moment. Run again when demands were answered, objects changed, or at `recheck_at`.
    pub fn diagnose(&mut self, scope: &Scope, now: Timestamp) -> Diagnosis {
        let mut asked = Asked::default();
        let view = View::new(&self.state, now);
        let explored = explore::around(&view, scope);
        let Asked { demands, gaps: scope_gaps, recheck_at } = view.into_asked();
        asked.demands.extend(demands);
        asked.recheck_at = earlier(asked.recheck_at, recheck_at);

        let changes = self.state.take_changes();
        if changes.everything {
            self.calls = calls::Read::default();
        }
        for object in changes.numbers.iter().filter_map(|number| self.state.number(*number)) {
            self.calls.forget(object);
        }
        // What belongs to one object is found anew each time.
        if self.scope.as_ref() != Some(scope) || explored.is_close() {
            self.runs.clear();
            self.scope = Some(scope.clone());
        }
        self.runs.update(&self.detectors, &self.state, &changes, now, &explored);
        asked.recheck_at = earlier(asked.recheck_at, self.runs.recheck_at());
        let findings = merge::same_claims(told(&self.runs, &self.state, &explored, &mut asked));
        let incidents = rank::incidents(findings);
        let view = View::new(&self.state, now);
        let part_of = parts(&incidents);
        let roots: Vec<Finding> =
            incidents.iter().filter(|_| explored.is_close()).map(|incident| incident.root.clone()).collect();
        // Nothing is asked for to say what was considered: a view of its own, whose demands nobody hears.
        let past = View::new(&self.state, now);
        let trace = |incident: &rank::Incident| match explored.is_close() {
            true => considered::of(&past, incident, &roots),
            false => Vec::new(),
        };
        let mut open: Vec<Problem> = Vec::new();
        let mut routes = impact::Routes::default();
        for mut incident in incidents {
            // Nor for what is compared.
            contrast::add(&past, &mut incident);
            let considered = trace(&incident);
            open.push(problem::of(&view, &mut routes, incident, considered));
        }
        impact::callers(&view, &mut self.calls, &mut open, explored.is_close());
        problem::sort(&mut open);
        let before = std::mem::take(&mut self.problems);
        let mut problems = reconcile::problems(&view, before, open, &part_of);
        // What leads to what suffers is asked for here; whether it may be read is no part of the diagnosis.
        let Asked { demands, gaps: _, recheck_at } = view.into_asked();
        asked.demands.extend(demands);
        asked.recheck_at = earlier(asked.recheck_at, recheck_at);
        problem::sort(&mut problems);
        self.problems = problems;

        let problems: Vec<Problem> =
            self.problems.iter().filter(|problem| explored.concerns(problem)).cloned().collect();
        let none = BTreeSet::new();
        let view = View::new(&self.state, now);
        let mut verdict = verdict::of(&view, scope, &problems);
        // What one object waits for is worth a question; where anything fails, that is the answer.
        if explored.is_close() && problems.is_empty() {
            asked.demands.extend(view.into_asked().demands);
        }
        let connected = self.connections(scope, now, &mut asked, &mut verdict);
        let Verdict { answer, sentence } = verdict;
        let not_checked = self
            .state
            .refusals()
            .chain(&scope_gaps)
            .chain(if problems.is_empty() { &asked.gaps } else { &none })
            .map(|gap| NotChecked { what: gap.what.clone(), why: gap.why.clone() })
            .collect::<BTreeSet<_>>();
        Diagnosis {
            problems,
            demands: asked.demands,
            recheck_at: asked.recheck_at,
            answer,
            sentence,
            looked: self.state.looked(),
            not_checked: not_checked.into_iter().collect(),
            connected,
        }
    }
}

impl Engine {
    /// What the object that was asked about names. What it cannot do without and is not there becomes part of the verdict.
    fn connections(
        &self,
        scope: &Scope,
        now: Timestamp,
        asked: &mut Asked,
        verdict: &mut Verdict,
    ) -> Vec<document::Connected> {
        let Scope::Object(target) = scope else { return Vec::new() };
        let Some(object) = self.state.get(target) else { return Vec::new() };
        let view = View::new(&self.state, now);
        let connected = graph::connected(&view, object);
        // What stands on pods has detectors for what these name: they ask where something fails, and know what follows.
        if !matches!(object.body, Body::Pod(_) | Body::Workload(_) | Body::CronJob(_)) {
            asked.demands.extend(view.into_asked().demands);
            if let Some(missing) = graph::dangling(&connected) {
                verdict.lacks(&missing);
            }
        }
        connected
    }
}

/// How many pods of one owner are asked about: the others of a failing workload fail alike, and are counted without
/// fetching their logs and Events one by one.
const ASKED_PODS: usize = 3;

/// What all detectors found, one after the other, each in the order of its subjects.
fn told(runs: &Runs, state: &State, explored: &Explored, asked: &mut Asked) -> Vec<Finding> {
    let mut outcomes: Vec<(&Object, &Outcome)> = runs.outcomes(state).collect();
    outcomes.sort_by(|(a, one), (b, other)| {
        let place = |object: &Object| !explored.is_target(object);
        let names = || (a.namespace(), &a.meta.name).cmp(&(b.namespace(), &b.meta.name));
        one.rank.cmp(&other.rank).then_with(|| place(a).cmp(&place(b))).then_with(names)
    });
    let mut findings = Vec::new();
    let mut asked_about: BTreeMap<ResourceRef, BTreeSet<ResourceRef>> = BTreeMap::new();
    for (subject, outcome) in outcomes {
        let Outcome { rank: _, findings: found, demands, gaps } = outcome;
        if !demands.is_empty() && may_ask(subject, &mut asked_about) {
            asked.demands.extend(demands.iter().cloned());
        }
        // What was refused is told even where nothing was found: it may be the reason why.
        asked.gaps.extend(gaps.iter().cloned());
        findings.extend(found.iter().cloned());
    }
    findings
}

/// Whether this object's demands are passed on: all of them, but only for the first few pods of an owner.
fn may_ask(subject: &Object, asked_about: &mut BTreeMap<ResourceRef, BTreeSet<ResourceRef>>) -> bool {
    let (Kind::Pod, Some(owner)) = (&subject.kind, subject.meta.controller()) else { return true };
    let pods = asked_about.entry(owner.reference(subject.meta.namespace.as_deref())).or_default();
    pods.contains(&subject.reference()) || (pods.len() < ASKED_PODS && pods.insert(subject.reference()))
}

/// Ids that the symptoms of incidents would have as problems of their own, with the incident's id: a problem that turns
/// out to be part of another is merged into it.
fn parts(incidents: &[rank::Incident]) -> BTreeMap<String, String> {
    let mut parts = BTreeMap::new();
    for incident in incidents {
        let whole = problem::id(&incident.root).0;
        for finding in incident.symptoms.iter().chain(&incident.also) {
            let part = problem::id(finding).0;
            if part != whole {
                parts.insert(part, whole.clone());
            }
        }
    }
    parts
}

/// The kinds that rules read, for a driver that lists them once.
pub fn kinds() -> Vec<Kind> {
    Kind::named().cloned().collect()
}
