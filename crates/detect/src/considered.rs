//! What else might have been the cause, and why it is not: the trace of a choice.
//!
//! Changes that came in the same hours and other problems near by are what people suspect first. Each is listed with the
//! reason why it lost, so that nobody has to look at it a second time. Only where one object was asked about: it reads the
//! past of everything around.

use crate::detectors::{configuration, revision};
use crate::finding::Finding;
use crate::rank::Incident;
use crate::{View, describe, history};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Considered, Ref};
use reckon_model::{Change, Kind, Object, ResourceRef, Timestamp};
use std::collections::BTreeMap;

/// Clocks of nodes, API servers and Events differ by less.
const SLACK: SignedDuration = SignedDuration::from_secs(60);

/// A change of something that has nothing to do with it is mentioned when it came this shortly before.
const COINCIDENT: SignedDuration = SignedDuration::from_hours(1);

/// So many pods of a workload are looked at: the others read the same.
const PODS: usize = 3;

/// So many candidates are listed.
const MOST: usize = 12;

/// How an object is connected with what fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Edge {
    /// It is what fails.
    Own,
    /// Its pods read it.
    Read,
    /// They run on it.
    Node,
    /// Not at all.
    None,
}

/// The candidates of an incident, those of the newest changes first, then other problems.
pub(crate) fn of(view: &View<'_>, incident: &Incident, roots: &[Finding]) -> Vec<Considered> {
    let mut considered = changes(view, incident);
    considered.extend(problems(incident, roots));
    considered.truncate(MOST);
    considered
}

fn changes(view: &View<'_>, incident: &Incident) -> Vec<Considered> {
    let root = &incident.root;
    let onset = root.began();
    let mut found: Vec<(Change, Edge)> = Vec::new();
    for (object, edge) in around(view, incident).into_values() {
        let window = if edge == Edge::None { COINCIDENT } else { revision::WINDOW };
        let since = onset.and_then(|onset| onset.checked_sub(window).ok());
        let changes = history::changes(view, object).into_iter().rev();
        let recent = changes.filter(|change| since.is_none_or(|since| change.at >= since));
        // Of what is not connected only what came before: what is done about the trouble is no suspect.
        let before = |change: &Change| edge != Edge::None || onset.is_none_or(|onset| change.at <= later(onset));
        found
            .extend(recent.filter(before).filter(|change| !is_cause(&root.cause, change)).take(2).map(|it| (it, edge)));
    }
    found.sort_by(|(a, x), (b, y)| (x == &Edge::None, b.at, &a.subject).cmp(&(y == &Edge::None, a.at, &b.subject)));
    found.into_iter().map(|(change, edge)| lost(root, onset, &change, edge)).collect()
}

/// What fails, what its pods read and run on, and what else is known in its namespace.
fn around<'a>(view: &View<'a>, incident: &Incident) -> BTreeMap<ResourceRef, (&'a Object, Edge)> {
    let mut around: BTreeMap<ResourceRef, (&'a Object, Edge)> = BTreeMap::new();
    let mut add = |object: &'a Object, edge: Edge| {
        let entry = around.entry(object.reference()).or_insert((object, edge));
        entry.1 = entry.1.min(edge);
    };
    for finding in std::iter::once(&incident.root).chain(&incident.also) {
        if let Some(workload) = view.known_one(&finding.place.workload) {
            add(workload, Edge::Own);
        }
        for pod in finding.shows_on.iter().filter(|it| it.kind == Kind::Pod).take(PODS) {
            let Some(object) = view.known_one(pod) else { continue };
            let Some(body) = object.pod() else { continue };
            for (_, container, _) in body.containers() {
                for reference in configuration::read_by(body, container, object.meta.namespace.as_deref()).keys() {
                    view.known_one(reference).into_iter().for_each(|read| add(read, Edge::Read));
                }
            }
            let node = ResourceRef::new(Kind::Node, None, &body.spec.node_name);
            view.known_one(&node).into_iter().for_each(|node| add(node, Edge::Node));
        }
    }
    let namespace = incident.root.place.workload.namespace.clone();
    for kind in [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet, Kind::Service, Kind::ConfigMap] {
        for object in view.known(&kind, namespace.as_deref()).filter(|_| namespace.is_some()) {
            add(object, Edge::None);
        }
    }
    around
}

fn later(at: Timestamp) -> Timestamp {
    at.checked_add(SLACK).unwrap_or(at)
}

/// Whether this change is what is blamed.
fn is_cause(cause: &Cause, change: &Change) -> bool {
    let same = cause.reference.as_ref().is_some_and(|reference| ResourceRef::from(reference) == change.subject);
    same && cause.at == Some(change.at)
}

fn lost(root: &Finding, onset: Option<Timestamp>, change: &Change, edge: Edge) -> Considered {
    let field = change.fields.first();
    let what = match field {
        Some(field) => format!("{} {} {}", change.subject, field.field, describe::change(change, field)),
        None => format!("{} was written at {}", change.subject, describe::time(change.at)),
    };
    let who = describe::name(&root.place.workload);
    let of_pods = |pointer: &str| {
        ["/spec/template", "/spec/jobTemplate", "/data", "/spec"].iter().any(|it| pointer.starts_with(it))
    };
    let idle = change.fields.iter().all(|field| !of_pods(&field.pointer) || field.pointer == "/spec/replicas");
    let because = match (&root.cause, onset) {
        _ if edge == Edge::None => format!("nothing connects it with {who}"),
        (_, Some(onset)) if change.at > later(onset) => {
            format!("it came after: the trouble began at {}", describe::time(onset))
        }
        _ if !change.fields.is_empty() && idle => "what it changed has no part in how the pods run".to_owned(),
        (Cause { kind: CauseKind::Change, at: Some(at), field, .. }, _) if *at > change.at => format!(
            "it had been lived with until {} changed at {}",
            field.as_deref().unwrap_or("the cause"),
            describe::time(*at)
        ),
        (Cause { kind: CauseKind::Change, .. }, _) => "what is seen speaks of the other change".to_owned(),
        _ => "nothing that is seen speaks of what it changed".to_owned(),
    };
    Considered { reference: Some(Ref::from(&change.subject)), at: Some(change.at), what, because }
}

/// Other problems in the same namespace, or on the same pods and nodes.
fn problems(incident: &Incident, roots: &[Finding]) -> impl Iterator<Item = Considered> {
    let root = &incident.root;
    let near = move |other: &&Finding| {
        let itself = other.failure == root.failure && other.place == root.place;
        let shared = other.shows_on.intersection(&root.shows_on).next().is_some();
        !itself && (shared || other.place.workload.namespace == root.place.workload.namespace)
    };
    roots.iter().filter(near).map(move |other| {
        let shared = other.shows_on.intersection(&root.shows_on).next().is_some();
        let because = match (other.began(), root.began()) {
            (Some(theirs), Some(ours)) if theirs > later(ours) => "it began later, and is a problem of its own",
            _ if shared => "it strikes the same pods in another way, and is a problem of its own",
            _ => "it shows on none of these pods and nothing here depends on it: a problem of its own",
        };
        Considered {
            reference: Some(Ref::from(&other.place.workload)),
            at: other.began(),
            what: format!("{}: {}", other.failure, other.title),
            because: because.to_owned(),
        }
    })
}
