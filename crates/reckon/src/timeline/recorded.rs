//! A timeline with a server's record: from where that begins it is told from it, before from what Kubernetes remembers.

use crate::args::{Global, TimelineOptions};
use crate::exit::{Exit, Failure};
use crate::record::{Found, Record};
use crate::run::connect;
use crate::session;
use crate::target;
use crate::terminal::Terminal;
use reckon_model::document::{API_VERSION, Timeline};
use reckon_model::record::{Entry, Fact};
use reckon_model::text::count;
use reckon_model::{Kind, ResourceRef, Timestamp};

/// Tells it; says as well whether something could not be read.
pub(super) async fn from_record(
    global: &Global,
    terminal: &Terminal,
    options: &TimelineOptions,
    server: &str,
) -> Result<(Timeline, bool), Failure> {
    let (remembered, why) = match super::from_cluster(global, terminal, options).await {
        Ok(remembered) => (Some(remembered), None),
        // What is gone, and what cannot be asked, may be in the record all the same.
        Err(failure)
            if matches!(failure.exit, Exit::NotFound | Exit::Unreachable | Exit::Forbidden | Exit::TimedOut) =>
        {
            (None, Some(failure))
        }
        Err(failure) => return Err(failure),
    };
    let target = named(global, options).await?;
    let cluster = match &remembered {
        Some((timeline, _)) => timeline.cluster.clone(),
        None => cluster(global).await,
    };
    let record = Record::of(&options.record, server, cluster.as_deref()).await?;
    let now = remembered.as_ref().map_or_else(Timestamp::now, |(timeline, _)| timeline.as_of);
    let since = super::since(options, now);
    let lines =
        lines(&target, remembered.as_ref().map(|(timeline, _)| timeline.entries.as_slice()).unwrap_or_default());
    let Found { entries, more } = record.entries(&lines, since).await?;
    if more {
        terminal.warn("only the newest 5000 entries are told; --since with less time tells the others");
    }
    if let Some(failure) = why {
        if entries.is_empty() {
            return Err(failure);
        }
        terminal.warn(&format!("{}; what the record tells of it follows", failure.sentence));
    }
    let begins = begins(record.begins(), &entries).filter(|_| remembered.is_some());
    let (timeline, partial) = remembered.unwrap_or_else(|| (empty(&target, now, since), false));
    Ok((joined(timeline, &target, record.cluster(), begins, entries), partial))
}

/// The target, whether it is there or not.
async fn named(global: &Global, options: &TimelineOptions) -> Result<ResourceRef, Failure> {
    let words = target::words(&options.target)?;
    let connection = connect(global).await.ok();
    let own = connection.as_ref().map_or("default", |connection| connection.default_namespace());
    let namespace = global.namespace.as_deref().unwrap_or(own);
    if let Some(kind) = Kind::parse(words.kind) {
        return Ok(ResourceRef::new(kind, Some(namespace), words.name));
    }
    match &connection {
        Some(connection) => session::named_object(connection, &options.target, namespace).await,
        None => Err(target::unknown(words.kind, "this program")),
    }
}

async fn cluster(global: &Global) -> Option<String> {
    Some(connect(global).await.ok()?.cluster_id().await.ok()?.0)
}

