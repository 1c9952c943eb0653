//! Pods that were told to end and do not.

use super::guardian;
use crate::spot::{self};
use crate::{Fact, Finding, Lookup, Place, View, describe};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Risk, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Condition, Pod};
use reckon_model::{Body, Kind, Object, text};
use serde_json::json;

/// After the grace period the kubelet kills, and then has to clean up; a volume may take its time.
const GRACE: SignedDuration = SignedDuration::from_secs(180);

/// With it a Job counts each of its pods before it lets go of it.
const TRACKING: &str = "batch.kubernetes.io/job-tracking";

/// The finding about a pod that is being deleted.
pub(super) fn found<'a>(view: &View<'a>, object: &'a Object) -> Option<Finding> {
    let pod = object.pod()?;
    // The time of the deletion has the grace period in it.
    let due = object.meta.deleted?.checked_add(GRACE).ok()?;
    if !view.reached(due) {
        view.recheck_at(due);
        return None;
    }
    // The pod of a static manifest comes again whatever is done to its picture.
    if object.meta.annotations.contains_key("kubernetes.io/config.mirror") {
        return None;
    }
    let finding = why(view, object, pod)?;
    if view.is_waiting() { None } else { Some(finding) }
}

fn why<'a>(view: &View<'a>, object: &'a Object, pod: &'a Pod) -> Option<Finding> {
    let workload = view.workload_of(object);
    let name = describe::object(object);
    let finalizers = guardian::foreign(object);
    let ended = pod.is_finished() || has_ended(pod);
    let node = match pod.spec.node_name.as_str() {
        "" => None,
        node => Some(view.object(&Kind::Node, None, node)),
    };
    // As long as a container may run, nobody but its kubelet can say that it has ended.
    if let (false, Some(node)) = (ended, &node) {
        match node {
            Lookup::Found(node) if !is_ready(node) => return lost(object, workload, node),
            // What was bound to a node that is gone is collected; that it is gone is told elsewhere.
            Lookup::Absent { .. } => return None,
            _ => {}
        }
    }
    let events = view.events(object);
    let failed = events.iter().rev().find(|event| event.reason == "FailedKillPod");
    if let (Some(event), Some(Lookup::Found(node))) = (failed, &node) {
        let said = text::shorten(event.message.trim(), 200).into_owned();
        let sentence = format!("The runtime of node {} could not end {name}: {said}.", node.meta.name);
        let cause = Cause::plain(CauseKind::Node, Some(&node.reference()), sentence);
        let mut finding = finding(object, workload, "runtime", "its runtime could not end it", cause);
        finding.verdict = Verdict::Confirmed;
        let fact = Fact::new(Role::Cause, Source::Event, event.last_seen(), object, format!("FailedKillPod: {said}"));
        finding.evidence.push(fact.raw(json!({"message": event.message, "count": event.count()})));
        finding.remedies.push(outside(node, "Look at the container runtime and the kubelet of the node, and restart them (systemctl restart containerd kubelet)."));
        finding.remedies.push(by_force(object));
        return Some(finding);
    }
    if let Some(finalizer) = finalizers.first() {
        let mut holding = guardian::holding(view, object, finalizer);
        let owner = object.meta.controller().map(|owner| owner.reference(object.meta.namespace.as_deref()));
        if let Some(owner) = owner.filter(|owner| *finalizer == TRACKING && view.look_up(owner).is_absent()) {
            holding.verdict = Verdict::Likely;
            holding.cause.sentence =
                format!("The finalizer {finalizer} keeps {name}, and {owner}, for which it is there, is gone.");
        }
        let what = format!("its finalizer {finalizer} is not taken away");
        let mut finding = finding(object, workload, "finalizer", &what, holding.cause);
        finding.verdict = holding.verdict;
        finding.evidence.extend(holding.facts);
        finding.remedies = holding.remedies;
        return Some(finding);
    }
    let Some(Lookup::Found(node)) = node else { return None };
    let state = if ended { "its containers have ended, and it is not cleaned up" } else { "its containers still run" };
    let sentence = format!("The kubelet of node {} is ready and has not finished {name}: {state}.", node.meta.name);
    let cause = Cause::plain(CauseKind::Node, Some(&node.reference()), sentence);
    let mut finding = finding(object, workload, "kubelet", state, cause);
    let last = events.iter().rev().find(|event| event.severity == "Warning");
    finding.evidence.extend(last.map(|event| {
        let text = format!("{}: {}", event.reason, text::shorten(event.message.trim(), 300));
        Fact::new(Role::Cause, Source::Event, event.last_seen(), object, text)
    }));
    finding.remedies.push(outside(node, "Look at the kubelet's log on the node for the pod: a volume that is not unmounted, a process that cannot be killed (state D)."));
    finding.remedies.push(by_force(object));
    Some(finding)
}

