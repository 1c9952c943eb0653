//! CronJobs that start no Jobs.

mod schedule;

use super::last_write::LastWrite;
use crate::catalogue::{Failure, Stage, Verified};
use crate::lease::Lease;
use crate::{Detector, Fact, Finding, Place, View, blame, describe, ownership, spot};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Risk, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Condition, CronJob, Event};
use reckon_model::object::at;
use reckon_model::{Body, Kind, Object, Timestamp, text};
use serde_json::{Value, json};

pub(crate) static DETECTOR: Detector = Detector {
    name: "cronjob",
    failures: &[Failure {
        slug: "cronjob-not-running",
        title: "A CronJob starts no Jobs",
        stage: Stage::Rollout,
        family: "cronjob",
        echo: false,
        verified: Verified::Constructed,
        page: include_str!("../pages/cronjob-not-running.md"),
    }],
    subjects: &[Kind::CronJob],
    others: &[],
    detect,
};

/// What has been suspended for a day is meant to be.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// The controller looks every ten seconds, and starts many CronJobs one after the other.
const LATE: SignedDuration = SignedDuration::from_mins(5);

/// The controller misses the start of what may be late by less than this: it looks every ten seconds.
const SHORTEST_DEADLINE: i64 = 10;

/// A CronJob without a run.
struct Case<'v, 'a> {
    view: &'v View<'a>,
    subject: &'a Object,
    cron: &'a CronJob,
}

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Body::CronJob(cron) = &subject.body else { return Vec::new() };
    if subject.meta.deleted.is_some() {
        return Vec::new();
    }
    let case = Case { view, subject, cron };
    if cron.spec.suspend { case.suspended() } else { case.overdue() }.into_iter().collect()
}

