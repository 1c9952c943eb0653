//! Volumes that are not attached to the pod's node.

use super::{Case, quoted, sorts};
use crate::finding::{Fact, Finding};
use crate::spot;
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Risk, Role, Source, Verdict};
use reckon_model::k8s::{Condition, Event};
use reckon_model::{Body, Kind, Object, ResourceRef, text};
use serde_json::json;

/// How long a volume may take to be detached from a node that does not answer before it is taken by force.
const DETACH: SignedDuration = SignedDuration::from_mins(6);

/// Up to 1.36; from 1.37 on the controller says that it waits.
const HELD: [&str; 2] = ["Multi-Attach error", "Waiting for detach"];

/// What an Event `FailedAttachVolume` is about.
pub(super) fn found(case: &Case<'_, '_>, event: &Event) -> Option<Finding> {
    if HELD.iter().any(|said| event.message.contains(said)) { held(case, event) } else { failed(case, event) }
}

/// Another node has it.
fn held(case: &Case<'_, '_>, event: &Event) -> Option<Finding> {
    let claim = case.meant(&event.message).and_then(|(_, claim)| claim);
    let what = match (claim, quoted(&event.message)) {
        (Some(claim), _) => format!("the volume of claim {}", claim.meta.name),
        (None, Some(volume)) => format!("the volume {volume}"),
        (None, None) => "a volume".to_owned(),
    };
    let holder = holder(case, event, claim);
    let node = holder.and_then(Object::pod).map(|pod| pod.spec.node_name.as_str()).unwrap_or("");
    let dead = !node.is_empty()
        && match case.view.object(&Kind::Node, None, node) {
            crate::Lookup::Found(found) => match &found.body {
                Body::Node(body) => !Condition::find(&body.status.conditions, "Ready").is_some_and(Condition::is_true),
                _ => false,
            },
            crate::Lookup::Absent { .. } => true,
            crate::Lookup::Unread => false,
        };
    let going = holder.is_none_or(|holder| {
        holder.meta.deleted.is_some() || holder.pod().is_none_or(reckon_model::k8s::Pod::is_finished)
    });
    if going && !dead {
        // It is on its way; the attach controller takes it by force after six minutes.
        let due = event.first_seen().and_then(|at| at.checked_add(DETACH).ok())?;
        if !case.view.reached(due) {
            case.view.recheck_at(due);
            return None;
        }
    }
    let mut finding = match holder {
        Some(holder) if dead => on_dead_node(case, &what, holder, node),
        Some(holder) if !going => in_use(case, &what, holder, claim),
        _ => stuck(case, &what, claim),
    };
    if let Some(holder) = holder {
        let node = if node.is_empty() { "no node".to_owned() } else { format!("node {node}") };
        let state = if holder.meta.deleted.is_some() { "being deleted" } else { "there" };
        let text = format!("{} on {node} has the volume and is {state}", holder.meta.name);
        finding.evidence.push(Fact::new(Role::Cause, Source::Status, None, holder, text));
    }
    finding.evidence.push(case.told(event));
    Some(finding)
}

/// The pod that has it: named by the Event, else one that mounts the same claim on another node.
fn holder<'a>(case: &Case<'a, '_>, event: &Event, claim: Option<&Object>) -> Option<&'a Object> {
    let namespace = case.pod.meta.namespace.as_deref();
    let named = event.message.split_once("used by pod(s) ").map_or("", |(_, names)| names);
    let named = named.split([',', ' ']).find(|name| !name.is_empty());
    if let Some(found) = named.and_then(|name| case.view.object(&Kind::Pod, namespace, name).found()) {
        return Some(found);
    }
    let claim = claim?;
    case.view.all(&Kind::Pod, namespace).items.into_iter().find(|other| {
        other.pod().is_some_and(|pod| {
            !pod.spec.node_name.is_empty()
                && pod.spec.node_name != case.body.spec.node_name
                && pod.spec.volumes.iter().any(|volume| {
                    volume.persistent_volume_claim.as_ref().is_some_and(|source| source.claim_name == claim.meta.name)
                })
        })
    })
}

fn on_dead_node(case: &Case<'_, '_>, what: &str, holder: &Object, node: &str) -> Finding {
    let reference = ResourceRef::new(Kind::Node, None, node);
    let sentence = format!("Node {node} is not ready and cannot be asked to let go of {what}.");
    let cause = Cause::plain(CauseKind::Node, Some(&reference), sentence);
    let title = format!("{what} is still attached to node {node}, which does not answer");
    let mut finding = case.finding("multi-attach", Some("node-down"), &title, cause);
    finding.verdict = Verdict::Confirmed;
    finding.remedies.push(Remedy {
        risk: Risk::High,
        ..spot::remedy(
            RemedyKind::Patch,
            &reference,
            format!("If {node} is off for good: kubectl taint node {node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute. If it still runs, two nodes may write and the data is lost."),
        )
    });
    finding.remedies.push(Remedy {
        risk: Risk::High,
        ..spot::remedy(
            RemedyKind::Delete,
            &holder.reference(),
            format!(
                "Or delete {} with --force, under the same condition; the volume is taken after six minutes.",
                holder.meta.name
            ),
        )
    });
    finding
}

