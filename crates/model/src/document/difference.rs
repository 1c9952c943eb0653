//! The answer to `reckon diff`.

use super::{NotChecked, Ref, Scope};
use crate::{Actor, FieldChange, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What differs between two states of an object. Its schema is committed as `docs/schema/reckon-v1-diff.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// Always `reckon/v1`.
    pub api_version: String,
    /// Always `Diff`.
    pub kind: String,
    /// The version that answered.
    pub reckon_version: String,
    /// UID of the cluster's `kube-system` namespace, if it could be read; of several clusters that of the first.
    pub cluster: Option<String>,
    /// The clock of the answer.
    #[schemars(with = "String")]
    pub as_of: Timestamp,
    /// What was asked about.
    pub scope: Scope,
    /// The older state, or the first one named.
    pub from: Side,
    /// The newer state, or the second one named.
    pub to: Side,
    /// Whether anything differs.
    pub differs: bool,
    /// The answer in a sentence.
    pub sentence: String,
    /// What differs, by object.
    pub objects: Vec<Differing>,
    /// What could not be read or cannot be told, and why.
    pub not_checked: Vec<NotChecked>,
}

/// One of two states that are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// In words: `revision 41`, `release checkout revision 7`, `now`, `context prod`.
    pub name: String,
    /// The revision's number, if it is one.
    pub revision: Option<i64>,
    /// Since when the object was like that, or the moment that was asked for.
    #[schemars(with = "Option<String>")]
    pub at: Option<Timestamp>,
    /// The context of the kubeconfig, where several were asked.
    pub context: Option<String>,
    /// Who made it so, as far as that is remembered.
    pub actor: Option<Actor>,
}

/// What differs in one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Differing {
    /// The object.
    #[serde(rename = "ref")]
    pub reference: Ref,
    /// The fields that differ, in the order of their pointers: `from` the older or first state, `to` the other.
    pub fields: Vec<FieldChange>,
}
