//! Programs that end when they should not.

use super::killed_by::{self, Killer};
use super::logs;
use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View, blame, describe, exit, ownership};
use reckon_model::document::{
    Cause, CauseKind, Ref, Remedy, RemedyKind, Requires, Risk, Role, Severity, Source, Verdict,
};
use reckon_model::k8s::{Container, ContainerStatus, ContainerType, Pod, Terminated};
use reckon_model::{FieldChange, Kind, Object, text};
use serde_json::json;

const fn failure(slug: &'static str, title: &'static str, echo: bool, verified: Verified) -> Failure {
    Failure { slug, title, stage: Stage::Start, family: "crash", echo, verified }
}

pub(crate) static DETECTOR: Detector = Detector {
    name: "crash",
    failures: &[
        failure("crash-after-change", "A container crashes since a change", false, Verified::Live),
        failure("crash-loop", "A container crashes again and again", true, Verified::Live),
        failure("exits-zero-loop", "A container ends with 0 and is started again", false, Verified::Live),
        failure("native-crash", "A program crashes in native code", false, Verified::Constructed),
        failure("command-not-found", "The command of a container does not exist", false, Verified::Live),
        failure(
            "command-not-executable",
            "The command of a container cannot be executed",
            false,
            Verified::Constructed,
        ),
        failure("init-failing", "An init container fails", false, Verified::Constructed),
    ],
    subjects: &[Kind::Pod],
    page: include_str!("crash.md"),
    detect,
};

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    pod.containers()
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
    let never_started = status.state.waiting.as_ref().filter(|waiting| {
        matches!(waiting.reason.as_str(), "RunContainerError" | "CreateContainerError" | "StartError")
    });
    let end = status.last_end();
    let message = never_started
        .map(|waiting| waiting.message.as_str())
        .or(end.filter(|end| end.reason == "StartError").map(|end| end.message.as_str()));
    if let Some(message) = message
        && let Some((slug, what)) = start_error(message)
    {
        return Some(not_started(view, subject, (kind, container), end, slug, what, message));
    }
    let end = end?;
    let again = status.restart_count >= 1;
    let ended = status.state.running.is_none();
    if killed_by::recovered(view, status) || (!again && !ended) || subject.meta.deleted.is_some() {
        return None;
    }
    // A container that ended for good on purpose, and one that may still come up at the first retry.
    if end.exit_code == 0
        && !(pod.spec.restarts_always()
            && matches!(kind, ContainerType::App | ContainerType::Sidecar)
            && status.restart_count >= 2)
    {
        return None;
    }
    if status.restart_count < 2 && !pod.is_finished() && status.state.running.is_some() {
        return None;
    }
    // A Job retries by itself; whether it gave up is the Job's own story.
    if subject.meta.controller().is_some_and(|owner| owner.kind == "Job") && !matches!(end.exit_code, 126 | 127) {
        return None;
    }
    match killed_by::killer(view, subject, container, end) {
        Killer::OutOfMemory | Killer::Probe(_) | Killer::Removal => return None,
        Killer::Lost | Killer::Unknown => {}
    }
    Some(crashed(view, subject, pod, (kind, container), status, end))
}

/// What a runtime's message about a start says.
fn start_error(message: &str) -> Option<(&'static str, &'static str)> {
    let lower = message.to_lowercase();
    if lower.contains("permission denied") {
        return Some(("command-not-executable", "may not be executed"));
    }
    (lower.contains("executable file not found") || lower.contains("no such file or directory"))
        .then_some(("command-not-found", "does not exist in the image"))
}

/// Where the command stands: in the workload if it names one, else in the image.
fn command_field(workload: &Object, container: &Container) -> (String, String) {
    let prefix = if workload.kind == Kind::Pod { "spec" } else { "spec.template.spec" };
    let part = if container.command.is_empty() { "image" } else { "command" };
    (format!("{prefix}.containers[{}].{part}", container.name), part.to_owned())
}

