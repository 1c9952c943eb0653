//! Rules about other pods: affinity and anti-affinity.

use super::hurdle::Hurdle;
use super::nodes::Seen;
use super::spread;
use crate::{View, describe};
use reckon_model::k8s::{Pod, PodAffinityTerm};
use reckon_model::selector::LabelSelector;
use reckon_model::{Kind, Object};
use std::collections::{BTreeMap, BTreeSet};

/// Adds to each node what rules about other pods say of it, as far as those pods can be known.
pub(super) fn apply<'a>(view: &View<'a>, subject: &'a Object, pod: &'a Pod, seen: &mut [Seen<'a>]) {
    let own = &pod.spec.affinity;
    for term in &own.pod_anti_affinity.required {
        let Some(others) = pods(view, subject, term) else { continue };
        for (node, holder) in holders(seen, &term.topology_key, &others) {
            let words = format!("{} is in the same {}", describe::object(holder), term.topology_key);
            seen[node].hurdles.insert(Hurdle::AntiAffinity, words);
            seen[node].holder.get_or_insert(holder);
            seen[node].terms.insert(Hurdle::AntiAffinity, term);
        }
    }
    for term in &own.pod_affinity.required {
        let Some(others) = pods(view, subject, term) else { continue };
        let together: BTreeSet<usize> = holders(seen, &term.topology_key, &others).into_keys().collect();
        // The first of a group that wants to be with its own kind may go wherever the label is.
        let first = others.iter().all(|other| place(other).is_none()) && selects(term, subject);
        for (at, node) in seen.iter_mut().enumerate() {
            let labelled = node.node.meta.labels.contains_key(&term.topology_key);
            if !(together.contains(&at) || first && labelled) {
                let words = format!("no pod that it wants to be with is in the same {}", term.topology_key);
                node.hurdles.insert(Hurdle::Affinity, words);
                node.terms.insert(Hurdle::Affinity, term);
            }
        }
    }
    if view.all_known(&Kind::Pod) {
        existing(view, subject, seen);
    }
    spread::apply(view, subject, pod, seen);
}

/// The pods a term is about; `None` where they cannot be known.
fn pods<'a>(view: &View<'a>, subject: &Object, term: &PodAffinityTerm) -> Option<Vec<&'a Object>> {
    let selector = term.label_selector.as_ref()?;
    let everywhere = term.namespace_selector.as_ref().is_some_and(LabelSelector::is_empty);
    if everywhere {
        let all = view.matching(&Kind::Pod, None, selector);
        return all.complete.then_some(all.items);
    }
    // Which namespaces a selector means is known from the namespaces' labels.
    let mut namespaces: BTreeSet<&str> = term.namespaces.iter().map(String::as_str).collect();
    if let Some(labels) = &term.namespace_selector {
        let known = view.all(&Kind::Namespace, None);
        if !known.complete {
            return None;
        }
        namespaces
            .extend(known.items.iter().filter(|it| labels.matches(&it.meta.labels)).map(|it| it.meta.name.as_str()));
    } else if namespaces.is_empty() {
        namespaces.insert(subject.namespace());
    }
    let mut found = Vec::new();
    for namespace in namespaces {
        let many = view.matching(&Kind::Pod, Some(namespace), selector);
        if !many.complete {
            return None;
        }
        found.extend(many.items);
    }
    Some(found)
}

/// Whether a term is about this very pod as well.
fn selects(term: &PodAffinityTerm, subject: &Object) -> bool {
    let labels = term.label_selector.as_ref().is_some_and(|selector| selector.matches(&subject.meta.labels));
    let here = term.namespaces.is_empty() || term.namespaces.iter().any(|name| name == subject.namespace());
    labels && here
}

/// The node a pod takes up; `None` for one that has none or has ended.
pub(super) fn place(pod: &Object) -> Option<&str> {
    let body = pod.pod().filter(|body| !body.is_finished())?;
    (!body.spec.node_name.is_empty()).then_some(body.spec.node_name.as_str())
}

/// The nodes of whose domain one of these pods is, by their number, with that pod.
fn holders<'a>(seen: &[Seen<'a>], key: &str, others: &[&'a Object]) -> BTreeMap<usize, &'a Object> {
    let by_name: BTreeMap<&str, Option<&String>> =
        seen.iter().map(|node| (node.node.meta.name.as_str(), node.node.meta.labels.get(key))).collect();
    let mut domains: BTreeMap<&String, &'a Object> = BTreeMap::new();
    for other in others {
        if let Some(Some(domain)) = place(other).and_then(|node| by_name.get(node)) {
            domains.entry(domain).or_insert(other);
        }
    }
    let of = |node: &Seen<'a>| domains.get(node.node.meta.labels.get(key)?).copied();
    seen.iter().enumerate().filter_map(|(at, node)| Some((at, of(node)?))).collect()
}

/// Pods that are there already and keep away from this one.
fn existing<'a>(view: &View<'a>, subject: &Object, seen: &mut [Seen<'a>]) {
    for other in view.placed() {
        let Some(body) = other.pod() else { continue };
        for term in &body.spec.affinity.pod_anti_affinity.required {
            let selected = term.label_selector.as_ref().is_some_and(|selector| selector.matches(&subject.meta.labels));
            let meant = match (term.namespaces.is_empty(), &term.namespace_selector) {
                (true, None) => other.namespace() == subject.namespace(),
                (_, Some(selector)) if selector.is_empty() => true,
                (false, _) => term.namespaces.iter().any(|name| name == subject.namespace()),
                // A selector of namespaces: not worth another read, the scheduler says so by itself.
                (true, Some(_)) => false,
            };
            if !selected || !meant || place(other).is_none() {
                continue;
            }
            for (node, holder) in holders(seen, &term.topology_key, &[other]) {
                let words = format!("{} is there and keeps away from it", describe::object(holder));
                seen[node].hurdles.entry(Hurdle::Existing).or_insert(words);
                seen[node].holder.get_or_insert(holder);
                seen[node].terms.entry(Hurdle::Existing).or_insert(term);
            }
        }
    }
}
