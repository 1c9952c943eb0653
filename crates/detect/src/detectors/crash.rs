//! Programs that end when they should run.

mod config;
mod full_heap;
mod hook;
mod lacks;
mod sigkill;
mod sort;

use super::killed_by::{self, Killer};
use super::logs;
use super::revision::{self, Suspect};
use super::template::Site;
use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View, describe, exit};
use jiff::SignedDuration;
pub(super) use lacks::{Testified, testified};
use reckon_model::document::{Cause, CauseKind, Death, Effect, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Condition, Container, ContainerStatus, ContainerType, Pod, Terminated};
use reckon_model::{FieldChange, Kind, LogLine, Object, ResourceRef, duration, text};
use serde_json::json;
use sort::Sort;

/// One family with the failures of probes: whether a program ended by itself or was killed is known only when the Events
/// are, and the problem stays the same one.
const fn failure(slug: &'static str, title: &'static str, verified: Verified, page: &'static str) -> Failure {
    Failure { slug, title, stage: Stage::Start, family: "crash", echo: false, verified, page }
}

pub(crate) static DETECTOR: Detector = Detector {
    name: "crash",
    failures: &[
        failure(
            "crash-after-change",
            "A container ends since its template was changed",
            Verified::Live,
            include_str!("../pages/crash-after-change.md"),
        ),
        failure(
            "crash-config-content",
            "A container ends since its configuration was changed",
            Verified::Constructed,
            include_str!("../pages/crash-config-content.md"),
        ),
        failure(
            "exits-zero-loop",
            "A program that finishes is started again and again",
            Verified::Live,
            include_str!("../pages/exits-zero-loop.md"),
        ),
        failure("init-failing", "An init container fails", Verified::Live, include_str!("../pages/init-failing.md")),
        failure(
            "command-not-found",
            "The command of a container is not in its image",
            Verified::Live,
            include_str!("../pages/command-not-found.md"),
        ),
        failure(
            "command-not-executable",
            "The command of a container may not be executed",
            Verified::Live,
            include_str!("../pages/command-not-executable.md"),
        ),
        failure(
            "exec-format-error",
            "The command of a container is not made for its node",
            Verified::Constructed,
            include_str!("../pages/exec-format-error.md"),
        ),
        failure(
            "library-missing",
            "A program lacks a shared library",
            Verified::Constructed,
            include_str!("../pages/library-missing.md"),
        ),
        failure(
            "native-crash",
            "A program is ended by a fault of its own",
            Verified::Live,
            include_str!("../pages/native-crash.md"),
        ),
        failure(
            "heap-exhausted",
            "A program's own heap is full",
            Verified::Live,
            include_str!("../pages/heap-exhausted.md"),
        ),
        failure(
            "lifecycle-hook-failed",
            "A hook of a container's lifecycle fails",
            Verified::Live,
            include_str!("../pages/lifecycle-hook-failed.md"),
        ),
        Failure {
            echo: true,
            ..failure(
                "crash-loop",
                "A container ends again and again",
                Verified::Live,
                include_str!("../pages/crash-loop.md"),
            )
        },
    ],
    subjects: &[Kind::Pod],
    others: &[],
    detect,
};

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    if let Some(due) = subject.meta.deleted {
        return hook::before_stop(view, subject, pod, due);
    }
    if pod.status.phase == "Succeeded" {
        return Vec::new();
    }
    pod.containers()
        .filter(|(kind, ..)| *kind != ContainerType::Ephemeral)
        .filter_map(|(kind, container, status)| {
            let status = status?;
            match Crash::of(view, subject, pod, kind, container, status) {
                Some(crash) => crash.finding(),
                None => half_dead(view, subject, pod, kind, container, status),
            }
        })
        .collect()
}

/// A container that ends, with everything that may explain it.
struct Weighed<'a> {
    sort: Sort,
    line: Option<&'a LogLine>,
    suspect: Option<Suspect>,
    config: config::Changed<'a>,
    lacks: Option<Finding>,
}

