//! Volumes that are not mounted.

use super::Case;
use super::attach::ending;
use super::sorts;
use crate::finding::{Fact, Finding};
use crate::{Lookup, blame, describe, spot};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::{Event, Volume};
use reckon_model::{Body, Kind, Object, ResourceRef};

/// A driver that has just come to a node registers in moments; a mount is tried again by itself.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// Whether an Event says what failed, and is not about ConfigMaps and Secrets, which are failures of their own.
pub(super) fn says_what(event: &Event) -> bool {
    let said = event.message.to_lowercase();
    let config = [
        "configmap \"",
        "secret \"",
        "references non-existent",
        "not registered",
        "failed to sync configmap cache",
        "failed to sync secret cache",
        "failed to fetch token",
    ];
    !said.starts_with("unable to attach or mount volumes")
        && !said.contains("persistentvolumeclaim")
        && !config.iter().any(|part| said.contains(part))
}

/// What an Event `FailedMount` or `FailedMapVolume` is about.
pub(super) fn found(case: &Case<'_, '_>, event: &Event) -> Option<Finding> {
    let due = event.first_seen().and_then(|at| at.checked_add(PATIENCE).ok());
    if let Some(due) = due.filter(|due| !case.view.reached(*due)) {
        case.view.recheck_at(due);
        return None;
    }
    let meant = case.meant(&event.message);
    let sort = sorts::of_mount(&event.message);
    let node = case.body.spec.node_name.as_str();
    let node_ref = ResourceRef::new(Kind::Node, None, node);
    let volume = match meant {
        Some((_, Some(claim))) => format!("the volume of claim {}", claim.meta.name),
        Some((volume, None)) => format!("the volume {}", volume.name),
        None => "a volume".to_owned(),
    };
    let why = ending(&event.message);
    let (what, cause, fix) = match (sort, meant) {
        ("driver-missing", _) => {
            let driver = event.message.split_once("driver name ").map_or("", |(_, rest)| rest);
            let driver = driver.split(' ').next().filter(|name| !name.is_empty()).unwrap_or("of the volume");
            (
                format!("the CSI driver {driver} is not on node {node}"),
                Cause::plain(
                    CauseKind::Node,
                    Some(&node_ref),
                    format!("Node {node} has no CSI driver {driver}, so {volume} cannot be mounted there."),
                ),
                spot::remedy(
                    RemedyKind::Outside,
                    &node_ref,
                    format!(
                        "Bring the node plugin of {driver} (a DaemonSet) to {node}: look for its pod there, and at its tolerations and selector."
                    ),
                ),
            )
        }
        ("helper-missing", _) => (
            format!("node {node} has no program to mount {volume} with"),
            Cause::plain(
                CauseKind::Node,
                Some(&node_ref),
                format!("Node {node} lacks what it takes to mount {volume}: {why}."),
            ),
            spot::remedy(
                RemedyKind::Outside,
                &node_ref,
                format!("Install the client of that file system (nfs-common, cifs-utils …) on {node} and its like."),
            ),
        ),
        ("secret-missing", _) if secret(case, &event.message).is_some() => {
            return of_secret(case, event, &volume, &secret(case, &event.message)?);
        }
        ("node-disk", _) => (
            format!("node {node} has no space left to mount {volume}"),
            Cause::plain(
                CauseKind::Node,
                Some(&node_ref),
                format!("The disk of node {node} is full, so {volume} cannot be mounted there: {why}."),
            ),
            spot::remedy(
                RemedyKind::Outside,
                &node_ref,
                format!("Free disk space on {node}: images, logs, emptyDir volumes."),
            ),
        ),
        (_, Some((volume, None))) => return Some(inline(case, event, sort, volume, &why)),
        _ => {
            let claim = meant.and_then(|(_, claim)| claim);
            let reference = claim.map_or_else(|| case.workload.reference(), persistent);
            let (what, ask) = match sort {
                "filesystem" => (
                    "has a broken file system",
                    "Check and repair the file system of the volume; restore a backup if it cannot be.",
                ),
                "denied" => (
                    "may not be mounted from this node",
                    "Let the node mount it: export rules, credentials and rights at the storage.",
                ),
                "server" => {
                    ("is on a server that does not answer", "Check the server and the way to it from the nodes.")
                }
                "busy" => (
                    "is busy on this node",
                    "An earlier mount or unmount of it has not ended: look at the log of its node plugin there; restart that, then the node.",
                ),
                "timeout" => (
                    "is not mounted in time",
                    "Look at the log of the volume's node plugin on that node, and whether the storage answers it.",
                ),
                "path-missing" => {
                    ("is a path that the node does not have", "Make the path on that node, or correct the volume.")
                }
                _ => (
                    "cannot be mounted",
                    "Find out at the storage and in the log of its node plugin why; it is tried again by itself.",
                ),
            };
            (
                format!("{volume} {what}"),
                Cause::plain(
                    CauseKind::External,
                    Some(&reference),
                    format!("Node {node} cannot mount {volume}: {why}."),
                ),
                spot::remedy(RemedyKind::Outside, &reference, ask),
            )
        }
    };
    let mut finding = case.finding("mount-failed", Some(sort), &what, cause);
    finding.verdict = match sort {
        "driver-missing" => Verdict::Confirmed,
        "failed" => Verdict::Possible,
        _ => Verdict::Likely,
    };
    finding.remedies.push(fix);
    finding.evidence.push(case.told(event));
    Some(finding)
}

