//! ConfigMaps, Secrets and keys that a pod refers to and that are not there, and settings with which no container is made.

mod references;
mod settings;
mod words;

use crate::blame::{self, distance, is_slip};
use crate::catalogue::{Failure, Stage, Verified};
use crate::finding::{Fact, Finding, Place};
use crate::spot::{self, Path, Spot};
use crate::{Detector, Lookup, View, describe, ownership};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::{Config, ContainerType, Pod};
use reckon_model::{Body, Kind, Object, ResourceRef, Timestamp, text};
use references::{Holder, Reference};
use serde_json::json;
use std::collections::BTreeSet;
use words::Lack;

pub(crate) static DETECTOR: Detector = Detector {
    name: "config_missing",
    failures: &[
        failure(
            "config-ref-missing",
            "A ConfigMap or Secret does not exist",
            Verified::Live,
            include_str!("../pages/config-ref-missing.md"),
        ),
        failure(
            "config-key-missing",
            "A key of a ConfigMap or Secret does not exist",
            Verified::Live,
            include_str!("../pages/config-key-missing.md"),
        ),
        failure(
            "run-as-non-root",
            "An image would run as root where that is forbidden",
            Verified::Live,
            include_str!("../pages/run-as-non-root.md"),
        ),
        failure(
            "mount-path-invalid",
            "A volume cannot be mounted at its path in the container",
            Verified::Constructed,
            include_str!("../pages/mount-path-invalid.md"),
        ),
    ],
    subjects: &[reckon_model::Kind::Pod],
    others: &[],
    detect,
};

const fn failure(slug: &'static str, title: &'static str, verified: Verified, page: &'static str) -> Failure {
    Failure { slug, title, stage: Stage::Config, family: "config", echo: false, verified, page }
}

/// Whoever applies a directory of manifests may make the pod before its ConfigMap: that heals in moments.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// A pod that lacks something.
struct Case<'a, 'v> {
    view: &'v View<'a>,
    pod: &'a Object,
    workload: &'a Object,
    onset: Option<Timestamp>,
}

/// What the kubelet says, of which part of the pod, and since when.
struct Said {
    holder: Holder,
    message: String,
    source: Source,
    at: Option<Timestamp>,
}

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    if subject.meta.deleted.is_some() || pod.spec.node_name.is_empty() || pod.is_finished() {
        return Vec::new();
    }
    let mut findings = settings::found(view, subject, pod);
    let said = said(view, subject, pod);
    if said.is_empty() {
        return findings;
    }
    let onset = pod.status.start_time.or(subject.meta.created);
    let case = Case { view, pod: subject, workload: view.workload_of(subject), onset };
    let mut told = BTreeSet::new();
    for said in said {
        for lack in words::lacks(&said.message) {
            if told.insert((said.holder.clone(), lack.clone())) {
                findings.extend(case.missing(&said, &lack));
            }
        }
    }
    findings
}

/// Environment is resolved when a container is made, volumes before all of them: the first is told in the status, the
/// second in Events, which are asked for only when a pod has been at it for a while.
fn said(view: &View<'_>, subject: &Object, pod: &Pod) -> Vec<Said> {
    let onset = pod.status.start_time.or(subject.meta.created);
    let mut said: Vec<Said> = pod
        .containers()
        .filter_map(|(kind, container, status)| {
            let waiting = status?.state.waiting.as_ref()?;
            (waiting.reason == "CreateContainerConfigError").then(|| Said {
                holder: Holder::Container(container.name.clone(), kind),
                message: waiting.message.clone(),
                source: Source::Status,
                at: status.and_then(|status| status.last_end()).and_then(|end| end.finished_at).or(onset),
            })
        })
        .collect();
    let untouched = pod.containers().all(|(_, _, status)| {
        status.is_none_or(|status| {
            status.last_end().is_none()
                && status.state.waiting.as_ref().is_some_and(|waiting| {
                    matches!(waiting.reason.as_str(), "" | "ContainerCreating" | "PodInitializing")
                })
        })
    });
    let from_volumes = references::of(pod).any(|reference| matches!(reference, Holder::Volume(_)));
    if !untouched || !from_volumes || is_fresh(view, subject) {
        return said;
    }
    let events = view.events(subject);
    let progress = events
        .iter()
        .filter(|event| matches!(event.reason.as_str(), "Pulling" | "Pulled" | "Created" | "Started"))
        .filter_map(|event| event.last_seen())
        .max();
    let mounts = events.iter().rev().filter(|event| {
        event.reason == "FailedMount" && event.message.contains("for volume \"") && event.last_seen() > progress
    });
    said.extend(mounts.filter_map(|event| {
        let (_, rest) = event.message.split_once("for volume \"")?;
        let (volume, _) = rest.split_once('"')?;
        Some(Said {
            holder: Holder::Volume(volume.to_owned()),
            message: event.message.clone(),
            source: Source::Event,
            at: event.first_seen(),
        })
    }));
    said
}

