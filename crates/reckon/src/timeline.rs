//! `reckon timeline`: what happened to an object and what it is made of, as far as Kubernetes itself remembers.

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
use reckon_detect::past::{self, Past, Read};
use reckon_detect::{Scope, State};
use reckon_model::document::{API_VERSION, Timeline};
use reckon_model::text::count;
use reckon_model::{Obstacle, Timestamp};
use table::Table;

/// Tells it.
pub(crate) async fn run(global: &Global, terminal: &Terminal, options: &TimelineOptions) -> Result<Exit, Failure> {
    let (scope, mut answered, read, lost, again) = match &options.offline.file {
        Some(path) => {
            let mut bundle = bundle::open(path)?;
            let scope = scope_of(bundle.target(&options.target, global.namespace.as_deref())?);
            let warnings = std::mem::take(&mut bundle.warnings);
            warnings.iter().for_each(|warning| terminal.warn(warning));
            let mut answered = bundle.answer(&scope, options.offline.at)?;
            answered.partial |= !warnings.is_empty();
            let mut state = std::mem::take(&mut answered.state);
            let question = question(&scope, &answered, since(options, answered.as_of));
            let read = session::without(&mut state, question, "not in the bundle", Obstacle::NotFound);
            (scope, answered, read, false, Again::bundle(path, options.offline.at))
        }
        None => {
            let connection = connect(global).await?;
            let namespace = global.namespace.as_deref().unwrap_or(connection.default_namespace()).to_owned();
            let target = session::named_object(&connection, &options.target, &namespace).await?;
            let (scope, mut answered) = look_at(&connection, target, &mut bundle::Tape::default()).await?;
            let mut state = std::mem::take(&mut answered.state);
            let question = question(&scope, &answered, since(options, answered.as_of));
            let (read, lost) = session::look_back(&connection, &mut state, question).await;
            (scope, answered, read, lost, Again::cluster(global))
        }
    };
    answered.warnings.drain(..).for_each(|warning| terminal.warn(&warning));
    let partial = answered.partial || lost;
    let timeline = document(&scope, answered, read, options);
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

fn since(options: &TimelineOptions, now: Timestamp) -> Option<Timestamp> {
    // What began before all times began everywhere.
    options.since.map(|since| now.checked_sub(since).unwrap_or(Timestamp::MIN))
}

/// Reads the past of what was asked about; what is wrong with it is known.
fn question<'a>(
    scope: &'a Scope,
    answered: &'a Answered,
    since: Option<Timestamp>,
) -> impl Fn(&State) -> Read<Past> + use<'a> {
    move |state| past::of(state, scope, since, &answered.diagnosis.problems, answered.as_of)
}

fn document(scope: &Scope, answered: Answered, read: Read<Past>, options: &TimelineOptions) -> Timeline {
    let Read { found: Past { entries, unseen }, not_checked, .. } = read;
    let of = match scope {
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
        cluster: answered.cluster,
        as_of: answered.as_of,
        scope: session::named(scope),
        since: since(options, answered.as_of),
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
