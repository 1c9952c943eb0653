//! `problems --watch`: problems as they open, change and close.

use crate::args::Format;
use crate::exit::{Exit, Failure};
use crate::filter::Filter;
use crate::human::{glyph, severity, style_of};
use crate::session::{self, Answered};
use crate::style::Style;
use crate::terminal::{Terminal, filled, json_line, yaml};
use crate::when::When;
use reckon_cluster::{Connection, ListEvent};
use reckon_detect::{Engine, Scope, State};
use reckon_model::document::{Problem, ProblemList};
use reckon_model::text::clean_line;
use reckon_model::{Gap, Kind, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// A burst of writes is diagnosed once, when it has been quiet for this long …
pub(crate) const QUIET: Duration = Duration::from_millis(500);
/// … or has lasted this long.
pub(crate) const AT_MOST: Duration = Duration::from_secs(2);
/// The first answer waits for the lists, but not for ever: a kind that hangs holds nothing up.
pub(crate) const FIRST: Duration = Duration::from_secs(15);

/// How long an answer that nobody follows is taken for true.
pub(crate) const FRESH: Duration = Duration::from_secs(60);

/// Follows the cluster until interrupted.
pub(crate) async fn run(
    connection: &Connection,
    terminal: &Terminal,
    scope: &Scope,
    filter: Filter<'_>,
    format: &Format,
    local: bool,
) -> Result<Exit, Failure> {
    let namespace = match scope {
        Scope::Namespace(namespace) => Some(namespace.clone()),
        _ => None,
    };
    let cluster = session::identity(connection.cluster_id().await)?;
    let mut engine = Engine::new(State::new(cluster.clone().unwrap_or_default()).with_specs(connection.specs()));
    let kinds = reckon_detect::kinds();
    let mut first = First { awaited: kinds.len(), listed: 0, refused: Vec::new() };
    let mut listing = connection.follow(kinds, namespace.clone());
    // Kinds of which an object could not be decoded since they were last listed.
    let mut unread: BTreeMap<Kind, Gap> = BTreeMap::new();
    let mut asked = Instant::now();
    let mut shown: BTreeMap<String, Problem> = BTreeMap::new();
    let mut due = Some(Instant::now() + FIRST);
    let mut burst: Option<Instant> = None;
    loop {
        let wake = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            event = listing.next() => {
                let Some(event) = event else { return Ok(Exit::Fine) };
                let was_awaited = first.awaited > 0;
                if !was_awaited {
                    say_what_is_refused(terminal, &event);
                }
                first.hear(&event);
                apply(&mut engine, terminal, &mut unread, event);
                if was_awaited && first.awaited == 0 {
                    first.judge(connection, terminal, namespace.as_deref(), &engine).await?;
                }
                if first.awaited == 0 {
                    let now = Instant::now();
                    // The first answer is waited for: what has been listed is judged at once.
                    let start = *burst.get_or_insert_with(|| {
                        now.checked_sub(AT_MOST).filter(|_| was_awaited).unwrap_or(now)
                    });
                    due = Some((now + QUIET).min(start + AT_MOST));
                }
            }
            () = sleep_until(wake) => {
                burst = None;
                first.awaited = 0;
                if asked.elapsed() >= FRESH {
                    asked = Instant::now();
                    engine.state_mut().forget_answers();
                }
                let diagnosis = session::follow_up(connection, &mut engine, scope).await;
                due = diagnosis.recheck_at.map(|at| Instant::now() + until(connection.now(), at));
                let answered = Answered {
                    diagnosis,
                    // The engine keeps its own.
                    state: State::default(),
                    cluster: cluster.clone().map(|id| id.0),
                    context: None,
                    as_of: connection.now(),
                    partial: false,
                    warnings: Vec::new(),
                };
                let (mut list, _) = answered.document(scope);
                filter.keep(&mut list, engine.state());
                print(terminal, &list, &mut shown, format, local)?;
            }
        }
    }
}

fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default().max(QUIET)
}

/// What became of the first lists.
struct First {
    /// Kinds whose list has neither come nor been refused.
    awaited: usize,
    listed: usize,
    refused: Vec<(Kind, Gap)>,
}

impl First {
    fn hear(&mut self, event: &ListEvent) {
        match event {
            ListEvent::Listed { .. } => self.listed += 1,
            ListEvent::Refused { kind, gap, .. } => self.refused.push((kind.clone(), gap.clone())),
            _ => return,
        }
        self.awaited = self.awaited.saturating_sub(1);
    }

    /// Says what will never be seen, before a silence is taken for health.
    async fn judge(
        &self,
        connection: &Connection,
        terminal: &Terminal,
        namespace: Option<&str>,
        engine: &Engine,
    ) -> Result<(), Failure> {
        if self.listed == 0 {
            return Err(session::nothing_listed(connection, &self.refused));
        }
        for (kind, gap) in &self.refused {
            if session::is_asked_for(kind, gap.obstacle) {
                terminal.warn(&format!("{} could not be read: {}", kind.resource(), gap.why));
            }
        }
        match namespace {
            Some(namespace) if !engine.state().namespaces().contains(namespace) => {
                session::exists(connection, namespace).await
            }
            _ => Ok(()),
        }
    }
}

