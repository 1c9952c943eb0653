//! `reckon diff`: what differs between two revisions, two moments, or two clusters.

mod contexts;
mod page;

use crate::args::{DataFormat, DiffOptions, Global, ListingFormat};
use crate::bundle;
use crate::exit::{Exit, Failure};
use crate::run::{connect, scope_of};
use crate::session;
use crate::target;
use crate::terminal::{self, Terminal};
use crate::when::When;
use page::Page;
use reckon_cluster::Connection;
use reckon_detect::past::{self, Comparison, Read, Told, Untold, Which, Whose};
use reckon_detect::{Scope, State};
use reckon_model::document::{API_VERSION, Diff, Differing, NotChecked, Ref};
use reckon_model::text::{clean_line, count};
use reckon_model::{Answer, ClusterId, Demand, Obstacle, ResourceRef, Timestamp};
use std::collections::BTreeSet;

/// Compares, and ends as `kubectl diff` does: 0 where nothing differs, 1 where something does.
pub(crate) async fn run(global: &Global, terminal: &Terminal, options: &DiffOptions) -> Result<Exit, Failure> {
    let found = match (&options.contexts, &options.file) {
        (Some((first, second)), _) => contexts::compared(global, options, first, second).await?,
        (None, Some(_)) => from_bundle(global, terminal, options)?,
        (None, None) => from_cluster(global, options).await?,
    };
    let Found { diff, partial } = found;
    let text = match options.output.format {
        ListingFormat::Json => terminal::value(&written(&diff)?, DataFormat::Json)?,
        ListingFormat::Yaml => terminal::value(&written(&diff)?, DataFormat::Yaml)?,
        ListingFormat::Table | ListingFormat::Wide => {
            let when = When::new(global.local, diff.as_of);
            Page { paint: terminal.paint(), width: terminal.width(), when }.of(&diff)
        }
    };
    terminal.data(&text)?;
    Ok(match (partial, diff.differs) {
        (true, _) => Exit::Partial,
        (false, true) => Exit::Problems,
        (false, false) => Exit::Fine,
    })
}

/// A comparison, and whether something that was asked for could not be told.
struct Found {
    diff: Diff,
    partial: bool,
}

/// Where a comparison is of.
struct Place {
    target: ResourceRef,
    cluster: Option<String>,
    as_of: Timestamp,
}

async fn from_cluster(global: &Global, options: &DiffOptions) -> Result<Found, Failure> {
    let connection = connect(global).await?;
    let namespace = global.namespace.as_deref().unwrap_or(connection.default_namespace()).to_owned();
    let target = session::named_object(&connection, &options.target, &namespace).await?;
    let (mut state, cluster) = fetched(&connection, &target).await?;
    let place = Place { target, cluster, as_of: connection.now() };
    match moments(global, options, place.as_of)? {
        Some(moments) => {
            let question = |state: &State| past::between(state, &place.target, moments, place.as_of);
            let (read, lost) = session::look_back(&connection, &mut state, question).await;
            of_moments(place, read, lost)
        }
        None => {
            let (which, whose) = wanted(options);
            let question = |state: &State| past::revisions(state, &place.target, which, whose, place.as_of);
            let (read, lost) = session::look_back(&connection, &mut state, question).await;
            of_revisions(place, read, lost)
        }
    }
}

fn from_bundle(global: &Global, terminal: &Terminal, options: &DiffOptions) -> Result<Found, Failure> {
    let Some(path) = &options.file else { return Err(Failure::new(Exit::Usage, "no bundle is named")) };
    let mut bundle = bundle::open(path)?;
    let target = bundle.target(&options.target, global.namespace.as_deref())?;
    let warnings = std::mem::take(&mut bundle.warnings);
    warnings.iter().for_each(|warning| terminal.warn(warning));
    let answered = bundle.answer(&scope_of(target.clone()), None)?;
    let (mut state, lost) = (answered.state, answered.partial || !warnings.is_empty());
    let place = Place { target, cluster: answered.cluster, as_of: answered.as_of };
    let (why, obstacle) = ("not in the bundle", Obstacle::NotFound);
    match moments(global, options, place.as_of)? {
        Some(moments) => {
            let question = |state: &State| past::between(state, &place.target, moments, place.as_of);
            let read = session::without(&mut state, question, why, obstacle);
            of_moments(place, read, lost)
        }
        None => {
            let (which, whose) = wanted(options);
            let question = |state: &State| past::revisions(state, &place.target, which, whose, place.as_of);
            let read = session::without(&mut state, question, why, obstacle);
            of_revisions(place, read, lost)
        }
    }
}

