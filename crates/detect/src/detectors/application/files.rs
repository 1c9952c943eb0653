//! Files that a program may not touch, and places where nothing can be written.

use super::Speaker;
use crate::blame::{self, Blame};
use crate::detectors::template::Site;
use crate::spot::{Path, Spot};
use crate::{Fact, Finding};
use reckon_model::FieldChange;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::{Volume, VolumeMount};
use serde_json::{Value, json};

/// Where nothing can be written: the root of a container, or a mount.
pub(super) fn read_only(speaker: &Speaker<'_, '_>, path: &str) -> Option<Finding> {
    const SLUG: &str = "read-only-root";
    let why = format!("it writes to {path}, where nothing can be written");
    let spot = Spot::of(speaker.workload)?;
    let own = spot.container(&speaker.container.name)?;
    if let Some((at, mount, volume)) = mounted(speaker, path) {
        let of_config = volume.config_map.is_some() || volume.secret.is_some() || volume.projected.is_some();
        let field = own.key("volumeMounts").item(&mount.name, at).key("readOnly");
        let set = spot.written(&field) == Some(Value::Bool(true));
        if !of_config && !set {
            // The disk itself is read-only: its node's affair.
            return None;
        }
        let (field, value, words) = if set {
            let words = format!("the mount {} is read-only", mount.mount_path);
            (field, Some(Value::Bool(true)), words)
        } else {
            let words = format!("{} is a ConfigMap or Secret, which no program can write", mount.mount_path);
            (own.key("volumeMounts").item(&mount.name, at), None, words)
        };
        let sentence = format!("{} writes to {path}, and {words}.", speaker.who());
        let changed = change_of(speaker, &field);
        let cause = match &changed {
            Some(blame) => blame.cause(speaker.view, format!("{} was {}: {sentence}", field.field, blame.words())),
            None => spot.wrong(&field, value, sentence),
        };
        let mut finding = speaker.claim(SLUG, Some("mount"), &why, cause);
        finding.verdict = Verdict::Confirmed;
        finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, speaker.workload, words));
        let site = Site::new(speaker.workload, &speaker.container.name);
        finding.remedies.push(match changed {
            Some(blame) => site.revert(&blame).into_iter().next()?,
            None => site.advice(
                RemedyKind::Patch,
                format!("Let {} write elsewhere, or mount a volume there that can be written.", speaker.container.name),
            ),
        });
        return Some(finding);
    }
    let field = own.key("securityContext").key("readOnlyRootFilesystem");
    if spot.written(&field) != Some(Value::Bool(true)) {
        return None;
    }
    let sentence = format!(
        "{} writes to {path}, and readOnlyRootFilesystem lets it write nowhere but to its volumes.",
        speaker.who()
    );
    let cause = match change_of(speaker, &field) {
        Some(blame) => blame.cause(speaker.view, format!("{} was {}: {sentence}", field.field, blame.words())),
        None => spot.wrong(&field, Some(Value::Bool(true)), sentence),
    };
    let mut finding = speaker.claim(SLUG, Some("root"), &why, cause);
    finding.verdict = Verdict::Confirmed;
    let words =
        format!("readOnlyRootFilesystem of {} is true, and no volume is mounted at {path}", speaker.container.name);
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, speaker.workload, words));
    finding.remedies.push(match writable(path) {
        Some(directory) => {
            let name = format!("writable{}", directory.replace(['/', '.', '_'], "-").to_ascii_lowercase());
            let mount = json!([{"name": name, "mountPath": directory}]);
            let change = json!({
                "volumes": [{"name": name, "emptyDir": {}}],
                Spot::list(speaker.kind): [{"name": speaker.container.name, "volumeMounts": mount}],
            });
            spot.patch(Some(change), format!("Mount an emptyDir at {directory}."))
        }
        None => spot.patch(
            None,
            format!(
                "Mount an emptyDir where {} writes, without hiding what the image holds there.",
                speaker.container.name
            ),
        ),
    });
    Some(finding)
}

/// The directory of a path over which an empty one may be mounted: nothing of a program is there.
fn writable(path: &str) -> Option<&str> {
    const SCRATCH: [&str; 7] = ["/tmp", "/run", "/var/run", "/var/cache", "/var/log", "/var/tmp", "/var/spool"];
    let directory = path.rsplit_once('/')?.0;
    let below = |scratch: &&str| {
        directory == *scratch || directory.strip_prefix(*scratch).is_some_and(|rest| rest.starts_with('/'))
    };
    let plain = directory.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_'));
    (SCRATCH.iter().any(below) && plain && directory.len() < 50).then_some(directory)
}

/// The mount that a path is in: the longest.
pub(super) fn mounted<'a>(speaker: &Speaker<'_, 'a>, path: &str) -> Option<(usize, &'a VolumeMount, &'a Volume)> {
    let mounts = speaker.container.volume_mounts.iter().enumerate();
    let within = |mount: &VolumeMount| {
        let at = mount.mount_path.trim_end_matches('/');
        !at.is_empty() && path.strip_prefix(at).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let (at, mount) = mounts.filter(|(_, mount)| within(mount)).max_by_key(|(_, mount)| mount.mount_path.len())?;
    let volume = speaker.pod.spec.volumes.iter().find(|volume| volume.name == mount.name)?;
    Some((at, mount, volume))
}

