//! Volumes that are full, as the programs that write to them say.
//!
//! What a kubelet measures of volumes is not read. A line that says so about a path below a claim's mount tells which volume
//! it is, and not whether it ran out of bytes or of inodes.

mod words;

use super::claim::grow;
use super::logs;
use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View, describe, ownership, spot};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::{Claim, Container, ContainerStatus, ContainerType, Pod, VolumeMount};
use reckon_model::{Body, Kind, LogLine, Object, ResourceRef, text};
use serde_json::json;

pub(crate) static DETECTOR: Detector = Detector {
    name: "volume_full",
    failures: &[Failure {
        slug: "volume-full",
        title: "A volume is full",
        stage: Stage::Volume,
        // What a program calls it when it ends differs from day to day.
        family: "crash",
        echo: false,
        verified: Verified::Constructed,
        page: include_str!("../pages/volume-full.md"),
    }],
    subjects: &[Kind::Pod],
    others: &[],
    detect,
};

/// A container that is just being started is asked for its log by others soon enough.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    let claims =
        pod.spec.volumes.iter().any(|volume| volume.persistent_volume_claim.is_some() || volume.ephemeral.is_some());
    if !claims || subject.meta.deleted.is_some() || pod.status.phase == "Succeeded" {
        return Vec::new();
    }
    logs::failing(view, pod)
        .filter(|(_, container, _)| !container.volume_mounts.is_empty())
        .filter(|(_, _, status)| !is_fresh(view, status))
        .filter_map(|(kind, container, status)| look(view, subject, pod, (kind, container, status)))
        .collect()
}

fn is_fresh(view: &View<'_>, status: &ContainerStatus) -> bool {
    let started = status.state.running.as_ref().filter(|_| status.last_end().is_none()).and_then(|it| it.started_at);
    let Some(due) = started.and_then(|at| at.checked_add(GRACE).ok()) else { return false };
    view.recheck_at(due);
    !view.reached(due)
}

/// The volume that a line is about.
struct Full<'a> {
    line: &'a LogLine,
    mount: &'a VolumeMount,
    claim: String,
    /// The path in the line lies below the mount; else it is only the one claim that the container has.
    named: bool,
}

fn look<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    (kind, container, status): (ContainerType, &'a Container, &'a ContainerStatus),
) -> Option<Finding> {
    let lines = logs::last_words(view, subject, status);
    let full = lines.iter().rev().filter(|line| words::is_full(&line.text)).find_map(|line| {
        let (mount, claim, named) = volume(subject, pod, container, &line.text)?;
        Some(Full { line, mount, claim, named })
    })?;
    let workload = view.workload_of(subject);
    let target = ResourceRef::new(Kind::PersistentVolumeClaim, subject.meta.namespace.as_deref(), &full.claim);
    let object = view.look_up(&target).found();
    let claim = object.and_then(|object| match &object.body {
        Body::Claim(claim) => Some(&**claim),
        _ => None,
    });
    let volume = claim.and_then(|claim| view.object(&Kind::PersistentVolume, None, &claim.spec.volume_name).found());
    let on_node = volume.is_some_and(is_of_node);
    let name = &container.name;
    let place = Place::container(workload, name, kind);
    let what = if on_node {
        format!("the disk of its node, which {} is a part of,", full.claim)
    } else {
        format!("its volume {}", full.claim)
    };
    let title = format!("{}: {name} cannot write, {what} is full", describe::object(workload));
    let mut finding = Finding::new("volume-full", place, title, cause(&full, name, claim, on_node, object, &target));
    finding.class = Some(if on_node { "node-disk" } else { "claim" });
    // That the disk said so is certain; that it is this volume, the path says, and nothing measures it.
    finding.verdict = if full.named { Verdict::Likely } else { Verdict::Possible };
    finding.severity = spot::severity(workload);
    finding.shows_on = [subject.reference()].into();
    finding.opened = full.line.at.or_else(|| status.last_end().and_then(|end| end.finished_at));
    let said = text::shorten(full.line.text.trim(), 300).into_owned();
    finding.evidence.push(Fact::new(Role::Cause, Source::Log, full.line.at, subject, said));
    let path = text::shorten(&full.mount.mount_path, 120).into_owned();
    let size =
        claim.and_then(|claim| claim.status.size().or(claim.spec.size())).map(|size| format!(", {}", size.as_str()));
    let words = format!("{name} mounts claim {}{} at {path}", full.claim, size.unwrap_or_default());
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, subject, words));
    if let Some(end) = status.last_end().filter(|end| end.exit_code != 0) {
        let words = format!(
            "{name} ended with exit code {}, {}",
            end.exit_code,
            text::count(status.restart_count as usize, "restart")
        );
        finding.evidence.push(Fact::new(Role::Symptom, Source::Status, end.finished_at, subject, words));
    }
    if let Some(object) = object.filter(|_| !on_node) {
        finding.remedies.push(grow(view, object));
    }
    if on_node {
        let ask = format!(
            "Free space on the disk of node {}, which this volume is a directory of, or move the data to a volume of its own.",
            pod.spec.node_name
        );
        let node = ResourceRef::new(Kind::Node, None, &pod.spec.node_name);
        finding.remedies.push(spot::remedy(RemedyKind::Outside, &node, ask));
    }
    view.not_checked(
        format!("usage of volume {}", full.claim),
        "the kubelet's figures of volumes are not read; `kubectl exec … -- df -h` and `df -i` tell them",
    );
    Some(finding)
}

