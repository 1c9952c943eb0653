//! Killed for memory, as far as the API tells.

use super::killed_by;
use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Place, View, blame, describe, ownership};
use reckon_model::document::{
    Cause, CauseKind, Death, Ref, Remedy, RemedyKind, Requires, Risk, Role, Severity, Source, Verdict,
};
use reckon_model::k8s::{Container, ContainerStatus, ContainerType, Pod, Terminated};
use reckon_model::{FieldChange, Kind, Object, Quantity, quantity};
use serde_json::{Value, json};

pub(crate) static DETECTOR: Detector = Detector {
    name: "oom_killed",
    failures: &[
        Failure {
            slug: "oom-killed",
            title: "A container is killed for its memory",
            stage: Stage::Memory,
            family: "memory",
            echo: false,
            verified: Verified::Live,
        },
        Failure {
            slug: "evicted",
            title: "A pod was evicted for memory",
            stage: Stage::Memory,
            family: "memory",
            echo: false,
            verified: Verified::Recorded,
        },
    ],
    subjects: &[Kind::Pod],
    page: include_str!("oom_killed.md"),
    detect,
};

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    if pod.status.reason == "Evicted" && pod.status.message.contains("memory") {
        return evicted(view, subject, pod).into_iter().collect();
    }
    pod.containers()
        .filter_map(|(kind, container, status)| {
            let status = status?;
            let end = [&status.state, &status.last_state]
                .into_iter()
                .filter_map(|state| state.terminated.as_ref())
                .find(|end| end.reason == "OOMKilled")?;
            if killed_by::recovered(view, status) {
                return None;
            }
            Some(killed(view, subject, pod, (kind, container), status, end))
        })
        .collect()
}

/// Where a limit stands in the object that people edit.
fn limit_path(workload: &Object, container: &str) -> (String, Option<String>) {
    let (prefix, base) = match workload.kind {
        Kind::Pod => ("spec", "/spec"),
        Kind::CronJob => ("spec.jobTemplate.spec.template.spec", "/spec/jobTemplate/spec/template/spec"),
        _ => ("spec.template.spec", "/spec/template/spec"),
    };
    let pointer = workload.whole.as_deref().and_then(|whole| {
        ["containers", "initContainers"].iter().find_map(|list| {
            let items = whole.pointer(&format!("{base}/{list}"))?.as_array()?;
            let at = items.iter().position(|item| item.get("name").and_then(Value::as_str) == Some(container))?;
            Some(format!("{base}/{list}/{at}/resources/limits/memory"))
        })
    });
    (format!("{prefix}.containers[{container}].resources.limits.memory"), pointer)
}

/// What can make a container meet its limit: the limit itself first, then what runs in it and how it is told to.
fn plausible(container: &str) -> impl Fn(&FieldChange) -> Option<u8> + '_ {
    move |change| {
        let inside = change.field.contains(&format!("[{container}]"));
        match () {
            () if inside && change.field.ends_with("resources.limits.memory") => Some(0),
            () if inside && change.field.contains(".resources") => Some(1),
            () if inside && change.field.ends_with(".image") => Some(2),
            () if inside && [".env", ".args", ".command"].iter().any(|part| change.field.contains(part)) => Some(3),
            () => None,
        }
    }
}

