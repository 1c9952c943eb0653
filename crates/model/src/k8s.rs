//! Slim Kubernetes kinds: the fields rules read, nothing else.
//!
//! Decoding skips what is not named here, and takes `null` for absent everywhere, as API servers write both. Times are
//! instants; quantities keep their spelling; maps are sorted, so that nothing downstream depends on the server's order.

mod autoscaling;
mod config;
mod event;
mod network;
mod node;
mod pod;
mod status;
mod storage;
mod workload;

pub use autoscaling::{
    Autoscaler, AutoscalerSpec, AutoscalerStatus, Metric, MetricTarget, ResourceMetric, ScaleTarget,
};
pub use config::Config;
pub use event::{Event, Involved};
pub use network::{Endpoint, EndpointPort, EndpointSlice, Service, ServicePort, ServiceSpec, ServiceStatus, TargetRef};
pub use node::{Node, NodeInfo, NodeSpec, NodeStatus, Taint};
pub use pod::*;
pub use status::{Condition, Words};
pub use storage::{
    Claim, ClaimRef, ClaimSpec, ClaimStatus, PersistentVolume, PersistentVolumeSpec, PersistentVolumeStatus,
    StorageClass,
};
pub use workload::{
    CronJob, CronJobSpec, CronJobStatus, JobTemplate, PodTemplate, RollingUpdate, Strategy, TemplateMeta, Workload,
    WorkloadSpec, WorkloadStatus,
};

use serde::{Deserialize, Deserializer};
use std::fmt;

/// `null` is absent.
pub(crate) fn null_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A port by number or by name, or another field that takes both (`maxUnavailable: 25%`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(untagged)]
pub enum IntOrString {
    /// A number.
    Int(i64),
    /// A name or a percentage.
    String(String),
}

impl fmt::Display for IntOrString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IntOrString::Int(number) => write!(f, "{number}"),
            IntOrString::String(text) => f.write_str(text),
        }
    }
}
