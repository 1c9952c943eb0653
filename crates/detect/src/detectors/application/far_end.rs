//! What stands at the other end of a connection, and how it is.

use super::Speaker;
use crate::addresses::calls::{self, Written};
use crate::addresses::{Address, Host};
use crate::detectors::logs::testimony::Far;
use crate::view::Lookup;
use crate::{Fact, View, describe};
use jiff::SignedDuration;
use reckon_model::document::{Role, Source};
use reckon_model::k8s::Pod;
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Kind, Object, ResourceRef, Timestamp, text};
use std::collections::BTreeMap;

/// Two that start together may miss each other for so long.
const START: SignedDuration = SignedDuration::from_secs(60);

/// So many of the Services that a program is told of are looked at where it does not say which it means.
const CALLED: usize = 16;

/// The other end.
pub(super) enum FarEnd<'a> {
    /// A Service that is known not to be there.
    Absent(ResourceRef),
    /// A Service without the port that is called.
    NoPort(&'a Object, u16),
    /// A Service without a ready endpoint.
    Down(Down<'a>),
    /// A Service whose pods have only just begun.
    Starting,
    /// A Service with ready endpoints, and since when one of them is ready.
    Serving(&'a Object, Option<&'a Object>, Option<Timestamp>),
    /// The container's own pod.
    Own,
    /// Somebody who is no Service of this cluster.
    Outside,
    /// Not known, or not known well enough.
    Unknown,
}

/// A Service without a ready endpoint.
pub(super) struct Down<'a> {
    /// The Service.
    pub(super) service: &'a Object,
    /// Who should serve: the workload of its pods, or the one that makes none. `None` where the Service selects nothing.
    pub(super) workload: Option<&'a Object>,
    /// What is seen of it.
    pub(super) fact: Fact,
    /// Whether the workload was scaled to nothing.
    pub(super) scaled: bool,
}

/// Where the program was told of an address.
pub(super) type Mention = (Address, Written);

/// The other end, and the address by which it is called, as far as both are known; the addresses that the container is
/// given help where its log has only a number.
pub(super) fn of<'a>(speaker: &Speaker<'_, 'a>, far: Option<&Far>) -> (FarEnd<'a>, Option<Address>, Option<Mention>) {
    let namespace = speaker.subject.namespace();
    let given = calls::addresses(
        speaker.view,
        &speaker.pod.spec.common,
        speaker.subject.meta.namespace.as_deref(),
        Some(&speaker.container.name),
    );
    let mention = |address: &Address| {
        let same = |(other, _): &&Mention| other.host == address.host;
        let port = |(other, _): &&Mention| address.port.is_none() || other.port == address.port;
        let found = given.iter().filter(same).find(port).or_else(|| given.iter().find(same)).cloned();
        found.or_else(|| in_words(speaker, address))
    };
    let Some(far) = far else {
        return match only_one_down(speaker, &given) {
            Some((down, mention)) => (FarEnd::Down(down), Some(mention.0.clone()), Some(mention)),
            None => (FarEnd::Unknown, None, None),
        };
    };
    let mut address = far.address.clone();
    // A port that only the configuration knows.
    address.port = address.port.or_else(|| mention(&address)?.0.port);
    match address.seen_from(namespace) {
        Host::Loopback => (FarEnd::Own, Some(address), None),
        Host::Service(service) => {
            let end = look_up(speaker, &service, address.port);
            let mention = mention(&address);
            (end, Some(address), mention)
        }
        Host::Maybe(either) => {
            let end = either_of(speaker, &either, address.port);
            let mention = mention(&address);
            (end, Some(address), mention)
        }
        Host::Outside => {
            let mention = mention(&address);
            (FarEnd::Outside, Some(address), mention)
        }
        Host::Number => {
            if let Some(service) = by_number(speaker.view, namespace, &address.host) {
                let end = judge(speaker, service, address.port);
                let own = |(other, _): &&Mention| names(other, namespace, service);
                let mention = given.iter().find(own).cloned();
                return (end, Some(address), mention);
            }
            // The number of a pod: of what the container is given, one that is called on this port may be meant.
            let mut same = given.iter().filter(|(other, _)| other.port.is_some() && other.port == address.port);
            match (same.next(), same.next()) {
                (Some(one), None) => match one.0.seen_from(namespace) {
                    Host::Service(service) => {
                        (look_up(speaker, &service, address.port), Some(one.0.clone()), Some(one.clone()))
                    }
                    Host::Maybe(either) => {
                        (either_of(speaker, &either, address.port), Some(one.0.clone()), Some(one.clone()))
                    }
                    _ => (FarEnd::Unknown, Some(address), Some(one.clone())),
                },
                _ => {
                    let mention = mention(&address);
                    (FarEnd::Outside, Some(address), mention)
                }
            }
        }
    }
}

