//! Workloads that somebody scaled to zero while others still call them.

use super::last_write::LastWrite;
use crate::catalogue::{Failure, Stage, Verified};
use crate::spot;
use crate::{Detector, Fact, Finding, Place, View, blame, describe, ownership};
use jiff::SignedDuration;
use reckon_model::document::{Cause, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::Pod;
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Change, FieldChange, Kind, Object, Timestamp, Verb, text};
use serde_json::{Value, json};

pub(crate) static DETECTOR: Detector = Detector {
    name: "scaled_to_zero",
    failures: &[Failure {
        slug: "scaled-to-zero",
        title: "A workload that others call was scaled to zero",
        stage: Stage::Rollout,
        family: "scaled-to-zero",
        echo: false,
        verified: Verified::Live,
        page: include_str!("../pages/scaled-to-zero.md"),
    }],
    subjects: &[Kind::Deployment, Kind::StatefulSet],
    others: &[],
    detect,
};

/// Some restart a program by scaling it down and up again.
const RESTART: SignedDuration = SignedDuration::from_secs(60);

/// What has been at zero for a day is meant to be.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// Who scales to zero when there is nothing to do, by a part of the manager's name: that is their purpose.
const SCALERS: [&str; 8] =
    ["keda", "kube-controller-manager", "knative", "scaler", "kube-green", "snorlax", "sablier", "osiris"];

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(body) = subject.workload() else { return Vec::new() };
    if subject.meta.deleted.is_some() || body.spec.replicas != Some(0) {
        return Vec::new();
    }
    let Some(write) = written(view, subject) else { return Vec::new() };
    if SCALERS.iter().any(|scaler| write.actor.to_ascii_lowercase().contains(scaler)) {
        return Vec::new();
    }
    let (Ok(due), Ok(over)) = (write.at.checked_add(RESTART), write.at.checked_add(WINDOW)) else { return Vec::new() };
    if !view.reached(due) {
        view.recheck_at(due);
        return Vec::new();
    }
    if view.reached(over) {
        return Vec::new();
    }
    view.recheck_at(over);
    let callers = without_endpoint(view, subject, &body.spec.template.metadata.labels);
    if callers.is_empty() {
        return Vec::new();
    }
    vec![finding(subject, write, &callers)]
}

/// That the number of pods was set to zero: by whom, when, and as a cause.
struct Write {
    at: Timestamp,
    actor: String,
    words: String,
    before: Option<Value>,
    cause: Cause,
}

fn written<'a>(view: &View<'a>, subject: &'a Object) -> Option<Write> {
    let rank = |field: &reckon_model::FieldChange| (field.pointer == "/spec/replicas").then_some(0);
    // Where what was applied is known, so is the number before.
    let changed = blame::object_change(view, subject, None, rank).filter(|blame| blame.field().to == Some(json!(0)));
    if let Some(blame) = changed.filter(|blame| blame.field().from.is_some()) {
        return Some(Write {
            at: blame.change.at,
            actor: blame.change.actor.as_ref().map_or_else(String::new, |actor| actor.manager.clone()),
            words: blame.words(),
            before: blame.field().from.clone(),
            cause: blame.cause(view, String::new()),
        });
    }
    let Some(write) = LastWrite::of(subject, "spec.replicas", "/spec/replicas", Some(json!(0))) else {
        return followed(view, subject);
    };
    Some(Write {
        at: write.at(),
        actor: write.actor().to_owned(),
        words: format!("set to 0 {}", write.words()),
        before: None,
        cause: write.cause(String::new()),
    })
}

