//! `reckon timeline`: what happened to an object and what it is made of, as far as Kubernetes itself remembers.

mod recorded;
mod table;

use crate::again::Again;
use crate::args::{DataFormat, Global, ListingFormat, TimelineOptions};
use crate::bundle;
use crate::exit::{Exit, Failure};
use crate::run::{connect, look_at, scope_of};
use crate::session::{self, Answered};
use crate::target;
use crate::terminal::{self, Terminal};
use crate::when::When;
use reckon_cluster::Connection;
use reckon_detect::past::{self, Past, Read};
use reckon_detect::{Scope, State};
use reckon_model::document::{API_VERSION, Problem, Timeline};
use reckon_model::text::count;
use reckon_model::{Answer, Demand, Obstacle, ResourceRef, Timestamp};
use std::path::Path;
use table::Table;

/// What the past is told from.
struct Known {
    scope: Scope,
    state: State,
    problems: Vec<Problem>,
    cluster: Option<String>,
    as_of: Timestamp,
    /// Whether something that was asked for could not be read.
    partial: bool,
    warnings: Vec<String>,
}

impl Known {
    fn of(scope: Scope, answered: Answered) -> Self {
        let Answered { diagnosis, state, cluster, as_of, partial, warnings, .. } = answered;
        Known { scope, state, problems: diagnosis.problems, cluster, as_of, partial, warnings }
    }
}

/// Tells it.
pub(crate) async fn run(global: &Global, terminal: &Terminal, options: &TimelineOptions) -> Result<Exit, Failure> {
    let (timeline, partial) = match (&options.offline.file, &options.record.server) {
        (Some(path), _) => from_bundle(global, terminal, options, path)?,
        (None, Some(server)) => recorded::from_record(global, terminal, options, server).await?,
        (None, None) => from_cluster(global, terminal, options).await?,
    };
    let again = match &options.offline.file {
        Some(path) => Again::bundle(path, options.offline.at),
        None => Again::cluster(global),
    };
    let text = match options.output.format {
        ListingFormat::Json => terminal::value(&written(&timeline)?, DataFormat::Json)?,
        ListingFormat::Yaml => terminal::value(&written(&timeline)?, DataFormat::Yaml)?,
        format => {
            let table = Table {
                paint: terminal.paint(),
                room: terminal.room().filter(|_| format == ListingFormat::Table),
                width: terminal.width(),
                wide: format == ListingFormat::Wide,
                when: When::new(global.local, timeline.as_of),
                program: terminal.program,
                again: &again.reckon,
            };
            table.of(&timeline)
        }
    };
    terminal.data(&text)?;
    Ok(if partial { Exit::Partial } else { Exit::Fine })
}

fn from_bundle(
    global: &Global,
    terminal: &Terminal,
    options: &TimelineOptions,
    path: &Path,
) -> Result<(Timeline, bool), Failure> {
    let mut bundle = bundle::open(path)?;
    let scope = scope_of(bundle.target(&options.target, global.namespace.as_deref())?);
    let warnings = std::mem::take(&mut bundle.warnings);
    warnings.iter().for_each(|warning| terminal.warn(warning));
    let mut known = Known::of(scope.clone(), bundle.answer(&scope, options.offline.at)?);
    known.warnings.iter().for_each(|warning| terminal.warn(warning));
    let mut state = std::mem::take(&mut known.state);
    let read = session::without(&mut state, question(&known, options), "not in the bundle", Obstacle::NotFound);
    let partial = known.partial || !warnings.is_empty();
    Ok((document(known, read, options), partial))
}

async fn from_cluster(
    global: &Global,
    terminal: &Terminal,
    options: &TimelineOptions,
) -> Result<(Timeline, bool), Failure> {
    let connection = connect(global).await?;
    let namespace = global.namespace.as_deref().unwrap_or(connection.default_namespace()).to_owned();
    let target = session::named_object(&connection, &options.target, &namespace).await?;
    let (mut known, missing) = match look_at(&connection, target.clone(), &mut bundle::Tape::default()).await {
        Ok((scope, answered)) => (Known::of(scope, answered), None),
        // Events outlive what they are about.
        Err(failure) if failure.exit == Exit::NotFound && target.namespace.is_some() => {
            (absent(&connection, target), Some(failure))
        }
        Err(failure) => return Err(failure),
    };
    known.warnings.iter().for_each(|warning| terminal.warn(warning));
    let mut state = std::mem::take(&mut known.state);
    let (_, lost) = session::look_back(&connection, &mut state, question(&known, options)).await;
    // What happened while it was read is part of it.
    known.as_of = connection.now();
    let read = question(&known, options)(&state);
    if let Some(failure) = missing {
        if read.found.entries.is_empty() {
            return Err(failure);
        }
        terminal.warn(&format!("{}; what Events tell of it follows", failure.sentence));
    }
    let partial = known.partial || lost;
    Ok((document(known, read, options), partial))
}

/// What is known of what is not there.
fn absent(connection: &Connection, target: ResourceRef) -> Known {
    let mut state = State::default();
    let ResourceRef { kind, namespace, name, .. } = target.clone();
    state.answer(Demand::Object { kind, namespace, name }, Answer::NotFound);
    Known {
        scope: Scope::Object(target),
        state,
        problems: Vec::new(),
        cluster: None,
        as_of: connection.now(),
        partial: false,
        warnings: Vec::new(),
    }
}

fn since(options: &TimelineOptions, now: Timestamp) -> Option<Timestamp> {
    // What began before all times began everywhere.
    options.since.map(|since| now.checked_sub(since).unwrap_or(Timestamp::MIN))
}

/// Reads the past of what was asked about; what is wrong with it is known.
fn question<'a>(known: &'a Known, options: &TimelineOptions) -> impl Fn(&State) -> Read<Past> + use<'a> {
    let since = since(options, known.as_of);
    move |state| past::of(state, &known.scope, since, &known.problems, known.as_of)
}

fn document(known: Known, read: Read<Past>, options: &TimelineOptions) -> Timeline {
    let Known { scope, cluster, as_of, .. } = known;
    let Read { found: Past { entries, unseen }, not_checked, .. } = read;
    let of = match &scope {
        Scope::Object(target) => target::describe(target),
        Scope::Namespace(namespace) => format!("namespace {namespace}"),
        Scope::Cluster => "the cluster".to_owned(),
    };
    let within = options
        .since
        .map(|since| format!(" within the last {}", reckon_model::duration::short(since)))
        .unwrap_or_default();
    let sentence = match entries.len() {
        0 => format!("Nothing is remembered of {of}{within}."),
        n => format!("{} of {of}{within}, told from what Kubernetes remembers.", count(n, "entry")),
    };
    Timeline {
        api_version: API_VERSION.to_owned(),
        kind: "Timeline".to_owned(),
        reckon_version: env!("CARGO_PKG_VERSION").to_owned(),
        cluster,
        as_of,
        scope: session::named(&scope),
        since: since(options, as_of),
        sentence,
        entries,
        unseen,
        not_checked,
    }
}

fn written(timeline: &Timeline) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(timeline)
        .map_err(|error| Failure::new(Exit::Partial, format!("failed to write the answer: {error}")))
}
