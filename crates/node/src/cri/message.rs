//! The messages of the interface: only the fields that are read. What else comes is passed over.
//!
//! Names and numbers are those of `pkg/apis/runtime/v1/api.proto` in `k8s.io/cri-api` v0.37.2. `ContainerStatus.resources`
//! is younger than the rest of version 1: older runtimes do not send it.

use std::collections::BTreeMap;

/// All containers: without a filter.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ListContainersRequest {}

/// One item of `ListContainersResponse.containers`, which is field [`CONTAINERS`].
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Container {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(message, optional, tag = "3")]
    pub(super) metadata: Option<ContainerMetadata>,
    #[prost(enumeration = "ContainerState", tag = "6")]
    pub(super) state: i32,
    #[prost(btree_map = "string, string", tag = "8")]
    pub(super) labels: BTreeMap<String, String>,
}

/// `ListContainersResponse.containers`, its only field.
pub(super) const CONTAINERS: u64 = 1;

/// How a container is called in its pod.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerMetadata {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

/// Whether it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(super) enum ContainerState {
    Created = 0,
    Running = 1,
    Exited = 2,
    Unknown = 3,
}

/// One container; not verbose, which would add its whole configuration.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerStatusRequest {
    #[prost(string, tag = "1")]
    pub(super) container_id: String,
}

/// The answer to it.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerStatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<ContainerStatus>,
}

/// What is known of a container. Times are nanoseconds of the Unix epoch, or 0.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerStatus {
    #[prost(enumeration = "ContainerState", tag = "3")]
    pub(super) state: i32,
    #[prost(int64, tag = "5")]
    pub(super) started_at: i64,
    #[prost(int64, tag = "6")]
    pub(super) finished_at: i64,
    #[prost(int32, tag = "7")]
    pub(super) exit_code: i32,
    #[prost(string, tag = "10")]
    pub(super) reason: String,
    #[prost(message, optional, tag = "16")]
    pub(super) resources: Option<ContainerResources>,
}

/// What it may use.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerResources {
    #[prost(message, optional, tag = "1")]
    pub(super) linux: Option<LinuxContainerResources>,
}

/// The same, on Linux. 0 is no limit.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LinuxContainerResources {
    #[prost(int64, tag = "4")]
    pub(super) memory_limit_in_bytes: i64,
}