/// The volume behind a claim, or the claim while it has none.
pub(super) fn persistent(claim: &Object) -> ResourceRef {
    match &claim.body {
        Body::Claim(body) if !body.spec.volume_name.is_empty() => {
            ResourceRef::new(Kind::PersistentVolume, None, &body.spec.volume_name)
        }
        _ => claim.reference(),
    }
}

/// A volume that the pod itself describes: host path, NFS, inline CSI. What is wrong is written there.
fn inline(case: &Case<'_, '_>, event: &Event, sort: &'static str, volume: &Volume, why: &str) -> Finding {
    let node = case.body.spec.node_name.as_str();
    let (part, value) = match (&volume.host_path, &volume.nfs, &volume.csi) {
        (Some(path), _, _) => (Some(("hostPath", "path")), Some(path.path.clone())),
        (_, Some(nfs), _) => {
            let path = sort != "server";
            (
                Some(("nfs", if path { "path" } else { "server" })),
                Some(if path { &nfs.path } else { &nfs.server }.clone()),
            )
        }
        (_, _, Some(csi)) => (Some(("csi", "driver")), Some(csi.driver.clone())),
        _ => (None, None),
    };
    let what = match (&volume.host_path, sort) {
        (Some(path), "host-path") => {
            let kind = if path.kind.is_empty() { "any" } else { path.kind.as_str() };
            format!("{} on node {node} is not of type {kind}", path.path)
        }
        _ => format!("the volume {} cannot be mounted", volume.name),
    };
    let sentence = match (&volume.host_path, sort) {
        (Some(path), "host-path") => format!(
            "The volume {} wants {} to be a {} on the node, and on {node} it is not.",
            volume.name, path.path, path.kind
        ),
        _ => format!("Node {node} cannot mount the volume {}: {why}.", volume.name),
    };
    let path = case.spot.as_ref().and_then(|spot| {
        let path = spot.volume(&volume.name)?;
        Some(part.map_or_else(|| path.clone(), |(source, key)| path.key(source).key(key)))
    });
    let whole = case.spot.as_ref().and_then(|spot| spot.volume(&volume.name));
    let changed = whole.and_then(|whole| {
        blame::template_change(case.view, case.workload, Some(case.pod), event.first_seen(), |field| {
            whole.is_touched_by(field).then_some(0)
        })
    });
    let outside = matches!(sort, "server" | "denied");
    let cause = match (changed, &case.spot, path) {
        (Some(blame), _, _) => {
            let sentence = format!("{} was {}. {sentence}", blame.field().field, blame.words());
            blame.cause(case.view, sentence)
        }
        (None, Some(spot), Some(path)) => {
            let kind = if outside { CauseKind::External } else { CauseKind::Resource };
            spot.names(kind, &path, value.map(Into::into), sentence)
        }
        _ => Cause::plain(CauseKind::Resource, Some(&case.workload.reference()), sentence),
    };
    let mut finding = case.finding("mount-failed", Some(sort), &what, cause);
    finding.verdict = match sort {
        "host-path" => Verdict::Confirmed,
        "failed" => Verdict::Possible,
        _ => Verdict::Likely,
    };
    if let (Some(path), "host-path") = (&volume.host_path, sort) {
        let text = format!("the volume {} asks for {} of type {}", volume.name, path.path, path.kind);
        finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, case.pod, text));
    }
    if let Some(spot) = &case.spot {
        let sentence = match sort {
            "host-path" => {
                "Make the path on every node the pods may run on, or set its type to DirectoryOrCreate or correct it."
            }
            _ => "Correct the volume, or mend what it names.",
        };
        finding.remedies.push(spot.patch(None, sentence));
    }
    finding.evidence.push(case.told(event));
    finding
}

