//! What pods and their containers are.

use super::Resources;
use crate::Timestamp;
use crate::k8s::{Condition, null_default};
use crate::shared::Shared;
use serde::Deserialize;
use std::ops::{Deref, DerefMut};

/// What a pod is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "PodStatusFields")]
pub struct PodStatus {
    /// What many pods say alike.
    pub words: Shared<PodWords>,
    /// `PodScheduled`, `Ready`, …
    pub conditions: Box<[Condition]>,
    /// Of `containers`.
    pub container_statuses: Box<[ContainerStatus]>,
    /// Of `initContainers`.
    pub init_container_statuses: Box<[ContainerStatus]>,
    /// Of `ephemeralContainers`.
    pub ephemeral_container_statuses: Box<[ContainerStatus]>,
    /// When the kubelet took it.
    pub start_time: Option<Timestamp>,
    /// Its address.
    pub pod_ip: Box<str>,
}

/// What a pod says of itself in words.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub struct PodWords {
    /// `Pending`, `Running`, `Succeeded`, `Failed`, `Unknown`.
    pub phase: String,
    /// One word, such as `Evicted`.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// `Guaranteed`, `Burstable`, `BestEffort`.
    pub qos_class: String,
    /// The node that preemption makes room on.
    pub nominated_node_name: String,
}

impl Deref for PodStatus {
    type Target = PodWords;

    fn deref(&self) -> &PodWords {
        &self.words
    }
}

impl DerefMut for PodStatus {
    fn deref_mut(&mut self) -> &mut PodWords {
        &mut self.words
    }
}

/// A pod's status as it is written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodStatusFields {
    #[serde(deserialize_with = "null_default")]
    phase: String,
    #[serde(deserialize_with = "null_default")]
    reason: String,
    #[serde(deserialize_with = "null_default")]
    message: String,
    #[serde(deserialize_with = "null_default")]
    conditions: Box<[Condition]>,
    #[serde(deserialize_with = "null_default")]
    container_statuses: Box<[ContainerStatus]>,
    #[serde(deserialize_with = "null_default")]
    init_container_statuses: Box<[ContainerStatus]>,
    #[serde(deserialize_with = "null_default")]
    ephemeral_container_statuses: Box<[ContainerStatus]>,
    start_time: Option<Timestamp>,
    #[serde(deserialize_with = "null_default")]
    qos_class: String,
    #[serde(deserialize_with = "null_default")]
    nominated_node_name: String,
    #[serde(rename = "podIP", deserialize_with = "null_default")]
    pod_ip: Box<str>,
}

impl From<PodStatusFields> for PodStatus {
    fn from(fields: PodStatusFields) -> Self {
        let PodStatusFields { phase, reason, message, qos_class, nominated_node_name, .. } = fields;
        PodStatus {
            words: PodWords { phase, reason, message, qos_class, nominated_node_name }.into(),
            conditions: fields.conditions,
            container_statuses: fields.container_statuses,
            init_container_statuses: fields.init_container_statuses,
            ephemeral_container_statuses: fields.ephemeral_container_statuses,
            start_time: fields.start_time,
            pod_ip: fields.pod_ip,
        }
    }
}

/// What a container is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "ContainerStatusFields")]
pub struct ContainerStatus {
    /// What it is made of, which the pods of a template have alike.
    pub made_of: Shared<MadeOf>,
    /// Now.
    pub state: ContainerState,
    /// Of the instance before.
    pub last_state: Shared<ContainerState>,
    /// Whether it takes traffic (init containers: whether it is done).
    pub ready: bool,
    /// Whether its startup probe succeeded.
    pub started: Option<bool>,
    /// How often it was restarted.
    pub restart_count: u32,
    /// The instance.
    pub container_id: Box<str>,
}

/// What a container is made of.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub struct MadeOf {
    /// Its name.
    pub name: String,
    /// The image as resolved.
    pub image: String,
    /// Its digest.
    pub image_id: String,
    /// Limits and requests in force, which a resize may not have reached yet.
    pub resources: Option<Resources>,
}

