//! Problems that open, become clearer and close.

use reckon_model::document::{Problem, Severity};
use reckon_model::record::{Entry, Fact, ProblemTurn, Turn};
use reckon_model::{Kind, ResourceRef, Timestamp};
use std::collections::BTreeMap;

/// What was last told of each problem that is open.
#[derive(Debug, Default)]
pub(crate) struct Problems(BTreeMap<String, Told>);

/// What a person would want to hear of when it is another. Counts and ages change all the time.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    episode: u32,
    failure: String,
    class: Option<String>,
    severity: Severity,
    cause: String,
}

impl Problems {
    /// Takes that these are open, as another run told it.
    pub(crate) fn resume(&mut self, open: &[Problem]) {
        self.0.extend(open.iter().filter(|problem| problem.closed.is_none()).map(|it| (it.id.clone(), told(it))));
    }

    /// The problems as they are now: what became of them since.
    pub(crate) fn see(&mut self, problems: &[Problem], now: Timestamp) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut open = BTreeMap::new();
        for problem in problems {
            let said = told(problem);
            let before = self.0.remove(&problem.id);
            let turn = match (&before, problem.closed) {
                (None, None) => Some((Turn::Opened, problem.opened.unwrap_or(now).min(now))),
                (Some(before), None) if before.episode != said.episode => Some((Turn::Opened, now)),
                (Some(before), None) => (*before != said).then_some((Turn::Changed, now)),
                (Some(_), Some(closed)) => Some((Turn::Closed, closed)),
                // What was over before anybody looked is no news.
                (None, Some(_)) => None,
            };
            if problem.closed.is_none() {
                open.insert(problem.id.clone(), said);
            }
            entries.extend(turn.map(|(turn, at)| entry(problem, turn, at)));
        }
        // A list that does not have it any more does not say that it is over.
        self.0.append(&mut open);
        entries
    }
}

fn told(problem: &Problem) -> Told {
    Told {
        episode: problem.episode,
        failure: problem.failure.clone(),
        class: problem.class.clone(),
        severity: problem.severity,
        cause: problem.cause.sentence.clone(),
    }
}

fn entry(problem: &Problem, turn: Turn, at: Timestamp) -> Entry {
    let of = &problem.subject.reference;
    let kind = Kind::of(&of.api_version, &of.kind);
    let subject = ResourceRef { kind, namespace: of.namespace.clone(), name: of.name.clone(), uid: of.uid.clone() };
    let fact = Fact::Problem(ProblemTurn {
        id: problem.id.clone(),
        episode: problem.episode,
        turn,
        failure: problem.failure.clone(),
        severity: problem.severity,
        title: problem.title.clone(),
        reason: problem.closed_reason.clone().filter(|_| turn == Turn::Closed),
    });
    Entry { at, subject, workload: None, fact }
}
