//! An entry in a short sentence, as lists show it.

use reckon_model::record::{
    Death, Entry, Fact, Folded, NodeTurn, Phase, PhaseTurn, Release, Rollout, RolloutState, Turn, Written,
};
use reckon_model::text::{count, shorten};
use reckon_model::{Actor, FieldChange, ResourceRef, Timestamp, Verb, duration};
use serde_json::Value;

/// So many fields of a change are told; of others, how many they are.
const FIELDS: usize = 3;

/// So many characters of a value are shown.
const VALUE: usize = 60;

/// What an entry is about, as kubectl names it: `deployment/checkout`. Of a Helm release its name.
pub fn subject(entry: &Entry) -> String {
    match &entry.fact {
        Fact::Release(release) => format!("helm/{}", release.name),
        _ => named(&entry.subject),
    }
}

fn named(reference: &ResourceRef) -> String {
    reference.to_string()
}

/// What happened, without when and to what. Hostile text is not cleaned here.
pub fn sentence(entry: &Entry) -> String {
    match &entry.fact {
        Fact::Change(written) => change(written),
        Fact::Seen(_) => "found as it is when watching began".to_owned(),
        Fact::Rollout(of) => rollout(of),
        Fact::Release(of) => release(of),
        Fact::Sync(of) => format!("{} brought it to {}: {}", of.tool, of.to, of.status),
        Fact::Death(of) => death(of),
        Fact::Phase(of) => phase(of),
        Fact::Node(of) => node(of),
        Fact::Event(of) => event(of, entry.at),
        Fact::Problem(of) => match of.turn {
            Turn::Opened => format!("{} opened: {}", of.failure, of.title),
            Turn::Changed => format!("{} is another: {}", of.failure, of.title),
            Turn::Closed => {
                format!("{} closed{}", of.failure, of.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default())
            }
        },
        Fact::Mark(of) => format!("{}: {}", of.source, of.title),
        Fact::Unseen(of) => format!("not watched: {}", of.why),
        Fact::Summary(of) => {
            let counts: Vec<String> = of.counts.iter().map(|(word, n)| format!("{n} {word}")).collect();
            format!("let go: {} ({})", counts.join(", "), of.why)
        }
        Fact::Unknown(_) => "something that a newer program wrote".to_owned(),
    }
}

fn by(actor: Option<&Actor>) -> String {
    let name = |actor: &Actor| format!(" ({})", actor.user.as_ref().unwrap_or(&actor.manager));
    actor.map(name).unwrap_or_default()
}

fn change(written: &Written) -> String {
    let who = by(written.actor.as_ref());
    match written.verb {
        Verb::Created => format!("created{who}"),
        Verb::Deleted => format!("deleted{who}"),
        Verb::Updated if written.fields.is_empty() => format!("written; nothing tells which fields{who}"),
        Verb::Updated => format!("{}{who}", list(&written.fields)),
    }
}

fn list(fields: &[FieldChange]) -> String {
    let mut told: Vec<String> = fields.iter().take(FIELDS).map(field).collect();
    if fields.len() > FIELDS {
        told.push(format!("{} more", count(fields.len() - FIELDS, "field")));
    }
    told.join(", ")
}

/// A field that differs: `app: limits.memory 512Mi → 256Mi`.
pub fn field(change: &FieldChange) -> String {
    let name = short(&change.field);
    match (&change.from, &change.to) {
        (Some(from), Some(to)) => {
            let (old, new) = (value(from), value(to));
            let new = if name.ends_with("image") { tag(&old, &new) } else { &new };
            format!("{name} {old} → {new}")
        }
        (None, Some(to)) => format!("{name} set to {}", value(to)),
        (Some(from), None) => format!("{name} removed, was {}", value(from)),
        (None, None) => format!("{name} written"),
    }
}

/// A field as people say it, the container first: `app: limits.memory` for
/// `spec.template.spec.containers[app].resources.limits.memory`.
fn short(field: &str) -> String {
    let prefixes = ["spec.jobTemplate.spec.template.spec.", "spec.jobTemplate.spec.template.", "spec.template.spec."];
    let prefixes = prefixes.into_iter().chain(["spec.template.", "spec.jobTemplate."]);
    let rest = prefixes.filter_map(|prefix| field.strip_prefix(prefix)).next().unwrap_or(field);
    let of_container = ["containers[", "initContainers["].into_iter().find_map(|list| {
        let (name, rest) = rest.strip_prefix(list)?.split_once(']')?;
        Some((name, rest.strip_prefix('.').unwrap_or("")))
    });
    match of_container {
        Some((name, "")) => format!("container {name}"),
        Some((name, rest)) => format!("{name}: {}", rest.strip_prefix("resources.").unwrap_or(rest)),
        None => rest.to_owned(),
    }
}

