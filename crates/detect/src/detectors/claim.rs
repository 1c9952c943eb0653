//! Claims that are not bound.

use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Lookup, Place, View, blame, describe};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Role, Source, Verdict};
use reckon_model::k8s::{Claim, PersistentVolume};
use reckon_model::{Body, Kind, Object, Quantity, ResourceRef, text};
use serde_json::json;

const fn failure(slug: &'static str, title: &'static str, verified: Verified) -> Failure {
    Failure { slug, title, stage: Stage::Storage, family: "storage", echo: false, verified }
}

pub(crate) static DETECTOR: Detector = Detector {
    name: "claim",
    failures: &[
        failure("pvc-class", "A claim's class does not exist", Verified::Live),
        failure("pvc-provisioning", "No volume is made for a claim", Verified::Constructed),
        failure("pvc-unmatched", "No volume fits a claim", Verified::Constructed),
        failure("pvc-lost", "A claim has lost its volume", Verified::Constructed),
    ],
    subjects: &[Kind::PersistentVolumeClaim],
    page: include_str!("claim.md"),
    detect,
};

/// How long a provisioner may take.
const GRACE: SignedDuration = SignedDuration::from_mins(2);

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Body::Claim(claim) = &subject.body else { return Vec::new() };
    if subject.meta.deleted.is_some() {
        return Vec::new();
    }
    let finding = match claim.status.phase.as_str() {
        "Lost" => Some(lost(subject, claim)),
        "Pending" => pending(view, subject, claim),
        _ => None,
    };
    finding
        .map(|mut finding| {
            finding.opened = finding.opened.or(subject.meta.created);
            finding.shows_on.extend(users(view, subject));
            vec![finding]
        })
        .unwrap_or_default()
}

/// The pods that wait for the claim.
fn users<'a>(view: &View<'a>, claim: &'a Object) -> Vec<ResourceRef> {
    let namespace = claim.meta.namespace.as_deref();
    view.known(&Kind::Pod, namespace)
        .filter(|pod| {
            pod.pod().is_some_and(|pod| {
                pod.spec.volumes.iter().any(|volume| {
                    volume.persistent_volume_claim.as_ref().is_some_and(|source| source.claim_name == claim.meta.name)
                })
            })
        })
        .map(Object::reference)
        .collect()
}

fn lost(subject: &Object, claim: &Claim) -> Finding {
    let name = describe::object(subject);
    let volume = ResourceRef::new(Kind::PersistentVolume, None, &claim.spec.volume_name);
    let sentence = format!("The volume {} that {name} was bound to does not exist any more.", volume.name);
    let cause = Cause::plain(CauseKind::Resource, Some(&volume), sentence);
    let mut finding = Finding::new(
        "pvc-lost",
        Place::of(subject),
        format!("claim {name} has lost its volume {}", volume.name),
        cause,
    );
    finding.verdict = Verdict::Confirmed;
    finding.evidence.push(Fact::new(Role::Symptom, Source::Status, None, subject, "phase Lost"));
    finding
}

fn pending<'a>(view: &View<'a>, subject: &'a Object, claim: &'a Claim) -> Option<Finding> {
    let name = describe::object(subject);
    let class = claim.spec.storage_class_name.as_deref();
    let wait = |view: &View<'_>| {
        let due = subject.meta.created.and_then(|created| created.checked_add(GRACE).ok());
        match due {
            Some(due) if due > view.now() => {
                view.recheck_at(due);
                true
            }
            _ => false,
        }
    };
    let events = view.events(subject);
    let said = events
        .iter()
        .rev()
        .find(|event| matches!(event.reason.as_str(), "ProvisioningFailed" | "FailedBinding" | "VolumeMismatch"));
    let mut evidence: Vec<Fact> = said
        .map(|event| {
            Fact::new(
                Role::Symptom,
                Source::Event,
                event.last_seen(),
                subject,
                format!("{}: {}", event.reason, text::shorten(event.message.trim(), 300)),
            )
            .raw(json!(event.message))
        })
        .into_iter()
        .collect();
    evidence.push(Fact::new(Role::Symptom, Source::Status, subject.meta.created, subject, "phase Pending"));
    let finish = |slug: &'static str, title: String, cause: Cause, verdict: Verdict| {
        let mut finding = Finding::new(slug, Place::of(subject), title, cause);
        finding.verdict = verdict;
        finding.evidence = evidence.clone();
        finding
    };
    let volumes = view.all(&Kind::PersistentVolume, None);
    let fits = volumes.items.iter().any(|volume| misfit(subject, claim, volume).is_none());
    match class {
        Some(class) if !class.is_empty() => {
            let target = ResourceRef::new(Kind::StorageClass, None, class);
            match view.look_up(&target) {
                // A class that nobody made may still name volumes that somebody did.
                Lookup::Absent { .. } if !fits => {
                    let cause = blame::missing_reference(
                        view,
                        subject,
                        &target,
                        "spec.storageClassName",
                        "/spec/storageClassName",
                    );
                    let title = format!("claim {name} is not bound: the storage class {class} does not exist");
                    Some(finish("pvc-class", title, cause, Verdict::Confirmed))
                }
                Lookup::Found(found) => {
                    let Body::StorageClass(body) = &found.body else { return None };
                    let waits = body.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer");
                    let used = !users(view, subject).is_empty();
                    if (waits && !used) || wait(view) {
                        return None;
                    }
                    if body.provisioner == "kubernetes.io/no-provisioner" {
                        return (!fits).then(|| unmatched(subject, claim, &volumes.items, &name, &finish));
                    }
                    let failed = said.filter(|event| event.reason == "ProvisioningFailed");
                    let why = match failed {
                        Some(event) => text::shorten(event.message.trim(), 200).into_owned(),
                        None => format!("its provisioner {} makes no volume and says nothing", body.provisioner),
                    };
                    let cause = Cause::plain(
                        CauseKind::Resource,
                        Some(&target),
                        format!("No volume is made for {name}: {why}."),
                    )
                    .at_field("provisioner", "/provisioner", Some(json!(body.provisioner)));
                    let verdict = if failed.is_some() { Verdict::Confirmed } else { Verdict::Likely };
                    Some(finish("pvc-provisioning", format!("claim {name} is not bound: {why}"), cause, verdict))
                }
                _ => None,
            }
        }
        _ => {
            if wait(view) || fits {
                return None;
            }
            Some(unmatched(subject, claim, &volumes.items, &name, &finish))
        }
    }
}

