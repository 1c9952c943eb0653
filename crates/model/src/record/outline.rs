//! What of an entry an index needs, read without making the entry: a third of the time, and nothing is copied.

use super::{BlockError, Entry, MOST_ENTRIES, block};
use crate::Timestamp;
use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;

/// A block's JSON lines, unpacked and not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// Unpacks a block's bytes.
    ///
    /// # Errors
    /// What is wrong with the bytes; what is wrong with a line is found by who reads it.
    pub fn unpack(bytes: &[u8]) -> Result<Lines, BlockError> {
        block::unpack(bytes).map(Lines)
    }

    /// Packs several blocks' lines as one, harder than a block that is packed while somebody waits.
    ///
    /// # Errors
    /// [`BlockError::Large`] or [`BlockError::Count`] where they do not fit into one.
    pub fn pack_together(parts: &[Lines]) -> Result<Vec<u8>, BlockError> {
        let count = parts.iter().map(|lines| lines.iter().count()).sum();
        let mut all = Vec::with_capacity(parts.iter().map(|lines| lines.0.len() + 1).sum());
        for line in parts.iter().flat_map(Lines::iter) {
            all.extend_from_slice(line);
            all.push(b'\n');
        }
        block::pack_again(&all, count)
    }

    /// Each line, which is an entry's JSON.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
    }

    /// How many bytes they have.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing in them.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Of each line its outline.
    ///
    /// # Errors
    /// The first line that is no entry, or that there are none or too many.
    pub fn outlines(&self) -> Result<Vec<Outline<'_>>, BlockError> {
        let mut outlines = Vec::new();
        for (at, line) in self.iter().enumerate() {
            if at == MOST_ENTRIES {
                return Err(BlockError::Count(at + 1));
            }
            outlines.push(Outline::read(line).map_err(|source| BlockError::Entry { line: at + 1, source })?);
        }
        if outlines.is_empty() { Err(BlockError::Count(0)) } else { Ok(outlines) }
    }
}

/// When, about what, on whose timeline, and which fact: as in the entry's JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Outline<'a> {
    /// [`Entry::at`].
    pub at: Timestamp,
    /// [`Entry::subject`].
    pub subject: Named<'a>,
    /// [`Entry::workload`].
    pub workload: Option<Named<'a>>,
    /// [`crate::record::Fact::word`].
    pub word: Cow<'a, str>,
    /// [`crate::record::Fact::reason`].
    pub reason: Option<Cow<'a, str>>,
}

/// An object by its names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Named<'a> {
    /// The API group, empty for the core's.
    pub group: Cow<'a, str>,
    /// The kind.
    pub kind: Cow<'a, str>,
    /// The namespace, empty for an object without.
    pub namespace: Cow<'a, str>,
    /// The name.
    pub name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct RawOutline<'a> {
    at: Timestamp,
    #[serde(borrow)]
    subject: RawNamed<'a>,
    #[serde(default, borrow)]
    workload: Option<RawNamed<'a>>,
    #[serde(borrow)]
    fact: RawFact<'a>,
}

#[derive(Deserialize)]
struct RawNamed<'a> {
    #[serde(default, borrow)]
    group: Text<'a>,
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(default, borrow)]
    namespace: Option<Text<'a>>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(default, borrow, rename = "uid")]
    _uid: Option<Text<'a>>,
}

/// Text, borrowed where nothing in it is escaped; serde's own `Cow` within an `Option` is always a copy.
#[derive(Default, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Default, Deserialize)]
struct Reasons<'a> {
    #[serde(default, borrow)]
    reason: Option<Text<'a>>,
    #[serde(default, borrow)]
    failure: Option<Text<'a>>,
}

/// A fact whose word and reason are not plain to see is read whole.
enum RawFact<'a> {
    Plain(Cow<'a, str>, Option<Cow<'a, str>>),
    Odd,
}

impl<'de: 'a, 'a> Deserialize<'de> for RawFact<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = RawFact<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a fact")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let Some(Text(word)) = map.next_key::<Text<'de>>()? else { return Ok(RawFact::Odd) };
                let reason = match word.as_ref() {
                    "death" | "phase" | "node" | "event" => map.next_value::<Reasons<'de>>()?.reason.map(|text| text.0),
                    "problem" => map.next_value::<Reasons<'de>>()?.failure.map(|text| text.0),
                    _ => {
                        map.next_value::<IgnoredAny>()?;
                        None
                    }
                };
                let mut plain = true;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    plain = false;
                }
                Ok(if plain { RawFact::Plain(word, reason) } else { RawFact::Odd })
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl<'a> Outline<'a> {
    /// Reads a line.
    ///
    /// # Errors
    /// Where and what, of a line that is no entry.
    pub fn read(line: &'a [u8]) -> Result<Outline<'a>, serde_json::Error> {
        // Once for all of it, and not for each text.
        let text = std::str::from_utf8(line).map_err(<serde_json::Error as de::Error>::custom)?;
        match serde_json::from_str::<RawOutline<'a>>(text) {
            Ok(RawOutline { at, subject, workload, fact: RawFact::Plain(word, reason) }) => {
                Ok(Outline { at, subject: subject.into(), workload: workload.map(Named::from), word, reason })
            }
            _ => serde_json::from_str(text).map(|entry: Entry| Outline::of(&entry)),
        }
    }

    fn of(entry: &Entry) -> Outline<'static> {
        let named = |reference: &crate::ResourceRef| Named {
            group: Cow::Owned(reference.kind.group().to_owned()),
            kind: Cow::Owned(reference.kind.name().to_owned()),
            namespace: Cow::Owned(reference.namespace().to_owned()),
            name: Cow::Owned(reference.name.clone()),
        };
        Outline {
            at: entry.at,
            subject: named(&entry.subject),
            workload: entry.workload.as_ref().map(named),
            word: Cow::Owned(entry.fact.word().to_owned()),
            reason: entry.fact.reason().map(|reason| Cow::Owned(reason.to_owned())),
        }
    }

    /// Whose timeline this is in: the workload's, else the subject's own.
    pub fn line(&self) -> &Named<'a> {
        self.workload.as_ref().unwrap_or(&self.subject)
    }
}

impl<'a> From<RawNamed<'a>> for Named<'a> {
    fn from(RawNamed { group, kind, namespace, name, _uid }: RawNamed<'a>) -> Self {
        // As `Kind::of_group` has it: Events are served in two groups.
        let core = kind.0 == "Event" && group.0 == "events.k8s.io";
        Named {
            group: if core { Cow::Borrowed("") } else { group.0 },
            kind: kind.0,
            namespace: namespace.unwrap_or_default().0,
            name: name.0,
        }
    }
}