/// A word of the command that is this host: `nc -z db 5432`.
fn in_words(speaker: &Speaker<'_, '_>, address: &Address) -> Option<Mention> {
    let part = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
    let names = |words: &[String]| {
        words.iter().flat_map(|word| word.split(part)).any(|word| word.eq_ignore_ascii_case(&address.host))
    };
    let container = speaker.container;
    let field =
        [("command", &container.command), ("args", &container.args)].into_iter().find(|(_, words)| names(words));
    field.map(|(field, _)| (address.clone(), Written::Words(container.name.clone(), field)))
}

/// Whether an address is one of a Service's.
fn names(address: &Address, namespace: &str, service: &Object) -> bool {
    match address.seen_from(namespace) {
        Host::Service(reference) => reference == service.reference(),
        Host::Maybe(either) => either.contains(&service.reference()),
        _ => false,
    }
}

/// The one Service that the container is told of and that has no ready endpoint, where there is one and no other.
fn only_one_down<'a>(speaker: &Speaker<'_, 'a>, given: &[Mention]) -> Option<(Down<'a>, Mention)> {
    let namespace = speaker.subject.namespace();
    let mut down: BTreeMap<ResourceRef, (Down<'a>, Mention)> = BTreeMap::new();
    for mention in given.iter().take(CALLED) {
        let candidates = match mention.0.seen_from(namespace) {
            Host::Service(service) => vec![service],
            Host::Maybe(either) => either.into(),
            _ => continue,
        };
        for service in candidates {
            if let Some(service) = speaker.view.look_up(&service).found()
                && let FarEnd::Down(found) = judge(speaker, service, None)
            {
                down.insert(service.reference(), (found, mention.clone()));
            }
        }
    }
    let only = down.len() == 1;
    down.into_values().next().filter(|_| only)
}

/// The Service with this number: those of the namespace first, and of others those that are known.
pub(super) fn by_number<'a>(view: &View<'a>, namespace: &str, number: &str) -> Option<&'a Object> {
    let has = |service: &&Object| matches!(&service.body, Body::Service(body) if body.spec.cluster_ip == number);
    let own = view.all(&Kind::Service, Some(namespace)).items.into_iter().find(has);
    own.or_else(|| view.known(&Kind::Service, None).find(has))
}

fn look_up<'a>(speaker: &Speaker<'_, 'a>, service: &ResourceRef, port: Option<u16>) -> FarEnd<'a> {
    match speaker.view.look_up(service) {
        Lookup::Found(service) => judge(speaker, service, port),
        Lookup::Absent { .. } => FarEnd::Absent(service.clone()),
        Lookup::Unread => FarEnd::Unknown,
    }
}

/// A name of two words: the Service that is there; none is missing unless its namespace is there.
fn either_of<'a>(speaker: &Speaker<'_, 'a>, either: &[ResourceRef; 2], port: Option<u16>) -> FarEnd<'a> {
    let [first, second] = either;
    match (look_up(speaker, first, port), look_up(speaker, second, port)) {
        (FarEnd::Absent(_), FarEnd::Absent(beside))
            if !pods_named_in(speaker.view, &beside, Some(&first.name)).is_empty() =>
        {
            FarEnd::Absent(beside)
        }
        (FarEnd::Absent(absent), FarEnd::Absent(_)) => {
            match speaker.view.object(&Kind::Namespace, None, first.namespace()) {
                Lookup::Found(_) => FarEnd::Absent(absent),
                Lookup::Absent { .. } => FarEnd::Outside,
                Lookup::Unread => FarEnd::Unknown,
            }
        }
        (FarEnd::Absent(_), there) | (there, _) => there,
    }
}

/// The StatefulSets whose pods have their names in a Service, `db-0.db`; those that have a pod of this name, if one is given.
pub(super) fn pods_named_in<'a>(view: &View<'a>, service: &ResourceRef, pod: Option<&str>) -> Vec<&'a Object> {
    let numbered = |set: &Object, pod: &str| {
        let number = pod.strip_prefix(&*set.meta.name).and_then(|rest| rest.strip_prefix('-'));
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let names = |set: &&Object| {
        set.workload().is_some_and(|body| body.spec.service_name == service.name)
            && pod.is_none_or(|pod| numbered(set, pod))
    };
    view.all(&Kind::StatefulSet, service.namespace.as_deref()).items.into_iter().filter(names).collect()
}

