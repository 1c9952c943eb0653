//! What NetworkPolicies let through, by what stands in them.
//!
//! Traffic passes where nobody who selects the sender for egress, or the receiver for ingress, is against it; of several that
//! select a pod, what one allows is allowed. Whether the network plug-in enforces them, and what rules of its own it has
//! beside them, no object says.

use crate::view::Lookup;
use crate::{View, blame, describe, ownership, spot};
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind};
use reckon_model::k8s::Pod;
use reckon_model::selector::LabelSelector;
use reckon_model::{Kind, Object};
use serde_json::Value;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Into a pod.
    Ingress,
    /// Out of a pod.
    Egress,
}

/// Whether something passes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Passage<'a> {
    /// Nobody is against it.
    Open,
    /// This policy selects the pod, and neither it nor another allows it.
    Shut(&'a Object, Way),
    /// Not everything that would tell is known.
    Unknown,
}

/// The other end of what passes.
#[derive(Clone, Copy)]
pub(super) enum Peer<'a> {
    /// A pod.
    Pod(&'a Object),
    /// Somebody outside of the cluster.
    Outside,
}

/// A port of the other end: its number, and its name where the pod gives it one.
#[derive(Clone, Copy)]
pub(super) struct Port<'p> {
    pub(super) number: u16,
    pub(super) name: &'p str,
}

/// A policy and what it says.
struct Policy<'a> {
    object: &'a Object,
    spec: Value,
}

/// The policies that select a pod for this way; `None` while not all of its namespace are known.
fn selecting<'a>(view: &View<'a>, pod: &Object, way: Way) -> Option<Vec<Policy<'a>>> {
    // On the node's network, policies mean nothing.
    if pod.pod().is_some_and(|pod| pod.spec.host_network) {
        return Some(Vec::new());
    }
    let kind = Kind::of_group("networking.k8s.io", "NetworkPolicy");
    let policies = view.all(&kind, pod.meta.namespace.as_deref());
    let selecting = policies
        .items
        .into_iter()
        .filter_map(|object| Some(Policy { object, spec: object.whole()?.get("spec")?.clone() }))
        .filter(|policy| policy.is_about(way) && policy.selects(pod))
        .collect();
    policies.complete.then_some(selecting)
}

impl Policy<'_> {
    fn is_about(&self, way: Way) -> bool {
        let types = self.spec.get("policyTypes").and_then(Value::as_array).filter(|types| !types.is_empty());
        match (types, way) {
            (Some(types), Way::Ingress) => types.iter().any(|it| it == "Ingress"),
            (Some(types), Way::Egress) => types.iter().any(|it| it == "Egress"),
            (None, Way::Ingress) => true,
            (None, Way::Egress) => self.spec.get("egress").is_some(),
        }
    }

    fn selects(&self, pod: &Object) -> bool {
        let selector = self.spec.get("podSelector").cloned().unwrap_or_default();
        matches(&selector, &pod.meta.labels)
    }

    fn rules(&self, way: Way) -> &[Value] {
        let key = if way == Way::Ingress { "ingress" } else { "egress" };
        self.spec.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice)
    }

    /// Whether one of its rules allows it; `None` where that cannot be told.
    fn allows(&self, view: &View<'_>, way: Way, peer: Peer<'_>, port: Option<Port<'_>>) -> Option<bool> {
        let home = self.object.meta.namespace.as_deref();
        let mut sure = true;
        for rule in self.rules(way) {
            match both(at_port(rule, port), names(view, rule, way, home, peer)) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => sure = false,
            }
        }
        sure.then_some(false)
    }
}

/// Both, if both are known, or if one that is known is not so.
fn both(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn matches(selector: &Value, labels: &std::collections::BTreeMap<String, String>) -> bool {
    serde_json::from_value::<LabelSelector>(selector.clone())
        .is_ok_and(|selector| selector.is_empty() || selector.matches(labels))
}

fn list<'r>(rule: &'r Value, key: &str) -> Option<&'r Vec<Value>> {
    rule.get(key).and_then(Value::as_array).filter(|list| !list.is_empty())
}

