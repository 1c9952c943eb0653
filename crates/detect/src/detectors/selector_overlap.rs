//! Controllers that take one another's pods for their own.

use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View, describe, ownership, spot};
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::Condition;
use reckon_model::{Body, Kind, Object, text};
use serde_json::json;

pub(crate) static DETECTOR: Detector = Detector {
    name: "selector_overlap",
    failures: &[Failure {
        slug: "selector-overlap",
        title: "Two controllers select the same pods",
        stage: Stage::Strategy,
        family: "selector-overlap",
        echo: false,
        verified: Verified::Constructed,
        page: include_str!("../pages/selector-overlap.md"),
    }],
    subjects: &[Kind::HorizontalPodAutoscaler],
    others: &[],
    detect,
};

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Body::Autoscaler(autoscaler) = &subject.body else { return Vec::new() };
    let ambiguous = Condition::find(&autoscaler.status.conditions, "ScalingActive")
        .filter(|active| active.status == "False" && active.reason == "AmbiguousSelector");
    let Some(ambiguous) = ambiguous.filter(|_| subject.meta.deleted.is_none()) else { return Vec::new() };
    found(view, subject, ambiguous).into_iter().collect()
}

/// The autoscalers that the message names: `pods by selector app=web are controlled by multiple HPAs: [shop/a shop/b]`.
fn named(message: &str) -> Vec<&str> {
    let list = message.rsplit_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("", |(list, _)| list);
    let names = list.split([' ', ',']).filter(|name| !name.is_empty());
    names.map(|name| name.rsplit('/').next().unwrap_or(name)).take(10).collect()
}

/// What an autoscaler scales, where that is known.
fn target<'a>(view: &View<'a>, autoscaler: &Object) -> Option<&'a Object> {
    let Body::Autoscaler(body) = &autoscaler.body else { return None };
    let target = &body.spec.scale_target_ref;
    let kind = Kind::of(&target.api_version, &target.kind);
    view.object(&kind, autoscaler.meta.namespace.as_deref(), &target.name).found()
}

fn found<'a>(view: &View<'a>, subject: &'a Object, ambiguous: &Condition) -> Option<Finding> {
    let namespace = subject.meta.namespace.as_deref();
    let mut all: Vec<&'a Object> = named(&ambiguous.message)
        .into_iter()
        .filter(|name| *name != subject.meta.name)
        .filter_map(|name| view.object(&Kind::HorizontalPodAutoscaler, namespace, name).found())
        .chain([subject])
        .collect();
    // Who came last is who has to look for another place; each of them tells the same.
    all.sort_by_key(|autoscaler| (autoscaler.meta.created, &autoscaler.meta.name));
    let mut targets: Vec<&'a Object> = all.iter().filter_map(|autoscaler| target(view, autoscaler)).collect();
    targets.sort_by_key(|target| (target.meta.created, &target.meta.name));
    targets.dedup_by_key(|target| target.reference());
    let names: Vec<&str> = all.iter().map(|autoscaler| autoscaler.meta.name.as_str()).collect();
    let names = text::enumerate(&names);
    let mut finding = match (targets.as_slice(), all.as_slice()) {
        ([only], [.., last]) if all.len() > 1 => twice(only, last, &names),
        ([.., before, later], _) => overlap(before, later, &names),
        _ => unknown(subject, &ambiguous.message),
    };
    finding.severity = Severity::Warning;
    finding.opened = ambiguous.since;
    finding.shows_on.extend(all.iter().map(|autoscaler| autoscaler.reference()));
    let text = format!("AmbiguousSelector: {}", text::shorten(ambiguous.message.trim(), 300));
    let fact = Fact::new(Role::Symptom, Source::Condition, ambiguous.since, subject, text);
    finding.evidence.push(fact.raw(json!(ambiguous.message)));
    Some(finding)
}

/// Two autoscalers of one workload.
fn twice(workload: &Object, last: &Object, names: &str) -> Finding {
    let name = describe::object(workload);
    let title = format!("{name}: the HPAs {names} both scale it, and so neither does");
    let sentence = format!("HPA {} scales {name}, which another one scales already: neither is used.", last.meta.name);
    let mut cause = Cause::plain(CauseKind::Resource, Some(&last.reference()), sentence);
    cause.managed_by = ownership::managed_by(last);
    let cause =
        cause.at_field("spec.scaleTargetRef.name", "/spec/scaleTargetRef/name", Some(json!(workload.meta.name)));
    let mut finding = Finding::new("selector-overlap", Place::of(workload), title, cause);
    finding.class = Some("same-target");
    finding.verdict = Verdict::Confirmed;
    let sentence = format!("Keep one of {names}: put the metrics of both into it, and delete the other.");
    let mut remedy = spot::remedy(RemedyKind::Delete, &last.reference(), sentence);
    remedy.managed_by = ownership::managed_by(last);
    finding.remedies.push(remedy);
    finding
}

/// Two workloads whose selectors match each other's pods.
fn overlap(before: &Object, later: &Object, names: &str) -> Finding {
    let (name, other) = (describe::object(later), describe::object(before));
    let selector = |workload: &Object| workload.workload().map(|body| body.spec.selector.query()).unwrap_or_default();
    let title = format!("{name} and {other} select the same pods, and the HPAs {names} do not scale them");
    let sentence = format!(
        "The selector of {name} ({}) matches pods of {other} ({}): whose they are cannot be told by their labels.",
        text::shorten(&selector(later), 100),
        text::shorten(&selector(before), 100)
    );
    let mut cause = Cause::plain(CauseKind::Resource, Some(&later.reference()), sentence);
    cause.managed_by = ownership::managed_by(later);
    let value = later.whole().and_then(|whole| whole.pointer("/spec/selector/matchLabels").cloned());
    let cause = cause.at_field("spec.selector.matchLabels", "/spec/selector/matchLabels", value);
    let mut finding = Finding::new("selector-overlap", Place::of(later), title, cause);
    finding.class = Some("workloads");
    finding.verdict = Verdict::Confirmed;
    for workload in [before, later] {
        let text = format!("selector {}", text::shorten(&selector(workload), 200));
        finding.evidence.push(Fact::new(Role::Cause, Source::Spec, workload.meta.created, workload, text));
    }
    let sentence = format!(
        "Give {name} a label of its own in selector and template. A selector cannot be changed: make the {} anew under it.",
        later.kind.singular()
    );
    let mut remedy = spot::remedy(RemedyKind::Create, &later.reference(), sentence);
    remedy.managed_by = ownership::managed_by(later);
    finding.remedies.push(remedy);
    finding
}

/// What they scale is not known, but that they are in each other's way is.
fn unknown(subject: &Object, message: &str) -> Finding {
    let name = describe::object(subject);
    let words = text::shorten(message.trim(), 160).into_owned();
    let cause = Cause::plain(CauseKind::Unknown, Some(&subject.reference()), format!("HPA {name} says: {words}."));
    let title = format!("HPA {name} does not scale: others select the same pods");
    let mut finding = Finding::new("selector-overlap", Place::of(subject), title, cause);
    finding.verdict = Verdict::Likely;
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_autoscalers_are_read_from_the_message() {
        let said = "pods by selector app=web are controlled by multiple HPAs: [shop/a shop/b]";
        assert_eq!(named(said), ["a", "b"]);
        assert_eq!(named("[a, b]"), ["a", "b"]);
        assert!(named("nothing ] of [ the kind").is_empty() || named("none").is_empty());
        assert!(named("").is_empty());
    }
}
