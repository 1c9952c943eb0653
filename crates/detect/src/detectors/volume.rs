//! Volumes that are not mounted.

use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Lookup, Place, View, blame, describe};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Role, Source, Verdict};
use reckon_model::k8s::{Event, Pod};
use reckon_model::{Kind, Object, ResourceRef, text};
use serde_json::json;

const fn failure(slug: &'static str, title: &'static str, verified: Verified) -> Failure {
    Failure { slug, title, stage: Stage::Volume, family: "volume", echo: false, verified }
}

pub(crate) static DETECTOR: Detector = Detector {
    name: "volume",
    failures: &[
        failure("pvc-missing", "A claim does not exist", Verified::Live),
        failure("multi-attach", "A volume is still attached to another node", Verified::Constructed),
        failure("attach-failed", "A volume cannot be attached", Verified::Constructed),
        failure("mount-failed", "A volume cannot be mounted", Verified::Live),
    ],
    subjects: &[Kind::Pod],
    page: include_str!("volume.md"),
    detect,
};

/// Attaching and mounting take a while, and are tried again.
const GRACE: SignedDuration = SignedDuration::from_mins(1);

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    if pod.status.phase != "Pending" || subject.meta.deleted.is_some() || pod.spec.volumes.is_empty() {
        return Vec::new();
    }
    let due = subject.meta.created.and_then(|created| created.checked_add(GRACE).ok());
    if let Some(due) = due.filter(|due| *due > view.now()) {
        view.recheck_at(due);
        return Vec::new();
    }
    missing_claim(view, subject, pod).or_else(|| not_mounted(view, subject, pod)).into_iter().collect()
}

/// A claim that the pod mounts and that does not exist. A StatefulSet makes its pods' claims itself.
fn missing_claim<'a>(view: &View<'a>, subject: &'a Object, pod: &'a Pod) -> Option<Finding> {
    let namespace = subject.meta.namespace.as_deref();
    let workload = view.workload_of(subject);
    let (prefix, base) = match workload.kind {
        Kind::Pod => ("spec", "/spec"),
        _ => ("spec.template.spec", "/spec/template/spec"),
    };
    let (at, volume, target) = pod.spec.volumes.iter().enumerate().find_map(|(at, volume)| {
        let claim = &volume.persistent_volume_claim.as_ref()?.claim_name;
        let target = ResourceRef::new(Kind::PersistentVolumeClaim, namespace, claim);
        matches!(view.look_up(&target), Lookup::Absent { .. }).then_some((at, volume, target))
    })?;
    let field = format!("{prefix}.volumes[{}].persistentVolumeClaim.claimName", volume.name);
    let pointer = format!("{base}/volumes/{at}/persistentVolumeClaim/claimName");
    let cause = blame::missing_reference(view, workload, &target, &field, &pointer);
    let title = format!("{} cannot start: the claim {} does not exist", describe::object(workload), target.name);
    let mut finding = Finding::new("pvc-missing", Place::of(workload), title, cause);
    finding.shows_on = [subject.reference()].into();
    finding.verdict = Verdict::Confirmed;
    finding.opened = subject.meta.created;
    if let Some(condition) = pod.condition("PodScheduled").filter(|condition| !condition.is_true()) {
        let said = text::shorten(condition.message.trim(), 300).into_owned();
        finding.evidence.push(Fact::new(Role::Symptom, Source::Condition, condition.since, subject, said));
    }
    finding.evidence.push(Fact::new(
        Role::Cause,
        Source::Absence,
        None,
        subject,
        format!("there is no claim {} in the namespace", target.name),
    ));
    Some(finding)
}

