//! What happened to objects.

use crate::{ResourceRef, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What happened to an object: when, which fields, who. Never why.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// When; for reconstructed changes the time Kubernetes itself recorded.
    pub at: Timestamp,
    /// The object that was written.
    pub subject: ResourceRef,
    /// What was done to it.
    pub verb: Verb,
    /// The fields that differ, in the order of their pointers. Empty when only the fact of a write is known.
    pub fields: Vec<FieldChange>,
    /// Who, as far as the cluster remembers.
    pub actor: Option<Actor>,
}

/// What was done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// It appeared.
    Created,
    /// It was written.
    Updated,
    /// It went away.
    Deleted,
}

/// One field that differs between two states of an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldChange {
    /// For people, list items by name: `spec.template.spec.containers[app].resources.limits.memory`.
    pub field: String,
    /// RFC 6901 pointer into the newer object (into the older one for a removal): unambiguous where keys have dots.
    pub pointer: String,
    /// The older value as written; `None` if absent or not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// The newer value as written; `None` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// Who wrote, as far as the cluster remembers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Actor {
    /// Field manager, such as `kubectl-edit`, `helm`, `argocd-controller`.
    pub manager: String,
    /// The person or account; only from an audit log or a Helm release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Where this is known from.
    pub source: ActorSource,
}

/// Where it is known from who wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ActorSource {
    /// The object's own `managedFields`.
    ManagedFields,
    /// A Helm release.
    Helm,
    /// The API server's audit log.
    Audit,
}

impl ActorSource {
    /// The word for it, as in the JSON.
    pub const fn word(self) -> &'static str {
        match self {
            ActorSource::ManagedFields => "managedFields",
            ActorSource::Helm => "helm",
            ActorSource::Audit => "audit",
        }
    }
}
