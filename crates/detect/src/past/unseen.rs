//! Of which times something is not remembered.

use super::parts::{Parts, Tell};
use super::{events, namespace_of, pods};
use crate::engine::Scope;
use crate::history;
use crate::view::View;
use jiff::SignedDuration;
use reckon_model::record::{Entry, Unseen};
use reckon_model::text::{count, enumerate};
use reckon_model::{Kind, Timestamp};

/// How long API servers keep Events unless they are told otherwise (`--event-ttl`).
const EVENTS: SignedDuration = SignedDuration::from_hours(1);

/// So many containers are named.
const NAMED: usize = 3;

/// What is not remembered since the time that was asked for, else since the first entry.
pub(super) fn of<'a>(
    view: &View<'a>,
    scope: &Scope,
    parts: &Parts<'a>,
    entries: &[Entry],
    since: Option<Timestamp>,
    now: Timestamp,
) -> Vec<Unseen> {
    let Some(from) = since.or_else(|| entries.iter().map(|entry| entry.at).min()) else { return Vec::new() };
    let mut unseen: Vec<Unseen> = Vec::new();
    unseen.extend(old_events(view, scope, from, now));
    unseen.extend(old_deaths(parts, from));
    unseen.extend(old_revisions(view, parts, from));
    unseen.sort_by(|a, b| (a.from, a.to, &a.resource, &a.why).cmp(&(b.from, b.to, &b.resource, &b.why)));
    unseen
}

fn old_events(view: &View<'_>, scope: &Scope, from: Timestamp, now: Timestamp) -> Option<Unseen> {
    let kept = now.checked_sub(EVENTS).ok()?;
    let to = events::oldest(view, namespace_of(scope)).map_or(kept, |oldest| oldest.min(kept));
    let why =
        "Events are kept for an hour, unless the API server is told otherwise; of pods that are gone only they tell";
    (from < to).then(|| Unseen { from, to, resource: "events".to_owned(), why: why.to_owned() })
}

/// Deaths of containers that died again since.
fn old_deaths(parts: &Parts<'_>, from: Timestamp) -> Option<Unseen> {
    let mut forgotten: Vec<(String, u32, Timestamp)> = Vec::new();
    for member in parts.members.iter().filter(|member| matches!(member.tell, Tell::All | Tell::Ends)) {
        let Some(pod) = member.object.pod() else { continue };
        for (_, container, status) in pod.containers() {
            if let Some((deaths, before)) = status.and_then(pods::forgotten).filter(|(_, before)| from < *before) {
                forgotten.push((format!("{} of {}", container.name, member.object.meta.name), deaths, before));
            }
        }
    }
    let to = forgotten.iter().map(|(_, _, before)| *before).max()?;
    let deaths: u32 = forgotten.iter().map(|(_, deaths, _)| *deaths).fold(0, u32::saturating_add);
    let mut names: Vec<String> = forgotten.iter().take(NAMED).map(|(name, _, _)| name.clone()).collect();
    if forgotten.len() > NAMED {
        names.push(format!("{} more", forgotten.len() - NAMED));
    }
    let why = format!(
        "{} not remembered ({}): a pod's status keeps the newest of each container",
        count(usize::try_from(deaths).unwrap_or(usize::MAX), "death"),
        enumerate(&names),
    );
    Some(Unseen { from, to, resource: "pods".to_owned(), why })
}

/// Templates of which no revision is kept.
fn old_revisions<'a>(view: &View<'a>, parts: &Parts<'a>, from: Timestamp) -> Vec<Unseen> {
    let mut unseen = Vec::new();
    for member in parts.members.iter().filter(|member| matches!(member.tell, Tell::All | Tell::Writes)) {
        let object = member.object;
        if !matches!(object.kind, Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet) {
            continue;
        }
        let templates = history::templates(view, object);
        let Some(first) = templates.first().filter(|first| first.number > 1) else { continue };
        let begin = object.meta.created.map_or(from, |created| created.max(from));
        if begin < first.created {
            let why = format!("{} keeps no revision before {}", object.reference(), first.number);
            unseen.push(Unseen { from: begin, to: first.created, resource: object.kind.resource(), why });
        }
    }
    unseen
}
