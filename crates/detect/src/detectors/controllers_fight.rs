//! Two that write one number: an autoscaler, and whoever applies a manifest in which the number stands.

use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Lookup, Place, View, describe, ownership, spot};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::object::at;
use reckon_model::{Actor, Body, Change, FieldChange, Kind, Object, ResourceRef, Timestamp, Verb, text};
use serde_json::{Value, json};

pub(crate) static DETECTOR: Detector = Detector {
    name: "controllers_fight",
    failures: &[Failure {
        slug: "controllers-fight",
        title: "Two write the number of pods",
        // It follows from nothing that ails the pods, and they may well be fine.
        stage: Stage::Strategy,
        family: "controllers-fight",
        echo: false,
        verified: Verified::Constructed,
        page: include_str!("../pages/controllers-fight.md"),
    }],
    subjects: &[Kind::HorizontalPodAutoscaler],
    others: &[],
    detect,
};

/// Who wrote longer ago than this does not fight.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// The autoscaler's own hand: it writes through `scale`.
const AUTOSCALER: &str = "kube-controller-manager";

/// So many turns are no chance.
const TURNS: u32 = 3;

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Body::Autoscaler(autoscaler) = &subject.body else { return Vec::new() };
    let target = &autoscaler.spec.scale_target_ref;
    let kind = Kind::of(&target.api_version, &target.kind);
    if subject.meta.deleted.is_some() || !matches!(kind, Kind::Deployment | Kind::StatefulSet) {
        return Vec::new();
    }
    let Lookup::Found(workload) = view.object(&kind, subject.meta.namespace.as_deref(), &target.name) else {
        return Vec::new();
    };
    found(view, subject, workload).into_iter().collect()
}

/// Who writes the number beside the autoscaler.
struct Rival {
    actor: Actor,
    at: Timestamp,
    /// Whether the field is its own now.
    owns: bool,
    /// What stands in what it applies, where that is known.
    number: Option<i64>,
}

fn found<'a>(view: &View<'a>, subject: &'a Object, workload: &'a Object) -> Option<Finding> {
    let body = workload.workload()?;
    let live = body.spec.replicas?;
    // Without a write of the autoscaler and one of somebody else, both lately, nobody fights. That is seen without looking
    // at the whole.
    let last = |own: bool| {
        let managers = workload.meta.managers.iter().filter(|manager| manager.subresource != "status");
        managers.filter(|manager| is_autoscaler(&manager.manager) == own).filter_map(|manager| manager.time).max()
    };
    let (scaled, other) = (last(true)?, last(false)?);
    let over = scaled.min(other).checked_add(WINDOW).ok()?;
    if live == 0 || view.reached(over) {
        return None;
    }
    let mut rival = rival(workload)?;
    let turns = turns(view, workload, rival.number).filter(|(_, _, count)| *count >= TURNS);
    // Who owns the number and wrote last wrote the one that is there.
    if turns.is_some() && rival.number.is_none() && rival.owns && rival.at > scaled {
        rival.number = Some(live);
    }
    // A number that is there anyway changes nothing when it is applied again.
    if turns.is_none() && rival.number.is_none_or(|number| number == live) {
        return None;
    }
    view.recheck_at(over);
    Some(finding(subject, workload, &rival, live, scaled, turns))
}

fn is_autoscaler(manager: &str) -> bool {
    manager == AUTOSCALER
}

/// The last who owns the number beside the autoscaler, or whose manifest names it.
fn rival(workload: &Object) -> Option<Rival> {
    let applied = workload.last_applied();
    let number = applied.as_ref().and_then(|applied| at(applied, &["spec", "replicas"])).and_then(Value::as_i64);
    let whole = workload.whole()?;
    let newest = |which: &dyn Fn(&ownership::Entry<'_>) -> bool| {
        let entries = ownership::entries(&whole).filter(|entry| !is_autoscaler(&entry.actor().manager));
        let written = entries.filter(|entry| which(entry)).filter_map(|entry| Some((entry.at?, entry.actor())));
        written.max()
    };
    let owns =
        |entry: &ownership::Entry<'_>| entry.owned("spec").iter().any(|(_, pointer)| pointer == "/spec/replicas");
    if let Some((at, actor)) = newest(&owns) {
        return Some(Rival { actor, at, owns: true, number });
    }
    number?;
    // The autoscaler took the field from it; the annotation is written by `kubectl apply` and what is built on it.
    let applies = |entry: &ownership::Entry<'_>| {
        let name = entry.actor().manager;
        name == "kubectl-client-side-apply" || name.contains("argocd") || name.contains("kubectl")
    };
    let (at, actor) = newest(&applies)?;
    Some(Rival { actor, at, owns: false, number })
}

