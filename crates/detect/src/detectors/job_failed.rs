//! Jobs that gave up.

use super::logs;
use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View, blame, describe, exit};
use reckon_model::document::{Cause, CauseKind, Role, Source, Verdict};
use reckon_model::k8s::{Condition, ContainerStatus, Terminated, Workload};
use reckon_model::{Body, Kind, Object, text};
use serde_json::json;

pub(crate) static DETECTOR: Detector = Detector {
    name: "job_failed",
    failures: &[Failure {
        slug: "job-failed",
        title: "A Job gave up",
        stage: Stage::Rollout,
        family: "job",
        echo: false,
        verified: Verified::Live,
    }],
    subjects: &[Kind::Job],
    page: include_str!("job_failed.md"),
    detect,
};

/// The reasons of a failed Job as classes.
fn class(reason: &str) -> &'static str {
    match reason {
        "BackoffLimitExceeded" => "backoff-limit",
        "DeadlineExceeded" => "deadline",
        "PodFailurePolicy" => "pod-failure-policy",
        "MaxFailedIndexesExceeded" | "FailedIndexes" => "failed-indexes",
        _ => "other",
    }
}

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(job) = subject.workload() else { return Vec::new() };
    let failed = Condition::find(&job.status.conditions, "Failed").filter(|condition| condition.is_true());
    match failed {
        Some(condition) if !superseded(view, subject) => vec![gave_up(view, subject, job, condition)],
        _ => Vec::new(),
    }
}

/// Whether a later run of the same CronJob succeeded, or is under way: this failure is history then.
fn superseded<'a>(view: &View<'a>, job: &'a Object) -> bool {
    let owner = view.workload_of(job);
    let Body::CronJob(cron) = &owner.body else { return false };
    let newer_success = cron.status.last_successful_time.is_some_and(|at| Some(at) > job.meta.created);
    newer_success
        || view.children(&owner.reference()).any(|other| {
            other.meta.created > job.meta.created
                && other.workload().is_some_and(|other| {
                    !Condition::find(&other.status.conditions, "Failed").is_some_and(Condition::is_true)
                        && other.status.succeeded > 0
                })
        })
}

/// The container that failed in the Job's newest failed pod.
fn last_failure<'a>(view: &View<'a>, job: &'a Object) -> Option<(&'a Object, &'a ContainerStatus, &'a Terminated)> {
    view.pods_of(job)
        .items
        .into_iter()
        .filter_map(|pod| {
            let (_, _, status) = pod.pod()?.containers().find(|(_, _, status)| {
                status.and_then(ContainerStatus::last_end).is_some_and(|end| end.exit_code != 0)
            })?;
            let status = status?;
            Some((pod, status, status.last_end()?))
        })
        .max_by_key(|(pod, _, end)| (end.finished_at, &pod.meta.name))
}

fn gave_up<'a>(view: &View<'a>, subject: &'a Object, job: &Workload, condition: &Condition) -> Finding {
    let owner = view.workload_of(subject);
    let name = describe::object(subject);
    let class = class(&condition.reason);
    let last = last_failure(view, subject);
    let line = last.and_then(|(pod, status, _)| logs::decisive(view, pod, &status.name, status.restart_count > 0));
    let says = line.map(|line| format!(": {}", text::shorten(line.text.trim(), 160))).unwrap_or_default();
    let ended = last.map(|(_, status, end)| {
        let meaning = exit::meaning(end.exit_code).map(|meaning| format!(" ({meaning})")).unwrap_or_default();
        format!("{} ends with exit code {}{meaning}{says}", status.name, end.exit_code)
    });
    let blamed = blame::template_change(view, owner, None, subject.meta.created, |change| {
        [".image", ".command", ".args"]
            .iter()
            .position(|part| change.field.ends_with(part))
            .and_then(|at| u8::try_from(at).ok())
            .or_else(|| change.field.contains(".env").then_some(3))
    });
    let reference = owner.reference();
    let cause = match (class, &blamed, &ended) {
        ("deadline", _, _) => {
            let deadline = job.spec.active_deadline_seconds.unwrap_or_default();
            let prefix = if owner.kind == Kind::CronJob { "spec.jobTemplate.spec" } else { "spec" };
            let sentence = format!("The Job did not finish within its deadline of {deadline} s.");
            Cause::plain(CauseKind::Resource, Some(&reference), sentence).at_field(
                format!("{prefix}.activeDeadlineSeconds"),
                format!("/{}/activeDeadlineSeconds", prefix.replace('.', "/")),
                Some(json!(deadline)),
            )
        }
        (_, Some(blame), Some(ended)) => {
            let sentence = format!("{} was {}; since then {ended}.", blame.field().field, blame.words());
            blame.cause(view, sentence)
        }
        (_, _, Some(ended)) => {
            Cause::plain(CauseKind::Application, Some(&reference), format!("The program fails by itself: {ended}."))
        }
        _ => Cause::plain(
            CauseKind::Unknown,
            Some(&reference),
            "The Job's pods are gone, and with them the reason.".to_owned(),
        ),
    };
    let what = match class {
        "deadline" => "did not finish in time".to_owned(),
        _ => format!("gave up after {}", text::count(usize::try_from(job.status.failed).unwrap_or(0), "failed pod")),
    };
    let why = ended.map(|ended| format!(": {ended}")).unwrap_or_default();
    let mut finding = Finding::new("job-failed", Place::of(owner), format!("{name}: the Job {what}{why}"), cause);
    finding.class = Some(class);
    finding.shows_on = [subject.reference()].into();
    finding.shows_on.extend(view.pods_of(subject).items.iter().map(|pod| pod.reference()));
    finding.opened = condition.since;
    finding.verdict = match (line, class) {
        (_, "deadline") => Verdict::Confirmed,
        (Some(_), _) => Verdict::Likely,
        (None, _) => Verdict::Possible,
    };
    finding.evidence.push(Fact::new(
        Role::Symptom,
        Source::Condition,
        condition.since,
        subject,
        format!("Failed: {} {}", condition.reason, condition.message),
    ));
    if let Some((pod, _, end)) = last {
        let text = format!("terminated {}, exit {}", end.reason, end.exit_code);
        finding.evidence.push(Fact::new(Role::Symptom, Source::Status, end.finished_at, pod, text));
        if let Some(line) = line {
            finding.evidence.push(Fact::new(
                Role::Cause,
                Source::Log,
                line.at,
                pod,
                text::shorten(line.text.trim(), 400),
            ));
        }
    }
    finding
}
