//! Pods, and what else controllers make, that the API server refuses.

mod case;
mod certificate;
mod configured;
mod limit_range;
mod needs_resources;
mod pod_security;
mod policy;
mod quota;
mod reference;
mod webhook;

use super::refusal::Refusal;
use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Finding, View};
use case::Case;
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Source, Verdict};
use reckon_model::k8s::{Condition, Workload};
use reckon_model::{Kind, Object, Timestamp, text};

/// One family: what the API server says first is only the first of its reasons.
const fn failure(slug: &'static str, title: &'static str, verified: Verified, page: &'static str) -> Failure {
    Failure { slug, title, stage: Stage::Admission, family: "admission", echo: false, verified, page }
}

pub(crate) static DETECTOR: Detector = Detector {
    name: "admission",
    failures: &[
        failure(
            "pods-not-created",
            "The API server refuses a workload's pods",
            Verified::Constructed,
            include_str!("../pages/pods-not-created.md"),
        ),
        failure("quota-exceeded", "A quota is used up", Verified::Live, include_str!("../pages/quota-exceeded.md")),
        failure(
            "quota-needs-resources",
            "A quota asks for requests or limits that are not set",
            Verified::Live,
            include_str!("../pages/quota-needs-resources.md"),
        ),
        failure(
            "limit-range",
            "Resources are outside of a LimitRange",
            Verified::Live,
            include_str!("../pages/limit-range.md"),
        ),
        failure(
            "pod-security",
            "Pods violate the namespace's pod security",
            Verified::Live,
            include_str!("../pages/pod-security.md"),
        ),
        failure(
            "webhook-unavailable",
            "An admission webhook cannot be called",
            Verified::Live,
            include_str!("../pages/webhook-unavailable.md"),
        ),
        failure("policy-denied", "A policy denies pods", Verified::Live, include_str!("../pages/policy-denied.md")),
        failure(
            "reference-rejected",
            "Pods name an account or a class that does not exist",
            Verified::Live,
            include_str!("../pages/reference-rejected.md"),
        ),
    ],
    subjects: &[
        Kind::Deployment,
        Kind::ReplicaSet,
        Kind::StatefulSet,
        Kind::DaemonSet,
        Kind::ReplicationController,
        Kind::Job,
    ],
    others: &[],
    detect,
};

/// A refusal at first may be one that heals: a ServiceAccount, or a webhook's pod, that is made in the same moment.
const REFUSED: SignedDuration = SignedDuration::from_secs(60);

/// What a controller was told.
struct Told {
    message: String,
    since: Option<Timestamp>,
    source: Source,
}

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let found = found(view, subject);
    // What stood in the way may have gone: that has to be known first.
    if view.is_waiting() { Vec::new() } else { found.into_iter().collect() }
}

/// Whether what this controller wants to make is refused, and still would be.
pub(crate) fn is_refused<'a>(view: &View<'a>, subject: &'a Object) -> bool {
    found(view, subject).is_some() || (told(view, subject).is_some() && view.is_waiting())
}

fn found<'a>(view: &View<'a>, subject: &'a Object) -> Option<Finding> {
    let told = told(view, subject)?;
    let workload = view.workload_of(subject);
    case_of(&Case { view, workload, message: &told.message, since: told.since, source: told.source })
}

/// What came of a refusal; `None` where what stood in the way has gone and only the next attempt is waited for.
fn case_of(case: &Case<'_, '_>) -> Option<Finding> {
    match Refusal::of(case.message) {
        Refusal::Quota { quota, short } => quota::found(case, quota, &short),
        Refusal::QuotaScopes(scopes) => quota::no_quota(case, scopes),
        Refusal::NeedsResources { quota, what, resources } => needs_resources::found(case, quota, what, &resources),
        Refusal::LimitRange { what, bounds } => limit_range::found(case, what, &bounds),
        Refusal::PodSecurity { level, what } => pod_security::found(case, level, what),
        Refusal::ServiceAccount(name) => reference::service_account(case, name),
        Refusal::PriorityClass(name) => reference::priority_class(case, name),
        Refusal::RuntimeClass(name) => reference::runtime_class(case, name),
        Refusal::Webhook { name, call } => webhook::found(case, name, call),
        Refusal::Denied { by, binding, what } => Some(policy::found(case, by, binding, what)),
        Refusal::Conversion { .. } | Refusal::Other => Some(other(case)),
    }
}