fn value(value: &Value) -> String {
    // A variable that came or went is told by its value.
    let plain = value.get("value").filter(|inner| value.get("name").is_some() && !inner.is_object()).unwrap_or(value);
    match plain {
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => shorten(text, VALUE).into_owned(),
        other => shorten(&other.to_string(), VALUE).into_owned(),
    }
}

fn rollout(of: &Rollout) -> String {
    let to = match of.to.as_str() {
        "" => "the template".to_owned(),
        number => format!("revision {number}"),
    };
    let mut parts: Vec<String> = Vec::new();
    for (container, (old, new)) in &of.images {
        let part = |image: &Option<String>| image.clone().unwrap_or_else(|| "(none)".to_owned());
        let (old, new) = (part(old), part(new));
        parts.push(format!("{container}: image {old} → {}", tag(&old, &new)));
    }
    if !of.fields.is_empty() {
        parts.push(list(&of.fields));
    }
    let what = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    let who = by(of.actor.as_ref());
    match of.state {
        RolloutState::Started => format!("{to} begun{what}{who}"),
        RolloutState::RolledBack => format!("rolled back, as {to}{what}{who}"),
        RolloutState::Done => format!("{to} done: its pods are available"),
        RolloutState::Failed => {
            format!("{to} failed{}", of.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())
        }
    }
}

/// The newer image, without the repository where that is the same.
fn tag<'a>(old: &str, new: &'a str) -> &'a str {
    let split = |image: &str| image.rfind(':').filter(|at| !image[*at..].contains('/'));
    match (split(old), split(new)) {
        (Some(a), Some(b)) if old.get(..a) == new.get(..b) => new.get(b..).unwrap_or(new),
        _ => new,
    }
}

fn release(of: &Release) -> String {
    let mut text = format!("revision {}", of.revision);
    if !matches!(of.status.as_str(), "" | "superseded") {
        text.push_str(&format!(" {}", of.status));
    }
    match &of.version {
        Some((Some(old), new)) => text.push_str(&format!(", chart {} {old} → {new}", of.chart)),
        Some((None, new)) => text.push_str(&format!(", chart {} {new}", of.chart)),
        None => {}
    }
    let objects: Vec<String> = of
        .objects
        .iter()
        .take(FIELDS)
        .map(|(name, fields)| match fields.as_slice() {
            [FieldChange { pointer, from: None, .. }] if pointer.is_empty() => format!("{name} is new"),
            [FieldChange { pointer, to: None, .. }] if pointer.is_empty() => format!("{name} is gone"),
            fields => format!("{name} · {}", list(fields)),
        })
        .collect();
    if !objects.is_empty() {
        text.push_str(&format!(": {}", objects.join("; ")));
    }
    if of.objects.len() > FIELDS {
        text.push_str(&format!("; {} more", count(of.objects.len() - FIELDS, "object")));
    }
    text
}

fn death(of: &Death) -> String {
    let reason = if of.reason.is_empty() { "ended" } else { &of.reason };
    let times = match of.restarts {
        0 => String::new(),
        n => format!(", after {}", count(usize::try_from(n).unwrap_or(usize::MAX), "restart")),
    };
    format!("{} {reason}, exit {}{times}", of.container, of.exit_code)
}

fn phase(of: &PhaseTurn) -> String {
    let word = match of.to {
        Phase::Pending => "pending",
        Phase::Starting => "starting",
        Phase::Ready => "ready",
        Phase::NotReady => "not ready",
        Phase::Succeeded => "succeeded",
        Phase::Failed => "failed",
        Phase::Terminating => "terminating",
        Phase::Deleted => "deleted",
    };
    let node = of.node.as_ref().filter(|_| of.to == Phase::Starting).map(|node| format!(" on {node}"));
    let reason = of.reason.as_ref().map(|reason| format!(": {reason}"));
    format!("{word}{}{}", node.unwrap_or_default(), reason.unwrap_or_default())
}

fn node(of: &NodeTurn) -> String {
    let reason = of.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    match &of.status {
        Some(status) => format!("{} is {status}{reason}", of.what),
        None => format!("{}{reason}", of.what),
    }
}

fn event(of: &Folded, last: Timestamp) -> String {
    let times = match duration::between(of.first, last) {
        _ if of.count <= 1 => String::new(),
        span if span.is_zero() => format!(" ×{}", of.count),
        span => format!(" ×{} in {}", of.count, duration::short(span)),
    };
    format!("{}{times}: {}", of.reason, of.message)
}