/// A container that ends.
struct Crash<'v, 'a> {
    view: &'v View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    workload: &'a Object,
    kind: ContainerType,
    container: &'a Container,
    status: &'a ContainerStatus,
    /// How it ended last; `None` where it was not even created.
    end: Option<&'a Terminated>,
    /// What the runtime said instead of starting it.
    not_started: Option<&'a str>,
    /// Whether nothing will start it again.
    for_good: bool,
    killer: Killer,
}

impl<'v, 'a> Crash<'v, 'a> {
    /// The container's trouble, if it is one that is not over and that nobody else caused.
    fn of(
        view: &'v View<'a>,
        subject: &'a Object,
        pod: &'a Pod,
        kind: ContainerType,
        container: &'a Container,
        status: &'a ContainerStatus,
    ) -> Option<Self> {
        let waiting = status.state.waiting.as_ref();
        let end = status.last_end();
        let not_started = match (waiting, end) {
            (Some(waiting), _) if matches!(waiting.reason.as_str(), "RunContainerError" | "CreateContainerError") => {
                Some(waiting.message.as_str())
            }
            (_, Some(end)) if matches!(end.reason.as_str(), "StartError" | "ContainerCannotRun") => {
                Some(end.message.as_str())
            }
            _ => None,
        };
        // One that could not be started runs now: it was a moment of the runtime's.
        if not_started.is_none() && end.is_none() || not_started.is_some() && status.state.running.is_some() {
            return None;
        }
        let ended_well = end.is_some_and(|end| end.exit_code == 0) && not_started.is_none();
        let restarts = match kind {
            ContainerType::Sidecar => true,
            ContainerType::Init => pod.spec.restart_policy != "Never",
            _ => pod.spec.restarts_always() || (pod.spec.restart_policy == "OnFailure" && !ended_well),
        };
        if ended_well && (kind == ContainerType::Init || !restarts) {
            return None;
        }
        let for_good = !restarts || pod.status.phase == "Failed";
        if not_started.is_none() && !for_good && !keeps_ending(view, status, end?) {
            return None;
        }
        let workload = view.workload_of(subject);
        if killed_by::superseded(view, workload, subject) {
            return None;
        }
        // The Job makes another pod in its place.
        let for_good = for_good && job(view, subject).is_none();
        let killer = end.map_or(Killer::Unknown, |end| killed_by::killer(view, subject, container, end));
        let killer = hook::sender(view, subject, container, status, end, killer);
        match killer {
            Killer::OutOfMemory | Killer::Probe(_) | Killer::Removal => return None,
            // After a restart of the node containers that were lost run again.
            Killer::Lost if status.state.running.is_some() || end?.reason == "RestartingAllContainers" => return None,
            Killer::Lost | Killer::PostStartHook | Killer::Unknown => {}
        }
        Some(Crash { view, subject, pod, workload, kind, container, status, end, not_started, for_good, killer })
    }

