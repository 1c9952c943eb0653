//! Programs that their liveness probe kills because somebody else is down.

use super::Speaker;
use super::dependency;
use super::far_end::{self, FarEnd};
use crate::detectors::killed_by::{self, Killer};
use crate::detectors::logs::{self, testimony::Testimony};
use crate::detectors::template::Site;
use crate::{Fact, Finding, View, spot};
use reckon_model::Object;
use reckon_model::document::{RemedyKind, Role, Source};
use reckon_model::k8s::{Container, ContainerStatus, ContainerType, Pod};

/// A container that the kubelet killed for its liveness probe, and that kept saying that whoever it calls does not answer,
/// which has no ready endpoint: restarting it mends nothing.
pub(in crate::detectors) fn killed<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    kind: ContainerType,
    container: &'a Container,
    status: &'a ContainerStatus,
) -> Option<Finding> {
    container.liveness_probe.as_ref()?;
    let end = status.last_end()?;
    if killed_by::recovered(view, status)
        || killed_by::killer(view, subject, container, end) != Killer::Probe("liveness")
    {
        return None;
    }
    let previous = status.state.terminated.is_none();
    let told = logs::keeps_saying(view, subject, &container.name, previous)?;
    let (Testimony::Refused(far) | Testimony::TimedOut(far) | Testimony::UnknownHost(far)) = told.says.clone() else {
        return None;
    };
    let workload = view.workload_of(subject);
    let name = &container.name;
    let what = format!("{name} is killed by its liveness probe");
    let speaker =
        Speaker { view, subject, pod, workload, kind, container, told: Some(told), what, ended: end.finished_at };
    let (end_of, address, _) = far_end::of(&speaker, far.as_ref());
    let FarEnd::Down(down) = end_of else { return None };
    let words = address.map_or("what it calls".to_owned(), |address| address.words());
    let why = format!("which fails as {words} does not answer");
    let mut finding = dependency::is_down(&speaker, "liveness-on-dependency", &why, &down);
    finding.class = None;
    finding.severity = spot::severity(workload);
    let what = format!(
        "{name} was killed for its liveness probe, {}",
        reckon_model::text::count(status.restart_count as usize, "restart")
    );
    finding.evidence.push(Fact::new(Role::Symptom, Source::Status, end.finished_at, subject, what));
    finding.evidence.extend(speaker.said());
    let site = Site::new(workload, name);
    let sentence = format!(
        "Let the liveness probe of {name} ask for its own life only; whether others answer belongs into the readiness probe."
    );
    finding.remedies.push(site.advice(RemedyKind::Patch, sentence));
    Some(finding)
}
