//! From a cluster to an answer.
//!
//! A question that is asked once is answered by a function of what was read: every round diagnoses anew, so that an answer
//! does not depend on the order in which things became known, and a bundle of the same facts gives the same one.

use crate::bundle::Tape;
use crate::exit::{Exit, Failure};
use crate::near::nearest;
use crate::target;
use crate::terminal::Progress;
use reckon_cluster::{AccessAsk, Budget, Connection, ListEvent, ReadError};
use reckon_detect::past::Read;
use reckon_detect::{Diagnosis, Engine, Scope, State};
use reckon_model::document::{API_VERSION, NotChecked, Problem, ProblemList, Requires};
use reckon_model::text::{clean_line, count};
use reckon_model::{Answer, ClusterId, Demand, Gap, Kind, Obstacle, ResourceRef, Timestamp, document};
use std::collections::{BTreeMap, BTreeSet};

/// Rounds of demands for one object: a pod leads to its ReplicaSet, that to its Deployment, that to its Services; what
/// detectors ask comes beside. More is a chain that hostile metadata built.
const ROUNDS: usize = 8;

/// Rounds of demands after lists, which brought all but logs and measurements.
const ROUNDS_AFTER_LISTS: usize = 3;

/// What `problems` may ask beside its lists: logs and metrics of what fails.
const PROBLEMS_REQUESTS: u32 = 400;
const PROBLEMS_BYTES: u64 = 32 << 20;

/// Rights that are asked about for one answer.
const MAX_REVIEWS: usize = 24;

/// Remedies whose rights are looked at: many need the same one.
const MAX_RIGHTS: usize = 200;

/// A right: verb, resource as RBAC names it, namespace.
pub(crate) type Right = (String, String, Option<String>);

/// An answer that can be turned into a document.
pub(crate) struct Answered {
    pub(crate) diagnosis: Diagnosis,
    /// What it was told from.
    pub(crate) state: State,
    pub(crate) cluster: Option<String>,
    /// The context that was asked, where several were.
    pub(crate) context: Option<String>,
    pub(crate) as_of: Timestamp,
    /// Whether something that was asked for could not be read: exit code 7.
    pub(crate) partial: bool,
    /// What is to be said on standard error.
    pub(crate) warnings: Vec<String>,
}

impl Answered {
    /// The document of the contract, and what it was told from.
    pub(crate) fn document(self, scope: &Scope) -> (ProblemList, State) {
        let Diagnosis { problems, answer, sentence, looked, mut not_checked, connected, .. } = self.diagnosis;
        not_checked.sort();
        not_checked.dedup();
        let list = ProblemList {
            api_version: API_VERSION.to_owned(),
            kind: "ProblemList".to_owned(),
            reckon_version: env!("CARGO_PKG_VERSION").to_owned(),
            cluster: self.cluster,
            context: self.context,
            as_of: self.as_of,
            scope: named(scope),
            answer,
            sentence,
            looked,
            not_checked,
            problems,
            connected,
        };
        (list, self.state)
    }
}

/// What was asked about, as the document says it.
pub(crate) fn named(scope: &Scope) -> document::Scope {
    match scope {
        Scope::Cluster => document::Scope::default(),
        Scope::Namespace(namespace) => {
            document::Scope { namespace: Some(namespace.clone()), ..document::Scope::default() }
        }
        Scope::Object(target) => document::Scope {
            kind: Some(target.kind.name().to_owned()),
            namespace: target.namespace.clone(),
            name: Some(target.name.clone()),
        },
    }
}

