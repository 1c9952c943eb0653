//! Who suffers from a problem.

mod routes;

use crate::View;
use crate::addresses::calls;
use crate::rank::{self, Incident};
use reckon_model::document::{Impact, PodCount, Problem, Ref};
use reckon_model::{Body, Kind, Object, ResourceRef};
use std::collections::BTreeSet;

/// What an incident takes down, as far as the known objects tell. Only what leads to a Service that suffers is asked for, and
/// its refusal is no gap of the diagnosis: a problem does not get truer by it.
pub(crate) fn of(view: &View<'_>, incident: &Incident) -> Impact {
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
    let empty = findings().chain(&incident.symptoms).map(|finding| &finding.place.workload);
    services.extend(empty.filter(|place| place.kind == Kind::Service).map(Ref::from));
    Impact {
        pods,
        workloads: workloads.into_iter().collect(),
        routes: routes::to(view, &services).into_iter().collect(),
        services: services.into_iter().collect(),
        callers: Vec::new(),
    }
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
