//! Jobs that were called failed.

use super::logs;
use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View, blame, describe, exit, ownership};
use jiff::SignedDuration;
use reckon_model::document::{
    Cause, CauseKind, Ref, Remedy, RemedyKind, Requires, Risk, Role, Severity, Source, Verdict,
};
use reckon_model::k8s::{Condition, ContainerType, Terminated};
use reckon_model::{Body, FieldChange, Kind, Object, Timestamp, text};
use serde_json::json;

/// What `reckon explain` says of all of them.
const PAGE: &str = include_str!("../pages/job-failed.md");

pub(crate) static DETECTOR: Detector = Detector {
    name: "job_failed",
    failures: &[Failure {
        slug: "job-failed",
        title: "A Job failed for good",
        // A failing pod's own failure comes first on the way; the Job's end follows from it.
        stage: Stage::Rollout,
        family: "job",
        echo: false,
        verified: Verified::Live,
        page: PAGE,
    }],
    subjects: &[Kind::Job],
    others: &[],
    detect,
};

/// A failed Job that nobody runs again stays in the cluster until it is deleted; after a day it is history.
const HISTORY: SignedDuration = SignedDuration::from_hours(24);

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(job) = subject.workload() else { return Vec::new() };
    let conditions = &job.status.conditions;
    let failed = Condition::find(conditions, "Failed")
        .filter(|condition| condition.is_true())
        // From 1.31 the controller says so before the last pods are gone.
        .or_else(|| Condition::find(conditions, "FailureTarget").filter(|condition| condition.is_true()));
    let Some(failed) = failed else { return Vec::new() };
    if subject.meta.deleted.is_some() {
        return Vec::new();
    }
    let owner = view.workload_of(subject);
    if superseded(view, subject, owner, failed.since) {
        return Vec::new();
    }
    vec![finding(view, subject, owner, failed)]
}

/// Whether a later run of the same CronJob tells better: it succeeded, or it failed and speaks for itself.
fn superseded<'a>(view: &View<'a>, job: &'a Object, owner: &'a Object, failed: Option<Timestamp>) -> bool {
    if let Body::CronJob(cron) = &owner.body
        && let (Some(succeeded), Some(failed)) = (cron.status.last_successful_time, failed)
        && succeeded > failed
    {
        return true;
    }
    if owner.reference() == job.reference() {
        return false;
    }
    view.children(&owner.reference())
        .filter(|other| other.meta.created > job.meta.created && other.reference() != job.reference())
        .filter_map(|other| other.workload())
        .any(|other| {
            let is = |kind| Condition::find(&other.status.conditions, kind).is_some_and(Condition::is_true);
            is("Complete") || is("Failed")
        })
}