fn killed<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    (kind, container): (ContainerType, &'a Container),
    status: &'a ContainerStatus,
    end: &'a Terminated,
) -> Finding {
    let workload = view.workload_of(subject);
    let name = describe::object(workload);
    let limit = status
        .resources
        .as_ref()
        .and_then(|live| live.limits.get("memory"))
        .or(container.resources.limits.get("memory"));
    let pod_limit = pod.spec.resources.limits.get("memory");
    let class = match (end.exit_code, limit, pod_limit) {
        (137, Some(_), None) => "container-limit",
        (137, _, Some(_)) => "pod-limit",
        (137, None, None) => "node",
        (0, _, _) => "masked-child",
        _ => "invisible-child",
    };
    let blamed = blame::template_change(view, workload, Some(subject), end.finished_at, plausible(&container.name));
    let cut = blamed.as_ref().filter(|blame| lowered(blame.field()));
    let (field, pointer) = limit_path(workload, &container.name);
    let shown = limit.map_or("no limit of its own".to_owned(), |limit| format!("its limit of {limit}"));
    let what = match class {
        "invisible-child" => format!(
            "a process in {} was killed for memory, and the container went on until it ended with exit code {}",
            container.name, end.exit_code
        ),
        "masked-child" => format!(
            "a process in {} was killed for memory, and the container ended as if nothing had happened",
            container.name
        ),
        "container-limit" => format!("{} is killed when its memory reaches {shown}", container.name),
        "pod-limit" => format!("{} is killed when the pod's memory reaches the pod's limit", container.name),
        _ => format!("{} is killed for memory although it has {shown}", container.name),
    };
    let cause = match (&blamed, class) {
        (Some(blame), _) if cut.is_some() => blame.cause(
            view,
            format!(
                "The memory limit of {} was {}; the container is killed when it reaches the limit.",
                container.name,
                blame.words()
            ),
        ),
        (Some(blame), "container-limit" | "pod-limit" | "invisible-child" | "masked-child") => blame.cause(
            view,
            format!(
                "{} was {} while the limit stayed at {shown}: what runs there needs more since.",
                blame.field().field,
                blame.words()
            ),
        ),
        (_, "node") => Cause::plain(
            CauseKind::Node,
            Some(&reckon_model::ResourceRef::new(Kind::Node, None, &pod.spec.node_name)),
            format!("{} has no memory limit, so the node, or its allocatable share, ran out.", container.name),
        ),
        _ => {
            let sentence = format!(
                "{} needs more memory than {shown} allows, and no change is known that made it so.",
                container.name
            );
            let cause = Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence);
            let pointer = pointer.clone().unwrap_or_default();
            let mut cause = cause.at_field(field.clone(), pointer, limit.map(|limit| limit.as_str().into()));
            cause.managed_by = ownership::managed_by(workload).map(str::to_owned);
            cause
        }
    };
    let title = match cut {
        Some(blame) => {
            let to = blame.field().to.as_ref().map_or("none".to_owned(), describe::value);
            format!("{name}: {} is killed at its memory limit, which was cut to {to}", container.name)
        }
        None => format!("{name}: {what}"),
    };
    let mut finding = Finding::new("oom-killed", Place::container(workload, &container.name, kind), title, cause);
    finding.class = Some(class);
    finding.shows_on = [subject.reference()].into();
    finding.verdict = match class {
        "container-limit" if cut.is_some() => Verdict::Confirmed,
        "container-limit" if blamed.is_none() => Verdict::Confirmed,
        "node" => Verdict::Possible,
        _ => Verdict::Likely,
    };
    let up = status.ready && status.state.running.is_some();
    finding.severity = if up && status.restart_count < 3 { Severity::Warning } else { Severity::Critical };
    let restarts =
        if status.restart_count > 0 { format!(", restarts {}", status.restart_count) } else { String::new() };
    finding.evidence.push(
        Fact::new(Role::Symptom, Source::Status, end.finished_at, subject, format!("terminated OOMKilled, exit {}{restarts}", end.exit_code))
            .raw(json!({"reason": end.reason, "exitCode": end.exit_code, "startedAt": end.started_at, "finishedAt": end.finished_at})),
    );
    if let Some(limit) = limit {
        finding.evidence.push(Fact::new(
            Role::Cause,
            Source::Spec,
            None,
            workload,
            format!("limits.memory {limit} of {}", container.name),
        ));
    }
    view.not_checked(
        "kernel log",
        "no node agent reports: which memory filled the limit and which process was killed are not known",
    );
    finding.death = Some(Death {
        scope: match class {
            "pod-limit" => Some("pod".to_owned()),
            "node" => None,
            _ => Some("container".to_owned()),
        },
        effect: Some(
            match class {
                "invisible-child" => "child-died",
                "masked-child" => "wrong-completed",
                _ => "container-died",
            }
            .to_owned(),
        ),
        limit_bytes: limit.and_then(bytes),
        limit_lowered: Some(cut.is_some()),
        censored: limit.map(|_| true),
        ..Death::default()
    });
    finding.remedies.extend(remedy(workload, container, limit, cut, pod));
    finding
}