/// How a Service is.
pub(super) fn judge<'a>(speaker: &Speaker<'_, 'a>, service: &'a Object, port: Option<u16>) -> FarEnd<'a> {
    let view = speaker.view;
    let Body::Service(body) = &service.body else { return FarEnd::Unknown };
    if body.spec.kind == "ExternalName" {
        return FarEnd::Outside;
    }
    let has = |port: u16| body.spec.ports.iter().any(|own| own.port == i64::from(port));
    if let Some(port) = port.filter(|port| body.spec.cluster_ip != "None" && !body.spec.ports.is_empty() && !has(*port))
    {
        return FarEnd::NoPort(service, port);
    }
    if body.spec.selector.is_empty() {
        return FarEnd::Unknown;
    }
    let pods = view.matching(&Kind::Pod, service.meta.namespace.as_deref(), &LabelSelector::exact(&body.spec.selector));
    let alive: Vec<&'a Object> =
        pods.items.iter().copied().filter(|pod| pod.pod().is_some_and(|pod| !pod.is_finished())).collect();
    let workload = one_workload(view, &alive);
    let ready: Vec<&Object> = alive.iter().copied().filter(|pod| pod.pod().is_some_and(Pod::is_ready)).collect();
    if !ready.is_empty() {
        let since = ready.iter().filter_map(|pod| pod.pod()?.condition("Ready")?.since).min();
        return FarEnd::Serving(service, workload, since);
    }
    if !pods.complete {
        return FarEnd::Unknown;
    }
    // Members of one workload that wait for each other have no other to wait for.
    if workload.is_some_and(|workload| workload.reference() == speaker.workload.reference()) {
        return FarEnd::Own;
    }
    let youngest = alive.iter().filter_map(|pod| pod.meta.created).max();
    let old = |at: Timestamp| at.checked_add(START).ok();
    if let Some(due) = youngest.and_then(old).filter(|due| !view.reached(*due)) {
        view.recheck_at(due);
        let never = alive.iter().all(|pod| {
            pod.pod().is_some_and(|pod| {
                pod.containers().all(|(_, _, status)| status.is_none_or(|status| status.restart_count == 0))
            })
        });
        if never {
            return FarEnd::Starting;
        }
    }
    let name = describe::object(service);
    if !alive.is_empty() {
        let since = alive.iter().filter_map(|pod| pod.pod()?.condition("Ready")?.since).max();
        let words = format!("Service {name} selects {}, and none of them is ready", text::count(alive.len(), "pod"));
        let fact = Fact::new(Role::Cause, Source::Condition, since, service, words);
        return FarEnd::Down(Down { service, workload, fact, scaled: false });
    }
    let makers = makers(view, service, &body.spec.selector);
    let scaled = makers.iter().all(|maker| maker.workload().is_some_and(|body| body.spec.replicas == Some(0)));
    let words = format!("Service {name} selects no pod");
    let fact = Fact::new(Role::Cause, Source::Absence, None, service, words);
    let workload = makers.first().copied().filter(|_| makers.len() == 1);
    FarEnd::Down(Down { service, workload, fact, scaled: scaled && workload.is_some() })
}

/// The workload of these pods, where it is one.
fn one_workload<'a>(view: &View<'a>, pods: &[&'a Object]) -> Option<&'a Object> {
    let mut found: BTreeMap<ResourceRef, &'a Object> = BTreeMap::new();
    for pod in pods.iter().take(100) {
        let workload = view.workload_of(pod);
        found.insert(workload.reference(), workload);
    }
    let only = found.len() == 1;
    found.into_values().next().filter(|_| only)
}

/// Who would make pods for a Service.
fn makers<'a>(view: &View<'a>, service: &'a Object, selector: &BTreeMap<String, String>) -> Vec<&'a Object> {
    let selector = LabelSelector::exact(selector);
    [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet]
        .iter()
        .flat_map(|kind| view.all(kind, service.meta.namespace.as_deref()).items)
        .filter(|maker| maker.workload().is_some_and(|body| selector.matches(&body.spec.template.metadata.labels)))
        .collect()
}
