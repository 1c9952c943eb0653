//! Probes that do not reach the pods: of a whole node, or since a NetworkPolicy was changed.

use super::Failing;
use super::answer::{self, Answer, Which};
use crate::blame;
use crate::detectors::network_policy;
use crate::{Fact, Finding, Place, describe, ownership, spot};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Condition, Pod, Probe};
use reckon_model::{Body, Kind, Object, Timestamp, text};
use std::collections::BTreeSet;

/// So many pods of so many workloads do not hang all at once by themselves.
const PODS: usize = 3;
const WORKLOADS: usize = 2;

/// A policy is in force some seconds after it was written, and the probe has to fail several times.
const SOON: SignedDuration = SignedDuration::from_mins(10);

/// What keeps the probe from the pod, if that is not the program.
pub(super) fn finding(failing: &Failing<'_, '_>, since: Option<Timestamp>) -> Option<Finding> {
    if failing.answer != Answer::Timeout || !goes_over_the_network(failing.probe) {
        return None;
    }
    let mut finding = on_node(failing).or_else(|| by_policy(failing, since?))?;
    finding.evidence.extend(failing.words(Role::Symptom));
    Some(finding)
}

/// A command is run beside the program, by the runtime.
fn goes_over_the_network(probe: &Probe) -> bool {
    probe.exec.is_none()
}

/// No pod of the node that is asked over the network is ready.
fn on_node(failing: &Failing<'_, '_>) -> Option<Finding> {
    let view = failing.view;
    let name = failing.pod.spec.node_name.as_str();
    let node = view.object(&Kind::Node, None, name).found()?;
    // A node that is not ready has a failure of its own.
    let Body::Node(body) = &node.body else { return None };
    if !Condition::find(&body.status.conditions, "Ready").is_some_and(Condition::is_true) {
        return None;
    }
    let pods: Vec<&Object> = view.pods_on(name)?.into_iter().filter(|pod| is_asked(pod)).collect();
    let workloads: BTreeSet<_> = pods.iter().map(|pod| view.workload_of(pod).reference()).collect();
    // An answer, be it a refusal, has come over the network.
    let reached = |pod: &Object| pod.pod().is_some_and(Pod::is_ready) || !times_out(failing, pod);
    if pods.len() < PODS || workloads.len() < WORKLOADS || pods.iter().any(|pod| reached(pod)) {
        return None;
    }
    let elsewhere = |pod: &&Object| pod.pod().is_some_and(|body| body.is_ready() && body.spec.node_name != name);
    let sibling = pods.iter().find_map(|pod| view.pods_of(view.workload_of(pod)).items.into_iter().find(elsewhere));
    let many = text::count(workloads.len(), "workload");
    let title = format!("node {name}: probes reach none of its pods, and time out");
    let sentence = format!(
        "All {} probed pods on node {name}, of {many}, fail probes that time out: the kubelet does not reach pods there, which points at the node's network (its CNI plug-in, its firewall, its routes) and not at the programs.",
        pods.len()
    );
    let cause = Cause::plain(CauseKind::Node, Some(&node.reference()), sentence);
    let mut finding = Finding::new("probe-blocked", Place::of(node), title, cause);
    finding.class = Some("node");
    finding.severity = Severity::Critical;
    finding.shows_on = pods.iter().map(|pod| pod.reference()).collect();
    let times = pods.iter().filter_map(|pod| pod.pod()?.condition("Ready")?.since);
    finding.opened = times.max();
    finding.verdict = if sibling.is_some() { Verdict::Confirmed } else { Verdict::Likely };
    let words = format!("none of {} probed pods of {many} on node {name} is ready", pods.len());
    finding.evidence.push(Fact::new(Role::Cause, Source::Status, None, node, words));
    if let Some(sibling) = sibling {
        let words = format!("{} of the same workload is ready on another node", sibling.meta.name);
        finding.evidence.push(Fact::new(Role::Cause, Source::Status, None, sibling, words));
    }
    let sentence = format!("Keep new pods off node {name} until its network is mended.");
    finding.remedies.push(spot::remedy(RemedyKind::Cordon, &node.reference(), sentence));
    let sentence = format!("Look at the pods of the CNI plug-in and at the firewall of node {name}.");
    finding.remedies.push(spot::remedy(RemedyKind::Outside, &node.reference(), sentence));
    Some(finding)
}