fn finding<'a>(view: &View<'a>, subject: &'a Object, owner: &'a Object, failed: &'a Condition) -> Finding {
    let name = describe::object(owner);
    let last = last_pod(view, subject);
    let (class, how) = match failed.reason.as_str() {
        "BackoffLimitExceeded" => ("backoff-limit", "its pods failed as often as backoffLimit allows"),
        "DeadlineExceeded" => ("deadline", "it did not end within activeDeadlineSeconds"),
        "PodFailurePolicy" => ("pod-failure-policy", "its podFailurePolicy ends it on this failure"),
        "MaxFailedIndexesExceeded" => ("failed-indexes", "more of its indexes failed than maxFailedIndexes allows"),
        "FailedIndexes" => ("failed-indexes", "some of its indexes failed"),
        _ => ("other", "its controller called it failed"),
    };
    let (cause, ended, title) = match (class, &last) {
        ("deadline", _) => deadline(view, subject, owner, failed),
        (_, Some(last)) => {
            let cause = program(view, owner, last, how);
            let line = last.line.map(|line| format!(": {}", shown(&line.text))).unwrap_or_default();
            let title =
                format!("{name}: the Job failed, {} ended with exit code {}{line}", last.container, last.end.exit_code);
            (cause, Verdict::Confirmed, title)
        }
        (_, None) => {
            let left = match view.pods_of(subject).complete {
                true => "none of the failed pods is left to say why",
                false => "its pods could not be read",
            };
            let sentence = format!("{}; {left}.", capital(how));
            let cause = Cause::plain(CauseKind::Application, Some(&owner.reference()), sentence);
            (cause, Verdict::Likely, format!("{name}: the Job failed, {how}"))
        }
    };
    let place = match &last {
        Some(last) if class != "deadline" => Place::container(owner, &last.container, last.kind),
        _ => Place::of(owner),
    };
    let mut finding = Finding::new("job-failed", place, title, cause);
    finding.class = Some(class);
    finding.verdict = ended;
    finding.opened = failed.since;
    finding.shows_on.insert(subject.reference());
    let unsuccessful = |pod: &&Object| pod.pod().is_some_and(|pod| pod.status.phase != "Succeeded");
    finding.shows_on.extend(view.pods_of(subject).items.into_iter().filter(unsuccessful).map(Object::reference));
    let old = failed.since.and_then(|at| at.checked_add(HISTORY).ok());
    finding.severity = match owner.kind {
        Kind::CronJob => Severity::Warning,
        _ if old.is_some_and(|old| view.reached(old)) => Severity::Info,
        _ => Severity::Critical,
    };
    if let Some(old) = old {
        view.recheck_at(old);
    }
    let said = format!("{}: {}", failed.reason, failed.message.trim());
    finding.evidence.push(
        Fact::new(Role::Symptom, Source::Condition, failed.since, subject, said)
            .raw(json!({"type": failed.kind, "reason": failed.reason, "message": failed.message})),
    );
    if let Some(last) = &last {
        let end = last.end;
        let meaning = exit::meaning(end.exit_code).map(|meaning| format!(" ({meaning})")).unwrap_or_default();
        let message = match end.message.trim() {
            "" => String::new(),
            message => format!(": {}", shown(message)),
        };
        let text =
            format!("{} ended {} with exit code {}{meaning}{message}", last.container, end.reason, end.exit_code);
        finding.evidence.push(Fact::new(Role::Symptom, Source::Status, end.finished_at, last.pod, text));
        if let Some(line) = last.line {
            finding.evidence.push(Fact::new(Role::Cause, Source::Log, line.at, last.pod, shown(&line.text)));
        }
    }
    finding.remedies.extend(remedies(owner, &finding.cause));
    finding
}

/// The Job's pod that failed last, and what its container left.
struct Last<'a> {
    pod: &'a Object,
    container: String,
    kind: ContainerType,
    end: &'a Terminated,
    line: Option<&'a reckon_model::LogLine>,
}

fn last_pod<'a>(view: &View<'a>, job: &'a Object) -> Option<Last<'a>> {
    let ends = view.pods_of(job).items.into_iter().filter_map(|pod| {
        let failed = pod.pod()?.containers().filter_map(|(kind, container, status)| {
            let status = status?;
            let end = status.last_end().filter(|end| end.exit_code != 0)?;
            Some((end.finished_at, pod, container, kind, end, status.state.terminated.is_none()))
        });
        // A sidecar is killed when the program has ended, and not the other way round; of several programs the first to
        // fail took the others with it.
        failed
            .min_by_key(|(at, _, container, kind, ..)| (*kind == ContainerType::Sidecar, *at, container.name.as_str()))
    });
    let (_, pod, container, kind, end, restarted) = ends.max_by_key(|(at, pod, ..)| (*at, &pod.meta.name))?;
    let line = logs::decisive(view, pod, &container.name, restarted);
    Some(Last { pod, container: container.name.clone(), kind, end, line })
}

/// The program failed: because the Job's definition was changed since it last succeeded, or for its own reasons.
fn program<'a>(view: &View<'a>, owner: &'a Object, last: &Last<'a>, how: &str) -> Cause {
    let worked = match &owner.body {
        Body::CronJob(cron) => cron.status.last_successful_time,
        _ => None,
    };
    let changed = worked.and_then(|worked| {
        let blame = blame::template_change(view, owner, None, last.pod.meta.created, runs)?;
        (blame.change.at > worked).then_some(blame)
    });
    let said = last.line.map(|line| format!(": {}", shown(&line.text))).unwrap_or_default();
    if let Some(blame) = changed {
        let sentence = format!(
            "{} was {}; runs before it succeeded, the next ended with exit code {}{said}.",
            blame.field().field,
            blame.words(),
            last.end.exit_code
        );
        return blame.cause(view, sentence);
    }
    let sentence = format!("{} itself failed with exit code {}{said}; {how}.", last.container, last.end.exit_code);
    Cause::plain(CauseKind::Application, Some(&owner.reference()), sentence)
}

