//! Failing probes, and whether the probe or the program is wrong.

mod answer;
mod blocked;
mod listening;
mod remedy;
mod start;
mod target;
mod throttled;

use super::application;
use super::crash;
use super::killed_by::{self, Killer};
use super::logs;
use super::revision::{self, Suspect};
use super::template::Site;
use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View, describe, spot};
use answer::{Answer, Which};
use jiff::SignedDuration;
use reckon_model::document::{Alternative, Cause, CauseKind, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Condition, Container, ContainerStatus, ContainerType, Event, Pod, Probe, Terminated};
use reckon_model::{FieldChange, Kind, Object, Timestamp, text};
use serde_json::json;
use target::Wrong;
use throttled::Stopped;

/// One family with crashes: whether a program ended by itself or was killed is known only when the Events are, and the
/// problem stays the same one.
const fn failure(
    slug: &'static str,
    title: &'static str,
    stage: Stage,
    verified: Verified,
    page: &'static str,
) -> Failure {
    Failure { slug, title, stage, family: "crash", echo: false, verified, page }
}

pub(crate) static DETECTOR: Detector = Detector {
    name: "probe",
    failures: &[
        failure(
            "probe-wrong-target",
            "A probe asks where nothing answers",
            Stage::Probe,
            Verified::Live,
            include_str!("../pages/probe-wrong-target.md"),
        ),
        failure(
            "probe-kills-slow-start",
            "A probe kills a program that is still starting",
            Stage::Probe,
            Verified::Live,
            include_str!("../pages/probe-kills-slow-start.md"),
        ),
        failure(
            "probe-blocked",
            "Probes do not reach the pods",
            Stage::Probe,
            Verified::Live,
            include_str!("../pages/probe-blocked.md"),
        ),
        failure(
            "liveness-kills-busy",
            "A liveness probe kills a running program",
            Stage::Probe,
            Verified::Live,
            include_str!("../pages/liveness-kills-busy.md"),
        ),
        failure(
            "readiness-failing",
            "A program is not ready by its own account",
            Stage::Readiness,
            Verified::Live,
            include_str!("../pages/readiness-failing.md"),
        ),
        failure(
            "cpu-throttled",
            "A CPU limit makes a program answer late",
            Stage::Probe,
            Verified::Live,
            include_str!("../pages/cpu-throttled.md"),
        ),
        Failure {
            echo: true,
            ..failure(
                "not-ready",
                "A container is not ready",
                Stage::Readiness,
                Verified::Constructed,
                include_str!("../pages/not-ready.md"),
            )
        },
    ],
    subjects: &[Kind::Pod],
    others: &[],
    detect,
};

/// Even a probe that is due at once is given this long.
const GRACE: SignedDuration = SignedDuration::from_secs(60);
/// No probe gives a start more time than this by oversight.
const PATIENT: SignedDuration = SignedDuration::from_mins(5);
/// What no probe explains may still be a start.
const NOT_READY: SignedDuration = SignedDuration::from_mins(10);

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    if subject.meta.deleted.is_some() || pod.is_finished() {
        return Vec::new();
    }
    pod.containers()
        .filter(|(kind, ..)| matches!(kind, ContainerType::App | ContainerType::Sidecar))
        .filter_map(|(kind, container, status)| look(view, subject, pod, kind, container, status?))
        .collect()
}

fn look<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    kind: ContainerType,
    container: &'a Container,
    status: &'a ContainerStatus,
) -> Option<Finding> {
    let failing = |which: Which| {
        let event = answer::event(view, subject, &container.name, which);
        Some(Failing {
            view,
            subject,
            pod,
            workload: view.workload_of(subject),
            kind,
            container,
            status,
            which,
            probe: which.of(container)?,
            event,
            answer: event.map_or(Answer::Unknown, Answer::of),
        })
    };
    // The end of an instance may be gone from the status; what runs now is asked all the same.
    if let Some(end) = status.last_end()
        && !killed_by::recovered(view, status)
    {
        match killed_by::killer(view, subject, container, end) {
            Killer::Probe(which) => {
                let which = if which == "startup" { Which::Startup } else { Which::Liveness };
                // It fails for somebody else, who is down.
                if application::killed(view, subject, pod, kind, container, status).is_some() {
                    return None;
                }
                let failing = failing(which)?;
                return Some(blocked::finding(&failing, None).unwrap_or_else(|| failing.kills(end)));
            }
            // One that keeps ending by itself is not ready because of that, whatever the probe asks.
            Killer::Unknown if crash::keeps_ending(view, status, end) => return None,
            _ => {}
        }
    }
    // Nothing but a running container is asked; until the startup probe succeeded, it alone is.
    let started = status.state.running.as_ref()?.started_at?;
    if status.ready {
        let stopped = Stopped::of(view, pod, container, status)?;
        return [Which::Readiness, Which::Liveness]
            .into_iter()
            .find_map(|which| throttled::finding(&failing(which)?, &stopped, None));
    }
    if status.started == Some(false) && container.startup_probe.is_some() {
        return None;
    }
    let unready = pod.condition("Ready").filter(|ready| !ready.is_true()).and_then(|ready| ready.since);
    let patience = match &container.readiness_probe {
        Some(probe) => budget(probe).max(GRACE),
        None => NOT_READY,
    };
    // One failure between two successes is not worth a word.
    let due = [started.checked_add(patience).ok(), unready.and_then(|at| at.checked_add(GRACE / 2).ok())];
    let due = due.into_iter().flatten().max()?;
    if !view.reached(due) {
        view.recheck_at(due);
        return None;
    }
    match failing(Which::Readiness) {
        Some(failing) => failing.unready(unready, started),
        None => Some(unexplained(view, subject, kind, container, unready.unwrap_or(started))),
    }
}