/// The change of the template that made this field what it is.
fn change_of(speaker: &Speaker<'_, '_>, path: &Path) -> Option<Blame> {
    let rank = |field: &FieldChange| path.is_touched_by(field).then_some(0);
    blame::template_change(speaker.view, speaker.workload, Some(speaker.subject), None, rank)
}

/// A path that the program may not touch.
pub(super) fn denied(speaker: &Speaker<'_, '_>, path: &str) -> Option<Finding> {
    const SLUG: &str = "file-permission";
    let why = format!("it may not touch {path}");
    let spot = Spot::of(speaker.workload)?;
    let own = spot.container(&speaker.container.name)?.key("securityContext");
    let of_pod = spot.path("securityContext");
    let number = |path: &Path| spot.written(path)?.as_i64();
    let user_path = [own.key("runAsUser"), of_pod.key("runAsUser")].into_iter().find(|path| number(path).is_some());
    let user = user_path.as_ref().and_then(number);
    let group = number(&own.key("runAsGroup")).or_else(|| number(&of_pod.key("runAsGroup")));
    let uid = user.map_or("the user of its image".to_owned(), |user| format!("user {user}"));
    // Whoever is root may touch everything, but for what a capability forbids.
    let mut changed = [own.clone(), of_pod.clone()].iter().find_map(|path| change_of(speaker, path));
    let (class, field, value, words) = match mounted(speaker, path) {
        Some((_, mount, volume)) => {
            let source = [
                ("configMap", volume.config_map.is_some()),
                ("secret", volume.secret.is_some()),
                ("projected", volume.projected.is_some()),
            ];
            match source.iter().find(|(_, is)| *is) {
                Some((source, _)) => {
                    let mode = spot.volume(&volume.name)?.key(source).key("defaultMode");
                    // What everybody may read is denied by something else.
                    let set = number(&mode).filter(|set| set & 0o004 == 0 && user != Some(0))?;
                    changed = change_of(speaker, &mode).or(changed);
                    let words = format!(
                        "{} is mounted with mode {set:04o}, and {} runs as {uid}",
                        mount.mount_path, speaker.container.name
                    );
                    ("mode", mode, Some(json!(set)), words)
                }
                None if volume.host_path.is_some() => {
                    let words = format!(
                        "{} is a directory of the node, to which fsGroup does not apply, and {} runs as {uid}",
                        mount.mount_path, speaker.container.name
                    );
                    ("host-path", spot.volume(&volume.name)?.key("hostPath"), None, words)
                }
                None => {
                    let field = of_pod.key("fsGroup");
                    if let Some(set) = number(&field) {
                        let words = format!("fsGroup is {set}, and {} runs as {uid}", speaker.container.name);
                        ("ownership", field, Some(json!(set)), words)
                    } else {
                        let words = format!(
                            "{} is a volume without fsGroup, and {} runs as {uid}",
                            mount.mount_path, speaker.container.name
                        );
                        ("ownership", field, None, words)
                    }
                }
            }
        }
        None => {
            let field = user_path.clone()?;
            let words = format!("{path} is in the image, and {} runs as {uid}", speaker.container.name);
            ("image", field, user.map(|user| json!(user)), words)
        }
    };
    let sentence = format!("{} may not touch {path}: {words}.", speaker.who());
    let settled = changed.is_some()
        || class == "mode"
        || class == "ownership" && value.is_none() && user.is_some_and(|user| user != 0);
    let cause = match &changed {
        Some(blame) => blame.cause(speaker.view, format!("{} was {}: {sentence}", blame.field().field, blame.words())),
        None => spot.names(CauseKind::Resource, &field, value.clone(), sentence),
    };
    let cause: Cause = cause;
    let mut finding = speaker.claim(SLUG, Some(class), &why, cause);
    finding.verdict = if settled { Verdict::Confirmed } else { Verdict::Likely };
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, speaker.workload, words));
    let site = Site::new(speaker.workload, &speaker.container.name);
    if let Some(blame) = &changed {
        finding.remedies.extend(site.revert(blame));
    }
    match class {
        "ownership" if value.is_none() => {
            let group = group.or(user).filter(|group| *group > 0);
            let patch = group.map(|group| json!({"securityContext": {"fsGroup": group}}));
            let number = group.map_or("a group of its user".to_owned(), |group| group.to_string());
            finding
                .remedies
                .push(spot.patch(patch, format!("Set fsGroup to {number}, so that the volume belongs to it.")));
        }
        "mode" => {
            let sentence = format!("Set {} to 0444 (0555 for what is executed).", field.field);
            finding.remedies.push(spot.patch(None, sentence));
        }
        "host-path" => finding
            .remedies
            .push(spot.patch(None, format!("Let the directory of the node belong to {uid}, or mount another volume."))),
        _ if changed.is_none() => finding.remedies.push(spot.patch(
            None,
            format!(
                "Run {} as the user that its image was made for, or let it write to a volume.",
                speaker.container.name
            ),
        )),
        _ => {}
    }
    Some(finding)
}
