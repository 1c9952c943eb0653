//! Pods that the kubelet evicted for the node's memory.

use crate::{Fact, Finding, Place, View, describe};
use reckon_model::document::{Cause, CauseKind, Death, Role, Source, Verdict};
use reckon_model::k8s::Pod;
use reckon_model::{Kind, Object, ResourceRef};

pub(super) fn finding<'a>(view: &View<'a>, subject: &'a Object, pod: &Pod) -> Option<Finding> {
    let workload = view.workload_of(subject);
    // What is left of an evicted pod is no fault once its replacement runs.
    let others = view.pods_of(workload);
    if workload.kind != Kind::Pod && others.items.iter().any(|other| other.pod().is_some_and(Pod::is_ready)) {
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
    finding.death =
        Some(Death { scope: Some("node".to_owned()), effect: Some("evicted".to_owned()), ..Death::default() });
    Some(finding)
}
