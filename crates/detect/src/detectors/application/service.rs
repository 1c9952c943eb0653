//! Services that are not there, or have not the port that is called.

use super::Speaker;
use super::far_end::{self, Mention};
use super::place::{self, Place};
use crate::addresses::Address;
use crate::blame;
use crate::detectors::template::Site;
use crate::{Fact, Finding, describe, ownership, spot};
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Role, Source, Verdict};
use reckon_model::{Body, FieldChange, Kind, Object, ResourceRef, text};
use serde_json::{Value, json};

/// The Service is not there.
pub(super) fn absent(
    speaker: &Speaker<'_, '_>,
    service: &ResourceRef,
    address: &Address,
    mention: Option<&Mention>,
) -> Finding {
    let name = describe::name(service);
    let place = mention.and_then(|(_, written)| place::of(speaker, written));
    let cause = match &place {
        Some(place) => match place::changed(speaker, place, &address.host) {
            Some(blame) => {
                let sentence = format!(
                    "{} calls {}, and there is no Service {name}: {} was {}.",
                    speaker.who(),
                    address.words(),
                    place.path.field,
                    blame.words()
                );
                blame.cause(speaker.view, sentence)
            }
            None => {
                blame::missing_reference(speaker.view, place.object, service, &place.path.field, &place.path.pointer)
            }
        },
        None => blame::missing_reference(speaker.view, speaker.workload, service, "", ""),
    };
    let cause = match cause.field.as_deref() {
        Some("") => Cause { field: None, pointer: None, to: None, ..cause },
        _ => cause,
    };
    let why = format!("Service {name}, which it calls, does not exist");
    let make = format!("Create Service {name}.");
    let mut cause = cause;
    let meant = place
        .as_ref()
        .filter(|place| cause.kind == CauseKind::Resource && cause.field.as_ref() == Some(&place.path.field));
    if let Some(place) = meant {
        cause.to.clone_from(&place.value);
    }
    let corrected = meant.and_then(|place| correct_host(speaker, place, service, address));
    let remedy = corrected.unwrap_or_else(|| spot::supply(speaker.view, &cause, service, make));
    let deleted = cause.kind == CauseKind::Change;
    let mut finding = speaker.claim("service-missing", None, &why, cause);
    // A name that stands in the log alone may be one that the log does not mean.
    finding.verdict = if place.is_some() || deleted { Verdict::Confirmed } else { Verdict::Likely };
    let words = format!("there is no Service {name}");
    finding.evidence.push(Fact::new(Role::Cause, Source::Absence, None, speaker.workload, words));
    if let Some(place) = &place {
        let words = format!("{} names {}", place.path.field, address.words());
        finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, place.object, words));
    }
    for set in far_end::pods_named_in(speaker.view, service, None) {
        let words =
            format!("statefulset {} names it in spec.serviceName: its pods have no names without", set.meta.name);
        finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, set, words));
    }
    finding.remedies.push(remedy);
    finding
}

/// The value with the Service that may have been meant: a slip of the name, or one of another namespace.
fn correct_host(
    speaker: &Speaker<'_, '_>,
    place: &Place<'_>,
    service: &ResourceRef,
    address: &Address,
) -> Option<Remedy> {
    let siblings = speaker.view.all(&Kind::Service, service.namespace.as_deref()).items;
    let distance = |object: &&Object| blame::distance(&object.meta.name, &service.name);
    let near = siblings.into_iter().min_by_key(distance).filter(|object| {
        blame::is_slip(blame::distance(&object.meta.name, &service.name), object.meta.name.chars().count())
    });
    let right = match near {
        Some(near) => address.host.replacen(&service.name, &near.meta.name, 1),
        None => {
            let mut same = speaker.view.known(&Kind::Service, None).filter(|object| object.meta.name == service.name);
            let elsewhere = same.next().filter(|_| same.next().is_none() && address.host == service.name)?;
            format!("{}.{}", service.name, elsewhere.namespace())
        }
    };
    let value = place.value.as_ref()?.as_str().filter(|value| !value.contains("[redacted]"))?;
    let name = place.variable.as_ref()?;
    let value = value.replacen(&address.host, &right, 1);
    let site = Site::new(speaker.workload, &speaker.container.name);
    let sentence = format!("Let {name} name {right}.");
    Some(site.remedy(RemedyKind::Patch, json!({"env": [{"name": name, "value": value}]}), sentence))
}