/// Answers a question about one object by fetching its neighbourhood.
pub(crate) async fn why(connection: &Connection, target: &ResourceRef, tape: &mut Tape) -> Result<Answered, Failure> {
    let mut budget = Budget::default();
    // The cluster's id is one request, too.
    budget.requests -= 1;
    let first =
        Demand::Object { kind: target.kind.clone(), namespace: target.namespace.clone(), name: target.name.clone() };
    let asked = BTreeSet::from([first]);
    let (cluster, answers) = tokio::join!(connection.cluster_id(), connection.fulfil(&asked, &mut budget));
    let cluster = identity(cluster)?;
    match answers.first() {
        Some((_, Answer::Refused(gap))) => {
            let sentence = format!("{} could not be read: {}", target::describe(target), gap.why);
            return Err(Failure::new(gap.obstacle.into(), sentence));
        }
        Some((_, Answer::NotFound)) => {
            return Err(Failure::new(Exit::NotFound, not_found(connection, target, &mut budget).await));
        }
        _ => {}
    }
    let mut state = State::new(cluster.clone().unwrap_or_default()).with_specs(connection.specs());
    for (demand, answer) in answers {
        let answer = tape.answer(&demand, answer);
        state.answer(demand, answer);
    }
    let scope = Scope::Object(target.clone());
    let now = connection.now();
    let (mut diagnosis, state, partial) = settle(connection, state, &scope, now, ROUNDS, &mut budget, tape).await;
    review(connection, &mut diagnosis.problems, &budget, tape).await;
    Ok(Answered {
        diagnosis,
        state,
        cluster: cluster.map(|id| id.0),
        context: None,
        as_of: now,
        partial,
        warnings: Vec::new(),
    })
}

/// Lists every kind that rules read and answers what detection asks beside.
pub(crate) async fn problems(connection: &Connection, scope: &Scope, tape: &mut Tape) -> Result<Answered, Failure> {
    let namespace = match scope {
        Scope::Namespace(namespace) => Some(namespace.clone()),
        _ => None,
    };
    let cluster = identity(connection.cluster_id().await)?;
    let mut state = State::new(cluster.clone().unwrap_or_default()).with_specs(connection.specs());
    let mut listing = connection.list(reckon_detect::kinds(), namespace.clone());
    let mut warnings = Vec::new();
    let mut skipped = Vec::new();
    let (mut objects, mut listed, mut partial) = (0_usize, 0_usize, false);
    let mut refused: Vec<(Kind, Gap)> = Vec::new();
    let mut unread: BTreeMap<Kind, Gap> = BTreeMap::new();
    let mut progress = Progress::new();
    let mut read = 0_usize;
    while let Some(event) = listing.next().await {
        match event {
            ListEvent::Object(object) => {
                read += 1;
                progress.say(|| format!("{} read …", count(read, "object")));
                objects += usize::from(object.meta.namespace.is_some());
                state.apply(tape.object(object));
            }
            ListEvent::Deleted(reference, at) => state.delete(&reference, at),
            ListEvent::Listed { kind, namespace } => {
                listed += 1;
                match unread.get(&kind) {
                    // What could not be decoded is there all the same: of such a kind nothing is known to be absent.
                    Some(gap) => {
                        tape.refused(&kind, namespace.as_deref(), gap);
                        state.refuse(&kind, namespace.as_deref(), Gap::clone(gap));
                    }
                    None => {
                        tape.listed(&kind, namespace.as_deref());
                        state.cover(&kind, namespace.as_deref());
                    }
                }
            }
            ListEvent::Refused { kind, namespace, gap } => {
                partial |= is_asked_for(&kind, gap.obstacle);
                tape.refused(&kind, namespace.as_deref(), &gap);
                state.refuse(&kind, namespace.as_deref(), gap.clone());
                refused.push((kind, gap));
            }
            ListEvent::Skipped { kind, gap } => {
                partial = true;
                unread.entry(kind).or_insert_with(|| gap.clone());
                warnings.push(format!("{} was left out: {}", gap.what, gap.why));
                tape.skipped(&gap);
                skipped.push(gap);
            }
            ListEvent::Relisting { .. } | ListEvent::Interrupted { .. } | ListEvent::Resumed { .. } => {}
        }
    }
    drop(progress);
    if listed == 0 {
        return Err(nothing_listed(connection, &refused));
    }
    if let (Some(namespace), 0) = (&namespace, objects) {
        exists(connection, namespace).await?;
    }
    let mut budget = Budget::new(PROBLEMS_REQUESTS, PROBLEMS_BYTES);
    let now = connection.now();
    let (mut diagnosis, state, lost) =
        settle(connection, state, scope, now, ROUNDS_AFTER_LISTS, &mut budget, tape).await;
    partial |= lost;
    review(connection, &mut diagnosis.problems, &budget, tape).await;
    diagnosis.not_checked.extend(skipped.into_iter().map(|gap| NotChecked { what: gap.what, why: gap.why }));
    Ok(Answered { diagnosis, state, cluster: cluster.map(|id| id.0), context: None, as_of: now, partial, warnings })
}

