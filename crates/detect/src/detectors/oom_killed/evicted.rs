//! Pods that the kubelet evicted for the node's memory.

use crate::detectors::killed_by;
use crate::{Fact, Finding, Place, View, describe, spot};
use reckon_model::document::{Cause, CauseKind, Death, DeathScope, Effect, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::Pod;
use reckon_model::{Kind, Object, ResourceRef};

/// Whether the kubelet's message is about memory: the names of volumes and containers stand in such messages, too.
pub(super) fn for_memory(message: &str) -> bool {
    message.contains("low on resource: memory") || message.contains("resource: memory.")
}

pub(super) fn finding<'a>(view: &View<'a>, subject: &'a Object, pod: &Pod) -> Option<Finding> {
    let workload = view.workload_of(subject);
    // What is left of an evicted pod is no fault once its work was done, or is being done, by another: of a DaemonSet, on
    // the same node.
    let replaced = match workload.kind {
        Kind::DaemonSet => view.pods_of(workload).items.iter().any(|other| {
            other.pod().is_some_and(|other| other.spec.node_name == pod.spec.node_name && other.is_ready())
        }),
        _ => killed_by::superseded(view, workload, subject),
    };
    if replaced {
        return None;
    }
    let node = ResourceRef::new(Kind::Node, None, &pod.spec.node_name);
    let sentence = format!("{node} was low on memory, and the kubelet evicted the pod to get some back.");
    let cause = Cause::plain(CauseKind::Node, Some(&node), sentence);
    let title = format!("{}: evicted because {node} was low on memory", describe::object(workload));
    let mut finding = Finding::new("evicted", Place::of(workload), title, cause);
    finding.class = Some("evicted");
    finding.shows_on = [subject.reference()].into();
    finding.verdict = Verdict::Confirmed;
    let at = pod
        .condition("DisruptionTarget")
        .and_then(|condition| condition.since)
        .or(pod.condition("Ready").and_then(|ready| ready.since));
    finding.opened = at;
    let text = format!("Evicted: {}", pod.status.message.trim());
    finding.evidence.push(Fact::new(Role::Symptom, Source::Status, at, subject, text));
    let sentence =
        "Request as much memory as its containers use: the kubelet evicts first what uses more than it requests.";
    finding.remedies.push(spot::remedy(RemedyKind::SetResources, &workload.reference(), sentence));
    finding.death = Some(Death { scope: Some(DeathScope::Node), effect: Some(Effect::Evicted), ..Death::default() });
    Some(finding)
}
