//! From a cluster or a bundle to a document.

use crate::bundle::Tape;
use crate::exit::{Exit, Failure};
use reckon_cluster::{Budget, Class, Connection, ListEvent};
use reckon_detect::{Diagnosis, Engine, Scope, State};
use reckon_model::document::{API_VERSION, NotChecked, ProblemList};
use reckon_model::{Answer, ClusterId, Kind, Need, ResourceRef, Timestamp, document};
use std::collections::BTreeSet;

/// Rounds of needs for one question: a pod leads to its ReplicaSet, that to its Deployment, that to its Services; what
/// detectors ask comes beside. More is a chain that hostile metadata built.
const ROUNDS: usize = 8;

/// What `problems` may ask beside its lists: logs and metrics of what fails.
const PROBLEMS_REQUESTS: u32 = 400;
const PROBLEMS_BYTES: u64 = 32 << 20;

/// A diagnosis that can be turned into a document.
pub(crate) struct Answered {
    pub(crate) diagnosis: Diagnosis,
    pub(crate) cluster: Option<String>,
    pub(crate) as_of: Timestamp,
    /// Kinds that were asked for and could not be read: exit code 7.
    pub(crate) partial: bool,
    /// What is to be said on standard error.
    pub(crate) warnings: Vec<String>,
}

impl Answered {
    /// The document of the contract.
    pub(crate) fn document(self, scope: &Scope) -> ProblemList {
        let Diagnosis { problems, answer, sentence, looked, not_checked, .. } = self.diagnosis;
        ProblemList {
            api_version: API_VERSION.to_owned(),
            kind: "ProblemList".to_owned(),
            reckon_version: env!("CARGO_PKG_VERSION").to_owned(),
            cluster: self.cluster,
            as_of: self.as_of,
            scope: named(scope),
            answer,
            sentence,
            looked,
            not_checked,
            problems,
        }
    }
}

fn named(scope: &Scope) -> document::Scope {
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
    let first =
        Need::Object { kind: target.kind.clone(), namespace: target.namespace.clone(), name: target.name.clone() };
    let asked = BTreeSet::from([first]);
    let (cluster, mut answers) = tokio::join!(connection.cluster_id(), connection.fulfil(&asked, &mut budget));
    if let Some((_, Answer::Refused(gap))) = answers.first() {
        // A refusal of the target itself is the answer; its class comes from asking the server once more what it is.
        let exit = match connection.server_version().await {
            Err(error) => exit_of(error.class()),
            Ok(_) if gap.why.starts_with("forbidden") || gap.why.starts_with("401") => Exit::Forbidden,
            Ok(_) => Exit::Partial,
        };
        return Err(Failure::new(exit, format!("{} could not be read: {}", target_name(target), gap.why)));
    }
    if let Some((_, Answer::NotFound)) = answers.first() {
        return Err(Failure::new(Exit::NotFound, not_found(connection, target, &mut budget).await));
    }
    let cluster = cluster.ok();
    let mut engine = Engine::new(State::new(cluster.clone().unwrap_or_default()));
    let scope = Scope::Object(target.clone());
    let mut diagnosis = None;
    for round in 0..ROUNDS {
        for (need, answer) in answers.drain(..) {
            tape.answer(&need, &answer);
            engine.state_mut().answer(need, answer);
        }
        let next = engine.diagnose(&scope, connection.now());
        let needs = next.needs.clone();
        diagnosis = Some(next);
        if needs.is_empty() || round + 1 == ROUNDS {
            break;
        }
        answers = connection.fulfil(&needs, &mut budget).await;
    }
    let diagnosis = diagnosis.ok_or_else(|| Failure::new(Exit::Partial, "nothing was asked"))?;
    Ok(answered(diagnosis, cluster, connection.now(), false, Vec::new()))
}

/// Lists every kind that rules read and answers what detection asks beside.
pub(crate) async fn problems(connection: &Connection, scope: &Scope, tape: &mut Tape) -> Result<Answered, Failure> {
    let namespace = match scope {
        Scope::Namespace(namespace) => Some(namespace.clone()),
        _ => None,
    };
    let cluster = connection.cluster_id().await;
    if let Err(error) = &cluster
        && matches!(error.class(), Class::Unreachable | Class::Usage)
    {
        return Err(failed(error.class(), error));
    }
    let cluster = cluster.ok();
    let mut engine = Engine::new(State::new(cluster.clone().unwrap_or_default()));
    let mut listing = connection.list(reckon_detect::kinds(), namespace);
    let mut warnings = Vec::new();
    let (mut listed, mut refused, mut broken) = (0, Vec::new(), false);
    while let Some(event) = listing.next().await {
        match event {
            ListEvent::Object(object) => {
                tape.object(&object);
                engine.state_mut().apply(object);
            }
            ListEvent::Deleted(reference, at) => engine.state_mut().delete(&reference, at),
            ListEvent::Listed { kind, namespace } => {
                listed += 1;
                tape.listed(&kind, namespace.as_deref());
                engine.state_mut().cover(&kind, namespace.as_deref());
            }
            ListEvent::Refused { kind, namespace, gap } => {
                broken |= !gap.why.starts_with("forbidden");
                refused.push(gap.why.clone());
                tape.refused(&kind, namespace.as_deref(), &gap);
                engine.state_mut().refuse(&kind, namespace.as_deref(), gap);
            }
            ListEvent::Skipped { kind, gap } => {
                broken = true;
                warnings.push(format!("one {} was left out: {}", kind.singular(), gap.why));
            }
            ListEvent::Relisting { .. } | ListEvent::Interrupted { .. } | ListEvent::Resumed { .. } => {}
        }
    }
    if listed == 0 {
        return Err(nothing_listed(connection, &refused).await);
    }
    let diagnosis = rounds(connection, &mut engine, scope, tape).await;
    Ok(answered(diagnosis, cluster, connection.now(), broken, warnings))
}

