//! Connections that would be secure and do not come about: certificates that are not believed, ends that do not speak TLS,
//! and certificates of one's own that cannot be used.

use super::far_end::{self, FarEnd, Mention};
use super::{Speaker, credentials, dependency, place};
use crate::addresses::Address;
use crate::detectors::configuration::{self, Edited};
use crate::detectors::logs::testimony::{Far, Fault};
use crate::detectors::template::Site;
use crate::{Fact, Finding, View, describe, ownership, spot};
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Role, Source, Verdict};
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Kind, Object, ResourceRef};
use serde_json::json;
use std::collections::BTreeMap;

/// Only so many pods behind a Service are looked at: they show the same certificate.
const SHOWN_BY: usize = 3;

/// The certificate of the other end is not believed.
pub(super) fn untrusted(speaker: &Speaker<'_, '_>, fault: Fault, far: Option<&Far>) -> Finding {
    const SLUG: &str = "tls-untrusted";
    let (end, address, mention) = reach(speaker, far);
    let whom = address.as_ref().map_or("the other end".to_owned(), Address::words);
    let (class, seen) = match fault {
        Fault::Authority => ("authority", "nobody whom it trusts signed the certificate"),
        Fault::Name => ("name", "the certificate is made for another name"),
        Fault::Time => ("time", "the certificate has expired, or is not valid yet"),
    };
    let why = format!("it does not believe who {whom} is: {seen}");
    if let (FarEnd::Outside, Some(_)) = (&end, &address) {
        let mut finding = dependency::outside(speaker, SLUG, &why, &whom, mention.as_ref());
        finding.class = Some(class);
        finding.remedies = vec![renew(speaker, fault, &whom, None)];
        return finding;
    }
    let service = service(&end);
    let secret = service.and_then(|service| shown(speaker.view, service));
    if let Some((secret, edited)) = secret.and_then(|secret| Some((secret, lately(speaker, secret)?))) {
        let name = describe::object(secret);
        let cause =
            edited.cause(&format!("; the pods behind {whom} show it, and {} does not believe it.", speaker.who()));
        let mut finding = speaker.claim(SLUG, Some(class), &format!("{why}, since Secret {name} changed"), cause);
        finding.evidence.extend(edited.fact());
        finding.remedies.push(edited.remedy());
        return finding;
    }
    let written = mention.as_ref().and_then(|(_, written)| place::of(speaker, written));
    let mut facts = Vec::new();
    if let (Some(service), Some(secret)) = (service, secret) {
        let words = format!(
            "Secret {} holds the certificate that the pods behind Service {} show",
            describe::object(secret),
            describe::object(service)
        );
        facts.push(Fact::new(Role::Cause, Source::Spec, None, secret, words));
    }
    let cause = match (fault, written, secret.or(service)) {
        (Fault::Name, Some(place), _) => {
            let sentence = format!("{} calls {whom}, and {seen}.", speaker.who());
            let mut cause = Cause::plain(CauseKind::Resource, Some(&place.object.reference()), sentence);
            cause.managed_by = ownership::managed_by(place.object);
            cause.at_field(place.path.field, place.path.pointer, place.value)
        }
        (_, _, Some(object)) => {
            let what = format!("{} {}", object.kind, describe::object(object));
            let sentence = format!("{} calls {whom}, and does not believe what {what} shows: {seen}.", speaker.who());
            let mut cause = Cause::plain(CauseKind::Resource, Some(&object.reference()), sentence);
            cause.managed_by = ownership::managed_by(object);
            cause
        }
        _ => {
            let sentence = format!("{} does not believe who {whom} is: {seen}.", speaker.who());
            Cause::plain(CauseKind::Application, Some(&speaker.workload.reference()), sentence)
        }
    };
    let mut finding = speaker.claim(SLUG, Some(class), &why, cause);
    finding.evidence.extend(facts);
    finding.remedies.push(renew(speaker, fault, &whom, secret));
    finding
}

/// What makes a certificate believed.
fn renew(speaker: &Speaker<'_, '_>, fault: Fault, whom: &str, secret: Option<&Object>) -> Remedy {
    let name = &speaker.container.name;
    let held =
        secret.map_or("the certificate".to_owned(), |it| format!("the certificate in Secret {}", describe::object(it)));
    let sentence = match fault {
        Fault::Authority => format!(
            "Give {name} the certificate of the authority that signed {held} (a ConfigMap that is mounted, and the setting that names it), or have it signed by one that {name} trusts."
        ),
        Fault::Name => format!("Call {whom} by a name that {held} has, or have it made for that name as well."),
        Fault::Time => {
            format!(
                "Have {held} renewed, and restart who shows it where that reads it only once; a clock that is wrong says the same."
            )
        }
    };
    let on = secret.unwrap_or(speaker.workload);
    let mut remedy = spot::remedy(RemedyKind::Outside, &on.reference(), sentence);
    remedy.managed_by = ownership::managed_by(on);
    remedy
}

