//! Failing probes, and whether the probe or the program is wrong.

use super::killed_by::{self, Killer};
use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View, blame, describe, ownership};
use jiff::SignedDuration;
use reckon_model::document::{
    Cause, CauseKind, Ref, Remedy, RemedyKind, Requires, Risk, Role, Severity, Source, Verdict,
};
use reckon_model::k8s::{Container, ContainerStatus, ContainerType, Event, IntOrString, Pod, Probe};
use reckon_model::{FieldChange, Kind, Object, Timestamp, text};
use serde_json::json;

const fn failure(slug: &'static str, title: &'static str, stage: Stage, echo: bool, verified: Verified) -> Failure {
    Failure { slug, title, stage, family: "probe", echo, verified }
}

pub(crate) static DETECTOR: Detector = Detector {
    name: "probe",
    failures: &[
        failure("probe-wrong-target", "A probe asks where nothing answers", Stage::Probe, false, Verified::Live),
        failure(
            "probe-kills-slow-start",
            "A probe kills a program that is still starting",
            Stage::Probe,
            false,
            Verified::Live,
        ),
        failure("liveness-kills-busy", "A liveness probe kills a running program", Stage::Probe, false, Verified::Live),
        failure("readiness-failing", "A program says that it is not ready", Stage::Readiness, false, Verified::Live),
        failure("not-ready", "A pod is not ready", Stage::Readiness, true, Verified::Constructed),
    ],
    subjects: &[Kind::Pod],
    page: include_str!("probe.md"),
    detect,
};

/// What no probe explains may still be a start: a pod that is not ready for this long is worth a word.
const NOT_READY: SignedDuration = SignedDuration::from_mins(10);

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    if subject.meta.deleted.is_some() || pod.is_finished() || pod.spec.node_name.is_empty() {
        return Vec::new();
    }
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
    if status.restart_count > 0
        && !killed_by::recovered(view, status)
        && let Some(end) = status.last_end()
        && let Killer::Probe(which) = killed_by::killer(view, subject, container, end)
    {
        let probe = if which == "startup" { &container.startup_probe } else { &container.liveness_probe };
        return Some(kills(view, subject, (kind, container, status), which, probe.as_ref()?));
    }
    let running = status.state.running.as_ref()?;
    let probe = container.readiness_probe.as_ref();
    if status.ready || (status.started == Some(false) && container.startup_probe.is_some()) {
        return None;
    }
    let since = running.started_at?;
    match probe {
        Some(probe) => {
            let grace = probe.initial_delay_seconds + probe.period() * probe.threshold() + 30;
            let due = since.checked_add(SignedDuration::from_secs(grace.clamp(0, 3600))).ok()?;
            let newest = pod.condition("Ready").and_then(|ready| ready.since).max(Some(since))?;
            if due > view.now() {
                view.recheck_at(due);
                return None;
            }
            Some(unready(view, subject, (kind, container), probe, newest))
        }
        None => {
            let due = since.checked_add(NOT_READY).ok()?;
            if due > view.now() {
                view.recheck_at(due);
                return None;
            }
            let workload = view.workload_of(subject);
            let sentence =
                format!("{} runs and is not ready, and has no readiness probe that would say why.", container.name);
            let cause = Cause::plain(CauseKind::Unknown, Some(&workload.reference()), sentence);
            let title = format!("{}: {} is not ready", describe::object(workload), container.name);
            let mut finding =
                Finding::new("not-ready", Place::container(workload, &container.name, kind), title, cause);
            finding.shows_on = [subject.reference()].into();
            finding.verdict = Verdict::Unknown;
            finding.evidence.push(Fact::new(Role::Symptom, Source::Status, Some(since), subject, "running, not ready"));
            Some(finding)
        }
    }
}

/// What the newest failures of a kind of probe say.
fn said<'a>(view: &View<'a>, pod: &'a Object, container: &Container, which: &str) -> Option<&'a Event> {
    let lead = format!("{which} probe");
    view.events(pod).into_iter().rev().find(|event| {
        event.reason == "Unhealthy"
            && event.container().is_none_or(|name| name == container.name)
            && event.message.to_lowercase().starts_with(&lead)
    })
}

