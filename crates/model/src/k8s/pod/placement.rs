//! Where pods may be: tolerations, affinities, spreading.

use crate::k8s::null_default;
use crate::selector::{LabelSelector, Requirement};
use serde::Deserialize;

/// A taint that a pod puts up with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Toleration {
    /// The key; empty with `Exists` for all.
    #[serde(deserialize_with = "null_default")]
    pub key: String,
    /// `Exists` or `Equal`; absent means `Equal`.
    #[serde(deserialize_with = "null_default")]
    pub operator: String,
    /// The value, for `Equal`.
    #[serde(deserialize_with = "null_default")]
    pub value: String,
    /// The effect; empty for all.
    #[serde(deserialize_with = "null_default")]
    pub effect: String,
    /// For how long, for `NoExecute`.
    pub toleration_seconds: Option<i64>,
}

/// Where a pod may and may not be.
#[derive(Clone, Debug, Default, PartialEq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Affinity {
    /// To nodes.
    #[serde(deserialize_with = "null_default")]
    pub node_affinity: NodeAffinity,
    /// To other pods.
    #[serde(deserialize_with = "null_default")]
    pub pod_affinity: PodAffinity,
    /// Away from other pods.
    #[serde(deserialize_with = "null_default")]
    pub pod_anti_affinity: PodAffinity,
}

/// Affinity to nodes; preferences bind nobody and are not read.
#[derive(Clone, Debug, Default, PartialEq, Hash, Deserialize)]
#[serde(default)]
pub struct NodeAffinity {
    /// What must hold.
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub required: Option<NodeSelector>,
}

/// Terms of which one must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelector {
    /// The terms.
    #[serde(deserialize_with = "null_default")]
    pub node_selector_terms: Vec<NodeSelectorTerm>,
}

/// One term: all of it must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelectorTerm {
    /// Conditions on labels.
    #[serde(deserialize_with = "null_default")]
    pub match_expressions: Vec<Requirement>,
    /// Conditions on fields (only `metadata.name`).
    #[serde(deserialize_with = "null_default")]
    pub match_fields: Vec<Requirement>,
}

/// Affinity to or away from pods; preferences bind nobody and are not read.
#[derive(Clone, Debug, Default, PartialEq, Hash, Deserialize)]
#[serde(default)]
pub struct PodAffinity {
    /// What must hold.
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution", deserialize_with = "null_default")]
    pub required: Vec<PodAffinityTerm>,
}

/// One term of pod affinity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodAffinityTerm {
    /// Which pods.
    pub label_selector: Option<LabelSelector>,
    /// In which namespaces; empty for the pod's own.
    #[serde(deserialize_with = "null_default")]
    pub namespaces: Vec<String>,
    /// In which namespaces, by label.
    pub namespace_selector: Option<LabelSelector>,
    /// The node label that says what "together" means.
    #[serde(deserialize_with = "null_default")]
    pub topology_key: String,
}

/// How pods must spread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SpreadConstraint {
    /// The largest allowed difference.
    #[serde(deserialize_with = "null_default")]
    pub max_skew: i64,
    /// The node label that names the domains.
    #[serde(deserialize_with = "null_default")]
    pub topology_key: String,
    /// `DoNotSchedule` or `ScheduleAnyway`.
    #[serde(deserialize_with = "null_default")]
    pub when_unsatisfiable: String,
    /// Which pods count.
    pub label_selector: Option<LabelSelector>,
    /// Labels of the pod itself that those that count must have alike.
    #[serde(deserialize_with = "null_default")]
    pub match_label_keys: Vec<String>,
    /// With fewer domains than this, the emptiest counts as empty.
    pub min_domains: Option<i64>,
    /// Whether nodes that the pod's selector excludes count as domains: `Honor` (not; the default) or `Ignore`.
    #[serde(deserialize_with = "null_default")]
    pub node_affinity_policy: String,
    /// Whether nodes with a taint that is not tolerated count as domains: `Honor` (not) or `Ignore` (the default).
    #[serde(deserialize_with = "null_default")]
    pub node_taints_policy: String,
}