/// Fields of a template that can break a program, the likeliest first.
fn plausible(container: &str) -> impl Fn(&FieldChange) -> Option<u8> + '_ {
    move |change| {
        let inside = change.field.contains(&format!("[{container}]"));
        match () {
            () if inside && (change.field.ends_with(".command") || change.field.ends_with(".args")) => Some(0),
            () if inside && change.field.ends_with(".image") => Some(1),
            () if inside && change.field.contains(".env") => Some(2),
            () if inside && (change.field.contains(".volumeMounts") || change.field.contains(".securityContext")) => {
                Some(3)
            }
            () if inside && change.field.contains(".resources") => Some(4),
            () if change.field.contains(".volumes") || change.field.contains(".securityContext") => Some(5),
            () => None,
        }
    }
}

fn not_started<'a>(
    view: &View<'a>,
    subject: &'a Object,
    (kind, container): (ContainerType, &'a Container),
    end: Option<&'a Terminated>,
    slug: &'static str,
    what: &str,
    message: &str,
) -> Finding {
    let workload = view.workload_of(subject);
    let at = end.and_then(|end| end.finished_at);
    let command =
        container.command.first().map_or("the image's own command".to_owned(), |first| format!("the command {first}"));
    let blamed = blame::template_change(view, workload, Some(subject), at, |change| {
        plausible(&container.name)(change).filter(|rank| *rank <= 1)
    });
    let sentence = format!("{} does not start: {command} {what}.", container.name);
    let cause = match blamed {
        Some(blame) => {
            let sentence = format!("{sentence} {} was {}.", blame.field().field, blame.words());
            blame.cause(view, sentence)
        }
        None => {
            let (field, part) = command_field(workload, container);
            let value = if part == "command" { json!(container.command) } else { json!(container.image) };
            let mut cause = Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence);
            cause.managed_by = ownership::managed_by(workload).map(str::to_owned);
            cause.at_field(field, pointer(workload, &container.name, &part), Some(value))
        }
    };
    let title = format!("{}: {} does not start, {command} {what}", describe::object(workload), container.name);
    let mut finding = Finding::new(slug, Place::container(workload, &container.name, kind), title, cause);
    finding.shows_on = [subject.reference()].into();
    finding.verdict = Verdict::Confirmed;
    finding.opened = at.or(subject.meta.created);
    finding.evidence.push(
        Fact::new(
            Role::Symptom,
            Source::Status,
            at,
            subject,
            format!("the runtime says: {}", text::shorten(message.trim(), 300)),
        )
        .raw(json!(message)),
    );
    finding
}

/// The pointer to a part of a container in the object that people edit, empty where it cannot be told.
pub(crate) fn pointer(workload: &Object, container: &str, part: &str) -> String {
    let base = if workload.kind == Kind::Pod { "/spec" } else { "/spec/template/spec" };
    let whole = workload.whole.as_deref();
    ["containers", "initContainers"]
        .iter()
        .find_map(|list| {
            let items = whole?.pointer(&format!("{base}/{list}"))?.as_array()?;
            let at = items
                .iter()
                .position(|item| item.get("name").and_then(serde_json::Value::as_str) == Some(container))?;
            Some(format!("{base}/{list}/{at}/{part}"))
        })
        .unwrap_or_default()
}

