//! Volumes made by hand: which of them fails to fit a claim, and by what.

use super::Case;
use crate::finding::{Fact, Finding};
use crate::spot;
use crate::{Lookup, blame, ownership};
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Risk, Role, Source, Verdict};
use reckon_model::k8s::PersistentVolume;
use reckon_model::{Body, Kind, Object, ResourceRef, text};
use serde_json::{Value, json};

/// How many volumes the evidence names.
const NAMED: usize = 6;

/// One thing by which a volume does not fit.
struct Misfit {
    class: &'static str,
    /// After `volume x`.
    words: String,
    /// The field of the claim that asks for what the volume has not.
    field: &'static str,
    pointer: &'static str,
    value: Option<Value>,
}

/// A volume and all by which it does not fit.
struct Candidate<'a> {
    volume: &'a Object,
    misfits: Vec<Misfit>,
}

/// No free volume fits; `None` if one does (the controller will bind it) or not all are known.
pub(super) fn found(case: &Case<'_, '_>, class: Option<&Object>) -> Option<Finding> {
    let volumes = case.view.all(&Kind::PersistentVolume, None);
    if !volumes.complete && !case.view.has_gaps() {
        return None;
    }
    let wanted = class.map_or_else(|| case.class_name().unwrap_or(""), |class| class.meta.name.as_str());
    let mut candidates: Vec<Candidate<'_>> = volumes
        .items
        .iter()
        .filter_map(|volume| {
            let Body::Volume(body) = &volume.body else { return None };
            (!belongs_to_another(case, body))
                .then(|| Candidate { volume, misfits: misfits(case, volume, body, wanted) })
        })
        .collect();
    if candidates.iter().any(|candidate| candidate.misfits.is_empty()) {
        return None;
    }
    candidates.sort_by(|a, b| (a.misfits.len(), &a.volume.meta.name).cmp(&(b.misfits.len(), &b.volume.meta.name)));
    // A volume of another class that differs in everything is not what anybody meant.
    candidates.retain(|candidate| candidate.misfits.len() <= 2);
    let mut finding = match candidates.first() {
        Some(nearest) => misfit(case, nearest, candidates.len() == 1),
        None => none(case, wanted, volumes.complete.then_some(volumes.items.len())),
    };
    if !volumes.complete {
        finding.verdict = Verdict::Possible;
    }
    for candidate in candidates.iter().take(NAMED) {
        finding.evidence.push(candidate.fact());
    }
    if let Some(event) = case.view.events(case.claim).iter().rev().find(|event| event.reason == "FailedBinding") {
        finding.evidence.push(case.told(Role::Symptom, event));
    }
    finding.evidence.push(case.asks());
    Some(finding)
}

/// The claim names the one volume it wants.
pub(super) fn asked_for_one(case: &Case<'_, '_>, name: &str) -> Option<Finding> {
    let target = ResourceRef::new(Kind::PersistentVolume, None, name);
    let mut finding = match case.view.look_up(&target) {
        Lookup::Unread => return None,
        Lookup::Absent { .. } => {
            let cause = blame::missing_reference(case.view, case.claim, &target, "spec.volumeName", "/spec/volumeName");
            let what = format!("cannot be bound: the volume {name} that it asks for does not exist");
            let mut finding = case.finding("pvc-unmatched", Some("volume-missing"), what, cause);
            let make = format!("Make PersistentVolume {name}, or make the claim again without spec.volumeName.");
            finding.remedies.push(case.supply(&finding.cause, &target, make));
            finding.evidence.push(Fact {
                role: Role::Cause,
                source: Source::Absence,
                at: finding.cause.at,
                about: target,
                text: format!("PersistentVolume {name} does not exist"),
                raw: None,
            });
            finding.verdict = Verdict::Confirmed;
            finding
        }
        Lookup::Found(volume) => {
            let Body::Volume(body) = &volume.body else { return None };
            if belongs_to_another(case, body) {
                let owner = body.spec.claim_ref.clone().unwrap_or_default();
                let what =
                    format!("cannot be bound: the volume {name} belongs to claim {}/{}", owner.namespace, owner.name);
                let sentence =
                    format!("The claim asks for volume {name}, which claim {}/{} has.", owner.namespace, owner.name);
                let cause = Cause::plain(CauseKind::Resource, Some(&case.claim.reference()), sentence).at_field(
                    "spec.volumeName",
                    "/spec/volumeName",
                    Some(name.into()),
                );
                let mut finding = case.finding("pvc-unmatched", Some("taken"), what, cause);
                finding.verdict = Verdict::Confirmed;
                let text = format!("volume {name} belongs to claim {}/{}", owner.namespace, owner.name);
                finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, volume, text));
                finding.remedies.push(spot::remedy(
                    RemedyKind::Create,
                    &case.claim.reference(),
                    "Make the claim again with a volume that is free, or without spec.volumeName.",
                ));
                finding
            } else {
                let wanted = case.class_name().unwrap_or("");
                let candidate = Candidate { volume, misfits: misfits(case, volume, body, wanted) };
                if candidate.misfits.is_empty() {
                    return None;
                }
                let mut finding = misfit(case, &candidate, true);
                finding.evidence.push(candidate.fact());
                finding
            }
        }
    };
    finding.evidence.push(case.asks());
    Some(finding)
}