/// Whether what a probe met is a wrong target: nothing listens, or nothing is served at the path.
fn wrong_target(message: &str) -> Option<&'static str> {
    let lower = message.to_lowercase();
    match () {
        () if lower.contains("connection refused") => Some("nothing listens on the port it asks"),
        () if lower.contains("statuscode: 404") => Some("nothing is served at the path it asks"),
        () if lower.contains("server gave http response to https client") => {
            Some("it asks over HTTPS where HTTP is spoken")
        }
        () if lower.contains("malformed http response") => Some("it asks over HTTP where something else is spoken"),
        () => None,
    }
}

/// What the program answered, without the lead.
fn answer(message: &str) -> &str {
    message.split_once(": ").map_or(message, |(_, answer)| answer).trim()
}

/// Where the container says it listens, other than where the probe asks.
fn declared_elsewhere(container: &Container, probe: &Probe) -> Option<i64> {
    let asked = match probe.port()? {
        IntOrString::Int(number) => number,
        IntOrString::String(name) => container.ports.iter().find(|port| port.name == name)?.container_port,
    };
    let declared: Vec<i64> = container.ports.iter().map(|port| port.container_port).collect();
    (!declared.is_empty() && !declared.contains(&asked)).then(|| declared[0])
}

/// The probe's fields first, then what decides how the program answers.
fn plausible<'c>(container: &'c str, probe: &'c str) -> impl Fn(&FieldChange) -> Option<u8> + 'c {
    move |change| {
        let inside = change.field.contains(&format!("[{container}]"));
        match () {
            () if inside && change.field.contains(probe) => Some(0),
            () if inside && change.field.contains(".ports") => Some(1),
            () if inside && (change.field.contains(".command") || change.field.contains(".args")) => Some(2),
            () if inside && change.field.ends_with(".image") => Some(3),
            () if inside && (change.field.contains(".env") || change.field.contains(".resources")) => Some(4),
            () => None,
        }
    }
}

fn target(probe: &Probe) -> String {
    let port = probe.port().map(|port| format!(" port {port}")).unwrap_or_default();
    match (&probe.http_get, &probe.exec) {
        (Some(http), _) => format!("{}{port}", if http.path.is_empty() { "/" } else { &http.path }),
        (None, Some(exec)) => format!("command {}", text::shorten(&exec.command.join(" "), 60)),
        (None, None) => port.trim().to_owned(),
    }
}

/// The field of a probe that says where it asks.
fn target_field(
    workload: &Object,
    container: &str,
    name: &str,
    probe: &Probe,
    why: &str,
) -> (String, String, serde_json::Value) {
    let prefix = if workload.kind == Kind::Pod { "spec" } else { "spec.template.spec" };
    let (part, value) = match (&probe.http_get, &probe.tcp_socket, &probe.grpc) {
        (Some(http), _, _) if why.contains("path") => ("httpGet/path", json!(http.path)),
        (Some(_), _, _) if why.contains("HTTPS") => ("httpGet/scheme", json!("HTTPS")),
        (Some(_), _, _) => ("httpGet/port", port_value(probe)),
        (None, Some(_), _) => ("tcpSocket/port", port_value(probe)),
        (None, None, Some(_)) => ("grpc/port", port_value(probe)),
        (None, None, None) => ("exec/command", json!(probe.exec.as_ref().map(|exec| &exec.command))),
    };
    let pointer = pointer(workload, container, &format!("{name}/{part}"));
    (format!("{prefix}.containers[{container}].{name}.{}", part.replace('/', ".")), pointer, value)
}

fn port_value(probe: &Probe) -> serde_json::Value {
    match probe.port() {
        Some(IntOrString::Int(number)) => json!(number),
        Some(IntOrString::String(name)) => json!(name),
        None => serde_json::Value::Null,
    }
}