/// Whether the pod is younger than what its start may take; asks to look again when it is not.
fn is_fresh(view: &View<'_>, pod: &Object) -> bool {
    let Some(due) = pod.meta.created.and_then(|created| created.checked_add(GRACE).ok()) else { return false };
    view.recheck_at(due);
    !view.reached(due)
}

/// A reference and the object that it is written in: the template, or the pod where something put it there on its way.
struct Written<'a> {
    spot: Option<Spot<'a>>,
    referrer: &'a Object,
    reference: Reference,
}

impl<'a> Case<'a, '_> {
    /// Where the pod says that it needs this; `None` if it does not, or can do without.
    fn written(&self, holder: &Holder, lack: &Lack) -> Option<Written<'a>> {
        for object in [self.workload, self.pod] {
            let Some(spot) = Spot::of(object) else { continue };
            let found = references::all(&spot)
                .into_iter()
                .find(|reference| !reference.optional && reference.holder.is_named_as(holder) && reference.lacks(lack));
            if let Some(reference) = found {
                return Some(Written { spot: Some(spot), referrer: object, reference });
            }
        }
        None
    }

    fn missing(&self, said: &Said, lack: &Lack) -> Option<Finding> {
        let written = self.written(&said.holder, lack)?;
        let reference = &written.reference;
        let target = ResourceRef::new(reference.kind.clone(), self.pod.meta.namespace.as_deref(), &reference.name);
        let found = self.view.look_up(&target);
        let mut finding = match (lack, &found) {
            (Lack::Object { .. }, Lookup::Found(_)) => return None,
            (Lack::Object { .. }, _) => {
                let deleted = matches!(found, Lookup::Absent { deleted: Some(_) });
                if !deleted && is_fresh(self.view, self.pod) {
                    return None;
                }
                self.object_missing(&written, &target, found.is_absent())
            }
            (_, Lookup::Found(object)) => self.key_missing(&written, object)?,
            // The object went after the kubelet had spoken of its key, or may not be read.
            (_, Lookup::Absent { .. }) => self.object_missing(&written, &target, true),
            (_, Lookup::Unread) => self.key_unread(&written, &target),
        };
        finding.severity = spot::severity(self.workload);
        finding.shows_on = [self.pod.reference()].into();
        let words = text::clean_line(said.message.trim());
        let fact = format!("the kubelet says: {}", text::shorten(&words, 300));
        finding.evidence.push(Fact::new(Role::Symptom, said.source, said.at, self.pod, fact).raw(json!(said.message)));
        Some(finding)
    }

    fn finding(&self, slug: &'static str, reference: &Reference, (what, hint): (&str, &str), cause: Cause) -> Finding {
        let who = describe::object(self.workload);
        let (place, subject) = match &reference.holder {
            Holder::Container(name, kind) => (Place::container(self.workload, name, *kind), name.clone()),
            Holder::Volume(name) => (Place::of(self.workload), format!("the volume {name}")),
        };
        Finding::new(slug, place, format!("{who} cannot start: {what}, and {subject} needs it{hint}"), cause)
    }

    fn object_missing(&self, written: &Written<'a>, target: &ResourceRef, sure: bool) -> Finding {
        let Path { field, pointer } = &written.reference.object;
        let what = format!("{} {} does not exist", target.kind, target.name);
        let cause = if sure {
            blame::missing_reference(self.view, written.referrer, target, field, pointer)
        } else {
            Cause::plain(
                CauseKind::Resource,
                Some(target),
                format!("{what}, says the kubelet; it could not be read here."),
            )
        };
        let mut finding = self.finding("config-ref-missing", &written.reference, (&what, ""), cause);
        finding.verdict = if sure { Verdict::Confirmed } else { Verdict::Likely };
        if sure {
            finding.evidence.push(Fact {
                role: Role::Cause,
                source: Source::Absence,
                at: finding.cause.at,
                about: target.clone(),
                text: format!("there is no {} {} in the namespace", target.kind, target.name),
                raw: None,
            });
        }
        let make = match &written.reference.key {
            Some(key) => format!("Make {} {} with the key {key}.", target.kind, target.name),
            None => format!("Make {} {}.", target.kind, target.name),
        };
        finding.remedies.push(spot::supply(self.view, &finding.cause, target, make));
        finding
    }

    fn key_missing(&self, written: &Written<'a>, object: &'a Object) -> Option<Finding> {
        let Body::Config(config) = &object.body else { return None };
        let reference = &written.reference;
        let (key, path) = (reference.key.as_deref()?, reference.at_key.as_ref()?);
        if config.keys.as_ref().is_some_and(|keys| keys.contains(key)) {
            return None;
        }
        let who = describe::object(written.referrer);
        // What was there tells more than what looks like it: of numbered keys each is near the next.
        let removed = self.removed(object, key);
        let near = if removed.is_some() { None } else { near(config, key) };
        let hint = near.map(|near| format!("; it has a key {near}")).unwrap_or_default();
        let name = format!("{} {}", reference.kind, object.meta.name);
        let lacks = format!("{name} has no key {key}");
        let what = format!("{lacks}{hint}");
        let asked = blame::template_change(self.view, self.workload, Some(self.pod), self.onset, |change| {
            path.is_touched_by(change).then_some(0)
        });
        let cause = match (removed, asked) {
            (Some(cause), _) => cause,
            (None, Some(blame)) => {
                let sentence = format!("{} was {}; {what}.", blame.field().field, blame.words());
                blame.cause(self.view, sentence)
            }
            (None, None) => {
                let mut cause = Cause::plain(
                    CauseKind::Resource,
                    Some(&written.referrer.reference()),
                    format!("{who} asks for the key {key}, but {what}."),
                );
                cause.managed_by = ownership::managed_by(written.referrer);
                cause.at_field(&path.field, &path.pointer, Some(key.into()))
            }
        };
        let mut finding = self.finding("config-key-missing", reference, (&lacks, &hint), cause);
        finding.verdict = if config.keys.is_some() { Verdict::Confirmed } else { Verdict::Likely };
        if let Some(keys) = &config.keys {
            let names: Vec<&str> = keys.iter().map(String::as_str).take(12).collect();
            let there =
                if names.is_empty() { "no keys".to_owned() } else { format!("the keys {}", text::enumerate(&names)) };
            finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, object, format!("{name} has {there}")));
        }
        finding.remedies.extend(near.and_then(|near| correct(written, near)));
        let mut add = spot::remedy(
            RemedyKind::Patch,
            &object.reference(),
            if config.immutable {
                format!("{name} is immutable: make it again with the key {key}.")
            } else {
                format!("Add the key {key} to {name}.")
            },
        );
        add.managed_by = ownership::managed_by(object);
        finding.remedies.push(add);
        Some(finding)
    }

    /// That the key was there: in the changes that are known of the object, or in what was applied last.
    fn removed(&self, object: &'a Object, key: &str) -> Option<Cause> {
        let name = format!("{} {}", object.kind, object.meta.name);
        let known = blame::object_change(self.view, object, None, |change| {
            let of_key = change.pointer.strip_prefix("/data/") == Some(reckon_model::diff::escape(key).as_str());
            (of_key && change.to.is_none()).then_some(0)
        });
        if let Some(blame) = known {
            let mut cause = blame.cause(self.view, String::new());
            let by = cause.actor.as_ref().map(|actor| format!(" by {}", actor.manager)).unwrap_or_default();
            cause.sentence =
                format!("The key {key} was removed from {name} at {}{by}.", describe::time(blame.change.at));
            return Some(cause);
        }
        object.last_applied()?.get("data")?.get(key)?;
        let sentence = format!("The key {key} was in {name} when it was applied last, and was removed since.");
        let mut cause = Cause::plain(CauseKind::Change, Some(&object.reference()), sentence);
        cause.managed_by = ownership::managed_by(object);
        cause.at = object.meta.managers.iter().filter_map(|manager| manager.time).max();
        let dotted = key.contains(['.', '[', ']', '/']);
        let field = if dotted { format!("data[{key}]") } else { format!("data.{key}") };
        Some(cause.at_field(field, format!("/data/{}", reckon_model::diff::escape(key)), None))
    }

    fn key_unread(&self, written: &Written<'a>, target: &ResourceRef) -> Finding {
        let reference = &written.reference;
        let key = reference.key.as_deref().unwrap_or("");
        let what = format!("{} {} has no key {key}", target.kind, target.name);
        let mut cause = Cause::plain(
            CauseKind::Resource,
            Some(&written.referrer.reference()),
            format!("{what}, says the kubelet; it could not be read here."),
        );
        if let Some(path) = &reference.at_key {
            cause = cause.at_field(&path.field, &path.pointer, Some(key.into()));
        }
        let mut finding = self.finding("config-key-missing", reference, (&what, ""), cause);
        finding.verdict = Verdict::Likely;
        finding
    }
}

