//! What an ordered controller will not pass by: StatefulSets whose pods wait for one of them.

use crate::catalogue::{Failure, Stage, Verified};
use crate::spot;
use crate::{Detector, Fact, Finding, Place, View, blame, describe, ownership};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Pod, Workload};
use reckon_model::object::at;
use reckon_model::{Kind, Object, Timestamp, text};

pub(crate) static DETECTOR: Detector = Detector {
    name: "stateful",
    failures: &[Failure {
        slug: "statefulset-blocked",
        title: "A StatefulSet waits for one of its pods",
        // Mostly it follows from what ails that pod.
        stage: Stage::Rollout,
        family: "rollout",
        echo: false,
        verified: Verified::Constructed,
        page: include_str!("../pages/statefulset-blocked.md"),
    }],
    subjects: &[Kind::StatefulSet],
    others: &[],
    detect,
};

/// A pod that is broken does not heal in this time.
const BROKEN: SignedDuration = SignedDuration::from_mins(2);

/// How long a pod that merely is not ready may take.
const SLOW: SignedDuration = SignedDuration::from_mins(10);

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(body) = subject.workload() else { return Vec::new() };
    let status = &body.status;
    let wanted = body.spec.replicas.unwrap_or(1);
    let current = subject.meta.deleted.is_none() && status.observed_generation >= subject.meta.generation;
    if !current || wanted == 0 || status.ready_replicas >= wanted || !is_ordered(subject) {
        return Vec::new();
    }
    blocked(view, subject, body, wanted).into_iter().collect()
}

/// Whether it makes and exchanges its pods one after the other.
fn is_ordered(subject: &Object) -> bool {
    let whole = subject.whole();
    let policy = whole.as_deref().and_then(|whole| at(whole, &["spec", "podManagementPolicy"]));
    policy.and_then(serde_json::Value::as_str) != Some("Parallel")
}

/// The first pod that is not ready, for which the controller waits.
fn blocked<'a>(view: &View<'a>, subject: &'a Object, body: &'a Workload, wanted: i64) -> Option<Finding> {
    let pods = view.pods_of(subject).items;
    let unready = |object: &&'a Object| {
        // One that has ended or is going is made anew without anybody's help.
        object.meta.deleted.is_none() && object.pod().is_some_and(|pod| !pod.is_ready() && !pod.is_finished())
    };
    let first = pods
        .iter()
        .copied()
        .filter(unready)
        .filter_map(|pod| Some((ordinal(pod)?, pod)))
        .min_by_key(|(ordinal, pod)| (*ordinal, &pod.meta.name));
    let (number, first) = first?;
    let pod = first.pod()?;
    let since = pod.condition("Ready").and_then(|ready| ready.since).or(first.meta.created)?;
    let due = since.checked_add(if is_broken(pod) { BROKEN } else { SLOW }).ok()?;
    if !view.reached(due) {
        view.recheck_at(due);
        return None;
    }
    if let Some(hash) = keeps_old(body, first, number) {
        return Some(stuck(view, subject, body, first, pod, hash, since));
    }
    let made: Vec<i64> = pods.iter().filter_map(|pod| ordinal(pod)).collect();
    waiting(subject, body, first, number, &made, wanted, since)
}

fn ordinal(pod: &Object) -> Option<i64> {
    pod.meta.name.rsplit_once('-')?.1.parse().ok()
}

/// Whether the pod is one that does not become ready by itself.
fn is_broken(pod: &Pod) -> bool {
    let unplaced = pod.condition("PodScheduled").is_some_and(|scheduled| !scheduled.is_true());
    unplaced
        || pod.containers().any(|(_, _, status)| {
            status.is_some_and(|status| {
                let waiting = status.state.waiting.as_ref().map_or("", |waiting| waiting.reason.as_str());
                !status.ready
                    && (status.restart_count > 0 || !matches!(waiting, "" | "ContainerCreating" | "PodInitializing"))
            })
        })
}

/// The revision that a pod keeps although another one is wanted of it.
fn keeps_old<'a>(body: &Workload, pod: &'a Object, ordinal: i64) -> Option<&'a str> {
    let rolling = matches!(body.spec.strategy.kind.as_str(), "" | "RollingUpdate");
    let held = body.spec.strategy.rolling_update.partition.is_some_and(|partition| ordinal < partition);
    let hash = pod.meta.labels.get("controller-revision-hash")?;
    let update = &body.status.update_revision;
    (rolling && !held && !update.is_empty() && hash != update).then_some(hash.as_str())
}