/// Whether a rule is for this port.
fn at_port(rule: &Value, port: Option<Port<'_>>) -> Option<bool> {
    let Some(ports) = list(rule, "ports") else { return Some(true) };
    let port = port?;
    Some(ports.iter().any(|it| match it.get("port") {
        None => true,
        Some(Value::Number(from)) => {
            let end = it.get("endPort").and_then(Value::as_u64);
            from.as_u64().is_some_and(|from| (from..=end.unwrap_or(from)).contains(&u64::from(port.number)))
        }
        Some(name) => !port.name.is_empty() && name.as_str() == Some(port.name),
    }))
}

/// Whether a rule names the other end.
fn names(view: &View<'_>, rule: &Value, way: Way, home: Option<&str>, peer: Peer<'_>) -> Option<bool> {
    let Some(peers) = list(rule, if way == Way::Ingress { "from" } else { "to" }) else { return Some(true) };
    let mut sure = true;
    for it in peers {
        match names_one(view, it, home, peer) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => sure = false,
        }
    }
    sure.then_some(false)
}

fn names_one(view: &View<'_>, it: &Value, home: Option<&str>, peer: Peer<'_>) -> Option<bool> {
    if let Some(block) = it.get("ipBlock") {
        let all = block.get("cidr").is_some_and(|cidr| cidr == "0.0.0.0/0" || cidr == "::/0");
        // Which number somebody has is not known here, and of a pod's whether it counts.
        return (all && list(block, "except").is_none()).then_some(true);
    }
    let Peer::Pod(pod) = peer else { return Some(false) };
    let by_pod = it.get("podSelector").is_none_or(|selector| matches(selector, &pod.meta.labels));
    let by_namespace = match it.get("namespaceSelector") {
        None => Some(pod.meta.namespace.as_deref() == home),
        Some(_) if !by_pod => Some(false),
        Some(selector) => {
            // The name of a namespace is a label of it, whatever else it has.
            let named = [("kubernetes.io/metadata.name".to_owned(), pod.namespace().to_owned())].into();
            match view.object(&Kind::Namespace, None, pod.namespace()) {
                _ if matches(selector, &named) => Some(true),
                Lookup::Found(namespace) => {
                    let mut labels = namespace.meta.labels.clone();
                    labels.extend(named);
                    Some(matches(selector, &labels))
                }
                Lookup::Absent { .. } | Lookup::Unread => None,
            }
        }
    };
    both(Some(by_pod), by_namespace)
}

/// Whether something passes a pod in this way.
pub(super) fn passage<'a>(
    view: &View<'a>,
    pod: &Object,
    way: Way,
    peer: Peer<'_>,
    port: Option<Port<'_>>,
) -> Passage<'a> {
    let Some(policies) = selecting(view, pod, way) else { return Passage::Unknown };
    let Some(first) = policies.first() else { return Passage::Open };
    let mut sure = true;
    for policy in &policies {
        match policy.allows(view, way, peer, port) {
            Some(true) => return Passage::Open,
            Some(false) => {}
            None => sure = false,
        }
    }
    if sure { Passage::Shut(first.object, way) } else { Passage::Unknown }
}

/// Whether one pod reaches another at this port of it.
pub(super) fn between<'a>(view: &View<'a>, from: &Object, to: &Object, port: Option<u16>) -> Passage<'a> {
    let port = port.map(|number| Port { number, name: to.pod().map_or("", |pod| port_name(pod, number)) });
    let out = passage(view, from, Way::Egress, Peer::Pod(to), port);
    if matches!(out, Passage::Shut(..)) {
        return out;
    }
    match (out, passage(view, to, Way::Ingress, Peer::Pod(from), port)) {
        (Passage::Open, within) => within,
        (_, shut @ Passage::Shut(..)) => shut,
        _ => Passage::Unknown,
    }
}