fn cause(
    full: &Full<'_>,
    container: &str,
    claim: Option<&Claim>,
    on_node: bool,
    object: Option<&Object>,
    target: &ResourceRef,
) -> Cause {
    let name = &full.claim;
    let finds = match full.named {
        true => {
            let path = text::shorten(&full.mount.mount_path, 120);
            format!("{container} finds no space left below {path}, where claim {name} is mounted")
        }
        false => format!(
            "{container} finds no space left; its log names no path, and {name} is the only claim that it mounts"
        ),
    };
    if on_node {
        let sentence = format!("{finds}: its volume is a directory of the node, and has the node's disk.");
        return Cause::plain(CauseKind::Resource, Some(target), sentence);
    }
    let size = claim.and_then(|claim| claim.spec.size());
    let of = size.map(|size| format!(" of {}", size.as_str())).unwrap_or_default();
    let sentence = format!("{finds}: the volume{of} has no bytes or no inodes left.");
    let mut cause = Cause::plain(CauseKind::Resource, Some(target), sentence);
    cause.managed_by = object.and_then(ownership::managed_by);
    cause.at_field(
        "spec.resources.requests.storage",
        "/spec/resources/requests/storage",
        size.map(|size| json!(size.as_str())),
    )
}

/// Whether a volume is a directory of its node and has no size of its own.
fn is_of_node(volume: &Object) -> bool {
    volume
        .whole()
        .is_some_and(|whole| whole.pointer("/spec/hostPath").is_some() || whole.pointer("/spec/local").is_some())
}

/// The claim that a line is about: by the mount that its path lies below, or the only one there is where it names no path of
/// the root.
fn volume<'a>(
    subject: &Object,
    pod: &Pod,
    container: &'a Container,
    line: &str,
) -> Option<(&'a VolumeMount, String, bool)> {
    let claim_of = |mount: &VolumeMount| {
        let volume = pod.spec.volumes.iter().find(|volume| volume.name == mount.name)?;
        match (&volume.persistent_volume_claim, volume.ephemeral) {
            (Some(claim), _) => Some(claim.claim_name.clone()),
            (None, Some(_)) => Some(format!("{}-{}", subject.meta.name, volume.name)),
            _ => None,
        }
    };
    let mut rooted = false;
    for path in words::paths(line) {
        rooted = true;
        let under = container.volume_mounts.iter().filter(|mount| words::is_below(path, &mount.mount_path));
        // Mounts within mounts: the innermost holds the file.
        let Some(mount) = under.max_by_key(|mount| mount.mount_path.trim_end_matches('/').len()) else { continue };
        if let Some(claim) = claim_of(mount) {
            return Some((mount, claim, true));
        }
    }
    let mut claims = container.volume_mounts.iter().filter_map(|mount| Some((mount, claim_of(mount)?)));
    match (claims.next(), claims.next()) {
        (Some((mount, claim)), None) if !rooted => Some((mount, claim, false)),
        _ => None,
    }
}
