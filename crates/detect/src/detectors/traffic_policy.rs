//! Services whose traffic goes to pods of one node only, or nowhere.

use super::revision;
use crate::blame;
use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View, describe, ownership, spot};
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Condition, Node, Pod, ServiceSpec};
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Kind, Object, text};
use serde_json::json;
use std::collections::BTreeSet;

pub(crate) static DETECTOR: Detector = Detector {
    name: "traffic_policy",
    failures: &[Failure {
        slug: "local-traffic-policy",
        title: "Traffic that comes to a node without a pod of the Service is dropped",
        stage: Stage::Endpoints,
        family: "traffic-policy",
        echo: false,
        verified: Verified::Constructed,
        page: include_str!("../pages/local-traffic-policy.md"),
    }],
    subjects: &[Kind::Service],
    others: &[],
    detect,
};

/// Load balancers send nothing to nodes with this label.
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// Which of its policies keeps traffic on one node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    Internal,
    External,
}

impl Policy {
    fn field(self) -> &'static str {
        match self {
            Policy::Internal => "internalTrafficPolicy",
            Policy::External => "externalTrafficPolicy",
        }
    }
}

/// A node, as an object and as what it is.
type Placed<'a> = (&'a Object, &'a Node);

/// A Service, its pods that are ready, and the nodes of the cluster.
struct Case<'v, 'a> {
    view: &'v View<'a>,
    service: &'a Object,
    spec: &'a ServiceSpec,
    /// Whether a load balancer stands before it.
    balanced: bool,
    serving: BTreeSet<&'a str>,
    ready: Vec<&'a Object>,
    nodes: Vec<Placed<'a>>,
}

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Body::Service(service) = &subject.body else { return Vec::new() };
    let spec = &service.spec;
    let internal = spec.internal_traffic_policy == "Local";
    let external = spec.external_traffic_policy == "Local" && matches!(spec.kind.as_str(), "NodePort" | "LoadBalancer");
    if !(internal || external) || spec.selector.is_empty() || subject.meta.deleted.is_some() {
        return Vec::new();
    }
    let pods = view.matching(&Kind::Pod, subject.meta.namespace.as_deref(), &LabelSelector::exact(&spec.selector));
    let ready: Vec<&'a Object> =
        pods.items.iter().copied().filter(|pod| pod.pod().is_some_and(Pod::is_ready)).collect();
    // Without a ready pod anywhere the policy changes nothing; one that was not read may be on the node that lacks one.
    if ready.is_empty() || !pods.complete {
        return Vec::new();
    }
    let nodes = view.all(&Kind::Node, None);
    if !nodes.complete {
        return Vec::new();
    }
    let body = |object: &'a Object| match &object.body {
        Body::Node(node) => Some((object, &**node)),
        _ => None,
    };
    let serving = ready.iter().filter_map(|pod| Some(pod.pod()?.spec.node_name.as_str())).collect();
    let nodes = nodes.items.into_iter().filter_map(body).collect();
    let balanced = spec.kind == "LoadBalancer" && service.status.address().is_some();
    let case = Case { view, service: subject, spec, balanced, serving, ready, nodes };
    let external = external.then(|| case.external()).flatten();
    external.or_else(|| internal.then(|| case.internal()).flatten()).into_iter().collect()
}

