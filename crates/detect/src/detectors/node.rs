//! Nodes that are not well.

use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View};
use jiff::SignedDuration;
use reckon_model::document::{
    Cause, CauseKind, Ref, Remedy, RemedyKind, Requires, Risk, Role, Severity, Source, Verdict,
};
use reckon_model::k8s::{Condition, Pod};
use reckon_model::{Body, Kind, Object, text};

const fn failure(slug: &'static str, title: &'static str, verified: Verified) -> Failure {
    Failure { slug, title, stage: Stage::Node, family: "node", echo: false, verified }
}

pub(crate) static DETECTOR: Detector = Detector {
    name: "node",
    failures: &[
        failure("node-unreachable", "A node does not report any more", Verified::Live),
        failure("node-runtime-down", "A node's container runtime does not work", Verified::Constructed),
        failure("cni-not-ready", "A node's network is not ready", Verified::Constructed),
        failure("node-pressure", "A node runs short", Verified::Constructed),
    ],
    subjects: &[Kind::Node],
    page: include_str!("node.md"),
    detect,
};

/// A node that joins takes a while until its runtime and network are up.
const JOINING: SignedDuration = SignedDuration::from_mins(5);

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Body::Node(node) = &subject.body else { return Vec::new() };
    let conditions = &node.status.conditions;
    let mut findings = Vec::new();
    if let Some(ready) = Condition::find(conditions, "Ready").filter(|ready| !ready.is_true()) {
        findings.extend(not_ready(view, subject, ready));
    }
    for (kind, short) in [("MemoryPressure", "memory"), ("DiskPressure", "disk space"), ("PIDPressure", "process ids")]
    {
        if let Some(pressure) = Condition::find(conditions, kind).filter(|pressure| pressure.is_true()) {
            findings.push(under_pressure(view, subject, pressure, short));
        }
    }
    findings
}

fn not_ready<'a>(view: &View<'a>, subject: &'a Object, ready: &Condition) -> Option<Finding> {
    let due = subject.meta.created.and_then(|created| created.checked_add(JOINING).ok());
    if let Some(due) = due.filter(|due| *due > view.now()) {
        view.recheck_at(due);
        return None;
    }
    let message = ready.message.to_lowercase();
    let name = &subject.meta.name;
    let (slug, what) = match () {
        () if ready.status == "Unknown" => ("node-unreachable", "its kubelet does not report any more".to_owned()),
        () if message.contains("cni") || message.contains("network not ready") || message.contains("networkplugin") => {
            ("cni-not-ready", "its pod network is not ready".to_owned())
        }
        () if message.contains("runtime is down")
            || message.contains("pleg")
            || message.contains("container runtime") =>
        {
            ("node-runtime-down", "its container runtime does not work".to_owned())
        }
        () => ("node-runtime-down", format!("its kubelet says: {}", text::shorten(&ready.message, 160))),
    };
    let cause = Cause::plain(CauseKind::Node, Some(&subject.reference()), format!("Node {name} is not ready: {what}."));
    let mut finding = Finding::new(slug, Place::of(subject), format!("node {name} is not ready: {what}"), cause);
    finding.verdict = Verdict::Confirmed;
    finding.opened = ready.since;
    finding.shows_on.extend(affected(view, subject));
    finding.evidence.push(Fact::new(
        Role::Cause,
        Source::Node,
        ready.since,
        subject,
        format!("Ready={} {}: {}", ready.status, ready.reason, ready.message),
    ));
    let pods = finding.shows_on.len() - 1;
    if pods > 0 {
        let text = format!("{} on it not ready", text::count(pods, "pod"));
        finding.evidence.push(Fact::new(Role::Symptom, Source::Condition, ready.since, subject, text));
    }
    finding.remedies.push(Remedy {
        option: 0,
        kind: RemedyKind::Cordon,
        reference: Some(Ref::from(&subject.reference())),
        managed_by: None,
        patch_type: Some("merge".to_owned()),
        patch: Some(serde_json::json!({"spec": {"unschedulable": true}})),
        risk: Risk::Low,
        reversible: true,
        requires: Some(Requires { verb: "patch".to_owned(), resource: "nodes".to_owned() }),
        allowed: None,
        sentence: format!(
            "Keep new pods off {name} until it is well, and look at the kubelet and the network of the machine."
        ),
    });
    Some(finding)
}

/// The pods on the node that take no traffic since.
fn affected<'a>(view: &View<'a>, node: &'a Object) -> Vec<reckon_model::ResourceRef> {
    view.pods_on(&node.meta.name)
        .filter(|pod| pod.pod().is_some_and(|pod: &Pod| !pod.is_ready() && !pod.is_finished()))
        .map(Object::reference)
        .collect()
}

fn under_pressure<'a>(_view: &View<'a>, subject: &'a Object, pressure: &Condition, short: &'static str) -> Finding {
    let name = &subject.meta.name;
    let sentence = format!(
        "Node {name} runs short of {short}; the kubelet evicts pods and takes no new ones that could do without."
    );
    let cause = Cause::plain(CauseKind::Node, Some(&subject.reference()), sentence);
    let mut finding =
        Finding::new("node-pressure", Place::of(subject), format!("node {name} runs short of {short}"), cause);
    finding.class = Some(match short {
        "memory" => "memory",
        "disk space" => "disk",
        _ => "pids",
    });
    finding.severity = Severity::Warning;
    finding.verdict = Verdict::Confirmed;
    finding.opened = pressure.since;
    finding.evidence.push(Fact::new(
        Role::Cause,
        Source::Node,
        pressure.since,
        subject,
        format!("{}=True {}: {}", pressure.kind, pressure.reason, pressure.message),
    ));
    finding
}
