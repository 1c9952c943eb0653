//! Programs that do not end when they are asked to, and are killed at the end of their grace period.

use crate::blame;
use crate::catalogue::{Failure, Stage, Verified};
use crate::spot::{self, Spot};
use crate::{Detector, Fact, Finding, Place, View, describe, ownership};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::ContainerType;
use reckon_model::{FieldChange, Kind, Object, ResourceRef, Timestamp, text};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) static DETECTOR: Detector = Detector {
    name: "grace_period",
    failures: &[Failure {
        slug: "grace-period-exceeded",
        title: "A program does not end when it is asked to",
        stage: Stage::Strategy,
        family: "grace-period",
        echo: false,
        verified: Verified::Constructed,
        page: include_str!("../pages/grace-period-exceeded.md"),
    }],
    subjects: &[Kind::Pod],
    others: &[],
    detect,
};

/// Times are told to the second, and a kill takes one.
const ROUNDING: SignedDuration = SignedDuration::from_secs(2);

/// A pod that is still there so shortly before the end will be killed: it is gone a moment later.
const LAST: SignedDuration = SignedDuration::from_secs(3);

/// Kills of the same roll-out, or of one shortly before.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// One may be chance: a program that was in the middle of something.
const KILLS: usize = 2;

/// So many are told of.
const TOLD: usize = 3;

/// How long a program has where nothing is written.
const GRACE: i64 = 30;

/// A container that was killed when its time had run out.
struct Kill<'a> {
    pod: &'a Object,
    container: &'a str,
    at: Timestamp,
    /// What the kubelet says of it, where no status does yet.
    said: Option<&'a str>,
}

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    // Only where a pod is going: then its roll-out is under way, and those before it are still remembered.
    let (Some(pod), Some(due)) = (subject.pod(), subject.meta.deleted) else { return Vec::new() };
    if pod.status.phase == "Pending" || subject.meta.controller().is_none() {
        return Vec::new();
    }
    // Most end long before: only one whose time is running out is worth a look at the others.
    let late = due.checked_sub(LAST).unwrap_or(due);
    if !view.reached(late) {
        view.recheck_at(late);
        return Vec::new();
    }
    let workload = view.workload_of(subject);
    if !matches!(workload.kind, Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet | Kind::ReplicaSet) {
        return Vec::new();
    }
    found(view, subject, workload).into_iter().collect()
}

/// The container of a pod that was killed at the end of the pod's grace period.
fn killed(pod: &Object) -> Option<Kill<'_>> {
    // Who deletes by force asks for no grace.
    let due = pod.meta.deleted.filter(|_| pod.meta.deletion_grace.is_some_and(|grace| grace > 0))?;
    let kills = pod.pod()?.containers().filter_map(|(kind, container, status)| {
        let end = status?.state.terminated.as_ref()?;
        let at = end.finished_at?;
        let late = at.duration_since(due) >= -ROUNDING;
        let own = matches!(kind, ContainerType::App | ContainerType::Sidecar);
        (own && late && end.exit_code == 137 && end.reason != "OOMKilled").then_some((at, container.name.as_str()))
    });
    let (at, container) = kills.min()?;
    Some(Kill { pod, container, at, said: None })
}

/// The kubelet says that the runtime had not ended the pod in time, before any status of its containers does.
fn overrun<'a>(view: &View<'a>, subject: &'a Object) -> Option<Kill<'a>> {
    if killed(subject).is_some() {
        return None;
    }
    let told = view.events(subject).into_iter().rev().find(|event| event.reason == "ExceededGracePeriod")?;
    let mut containers = subject.pod()?.containers();
    let (_, container, _) = containers.find(|(kind, _, status)| {
        let runs = status.is_some_and(|status| status.state.terminated.is_none());
        matches!(kind, ContainerType::App | ContainerType::Sidecar) && runs
    })?;
    let said = Some(told.message.as_str());
    Some(Kill { pod: subject, container: &container.name, at: told.last_seen()?, said })
}

