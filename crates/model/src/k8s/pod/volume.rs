//! Volumes of pods.

use super::ObjectSource;
use crate::Quantity;
use crate::k8s::null_default;
use serde::{Deserialize, Deserializer};

/// A volume of a pod spec.
#[derive(Clone, Debug, Default, PartialEq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    /// Its name, unique in the pod.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// From a ConfigMap.
    pub config_map: Option<ObjectSource>,
    /// From a Secret.
    pub secret: Option<ObjectSource>,
    /// From several of them.
    pub projected: Option<Projected>,
    /// From a claim.
    pub persistent_volume_claim: Option<ClaimSource>,
    /// From a claim made for this pod, named `POD-VOLUME`.
    pub ephemeral: Option<There>,
    /// From the node.
    pub host_path: Option<HostPath>,
    /// Empty at start.
    pub empty_dir: Option<EmptyDir>,
    /// From a CSI driver, inline.
    pub csi: Option<CsiSource>,
    /// From an NFS server.
    pub nfs: Option<NfsSource>,
}

/// That something is there, whatever it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct There;

impl<'de> Deserialize<'de> for There {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| There)
    }
}

/// Several sources in one volume.
#[derive(Clone, Debug, Default, PartialEq, Hash, Deserialize)]
#[serde(default)]
pub struct Projected {
    /// The sources.
    #[serde(deserialize_with = "null_default")]
    pub sources: Vec<ProjectedSource>,
}

/// One source of a projected volume.
#[derive(Clone, Debug, Default, PartialEq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectedSource {
    /// A ConfigMap.
    pub config_map: Option<ObjectSource>,
    /// A Secret.
    pub secret: Option<ObjectSource>,
}

/// A claim as a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSource {
    /// The claim.
    #[serde(deserialize_with = "null_default")]
    pub claim_name: String,
}

/// A path of the node as a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct HostPath {
    /// The path.
    #[serde(deserialize_with = "null_default")]
    pub path: String,
    /// What must be there: `Directory`, `File`, …; empty for anything.
    #[serde(rename = "type", deserialize_with = "null_default")]
    pub kind: String,
}

/// A volume that is empty at start.
#[derive(Clone, Debug, Default, PartialEq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EmptyDir {
    /// `Memory` for a tmpfs.
    #[serde(deserialize_with = "null_default")]
    pub medium: String,
    /// At most.
    pub size_limit: Option<Quantity>,
}

/// An inline CSI volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct CsiSource {
    /// The driver.
    #[serde(deserialize_with = "null_default")]
    pub driver: String,
}

/// An NFS volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct NfsSource {
    /// The server.
    #[serde(deserialize_with = "null_default")]
    pub server: String,
    /// The exported path.
    #[serde(deserialize_with = "null_default")]
    pub path: String,
}