/// The template was put right, and the pod that is broken is not made anew from it.
fn stuck<'a>(
    view: &View<'a>,
    subject: &'a Object,
    body: &Workload,
    first: &'a Object,
    pod: &Pod,
    hash: &str,
    since: Timestamp,
) -> Finding {
    let name = describe::object(subject);
    let update = &body.status.update_revision;
    let who = first.meta.name.as_str();
    let changed = blame::template_change(view, subject, None, None, |_| Some(0));
    let since_when = changed.as_ref().map(|blame| format!(" ({} was {})", blame.field().field, blame.words()));
    let sentence = format!(
        "{who} was made from revision {hash} and is not ready. The template is now that of revision {update}{}, but the controller waits for {who} to be ready before it exchanges any pod: {who} has to be deleted by hand.",
        since_when.unwrap_or_default()
    );
    let cause = Cause::plain(CauseKind::Resource, Some(&first.reference()), sentence);
    let title =
        format!("{name}: the new template is not used, {who} is broken and keeps the one before until it is deleted");
    let mut finding = Finding::new("statefulset-blocked", Place::of(subject), title, cause);
    finding.class = Some("stuck-revision");
    // What ails the pod was put right already, and is no cause any more.
    finding.stage = Some(Stage::Strategy);
    finding.verdict = Verdict::Confirmed;
    finding.severity = if body.status.ready_replicas > 0 { Severity::Warning } else { Severity::Critical };
    finding.opened = Some(since);
    finding.shows_on.insert(first.reference());
    let text = format!("{who} carries controller-revision-hash {hash}, wanted is {update}");
    finding.evidence.push(Fact::new(Role::Cause, Source::Status, None, first, text));
    let text = format!("{who} is not ready{}", state(pod));
    finding.evidence.push(Fact::new(Role::Symptom, Source::Status, Some(since), first, text));
    let sentence = format!("Delete {who}: it is made anew from the new template, its claims stay.");
    finding.remedies.push(spot::remedy(RemedyKind::Delete, &first.reference(), sentence));
    finding
}

/// What its containers wait with, for people.
fn state(pod: &Pod) -> String {
    let waits = pod.containers().find_map(|(_, container, status)| {
        let waiting = status?.state.waiting.as_ref().filter(|waiting| !waiting.reason.is_empty())?;
        Some(format!(": {} waits with {}", container.name, text::shorten(&waiting.reason, 60)))
    });
    waits.unwrap_or_default()
}

/// Later pods are not made before this one is ready.
fn waiting(
    subject: &Object,
    body: &Workload,
    first: &Object,
    number: i64,
    made: &[i64],
    wanted: i64,
    since: Timestamp,
) -> Option<Finding> {
    let start = start(subject);
    let last = start.saturating_add(wanted);
    let missing = last.saturating_sub(number.max(start).saturating_add(1)).saturating_sub(
        i64::try_from(made.iter().filter(|other| **other > number && **other < last).count()).unwrap_or(0),
    );
    if missing <= 0 {
        return None;
    }
    let name = describe::object(subject);
    let who = first.meta.name.as_str();
    let pods = text::count(usize::try_from(missing).unwrap_or(0), "later pod");
    let are = if missing == 1 { "is" } else { "are" };
    let title = format!("{name}: {pods} {are} not made before {who} is ready");
    let sentence = format!("Its pods are made in order, and {who} is not ready: {pods} {are} not made before.");
    let mut cause = Cause::plain(CauseKind::Resource, Some(&first.reference()), sentence);
    cause.managed_by = ownership::managed_by(subject);
    let mut finding = Finding::new("statefulset-blocked", Place::of(subject), title, cause);
    finding.severity = if body.status.ready_replicas > 0 { Severity::Warning } else { Severity::Critical };
    finding.opened = Some(since);
    finding.shows_on.insert(first.reference());
    let text = format!("{who} is not ready, and {pods} {are} missing");
    finding.evidence.push(Fact::new(Role::Symptom, Source::Status, Some(since), first, text));
    Some(finding)
}

/// The number of its first pod (`spec.ordinals.start`, from 1.26 on).
fn start(subject: &Object) -> i64 {
    let whole = subject.whole();
    let start = whole.as_deref().and_then(|whole| at(whole, &["spec", "ordinals", "start"]));
    start.and_then(serde_json::Value::as_i64).unwrap_or(0)
}
