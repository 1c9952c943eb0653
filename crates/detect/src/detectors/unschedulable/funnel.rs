//! Which of many hurdles is the one to see to.
//!
//! Nodes that the pod was never meant for drop out first, however many they are: those without its labels, out of reach of its
//! volumes, kept for others by a taint, too small, or where rules about other pods do not let it. What keeps it off the rest
//! is the answer. The scheduler counts otherwise: of
//! each node it names the first filter that failed.

use super::hurdle::Hurdle;
use super::message::Said;
use super::nodes::{INTENT, Nodes, Seen};
use reckon_model::Object;
use std::collections::BTreeMap;

/// The hurdle to see to.
pub(super) struct Decision<'n, 'a> {
    pub(super) hurdle: Hurdle,
    /// The nodes that it is about; empty where no node could be read.
    pub(super) on: Vec<&'n Seen<'a>>,
    /// Whether it was computed for every node in question, of all there are, and the scheduler says the same.
    pub(super) proved: bool,
}

impl<'a> Decision<'_, 'a> {
    /// The Node objects of those that it is about.
    pub(super) fn nodes(&self) -> Vec<&'a Object> {
        self.on.iter().map(|node| node.node).collect()
    }
}

/// Decides; `None` where nothing is said and nothing found.
pub(super) fn decide<'n, 'a>(nodes: &'n Nodes<'a>, said: &Said) -> Option<Decision<'n, 'a>> {
    if let Some(reason) = &said.whole {
        return Some(Decision { hurdle: reason.hurdle, on: Vec::new(), proved: reason.hurdle == Hurdle::NoNodes });
    }
    if nodes.seen.is_empty() {
        return by_words(said);
    }
    let mut left: Vec<&Seen<'a>> = nodes.seen.iter().collect();
    for hurdle in INTENT {
        let (out, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(|node| node.hurdles.contains_key(&hurdle));
        if rest.is_empty() {
            return Some(Decision { hurdle, on: out, proved: nodes.complete && agrees(said, hurdle) });
        }
        left = rest;
    }
    let open: Vec<&Seen<'a>> = left.iter().copied().filter(|node| node.hurdles.is_empty()).collect();
    if open.is_empty() {
        let hurdle = most(&left)?;
        let on: Vec<&Seen<'a>> = left.into_iter().filter(|node| node.hurdles.contains_key(&hurdle)).collect();
        return Some(Decision { hurdle, on, proved: nodes.complete && agrees(said, hurdle) });
    }
    // What was computed does not explain every node: the scheduler was there, and looked at all.
    let explained = |hurdle: Hurdle| left.iter().filter(|node| node.hurdles.contains_key(&hurdle)).count();
    let said_more = said
        .reasons
        .iter()
        .map(|(_, reason)| reason.hurdle)
        .filter(|hurdle| !INTENT.contains(hurdle))
        .max_by_key(|hurdle| (said.count(*hurdle).saturating_sub(explained(*hurdle)), std::cmp::Reverse(*hurdle)));
    match said_more {
        Some(hurdle) => Some(Decision { hurdle, on: left, proved: false }),
        None => by_words(said),
    }
}

/// The hurdle whose end would let most nodes take the pod; of equals the one on most nodes, then the one that is put right
/// most easily.
fn most(nodes: &[&Seen<'_>]) -> Option<Hurdle> {
    let mut counts: BTreeMap<Hurdle, (usize, usize)> = BTreeMap::new();
    for node in nodes {
        for hurdle in node.hurdles.keys() {
            let (alone, any) = counts.entry(*hurdle).or_default();
            *alone += usize::from(node.hurdles.len() == 1);
            *any += 1;
        }
    }
    counts.into_iter().max_by_key(|(hurdle, count)| (*count, std::cmp::Reverse(*hurdle))).map(|(hurdle, _)| hurdle)
}

/// Whether the scheduler counts nodes for this, or for what it would name before it.
fn agrees(said: &Said, hurdle: Hurdle) -> bool {
    match hurdle {
        Hurdle::Size | Hurdle::Room => said.count(Hurdle::Room) > 0,
        Hurdle::Taint | Hurdle::Ill => said.count(Hurdle::Taint) > 0,
        other => said.count(other) > 0,
    }
}

/// From the scheduler's words alone. Nodes without the labels or with a taint were hardly meant where others are named, too.
fn by_words<'n, 'a>(said: &Said) -> Option<Decision<'n, 'a>> {
    let of = |hurdles: &dyn Fn(Hurdle) -> bool| {
        let counted = said.reasons.iter().filter(|(_, reason)| hurdles(reason.hurdle));
        counted
            .max_by_key(|(count, reason)| (*count, std::cmp::Reverse(reason.hurdle)))
            .map(|(_, reason)| reason.hurdle)
    };
    let nearest = || INTENT.into_iter().rev().find(|hurdle| said.count(*hurdle) > 0);
    let hurdle = of(&|hurdle| !INTENT.contains(&hurdle)).or_else(nearest)?;
    Some(Decision { hurdle, on: Vec::new(), proved: false })
}
