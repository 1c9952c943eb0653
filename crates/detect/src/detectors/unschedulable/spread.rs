//! Spread constraints: which nodes they exclude, and by which of their options.

use super::hurdle::Hurdle;
use super::message::Said;
use super::nodes::Seen;
use super::rules::place;
use crate::View;
use reckon_model::Object;
use reckon_model::k8s::{Pod, SpreadConstraint};
use reckon_model::selector::LabelSelector;
use std::collections::BTreeMap;

/// What keeps a pod off a node by a spread constraint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit<'a> {
    pub(super) constraint: &'a SpreadConstraint,
    pub(super) by: Excludes,
}

/// The option of a constraint without which the node would do. What is odd comes before what is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Excludes {
    /// The node lacks the label.
    Key,
    /// There are fewer domains than are asked for (this many), so the emptiest counts as empty.
    MinDomains(usize),
    /// The emptiest domain has taints on all of its nodes, and counts all the same.
    Taints,
    /// The pod's own selector excludes the emptiest domain, which counts all the same.
    Affinity,
    /// The difference would be too large.
    Skew,
}

impl Excludes {
    /// Which sort of failure that is; none where the constraint works as it is mostly meant.
    pub(super) fn class(self) -> Option<&'static str> {
        match self {
            Excludes::Key => Some("missing-label"),
            Excludes::MinDomains(_) => Some("min-domains"),
            Excludes::Taints => Some("tainted-domain"),
            Excludes::Affinity => Some("excluded-domain"),
            Excludes::Skew => None,
        }
    }

    /// The option, as it is written.
    pub(super) fn option(self) -> &'static str {
        match self {
            Excludes::Key => "topologyKey",
            Excludes::MinDomains(_) => "minDomains",
            Excludes::Taints => "nodeTaintsPolicy",
            Excludes::Affinity => "nodeAffinityPolicy",
            Excludes::Skew => "maxSkew",
        }
    }
}

/// Adds to each node what the constraints say of it, as far as the pods they count can be known.
pub(super) fn apply<'a>(view: &View<'a>, subject: &Object, pod: &'a Pod, seen: &mut [Seen<'a>]) {
    let hard: Vec<&'a SpreadConstraint> =
        pod.spec.topology_spread_constraints.iter().filter(|it| it.when_unsatisfiable == "DoNotSchedule").collect();
    let keys: Vec<&str> = hard.iter().map(|constraint| constraint.topology_key.as_str()).collect();
    for constraint in hard {
        one(view, subject, constraint, &keys, seen);
    }
}

fn one<'a>(view: &View<'a>, subject: &Object, constraint: &'a SpreadConstraint, keys: &[&str], seen: &mut [Seen<'a>]) {
    let key = constraint.topology_key.as_str();
    for node in seen.iter_mut().filter(|node| !node.node.meta.labels.contains_key(key)) {
        exclude(node, constraint, Excludes::Key, format!("lacks the label {key} that it is to be spread over"));
    }
    let Some(selector) = &constraint.label_selector else { return };
    let selector = narrowed(selector, constraint, subject);
    let many = view.matching(&reckon_model::Kind::Pod, subject.meta.namespace.as_deref(), &selector);
    if !many.complete {
        return;
    }
    let others: Vec<&Object> = many.items.into_iter().filter(|other| other.meta.deleted.is_none()).collect();
    let honours_selector = constraint.node_affinity_policy != "Ignore";
    let honours_taints = constraint.node_taints_policy == "Honor";
    let selected = |node: &Seen<'_>| !node.hurdles.contains_key(&Hurdle::Labels);
    let untainted = |node: &Seen<'_>| node.taints.is_empty() && !node.hurdles.contains_key(&Hurdle::Cordoned);
    let counts = |only_selected: bool, only_untainted: bool| {
        let counts = |node: &&Seen<'_>| {
            (!only_selected || selected(node))
                && (!only_untainted || untainted(node))
                && keys.iter().all(|key| node.node.meta.labels.contains_key(*key))
        };
        by_domain(seen.iter().filter(counts), key, &others)
    };
    let domains = counts(honours_selector, honours_taints);
    let least = |domains: &BTreeMap<String, i64>| domains.values().min().copied();
    let Some(emptiest) = least(&domains) else { return };
    let too_few = constraint.min_domains.is_some_and(|wanted| i64::try_from(domains.len()).unwrap_or(0) < wanted);
    let without_taints = if honours_taints { None } else { least(&counts(honours_selector, true)) };
    let without_others = if honours_selector { None } else { least(&counts(true, honours_taints)) };
    let own = i64::from(selector.matches(&subject.meta.labels));
    let skew = constraint.max_skew.max(1);
    let fits = |count: i64, least: Option<i64>| least.is_some_and(|least| count + own - least <= skew);
    let floor = if too_few { 0 } else { emptiest };
    let found: Vec<(usize, Excludes, String)> = seen
        .iter()
        .enumerate()
        .filter_map(|(at, node)| {
            let domain = node.node.meta.labels.get(key)?;
            let count = *domains.get(domain)?;
            if fits(count, Some(floor)) {
                return None;
            }
            let by = match () {
                () if too_few && fits(count, Some(emptiest)) => Excludes::MinDomains(domains.len()),
                () if fits(count, without_taints) => Excludes::Taints,
                () if fits(count, without_others) => Excludes::Affinity,
                () => Excludes::Skew,
            };
            let least = match by {
                Excludes::MinDomains(few) => format!("there are {few} of {key} and not {}", constraint.min_domains?),
                Excludes::Taints => format!("another, whose nodes have taints, has {floor}"),
                Excludes::Affinity => format!("another, where it may not run, has {floor}"),
                Excludes::Key | Excludes::Skew => format!("another has {floor}"),
            };
            let words = format!("{key}={domain} has {count} of its kind, {least}, and {skew} more is allowed");
            Some((at, by, words))
        })
        .collect();
    for (at, by, words) in found {
        exclude(&mut seen[at], constraint, by, words);
    }
}

