//! What a detector claims.

use crate::catalogue::Stage;
use reckon_model::document::{Alternative, Cause, Death, Remedy, Role, Severity, Source, Verdict};
use reckon_model::k8s::ContainerType;
use reckon_model::{Gap, Object, ResourceRef, Timestamp};
use serde_json::Value;
use std::collections::BTreeSet;

/// One detector's claim about one subject.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The failure's slug; must be one of the detector's.
    pub failure: &'static str,
    /// Which sort of that failure: a closed set per failure, documented on its page.
    pub class: Option<&'static str>,
    /// Where it strikes, if that is not where its failure mostly does.
    pub stage: Option<Stage>,
    /// What it is about.
    pub place: Place,
    /// The objects it shows on: the failing pods, or the subject itself.
    pub shows_on: BTreeSet<ResourceRef>,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub verdict: Verdict,
    /// What is wrong and why, in a sentence without an end.
    pub title: String,
    /// What has to be touched to end it.
    pub cause: Cause,
    /// When it began, if any fact says so; else the earliest evidence's time is taken.
    pub opened: Option<Timestamp>,
    /// Facts.
    pub evidence: Vec<Fact>,
    /// What it is not, with the facts that say so.
    pub ruled_out: Vec<(String, Vec<Fact>)>,
    /// Causes that are possible too.
    pub alternatives: Vec<Alternative>,
    /// What would end it, best first; `option` is numbered later.
    pub remedies: Vec<Remedy>,
    /// Only for memory deaths.
    pub death: Option<Death>,
    /// What could not be read on the way; filled by the engine.
    pub gaps: BTreeSet<Gap>,
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The nearest owner with a pod template that a person would edit, or the object itself.
    pub workload: ResourceRef,
    /// The container and its type.
    pub container: Option<(String, ContainerType)>,
}

/// A fact, not numbered yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// The part it plays.
    pub role: Role,
    /// Where it is from.
    pub source: Source,
    /// When it happened.
    pub at: Option<Timestamp>,
    /// What it is about.
    pub about: ResourceRef,
    /// In words.
    pub text: String,
    /// As the cluster said it.
    pub raw: Option<Value>,
}

impl Fact {
    /// A fact about an object.
    pub fn new(role: Role, source: Source, at: Option<Timestamp>, about: &Object, text: impl Into<String>) -> Self {
        Fact { role, source, at, about: about.reference(), text: text.into(), raw: None }
    }

    /// The same with what the cluster said.
    #[must_use]
    pub fn raw(mut self, raw: Value) -> Self {
        self.raw = Some(raw);
        self
    }
}

impl Finding {
    /// A critical, likely finding without a known cause; the detector fills in the rest.
    pub fn new(failure: &'static str, place: Place, title: impl Into<String>, cause: Cause) -> Self {
        Finding {
            failure,
            class: None,
            stage: None,
            shows_on: BTreeSet::from([place.workload.clone()]),
            place,
            severity: Severity::Critical,
            verdict: Verdict::Likely,
            title: title.into(),
            cause,
            opened: None,
            evidence: Vec::new(),
            ruled_out: Vec::new(),
            alternatives: Vec::new(),
            remedies: Vec::new(),
            death: None,
            gaps: BTreeSet::new(),
        }
    }

    /// The earliest time any of its evidence speaks of.
    pub fn began(&self) -> Option<Timestamp> {
        self.opened
            .or_else(|| self.evidence.iter().filter(|fact| fact.role == Role::Symptom).filter_map(|fact| fact.at).min())
    }
}

impl Place {
    /// A place without a container.
    pub fn of(workload: &Object) -> Self {
        Place { workload: workload.reference(), container: None }
    }

    /// A container of a workload.
    pub fn container(workload: &Object, name: &str, kind: ContainerType) -> Self {
        Place { workload: workload.reference(), container: Some((name.to_owned(), kind)) }
    }
}
