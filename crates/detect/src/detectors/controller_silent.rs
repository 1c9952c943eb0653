//! Objects that their controller does not look at.

use crate::catalogue::{Failure, Stage, Verified};
use crate::lease::Lease;
use crate::{Detector, Fact, Finding, Place, View, describe, spot};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::Condition;
use reckon_model::object::at;
use reckon_model::{Kind, Object, Timestamp};
use serde_json::Value;

pub(crate) static DETECTOR: Detector = Detector {
    name: "controller_silent",
    failures: &[Failure {
        slug: "controller-silent",
        title: "No controller looks at an object",
        stage: Stage::Strategy,
        family: "controller-silent",
        echo: false,
        verified: Verified::Constructed,
        page: include_str!("../pages/controller-silent.md"),
    }],
    subjects: &[Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet, Kind::ReplicaSet, Kind::Job],
    others: &[
        ("cert-manager.io", "Certificate"),
        ("keda.sh", "ScaledObject"),
        ("argoproj.io", "Rollout"),
        ("postgresql.cnpg.io", "Cluster"),
        ("kafka.strimzi.io", "Kafka"),
        ("helm.toolkit.fluxcd.io", "HelmRelease"),
        ("kustomize.toolkit.fluxcd.io", "Kustomization"),
        ("external-secrets.io", "ExternalSecret"),
    ],
    detect,
};

/// The Deployments that serve kinds without a name here: by group, a part of the Deployment's name.
const OPERATORS: [(&str, &str); 8] = [
    ("cert-manager.io", "cert-manager"),
    ("keda.sh", "keda-operator"),
    ("argoproj.io", "argo-rollouts"),
    ("postgresql.cnpg.io", "cnpg"),
    ("kafka.strimzi.io", "strimzi-cluster-operator"),
    ("helm.toolkit.fluxcd.io", "helm-controller"),
    ("kustomize.toolkit.fluxcd.io", "kustomize-controller"),
    ("external-secrets.io", "external-secrets"),
];

/// A controller looks at what was written within seconds; one that starts anew within a minute or so.
const SILENT: SignedDuration = SignedDuration::from_mins(2);

/// Where the control plane's Leases are.
const SYSTEM: &str = "kube-system";

/// What runs the controllers of built-in kinds.
const MANAGER: &str = "kube-controller-manager";

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    // A ReplicaSet of a Deployment is the same controllers' affair as that.
    let owned = subject.kind == Kind::ReplicaSet && subject.meta.controller().is_some();
    if subject.meta.deleted.is_some() || owned || !is_behind(subject) {
        return Vec::new();
    }
    let written = subject.meta.managers.iter().filter(|it| it.subresource != "status").filter_map(|it| it.time);
    let Some(written) = written.chain(subject.meta.created).max() else { return Vec::new() };
    let Ok(due) = written.checked_add(SILENT) else { return Vec::new() };
    if !view.reached(due) {
        view.recheck_at(due);
        return Vec::new();
    }
    // Who says something of it has looked at it, and so has who made pods for it.
    let told = || {
        observed(subject).is_none() && view.children(&subject.reference()).next().is_some()
            || view.events(subject).iter().any(|event| event.last_seen().is_none_or(|at| at >= written))
    };
    let finding = match subject.kind {
        _ if told() => None,
        Kind::Other(_) => of_operator(view, subject, written),
        _ => of_manager(view, subject, written),
    };
    finding.into_iter().collect()
}

