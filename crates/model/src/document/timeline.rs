//! The answer to `reckon timeline`.

use super::{NotChecked, Scope};
use crate::Timestamp;
use crate::record::{Entry, Unseen};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happened to an object and what it is made of. Its schema is committed as `docs/schema/reckon-v1-timeline.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// Always `reckon/v1`.
    pub api_version: String,
    /// Always `Timeline`.
    pub kind: String,
    /// The version that answered.
    pub reckon_version: String,
    /// UID of the cluster's `kube-system` namespace, if it could be read.
    pub cluster: Option<String>,
    /// The clock of the answer.
    #[schemars(with = "String")]
    pub as_of: Timestamp,
    /// What was asked about.
    pub scope: Scope,
    /// Since when entries are told; `null` where all that is remembered is.
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// The answer in a sentence.
    pub sentence: String,
    /// What happened, oldest first.
    pub entries: Vec<Entry>,
    /// Of which times something is not remembered, and why, in order of time.
    pub unseen: Vec<Unseen>,
    /// What could not be read, and why.
    pub not_checked: Vec<NotChecked>,
}
