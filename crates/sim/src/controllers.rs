//! What keeps a cluster going. Each controller looks at the state and writes what is missing; none keeps anything of its
//! own, so that a restored state is gone on with like any other.

mod daemonsets;
mod deployments;
mod endpoints;
mod events;
mod garbage;
mod jobs;
mod kubelet;
mod nodes;
mod pods;
mod replicasets;
mod scheduler;
mod statefulsets;

use crate::store::{Key, Stored};
use crate::world::World;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::sync::Arc;

/// Rounds of one step: each controller sees what the others wrote in the round before.
const ROUNDS: usize = 30;

/// When controllers have to act again.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The revision that they have seen.
    seen: u64,
    /// Time alone changes something then: a container exits, a back-off ends.
    due: Option<Timestamp>,
}

impl World {
    /// Lets the controllers act until they have nothing more to do. Call it when time has passed or something was
    /// written; where nothing is due it costs nothing.
    pub fn step(&mut self) {
        let idle = self.revision == self.controllers.seen && self.controllers.due.is_none_or(|due| self.now < due);
        if !self.config.controllers || idle {
            return;
        }
        self.controllers.due = None;
        for _ in 0..ROUNDS {
            let before = self.revision;
            garbage::run(self);
            deployments::run(self);
            replicasets::run(self);
            statefulsets::run(self);
            daemonsets::run(self);
            jobs::run(self);
            nodes::run(self);
            scheduler::run(self);
            kubelet::run(self);
            endpoints::run(self);
            self.count_quotas();
            if self.revision == before {
                break;
            }
        }
        self.controllers.seen = self.revision;
    }

    /// When [`World::step`] has to be called again though nothing was written; `None`: not before something is.
    pub fn due(&self) -> Option<Timestamp> {
        self.controllers.due
    }

    /// Asks for a step at once.
    pub(crate) fn due_now(&mut self) {
        self.due_at(self.now);
    }

    /// Asks for a step at a time.
    fn due_at(&mut self, at: Timestamp) {
        self.controllers.due = Some(self.controllers.due.map_or(at, |due| due.min(at)));
    }

    /// All objects of a resource, taken apart.
    fn all(&self, resource: &str) -> Vec<Arc<Value>> {
        self.objects(resource).map(|(_, stored)| stored.shared()).collect()
    }

    /// The objects of a namespace that an owner controls.
    fn owned(&self, resource: &str, owner: &Value) -> Vec<Arc<Value>> {
        let Some(table) = self.named(resource) else { return Vec::new() };
        let uid = owner["metadata"]["uid"].as_str().unwrap_or_default();
        let range = self.tables[table].range(Some(namespace(owner)), None);
        let contains = |stored: &Stored| !uid.is_empty() && has(stored, uid);
        // Most objects are of other owners: they need not be taken apart.
        range
            .filter(|(_, stored)| contains(stored))
            .map(|(_, stored)| stored.shared())
            .filter(|object| is_owned(object, uid))
            .collect()
    }
}

/// Whether this text stands anywhere in an object: what lets most objects be passed over without taking them apart.
fn has(stored: &Stored, text: &str) -> bool {
    memchr::memmem::find(&stored.bytes, text.as_bytes()).is_some()
}

fn is_owned(object: &Value, uid: &str) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    owners.clone().any(|owner| owner["uid"] == uid && owner["controller"] == true)
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn namespace(object: &Value) -> &str {
    object["metadata"]["namespace"].as_str().unwrap_or_default()
}

fn key(object: &Value) -> Key {
    Key::new(namespace(object), name(object))
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn ending(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn after(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

/// Sets a condition; the time of its last change moves only with its status.
fn set_condition(status: &mut Value, kind: &str, value: &str, reason: &str, message: &str, now: &str) {
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let mut new = serde_json::json!({"type": kind, "status": value, "lastTransitionTime": now});
    if !reason.is_empty() {
        new["reason"] = reason.into();
    }
    if !message.is_empty() {
        new["message"] = message.into();
    }
    match conditions.iter_mut().find(|condition| condition["type"] == kind) {
        Some(old) => {
            if old["status"] == value {
                new["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            if let Some(updated) = old.get("lastUpdateTime") {
                new["lastUpdateTime"] = updated.clone();
            }
            *old = new;
        }
        None => conditions.push(new),
    }
    status["conditions"] = conditions.into();
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.find(|condition| condition["type"] == kind).unwrap_or(&Value::Null)
}

fn is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind)["status"] == "True"
}

/// Eight letters and digits that follow from a value: names of ReplicaSets and revisions.
pub(crate) fn hash(value: &Value) -> String {
    let mut fnv = reckon_model::ident::Fnv::new();
    fnv.write(value.to_string().as_bytes());
    crate::rng::Rng::new(fnv.value()).suffix(9)
}
