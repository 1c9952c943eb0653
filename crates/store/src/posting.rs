//! By which words blocks are found.
//!
//! A word is a hash of 32 bits of what is looked for, and not a number from a dictionary: it needs no row of its own, which
//! for pods would take more than what is told of them, no look-up while somebody waits for an acknowledgement, and no
//! agreement between replicas. Two things that share a word cost whoever looks for one of them a block read in vain; what is
//! found is compared in full.

use reckon_model::ResourceRef;
use reckon_model::ident::Fnv;
use reckon_model::record::{Named, Outline};
use std::collections::BTreeSet;

/// Milliseconds of an hour.
pub(crate) const HOUR: i64 = 3_600_000;

/// Hours of a day.
pub(crate) const DAY: i64 = 24;

/// What is looked for, as a number.
pub(crate) type Word = i64;

fn word(tag: &str, parts: [&str; 4]) -> Word {
    let mut hash = Fnv::new();
    hash.write(tag.as_bytes());
    for part in parts {
        hash.write(part.as_bytes());
        hash.write(&[0]);
    }
    let folded = hash.value() ^ (hash.value() >> 32);
    // The lower half, with a sign: four bytes in a row.
    i64::from(i32::from_le_bytes([0, 1, 2, 3].map(|at: usize| folded.to_le_bytes()[at])))
}

/// Everything on an object's timeline.
pub(crate) fn line(of: &Named<'_>) -> Word {
    word("line", [&of.group, &of.kind, &of.namespace, &of.name])
}

/// What is about an object that is on another's timeline.
pub(crate) fn part(of: &Named<'_>) -> Word {
    word("part", [&of.group, &of.kind, &of.namespace, &of.name])
}

/// What was written of an object that has a timeline of its own.
pub(crate) fn written(of: &Named<'_>) -> Word {
    word("written", [&of.group, &of.kind, &of.namespace, &of.name])
}

/// What is about objects of a namespace.
pub(crate) fn namespace(name: &str) -> Word {
    word("namespace", [name, "", "", ""])
}

/// Facts of one word.
pub(crate) fn fact(name: &str) -> Word {
    word("fact", [name, "", "", ""])
}

/// Facts of one word and one reason.
pub(crate) fn reason(fact: &str, reason: &str) -> Word {
    word("reason", [fact, reason, "", ""])
}

/// Everything.
pub(crate) fn all() -> Word {
    word("all", [""; 4])
}

/// A reference by its names.
pub(crate) fn named(of: &ResourceRef) -> Named<'_> {
    Named {
        group: of.kind.group().into(),
        kind: of.kind.name().into(),
        namespace: of.namespace().into(),
        name: of.name.as_str().into(),
    }
}

/// Where a block is to be found: word and hour since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Postings {
    /// By objects and namespaces.
    pub(crate) objects: BTreeSet<(i64, Word)>,
    /// By facts.
    pub(crate) facts: BTreeSet<(i64, Word)>,
}

impl Postings {
    /// Those of a block with these entries.
    pub(crate) fn of(outlines: &[Outline<'_>]) -> Postings {
        let mut postings = Postings::default();
        for outline in outlines {
            let at = hour(outline.at.as_millisecond());
            let (own, subject) = (outline.line(), &outline.subject);
            postings.objects.insert((at, line(own)));
            if own != subject {
                postings.objects.insert((at, part(subject)));
            } else if outline.word == "change" {
                postings.objects.insert((at, written(subject)));
            }
            postings.objects.insert((at, namespace(&subject.namespace)));
            postings.facts.insert((at, all()));
            postings.facts.insert((at, fact(&outline.word)));
            if let Some(why) = &outline.reason {
                postings.facts.insert((at, reason(&outline.word, why)));
            }
        }
        postings
    }
}

/// The hour since 1970 in which a time lies.
pub(crate) fn hour(ms: i64) -> i64 {
    ms.div_euclid(HOUR)
}
