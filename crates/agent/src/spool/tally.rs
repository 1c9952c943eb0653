//! What a block holds, in numbers: kept beside it, so that it can be summed up without being unpacked.

use reckon_model::Timestamp;
use reckon_model::record::{Entry, Fact};
use std::collections::BTreeMap;

/// How many different words are counted apart; there are a dozen. Of more, which only a newer program would write, the rest
/// is counted together.
const MOST_WORDS: usize = 64;

/// How many bytes of a word are kept.
const MOST_WORD: usize = 48;

/// What is counted together.
const OTHERS: &str = "others";

/// How many entries there are of each fact, and between which times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    /// The earliest.
    pub(super) from: Timestamp,
    /// The latest.
    pub(super) to: Timestamp,
    /// Positions that could not be read when they were summed up: damaged, or let go when the server had them and asked for again
    /// by one that was put back.
    pub(super) damaged: u64,
    /// By the word of the fact.
    pub(super) counts: BTreeMap<String, u64>,
}

impl Tally {
    /// Of nothing, at no time.
    pub(super) fn empty() -> Tally {
        Tally { from: Timestamp::MAX, to: Timestamp::MIN, damaged: 0, counts: BTreeMap::new() }
    }

    /// Of entries. What an entry sums up itself counts as if it was there.
    pub(super) fn of(entries: &[Entry]) -> Tally {
        let mut tally = Tally::empty();
        for entry in entries {
            tally.reach(entry.at);
            match &entry.fact {
                Fact::Summary(summary) => {
                    tally.reach(summary.from);
                    tally.reach(summary.to);
                    summary.counts.iter().for_each(|(word, count)| tally.count(word, *count));
                }
                fact => tally.count(fact.word(), 1),
            }
        }
        tally
    }

    pub(super) fn add(&mut self, other: &Tally) {
        self.reach(other.from);
        self.reach(other.to);
        self.damaged = self.damaged.saturating_add(other.damaged);
        other.counts.iter().for_each(|(word, count)| self.count(word, *count));
    }

    fn reach(&mut self, at: Timestamp) {
        // The ends of an empty tally are the wrong way round.
        if at < Timestamp::MAX {
            self.to = self.to.max(at);
        }
        if at > Timestamp::MIN {
            self.from = self.from.min(at);
        }
    }

    pub(super) fn count(&mut self, word: &str, count: u64) {
        let word = word.get(..word.floor_char_boundary(MOST_WORD)).unwrap_or(word);
        let known = self.counts.contains_key(word) || self.counts.len() < MOST_WORDS;
        let sum = self.counts.entry(if known { word } else { OTHERS }.to_owned()).or_default();
        *sum = sum.saturating_add(count);
    }

    /// As it stands in a record: of each word its length, itself and its number. Damaged positions have the empty word.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let damaged = (self.damaged > 0).then_some(("", &self.damaged));
        let counts = self.counts.iter().map(|(word, count)| (word.as_str(), count));
        for (word, count) in damaged.into_iter().chain(counts) {
            bytes.push(u8::try_from(word.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(word.as_bytes());
            bytes.extend_from_slice(&count.to_le_bytes());
        }
        bytes
    }

    /// Reads what [`Tally::encode`] wrote; `None` for anything else.
    pub(super) fn decode(mut bytes: &[u8], from: Timestamp, to: Timestamp) -> Option<Tally> {
        let mut tally = Tally { from, to, ..Tally::empty() };
        while let Some((&length, rest)) = bytes.split_first() {
            let (word, rest) = rest.split_at_checked(length.into())?;
            let (count, rest) = rest.split_first_chunk::<8>()?;
            let count = u64::from_le_bytes(*count);
            match std::str::from_utf8(word).ok()? {
                "" => tally.damaged = count,
                word => drop(tally.counts.insert(word.to_owned(), count)),
            }
            bytes = rest;
        }
        Some(tally)
    }
}
