//! Claims that get no volume, or lost theirs.

mod lost;
mod provisioning;
mod resize;
mod unmatched;

pub(crate) use resize::grow;

use crate::catalogue::{Failure, Stage, Verified};
use crate::finding::{Fact, Finding, Place};
use crate::spot;
use crate::{Detector, Lookup, View, blame, describe, ownership};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Claim, ClaimSpec, Event, Pod, StorageClass};
use reckon_model::{Body, Kind, Object, ResourceRef, text};
use serde_json::json;

pub(crate) static DETECTOR: Detector = Detector {
    name: "claim",
    failures: &[
        failure(
            "pvc-class",
            "A claim's StorageClass does not exist",
            Verified::Live,
            include_str!("../pages/pvc-class.md"),
        ),
        failure(
            "pvc-provisioning",
            "No volume is made for a claim",
            Verified::Constructed,
            include_str!("../pages/pvc-provisioning.md"),
        ),
        failure(
            "pvc-unmatched",
            "No volume there is fits a claim",
            Verified::Constructed,
            include_str!("../pages/pvc-unmatched.md"),
        ),
        failure("pvc-lost", "A claim's volume is gone", Verified::Constructed, include_str!("../pages/pvc-lost.md")),
        Failure {
            family: "resize",
            ..failure(
                "volume-resize-stuck",
                "A volume does not get the size that its claim asks for",
                Verified::Constructed,
                include_str!("../pages/volume-resize-stuck.md"),
            )
        },
    ],
    subjects: &[Kind::PersistentVolumeClaim],
    others: &[],
    detect,
};

const fn failure(slug: &'static str, title: &'static str, verified: Verified, page: &'static str) -> Failure {
    Failure { slug, title, stage: Stage::Storage, family: "storage", echo: false, verified, page }
}

/// How long a claim may wait for its volume before somebody is asked why.
const GRACE: SignedDuration = SignedDuration::from_mins(2);

/// The annotations that make a StorageClass the default; the second is from before 1.6 and still read.
const DEFAULT: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

/// The provisioner of classes whose volumes people make by hand.
const BY_HAND: &str = "kubernetes.io/no-provisioner";

/// A claim without a volume.
struct Case<'a, 'v> {
    view: &'v View<'a>,
    claim: &'a Object,
    spec: &'a ClaimSpec,
}

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Body::Claim(claim) = &subject.body else { return Vec::new() };
    if subject.meta.deleted.is_some() {
        return Vec::new();
    }
    let case = Case { view, claim: subject, spec: &claim.spec };
    match claim.status.phase.as_str() {
        "Lost" => Some(lost::found(&case)),
        "Pending" | "" => case.pending(claim),
        _ => resize::stuck(&case, claim),
    }
    .into_iter()
    .collect()
}