/// The program speaks TLS, and the other end does not.
pub(super) fn plain(speaker: &Speaker<'_, '_>, far: Option<&Far>) -> Finding {
    const SLUG: &str = "tls-not-spoken";
    let (end, address, mention) = reach(speaker, far);
    let whom = address.as_ref().map_or("the other end".to_owned(), Address::words);
    let why = format!("it speaks TLS and {whom} does not");
    if let (FarEnd::Outside, Some(_)) = (&end, &address) {
        let mut finding = dependency::outside(speaker, SLUG, &why, &whom, mention.as_ref());
        finding.class = None;
        finding.remedies = vec![advice(speaker, &whom)];
        return finding;
    }
    let host = address.as_ref().map(|address| format!("https://{}", address.host));
    let written = mention.as_ref().and_then(|(_, written)| place::of(speaker, written));
    let changed = written.as_ref().zip(host.as_ref()).and_then(|(place, host)| place::changed(speaker, place, host));
    let sentence = format!("{} speaks TLS with {whom}, which answers without.", speaker.who());
    let cause = match (&changed, &written, service(&end)) {
        (Some(blame), Some(place), _) => {
            blame.cause(speaker.view, format!("{} was {}: {sentence}", place.path.field, blame.words()))
        }
        (_, Some(place), _) => {
            let mut cause = Cause::plain(CauseKind::Resource, Some(&place.object.reference()), sentence);
            cause.managed_by = ownership::managed_by(place.object);
            cause.at_field(place.path.field.clone(), place.path.pointer.clone(), place.value.clone())
        }
        (_, None, Some(service)) => {
            let mut cause = Cause::plain(CauseKind::Resource, Some(&service.reference()), sentence);
            cause.managed_by = ownership::managed_by(service);
            cause
        }
        (_, None, None) => Cause::plain(CauseKind::Application, Some(&speaker.workload.reference()), sentence),
    };
    let mut finding = speaker.claim(SLUG, None, &why, cause);
    if changed.is_some() {
        finding.verdict = Verdict::Confirmed;
    }
    if let (Some(place), Some(_)) = (&written, &address) {
        let words = format!("{} names {whom}", place.path.field);
        finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, place.object, words));
    }
    finding.remedies.push(
        written.and_then(|place| without(speaker, &place, host.as_deref()?)).unwrap_or_else(|| advice(speaker, &whom)),
    );
    finding
}

fn advice(speaker: &Speaker<'_, '_>, whom: &str) -> Remedy {
    let site = Site::new(speaker.workload, &speaker.container.name);
    let sentence = format!(
        "Let {} speak without TLS to {whom} (http://, sslmode=disable and the like), or call a port on which TLS is spoken.",
        speaker.container.name
    );
    site.advice(RemedyKind::Patch, sentence)
}

/// The variable with `http://`, where it names its port: without one the port would be another.
fn without(speaker: &Speaker<'_, '_>, place: &place::Place<'_>, host: &str) -> Option<Remedy> {
    let name = place.variable.as_ref()?;
    let value = place.value.as_ref()?.as_str().filter(|value| !value.contains("[redacted]"))?;
    let (before, rest) = value.split_once(&format!("{host}:"))?;
    let value = format!("{before}{}:{rest}", host.replacen("https", "http", 1));
    let site = Site::new(speaker.workload, &speaker.container.name);
    let sentence = format!("Let {name} say http:// in place of https://, if TLS is not to be spoken there.");
    Some(site.remedy(RemedyKind::Patch, json!({"env": [{"name": name, "value": value}]}), sentence))
}