/// A key that may have been meant: one that differs by a slip, or only in case and in what joins its words.
fn near<'a>(config: &'a Config, key: &str) -> Option<&'a str> {
    let plain = |key: &str| key.to_lowercase().replace(['-', '.', ' '], "_");
    let keys = || config.keys.iter().flatten().map(String::as_str);
    keys().find(|known| plain(known) == plain(key)).or_else(|| {
        keys()
            .map(|known| (distance(known, key), known))
            .filter(|(distance, known)| is_slip(*distance, known.chars().count()))
            .min()
            .map(|(_, known)| known)
    })
}

/// Names the near key instead, where the reference is a variable's.
fn correct(written: &Written<'_>, near: &str) -> Option<Remedy> {
    let (spot, reference) = (written.spot.as_ref()?, &written.reference);
    let patch = match (&reference.holder, &reference.variable) {
        (Holder::Container(container, kind), Some((variable, part))) => {
            let mut source = json!({});
            source[*part] = json!({"name": reference.name, "key": near});
            let mut spec = json!({});
            spec[Spot::list(*kind)] = json!([{"name": container, "env": [{"name": variable, "valueFrom": source}]}]);
            Some(spec)
        }
        _ => None,
    };
    let mut remedy = spot.patch(patch, format!("Ask for the key {near}, which there is."));
    let can_be_written =
        matches!(spot.workload.kind, Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet | Kind::CronJob);
    if let (None, Some(at), Some(key)) = (&remedy.patch, &reference.at_key, &reference.key)
        && can_be_written
    {
        spot::exchange(&mut remedy, &at.pointer, key, near);
    }
    Some(remedy)
}

impl Holder {
    /// Whether this is the part that the kubelet spoke of.
    fn is_named_as(&self, said: &Holder) -> bool {
        match (self, said) {
            (Holder::Container(own, _), Holder::Container(said, _)) => own == said,
            (Holder::Volume(own), Holder::Volume(said)) => own == said,
            _ => false,
        }
    }

    /// The type of the container, if it is one.
    fn container(name: &str, kind: ContainerType) -> Holder {
        Holder::Container(name.to_owned(), kind)
    }
}