/// The timelines of what was asked about and of all that it is made of.
fn lines(target: &ResourceRef, remembered: &[Entry]) -> Vec<ResourceRef> {
    let plain = |object: &ResourceRef| ResourceRef { uid: None, ..object.clone() };
    let mut lines = vec![plain(target)];
    for entry in remembered {
        let line = plain(entry.line());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

fn empty(target: &ResourceRef, now: Timestamp, since: Option<Timestamp>) -> Timeline {
    Timeline {
        api_version: API_VERSION.to_owned(),
        kind: "Timeline".to_owned(),
        reckon_version: env!("CARGO_PKG_VERSION").to_owned(),
        cluster: None,
        as_of: now,
        scope: session::named(&reckon_detect::Scope::Object(target.clone())),
        since,
        sentence: String::new(),
        entries: Vec::new(),
        unseen: Vec::new(),
        not_checked: Vec::new(),
    }
}

/// Since when the record tells of these objects. Its earliest entry may be older: what was found when it began, such as the last
/// death of a container, has the time at which it happened.
fn begins(record: Option<Timestamp>, recorded: &[Entry]) -> Option<Timestamp> {
    let found = recorded.iter().filter(|entry| matches!(entry.fact, Fact::Seen(_))).map(|entry| entry.at).min();
    record.into_iter().chain(found).max()
}

/// What is remembered of the time before the record tells, and the record from then on; all of it where nothing is remembered.
fn joined(
    remembered: Timeline,
    target: &ResourceRef,
    cluster: &str,
    begins: Option<Timestamp>,
    recorded: Vec<Entry>,
) -> Timeline {
    let before = |at: Timestamp| begins.is_some_and(|begins| at < begins);
    let mut entries: Vec<Entry> = remembered.entries.into_iter().filter(|entry| before(entry.at)).collect();
    let unseen = remembered.unseen.into_iter().filter(|unseen| before(unseen.from)).collect();
    let older = entries.len();
    entries.extend(recorded.into_iter().filter(|entry| !before(entry.at)));
    entries.sort_by_key(|entry| entry.at);
    let of = target::describe(target);
    let sentence = match (entries.len(), older) {
        (0, _) => format!("Nothing is recorded of {of}."),
        (n, 0) => format!("{} of {of}, told from the record.", count(n, "entry")),
        (n, _) => format!(
            "{} of {of}, told from the record, and from what Kubernetes remembers before it.",
            count(n, "entry")
        ),
    };
    Timeline { cluster: Some(cluster.to_owned()), sentence, entries, unseen, ..remembered }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reckon_model::record::{Folded, Seen};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn entry(time: &str, fact: Fact) -> Entry {
        Entry { at: at(time), subject: ResourceRef::new(Kind::Deployment, Some("shop"), "web"), workload: None, fact }
    }

    fn event(reason: &str) -> Fact {
        Fact::Event(Folded {
            reason: reason.to_owned(),
            message: String::new(),
            warning: true,
            count: 1,
            first: at("2026-01-01T10:00:00Z"),
            component: String::new(),
        })
    }

    #[test]
    fn what_is_remembered_goes_over_into_the_record_where_that_begins() {
        let web = ResourceRef::new(Kind::Deployment, Some("shop"), "web");
        let seen = Fact::Seen(Seen { generation: None, version: String::new(), object: None, phase: None });
        let recorded = vec![
            entry("2026-01-01T11:00:00Z", event("found")),
            entry("2026-01-01T12:00:00Z", seen),
            entry("2026-01-01T13:00:00Z", event("recorded")),
        ];
        let now = at("2026-01-01T14:00:00Z");
        let known = [entry("2026-01-01T10:00:00Z", event("remembered")), entry("2026-01-01T13:00:00Z", event("both"))];
        let remembered = Timeline { entries: known.to_vec(), ..empty(&web, now, None) };
        let begins = begins(Some(at("2026-01-01T09:00:00Z")), &recorded);
        assert_eq!(begins, Some(at("2026-01-01T12:00:00Z")));
        let hours = |told: &Timeline| {
            told.entries.iter().map(|entry| entry.at.to_string()[11..13].to_owned()).collect::<Vec<_>>()
        };
        let told = joined(remembered, &web, "c", begins, recorded.clone());
        assert_eq!(hours(&told), ["10", "12", "13"]);
        assert!(told.sentence.ends_with("told from the record, and from what Kubernetes remembers before it."));
        assert_eq!(hours(&joined(empty(&web, now, None), &web, "c", None, recorded)), ["11", "12", "13"]);
    }
}