/// Reads the object itself, so that its absence and a missing right are told as such.
async fn fetched(connection: &Connection, target: &ResourceRef) -> Result<(State, Option<String>), Failure> {
    let mut budget = reckon_cluster::Budget::default();
    let first =
        Demand::Object { kind: target.kind.clone(), namespace: target.namespace.clone(), name: target.name.clone() };
    let asked = BTreeSet::from([first]);
    let (cluster, answers) = tokio::join!(connection.cluster_id(), connection.fulfil(&asked, &mut budget));
    let cluster: Option<ClusterId> = session::identity(cluster)?;
    let mut state = State::new(cluster.clone().unwrap_or_default()).with_specs(connection.specs());
    for (demand, answer) in answers {
        match answer {
            Answer::Refused(gap) => {
                let sentence = format!("{} could not be read: {}", target::describe(target), gap.why);
                return Err(Failure::new(gap.obstacle.into(), sentence));
            }
            Answer::NotFound => {
                let sentence = session::not_found(connection, target, &mut budget).await;
                return Err(Failure::new(Exit::NotFound, sentence));
            }
            answer => state.answer(demand, answer),
        }
    }
    Ok((state, cluster.map(|id| id.0)))
}

fn wanted(options: &DiffOptions) -> (Which, Whose) {
    let which = match options.rev {
        None => Which::Last,
        Some((from, None)) => Which::Since(from),
        Some((from, Some(to))) => Which::Two(from, to),
    };
    (which, if options.helm { Whose::Release } else { Whose::Own })
}

/// The two moments, the earlier one first; `None` where revisions are compared.
fn moments(global: &Global, options: &DiffOptions, now: Timestamp) -> Result<Option<(Timestamp, Timestamp)>, Failure> {
    let Some((from, to)) = options.at else { return Ok(None) };
    let usage = |sentence: &str| Failure::new(Exit::Usage, sentence);
    let moment = |when: crate::args::DiffMoment| {
        when.resolve(now, global.local).ok_or_else(|| usage("--at: a time before all times"))
    };
    let (from, to) = (moment(from)?, moment(to)?);
    if to > now {
        return Err(Failure::new(Exit::Usage, format!("--at: {to} is yet to come; it is {now} there")));
    }
    if from >= to {
        return Err(Failure::new(
            Exit::Usage,
            format!("--at: {from} is not before {to}; write the earlier time first"),
        ));
    }
    Ok(Some((from, to)))
}

fn of_revisions(place: Place, read: Read<Result<Comparison, Untold>>, lost: bool) -> Result<Found, Failure> {
    let Read { found, not_checked, .. } = read;
    let comparison = found.map_err(|untold| failure(&place.target, &untold, &not_checked))?;
    Ok(Found { diff: document(place, comparison, not_checked), partial: lost })
}

fn of_moments(place: Place, read: Read<Result<Told, Untold>>, lost: bool) -> Result<Found, Failure> {
    let Read { found, mut not_checked, .. } = read;
    let Told { comparison, untold } = found.map_err(|untold| failure(&place.target, &untold, &not_checked))?;
    // That something was written and nothing tells what is no answer.
    let is_open = comparison.fields.is_empty() && !untold.is_empty();
    not_checked.extend(untold);
    Ok(Found { diff: document(place, comparison, not_checked), partial: lost || is_open })
}

/// Why there is no comparison; what could not be read may be the reason.
fn failure(target: &ResourceRef, untold: &Untold, not_checked: &[NotChecked]) -> Failure {
    let exit = match untold {
        Untold::Unread | Untold::Unreadable { .. } => Exit::Partial,
        Untold::NoRevisions { .. } => Exit::Usage,
        Untold::Missing { .. } | Untold::NotYet { .. } | Untold::Forgotten { .. } => Exit::NotFound,
    };
    let gaps: Vec<String> = not_checked.iter().map(|gap| format!("{}: {}", gap.what, gap.why)).collect();
    let exit = if gaps.is_empty() { exit } else { exit.max(Exit::Partial) };
    let because = if gaps.is_empty() { String::new() } else { format!(" (not read: {})", gaps.join("; ")) };
    Failure::new(exit, clean_line(&format!("{} {untold}{because}", target::describe(target))))
}

fn document(place: Place, comparison: Comparison, not_checked: Vec<NotChecked>) -> Diff {
    let Comparison { from, to, fields } = comparison;
    let Place { target, cluster, as_of } = place;
    let between = format!("between {} and {}", from.name, to.name);
    let of = target::describe(&target);
    let sentence = match fields.len() {
        0 => format!("Nothing differs in {of} {between}."),
        1 => format!("1 field of {of} differs {between}."),
        n => format!("{} of {of} differ {between}.", count(n, "field")),
    };
    let objects: Vec<Differing> = match fields.is_empty() {
        true => Vec::new(),
        false => vec![Differing { reference: Ref::from(&target), fields }],
    };
    Diff {
        api_version: API_VERSION.to_owned(),
        kind: "Diff".to_owned(),
        reckon_version: env!("CARGO_PKG_VERSION").to_owned(),
        cluster,
        as_of,
        scope: session::named(&Scope::Object(target)),
        from,
        to,
        differs: !objects.is_empty(),
        sentence,
        objects,
        not_checked,
    }
}

fn written(diff: &Diff) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(diff)
        .map_err(|error| Failure::new(Exit::Partial, format!("failed to write the answer: {error}")))
}
