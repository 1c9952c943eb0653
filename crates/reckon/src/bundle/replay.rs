//! From what a bundle holds to an answer.

use super::read::{Bundle, Step};
use super::{answers, logs};
use crate::args::Moment;
use crate::exit::{Exit, Failure};
use crate::near::nearest;
use crate::session::{self, Answered};
use crate::target;
use reckon_detect::{Diagnosis, Engine, Scope, State};
use reckon_model::document::NotChecked;
use reckon_model::{Answer, Body, ClusterId, Demand, Gap, Kind, Object, Obstacle, Timestamp};

/// Diagnoses in which demands are answered, before what is still asked stays open.
const ROUNDS: usize = 16;

/// Times between two changes at which the clock alone is asked whether something opens or closes.
const RECHECKS: usize = 64;

impl Bundle {
    /// Diagnoses what the bundle holds, replaying its changes in order of time.
    pub(crate) fn answer(mut self, scope: &Scope, at: Option<Moment>) -> Result<Answered, Failure> {
        let now = self.clock(at)?;
        let mut state = State::new(ClusterId(self.cluster.clone().unwrap_or_default()));
        let mut lost_kinds = false;
        for object in std::mem::take(&mut self.objects) {
            // With an earlier clock, what did not exist yet is not there.
            if object.meta.created.is_none_or(|created| created <= now) {
                state.apply(object);
            }
        }
        // A bundle that says what it read is believed; else what appears is taken to be all of its kind there is.
        let claimed: Vec<(Kind, Option<String>)> = match &self.complete {
            Some(complete) => complete.clone(),
            None => self.shown.iter().cloned().collect(),
        };
        for (kind, namespace) in claimed {
            let lost = self.complete.is_some() && !self.shown.iter().any(|(shown, _)| *shown == kind);
            let why = match self.warnings.first() {
                _ if lost => "its file is not in the bundle".to_owned(),
                // What could not be read may be of any kind: of none may it be said any more that something is not there.
                Some(warning) => format!("a part of the bundle could not be read: {warning}"),
                None => {
                    state.cover(&kind, namespace.as_deref());
                    continue;
                }
            };
            let gap = Gap { what: kind.resource(), why, obstacle: Obstacle::Server };
            lost_kinds |= lost;
            state.refuse(&kind, namespace.as_deref(), gap);
        }
        for (kind, namespace, gap) in &self.refused {
            state.refuse(kind, namespace.as_deref(), gap.clone());
        }
        for (node, facts) in std::mem::take(&mut self.kernels) {
            state.observe(&node, facts);
        }
        let lost_answers = self.answers.iter().any(|(demand, answer)| session::is_lost(demand, answer));
        for (demand, answer) in std::mem::take(&mut self.answers) {
            state.answer(demand, answers::until(answer, now));
        }
        let changes = std::mem::take(&mut self.changes);
        if self.complete.is_some() {
            // A capture holds the logs that were asked for: to have read them is part of the answer.
            for demand in self.logs.keys().cloned().collect::<Vec<_>>() {
                let answer = self.fulfil(&demand, now);
                state.answer(demand, answer);
            }
        }
        let (mut engine, mut diagnosis) = self.replay(state, changes, scope, now);
        session::allow(&mut diagnosis.problems, &self.rights);
        if let Scope::Object(wanted) = scope
            && !engine.state().holds(wanted)
            && diagnosis.problems.is_empty()
        {
            let names = engine.state().names(&wanted.kind, wanted.namespace.as_deref());
            let near = nearest(&wanted.name, &names)
                .map(|near| format!("; did you mean {}/{near}?", wanted.kind.singular()))
                .unwrap_or_default();
            let elsewhere = engine.state().places(&wanted.kind, &wanted.name);
            let there = match elsewhere.as_slice() {
                [] => near,
                places => format!("; there is one in namespace {}", reckon_model::text::enumerate(places)),
            };
            let sentence = format!("{} is not in the bundle{there}", target::describe(wanted));
            return Err(Failure::new(Exit::NotFound, sentence));
        }
        if let Scope::Namespace(wanted) = scope {
            let known = engine.state().namespaces();
            if !known.is_empty() && !known.contains(wanted) {
                let known: Vec<String> = known.into_iter().take(10).collect();
                let sentence = format!(
                    "namespace {wanted} is not in the bundle; it has {}",
                    reckon_model::text::enumerate(&known)
                );
                return Err(Failure::new(Exit::NotFound, sentence));
            }
        }
        let partial = lost_kinds
            || lost_answers
            || !self.warnings.is_empty()
            || !self.skipped.is_empty()
            || self.refused.iter().any(|(kind, _, gap)| session::is_asked_for(kind, gap.obstacle));
        let skipped = std::mem::take(&mut self.skipped);
        diagnosis.not_checked.extend(skipped.into_iter().map(|gap| NotChecked { what: gap.what, why: gap.why }));
        let state = std::mem::take(engine.state_mut());
        Ok(Answered {
            diagnosis,
            state,
            cluster: self.cluster,
            context: None,
            as_of: now,
            partial,
            warnings: self.warnings,
        })
    }