/// A pod that is well has it and keeps it.
fn in_use(case: &Case<'_, '_>, what: &str, holder: &Object, claim: Option<&Object>) -> Finding {
    let owner = case.view.known_one(&holder.reference());
    let owner = owner.map_or_else(|| holder.reference(), |pod| case.view.workload_of(pod).reference());
    let many = case.workload.workload().is_some_and(|body| body.spec.replicas.unwrap_or(1) > 1);
    if owner != case.workload.reference() || (case.workload.kind != Kind::Deployment && !many) {
        let reference = claim.map_or_else(|| case.workload.reference(), Object::reference);
        let sentence = format!("{owner} uses {what} on another node, and it can be attached to one node only.");
        let mut cause = Cause::plain(CauseKind::Resource, Some(&reference), sentence);
        if let Some(Body::Claim(body)) = claim.map(|claim| &claim.body) {
            cause =
                cause.at_field("spec.accessModes", "/spec/accessModes", Some(body.spec.access_modes.clone().into()));
        }
        let title = format!("{what} is in use by {owner} on another node");
        let mut finding = case.finding("multi-attach", Some("shared"), &title, cause);
        finding.verdict = Verdict::Confirmed;
        finding.remedies.push(spot::remedy(
            RemedyKind::Create,
            &reference,
            "Give each its own claim, keep both on one node, or use a class that offers ReadWriteMany.",
        ));
        return finding;
    }
    let body = case.workload.workload();
    let (class, field, pointer, value) = if many {
        ("replicas", "spec.replicas", "/spec/replicas", body.and_then(|body| body.spec.replicas).map(Into::into))
    } else {
        let kind = body.map_or("", |body| body.spec.strategy.kind.as_str());
        let kind = if kind.is_empty() { "RollingUpdate" } else { kind };
        ("rolling-update", "spec.strategy.type", "/spec/strategy/type", Some(kind.into()))
    };
    let (sentence, title, fix, patch) = if many {
        (
            format!("All pods mount {what}, which can be attached to one node only, and they are on several."),
            format!("{what} is attached to the node of another replica"),
            "Run one replica, or give each its own claim (a StatefulSet), or use a class that offers ReadWriteMany.",
            None,
        )
    } else {
        (
            format!("The old pod keeps {what} until the new one is ready, and the new one cannot start without it."),
            format!("{what} is still attached to the node of the old pod, which waits for the new one"),
            "End the old pod before the new one is made: strategy Recreate.",
            Some(json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}})),
        )
    };
    let mut cause = Cause::plain(CauseKind::Resource, Some(&case.workload.reference()), sentence);
    cause.managed_by = crate::ownership::managed_by(case.workload);
    let mut finding = case.finding("multi-attach", Some(class), &title, cause.at_field(field, pointer, value));
    finding.verdict = Verdict::Confirmed;
    let mut remedy = spot::remedy(RemedyKind::Patch, &case.workload.reference(), fix);
    remedy.risk = Risk::Medium;
    remedy.managed_by.clone_from(&finding.cause.managed_by);
    remedy.patch_type = patch.is_some().then(|| "strategic".to_owned());
    remedy.patch = patch.filter(|_| case.workload.kind == Kind::Deployment);
    finding.remedies.push(remedy);
    finding
}

/// Nobody uses it any more, and it is not let go.
fn stuck(case: &Case<'_, '_>, what: &str, claim: Option<&Object>) -> Finding {
    let reference = claim.map_or_else(|| case.workload.reference(), Object::reference);
    let sentence = format!("No pod uses {what} on another node any more, and it is still attached there.");
    let cause = Cause::plain(CauseKind::External, Some(&reference), sentence);
    let title = format!("{what} is not detached from the node it was on");
    let mut finding = case.finding("multi-attach", Some("not-detached"), &title, cause);
    finding.verdict = Verdict::Likely;
    finding.remedies.push(spot::remedy(
        RemedyKind::Outside,
        &reference,
        "Look at its VolumeAttachment (kubectl get volumeattachment) and at the controller of its CSI driver, which has to detach it.",
    ));
    finding
}

