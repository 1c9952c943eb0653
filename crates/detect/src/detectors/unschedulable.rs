//! Pods that find no node.

mod fit;

use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View, blame, describe, ownership};
use fit::{Hurdle, Verdicts};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Ref, Remedy, RemedyKind, Requires, Risk, Role, Source, Verdict};
use reckon_model::k8s::Pod;
use reckon_model::{Kind, Object, text};
use serde_json::json;

const fn failure(slug: &'static str, title: &'static str, verified: Verified) -> Failure {
    Failure { slug, title, stage: Stage::Scheduling, family: "scheduling", echo: false, verified }
}

pub(crate) static DETECTOR: Detector = Detector {
    name: "unschedulable",
    failures: &[
        failure("unschedulable-resources", "No node has room", Verified::Constructed),
        failure("request-exceeds-nodes", "A request is larger than any node", Verified::Live),
        failure("unschedulable-taint", "Every node has a taint that is not tolerated", Verified::Live),
        failure("unschedulable-node-selector", "No node has the labels", Verified::Live),
        failure("unschedulable-pod-affinity", "Pod affinity excludes every node", Verified::Constructed),
        failure("unschedulable-topology-spread", "Spread constraints exclude every node", Verified::Constructed),
        failure("host-port-conflict", "The host port is taken on every node", Verified::Constructed),
        failure("nodes-cordoned", "The nodes that would do are cordoned", Verified::Constructed),
        failure("scheduling-gated", "A scheduling gate is closed", Verified::Constructed),
        failure("scheduler-not-found", "No scheduler takes the pod", Verified::Constructed),
    ],
    subjects: &[Kind::Pod],
    page: include_str!("unschedulable.md"),
    detect,
};

/// How long a pod may wait before it is a fault: the scheduler tries again when anything changes.
const PENDING: SignedDuration = SignedDuration::from_secs(60);
/// A gate is closed on purpose for a while.
const GATED: SignedDuration = SignedDuration::from_mins(10);

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    if pod.status.phase != "Pending" || !pod.spec.node_name.is_empty() || subject.meta.deleted.is_some() {
        return Vec::new();
    }
    // What the kubelet writes about its containers, it writes of a pod that has a node.
    if !pod.status.container_statuses.is_empty() || pod.status.start_time.is_some() {
        return Vec::new();
    }
    let scheduled = pod.condition("PodScheduled");
    let since = scheduled.and_then(|condition| condition.since).or(subject.meta.created);
    let grace = if scheduled.is_some_and(|condition| condition.reason == "SchedulingGated") { GATED } else { PENDING };
    let Some(due) = since.and_then(|since| since.checked_add(grace).ok()) else { return Vec::new() };
    if due > view.now() {
        view.recheck_at(due);
        return Vec::new();
    }
    let finding = match scheduled {
        // A status of a container is the kubelet's: then somebody has placed the pod, whatever the conditions say.
        None if !pod.status.container_statuses.is_empty() => return Vec::new(),
        None => not_taken(view, subject, pod),
        Some(condition) if condition.is_true() => return Vec::new(),
        Some(condition) if condition.reason == "SchedulingGated" => gated(view, subject, pod),
        Some(condition) => blocked(view, subject, pod, &condition.message),
    };
    finding
        .map(|mut finding| {
            finding.shows_on = [subject.reference()].into();
            finding.opened = since;
            let said =
                scheduled.map_or("no scheduler has looked at it".to_owned(), |condition| condition.message.clone());
            finding.evidence.push(
                Fact::new(Role::Symptom, Source::Condition, since, subject, text::shorten(said.trim(), 400))
                    .raw(json!(said)),
            );
            vec![finding]
        })
        .unwrap_or_default()
}

fn template(workload: &Object) -> (&'static str, &'static str) {
    match workload.kind {
        Kind::Pod => ("spec", "/spec"),
        Kind::CronJob => ("spec.jobTemplate.spec.template.spec", "/spec/jobTemplate/spec/template/spec"),
        _ => ("spec.template.spec", "/spec/template/spec"),
    }
}

