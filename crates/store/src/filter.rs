//! Which entries a query wants.

use crate::Query;
use crate::posting::{self, Word, named};
use memchr::memmem::Finder;
use reckon_model::record::{Entry, Outline};

/// What has a reason ([`reckon_model::record::Fact::reason`]).
const REASONED: [&str; 5] = ["death", "event", "node", "phase", "problem"];

/// A query, made ready to look at many lines.
#[derive(Debug)]
pub(crate) struct Filter<'q> {
    query: &'q Query,
    /// For each list of the query that asks for something what one of has to stand in a line, as JSON writes it.
    needles: Vec<Vec<Finder<'static>>>,
}

/// By what the blocks are found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Index {
    /// `posting`, cluster by cluster.
    Objects(Vec<Word>),
    /// `fact`, of a cluster or all at once.
    Facts(Vec<Word>),
}

impl<'q> Filter<'q> {
    pub(crate) fn new(query: &'q Query) -> Filter<'q> {
        let quoted = |texts: &mut dyn Iterator<Item = &str>| -> Vec<Finder<'static>> {
            texts.map(|text| Finder::new(serde_json::Value::from(text).to_string().as_bytes()).into_owned()).collect()
        };
        let needles = [
            quoted(&mut query.lines.iter().map(|line| line.name.as_str())),
            quoted(&mut query.subjects.iter().map(|subject| subject.name.as_str())),
            // An object without a namespace does not say so.
            if query.namespaces.iter().any(String::is_empty) {
                Vec::new()
            } else {
                quoted(&mut query.namespaces.iter().map(String::as_str))
            },
            quoted(&mut query.facts.iter().map(String::as_str)),
            quoted(&mut query.reasons.iter().map(String::as_str)),
        ];
        Filter { query, needles: needles.into_iter().filter(|list| !list.is_empty()).collect() }
    }

    /// By what to find blocks: by what fewest of them have.
    pub(crate) fn index(&self) -> Index {
        let Query { clusters: _, lines, subjects, namespaces, facts, reasons, from: _, to: _, order: _ } = self.query;
        if !subjects.is_empty() {
            let written = facts.iter().all(|fact| fact == "change") && !facts.is_empty();
            let own = if written { posting::written } else { posting::line };
            let words = subjects.iter().map(named).flat_map(|subject| [own(&subject), posting::part(&subject)]);
            return Index::Objects(words.collect());
        }
        if !lines.is_empty() {
            return Index::Objects(lines.iter().map(|line| posting::line(&named(line))).collect());
        }
        if !reasons.is_empty() {
            let facts: Vec<&str> =
                if facts.is_empty() { REASONED.to_vec() } else { facts.iter().map(String::as_str).collect() };
            let words = facts.iter().flat_map(|fact| reasons.iter().map(|reason| posting::reason(fact, reason)));
            return Index::Facts(words.collect());
        }
        if !facts.is_empty() {
            return Index::Facts(facts.iter().map(|fact| posting::fact(fact)).collect());
        }
        if !namespaces.is_empty() {
            return Index::Objects(namespaces.iter().map(|name| posting::namespace(name)).collect());
        }
        Index::Facts(vec![posting::all()])
    }

    /// Whether a line may be wanted, at a glance. A line in which something is written in other characters than it has is
    /// looked at in full.
    pub(crate) fn may_want(&self, line: &[u8]) -> bool {
        self.needles.iter().all(|list| list.iter().any(|needle| needle.find(line).is_some()))
            || memchr::memchr(b'\\', line).is_some()
    }

    /// Whether an entry is wanted.
    pub(crate) fn wants(&self, outline: &Outline<'_>) -> bool {
        let Query { clusters: _, lines, subjects, namespaces, facts, reasons, from, to, order: _ } = self.query;
        from.is_none_or(|from| from <= outline.at)
            && to.is_none_or(|to| outline.at < to)
            && (lines.is_empty() || lines.iter().any(|line| named(line) == *outline.line()))
            && (subjects.is_empty() || subjects.iter().any(|subject| named(subject) == outline.subject))
            && (namespaces.is_empty() || namespaces.iter().any(|name| *name == outline.subject.namespace))
            && (facts.is_empty() || facts.iter().any(|fact| *fact == outline.word))
            && (reasons.is_empty()
                || outline.reason.as_ref().is_some_and(|why| reasons.iter().any(|reason| reason == why)))
    }

    /// Whether it is wanted now that it was read in full: a fact that this program cannot read has no reason.
    pub(crate) fn wants_entry(&self, entry: &Entry) -> bool {
        let reasons = &self.query.reasons;
        reasons.is_empty() || entry.fact.reason().is_some_and(|why| reasons.iter().any(|reason| reason == why))
    }
}
