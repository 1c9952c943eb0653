//! Pods that find no node.
//!
//! What the scheduler says is the observation; what keeps the pod off each node, computed again, is the explanation.

mod cause;
mod devices;
mod funnel;
mod hurdle;
mod message;
mod nodes;
mod rules;
mod scheduler;
mod spread;
mod volumes;
mod waiting;
mod words;

use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View, describe};
use cause::Case;
use hurdle::Hurdle;
use jiff::SignedDuration;
use message::Said;
use nodes::Nodes;
use reckon_model::document::{Role, Source, Verdict};
use reckon_model::k8s::{Condition, Pod};
use reckon_model::{Kind, Object, Timestamp, text};
use serde_json::json;

const fn failure(slug: &'static str, title: &'static str, verified: Verified, page: &'static str) -> Failure {
    Failure { slug, title, stage: Stage::Scheduling, family: "scheduling", echo: false, verified, page }
}

pub(crate) static DETECTOR: Detector = Detector {
    name: "unschedulable",
    failures: &[
        // First, so that the name of the detector leads to what holds for all of them.
        Failure {
            echo: true,
            ..failure(
                "pod-pending",
                "A pod finds no node",
                Verified::Constructed,
                include_str!("../pages/pod-pending.md"),
            )
        },
        failure(
            "unschedulable-resources",
            "No node has room",
            Verified::Live,
            include_str!("../pages/unschedulable-resources.md"),
        ),
        failure(
            "request-exceeds-nodes",
            "A request is larger than any node",
            Verified::Live,
            include_str!("../pages/request-exceeds-nodes.md"),
        ),
        failure(
            "extended-resource-absent",
            "No node offers a resource",
            Verified::Live,
            include_str!("../pages/extended-resource-absent.md"),
        ),
        failure(
            "unschedulable-taint",
            "Every node has a taint that is not tolerated",
            Verified::Live,
            include_str!("../pages/unschedulable-taint.md"),
        ),
        failure(
            "unschedulable-node-selector",
            "No node has the labels",
            Verified::Live,
            include_str!("../pages/unschedulable-node-selector.md"),
        ),
        failure(
            "unschedulable-pod-affinity",
            "Pod affinity excludes every node",
            Verified::Live,
            include_str!("../pages/unschedulable-pod-affinity.md"),
        ),
        failure(
            "unschedulable-topology-spread",
            "Spread constraints exclude every node",
            Verified::Live,
            include_str!("../pages/unschedulable-topology-spread.md"),
        ),
        failure(
            "host-port-conflict",
            "The host port is taken on every node",
            Verified::Live,
            include_str!("../pages/host-port-conflict.md"),
        ),
        failure(
            "nodes-cordoned",
            "The nodes that would do are cordoned",
            Verified::Live,
            include_str!("../pages/nodes-cordoned.md"),
        ),
        failure(
            "scheduling-gated",
            "A scheduling gate is closed",
            Verified::Live,
            include_str!("../pages/scheduling-gated.md"),
        ),
        failure(
            "scheduler-not-found",
            "No scheduler takes the pod",
            Verified::Live,
            include_str!("../pages/scheduler-not-found.md"),
        ),
        Failure {
            family: "control-plane",
            ..failure(
                "scheduler-down",
                "A scheduler has stopped",
                Verified::Constructed,
                include_str!("../pages/scheduler-down.md"),
            )
        },
    ],
    subjects: &[Kind::Pod],
    others: &[],
    detect,
};