fn unmatched(
    subject: &Object,
    claim: &Claim,
    volumes: &[&Object],
    name: &str,
    finish: &dyn Fn(&'static str, String, Cause, Verdict) -> Finding,
) -> Finding {
    let near: Vec<String> = volumes
        .iter()
        .filter_map(|volume| Some(format!("{} {}", volume.meta.name, misfit(subject, claim, volume)?)))
        .take(5)
        .collect();
    let class = claim.spec.storage_class_name.as_deref().unwrap_or("");
    let lead = if class.is_empty() {
        "it names no storage class and there is no default"
    } else {
        "its class makes no volumes"
    };
    let why = match near.as_slice() {
        [] => format!("{lead}, and there is no volume at all"),
        near => format!("{lead}, and no volume fits: {}", text::enumerate(near)),
    };
    let slug = if near.is_empty() && class.is_empty() { "pvc-class" } else { "pvc-unmatched" };
    let (field, pointer) = match slug {
        "pvc-class" => ("spec.storageClassName", "/spec/storageClassName"),
        _ => ("spec", "/spec"),
    };
    let cause = Cause::plain(CauseKind::Resource, Some(&subject.reference()), format!("{name} is not bound: {why}."))
        .at_field(field, pointer, None);
    finish(slug, format!("claim {name} is not bound: {why}"), cause, Verdict::Confirmed)
}

/// Why a volume does not fit a claim, the first reason in words; `None` if it does.
fn misfit(subject: &Object, claim: &Claim, volume: &Object) -> Option<String> {
    let Body::Volume(body) = &volume.body else { return Some("could not be read".to_owned()) };
    let PersistentVolume { spec, status } = &**body;
    if let Some(owner) = &spec.claim_ref {
        let mine = owner.name == subject.meta.name && owner.namespace == subject.namespace();
        if !mine {
            return Some(format!("belongs to claim {}/{}", owner.namespace, owner.name));
        }
        if !owner.uid.is_empty() && owner.uid != subject.meta.uid {
            return Some("belongs to an earlier claim of the same name".to_owned());
        }
    } else if status.phase == "Released" || status.phase == "Failed" {
        return Some(format!("is {}", status.phase.to_lowercase()));
    }
    let class = claim.spec.storage_class_name.as_deref().unwrap_or("");
    if spec.storage_class_name != class {
        return Some(format!("has the class {:?}, not {class:?}", spec.storage_class_name));
    }
    let (size, wanted) = (spec.capacity.get("storage"), claim.spec.size());
    if size.and_then(Quantity::nanos) < wanted.and_then(Quantity::nanos) {
        let shown = |quantity: Option<&Quantity>| quantity.map_or("none".to_owned(), ToString::to_string);
        return Some(format!("has {}, and {} is wanted", shown(size), shown(wanted)));
    }
    if let Some(mode) = claim.spec.access_modes.iter().find(|mode| !spec.access_modes.contains(mode)) {
        return Some(format!("does not offer {mode}"));
    }
    let mode = |mode: &Option<String>| mode.clone().unwrap_or_else(|| "Filesystem".to_owned());
    if mode(&spec.volume_mode) != mode(&claim.spec.volume_mode) {
        return Some(format!("is of mode {}", mode(&spec.volume_mode)));
    }
    if claim.spec.selector.as_ref().is_some_and(|selector| !selector.matches(&volume.meta.labels)) {
        return Some("does not have the labels".to_owned());
    }
    None
}