/// The backend or the driver fails.
fn failed(case: &Case<'_, '_>, event: &Event) -> Option<Finding> {
    let said = event.message.to_lowercase();
    let grace = SignedDuration::from_mins(2);
    let due = event.first_seen().and_then(|at| at.checked_add(grace).ok());
    if let Some(due) = due.filter(|due| !case.view.reached(*due)) {
        case.view.recheck_at(due);
        return None;
    }
    let claim = case.meant(&event.message).and_then(|(_, claim)| claim);
    let reference = claim.map_or_else(|| case.workload.reference(), Object::reference);
    let node = case.body.spec.node_name.as_str();
    let volume =
        claim.map_or_else(|| "a volume".to_owned(), |claim| format!("the volume of claim {}", claim.meta.name));
    let driver = event.message.split_once("does not contain driver ").map(|(_, rest)| rest);
    let driver = driver.and_then(|rest| rest.split([' ', ',']).next()).map(|name| name.trim_end_matches('.'));
    let (class, title, cause, fix) = if let Some(driver) = driver {
        let node_ref = ResourceRef::new(Kind::Node, None, node);
        (
            "driver-missing",
            format!("the CSI driver {driver} is not on node {node}"),
            Cause::plain(
                CauseKind::Node,
                Some(&node_ref),
                format!("Node {node} has no CSI driver {driver}, so {volume} cannot be attached to it."),
            ),
            spot::remedy(
                RemedyKind::Outside,
                &node_ref,
                format!(
                    "Bring the node plugin of {driver} (a DaemonSet) to {node}: look for its pod there, and at its tolerations and selector."
                ),
            ),
        )
    } else if said.contains("timed out waiting for external-attacher") {
        let driver = event.message.split_once("external-attacher of ").map_or("", |(_, rest)| rest);
        let driver = driver.split_once(" CSI driver").map_or("the CSI driver", |(name, _)| name);
        (
            "attacher-silent",
            format!("the controller of {driver} does not attach {volume}"),
            Cause::plain(
                CauseKind::External,
                Some(&reference),
                format!(
                    "The external-attacher of {driver} does not answer: its controller is down or cannot reach the storage."
                ),
            ),
            spot::remedy(
                RemedyKind::Outside,
                &reference,
                format!("Look at the controller of {driver} and its log; it has to run and be the leader."),
            ),
        )
    } else {
        of_storage(case, event, claim, &volume)
    };
    let mut finding = case.finding("attach-failed", Some(class), &title, cause);
    finding.verdict = if class == "driver-missing" { Verdict::Confirmed } else { Verdict::Likely };
    finding.remedies.push(fix);
    finding.evidence.push(case.told(event));
    Some(finding)
}

/// What the storage says, by sort: its class, a title, the cause and what ends it.
fn of_storage(
    case: &Case<'_, '_>,
    event: &Event,
    claim: Option<&Object>,
    volume: &str,
) -> (&'static str, String, Cause, Remedy) {
    let node = case.body.spec.node_name.as_str();
    let node_ref = ResourceRef::new(Kind::Node, None, node);
    let reference = claim.map_or_else(|| case.workload.reference(), Object::reference);
    let sort = sorts::of_attachment(&event.message);
    let said = ending(&event.message);
    let outside = |ask: &str| spot::remedy(RemedyKind::Outside, &reference, ask);
    let external = |sentence: String| Cause::plain(CauseKind::External, Some(&reference), sentence);
    let refuses = format!("The storage refuses to attach {volume} to node {node}: {said}.");
    match sort {
        "node-limit" => (
            sort,
            format!("node {node} has as many volumes attached as it may"),
            Cause::plain(
                CauseKind::Node,
                Some(&node_ref),
                format!("Node {node} takes no more volumes, which the scheduler did not know: {said}."),
            ),
            spot::remedy(
                RemedyKind::Outside,
                &node_ref,
                format!(
                    "Delete the pod while {node} is cordoned, so that it is placed elsewhere; let the CSI driver tell the right limit (CSINode, allocatable.count)."
                ),
            ),
        ),
        "in-use" => (
            sort,
            format!("{volume} is attached elsewhere, says the storage"),
            external(format!(
                "Node {node} cannot get {volume}, because the storage has it attached elsewhere: {said}."
            )),
            outside(
                "Look at its VolumeAttachments and, at the storage, what holds it; detach it there if nothing uses it any more.",
            ),
        ),
        "denied" => (
            sort,
            format!("the CSI driver may not attach {volume}"),
            external(format!("The driver has no right to attach {volume} to node {node}: {said}.")),
            outside("Give the CSI driver's account the right that the message names."),
        ),
        "gone" => {
            let gone = claim.map_or_else(|| reference.clone(), super::mount::persistent);
            (
                sort,
                format!("the storage does not know {volume}"),
                Cause::plain(
                    CauseKind::External,
                    Some(&gone),
                    format!("The storage does not know {volume}, or not node {node}: {said}."),
                ),
                spot::remedy(
                    RemedyKind::Outside,
                    &gone,
                    "See whether it was deleted at the storage; restore it from a snapshot or backup.",
                ),
            )
        }
        "timeout" => (
            sort,
            format!("{volume} is not attached to node {node} in time"),
            external(format!("The storage does not attach {volume} to node {node} in time: {said}.")),
            outside("Look at the log of the CSI driver's controller, and whether the storage answers it."),
        ),
        _ => (
            "refused",
            format!("{volume} cannot be attached to node {node}"),
            external(refuses),
            outside("Find out at the storage why; it is tried again by itself."),
        ),
    }
}

/// The last part of a chain of errors, without an end of its own.
pub(super) fn ending(message: &str) -> String {
    let last = message.rsplit(" desc = ").next().unwrap_or(message).trim();
    let last = match last.split_once("for volume \"") {
        Some((_, rest)) => rest.split_once("\" ").map_or(last, |(_, rest)| rest.trim_start_matches([':', ' '])),
        None => last,
    };
    text::shorten(&text::clean_line(last.trim_end_matches('.')), 200).into_owned()
}
