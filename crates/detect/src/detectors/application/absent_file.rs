//! Files that a program wants and that are not there.

use super::Speaker;
use super::files::mounted;
use crate::blame::{distance, is_slip};
use crate::detectors::template::Site;
use crate::spot::{self, Spot};
use crate::{Fact, Finding, Lookup, describe, ownership};
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::{ObjectSource, Volume, VolumeMount};
use reckon_model::{Body, Kind, Object, ResourceRef, text};

const SLUG: &str = "file-missing";

/// A path that is not there: of what is mounted at it, else of the image.
pub(super) fn not_there(speaker: &Speaker<'_, '_>, path: &str) -> Option<Finding> {
    let why = format!("{path}, which it wants, is not there");
    let Some((at, mount, volume)) = mounted(speaker, path) else { return Some(of_image(speaker, path, &why)) };
    let sources = [(Kind::ConfigMap, &volume.config_map), (Kind::Secret, &volume.secret)];
    match sources.into_iter().find_map(|(kind, source)| Some((kind, source.as_ref()?))) {
        Some((kind, source)) => of_config(speaker, path, &why, mount, kind, source),
        // What is in several at once, or from a driver, is not known.
        None if volume.projected.is_some() || volume.csi.is_some() || volume.ephemeral.is_some() => None,
        None => of_volume(speaker, path, &why, at, mount, volume),
    }
}

/// A key of a ConfigMap or Secret, each of which is a file.
fn of_config(
    speaker: &Speaker<'_, '_>,
    path: &str,
    why: &str,
    mount: &VolumeMount,
    kind: Kind,
    source: &ObjectSource,
) -> Option<Finding> {
    let file = path.strip_prefix(mount.mount_path.trim_end_matches('/'))?.trim_start_matches('/');
    // Files that are chosen one by one, or lie deeper, have no names of keys.
    if file.is_empty() || file.contains('/') || !source.items.is_empty() || !mount.sub_path.is_empty() {
        return None;
    }
    let target = ResourceRef::new(kind, speaker.subject.meta.namespace.as_deref(), &source.name);
    let name = format!("{} {}", target.kind, describe::name(&target));
    let object = match speaker.view.look_up(&target) {
        Lookup::Found(object) => object,
        Lookup::Absent { .. } if source.optional => {
            let sentence = format!(
                "{} wants {path}, and {name}, which is to be mounted at {} where there is one, does not exist.",
                speaker.who(),
                mount.mount_path
            );
            let cause = Cause::plain(CauseKind::Resource, Some(&target), sentence);
            let mut finding = speaker.claim(SLUG, Some("optional"), why, cause);
            finding.verdict = Verdict::Confirmed;
            finding.evidence.push(Fact {
                role: Role::Cause,
                source: Source::Absence,
                at: None,
                about: target.clone(),
                text: format!("{name} does not exist"),
                raw: None,
            });
            let make = format!("Make {name} with the key {file}, then restart the pods.");
            finding.remedies.push(spot::remedy(RemedyKind::Create, &target, make));
            return Some(finding);
        }
        Lookup::Absent { .. } | Lookup::Unread => return None,
    };
    let Body::Config(config) = &object.body else { return None };
    let keys = config.keys.as_ref()?;
    if keys.contains(file) {
        return None;
    }
    let near = keys
        .iter()
        .map(|key| (distance(key, file), key))
        .filter(|(distance, key)| is_slip(*distance, key.chars().count()))
        .min();
    let hint = near.map(|(_, near)| format!("; it has a key {near}")).unwrap_or_default();
    let sentence = format!("{} wants {path}: {name} is mounted there and has no key {file}{hint}.", speaker.who());
    let mut cause = Cause::plain(CauseKind::Resource, Some(&object.reference()), sentence);
    cause.managed_by = ownership::managed_by(object);
    let mut finding = speaker.claim(SLUG, Some("key"), &format!("{why}: {name} has no such key"), cause);
    finding.verdict = Verdict::Confirmed;
    finding.evidence.push(has(object, keys.iter().map(String::as_str)));
    let sentence = match near {
        Some((_, near)) => format!("Let {} ask for {near}, or add the key {file} to {name}.", speaker.container.name),
        None => format!("Add the key {file} to {name}, or let {} ask for one that it has.", speaker.container.name),
    };
    let mut remedy = spot::remedy(RemedyKind::Patch, &object.reference(), sentence);
    remedy.managed_by.clone_from(&finding.cause.managed_by);
    finding.remedies.push(remedy);
    Some(finding)
}

fn has<'k>(object: &Object, keys: impl Iterator<Item = &'k str>) -> Fact {
    let names: Vec<&str> = keys.take(12).collect();
    let words = match names.as_slice() {
        [] => format!("{} {} has no keys", object.kind, object.meta.name),
        names => format!("{} {} has the keys {}", object.kind, object.meta.name, text::enumerate(names)),
    };
    Fact::new(Role::Cause, Source::Spec, None, object, words)
}

/// A volume that is empty, or that hides what the image has there.
fn of_volume(
    speaker: &Speaker<'_, '_>,
    path: &str,
    why: &str,
    at: usize,
    mount: &VolumeMount,
    volume: &Volume,
) -> Option<Finding> {
    let spot = Spot::of(speaker.workload)?;
    let field = spot.container(&speaker.container.name)?.key("volumeMounts").item(&mount.name, at).key("mountPath");
    let what = match (&volume.empty_dir, &volume.persistent_volume_claim) {
        (Some(_), _) => "an emptyDir, which is empty at the start,".to_owned(),
        (_, Some(claim)) => format!("claim {}", claim.claim_name),
        _ => format!("the volume {}", volume.name),
    };
    let seen = format!("{what} is mounted at {} and hides what the image has there", mount.mount_path);
    let sentence = format!("{} wants {path}: {seen}.", speaker.who());
    let cause = spot.wrong(&field, Some(mount.mount_path.clone().into()), sentence);
    let mut finding = speaker.claim(SLUG, Some("volume"), why, cause);
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, speaker.workload, seen));
    let site = Site::new(speaker.workload, &speaker.container.name);
    let sentence = format!(
        "Mount {} elsewhere if the file is the image's, or let an init container put it there before.",
        mount.name
    );
    finding.remedies.push(site.advice(RemedyKind::Patch, sentence));
    Some(finding)
}

/// Nothing is mounted there.
fn of_image(speaker: &Speaker<'_, '_>, path: &str, why: &str) -> Finding {
    let image = &speaker.container.image;
    let sentence =
        format!("{} wants {path}: nothing is mounted there, and its image {image} does not have it.", speaker.who());
    let site = Site::new(speaker.workload, &speaker.container.name);
    let cause = Cause::plain(CauseKind::Application, Some(&speaker.workload.reference()), sentence);
    let cause = site.blame(cause, "image", Some(image.clone().into()));
    let mut finding = speaker.claim(SLUG, Some("image"), why, cause);
    finding.evidence.push(Fact::new(
        Role::Cause,
        Source::Spec,
        None,
        speaker.workload,
        format!("no volume of {} is mounted at {path}", speaker.container.name),
    ));
    let sentence = format!(
        "Use an image of {} that has {path}, or mount a ConfigMap or volume that brings it.",
        speaker.container.name
    );
    finding.remedies.push(site.advice(RemedyKind::Patch, sentence));
    finding
}