/// How long a pod may wait before it is a fault: the scheduler tries again when anything changes.
const PENDING: SignedDuration = SignedDuration::from_secs(60);
/// A gate is closed on purpose for a while.
const GATED: SignedDuration = SignedDuration::from_mins(10);

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    if pod.status.phase != "Pending" || subject.meta.deleted.is_some() {
        return Vec::new();
    }
    if !pod.spec.node_name.is_empty() {
        let due = subject.meta.created.and_then(|at| at.checked_add(PENDING).ok());
        if let Some(due) = due.filter(|due| !pod.spec.resource_claims.is_empty() && !view.reached(*due)) {
            view.recheck_at(due);
            return Vec::new();
        }
        return devices::unprepared(view, subject, pod).into_iter().collect();
    }
    // What the kubelet writes, it writes of a pod that has a node, whatever the conditions say.
    if !pod.status.container_statuses.is_empty() || pod.status.start_time.is_some() {
        return Vec::new();
    }
    let scheduled = pod.condition("PodScheduled");
    let since = scheduled.and_then(|condition| condition.since).or(subject.meta.created);
    let grace = if scheduled.is_some_and(|condition| condition.reason == "SchedulingGated") { GATED } else { PENDING };
    let Some(due) = since.and_then(|since| since.checked_add(grace).ok()) else { return Vec::new() };
    if !view.reached(due) {
        view.recheck_at(due);
        return Vec::new();
    }
    let finding = match scheduled {
        None => scheduler::silent(view, subject, pod, since),
        Some(condition) if condition.is_true() => None,
        Some(condition) if condition.reason == "SchedulingGated" => waiting::gated(view, subject, pod),
        Some(condition) => blocked(view, subject, pod, condition, since),
    };
    let Some(mut finding) = finding else { return Vec::new() };
    finding.shows_on = [subject.reference()].into();
    finding.opened = since;
    if finding.failure == "scheduler-down" {
        // Told once, whatever the number of pods.
        return vec![finding];
    }
    let said = scheduled.map_or("no scheduler has looked at it", |condition| condition.message.trim());
    finding
        .evidence
        .push(Fact::new(Role::Symptom, Source::Condition, since, subject, text::shorten(said, 400)).raw(json!(said)));
    vec![finding]
}

/// The scheduler has looked, and found nothing.
fn blocked<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    condition: &'a Condition,
    since: Option<Timestamp>,
) -> Option<Finding> {
    let said = Said::of(&condition.message);
    // Claims, and volumes that no node reaches, have detectors of their own.
    let told = |hurdle| volumes::told_elsewhere(view, subject, pod, hurdle, &condition.message);
    let of_claims = said.whole.as_ref().is_some_and(|reason| reason.hurdle == Hurdle::Claim);
    if of_claims && told(Hurdle::Claim) {
        return None;
    }
    if said.is_about_devices()
        && let Some(finding) = devices::missing(view, subject, pod)
    {
        return Some(finding);
    }
    let workload = view.workload_of(subject);
    let nodes = Nodes::of(view, subject, pod);
    let decision = funnel::decide(&nodes, &said)?;
    match decision.hurdle {
        Hurdle::Claim if !of_claims && told(Hurdle::Claim) => return None,
        // Where it was computed, of volumes that could be read.
        Hurdle::Reach
            if decision.on.iter().any(|node| node.hurdles.contains_key(&Hurdle::Reach)) && told(Hurdle::Reach) =>
        {
            return None;
        }
        _ => {}
    }
    if let Some(end) = waiting::until(view, subject, pod, &said, &decision, since) {
        view.recheck_at(end);
        return None;
    }
    let what = words::of(&decision, &nodes, &said, pod);
    let case = Case { view, subject, pod, workload, since };
    let mut cause = case.cause(&decision, &said, &what);
    let mut class_gone = None;
    if decision.hurdle == Hurdle::DeviceClass {
        let (of_class, verdict, fact) = devices::class(view, &said, &cause.sentence)?;
        cause = of_class;
        class_gone = Some((verdict, fact));
    }
    let title = format!("{}: no node takes its pod, {what}", describe::object(workload));
    let absent = decision.hurdle == Hurdle::Size
        && words::resource(&decision, &said).is_some_and(|name| words::largest(&decision.on, &name) == 0);
    let slug = if absent { "extended-resource-absent" } else { decision.hurdle.slug() };
    let mut finding = Finding::new(slug, Place::of(workload), title, cause);
    finding.class = match decision.hurdle {
        _ if absent => Some("absent"),
        Hurdle::Spread => spread::class(&decision.on, &said),
        hurdle => hurdle.class(),
    };
    finding.verdict = match decision.hurdle {
        // Words that are not known prove nothing but that the pod waits.
        Hurdle::Other => Verdict::Possible,
        _ if decision.proved => Verdict::Confirmed,
        _ => Verdict::Likely,
    };
    finding.remedies = case.remedies(&decision, &said);
    if let Some((verdict, fact)) = class_gone {
        finding.verdict = verdict;
        finding.evidence.extend(fact);
        finding.remedies.extend(devices::make_class(&finding.cause));
    }
    finding.evidence.extend(case.claims_told(decision.hurdle, &said));
    for (node, line) in words::excluded(&nodes) {
        finding.evidence.push(Fact::new(Role::Cause, Source::Node, None, node.node, line));
    }
    if let Some(name) = words::would_do(&nodes, decision.hurdle) {
        let text = format!(
            "nothing that is known keeps the pod off node {name} now; the scheduler tries again when something changes"
        );
        finding.evidence.push(Fact::new(Role::RuledOut, Source::Node, None, subject, text));
    }
    Some(finding)
}
