//! Nodes that a DaemonSet has left out since somebody changed it, or them.

mod change;

use super::last_write::LastWrite;
use super::tolerations::tolerated;
use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View, blame, describe, ownership, spot};
use change::Before;
use jiff::SignedDuration;
use reckon_model::document::{Cause, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::{PodSpec, Taint};
use reckon_model::{Body, FieldChange, Kind, Object, Timestamp, text};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) static DETECTOR: Detector = Detector {
    name: "daemonset_gap",
    failures: &[Failure {
        slug: "daemonset-gap",
        title: "A DaemonSet leaves nodes out that it ran on",
        stage: Stage::Strategy,
        family: "daemonset-gap",
        echo: false,
        verified: Verified::Constructed,
        page: include_str!("../pages/daemonset-gap.md"),
    }],
    subjects: &[Kind::DaemonSet, Kind::Node],
    others: &[],
    detect,
};

/// What has been so for a day is meant to be.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// The controller needs a moment.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// Programs that taint nodes in the course of things, by a part of the manager's name: those that are about to be removed, or
/// are ill. Controllers also own what others wrote beside their own.
const PROGRAMS: [&str; 8] =
    ["controller", "kubelet", "autoscaler", "karpenter", "handler", "operator", "cloud", "descheduler"];

/// So many are named.
const NAMED: usize = 5;

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    if subject.meta.deleted.is_some() || !is_written(view, subject) {
        return Vec::new();
    }
    match &subject.body {
        Body::Node(node) => tainted(view, subject, &node.spec.taints),
        Body::Workload(body) if body.status.observed_generation >= subject.meta.generation => {
            changed(view, subject, &body.spec.template.spec)
        }
        _ => None,
    }
    .into_iter()
    .collect()
}

/// Whether anybody but a kubelet wrote it within the last day, and not only when it was made. Most objects are done with here.
fn is_written(view: &View<'_>, subject: &Object) -> bool {
    let Some(settled) = subject.meta.created.and_then(|created| created.checked_add(GRACE).ok()) else { return false };
    let managers = subject.meta.managers.iter();
    let by_others = managers.filter(|manager| manager.subresource != "status" && manager.manager != "kubelet");
    let last = by_others.filter_map(|manager| manager.time).filter(|at| *at > settled).max();
    last.and_then(|at| at.checked_add(WINDOW).ok()).is_some_and(|over| !view.reached(over))
}

/// Whether a change was made within the last day, and long enough ago to have been acted on.
fn is_current(view: &View<'_>, at: Timestamp) -> bool {
    let (Ok(due), Ok(over)) = (at.checked_add(GRACE), at.checked_add(WINDOW)) else { return false };
    if !view.reached(due) {
        view.recheck_at(due);
        return false;
    }
    let over_already = view.reached(over);
    view.recheck_at(over);
    !over_already
}

/// The taints that somebody chose: Kubernetes' own say that the node is ill, and DaemonSets put up with most of them.
fn chosen(taints: &[Taint]) -> impl Iterator<Item = &Taint> {
    taints.iter().filter(|taint| {
        matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute") && !taint.key.starts_with("node.kubernetes.io/")
    })
}

/// Whether a node has the labels, or the name, that a pod spec asks for.
fn has_labels(selector: &BTreeMap<String, String>, spec: &PodSpec, node: &Object) -> bool {
    let labels = &node.meta.labels;
    let fields = BTreeMap::from([("metadata.name".to_owned(), node.meta.name.clone())]);
    let required = spec.affinity.node_affinity.required.as_ref();
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        && required.is_none_or(|required| {
            required.node_selector_terms.iter().any(|term| {
                term.match_expressions.iter().all(|it| it.matches(labels))
                    && term.match_fields.iter().all(|it| it.matches(&fields))
            })
        })
}

