//! Pods that wait for something that is on its way, or for somebody.

use super::funnel::Decision;
use super::hurdle::Hurdle;
use super::message::Said;
use crate::spot::Spot;
use crate::{Finding, Place, View, describe};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Severity, Verdict};
use reckon_model::k8s::{Event, Pod};
use reckon_model::{Object, Timestamp, text};
use serde_json::json;

/// How long what is being done for a pod may take: a node is made, a victim ends.
const UNDER_WAY: SignedDuration = SignedDuration::from_mins(10);
/// Nodes are finished joining within this time (as in the node's own rules).
const JOINING: SignedDuration = SignedDuration::from_mins(5);
/// An object that is being deleted is gone within this time after it was due.
const GOING: SignedDuration = SignedDuration::from_secs(60);

/// Until when something is under way that will help: room is made, nodes are added, a pod in the way ends.
pub(super) fn until<'a>(
    view: &View<'a>,
    subject: &Object,
    pod: &Pod,
    said: &Said,
    decision: &Decision<'_, 'a>,
    since: Option<Timestamp>,
) -> Option<Timestamp> {
    let after = |at: Timestamp, span: SignedDuration| at.checked_add(span).ok();
    let mut ends = Vec::new();
    if said.making_room || !pod.status.nominated_node_name.is_empty() {
        ends.extend(since.and_then(|at| after(at, UNDER_WAY)));
    }
    if matches!(decision.hurdle, Hurdle::AntiAffinity | Hurdle::Existing | Hurdle::HostPort) {
        // The API server writes when a deletion is due, grace included.
        let going = decision.on.iter().filter_map(|node| node.holder?.meta.deleted).min();
        ends.extend(going.and_then(|at| after(at, GOING)));
    }
    if decision.hurdle == Hurdle::Ill {
        let youngest = decision.on.iter().filter_map(|node| node.node.meta.created).max();
        ends.extend(youngest.and_then(|at| after(at, JOINING)));
    }
    let scaling = view
        .events(subject)
        .into_iter()
        .filter(|event| matches!(event.reason.as_str(), "TriggeredScaleUp" | "Nominated" | "NominatedNode"));
    ends.extend(scaling.filter_map(Event::last_seen).max().and_then(|at| after(at, UNDER_WAY)));
    ends.into_iter().filter(|end| !view.reached(*end)).max()
}

/// A gate is closed.
pub(super) fn gated<'a>(view: &View<'a>, subject: &'a Object, pod: &Pod) -> Option<Finding> {
    let workload = view.workload_of(subject);
    let gates: Vec<&str> = pod.spec.scheduling_gates.iter().map(|gate| gate.name.as_str()).collect();
    let named = text::enumerate(&gates);
    let sentence = format!("The scheduling gate {named} has not been removed; whatever owns it holds the pod back.");
    // Mostly put there by an admission webhook, and in no template then.
    let cause = match Spot::of(workload).filter(|spot| !spot.spec.scheduling_gates.is_empty()) {
        Some(spot) => spot.wrong(&spot.path("schedulingGates"), Some(json!(gates)), sentence),
        None => Cause::plain(CauseKind::External, Some(&workload.reference()), sentence),
    };
    let title = format!("{}: held back by the scheduling gate {named}", describe::object(workload));
    let mut finding = Finding::new("scheduling-gated", Place::of(workload), title, cause);
    finding.verdict = Verdict::Confirmed;
    finding.severity = Severity::Info;
    Some(finding)
}
