//! Nodes.

use super::{Condition, null_default};
use crate::Quantity;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A Node.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// What is wanted.
    pub spec: NodeSpec,
    /// What is.
    pub status: NodeStatus,
}

/// What a Node should be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSpec {
    /// Whether it is cordoned.
    #[serde(deserialize_with = "null_default")]
    pub unschedulable: bool,
    /// What keeps pods away.
    #[serde(deserialize_with = "null_default")]
    pub taints: Vec<Taint>,
}

/// What keeps pods away from a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Taint {
    /// Its key.
    #[serde(deserialize_with = "null_default")]
    pub key: String,
    /// Its value, often empty.
    #[serde(deserialize_with = "null_default")]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule`, `NoExecute`.
    #[serde(deserialize_with = "null_default")]
    pub effect: String,
}

impl Taint {
    /// As kubectl writes it: `key=value:Effect`.
    pub fn describe(&self) -> String {
        match self.value.as_str() {
            "" => format!("{}:{}", self.key, self.effect),
            value => format!("{}={value}:{}", self.key, self.effect),
        }
    }
}

/// What a Node is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStatus {
    /// `Ready`, `MemoryPressure`, …
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
    /// What pods may use, by resource.
    #[serde(deserialize_with = "null_default")]
    pub allocatable: BTreeMap<String, Quantity>,
    /// What the machine has.
    #[serde(deserialize_with = "null_default")]
    pub capacity: BTreeMap<String, Quantity>,
    /// Versions.
    #[serde(deserialize_with = "null_default")]
    pub node_info: NodeInfo,
}

/// What runs a Node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeInfo {
    /// Of the kubelet.
    #[serde(deserialize_with = "null_default")]
    pub kubelet_version: String,
    /// Of the kernel.
    #[serde(deserialize_with = "null_default")]
    pub kernel_version: String,
    /// Such as `containerd://1.7.24`.
    #[serde(deserialize_with = "null_default")]
    pub container_runtime_version: String,
    /// `amd64`, `arm64`.
    #[serde(deserialize_with = "null_default")]
    pub architecture: String,
    /// Such as `Debian GNU/Linux 12 (bookworm)`.
    #[serde(deserialize_with = "null_default")]
    pub os_image: String,
    /// Changes at every boot.
    #[serde(rename = "bootID", deserialize_with = "null_default")]
    pub boot_id: String,
}
