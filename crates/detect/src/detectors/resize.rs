//! Changes of a running pod's resources that are not done.

use super::last_write::LastWrite;
use crate::catalogue::{Failure, Stage, Verified};
use crate::spot;
use crate::{Detector, Fact, Finding, Place, View, describe};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Requires, Risk, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Condition, Container, ContainerType, Pod};
use reckon_model::{Kind, Object, Quantity, text};
use serde_json::json;

pub(crate) static DETECTOR: Detector = Detector {
    name: "resize",
    failures: &[Failure {
        slug: "resize-stuck",
        title: "A pod's resources are not changed as asked",
        stage: Stage::Config,
        family: "resize",
        echo: false,
        verified: Verified::Live,
        page: include_str!("../pages/resize-stuck.md"),
    }],
    subjects: &[Kind::Pod],
    others: &[],
    detect,
};

/// Room may come: so long a change may wait for it.
const DEFERRED: SignedDuration = SignedDuration::from_mins(10);

/// What went wrong once the kubelet tries again.
const ERROR: SignedDuration = SignedDuration::from_mins(2);

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    let pending = pod.condition("PodResizePending").filter(|pending| pending.is_true());
    let failed = pod.condition("PodResizeInProgress").filter(|going| going.is_true() && going.reason == "Error");
    let Some(condition) = pending.or(failed) else { return Vec::new() };
    if subject.meta.deleted.is_some() || pod.is_finished() {
        return Vec::new();
    }
    found(view, subject, pod, condition).into_iter().collect()
}

/// A resource of a container that is not yet what it should be.
struct Wanted<'a> {
    container: &'a Container,
    kind: ContainerType,
    /// `requests` or `limits`.
    part: &'static str,
    resource: &'a str,
    from: Option<&'a Quantity>,
    to: Option<&'a Quantity>,
    pointer: String,
}

impl Wanted<'_> {
    /// `the memory request of app`.
    fn words(&self) -> String {
        format!("the {} {} of {}", self.resource, self.part.trim_end_matches('s'), self.container.name)
    }
}

fn shown(value: Option<&Quantity>) -> &str {
    value.map_or("none", Quantity::as_str)
}

/// The first difference between what is in force and what is asked for.
fn wanted(pod: &Pod) -> Option<Wanted<'_>> {
    pod.containers().find_map(|(kind, container, status)| {
        let force = status?.resources.as_ref()?;
        let list = if kind == ContainerType::App { &pod.spec.containers } else { &pod.spec.init_containers };
        let index = list.iter().position(|other| other.name == container.name)?;
        let parts = [
            ("requests", &container.resources.requests, &force.requests),
            ("limits", &container.resources.limits, &force.limits),
        ];
        parts.into_iter().find_map(|(part, asked, force)| {
            let (resource, to) = asked.iter().find(|(resource, to)| {
                matches!(resource.as_str(), "cpu" | "memory")
                    && force.get(*resource).and_then(Quantity::nanos) != to.nanos()
            })?;
            let list = spot::Spot::list(kind);
            let pointer = format!("/spec/{list}/{index}/resources/{part}/{resource}");
            Some(Wanted { container, kind, part, resource, from: force.get(resource), to: Some(to), pointer })
        })
    })
}

fn found<'a>(view: &View<'a>, subject: &'a Object, pod: &'a Pod, condition: &'a Condition) -> Option<Finding> {
    let (class, grace) = match condition.reason.as_str() {
        "Infeasible" => ("infeasible", SignedDuration::ZERO),
        "Deferred" => ("deferred", DEFERRED),
        "Error" => ("error", ERROR),
        _ => ("other", DEFERRED),
    };
    let due = condition.since.and_then(|since| since.checked_add(grace).ok());
    if let Some(due) = due.filter(|due| !view.reached(*due)) {
        view.recheck_at(due);
        return None;
    }
    let workload = view.workload_of(subject);
    let wanted = wanted(pod);
    let said = text::shorten(condition.message.trim().trim_end_matches('.'), 200).into_owned();
    let node = &pod.spec.node_name;
    let why = match class {
        "infeasible" => format!("node {node} can never give it"),
        "deferred" => format!("node {node} has no room for it now"),
        _ => format!("the kubelet of {node} says {}", condition.reason),
    };
    let why = if said.is_empty() { why } else { format!("{why}: {said}") };
    let name = describe::object(workload);
    let title = match &wanted {
        Some(wanted) => format!(
            "{name}: {} stays at {} though {} was asked for, {why}",
            wanted.words(),
            shown(wanted.from),
            shown(wanted.to)
        ),
        None => format!("{name}: the resources of {} are not changed as asked for, {why}", subject.meta.name),
    };
    let place = match &wanted {
        Some(wanted) => Place::container(workload, &wanted.container.name, wanted.kind),
        None => Place::of(workload),
    };
    let mut finding = Finding::new("resize-stuck", place, title, cause(subject, wanted.as_ref(), &why));
    finding.class = Some(class);
    finding.severity = Severity::Warning;
    finding.verdict = if class == "other" { Verdict::Likely } else { Verdict::Confirmed };
    finding.opened = condition.since;
    // Want of memory kills; want of anything else explains no other failure of the pod.
    if wanted.as_ref().is_some_and(|wanted| wanted.resource == "memory") {
        finding.shows_on.insert(subject.reference());
    }
    let text = format!("{} {}: {said}", condition.kind, condition.reason);
    let fact = Fact::new(Role::Symptom, Source::Condition, condition.since, subject, text.trim_end_matches([':', ' ']));
    finding.evidence.push(fact.raw(json!({"reason": condition.reason, "message": condition.message})));
    if let Some(Wanted { part, resource, from: Some(from), container, .. }) = &wanted {
        let part = part.trim_end_matches('s');
        let text = format!("{} still runs with a {resource} {part} of {}", container.name, from.as_str());
        finding.evidence.push(Fact::new(Role::Symptom, Source::Status, None, subject, text));
    }
    finding.remedies.extend(remedies(subject, workload, wanted.as_ref(), class));
    Some(finding)
}

