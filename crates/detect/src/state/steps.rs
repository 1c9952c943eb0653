//! What became of objects, for whoever keeps a record: each as it was and as it is.

use reckon_model::{Object, Timestamp};
use std::sync::Arc;

/// What became of one object. Both states have been through intake, so nothing secret is in them.
#[derive(Clone, Debug)]
pub struct Step {
    /// What had the name before, which may have been another object; `None`: nothing.
    pub before: Option<Arc<Object>>,
    /// What has the name now, or when it was seen that nothing has.
    pub now: Result<Arc<Object>, Timestamp>,
    /// `metadata.resourceVersion` of what has the name now, which intake does not keep; else empty.
    pub version: String,
}

/// Those that nobody took yet. The state itself needs none of it, so without a taker none are kept.
#[derive(Debug, Default)]
pub(super) struct Steps(Option<Vec<Step>>);

impl Steps {
    pub(super) fn keep(&mut self) {
        self.0.get_or_insert_default();
    }

    pub(super) fn take(&mut self) -> Vec<Step> {
        self.0.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The version to tell of an object that is about to be taken in.
    pub(super) fn version(&self, object: &Object) -> String {
        if self.0.is_some() { object.meta.resource_version.clone() } else { String::new() }
    }

    pub(super) fn applied(&mut self, before: Option<&Arc<Object>>, now: &Arc<Object>, version: String) {
        if let Some(steps) = &mut self.0 {
            steps.push(Step { before: before.cloned(), now: Ok(now.clone()), version });
        }
    }

    pub(super) fn deleted(&mut self, before: &Arc<Object>, at: Timestamp) {
        if let Some(steps) = &mut self.0 {
            steps.push(Step { before: Some(before.clone()), now: Err(at), version: String::new() });
        }
    }
}
