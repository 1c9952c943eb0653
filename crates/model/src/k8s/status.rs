//! Conditions, which all kinds write alike.

use super::null_default;
use crate::Timestamp;
use crate::shared::Shared;
use serde::Deserialize;
use std::ops::{Deref, DerefMut};

/// One condition of an object's status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "Fields")]
pub struct Condition {
    /// What it says; a hundred thousand pods have a dozen ways to say it.
    pub words: Shared<Words>,
    /// When `status` last flipped.
    pub since: Option<Timestamp>,
}

/// What a condition says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Words {
    /// Such as `Ready`.
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// The generation it speaks of; older than the object's means it is stale.
    pub observed_generation: Option<i64>,
}

impl Deref for Condition {
    type Target = Words;

    fn deref(&self) -> &Words {
        &self.words
    }
}

impl DerefMut for Condition {
    fn deref_mut(&mut self) -> &mut Words {
        &mut self.words
    }
}

/// A condition as it is written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Fields {
    #[serde(rename = "type", deserialize_with = "null_default")]
    kind: String,
    #[serde(deserialize_with = "null_default")]
    status: String,
    #[serde(deserialize_with = "null_default")]
    reason: String,
    #[serde(deserialize_with = "null_default")]
    message: String,
    #[serde(rename = "lastTransitionTime")]
    since: Option<Timestamp>,
    observed_generation: Option<i64>,
}

impl From<Fields> for Condition {
    fn from(fields: Fields) -> Self {
        let Fields { kind, status, reason, message, since, observed_generation } = fields;
        Condition { words: Words { kind, status, reason, message, observed_generation }.into(), since }
    }
}

impl Condition {
    /// The condition of this type.
    pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
        conditions.iter().find(|condition| condition.kind == kind)
    }

    /// Whether the status is `True`.
    pub fn is_true(&self) -> bool {
        self.status == "True"
    }
}
