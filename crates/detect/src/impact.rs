//! Who suffers from a problem.

mod routes;

use crate::addresses::calls;
use crate::rank::{self, Incident};
use crate::{View, describe};
use reckon_model::document::{Impact, PodCount, Problem, Ref};
use reckon_model::{Body, Kind, Object, ResourceRef, text};
pub(crate) use routes::{MANY, Routes, attached, led_to};
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
    let sentence = sentence(incident, &pods, &workloads, &empty, &leading);
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

/// The failures of Services that have endpoints, which do not answer.
const UNREACHED: [&str; 2] = ["service-target-port", "manual-endpoints-stale"];

/// So many objects of a sort are named in a sentence.
const NAMED: usize = 3;

/// Which Services have no ready endpoint, unless that is the title, what leads to those that do not answer, how many pods
/// are struck where there are several, and which other workloads.
fn sentence(
    incident: &Incident,
    pods: &PodCount,
    workloads: &BTreeSet<Ref>,
    empty: &BTreeSet<Ref>,
    leading: &BTreeMap<Ref, BTreeSet<Ref>>,
) -> Option<String> {
    let root = &incident.root;
    let mut sentences = Vec::new();
    if pods.of > 1 && pods.affected > 0 {
        sentences.push(match pods.affected {
            2 if pods.of == 2 => "Both pods are affected.".to_owned(),
            all if all == pods.of => format!("All {all} pods are affected."),
            1 => format!("1 of {} pods is affected.", pods.of),
            some => format!("{some} of {} pods are affected.", pods.of),
        });
    }
    if !workloads.is_empty() {
        let suffer = if workloads.len() > 1 { "suffer" } else { "suffers" };
        sentences.push(format!("{} {suffer} from it.", named(workloads)));
    }
    let is_title = |service: &Ref| root.place.workload == ResourceRef::from(service);
    let silent: BTreeSet<Ref> = match UNREACHED.contains(&root.failure) {
        true => [Ref::from(&root.place.workload)].into(),
        false => empty.clone(),
    };
    let mut said = false;
    if empty.len() > 1 || empty.first().is_some_and(|only| !is_title(only)) {
        let has = if empty.len() > 1 { "have" } else { "has" };
        sentences.push(format!("{} {has} no ready endpoint.", named(empty)));
        said = silent == *empty;
    }
    let led = leading.iter().filter(|(_, services)| services.iter().any(|service| silent.contains(service)));
    let routes: BTreeSet<Ref> = led.map(|(route, _)| route.clone()).collect();
    if !routes.is_empty() {
        let lead = if routes.len() > 1 { "lead" } else { "leads" };
        let there = if said { them(&silent).to_owned() } else { named(&silent) };
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

/// The kinds that may call; Jobs that no CronJob makes are met where they are known.
const CALLING: [Kind; 4] = [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet, Kind::CronJob];

/// Who calls the Services that suffer, as far as their settings say. Where one object was asked about, those beside the
/// Services are asked for; else who is known has to do.
pub(crate) fn callers(view: &View<'_>, read: &mut calls::Read, problems: &mut [Problem], ask: bool) {
    let services: BTreeSet<ResourceRef> =
        problems.iter().flat_map(|problem| &problem.impact.services).map(unmarked).collect();
    if ask {
        for namespace in services.iter().map(ResourceRef::namespace).collect::<BTreeSet<_>>() {
            // Who calls is mostly beside what is called.
            for kind in &CALLING {
                let _ = view.all(kind, Some(namespace));
            }
        }
    }
    let callers = read.callers(view, &services);
    for problem in problems {
        let own = &problem.subject.reference;
        let calling = |services: &BTreeSet<&Ref>| -> BTreeSet<Ref> {
            let of = services.iter().filter_map(|service| callers.get(&unmarked(service)));
            let found: BTreeSet<Ref> = of.flatten().map(|caller| Ref::from(&caller.reference())).collect();
            let is_own = |it: &Ref| (&it.kind, &it.namespace, &it.name) == (&own.kind, &own.namespace, &own.name);
            found.into_iter().filter(|caller| !is_own(caller)).take(CALLERS).collect()
        };
        let all: BTreeSet<Ref> = calling(&problem.impact.services.iter().collect());
        let silent: BTreeSet<Ref> = match UNREACHED.contains(&&*problem.failure) {
            true => [own.clone()].into(),
            false => problem.impact.empty_services.iter().cloned().collect(),
        };
        let mut suffering = calling(&silent.iter().collect());
        let impact = &mut problem.impact;
        // That these suffer is said already.
        let key = |it: &Ref| (it.kind.clone(), it.namespace.clone(), it.name.clone());
        suffering.retain(|caller| !impact.workloads.iter().any(|said| key(said) == key(caller)));
        impact.callers = all.into_iter().collect();
        if !suffering.is_empty() {
            let call = if suffering.len() > 1 { "call" } else { "calls" };
            let said = impact.sentence.as_ref().is_some_and(|said| said.contains(&named(&silent)));
            let there = if said { them(&silent).to_owned() } else { named(&silent) };
            let before = impact.sentence.take().map(|before| format!("{before} ")).unwrap_or_default();
            impact.sentence = Some(format!("{before}{} {call} {there}.", named(&suffering)));
        }
    }
}

/// As it is named in settings: who it is by its UID is not known there.
fn unmarked(service: &Ref) -> ResourceRef {
    ResourceRef::new(Kind::Service, service.namespace.as_deref(), &service.name)
}

fn has_template(kind: &Kind) -> bool {
    // Other people's kinds may have one; those of Kubernetes itself have none.
    let own = matches!(kind, Kind::Other(_)) && kind.group().ends_with(".k8s.io");
    !own && matches!(
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
