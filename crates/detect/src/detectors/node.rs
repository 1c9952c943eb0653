//! Nodes that are not up to running pods.

mod gone;

use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View, describe};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Ref, Remedy, RemedyKind, Risk, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Condition, Node, Pod};
use reckon_model::{Body, Kind, Object, Timestamp, text};
use serde_json::json;

/// What `reckon explain` says of all of them.
const PAGE: &str = include_str!("node.md");

pub(crate) static DETECTOR: Detector = Detector {
    name: "node",
    failures: &[
        failure("node-unreachable", "node", "A node's kubelet stopped reporting", Verified::Live),
        failure(
            "node-runtime-down",
            "node",
            "A node's kubelet or container runtime does not work",
            Verified::Constructed,
        ),
        failure("cni-not-ready", "node", "A node's pod network is not ready", Verified::Constructed),
        failure(
            "node-pressure",
            "node-pressure",
            "A node runs out of disk, process ids or memory",
            Verified::Constructed,
        ),
        failure("node-gone", "node", "A pod is bound to a node that does not exist", Verified::Constructed),
    ],
    subjects: &[Kind::Node, Kind::Pod],
    others: &[],
    detect,
};

/// One family for all ways of not being ready: a node that comes and goes is one problem.
const fn failure(slug: &'static str, family: &'static str, title: &'static str, verified: Verified) -> Failure {
    Failure { slug, title, stage: Stage::Node, family, echo: false, verified, page: PAGE }
}

/// A node that joins is not ready until its network is; this is normal for a few minutes.
const JOINING: SignedDuration = SignedDuration::from_mins(5);

/// A kubelet that restarts reports for a moment that it is not ready. (A lost one was silent for 40 s before it is called
/// unreachable, which is grace enough.)
const RESTARTING: SignedDuration = SignedDuration::from_secs(60);

/// A node that was closed to new pods and then went is most likely rebooted on purpose, which takes some minutes.
const REBOOTING: SignedDuration = SignedDuration::from_mins(10);

/// Clocks of nodes and of the control plane differ by less.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(60);

/// Taints that say somebody is taking the node away: what happens on it then is meant.
const GOING: [&str; 3] =
    ["ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted", "node.cloudprovider.kubernetes.io/shutdown"];

/// Names of the programs that make pod networks, as their pods are called.
const NETWORKS: [&str; 13] = [
    "calico",
    "cilium",
    "flannel",
    "canal",
    "weave",
    "antrea",
    "kindnet",
    "aws-node",
    "azure-cni",
    "ovn",
    "ovs",
    "kube-router",
    "multus",
];

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    if let Body::Pod(pod) = &subject.body {
        return gone::found(view, subject, pod).into_iter().collect();
    }
    let Body::Node(node) = &subject.body else { return Vec::new() };
    if subject.meta.deleted.is_some() || node.spec.taints.iter().any(|taint| GOING.contains(&taint.key.as_str())) {
        return Vec::new();
    }
    if let Some(due) =
        subject.meta.created.and_then(|at| at.checked_add(JOINING).ok()).filter(|due| !view.reached(*due))
    {
        // Only what is amiss is worth another look.
        if !Condition::find(&node.status.conditions, "Ready").is_some_and(Condition::is_true) {
            view.recheck_at(due);
        }
        return Vec::new();
    }
    let mut findings: Vec<Finding> = not_ready(view, subject, node).into_iter().collect();
    findings.extend(pressures(view, subject, node));
    findings
}

