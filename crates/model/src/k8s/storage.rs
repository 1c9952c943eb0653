//! Claims, volumes and classes.

use super::{Condition, null_default};
use crate::Quantity;
use crate::selector::{LabelSelector, Requirement};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A PersistentVolumeClaim.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// What is wanted.
    pub spec: ClaimSpec,
    /// What is.
    pub status: ClaimStatus,
}

/// What a claim should be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    /// The class; `Some("")` asks for none, `None` for the default.
    pub storage_class_name: Option<String>,
    /// The volume it is, or wants to be, bound to.
    #[serde(deserialize_with = "null_default")]
    pub volume_name: String,
    /// `ReadWriteOnce`, …
    #[serde(deserialize_with = "null_default")]
    pub access_modes: Vec<String>,
    /// `Filesystem` or `Block`.
    pub volume_mode: Option<String>,
    /// Labels the volume must have.
    pub selector: Option<LabelSelector>,
    #[serde(deserialize_with = "null_default")]
    resources: ClaimResources,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ClaimResources {
    #[serde(deserialize_with = "null_default")]
    requests: BTreeMap<String, Quantity>,
}

impl ClaimSpec {
    /// The size asked for.
    pub fn size(&self) -> Option<&Quantity> {
        self.resources.requests.get("storage")
    }
}

/// What a claim is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimStatus {
    /// `Pending`, `Bound`, `Lost`.
    #[serde(deserialize_with = "null_default")]
    pub phase: String,
    /// Resizing and the like.
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
    #[serde(deserialize_with = "null_default")]
    capacity: BTreeMap<String, Quantity>,
}

impl ClaimStatus {
    /// The size that its volume has.
    pub fn size(&self) -> Option<&Quantity> {
        self.capacity.get("storage")
    }
}

/// A PersistentVolume.
#[derive(Clone, Debug, Default)]
pub struct PersistentVolume {
    /// What is wanted.
    pub spec: PersistentVolumeSpec,
    /// What is.
    pub status: PersistentVolumeStatus,
}

/// What a volume should be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PersistentVolumeSpec {
    /// Its class, empty for none.
    #[serde(deserialize_with = "null_default")]
    pub storage_class_name: String,
    /// Size, under `storage`.
    #[serde(deserialize_with = "null_default")]
    pub capacity: BTreeMap<String, Quantity>,
    /// `ReadWriteOnce`, …
    #[serde(deserialize_with = "null_default")]
    pub access_modes: Vec<String>,
    /// `Filesystem` or `Block`.
    pub volume_mode: Option<String>,
    /// The claim it belongs to.
    pub claim_ref: Option<ClaimRef>,
    #[serde(deserialize_with = "null_default")]
    node_affinity: VolumeNodeAffinity,
}

impl PersistentVolumeSpec {
    /// The nodes it can be reached from, as terms of which one must hold; empty means from all.
    pub fn node_terms(&self) -> Vec<&[Requirement]> {
        self.node_affinity.required.node_selector_terms.iter().map(|term| term.match_expressions.as_slice()).collect()
    }
}

/// The claim a volume belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ClaimRef {
    /// Its namespace.
    #[serde(deserialize_with = "null_default")]
    pub namespace: String,
    /// Its name.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// Its UID: a recreated claim is another one.
    #[serde(deserialize_with = "null_default")]
    pub uid: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct VolumeNodeAffinity {
    #[serde(deserialize_with = "null_default")]
    required: VolumeNodeSelector,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct VolumeNodeSelector {
    #[serde(deserialize_with = "null_default")]
    node_selector_terms: Vec<VolumeNodeTerm>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct VolumeNodeTerm {
    #[serde(deserialize_with = "null_default")]
    match_expressions: Vec<Requirement>,
}

/// What a volume is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PersistentVolumeStatus {
    /// `Available`, `Bound`, `Released`, `Failed`.
    #[serde(deserialize_with = "null_default")]
    pub phase: String,
}

/// A StorageClass.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageClass {
    /// Who makes the volumes.
    #[serde(deserialize_with = "null_default")]
    pub provisioner: String,
    /// `Immediate` or `WaitForFirstConsumer`.
    pub volume_binding_mode: Option<String>,
    /// Parameters for the provisioner.
    #[serde(deserialize_with = "null_default")]
    pub parameters: BTreeMap<String, Value>,
}