/// A certificate or key of its own cannot be used.
pub(super) fn own(speaker: &Speaker<'_, '_>) -> Finding {
    const SLUG: &str = "certificate-unusable";
    let why = "its own certificate or key cannot be used".to_owned();
    let namespace = speaker.subject.meta.namespace.as_deref();
    let read = configuration::read_by(&speaker.pod.spec, speaker.container, namespace);
    let secret = only(read.keys().filter_map(|reference| held(speaker.view, reference)));
    if let Some(edited) = secret.and_then(|secret| lately(speaker, secret)) {
        let cause = edited.cause(&format!("; {} cannot use what is in it.", speaker.who()));
        let mut finding =
            speaker.claim(SLUG, None, &format!("{why} since Secret {} changed", edited.object.meta.name), cause);
        finding.verdict = Verdict::Confirmed;
        finding.evidence.extend(edited.fact());
        finding.remedies.push(edited.remedy());
        return finding;
    }
    let (cause, remedy) = match secret {
        Some(secret) => {
            let name = describe::object(secret);
            let sentence =
                format!("{} takes its certificate and key from Secret {name}, and cannot use them.", speaker.who());
            let mut cause = Cause::plain(CauseKind::Resource, Some(&secret.reference()), sentence);
            cause.managed_by = ownership::managed_by(secret);
            let sentence = format!(
                "Put a certificate and the key that belongs to it into Secret {name}, both in PEM, then restart the pods."
            );
            let mut remedy = spot::remedy(RemedyKind::Patch, &secret.reference(), sentence);
            remedy.managed_by.clone_from(&cause.managed_by);
            (cause, issued(secret).unwrap_or(remedy))
        }
        None => {
            let sentence = format!("{} cannot use its own certificate or key.", speaker.who());
            let cause = Cause::plain(CauseKind::Application, Some(&speaker.workload.reference()), sentence);
            let site = Site::new(speaker.workload, &speaker.container.name);
            let sentence =
                format!("Give {} a certificate and the key that belongs to it, both in PEM.", speaker.container.name);
            (cause, site.advice(RemedyKind::Patch, sentence))
        }
    };
    let mut finding = speaker.claim(SLUG, None, &why, cause);
    if let Some(secret) = secret {
        let words = format!("{} reads the certificate in Secret {}", speaker.container.name, describe::object(secret));
        finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, secret, words));
    }
    finding.remedies.push(remedy);
    finding
}

/// What has the certificate of a Secret made anew, where cert-manager fills it.
fn issued(secret: &Object) -> Option<Remedy> {
    let name = secret.meta.annotations.get("cert-manager.io/certificate-name").filter(|name| !name.is_empty())?;
    let kind = Kind::of_group("cert-manager.io", "Certificate");
    let certificate = ResourceRef::new(kind, secret.meta.namespace.as_deref(), name);
    let sentence = format!(
        "Look at Certificate {}, which fills Secret {}, for why it was not renewed; then restart the pods.",
        describe::name(&certificate),
        secret.meta.name
    );
    Some(spot::remedy(RemedyKind::Outside, &certificate, sentence))
}

/// The other end; who is not named is not guessed.
fn reach<'a>(speaker: &Speaker<'_, 'a>, far: Option<&Far>) -> (FarEnd<'a>, Option<Address>, Option<Mention>) {
    match far {
        Some(far) => far_end::of(speaker, Some(far)),
        None => (FarEnd::Unknown, None, None),
    }
}

/// The Service at the other end.
fn service<'a>(end: &FarEnd<'a>) -> Option<&'a Object> {
    match end {
        FarEnd::Serving(service, ..) | FarEnd::NoPort(service, _) => Some(service),
        FarEnd::Down(down) => Some(down.service),
        _ => None,
    }
}

/// The Secret whose certificate the pods behind a Service show, where they have one.
fn shown<'a>(view: &View<'a>, service: &'a Object) -> Option<&'a Object> {
    let Body::Service(body) = &service.body else { return None };
    if body.spec.selector.is_empty() {
        return None;
    }
    let namespace = service.meta.namespace.as_deref();
    let pods = view.matching(&Kind::Pod, namespace, &LabelSelector::exact(&body.spec.selector)).items;
    let mut found: BTreeMap<ResourceRef, &'a Object> = BTreeMap::new();
    for pod in pods.into_iter().take(SHOWN_BY).filter_map(Object::pod) {
        for (_, container, _) in pod.containers() {
            let read = configuration::read_by(&pod.spec, container, namespace);
            let held = read.keys().filter_map(|reference| held(view, reference));
            found.extend(held.map(|secret| (secret.reference(), secret)));
        }
    }
    only(found.into_values())
}

/// The Secret, if it is one that holds a certificate with its key.
fn held<'a>(view: &View<'a>, reference: &ResourceRef) -> Option<&'a Object> {
    if reference.kind != Kind::Secret {
        return None;
    }
    let secret = view.look_up(reference).found()?;
    let Body::Config(config) = &secret.body else { return None };
    let pair = config.keys.as_ref().is_some_and(|keys| keys.contains("tls.crt") && keys.contains("tls.key"));
    // Of a Secret whose values are not asked for, neither its type nor its keys need be known.
    let issued = secret.meta.annotations.contains_key("cert-manager.io/certificate-name");
    (config.kind == "kubernetes.io/tls" || pair || issued).then_some(secret)
}

fn only<'a>(mut all: impl Iterator<Item = &'a Object>) -> Option<&'a Object> {
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

/// What was changed of a Secret shortly before the program began to end, or since.
fn lately<'a>(speaker: &Speaker<'_, 'a>, secret: &'a Object) -> Option<Edited<'a>> {
    let began = credentials::began(speaker)?;
    let since = began.checked_sub(credentials::WINDOW).ok();
    let change = configuration::changed(speaker.view, secret, since, None)?;
    Some(Edited { object: secret, change, key: None })
}
