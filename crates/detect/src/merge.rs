//! Findings that say the same of several pods are one finding.

use crate::finding::{Fact, Finding, Place};
use reckon_model::document::{CauseKind, Ref};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// How many facts a merged finding keeps: those of the first few pods say it all.
const FACTS: usize = 12;

/// Unites findings that make the same claim about the same container of the same workload for the same cause. The order
/// of the findings does not matter: they are sorted first, and the earliest keeps its words.
pub(crate) fn same_claims(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(order);
    let mut merged: BTreeMap<Key, Finding> = BTreeMap::new();
    for finding in findings {
        match merged.entry(key(&finding)) {
            std::collections::btree_map::Entry::Vacant(vacant) => {
                vacant.insert(finding);
            }
            std::collections::btree_map::Entry::Occupied(mut occupied) => absorb(occupied.get_mut(), finding),
        }
    }
    merged.into_values().collect()
}

type Key = (Place, &'static str, Option<&'static str>, CauseKind, Option<Ref>, Option<String>);

fn key(finding: &Finding) -> Key {
    let cause = &finding.cause;
    (finding.place.clone(), finding.failure, finding.class, cause.kind, cause.reference.clone(), cause.field.clone())
}

/// A total order that does not depend on when a finding was made: what it shows on, then its words.
fn order(a: &Finding, b: &Finding) -> Ordering {
    (&a.place, a.failure)
        .cmp(&(&b.place, b.failure))
        .then_with(|| a.shows_on.iter().cmp(&b.shows_on))
        .then_with(|| a.title.cmp(&b.title))
}

fn absorb(first: &mut Finding, other: Finding) {
    // Only the first few facts are kept, and the earliest need not be among them.
    let began = other.began();
    let Finding {
        failure: _,
        class: _,
        stage: _,
        place: _,
        shows_on,
        severity,
        verdict,
        title: _,
        cause: _,
        opened: _,
        evidence,
        ruled_out,
        alternatives,
        remedies: _,
        death: _,
        gaps,
    } = other;
    first.shows_on.extend(shows_on);
    first.severity = first.severity.min(severity);
    first.verdict = first.verdict.min(verdict);
    first.opened = match (first.began(), began) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    for fact in evidence {
        push_new(&mut first.evidence, fact);
    }
    for (what, facts) in ruled_out {
        if !first.ruled_out.iter().any(|(known, _)| *known == what) {
            first.ruled_out.push((what, facts));
        }
    }
    for alternative in alternatives {
        if !first.alternatives.contains(&alternative) {
            first.alternatives.push(alternative);
        }
    }
    first.gaps.extend(gaps);
}

fn push_new(facts: &mut Vec<Fact>, fact: Fact) {
    let same = |known: &Fact| known.source == fact.source && known.text == fact.text && known.about == fact.about;
    // A change is told once however many pods it made.
    let told = |known: &Fact| known.source == fact.source && known.at == fact.at && known.text == fact.text;
    if facts.len() < FACTS && !facts.iter().any(|known| same(known) || told(known)) {
        facts.push(fact);
    }
}