/// Whether the controller has not seen what is written there now.
fn is_behind(subject: &Object) -> bool {
    let Some(body) = subject.workload() else {
        // Kinds without a name here; most of them tell what they have seen.
        let Some(whole) = subject.whole() else { return false };
        let observed = at(&whole, &["status", "observedGeneration"]).and_then(number);
        return match (observed, subject.meta.generation) {
            (Some(observed), Some(generation)) => observed < generation,
            // Nothing was ever said of it.
            (None, Some(_)) => whole.get("status").and_then(Value::as_object).is_none_or(serde_json::Map::is_empty),
            _ => false,
        };
    };
    if subject.kind == Kind::Job {
        // Suspended ones get no start; others may be another controller's (`managedBy`, from 1.30 on).
        let idle = body.status.start_time.is_none() && body.status.conditions.is_empty() && !body.spec.suspend;
        let other = || subject.whole().is_some_and(|whole| at(&whole, &["spec", "managedBy"]).is_some());
        return idle && body.status.active == 0 && body.status.failed == 0 && body.status.succeeded == 0 && !other();
    }
    subject.meta.generation.is_some() && body.status.observed_generation < subject.meta.generation
}

/// Argo Rollouts writes it as text.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// The generation that its controller has seen.
fn observed(subject: &Object) -> Option<i64> {
    match subject.workload() {
        Some(body) if subject.kind != Kind::Job => body.status.observed_generation,
        _ => subject.whole().and_then(|whole| at(&whole, &["status", "observedGeneration"]).and_then(number)),
    }
}

fn finding(subject: &Object, written: Timestamp, who: &str, cause: Cause) -> Finding {
    let name = format!("{} {}", subject.kind.name(), describe::object(subject));
    let since = describe::time(written);
    let title = format!("{name}: {who} has not looked at it since it was written at {since}");
    let mut finding = Finding::new("controller-silent", Place::of(subject), title, cause);
    finding.opened = Some(written);
    let text = match (observed(subject), subject.meta.generation) {
        (Some(observed), Some(generation)) => format!("generation {generation} was written, {observed} was looked at"),
        _ => "nothing was ever written of its status".to_owned(),
    };
    finding.evidence.push(Fact::new(Role::Symptom, Source::Status, Some(written), subject, text));
    finding
}

/// A built-in kind: the control plane's own controllers.
fn of_manager<'a>(view: &View<'a>, subject: &'a Object, written: Timestamp) -> Option<Finding> {
    let found = view.object(&Lease::kind(), Some(SYSTEM), MANAGER);
    let lease = found.found().and_then(|object| Some((object, Lease::of(object)?)));
    let name = describe::object(subject);
    let Some((object, lease)) = lease else {
        let why = if found.is_absent() { "they have no lease" } else { "their lease could not be read" };
        let sentence = format!(
            "The control plane's controllers have not looked at {name}; whether they run is not known, as {why}."
        );
        let cause = Cause::plain(CauseKind::External, Some(&subject.reference()), sentence);
        let mut finding = finding(subject, written, "its controller", cause);
        finding.class = Some("built-in");
        finding.severity = Severity::Warning;
        return Some(finding);
    };
    let when = describe::time(lease.renewed);
    let expires = lease.expires();
    if view.reached(expires) {
        let sentence = format!(
            "{MANAGER} has stopped: its lease was last renewed at {when} by {}. No Deployment, Job or other workload is acted on while that lasts.",
            lease.host
        );
        let cause = Cause::plain(CauseKind::Resource, Some(&object.reference()), sentence);
        let mut finding = finding(subject, written, MANAGER, cause);
        finding.class = Some("manager-down");
        finding.verdict = Verdict::Confirmed;
        let text = format!("lease {} was last renewed at {when} by {}", describe::object(object), lease.host);
        finding.evidence.push(Fact::new(Role::Cause, Source::Status, Some(lease.renewed), object, text));
        let sentence = "Start kube-controller-manager again; on a managed cluster its provider has to.";
        finding.remedies.push(spot::remedy(RemedyKind::Outside, &object.reference(), sentence));
        return Some(finding);
    }
    view.recheck_at(expires);
    let sentence = format!(
        "{MANAGER} runs (its lease was renewed at {when}) and has not looked at {name}: it is far behind, cannot write, or this controller is switched off (--controllers)."
    );
    // One cause for all that it leaves out.
    let cause = Cause::plain(CauseKind::Resource, Some(&object.reference()), sentence);
    let mut finding = finding(subject, written, "its controller", cause);
    finding.class = Some("built-in");
    finding.severity = Severity::Warning;
    let text = format!("lease {} was renewed at {when}", describe::object(object));
    finding.evidence.push(Fact::new(Role::RuledOut, Source::Status, Some(lease.renewed), object, text));
    let sentence = "Look at the log of kube-controller-manager for this object's name.";
    finding.remedies.push(spot::remedy(RemedyKind::Outside, &object.reference(), sentence));
    Some(finding)
}

