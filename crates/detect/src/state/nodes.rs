//! What many pods want to know of their node: whether it is full. And what a node says over and over.

use reckon_model::k8s::Condition;
use reckon_model::{Body, Object, Quantity};
use serde_json::Value;

/// A node of which more is requested than this, in percent of what pods may use, is full.
const FULL: u128 = 90;

/// A node of which nearly all memory is requested by its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// Bytes that its pods request which have not ended.
    pub requested: u64,
    /// Bytes that pods may use.
    pub share: u64,
    /// Whether its kubelet says that memory is short.
    pub pressed: bool,
}

impl Full {
    /// What so many requested bytes make of a node; `None` while there is room.
    pub(super) fn of(node: &Object, requested: u128) -> Option<Full> {
        let Body::Node(node) = &node.body else { return None };
        let share = node.status.allocatable.get("memory").and_then(Quantity::value)?;
        let share = u64::try_from(share).ok()?;
        let pressed = || Condition::find(&node.status.conditions, "MemoryPressure").is_some_and(Condition::is_true);
        (requested.saturating_mul(100) >= u128::from(share) * FULL).then(|| Full {
            requested: u64::try_from(requested).unwrap_or(u64::MAX),
            share,
            pressed: pressed(),
        })
    }
}

/// Whether a node says what it said before, but for the times at which it says so: the kubelet reports every five minutes
/// at least, and a hundred pods look at their node.
pub(super) fn repeats(before: &Object, now: &Object) -> bool {
    matches!((&before.body, &now.body), (Body::Node(_), Body::Node(_)))
        && lasting(before).is_some_and(|before| lasting(now).is_some_and(|now| before == now))
}

/// All of a node but the times that each of its reports moves.
fn lasting(node: &Object) -> Option<Value> {
    let mut whole = Value::clone(&*node.whole()?);
    if let Some(meta) = whole.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove("resourceVersion");
    }
    for entry in list(&mut whole, "/metadata/managedFields") {
        if entry.get("subresource").is_some_and(|part| part == "status") {
            entry.remove("time");
        }
    }
    for condition in list(&mut whole, "/status/conditions") {
        condition.remove("lastHeartbeatTime");
    }
    Some(whole)
}

fn list<'a>(whole: &'a mut Value, pointer: &str) -> impl Iterator<Item = &'a mut serde_json::Map<String, Value>> {
    whole.pointer_mut(pointer).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}