    /// Applies the changes step by step, so that what opened and closed between them is seen to.
    fn replay(&mut self, state: State, changes: Vec<Step>, scope: &Scope, now: Timestamp) -> (Engine, Diagnosis) {
        let mut engine = Engine::new(state);
        let mut diagnosis: Option<(Diagnosis, Timestamp)> = None;
        let mut changes = changes.into_iter().take_while(|step| step.at <= now).peekable();
        while let Some(Step { at, object, deleted }) = changes.next() {
            if let Some((last, last_at)) = diagnosis.take()
                && last_at < at
            {
                self.pass_time(&mut engine, last, scope, last_at, at);
            }
            if deleted {
                engine.state_mut().delete(&object.reference(), at);
            } else {
                engine.state_mut().apply(object);
            }
            if changes.peek().is_none_or(|next| next.at > at) {
                diagnosis = Some((self.settle(&mut engine, scope, at), at));
            }
        }
        match diagnosis {
            Some((last, last_at)) => {
                self.pass_time(&mut engine, last, scope, last_at, now);
                let last = self.settle(&mut engine, scope, now);
                (engine, last)
            }
            // Nothing was replayed: as with a live question, the answer is one look at all that is known.
            None => {
                self.settle(&mut engine, scope, now);
                let state = std::mem::take(engine.state_mut());
                engine = Engine::new(state);
                let only = engine.diagnose(scope, now);
                (engine, only)
            }
        }
    }

    /// Lets the clock run to `until`: a grace that ends in between opens or closes something by itself.
    fn pass_time(&mut self, engine: &mut Engine, last: Diagnosis, scope: &Scope, from: Timestamp, until: Timestamp) {
        let (mut from, mut due) = (from, last.recheck_at);
        for _ in 0..RECHECKS {
            let Some(at) = due.filter(|at| *at > from && *at < until) else { break };
            due = self.settle(engine, scope, at).recheck_at;
            from = at;
        }
    }

    /// Diagnoses until nothing more is asked.
    fn settle(&mut self, engine: &mut Engine, scope: &Scope, now: Timestamp) -> Diagnosis {
        let mut diagnosis = engine.diagnose(scope, now);
        for _ in 0..ROUNDS {
            if diagnosis.demands.is_empty() {
                break;
            }
            for demand in std::mem::take(&mut diagnosis.demands) {
                let answer = self.fulfil(&demand, now);
                engine.state_mut().answer(demand, answer);
            }
            diagnosis = engine.diagnose(scope, now);
        }
        diagnosis
    }

    /// What the bundle says to a demand: a log, or that it is not there.
    fn fulfil(&mut self, demand: &Demand, now: Timestamp) -> Answer {
        let refused = |why: &str, obstacle| Answer::Refused(Gap { what: demand.what(), why: why.to_owned(), obstacle });
        let Some(place) = self.logs.get(demand) else { return refused("not in the bundle", Obstacle::NotFound) };
        match logs::read(place, now) {
            Ok(lines) => Answer::Log(lines),
            Err(sentence) => {
                if !self.warnings.contains(&sentence) {
                    self.warnings.push(sentence);
                }
                refused("its file in the bundle could not be read", Obstacle::Server)
            }
        }
    }

    /// The moment of the diagnosis: `--at`, the bundle's own, or the newest time in it.
    fn clock(&self, at: Option<Moment>) -> Result<Timestamp, Failure> {
        let times = || {
            self.changes.iter().map(|step| step.at).chain(self.objects.iter().flat_map(times_of)).chain(
                self.answers.iter().filter_map(|(_, answer)| match answer {
                    Answer::Samples(samples) => samples.iter().map(|sample| sample.at).max(),
                    _ => None,
                }),
            )
        };
        match at {
            Some(Moment::Time(at)) => Ok(at),
            Some(Moment::After(span)) => {
                let start = self.changes.first().map(|step| step.at).or_else(|| times().min());
                start.and_then(|start| start.checked_add(span).ok()).ok_or_else(|| {
                    Failure::new(Exit::Usage, "--at +…: the bundle holds no time to count from; give a time")
                })
            }
            None => Ok(self.as_of.or_else(|| times().max()).unwrap_or(Timestamp::UNIX_EPOCH)),
        }
    }
}

/// The times an object speaks of, as far as they tell when it was read.
fn times_of(object: &Object) -> Vec<Timestamp> {
    let mut times: Vec<Timestamp> = object.meta.created.into_iter().collect();
    times.extend(object.meta.managers.iter().filter_map(|manager| manager.time));
    match &object.body {
        Body::Pod(pod) => {
            times.extend(pod.status.conditions.iter().filter_map(|condition| condition.since));
            for (_, _, status) in pod.containers() {
                let Some(status) = status else { continue };
                times.extend(status.state.running.as_ref().and_then(|running| running.started_at));
                times.extend(status.last_end().and_then(|end| end.finished_at));
            }
        }
        Body::Event(event) => times.extend(event.last_seen()),
        Body::Node(node) => times.extend(node.status.conditions.iter().filter_map(|condition| condition.since)),
        Body::Workload(workload) => {
            times.extend(workload.status.conditions.iter().filter_map(|condition| condition.since));
        }
        _ => {}
    }
    times
}
