//! What a request asks for, from the parameters of its address.
//!
//! A parameter that no route knows is refused and not passed over: who misspells a filter would take everything for what he
//! asked for.

use crate::refusal::Refusal;
use crate::{lane, naming, paging};
use reckon_model::{ClusterId, ProblemId, Timestamp};
use reckon_store::{Cursor, EpisodeQuery, Order, Query, Standing};

/// A parameter: its name and what it means.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) count: Count,
}

/// How often a parameter may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// At most once.
    Once,
    /// Any number of times; one of them has to match.
    Many,
    /// Once, and not less.
    Needed,
}

const fn once(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, about, count: Count::Once }
}

const fn many(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, about, count: Count::Many }
}

const fn needed(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, about, count: Count::Needed }
}

const CLUSTER: Parameter =
    many("cluster", "The id of a cluster: the UID of its namespace kube-system. None: all clusters");
const NAMESPACE: Parameter = many("namespace", "Of objects in this namespace; empty for objects without one");
const FROM: Parameter = once("from", "Not before this time, as RFC 3339 has it");
const TO: Parameter = once("to", "Before this time, as RFC 3339 has it");
const PAGE_SIZE: Parameter = once("page_size", "How many items at most; 100 where nothing is said, 10,000 at most");
const PAGE_TOKEN: Parameter = once("page_token", "nextPageToken of the page before");

/// Which entries of the record.
pub(crate) const ENTRIES: &[Parameter] = &[
    CLUSTER,
    many("workload", "On the timeline of this workload with all that is its: KIND[.GROUP]/NAMESPACE/NAME"),
    many("object", "About this object itself: KIND[.GROUP]/NAMESPACE/NAME, or KIND[.GROUP]/NAME"),
    NAMESPACE,
    many(
        "fact",
        "Of this kind: change, rollout, release, sync, death, phase, node, event, problem, mark, unseen, summary",
    ),
    many("reason", "Of deaths and events, for this reason, such as OOMKilled"),
    FROM,
    TO,
];

/// The same by pages.
pub(crate) const PAGES: &[Parameter] =
    &[once("order", "newest (the usual) or oldest: which come first"), PAGE_SIZE, PAGE_TOKEN];

/// Which episodes of problems.
pub(crate) const EPISODES: &[Parameter] = &[
    CLUSTER,
    NAMESPACE,
    many("problem", "The id of a problem"),
    many("failure", "The slug of a failure, such as oom-killed"),
    once("standing", "open or closed; without it both"),
    once("from", "That lasted at or after this time, as RFC 3339 has it"),
    once("to", "That opened before this time, as RFC 3339 has it"),
    PAGE_SIZE,
    PAGE_TOKEN,
];

/// Whose alerts come.
pub(crate) const ALERTS: &[Parameter] = &[once(
    "cluster",
    "The id or name of the cluster; without it, the alert's label cluster, or the only one there is",
)];

/// An object as of a time.
pub(crate) const AS_OF: &[Parameter] = &[
    needed("cluster", "The id of the cluster"),
    needed("object", "The object: KIND[.GROUP]/NAMESPACE/NAME, or KIND[.GROUP]/NAME"),
    once("at", "As of this time, as RFC 3339 has it; without it, now"),
];

/// The parameters of a request, each taken out once.
pub(crate) struct Asked(Vec<(String, String)>);

impl Asked {
    /// Of these pairs, which a route with these parameters was asked with.
    pub(crate) fn new(pairs: Vec<(String, String)>, known: &[&[Parameter]]) -> Result<Asked, Refusal> {
        let known = || known.iter().flat_map(|some| some.iter());
        for (name, _) in &pairs {
            let Some(parameter) = known().find(|parameter| parameter.name == name) else {
                let names: Vec<&str> = known().map(|parameter| parameter.name).collect();
                return Err(Refusal::bad(format!("there is no parameter {name:?} here, but {}", names.join(", "))));
            };
            let times = pairs.iter().filter(|(other, _)| other == name).count();
            if times > 1 && parameter.count != Count::Many {
                return Err(Refusal::bad(format!("{name} is there {times} times")));
            }
        }
        let missing =
            known().find(|known| known.count == Count::Needed && !pairs.iter().any(|(name, _)| name == known.name));
        match missing {
            Some(parameter) => Err(Refusal::bad(format!("{} is needed: {}", parameter.name, parameter.about))),
            None => Ok(Asked(pairs)),
        }
    }

    fn many(&mut self, name: &str) -> Vec<String> {
        self.0.extract_if(.., |(other, _)| other == name).map(|(_, value)| value).collect()
    }

