//! Programs that run with what a ConfigMap or Secret held before.
//!
//! Variables, and single files of a volume (`subPath`), are read when a container starts, and never again.

use super::configuration::{self, Edited};
use super::template::Site;
use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View, describe};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Container, ContainerStatus, ContainerType, Pod};
use reckon_model::{Kind, Object, ResourceRef, Timestamp};

pub(crate) static DETECTOR: Detector = Detector {
    name: "stale_config",
    failures: &[Failure {
        slug: "stale-config",
        title: "A program runs with an old configuration",
        stage: Stage::Rollout,
        family: "stale-config",
        echo: false,
        verified: Verified::Live,
        page: include_str!("../pages/stale-config.md"),
    }],
    subjects: &[Kind::Pod],
    others: &[],
    detect,
};

/// Who edits, or a controller that reloads, restarts the pods within this time.
const GRACE: SignedDuration = SignedDuration::from_mins(10);

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    if subject.meta.deleted.is_some() || !pod.is_ready() {
        return Vec::new();
    }
    pod.containers()
        .filter(|(kind, ..)| matches!(kind, ContainerType::App | ContainerType::Sidecar))
        .filter_map(|(kind, container, status)| look(view, subject, pod, kind, container, status?))
        .collect()
}

/// What a container takes from a ConfigMap or Secret at its start.
struct Taken<'p> {
    from: ResourceRef,
    /// The key; `None` for all of them.
    key: Option<&'p str>,
    /// As what: the variable, the path.
    called: Option<&'p str>,
    /// The field of the container.
    field: &'static str,
}

fn taken<'p>(pod: &'p Pod, container: &'p Container, namespace: Option<&str>) -> Vec<Taken<'p>> {
    let mut all = Vec::new();
    let of = |kind: Kind, name: &str| ResourceRef::new(kind, namespace, name);
    for variable in &container.env {
        let Some(source) = &variable.value_from else { continue };
        let maps = source.config_map_key_ref.as_ref().map(|from| (Kind::ConfigMap, from));
        for (kind, from) in maps.into_iter().chain(source.secret_key_ref.as_ref().map(|from| (Kind::Secret, from))) {
            let (key, called) = (Some(from.key.as_str()), Some(variable.name.as_str()));
            all.push(Taken { from: of(kind, &from.name), key, called, field: "env" });
        }
    }
    for from in &container.env_from {
        let maps = from.config_map_ref.as_ref().map(|map| of(Kind::ConfigMap, &map.name));
        for from in maps.into_iter().chain(from.secret_ref.as_ref().map(|secret| of(Kind::Secret, &secret.name))) {
            all.push(Taken { from, key: None, called: None, field: "envFrom" });
        }
    }
    for mount in container.volume_mounts.iter().filter(|mount| !mount.sub_path.is_empty()) {
        let Some(volume) = pod.spec.volumes.iter().find(|volume| volume.name == mount.name) else { continue };
        let maps = volume.config_map.as_ref().map(|map| of(Kind::ConfigMap, &map.name));
        let secrets = volume.secret.as_ref().map(|secret| of(Kind::Secret, &secret.name));
        for from in maps.into_iter().chain(secrets) {
            // The path is the key, unless the volume names its files otherwise.
            let (key, called) = (Some(mount.sub_path.as_str()), Some(mount.mount_path.as_str()));
            all.push(Taken { from, key, called, field: "volumeMounts" });
        }
    }
    all
}

