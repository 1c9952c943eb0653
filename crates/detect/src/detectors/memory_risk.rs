//! What will be killed for its memory one day, as it is set up or as it grows.

mod full_node;
mod growing;
mod throttled;
mod too_small;

use super::killed_by;
use super::template::Site;
use crate::catalogue::{Failure, Stage, Verified};
use crate::heap::{self, Place as Stands, Setting};
use crate::{Detector, Fact, Finding, Place, View, describe};
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Container, ContainerType, Pod};
use reckon_model::{Kind, Object, Quantity, quantity};

const fn failure(slug: &'static str, title: &'static str, verified: Verified) -> Failure {
    Failure { slug, title, stage: Stage::Memory, family: slug, echo: false, verified, page: PAGE }
}

/// What `reckon explain` says of all of them.
const PAGE: &str = include_str!("memory_risk.md");

pub(crate) static DETECTOR: Detector = Detector {
    name: "memory_risk",
    failures: &[
        failure(
            "heap-above-limit",
            "A runtime may take more heap than the container's memory limit",
            Verified::Constructed,
        ),
        failure("memory-growing", "Memory grows towards its limit", Verified::Live),
        failure("memory-throttled", "A container waits for memory and is not killed", Verified::Live),
        failure("memory-too-small", "A memory limit will leave no room to start", Verified::Constructed),
        failure("memory-unbounded", "A container may take the memory of a full node", Verified::Constructed),
    ],
    subjects: &[
        Kind::Pod,
        Kind::Deployment,
        Kind::ReplicaSet,
        Kind::StatefulSet,
        Kind::DaemonSet,
        Kind::ReplicationController,
        Kind::Job,
        Kind::CronJob,
    ],
    others: &[],
    detect,
};

/// The share of the limit that is left to a heap (`memory-deaths`): threads, code, buffers and the runtime itself need the rest.
const HEAP: (u64, u64) = (3, 4);

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return too_small::of_template(view, subject) };
    if subject.meta.deleted.is_some() || pod.is_finished() {
        return Vec::new();
    }
    pod.containers()
        .filter(|(kind, ..)| matches!(kind, ContainerType::App | ContainerType::Sidecar))
        .flat_map(|(kind, container, status)| {
            let growing = status.and_then(|status| growing::finding(view, subject, pod, (kind, container, status)));
            let heap = heap_above_limit(view, subject, pod, kind, container);
            let slow = status.and_then(|status| throttled::finding(view, subject, pod, (kind, container, status)));
            let small = too_small::of_pod(view, subject, pod, (kind, container));
            [small, slow, growing, heap, full_node::finding(view, subject, pod, (kind, container))]
                .into_iter()
                .flatten()
        })
        .collect()
}

fn heap_above_limit<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    kind: ContainerType,
    container: &'a Container,
) -> Option<Finding> {
    let limit = container.resources.limits.get("memory")?;
    let bytes = limit.value().and_then(|value| u64::try_from(value).ok())?;
    let setting = heap::setting(container)?;
    let heap = setting.bytes(bytes);
    // A limit too small for anything is another's matter.
    if heap < bytes || killed_by::no_room(container).is_some() {
        return None;
    }
    let workload = view.workload_of(subject);
    let name = &container.name;
    let at = stands(&setting.place);
    let sentence = format!(
        "{} in {at} lets the runtime of {name} take {} of heap, and its memory limit is {limit}: once the heap has grown so far, the kernel kills the container, and the runtime never gets to tell that its heap is full.",
        setting.written,
        quantity::bytes(heap)
    );
    let site = Site::new(workload, name);
    let cause = Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence);
    let cause = site.blame(cause, setting.field(), Some(setting.written.as_str().into()));
    let title = format!("{}: {name} may take more heap than its memory limit of {limit}", describe::object(workload));
    let mut finding = Finding::new("heap-above-limit", Place::container(workload, name, kind), title, cause);
    finding.shows_on = [subject.reference()].into();
    finding.class = Some("set-by-flag");
    finding.severity = Severity::Info;
    finding.verdict = Verdict::Confirmed;
    finding.opened = pod.status.start_time.or(subject.meta.created);
    let fact = |text: String| Fact::new(Role::Cause, Source::Spec, None, workload, text);
    finding.evidence.push(fact(format!("{} in {at} of {name}", setting.written)));
    finding.evidence.push(fact(format!("limits.memory {limit} of {name}")));
    finding.remedies.push(site.advice(RemedyKind::Patch, advice(&setting, name, bytes, limit)));
    Some(finding)
}

fn advice(setting: &Setting, name: &str, bytes: u64, limit: &Quantity) -> String {
    let (part, whole) = HEAP;
    format!(
        "Set {} for {name}, three quarters of its limit of {limit}: threads, code and buffers need the rest.",
        setting.with(bytes / whole * part)
    )
}

fn stands(place: &Stands) -> String {
    match place {
        Stands::Command => "command".to_owned(),
        Stands::Args => "args".to_owned(),
        Stands::Variable(name) => format!("the variable {name}"),
    }
}
