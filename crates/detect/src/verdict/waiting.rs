//! What something that is under way waits for.
//!
//! That a pod is "starting" helps nobody: whether it waits for an image, an init container or a gate does. Each answer is a
//! clause that follows the object's name.

use crate::describe;
use crate::detectors::{claim, readiness_gate};
use crate::explore;
use crate::view::{Lookup, View};
use reckon_model::k8s::{Claim, ContainerStatus, ContainerType, Event, Pod};
use reckon_model::{Body, Kind, Object, Timestamp, text};

/// So many letters of a scheduler's message are told.
const MESSAGE: usize = 300;

/// What a pod that is not ready waits for; `None` where it waits for nothing that can be seen.
pub(super) fn of_pod<'a>(view: &View<'a>, object: &'a Object, pod: &'a Pod) -> Option<String> {
    if pod.is_ready() || pod.is_finished() {
        return None;
    }
    if !pod.spec.scheduling_gates.is_empty() {
        let gates: Vec<String> = pod.spec.scheduling_gates.iter().map(|gate| gate.name.clone()).collect();
        let (s, is) = if gates.len() > 1 { ("s", "are") } else { ("", "is") };
        return Some(format!("waits until its scheduling gate{s} {} {is} removed", text::enumerate(&gates)));
    }
    if pod.spec.node_name.is_empty() {
        return Some(for_a_node(pod));
    }
    in_turn(view, object, pod).or_else(|| to_be_ready(pod))
}

fn for_a_node(pod: &Pod) -> String {
    let said = pod.condition("PodScheduled").filter(|it| !it.is_true()).map(|it| text::clean_line(&it.message));
    match said.map(|said| said.trim().trim_end_matches('.').to_owned()).filter(|said| !said.is_empty()) {
        Some(said) => format!("waits for a node: {}", text::shorten(&said, MESSAGE)),
        None => match pod.spec.scheduler_name.as_str() {
            "" | "default-scheduler" => "waits for the scheduler to find it a node".to_owned(),
            other => format!("waits for the scheduler {other} to find it a node"),
        },
    }
}

/// The container whose turn it is: init containers run one after the other, and then the others side by side.
fn in_turn<'a>(view: &View<'a>, object: &'a Object, pod: &'a Pod) -> Option<String> {
    let node = &pod.spec.node_name;
    let containers = || pod.containers().filter(|(kind, ..)| *kind != ContainerType::Ephemeral);
    if containers().all(|(_, _, status)| status.is_none()) {
        return Some(format!("waits for the kubelet of node {node} to take it up"));
    }
    let (kind, container, status) = containers().find(|(kind, _, status)| !has_begun(*kind, *status))?;
    let name = &container.name;
    if let Some((image, since)) = pulled(view, object, name) {
        return Some(format!(
            "waits for image {image} of container {name}, which is being pulled{}",
            since_then(since)
        ));
    }
    let state = status.map(|status| &status.state);
    let running = state.and_then(|state| state.running.as_ref());
    match (kind, running) {
        (ContainerType::Init, Some(running)) => {
            Some(format!("waits for init container {name}, which is running{}", since_then(running.started_at)))
        }
        (ContainerType::Sidecar, Some(_)) => {
            Some(format!("waits for sidecar {name}, whose startup probe is not passed yet"))
        }
        // What it says itself is more than what is told of all.
        _ => match state.and_then(|state| state.waiting.as_deref()).map(|waiting| waiting.reason.as_str()) {
            None | Some("" | "ContainerCreating" | "PodInitializing") => {
                Some(format!("waits for its container {name} to be made on node {node}"))
            }
            Some(reason) => Some(format!("waits for its container {name}: {reason}")),
        },
    }
}

/// Whether the turn of a container is over: an init container has ended, a sidecar has started, any other runs.
fn has_begun(kind: ContainerType, status: Option<&ContainerStatus>) -> bool {
    let Some(status) = status else { return false };
    let ended = status.state.terminated.as_deref();
    match kind {
        ContainerType::Init => ended.is_some_and(|end| end.exit_code == 0) || status.ready,
        ContainerType::Sidecar => status.started == Some(true),
        _ => status.state.running.is_some() || ended.is_some(),
    }
}