fn not_taken<'a>(view: &View<'a>, subject: &'a Object, pod: &Pod) -> Option<Finding> {
    let workload = view.workload_of(subject);
    let name = if pod.spec.scheduler_name.is_empty() { "default-scheduler" } else { &pod.spec.scheduler_name };
    let (prefix, base) = template(workload);
    let sentence = format!(
        "The pod waits for the scheduler {name}, which has not looked at it: it does not run, or does not exist."
    );
    let cause = Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence).at_field(
        format!("{prefix}.schedulerName"),
        format!("{base}/schedulerName"),
        Some(json!(name)),
    );
    let title = format!("{}: no scheduler takes the pod; it asks for {name}", describe::object(workload));
    let mut finding = Finding::new("scheduler-not-found", Place::of(workload), title, cause);
    finding.verdict = if name == "default-scheduler" { Verdict::Likely } else { Verdict::Confirmed };
    Some(finding)
}

fn gated<'a>(view: &View<'a>, subject: &'a Object, pod: &Pod) -> Option<Finding> {
    let workload = view.workload_of(subject);
    let gates: Vec<&str> = pod.spec.scheduling_gates.iter().map(|gate| gate.name.as_str()).collect();
    let (prefix, base) = template(workload);
    let sentence = format!(
        "The scheduling gate {} has not been removed; whatever owns it holds the pod back.",
        text::enumerate(&gates)
    );
    let cause = Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence).at_field(
        format!("{prefix}.schedulingGates"),
        format!("{base}/schedulingGates"),
        Some(json!(gates)),
    );
    let title = format!("{}: held back by the scheduling gate {}", describe::object(workload), text::enumerate(&gates));
    let mut finding = Finding::new("scheduling-gated", Place::of(workload), title, cause);
    finding.verdict = Verdict::Confirmed;
    finding.severity = reckon_model::document::Severity::Info;
    Some(finding)
}

/// What the scheduler says, by fragment (versions 1.21 to 1.37), for when the nodes cannot be read.
fn of_message(message: &str) -> Option<Hurdle> {
    // What comes after is about making room, and never a cause.
    let message = message.split("preemption:").next().unwrap_or(message);
    let fragments: [(&str, Hurdle); 12] = [
        ("Insufficient ", Hurdle::Room),
        ("Too many pods", Hurdle::Room),
        ("untolerated taint", Hurdle::Taint),
        ("that the pod didn't tolerate", Hurdle::Taint),
        ("didn't match Pod's node affinity/selector", Hurdle::Labels),
        ("didn't satisfy plugin(s) [NodeAffinity]", Hurdle::Labels),
        ("didn't match pod affinity rules", Hurdle::PodAffinity),
        ("anti-affinity rules", Hurdle::PodAffinity),
        ("topology spread constraints", Hurdle::Spread),
        ("didn't have free ports", Hurdle::HostPort),
        ("were unschedulable", Hurdle::Cordoned),
        ("no nodes available", Hurdle::Room),
    ];
    fragments
        .into_iter()
        .filter_map(|(fragment, hurdle)| Some((message.find(fragment)?, hurdle)))
        .min()
        .map(|(_, hurdle)| hurdle)
}