impl<'a> Case<'_, 'a> {
    fn finding(&self, class: &'static str, what: &str, cause: Cause) -> Finding {
        let title = format!("{}: the CronJob starts no Jobs, {what}", describe::object(self.subject));
        let mut finding = Finding::new("cronjob-not-running", Place::of(self.subject), title, cause);
        finding.class = Some(class);
        finding.severity = Severity::Warning;
        finding
    }

    /// A field of the CronJob as the cause: whoever wrote it within the last day, else as it stands.
    fn field(&self, field: &str, pointer: &str, value: Option<Value>, sentence: &str) -> Cause {
        let rank = |change: &reckon_model::FieldChange| (change.pointer == pointer).then_some(0);
        if let Some(blame) = blame::object_change(self.view, self.subject, None, rank) {
            let written = format!("{sentence} {field} was {}.", blame.words());
            return blame.cause(self.view, written);
        }
        let mut cause = Cause::plain(CauseKind::Resource, Some(&self.subject.reference()), sentence);
        cause.managed_by = ownership::managed_by(self.subject);
        cause.at_field(field, pointer, value)
    }

    fn patch(&self, patch: Option<Value>, sentence: impl Into<String>) -> Remedy {
        let mut remedy = spot::remedy(RemedyKind::Patch, &self.subject.reference(), sentence);
        remedy.managed_by = ownership::managed_by(self.subject);
        remedy.patch_type = patch.is_some().then(|| "merge".to_owned());
        remedy.patch = patch;
        remedy
    }

    /// Somebody suspended it lately.
    fn suspended(&self) -> Option<Finding> {
        let write = LastWrite::of(self.subject, "spec.suspend", "/spec/suspend", Some(json!(true)))?;
        let over = write.at().checked_add(WINDOW).ok()?;
        if self.view.reached(over) {
            return None;
        }
        self.view.recheck_at(over);
        let sentence = format!("spec.suspend was set {}; no Job is started until it is resumed.", write.words());
        let what = format!("it was suspended {}", write.words());
        let mut finding = self.finding("suspended", &what, write.cause(sentence));
        finding.verdict = Verdict::Confirmed;
        finding.opened = Some(write.at());
        // One that had never run is not missed yet.
        if self.cron.status.last_schedule_time.is_none() {
            finding.severity = Severity::Info;
        }
        finding.evidence.extend(self.last_run());
        finding.remedies.push(
            self.patch(Some(json!({"spec": {"suspend": false}})), "Resume it, if the reason for the pause is gone."),
        );
        Some(finding)
    }

    fn last_run(&self) -> Option<Fact> {
        let at = self.cron.status.last_schedule_time?;
        let text = format!("the last Job was due at {}", describe::time(at));
        Some(Fact::new(Role::Symptom, Source::Status, Some(at), self.subject, text))
    }

    /// Its next run should have begun.
    fn overdue(&self) -> Option<Finding> {
        let schedule = self.cron.spec.schedule.as_str();
        let pause = schedule::longest_pause(schedule);
        let created = self.subject.meta.created;
        // Whoever wrote it last may have changed the schedule, or resumed it.
        let written = self.subject.meta.managers.iter().filter(|m| m.subresource != "status").filter_map(|m| m.time);
        let base = self.cron.status.last_schedule_time.into_iter().chain(created).chain(written).max()?;
        let due = base.checked_add(pause.unwrap_or_default()).ok()?.checked_add(LATE).ok()?;
        if !self.view.reached(due) {
            self.view.recheck_at(due);
            return None;
        }
        let events = self.view.events(self.subject);
        let newest = |reasons: &[&str]| {
            events
                .iter()
                .rev()
                .find(|event| reasons.contains(&event.reason.as_str()) && event.last_seen().is_none_or(|at| at >= base))
        };
        let told = newest(&["UnknownTimeZone"])
            .map(|event| self.time_zone(event))
            .or_else(|| {
                newest(&["UnparseableSchedule", "InvalidSchedule", "UnParseableCronJobSchedule"])
                    .map(|event| self.schedule(Some(event)))
            })
            .or_else(|| newest(&["FailedCreate"]).map(|event| self.refused(event)))
            .or_else(|| self.hung(newest(&["JobAlreadyActive"])))
            .or_else(|| {
                newest(&["MissSchedule", "TooManyMissedTimes", "FailedNeedsStart"]).map(|event| self.missed(event))
            })
            .or_else(|| pause.is_none().then(|| self.schedule(None)));
        let mut finding = told.unwrap_or_else(|| self.silent(due));
        finding.opened = finding.opened.or(Some(due));
        finding.evidence.extend(self.last_run());
        Some(finding)
    }

    fn told(&self, role: Role, event: &Event) -> Fact {
        let words = text::shorten(event.message.trim(), 300);
        let text = format!("{}: {words}", event.reason);
        Fact::new(role, Source::Event, event.first_seen(), self.subject, text)
            .raw(json!({"reason": event.reason, "message": event.message, "count": event.count()}))
    }

    fn time_zone(&self, event: &Event) -> Finding {
        let whole = self.subject.whole();
        let zone = whole.as_deref().and_then(|whole| at(whole, &["spec", "timeZone"])).and_then(Value::as_str);
        let zone = zone.unwrap_or("").to_owned();
        let shown = text::shorten(&zone, 80).into_owned();
        let sentence = format!("The controller does not know the time zone {shown:?}.");
        let cause = self.field("spec.timeZone", "/spec/timeZone", Some(json!(zone)), &sentence);
        let mut finding = self.finding("time-zone", &format!("its time zone {shown:?} is not known"), cause);
        finding.verdict = Verdict::Confirmed;
        finding.opened = event.first_seen();
        finding.evidence.push(self.told(Role::Cause, event));
        finding
            .remedies
            .push(self.patch(None, "Name a zone of the tz database, such as Europe/Berlin, or leave it out."));
        finding
    }

    fn schedule(&self, event: Option<&&Event>) -> Finding {
        let schedule = self.cron.spec.schedule.as_str();
        let shown = text::shorten(schedule, 80).into_owned();
        let sentence = format!("The schedule {shown:?} cannot be understood.");
        let cause = self.field("spec.schedule", "/spec/schedule", Some(json!(schedule)), &sentence);
        let mut finding = self.finding("schedule", &format!("its schedule {shown:?} cannot be understood"), cause);
        finding.verdict = if event.is_some() { Verdict::Confirmed } else { Verdict::Likely };
        finding.opened = event.and_then(|event| event.first_seen());
        finding.evidence.extend(event.map(|event| self.told(Role::Cause, event)));
        finding
            .remedies
            .push(self.patch(None, "Write five fields: minute, hour, day of the month, month, day of the week."));
        finding
    }

    /// The API server refuses the Job.
    fn refused(&self, event: &Event) -> Finding {
        let said = event.message.trim();
        let said = said.strip_prefix("Error creating job: ").unwrap_or(said);
        let words = text::shorten(said, 160).into_owned();
        // `exceeded quota: team, requested: count/jobs.batch=1, …`
        let quota =
            said.split_once("exceeded quota: ").and_then(|(_, rest)| rest.split_once(',')).map(|(name, _)| name);
        let quota = quota.map(|name| {
            let kind = Kind::of_group("", "ResourceQuota");
            reckon_model::ResourceRef::new(kind, self.subject.meta.namespace.as_deref(), name.trim())
        });
        let what = match &quota {
            Some(quota) => format!("quota {} is used up", quota.name),
            None => format!("the API server refuses them: {words}"),
        };
        let cause = match &quota {
            Some(quota) => {
                let sentence = format!("Quota {} has no room for another Job: {words}.", quota.name);
                Cause::plain(CauseKind::Resource, Some(quota), sentence)
            }
            None => {
                let sentence = format!("The API server refuses its Jobs: {words}.");
                Cause::plain(CauseKind::Unknown, Some(&self.subject.reference()), sentence)
            }
        };
        let mut finding = self.finding("refused", &what, cause);
        finding.opened = event.first_seen();
        finding.evidence.push(self.told(Role::Cause, event));
        if let Some(quota) = &quota {
            finding.verdict = Verdict::Confirmed;
            let sentence = "Raise the quota, or delete what is left over of earlier runs (successfulJobsHistoryLimit, ttlSecondsAfterFinished).";
            finding.remedies.push(spot::remedy(RemedyKind::Patch, quota, sentence));
        }
        finding
    }

    /// A run before has not ended, and no two may run at once.
    fn hung(&self, event: Option<&&Event>) -> Option<Finding> {
        let whole = self.subject.whole();
        let policy =
            whole.as_deref().and_then(|whole| at(whole, &["spec", "concurrencyPolicy"])).and_then(Value::as_str);
        if policy != Some("Forbid") {
            return None;
        }
        let over = |job: &Object| {
            let conditions = job.workload().map_or(&[][..], |body| &body.status.conditions);
            ["Complete", "Failed"].iter().any(|kind| Condition::find(conditions, kind).is_some_and(Condition::is_true))
        };
        let job = self
            .view
            .children(&self.subject.reference())
            .filter(|job| job.kind == Kind::Job && !over(job))
            .min_by_key(|job| (job.meta.created, &job.meta.name))?;
        let name = job.meta.name.as_str();
        let began = job.workload().and_then(|body| body.status.start_time).or(job.meta.created);
        let since = began.map(|at| format!(" since {}", describe::time(at))).unwrap_or_default();
        let pod = self.view.children(&job.reference()).find(|pod| pod.pod().is_some_and(|pod| !pod.is_finished()));
        let runs = match pod {
            Some(pod) => {
                let phase = pod.pod().map_or("", |pod| pod.status.phase.as_str());
                format!("Job {name} is active, its pod {} is {phase}", pod.meta.name)
            }
            None => format!("Job {name} is active and has no pod"),
        };
        let sentence = format!(
            "Job {name} has been running{since} and {}; concurrencyPolicy Forbid starts no other beside it.",
            pod.map_or_else(|| "has no pod".to_owned(), |pod| format!("its pod {} has not ended", pod.meta.name))
        );
        let cause = Cause::plain(CauseKind::Application, Some(&job.reference()), sentence);
        let mut finding = self.finding("previous-run", &format!("Job {name} has not ended{since}"), cause);
        finding.verdict = Verdict::Confirmed;
        finding.opened = event.and_then(|event| event.first_seen());
        finding.shows_on.insert(job.reference());
        finding.shows_on.extend(pod.map(Object::reference));
        finding.evidence.push(Fact::new(Role::Cause, Source::Status, began, job, runs));
        finding.evidence.extend(event.map(|event| self.told(Role::Symptom, event)));
        let sentence = format!("If Job {name} hangs, delete it; the next run is then started.");
        let mut remedy = spot::remedy(RemedyKind::Delete, &job.reference(), sentence);
        remedy.risk = Risk::Medium;
        finding.remedies.push(remedy);
        finding.remedies.push(self.patch(
            None,
            "Let no run hang for ever: set activeDeadlineSeconds in jobTemplate.spec, or concurrencyPolicy Replace.",
        ));
        Some(finding)
    }

    /// The controller came too late for it.
    fn missed(&self, event: &Event) -> Finding {
        let whole = self.subject.whole();
        let deadline =
            whole.as_deref().and_then(|whole| at(whole, &["spec", "startingDeadlineSeconds"])).and_then(Value::as_i64);
        let (field, pointer) = ("spec.startingDeadlineSeconds", "/spec/startingDeadlineSeconds");
        let mut finding = match deadline {
            Some(seconds) => {
                let sentence = format!(
                    "A run may start {seconds} s late at most, and the controller came later: what it misses it does not start."
                );
                let cause = self.field(field, pointer, Some(json!(seconds)), &sentence);
                let mut finding = self.finding(
                    "deadline",
                    &format!("they may be {seconds} s late, and the controller was later"),
                    cause,
                );
                let short = seconds < SHORTEST_DEADLINE;
                finding.verdict = if short { Verdict::Confirmed } else { Verdict::Likely };
                let patch = short.then(|| json!({"spec": {"startingDeadlineSeconds": 200}}));
                finding
                    .remedies
                    .push(self.patch(patch, "Allow for more: a few minutes, as long as a late run is still of use."));
                finding
            }
            None => {
                let sentence = "More than a hundred runs were missed: the controller did not run for a while, or its clock is wrong.";
                let cause = Cause::plain(CauseKind::External, Some(&self.subject.reference()), sentence);
                let mut finding = self.finding("missed", "more than a hundred runs were missed", cause);
                finding.remedies.push(self.patch(
                    Some(json!({"spec": {"startingDeadlineSeconds": 200}})),
                    "Set startingDeadlineSeconds, so that only what was missed lately counts.",
                ));
                finding
            }
        };
        finding.opened = event.first_seen();
        finding.evidence.push(self.told(Role::Cause, event));
        finding
    }

    /// Nobody says why: then whether the controller runs is the question.
    fn silent(&self, due: Timestamp) -> Finding {
        let schedule = text::shorten(&self.cron.spec.schedule, 80).into_owned();
        let late = format!("By its schedule {schedule:?} a Job had to be started by {}", describe::time(due));
        let manager = self.view.object(&Lease::kind(), Some("kube-system"), "kube-controller-manager").found();
        let lease = manager.and_then(|object| Some((object, Lease::of(object)?)));
        if let Some((object, lease)) = &lease
            && self.view.reached(lease.expires())
        {
            let when = describe::time(lease.renewed);
            let sentence =
                format!("{late}; kube-controller-manager, which starts it, last renewed its lease at {when}.");
            let cause = Cause::plain(CauseKind::Resource, Some(&object.reference()), sentence);
            let mut finding = self.finding("manager-down", "kube-controller-manager has stopped", cause);
            finding.verdict = Verdict::Confirmed;
            let text = format!("lease {} was last renewed at {when} by {}", describe::object(object), lease.host);
            finding.evidence.push(Fact::new(Role::Cause, Source::Status, Some(lease.renewed), object, text));
            let sentence = "Start kube-controller-manager again; on a managed cluster its provider has to.";
            finding.remedies.push(spot::remedy(RemedyKind::Outside, &object.reference(), sentence));
            return finding;
        }
        let sentence = format!("{late}, and nothing says why there was none.");
        let cause = Cause::plain(CauseKind::Unknown, Some(&self.subject.reference()), sentence);
        let mut finding = self.finding("overdue", "one is overdue and nothing says why", cause);
        finding.verdict = Verdict::Unknown;
        if let Some((object, lease)) = lease {
            self.view.recheck_at(lease.expires());
            let text =
                format!("kube-controller-manager runs: it renewed its lease at {}", describe::time(lease.renewed));
            finding.evidence.push(Fact::new(Role::RuledOut, Source::Status, Some(lease.renewed), object, text));
        }
        finding
    }
}