/// Whether a kind that was refused was asked for: what problems are about. The rest is read to know more, and its denial
/// is merely *not checked*; but a server that fails is never that.
pub(crate) fn is_asked_for(kind: &Kind, obstacle: Obstacle) -> bool {
    let is_subject = matches!(
        kind,
        Kind::Pod
            | Kind::Deployment
            | Kind::ReplicaSet
            | Kind::StatefulSet
            | Kind::DaemonSet
            | Kind::Job
            | Kind::CronJob
    );
    is_subject || !matches!(obstacle, Obstacle::Denied | Obstacle::NotFound)
}

/// Whether the API server failed in the middle of being asked, or no longer knew who asks. What the answer lacks then is no
/// matter of rights. Logs and figures come from elsewhere through it: that these fail says nothing of the server.
pub(crate) fn is_lost(demand: &Demand, answer: &Answer) -> bool {
    let (Answer::Refused(gap) | Answer::Part(_, gap)) = answer else { return false };
    match gap.obstacle {
        Obstacle::Unauthenticated | Obstacle::Unreachable => true,
        Obstacle::Server | Obstacle::TimedOut => {
            matches!(
                demand,
                Demand::Object { .. } | Demand::List { .. } | Demand::Events { .. } | Demand::PodsOn { .. }
            )
        }
        _ => false,
    }
}

/// Diagnoses, answering demands within rounds and budget. What is still wanted then is refused, and thus *not checked*. Says
/// as well whether the server was lost on the way.
async fn settle(
    connection: &Connection,
    state: State,
    scope: &Scope,
    now: Timestamp,
    rounds: usize,
    budget: &mut Budget,
    tape: &mut Tape,
) -> (Diagnosis, State, bool) {
    let (mut round, mut lost) = (0, false);
    let mut engine = Engine::new(state);
    loop {
        engine.forget_problems();
        let diagnosis = engine.diagnose(scope, now);
        if diagnosis.demands.is_empty() || round > 2 * rounds {
            return (diagnosis, std::mem::take(engine.state_mut()), lost);
        }
        let answers = if round < rounds {
            connection.fulfil(&diagnosis.demands, budget).await
        } else {
            let refuse = |demand: Demand| {
                let why = "not asked: too many steps from what was asked about".to_owned();
                let gap = Gap { what: demand.what(), why, obstacle: Obstacle::Limit };
                (demand, Answer::Refused(gap))
            };
            diagnosis.demands.into_iter().map(refuse).collect()
        };
        for (demand, answer) in answers {
            lost |= is_lost(&demand, &answer);
            let answer = tape.answer(&demand, answer);
            engine.state_mut().answer(demand, answer);
        }
        round += 1;
    }
}

/// What the past of one object may ask beside its diagnosis: configuration, Events, revisions of releases.
const PAST_REQUESTS: u32 = 60;
const PAST_BYTES: u64 = 16 << 20;

/// Rounds in which what a question about the past asks is answered: a pod leads to its ReplicaSet, that to its Deployment, that
/// to its release, that to its revisions.
const PAST_ROUNDS: usize = 8;

/// Answers a question about the past, which reads a state and says what it would have to know. Says as well whether the
/// server was lost on the way.
pub(crate) async fn look_back<T>(
    connection: &Connection,
    state: &mut State,
    question: impl Fn(&State) -> Read<T>,
) -> (Read<T>, bool) {
    let mut budget = Budget::new(PAST_REQUESTS, PAST_BYTES);
    let mut lost = false;
    for _ in 0..PAST_ROUNDS {
        let read = question(state);
        if read.demands.is_empty() {
            return (read, lost);
        }
        for (demand, answer) in connection.fulfil(&read.demands, &mut budget).await {
            lost |= is_lost(&demand, &answer);
            state.answer(demand, answer);
        }
    }
    let why = "not asked: too many steps from what was asked about";
    (without(state, question, why, Obstacle::Limit), lost)
}