fn belongs_to_another(case: &Case<'_, '_>, volume: &PersistentVolume) -> bool {
    volume
        .spec
        .claim_ref
        .as_ref()
        .is_some_and(|owner| owner.name != case.claim.meta.name || owner.namespace != case.claim.namespace())
}

/// What the binding controller compares, in the words of its fields.
fn misfits(case: &Case<'_, '_>, object: &Object, volume: &PersistentVolume, wanted: &str) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    let claim = case.spec;
    let mut miss = |class, words: String, field, pointer, value| {
        misfits.push(Misfit { class, words, field, pointer, value });
    };
    if let Some(owner) = &volume.spec.claim_ref
        && !owner.uid.is_empty()
        && owner.uid != case.claim.meta.uid
    {
        miss(
            "claim-ref",
            format!("still belongs to an earlier claim of the same name (claimRef.uid {})", owner.uid),
            "spec.claimRef.uid",
            "/spec/claimRef/uid",
            Some(owner.uid.clone().into()),
        );
    }
    if object.meta.deleted.is_some() {
        miss("deleting", "is being deleted".to_owned(), "spec.volumeName", "/spec/volumeName", None);
    } else if volume.status.phase == "Failed" {
        miss("failed", "is in phase Failed".to_owned(), "spec.volumeName", "/spec/volumeName", None);
    }
    if volume.spec.storage_class_name != wanted {
        let has = match volume.spec.storage_class_name.as_str() {
            "" => "has no class".to_owned(),
            class => format!("is of class {class}"),
        };
        let asked = if wanted.is_empty() { "none".to_owned() } else { wanted.to_owned() };
        miss(
            "class",
            format!("{has}, asked for is {asked}"),
            "spec.storageClassName",
            "/spec/storageClassName",
            claim.storage_class_name.clone().map(Value::from),
        );
    }
    if let (Some(asked), has) = (claim.size(), volume.spec.capacity.get("storage"))
        && has.and_then(reckon_model::Quantity::nanos).unwrap_or(0) < asked.nanos().unwrap_or(0)
    {
        let has = has.map_or("no size", reckon_model::Quantity::as_str);
        miss(
            "size",
            format!("has {has}, asked for is {asked}"),
            "spec.resources.requests.storage",
            "/spec/resources/requests/storage",
            Some(asked.as_str().into()),
        );
    }
    let lacks: Vec<&str> =
        claim.access_modes.iter().filter(|mode| !volume.spec.access_modes.contains(mode)).map(String::as_str).collect();
    if !lacks.is_empty() {
        let has = match volume.spec.access_modes.as_slice() {
            [] => "no access mode".to_owned(),
            modes => text::enumerate(modes),
        };
        miss(
            "access-mode",
            format!("offers {has}, asked for is {}", text::enumerate(&lacks)),
            "spec.accessModes",
            "/spec/accessModes",
            Some(Value::from(claim.access_modes.clone())),
        );
    }
    let mode = |mode: &Option<String>| mode.clone().unwrap_or_else(|| "Filesystem".to_owned());
    if mode(&claim.volume_mode) != mode(&volume.spec.volume_mode) {
        miss(
            "volume-mode",
            format!("is of mode {}, asked for is {}", mode(&volume.spec.volume_mode), mode(&claim.volume_mode)),
            "spec.volumeMode",
            "/spec/volumeMode",
            Some(mode(&claim.volume_mode).into()),
        );
    }
    if let Some(selector) = &claim.selector
        && claim.volume_name.is_empty()
        && !selector.matches(&object.meta.labels)
    {
        miss(
            "selector",
            format!("lacks the labels {}", selector.query()),
            "spec.selector",
            "/spec/selector",
            case.claim.whole().and_then(|whole| whole.pointer("/spec/selector").cloned()),
        );
    }
    misfits
}

