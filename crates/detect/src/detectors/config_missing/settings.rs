//! Settings with which no container is made: an image that would run as root where that is forbidden, a volume at a path
//! that cannot be.

use crate::finding::{Fact, Finding, Place};
use crate::spot::{self, Spot};
use crate::{View, blame, describe};
use reckon_model::document::{Cause, CauseKind, Role, Source, Verdict};
use reckon_model::k8s::{Container, ContainerStatus, ContainerType, Pod};
use reckon_model::{FieldChange, Object, text};
use serde_json::{Value, json};

/// The kubelet's words where not the image but `runAsUser: 0` asks for root.
const TOLD_ROOT: &str = "container's runAsUser breaks non-root policy";

pub(super) fn found<'a>(view: &View<'a>, subject: &'a Object, pod: &'a Pod) -> Vec<Finding> {
    pod.containers()
        .filter_map(|(kind, container, status)| {
            let (word, message) = told(status?)?;
            if message.contains("container has runAsNonRoot and ") || message.contains(TOLD_ROOT) {
                Some(as_root(view, subject, pod, (kind, container), word, message))
            } else if is_about_path(message) {
                Some(bad_path(view, subject, pod, (kind, container), word, message))
            } else {
                None
            }
        })
        .collect()
}

/// Why a container is not made or does not start: its waiting message, or the end of the attempt.
fn told(status: &ContainerStatus) -> Option<(&str, &str)> {
    if let Some(waiting) = &status.state.waiting {
        let made = matches!(
            waiting.reason.as_str(),
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError"
        );
        if made {
            return Some((&waiting.reason, &waiting.message));
        }
        if waiting.reason != "CrashLoopBackOff" {
            return None;
        }
    }
    if status.state.running.is_some() {
        return None;
    }
    let end = status.last_end()?;
    matches!(end.reason.as_str(), "StartError" | "ContainerCannotRun")
        .then_some((end.reason.as_str(), end.message.as_str()))
}

fn is_about_path(message: &str) -> bool {
    message.contains("failed to create subPath directory for volumeMount")
        || message.contains("failed to prepare subPath for volumeMount")
        || (message.contains("error mounting \"") && message.contains("to rootfs"))
}

struct Parts<'a> {
    workload: &'a Object,
    spot: Option<Spot<'a>>,
}

fn parts<'a>(view: &View<'a>, subject: &'a Object) -> Parts<'a> {
    let workload = view.workload_of(subject);
    Parts { workload, spot: Spot::of(workload) }
}

fn finish(
    (subject, pod, workload): (&Object, &Pod, &Object),
    (kind, container): (ContainerType, &Container),
    (slug, class, what): (&'static str, &'static str, &str),
    cause: Cause,
    (word, message): (&str, &str),
) -> Finding {
    let title = format!("{}: {} cannot start, {what}", describe::object(workload), container.name);
    let mut finding = Finding::new(slug, Place::container(workload, &container.name, kind), title, cause);
    finding.class = Some(class);
    finding.verdict = Verdict::Confirmed;
    finding.severity = spot::severity(workload);
    finding.shows_on = [subject.reference()].into();
    let words = text::clean_line(message.trim());
    let fact = format!("{} waits with {word}: {}", container.name, text::shorten(&words, 300));
    let at = pod.status.start_time.or(subject.meta.created);
    finding.evidence.push(
        Fact::new(Role::Symptom, Source::Status, at, subject, fact).raw(json!({"reason": word, "message": message})),
    );
    finding
}

