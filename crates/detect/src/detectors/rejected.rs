//! Pods that a kubelet would not run, or that had to go for others.

mod preempted;
mod reason;

use super::killed_by::superseded;
use super::{host_ports, node_labels};
use crate::catalogue::{Failure, Stage, Verified};
use crate::spot::{self, Spot};
use crate::{Detector, Fact, Finding, Place, View, blame, describe};
use jiff::SignedDuration;
use reason::Reason;
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::{Condition, Pod};
use reckon_model::{Body, Kind, Object, Quantity, ResourceRef, text};
use serde_json::json;

const fn failure(
    slug: &'static str,
    family: &'static str,
    stage: Stage,
    title: &'static str,
    page: &'static str,
) -> Failure {
    Failure { slug, title, stage, family, echo: false, verified: Verified::Constructed, page }
}

pub(crate) static DETECTOR: Detector = Detector {
    name: "rejected",
    failures: &[
        failure(
            "kubelet-rejected",
            "scheduling",
            Stage::Scheduling,
            "A kubelet refused a pod",
            include_str!("../pages/kubelet-rejected.md"),
        ),
        failure(
            "preempted",
            "scheduling",
            Stage::Scheduling,
            "A pod had to go for a more important one",
            include_str!("../pages/preempted.md"),
        ),
        failure(
            "node-terminated",
            "node",
            Stage::Node,
            "A node was shut down under its pods",
            include_str!("../pages/node-terminated.md"),
        ),
    ],
    subjects: &[Kind::Pod],
    others: &[],
    detect,
};

/// A controller makes another pod at once; after that time it should be there.
const REPLACED: SignedDuration = SignedDuration::from_secs(60);

/// A pod that was refused.
struct Case<'v, 'a> {
    view: &'v View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    workload: &'a Object,
    /// What the kubelet says.
    said: &'a str,
}

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    let told = pod.condition("DisruptionTarget").filter(|told| told.is_true());
    let by_scheduler = told.is_some_and(|told| told.reason == "PreemptionByScheduler");
    let reason = if pod.status.phase == "Failed" { Reason::of(&pod.status.reason, &pod.status.message) } else { None };
    if reason.is_none() && !by_scheduler {
        return Vec::new();
    }
    let workload = view.workload_of(subject);
    if is_history(view, workload, subject) {
        return Vec::new();
    }
    // Its owner makes another at once; one that has none is made by nobody.
    let since = told.and_then(|told| told.since).or(subject.meta.created);
    if let Some(due) = since.and_then(|since| since.checked_add(REPLACED).ok()).filter(|due| !view.reached(*due)) {
        view.recheck_at(due);
        return Vec::new();
    }
    let said = pod.status.message.trim();
    let said = said.strip_prefix("Pod was rejected: ").unwrap_or(said);
    let case = Case { view, subject, pod, workload, said };
    let mut finding = match reason {
        None => preempted::by_scheduler(&case),
        Some(Reason::Preempting) => preempted::by_kubelet(&case),
        Some(Reason::Shutdown) => case.shut_down(),
        Some(reason) => case.refused(reason),
    };
    finding.severity = spot::severity(workload);
    finding.shows_on = [subject.reference()].into();
    finding.opened = since;
    let state = match told {
        Some(told) if reason.is_none() => format!("{}: {}", told.reason, told.message.trim()),
        _ => format!("{}: {}", pod.status.reason, pod.status.message.trim()),
    };
    let raw = json!({"phase": pod.status.phase, "reason": pod.status.reason, "message": pod.status.message});
    let text = text::shorten(&text::clean_line(state.trim_end_matches([':', ' '])), 300).into_owned();
    finding.evidence.push(Fact::new(Role::Symptom, Source::Status, since, subject, text).raw(raw));
    vec![finding]
}

/// Whether another pod took its place, as far as can be seen: all that are wanted are ready, or there is a younger one that
/// was not refused.
fn is_history<'a>(view: &View<'a>, workload: &'a Object, subject: &'a Object) -> bool {
    if workload.reference() == subject.reference() {
        return false;
    }
    if matches!(workload.kind, Kind::Job | Kind::CronJob) {
        return superseded(view, workload, subject) || is_followed(view, workload, subject);
    }
    is_satisfied(workload) || is_followed(view, workload, subject)
}