    /// Everything about it, for the detector of what ends, or for the one of what programs say they lack.
    fn weighed(&self) -> Option<Weighed<'a>> {
        let line = self.line();
        let lines = line.map(|line| line.text.as_str());
        let sort = Sort::of(self, lines)?;
        // A Job allows for a failure, and what ended it is told with it, unless it is known by a name of its own.
        if sort.is_plain() && matches!(self.workload.kind, Kind::Job | Kind::CronJob) && !self.job_retries() {
            return None;
        }
        let suspect = self.suspect(&sort, lines);
        let config = config::changed(self, suspect.as_ref(), line);
        let lacks = self.lacks(&sort, suspect.as_ref(), &config, line);
        Some(Weighed { sort, line, suspect, config, lacks })
    }

    fn finding(&self) -> Option<Finding> {
        let Weighed { sort, line, suspect, config, lacks } = self.weighed()?;
        // What it says it lacks is another detector's to tell.
        lacks.is_none().then(|| self.told(sort, line, suspect, config))
    }

    /// How bad it is.
    fn severity(&self, sort: &Sort) -> Severity {
        let serves = self.status.ready && self.status.state.running.is_some();
        // A Job that tries again may yet succeed.
        let mild = serves || sort.is_plain() && matches!(self.workload.kind, Kind::Job | Kind::CronJob);
        if self.is_history() {
            Severity::Info
        } else if mild {
            Severity::Warning
        } else {
            crate::spot::severity(self.workload)
        }
    }

    /// Whether it ended for good so long ago that who left the pod there knows.
    fn is_history(&self) -> bool {
        let finished = self.end.filter(|_| self.for_good).and_then(|end| end.finished_at);
        let Some(due) = finished.and_then(|at| at.checked_add(HISTORY).ok()) else { return false };
        if !self.view.reached(due) {
            self.view.recheck_at(due);
        }
        self.view.reached(due)
    }

    /// Whether a container that could not be created has been without one for longer than a runtime's moment.
    fn stays_so(&self) -> bool {
        let since = self.pod.condition("Ready").and_then(|ready| ready.since).or(self.subject.meta.created);
        let Some(due) = since.and_then(|since| since.checked_add(MOMENT).ok()) else { return true };
        if !self.view.reached(due) {
            self.view.recheck_at(due);
        }
        self.view.reached(due)
    }

    /// Whether the pod's Job has seen this more than once and has not given up.
    fn job_retries(&self) -> bool {
        let Some(job) = job(self.view, self.subject) else { return false };
        let Some(body) = job.workload() else { return false };
        let over = ["Failed", "FailureTarget", "Complete", "SuccessCriteriaMet"]
            .iter()
            .any(|kind| Condition::find(&body.status.conditions, kind).is_some_and(Condition::is_true));
        let ended = i64::from(self.status.restart_count) + i64::from(self.status.state.running.is_none());
        !over && (ended.max(body.status.failed) >= 2)
    }

    /// The line that says why, of the instance that ended.
    fn line(&self) -> Option<&'a LogLine> {
        // One that was killed for its hook, or lost, has not said why.
        if self.not_started.is_some() || matches!(self.killer, Killer::Lost | Killer::PostStartHook) {
            return None;
        }
        let previous = self.status.state.terminated.is_none();
        logs::decisive(self.view, self.subject, &self.container.name, previous)
    }

    fn suspect(&self, sort: &Sort, line: Option<&str>) -> Option<Suspect> {
        if self.killer == Killer::Lost {
            return None;
        }
        let onset = match self.end {
            Some(end) => revision::onset(self.subject, self.status, end),
            None => self.subject.meta.created,
        };
        revision::suspect(self.view, self.workload, self.subject, &self.container.name, onset, |below, change| {
            plausible(sort, below, change, line)
        })
    }

    fn told(
        &self,
        sort: Sort,
        line: Option<&'a LogLine>,
        suspect: Option<Suspect>,
        config: config::Changed<'a>,
    ) -> Finding {
        let Crash { subject, workload, container, .. } = self;
        let (workload, name) = (*workload, container.name.as_str());
        let site = Site::new(workload, name);
        let said = line.map(|line| text::shorten(line.text.trim(), 200).into_owned());
        let place = Place::container(workload, name, self.kind);
        let short = sort.short(self);
        let colon = said.as_deref().filter(|_| sort.quotes()).map(|said| format!(": {}", text::shorten(said, 80)));
        let colon = colon.unwrap_or_default();
        let whose = describe::object(workload);
        let mut finding = match (suspect, config) {
            (suspect, config::Changed { culprit: Some(culprit), .. }) => {
                let title = format!("{whose}: {short} since {} changed{colon}", culprit.name());
                let says = said.as_deref().map(|said| format!(", saying: {}", text::shorten(said, 120)));
                let follows = format!("; {name} reads it and ends since{}.", says.unwrap_or_default());
                let slug = if sort.is_plain() { "crash-config-content" } else { sort.slug };
                let mut finding = Finding::new(slug, place, title, culprit.cause(&follows));
                let newer = suspect.filter(|suspect| suspect.blame.change.at > culprit.change.at);
                finding.verdict = if newer.is_some() { Verdict::Likely } else { Verdict::Confirmed };
                finding.alternatives.extend(newer.as_ref().map(config::made_them));
                finding.evidence.extend(culprit.fact());
                finding.remedies.push(culprit.remedy());
                finding
            }
            (Some(Suspect { blame, contrast }), config) => {
                let field = blame.field().field.as_str();
                let what = field.rsplit_once(&format!("[{name}].")).map_or(field, |(_, below)| below);
                let title = format!("{whose}: {short} since {what} changed{colon}");
                let slug = if sort.is_plain() { "crash-after-change" } else { sort.slug };
                let also = match blame.change.fields.len() {
                    1 => String::new(),
                    n => format!(" {} more of its fields changed with it.", n - 1),
                };
                let sentence = format!("{field} was {}. Since then {}.{also}", blame.words(), sort.ends(self));
                let mut finding = Finding::new(slug, place, title, blame.cause(self.view, sentence));
                let named = line.is_some_and(|line| sort::concerns(&line.text, blame.field()));
                let direct = contrast.is_some() || named || sort.from_runtime;
                finding.verdict = if direct { Verdict::Confirmed } else { Verdict::Likely };
                finding.evidence.extend(contrast);
                finding.alternatives = config.alternatives;
                finding.remedies.extend(site.revert(&blame));
                hook::take_out(&mut finding.remedies, &blame, &site, name);
                finding
            }
            (None, config) => {
                let title = format!("{whose}: {short}{colon}");
                let mut finding =
                    Finding::new(sort.slug, place, title, self.as_it_stands(&sort, &site, said.as_deref()));
                finding.verdict = sort.verdict(line.is_some(), self.end.map(|end| end.exit_code));
                finding.remedies.extend(sort.advice(self).map(|(kind, sentence)| site.advice(kind, sentence)));
                finding.alternatives = config.alternatives;
                finding
            }
        };
        // How it ended is told by the evidence where the change is the story.
        finding.class = sort.class.filter(|_| finding.failure == sort.slug);
        finding.shows_on = [subject.reference()].into();
        finding.severity = self.severity(&sort);
        finding.evidence.extend(self.facts(line));
        if sort.class == Some("userspace-killer") {
            finding.evidence.extend(self.watched());
        }
        if matches!(sort.class, Some("killed" | "userspace-killer")) {
            finding
                .ruled_out
                .extend(self.spared().map(|fact| ("killed by the kernel for memory".to_owned(), vec![fact])));
        }
        finding.death = sort.death(self);
        finding.alternatives.extend(self.maybe_memory(&sort));
        finding
    }

    /// The cause where no change is known.
    fn as_it_stands(&self, sort: &Sort, site: &Site<'_>, said: Option<&str>) -> Cause {
        let reference: ResourceRef = self.workload.reference();
        let says = said.map(|said| format!(" Its log says: {said}")).unwrap_or_default();
        let ends = sort.ends(self);
        let mut sentence = format!("{ends}.{says}");
        if !sentence.ends_with(['.', '!', '?']) {
            sentence.push('.');
        }
        match sort.field(self) {
            Some((below, value)) => {
                site.blame(Cause::plain(CauseKind::Resource, Some(&reference), sentence), below, value)
            }
            None if matches!(sort.class, Some("synthetic" | "userspace-killer")) => {
                let node = ResourceRef::new(Kind::Node, None, &self.pod.spec.node_name);
                Cause::plain(CauseKind::Node, Some(&node), sentence)
            }
            None if sort.class == Some("never-started") => Cause::plain(CauseKind::Unknown, Some(&reference), sentence),
            None => Cause::plain(CauseKind::Application, Some(&reference), sentence),
        }
    }

    fn facts(&self, line: Option<&LogLine>) -> Vec<Fact> {
        let mut facts = Vec::new();
        let restarts = match self.status.restart_count {
            0 => String::new(),
            n => format!(", {}", text::count(n as usize, "restart")),
        };
        match self.end {
            Some(end) => {
                let life = match (end.started_at, end.finished_at) {
                    (Some(from), Some(to)) if self.not_started.is_none() => {
                        format!(" after {}", duration::short(duration::between(from, to)))
                    }
                    _ => String::new(),
                };
                let reason = if end.reason.is_empty() { "no reason" } else { end.reason.as_str() };
                let message = match sort::tail(&end.message) {
                    "" => String::new(),
                    message => format!(": {}", text::shorten(message, 200)),
                };
                let at = end.finished_at.or_else(|| self.pod.condition("Ready")?.since);
                let what = format!(
                    "{} ended with exit code {} ({reason}){life}{restarts}{message}",
                    self.container.name, end.exit_code
                );
                facts.push(Fact::new(Role::Symptom, Source::Status, at, self.subject, what).raw(json!({
                    "reason": end.reason, "exitCode": end.exit_code,
                    "startedAt": end.started_at, "finishedAt": end.finished_at,
                })));
            }
            None => {
                let message = text::shorten(sort::tail(self.not_started.unwrap_or_default()), 200);
                let what = format!("{} could not be started{restarts}: {message}", self.container.name);
                facts.push(Fact::new(Role::Symptom, Source::Status, self.subject.meta.created, self.subject, what));
            }
        }
        if self.killer == Killer::PostStartHook {
            facts.extend(hook::said(self.view, self.subject, self.container));
        }
        if let Some(line) = line {
            let said = text::shorten(line.text.trim(), 300).into_owned();
            facts.push(Fact::new(Role::Cause, Source::Log, line.at, self.subject, said));
        }
        facts
    }

    /// A SIGKILL without a sender may be the kernel's: the runtime loses the label in a race.
    fn maybe_memory(&self, sort: &Sort) -> Option<reckon_model::document::Alternative> {
        let limit = self.container.resources.limits.get("memory")?;
        (sort.class == Some("killed") && self.spared().is_none()).then(|| reckon_model::document::Alternative {
            reference: Some((&self.workload.reference()).into()),
            verdict: Verdict::Possible,
            sentence: format!(
                "The kernel may have killed it at its memory limit of {limit}: runtimes sometimes lose the label OOMKilled. The node's kernel log would tell."
            ),
        })
    }
}

