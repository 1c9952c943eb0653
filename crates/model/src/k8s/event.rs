//! Events: what components say happened.

use super::null_default;
use crate::{SignedDuration, Timestamp};
use serde::Deserialize;

/// An Event of the core or the `events.k8s.io` group: both spellings of each field are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// What it is about.
    #[serde(alias = "regarding", deserialize_with = "null_default")]
    pub involved_object: Involved,
    /// What else it is about, such as the pod that another was preempted for.
    #[serde(deserialize_with = "null_default")]
    pub related: Involved,
    /// One word, such as `FailedScheduling`.
    #[serde(deserialize_with = "null_default")]
    pub reason: String,
    /// A sentence.
    #[serde(alias = "note", deserialize_with = "null_default")]
    pub message: String,
    /// `Normal` or `Warning`.
    #[serde(rename = "type", deserialize_with = "null_default")]
    pub severity: String,
    /// How often, as the old API counts.
    #[serde(alias = "deprecatedCount", deserialize_with = "null_default")]
    count: u32,
    #[serde(alias = "deprecatedFirstTimestamp")]
    first_timestamp: Option<Timestamp>,
    #[serde(alias = "deprecatedLastTimestamp")]
    last_timestamp: Option<Timestamp>,
    event_time: Option<Timestamp>,
    #[serde(deserialize_with = "null_default")]
    series: Series,
    #[serde(alias = "reportingController", deserialize_with = "null_default")]
    reporting_component: String,
    #[serde(alias = "deprecatedSource", deserialize_with = "null_default")]
    source: Source,
}

/// What an Event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Involved {
    /// `apiVersion` of the object.
    #[serde(deserialize_with = "null_default")]
    pub api_version: String,
    /// Kind of the object.
    #[serde(deserialize_with = "null_default")]
    pub kind: String,
    /// Namespace of the object, empty for cluster-scoped kinds.
    #[serde(deserialize_with = "null_default")]
    pub namespace: String,
    /// Name of the object.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// UID of the object; for Nodes the kubelet writes the node's name here.
    #[serde(deserialize_with = "null_default")]
    pub uid: String,
    /// The part of it, such as `spec.containers{app}`.
    #[serde(deserialize_with = "null_default")]
    pub field_path: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Series {
    #[serde(deserialize_with = "null_default")]
    count: u32,
    last_observed_time: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Source {
    #[serde(deserialize_with = "null_default")]
    component: String,
    #[serde(deserialize_with = "null_default")]
    host: String,
}

impl Event {
    /// How often it was seen, at least once.
    pub fn count(&self) -> u32 {
        self.count.max(self.series.count).max(1)
    }

    /// When it was first seen.
    pub fn first_seen(&self) -> Option<Timestamp> {
        self.first_timestamp.or(self.event_time).or(self.last_timestamp)
    }

    /// When it was last seen.
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.series.last_observed_time.or(self.last_timestamp).or(self.event_time).or(self.first_timestamp)
    }

    /// Moves all of its times by so much, as far as they can be.
    pub fn shift(&mut self, by: SignedDuration) {
        let Event { first_timestamp, last_timestamp, event_time, series, .. } = self;
        for at in [first_timestamp, last_timestamp, event_time, &mut series.last_observed_time].into_iter().flatten() {
            *at = at.checked_add(by).unwrap_or(*at);
        }
    }

    /// Who says so: `kubelet`, `default-scheduler`.
    pub fn component(&self) -> &str {
        if self.source.component.is_empty() { &self.reporting_component } else { &self.source.component }
    }

    /// The node it was said from, if any.
    pub fn host(&self) -> &str {
        &self.source.host
    }

    /// The container it is about, from `spec.containers{app}`.
    pub fn container(&self) -> Option<&str> {
        self.involved_object.field_path.split_once('{')?.1.strip_suffix('}')
    }
}
