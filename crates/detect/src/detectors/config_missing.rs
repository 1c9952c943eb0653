//! ConfigMaps, Secrets and keys that a pod refers to and that are not there.

use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Lookup, Place, View, blame, describe, ownership};
use reckon_model::document::{Cause, CauseKind, Role, Source, Verdict};
use reckon_model::k8s::{ContainerType, PodSpec};
use reckon_model::{Body, Kind, Object, ResourceRef, Timestamp};
use serde_json::json;

const fn failure(slug: &'static str, title: &'static str) -> Failure {
    Failure { slug, title, stage: Stage::Config, family: "config", echo: false, verified: Verified::Live }
}

pub(crate) static DETECTOR: Detector = Detector {
    name: "config_missing",
    failures: &[
        failure("config-ref-missing", "A ConfigMap or Secret does not exist"),
        failure("config-key-missing", "A key of a ConfigMap or Secret does not exist"),
    ],
    subjects: &[Kind::Pod],
    page: include_str!("config_missing.md"),
    detect,
};

/// One place in a pod spec that needs a ConfigMap or Secret.
struct Needed {
    kind: Kind,
    name: String,
    key: Option<String>,
    /// Below the pod spec, both notations.
    field: String,
    pointer: String,
    container: Option<(String, ContainerType)>,
}

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    if subject.meta.deleted.is_some() || pod.spec.node_name.is_empty() || pod.is_finished() {
        return Vec::new();
    }
    let waiting = |reason: &str| {
        pod.containers().any(|(_, _, status)| {
            status.and_then(|status| status.state.waiting.as_ref()).is_some_and(|waiting| waiting.reason == reason)
        })
    };
    // Environment is resolved when a container is created, volumes before: the kubelet names what it misses in both cases.
    if !waiting("CreateContainerConfigError") && !waiting("ContainerCreating") && !waiting("PodInitializing") {
        return Vec::new();
    }
    let mut said: Vec<(String, Option<Timestamp>)> = pod
        .containers()
        .filter_map(|(_, _, status)| status?.state.waiting.as_ref())
        .filter(|waiting| waiting.reason == "CreateContainerConfigError")
        .map(|waiting| (waiting.message.clone(), None))
        .collect();
    let mounts = view
        .events(subject)
        .into_iter()
        .filter(|event| event.reason == "FailedMount" && !event.message.contains("not registered"));
    said.extend(mounts.map(|event| (event.message.clone(), event.last_seen())));
    needed(&pod.spec)
        .into_iter()
        .filter_map(|need| {
            let (message, at) = said.iter().find(|(message, _)| names(message, &need))?;
            missing(view, subject, need, message, *at)
        })
        .collect()
}

/// Whether the kubelet's words are about this place.
fn names(message: &str, need: &Needed) -> bool {
    let kind = need.kind.name().to_lowercase();
    let lower = message.to_lowercase();
    let named = message.contains(&format!("\"{}\"", need.name)) || message.contains(&format!("/{}", need.name));
    match &need.key {
        None => named && lower.contains(&kind) && lower.contains("not found"),
        Some(key) => {
            let absent = named && lower.contains(&kind) && lower.contains("not found");
            let without = message.contains(&format!("key {key} in"))
                || (lower.contains("non-existent") && message.contains(key.as_str()));
            absent || without
        }
    }
}

fn missing<'a>(
    view: &View<'a>,
    subject: &'a Object,
    need: Needed,
    message: &str,
    at: Option<Timestamp>,
) -> Option<Finding> {
    let workload = view.workload_of(subject);
    let (prefix, base) = match workload.kind {
        Kind::Pod => ("spec", "/spec"),
        Kind::CronJob => ("spec.jobTemplate.spec.template.spec", "/spec/jobTemplate/spec/template/spec"),
        _ => ("spec.template.spec", "/spec/template/spec"),
    };
    let (field, pointer) = (format!("{prefix}.{}", need.field), format!("{base}/{}", need.pointer));
    let target = ResourceRef::new(need.kind.clone(), subject.meta.namespace.as_deref(), &need.name);
    let who = describe::object(workload);
    let (slug, title, cause, verdict) = match (view.look_up(&target), &need.key) {
        (Lookup::Found(found), Some(key)) => {
            let Body::Config(config) = &found.body else { return None };
            if config.keys.as_ref().is_some_and(|keys| keys.contains(key)) {
                return None;
            }
            let near = config.keys.iter().flatten().find(|known| blame::distance(known, key) <= 2);
            let hint = near.map(|near| format!("; it has a key {near}")).unwrap_or_default();
            let what = format!("{} {} has no key {key}", need.kind, target.name);
            let changed = near
                .is_none()
                .then(|| {
                    blame::object_change(view, found, None, |change| change.field.contains(key.as_str()).then_some(0))
                })
                .flatten();
            let cause = match changed {
                Some(blame) => {
                    let sentence = format!(
                        "The key {key} of {} {} was {}, and {who} needs it.",
                        need.kind,
                        target.name,
                        blame.words()
                    );
                    blame.cause(view, sentence)
                }
                None => {
                    let mut cause = Cause::plain(
                        CauseKind::Resource,
                        Some(&workload.reference()),
                        format!("{who} asks for the key {key}, but {what}{hint}."),
                    );
                    cause.managed_by = ownership::managed_by(workload).map(str::to_owned);
                    cause.at_field(field, pointer, Some(json!(key)))
                }
            };
            ("config-key-missing", format!("{who} cannot start: {what}{hint}"), cause, Verdict::Confirmed)
        }
        (Lookup::Found(_), None) => return None,
        (found, _) => {
            // The kubelet's word is a direct observation even where nobody may look.
            let sure = matches!(found, Lookup::Absent { .. });
            let cause = blame::missing_reference(view, workload, &target, &field, &pointer);
            let title = format!("{who} cannot start: {} {} does not exist", need.kind, target.name);
            ("config-ref-missing", title, cause, if sure { Verdict::Confirmed } else { Verdict::Likely })
        }
    };
    let place = match need.container {
        Some((name, kind)) => Place::container(workload, &name, kind),
        None => Place::of(workload),
    };
    let mut finding = Finding::new(slug, place, title, cause);
    finding.shows_on = [subject.reference()].into();
    finding.verdict = verdict;
    finding.opened = at.or(subject.meta.created);
    finding.evidence.push(
        Fact::new(
            Role::Symptom,
            Source::Status,
            at,
            subject,
            format!("the kubelet says: {}", reckon_model::text::shorten(message.trim(), 300)),
        )
        .raw(json!(message)),
    );
    if matches!(slug, "config-ref-missing") && verdict == Verdict::Confirmed {
        let text = format!("there is no {} {} in the namespace", need.kind, target.name);
        finding.evidence.push(Fact::new(Role::Cause, Source::Absence, None, subject, text));
    }
    Some(finding)
}