/// A JVM of which a thread ended for want of heap, and which runs on without it.
fn half_dead<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    kind: ContainerType,
    container: &'a Container,
    status: &'a ContainerStatus,
) -> Option<Finding> {
    let line = full_heap::half_dead(view, subject, container, status)?;
    let workload = view.workload_of(subject);
    let (name, site) = (&container.name, Site::new(workload, &container.name));
    let sentence = format!(
        "A thread of {name} ended because the heap of the JVM was full, and the process runs on without it: nothing that Kubernetes sees has failed. Its log says: {}",
        text::shorten(line.text.trim(), 200)
    );
    let cause = Cause::plain(CauseKind::Application, Some(&workload.reference()), sentence);
    let flag = crate::heap::setting(container);
    let cause = match &flag {
        Some(flag) => site.blame(cause, flag.field(), Some(json!(flag.written))),
        None => cause,
    };
    let title = format!("{}: {name} runs on after its own heap was full", describe::object(workload));
    let mut finding = Finding::new("heap-exhausted", Place::container(workload, name, kind), title, cause);
    finding.class = Some("runtime-heap");
    finding.shows_on = [subject.reference()].into();
    finding.severity = Severity::Warning;
    finding.verdict = Verdict::Likely;
    finding.opened = line.at.or(pod.status.start_time);
    let said = text::shorten(line.text.trim(), 300).into_owned();
    finding.evidence.push(Fact::new(Role::Symptom, Source::Log, line.at, subject, said));
    finding.evidence.extend(
        flag.map(|flag| Fact::new(Role::Cause, Source::Spec, None, workload, format!("{} of {name}", flag.written))),
    );
    finding.death = Some(Death { effect: Some(Effect::Slow), ..Death::default() });
    let advice = full_heap::Runtime::Jvm.advice(container);
    finding.remedies.extend(advice.map(|sentence| site.advice(RemedyKind::SetResources, sentence)));
    let sentence = format!(
        "Give {name} -XX:+ExitOnOutOfMemoryError, so that it ends and is started again rather than lives on half dead."
    );
    finding.remedies.push(site.advice(RemedyKind::Patch, sentence));
    Some(finding)
}