/// How long a probe fails before it acts, counted from the start of the container.
pub(super) fn budget(probe: &Probe) -> SignedDuration {
    let each = probe.period().max(probe.timeout()).clamp(1, 3600);
    let all = probe.initial_delay_seconds.clamp(0, 86_400) + each * probe.threshold().clamp(1, 3600);
    SignedDuration::from_secs(all)
}

/// A container that fails a probe.
struct Failing<'v, 'a> {
    view: &'v View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    workload: &'a Object,
    kind: ContainerType,
    container: &'a Container,
    status: &'a ContainerStatus,
    which: Which,
    probe: &'a Probe,
    event: Option<&'a Event>,
    answer: Answer,
}

impl Failing<'_, '_> {
    /// The liveness or startup probe had the container killed.
    fn kills(&self, end: &Terminated) -> Finding {
        let name = &self.container.name;
        let word = self.which.word();
        let ask = target::words(self.probe);
        let early = self.early(end);
        let suspect = |slow: bool| {
            revision::suspect(
                self.view,
                self.workload,
                self.subject,
                name,
                revision::onset(self.subject, self.status, end),
                |below, _| plausible(self.which, slow, self.answer, below),
            )
        };
        let wrong = target::wrong(self).filter(|_| early);
        // A program that answers is up, whatever it says; only a startup probe may take it for a start.
        let silent = matches!(self.answer, Answer::Refused | Answer::Unknown) || self.which == Which::Startup;
        let slow = wrong.is_none() && early && silent;
        let starting = if slow { self.starting() } else { None };
        let (slug, class, why) = match &wrong {
            Some(wrong) => ("probe-wrong-target", wrong.class, format!("its {word} probe {}", wrong.words)),
            None if slow => (
                "probe-kills-slow-start",
                self.which.word(),
                format!(
                    "its {word} probe {ask} gives up after {} s, before the program is up",
                    budget(self.probe).as_secs()
                ),
            ),
            None => (
                "liveness-kills-busy",
                self.busy(),
                format!("its {word} probe {ask} fails while the program runs{}", self.because()),
            ),
        };
        let suspect = suspect(wrong.is_none());
        let again = if self.status.restart_count > 1 { " over and over" } else { "" };
        let what = format!("{name} is killed{again}");
        // That it was starting says its log, or a change that made starting slower or the probe less patient.
        let told = starting.is_some() || suspect.as_ref().is_some_and(|suspect| self.slower(suspect));
        let verdict = match &wrong {
            Some(wrong) if wrong.firm => Verdict::Confirmed,
            None if slow && told => Verdict::Confirmed,
            // Whatever is not up by then, hangs more often than it starts.
            None if slow && budget(self.probe) >= PATIENT => Verdict::Possible,
            _ => Verdict::Likely,
        };
        let mut finding = self.told(slug, class, &what, &why, wrong, suspect);
        finding.verdict = verdict;
        finding.evidence.extend(starting.map(|line| {
            let words = text::shorten(line.text.trim(), 200);
            Fact::new(Role::Cause, Source::Log, line.at, self.subject, words)
        }));
        let restarts = text::count(self.status.restart_count as usize, "restart");
        let what = format!("{name} ended with exit code {} ({}), {restarts}", end.exit_code, end.reason);
        finding
            .evidence
            .push(Fact::new(Role::Symptom, Source::Status, end.finished_at, self.subject, what).raw(json!({
            "reason": end.reason, "exitCode": end.exit_code, "startedAt": end.started_at, "finishedAt": end.finished_at,
        })));
        if end.exit_code == 137 {
            let words = format!(
                "the reason is {} and not OOMKilled, and the kubelet says that it killed {name} for its {word} probe",
                end.reason
            );
            let fact = Fact::new(Role::RuledOut, Source::Status, end.finished_at, self.subject, words);
            finding.ruled_out.push(("killed for memory".to_owned(), vec![fact]));
        }
        let up = self.status.ready && self.status.restart_count < 3;
        finding.severity = if up { Severity::Warning } else { spot::severity(self.workload) };
        if slug == "probe-kills-slow-start" && (self.which == Which::Startup || budget(self.probe) < PATIENT) {
            finding.remedies.extend(remedy::more_time(self));
        }
        if slug == "liveness-kills-busy" && self.answer == Answer::Timeout {
            let more = self.probe.timeout().saturating_mul(3).max(5);
            let change = json!({self.which.field(): {"timeoutSeconds": more}});
            let sentence = format!("Give the {word} probe of {name} {more} s to be answered.");
            finding.remedies.push(Site::new(self.workload, name).remedy(RemedyKind::Patch, change, sentence));
            if let Some(stopped) = Stopped::of(self.view, self.pod, self.container, self.status) {
                finding.verdict = Verdict::Confirmed;
                finding.evidence.push(stopped.fact(self));
                finding.remedies.extend(stopped.more(self));
            }
        }
        finding
    }

