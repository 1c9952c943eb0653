//! Credentials that the other side does not take.

use super::{Speaker, far_end};
use crate::addresses::Host;
use crate::addresses::calls;
use crate::detectors::configuration::{self, Edited};
use crate::detectors::logs::testimony::Far;
use crate::detectors::template::Site;
use crate::{Fact, Finding, describe, ownership, spot};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::ContainerStatus;
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Kind, Object, ResourceRef, Timestamp};
use std::collections::BTreeMap;

const SLUG: &str = "credentials-rejected";

/// A change that was lived with for longer made nothing of what fails now.
pub(super) const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// So many Services that a program calls are looked behind.
const CALLED: usize = 8;

/// This server does not take them.
pub(super) fn rejected(speaker: &Speaker<'_, '_>, by: &str, far: Option<&Far>) -> Finding {
    let why = format!("{by} does not take its credentials");
    let namespace = speaker.subject.meta.namespace.as_deref();
    let own = configuration::read_by(&speaker.pod.spec, speaker.container, namespace);
    let runs_since = status(speaker).and_then(|status| status.state.running.as_ref()?.started_at);
    let began = began(speaker);
    if let Some((secret, changed)) = newest(speaker, own.keys(), began) {
        // Variables are read at the start, and never again.
        return match runs_since.filter(|since| changed.change.at > *since) {
            Some(since) => stale(speaker, secret, &changed, since, &why),
            None => told(speaker, secret, changed, &why, "the program reads it"),
        };
    }
    if let Some((secret, changed)) = other_side(speaker, far, &own, began) {
        return told(speaker, secret, changed, &why, "the server reads it");
    }
    unchanged(speaker, &own, by, &why)
}

fn status<'a>(speaker: &Speaker<'_, 'a>) -> Option<&'a ContainerStatus> {
    let mut containers = speaker.pod.containers();
    containers.find(|(_, container, _)| container.name == speaker.container.name).and_then(|(_, _, status)| status)
}

/// When the instance that tells of it began.
pub(super) fn began(speaker: &Speaker<'_, '_>) -> Option<Timestamp> {
    let status = status(speaker)?;
    let ended = status.last_end().and_then(|end| end.started_at);
    ended.or_else(|| status.state.running.as_ref()?.started_at)
}

/// The Secret among these that was changed last, shortly before the program began to be turned away, or since.
fn newest<'a, 'r>(
    speaker: &Speaker<'_, 'a>,
    of: impl Iterator<Item = &'r ResourceRef>,
    began: Option<Timestamp>,
) -> Option<(&'a Object, Edited<'a>)> {
    let since = began.and_then(|began| began.checked_sub(WINDOW).ok());
    of.filter(|reference| reference.kind == Kind::Secret)
        .filter_map(|reference| {
            let object = speaker.view.look_up(reference).found()?;
            let change = configuration::changed(speaker.view, object, since, None)?;
            let keys = configuration::keys(object, &change);
            let key = match keys.as_slice() {
                [only] => Some(only.clone()),
                _ => keys.into_iter().find(|key| is_credential(key)),
            };
            Some((object, Edited { object, change, key }))
        })
        .max_by_key(|(_, edited)| edited.change.at)
}

fn is_credential(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["pass", "pw", "token", "auth", "secret", "cred", "dsn"].iter().any(|word| lower.contains(word))
}

/// The Secrets of whoever is called: whom the log names, and those that the program is told of.
fn other_side<'a>(
    speaker: &Speaker<'_, 'a>,
    far: Option<&Far>,
    own: &BTreeMap<ResourceRef, Vec<(String, String)>>,
    began: Option<Timestamp>,
) -> Option<(&'a Object, Edited<'a>)> {
    let namespace = speaker.subject.namespace();
    let given =
        calls::addresses(speaker.view, &speaker.pod.spec.common, Some(namespace), Some(&speaker.container.name));
    let named = far.map(|far| &far.address);
    let services = named.into_iter().chain(given.iter().map(|(address, _)| address));
    let services = services.filter_map(|address| match address.seen_from(namespace) {
        Host::Service(service) | Host::Maybe([service, _]) => speaker.view.look_up(&service).found(),
        Host::Number if named == Some(address) => far_end::by_number(speaker.view, namespace, &address.host),
        _ => None,
    });
    let pods = services.take(CALLED).filter_map(|service| match &service.body {
        Body::Service(body) if !body.spec.selector.is_empty() => {
            let selector = LabelSelector::exact(&body.spec.selector);
            let pods = speaker.view.matching(&Kind::Pod, service.meta.namespace.as_deref(), &selector);
            pods.items.into_iter().next()
        }
        _ => None,
    });
    let mut theirs = Vec::new();
    for pod in pods {
        let Some(body) = pod.pod() else { continue };
        for (_, container) in body.spec.all_containers() {
            theirs.extend(configuration::read_by(&body.spec, container, pod.meta.namespace.as_deref()).into_keys());
        }
    }
    theirs.retain(|reference| !own.contains_key(reference));
    newest(speaker, theirs.iter(), began)
}