fn as_root<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    of: (ContainerType, &'a Container),
    word: &str,
    message: &str,
) -> Finding {
    let container = of.1;
    let Parts { workload, spot } = parts(view, subject);
    let named = message.split_once("non-numeric user (").and_then(|(_, rest)| rest.split_once(')'));
    let (class, why) = match named {
        Some((user, _)) => (
            "user-by-name",
            format!(
                "its image names its user ({user}) and not the user's number, so nobody can tell whether it is root"
            ),
        ),
        None if message.contains(TOLD_ROOT) => {
            ("user-zero", "its runAsUser is 0, which is root and which runAsNonRoot forbids".to_owned())
        }
        None if message.contains("invalid user id") => ("invalid-user", "its user's number is not valid".to_owned()),
        None => ("root", "its image would run as root, which runAsNonRoot forbids".to_owned()),
    };
    let fits = |change: &FieldChange| {
        let own = format!("[{}]", container.name);
        let pods = change.field.contains("spec.securityContext");
        let image = change.field.ends_with(&format!("{own}.image"));
        if pods || change.field.contains(&format!("{own}.securityContext")) { Some(0) } else { image.then_some(1) }
    };
    let sentence = format!("{} may not run as root, and {why}.", container.name);
    let own = spot.as_ref().and_then(|spot| {
        let key = if class == "user-zero" { "runAsUser" } else { "runAsNonRoot" };
        let own = spot.container(&container.name)?.key("securityContext").key(key);
        let pods = spot.path("securityContext").key(key);
        Some(if spot.written(&own).is_some() || spot.written(&pods).is_none() { own } else { pods })
    });
    let cause = match (blame::template_change(view, workload, Some(subject), None, fits), &spot, own) {
        (Some(blame), _, _) => blame.cause(view, format!("{} was {}. {sentence}", blame.field().field, blame.words())),
        (None, Some(spot), Some(path)) => {
            let written = if class == "user-zero" { json!(0) } else { Value::Bool(true) };
            spot.wrong(&path, Some(written), sentence)
        }
        _ => Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence),
    };
    let mut finding = finish((subject, pod, workload), of, ("run-as-non-root", class, &why), cause, (word, message));
    if let Some(spot) = &spot {
        finding.remedies.push(spot.patch(
            None,
            format!("Set securityContext.runAsUser of {} to a number that its image can run as, or build the image with USER and a number.", container.name),
        ));
    }
    finding
}

fn bad_path<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    of: (ContainerType, &'a Container),
    word: &str,
    message: &str,
) -> Finding {
    let container = of.1;
    let Parts { workload, spot } = parts(view, subject);
    let sub_path = message.contains("subPath");
    // `… for volumeMount "v" of container "c"`, or `error mounting "…" to rootfs at "/etc/app.conf": …`.
    let volume = message.split_once("volumeMount \"").and_then(|(_, rest)| rest.split_once('"')).map(|(name, _)| name);
    let path = message.split_once("to rootfs at \"").and_then(|(_, rest)| rest.split_once('"')).map(|(path, _)| path);
    let index = container.volume_mounts.iter().position(|mount| {
        volume == Some(mount.name.as_str())
            || path.is_some_and(|path| path.trim_end_matches('/') == mount.mount_path.trim_end_matches('/'))
    });
    let mount = index.and_then(|index| container.volume_mounts.get(index));
    let (class, what) = match mount {
        Some(mount) if sub_path => {
            ("sub-path", format!("the part {} of the volume {} cannot be mounted", mount.sub_path, mount.name))
        }
        Some(mount) if message.contains("not a directory") => (
            "file-or-directory",
            format!(
                "the volume {} is mounted at {}, and one is a file and the other a directory",
                mount.name, mount.mount_path
            ),
        ),
        Some(mount) => ("mount-path", format!("the volume {} cannot be mounted at {}", mount.name, mount.mount_path)),
        None => ("mount-path", "a volume cannot be mounted at its path".to_owned()),
    };
    let place = spot.as_ref().and_then(|spot| {
        let mount = mount?;
        let (_, own) = spot.spec.container(&container.name)?;
        let index = own.volume_mounts.iter().position(|other| other.mount_path == mount.mount_path)?;
        let item = spot.container(&container.name)?.key("volumeMounts").item(&mount.mount_path, index);
        Some(item)
    });
    let changed = place.as_ref().and_then(|place| {
        blame::template_change(view, workload, Some(subject), None, |change| place.is_touched_by(change).then_some(0))
    });
    let sentence = format!("In {}, {what}.", container.name);
    let cause = match (changed, &spot, &place, mount) {
        (Some(blame), ..) => blame.cause(view, format!("{} was {}. {sentence}", blame.field().field, blame.words())),
        (None, Some(spot), Some(place), Some(mount)) => {
            let (path, value) = if sub_path {
                (place.key("subPath"), mount.sub_path.clone())
            } else {
                (place.key("mountPath"), mount.mount_path.clone())
            };
            spot.wrong(&path, Some(value.into()), sentence)
        }
        _ => Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence),
    };
    let mut finding =
        finish((subject, pod, workload), of, ("mount-path-invalid", class, &what), cause, (word, message));
    if let Some(spot) = &spot {
        let sentence = match class {
            "file-or-directory" => "Mount a single key as a file with subPath, or mount the volume at a directory.",
            "sub-path" => "Correct subPath, or make that path in the volume.",
            _ => "Correct mountPath.",
        };
        finding.remedies.push(spot.patch(None, sentence));
    }
    finding
}
