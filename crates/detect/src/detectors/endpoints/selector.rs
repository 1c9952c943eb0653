//! A Service whose selector matches no pod.

use super::GRACE;
use crate::{Fact, Finding, Place, View, blame, describe};
use reckon_model::document::{
    Cause, CauseKind, Ref, Remedy, RemedyKind, Requires, Risk, Role, Severity, Source, Verdict,
};
use reckon_model::k8s::ServiceSpec;
use reckon_model::selector::LabelSelector;
use reckon_model::{Kind, Object};
use serde_json::json;

/// No pod has the labels the selector asks for.
pub(super) fn matches_nothing<'a>(view: &View<'a>, service: &'a Object, spec: &'a ServiceSpec) -> Vec<Finding> {
    let created = service.meta.created.and_then(|at| at.checked_add(GRACE).ok());
    if let Some(due) = created.filter(|due| !view.reached(*due)) {
        view.recheck_at(due);
        return Vec::new();
    }
    let workloads = [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet].map(|kind| {
        let namespace = service.meta.namespace.as_deref();
        view.all(&kind, namespace)
    });
    let complete = workloads.iter().all(|many| many.complete);
    let workloads: Vec<&'a Object> = workloads.into_iter().flat_map(|many| many.items).collect();
    let selector = LabelSelector::exact(&spec.selector);
    let own: Vec<&'a Object> =
        workloads.iter().copied().filter(|workload| selector.matches(labels(workload))).collect();
    // Somebody makes pods for this Service; that there are none is their affair.
    if !own.is_empty() {
        return without_pods(service, &own).into_iter().collect();
    }
    let near = workloads.iter().filter_map(|workload| near(workload, service, spec)).min_by_key(|near| near.how);
    let Some(near) = near else { return Vec::new() };
    let mut finding = differs(view, service, spec, &near);
    // One that was not read may be the Service's own.
    if !complete {
        finding.verdict = finding.verdict.max(Verdict::Likely);
    }
    vec![finding]
}

fn labels(workload: &Object) -> &std::collections::BTreeMap<String, String> {
    static NONE: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    workload.workload().map_or(&NONE, |workload| &workload.spec.template.metadata.labels)
}

/// The workloads behind a Service have no pod: an echo of what keeps them from it. At zero replicas, or with no node to
/// run on, an empty Service is what somebody asked for.
fn without_pods(service: &Object, own: &[&Object]) -> Option<Finding> {
    let wants_some = |workload: &&&Object| match (&workload.kind, workload.workload()) {
        (Kind::DaemonSet, Some(body)) => body.status.desired_number_scheduled > 0,
        (_, Some(body)) => body.spec.replicas != Some(0),
        _ => false,
    };
    let wanting: Vec<&&Object> = own.iter().filter(wants_some).collect();
    let first = wanting.first()?;
    let other = format!("{} {}", first.kind.singular(), first.meta.name);
    let name = describe::object(service);
    let title = format!("Service {name} has no endpoint: {other} has no pods");
    let sentence = format!("{other}, which the Service selects, has no pods.");
    let cause = Cause::plain(CauseKind::Unknown, Some(&first.reference()), sentence.clone());
    let mut finding = Finding::new("endpoints-empty", Place::of(service), title, cause);
    finding.verdict = Verdict::Unknown;
    finding.severity = Severity::Warning;
    finding.shows_on.extend(wanting.iter().map(|workload| workload.reference()));
    finding.evidence.push(Fact::new(Role::Symptom, Source::Absence, None, service, sentence));
    Some(finding)
}

/// A selector and the labels it nearly matches.
fn differs<'a>(view: &View<'a>, service: &'a Object, spec: &ServiceSpec, near: &Near<'a>) -> Finding {
    let Near { workload, key, wanted, has, how } = *near;
    let names_key = |field: &reckon_model::FieldChange| {
        field.pointer.ends_with(&format!("/{}", reckon_model::diff::escape(key))).then_some(0)
    };
    let selector_changed = blame::object_change(view, service, None, |field| {
        names_key(field).filter(|_| field.pointer.starts_with("/spec/selector"))
    });
    let labels_changed = blame::template_change(view, workload, None, None, |field| {
        names_key(field).filter(|_| field.pointer.contains("/metadata/labels/"))
    });
    let changed = selector_changed.is_some() || labels_changed.is_some();
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
    // A program may label its own pods while it runs, and a Service of another program may be without one for a time: only
    // a slip, a change or one common name proves that these two were meant for each other.
    let meant = changed || (how != How::Shares && has.is_some());
    if meant {
        finding.verdict = Verdict::Confirmed;
    } else {
        finding.verdict = Verdict::Possible;
        finding.severity = Severity::Info;
    }
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
    if let Some(has) = has.filter(|_| meant) {
        finding.remedies.push(Remedy {
            option: 0,
            kind: RemedyKind::Patch,
            reference: Some(Ref::from(&service.reference())),
            managed_by: crate::ownership::managed_by(service),
            patch_type: Some("merge".to_owned()),
            patch: Some(json!({"spec": {"selector": {key: has}}})),
            risk: Risk::Low,
            reversible: true,
            requires: Some(Requires { verb: "patch".to_owned(), resource: "services".to_owned() }),
            allowed: None,
            sentence: format!("Let the selector ask for {key}={has}, which {other}'s pods carry."),
        });
    }
    finding
}

/// The workload whose pods nearly match a selector, and the label in which they do not.
struct Near<'a> {
    workload: &'a Object,
    key: &'a str,
    wanted: &'a str,
    has: Option<&'a str>,
    how: How,
}

/// Why a workload may be meant, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    /// The value is a slip of the pods' own.
    Slip,
    /// It bears the Service's name.
    Namesake,
    /// It has all the other labels.
    Shares,
}

/// A workload that lacks exactly one of the selector's labels.
fn near<'a>(workload: &'a Object, service: &'a Object, spec: &'a ServiceSpec) -> Option<Near<'a>> {
    let labels = labels(workload);
    let mut missing = spec.selector.iter().filter(|(key, value)| labels.get(*key) != Some(value));
    let (key, wanted) = missing.next()?;
    if missing.next().is_some() {
        return None;
    }
    let has = labels.get(key).map(String::as_str);
    let how = match has {
        Some(has) if blame::is_slip(blame::distance(has, wanted), wanted.chars().count()) => How::Slip,
        _ if workload.meta.name == service.meta.name => How::Namesake,
        _ if spec.selector.len() > 1 => How::Shares,
        _ => return None,
    };
    Some(Near { workload, key, wanted, has, how })
}