    /// Whether the change that is blamed is of the kind that makes a start too slow for its probe.
    fn slower(&self, suspect: &Suspect) -> bool {
        let field = &suspect.blame.field().field;
        suspect.contrast.is_some() || field.contains(self.which.field()) || field.contains(".resources.")
    }

    /// Whether the change that is blamed made the probe ask elsewhere than it had.
    fn moved(&self, suspect: &Suspect) -> bool {
        let FieldChange { field, from, .. } = suspect.blame.field();
        from.is_some()
            && field.contains(self.which.field())
            && [".port", ".path", ".scheme", ".command"].iter().any(|part| field.ends_with(part))
            && self.answer != Answer::Timeout
    }

    fn busy(&self) -> &'static str {
        match self.answer {
            Answer::Timeout => "timeout",
            Answer::Refused => "refused",
            Answer::Unknown => "unsaid",
            _ => "said-no",
        }
    }

    fn because(&self) -> String {
        let said = self.event.map(|event| answer::short(answer::said(event))).unwrap_or_default();
        if said.is_empty() { String::new() } else { format!(": {}", text::shorten(said, 120)) }
    }

    /// The readiness probe fails, and the container runs on.
    fn unready(&self, unready: Option<Timestamp>, started: Timestamp) -> Option<Finding> {
        let name = &self.container.name;
        let ask = target::words(self.probe);
        let since = unready.unwrap_or(started).max(started);
        // One that had been ready asks at the right place, and what made it so has been lived with.
        let was_ready = since > started.checked_add(budget(self.probe).max(GRACE)).unwrap_or(since);
        let wrong = if was_ready { None } else { target::wrong(self) };
        if wrong.is_none()
            && let Some(finding) = blocked::finding(self, was_ready.then_some(since))
        {
            return Some(finding);
        }
        if wrong.is_none()
            && let Some(stopped) = Stopped::of(self.view, self.pod, self.container, self.status)
            && let Some(finding) = throttled::finding(self, &stopped, Some(since))
        {
            return Some(finding);
        }
        let line = if wrong.is_some() { None } else { logs::decisive(self.view, self.subject, name, false) };
        // The standby of an elected leader is meant to be unready: worth knowing, as its workload counts it as missing.
        let leads = |pod: &&Object| pod.pod().is_some_and(Pod::is_ready);
        let standby = line.filter(|line| standby(&line.text));
        let standby = standby.filter(|_| self.view.pods_of(self.workload).items.iter().any(leads));
        let loopback = match (self.answer, target::asked(self)) {
            (Answer::Refused, Some(asked)) => {
                let lines = self.view.log(self.subject, name, false).unwrap_or_default();
                listening::on_loopback(lines, asked)
            }
            _ => None,
        };
        let (slug, class, why) = match (&wrong, loopback) {
            (Some(wrong), _) => ("probe-wrong-target", wrong.class, format!("its readiness probe {}", wrong.words)),
            _ if standby.is_some() => (
                "readiness-failing",
                "standby",
                "it waits for the lead that another pod has, as it is meant to".to_owned(),
            ),
            (None, Some(_)) => (
                "readiness-failing",
                "loopback",
                format!("it listens on the loopback address only, where the probe {ask} cannot come"),
            ),
            (None, None) if self.answer == Answer::Refused => {
                ("readiness-failing", "refused", format!("nothing listens where its readiness probe asks {ask}"))
            }
            (None, None) if self.answer == Answer::Unknown => {
                ("readiness-failing", "unsaid", format!("its readiness probe {ask} does not succeed"))
            }
            (None, None) => {
                ("readiness-failing", self.answer.class(), format!("its readiness probe {ask} fails{}", self.because()))
            }
        };
        let suspect = if was_ready || standby.is_some() {
            None
        } else {
            revision::suspect(self.view, self.workload, self.subject, name, Some(since), |below, _| {
                plausible(Which::Readiness, false, self.answer, below)
            })
        };
        let undeclared = match (self.answer, target::asked(self)) {
            (Answer::Refused, Some(asked)) if wrong.is_none() && !was_ready => target::undeclared(self, asked),
            _ => None,
        };
        let moved = suspect.as_ref().is_some_and(|suspect| self.moved(suspect));
        let plain = wrong.as_ref().is_none_or(|wrong| !wrong.firm) && !moved && !was_ready && standby.is_none();
        if plain && self.is_rolling_out(started) {
            return None;
        }
        let (slug, class) = if moved { ("probe-wrong-target", "moved") } else { (slug, class) };
        let known = self.answer != Answer::Unknown;
        let firm = wrong.as_ref().is_some_and(|wrong| wrong.firm);
        let alone = wrong.as_ref().is_some_and(|wrong| wrong.alone);
        let sure = firm && (known || alone) || suspect.as_ref().is_some_and(|suspect| suspect.contrast.is_some());
        let mut finding = self.told(slug, class, &format!("{name} is not ready"), &why, wrong, suspect);
        finding.verdict = match (sure, known) {
            (true, _) => Verdict::Confirmed,
            (false, true) => Verdict::Likely,
            (false, false) => Verdict::Possible,
        };
        finding.alternatives.extend(undeclared.map(|(port, line)| Alternative {
            reference: Some((&self.workload.reference()).into()),
            verdict: Verdict::Possible,
            sentence: format!(
                "The probe may ask the wrong port: the log speaks of port {port}: {}",
                text::shorten(line.text.trim(), 120)
            ),
        }));
        finding.opened = Some(since);
        finding.severity = if standby.is_some() { Severity::Info } else { spot::severity(self.workload) };
        let what = format!("{name} runs and is not ready");
        finding.evidence.push(Fact::new(Role::Symptom, Source::Status, Some(since), self.subject, what));
        if let Some(line) = loopback.or(line) {
            let words = text::shorten(line.text.trim(), 300);
            finding.evidence.push(Fact::new(Role::Symptom, Source::Log, line.at, self.subject, words));
        }
        Some(finding)
    }

    /// Whether this may be the slow start of a roll-out that hurts nobody: others serve, and its controller gives it time.
    fn is_rolling_out(&self, started: Timestamp) -> bool {
        let Some(body) = self.workload.workload().filter(|_| self.workload.kind == Kind::Deployment) else {
            return false;
        };
        let progresses = Condition::find(&body.status.conditions, "Progressing")
            .is_some_and(|condition| condition.is_true() && condition.reason != "NewReplicaSetAvailable");
        let serves = |pod: &&Object| pod.meta.deleted.is_none() && pod.pod().is_some_and(Pod::is_ready);
        if !progresses || !self.view.pods_of(self.workload).items.iter().any(serves) {
            return false;
        }
        let deadline = SignedDuration::from_secs(body.spec.progress_deadline_seconds.unwrap_or(600).clamp(0, 86_400));
        let due = started.checked_add(deadline).unwrap_or(Timestamp::MAX);
        if !self.view.reached(due) {
            self.view.recheck_at(due);
        }
        !self.view.reached(due)
    }

    /// What is common to both: the cause by change, by field or by the program, and what the kubelet said.
    fn told(
        &self,
        slug: &'static str,
        class: &'static str,
        what: &str,
        why: &str,
        wrong: Option<Wrong>,
        suspect: Option<Suspect>,
    ) -> Finding {
        let name = &self.container.name;
        let site = Site::new(self.workload, name);
        let whose = describe::object(self.workload);
        let place = Place::container(self.workload, name, self.kind);
        let reference = self.workload.reference();
        let mut finding = match suspect {
            Some(Suspect { blame, contrast }) => {
                let field = blame.field().field.as_str();
                let below = field.rsplit_once(&format!("[{name}].")).map_or(field, |(_, below)| below);
                let title = format!("{whose}: {what} since {below} changed, {why}");
                let sentence = format!("{field} was {}. Since then {what}: {why}.", blame.words());
                let mut finding = Finding::new(slug, place, title, blame.cause(self.view, sentence));
                finding.evidence.extend(contrast);
                finding.remedies = site.revert(&blame);
                finding
            }
            None => {
                let sentence = format!("{what}: {why}.");
                let cause = match (&wrong, slug) {
                    (Some(wrong), _) => {
                        let cause = Cause::plain(CauseKind::Resource, Some(&reference), sentence);
                        site.blame(cause, &wrong.below, Some(wrong.value.clone()))
                    }
                    (None, "probe-kills-slow-start") => {
                        let (part, value) = match self.which {
                            Which::Startup => ("failureThreshold", self.probe.threshold()),
                            _ => ("initialDelaySeconds", self.probe.initial_delay_seconds),
                        };
                        let cause = Cause::plain(CauseKind::Resource, Some(&reference), sentence);
                        site.blame(cause, &format!("{}.{part}", self.which.field()), Some(json!(value)))
                    }
                    (None, "liveness-kills-busy") if self.answer == Answer::Timeout => {
                        let cause = Cause::plain(CauseKind::Resource, Some(&reference), sentence);
                        let below = format!("{}.timeoutSeconds", self.which.field());
                        site.blame(cause, &below, Some(json!(self.probe.timeout())))
                    }
                    _ => Cause::plain(CauseKind::Application, Some(&reference), sentence),
                };
                let mut finding = Finding::new(slug, place, format!("{whose}: {what}, {why}"), cause);
                finding.remedies.extend(wrong.as_ref().map(|wrong| remedy::correct(&site, self, wrong)));
                finding
            }
        };
        finding.class = Some(class);
        finding.shows_on = [self.subject.reference()].into();
        finding.verdict = Verdict::Confirmed;
        finding.evidence.extend(wrong.into_iter().flat_map(|wrong| wrong.facts));
        finding.evidence.extend(self.words(Role::Cause));
        finding
    }

    /// What the kubelet says of the probe, as a fact.
    fn words(&self, role: Role) -> Option<Fact> {
        let event = self.event?;
        let words = format!("{} (×{})", text::shorten(event.message.trim(), 300), event.count());
        Some(Fact::new(role, Source::Event, event.last_seen(), self.subject, words).raw(json!(event.message)))
    }
}

