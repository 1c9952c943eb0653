//! A hurdle in words.

use super::funnel::Decision;
use super::hurdle::Hurdle;
use super::message::Said;
use super::nodes::{Nodes, Seen, amount};
use super::spread::{self, Excludes};
use crate::detectors::node_labels;
use reckon_model::k8s::Pod;
use reckon_model::selector::Requirement;
use reckon_model::text;
use std::collections::{BTreeMap, BTreeSet};

/// The resource that is short on most of the nodes in question, by what was computed or else by what is said.
pub(super) fn resource(decision: &Decision<'_, '_>, said: &Said) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in decision.on.iter().flat_map(|node| node.short.keys()) {
        *counts.entry(name).or_default() += 1;
    }
    let most = counts.into_iter().max_by(|a, b| (a.1, b.0).cmp(&(b.1, a.0))).map(|(name, _)| name.to_owned());
    most.or_else(|| said.reason(Hurdle::Room).map(|reason| reason.what.clone()))
}

/// The most of a resource that any of these nodes has in all, in 10⁻⁹ units.
pub(super) fn largest(nodes: &[&Seen<'_>], resource: &str) -> i128 {
    nodes.iter().filter_map(|node| node.short.get(resource)).map(|short| short.all).max().unwrap_or(0)
}

/// What keeps the pod off, after "no node takes its pod, ".
pub(super) fn of(decision: &Decision<'_, '_>, nodes: &Nodes<'_>, said: &Said, pod: &Pod) -> String {
    let on = &decision.on;
    let all = on.len() == nodes.seen.len() || on.is_empty();
    // "no node has …", or how many were in question at all.
    let none = match on.as_slice() {
        _ if all => "no node has".to_owned(),
        [only] => format!("node {}, the only one that would do, has less than", only.node.meta.name),
        many => format!("none of the {} nodes that would do has", many.len()),
    };
    let those = match on.as_slice() {
        [] => "the nodes that would do are".to_owned(),
        [only] => format!("node {} is", only.node.meta.name),
        many if all => format!("all {} nodes are", many.len()),
        many => format!("the {} nodes that would do are", many.len()),
    };
    match decision.hurdle {
        Hurdle::Room => match resource(decision, said) {
            Some(resource) => {
                let want = pod.spec.request_nanos(&resource);
                let want = if want > 0 {
                    format!("{} {resource}", amount(&resource, want))
                } else {
                    format!("enough {resource}")
                };
                format!("{none} {want} free")
            }
            None => "no node has room".to_owned(),
        },
        Hurdle::Size => {
            let resource = resource(decision, said).unwrap_or_default();
            let want = pod.spec.request_nanos(&resource);
            let largest = largest(on, &resource);
            if largest == 0 {
                return format!("it asks for {} {resource}, which no node offers", amount(&resource, want));
            }
            let slip = if resource == "cpu" && want >= 100_000_000_000 {
                "; thousandths (m) were meant, it seems"
            } else {
                ""
            };
            let of = if all { "the largest node has" } else { "the largest of those that would do has" };
            format!("it asks for {} {resource} and {of} {}{slip}", amount(&resource, want), amount(&resource, largest))
        }
        Hurdle::Slots => format!("{those} full: no more pods may run there"),
        Hurdle::NoNodes => "there is no node".to_owned(),
        Hurdle::Taint | Hurdle::Ill => {
            let taints: BTreeSet<String> =
                on.iter().flat_map(|node| &node.taints).map(|taint| taint.describe()).collect();
            let taints: Vec<String> = taints.into_iter().take(3).collect();
            match (taints.as_slice(), said.reason(Hurdle::Taint).map(|reason| reason.what.as_str())) {
                ([], Some("") | None) => "the nodes carry a taint that it does not tolerate".to_owned(),
                ([], Some(taint)) => format!("the nodes carry the taint {taint} that it does not tolerate"),
                (taints, _) => {
                    let carry = match on.as_slice() {
                        [only] => format!("node {} carries", only.node.meta.name),
                        _ if all => "the nodes carry".to_owned(),
                        many => format!("the {} nodes that would do carry", many.len()),
                    };
                    let the = if taints.len() == 1 { "the taint" } else { "taints" };
                    format!("{carry} {the} {} that it does not tolerate", text::enumerate(taints))
                }
            }
        }
        Hurdle::Labels => match node_labels::excluding(pod, &decision.nodes()).filter(|excluding| excluding.everywhere)
        {
            Some(excluding) => format!("no node has {}", excluding.wanted.describe()),
            None => format!("no node has {}", all_labels(pod)),
        },
        Hurdle::Cordoned => format!("{those} cordoned"),
        Hurdle::HostPort => match on.iter().find_map(|node| node.port) {
            Some(port) => format!("its host port {port} is taken on every node that would do"),
            None => "its host port is taken on every node that would do".to_owned(),
        },
        Hurdle::Affinity => "no node has the pods near that it wants to be with".to_owned(),
        Hurdle::AntiAffinity => "a pod that it keeps away from is near every node that would do".to_owned(),
        Hurdle::Existing => "a pod that keeps away from it is near every node that would do".to_owned(),
        Hurdle::Spread => spreading(on, said),
        other => {
            let words = said.reason(other).map(|reason| reason.what.clone()).unwrap_or_default();
            format!("the scheduler says: {}", text::shorten(&words, 160))
        }
    }
}

/// What its spread constraints ask, and what there is.
fn spreading(on: &[&Seen<'_>], said: &Said) -> String {
    let Some(limit) = spread::most(on) else {
        return match said.reason(Hurdle::Spread) {
            Some(reason) if reason.what == "missing required label" => {
                "no node has the label that it is to be spread over".to_owned()
            }
            _ => "its spread constraints exclude every node that would do".to_owned(),
        };
    };
    let key = &limit.constraint.topology_key;
    match limit.by {
        Excludes::Key => format!("no node that would do has the label {key} that it is to be spread over"),
        Excludes::MinDomains(few) => {
            let wanted = limit.constraint.min_domains.unwrap_or_default();
            format!("it is to be spread over {wanted} of {key} at least, and {} there", are(few))
        }
        Excludes::Taints => format!(
            "its spread over {key} counts nodes whose taints it does not tolerate, and every node that would do has too many of its kind beside them"
        ),
        Excludes::Affinity => format!(
            "its spread over {key} counts nodes that it may not run on, and every node that would do has too many of its kind beside them"
        ),
        Excludes::Skew => format!(
            "its spread over {key} allows {} more than where they are fewest, and every node that would do has as many",
            limit.constraint.max_skew
        ),
    }
}

fn are(count: usize) -> String {
    if count == 1 { "1 is".to_owned() } else { format!("{count} are") }
}

/// The labels a pod asks of its node.
fn all_labels(pod: &Pod) -> String {
    let mut wanted: Vec<String> = pod.spec.node_selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if let Some(required) = &pod.spec.affinity.node_affinity.required {
        let expressions = required
            .node_selector_terms
            .iter()
            .flat_map(|term| term.match_expressions.iter().chain(&term.match_fields));
        wanted.extend(expressions.map(Requirement::describe));
    }
    if wanted.is_empty() { "the labels it asks for".to_owned() } else { text::enumerate(&wanted) }
}

/// How many nodes are named for one hurdle.
const NAMED: usize = 5;

/// Which requirement excludes which nodes: a line for each, with a node that it is about.
pub(super) fn excluded<'n, 'a>(nodes: &'n Nodes<'a>) -> Vec<(&'n Seen<'a>, String)> {
    let mut groups: BTreeMap<Vec<Hurdle>, Vec<&'n Seen<'a>>> = BTreeMap::new();
    for node in nodes.seen.iter().filter(|node| !node.hurdles.is_empty()) {
        groups.entry(node.hurdles.keys().copied().collect()).or_default().push(node);
    }
    let mut groups: Vec<(Vec<Hurdle>, Vec<&Seen<'a>>)> = groups.into_iter().collect();
    groups.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(&b.0)));
    let line = |group: Vec<&'n Seen<'a>>| {
        let first = *group.first()?;
        let mut names: Vec<String> = group.iter().take(NAMED).map(|node| node.node.meta.name.clone()).collect();
        if group.len() > NAMED {
            names.push(format!("{} more", group.len() - NAMED));
        }
        let words: BTreeSet<String> =
            group.iter().map(|node| node.hurdles.values().cloned().collect::<Vec<_>>().join("; ")).collect();
        let such = if words.len() == 1 { "" } else { " (and the like)" };
        let words = words.into_iter().next()?;
        let which = match names.as_slice() {
            [only] => format!("node {only}"),
            many => format!("{}, {}", text::count(group.len(), "node"), text::enumerate(many)),
        };
        Some((first, format!("{which}: {words}{such}")))
    };
    groups.into_iter().take(6).filter_map(|(_, group)| line(group)).collect()
}

/// A node that nothing keeps the pod from any more, of what can be computed.
pub(super) fn would_do<'n>(nodes: &'n Nodes<'_>, hurdle: Hurdle) -> Option<&'n str> {
    let computed =
        (hurdle <= Hurdle::Spread && hurdle != Hurdle::Reach) || matches!(hurdle, Hurdle::Room | Hurdle::Slots);
    let node = nodes.meant().find(|node| node.hurdles.is_empty() && node.pods_known).filter(|_| computed)?;
    Some(node.node.meta.name.as_str())
}

/// The most of a resource that is free on one of these nodes, where something is.
pub(super) fn most_free(on: &[&Seen<'_>], resource: &str) -> Option<i128> {
    on.iter().filter_map(|node| node.short.get(resource)?.free).max().filter(|free| *free > 0)
}