impl<'a> Case<'_, 'a> {
    /// Pods on a node without one of the Service's get no answer from it.
    fn internal(&self) -> Option<Finding> {
        // A pod on each node is what the policy is for; one that is missing there is that pod's own failure.
        let by_node = |pod: &&Object| pod.meta.controller().is_some_and(|owner| owner.kind == "DaemonSet");
        if self.ready.iter().all(by_node) {
            return None;
        }
        let lacking: Vec<Placed<'_>> = self
            .nodes
            .iter()
            .copied()
            .filter(|(object, node)| takes_pods(node) && !self.serving.contains(object.meta.name.as_str()))
            .collect();
        if lacking.is_empty() {
            return None;
        }
        let callers = self.callers(&lacking.iter().map(|(object, _)| object.meta.name.as_str()).collect());
        let what = format!("pods on {} get no answer from it", nodes(&lacking));
        let why = format!(
            "With internalTrafficPolicy Local what comes from a pod goes to pods of its own node only, and {} no ready one",
            has(&lacking)
        );
        let mut finding = self.finding(Policy::Internal, "internal", what, why)?;
        if callers.is_empty() && finding.severity == Severity::Info {
            // Whoever set it may have seen to it that callers and called are together.
            return Some(finding);
        }
        if !callers.is_empty() {
            finding.severity = Severity::Warning;
        }
        for (pod, variable) in callers.iter().take(3) {
            let node = pod.pod().map_or("", |pod| pod.spec.node_name.as_str());
            let words = format!("{} on node {node} is told of it by {variable}", describe::object(pod));
            finding.evidence.push(Fact::new(Role::Symptom, Source::Spec, None, pod, words));
            finding.shows_on.insert(pod.reference());
        }
        Some(finding)
    }

    /// Nodes that are asked from outside, and have no pod of the Service.
    fn external(&self) -> Option<Finding> {
        let asked: Vec<Placed<'_>> = self
            .nodes
            .iter()
            .copied()
            .filter(|(object, node)| !object.meta.labels.contains_key(EXCLUDED) && is_ready(node))
            .collect();
        let (with, without): (Vec<_>, Vec<_>) =
            asked.into_iter().partition(|(object, _)| self.serving.contains(object.meta.name.as_str()));
        if self.balanced && with.is_empty() && !without.is_empty() {
            let serving: Vec<&str> = self.serving.iter().copied().take(3).collect();
            let what = "nothing from outside reaches it".to_owned();
            let why = format!(
                "With externalTrafficPolicy Local what comes from outside goes to pods of the node that it came to, and load balancers leave out {}, where the ready ones are (label {EXCLUDED}, or not ready)",
                text::enumerate(&serving)
            );
            return self.finding(Policy::External, "excluded", what, why);
        }
        // A load balancer asks each node whether it has one, and leaves out those that have not; who asks a node's port
        // directly does not.
        let without: Vec<_> = without.into_iter().filter(|(_, node)| takes_pods(node)).collect();
        if self.spec.kind != "NodePort" || without.is_empty() {
            return None;
        }
        let what = format!("what comes to its port on {} is dropped", nodes(&without));
        let why = format!(
            "With externalTrafficPolicy Local what comes from outside goes to pods of the node that it came to, and {} no ready one",
            has(&without)
        );
        self.finding(Policy::External, "node-port", what, why)
    }

    /// Pods of the Service's namespace on these nodes to which a variable or an argument names it.
    fn callers(&self, nodes: &BTreeSet<&str>) -> Vec<(&'a Object, String)> {
        let namespace = self.service.meta.namespace.as_deref();
        let name = self.service.meta.name.as_str();
        let known = self.view.known(&Kind::Pod, namespace);
        known
            .filter(|pod| pod.meta.deleted.is_none())
            .filter_map(|object| {
                let pod =
                    object.pod().filter(|pod| nodes.contains(pod.spec.node_name.as_str()) && !pod.is_finished())?;
                let told = pod.spec.all_containers().find_map(|(_, container)| {
                    let variable =
                        container.env.iter().find(|it| it.value.as_deref().is_some_and(|it| is_told(it, name)));
                    let argument = container.args.iter().chain(&container.command).any(|it| is_told(it, name));
                    variable.map(|it| it.name.clone()).or_else(|| argument.then(|| "its arguments".to_owned()))
                })?;
                Some((object, text::shorten(&told, 60).into_owned()))
            })
            .collect()
    }

    /// `None` where the policy cannot be told from somebody's design.
    fn finding(&self, policy: Policy, class: &'static str, what: String, why: String) -> Option<Finding> {
        let (field, pointer) = (format!("spec.{}", policy.field()), format!("/spec/{}", policy.field()));
        let changed =
            blame::object_change(self.view, self.service, None, |field| (field.pointer == pointer).then_some(0));
        let fresh = changed.as_ref().is_some_and(|blame| {
            let until = blame.change.at.checked_add(revision::WINDOW);
            until.is_ok_and(|until| !self.view.reached(until))
        });
        let cause = match changed {
            Some(blame) => {
                let sentence = format!("{why}. {field} was {}.", blame.words());
                blame.cause(self.view, sentence)
            }
            None => {
                let mut cause = Cause::plain(CauseKind::Resource, Some(&self.service.reference()), format!("{why}."))
                    .at_field(field.clone(), pointer, Some(json!("Local")));
                cause.managed_by = ownership::managed_by(self.service);
                cause
            }
        };
        let title = format!("Service {}: {what}", describe::object(self.service));
        let mut finding = Finding::new("local-traffic-policy", Place::of(self.service), title, cause);
        finding.class = Some(class);
        finding.verdict = Verdict::Confirmed;
        finding.severity = match (class, fresh) {
            ("excluded", _) => Severity::Critical,
            (_, true) => Severity::Warning,
            // It has been lived with: worth knowing.
            _ => Severity::Info,
        };
        finding.opened = finding.cause.at;
        let serving: Vec<&str> = self.serving.iter().copied().collect();
        let shown = serving.iter().copied().take(5).collect::<Vec<_>>();
        let more = if serving.len() > shown.len() { " and others" } else { "" };
        let words = format!("{field} is Local; ready pods are on {}{more}", text::enumerate(&shown));
        finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, self.service, words));
        let sentence = match policy {
            Policy::Internal => "Let pods reach those of other nodes as well.".to_owned(),
            Policy::External => {
                "Let nodes pass on what comes from outside; the pods then see a node's address and not the client's."
                    .to_owned()
            }
        };
        let mut remedy = spot::remedy(RemedyKind::Patch, &self.service.reference(), sentence);
        remedy.managed_by = ownership::managed_by(self.service);
        remedy.patch_type = Some("merge".to_owned());
        remedy.patch = Some(json!({"spec": {policy.field(): "Cluster"}}));
        finding.remedies.push(remedy);
        let top = self.ready.first().map(|pod| self.view.workload_of(pod));
        if let Some(top) = top.filter(|top| top.kind != Kind::Pod) {
            let ask = format!(
                "Or run a pod of {} {} on each node that is asked (a DaemonSet, or more replicas that spread).",
                top.kind.singular(),
                top.meta.name
            );
            finding.remedies.push(spot::remedy(RemedyKind::Scale, &top.reference(), ask));
        }
        Some(finding)
    }
}