/// The same where nobody is left to ask: what is not known stays unknown, for this reason.
pub(crate) fn without<T>(
    state: &mut State,
    question: impl Fn(&State) -> Read<T>,
    why: &str,
    obstacle: Obstacle,
) -> Read<T> {
    let mut read = question(state);
    for _ in 0..PAST_ROUNDS {
        if read.demands.is_empty() {
            break;
        }
        for demand in read.demands {
            let gap = Gap { what: demand.what(), why: why.to_owned(), obstacle };
            state.answer(demand, Answer::Refused(gap));
        }
        read = question(state);
    }
    read
}

/// As `settle`, for an engine that remembers its problems from run to run.
pub(crate) async fn follow_up(connection: &Connection, engine: &mut Engine, scope: &Scope) -> Diagnosis {
    let mut budget = Budget::new(PROBLEMS_REQUESTS, PROBLEMS_BYTES);
    let mut diagnosis = engine.diagnose(scope, connection.now());
    for _ in 0..ROUNDS_AFTER_LISTS {
        if diagnosis.demands.is_empty() {
            break;
        }
        for (demand, answer) in connection.fulfil(&diagnosis.demands, &mut budget).await {
            engine.state_mut().answer(demand, answer);
        }
        diagnosis = engine.diagnose(scope, connection.now());
    }
    diagnosis
}

/// Asks whether the user may do what the remedies propose.
async fn review(connection: &Connection, problems: &mut [Problem], budget: &Budget, tape: &mut Tape) {
    let left = usize::try_from(budget.requests).unwrap_or(usize::MAX).min(MAX_REVIEWS);
    let mut rights: BTreeSet<Right> = rights(problems).take(MAX_RIGHTS).collect();
    while rights.len() > left {
        rights.pop_last();
    }
    let asks: Vec<AccessAsk> = rights.iter().map(access_ask).collect();
    let answers = connection.reviews(&asks).await;
    let known: BTreeMap<Right, bool> =
        rights.into_iter().zip(answers).filter_map(|(right, allowed)| Some((right, allowed?))).collect();
    allow(problems, &known);
    tape.rights(known);
}

/// Marks each remedy with whether the user may do it.
pub(crate) fn allow(problems: &mut [Problem], known: &BTreeMap<Right, bool>) {
    for remedy in problems.iter_mut().flat_map(|problem| &mut problem.remedies) {
        let Some(requires) = &remedy.requires else { continue };
        let namespace = remedy.reference.as_ref().and_then(|reference| reference.namespace.clone());
        remedy.allowed = known.get(&right(requires, namespace)).copied();
    }
}

fn rights(problems: &[Problem]) -> impl Iterator<Item = Right> {
    problems.iter().filter(|problem| problem.closed.is_none()).flat_map(|problem| &problem.remedies).filter_map(
        |remedy| {
            let namespace = remedy.reference.as_ref().and_then(|reference| reference.namespace.clone());
            Some(right(remedy.requires.as_ref()?, namespace))
        },
    )
}

fn right(requires: &Requires, namespace: Option<String>) -> Right {
    (requires.verb.clone(), requires.resource.clone(), namespace)
}

/// `pods/eviction`, `deployments.apps`, `deployments.apps/scale` as an access review wants them.
fn access_ask((verb, resource, namespace): &Right) -> AccessAsk {
    let (resource, subresource) = resource.split_once('/').map_or((resource.as_str(), None), |(r, s)| (r, Some(s)));
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    AccessAsk {
        verb: verb.clone(),
        group: group.to_owned(),
        resource: resource.to_owned(),
        subresource: subresource.map(str::to_owned),
        namespace: namespace.clone(),
        name: None,
    }
}

