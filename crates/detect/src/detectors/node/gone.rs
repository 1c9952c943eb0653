//! Pods that are bound to a node that is no more.

use crate::spot::{self, Spot};
use crate::view::There;
use crate::{Fact, Finding, Place, View, describe};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Risk, Role, Source, Verdict};
use reckon_model::k8s::{Condition, Pod};
use reckon_model::{Change, Kind, Object, ResourceRef, Timestamp, Verb};
use serde_json::json;

/// The pods of a node that was deleted are deleted, too: the garbage collector waits 40 s (`quarantineTime`) and comes by
/// every 20 s.
const COLLECTED: SignedDuration = SignedDuration::from_mins(2);

/// A pod whose node does not exist.
pub(super) fn found<'a>(view: &View<'a>, subject: &'a Object, pod: &'a Pod) -> Option<Finding> {
    let name = pod.spec.node_name.as_str();
    let late = subject.meta.deleted.is_some_and(|due| view.reached(due));
    // A pod that is well costs no read; nor does one that has just been told to go.
    if name.is_empty() || pod.is_finished() || (!late && pod.is_ready() && !view.all_known(&Kind::Node)) {
        return None;
    }
    let node = ResourceRef::new(Kind::Node, None, name);
    let There::No { deleted } = view.there(&node) else { return None };
    // A list without a single node is that of a cluster whose nodes were left out, not of one that has none.
    if view.all_known(&Kind::Node) && deleted.is_none() && view.known(&Kind::Node, None).next().is_none() {
        return None;
    }
    // One that is ready was so when its kubelet last spoke; how long ago is known from the node's end alone.
    let ready = pod.condition("Ready");
    if ready.is_some_and(Condition::is_true) && !late && deleted.is_none() {
        return None;
    }
    let began = [deleted, subject.meta.deleted, subject.meta.created, ready.and_then(|ready| ready.since)];
    let began = began.into_iter().flatten().max();
    let due = began?.checked_add(COLLECTED).ok()?;
    if !view.reached(due) {
        view.recheck_at(due);
        return None;
    }
    // Who binds a pod says so; one that was made with a node's name never met a scheduler.
    let by_hand = pod.condition("PodScheduled").is_none();
    let mut finding = if by_hand { named(view, subject, name) } else { left(subject, &node, deleted) };
    finding.verdict = Verdict::Confirmed;
    finding.shows_on = [subject.reference()].into();
    // Its pods may have stopped being ready long before the node went.
    let suffers = ready.filter(|ready| !ready.is_true()).and_then(|ready| ready.since);
    finding.opened = [suffers, deleted].into_iter().flatten().min().or(began);
    finding.evidence.push(Fact {
        role: Role::Cause,
        source: Source::Absence,
        at: deleted,
        about: node,
        text: format!("node {name} does not exist"),
        raw: None,
    });
    finding.evidence.push(bound(subject, pod, name));
    Some(finding)
}

/// The pod, and who has told it to go.
fn bound(subject: &Object, pod: &Pod, node: &str) -> Fact {
    let told = pod.condition("DisruptionTarget").filter(|told| told.is_true());
    let going = match (told, subject.meta.deleted) {
        (Some(told), _) => format!(", told to go: {} {}", told.reason, told.message.trim()),
        (None, Some(_)) => ", told to go".to_owned(),
        (None, None) => String::new(),
    };
    let text = format!("{} ({}) is bound to {node}{}", subject.meta.name, pod.status.phase, going.trim_end());
    Fact::new(Role::Symptom, Source::Status, told.and_then(|told| told.since), subject, text)
        .raw(json!({"phase": pod.status.phase, "nodeName": node}))
}

/// The node went and the pod stayed.
fn left(subject: &Object, node: &ResourceRef, deleted: Option<Timestamp>) -> Finding {
    let name = &node.name;
    let (cause, when) = match deleted {
        Some(at) => {
            let change = Change { at, subject: node.clone(), verb: Verb::Deleted, fields: Vec::new(), actor: None };
            let when = format!(" since {}", describe::time(at));
            let sentence =
                format!("Node {name} was deleted at {}, and pods are still bound to it.", describe::time(at));
            (Cause::changed(&change, 0, sentence), when)
        }
        None => {
            let sentence =
                format!("Node {name} does not exist any more, and pods are still bound to it: nothing runs them.");
            (Cause::plain(CauseKind::Node, Some(node), sentence), String::new())
        }
    };
    let title = format!("node {name} is gone{when}, and pods are still bound to it");
    let place = Place { workload: node.clone(), container: None };
    let mut finding = Finding::new("node-gone", place, title, cause);
    let pod = describe::object(subject);
    let why = if subject.meta.deleted.is_some() && !subject.meta.finalizers.is_empty() {
        format!(
            "Its finalizer {} holds pod {pod} back: whoever owns it has to take it off.",
            subject.meta.finalizers.join(", ")
        )
    } else {
        format!(
            "Delete pod {pod} with --force; the garbage collector of the controller manager should have done so within two minutes."
        )
    };
    finding.remedies.push(reckon_model::document::Remedy {
        risk: Risk::Medium,
        ..spot::remedy(RemedyKind::Delete, &subject.reference(), why)
    });
    finding
}

/// The pod was made with the name of a node that is not there.
fn named<'a>(view: &View<'a>, subject: &'a Object, name: &str) -> Finding {
    let workload = view.workload_of(subject);
    let sentence = format!("The pod was made for node {name} by name, and there is no such node.");
    let cause = match Spot::of(workload).filter(|spot| spot.node_name() == name) {
        Some(spot) => spot.wrong(&spot.path("nodeName"), Some(json!(name)), sentence),
        None => Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence),
    };
    let title = format!("{}: its pod is made for node {name}, which does not exist", describe::object(workload));
    let mut finding = Finding::new("node-gone", Place::of(workload), title, cause);
    finding.class = Some("named");
    if let Some(spot) = Spot::of(workload) {
        let ask = "Leave nodeName out and let the scheduler choose, by nodeSelector if it has to be this machine.";
        finding.remedies.push(spot.patch(Some(json!({"nodeName": null})), ask));
    }
    finding
}
