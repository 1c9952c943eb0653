//! Controllers that do not get ahead.

use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View, describe};
use reckon_model::document::{Cause, CauseKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::Condition;
use reckon_model::{Kind, Object, text};
use serde_json::json;

pub(crate) static DETECTOR: Detector = Detector {
    name: "rollout",
    failures: &[
        Failure {
            slug: "rollout-stalled",
            title: "A roll-out does not get ahead",
            stage: Stage::Rollout,
            family: "rollout",
            echo: true,
            verified: Verified::Constructed,
        },
        Failure {
            slug: "pods-not-created",
            title: "A controller cannot create pods",
            stage: Stage::Admission,
            family: "admission",
            echo: false,
            verified: Verified::Constructed,
        },
    ],
    subjects: &[Kind::Deployment, Kind::ReplicaSet],
    page: include_str!("rollout.md"),
    detect,
};

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(workload) = subject.workload() else { return Vec::new() };
    let conditions = &workload.status.conditions;
    if subject.meta.deleted.is_some() || workload.spec.replicas == Some(0) {
        return Vec::new();
    }
    let current =
        |condition: &&Condition| condition.observed_generation.is_none_or(|seen| Some(seen) >= subject.meta.generation);
    if subject.kind == Kind::ReplicaSet {
        // The Deployment repeats its ReplicaSet's condition; the ReplicaSet has it first and has the words.
        let failing = Condition::find(conditions, "ReplicaFailure")
            .filter(|condition| condition.is_true() && workload.status.replicas < workload.spec.replicas.unwrap_or(1));
        return failing.map(|condition| not_created(view, subject, condition)).into_iter().collect();
    }
    let stalled = Condition::find(conditions, "Progressing")
        .filter(current)
        .filter(|condition| condition.status == "False" && condition.reason == "ProgressDeadlineExceeded");
    let Some(condition) = stalled else { return Vec::new() };
    let name = describe::object(subject);
    let deadline = workload.spec.progress_deadline_seconds.unwrap_or(600);
    let sentence = format!("The newest pods of {name} did not become ready within {deadline} s.");
    let cause = Cause::plain(CauseKind::Unknown, Some(&subject.reference()), sentence);
    let mut finding =
        Finding::new("rollout-stalled", Place::of(subject), format!("{name}: the roll-out does not get ahead"), cause);
    finding.verdict = Verdict::Unknown;
    finding.severity = if workload.status.available_replicas > 0 { Severity::Warning } else { Severity::Critical };
    finding.opened = condition.since;
    finding.evidence.push(Fact::new(
        Role::Symptom,
        Source::Condition,
        condition.since,
        subject,
        format!("Progressing=False {}: {}", condition.reason, condition.message),
    ));
    vec![finding]
}

/// What refuses the pods, by the API server's words.
fn class(message: &str) -> &'static str {
    match () {
        () if message.contains("exceeded quota") || message.contains("failed quota") => "quota",
        () if message.contains("violates PodSecurity") => "pod-security",
        () if message.contains("service account") || message.contains("serviceaccount") => "service-account",
        () if message.contains("failed calling webhook") => "webhook-unavailable",
        () if message.contains("admission webhook") || message.contains("ValidatingAdmissionPolicy") => "policy",
        () if message.contains("per Container") || message.contains("per Pod") => "limit-range",
        () => "other",
    }
}

fn not_created<'a>(view: &View<'a>, subject: &'a Object, condition: &Condition) -> Finding {
    let workload = view.workload_of(subject);
    let name = describe::object(workload);
    let message = condition.message.trim();
    let class = class(message);
    let why = text::shorten(message, 240);
    let cause = Cause::plain(
        CauseKind::Resource,
        Some(&workload.reference()),
        format!("The API server refuses the pods of {name}: {why}."),
    );
    let mut finding =
        Finding::new("pods-not-created", Place::of(workload), format!("{name}: its pods are refused: {why}"), cause);
    finding.class = Some(class);
    finding.shows_on.insert(subject.reference());
    finding.verdict = if class == "other" { Verdict::Likely } else { Verdict::Confirmed };
    finding.opened = condition.since;
    finding.evidence.push(
        Fact::new(
            Role::Cause,
            Source::Condition,
            condition.since,
            subject,
            format!("ReplicaFailure {}: {message}", condition.reason),
        )
        .raw(json!(message)),
    );
    finding
}