/// What keeps the node from being ready, from its own words.
fn not_ready<'a>(view: &View<'a>, subject: &'a Object, node: &'a Node) -> Option<Finding> {
    let conditions = &node.status.conditions;
    if let Some(ready) = Condition::find(conditions, "Ready").filter(|ready| !ready.is_true()) {
        let lost = ready.status == "Unknown";
        let grace = match (node.spec.unschedulable, lost) {
            (true, _) => REBOOTING,
            (false, true) => SignedDuration::ZERO,
            (false, false) => RESTARTING,
        };
        if !lasts(view, ready, grace) {
            return None;
        }
        if lost {
            return Some(unreachable(view, subject, ready));
        }
        // A shutdown that the kubelet was told of is somebody's doing.
        if ready.message.contains("node is shutting down") {
            return None;
        }
        let network = ["network not ready", "NetworkPluginNotReady", "cni plugin not initialized", "cni config"];
        if network.iter().any(|word| ready.message.contains(word)) {
            return Some(no_network(view, subject, ready, "plugin"));
        }
        return Some(runtime_down(view, subject, ready));
    }
    let routes = Condition::find(conditions, "NetworkUnavailable").filter(|condition| condition.is_true())?;
    lasts(view, routes, RESTARTING).then(|| no_network(view, subject, routes, "routes"))
}

/// Whether a condition has been so for as long as it may.
fn lasts(view: &View<'_>, condition: &Condition, grace: SignedDuration) -> bool {
    let due = condition.since.and_then(|since| since.checked_add(grace).ok());
    if let Some(due) = due {
        view.recheck_at(due);
    }
    due.is_none_or(|due| view.reached(due))
}

fn unreachable<'a>(view: &View<'a>, subject: &'a Object, ready: &'a Condition) -> Finding {
    let name = &subject.meta.name;
    let when = ready.since.map(|at| format!(" at {}", describe::time(at))).unwrap_or_default();
    let title = format!("node {name} is unreachable: its kubelet stopped reporting{when}");
    let sentence = format!(
        "The kubelet of node {name} stopped reporting{when}: the machine is off, hangs, or is cut off from the API server; the API does not say which."
    );
    let mut finding = ill(view, subject, "node-unreachable", None, ready, title, sentence);
    let together = others_lost(view, subject, ready.since);
    if !together.is_empty() {
        let text = format!(
            "{} went within the same two minutes: look for what they share (network, zone, API server)",
            text::enumerate(&together)
        );
        finding.evidence.push(Fact::new(Role::Cause, Source::Node, ready.since, subject, text));
    }
    finding.remedies.push(outside(
        subject,
        format!(
            "Look at machine {name} itself: power, network, `systemctl status kubelet`. Pods move elsewhere by themselves after five minutes, except those of StatefulSets and those with volumes attached; if the machine is off for good, taint it with node.kubernetes.io/out-of-service=nodeshutdown:NoExecute to set these free."
        ),
    ));
    finding
}

/// Other nodes that were lost in the same two minutes.
fn others_lost(view: &View<'_>, subject: &Object, since: Option<Timestamp>) -> Vec<String> {
    let Some(since) = since else { return Vec::new() };
    let together = |at: Timestamp| at.duration_since(since).abs() <= SignedDuration::from_secs(120);
    view.known(&Kind::Node, None)
        .filter(|other| other.meta.name != subject.meta.name)
        .filter(|other| match &other.body {
            Body::Node(node) => Condition::find(&node.status.conditions, "Ready")
                .is_some_and(|ready| ready.status == "Unknown" && ready.since.is_some_and(together)),
            _ => false,
        })
        .map(|other| format!("node {}", other.meta.name))
        .collect()
}

fn runtime_down<'a>(view: &View<'a>, subject: &'a Object, ready: &'a Condition) -> Finding {
    let name = &subject.meta.name;
    let said = describe::value(&json!(ready.message));
    let (class, what) = match ready.message.as_str() {
        message if message.contains("container runtime is down") || message.contains("container runtime not ready") => {
            ("runtime", "its container runtime does not answer")
        }
        message if message.contains("PLEG is not healthy") => {
            ("pleg", "its kubelet gets no list of containers from the runtime in time")
        }
        _ => ("kubelet", "its kubelet gives a reason of its own"),
    };
    let title = match class {
        "kubelet" => format!("node {name} is not ready: {said}"),
        _ => format!("node {name} is not ready: {what}"),
    };
    let sentence = format!("Node {name} is not ready because {what}: {said}.");
    let mut finding = ill(view, subject, "node-runtime-down", Some(class), ready, title, sentence);
    finding.remedies.push(outside(
        subject,
        format!(
            "On machine {name}: `systemctl status containerd kubelet` and `crictl ps`; restart the runtime, then the kubelet. Full disks and exhausted memory hang runtimes."
        ),
    ));
    finding
}

