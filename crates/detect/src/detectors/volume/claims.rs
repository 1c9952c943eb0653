//! Claims that a pod names and that are not there.

use super::Case;
use crate::finding::{Fact, Finding};
use crate::spot;
use crate::{Lookup, blame};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::{Condition, Event, Volume};
use reckon_model::{Kind, Object, ResourceRef};

/// A StatefulSet makes the claims of its pods itself; it is given longer.
const MADE_BY_OWNER: SignedDuration = SignedDuration::from_mins(2);

/// The scheduler does not place a pod whose claim is not there.
pub(super) fn of_unplaced(case: &Case<'_, '_>, condition: &Condition) -> Option<Finding> {
    let said = condition.message.as_str();
    if !said.contains("persistentvolumeclaim \"") {
        return None;
    }
    let found = absent(case, said).or_else(|| deleting(case, said));
    found.map(|mut finding| {
        finding.evidence.push(case.condition(condition));
        finding
    })
}

/// A pod that was given its node by hand never met the scheduler: then the kubelet says it.
pub(super) fn of_placed(case: &Case<'_, '_>, mounting: &[&Event]) -> Option<Finding> {
    let event = mounting
        .iter()
        .find(|event| event.message.contains("persistentvolumeclaim") && event.message.contains("not found"))?;
    let mut finding = absent(case, &event.message)?;
    finding.evidence.push(case.told(event));
    Some(finding)
}

fn absent(case: &Case<'_, '_>, said: &str) -> Option<Finding> {
    if !said.contains("not found") {
        return None;
    }
    let (volume, name) =
        case.claim_names().into_iter().find(|(_, name)| said.contains(&format!("\"{name}\" not found")))?;
    // Generic ephemeral volumes: their controller makes the claim.
    volume.persistent_volume_claim.as_ref()?;
    if case.workload.kind == Kind::StatefulSet && name.ends_with(&format!("-{}", case.pod.meta.name)) {
        let due = case.pod.meta.created.and_then(|created| created.checked_add(MADE_BY_OWNER).ok());
        if let Some(due) = due.filter(|due| !case.view.reached(*due)) {
            case.view.recheck_at(due);
            return None;
        }
    }
    let target = ResourceRef::new(Kind::PersistentVolumeClaim, case.pod.meta.namespace.as_deref(), &name);
    let verdict = match case.view.look_up(&target) {
        // It has come since; the scheduler tries again by itself.
        Lookup::Found(_) => return None,
        Lookup::Absent { .. } => Verdict::Confirmed,
        Lookup::Unread => Verdict::Likely,
    };
    let (referrer, field, pointer) = reference(case, volume);
    let cause = if verdict == Verdict::Confirmed {
        blame::missing_reference(case.view, referrer, &target, &field, &pointer)
    } else {
        Cause::plain(CauseKind::Resource, Some(&target), format!("Claim {name} does not exist, says the scheduler."))
    };
    let mut finding =
        case.finding("pvc-missing", Some("absent"), &format!("the claim {name} that they mount does not exist"), cause);
    finding.verdict = verdict;
    if verdict == Verdict::Confirmed {
        finding.evidence.push(Fact {
            role: Role::Cause,
            source: Source::Absence,
            at: finding.cause.at,
            about: target.clone(),
            text: format!("claim {name} does not exist"),
            raw: None,
        });
    }
    let make = match case.workload.kind {
        Kind::StatefulSet => {
            format!("Delete pod {}: its StatefulSet makes it again with claim {name}.", case.pod.meta.name)
        }
        _ => format!("Make the claim {name}; if it was deleted, its data is with its volume, if that was retained."),
    };
    finding.remedies.push(spot::supply(case.view, &finding.cause, &target, make));
    Some(finding)
}

/// A claim that is being deleted waits for its last pod to end, and takes no new one.
fn deleting(case: &Case<'_, '_>, said: &str) -> Option<Finding> {
    let (_, claim, _) = case
        .claims()
        .into_iter()
        .find(|(_, claim, _)| said.contains(&format!("\"{}\" is being deleted", claim.meta.name)))?;
    let at = claim.meta.deleted?;
    let name = &claim.meta.name;
    let sentence = format!("Claim {name} is being deleted and goes away with the last pod that mounts it.");
    let mut cause = Cause::plain(CauseKind::Change, Some(&claim.reference()), sentence);
    cause.at = Some(at);
    let mut finding = case.finding(
        "pvc-missing",
        Some("deleting"),
        &format!("the claim {name} that they mount is being deleted"),
        cause,
    );
    finding.verdict = Verdict::Confirmed;
    finding.remedies.push(spot::remedy(
        RemedyKind::Create,
        &claim.reference(),
        format!("A deletion cannot be taken back: set the volume's reclaim policy to Retain now, let {name} go, and make it again for that volume."),
    ));
    Some(finding)
}

/// Who names a volume's claim, and where: the template, or, where a StatefulSet put it there, the pod.
fn reference<'a>(case: &Case<'a, '_>, volume: &Volume) -> (&'a Object, String, String) {
    if let Some(path) = case.spot.as_ref().and_then(|spot| spot.volume(&volume.name)) {
        let path = path.key("persistentVolumeClaim").key("claimName");
        return (case.workload, path.field, path.pointer);
    }
    let index = case.body.spec.volumes.iter().position(|other| other.name == volume.name).unwrap_or(0);
    (
        case.pod,
        format!("spec.volumes[{}].persistentVolumeClaim.claimName", volume.name),
        format!("/spec/volumes/{index}/persistentVolumeClaim/claimName"),
    )
}