impl Candidate<'_> {
    fn fact(&self) -> Fact {
        let words: Vec<&str> = self.misfits.iter().map(|misfit| misfit.words.as_str()).collect();
        let text = format!("volume {} {}", self.volume.meta.name, text::enumerate(&words));
        Fact::new(Role::Cause, Source::Spec, None, self.volume, text)
    }
}

fn misfit(case: &Case<'_, '_>, nearest: &Candidate<'_>, only: bool) -> Finding {
    let volume = nearest.volume;
    let name = &volume.meta.name;
    let words: Vec<&str> = nearest.misfits.iter().map(|misfit| misfit.words.as_str()).collect();
    let words = text::enumerate(&words);
    let which = if only { "the volume" } else { "no volume fits, and of them" };
    let what = format!("cannot be bound: {which} {name} {words}");
    let Some(first) = nearest.misfits.first() else {
        return none(case, "", Some(1));
    };
    // What is released keeps the claim it had until somebody clears that; everything else is what the claim asks for.
    let in_volume = matches!(first.class, "claim-ref" | "deleting" | "failed");
    let touched = if in_volume { volume } else { case.claim };
    let sentence = format!("Volume {name} would be the nearest, but it {words}.");
    let mut cause = Cause::plain(CauseKind::Resource, Some(&touched.reference()), sentence);
    cause.managed_by = ownership::managed_by(touched);
    if !matches!(first.class, "deleting" | "failed") {
        cause = cause.at_field(first.field, first.pointer, first.value.clone());
    }
    let mut finding = case.finding("pvc-unmatched", Some(first.class), what, cause);
    finding.verdict = if nearest.misfits.len() == 1 { Verdict::Confirmed } else { Verdict::Likely };
    finding.remedies = match first.class {
        "claim-ref" => vec![Remedy {
            risk: Risk::High,
            patch_type: Some("merge".to_owned()),
            patch: Some(json!({"spec": {"claimRef": null}})),
            ..spot::remedy(
                RemedyKind::Patch,
                &volume.reference(),
                format!(
                    "Clear spec.claimRef of {name} if the new claim may have the old one's data: it is then bound."
                ),
            )
        }],
        "selector" => vec![spot::remedy(
            RemedyKind::Patch,
            &volume.reference(),
            format!("Give {name} the labels that the claim selects, or make the claim again without the selector."),
        )],
        // No claim, however it is written, gets this volume.
        "deleting" | "failed" => vec![spot::remedy(
            RemedyKind::Create,
            &case.claim.reference(),
            format!("Make another volume as the claim asks: nothing is bound to {name} any more."),
        )],
        _ => vec![spot::remedy(
            RemedyKind::Create,
            &case.claim.reference(),
            format!(
                "Make the claim again so that {name} fits, or make a volume as the claim asks: neither can be changed."
            ),
        )],
    };
    finding
}

fn none(case: &Case<'_, '_>, wanted: &str, volumes: Option<usize>) -> Finding {
    let class = if wanted.is_empty() { "without a class".to_owned() } else { format!("of class {wanted}") };
    let sentence = match volumes {
        Some(volumes) => format!(
            "Nobody makes volumes {class} by themselves, and of {} none is free for this claim.",
            text::count(volumes, "PersistentVolume")
        ),
        None => format!("Nobody makes volumes {class} by themselves; which ones there are could not be read."),
    };
    let cause = Cause::plain(CauseKind::Resource, Some(&case.claim.reference()), sentence).at_field(
        "spec.storageClassName",
        "/spec/storageClassName",
        case.spec.storage_class_name.clone().map(Value::from),
    );
    let what = format!("cannot be bound: there is no free volume {class}");
    let mut finding = case.finding("pvc-unmatched", Some("no-volume"), what, cause);
    finding.verdict = Verdict::Confirmed;
    finding.remedies.push(spot::remedy(
        RemedyKind::Create,
        &case.claim.reference(),
        format!("Make a PersistentVolume {class}, or make the claim again with a class that has a provisioner."),
    ));
    finding
}