/// The Secret was changed before.
fn told(speaker: &Speaker<'_, '_>, secret: &Object, edited: Edited<'_>, why: &str, who: &str) -> Finding {
    let why = format!("{why} since Secret {} changed", secret.meta.name);
    let cause = edited.cause(&format!("; {who}, and since then {} is turned away.", speaker.who()));
    let mut finding = speaker.claim(SLUG, Some("changed"), &why, cause);
    finding.verdict = Verdict::Confirmed;
    finding.evidence.extend(edited.fact());
    finding.remedies.push(edited.remedy());
    finding
}

/// The Secret is newer than what the program has read of it.
fn stale(speaker: &Speaker<'_, '_>, secret: &Object, edited: &Edited<'_>, since: Timestamp, why: &str) -> Finding {
    let why = format!("{why}: they are older than its Secret {}", secret.meta.name);
    let sentence = format!(
        "Secret {} was changed at {}, and {} runs since {} with what it read then.",
        describe::object(secret),
        describe::time(edited.change.at),
        speaker.who(),
        describe::time(since)
    );
    let mut cause = Cause::plain(CauseKind::Resource, Some(&speaker.workload.reference()), sentence);
    cause.managed_by = ownership::managed_by(speaker.workload);
    let mut finding = speaker.claim(SLUG, Some("stale"), &why, cause);
    finding.verdict = Verdict::Confirmed;
    let words = format!("Secret {} was changed", describe::object(secret));
    finding.evidence.push(Fact::new(Role::Cause, Source::Change, Some(edited.change.at), secret, words));
    let sentence = format!(
        "Restart {} {}, so that its pods read the Secret again.",
        speaker.workload.kind.singular(),
        describe::object(speaker.workload)
    );
    finding.remedies.push(spot::remedy(RemedyKind::Restart, &speaker.workload.reference(), sentence));
    finding
}

/// Nothing is known to have changed: the Secret that holds them is what to look at.
fn unchanged(
    speaker: &Speaker<'_, '_>,
    own: &BTreeMap<ResourceRef, Vec<(String, String)>>,
    by: &str,
    why: &str,
) -> Finding {
    let secrets = || own.iter().filter(|(reference, _)| reference.kind == Kind::Secret);
    let holds = |(_, variables): &(&ResourceRef, &Vec<(String, String)>)| {
        variables.iter().any(|(variable, key)| is_credential(variable) || is_credential(key))
    };
    let secret = secrets().find(holds).or_else(|| secrets().next()).map(|(reference, _)| reference);
    let site = Site::new(speaker.workload, &speaker.container.name);
    let cause = match secret {
        Some(secret) => {
            let sentence = format!(
                "{} takes its credentials from Secret {}, and {by} does not take them; neither is known to have changed.",
                speaker.who(),
                describe::name(secret)
            );
            Cause::plain(CauseKind::Resource, Some(secret), sentence)
        }
        None => {
            let sentence = format!("{by} does not take the credentials of {}.", speaker.who());
            Cause::plain(CauseKind::Application, Some(&speaker.workload.reference()), sentence)
        }
    };
    let mut finding = speaker.claim(SLUG, Some("unchanged"), why, cause);
    finding.remedies.push(match secret {
        Some(secret) => spot::remedy(
            RemedyKind::Patch,
            secret,
            format!("Put what {by} takes into Secret {}, then restart the pods.", describe::name(secret)),
        ),
        None => site.advice(RemedyKind::Patch, format!("Give {} credentials that {by} takes.", speaker.container.name)),
    });
    finding
}