/// The field in the pod, and whoever wrote it.
fn cause(subject: &Object, wanted: Option<&Wanted<'_>>, why: &str) -> Cause {
    let name = &subject.meta.name;
    let Some(wanted) = wanted else {
        let sentence = format!("Other resources were asked for in {name}, and {why}.");
        return Cause::plain(CauseKind::Resource, Some(&subject.reference()), sentence);
    };
    let value = |value: Option<&Quantity>| value.map(|value| json!(value.as_str()));
    let list = spot::Spot::list(wanted.kind);
    let field = format!("spec.{list}[{}].resources.{}.{}", wanted.container.name, wanted.part, wanted.resource);
    let write = LastWrite::of(subject, &field, &wanted.pointer, value(wanted.to));
    let by = write.as_ref().map(|write| format!(" {}", write.words())).unwrap_or_default();
    let what = format!("{} in {name} was set from {} to {}{by}", wanted.words(), shown(wanted.from), shown(wanted.to));
    let sentence = format!("T{}, and {why}.", what.trim_start_matches('t'));
    let mut cause = match write {
        Some(write) => write.cause(sentence),
        None => Cause::plain(CauseKind::Resource, Some(&subject.reference()), sentence).at_field(
            field,
            &wanted.pointer,
            value(wanted.to),
        ),
    };
    cause.from = value(wanted.from);
    cause
}

fn remedies(subject: &Object, workload: &Object, wanted: Option<&Wanted<'_>>, class: &str) -> Vec<Remedy> {
    let mut remedies = Vec::new();
    if let Some(Wanted { container, kind, part, resource, from: Some(from), .. }) = wanted {
        let sentence = format!(
            "Ask for what the node can give, or go back to {}: kubectl -n {} patch pod {} --subresource resize.",
            from.as_str(),
            subject.namespace(),
            subject.meta.name
        );
        let mut remedy = spot::remedy(RemedyKind::SetResources, &subject.reference(), sentence);
        let item = json!({"name": container.name, "resources": {*part: {*resource: from.as_str()}}});
        remedy.patch_type = Some("strategic".to_owned());
        remedy.patch = Some(json!({"spec": {spot::Spot::list(*kind): [item]}}));
        remedy.requires = Some(Requires { verb: "patch".to_owned(), resource: "pods/resize".to_owned() });
        remedies.push(remedy);
    }
    if class != "error" && workload.kind != Kind::Pod {
        let sentence =
            "Or set it in the template as well and evict the pod: the new one is placed where there is room.";
        let mut remedy = spot::remedy(RemedyKind::Evict, &subject.reference(), sentence);
        remedy.risk = Risk::Medium;
        remedies.push(remedy);
    }
    remedies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_force_is_compared_by_value() {
        let object = r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p"},
            "spec":{"containers":[{"name":"a","resources":{"requests":{"cpu":"1000m"}}},{"name":"b","resources":{"requests":{"cpu":"500m"}}}]},
            "status":{"containerStatuses":[{"name":"a","resources":{"requests":{"cpu":"1"}}},{"name":"b","resources":{"requests":{"cpu":"250m"}}}]}}"#;
        let object = Object::decode(object.as_bytes(), None).unwrap();
        let wanted = wanted(object.pod().unwrap()).unwrap();
        assert_eq!(
            (wanted.container.name.as_str(), wanted.pointer.as_str()),
            ("b", "/spec/containers/1/resources/requests/cpu")
        );
    }
}