fn lowered(change: &FieldChange) -> bool {
    let number =
        |value: &Option<Value>| value.as_ref().and_then(Value::as_str).and_then(|text| Quantity::new(text).value());
    change.field.ends_with("resources.limits.memory")
        && match (number(&change.from), number(&change.to)) {
            (Some(from), Some(to)) => to < from,
            (None, Some(_)) => change.from.is_none(),
            _ => false,
        }
}

fn bytes(limit: &Quantity) -> Option<u64> {
    limit.value().and_then(|value| u64::try_from(value).ok())
}

/// Back to the old limit where it was cut; half as much again where it was not, as the true need is cut off by the limit.
fn remedy(
    workload: &Object,
    container: &Container,
    limit: Option<&Quantity>,
    cut: Option<&blame::Blame>,
    pod: &Pod,
) -> Option<Remedy> {
    let old = cut.and_then(|blame| blame.field().from.as_ref()?.as_str().map(str::to_owned));
    let (to, sentence) = match old {
        Some(old) => (old.clone(), format!("Restore the memory limit of {} to {old}.", container.name)),
        None => {
            let more = quantity::bytes(bytes(limit?)?.checked_mul(3)? / 2);
            let why = "the need above the limit is not known, so watch the peak and correct again";
            (more.clone(), format!("Raise the memory limit of {} to {more}; {why}.", container.name))
        }
    };
    // A request above the limit is refused, and a Guaranteed pod keeps the two equal.
    let mut resources = json!({"limits": {"memory": to}});
    if pod.status.qos_class == "Guaranteed" {
        resources["requests"] = json!({"memory": to});
    }
    let list = if pod.spec.init_containers.iter().any(|init| init.name == container.name) {
        "initContainers"
    } else {
        "containers"
    };
    let spec = json!({list: [{"name": container.name, "resources": resources}]});
    let (patch, resource) = match workload.kind {
        Kind::Pod => return None,
        Kind::CronJob => {
            (json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}}), workload.kind.resource())
        }
        _ => (json!({"spec": {"template": {"spec": spec}}}), workload.kind.resource()),
    };
    Some(Remedy {
        option: 0,
        kind: RemedyKind::SetResources,
        reference: Some(Ref::from(&workload.reference())),
        managed_by: ownership::managed_by(workload).map(str::to_owned),
        patch_type: Some("strategic".to_owned()),
        patch: Some(patch),
        risk: Risk::Low,
        reversible: true,
        requires: Some(Requires { verb: "patch".to_owned(), resource }),
        allowed: None,
        sentence,
    })
}

/// Evicted by the kubelet for the node's memory.
fn evicted<'a>(view: &View<'a>, subject: &'a Object, pod: &Pod) -> Option<Finding> {
    let workload = view.workload_of(subject);
    // What is left of an evicted pod is no fault once its replacement runs.
    let others = view.pods_of(workload);
    if workload.kind != Kind::Pod && others.items.iter().any(|other| other.pod().is_some_and(Pod::is_ready)) {
        return None;
    }
    let node = reckon_model::ResourceRef::new(Kind::Node, None, &pod.spec.node_name);
    let cause = Cause::plain(
        CauseKind::Node,
        Some(&node),
        format!("{node} was low on memory, and the kubelet evicted the pod to get some back."),
    );
    let title = format!("{}: evicted because {node} was low on memory", describe::object(workload));
    let mut finding = Finding::new("evicted", Place::of(workload), title, cause);
    finding.class = Some("evicted");
    finding.shows_on = [subject.reference()].into();
    finding.verdict = Verdict::Confirmed;
    let at = pod
        .condition("DisruptionTarget")
        .and_then(|condition| condition.since)
        .or(pod.condition("Ready").and_then(|ready| ready.since));
    finding.opened = at;
    finding.evidence.push(Fact::new(
        Role::Symptom,
        Source::Status,
        at,
        subject,
        format!("Evicted: {}", pod.status.message.trim()),
    ));
    finding.death =
        Some(Death { scope: Some("node".to_owned()), effect: Some("evicted".to_owned()), ..Death::default() });
    Some(finding)
}
