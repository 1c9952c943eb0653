//! What has a pod template.

use super::{Condition, IntOrString, PodSpec, null_default};
use crate::Timestamp;
use crate::selector::LabelSelector;
use crate::shared::Shared;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// A Deployment, ReplicaSet, StatefulSet, DaemonSet, ReplicationController or Job. The kinds share most of what rules
/// read; a field that a kind does not have is absent.
#[derive(Clone, Debug, Default)]
pub struct Workload {
    /// What is wanted.
    pub spec: WorkloadSpec,
    /// What is.
    pub status: WorkloadStatus,
}

/// What a workload should be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadSpec {
    /// Wanted pods; absent means 1 for kinds that have it.
    pub replicas: Option<i64>,
    /// Which pods belong to it.
    #[serde(deserialize_with = "selector")]
    pub selector: Shared<LabelSelector>,
    /// What its pods are made from.
    #[serde(deserialize_with = "null_default")]
    pub template: PodTemplate,
    /// How pods are replaced (Deployment: `strategy`, StatefulSet and DaemonSet: `updateStrategy`).
    #[serde(alias = "updateStrategy", deserialize_with = "null_default")]
    pub strategy: Strategy,
    /// Deployment: whether roll-outs wait for a person.
    #[serde(deserialize_with = "null_default")]
    pub paused: bool,
    /// Deployment: seconds after which a roll-out without progress is called failed; 600 if absent.
    pub progress_deadline_seconds: Option<i64>,
    /// Deployment, StatefulSet, DaemonSet: seconds of readiness before a pod counts.
    #[serde(deserialize_with = "null_default")]
    pub min_ready_seconds: i64,
    /// Job: whether no pods are to run now.
    #[serde(deserialize_with = "null_default")]
    pub suspend: bool,
    /// Job: failed pods before it is called failed; 6 if absent.
    pub backoff_limit: Option<i64>,
    /// Job: seconds after which it is called failed.
    pub active_deadline_seconds: Option<i64>,
    /// Job: successes wanted.
    pub completions: Option<i64>,
    /// StatefulSet: the Service its pods' names are in.
    #[serde(deserialize_with = "null_default")]
    pub service_name: String,
}

/// A ReplicationController's selector is a bare map of labels.
fn selector<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Shared<LabelSelector>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Exact(BTreeMap<String, String>),
        Full(LabelSelector),
    }
    let selector = match Option::<Either>::deserialize(deserializer)? {
        None => LabelSelector::default(),
        Some(Either::Exact(labels)) => LabelSelector::exact(&labels),
        Some(Either::Full(selector)) => selector,
    };
    Ok(selector.into())
}

/// What pods are made from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodTemplate {
    /// Labels and annotations of the pods.
    #[serde(deserialize_with = "null_default")]
    pub metadata: TemplateMeta,
    /// Their spec.
    #[serde(deserialize_with = "null_default")]
    pub spec: Shared<PodSpec>,
}

/// Labels and annotations that a template gives to its pods.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TemplateMeta {
    /// Labels.
    #[serde(deserialize_with = "null_default")]
    pub labels: Shared<BTreeMap<String, String>>,
    /// Annotations.
    #[serde(deserialize_with = "null_default")]
    pub annotations: Shared<BTreeMap<String, String>>,
}

/// How pods are replaced.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Strategy {
    /// `RollingUpdate`, `Recreate`, `OnDelete`.
    #[serde(rename = "type", deserialize_with = "null_default")]
    pub kind: String,
    /// The bounds of a rolling update.
    #[serde(deserialize_with = "null_default")]
    pub rolling_update: RollingUpdate,
}

/// The bounds of a rolling update.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollingUpdate {
    /// Pods that may be missing.
    pub max_unavailable: Option<IntOrString>,
    /// Pods that may be too many.
    pub max_surge: Option<IntOrString>,
    /// StatefulSet: ordinals below it keep the old template.
    pub partition: Option<i64>,
}

/// What a workload is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadStatus {
    /// The generation this status speaks of.
    pub observed_generation: Option<i64>,
    /// Pods there are.
    #[serde(alias = "currentNumberScheduled", deserialize_with = "null_default")]
    pub replicas: i64,
    /// Pods that are ready.
    #[serde(alias = "numberReady", deserialize_with = "null_default")]
    pub ready_replicas: i64,
    /// Pods made from the newest template.
    #[serde(alias = "updatedNumberScheduled", deserialize_with = "null_default")]
    pub updated_replicas: i64,
    /// Pods that count as available.
    #[serde(alias = "numberAvailable", deserialize_with = "null_default")]
    pub available_replicas: i64,
    /// DaemonSet: pods there should be.
    #[serde(deserialize_with = "null_default")]
    pub desired_number_scheduled: i64,
    /// Deployment: collisions of ReplicaSet names; StatefulSet: see `current_revision`.
    #[serde(deserialize_with = "null_default")]
    pub current_revision: String,
    /// StatefulSet: the revision pods move to.
    #[serde(deserialize_with = "null_default")]
    pub update_revision: String,
    /// Job: pods that run.
    #[serde(deserialize_with = "null_default")]
    pub active: i64,
    /// Job: pods that succeeded.
    #[serde(deserialize_with = "null_default")]
    pub succeeded: i64,
    /// Job: pods that failed.
    #[serde(deserialize_with = "null_default")]
    pub failed: i64,
    /// Job: when it started.
    pub start_time: Option<Timestamp>,
    /// Job: when it succeeded.
    pub completion_time: Option<Timestamp>,
    /// `Available`, `Progressing`, `Failed`, …
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
}

/// A CronJob.
#[derive(Clone, Debug, Default)]
pub struct CronJob {
    /// What is wanted.
    pub spec: CronJobSpec,
    /// What is.
    pub status: CronJobStatus,
}

/// What a CronJob should be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CronJobSpec {
    /// When, in cron syntax.
    #[serde(deserialize_with = "null_default")]
    pub schedule: String,
    /// Whether it starts no Jobs now.
    #[serde(deserialize_with = "null_default")]
    pub suspend: bool,
    /// What its Jobs are made from.
    #[serde(deserialize_with = "null_default")]
    pub job_template: JobTemplate,
}

/// What Jobs are made from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct JobTemplate {
    /// Their spec.
    #[serde(deserialize_with = "null_default")]
    pub spec: WorkloadSpec,
}

/// What a CronJob is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CronJobStatus {
    /// When it last started a Job.
    pub last_schedule_time: Option<Timestamp>,
    /// When a Job of it last succeeded.
    pub last_successful_time: Option<Timestamp>,
}
