//! What else might have been the cause, and why it is not: the trace of a choice.
//!
//! Changes that came in the same hours and other problems near by are what people suspect first. Each is listed with the
//! reason why it lost, so that nobody has to look at it a second time. Only where one object was asked about: it reads the
//! past of everything around.

use crate::addresses::calls;
use crate::detectors::{configuration, revision};
use crate::finding::Finding;
use crate::rank::Incident;
use crate::{View, contrast, describe, history};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Considered, Ref};
use reckon_model::{Body, Change, Kind, Object, ResourceRef, Timestamp};
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
    /// They call it: a Service that their settings name, or what is behind it.
    Called,
    /// It leads to them: a Service in front.
    Front,
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
    let mut found: Vec<(Change, Edge, bool)> = Vec::new();
    for (object, edge) in around(view, incident).into_values() {
        let window = if edge == Edge::None { COINCIDENT } else { revision::WINDOW };
        let since = onset.and_then(|onset| onset.checked_sub(window).ok());
        let changes = history::changes(view, object).into_iter().rev();
        let recent = changes.filter(|change| since.is_none_or(|since| change.at >= since));
        // Of what is not connected only what came before: what is done about the trouble is no suspect.
        let before = |change: &Change| edge != Edge::None || onset.is_none_or(|onset| change.at <= later(onset));
        found.extend(
            recent
                .filter(before)
                .filter(|change| !is_cause(&root.cause, change))
                .take(2)
                .map(|it| (it, edge, contrast::is_well(object))),
        );
    }
    found.sort_by(|(a, x, _), (b, y, _)| {
        (x == &Edge::None, b.at, &a.subject).cmp(&(y == &Edge::None, a.at, &b.subject))
    });
    found.into_iter().map(|(change, edge, well)| lost(root, onset, &change, edge, well)).collect()
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
                for reference in configuration::read_by(&body.spec, container, object.meta.namespace.as_deref()).keys()
                {
                    view.known_one(reference).into_iter().for_each(|read| add(read, Edge::Read));
                }
            }
            let node = ResourceRef::new(Kind::Node, None, &body.spec.node_name);
            view.known_one(&node).into_iter().for_each(|node| add(node, Edge::Node));
        }
    }
    traffic(view, incident, &mut add);
    let namespace = incident.root.place.workload.namespace.clone();
    for kind in [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet, Kind::Service, Kind::ConfigMap] {
        for object in view.known(&kind, namespace.as_deref()).filter(|_| namespace.is_some()) {
            add(object, Edge::None);
        }
    }
    around
}

/// The Services in front of the pods, those that their settings name, and the workloads behind these, as far as they are
/// known.
fn traffic<'a>(view: &View<'a>, incident: &Incident, add: &mut impl FnMut(&'a Object, Edge)) {
    let root = &incident.root;
    let pods = root.shows_on.iter().filter(|it| it.kind == Kind::Pod).take(PODS);
    let pods: Vec<&Object> = pods.filter_map(|pod| view.known_one(pod)).collect();
    let template = view.known_one(&root.place.workload).and_then(|workload| workload.workload());
    let labels = pods.iter().map(|pod| (pod.namespace(), &*pod.meta.labels));
    let labels: Vec<_> = match template.filter(|_| pods.is_empty()) {
        Some(workload) => vec![(root.place.workload.namespace(), &*workload.spec.template.metadata.labels)],
        None => labels.collect(),
    };
    for (namespace, labels) in labels {
        for service in view.known(&Kind::Service, Some(namespace)) {
            if leads_to(service, labels) {
                add(service, Edge::Front);
            }
        }
    }
    let specs = pods.iter().filter_map(|pod| Some((pod.namespace(), &*pod.pod()?.spec.common)));
    for (namespace, spec) in specs.take(1) {
        for call in calls::named_by(view, spec, namespace) {
            let Some(service) = view.known_one(&call.service) else { continue };
            add(service, Edge::Called);
            for kind in [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet] {
                let behind = |object: &&Object| {
                    object.workload().is_some_and(|body| leads_to(service, &body.spec.template.metadata.labels))
                };
                view.known(&kind, Some(service.namespace()))
                    .filter(behind)
                    .for_each(|object| add(object, Edge::Called));
            }
        }
    }
}

fn leads_to(service: &Object, labels: &BTreeMap<String, String>) -> bool {
    let Body::Service(body) = &service.body else { return false };
    let selector = &body.spec.selector;
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

fn later(at: Timestamp) -> Timestamp {
    at.checked_add(SLACK).unwrap_or(at)
}

/// Whether this change is what is blamed.
fn is_cause(cause: &Cause, change: &Change) -> bool {
    let same = cause.reference.as_ref().is_some_and(|reference| ResourceRef::from(reference) == change.subject);
    same && cause.at == Some(change.at)
}

fn lost(root: &Finding, onset: Option<Timestamp>, change: &Change, edge: Edge, well: bool) -> Considered {
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
        _ if edge == Edge::None && well => {
            format!("its own pods are well, and nothing that is known connects it with {who}")
        }
        _ if edge == Edge::None => format!("nothing that is known connects it with {who}"),
        (_, Some(onset)) if change.at > later(onset) => {
            format!("it came after: the trouble began at {}", describe::time(onset))
        }
        _ if edge == Edge::Front => format!("it leads to {who}, and has no part in how its pods run"),
        _ if edge == Edge::Called && well => format!("{who} calls it, and its own pods are well"),
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
