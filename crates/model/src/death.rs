//! What is known of a death by memory: the `death` of a problem.

use crate::kernel::MemoryKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A memory death.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Death {
    /// Whose limit was hit.
    pub scope: Option<DeathScope>,
    /// What came of it.
    pub effect: Option<Effect>,
    /// What most of the memory was.
    pub memory_kind: Option<MemoryKind>,
    /// The process that died.
    pub victim: Option<String>,
    /// The process whose allocation met the limit.
    pub trigger: Option<String>,
    /// The container that used most.
    pub consumer: Option<String>,
    /// Use at death.
    pub usage_bytes: Option<u64>,
    /// The limit.
    pub limit_bytes: Option<u64>,
    /// Whether the limit was lowered, before or under use.
    pub limit_lowered: Option<bool>,
    /// Whether the true need is unknown because the limit cut it off.
    pub censored: Option<bool>,
    /// How its use grew until then.
    pub shape: Option<Shape>,
    /// When the next one is due.
    pub forecast: Option<String>,
}

/// Whose memory ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeathScope {
    /// The container's limit was reached.
    Container,
    /// The pod's limit was reached.
    Pod,
    /// The share of the node that all pods together may use was full.
    NodeAllocatable,
    /// The node itself had no free page.
    Node,
    /// The NUMA nodes or cpusets that the process may use had none.
    Numa,
    /// A cgroup that something inside the container made had a limit of its own.
    Nested,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Its first process was killed, and with it the container.
    ContainerDied,
    /// All processes of the container were killed at once.
    GroupDied,
    /// A child was killed, and the container lived on.
    ChildDied,
    /// A child was killed, and a shell passed its code on as the container's own.
    ShellEcho,
    /// A child was killed, and the container called its end a success.
    WrongCompleted,
    /// It never started.
    StartFailed,
    /// Nothing was killed; what runs waits for memory.
    Slow,
    /// The kubelet ended the pod to get memory back.
    Evicted,
}

/// How use grew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// It dies while it starts.
    Startup,
    /// It grows without an end.
    Growth,
    /// It stays where it is, near its limit.
    Plateau,
    /// It grew at one moment.
    Step,
    /// It grows suddenly.
    Burst,
    /// It follows what it is asked to do.
    Load,
    /// Pages of files that can be given back.
    Cache,
}
