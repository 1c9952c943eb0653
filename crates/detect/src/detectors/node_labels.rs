//! Which of the labels that a pod asks of its node is the one that no node has.

use crate::spot::{Path, Spot};
use reckon_model::Object;
use reckon_model::k8s::{NodeSelectorTerm, Pod};
use reckon_model::selector::Requirement;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One thing a pod asks of its node's labels.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'p> {
    /// An entry of `nodeSelector`.
    Entry(&'p str, &'p str),
    /// A requirement of a term of the required node affinity: the term's number, and whether it is about fields.
    Requirement(usize, bool, &'p Requirement),
}

/// What excludes the nodes.
pub(crate) struct Excluding<'p> {
    pub(crate) wanted: Wanted<'p>,
    /// Whether each of the nodes lacks it.
    pub(crate) everywhere: bool,
}

/// All that a pod asks of its node's labels.
fn wanted(pod: &Pod) -> Vec<Wanted<'_>> {
    let entries = pod.spec.node_selector.iter().map(|(key, value)| Wanted::Entry(key, value));
    let required = terms(pod).iter().enumerate().flat_map(|(at, term)| {
        let labels = term.match_expressions.iter().map(move |it| Wanted::Requirement(at, false, it));
        labels.chain(term.match_fields.iter().map(move |it| Wanted::Requirement(at, true, it)))
    });
    entries.chain(required).collect()
}

fn terms(pod: &Pod) -> &[NodeSelectorTerm] {
    pod.spec.affinity.node_affinity.required.as_ref().map_or(&[], |required| &required.node_selector_terms)
}

/// The one that excludes most of these nodes by itself, or else each of them. Where no node is known: the only one there is.
pub(crate) fn excluding<'p>(pod: &'p Pod, on: &[&Object]) -> Option<Excluding<'p>> {
    let all = wanted(pod);
    if on.is_empty() {
        let [only] = all.as_slice() else { return None };
        return Some(Excluding { wanted: *only, everywhere: true });
    }
    let score = |wanted: &Wanted<'p>| {
        let lacking = on.iter().filter(|node| lacks(*wanted, node)).count();
        let alone = on.iter().filter(|node| is_alone(*wanted, pod, &all, node)).count();
        (alone, lacking)
    };
    // Of equals the first: `max_by_key` alone would take the last.
    let best = all.iter().rev().max_by_key(|wanted| score(wanted))?;
    let (alone, lacking) = score(best);
    (alone > 0 || lacking == on.len()).then_some(Excluding { wanted: *best, everywhere: lacking == on.len() })
}

fn lacks(wanted: Wanted<'_>, node: &Object) -> bool {
    match wanted {
        Wanted::Entry(key, value) => node.meta.labels.get(key).map(String::as_str) != Some(value),
        Wanted::Requirement(_, false, requirement) => !requirement.matches(&node.meta.labels),
        Wanted::Requirement(_, true, requirement) => {
            !requirement.matches(&BTreeMap::from([("metadata.name".to_owned(), node.meta.name.clone())]))
        }
    }
}

/// Whether the node would do but for this: of the terms one alone has to hold.
fn is_alone(wanted: Wanted<'_>, pod: &Pod, all: &[Wanted<'_>], node: &Object) -> bool {
    let holds =
        |at: usize| !all.iter().any(|it| matches!(it, Wanted::Requirement(of, ..) if *of == at && lacks(*it, node)));
    let entries: Vec<&Wanted<'_>> =
        all.iter().filter(|it| matches!(it, Wanted::Entry(..)) && lacks(**it, node)).collect();
    let count = terms(pod).len();
    lacks(wanted, node)
        && match wanted {
            Wanted::Entry(..) => entries.len() == 1 && (count == 0 || (0..count).any(holds)),
            Wanted::Requirement(at, ..) => {
                let failing = all.iter().filter(|it| matches!(it, Wanted::Requirement(of, ..) if *of == at));
                entries.is_empty() && !(0..count).any(holds) && failing.filter(|it| lacks(**it, node)).count() == 1
            }
        }
}

impl Wanted<'_> {
    /// The label it is about.
    pub(crate) fn key(&self) -> &str {
        match self {
            Wanted::Entry(key, _) => key,
            Wanted::Requirement(_, _, requirement) => &requirement.key,
        }
    }

    pub(crate) fn describe(&self) -> String {
        match self {
            Wanted::Entry(key, value) => format!("{key}={value}"),
            Wanted::Requirement(_, _, requirement) => requirement.describe(),
        }
    }

    pub(crate) fn value(&self) -> Value {
        match self {
            Wanted::Entry(_, value) => json!(value),
            Wanted::Requirement(_, _, requirement) => json!(requirement.describe()),
        }
    }

    /// Where it is written; `None` where it stands only in the pod: then a controller or a webhook put it there.
    pub(crate) fn path(&self, spot: &Spot<'_>) -> Option<Path> {
        match self {
            Wanted::Entry(key, value) => {
                let written = spot.spec.node_selector.get(*key).is_some_and(|own| own == value);
                written.then(|| spot.path("nodeSelector").entry(key))
            }
            Wanted::Requirement(_, fields, requirement) => {
                let list = |term: &'_ NodeSelectorTerm| -> Option<usize> {
                    let list = if *fields { &term.match_fields } else { &term.match_expressions };
                    list.iter().position(|own| own == *requirement)
                };
                let terms = &spot.spec.affinity.node_affinity.required.as_ref()?.node_selector_terms;
                let (term, at) = terms.iter().enumerate().find_map(|(term, it)| Some((term, list(it)?)))?;
                let whole = spot.path("affinity").key("nodeAffinity").key(REQUIRED).key("nodeSelectorTerms");
                let list = if *fields { "matchFields" } else { "matchExpressions" };
                Some(whole.item(&term.to_string(), term).key(list).item(&requirement.key, at))
            }
        }
    }
}

/// The long name of what has to hold when a pod is placed.
pub(crate) const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
