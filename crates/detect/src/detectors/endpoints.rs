//! Services without ready endpoints.

use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View, blame, describe};
use jiff::SignedDuration;
use reckon_model::document::{
    Cause, CauseKind, Ref, Remedy, RemedyKind, Requires, Risk, Role, Severity, Source, Verdict,
};
use reckon_model::k8s::{IntOrString, Pod, ServiceSpec};
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Kind, Object, text};
use serde_json::json;

pub(crate) static DETECTOR: Detector = Detector {
    name: "endpoints",
    failures: &[
        Failure {
            slug: "endpoints-empty",
            title: "A Service has no ready endpoint",
            stage: Stage::Endpoints,
            family: "endpoints",
            echo: true,
            verified: Verified::Live,
        },
        Failure {
            slug: "service-selects-nothing",
            title: "A Service's selector matches no pod",
            stage: Stage::Endpoints,
            family: "endpoints",
            echo: false,
            verified: Verified::Live,
        },
        Failure {
            slug: "service-target-port",
            title: "A Service's target port is in no container",
            stage: Stage::Endpoints,
            family: "endpoints",
            echo: false,
            verified: Verified::Constructed,
        },
    ],
    subjects: &[Kind::Service],
    page: include_str!("endpoints.md"),
    detect,
};

/// A Service and its pods are seldom made in one moment.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Body::Service(service) = &subject.body else { return Vec::new() };
    let spec = &service.spec;
    // Somebody else writes the endpoints of a Service without a selector; an ExternalName has none.
    if spec.selector.is_empty() || spec.kind == "ExternalName" || subject.meta.deleted.is_some() {
        return Vec::new();
    }
    let pods = view.matching(&Kind::Pod, subject.meta.namespace.as_deref(), &LabelSelector::exact(&spec.selector));
    let serving: Vec<&'a Object> =
        pods.items.iter().copied().filter(|pod| pod.pod().is_some_and(|pod| !pod.is_finished())).collect();
    if serving.is_empty() {
        return if pods.complete { selects_nothing(view, subject, spec) } else { Vec::new() };
    }
    let mut findings: Vec<Finding> = target_port(subject, spec, &serving).into_iter().collect();
    let ready = serving.iter().any(|pod| pod.pod().is_some_and(Pod::is_ready));
    if !ready && !spec.publish_not_ready_addresses {
        findings.extend(empty(view, subject, &serving));
    }
    findings
}

/// All pods behind the Service are unready: whatever ails them is the cause, and this its echo.
fn empty<'a>(view: &View<'a>, service: &'a Object, pods: &[&'a Object]) -> Option<Finding> {
    // Pods that are only starting leave a Service empty for a moment.
    let since = pods.iter().filter_map(|pod| pod.pod()?.condition("Ready")?.since.or(pod.meta.created)).max()?;
    let due = since.checked_add(GRACE).ok()?;
    if due > view.now() || pods.iter().all(|pod| pod.meta.deleted.is_some()) {
        view.recheck_at(due);
        return None;
    }
    let count = text::count(pods.len(), "pod");
    let title = format!("Service {} has no ready endpoint: none of its {count} is ready", describe::object(service));
    let cause = Cause::plain(
        CauseKind::Unknown,
        Some(&service.reference()),
        format!("None of the {count} behind the Service is ready."),
    );
    let mut finding = Finding::new("endpoints-empty", Place::of(service), title, cause);
    finding.verdict = Verdict::Unknown;
    finding.shows_on.extend(pods.iter().map(|pod| pod.reference()));
    finding.evidence.push(Fact::new(
        Role::Symptom,
        Source::Condition,
        Some(since),
        service,
        format!("{count} selected, none ready"),
    ));
    Some(finding)
}