fn no_network<'a>(view: &View<'a>, subject: &'a Object, condition: &'a Condition, class: &'static str) -> Finding {
    let name = &subject.meta.name;
    // The network's own pod runs on the node's network and is the one that has to come up first.
    let agent = on(view, name).into_iter().find(|pod| {
        let networks = NETWORKS.iter().any(|network| pod.meta.name.contains(network));
        networks && pod.pod().is_some_and(|body| !body.is_ready() && !body.is_finished())
    });
    let (what, cause) = match agent {
        Some(pod) => {
            let owner = pod.meta.controller().map(|owner| owner.reference(pod.meta.namespace.as_deref()));
            let owner = owner.unwrap_or_else(|| pod.reference());
            let what = format!("the pod of {} {} on it is not ready", owner.kind.singular(), describe::name(&owner));
            let sentence = format!("Node {name} has no pod network: {what}.");
            (what, Some(Cause::plain(CauseKind::Resource, Some(&owner), sentence)))
        }
        None if class == "routes" => ("no route to its pods was made".to_owned(), None),
        None => ("no network plugin has been set up on it".to_owned(), None),
    };
    let title = format!("node {name} has no pod network: {what}");
    let sentence = format!("Node {name} has no pod network: {what}.");
    let mut finding = ill(view, subject, "cni-not-ready", Some(class), condition, title, sentence);
    if let (Some(pod), Some(cause)) = (agent, cause) {
        // The agent's own failure is a problem of its own, and not one that the node explains.
        finding.shows_on.remove(&pod.reference());
        if finding.shows_on.len() == 1 {
            finding.evidence.retain(|fact| fact.role != Role::Symptom);
        }
        finding.evidence.push(Fact::new(Role::Cause, Source::Condition, None, pod, "this network pod is not ready"));
        finding.cause = cause;
    }
    finding.remedies.push(outside(
        subject,
        "Bring up the pods of the network plugin; its configuration must appear in /etc/cni/net.d of the node."
            .to_owned(),
    ));
    finding
}

/// Each thing the node runs out of.
fn pressures<'a>(view: &View<'a>, subject: &'a Object, node: &'a Node) -> Vec<Finding> {
    let name = &subject.meta.name;
    [
        ("DiskPressure", "disk", "disk space or inodes", "ephemeral-storage"),
        ("PIDPressure", "pids", "process ids", "pids"),
        ("MemoryPressure", "memory", "memory", "memory"),
    ]
    .into_iter()
    .filter_map(|(kind, class, what, resource)| {
        let condition = Condition::find(&node.status.conditions, kind).filter(|condition| condition.is_true())?;
        let evicted: Vec<&Object> = on(view, name)
            .into_iter()
            .filter(|pod| pod.pod().is_some_and(|pod| evicted_for(pod, resource)) && after(pod, condition.since))
            .collect();
        let title = match evicted.len() {
            0 => format!("node {name} runs out of {what}"),
            n => format!("node {name} ran out of {what}, and its kubelet evicted {}", text::count(n, "pod")),
        };
        let sentence =
            format!("Node {name} is low on {what}: its kubelet takes no new pods without a toleration and evicts some.");
        let mut finding = ill(view, subject, "node-pressure", Some(class), condition, title, sentence);
        if evicted.is_empty() && finding.shows_on.len() == 1 {
            finding.severity = Severity::Warning;
        }
        for pod in evicted.iter().take(3) {
            let said = pod.pod().map(|pod| pod.status.message.trim()).unwrap_or_default();
            finding.evidence.push(Fact::new(Role::Symptom, Source::Status, None, pod, format!("Evicted: {said}")));
        }
        finding.shows_on.extend(evicted.iter().map(|pod| pod.reference()));
        let advice = match class {
            "disk" => format!(
                "On machine {name}: `df -h` and `df -i` of the kubelet's and the runtime's directories; unused images (`crictl rmi --prune`), logs and emptyDir volumes fill them."
            ),
            "pids" => format!(
                "On machine {name}: `ps -eLf | wc -l`, and which pod has most; set podPidsLimit in the kubelet's configuration to contain it."
            ),
            _ => "Find the pods that use far more memory than they request (`kubectl top pods -A --sort-by=memory`) and raise their requests.".to_owned(),
        };
        finding.remedies.push(outside(subject, advice));
        Some(finding)
    })
    .collect()
}