/// The first constraint that excludes a node is the one that is told.
fn exclude<'a>(node: &mut Seen<'a>, constraint: &'a SpreadConstraint, by: Excludes, words: String) {
    if node.spread.is_none() {
        node.spread = Some(Limit { constraint, by });
        node.hurdles.insert(Hurdle::Spread, words);
    }
}

/// Pods count that have some of their labels in common with this one, beside those that are selected.
fn narrowed(selector: &LabelSelector, constraint: &SpreadConstraint, subject: &Object) -> LabelSelector {
    let mut selector = selector.clone();
    for key in &constraint.match_label_keys {
        if let Some(value) = subject.meta.labels.get(key) {
            selector.match_labels.insert(key.clone(), value.clone());
        }
    }
    selector
}

/// How many of these pods run in each domain.
fn by_domain<'s, 'a: 's>(
    nodes: impl Iterator<Item = &'s Seen<'a>>,
    key: &str,
    others: &[&Object],
) -> BTreeMap<String, i64> {
    let domains: BTreeMap<&str, &String> =
        nodes.filter_map(|node| Some((node.node.meta.name.as_str(), node.node.meta.labels.get(key)?))).collect();
    let mut counts: BTreeMap<String, i64> = domains.values().map(|domain| ((*domain).clone(), 0)).collect();
    for domain in others.iter().filter_map(|other| domains.get(place(other)?)) {
        *counts.entry((*domain).clone()).or_default() += 1;
    }
    counts
}

/// Which sort of failure it is, as computed or else as the scheduler says.
pub(super) fn class(on: &[&Seen<'_>], said: &Said) -> Option<&'static str> {
    match most(on) {
        Some(limit) => limit.by.class(),
        None => {
            let lacking = said.reason(Hurdle::Spread).is_some_and(|reason| reason.what == "missing required label");
            lacking.then_some("missing-label")
        }
    }
}

/// The constraint and option that exclude most of these nodes.
pub(super) fn most<'a>(on: &[&Seen<'a>]) -> Option<Limit<'a>> {
    let mut counts: BTreeMap<(Excludes, &str), (usize, Limit<'a>)> = BTreeMap::new();
    for limit in on.iter().filter_map(|node| node.spread) {
        let entry = counts.entry((limit.by, limit.constraint.topology_key.as_str())).or_insert((0, limit));
        entry.0 += 1;
    }
    // Of equals the first: `max_by_key` alone would take the last.
    counts.into_values().rev().max_by_key(|(count, _)| *count).map(|(_, limit)| limit)
}