impl Deref for ContainerStatus {
    type Target = MadeOf;

    fn deref(&self) -> &MadeOf {
        &self.made_of
    }
}

impl DerefMut for ContainerStatus {
    fn deref_mut(&mut self) -> &mut MadeOf {
        &mut self.made_of
    }
}

/// A container's status as it is written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatusFields {
    #[serde(deserialize_with = "null_default")]
    name: String,
    #[serde(deserialize_with = "null_default")]
    state: ContainerState,
    #[serde(deserialize_with = "null_default")]
    last_state: ContainerState,
    #[serde(deserialize_with = "null_default")]
    ready: bool,
    started: Option<bool>,
    #[serde(deserialize_with = "null_default")]
    restart_count: u32,
    #[serde(deserialize_with = "null_default")]
    image: String,
    #[serde(rename = "imageID", deserialize_with = "null_default")]
    image_id: String,
    #[serde(rename = "containerID", deserialize_with = "null_default")]
    container_id: Box<str>,
    resources: Option<Resources>,
}

impl From<ContainerStatusFields> for ContainerStatus {
    fn from(fields: ContainerStatusFields) -> Self {
        let ContainerStatusFields { name, image, image_id, resources, .. } = fields;
        ContainerStatus {
            made_of: MadeOf { name, image, image_id, resources }.into(),
            state: fields.state,
            last_state: fields.last_state.into(),
            ready: fields.ready,
            started: fields.started,
            restart_count: fields.restart_count,
            container_id: fields.container_id,
        }
    }
}

/// The state of a container: exactly one is set, or none for waiting without a reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// Not started.
    pub waiting: Option<Box<Waiting>>,
    /// Running.
    pub running: Option<Running>,
    /// Ended.
    pub terminated: Option<Box<Terminated>>,
}

/// Why a container is not started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Waiting {
    /// One word, such as `ImagePullBackOff`.
    #[serde(deserialize_with = "null_default")]
    pub reason: String,
    /// A sentence.
    #[serde(deserialize_with = "null_default")]
    pub message: String,
}

/// A running container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Running {
    /// Since when.
    pub started_at: Option<Timestamp>,
}

/// An ended container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    /// Exit code; 128+n for a signal n.
    #[serde(deserialize_with = "null_default")]
    pub exit_code: i64,
    /// One word: `Completed`, `Error`, `OOMKilled`, `StartError`, …
    #[serde(deserialize_with = "null_default")]
    pub reason: String,
    /// What the program left, or why it did not start.
    #[serde(deserialize_with = "null_default")]
    pub message: String,
    /// From.
    pub started_at: Option<Timestamp>,
    /// To.
    pub finished_at: Option<Timestamp>,
    /// The runtime's id of it, `containerd://…`.
    #[serde(rename = "containerID", deserialize_with = "null_default")]
    pub container_id: String,
}

/// A container's id without the runtime's prefix (`containerd://`), as cgroups and the kernel name it.
pub fn bare_id(id: &str) -> &str {
    id.rsplit_once("://").map_or(id, |(_, bare)| bare)
}

impl ContainerStatus {
    /// The end of the newest instance that ended: the current one, or the one before.
    pub fn last_end(&self) -> Option<&Terminated> {
        self.state.terminated.as_deref().or(self.last_state.terminated.as_deref())
    }

    /// The ids of its instances that are known, without the runtime's prefix: the current one, and the one before.
    pub fn instances(&self) -> impl Iterator<Item = &str> {
        let ended = [&self.state, &*self.last_state].into_iter().filter_map(|state| state.terminated.as_deref());
        let ids = std::iter::once(&*self.container_id).chain(ended.map(|end| end.container_id.as_str()));
        ids.map(bare_id).filter(|id| !id.is_empty())
    }
}