/// The Job that made a pod.
fn job<'a>(view: &View<'a>, pod: &Object) -> Option<&'a Object> {
    let owner = pod.meta.controller().filter(|owner| owner.kind == "Job")?;
    view.look_up(&owner.reference(pod.meta.namespace.as_deref())).found()
}

/// Which changes can make a program end, and how well they fit what it says: lower first.
fn plausible(sort: &Sort, below: &str, change: &FieldChange, line: Option<&str>) -> Option<u8> {
    let part = below.split(['.', '[']).next().unwrap_or(below);
    let rank = match part {
        // A whole container that came is as good as a new image.
        "" | "image" => 2,
        "command" | "args" => 3,
        "lifecycle" if sort.slug == "lifecycle-hook-failed" => 0,
        "env" | "envFrom" => 4,
        "workingDir" | "volumeMounts" | "securityContext" => 5,
        "resources" if sort.slug == "heap-exhausted" => 0,
        "resources" | "lifecycle" => 6,
        _ => return None,
    };
    let fits = match sort.slug {
        "command-not-found" | "command-not-executable" | "exits-zero-loop" => matches!(part, "command" | "args"),
        "library-missing" | "exec-format-error" => part == "image",
        "lifecycle-hook-failed" => part == "lifecycle",
        _ => line.is_some_and(|line| sort::concerns(line, change)),
    };
    match sort.slug {
        // What cannot matter for these, cannot be blamed.
        "command-not-found" | "command-not-executable" | "exec-format-error" | "library-missing" if rank > 5 => None,
        // Where a command is given, it is the program, and the arguments are what it was to get.
        "command-not-found" | "command-not-executable" if part == "args" => Some(1),
        _ => Some(if fits { 0 } else { rank }),
    }
}

