//! What keeps the pod off each node, computed again.

use super::hurdle::Hurdle;
use super::rules;
use super::spread::Limit;
use crate::View;
use crate::detectors::{host_ports, tolerations};
use reckon_model::k8s::{Node, Pod, PodAffinityTerm, Taint};
use reckon_model::selector::Requirement;
use reckon_model::{Body, Kind, Object, Quantity};
use std::collections::{BTreeMap, BTreeSet};

/// A node with what keeps the pod off it, as far as it could be computed.
pub(super) struct Seen<'a> {
    pub(super) node: &'a Object,
    pub(super) hurdles: BTreeMap<Hurdle, String>,
    /// Resources of which it has too little: in 10⁻⁹ units.
    pub(super) short: BTreeMap<String, Short>,
    /// Taints that are not tolerated.
    pub(super) taints: Vec<&'a Taint>,
    /// A pod that is in the way, where one is.
    pub(super) holder: Option<&'a Object>,
    /// The term of each rule about other pods that keeps the pod off.
    pub(super) terms: BTreeMap<Hurdle, &'a PodAffinityTerm>,
    /// The spread constraint that does, and by which of its options.
    pub(super) spread: Option<Limit<'a>>,
    /// The host port that is taken.
    pub(super) port: Option<i64>,
    /// Whether all was computed that depends on other pods.
    pub(super) pods_known: bool,
}

/// A resource that is short.
#[derive(Clone, Copy, Debug)]
pub(super) struct Short {
    /// Not known where its pods are not.
    pub(super) free: Option<i128>,
    pub(super) all: i128,
}

/// All nodes.
pub(super) struct Nodes<'a> {
    pub(super) seen: Vec<Seen<'a>>,
    /// Whether these are all there are.
    pub(super) complete: bool,
}

/// Nodes whose pods are asked for one by one where those of the cluster are not known: they are much alike.
const ASKED: usize = 3;

/// What the pod was never meant to pass: a node with one of these is none that anybody had in mind. First what is fixed, then
/// what follows from where other pods are.
pub(super) const INTENT: [Hurdle; 8] = [
    Hurdle::Labels,
    Hurdle::Reach,
    Hurdle::Taint,
    Hurdle::Size,
    Hurdle::Affinity,
    Hurdle::AntiAffinity,
    Hurdle::Existing,
    Hurdle::Spread,
];

impl<'a> Nodes<'a> {
    pub(super) fn of(view: &View<'a>, subject: &'a Object, pod: &'a Pod) -> Self {
        let all = view.all(&Kind::Node, None);
        let wants: BTreeMap<&str, i128> = resources(pod)
            .into_iter()
            .map(|name| (name, pod.spec.request_nanos(name)))
            .filter(|(_, n)| *n > 0)
            .collect();
        let volumes = volumes(view, subject, pod);
        let mut seen: Vec<Seen<'a>> = all.items.iter().filter_map(|node| fixed(pod, node, &wants, &volumes)).collect();
        rules::apply(view, subject, pod, &mut seen);
        let everywhere = view.all_known(&Kind::Pod);
        for (asked, node) in seen.iter_mut().filter(|node| !node.excluded()).enumerate() {
            let here = if everywhere || asked < ASKED { view.placed_on(&node.node.meta.name) } else { None };
            let Some(here) = here else { continue };
            node.pods_known = true;
            node.beside(pod, &here, &wants);
        }
        Nodes { seen, complete: all.complete }
    }

    /// The nodes that somebody had in mind, or all where that are none.
    pub(super) fn meant(&self) -> impl Iterator<Item = &Seen<'a>> {
        self.seen.iter().filter(|node| !node.excluded())
    }
}

impl<'a> Seen<'a> {
    /// Whether the pod was never meant to be here.
    fn excluded(&self) -> bool {
        INTENT.iter().any(|hurdle| self.hurdles.contains_key(hurdle))
    }

