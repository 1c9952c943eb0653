//! A Service whose target port no container declares.

use super::GRACE;
use crate::{Fact, Finding, Place, View, describe};
use reckon_model::document::{Cause, CauseKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::{IntOrString, ServiceSpec};
use reckon_model::{Object, text};
use std::collections::BTreeSet;

/// A named target port that no container of the selected pods declares. While old and new pods are side by side, those of
/// one side may well lack it.
pub(super) fn undeclared<'a>(
    view: &View<'a>,
    service: &'a Object,
    spec: &ServiceSpec,
    pods: &[&'a Object],
) -> Option<Finding> {
    let pods: Vec<&'a Object> = pods.iter().copied().filter(|pod| pod.meta.deleted.is_none()).collect();
    let youngest = pods.iter().filter_map(|pod| pod.meta.created).chain(service.meta.created).max();
    let pod = *pods.first()?;
    let declared: Vec<(&str, i64)> = pods
        .iter()
        .filter_map(|pod| pod.pod())
        .flat_map(|pod| pod.spec.all_containers())
        .flat_map(|(_, container)| &container.ports)
        .map(|port| (port.name.as_str(), port.container_port))
        .collect();
    let (index, port, wanted) = spec.ports.iter().enumerate().find_map(|(index, port)| match &port.target_port {
        Some(IntOrString::String(name)) if !declared.iter().any(|(known, _)| known == name) => {
            Some((index, port, name))
        }
        _ => None,
    })?;
    let due = youngest.and_then(|at| at.checked_add(GRACE).ok());
    if let Some(due) = due.filter(|due| !view.reached(*due)) {
        view.recheck_at(due);
        return None;
    }
    let name = describe::object(service);
    let offered: BTreeSet<String> = declared
        .iter()
        .map(|(name, number)| if name.is_empty() { number.to_string() } else { format!("{name} ({number})") })
        .collect();
    let offered: Vec<String> = offered.into_iter().collect();
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
