//! Init containers that wait for somebody.

use super::far_end::{self, FarEnd};
use super::{Speaker, dependency, service};
use crate::addresses::{Address, Host};
use crate::detectors::logs;
use crate::detectors::logs::testimony::Testimony;
use crate::{Fact, Finding, View, describe, spot};
use jiff::SignedDuration;
use reckon_model::document::{Role, Source};
use reckon_model::k8s::{Container, ContainerStatus, ContainerType, Pod};
use reckon_model::{Body, Kind, Object};
use std::collections::BTreeSet;

/// So long an init container may take before somebody wonders.
const PATIENT: SignedDuration = SignedDuration::from_mins(2);

/// So many words of a command are looked at.
const WORDS: usize = 500;

/// An init container that runs on and on, and says or is told whom it waits for. One that gets ahead with its work says
/// something else.
pub(super) fn waits<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    container: &'a Container,
    status: &'a ContainerStatus,
) -> Option<Finding> {
    let started = status.state.running.as_ref()?.started_at?;
    let due = started.checked_add(PATIENT).ok()?;
    if subject.meta.deleted.is_some() || !view.reached(due) {
        view.recheck_at(due);
        return None;
    }
    let lines = view.log(subject, &container.name, false);
    let told = logs::keeps_saying(view, subject, &container.name, false);
    let workload = view.workload_of(subject);
    let name = container.name.clone();
    let what = format!("init container {name} waits");
    let mut speaker =
        Speaker { view, subject, pod, workload, kind: ContainerType::Init, container, told, what, ended: None };
    let said = speaker.told.as_ref().map(|told| &told.says);
    let finding = match said {
        Some(Testimony::Refused(far) | Testimony::TimedOut(far) | Testimony::UnknownHost(far)) => {
            let far = far.clone();
            let (end, address, mention) = far_end::of(&speaker, far.as_ref());
            match (end, address) {
                (FarEnd::Absent(service), Some(address)) => {
                    let mut finding = service::absent(&speaker, &service, &address, mention.as_ref());
                    finding.failure = "init-waiting";
                    finding.class = Some("no-service");
                    Some(finding)
                }
                (FarEnd::Down(down), Some(address)) => Some(awaited(&speaker, &address.words(), &down)),
                (FarEnd::Outside, Some(address)) => Some(dependency::outside(
                    &speaker,
                    "init-waiting",
                    &format!("{} does not answer", address.words()),
                    &address.words(),
                    mention.as_ref(),
                )),
                _ => None,
            }
        }
        Some(_) => speaker.finding(),
        // Nothing is said, or nothing but that it waits: what it is told to wait for stands in its command.
        None => {
            let idle = lines.is_some_and(|lines| lines.iter().rev().take(10).all(|line| is_idle(&line.text)));
            if !idle {
                return None;
            }
            let (word, down) = told_to_await(&speaker)?;
            speaker.what = format!("init container {name} waits");
            Some(awaited(&speaker, &word, &down))
        }
    };
    let mut finding = finding?;
    finding.opened = Some(started);
    finding.severity = spot::severity(workload);
    let what = format!("{name} runs since {} and is not done", describe::time(started));
    finding.evidence.push(Fact::new(Role::Symptom, Source::Status, Some(started), subject, what));
    finding.evidence.extend(speaker.said());
    Some(finding)
}

fn awaited(speaker: &Speaker<'_, '_>, word: &str, down: &far_end::Down<'_>) -> Finding {
    dependency::is_down(speaker, "init-waiting", &format!("it waits for {word}"), down)
}

/// Whether a line says no more than that somebody waits.
fn is_idle(line: &str) -> bool {
    let lower = line.to_lowercase();
    lower.trim().is_empty()
        || ["wait", "sleep", "retry", "not ready", "unavailable", "trying", "no response", "still"]
            .iter()
            .any(|word| lower.contains(word))
}

/// The one Service without a ready endpoint that the command names by a word of its own: `until nc -z db 5432`.
fn told_to_await<'a>(speaker: &Speaker<'_, 'a>) -> Option<(String, far_end::Down<'a>)> {
    let namespace = speaker.subject.namespace();
    let known: BTreeSet<&str> = speaker
        .view
        .all(&Kind::Service, Some(namespace))
        .items
        .into_iter()
        .filter(|service| matches!(service.body, Body::Service(_)))
        .map(|service| service.meta.name.as_str())
        .collect();
    let text = speaker.container.command.iter().chain(&speaker.container.args);
    let variables = speaker.container.env.iter().filter_map(|variable| variable.value.as_ref());
    let mut found = std::collections::BTreeMap::new();
    let part = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
    for word in text.chain(variables).flat_map(|text| text.split(part)).filter(|word| !word.is_empty()).take(WORDS) {
        let Some(address) = Address::whole(word) else { continue };
        let service = match address.seen_from(namespace) {
            Host::Service(service) if service.namespace() != namespace || known.contains(service.name.as_str()) => {
                service
            }
            Host::Maybe([service, _]) => service,
            _ => continue,
        };
        // Of words with a dot most are files and versions: those alone are asked for whose name is written in full.
        if service.namespace() != namespace && !word.contains(".svc") {
            continue;
        }
        let Some(service) = speaker.view.look_up(&service).found() else { continue };
        if let FarEnd::Down(down) = far_end::judge(speaker, service, None) {
            found.insert(service.reference(), (word.to_owned(), down));
        }
    }
    let only = found.len() == 1;
    found.into_values().next().filter(|_| only)
}
