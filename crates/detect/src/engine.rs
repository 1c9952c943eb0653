//! From a state to problems.

use crate::state::State;
use reckon_model::document::{Answer, NotChecked, Problem};
use reckon_model::{Kind, Need, ResourceRef, Timestamp};
use std::collections::BTreeSet;

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
    /// Problems, the open ones first.
    pub problems: Vec<Problem>,
    /// What would have to be known to go on.
    pub needs: BTreeSet<Need>,
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
}

/// Runs detectors over a state and keeps the problems they open from run to run.
#[derive(Debug)]
pub struct Engine {
    state: State,
    problems: Vec<Problem>,
}

impl Engine {
    /// An engine that has seen nothing fail yet.
    pub fn new(state: State) -> Self {
        Engine { state, problems: Vec::new() }
    }

    /// The state, to apply what happened.
    pub fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// Diagnoses the state at this moment.
    pub fn diagnose(&mut self, _scope: &Scope, _now: Timestamp) -> Diagnosis {
        Diagnosis {
            problems: self.problems.clone(),
            needs: BTreeSet::new(),
            recheck_at: None,
            answer: Answer::NoFault,
            sentence: String::new(),
            looked: self.state.looked(),
            not_checked: Vec::new(),
        }
    }
}

/// The kinds that rules read, for a driver that lists them once.
pub fn kinds() -> Vec<Kind> {
    Kind::named().cloned().collect()
}