/// Whether as many pods are ready as are wanted.
fn is_satisfied(workload: &Object) -> bool {
    let Some(body) = workload.workload() else { return false };
    let wanted = match workload.kind {
        Kind::DaemonSet => body.status.desired_number_scheduled,
        _ => body.spec.replicas.unwrap_or(1),
    };
    body.status.observed_generation >= workload.meta.generation && body.status.ready_replicas >= wanted
}

/// A kubelet refuses a pod within a second or two; one that is older than this was not.
const ACCEPTED: SignedDuration = SignedDuration::from_secs(15);

/// How many refused pods of one owner are told of: hundreds may be left over, and the youngest tell it for all.
const TOLD: usize = 10;

/// Whether there is a younger pod in its place that was not refused, or so many that were that they tell it without this.
fn is_followed<'a>(view: &View<'a>, workload: &'a Object, subject: &'a Object) -> bool {
    let node = |pod: &'a Object| pod.pod().map(|pod| pod.spec.node_name.as_str());
    // Where the place is the node, another node's pod is no replacement.
    let same_place = |other: &'a Object| workload.kind != Kind::DaemonSet || node(other) == node(subject);
    // Pods belong to it, or to its ReplicaSets or Jobs.
    let top = workload.reference();
    let owners = view.children(&top).filter(|child| child.kind != Kind::Pod).map(Object::reference);
    let owners: Vec<ResourceRef> = std::iter::once(top.clone()).chain(owners).collect();
    let younger = owners
        .iter()
        .flat_map(|owner| view.children(owner))
        .filter(|other| other.kind == Kind::Pod && other.meta.created > subject.meta.created && same_place(other));
    let is_older_than = |other: &Object, span| {
        other.meta.created.and_then(|created| created.checked_add(span).ok()).is_none_or(|due| view.reached(due))
    };
    let mut refused = 0;
    for other in younger {
        let Some(pod) = other.pod() else { continue };
        if pod.status.phase == "Failed" && Reason::of(&pod.status.reason, &pod.status.message).is_some() {
            // Those that are given a moment tell nothing yet.
            refused += usize::from(is_older_than(other, REPLACED));
        } else if is_older_than(other, ACCEPTED) {
            return true;
        }
        if refused >= TOLD {
            return true;
        }
    }
    false
}