/// No pod has the labels the selector asks for, though some nearly have.
fn selects_nothing<'a>(view: &View<'a>, service: &'a Object, spec: &ServiceSpec) -> Vec<Finding> {
    let created = service.meta.created.and_then(|at| at.checked_add(GRACE).ok());
    if let Some(due) = created.filter(|due| *due > view.now()) {
        view.recheck_at(due);
        return Vec::new();
    }
    let Some(near) = nearest(view, service, spec) else { return Vec::new() };
    let Near { workload, key, wanted, has } = near;
    // At zero replicas an empty Service is what somebody asked for.
    if workload.workload().is_some_and(|workload| workload.spec.replicas == Some(0)) {
        return Vec::new();
    }
    let names_key = |field: &reckon_model::FieldChange| {
        field.pointer.ends_with(&format!("/{}", reckon_model::diff::escape(key))).then_some(0)
    };
    let selector_changed = blame::object_change(view, service, None, |field| {
        names_key(field).filter(|_| field.pointer.starts_with("/spec/selector"))
    });
    let labels_changed = blame::template_change(view, workload, None, None, |field| {
        names_key(field).filter(|_| field.pointer.contains("/metadata/labels/"))
    });
    let name = describe::object(service);
    let other = format!("{} {}", workload.kind.singular(), workload.meta.name);
    let difference = match has {
        Some(has) => format!("the pods of {other} carry {key}={has}, the selector asks for {key}={wanted}"),
        None => format!("the pods of {other} carry no label {key}, the selector asks for {key}={wanted}"),
    };
    let cause = match (selector_changed, labels_changed) {
        (Some(selector), Some(labels)) if labels.change.at > selector.change.at => {
            let sentence = format!(
                "The label {key} of {other}'s pods was {}; the selector of Service {name} still asks for {wanted}.",
                labels.words()
            );
            labels.cause(view, sentence)
        }
        (Some(selector), _) => {
            let sentence = format!("The selector of Service {name} was {}: {difference}.", selector.words());
            selector.cause(view, sentence)
        }
        (None, Some(labels)) => {
            let sentence = format!(
                "The label {key} of {other}'s pods was {}; the selector of Service {name} still asks for {wanted}.",
                labels.words()
            );
            labels.cause(view, sentence)
        }
        (None, None) => {
            let cause = Cause::plain(
                CauseKind::Resource,
                Some(&service.reference()),
                format!("The selector of Service {name} matches no pod: {difference}."),
            );
            let plain = !key.contains(['.', '/']);
            let field = if plain { format!("spec.selector.{key}") } else { format!("spec.selector[{key}]") };
            cause.at_field(field, format!("/spec/selector/{}", reckon_model::diff::escape(key)), Some(wanted.into()))
        }
    };
    let title = format!("Service {name} has no endpoint: its selector matches no pod; {difference}");
    let mut finding = Finding::new("service-selects-nothing", Place::of(service), title, cause);
    finding.verdict = Verdict::Confirmed;
    finding.opened = finding.cause.at.or(service.meta.created);
    finding.evidence.push(
        Fact::new(
            Role::Cause,
            Source::Spec,
            None,
            service,
            format!("selector {}", LabelSelector::exact(&spec.selector).query()),
        )
        .raw(json!(spec.selector)),
    );
    finding.evidence.push(Fact::new(
        Role::Symptom,
        Source::Absence,
        None,
        service,
        "no pod in the namespace has these labels",
    ));
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, workload, difference.clone()));
    if let Some(has) = has {
        finding.remedies.push(Remedy {
            option: 0,
            kind: RemedyKind::Patch,
            reference: Some(Ref::from(&service.reference())),
            managed_by: crate::ownership::managed_by(service).map(str::to_owned),
            patch_type: Some("merge".to_owned()),
            patch: Some(json!({"spec": {"selector": {key: has}}})),
            risk: Risk::Low,
            reversible: true,
            requires: Some(Requires { verb: "patch".to_owned(), resource: "services".to_owned() }),
            allowed: None,
            sentence: format!("Let the selector ask for {key}={has}, which {other}'s pods carry."),
        });
    }
    vec![finding]
}

/// The workload whose pods nearly match a selector, and the label in which they do not.
struct Near<'a> {
    workload: &'a Object,
    key: &'a str,
    wanted: &'a str,
    has: Option<&'a str>,
}

/// A workload that lacks exactly one of the selector's labels and shares another, or has a near value in it, or bears the
/// Service's own name.
fn nearest<'a>(view: &View<'a>, service: &'a Object, spec: &'a ServiceSpec) -> Option<Near<'a>> {
    let namespace = service.meta.namespace.as_deref();
    [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet]
        .iter()
        .flat_map(|kind| view.all(kind, namespace).items)
        .find_map(|workload| {
            let labels = &workload.workload()?.spec.template.metadata.labels;
            let mut missing = spec.selector.iter().filter(|(key, value)| labels.get(*key) != Some(value));
            let (key, wanted) = missing.next()?;
            if missing.next().is_some() {
                return None;
            }
            let has = labels.get(key);
            let shares = spec.selector.len() > 1;
            let slip = has.is_some_and(|has| {
                blame::distance(has, wanted) <= 2 || has.contains(wanted.as_str()) || wanted.contains(has.as_str())
            });
            let namesake = workload.meta.name == service.meta.name;
            (shares || slip || namesake).then_some(Near { workload, key, wanted, has: has.map(String::as_str) })
        })
}

/// A named target port that no container of the selected pods declares.
fn target_port<'a>(service: &'a Object, spec: &ServiceSpec, pods: &[&'a Object]) -> Option<Finding> {
    let pod = pods.first()?;
    let declared: Vec<(&str, i64)> = pod
        .pod()?
        .spec
        .all_containers()
        .flat_map(|(_, container)| &container.ports)
        .map(|port| (port.name.as_str(), port.container_port))
        .collect();
    let (index, port, wanted) = spec.ports.iter().enumerate().find_map(|(index, port)| match &port.target_port {
        Some(IntOrString::String(name)) if !declared.iter().any(|(known, _)| known == name) => {
            Some((index, port, name))
        }
        _ => None,
    })?;
    let name = describe::object(service);
    let offered: Vec<String> = declared
        .iter()
        .map(|(name, number)| if name.is_empty() { number.to_string() } else { format!("{name} ({number})") })
        .collect();
    let offered = if offered.is_empty() { "no port at all".to_owned() } else { text::enumerate(&offered) };
    let sentence =
        format!("Service {name} sends port {} to a port named {wanted}, but its pods declare {offered}.", port.port);
    let cause = Cause::plain(CauseKind::Resource, Some(&service.reference()), sentence).at_field(
        format!("spec.ports[{}].targetPort", port.port),
        format!("/spec/ports/{index}/targetPort"),
        Some(wanted.clone().into()),
    );
    let title = format!("Service {name} sends traffic to a port named {wanted} that no container of its pods declares");
    let mut finding = Finding::new("service-target-port", Place::of(service), title, cause);
    finding.verdict = Verdict::Confirmed;
    finding.severity = Severity::Critical;
    finding.opened = service.meta.created;
    finding.evidence.push(Fact::new(
        Role::Cause,
        Source::Spec,
        None,
        service,
        format!("targetPort {wanted} of port {}", port.port),
    ));
    finding.evidence.push(Fact::new(Role::Symptom, Source::Spec, None, pod, format!("declared: {offered}")));
    Some(finding)
}