/// Diagnoses, answering needs within the budget of `problems`, three rounds at most.
pub(crate) async fn rounds(connection: &Connection, engine: &mut Engine, scope: &Scope, tape: &mut Tape) -> Diagnosis {
    let mut budget = Budget::new(PROBLEMS_REQUESTS, PROBLEMS_BYTES);
    let mut diagnosis = engine.diagnose(scope, connection.now());
    for _ in 0..3 {
        if diagnosis.needs.is_empty() {
            break;
        }
        for (need, answer) in connection.fulfil(&diagnosis.needs, &mut budget).await {
            tape.answer(&need, &answer);
            engine.state_mut().answer(need, answer);
        }
        diagnosis = engine.diagnose(scope, connection.now());
    }
    diagnosis
}

async fn nothing_listed(connection: &Connection, refused: &[String]) -> Failure {
    match connection.server_version().await {
        Err(error) => failed(error.class(), &error),
        Ok(_) => {
            let forbidden = refused.iter().all(|why| why.starts_with("forbidden") || why.starts_with("401"));
            let first = refused.first().map_or("the server answered nothing", String::as_str);
            let exit = if forbidden { Exit::Forbidden } else { Exit::Partial };
            Failure::new(exit, format!("nothing could be listed at {}: {first}", connection.server()))
        }
    }
}

fn answered(
    mut diagnosis: Diagnosis,
    cluster: Option<ClusterId>,
    as_of: Timestamp,
    partial: bool,
    warnings: Vec<String>,
) -> Answered {
    // What was still wanted when the rounds were over was not checked.
    for need in &diagnosis.needs {
        diagnosis
            .not_checked
            .push(NotChecked { what: need.what(), why: "not asked: too many steps from the target".to_owned() });
    }
    diagnosis.not_checked.sort();
    diagnosis.not_checked.dedup();
    Answered { diagnosis, cluster: cluster.map(|id| id.0), as_of, partial, warnings }
}

/// A sentence for a target that does not exist, with a near name where there is one.
async fn not_found(connection: &Connection, target: &ResourceRef, budget: &mut Budget) -> String {
    let sentence = format!("{} does not exist", target_name(target));
    let list = Need::List { kind: target.kind.clone(), namespace: target.namespace.clone(), selector: String::new() };
    let names: Vec<String> = match connection.fulfil(&BTreeSet::from([list]), budget).await.into_iter().next() {
        Some((_, Answer::Objects(objects))) => objects.into_iter().map(|object| object.meta.name).collect(),
        _ => Vec::new(),
    };
    match nearest(&target.name, &names) {
        Some(near) => format!("{sentence}; did you mean {}/{near}?", target.kind.singular()),
        None => sentence,
    }
}

/// The name that is most like the wanted one: a name it begins, or one that differs in at most two letters.
pub(crate) fn nearest<'a>(wanted: &str, names: &'a [String]) -> Option<&'a String> {
    names
        .iter()
        .filter_map(|name| match distance(wanted, name) {
            near @ 0..=2 => Some((near, name)),
            _ if name.starts_with(wanted) => Some((3, name)),
            _ => None,
        })
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let cost = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// `pod shop/checkout` as sentences say it.
pub(crate) fn target_name(target: &ResourceRef) -> String {
    match &target.namespace {
        Some(namespace) => format!("{} {} in namespace {namespace}", target.kind.singular(), target.name),
        None => format!("{} {}", target.kind.singular(), target.name),
    }
}

/// A failure to read, as the command's own.
pub(crate) fn failed(class: Class, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(exit_of(class), format!("failed to {error}"))
}

/// The exit code of a class of failures.
pub(crate) fn exit_of(class: Class) -> Exit {
    match class {
        Class::Usage => Exit::Usage,
        Class::Unreachable => Exit::Unreachable,
        Class::Denied => Exit::Forbidden,
        Class::NotFound => Exit::NotFound,
        Class::TimedOut => Exit::TimedOut,
        Class::Server => Exit::Partial,
    }
}

/// The object that `TYPE/NAME` or `TYPE NAME` names.
pub(crate) async fn target(
    connection: Option<&Connection>,
    words: &[String],
    namespace: &str,
) -> Result<ResourceRef, Failure> {
    let (kind, name) = match words {
        [one] => one.split_once('/').ok_or_else(|| {
            Failure::new(Exit::Usage, format!("{one:?} names no object; write TYPE/NAME, such as pod/{one}"))
        })?,
        [kind, name] => (kind.as_str(), name.as_str()),
        _ => return Err(Failure::new(Exit::Usage, "one object is named by TYPE/NAME")),
    };
    if name.is_empty() || name.contains('/') {
        return Err(Failure::new(Exit::Usage, format!("{name:?} is no name; write TYPE/NAME")));
    }
    if let Some(kind) = Kind::parse(kind) {
        return Ok(ResourceRef::new(kind, Some(namespace), name));
    }
    let unknown =
        || Failure::new(Exit::Usage, format!("the cluster serves no type {kind:?}; kubectl api-resources lists them"));
    let Some(connection) = connection else {
        return Err(Failure::new(Exit::Usage, format!("{kind:?} is no type that Reckon knows")));
    };
    let discovery = connection.discover().await.map_err(|error| failed(error.class(), &error))?;
    let served = discovery.resolve(kind).ok_or_else(unknown)?;
    let mut reference = ResourceRef::new(served.kind.clone(), Some(namespace), name);
    if !served.namespaced {
        reference.namespace = None;
    }
    Ok(reference)
}