impl<'a> Case<'_, 'a> {
    fn finding(&self, reason: Reason, what: &str, cause: Cause) -> Finding {
        let title = format!("{}: {what}", describe::object(self.workload));
        let mut finding = Finding::new("kubelet-rejected", Place::of(self.workload), title, cause);
        finding.class = Some(reason.class());
        finding.verdict = if reason == Reason::Other { Verdict::Possible } else { Verdict::Likely };
        finding
    }

    fn node(&self) -> &'a str {
        &self.pod.spec.node_name
    }

    fn node_object(&self) -> Option<&'a Object> {
        if self.node().is_empty() { None } else { self.view.object(&Kind::Node, None, self.node()).found() }
    }

    fn node_ref(&self) -> ResourceRef {
        ResourceRef::new(Kind::Node, None, self.node())
    }

    /// Whether it was made with the name of its node: then no scheduler has looked whether it fits.
    fn is_bound_by_hand(&self) -> bool {
        self.pod.condition("PodScheduled").is_none()
            && Spot::of(self.workload).is_some_and(|spot| spot.spec.node_name == self.node())
    }

    /// The field of the pod spec that is wrong as it stands, or the workload.
    fn at(&self, keys: &[&str], sentence: String) -> Cause {
        let Some((spot, (first, rest))) = Spot::of(self.workload).zip(keys.split_first()) else {
            return Cause::plain(CauseKind::Resource, Some(&self.workload.reference()), sentence);
        };
        let path = rest.iter().fold(spot.path(first), |path, key| path.key(key));
        let value = spot.written(&path);
        spot.wrong(&path, value, sentence)
    }

    fn refused(&self, reason: Reason) -> Finding {
        let node = self.node();
        let said = text::shorten(&text::clean_line(self.said), 200).into_owned();
        let what = match reason {
            Reason::Resource => format!("node {node} has not enough {} for its pod", self.resource()),
            Reason::Pods => format!("node {node} runs as many pods as it may"),
            Reason::Labels => format!("its pod may not run on node {node}, whose labels do not fit"),
            Reason::Ports => format!("its host port is taken on node {node}"),
            Reason::Taint => format!("node {node} has a taint that its pod does not tolerate"),
            Reason::Device => format!("node {node} could not give its pod the devices it was promised"),
            Reason::Topology => format!("node {node} cannot give its pod resources that are close together"),
            Reason::System => format!("its pod is for another operating system than that of node {node}"),
            Reason::Sysctl => format!("the kubelet of node {node} does not allow its sysctls"),
            Reason::Volumes => format!("node {node} has as many volumes attached as it may"),
            Reason::Feature => format!("node {node} lacks a feature that its pod needs"),
            Reason::Kubelet | Reason::Other | Reason::Preempting | Reason::Shutdown => {
                format!("the kubelet of node {node} refused its pod: {}", self.pod.status.reason)
            }
        };
        let sentence = format!("The kubelet of node {node} refused the pod ({}): {said}", self.pod.status.reason);
        let sentence = format!("{}.", sentence.trim_end_matches(['.', ':', ' ']));
        let mut finding = match reason {
            _ if self.is_bound_by_hand() => {
                let sentence =
                    format!("{sentence} It was made for this node by name, and no scheduler looked whether it fits.");
                self.finding(reason, &what, self.at(&["nodeName"], sentence))
            }
            Reason::Resource => self.finding(reason, &what, self.request(sentence)),
            Reason::Labels => return self.labels(&what, sentence),
            Reason::Ports => return self.ports(&what, sentence),
            Reason::Taint => self.finding(reason, &what, self.at(&["tolerations"], sentence)),
            Reason::System => self.finding(reason, &what, self.at(&["nodeSelector"], sentence)),
            Reason::Sysctl => self.finding(reason, &what, self.at(&["securityContext", "sysctls"], sentence)),
            Reason::Other => self.finding(
                reason,
                &what,
                Cause::plain(CauseKind::Unknown, Some(&self.workload.reference()), sentence),
            ),
            _ => self.finding(reason, &what, Cause::plain(CauseKind::Node, Some(&self.node_ref()), sentence)),
        };
        if matches!(finding.cause.field.as_deref(), Some(field) if field.ends_with("nodeName") || field.ends_with("sysctls"))
        {
            finding.verdict = Verdict::Confirmed;
        }
        finding.remedies = self.remedies(reason);
        finding
    }

    /// The resource that was short, from `OutOfcpu`.
    fn resource(&self) -> &'a str {
        self.pod.status.reason.strip_prefix("OutOf").unwrap_or_default()
    }

    /// The request of the container that asks most.
    fn request(&self, sentence: String) -> Cause {
        let resource = self.resource();
        let asks = |container: &&reckon_model::k8s::Container| {
            container.resources.requests.get(resource).and_then(Quantity::nanos).unwrap_or(0)
        };
        let found = Spot::of(self.workload).and_then(|spot| {
            let all = spot.spec.containers.iter().chain(&spot.spec.init_containers);
            let most = all.filter(|container| asks(container) > 0).max_by_key(asks)?;
            let path = spot.container(&most.name)?.key("resources").key("requests").entry(resource);
            let value = most.resources.requests.get(resource).map(|quantity| json!(quantity.as_str()));
            Some(spot.wrong(&path, value, sentence.clone()))
        });
        found.unwrap_or_else(|| Cause::plain(CauseKind::Node, Some(&self.node_ref()), sentence))
    }

    /// A label that the node lacks: it was taken away under the pod, or the pod was sent there by hand.
    fn labels(&self, what: &str, sentence: String) -> Finding {
        let node = self.node_object();
        let excluding = node.and_then(|node| node_labels::excluding(self.pod, &[node]));
        let Some((node, excluding)) = node.zip(excluding) else {
            let cause = self.at(&["nodeSelector"], sentence);
            return self.finding(Reason::Labels, what, cause);
        };
        let wanted = excluding.wanted.describe();
        let pointer = format!("/metadata/labels/{}", reckon_model::diff::escape(excluding.wanted.key()));
        let changed = blame::object_change(self.view, node, None, |change| (change.pointer == pointer).then_some(0));
        let cause = match changed {
            Some(blame) => {
                let sentence =
                    format!("{} of node {} was {}. {sentence}", blame.field().field, node.meta.name, blame.words());
                blame.cause(self.view, sentence)
            }
            None => {
                let written = Spot::of(self.workload).and_then(|spot| {
                    let path = excluding.wanted.path(&spot)?;
                    Some(spot.wrong(&path, Some(excluding.wanted.value()), sentence.clone()))
                });
                written.unwrap_or_else(|| self.at(&["nodeSelector"], sentence))
            }
        };
        let mut finding = self.finding(Reason::Labels, what, cause);
        finding.verdict = Verdict::Confirmed;
        finding.evidence.push(Fact::new(Role::Cause, Source::Node, None, node, format!("lacks {wanted}")));
        finding
    }

    /// A host port that another pod of the node has.
    fn ports(&self, what: &str, sentence: String) -> Finding {
        let here = self.view.pods_on(self.node()).unwrap_or_default();
        let running: Vec<&Object> = here
            .into_iter()
            .filter(|other| other.reference() != self.subject.reference())
            .filter(|other| other.pod().is_some_and(|pod| !pod.is_finished()))
            .collect();
        let taken = host_ports::taken(self.pod, &running);
        let written = Spot::of(self.workload).and_then(|spot| {
            let (path, port) = host_ports::written(&spot, taken.map(|(port, _)| port))?;
            Some(spot.wrong(&path, Some(json!(port)), sentence.clone()))
        });
        let cause = written.unwrap_or_else(|| self.at(&["containers"], sentence));
        let mut finding = self.finding(Reason::Ports, what, cause);
        if let Some((port, holder)) = taken {
            finding.verdict = Verdict::Confirmed;
            let text = format!("host port {port} of node {} is taken by {}", self.node(), describe::object(holder));
            finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, holder, text));
        }
        finding
    }

    fn remedies(&self, reason: Reason) -> Vec<Remedy> {
        let node = self.node();
        if self.is_bound_by_hand() {
            let ask = "Leave nodeName out and let the scheduler choose, by nodeSelector if it has to be this machine.";
            return Spot::of(self.workload)
                .map(|spot| spot.patch(Some(json!({"nodeName": null})), ask))
                .into_iter()
                .collect();
        }
        let advice = match reason {
            Reason::Resource | Reason::Pods => format!(
                "Delete the pod if its owner does not: a new one is placed anew. If it comes back to {node}, something takes room there that no scheduler knows of: static pods, or pods with nodeName."
            ),
            Reason::Device => format!(
                "Look at the device plugin's pod on {node} and at the kubelet's log there; restart the plugin, then delete the pod."
            ),
            Reason::Topology => format!(
                "Ask for whole CPUs that fit one NUMA node, or loosen the kubelet's topologyManagerPolicy on {node}."
            ),
            Reason::Volumes => format!(
                "Spread pods with volumes over more nodes than {node}; the pod is placed anew when it is deleted."
            ),
            Reason::Feature | Reason::Kubelet => {
                format!("Look at the kubelet of {node}: its version, its configuration and its log.")
            }
            Reason::Sysctl => {
                format!("Add the sysctls to allowedUnsafeSysctls of the kubelet of {node}, or leave them out.")
            }
            Reason::System => "Let the pods select nodes by the label kubernetes.io/os.".to_owned(),
            _ => return Vec::new(),
        };
        vec![spot::remedy(RemedyKind::Outside, &self.node_ref(), advice)]
    }

    /// The node was told to shut down while the pod ran there, or was being sent there.
    fn shut_down(&self) -> Finding {
        let node = self.node();
        let sentence = format!("Node {node} was shut down, and its kubelet ended or refused the pods on it.");
        let cause = Cause::plain(CauseKind::Node, Some(&self.node_ref()), sentence);
        let title = format!("node {node} was shut down under its pods");
        let place = Place { workload: self.node_ref(), container: None };
        let mut finding = Finding::new("node-terminated", place, title, cause);
        finding.verdict = Verdict::Confirmed;
        let ready = self.node_object().and_then(|node| match &node.body {
            Body::Node(body) => Some((node, Condition::find(&body.status.conditions, "Ready")?)),
            _ => None,
        });
        if let Some((node, ready)) = ready {
            let text =
                format!("node {} is {}", node.meta.name, if ready.is_true() { "ready again" } else { "not ready" });
            finding.evidence.push(Fact::new(Role::Cause, Source::Node, ready.since, node, text));
        }
        let ask =
            "Bring the node back, or remove it; pods without an owner have to be made again by whoever made them.";
        finding.remedies.push(spot::remedy(RemedyKind::Outside, &self.node_ref(), ask));
        finding
    }
}