fn port_name(pod: &Pod, number: u16) -> &str {
    let mut ports = pod.spec.containers.iter().flat_map(|container| &container.ports);
    ports.find(|port| port.container_port == i64::from(number)).map_or("", |port| &port.name)
}

/// A policy that selects the pod for what comes in, and has no rule for addresses or for everybody: the node's own probes
/// are neither.
pub(super) fn shut_to_nodes<'a>(view: &View<'a>, pod: &Object) -> Vec<&'a Object> {
    let kind = Kind::of_group("networking.k8s.io", "NetworkPolicy");
    let policies = view.all(&kind, pod.meta.namespace.as_deref()).items.into_iter();
    let policies = policies.filter_map(|object| Some(Policy { object, spec: object.whole()?.get("spec")?.clone() }));
    let open = |policy: &Policy<'_>| {
        let blocks =
            |rule: &Value| list(rule, "from").is_none_or(|from| from.iter().any(|it| it.get("ipBlock").is_some()));
        policy.rules(Way::Ingress).iter().any(blocks)
    };
    policies
        .filter(|policy| policy.is_about(Way::Ingress) && policy.selects(pod) && !open(policy))
        .map(|policy| policy.object)
        .collect()
}

/// The policies that select a pod for egress where none of them lets it ask anybody by address at this port; empty where
/// one does, or none selects it.
pub(super) fn shut_to_addresses<'a>(view: &View<'a>, pod: &Object, number: u16) -> Vec<&'a Object> {
    let Some(policies) = selecting(view, pod, Way::Egress) else { return Vec::new() };
    // A name is one of the far end's, which nobody outside has.
    let port = Some(Port { number, name: "" });
    let open = |policy: &Policy<'_>| {
        policy.rules(Way::Egress).iter().any(|rule| {
            let there = list(rule, "to").is_none_or(|to| to.iter().any(|peer| peer.get("ipBlock").is_some()));
            there && at_port(rule, port) == Some(true)
        })
    };
    if policies.iter().any(open) { Vec::new() } else { policies.into_iter().map(|policy| policy.object).collect() }
}

/// A policy as the cause: the change that shut it where that is known.
pub(super) fn cause(view: &View<'_>, policy: &Object, way: Way, sentence: &str) -> Cause {
    let of_spec = |field: &reckon_model::FieldChange| field.pointer.starts_with("/spec").then_some(0);
    if let Some(policy) = view.known_one(&policy.reference())
        && let Some(blame) = blame::object_change(view, policy, None, of_spec)
    {
        return blame.cause(view, format!("{sentence} {} was {}.", blame.field().field, blame.words()));
    }
    let key = if way == Way::Ingress { "ingress" } else { "egress" };
    let mut cause = Cause::plain(CauseKind::Resource, Some(&policy.reference()), sentence);
    cause.managed_by = ownership::managed_by(policy);
    let pointer = format!("/spec/{key}");
    let written = policy.whole().and_then(|it| it.pointer(&pointer).cloned());
    cause.at_field(format!("spec.{key}"), pointer, written)
}

/// What opens it.
pub(super) fn open(policy: &Object, sentence: String) -> Remedy {
    let mut remedy = spot::remedy(RemedyKind::Patch, &policy.reference(), sentence);
    remedy.managed_by = ownership::managed_by(policy);
    remedy
}

/// `NetworkPolicy shop/db selects the callee for what comes in, and no rule of it lets that in`.
pub(super) fn words(policy: &Object, way: Way) -> String {
    let says = match way {
        Way::Ingress => "the callee for what comes in, and no rule lets this in",
        Way::Egress => "the caller for what goes out, and no rule lets this out",
    };
    format!("NetworkPolicy {} selects {says}", describe::object(policy))
}