/// `kubectl scale` to zero leaves nobody as the owner of the field (seen with 1.37). When it was is told by the ReplicaSet,
/// which the Deployment's controller wrote a moment later; by whom, nobody tells.
fn followed<'a>(view: &View<'a>, subject: &'a Object) -> Option<Write> {
    // KEDA and the like scale through an autoscaler of their own, and to zero when there is nothing to do.
    let targets = |scaler: &&Object| match &scaler.body {
        Body::Autoscaler(body) => {
            let target = &body.spec.scale_target_ref;
            target.kind == subject.kind.to_string() && target.name == subject.meta.name
        }
        _ => false,
    };
    let scalers = view.all(&Kind::HorizontalPodAutoscaler, subject.meta.namespace.as_deref());
    if scalers.items.iter().any(targets) {
        return None;
    }
    let reference = subject.reference();
    let sets = view.children(&reference).filter(|child| child.kind == Kind::ReplicaSet);
    // Also right after it was made: only the controller writes there, and it makes none at zero that it has to scale down.
    let at = sets
        .filter_map(|set| Some((ownership::field_owner(set, "/spec/replicas")?.1?, set.meta.created)))
        .filter(|(at, made)| made.is_none_or(|made| *at > made))
        .map(|(at, _)| at)
        .max()?;
    let before = subject.last_applied().and_then(|applied| applied.pointer("/spec/replicas").cloned());
    let field = FieldChange {
        field: "spec.replicas".to_owned(),
        pointer: "/spec/replicas".to_owned(),
        from: before.clone(),
        to: Some(json!(0)),
    };
    let change = Change { at, subject: reference, verb: Verb::Updated, fields: vec![field], actor: None };
    let mut cause = Cause::changed(&change, 0, String::new());
    cause.managed_by = ownership::managed_by(subject);
    let words = format!("set to 0 at {}", describe::time(at));
    Some(Write { at, actor: String::new(), words, before, cause })
}

/// The Services that select the workload's pods and have nobody left who answers.
fn without_endpoint<'a>(
    view: &View<'a>,
    subject: &'a Object,
    labels: &std::collections::BTreeMap<String, String>,
) -> Vec<&'a Object> {
    let namespace = subject.meta.namespace.as_deref();
    let services = view.all(&Kind::Service, namespace).items;
    let calls = |service: &&'a Object| {
        let Body::Service(body) = &service.body else { return false };
        let selector = LabelSelector::exact(&body.spec.selector);
        if body.spec.selector.is_empty() || body.spec.kind == "ExternalName" || !selector.matches(labels) {
            return false;
        }
        let pods = view.matching(&Kind::Pod, namespace, &selector);
        pods.complete && !pods.items.iter().any(|pod| pod.pod().is_some_and(Pod::is_ready))
    };
    services.into_iter().filter(|service| service.meta.deleted.is_none()).filter(calls).collect()
}

fn finding(subject: &Object, write: Write, callers: &[&Object]) -> Finding {
    let name = describe::object(subject);
    let services: Vec<&str> = callers.iter().map(|service| service.meta.name.as_str()).collect();
    let (noun, have) = if services.len() == 1 { ("Service", "has") } else { ("Services", "have") };
    let whom = format!("{noun} {}", text::enumerate(&services));
    let title = format!("{name} was scaled to zero, and {whom} {have} no endpoint");
    let Write { at, actor: _, words, before, mut cause } = write;
    cause.sentence = format!("spec.replicas was {words}; since then {whom} {have} no endpoint.");
    let mut finding = Finding::new("scaled-to-zero", Place::of(subject), title, cause);
    finding.verdict = Verdict::Confirmed;
    // Whether anybody calls them now is not seen.
    finding.severity = Severity::Warning;
    finding.opened = Some(at);
    finding.shows_on.extend(callers.iter().map(|service| service.reference()));
    for service in callers.iter().take(3) {
        let text = format!("Service {} selects these pods, and no pod behind it is ready", service.meta.name);
        finding.evidence.push(Fact::new(Role::Symptom, Source::Absence, None, service, text));
    }
    let before = before.filter(|before| before.as_i64().is_some_and(|before| before > 0));
    let sentence = match &before {
        Some(before) => format!("Scale it back to {before}, if it was not meant."),
        None => "Scale it up again, if it was not meant; the number before is not known.".to_owned(),
    };
    let mut remedy = spot::remedy(RemedyKind::Scale, &subject.reference(), sentence);
    remedy.managed_by = ownership::managed_by(subject);
    remedy.patch_type = before.as_ref().map(|_| "merge".to_owned());
    remedy.patch = before.map(|before| json!({"spec": {"replicas": before}}));
    finding.remedies.push(remedy);
    finding
}
