//! What changes the number of pods by what they use.

use super::{Condition, null_default};
use serde::Deserialize;

/// A HorizontalPodAutoscaler.
#[derive(Clone, Debug, Default)]
pub struct Autoscaler {
    /// What is wanted.
    pub spec: AutoscalerSpec,
    /// What is.
    pub status: AutoscalerStatus,
}

/// What an autoscaler should do.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AutoscalerSpec {
    /// The workload whose number of pods it sets.
    #[serde(deserialize_with = "null_default")]
    pub scale_target_ref: ScaleTarget,
    /// The most pods it may ask for.
    #[serde(deserialize_with = "null_default")]
    pub max_replicas: u32,
    /// What it goes by.
    #[serde(deserialize_with = "null_default")]
    pub metrics: Vec<Metric>,
}

/// A workload of the autoscaler's namespace.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScaleTarget {
    /// Such as `apps/v1`.
    #[serde(deserialize_with = "null_default")]
    pub api_version: String,
    /// Such as `Deployment`.
    #[serde(deserialize_with = "null_default")]
    pub kind: String,
    /// `metadata.name`.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
}

/// Something an autoscaler goes by; of other sources than the pods' own use nothing is read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metric {
    /// Use of a resource by all containers of the pods.
    pub resource: Option<ResourceMetric>,
    /// Use of a resource by one container of the pods.
    pub container_resource: Option<ResourceMetric>,
}

/// The use of a resource.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ResourceMetric {
    /// `cpu`, `memory`.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// What is aimed at.
    #[serde(deserialize_with = "null_default")]
    pub target: MetricTarget,
}

/// What an autoscaler aims at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricTarget {
    /// Percent of what the pods request; `None` where it aims at an amount.
    pub average_utilization: Option<u32>,
}

/// What an autoscaler does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AutoscalerStatus {
    /// `ScalingActive`, `AbleToScale`, `ScalingLimited`.
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
}

impl Autoscaler {
    /// Whether it would ask for more pods than it may (`ScalingLimited` for `TooManyReplicas`), and since when.
    pub fn at_its_most(&self) -> Option<&Condition> {
        Condition::find(&self.status.conditions, "ScalingLimited")
            .filter(|limited| limited.is_true() && limited.reason == "TooManyReplicas")
    }

    /// Whether it goes by memory as a share of what is requested: then another request is another number of pods.
    pub fn goes_by_requested_memory(&self) -> bool {
        let own = self.spec.metrics.iter().flat_map(|metric| [&metric.resource, &metric.container_resource]);
        own.flatten().any(|metric| metric.name == "memory" && metric.target.average_utilization.is_some())
    }
}