    fn once(&mut self, name: &str) -> Option<String> {
        self.many(name).pop()
    }

    fn time(&mut self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        let Some(text) = self.once(name) else { return Ok(None) };
        let wrong = |_| Refusal::bad(format!("{name}: {text:?} is no time such as 2026-01-31T12:00:00Z"));
        text.parse().map(Some).map_err(wrong)
    }

    fn clusters(&mut self) -> Vec<ClusterId> {
        self.many("cluster").into_iter().map(ClusterId).collect()
    }

    /// Whose alerts these are, where that is said.
    pub(crate) fn cluster(&mut self) -> Option<String> {
        self.once("cluster")
    }

    fn range(&mut self) -> Result<(Option<Timestamp>, Option<Timestamp>), Refusal> {
        let (from, to) = (self.time("from")?, self.time("to")?);
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            return Err(Refusal::bad("from is not before to"));
        }
        Ok((from, to))
    }

    /// How many items, and after which.
    pub(crate) fn page(&mut self) -> Result<(usize, Option<Cursor>), Refusal> {
        let wrong = |_| Refusal::bad("page_size is no number");
        let size = self.once("page_size").map(|text| text.parse().map_err(wrong)).transpose()?;
        Ok((paging::size(size)?, paging::cursor(self.once("page_token"))))
    }

    /// Which entries.
    pub(crate) fn entries(&mut self) -> Result<Query, Refusal> {
        let objects = |names: Vec<String>| names.iter().map(|name| naming::object(name)).collect::<Result<Vec<_>, _>>();
        let (from, to) = self.range()?;
        // With what is noted about a cluster from outside.
        let clusters = self.clusters().into_iter().flat_map(|cluster| [lane::of(&cluster), cluster]).collect();
        Ok(Query {
            clusters,
            lines: objects(self.many("workload"))?,
            subjects: objects(self.many("object"))?,
            namespaces: self.many("namespace"),
            facts: self.many("fact"),
            reasons: self.many("reason"),
            from,
            to,
            order: match self.once("order").as_deref() {
                None | Some("newest") => Order::NewestFirst,
                Some("oldest") => Order::OldestFirst,
                Some(other) => return Err(Refusal::bad(format!("order is newest or oldest, not {other:?}"))),
            },
        })
    }

    /// Which episodes.
    pub(crate) fn episodes(&mut self) -> Result<EpisodeQuery, Refusal> {
        let (from, to) = self.range()?;
        Ok(EpisodeQuery {
            clusters: self.clusters(),
            problems: self.many("problem").into_iter().map(ProblemId).collect(),
            namespaces: self.many("namespace"),
            failures: self.many("failure"),
            standing: match self.once("standing").as_deref() {
                None => None,
                Some("open") => Some(Standing::Open),
                Some("closed") => Some(Standing::Closed),
                Some(other) => return Err(Refusal::bad(format!("standing is open or closed, not {other:?}"))),
            },
            from,
            to,
        })
    }

    /// Which object, of which cluster, as of when.
    pub(crate) fn as_of(
        &mut self,
        now: Timestamp,
    ) -> Result<(ClusterId, reckon_model::ResourceRef, Timestamp), Refusal> {
        let cluster = ClusterId(self.once("cluster").unwrap_or_default());
        let object = naming::object(&self.once("object").unwrap_or_default())?;
        Ok((cluster, object, self.time("at")?.unwrap_or(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Result<Query, Refusal> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Asked::new(pairs, &[ENTRIES, PAGES])?.entries()
    }

    #[test]
    fn a_filter_that_is_there_several_times_asks_for_any_of_them() {
        let query = asked(&[("fact", "death"), ("fact", "change"), ("workload", "deploy/shop/web")]).unwrap();
        assert_eq!(query.facts, ["death", "change"]);
        assert_eq!(query.lines.len(), 1);
    }

    #[test]
    fn a_misspelt_filter_is_refused_and_not_passed_over() {
        for wrong in [
            &[("facts", "death")][..],
            &[("from", "yesterday")],
            &[("from", "2026-01-01T00:00:00Z"), ("to", "2026-01-01T00:00:00Z")],
            &[("from", "2026-01-01T00:00:00Z"), ("from", "2026-01-02T00:00:00Z")],
            &[("order", "random")],
            &[("workload", "web")],
        ] {
            assert!(asked(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_needed_is_asked_for_by_name() {
        let refused = Asked::new(vec![("cluster".to_owned(), "a".to_owned())], &[AS_OF]).err().unwrap();
        assert!(format!("{refused:?}").contains("object is needed"));
    }
}