/// What the Deployment's controller tells of going up and down between two numbers: the lower, the higher, and how often.
fn turns<'a>(view: &View<'a>, workload: &'a Object, applied: Option<i64>) -> Option<(i64, i64, u32)> {
    let told: Vec<(i64, i64, u32)> = view
        .events(workload)
        .into_iter()
        .filter(|event| event.reason == "ScalingReplicaSet")
        .filter_map(|event| {
            let (to, from) = scaled(&event.message)?;
            Some((to, from, event.count()))
        })
        .collect();
    let pairs = told.iter().filter(|(to, from, _)| to > from).filter_map(|(high, low, up)| {
        let (_, _, down) = told.iter().find(|(to, from, _)| to == low && from == high)?;
        // There and back: a roll-out goes there only.
        Some((*low, *high, up.saturating_add(*down)))
    });
    let ends = |low: i64, high: i64| applied.is_none_or(|applied| applied == low || applied == high);
    pairs.filter(|(low, high, _)| ends(*low, *high)).max_by_key(|(low, high, count)| (*count, *high, *low))
}

/// `Scaled up replica set web-5d to 7 from 3` (1.25+), `Scaled down replica set web-5d to 3 from 7`: to and from.
fn scaled(message: &str) -> Option<(i64, i64)> {
    let (_, rest) = message.strip_prefix("Scaled ")?.split_once(" to ")?;
    let (to, from) = rest.split_once(" from ")?;
    Some((to.trim().parse().ok()?, from.trim().trim_end_matches('.').parse().ok()?))
}

fn finding(
    subject: &Object,
    workload: &Object,
    rival: &Rival,
    live: i64,
    scaled: Timestamp,
    turns: Option<(i64, i64, u32)>,
) -> Finding {
    let name = describe::object(workload);
    let autoscaler = format!("HPA {}", subject.meta.name);
    let who = rival.actor.manager.as_str();
    let number = rival.number.map(|number| format!(" ({number})")).unwrap_or_default();
    let (title, sentence) = match &turns {
        Some((low, high, count)) => (
            format!(
                "{name}: {who} and {autoscaler} set the number of pods in turns, {count} times between {low} and {high}"
            ),
            format!(
                "{who} sets spec.replicas{number} with each write, and {autoscaler} sets it back: it went {count} times between {low} and {high}."
            ),
        ),
        None => (
            format!("{name}: {who} applies a number of pods{number} that {autoscaler} sets, too (now {live})"),
            format!(
                "spec.replicas stands in what {who} applies{number}, and {autoscaler} sets it, too (now {live}): each time it is applied the pods are taken away or added, until the autoscaler sets it back."
            ),
        ),
    };
    let change = Change {
        at: rival.at,
        subject: workload.reference(),
        verb: Verb::Updated,
        fields: vec![FieldChange {
            field: "spec.replicas".to_owned(),
            pointer: "/spec/replicas".to_owned(),
            from: None,
            to: rival.number.map(|number| json!(number)),
        }],
        actor: Some(rival.actor.clone()),
    };
    let mut cause = match turns {
        Some(_) if rival.number.is_some() => Cause::changed(&change, 0, sentence),
        // What stands in a manifest has not been seen to do anything; and a write of nobody knows what is no change.
        _ => Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence).at_field(
            "spec.replicas",
            "/spec/replicas",
            rival.number.map(|number| json!(number)),
        ),
    };
    cause.managed_by = ownership::managed_by(workload);
    let mut finding = Finding::new("controllers-fight", Place::of(workload), title, cause);
    finding.class = Some(if turns.is_some() { "in-turns" } else { "applied-number" });
    finding.severity = if turns.is_some() { Severity::Warning } else { Severity::Info };
    finding.verdict = if turns.is_some() { Verdict::Confirmed } else { Verdict::Likely };
    finding.opened = Some(rival.at);
    let text = format!("{autoscaler} scales {name}; its last write was at {}", describe::time(scaled));
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, Some(scaled), subject, text));
    let text = match rival.number {
        Some(number) => format!("what {who} applied last names {number} as spec.replicas"),
        None => format!("{who} owns spec.replicas as well"),
    };
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, Some(rival.at), workload, text));
    if let Some((low, high, count)) = turns {
        let text = format!("scaled from {low} to {high} and back, {count} times");
        finding.evidence.push(Fact::new(Role::Symptom, Source::Event, None, workload, text));
    }
    let reference = ResourceRef::new(workload.kind.clone(), workload.meta.namespace.as_deref(), &workload.meta.name);
    let sentence = format!(
        "Take spec.replicas out of the manifest that {} applies, and leave the number to {autoscaler}{}.",
        text::shorten(who, 60),
        if finding.cause.managed_by.as_deref() == Some("argocd") {
            "; or let Argo CD ignore the difference (ignoreDifferences, with RespectIgnoreDifferences=true)"
        } else {
            ""
        }
    );
    let mut remedy = spot::remedy(RemedyKind::Patch, &reference, sentence);
    remedy.managed_by.clone_from(&finding.cause.managed_by);
    finding.remedies.push(remedy);
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_scaling_are_read() {
        assert_eq!(scaled("Scaled up replica set web-5d9 to 7 from 3"), Some((7, 3)));
        assert_eq!(scaled("Scaled down replica set web-5d9 to 3 from 7"), Some((3, 7)));
        // Before 1.25 the number before was not told.
        assert_eq!(scaled("Scaled up replica set web-5d9 to 7"), None);
        assert_eq!(scaled("Scaled up replica set to to from from"), None);
        assert_eq!(scaled(""), None);
    }
}