fn blocked<'a>(view: &View<'a>, subject: &'a Object, pod: &'a Pod, message: &str) -> Option<Finding> {
    // Claims and volumes have detectors of their own.
    let volumes = ["ersistentvolumeclaim", "ersistentVolume", "volume node affinity", "volume"];
    let said = of_message(message);
    if said.is_none() && volumes.iter().any(|word| message.contains(word)) {
        return None;
    }
    let workload = view.workload_of(subject);
    let nodes = view.all(&Kind::Node, None);
    let pods = view.all(&Kind::Pod, None);
    let verdicts = Verdicts::of(pod, subject, &nodes.items, &pods.items);
    // Where the scheduler and the recomputation disagree, the scheduler was there.
    let hurdle = verdicts
        .decisive()
        .filter(|hurdle| said.is_none() || Some(*hurdle) == said || verdicts.excludes(*hurdle))
        .or(said)?;
    let slug = match hurdle {
        Hurdle::Room if verdicts.exceeds_all() => "request-exceeds-nodes",
        Hurdle::Room => "unschedulable-resources",
        Hurdle::Taint => "unschedulable-taint",
        Hurdle::Labels => "unschedulable-node-selector",
        Hurdle::PodAffinity => "unschedulable-pod-affinity",
        Hurdle::Spread => "unschedulable-topology-spread",
        Hurdle::HostPort => "host-port-conflict",
        Hurdle::Cordoned => "nodes-cordoned",
    };
    let (prefix, base) = template(workload);
    let words = verdicts.words(hurdle, pod);
    let fields: &[&str] = match hurdle {
        Hurdle::Room => &[".resources", "overhead"],
        Hurdle::Taint => &["tolerations"],
        Hurdle::Labels => &["nodeSelector", "nodeAffinity"],
        Hurdle::PodAffinity => &["podAffinity", "podAntiAffinity"],
        Hurdle::Spread => &["topologySpreadConstraints"],
        Hurdle::HostPort => &["hostPort", ".ports"],
        Hurdle::Cordoned => &[],
    };
    let changed = blame::template_change(view, workload, Some(subject), None, |change| {
        fields
            .iter()
            .position(|field| change.field.contains(field) || change.pointer.contains(field))
            .and_then(|at| u8::try_from(at).ok())
    });
    let node_change = match hurdle {
        Hurdle::Cordoned | Hurdle::Taint => nodes.items.iter().find_map(|node| {
            blame::object_change(view, node, None, |change| {
                (change.pointer.starts_with("/spec/taints") || change.pointer == "/spec/unschedulable").then_some(0)
            })
        }),
        _ => None,
    };
    let cause = match (changed, node_change, hurdle) {
        (Some(blame), _, _) => {
            let sentence = format!("{} was {}, and now {words}.", blame.field().field, blame.words());
            blame.cause(view, sentence)
        }
        (None, Some(blame), _) => {
            let sentence = format!(
                "{} of node {} was {}; {words}.",
                blame.field().field,
                blame.change.subject.name,
                blame.words()
            );
            blame.cause(view, sentence)
        }
        (None, None, Hurdle::Cordoned | Hurdle::Taint) if verdicts.first(hurdle).is_some() => {
            let node = verdicts.first(hurdle)?;
            let (field, value) = match hurdle {
                Hurdle::Cordoned => ("spec.unschedulable", json!(true)),
                _ => ("spec.taints", json!(verdicts.taint())),
            };
            Cause::plain(CauseKind::Resource, Some(&node.reference()), format!("No node takes the pod: {words}."))
                .at_field(field, format!("/{}", field.replace('.', "/")), Some(value))
        }
        _ => {
            let (field, pointer, value) = verdicts.field(hurdle, pod);
            let mut cause = Cause::plain(
                CauseKind::Resource,
                Some(&workload.reference()),
                format!("No node takes the pod: {words}."),
            );
            cause.managed_by = ownership::managed_by(workload).map(str::to_owned);
            cause.at_field(format!("{prefix}.{field}"), format!("{base}/{pointer}"), value)
        }
    };
    let mut finding = Finding::new(
        slug,
        Place::of(workload),
        format!("{}: no node takes its pod, {words}", describe::object(workload)),
        cause,
    );
    finding.verdict = match (nodes.complete, verdicts.excludes(hurdle)) {
        (true, true) => Verdict::Confirmed,
        _ => Verdict::Likely,
    };
    for (count, reason) in verdicts.grouped() {
        let text = format!("{}: {reason}", text::count(count, "node"));
        finding.evidence.push(Fact::new(Role::Cause, Source::Node, None, subject, text));
    }
    if hurdle == Hurdle::Cordoned
        && let Some(node) = verdicts.first(hurdle)
    {
        finding.remedies.push(Remedy {
            option: 0,
            kind: RemedyKind::Uncordon,
            reference: Some(Ref::from(&node.reference())),
            managed_by: None,
            patch_type: Some("merge".to_owned()),
            patch: Some(json!({"spec": {"unschedulable": false}})),
            risk: Risk::Medium,
            reversible: true,
            requires: Some(Requires { verb: "patch".to_owned(), resource: "nodes".to_owned() }),
            allowed: None,
            sentence: format!("Uncordon {}, if whoever cordoned it is done.", node.meta.name),
        });
    }
    Some(finding)
}
