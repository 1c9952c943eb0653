//! What became of a node, as its conditions tell.

use jiff::SignedDuration;
use reckon_model::k8s::Condition;
use reckon_model::record::{Entry, Fact, NodeTurn};
use reckon_model::{Body, Object, Timestamp};

/// A node that joins says within this time how it is; only what turns later has turned.
const JOINING: SignedDuration = SignedDuration::from_secs(120);

/// All that is remembered of a node; nothing of other objects.
pub(super) fn entries(object: &Object) -> Vec<Entry> {
    let Body::Node(node) = &object.body else { return Vec::new() };
    let created = object.meta.created;
    let joined = created.map(|at| {
        let turn = NodeTurn { what: "joined".to_owned(), status: None, reason: None };
        Entry { at, subject: object.reference(), workload: None, fact: Fact::Node(turn) }
    });
    let is_late = |at: Timestamp| created.is_none_or(|created| at.duration_since(created) > JOINING);
    let tells = |it: &&Condition| is_ill(it) || it.kind == "Ready" || it.since.is_some_and(is_late);
    joined.into_iter().chain(node.status.conditions.iter().filter(tells).filter_map(|it| turn(object, it))).collect()
}

/// What ails a node now.
pub(super) fn ills(object: &Object) -> Vec<Entry> {
    let Body::Node(node) = &object.body else { return Vec::new() };
    node.status.conditions.iter().filter(|it| is_ill(it)).filter_map(|it| turn(object, it)).collect()
}

fn turn(object: &Object, condition: &Condition) -> Option<Entry> {
    let turn = NodeTurn {
        what: condition.kind.clone(),
        status: Some(condition.status.clone()),
        reason: Some(condition.reason.clone()).filter(|reason| !reason.is_empty()),
    };
    Some(Entry { at: condition.since?, subject: object.reference(), workload: None, fact: Fact::Node(turn) })
}

/// `Ready` is well when true, every pressure when false.
fn is_ill(condition: &Condition) -> bool {
    (condition.kind == "Ready") != condition.is_true()
}