/// What could be read before and cannot any more; what never could be was said at the beginning.
fn say_what_is_refused(terminal: &Terminal, event: &ListEvent) {
    if let ListEvent::Refused { kind, gap, .. } = event
        && session::is_asked_for(kind, gap.obstacle)
    {
        terminal.warn(&format!("{} could not be read: {}", kind.resource(), gap.why));
    }
}

fn apply(engine: &mut Engine, terminal: &Terminal, unread: &mut BTreeMap<Kind, Gap>, event: ListEvent) {
    match event {
        ListEvent::Object(object) => engine.state_mut().apply(object),
        ListEvent::Deleted(reference, at) => engine.state_mut().delete(&reference, at),
        ListEvent::Listed { kind, namespace } => {
            match unread.remove(&kind) {
                // What could not be decoded is there all the same.
                Some(gap) => engine.state_mut().refuse(&kind, namespace.as_deref(), gap),
                None => engine.state_mut().cover(&kind, namespace.as_deref()),
            }
        }
        ListEvent::Refused { kind, namespace, gap } => {
            engine.state_mut().refuse(&kind, namespace.as_deref(), gap);
        }
        ListEvent::Skipped { kind, gap } => {
            terminal.warn(&format!("one {} was left out: {}", kind.singular(), gap.why));
            unread.insert(kind, gap);
        }
        ListEvent::Relisting { kind, reason, .. } => {
            terminal.warn(&format!("{}: listing anew: {reason}", kind.resource()));
        }
        // What is known grows stale: nothing may be concluded from its silence until it is followed again.
        ListEvent::Interrupted { kind, namespace, gap } => {
            terminal.warn(&format!("{}: stale: {}", kind.resource(), gap.why));
            engine.state_mut().refuse(&kind, namespace.as_deref(), gap);
        }
        ListEvent::Resumed { kind, namespace } => {
            terminal.warn(&format!("{}: following again", kind.resource()));
            engine.state_mut().cover(&kind, namespace.as_deref());
        }
    }
}

/// What became of a problem since it was last shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Opened,
    Changed,
    Closed,
}

/// The problems that opened, changed or closed, in the order of the list.
fn turns<'a>(shown: &BTreeMap<String, Problem>, now: &'a [Problem]) -> Vec<(Turn, &'a Problem)> {
    now.iter()
        .filter_map(|problem| {
            let is_open = problem.closed.is_none();
            let turn = match shown.get(&problem.id) {
                // What was over before anybody looked is no news.
                None => is_open.then_some(Turn::Opened),
                Some(before) => match (before.closed.is_none(), is_open) {
                    (true, false) => Some(Turn::Closed),
                    (false, true) => Some(Turn::Opened),
                    (false, false) => None,
                    (true, true) => differs(before, problem).then_some(Turn::Changed),
                },
            };
            Some((turn?, problem))
        })
        .collect()
}

/// Whether a person would want to hear of it. Counts and ages change all the time.
fn differs(before: &Problem, now: &Problem) -> bool {
    let said = |problem: &Problem| {
        (
            problem.failure.clone(),
            problem.class.clone(),
            problem.severity,
            problem.verdict,
            problem.cause.sentence.clone(),
        )
    };
    said(before) != said(now)
}

/// Prints what is new: for people a line for each problem that opened, changed or closed; for programs one document a
/// line with those problems.
fn print(
    terminal: &Terminal,
    list: &ProblemList,
    shown: &mut BTreeMap<String, Problem>,
    format: &Format,
    local: bool,
) -> Result<(), Failure> {
    let turns = turns(shown, &list.problems);
    let mut out = String::new();
    match format {
        Format::Human | Format::Wide => {
            let paint = terminal.paint();
            let when = When::new(local, list.as_of);
            for (turn, problem) in &turns {
                let (glyph, style, word) = match turn {
                    Turn::Opened => (glyph(problem.severity), style_of(problem.severity), "opened"),
                    Turn::Changed => (glyph(problem.severity), style_of(problem.severity), "changed"),
                    Turn::Closed => ("✔", Style::Good, "closed"),
                };
                let why = problem.closed_reason.as_deref().filter(|_| *turn == Turn::Closed);
                out.push_str(&format!(
                    "{}  {}  {:<8}  {}  {}: {}\n",
                    when.clock(list.as_of),
                    paint.with(style, &format!("{glyph} {word:<7}")),
                    severity(problem.severity),
                    problem.id,
                    clean_line(&problem.title),
                    clean_line(why.unwrap_or(&problem.cause.sentence))
                ));
            }
        }
        Format::Name => {
            for (_, problem) in &turns {
                out.push_str(&format!("{}\n", crate::human::name(problem)));
            }
        }
        Format::Json | Format::Yaml | Format::JsonPath(_) if !turns.is_empty() => {
            let changed =
                ProblemList { problems: turns.iter().map(|(_, problem)| (*problem).clone()).collect(), ..list.clone() };
            out.push_str(&match format {
                Format::JsonPath(template) => filled(template, &changed)? + "\n",
                Format::Json => json_line(&changed)?,
                _ => format!("---\n{}", yaml(&changed)?),
            });
        }
        Format::Json | Format::Yaml | Format::JsonPath(_) => {}
    }
    *shown = list.problems.iter().map(|problem| (problem.id.clone(), problem.clone())).collect();
    if out.is_empty() { Ok(()) } else { terminal.data(&out) }
}