/// Only that it took too long is told, by the kubelet for all volumes together: what failed has been forgotten, or nothing
/// has failed yet and nothing gets ahead.
pub(super) fn timed_out(case: &Case<'_, '_>, mounting: &[&Event]) -> Option<Finding> {
    let is_summary =
        |event: &&&Event| event.message.to_ascii_lowercase().starts_with("unable to attach or mount volumes");
    let event = mounting.iter().find(is_summary)?;
    // Those that name a ConfigMap or Secret are failures of their own.
    if mounting.iter().any(|event| !is_summary(&event)) {
        return None;
    }
    let (_, rest) = event.message.split_once("unmounted volumes=[")?;
    let (names, _) = rest.split_once(']')?;
    let late = |volume: &&Volume| {
        let of_storage = volume.persistent_volume_claim.is_some()
            || volume.ephemeral.is_some()
            || volume.csi.is_some()
            || volume.nfs.is_some()
            || volume.host_path.is_some();
        of_storage && names.split([' ', ',']).any(|name| name == volume.name)
    };
    let volume = case.body.spec.volumes.iter().find(late)?;
    let claim = case.claims().into_iter().find(|(own, ..)| own.name == volume.name).map(|(_, claim, _)| claim);
    let reference = claim.map_or_else(|| case.workload.reference(), persistent);
    let what = match claim {
        Some(claim) => format!("the volume of claim {}", claim.meta.name),
        None => format!("the volume {}", volume.name),
    };
    let node = case.body.spec.node_name.as_str();
    let sentence = format!("Node {node} has not got {what} in time, and nothing says why.");
    let cause = Cause::plain(CauseKind::External, Some(&reference), sentence);
    let title = format!("{what} is not there in time, and nothing says why");
    let mut finding = case.finding("mount-failed", Some("timeout"), &title, cause);
    finding.verdict = Verdict::Possible;
    finding.remedies.push(spot::remedy(
        RemedyKind::Outside,
        &reference,
        format!(
            "Look at its VolumeAttachment, and at the log of the kubelet and of the volume's node plugin on {node}."
        ),
    ));
    finding.evidence.push(case.told(event));
    Some(finding)
}

/// The Secret of a CSI volume that is named as absent: `fetching NodePublishSecretRef NAMESPACE/NAME failed: … secrets
/// "NAME" not found`.
fn secret(case: &Case<'_, '_>, said: &str) -> Option<ResourceRef> {
    let (before, rest) = said.split_once("secrets \"")?;
    let (name, after) = rest.split_once('"')?;
    if !after.contains("not found") {
        return None;
    }
    let named = before.split_once("SecretRef ").and_then(|(_, rest)| rest.split([' ', ':']).next()?.split_once('/'));
    let namespace = named.map(|(namespace, _)| namespace).or(case.pod.meta.namespace.as_deref());
    Some(ResourceRef::new(Kind::Secret, namespace, name))
}

/// The volume wants a Secret that does not exist. `None` where it has come since.
fn of_secret(case: &Case<'_, '_>, event: &Event, volume: &str, target: &ResourceRef) -> Option<Finding> {
    let verdict = match case.view.look_up(target) {
        Lookup::Found(_) => return None,
        Lookup::Absent { .. } => Verdict::Confirmed,
        Lookup::Unread => Verdict::Likely,
    };
    let name = describe::name(target);
    let sentence = format!("The Secret {name}, with which {volume} is mounted, does not exist.");
    let cause = Cause::plain(CauseKind::Resource, Some(target), sentence);
    let title = format!("the Secret {name}, with which {volume} is mounted, does not exist");
    let mut finding = case.finding("mount-failed", Some("secret-missing"), &title, cause);
    finding.verdict = verdict;
    if verdict == Verdict::Confirmed {
        finding.evidence.push(Fact {
            role: Role::Cause,
            source: Source::Absence,
            at: None,
            about: target.clone(),
            text: format!("Secret {name} does not exist"),
            raw: None,
        });
    }
    finding.remedies.push(spot::remedy(
        RemedyKind::Create,
        target,
        format!("Make the Secret {name}, or correct the volume."),
    ));
    finding.evidence.push(case.told(event));
    Some(finding)
}