/// Fields that can make a program fail.
fn runs(field: &FieldChange) -> Option<u8> {
    let has = |part: &str| field.pointer.contains(part);
    match () {
        () if has("/image") => Some(0),
        () if has("/command") || has("/args") => Some(1),
        () if has("/env") || has("/volumes") || has("/volumeMounts") => Some(2),
        () if has("/resources") || has("/securityContext") || has("/serviceAccountName") => Some(3),
        () => None,
    }
}

/// It ran too long: the deadline is too short for the work, or the work hangs.
fn deadline<'a>(
    view: &View<'a>,
    subject: &'a Object,
    owner: &'a Object,
    failed: &Condition,
) -> (Cause, Verdict, String) {
    let name = describe::object(owner);
    let limit = subject.workload().and_then(|job| job.spec.active_deadline_seconds);
    let seconds = limit.map(|limit| format!("{limit} s")).unwrap_or_else(|| "the allowed time".to_owned());
    let title = format!("{name}: the Job was ended because it took longer than {seconds}");
    let names = |field: &FieldChange| field.pointer.ends_with("/activeDeadlineSeconds").then_some(0);
    if let Some(blame) = blame::object_change(view, owner, failed.since, names) {
        let sentence = format!("activeDeadlineSeconds was {}; the Job did not end within it.", blame.words());
        return (blame.cause(view, sentence), Verdict::Confirmed, title);
    }
    let sentence =
        format!("The Job may take {seconds} and did not end within it: either the work hangs, or it needs longer.");
    let mut cause = Cause::plain(CauseKind::Resource, Some(&owner.reference()), sentence);
    cause.managed_by = ownership::managed_by(owner);
    let (field, pointer) = match owner.kind {
        Kind::CronJob => {
            ("spec.jobTemplate.spec.activeDeadlineSeconds", "/spec/jobTemplate/spec/activeDeadlineSeconds")
        }
        _ => ("spec.activeDeadlineSeconds", "/spec/activeDeadlineSeconds"),
    };
    (cause.at_field(field, pointer, limit.map(Into::into)), Verdict::Likely, title)
}

fn remedies(owner: &Object, cause: &Cause) -> Vec<Remedy> {
    let (kind, sentence, requires) = match owner.kind {
        Kind::CronJob if cause.kind == CauseKind::Change => (
            RemedyKind::RollBack,
            "Put the changed field back, or let the next scheduled run go with a corrected one.".to_owned(),
            Requires { verb: "patch".to_owned(), resource: owner.kind.resource() },
        ),
        Kind::CronJob => (
            RemedyKind::Restart,
            format!(
                "After the fix, run it at once instead of waiting for the schedule: kubectl -n {} create job {}-again --from=cronjob/{}",
                owner.namespace(),
                owner.meta.name,
                owner.meta.name
            ),
            Requires { verb: "create".to_owned(), resource: Kind::Job.resource() },
        ),
        _ => (
            RemedyKind::Restart,
            "A failed Job does not run again: after the fix, delete it and create it anew.".to_owned(),
            Requires { verb: "create".to_owned(), resource: Kind::Job.resource() },
        ),
    };
    vec![Remedy {
        option: 0,
        kind,
        reference: Some(Ref::from(&owner.reference())),
        managed_by: ownership::managed_by(owner),
        patch_type: None,
        patch: None,
        risk: Risk::Low,
        reversible: true,
        requires: Some(requires),
        allowed: None,
        sentence,
    }]
}

fn shown(line: &str) -> String {
    text::shorten(line.trim(), 160).into_owned()
}

fn capital(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