/// Every place of a pod spec that needs a ConfigMap or Secret, the optional ones left out.
fn needed(spec: &PodSpec) -> Vec<Needed> {
    let mut needed = Vec::new();
    let lists = [("initContainers", &spec.init_containers), ("containers", &spec.containers)];
    for (list, containers) in lists {
        for (at, container) in containers.iter().enumerate() {
            let place = spec.container(&container.name).map(|(kind, _)| (container.name.clone(), kind));
            for (index, variable) in container.env.iter().enumerate() {
                let Some(source) = &variable.value_from else { continue };
                for (kind, part, reference) in [
                    (Kind::ConfigMap, "configMapKeyRef", &source.config_map_key_ref),
                    (Kind::Secret, "secretKeyRef", &source.secret_key_ref),
                ] {
                    let Some(reference) = reference.as_ref().filter(|reference| !reference.optional) else { continue };
                    needed.push(Needed {
                        kind,
                        name: reference.name.clone(),
                        key: Some(reference.key.clone()),
                        field: format!("containers[{}].env[{}].valueFrom.{part}", container.name, variable.name),
                        pointer: format!("{list}/{at}/env/{index}/valueFrom/{part}"),
                        container: place.clone(),
                    });
                }
            }
            for (index, from) in container.env_from.iter().enumerate() {
                for (kind, part, source) in [
                    (Kind::ConfigMap, "configMapRef", &from.config_map_ref),
                    (Kind::Secret, "secretRef", &from.secret_ref),
                ] {
                    let Some(source) = source.as_ref().filter(|source| !source.optional) else { continue };
                    needed.push(Needed {
                        kind,
                        name: source.name.clone(),
                        key: None,
                        field: format!("containers[{}].envFrom[{index}].{part}.name", container.name),
                        pointer: format!("{list}/{at}/envFrom/{index}/{part}/name"),
                        container: place.clone(),
                    });
                }
            }
        }
    }
    for (at, volume) in spec.volumes.iter().enumerate() {
        let mut sources = vec![
            (Kind::ConfigMap, "configMap.name".to_owned(), &volume.config_map),
            (Kind::Secret, "secret.secretName".to_owned(), &volume.secret),
        ];
        for (index, source) in volume.projected.iter().flat_map(|projected| &projected.sources).enumerate() {
            sources.push((Kind::ConfigMap, format!("projected.sources[{index}].configMap.name"), &source.config_map));
            sources.push((Kind::Secret, format!("projected.sources[{index}].secret.name"), &source.secret));
        }
        for (kind, part, source) in sources {
            let Some(source) = source.as_ref().filter(|source| !source.optional) else { continue };
            let pointer = part.replace("[", "/").replace("]", "").replace('.', "/");
            let place = |key: Option<String>| Needed {
                kind: kind.clone(),
                name: source.name.clone(),
                key,
                field: format!("volumes[{}].{part}", volume.name),
                pointer: format!("volumes/{at}/{pointer}"),
                container: None,
            };
            needed.push(place(None));
            needed.extend(source.items.iter().map(|item| place(Some(item.key.clone()))));
        }
    }
    // A reference to a key is named at its key where the object is there, at the object's name where it is not.
    for need in &mut needed {
        if need.key.is_some() && need.field.ends_with("KeyRef") {
            need.field.push_str(".key");
            need.pointer.push_str("/key");
        }
    }
    needed.sort_by(|a, b| (&a.container, &a.field).cmp(&(&b.container, &b.field)));
    needed.dedup_by(|a, b| a.kind == b.kind && a.name == b.name && a.key == b.key && a.container == b.container);
    needed
}
