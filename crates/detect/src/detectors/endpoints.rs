//! Services without ready endpoints.

mod port;
mod selector;

use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View, describe};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::{ContainerType, Pod};
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Kind, Object, Timestamp, text};

pub(crate) static DETECTOR: Detector = Detector {
    name: "endpoints",
    failures: &[
        Failure {
            slug: "endpoints-empty",
            title: "A Service has no ready endpoint",
            stage: Stage::Endpoints,
            family: "endpoints",
            echo: true,
            verified: Verified::Live,
            page: include_str!("../pages/endpoints-empty.md"),
        },
        Failure {
            slug: "service-selects-nothing",
            title: "A Service's selector matches no pod",
            stage: Stage::Endpoints,
            family: "endpoints",
            echo: false,
            verified: Verified::Live,
            page: include_str!("../pages/service-selects-nothing.md"),
        },
        Failure {
            slug: "service-target-port",
            title: "A Service's target port is in no container",
            stage: Stage::Endpoints,
            family: "endpoints",
            echo: false,
            verified: Verified::Live,
            page: include_str!("../pages/service-target-port.md"),
        },
    ],
    subjects: &[Kind::Service],
    others: &[],
    detect,
};

/// A Service and its pods are seldom made in one moment.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Body::Service(service) = &subject.body else { return Vec::new() };
    let spec = &service.spec;
    // Somebody else writes the endpoints of a Service without a selector; an ExternalName has none.
    if spec.selector.is_empty() || spec.kind == "ExternalName" || subject.meta.deleted.is_some() {
        return Vec::new();
    }
    let pods = view.matching(&Kind::Pod, subject.meta.namespace.as_deref(), &LabelSelector::exact(&spec.selector));
    let serving: Vec<&'a Object> =
        pods.items.iter().copied().filter(|pod| pod.pod().is_some_and(|pod| !pod.is_finished())).collect();
    if serving.is_empty() {
        return if pods.complete { selector::matches_nothing(view, subject, spec) } else { Vec::new() };
    }
    let mut findings: Vec<Finding> = port::undeclared(view, subject, spec, &serving).into_iter().collect();
    let ready = serving.iter().any(|pod| pod.pod().is_some_and(Pod::is_ready));
    // One that was not read may be the one that is ready.
    if pods.complete && !ready && !spec.publish_not_ready_addresses {
        findings.extend(empty(view, subject, &serving));
    }
    findings
}

/// All pods behind the Service are unready: whatever ails them is the cause, and this its echo.
fn empty<'a>(view: &View<'a>, service: &'a Object, pods: &[&'a Object]) -> Option<Finding> {
    if pods.iter().all(|pod| pod.meta.deleted.is_some()) {
        return None;
    }
    // Pods that are only starting leave a Service empty for a while.
    let due = pods.iter().filter_map(|object| expected_by(object, object.pod()?)).max()?;
    if !view.reached(due) {
        view.recheck_at(due);
        return None;
    }
    let since = pods.iter().filter_map(|pod| unready_since(pod, pod.pod()?)).max();
    let count = text::count(pods.len(), "pod");
    let title = format!("Service {} has no ready endpoint: none of its {count} is ready", describe::object(service));
    let sentence = format!("None of the {count} behind the Service is ready.");
    let cause = Cause::plain(CauseKind::Unknown, Some(&service.reference()), sentence);
    let mut finding = Finding::new("endpoints-empty", Place::of(service), title, cause);
    finding.verdict = Verdict::Unknown;
    // By itself it says only that something is not there yet; what ails the pods says how bad that is.
    finding.severity = Severity::Warning;
    finding.shows_on.extend(pods.iter().map(|pod| pod.reference()));
    let fact = format!("{count} selected, none ready");
    finding.evidence.push(Fact::new(Role::Symptom, Source::Condition, since, service, fact));
    Some(finding)
}

/// Since when a pod has not been ready. Only a kubelet writes the condition: before one has the pod, its creation counts.
fn unready_since(object: &Object, pod: &Pod) -> Option<Timestamp> {
    pod.condition("Ready").and_then(|ready| ready.since).or(object.meta.created)
}

/// When a pod ought to be ready: after the grace, and as long as its probes may take for it; at once when a container of
/// it has ended before, as such a pod is not starting for the first time.
fn expected_by(object: &Object, pod: &Pod) -> Option<Timestamp> {
    let ended = pod.containers().any(|(kind, _, status)| {
        matches!(kind, ContainerType::App | ContainerType::Sidecar)
            && status.is_some_and(|status| status.restart_count > 0 || status.last_end().is_some())
    });
    if ended {
        return object.meta.created?.checked_add(GRACE).ok();
    }
    let started = pod.containers().filter_map(|(_, _, status)| status?.state.running.as_ref()?.started_at).max();
    let probes = pod.containers().flat_map(|(_, container, _)| {
        [&container.startup_probe, &container.readiness_probe]
            .into_iter()
            .flatten()
            .map(|probe| super::probe::budget(probe))
    });
    let patience = probes.max().unwrap_or_default().max(GRACE);
    [unready_since(object, pod)?.checked_add(GRACE).ok(), started.and_then(|at| at.checked_add(patience).ok())]
        .into_iter()
        .flatten()
        .max()
}