fn found<'a>(view: &View<'a>, subject: &'a Object, workload: &'a Object) -> Option<Finding> {
    let since = subject.meta.deleted?.checked_sub(WINDOW).ok()?;
    let reference = workload.reference();
    let mut owners: BTreeSet<&str> = BTreeSet::from([workload.meta.uid.as_str()]);
    owners.extend(view.children(&reference).map(|child| child.meta.uid.as_str()));
    let own = |pod: &&Object| pod.meta.controller().is_some_and(|owner| owners.contains(owner.uid.as_str()));
    let gone = view.deleted(&Kind::Pod, workload.meta.namespace.as_deref()).map(|(pod, _)| pod).filter(own);
    let going = view.pods_of(workload).items;
    let kills = gone.chain(going).filter_map(killed).chain(overrun(view, subject)).filter(|kill| kill.at >= since);
    // Each pod once; of several containers of the template the one that is killed most.
    let mut by_container: BTreeMap<&str, BTreeMap<(Timestamp, &str), Kill<'a>>> = BTreeMap::new();
    for kill in kills {
        let pods = by_container.entry(kill.container).or_default();
        pods.insert((kill.at, kill.pod.meta.name.as_str()), kill);
    }
    let (container, kills) = by_container.into_iter().rev().max_by_key(|(_, kills)| kills.len())?;
    if kills.len() < KILLS {
        return None;
    }
    let kills: Vec<Kill<'a>> = kills.into_values().collect();
    Some(finding(view, workload, container, &kills))
}

fn finding<'a>(view: &View<'a>, workload: &'a Object, container: &str, kills: &[Kill<'a>]) -> Finding {
    let name = describe::object(workload);
    let spot = Spot::of(workload);
    let written = spot.as_ref().and_then(|spot| spot.spec.termination_grace_period_seconds);
    let grace = kills.last().and_then(|kill| kill.pod.meta.deletion_grace).or(written).unwrap_or(GRACE);
    let pods = text::count(kills.len(), "pod");
    let was = if kills.len() == 1 { "was" } else { "were" };
    let title =
        format!("{name}: {container} has not ended when its grace period is over, {pods} {was} killed after {grace} s");
    let first = kills.first().map(|kill| kill.at);
    let hook = spot.as_ref().and_then(|spot| {
        let path = spot.container(container)?.key("lifecycle").key("preStop");
        let hook = spot.written(&path)?;
        Some((path, hook))
    });
    let ends = format!("{container} goes on after SIGTERM until it is killed after {grace} s");
    let newest = kills.last().map(|kill| kill.pod);
    let changed = blame::template_change(view, workload, newest, first, |field: &FieldChange| {
        let own = field.field.contains(&format!("ontainers[{container}]"));
        let has = |part: &str| field.pointer.contains(part);
        match () {
            () if has("/terminationGracePeriodSeconds") => Some(0),
            () if own && has("/lifecycle") => Some(1),
            () if own && (has("/command") || has("/args")) => Some(2),
            () => None,
        }
    });
    let fresh = first.and_then(|first| first.checked_sub(WINDOW).ok());
    let changed = changed.filter(|blame| fresh.is_none_or(|fresh| blame.change.at >= fresh));
    let (class, cause) = match (changed, &spot, &hook) {
        (Some(blame), ..) => {
            let sentence = format!("{} was {}; {ends}.", blame.field().field, blame.words());
            (None, blame.cause(view, sentence))
        }
        (None, Some(spot), Some((path, hook))) => {
            let all = sleeps(hook).filter(|seconds| *seconds >= grace);
            let sentence = match all {
                Some(seconds) => format!(
                    "The preStop hook of {container} sleeps for {seconds} s, and the grace period of {grace} s is over before: {container} has no more than two seconds to end."
                ),
                None => format!(
                    "{container} is killed after {grace} s, of which its preStop hook takes a part: the grace period begins with the hook."
                ),
            };
            (
                Some(if all.is_some() { "pre-stop-sleeps" } else { "pre-stop" }),
                spot.wrong(path, Some(hook.clone()), sentence),
            )
        }
        (None, Some(spot), None) => {
            let shell = spot.spec.container(container).is_some_and(|(_, container)| is_shell(&container.command));
            let path = spot.container(container).filter(|_| shell).map(|path| path.key("command"));
            match path {
                Some(path) => {
                    let sentence = format!(
                        "{ends}. It is started by a shell, which as the first process does not hand the signal on."
                    );
                    (Some("shell"), spot.wrong(&path, spot.written(&path), sentence))
                }
                None => {
                    let sentence = format!("{ends}: it does not heed the signal, or needs longer to end.");
                    let path = spot.path("terminationGracePeriodSeconds");
                    let cause = spot.names(CauseKind::Application, &path, Some(json!(grace)), sentence);
                    (Some("signal"), cause)
                }
            }
        }
        (None, None, _) => (Some("signal"), Cause::plain(CauseKind::Application, Some(&workload.reference()), ends)),
    };
    let mut finding =
        Finding::new("grace-period-exceeded", Place::container(workload, container, ContainerType::App), title, cause);
    finding.class = class.or(Some("changed"));
    // It is rolled out all the same, slowly, and what it was doing is cut off.
    finding.severity = Severity::Warning;
    finding.verdict = if finding.class == Some("pre-stop-sleeps") { Verdict::Confirmed } else { Verdict::Likely };
    finding.opened = first;
    for kill in kills.iter().take(TOLD) {
        let name = &kill.pod.meta.name;
        let (source, text) = match kill.said {
            Some(said) => (Source::Event, format!("{name}: {}", text::shorten(&text::clean_line(said), 200))),
            None => (
                Source::Status,
                format!("{container} of {name} ended with exit code 137 when its grace period was over"),
            ),
        };
        finding.evidence.push(Fact::new(Role::Symptom, source, Some(kill.at), kill.pod, text));
    }
    let about: ResourceRef = workload.reference();
    let sentence = match finding.class {
        Some("shell") => "Start the program itself, or by `exec` as the last word of the shell, so that it gets the signal.".to_owned(),
        Some("pre-stop" | "pre-stop-sleeps") => "Make the hook shorter than the grace period, or the grace period longer than hook and program need together.".to_owned(),
        _ => format!("Let {container} end on SIGTERM; if it needs longer for that, raise terminationGracePeriodSeconds (now {grace})."),
    };
    let mut remedy = spot::remedy(RemedyKind::Patch, &about, sentence);
    remedy.managed_by = ownership::managed_by(workload);
    finding.remedies.push(remedy);
    finding
}