    /// What depends on the pods that are there.
    fn beside(&mut self, pod: &Pod, here: &[&'a Object], wants: &BTreeMap<&str, i128>) {
        let Body::Node(body) = &self.node.body else { return };
        let running: Vec<&'a Object> =
            here.iter().copied().filter(|other| other.pod().is_some_and(|other| !other.is_finished())).collect();
        let mut words = Vec::new();
        for (resource, want) in wants {
            let all = amount_of(body, resource);
            let used: i128 =
                running.iter().filter_map(|other| other.pod()).map(|other| other.spec.request_nanos(resource)).sum();
            let free = (all - used).max(0);
            if free < *want {
                self.short.insert((*resource).to_owned(), Short { free: Some(free), all });
                words.push(format!(
                    "{} of {} {resource} free, {} wanted",
                    amount(resource, free),
                    amount(resource, all),
                    amount(resource, *want)
                ));
            }
        }
        if !words.is_empty() {
            self.hurdles.insert(Hurdle::Room, words.join(", "));
        }
        let slots = body.status.allocatable.get("pods").and_then(Quantity::value).and_then(|n| usize::try_from(n).ok());
        if let Some(slots) = slots.filter(|slots| running.len() >= *slots) {
            self.hurdles.insert(Hurdle::Slots, format!("runs {} of {slots} pods", running.len()));
        }
        if let Some((port, holder)) = host_ports::taken(pod, &running) {
            self.hurdles
                .insert(Hurdle::HostPort, format!("host port {port} is taken by {}", crate::describe::object(holder)));
            self.holder = Some(holder);
            self.port = Some(port);
        }
    }
}

/// What depends on the node alone.
fn fixed<'a>(
    pod: &Pod,
    node: &'a Object,
    wants: &BTreeMap<&str, i128>,
    volumes: &[(String, Vec<Vec<Requirement>>)],
) -> Option<Seen<'a>> {
    let Body::Node(body) = &node.body else { return None };
    let mut hurdles = BTreeMap::new();
    if let Some(label) = lacking(pod, node) {
        hurdles.insert(Hurdle::Labels, format!("lacks {label}"));
    }
    let reaches = |terms: &Vec<Vec<Requirement>>| {
        terms.iter().any(|term| term.iter().all(|requirement| requirement.matches(&node.meta.labels)))
    };
    if let Some((volume, _)) = volumes.iter().find(|(_, terms)| !reaches(terms)) {
        hurdles.insert(Hurdle::Reach, format!("does not reach the volume {volume}"));
    }
    let taints: Vec<&Taint> = untolerated(pod, body).collect();
    let (own, others): (Vec<&&Taint>, Vec<&&Taint>) =
        taints.iter().partition(|taint| taint.key.starts_with("node.kubernetes.io/"));
    if let Some(taint) = others.first() {
        hurdles.insert(Hurdle::Taint, format!("taint {}", taint.describe()));
    }
    if let Some(taint) = own.first() {
        hurdles.insert(Hurdle::Ill, format!("taint {}", taint.describe()));
    }
    let cordon = Taint { key: CORDON.to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() };
    if body.spec.unschedulable && !tolerated(pod, &cordon) {
        hurdles.insert(Hurdle::Cordoned, "cordoned".to_owned());
    }
    let mut short = BTreeMap::new();
    let mut words = Vec::new();
    for (resource, want) in wants {
        let all = amount_of(body, resource);
        if *want > all {
            short.insert((*resource).to_owned(), Short { free: None, all });
            words.push(format!("has {} {resource} in all, {} wanted", amount(resource, all), amount(resource, *want)));
        }
    }
    if !words.is_empty() {
        hurdles.insert(Hurdle::Size, words.join(", "));
    }
    Some(Seen {
        node,
        hurdles,
        short,
        taints,
        holder: None,
        terms: BTreeMap::new(),
        spread: None,
        port: None,
        pods_known: false,
    })
}