impl<'a> Case<'a, '_> {
    fn pending(&self, claim: &'a Claim) -> Option<Finding> {
        if !claim.spec.volume_name.is_empty() {
            return if self.is_fresh() { None } else { unmatched::asked_for_one(self, &claim.spec.volume_name) };
        }
        match self.class_name() {
            Some("") => self.by_hand(None),
            Some(name) => match self.view.object(&Kind::StorageClass, None, name) {
                Lookup::Found(class) => self.of_class(class),
                Lookup::Absent { .. } => self.class_absent(name),
                Lookup::Unread if self.is_fresh() => None,
                Lookup::Unread => provisioning::found(self, None),
            },
            None => self.without_class(),
        }
    }

    /// Whether it has not waited long enough for anybody to ask.
    fn is_fresh(&self) -> bool {
        let Some(due) = self.claim.meta.created.and_then(|at| at.checked_add(GRACE).ok()) else { return false };
        self.view.recheck_at(due);
        !self.view.reached(due)
    }

    /// The class it asks for: `Some("")` for none at all, `None` for the default one.
    fn class_name(&self) -> Option<&'a str> {
        self.claim
            .meta
            .annotations
            .get("volume.beta.kubernetes.io/storage-class")
            .map(String::as_str)
            .or(self.spec.storage_class_name.as_deref())
    }

    fn of_class(&self, class: &'a Object) -> Option<Finding> {
        let Body::StorageClass(body) = &class.body else { return None };
        if self.is_fresh() {
            return None;
        }
        let by_hand = body.provisioner == BY_HAND;
        if waits_for_pods(body) && !self.is_being_placed() {
            // The scheduler chooses the node first. If it finds that no volume fits on any, that is the claim's fault.
            return if by_hand && self.blocks_a_pod() { self.by_hand(Some(class)) } else { None };
        }
        if by_hand { self.by_hand(Some(class)) } else { provisioning::found(self, Some(class)) }
    }

    /// Whether the scheduler has chosen a node and wants a volume there.
    fn is_being_placed(&self) -> bool {
        self.claim.meta.annotations.contains_key("volume.kubernetes.io/selected-node")
    }

    /// Whether the scheduler says of a pod that no volume is there to bind.
    fn blocks_a_pod(&self) -> bool {
        self.pods().into_iter().filter_map(Object::pod).any(|pod| {
            pod.condition("PodScheduled").is_some_and(|scheduled| {
                !scheduled.is_true() && scheduled.message.contains("didn't find available persistent volumes to bind")
            })
        })
    }

    fn by_hand(&self, class: Option<&'a Object>) -> Option<Finding> {
        if self.is_fresh() { None } else { unmatched::found(self, class) }
    }

    fn class_absent(&self, name: &str) -> Option<Finding> {
        // A class need not exist for volumes made by hand: its name is then a word that both sides agree on.
        let volumes = self.view.all(&Kind::PersistentVolume, None);
        let agreed = volumes.items.iter().any(|volume| match &volume.body {
            Body::Volume(body) => body.spec.storage_class_name == name,
            _ => false,
        });
        if agreed {
            return self.by_hand(None);
        }
        let target = ResourceRef::new(Kind::StorageClass, None, name);
        let cause =
            blame::missing_reference(self.view, self.claim, &target, "spec.storageClassName", "/spec/storageClassName");
        let make = format!(
            "Make StorageClass {name}, or make the claim again with a class that exists: a claim's class cannot be changed."
        );
        let mut finding = self.finding(
            "pvc-class",
            Some("absent"),
            format!("cannot be bound: its StorageClass {name} does not exist"),
            cause,
        );
        finding.verdict = if volumes.complete { Verdict::Confirmed } else { Verdict::Likely };
        finding.remedies.push(self.supply(&finding.cause, &target, make));
        finding.evidence.push(Fact {
            role: Role::Cause,
            source: Source::Absence,
            at: finding.cause.at,
            about: target,
            text: format!("StorageClass {name} does not exist"),
            raw: None,
        });
        finding.evidence.push(self.asks());
        Some(finding)
    }

    /// No class is named, and no default one was filled in at creation (or, from 1.26 on, later).
    fn without_class(&self) -> Option<Finding> {
        if self.is_fresh() {
            return None;
        }
        let classes = self.view.all(&Kind::StorageClass, None);
        let default = classes.items.iter().copied().find(|class| is_default(class));
        let volumes = self.view.all(&Kind::PersistentVolume, None);
        let free = volumes.items.iter().any(|volume| match &volume.body {
            Body::Volume(body) => body.spec.storage_class_name.is_empty() && body.spec.claim_ref.is_none(),
            _ => false,
        });
        if free {
            return self.by_hand(None);
        }
        let (class, what, sentence) = match default {
            Some(default) => (
                "default-late",
                format!("cannot be bound: it names no StorageClass and was made before {} became the default", default.meta.name),
                format!("The claim was made without a StorageClass, before {} was the default.", default.meta.name),
            ),
            None if classes.complete => (
                "no-default",
                "cannot be bound: it names no StorageClass, and none is the default".to_owned(),
                "The claim names no StorageClass, no StorageClass is the default, and no free volume without a class exists."
                    .to_owned(),
            ),
            None => return None,
        };
        let mut cause = Cause::plain(CauseKind::Resource, Some(&self.claim.reference()), sentence).at_field(
            "spec.storageClassName",
            "/spec/storageClassName",
            None,
        );
        cause.managed_by = ownership::managed_by(self.claim);
        let mut finding = self.finding("pvc-class", Some(class), what, cause);
        let proved = default.is_none() && volumes.complete;
        finding.verdict = if proved { Verdict::Confirmed } else { Verdict::Likely };
        let names: Vec<&str> = classes.items.iter().map(|class| class.meta.name.as_str()).collect();
        let there = match names.as_slice() {
            [] => "there is no StorageClass at all".to_owned(),
            names => format!("the StorageClasses are {}", text::enumerate(names)),
        };
        finding.evidence.push(Fact::new(Role::Cause, Source::Absence, None, self.claim, there));
        finding.evidence.push(self.asks());
        if default.is_none()
            && let [only] = classes.items.as_slice()
        {
            let mut remedy = spot::remedy(
                RemedyKind::Patch,
                &only.reference(),
                format!("Make {} the default class; from 1.26 on, claims that wait get it.", only.meta.name),
            );
            remedy.patch_type = Some("merge".to_owned());
            remedy.patch = Some(json!({"metadata": {"annotations": {DEFAULT[0]: "true"}}}));
            finding.remedies.push(remedy);
        }
        let again = "Make the claim again with a class in spec.storageClassName.".to_owned();
        finding.remedies.push(spot::remedy(RemedyKind::Create, &self.claim.reference(), again));
        Some(finding)
    }

    /// A finding about this claim, shown on it and on the pods that wait for it.
    fn finding(&self, slug: &'static str, class: Option<&'static str>, what: String, cause: Cause) -> Finding {
        let title = format!("claim {} {what}", describe::object(self.claim));
        let mut finding = Finding::new(slug, Place::of(self.claim), title, cause);
        finding.class = class;
        let pods = self.pods();
        finding.severity = if pods.is_empty() { Severity::Warning } else { Severity::Critical };
        finding.shows_on.extend(pods.into_iter().map(Object::reference));
        finding
    }

    /// What ends a missing reference. What a claim names cannot be changed: it is made again.
    fn supply(&self, cause: &Cause, missing: &ResourceRef, make: String) -> Remedy {
        match cause.reference.as_ref().map(ResourceRef::from) {
            Some(own) if own == self.claim.reference() => spot::remedy(RemedyKind::Create, &own, make),
            _ => spot::supply(self.view, cause, missing, make),
        }
    }

    /// The pods that mount this claim.
    fn pods(&self) -> Vec<&'a Object> {
        let name = self.claim.meta.name.as_str();
        let pods = self.view.all(&Kind::Pod, self.claim.meta.namespace.as_deref()).items;
        pods.into_iter()
            .filter(|object| object.meta.deleted.is_none())
            .filter(|object| object.pod().is_some_and(|pod| !pod.is_finished() && mounts(object, pod, name)))
            .collect()
    }

    /// What the claim asks for, as a fact.
    fn asks(&self) -> Fact {
        let ClaimSpec { storage_class_name, volume_name, access_modes, volume_mode, selector, .. } = self.spec;
        let mut parts = Vec::new();
        parts.extend(self.spec.size().map(ToString::to_string));
        parts.extend(access_modes.iter().cloned());
        parts.extend(volume_mode.clone());
        parts.push(match storage_class_name.as_deref() {
            None => "no class named".to_owned(),
            Some("") => "without a class".to_owned(),
            Some(class) => format!("class {class}"),
        });
        if !volume_name.is_empty() {
            parts.push(format!("volume {volume_name}"));
        }
        parts.extend(selector.as_ref().map(|selector| format!("labels {}", selector.query())));
        let text = format!("the claim asks for {}", parts.join(", "));
        Fact::new(Role::Symptom, Source::Spec, self.claim.meta.created, self.claim, text)
    }

    /// An Event as a fact.
    fn told(&self, role: Role, event: &Event) -> Fact {
        let words = text::shorten(&event.message, 300);
        let text = format!("{} says {}: {words}", event.component(), event.reason);
        Fact::new(role, Source::Event, event.last_seen(), self.claim, text.trim_start())
            .raw(json!({"reason": event.reason, "message": event.message, "count": event.count()}))
    }
}

pub(crate) fn waits_for_pods(class: &StorageClass) -> bool {
    class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer")
}

fn is_default(class: &Object) -> bool {
    DEFAULT.iter().any(|key| class.meta.annotations.get(*key).is_some_and(|value| value == "true"))
}

/// Whether a pod mounts the claim of this name; the claims of ephemeral volumes are named after pod and volume.
pub(crate) fn mounts(object: &Object, pod: &Pod, name: &str) -> bool {
    pod.spec.volumes.iter().any(|volume| {
        volume.persistent_volume_claim.as_ref().is_some_and(|claim| claim.claim_name == name)
            || (volume.ephemeral.is_some() && name == format!("{}-{}", object.meta.name, volume.name))
    })
}