/// How long a hook does nothing, where that is all it does (`sleep` as an action of its own from 1.29 on).
fn sleeps(hook: &Value) -> Option<i64> {
    if let Some(seconds) = hook.pointer("/sleep/seconds") {
        return seconds.as_i64();
    }
    let command: Vec<&str> = hook.pointer("/exec/command")?.as_array()?.iter().filter_map(Value::as_str).collect();
    let words: Vec<&str> = match command.as_slice() {
        [shell, flag, script] if shell.ends_with("sh") && *flag == "-c" => script.split_whitespace().collect(),
        words => words.to_vec(),
    };
    match words.as_slice() {
        [sleep, seconds] if sleep.ends_with("sleep") => seconds.trim_end_matches('s').parse().ok(),
        _ => None,
    }
}

/// Whether a command is that of a shell with a script, and does not hand over to the program.
fn is_shell(command: &[String]) -> bool {
    let [shell, flags, rest @ ..] = command else { return false };
    let name = shell.rsplit('/').next().unwrap_or(shell);
    let script = rest.first().map_or("", |script| script.trim());
    matches!(name, "sh" | "bash" | "ash" | "dash")
        && flags.starts_with('-')
        && flags.contains('c')
        && !script.split(['\n', ';', '&']).any(|part| part.trim_start().starts_with("exec "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_that_sleeps_is_told_from_one_that_works() {
        assert_eq!(sleeps(&json!({"sleep": {"seconds": 5}})), Some(5));
        assert_eq!(sleeps(&json!({"exec": {"command": ["sleep", "60"]}})), Some(60));
        assert_eq!(sleeps(&json!({"exec": {"command": ["/bin/sh", "-c", "sleep 20s"]}})), Some(20));
        assert_eq!(sleeps(&json!({"exec": {"command": ["sh", "-c", "drain && sleep 20"]}})), None);
        assert_eq!(sleeps(&json!({"httpGet": {"port": 80}})), None);
        assert_eq!(sleeps(&json!({"exec": {"command": 7}})), None);
    }

    #[test]
    fn a_shell_that_hands_over_is_none() {
        let command = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert!(is_shell(&command(&["/bin/sh", "-c", "migrate && serve"])));
        assert!(is_shell(&command(&["bash", "-ec", "serve"])));
        assert!(!is_shell(&command(&["sh", "-c", "migrate && exec serve"])));
        assert!(!is_shell(&command(&["serve", "-c", "x"])));
        assert!(!is_shell(&command(&["sh"])));
        assert!(!is_shell(&[]));
    }
}