fn crashed<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    (kind, container): (ContainerType, &'a Container),
    status: &'a ContainerStatus,
    end: &'a Terminated,
) -> Finding {
    let workload = view.workload_of(subject);
    let name = describe::object(workload);
    let line = logs::decisive(view, subject, &container.name, status.restart_count > 0);
    let meaning = exit::meaning(end.exit_code).map(|meaning| format!(" ({meaning})")).unwrap_or_default();
    let says = line.map(|line| format!(": {}", text::shorten(line.text.trim(), 160))).unwrap_or_default();
    let blamed = blame::template_change(view, workload, Some(subject), end.finished_at, plausible(&container.name))
        .filter(|_| end.reason != "ContainerStatusUnknown");
    let (slug, class) = match (end.exit_code, kind) {
        (0, _) => ("exits-zero-loop", None),
        (127, _) => ("command-not-found", None),
        (126, _) => ("command-not-executable", None),
        _ if blamed.is_some() => ("crash-after-change", None),
        (_, ContainerType::Init) => ("init-failing", None),
        (134 | 136 | 139, _) => ("native-crash", None),
        _ if end.reason == "ContainerStatusUnknown" => ("crash-loop", Some("synthetic")),
        _ if status.restart_count == 0 => ("crash-loop", Some("failed-once")),
        _ => ("crash-loop", None),
    };
    let ends = match end.exit_code {
        _ if end.reason == "ContainerStatusUnknown" => {
            format!("{} was lost by the kubelet, which wrote exit code {} itself", container.name, end.exit_code)
        }
        0 => format!("{} ends with exit code 0 and is started again, over and over", container.name),
        code => format!("{} ends with exit code {code}{meaning}", container.name),
    };
    let cause = match (&blamed, slug) {
        (Some(blame), _) => {
            let more = text::count(blame.change.fields.len() - 1, "more field");
            let more = if blame.change.fields.len() > 1 { format!(" ({more} changed with it)") } else { String::new() };
            blame.cause(view, format!("{} was {}{more}; since then {ends}{says}.", blame.field().field, blame.words()))
        }
        (None, "exits-zero-loop") => {
            let (field, part) = command_field(workload, container);
            let value = if part == "command" { json!(container.command) } else { json!(container.image) };
            let sentence =
                format!("{ends}: its program is done, but the restart policy Always expects one that keeps running.");
            Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence).at_field(
                field,
                pointer(workload, &container.name, &part),
                Some(value),
            )
        }
        (None, "command-not-found" | "command-not-executable") => {
            let (field, part) = command_field(workload, container);
            let value = if part == "command" { json!(container.command) } else { json!(container.image) };
            Cause::plain(CauseKind::Resource, Some(&workload.reference()), format!("{ends}{says}.")).at_field(
                field,
                pointer(workload, &container.name, &part),
                Some(value),
            )
        }
        _ if class == Some("synthetic") => {
            let node = reckon_model::ResourceRef::new(Kind::Node, None, &pod.spec.node_name);
            let sentence =
                format!("The kubelet lost {} and wrote exit code 137 itself; nothing was killed.", container.name);
            Cause::plain(CauseKind::Node, Some(&node), sentence)
        }
        _ => Cause::plain(
            CauseKind::Application,
            Some(&workload.reference()),
            format!("The program fails by itself: {ends}{says}."),
        ),
    };
    let title = format!("{name}: {ends}{says}");
    let mut finding = Finding::new(slug, Place::container(workload, &container.name, kind), title, cause);
    finding.class = class;
    finding.shows_on = [subject.reference()].into();
    finding.verdict = match (&blamed, line) {
        _ if end.exit_code == 0 || class == Some("synthetic") => Verdict::Confirmed,
        // The revision before ran; this one does not: an observation and a mechanism. Which of several fields, is not proved.
        (Some(blame), _) if blame.change.fields.len() == 1 => Verdict::Confirmed,
        (Some(_), _) | (None, Some(_)) => Verdict::Likely,
        (None, None) => Verdict::Possible,
    };
    finding.severity = if status.ready { Severity::Warning } else { Severity::Critical };
    let restarts =
        if status.restart_count > 0 { format!(", restarts {}", status.restart_count) } else { String::new() };
    finding.evidence.push(
        Fact::new(Role::Symptom, Source::Status, end.finished_at, subject, format!("terminated {}, exit {}{restarts}", end.reason, end.exit_code))
            .raw(json!({"reason": end.reason, "exitCode": end.exit_code, "startedAt": end.started_at, "finishedAt": end.finished_at})),
    );
    if let Some(line) = line {
        let role = if blamed.is_some() { Role::Symptom } else { Role::Cause };
        finding.evidence.push(Fact::new(role, Source::Log, line.at, subject, text::shorten(line.text.trim(), 400)));
    }
    finding.remedies.extend(blamed.filter(|_| workload.kind == Kind::Deployment).map(|blame| Remedy {
        option: 0,
        kind: RemedyKind::RollBack,
        reference: Some(Ref::from(&workload.reference())),
        managed_by: ownership::managed_by(workload).map(str::to_owned),
        patch_type: None,
        patch: None,
        risk: Risk::Medium,
        reversible: true,
        requires: Some(Requires { verb: "patch".to_owned(), resource: workload.kind.resource() }),
        allowed: None,
        sentence: format!(
            "Roll {} back to the revision before {}.",
            workload.meta.name,
            describe::time(blame.change.at)
        ),
    }));
    finding
}
