//! Memory that grows towards its limit, before it gets there.

use crate::detectors::killed_by;
use crate::detectors::oom_killed::readings;
use crate::detectors::template::Site;
use crate::growth::{Forecast, Life};
use crate::{Fact, Finding, Place, View, describe};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Death, DeathScope, RemedyKind, Role, Severity, Shape, Source, Verdict};
use reckon_model::k8s::{Container, ContainerStatus, ContainerType, Pod};
use reckon_model::{Object, duration, quantity};

/// What is further away is for a dashboard, not for somebody on call.
const SOON: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn finding<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    (kind, container, status): (ContainerType, &'a Container, &'a ContainerStatus),
) -> Option<Finding> {
    let running = status.state.running.as_ref()?;
    // One that was killed lately is told with that; once it has been well for long, growth is news again.
    let killed = status
        .last_end()
        .filter(|end| end.reason == "OOMKilled" || killed_by::record(view, subject, container, end).is_some());
    if killed.is_some() && !killed_by::recovered(view, status) {
        return None;
    }
    let limit = container.resources.limits.get("memory")?;
    let bytes = limit.value().and_then(|value| u64::try_from(value).ok())?;
    let uses = readings(view.kernel(&pod.spec.node_name, false), &status.container_id);
    let forecast = Life { uses, limit: bytes, started: running.started_at, killed: None }.forecast()?;
    let Forecast { from, at, to, per_hour } = forecast;
    let ahead = at.duration_since(view.now());
    if ahead > SOON {
        return None;
    }
    let workload = view.workload_of(subject);
    let name = &container.name;
    let last = uses.last()?;
    let within = |then| duration::short(duration::between(view.now(), then));
    let (rate, held) = (quantity::bytes(per_hour), quantity::bytes(last.floor));
    let sentence = format!(
        "What {name} holds after each clean-up grows by {rate} an hour and is {held} of {limit} now: if it goes on so, the kernel kills it in {} to {}.",
        within(from),
        within(to)
    );
    let site = Site::new(workload, name);
    let cause = Cause::plain(CauseKind::Application, Some(&workload.reference()), sentence);
    let title = format!(
        "{}: the memory of {name} grows and reaches its limit of {limit} in about {}",
        describe::object(workload),
        within(at)
    );
    let mut finding = Finding::new("memory-growing", Place::container(workload, name, kind), title, cause);
    finding.shows_on = [subject.reference()].into();
    finding.class = Some("growth");
    finding.severity = Severity::Warning;
    finding.verdict = Verdict::Likely;
    finding.opened = running.started_at;
    let first = uses.first()?;
    let text = format!(
        "held {} at first and {held} at last, in {} readings; pages of files do not count",
        quantity::bytes(first.floor),
        uses.len()
    );
    finding.evidence.push(Fact::new(Role::Symptom, Source::Kernel, Some(last.at), subject, text));
    finding.evidence.push(Fact::new(
        Role::Cause,
        Source::Spec,
        None,
        workload,
        format!("limits.memory {limit} of {name}"),
    ));
    if let Some(end) = killed {
        let text = format!("was killed for memory before, {} restarts so far", status.restart_count);
        finding.evidence.push(Fact::new(Role::Symptom, Source::Status, end.finished_at, subject, text));
    }
    finding.death = Some(Death {
        scope: Some(DeathScope::Container),
        usage_bytes: Some(last.peak),
        limit_bytes: Some(bytes),
        shape: Some(Shape::Growth),
        forecast: Some(at.to_string()),
        ..Death::default()
    });
    let sentence = format!("Take a heap dump or profile of {name} before it is killed, and fix what it keeps.");
    finding.remedies.push(site.advice(RemedyKind::Outside, sentence));
    Some(finding)
}
