//! Who suffers from a problem.

mod routes;

use crate::addresses::calls;
use crate::rank::{self, Incident};
use crate::{View, describe};
use reckon_model::document::{Impact, PodCount, Problem, Ref};
use reckon_model::{Body, Kind, Object, ResourceRef, text};
pub(crate) use routes::Routes;
use std::collections::{BTreeMap, BTreeSet};

/// What an incident takes down, as far as the known objects tell. Only what leads to a Service that suffers is asked for, and
/// its refusal is no gap of the diagnosis: a problem does not get truer by it.
pub(crate) fn of<'a>(view: &View<'a>, routes: &mut Routes<'a>, incident: &Incident) -> Impact {
    // What blames the root suffers from it as much as what it shows on.
    let blaming = || incident.symptoms.iter().filter(|symptom| rank::ails(&incident.root, symptom));
    let findings = || std::iter::once(&incident.root).chain(&incident.also).chain(blaming());
    let affected = rank::pods(findings());
    let mut pods = PodCount { affected: count(affected.len()), of: 0 };
    let mut workloads = BTreeSet::new();
    for workload in findings().map(|finding| &finding.place.workload).collect::<BTreeSet<_>>() {
        if let Some(object) = view.known_one(workload) {
            let alive = view.pods_of(object).items.into_iter().filter(|pod| {
                affected.contains(&pod.reference())
                    || (pod.meta.deleted.is_none() && pod.pod().is_some_and(|pod| !pod.is_finished()))
            });
            pods.of += count(alive.count());
        }
    }
    for finding in incident.also.iter().chain(&incident.symptoms) {
        if finding.place.workload != incident.root.place.workload && has_template(&finding.place.workload.kind) {
            workloads.insert(Ref::from(&finding.place.workload));
        }
    }
    pods.of = pods.of.max(pods.affected);
    let mut services = BTreeSet::new();
    for namespace in affected.iter().map(|pod| pod.namespace()).collect::<BTreeSet<_>>() {
        let pods: Vec<&Object> =
            affected.iter().filter(|pod| pod.namespace() == namespace).filter_map(|pod| view.known_one(pod)).collect();
        for service in view.known(&Kind::Service, Some(namespace)) {
            let Body::Service(body) = &service.body else { continue };
            let selector = &body.spec.selector;
            let selects = |pod: &&Object| selector.iter().all(|(key, value)| pod.meta.labels.get(key) == Some(value));
            if !selector.is_empty() && pods.iter().any(selects) {
                services.insert(Ref::from(&service.reference()));
            }
        }
    }
    let about = findings().chain(&incident.symptoms).filter(|finding| finding.place.workload.kind == Kind::Service);
    services.extend(about.clone().map(|finding| Ref::from(&finding.place.workload)));
    let empty = about.filter(|finding| EMPTY.contains(&finding.failure));
    let empty: BTreeSet<Ref> = empty.map(|finding| Ref::from(&finding.place.workload)).collect();
    let leading = routes::to(view, routes, &services);
    let sentence = sentence(incident, &empty, &leading);
    Impact {
        pods,
        workloads: workloads.into_iter().collect(),
        routes: leading.into_keys().collect(),
        services: services.into_iter().collect(),
        empty_services: empty.into_iter().collect(),
        callers: Vec::new(),
        sentence,
    }
}

/// The failures of Services behind which nothing answers.
const EMPTY: [&str; 2] = ["endpoints-empty", "service-selects-nothing"];

/// So many objects of a sort are named in a sentence.
const NAMED: usize = 3;

/// Which Services have no ready endpoint, unless that is the title, and what leads to them.
fn sentence(incident: &Incident, empty: &BTreeSet<Ref>, leading: &BTreeMap<Ref, BTreeSet<Ref>>) -> Option<String> {
    let (first, more) = (empty.first()?, empty.len() > 1);
    let mut sentences = Vec::new();
    if more || incident.root.place.workload != ResourceRef::from(first) {
        let has = if more { "have" } else { "has" };
        sentences.push(format!("{} {has} no ready endpoint.", named(empty)));
    }
    let routes: BTreeSet<Ref> = leading
        .iter()
        .filter(|(_, services)| services.iter().any(|service| empty.contains(service)))
        .map(|(route, _)| route.clone())
        .collect();
    if !routes.is_empty() {
        let lead = if routes.len() > 1 { "lead" } else { "leads" };
        let there = if sentences.is_empty() { named(empty) } else { them(empty).to_owned() };
        sentences.push(format!("{} {lead} to {there}.", named(&routes)));
    }
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

fn them(services: &BTreeSet<Ref>) -> &'static str {
    if services.len() > 1 { "them" } else { "it" }
}

/// `Service shop/web`, `Ingress shop/a and HTTPRoute shop/b`.
fn named(references: &BTreeSet<Ref>) -> String {
    let name = |reference: &Ref| format!("{} {}", reference.kind, describe::name(&ResourceRef::from(reference)));
    let mut names: Vec<String> = references.iter().take(NAMED).map(name).collect();
    let more = references.len().saturating_sub(NAMED);
    names.extend((more > 0).then(|| format!("{more} more")));
    text::enumerate(&names)
}

/// So many callers are named.
const CALLERS: usize = 20;

/// Who calls the Services that suffer, as far as their settings say. Where one object was asked about: it reads the
/// templates of all that may call.
pub(crate) fn callers(view: &View<'_>, problems: &mut [Problem]) {
    let services: BTreeSet<ResourceRef> =
        problems.iter().flat_map(|problem| &problem.impact.services).map(unmarked).collect();
    for namespace in services.iter().map(ResourceRef::namespace).collect::<BTreeSet<_>>() {
        // Who calls is mostly beside what is called.
        let _ = view.all(&Kind::Deployment, Some(namespace));
    }
    let callers = calls::callers(view, &services);
    for problem in problems {
        let own = &problem.subject.reference;
        let of = problem.impact.services.iter().filter_map(|service| callers.get(&unmarked(service)));
        let found: BTreeSet<Ref> = of.flatten().map(|caller| Ref::from(&caller.reference())).collect();
        let others = found.into_iter().filter(|caller| (&caller.kind, &caller.name) != (&own.kind, &own.name));
        problem.impact.callers = others.take(CALLERS).collect();
        let impact = &mut problem.impact;
        let empty: BTreeSet<Ref> = impact.empty_services.iter().cloned().collect();
        let calling = empty.iter().filter_map(|service| callers.get(&unmarked(service))).flatten();
        let calling: BTreeSet<Ref> = calling.map(|caller| Ref::from(&caller.reference())).collect();
        let calling: BTreeSet<Ref> = impact.callers.iter().filter(|it| calling.contains(it)).cloned().collect();
        if !calling.is_empty() {
            let call = if calling.len() > 1 { "call" } else { "calls" };
            let there = if impact.sentence.is_some() { them(&empty).to_owned() } else { named(&empty) };
            let before = impact.sentence.take().map(|before| format!("{before} ")).unwrap_or_default();
            impact.sentence = Some(format!("{before}{} {call} {there}.", named(&calling)));
        }
    }
}

/// As it is named in settings: who it is by its UID is not known there.
fn unmarked(service: &Ref) -> ResourceRef {
    ResourceRef::new(Kind::Service, service.namespace.as_deref(), &service.name)
}

fn has_template(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Deployment
            | Kind::StatefulSet
            | Kind::DaemonSet
            | Kind::Job
            | Kind::CronJob
            | Kind::Pod
            | Kind::ReplicaSet
            | Kind::Other(_)
    )
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