/// The probe's own fields first: its times where the start is too slow for it, else what its answer speaks of. Then what
/// decides where, when and whether the program answers.
fn plausible(which: Which, timing: bool, answer: Answer, below: &str) -> Option<u8> {
    let part = below.split(['.', '[']).next().unwrap_or(below);
    match part {
        _ if part == which.field() => {
            let of_time = ["Seconds", "Threshold"].iter().any(|end| below.ends_with(end));
            let spoken_of = match answer {
                Answer::Refused | Answer::NoSuchPort => ".port",
                Answer::Status(_) => ".path",
                Answer::Scheme(_) => ".scheme",
                _ => "",
            };
            let first = if timing { of_time } else { below.ends_with(spoken_of) };
            (timing || !of_time).then_some(u8::from(!first))
        }
        "ports" => (!timing).then_some(2),
        "resources" => timing.then_some(2),
        "command" | "args" => Some(3),
        "" | "image" => Some(4),
        "env" | "envFrom" => Some(5),
        "volumeMounts" | "securityContext" => Some(6),
        _ => None,
    }
}

/// Whether a program says that another of its kind leads.
fn standby(line: &str) -> bool {
    let lower = line.to_lowercase();
    ["attempting to acquire leader lease", "waiting for leader", "standby mode", "not the leader", "entering standby"]
        .iter()
        .any(|words| lower.contains(words))
}

/// Not ready, and no probe that would say why.
fn unexplained<'a>(
    view: &View<'a>,
    subject: &'a Object,
    kind: ContainerType,
    container: &Container,
    since: Timestamp,
) -> Finding {
    let workload = view.workload_of(subject);
    let name = &container.name;
    let sentence = format!("{name} runs and is not ready, and has no readiness probe that would say why.");
    let cause = Cause::plain(CauseKind::Unknown, Some(&workload.reference()), sentence);
    let title = format!("{}: {name} is not ready", describe::object(workload));
    let mut finding = Finding::new("not-ready", Place::container(workload, name, kind), title, cause);
    finding.shows_on = [subject.reference()].into();
    finding.verdict = Verdict::Unknown;
    finding.evidence.push(Fact::new(Role::Symptom, Source::Status, Some(since), subject, "running, not ready"));
    finding
}