/// The liveness or startup probe had the container killed.
fn kills<'a>(
    view: &View<'a>,
    subject: &'a Object,
    (kind, container, status): (ContainerType, &'a Container, &'a ContainerStatus),
    which: &'static str,
    probe: &'a Probe,
) -> Finding {
    let workload = view.workload_of(subject);
    let event = said(view, subject, container, which);
    let met = event.map_or("it fails", |event| answer(&event.message));
    let end = status.last_end();
    // A container that dies at about the same age each time, before it was ever ready, was not given time to start.
    let budget = probe.initial_delay_seconds + probe.period() * probe.threshold();
    let age = end.and_then(|end| Some(end.finished_at?.duration_since(end.started_at?).as_secs()));
    let grace = subject.pod().and_then(|pod| pod.spec.termination_grace_period_seconds).unwrap_or(30);
    let unanswered = wrong_target(met) == Some("nothing listens on the port it asks") || which == "startup";
    // A program that answers, if only with an error, has started.
    let young = unanswered && age.is_some_and(|age| age <= budget + grace + probe.period());
    let elsewhere = declared_elsewhere(container, probe);
    let wrong = wrong_target(met).filter(|why| elsewhere.is_some() || why.contains("path") || why.contains("HTTP"));
    let field_name = if which == "startup" { "startupProbe" } else { "livenessProbe" };
    let blamed = blame::template_change(view, workload, Some(subject), None, plausible(&container.name, field_name));
    let slug = match (wrong, young) {
        (Some(_), _) => "probe-wrong-target",
        (None, true) => "probe-kills-slow-start",
        (None, false) => "liveness-kills-busy",
    };
    let ask = target(probe);
    let why = match (slug, wrong) {
        ("probe-wrong-target", Some(why)) => format!("the {which} probe asks {ask}, and {why}"),
        ("probe-kills-slow-start", _) => {
            format!("the {which} probe gives up after {budget} s, before the program answers at {ask}")
        }
        _ => format!("the {which} probe at {ask} fails while the program runs"),
    };
    let restarts = text::count(status.restart_count as usize, "restart");
    let cause = match blamed {
        Some(blame) => {
            let sentence = format!(
                "{} was {}; since then {why}, and the kubelet kills {}.",
                blame.field().field,
                blame.words(),
                container.name
            );
            blame.cause(view, sentence)
        }
        None => {
            let (field, pointer, value) = match slug {
                "probe-wrong-target" => target_field(workload, &container.name, field_name, probe, wrong.unwrap_or("")),
                _ => timing_field(workload, &container.name, field_name, probe, slug),
            };
            let mut cause = Cause::plain(
                CauseKind::Resource,
                Some(&workload.reference()),
                format!("{} is killed by the kubelet: {why}.", container.name),
            );
            cause.managed_by = ownership::managed_by(workload).map(str::to_owned);
            cause.at_field(field, pointer, Some(value))
        }
    };
    let title = format!("{}: {} is killed over and over, {why}", describe::object(workload), container.name);
    let mut finding = Finding::new(slug, Place::container(workload, &container.name, kind), title, cause);
    finding.shows_on = [subject.reference()].into();
    finding.verdict = if slug == "liveness-kills-busy" { Verdict::Likely } else { Verdict::Confirmed };
    finding.severity = if status.ready && status.restart_count < 3 { Severity::Warning } else { Severity::Critical };
    if let Some(event) = event {
        finding.evidence.push(
            Fact::new(
                Role::Cause,
                Source::Event,
                event.last_seen(),
                subject,
                format!("{} (×{})", text::shorten(event.message.trim(), 300), event.count()),
            )
            .raw(json!(event.message)),
        );
    }
    if let Some(end) = end {
        let text = format!("terminated {}, exit {}, {restarts}", end.reason, end.exit_code);
        finding.evidence.push(Fact::new(Role::Symptom, Source::Status, end.finished_at, subject, text.clone()));
        let fact = Fact::new(
            Role::RuledOut,
            Source::Status,
            end.finished_at,
            subject,
            format!("reason {}, and an event names the {which} probe", end.reason),
        );
        finding.ruled_out.push(("killed for memory".to_owned(), vec![fact]));
    }
    if slug == "probe-kills-slow-start" {
        finding.remedies.extend(more_time(workload, container, probe));
    }
    finding
}

fn timing_field(
    workload: &Object,
    container: &str,
    name: &str,
    probe: &Probe,
    slug: &str,
) -> (String, String, serde_json::Value) {
    let prefix = if workload.kind == Kind::Pod { "spec" } else { "spec.template.spec" };
    let (part, value) = match slug {
        "probe-kills-slow-start" => ("initialDelaySeconds", json!(probe.initial_delay_seconds)),
        _ => ("timeoutSeconds", json!(probe.timeout())),
    };
    (
        format!("{prefix}.containers[{container}].{name}.{part}"),
        pointer(workload, container, &format!("{name}/{part}")),
        value,
    )
}

