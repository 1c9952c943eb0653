//! Conditions, which all kinds write alike.

use super::null_default;
use crate::Timestamp;
use serde::Deserialize;

/// One condition of an object's status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Such as `Ready`.
    #[serde(rename = "type", deserialize_with = "null_default")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    #[serde(deserialize_with = "null_default")]
    pub status: String,
    /// One word.
    #[serde(deserialize_with = "null_default")]
    pub reason: String,
    /// A sentence.
    #[serde(deserialize_with = "null_default")]
    pub message: String,
    /// When `status` last flipped.
    #[serde(rename = "lastTransitionTime")]
    pub since: Option<Timestamp>,
    /// The generation it speaks of; older than the object's means it is stale.
    pub observed_generation: Option<i64>,
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