fn look<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    kind: ContainerType,
    container: &'a Container,
    status: &'a ContainerStatus,
) -> Option<Finding> {
    let started = status.state.running.as_ref()?.started_at?;
    let namespace = subject.meta.namespace.as_deref();
    let stale = taken(pod, container, namespace).into_iter().find_map(|taken| {
        let object = view.known_one(&taken.from)?;
        // Of most nobody has written since, and their history needs no reading.
        let newest = object.meta.managers.iter().filter_map(|manager| manager.time).max()?;
        if newest <= started {
            return None;
        }
        let change = configuration::changed(view, object, Some(started), None)?;
        // That somebody wrote something is no word about a key.
        let changed = if change.fields.is_empty() { Vec::new() } else { configuration::keys(object, &change) };
        let key = changed.into_iter().find(|key| taken.key.is_none_or(|own| own == key))?;
        (change.at > started).then_some((taken, Edited { object, change, key: Some(key) }))
    });
    let (taken, edited) = stale?;
    let due = edited.change.at.checked_add(GRACE).ok()?;
    if !view.reached(due) {
        view.recheck_at(due);
        return None;
    }
    Some(finding(view, subject, (kind, container), started, &taken, &edited))
}

fn finding<'a>(
    view: &View<'a>,
    subject: &'a Object,
    (kind, container): (ContainerType, &'a Container),
    started: Timestamp,
    taken: &Taken<'_>,
    edited: &Edited<'a>,
) -> Finding {
    let workload = view.workload_of(subject);
    let name = &container.name;
    let at = edited.change.at;
    let key = edited.key.as_deref().unwrap_or_default();
    let called = taken.called.filter(|called| *called != key).map(|called| format!(" ({called})")).unwrap_or_default();
    let what = format!("{key}{called} of {}", edited.name());
    let since = |pod: &&&'a Object| {
        let mut own = pod.pod().into_iter().flat_map(Pod::containers).filter(|(_, own, _)| own.name == *name);
        own.any(|(.., status)| {
            let running = status.and_then(|status| status.state.running.as_ref()?.started_at);
            running.is_some_and(|running| running > at)
        })
    };
    let pods = view.pods_of(workload).items;
    let newer = pods.iter().find(since);
    let by = edited.change.actor.as_ref().map(|actor| format!(" by {}", actor.manager)).unwrap_or_default();
    let apart = if newer.is_some() { ", and other pods of it with the new one" } else { "" };
    let title = format!("{}: {name} runs with the old value of {what}{apart}", describe::object(workload));
    let sentence = format!(
        "{what} was changed at {}{by}, and {name} has taken it at its start, at {}: it does not see the change before it is started again.",
        describe::time(at),
        describe::time(started)
    );
    let site = Site::new(workload, name);
    let cause = Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence);
    let mut finding = Finding::new(
        "stale-config",
        Place::container(workload, name, kind),
        title,
        site.blame(cause, taken.field, None),
    );
    finding.class = Some(if newer.is_some() { "apart" } else { "behind" });
    finding.shows_on = [subject.reference()].into();
    finding.opened = Some(at);
    let before = edited
        .change
        .fields
        .iter()
        .any(|field| field.from.is_some() && field.pointer.ends_with(&reckon_model::diff::escape(key)));
    finding.verdict = if before { Verdict::Confirmed } else { Verdict::Likely };
    finding.severity = if newer.is_some() { Severity::Warning } else { Severity::Info };
    let words = format!("{} was written{by}", edited.object.reference());
    finding.evidence.push(Fact::new(Role::Cause, Source::Change, Some(at), edited.object, words));
    let words = format!("{name} of {} runs since then", subject.meta.name);
    finding.evidence.push(Fact::new(Role::Symptom, Source::Status, Some(started), subject, words));
    if let Some(newer) = newer {
        let words = format!("{} was started after the change", newer.meta.name);
        finding.evidence.push(Fact::new(Role::Cause, Source::Status, None, newer, words));
    }
    let sentence = match workload.kind {
        Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet => format!(
            "Restart the pods: kubectl rollout restart {}/{} -n {}.",
            workload.kind.singular(),
            workload.meta.name,
            workload.namespace()
        ),
        _ => format!("Make {} anew, so that {name} reads it again.", describe::object(workload)),
    };
    finding.remedies.push(site.advice(RemedyKind::Restart, sentence));
    finding
}