/// The pods on a node that is ill: those that are known where not all may be.
fn on<'a>(view: &View<'a>, node: &str) -> Vec<&'a Object> {
    view.pods_on(node).unwrap_or_else(|| view.known_on(node).collect())
}

fn evicted_for(pod: &Pod, resource: &str) -> bool {
    let message = &pod.status.message;
    // `inodes` is what the message calls the other way to run out of disk.
    pod.status.reason == "Evicted"
        && message.contains("low on resource")
        && (message.contains(resource) || (resource == "ephemeral-storage" && message.contains("inodes")))
}

/// Whether what ails a pod began with this, or later.
fn after(pod: &Object, since: Option<Timestamp>) -> bool {
    let began = pod
        .pod()
        .and_then(|body| body.condition("DisruptionTarget").or(body.condition("Ready"))?.since)
        .or(pod.meta.created);
    match (began, since) {
        (Some(began), Some(since)) => began.checked_add(CLOCK_SLACK).is_ok_and(|began| began >= since),
        _ => true,
    }
}

/// A finding about a node: it shows on the pods on it that stopped being ready when it fell ill.
fn ill<'a>(
    view: &View<'a>,
    subject: &'a Object,
    slug: &'static str,
    class: Option<&'static str>,
    condition: &Condition,
    title: String,
    sentence: String,
) -> Finding {
    let cause = Cause::plain(CauseKind::Node, Some(&subject.reference()), sentence);
    let mut finding = Finding::new(slug, Place::of(subject), title, cause);
    finding.class = class;
    finding.verdict = Verdict::Confirmed;
    finding.opened = condition.since;
    let said = format!("{}={} {}: {}", condition.kind, condition.status, condition.reason, condition.message.trim());
    finding.evidence.push(
        Fact::new(Role::Cause, Source::Node, condition.since, subject, said.trim_end_matches([':', ' ']))
            .raw(json!({"type": condition.kind, "status": condition.status, "reason": condition.reason, "message": condition.message})),
    );
    let suffers: Vec<&Object> = on(view, &subject.meta.name)
        .into_iter()
        .filter(|pod| {
            pod.pod().is_some_and(|body| !body.is_ready() && !body.is_finished()) && after(pod, condition.since)
        })
        .collect();
    if !suffers.is_empty() {
        let text = format!("{} on it not ready since", text::count(suffers.len(), "pod"));
        finding.evidence.push(Fact::new(Role::Symptom, Source::Condition, condition.since, subject, text));
    }
    finding.shows_on.extend(suffers.iter().map(|pod| pod.reference()));
    finding
}

fn outside(subject: &Object, sentence: String) -> Remedy {
    Remedy {
        option: 0,
        kind: RemedyKind::Outside,
        reference: Some(Ref::from(&subject.reference())),
        managed_by: None,
        patch_type: None,
        patch: None,
        risk: Risk::Medium,
        reversible: true,
        requires: None,
        allowed: None,
        sentence,
    }
}
