//! Hooks of a container's lifecycle: what runs beside its start and before its end.

use crate::blame::Blame;
use crate::detectors::killed_by::{self, Killer};
use crate::detectors::template::Site;
use crate::{Fact, Finding, Place, View, describe};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Container, ContainerStatus, Event, Pod, Terminated};
use reckon_model::{Object, Timestamp, duration, text};
use serde_json::json;

/// What a runtime says of a command in a container that is not there any more: the program ended before its hook did.
const GONE: [&str; 6] = [
    "not running",
    "no running task",
    "container_exited",
    "is stopped",
    "cannot exec in a stopped",
    "container not found",
];

/// Who ended the instance, where a hook may have been the reason: the status says so before the Events do, and a hook that
/// found no program any more is not what ended it.
pub(super) fn sender(
    view: &View<'_>,
    pod: &Object,
    container: &Container,
    status: &ContainerStatus,
    end: Option<&Terminated>,
    killer: Killer,
) -> Killer {
    let told = status.state.waiting.as_ref().is_some_and(|waiting| waiting.reason == "PostStartHookError");
    if killer != Killer::PostStartHook && !(told && killer == Killer::Unknown) {
        return killer;
    }
    // The answer to a signal, or of a program that takes one for a wish to end.
    let answers = end.is_none_or(|end| matches!(end.exit_code, 0 | 130 | 137 | 143));
    let gone = event(view, pod, container, "FailedPostStartHook").is_some_and(|event| {
        let said = event.message.to_lowercase();
        GONE.iter().any(|words| said.contains(words))
    });
    if answers && !gone { Killer::PostStartHook } else { Killer::Unknown }
}

fn event<'a>(view: &View<'a>, pod: &Object, container: &Container, reason: &str) -> Option<&'a Event> {
    let events = view.events(pod).into_iter().rev();
    events.filter(|event| killed_by::names(event, &container.name)).find(|event| event.reason == reason)
}

/// What the kubelet says of the hook that failed.
pub(super) fn said(view: &View<'_>, pod: &Object, container: &Container) -> Option<Fact> {
    let event = event(view, pod, container, "FailedPostStartHook")?;
    Some(fact(event, pod))
}

/// A hook that was added has no value to go back to, and is not valid without its command: it goes as a whole.
pub(super) fn take_out(remedies: &mut [Remedy], blame: &Blame, site: &Site<'_>, name: &str) {
    let field = blame.field();
    let added = field.from.is_none() && field.field.contains(&format!("[{name}].lifecycle"));
    if let Some(first) = remedies.iter_mut().find(|remedy| added && remedy.kind == RemedyKind::Patch) {
        let sentence = format!("Take the postStart hook of {name} out again.");
        *first = site.remedy(RemedyKind::Patch, json!({"lifecycle": {"postStart": null}}), sentence);
    }
}

/// Up to 1.25 the message holds the command and what it answered.
fn fact(event: &Event, pod: &Object) -> Fact {
    let said = text::shorten(&text::clean_line(event.message.trim()), 300).into_owned();
    let text = format!("{} says {}: {said} (×{})", event.component(), event.reason, event.count());
    Fact::new(Role::Cause, Source::Event, event.last_seen(), pod, text.trim_start())
}

/// Between the end of the grace period and that of the pod are moments.
const ENDING: SignedDuration = SignedDuration::from_secs(5);

/// A pod that uses up its whole grace period because of its `preStop` hook. `due` is when that ends.
pub(super) fn before_stop<'a>(view: &View<'a>, subject: &'a Object, pod: &'a Pod, due: Timestamp) -> Vec<Finding> {
    let grace = subject.meta.deletion_grace.or(pod.spec.termination_grace_period_seconds).unwrap_or(30);
    let late = due.checked_add(ENDING).unwrap_or(due);
    if grace < 1 || pod.spec.node_name.is_empty() || pod.is_finished() {
        return Vec::new();
    }
    if !view.reached(late) {
        view.recheck_at(late);
        return Vec::new();
    }
    let asked = due.checked_sub(SignedDuration::from_secs(grace)).unwrap_or(due);
    // A hook of an earlier instance failed before anybody asked this pod to go.
    let now = |event: &&Event| event.last_seen().is_none_or(|at| at.duration_since(asked) >= -ENDING);
    let found = pod.containers().find_map(|(kind, container, _)| {
        let event = event(view, subject, container, "FailedPreStopHook").filter(now)?;
        Some((kind, container, event))
    });
    let Some((kind, container, event)) = found else { return Vec::new() };
    let workload = view.workload_of(subject);
    let name = &container.name;
    let span = duration::short(SignedDuration::from_secs(grace));
    let sentence = format!(
        "The preStop hook of {name} fails, and the pod is still there after its grace period of {span}: whatever the hook was to do before the end is not done, and the end comes by SIGKILL."
    );
    let site = Site::new(workload, name);
    let cause = Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence);
    let title = format!("{}: the preStop hook of {name} fails, and its pods end late", describe::object(workload));
    let place = Place::container(workload, name, kind);
    let mut finding = Finding::new("lifecycle-hook-failed", place, title, site.blame(cause, "lifecycle.preStop", None));
    finding.class = Some("pre-stop");
    finding.severity = Severity::Warning;
    finding.verdict = Verdict::Likely;
    finding.shows_on = [subject.reference()].into();
    finding.opened = Some(asked);
    finding.evidence.push(fact(event, subject));
    let text = format!("asked to end {span} before {}, and still there", describe::time(due));
    finding.evidence.push(
        Fact::new(Role::Symptom, Source::Status, Some(asked), subject, text)
            .raw(json!({"deletionTimestamp": due, "deletionGracePeriodSeconds": grace})),
    );
    let advice =
        format!("Correct the preStop hook of {name}, or give it less to do than the grace period of {span} allows.");
    finding.remedies.push(site.advice(RemedyKind::Patch, advice));
    vec![finding]
}