/// What the kubelet and the attach controller say, the texts about ConfigMaps and Secrets left to their own detector.
fn told<'a>(view: &View<'a>, subject: &'a Object) -> Option<&'a Event> {
    let events = view.events(subject);
    let started = events
        .iter()
        .filter(|event| matches!(event.reason.as_str(), "Started" | "Created"))
        .filter_map(|event| event.last_seen())
        .max();
    events.into_iter().rev().find(|event| {
        let lower = event.message.to_lowercase();
        matches!(event.reason.as_str(), "FailedMount" | "FailedAttachVolume" | "FailedMapVolume")
            && event.last_seen() > started
            && !lower.contains("not registered")
            && !lower.contains("configmap")
            && !lower.contains("secret")
            // Says that something was waited for, and not what failed.
            && !lower.starts_with("unable to attach or mount volumes")
    })
}

fn not_mounted<'a>(view: &View<'a>, subject: &'a Object, pod: &'a Pod) -> Option<Finding> {
    if pod.spec.node_name.is_empty() {
        return None;
    }
    let event = told(view, subject)?;
    let workload = view.workload_of(subject);
    let (prefix, base) = match workload.kind {
        Kind::Pod => ("spec", "/spec"),
        _ => ("spec.template.spec", "/spec/template/spec"),
    };
    let message = event.message.trim();
    let named =
        pod.spec.volumes.iter().enumerate().find(|(_, volume)| message.contains(&format!("\"{}\"", volume.name)));
    let slug = match event.reason.as_str() {
        "FailedAttachVolume" if message.contains("Multi-Attach") => "multi-attach",
        "FailedAttachVolume" => "attach-failed",
        _ => "mount-failed",
    };
    let name = describe::object(workload);
    let why = text::shorten(message, 200);
    let cause = match (slug, named) {
        ("multi-attach", _) => Cause::plain(
            CauseKind::Resource,
            Some(&workload.reference()),
            format!("A volume of {name} is still attached to another node, and can be on one only: {why}."),
        ),
        ("mount-failed", Some((at, volume))) => {
            let changed = blame::template_change(view, workload, Some(subject), None, |change| {
                change.field.contains(&format!("volumes[{}]", volume.name)).then_some(0)
            });
            match (changed, &volume.host_path) {
                (Some(blame), _) => {
                    let sentence = format!(
                        "{} was {}; since then the volume {} cannot be mounted: {why}.",
                        blame.field().field,
                        blame.words(),
                        volume.name
                    );
                    blame.cause(view, sentence)
                }
                (None, Some(path)) => Cause::plain(
                    CauseKind::Resource,
                    Some(&workload.reference()),
                    format!(
                        "The path {} on node {} is not what the volume {} asks for: {why}.",
                        path.path, pod.spec.node_name, volume.name
                    ),
                )
                .at_field(
                    format!("{prefix}.volumes[{}].hostPath.path", volume.name),
                    format!("{base}/volumes/{at}/hostPath/path"),
                    Some(json!(path.path)),
                ),
                (None, None) => Cause::plain(
                    CauseKind::Resource,
                    Some(&workload.reference()),
                    format!("The volume {} cannot be mounted: {why}.", volume.name),
                )
                .at_field(
                    format!("{prefix}.volumes[{}]", volume.name),
                    format!("{base}/volumes/{at}"),
                    None,
                ),
            }
        }
        _ => Cause::plain(
            CauseKind::External,
            Some(&workload.reference()),
            format!("A volume of {name} cannot be attached or mounted: {why}."),
        ),
    };
    let what = match slug {
        "multi-attach" => "a volume is still attached to another node",
        "attach-failed" => "a volume cannot be attached",
        _ => "a volume cannot be mounted",
    };
    let mut finding = Finding::new(slug, Place::of(workload), format!("{name} cannot start, {what}: {why}"), cause);
    finding.shows_on = [subject.reference()].into();
    finding.verdict = if named.is_some() || slug == "multi-attach" { Verdict::Confirmed } else { Verdict::Likely };
    finding.opened = event.first_seen();
    finding.evidence.push(
        Fact::new(
            Role::Symptom,
            Source::Event,
            event.last_seen(),
            subject,
            format!("{}: {} (×{})", event.reason, text::shorten(message, 300), event.count()),
        )
        .raw(json!(message)),
    );
    Some(finding)
}