/// A pod that failed for good stays until it is deleted; after a day it is history, as a failed Job is.
const HISTORY: SignedDuration = SignedDuration::from_hours(24);

/// A runtime may be late with what it clears away.
const MOMENT: SignedDuration = SignedDuration::from_secs(60);

/// A container that runs this long and longer than the instance before has got over it.
const OUTLIVED: SignedDuration = SignedDuration::from_secs(60);

/// Whether a container ends again and again: at least twice, and it is down, or was down moments ago.
pub(super) fn keeps_ending(view: &View<'_>, status: &ContainerStatus, end: &Terminated) -> bool {
    let Some(running) = &status.state.running else { return status.restart_count >= 1 };
    if status.restart_count < 2 || killed_by::recovered(view, status) {
        return false;
    }
    let (Some(started), Some(from), Some(to)) = (running.started_at, end.started_at, end.finished_at) else {
        return !status.ready;
    };
    let enough = duration::between(from, to).saturating_mul(2).max(OUTLIVED);
    let due = started.checked_add(enough).unwrap_or(started);
    if !view.reached(due) {
        view.recheck_at(due);
        return true;
    }
    false
}

/// The meaning of an exit code as part of a sentence: ` (SIGSEGV: …)`.
fn meaning(code: i64) -> String {
    exit::meaning(code).map(|meaning| format!(" ({meaning})")).unwrap_or_default()
}