/// The cluster's id; `None` where it may not be read. A server that cannot be asked at all ends the command here, after
/// one attempt and not one for every kind.
pub(crate) fn identity(read: Result<ClusterId, ReadError>) -> Result<Option<ClusterId>, Failure> {
    match read {
        Ok(id) => Ok(Some(id)),
        Err(
            ReadError::Forbidden { .. }
            | ReadError::NotFound { .. }
            | ReadError::Status { .. }
            | ReadError::Gone { .. }
            | ReadError::Truncated { .. },
        ) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn nothing_listed(connection: &Connection, refused: &[(Kind, Gap)]) -> Failure {
    // The gravest tells best what is wrong; of these what a person would ask for first.
    let first = refused.iter().max_by_key(|(kind, gap)| (Exit::from(gap.obstacle), *kind == Kind::Pod));
    let why = first.map_or("the server answered nothing", |(_, gap)| &gap.why);
    let exit = first.map_or(Exit::Partial, |(_, gap)| gap.obstacle.into());
    Failure::new(exit, format!("nothing could be listed at {}: {why}", connection.server()))
}

/// Fails if the namespace does not exist; what cannot be told is no failure.
pub(crate) async fn exists(connection: &Connection, namespace: &str) -> Result<(), Failure> {
    let mut budget = Budget::default();
    let demand = Demand::Object { kind: Kind::Namespace, namespace: None, name: namespace.to_owned() };
    let found = connection.fulfil(&BTreeSet::from([demand]), &mut budget).await;
    let Some((_, Answer::NotFound)) = found.first() else { return Ok(()) };
    let near = did_you_mean(connection, &ResourceRef::new(Kind::Namespace, None, namespace), &mut budget).await;
    Err(Failure::new(Exit::NotFound, format!("namespace {namespace} does not exist{}", near.unwrap_or_default())))
}

/// A sentence for a target that does not exist: with a near name, with the namespace where it does exist, or with the
/// namespace that is missing too.
pub(crate) async fn not_found(connection: &Connection, target: &ResourceRef, budget: &mut Budget) -> String {
    let sentence = format!("{} does not exist", target::describe(target));
    if let Some(near) = did_you_mean(connection, target, budget).await {
        return sentence + &near;
    }
    let Some(namespace) = &target.namespace else { return sentence };
    if let Err(missing) = Box::pin(exists(connection, namespace)).await {
        return missing.sentence;
    }
    let elsewhere: Vec<String> = names(connection, target, None, budget)
        .await
        .into_iter()
        .filter_map(|(namespace, name)| (name == target.name).then_some(namespace))
        .collect();
    match elsewhere.as_slice() {
        [] => sentence,
        [only] => format!("{sentence}; there is one in namespace {only}: give -n {only}"),
        several => format!("{sentence}; there are some in namespaces {}", several.join(", ")),
    }
}

async fn did_you_mean(connection: &Connection, target: &ResourceRef, budget: &mut Budget) -> Option<String> {
    let names: Vec<String> =
        names(connection, target, target.namespace.clone(), budget).await.into_iter().map(|(_, name)| name).collect();
    nearest(&target.name, &names).map(|near| format!("; did you mean {}/{near}?", target.kind.singular()))
}

/// Namespace and name of every object of the target's kind, as far as the budget allows.
async fn names(
    connection: &Connection,
    target: &ResourceRef,
    namespace: Option<String>,
    budget: &mut Budget,
) -> Vec<(String, String)> {
    let list = Demand::List { kind: target.kind.clone(), namespace, selector: String::new() };
    match connection.fulfil(&BTreeSet::from([list]), budget).await.into_iter().next() {
        Some((_, Answer::Objects(objects) | Answer::Part(objects, _))) => {
            objects.into_iter().map(|object| (object.namespace().to_owned(), object.meta.name)).collect()
        }
        _ => Vec::new(),
    }
}

/// The object that `TYPE/NAME` or `TYPE NAME` names in the cluster.
pub(crate) async fn named_object(
    connection: &Connection,
    words: &[String],
    namespace: &str,
) -> Result<ResourceRef, Failure> {
    let target::Words { kind, name } = target::words(words)?;
    if let Some(kind) = Kind::parse(kind) {
        return Ok(ResourceRef::new(kind, Some(namespace), name));
    }
    let discovery = connection.discover().await?;
    let served = discovery.resolve(kind).ok_or_else(|| match discovery.gaps() {
        [] => target::unknown(kind, "the cluster"),
        // It may well be one of those that could not be asked.
        gaps => {
            let down: Vec<String> = gaps.iter().map(|gap| format!("{} ({})", gap.what, gap.why)).collect();
            let sentence = format!(
                "{:?} is no type that could be found, and not all were served: {}",
                clean_line(kind),
                down.join(", ")
            );
            Failure::new(Exit::Partial, sentence)
        }
    })?;
    let mut reference = ResourceRef::new(served.kind.clone(), Some(namespace), name);
    if !served.namespaced {
        reference.namespace = None;
    }
    Ok(reference)
}
