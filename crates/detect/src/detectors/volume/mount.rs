//! Volumes that are not mounted.

use super::Case;
use super::attach::ending;
use crate::finding::{Fact, Finding};
use crate::{blame, spot};
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

/// Sorts of failure by their words, in lower case; the first that fits wins.
const SORTS: &[(&str, &[&str])] = &[
    ("host-path", &["hostpath type check failed"]),
    ("driver-missing", &["not found in the list of registered csi drivers"]),
    (
        "helper-missing",
        &["you might need a /sbin/mount.", "need a helper program", "exec: \"mount.nfs\"", "unknown filesystem type"],
    ),
    // The last two: the server was reached and has not what was asked of it.
    (
        "path-missing",
        &["path \"", "local volume plugin", "reason given by server: no such file", "mount error(2): no such file"],
    ),
    ("filesystem", &["wrong fs type", "bad superblock", "fsck", "structure needs cleaning", "input/output error"]),
    ("denied", &["access denied", "permission denied", "not permitted", "accessdenied", "unauthorized"]),
    ("server", &["connection timed out", "connection refused", "no route to host", "no such host", "host is down"]),
];

/// What an Event `FailedMount` or `FailedMapVolume` is about.
pub(super) fn found(case: &Case<'_, '_>, event: &Event) -> Option<Finding> {
    let due = event.first_seen().and_then(|at| at.checked_add(PATIENCE).ok());
    if let Some(due) = due.filter(|due| *due > case.view.now()) {
        case.view.recheck_at(due);
        return None;
    }
    let said = event.message.to_lowercase();
    let meant = case.meant(&event.message);
    let mut sort = SORTS
        .iter()
        .find(|(_, phrases)| phrases.iter().any(|phrase| said.contains(phrase)))
        .map_or("failed", |(sort, _)| *sort);
    if sort == "path-missing" && !(said.contains("does not exist") || said.contains("no such file")) {
        sort = "failed";
    }
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
fn persistent(claim: &Object) -> ResourceRef {
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