/// Words that are not known are shown as they are.
fn other(case: &Case<'_, '_>) -> Finding {
    let why = text::shorten(case.message.trim(), 160).into_owned();
    let sentence = case.sentence(&why);
    let cause = Cause::plain(CauseKind::Unknown, Some(&case.workload.reference()), sentence);
    let mut finding = case.finding("pods-not-created", None, &why, cause);
    finding.verdict = Verdict::Likely;
    finding
}

/// What the controller of pods, or of a Deployment's ReplicaSets, was told when it made the last one that it lacks. A
/// Deployment has the words in a condition, most other controllers only in Events.
fn told<'a>(view: &View<'a>, subject: &'a Object) -> Option<Told> {
    let workload = subject.workload()?;
    let status = &workload.status;
    // A status that speaks of an earlier spec says nothing of this one; that of a Job does not say of which it speaks.
    let stale = subject.kind != Kind::Job && status.observed_generation < subject.meta.generation;
    if subject.meta.deleted.is_some() || stale {
        return None;
    }
    let wanted = match subject.kind {
        Kind::DaemonSet => status.desired_number_scheduled,
        _ => workload.spec.replicas.unwrap_or(1),
    };
    match subject.kind {
        Kind::Job => job(view, subject, workload),
        Kind::Deployment => {
            let behind = wanted > 0 && (status.ready_replicas < wanted || status.updated_replicas < wanted);
            if behind { deployment(view, workload) } else { None }
        }
        // What belongs to a Deployment is told of the Deployment.
        Kind::ReplicaSet if subject.meta.controller().is_some_and(|owner| owner.kind == "Deployment") => None,
        Kind::ReplicaSet | Kind::ReplicationController => {
            let behind = wanted > 0 && status.replicas < wanted;
            if behind { replica_failure(view, workload) } else { None }
        }
        Kind::StatefulSet | Kind::DaemonSet => {
            if wanted > 0 && status.replicas < wanted {
                by_event(view, subject)
            } else {
                None
            }
        }
        _ => None,
    }
}

fn deployment(view: &View<'_>, workload: &Workload) -> Option<Told> {
    let set_refused = Condition::find(&workload.status.conditions, "Progressing")
        .filter(|condition| condition.reason == "ReplicaSetCreateError");
    match set_refused {
        Some(condition) => lasting(view, condition),
        None => replica_failure(view, workload),
    }
}

fn replica_failure(view: &View<'_>, workload: &Workload) -> Option<Told> {
    let failure = Condition::find(&workload.status.conditions, "ReplicaFailure")
        .filter(|failure| failure.is_true() && failure.reason == "FailedCreate")?;
    lasting(view, failure)
}

/// What a condition says, once it has said so for long enough.
fn lasting(view: &View<'_>, condition: &Condition) -> Option<Told> {
    let due = condition.since.and_then(|since| since.checked_add(REFUSED).ok());
    if let Some(due) = due.filter(|due| !view.reached(*due)) {
        view.recheck_at(due);
        return None;
    }
    Some(Told { message: condition.message.clone(), since: condition.since, source: Source::Condition })
}

/// A Job that never got a pod.
fn job<'a>(view: &View<'a>, subject: &'a Object, workload: &Workload) -> Option<Told> {
    let status = &workload.status;
    let idle = status.active == 0 && status.succeeded == 0 && status.failed == 0;
    let over = ["Complete", "Failed", "FailureTarget"]
        .iter()
        .any(|kind| Condition::find(&status.conditions, kind).is_some_and(Condition::is_true));
    let due = subject.meta.created?.checked_add(REFUSED).ok()?;
    if !idle || over || workload.spec.suspend || status.completion_time.is_some() {
        return None;
    }
    if !view.reached(due) {
        view.recheck_at(due);
        return None;
    }
    by_event(view, subject)
}

fn by_event<'a>(view: &View<'a>, subject: &'a Object) -> Option<Told> {
    let events = view.events(subject);
    let refused = events.iter().rev().find(|event| event.reason == "FailedCreate")?;
    // A success after it: the refusal is over.
    let over = events.iter().any(|event| event.reason == "SuccessfulCreate" && event.last_seen() > refused.last_seen());
    let due = refused.first_seen().and_then(|since| since.checked_add(REFUSED).ok());
    if let Some(due) = due.filter(|due| !view.reached(*due)) {
        view.recheck_at(due);
        return None;
    }
    (!over).then(|| Told { message: refused.message.clone(), since: refused.first_seen(), source: Source::Event })
}