/// A startup probe of five minutes before the others begin.
fn more_time(workload: &Object, container: &Container, probe: &Probe) -> Option<Remedy> {
    if workload.kind == Kind::Pod {
        return None;
    }
    let mut startup = match (&probe.http_get, &probe.tcp_socket) {
        (Some(http), _) => json!({"httpGet": {"path": http.path, "port": port_value(probe)}}),
        (None, Some(_)) => json!({"tcpSocket": {"port": port_value(probe)}}),
        (None, None) => return None,
    };
    startup["periodSeconds"] = json!(10);
    startup["failureThreshold"] = json!(30);
    Some(Remedy {
        option: 0,
        kind: RemedyKind::Patch,
        reference: Some(Ref::from(&workload.reference())),
        managed_by: ownership::managed_by(workload).map(str::to_owned),
        patch_type: Some("strategic".to_owned()),
        patch: Some(
            json!({"spec": {"template": {"spec": {"containers": [{"name": container.name, "startupProbe": startup}]}}}}),
        ),
        risk: Risk::Low,
        reversible: true,
        requires: Some(Requires { verb: "patch".to_owned(), resource: workload.kind.resource() }),
        allowed: None,
        sentence: format!("Give {} five minutes to start with a startup probe.", container.name),
    })
}

/// The readiness probe fails, and the container runs on.
fn unready<'a>(
    view: &View<'a>,
    subject: &'a Object,
    (kind, container): (ContainerType, &'a Container),
    probe: &'a Probe,
    since: Timestamp,
) -> Finding {
    let workload = view.workload_of(subject);
    let event = said(view, subject, container, "readiness");
    let met = event.map_or("", |event| answer(&event.message));
    let wrong = wrong_target(met);
    let blamed =
        blame::template_change(view, workload, Some(subject), None, plausible(&container.name, "readinessProbe"));
    let ask = target(probe);
    let slug = if wrong.is_some() { "probe-wrong-target" } else { "readiness-failing" };
    let why = match wrong {
        Some(why) => format!("its readiness probe asks {ask}, and {why}"),
        None if met.is_empty() => format!("its readiness probe at {ask} does not succeed"),
        None => format!("its readiness probe at {ask} fails: {}", text::shorten(met, 160)),
    };
    let elsewhere = declared_elsewhere(container, probe)
        .map(|port| format!("; the container declares port {port}"))
        .unwrap_or_default();
    let cause = match (blamed, wrong) {
        (Some(blame), _) => {
            let sentence = format!(
                "{} was {}; since then {} is not ready: {why}{elsewhere}.",
                blame.field().field,
                blame.words(),
                container.name
            );
            blame.cause(view, sentence)
        }
        (None, Some(wrong)) => {
            let (field, pointer, value) = target_field(workload, &container.name, "readinessProbe", probe, wrong);
            let sentence = format!("{} is not ready: {why}{elsewhere}.", container.name);
            let mut cause = Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence);
            cause.managed_by = ownership::managed_by(workload).map(str::to_owned);
            cause.at_field(field, pointer, Some(value))
        }
        (None, None) => Cause::plain(
            CauseKind::Application,
            Some(&workload.reference()),
            format!("{} says itself that it is not ready: {why}.", container.name),
        ),
    };
    let title = format!("{}: {} is not ready, {why}", describe::object(workload), container.name);
    let mut finding = Finding::new(slug, Place::container(workload, &container.name, kind), title, cause);
    finding.shows_on = [subject.reference()].into();
    finding.verdict = if event.is_none() {
        Verdict::Possible
    } else if wrong.is_some() {
        Verdict::Confirmed
    } else {
        Verdict::Likely
    };
    finding.opened = Some(since);
    if let Some(event) = event {
        finding.evidence.push(
            Fact::new(
                Role::Cause,
                Source::Event,
                event.last_seen(),
                subject,
                format!("{} (×{})", text::shorten(event.message.trim(), 300), event.count()),
            )
            .raw(json!(event.message)),
        );
    }
    finding.evidence.push(Fact::new(
        Role::Symptom,
        Source::Status,
        Some(since),
        subject,
        format!("{} runs and is not ready", container.name),
    ));
    finding
}

/// The pointer to a part of a container in the object that people edit, empty where it cannot be told.
fn pointer(workload: &Object, container: &str, part: &str) -> String {
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
