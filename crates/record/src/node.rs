//! Nodes: which came and left, what of them turned.

use crate::look::Look;
use reckon_model::k8s::{Condition, Node};
use reckon_model::record::{Entry, Fact, NodeTurn};
use reckon_model::{Object, Timestamp};

/// That a node came or left.
pub(crate) fn moved(look: &Look<'_>, at: Timestamp, object: &Object, what: &str) -> Entry {
    let turn = NodeTurn { what: what.to_owned(), status: None, reason: None };
    look.entry(at, object, Fact::Node(turn))
}

/// Conditions that turned, and the cordon.
pub(crate) fn turns(look: &Look<'_>, before: &Node, object: &Object, now: &Node) -> Vec<Entry> {
    let mut entries = Vec::new();
    for condition in &now.status.conditions {
        let old = Condition::find(&before.status.conditions, &condition.kind).map(|old| old.status.as_str());
        // One that appears and says that nothing is wrong is no turn.
        let calm = if condition.kind == "Ready" { "True" } else { "False" };
        if old.unwrap_or(calm) == condition.status {
            continue;
        }
        let turn = NodeTurn {
            what: condition.kind.clone(),
            status: Some(condition.status.clone()),
            reason: Some(condition.reason.clone()).filter(|reason| !reason.is_empty()),
        };
        entries.push(look.entry(look.moment(condition.since), object, Fact::Node(turn)));
    }
    if before.spec.unschedulable != now.spec.unschedulable {
        let what = if now.spec.unschedulable { "cordoned" } else { "uncordoned" };
        entries.push(moved(look, look.now, object, what));
    }
    entries
}