/// The DaemonSet was changed, and nodes that it ran on do not fit any more.
fn changed<'a>(view: &View<'a>, subject: &'a Object, spec: &'a PodSpec) -> Option<Finding> {
    let rank = |field: &FieldChange| {
        let below = field.pointer.strip_prefix("/spec/template/spec/")?;
        match () {
            () if below.starts_with("nodeSelector") => Some(0),
            () if below.starts_with("tolerations") => Some(1),
            () => None,
        }
    };
    let blame = blame::template_change(view, subject, None, None, rank)?;
    if !is_current(view, blame.change.at) {
        return None;
    }
    let before = Before::of(spec, &blame.change.fields);
    let reference = subject.reference();
    let pods = view.pods_of(subject);
    // One that is not known may be on the node.
    if !pods.complete {
        return None;
    }
    let on: BTreeSet<&str> = pods.items.iter().filter_map(|pod| Some(pod.pod()?.spec.node_name.as_str())).collect();
    let fits = |selector: &BTreeMap<String, String>, tolerations, node: &Object, taints: &[Taint]| {
        has_labels(selector, spec, node) && chosen(taints).all(|taint| tolerated(tolerations, taint))
    };
    let nodes = view.all(&Kind::Node, None).items;
    let (mut lost, mut kept) = (Vec::new(), 0);
    for node in nodes {
        let Body::Node(body) = &node.body else { continue };
        let taints = &body.spec.taints;
        if fits(&spec.node_selector, &spec.tolerations, node, taints) {
            kept += 1;
        } else if fits(&before.selector, &before.tolerations, node, taints) && !on.contains(node.meta.name.as_str()) {
            lost.push(node);
        }
    }
    let first = *lost.first()?;
    let name = describe::object(subject);
    let names: Vec<&str> = lost.iter().take(NAMED).map(|node| node.meta.name.as_str()).collect();
    let more = match lost.len().saturating_sub(names.len()) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let field = blame.field();
    let of_tolerations = field.pointer.contains("/tolerations");
    let what = if of_tolerations { "tolerations" } else { "nodeSelector" };
    let title = format!(
        "{name} runs on {} less since its {what} changed: {}{more}",
        text::count(lost.len(), "node"),
        text::enumerate(&names)
    );
    let sentence = format!(
        "{} was {}; the DaemonSet does not run on {}{more} since.",
        field.field,
        blame.words(),
        text::enumerate(&names)
    );
    let mut finding = Finding::new("daemonset-gap", Place::of(subject), title, blame.cause(view, sentence));
    finding.class = Some(if of_tolerations { "toleration" } else { "node-selector" });
    finding.verdict = Verdict::Confirmed;
    finding.severity = Severity::Warning;
    finding.opened = Some(blame.change.at);
    let text =
        format!("of {} that it was meant for it leaves out {}", text::count(kept + lost.len(), "node"), lost.len());
    finding.evidence.push(Fact::new(Role::Symptom, Source::Spec, Some(blame.change.at), subject, text));
    if let Body::Node(body) = &first.body {
        let taint = chosen(&body.spec.taints).find(|taint| !tolerated(&spec.tolerations, taint));
        let lacks = spec.node_selector.iter().find(|(key, value)| first.meta.labels.get(*key) != Some(*value));
        let why = match (taint, lacks) {
            (Some(taint), _) if of_tolerations => Some(format!("has the taint {}", taint.describe())),
            (_, Some((key, value))) => Some(format!("lacks the label {key}={value}")),
            _ => None,
        };
        if let Some(why) = why {
            let text = format!("{} {why}, and no pod of the DaemonSet", first.meta.name);
            finding.evidence.push(Fact::new(Role::Symptom, Source::Node, None, first, text));
        }
    }
    let sentence = format!(
        "Put the {what} back, if these nodes were not to be left out: kubectl -n {} rollout undo daemonset/{}.",
        subject.namespace(),
        subject.meta.name
    );
    let mut remedy = spot::remedy(RemedyKind::RollBack, &reference, sentence);
    remedy.managed_by = ownership::managed_by(subject);
    finding.remedies.push(remedy);
    Some(finding)
}

/// The node was tainted by somebody, and DaemonSets that ran there do not put up with it.
fn tainted<'a>(view: &View<'a>, node: &'a Object, taints: &'a [Taint]) -> Option<Finding> {
    chosen(taints).next()?;
    let written: Vec<String> = taints.iter().map(Taint::describe).collect();
    let write = LastWrite::of(node, "spec.taints", "/spec/taints", Some(json!(written)))?;
    let actor = write.actor().to_ascii_lowercase();
    if PROGRAMS.iter().any(|program| actor.contains(program)) || !is_current(view, write.at()) {
        return None;
    }
    let here = view.pods_on(&node.meta.name)?;
    let runs =
        |set: &Object| here.iter().any(|pod| pod.meta.controller().is_some_and(|owner| owner.uid == set.meta.uid));
    let left = |set: &&'a Object| {
        let Some(body) = set.workload() else { return false };
        let spec = &body.spec.template.spec;
        // One that is younger than the taint never ran there; one that runs nowhere is not missed here.
        set.meta.deleted.is_none()
            && set.meta.created.is_some_and(|created| created < write.at())
            && body.status.desired_number_scheduled > 0
            && has_labels(&spec.node_selector, spec, node)
            && chosen(taints).any(|taint| !tolerated(&spec.tolerations, taint))
            && !runs(set)
    };
    let sets: Vec<&'a Object> = view.all(&Kind::DaemonSet, None).items.into_iter().filter(left).collect();
    let first = sets.first()?;
    let names: Vec<String> = sets.iter().take(NAMED).map(|set| describe::object(set)).collect();
    let more = match sets.len().saturating_sub(names.len()) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let spec = &first.workload()?.spec.template.spec;
    let taint = chosen(taints).find(|taint| !tolerated(&spec.tolerations, taint))?.describe();
    let names = text::enumerate(&names);
    let who = &node.meta.name;
    let title = format!("node {who} has no pod of {names}{more} since it was tainted with {taint}");
    let sentence = format!(
        "The taints of {who} were written {}; {names}{more} ran there before and do not put up with {taint}.",
        write.words()
    );
    let mut finding = Finding::new("daemonset-gap", Place::of(node), title, write.cause(sentence) as Cause);
    finding.class = Some("taint");
    // That they ran there follows from how DaemonSets work; it was not seen.
    finding.verdict = Verdict::Likely;
    finding.severity = Severity::Warning;
    finding.opened = Some(write.at());
    for set in sets.iter().take(NAMED) {
        let text = format!("{} matches the node, is older than the taint, and has no pod there", describe::object(set));
        finding.evidence.push(Fact::new(Role::Symptom, Source::Absence, None, set, text));
    }
    finding.shows_on.extend(sets.iter().map(|set| set.reference()));
    let sentence =
        format!("Take the taint off again (kubectl taint node {who} {taint}-), or let {names}{more} tolerate it.");
    finding.remedies.push(spot::remedy(RemedyKind::Patch, &node.reference(), sentence));
    Some(finding)
}