fn is_ready(node: &Node) -> bool {
    Condition::find(&node.status.conditions, "Ready").is_some_and(Condition::is_true)
}

/// Whether ordinary pods run there.
fn takes_pods(node: &Node) -> bool {
    is_ready(node) && !node.spec.taints.iter().any(|taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute"))
}

/// Whether a value names a host of this name, as a word of its own and not as a part of another.
fn is_told(value: &str, name: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    value.match_indices(name).any(|(at, _)| {
        let before = value.get(..at).and_then(|before| before.chars().next_back());
        let after = value.get(at + name.len()..).and_then(|after| after.chars().next());
        // `http://name:80`, `name.shop.svc`, and not `my.name` or `/name`.
        let starts = before.is_none_or(|c| matches!(c, '/' | '@' | '=' | ',' | ' ' | '"'))
            && !value.get(..at).is_some_and(|it| it.ends_with('/') && !it.ends_with("//"));
        starts && after.is_none_or(|c| !inside(c))
    })
}

fn nodes(lacking: &[Placed<'_>]) -> String {
    let names: Vec<&str> = lacking.iter().map(|(object, _)| object.meta.name.as_str()).take(3).collect();
    match lacking.len() {
        1 => format!("node {}", text::enumerate(&names)),
        2 | 3 => format!("nodes {}", text::enumerate(&names)),
        n => text::count(n, "node"),
    }
}

fn has(lacking: &[Placed<'_>]) -> String {
    let names = nodes(lacking);
    if lacking.len() == 1 { format!("{names} has") } else { format!("{names} have") }
}

#[cfg(test)]
mod tests {
    use super::is_told;

    #[test]
    fn a_host_is_a_word_of_its_own() {
        for told in
            ["cache", "cache:6379", "redis://cache:6379/0", "cache.shop.svc", "--host=cache", "a,cache:1", "user@cache"]
        {
            assert!(is_told(told, "cache"), "{told}");
        }
        for other in ["my-cache", "cache-2", "http://a/cache", "xcache", "", "/var/cache"] {
            assert!(!is_told(other, "cache"), "{other}");
        }
    }
}