/// The Service has no such port.
pub(super) fn no_port(
    speaker: &Speaker<'_, '_>,
    service: &Object,
    port: u16,
    address: &Address,
    mention: Option<&Mention>,
) -> Finding {
    let name = describe::object(service);
    let ports: Vec<i64> = match &service.body {
        Body::Service(body) => body.spec.ports.iter().map(|port| port.port).collect(),
        _ => Vec::new(),
    };
    let has = text::enumerate(&ports.iter().map(i64::to_string).collect::<Vec<_>>());
    let difference = format!("Service {name} has no port {port}, it has {has}");
    let place = mention.and_then(|(_, written)| place::of(speaker, written));
    let of_ports = |field: &FieldChange| field.pointer.starts_with("/spec/ports").then_some(0);
    let moved = speaker
        .view
        .look_up(&service.reference())
        .found()
        .and_then(|service| blame::object_change(speaker.view, service, None, of_ports));
    let called = place.as_ref().and_then(|place| place::changed(speaker, place, &address.words()));
    let newer = match (&moved, &called) {
        (Some(moved), Some(called)) => moved.change.at > called.change.at,
        (Some(_), None) => true,
        _ => false,
    };
    let cause = match (moved, called, &place) {
        (Some(moved), ..) if newer => {
            let sentence = format!(
                "The ports of Service {name} were changed at {}: {difference}, and {} calls {}.",
                describe::time(moved.change.at),
                speaker.who(),
                address.words()
            );
            moved.cause(speaker.view, sentence)
        }
        (_, Some(called), Some(place)) => {
            let sentence = format!("{} was {}: {difference}.", place.path.field, called.words());
            called.cause(speaker.view, sentence)
        }
        (_, _, Some(place)) => {
            let sentence = format!("{} calls {}: {difference}.", speaker.who(), address.words());
            let mut cause = Cause::plain(CauseKind::Resource, Some(&place.object.reference()), sentence);
            cause.managed_by = ownership::managed_by(place.object);
            cause.at_field(place.path.field.clone(), place.path.pointer.clone(), place.value.clone())
        }
        _ => {
            let sentence = format!("{} calls {}: {difference}.", speaker.who(), address.words());
            Cause::plain(CauseKind::Resource, Some(&speaker.workload.reference()), sentence)
        }
    };
    let why = format!("it calls {}, and {difference}", address.words());
    let mut finding = speaker.claim("service-port-mismatch", None, &why, cause);
    finding.verdict = Verdict::Confirmed;
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, service, format!("its ports: {has}")));
    finding.remedies.extend(correct_port(speaker, place.as_ref(), port, &ports));
    finding
}

/// The address with the port that the Service has, where it has one and the value is known as a whole.
fn correct_port(speaker: &Speaker<'_, '_>, place: Option<&Place<'_>>, port: u16, ports: &[i64]) -> Option<Remedy> {
    let place = place?;
    let right = match ports {
        [only] => only,
        _ => return None,
    };
    let sentence = format!("Let {} say {right} in place of {port}.", place.path.field);
    let value = place.value.as_ref().and_then(Value::as_str).filter(|value| !value.contains("[redacted]"));
    let corrected = value
        .filter(|value| value.contains(&format!(":{port}")))
        .map(|value| value.replace(&format!(":{port}"), &format!(":{right}")));
    match (&place.variable, corrected) {
        (Some(name), Some(value)) => {
            let site = Site::new(speaker.workload, &speaker.container.name);
            Some(site.remedy(RemedyKind::Patch, json!({"env": [{"name": name, "value": value}]}), sentence))
        }
        (None, Some(value)) if place.object.kind == Kind::ConfigMap => {
            let mut remedy = spot::remedy(
                RemedyKind::Patch,
                &place.object.reference(),
                format!("{sentence} Then restart the pods."),
            );
            let key = place.key.clone()?;
            remedy.managed_by = ownership::managed_by(place.object);
            remedy.patch_type = Some("merge".to_owned());
            // A whole file is not written anew for one number in it.
            remedy.patch = (value.len() < 200).then(|| json!({"data": {key: value}}));
            Some(remedy)
        }
        _ => Some(spot::remedy(RemedyKind::Patch, &place.object.reference(), sentence)),
    }
}
