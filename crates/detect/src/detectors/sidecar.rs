//! Jobs that have done their work and do not end, because a helper beside it goes on.

use crate::catalogue::{Failure, Stage, Verified};
use crate::spot::Spot;
use crate::{Detector, Fact, Finding, Place, View, describe, ownership, spot};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Risk, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Container, ContainerStatus, ContainerType, Pod};
use reckon_model::{Kind, Object, Timestamp};
use serde_json::json;

pub(crate) static DETECTOR: Detector = Detector {
    name: "sidecar",
    failures: &[Failure {
        slug: "sidecar-blocks-completion",
        title: "A helper container keeps a Job from ending",
        // The next run of its CronJob waits for this one.
        stage: Stage::Start,
        family: "job-end",
        echo: false,
        verified: Verified::Live,
        page: include_str!("../pages/sidecar-blocks-completion.md"),
    }],
    subjects: &[Kind::Pod],
    others: &[],
    detect,
};

/// A known helper may need a moment to notice that it is alone.
const HELPER: SignedDuration = SignedDuration::from_mins(2);

/// Two programs of one Job need not take equally long.
const OTHER: SignedDuration = SignedDuration::from_mins(10);

/// Helpers that run until they are told to end, by a part of the container's name or image.
const HELPERS: [&str; 22] = [
    "istio-proxy",
    "proxyv2",
    "linkerd-proxy",
    "linkerd2-proxy",
    "envoy",
    "cloud-sql-proxy",
    "cloudsql-proxy",
    "cloud_sql_proxy",
    "gce-proxy",
    "alloydb-auth-proxy",
    "vault-agent",
    "fluent-bit",
    "fluentd",
    "fluentbit",
    "filebeat",
    "promtail",
    "vector",
    "otel-collector",
    "opentelemetry-collector",
    "daprd",
    "consul-dataplane",
    "datadog-agent",
];

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    let several = pod.spec.containers.len() > 1;
    if !several || pod.spec.restarts_always() || pod.status.phase != "Running" || subject.meta.deleted.is_some() {
        return Vec::new();
    }
    found(view, subject, pod).into_iter().collect()
}

/// A container that runs on, and one that has done its work.
fn found<'a>(view: &View<'a>, subject: &'a Object, pod: &'a Pod) -> Option<Finding> {
    let app = || pod.containers().filter(|(kind, ..)| *kind == ContainerType::App);
    let running: Vec<(&Container, &ContainerStatus)> = app()
        .filter_map(|(_, container, status)| Some((container, status.filter(|it| it.state.running.is_some())?)))
        .collect();
    let done: Vec<(&str, Timestamp)> = app()
        .filter_map(|(_, container, status)| {
            let end = status?.state.terminated.as_ref().filter(|end| end.exit_code == 0)?;
            Some((container.name.as_str(), end.finished_at?))
        })
        .collect();
    // One that failed is started again, or fails the pod: then nothing is done.
    if running.is_empty() || done.is_empty() || running.len() + done.len() < pod.spec.containers.len() {
        return None;
    }
    let (main, since) = done.iter().copied().max_by_key(|(name, at)| (*at, *name))?;
    let named = subject.meta.annotations.get("kubectl.kubernetes.io/default-container");
    // The container that is called the pod's own is no helper.
    if named.is_some_and(|named| running.iter().any(|(container, _)| container.name == *named)) {
        return None;
    }
    let known = running.iter().all(|(container, _)| is_helper(container)) || named.is_some_and(|named| named == main);
    let due = since.checked_add(if known { HELPER } else { OTHER }).ok()?;
    if !view.reached(due) {
        view.recheck_at(due);
        return None;
    }
    let workload = view.workload_of(subject);
    if !matches!(workload.kind, Kind::Job | Kind::CronJob) {
        return None;
    }
    // The one to see to first is that which is known to stay.
    let (helper, status) =
        running.iter().copied().find(|(container, _)| is_helper(container)).or(running.first().copied())?;
    Some(finding(&Case { subject, workload, main, since, helper, status, known }))
}

fn is_helper(container: &Container) -> bool {
    let image = container.image.rsplit('/').next().unwrap_or("");
    HELPERS.iter().any(|helper| container.name.contains(helper) || image.contains(helper))
}

/// What goes on, and what has ended.
struct Case<'a> {
    subject: &'a Object,
    workload: &'a Object,
    main: &'a str,
    since: Timestamp,
    helper: &'a Container,
    status: &'a ContainerStatus,
    known: bool,
}

fn finding(case: &Case<'_>) -> Finding {
    let Case { subject, workload, main, since, helper, status, known } = *case;
    let name = describe::object(workload);
    let who = helper.name.as_str();
    let title = format!("{name}: {main} has completed, and {who} keeps the Job from ending");
    let sentence = format!(
        "{main} completed at {}, and {who} goes on: a pod of a Job has ended only when all of its containers have.",
        describe::time(since)
    );
    let spot = Spot::of(workload);
    let path = spot.as_ref().and_then(|spot| spot.container(who));
    let injected = spot.is_some() && path.is_none();
    let cause = match (&spot, &path) {
        (Some(spot), Some(path)) => spot.wrong(path, None, sentence),
        _ => {
            let sentence = format!("{sentence} It stands only in the pod: a webhook put it there.");
            let mut cause = Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence);
            cause.managed_by = ownership::managed_by(workload);
            cause
        }
    };
    let mut finding =
        Finding::new("sidecar-blocks-completion", Place::container(workload, who, ContainerType::App), title, cause);
    finding.class = Some(if injected { "injected" } else { "own" });
    finding.verdict = if known { Verdict::Confirmed } else { Verdict::Likely };
    finding.severity = Severity::Warning;
    finding.opened = Some(since);
    finding.shows_on = [subject.reference()].into();
    let text = format!("{main} completed with exit code 0");
    finding.evidence.push(Fact::new(Role::Symptom, Source::Status, Some(since), subject, text));
    let began = status.state.running.as_ref().and_then(|running| running.started_at);
    let since = began.map(|began| format!(" since {}", describe::time(began))).unwrap_or_default();
    let text = format!("{who} has been running{since}");
    finding.evidence.push(Fact::new(Role::Cause, Source::Status, began, subject, text));
    if injected {
        let sentence = format!(
            "Keep {who} out of this Job's pods by the label or annotation of whoever injects it, have it injected as a native sidecar, or let {main} tell it to end."
        );
        finding.remedies.push(spot::remedy(RemedyKind::Patch, &workload.reference(), sentence));
        return finding;
    }
    let patch = spot.as_ref().zip(path.as_ref()).and_then(|(spot, path)| {
        let mut item = spot.written(path)?;
        item.as_object_mut()?.insert("restartPolicy".to_owned(), json!("Always"));
        Some(json!({"containers": [{"name": who, "$patch": "delete"}], "initContainers": [item]}))
    });
    let sentence = format!(
        "Make {who} a sidecar: move it to initContainers with restartPolicy Always; it is then ended with the others (from 1.29 on)."
    );
    if let Some(spot) = &spot {
        let mut remedy = spot.patch(patch, sentence);
        remedy.risk = Risk::Medium;
        finding.remedies.push(remedy);
    }
    finding
}