fn amount_of(node: &Node, resource: &str) -> i128 {
    node.status.allocatable.get(resource).and_then(Quantity::nanos).unwrap_or(0)
}

/// The resources a pod asks for.
fn resources(pod: &Pod) -> BTreeSet<&str> {
    let containers = pod.spec.containers.iter().chain(&pod.spec.init_containers);
    let asked = containers.flat_map(|container| container.resources.requests.keys());
    asked.chain(pod.spec.resources.requests.keys()).chain(pod.spec.overhead.keys()).map(String::as_str).collect()
}

/// An amount in the unit people use for the resource.
pub(super) fn amount(resource: &str, nanos: i128) -> String {
    const NANO: i128 = 1_000_000_000;
    match resource {
        "cpu" if nanos % NANO != 0 => format!("{}m", nanos / 1_000_000),
        "memory" | "ephemeral-storage" => {
            reckon_model::quantity::bytes(u64::try_from(nanos / NANO).unwrap_or(u64::MAX))
        }
        _ => format!("{}", nanos / NANO),
    }
}

/// The first label the node lacks, in words.
fn lacking(pod: &Pod, node: &Object) -> Option<String> {
    let labels = &node.meta.labels;
    if let Some((key, value)) = pod.spec.node_selector.iter().find(|(key, value)| labels.get(*key) != Some(value)) {
        return Some(format!("{key}={value}"));
    }
    let terms = &pod.spec.affinity.node_affinity.required.as_ref()?.node_selector_terms;
    let fields = BTreeMap::from([("metadata.name".to_owned(), node.meta.name.clone())]);
    let unmet: Vec<Option<String>> = terms
        .iter()
        .map(|term| {
            let label = term.match_expressions.iter().find(|requirement| !requirement.matches(labels));
            label
                .or_else(|| term.match_fields.iter().find(|requirement| !requirement.matches(&fields)))
                .map(Requirement::describe)
        })
        .collect();
    if unmet.iter().any(Option::is_none) { None } else { unmet.into_iter().flatten().next() }
}

/// The bound volumes of a pod that not every node reaches: their names, and terms of which one must hold.
fn volumes<'a>(view: &View<'a>, subject: &Object, pod: &Pod) -> Vec<(String, Vec<Vec<Requirement>>)> {
    let namespace = subject.meta.namespace.as_deref();
    let claims = pod.spec.volumes.iter().filter_map(|volume| {
        let name = match (&volume.persistent_volume_claim, &volume.ephemeral) {
            (Some(claim), _) => claim.claim_name.clone(),
            (None, Some(_)) => format!("{}-{}", subject.meta.name, volume.name),
            (None, None) => return None,
        };
        view.object(&Kind::PersistentVolumeClaim, namespace, &name).found()
    });
    claims
        .filter_map(|claim| match &claim.body {
            Body::Claim(body) if !body.spec.volume_name.is_empty() => {
                view.object(&Kind::PersistentVolume, None, &body.spec.volume_name).found()
            }
            _ => None,
        })
        .filter_map(|volume| match &volume.body {
            Body::Volume(body) => {
                let terms: Vec<Vec<Requirement>> =
                    body.spec.node_terms().into_iter().map(<[Requirement]>::to_vec).collect();
                (!terms.is_empty()).then(|| (volume.meta.name.clone(), terms))
            }
            _ => None,
        })
        .collect()
}

/// The taint of a cordon, which is told as a cordon.
const CORDON: &str = "node.kubernetes.io/unschedulable";

/// The taints that keep new pods away and are not tolerated.
fn untolerated<'n>(pod: &Pod, node: &'n Node) -> impl Iterator<Item = &'n Taint> {
    let keeps = |taint: &&Taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute") && taint.key != CORDON;
    node.spec.taints.iter().filter(keeps).filter(|taint| !tolerated(pod, taint))
}

fn tolerated(pod: &Pod, taint: &Taint) -> bool {
    tolerations::tolerated(&pod.spec.tolerations, taint)
}