/// The kubelet of its node does not answer.
fn lost(object: &Object, workload: &Object, node: &Object) -> Option<Finding> {
    let ready = match &node.body {
        Body::Node(body) => Condition::find(&body.status.conditions, "Ready"),
        _ => None,
    };
    // A node that is being shut down is somebody's doing; only a StatefulSet waits for what was left on it.
    let meant = ready.is_some_and(|ready| ready.message.contains("node is shutting down"));
    if meant && workload.kind != Kind::StatefulSet {
        return None;
    }
    let name = describe::object(object);
    let sentence = format!(
        "Node {} is not ready: while its kubelet does not say that {name} has ended, the pod stays, as its containers may run.",
        node.meta.name
    );
    let cause = Cause::plain(CauseKind::Node, Some(&node.reference()), sentence);
    let what = format!("node {} does not say that it has", node.meta.name);
    let mut finding = finding(object, workload, "node", &what, cause);
    finding.verdict = Verdict::Confirmed;
    finding.evidence.extend(ready.map(|ready| {
        let text = format!("Ready={} {}", ready.status, ready.reason);
        Fact::new(Role::Cause, Source::Condition, ready.since, node, text.trim_end())
    }));
    // Of a node that does not answer at all this is told with the node.
    if ready.is_none_or(|ready| ready.status != "Unknown") {
        let sentence = "Bring the node back, or, if it is off for good, delete it or taint it node.kubernetes.io/out-of-service=nodeshutdown:NoExecute: its pods and volumes are let go then.";
        finding.remedies.push(outside(node, sentence));
    }
    finding.remedies.push(by_force(object));
    Some(finding)
}

fn finding(object: &Object, workload: &Object, class: &'static str, what: &str, cause: Cause) -> Finding {
    let title = format!("pod {} was deleted and does not end: {what}", describe::object(object));
    let mut finding = Finding::new("pod-stuck-terminating", Place::of(workload), title, cause);
    finding.class = Some(class);
    // Only a StatefulSet waits for the old pod before it makes the next one of that name.
    finding.severity = match workload.kind {
        Kind::StatefulSet => spot::severity(workload),
        _ => Severity::Warning,
    };
    finding.opened = object.meta.deleted;
    finding.shows_on.insert(object.reference());
    let text = "was to be gone by then, and is there";
    finding.evidence.push(Fact::new(Role::Symptom, Source::Status, object.meta.deleted, object, text));
    finding
}

fn is_ready(node: &Object) -> bool {
    match &node.body {
        Body::Node(body) => Condition::find(&body.status.conditions, "Ready").is_none_or(Condition::is_true),
        _ => true,
    }
}

/// Whether all of its containers are known to have ended.
fn has_ended(pod: &Pod) -> bool {
    let mut statuses = pod.containers().filter_map(|(_, _, status)| status).peekable();
    statuses.peek().is_some() && statuses.all(|status| status.state.terminated.is_some())
}

fn outside(node: &Object, sentence: &str) -> reckon_model::document::Remedy {
    let mut remedy = spot::remedy(RemedyKind::Outside, &node.reference(), sentence);
    remedy.risk = Risk::Medium;
    remedy
}

/// The last resort: the API server forgets the pod, and whatever still runs runs on.
fn by_force(object: &Object) -> reckon_model::document::Remedy {
    let sentence = format!(
        "Last of all: kubectl delete pod {} -n {} --grace-period=0 --force. If its containers still run, two of them may then write to one volume.",
        object.meta.name,
        object.namespace()
    );
    let mut remedy = spot::remedy(RemedyKind::Delete, &object.reference(), sentence);
    remedy.risk = Risk::High;
    remedy
}
