//! `problems --watch`: problems as they open, change and close.

use crate::args::Format;
use crate::exit::{Exit, Failure};
use crate::human::severity;
use crate::run::Filter;
use crate::session::{self, Answered};
use crate::terminal::{Terminal, json};
use crate::when::When;
use reckon_cluster::{Connection, ListEvent};
use reckon_detect::{Engine, Scope, State};
use reckon_model::Timestamp;
use reckon_model::document::{Problem, ProblemList};
use reckon_model::text::clean_line;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// A burst of writes is diagnosed once, when it has been quiet for this long …
const QUIET: Duration = Duration::from_millis(500);
/// … or has lasted this long.
const AT_MOST: Duration = Duration::from_secs(2);
/// The first answer waits for the lists, but not for ever: a kind that hangs holds nothing up.
const FIRST: Duration = Duration::from_secs(15);

/// Follows the cluster until interrupted.
pub(crate) async fn run(
    connection: &Connection,
    terminal: &Terminal,
    scope: &Scope,
    filter: Filter,
    format: Format,
    local: bool,
) -> Result<Exit, Failure> {
    let namespace = match scope {
        Scope::Namespace(namespace) => Some(namespace.clone()),
        _ => None,
    };
    let cluster = session::identity(connection.cluster_id().await)?;
    let mut engine = Engine::new(State::new(cluster.clone().unwrap_or_default()));
    let kinds = reckon_detect::kinds();
    let mut awaited = kinds.len();
    let mut listing = connection.follow(kinds, namespace);
    let mut shown: BTreeMap<String, Problem> = BTreeMap::new();
    let mut due = Some(Instant::now() + FIRST);
    let mut burst: Option<Instant> = None;
    loop {
        let wake = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            event = listing.next() => {
                let Some(event) = event else { return Ok(Exit::Fine) };
                let settled = apply(&mut engine, terminal, event);
                awaited = awaited.saturating_sub(usize::from(settled));
                if awaited == 0 {
                    let start = *burst.get_or_insert_with(Instant::now);
                    due = Some((Instant::now() + QUIET).min(start + AT_MOST));
                }
            }
            () = sleep_until(wake) => {
                burst = None;
                awaited = 0;
                let diagnosis = session::follow_up(connection, &mut engine, scope).await;
                due = diagnosis.recheck_at.map(|at| Instant::now() + until(connection.now(), at));
                let answered = Answered {
                    diagnosis,
                    cluster: cluster.clone().map(|id| id.0),
                    as_of: connection.now(),
                    partial: false,
                    warnings: Vec::new(),
                };
                let mut list = answered.document(scope);
                filter.keep(&mut list);
                print(terminal, &list, &mut shown, format, local)?;
            }
        }
    }
}

fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default().max(QUIET)
}

/// Applies an event; whether a kind's first list is settled by it.
fn apply(engine: &mut Engine, terminal: &Terminal, event: ListEvent) -> bool {
    match event {
        ListEvent::Object(object) => engine.state_mut().apply(object),
        ListEvent::Deleted(reference, at) => engine.state_mut().delete(&reference, at),
        ListEvent::Listed { kind, namespace } => {
            engine.state_mut().cover(&kind, namespace.as_deref());
            return true;
        }
        ListEvent::Refused { kind, namespace, gap } => {
            engine.state_mut().refuse(&kind, namespace.as_deref(), gap);
            return true;
        }
        ListEvent::Skipped { kind, gap } => {
            terminal.warn(&format!("one {} was left out: {}", kind.singular(), gap.why));
        }
        ListEvent::Relisting { kind, reason, .. } => {
            terminal.warn(&format!("{}: listing anew: {reason}", kind.resource()));
        }
        ListEvent::Interrupted { kind, gap, .. } => terminal.warn(&format!("{}: stale: {}", kind.resource(), gap.why)),
        ListEvent::Resumed { kind, .. } => terminal.warn(&format!("{}: following again", kind.resource())),
    }
    false
}

/// Prints what is new: for people a line for each problem that opened, changed or closed; for programs the document.
fn print(
    terminal: &Terminal,
    list: &ProblemList,
    shown: &mut BTreeMap<String, Problem>,
    format: Format,
    local: bool,
) -> Result<(), Failure> {
    let mut lines = String::new();
    let when = When::new(local, list.as_of);
    for problem in &list.problems {
        let word = match shown.get(&problem.id) {
            None if problem.closed.is_some() => continue,
            None => "opened",
            Some(before) if before.closed.is_none() && problem.closed.is_some() => "closed",
            Some(before) if before.closed.is_some() && problem.closed.is_none() => "opened",
            Some(before) if before.title != problem.title || before.severity != problem.severity => "changed",
            Some(_) => continue,
        };
        let why = problem.closed_reason.as_deref().filter(|_| word == "closed").unwrap_or(&problem.cause.sentence);
        lines.push_str(&format!(
            "{}  {word:<7}  {:<8}  {}  {}: {}\n",
            when.clock(list.as_of),
            severity(problem.severity),
            problem.id,
            clean_line(&problem.title),
            clean_line(why)
        ));
    }
    let changed = !lines.is_empty() || shown.is_empty();
    *shown = list.problems.iter().map(|problem| (problem.id.clone(), problem.clone())).collect();
    match format {
        Format::Json | Format::Yaml | Format::Name if changed => {
            // One document a line, so that a reader knows where it ends.
            let document: serde_json::Value = serde_json::from_str(&json(list)?).unwrap_or_default();
            terminal.data(&format!("{}\n", crate::terminal::escape(&document.to_string())))
        }
        Format::Json | Format::Yaml | Format::Name => Ok(()),
        Format::Human | Format::Wide => terminal.data(&lines),
    }
}