/// Whether the kubelet says so of a probe of this pod.
fn times_out(failing: &Failing<'_, '_>, object: &Object) -> bool {
    let probes = [Which::Readiness, Which::Liveness];
    let names = object.pod().into_iter().flat_map(Pod::containers).map(|(_, container, _)| &container.name);
    let mut events = names.flat_map(|name| probes.map(|which| answer::event(failing.view, object, name, which)));
    events.any(|event| event.is_some_and(|event| Answer::of(event) == Answer::Timeout))
}

/// Runs, and is asked over the pod network.
fn is_asked(object: &Object) -> bool {
    let Some(pod) = object.pod() else { return false };
    let probed = pod.containers().any(|(_, container, status)| {
        let runs = status.is_some_and(|status| status.state.running.is_some());
        let probes = [&container.readiness_probe, &container.liveness_probe];
        runs && probes.into_iter().flatten().any(|probe| goes_over_the_network(probe))
    });
    probed && object.meta.deleted.is_none() && !pod.spec.host_network
}

/// A policy for the pod was written just before all pods of its workload stopped to answer.
fn by_policy(failing: &Failing<'_, '_>, since: Timestamp) -> Option<Finding> {
    let view = failing.view;
    let pods = view.pods_of(failing.workload).items;
    if pods.iter().any(|pod| pod.pod().is_some_and(Pod::is_ready)) {
        return None;
    }
    let from = since.checked_sub(SOON).ok()?;
    let (policy, change) = network_policy::shut_to_nodes(view, failing.subject).into_iter().find_map(|policy| {
        let change = blame::object_change(view, policy, None, |field| field.pointer.starts_with("/spec").then_some(0));
        let at = change.as_ref().map(|blame| blame.change.at).or(policy.meta.created)?;
        (from <= at && at <= since).then_some((policy, (change, at)))
    })?;
    let (changed, at) = change;
    let name = describe::object(policy);
    let whose = describe::object(failing.workload);
    let written = if changed.is_some() { "changed" } else { "made" };
    let sentence = format!(
        "NetworkPolicy {name} was {written} at {} and lets nobody but the peers that it names reach the pods of {whose}; since then their probes time out. Most network plug-ins let the node's own probes through, this one may not.",
        describe::time(at)
    );
    let cause = match changed {
        Some(blame) => blame.cause(view, sentence),
        None => {
            let mut cause = Cause::plain(CauseKind::Change, Some(&policy.reference()), sentence);
            cause.managed_by = ownership::managed_by(policy);
            cause
        }
    };
    let title = format!("{whose}: probes time out since NetworkPolicy {} was {written}", policy.meta.name);
    let place = Place::container(failing.workload, &failing.container.name, failing.kind);
    let mut finding = Finding::new("probe-blocked", place, title, cause);
    finding.class = Some("policy");
    finding.severity = spot::severity(failing.workload);
    finding.shows_on = [failing.subject.reference()].into();
    finding.opened = Some(at);
    finding.verdict = Verdict::Likely;
    let words = format!("NetworkPolicy {} selects {} and was {written}", policy.meta.name, failing.subject.meta.name);
    finding.evidence.push(Fact::new(Role::Cause, Source::Change, Some(at), policy, words));
    let sentence = format!("Let the nodes' addresses in (ipBlock) for the pods of {whose}, or take the policy back.");
    let mut remedy = spot::remedy(RemedyKind::Patch, &policy.reference(), sentence);
    remedy.managed_by = ownership::managed_by(policy);
    finding.remedies.push(remedy);
    Some(finding)
}