/// A custom kind: a Deployment somewhere in the cluster.
fn of_operator<'a>(view: &View<'a>, subject: &'a Object, written: Timestamp) -> Option<Finding> {
    let Kind::Other(kind) = &subject.kind else { return None };
    let (_, part) = OPERATORS.iter().find(|(group, _)| *group == kind.group)?;
    let all = view.all(&Kind::Deployment, None);
    let named = all.items.iter().copied().filter(|deployment| deployment.meta.name.contains(part));
    // Of `cert-manager` and `cert-manager-webhook` the first is meant.
    let operator = named.min_by_key(|deployment| (deployment.meta.name.len(), &deployment.meta.name));
    let whose = format!("{} {}", kind.kind, describe::object(subject));
    let (class, cause, verdict) = match operator {
        Some(operator) => {
            let name = describe::object(operator);
            let body = operator.workload()?;
            let off = body.spec.replicas == Some(0);
            if off {
                let sentence = format!("{name}, which looks after {whose}, is scaled to zero.");
                let cause = Cause::plain(CauseKind::Resource, Some(&operator.reference()), sentence).at_field(
                    "spec.replicas",
                    "/spec/replicas",
                    Some(0.into()),
                );
                ("operator-off", cause, Verdict::Confirmed)
            } else if body.status.ready_replicas == 0 {
                let sentence = format!("{name}, which looks after {whose}, has no pod that is ready.");
                let cause = Cause::plain(CauseKind::Resource, Some(&operator.reference()), sentence);
                ("operator-down", cause, Verdict::Confirmed)
            } else {
                let sentence = format!(
                    "{name}, which looks after {whose}, is ready and has not looked at it: it is stuck, may not read it, or does not watch this namespace."
                );
                let cause = Cause::plain(CauseKind::Application, Some(&operator.reference()), sentence);
                ("operator-silent", cause, Verdict::Possible)
            }
        }
        None if all.complete => {
            let sentence = format!("No Deployment looks after {whose}: none is called {part}.");
            let cause = Cause::plain(CauseKind::Unknown, Some(&subject.reference()), sentence);
            ("operator-missing", cause, Verdict::Likely)
        }
        None => return None,
    };
    let mut finding = finding(subject, written, "its operator", cause);
    finding.class = Some(class);
    finding.verdict = verdict;
    finding.severity = if class == "operator-off" { Severity::Info } else { Severity::Warning };
    if let Some(operator) = operator {
        let body = operator.workload()?;
        let available = Condition::find(&body.status.conditions, "Available").and_then(|condition| condition.since);
        let text = format!(
            "{} wants {} and has {} ready",
            describe::object(operator),
            body.spec.replicas.unwrap_or(1),
            body.status.ready_replicas
        );
        finding.evidence.push(Fact::new(Role::Cause, Source::Status, available, operator, text));
    }
    let about = finding.cause.reference.as_ref().map_or_else(|| subject.reference(), reckon_model::ResourceRef::from);
    let (kind, sentence) = match class {
        "operator-off" => (RemedyKind::Scale, "Scale the operator up again, if it is not off on purpose."),
        "operator-silent" => {
            (RemedyKind::Restart, "Look at the operator's log for this object's name, then restart it.")
        }
        "operator-down" => (RemedyKind::Restart, "See to the operator's pods."),
        _ => (RemedyKind::Outside, "Install the operator, or find out under which name it runs."),
    };
    finding.remedies.push(spot::remedy(kind, &about, sentence));
    Some(finding)
}