/// The image that a kubelet pulls for a container, and since when: what it said last of that image is that it pulls it.
fn pulled<'a>(view: &View<'a>, object: &'a Object, container: &str) -> Option<(String, Option<Timestamp>)> {
    let tells = |event: &&Event| {
        event.container() == Some(container)
            && matches!(&*event.reason, "Pulling" | "Pulled" | "Failed" | "BackOff" | "Started")
    };
    let last = view.events(object).into_iter().rfind(tells)?;
    let image = last.message.split('"').nth(1).filter(|_| last.reason == "Pulling")?;
    Some((text::shorten(&text::clean_line(image), MESSAGE).into_owned(), last.last_seen()))
}

fn since_then(at: Option<Timestamp>) -> String {
    at.map(|at| format!(" since {}", describe::time(at))).unwrap_or_default()
}

/// What keeps a pod from being ready whose containers run.
fn to_be_ready(pod: &Pod) -> Option<String> {
    if let Some(ready) = pod.condition("Ready").filter(|it| it.reason == "ReadinessGatesNotReady") {
        let gates = readiness_gate::unmet(&ready.message);
        let s = if gates.len() > 1 { "s" } else { "" };
        return Some(match gates.is_empty() {
            true => "waits for its readiness gates".to_owned(),
            false => format!("waits for its readiness gate{s} {}", text::enumerate(&gates)),
        });
    }
    let unready = pod
        .containers()
        .find(|(_, _, status)| status.is_some_and(|status| status.state.running.is_some() && !status.ready));
    let (_, container, status) = unready?;
    let name = &container.name;
    let starts = container.startup_probe.is_some() && status.is_some_and(|status| status.started != Some(true));
    match () {
        () if starts => Some(format!("waits for the startup probe of container {name}")),
        () if container.readiness_probe.is_some() => Some(format!("waits for the readiness probe of container {name}")),
        () => None,
    }
}

/// What a claim that is not bound waits for.
pub(super) fn of_claim<'a>(view: &View<'a>, object: &'a Object, claim: &Claim) -> String {
    if !claim.spec.volume_name.is_empty() {
        return format!("waits to be bound to volume {}", claim.spec.volume_name);
    }
    let name = match claim.spec.storage_class_name.as_deref() {
        None => return "waits for a volume, and names no class that would make one".to_owned(),
        Some("") => return "waits for a volume that fits it: it wants none to be made".to_owned(),
        Some(name) => name,
    };
    let Lookup::Found(class) = view.object(&Kind::StorageClass, None, name) else {
        return format!("waits for a volume of class {name}");
    };
    let Body::StorageClass(body) = &class.body else { return format!("waits for a volume of class {name}") };
    let node = object.meta.annotations.get("volume.kubernetes.io/selected-node");
    if !claim::waits_for_pods(body) || node.is_some() {
        let node = node.map(|node| format!(" for node {node}")).unwrap_or_default();
        return format!("waits for {} to make its volume{node}", body.provisioner);
    }
    let pods = view.all(&Kind::Pod, object.meta.namespace.as_deref());
    let user = pods.items.iter().find(|other| {
        other.pod().is_some_and(|pod| !pod.is_finished() && claim::mounts(other, pod, &object.meta.name))
    });
    match user {
        Some(pod) => format!("waits for pod {} to get a node: class {name} makes volumes only then", pod.meta.name),
        None if pods.complete => format!("waits for a pod that uses it: class {name} makes volumes only then"),
        None => format!("waits for a pod that uses it and has a node: class {name} makes volumes only then"),
    }
}

/// The claims that wait for a volume of a class.
pub(super) fn of_class<'a>(view: &View<'a>, class: &'a Object) -> Option<String> {
    let claims = explore::pending(view, &class.meta.name);
    let first = claims.first()?;
    let Body::Claim(body) = &first.body else { return None };
    let waits = if claims.len() == 1 { "waits" } else { "wait" };
    let which = format!("claim {} {}", describe::object(first), of_claim(view, first, body));
    Some(format!("has {} that {waits} for a volume: {which}", text::count(claims.len(), "claim")))
}

/// What the first pod that is not ready of a workload waits for.
pub(super) fn of_workload<'a>(view: &View<'a>, workload: &'a Object) -> Option<String> {
    let pods = view.pods_of(workload).items.into_iter().filter(|pod| pod.meta.deleted.is_none());
    pods.filter_map(|pod| Some((pod, pod.pod()?)))
        .find_map(|(object, pod)| Some(format!("pod {} {}", object.meta.name, of_pod(view, object, pod)?)))
}
