//! What ends deaths at a memory limit.

use super::cause::Why;
use super::class::Class;
use super::killed::Killed;
use super::load::Load;
use super::resize::VPA;
use crate::detectors::configuration::Edited;
use crate::detectors::template::Site;
use crate::spot::Spot;
use crate::{heap, spot};
use reckon_model::document::{Effect, Remedy, RemedyKind, Requires, Risk, Shape};
use reckon_model::k8s::ResizePolicy;
use reckon_model::kernel::MemoryKind;
use reckon_model::{Quantity, quantity};
use serde_json::json;

/// Back to the old limit where it was cut; half as much again where it was not, as the true need is cut off by the limit.
/// Nothing of this container's own ends what its node has too little of.
pub(super) fn of(killed: &Killed<'_, '_>, class: Class, why: &Why<'_>, shape: Option<Shape>) -> Vec<Remedy> {
    let site = Site::new(killed.workload, &killed.container.name);
    let name = &killed.container.name;
    let advice = |sentence: String| vec![site.advice(RemedyKind::SetResources, sentence)];
    match class {
        // A person did it, and knows why.
        Class::Manual => Vec::new(),
        Class::Numa => advice(format!(
            "Let {name} use more NUMA nodes, or give it a memory request that the kubelet's memory manager can place."
        )),
        Class::Node | Class::NodeAllocatable => {
            why.neighbours.remedy.iter().cloned().chain(node(killed, &site)).collect()
        }
        _ if killed.is_limitless() => node(killed, &site),
        Class::PodLimit if !killed.is_pod_limited() => advice(format!(
            "Raise the memory limit of {name} by what is charged to the pod beside its containers, or end what was started there (kubectl debug) and delete the pod to be rid of files in memory."
        )),
        Class::PodLimit => advice(format!(
            "Raise the pod's memory limit, or give {name} a limit of its own if it takes too much of it."
        )),
        Class::Nested => vec![site.advice(
            RemedyKind::Patch,
            format!("Raise the limit of the cgroup that was made inside {name}: the container's own was not reached."),
        )],
        Class::NoVictim => {
            let sentence = format!(
                "Delete the pod, and do not set oom_score_adj to -1000 in {name}: with nothing to kill it stands still for ever."
            );
            vec![spot::remedy(RemedyKind::Delete, &killed.subject.reference(), sentence)]
        }
        _ => limit(killed, class, &site, why, shape),
    }
}

fn node(killed: &Killed<'_, '_>, site: &Site<'_>) -> Vec<Remedy> {
    let name = &killed.container.name;
    let sentence = match killed.container.resources.requests.get("memory") {
        None => format!(
            "Give {name} a memory request of what it uses and a limit above it, so that it is placed where there is room."
        ),
        Some(request) => format!(
            "Set memory requests of all pods there to what they really use ({name} asks for {request}), so that the scheduler does not overfill the node."
        ),
    };
    vec![site.advice(RemedyKind::SetResources, sentence)]
}

/// Another limit, after what makes a higher one do any good.
fn limit(killed: &Killed<'_, '_>, class: Class, site: &Site<'_>, why: &Why<'_>, shape: Option<Shape>) -> Vec<Remedy> {
    let name = &killed.container.name;
    let mut remedies: Vec<Remedy> = why.edited().map(Edited::remedy).into_iter().collect();
    remedies.extend(first(killed, class, site));
    // A limit for what somebody runs now and then helps nobody.
    if class == Class::ExecVictim && !killed.is_run_by_a_probe() {
        return remedies;
    }
    let old = why.cut.as_ref().and_then(|cut| cut.from.clone());
    // Another limit in the template would be lowered just so.
    if let Some(given) = why.given() {
        remedies.push(given.remedy(&killed.subject.reference()));
        remedies.extend(in_place(killed, given.template.as_str()));
        return remedies;
    }
    let grows = shape == Some(Shape::Growth) && old.is_none();
    if grows {
        let sentence = format!(
            "Take a heap dump or profile of {name} while it is large, and fix what it keeps: no limit is high enough for growth without an end."
        );
        remedies.push(site.advice(RemedyKind::Outside, sentence));
    }
    let raised = || Some(quantity::bytes(need(killed)?.checked_mul(3)? / 2));
    let (to, sentence) = match (old, raised()) {
        (Some(old), _) => (old.clone(), format!("Restore the memory limit of {name} to {old}.")),
        (None, Some(more)) if grows => (
            more.clone(),
            format!(
                "Raise the memory limit of {name} to {more} to gain time, half as long again as it lived; it ends the same way."
            ),
        ),
        (None, Some(more)) => {
            let why = "the need above the limit is not known, so watch the peak and correct again";
            (more.clone(), format!("Raise the memory limit of {name} to {more}; {why}."))
        }
        (None, None) => return remedies,
    };
    // A Guaranteed pod keeps request and limit equal, or it would lose its place in the order of eviction.
    let mut resources = json!({"limits": {"memory": to}});
    if killed.pod.status.qos_class == "Guaranteed" {
        resources["requests"] = json!({"memory": to});
    }
    let mut remedy = site.remedy(RemedyKind::SetResources, json!({"resources": resources}), sentence);
    remedy.risk = Risk::Low;
    if let Some(by) = autoscaler(killed) {
        remedy.sentence.push_str(by);
    }
    let another_request = killed.pod.status.qos_class == "Guaranteed";
    let beware = why.load().filter(|_| another_request).and_then(Load::beware);
    remedy.sentence.extend(beware);
    remedies.push(remedy);
    remedies.extend(in_place(killed, &to));
    remedies.extend(why.load().and_then(Load::remedy));
    remedies
}

/// Whoever sets the resources of new pods sets them again.
fn autoscaler(killed: &Killed<'_, '_>) -> Option<&'static str> {
    killed.subject.meta.annotations.contains_key(VPA).then_some(
        " A VerticalPodAutoscaler sets the resources of these pods: raise its maxAllowed or minAllowed, or it sets them back.",
    )
}

/// The running pod itself, without a restart, where its kubelet tells the resources in force, as those do that can change
/// them. A JVM has sized its heap at its start and would not notice.
fn in_place(killed: &Killed<'_, '_>, to: &str) -> Option<Remedy> {
    let live = killed.status.resources.as_ref()?;
    killed.status.state.running.as_ref()?;
    if live.limits.is_empty() || heap::setting(killed.container).is_some_and(|flag| flag.is_jvm()) {
        return None;
    }
    let (name, subject) = (&killed.container.name, killed.subject);
    let mut resources = json!({"limits": {"memory": to}});
    if killed.pod.status.qos_class == "Guaranteed" {
        resources["requests"] = json!({"memory": to});
    }
    let patch = json!({"spec": {Spot::list(killed.kind): [{"name": name, "resources": resources}]}});
    let restarts = killed.container.resize_policy.iter().any(ResizePolicy::restarts_for_memory);
    let how = if restarts { "with a restart of the container alone" } else { "without a restart" };
    let sentence = format!(
        "At once and {how}, until the pod is replaced: kubectl patch pod {} -n {} --subresource resize -p '{patch}'",
        subject.meta.name,
        subject.namespace()
    );
    let mut remedy = spot::remedy(RemedyKind::SetResources, &subject.reference(), sentence);
    remedy.requires = Some(Requires { verb: "patch".to_owned(), resource: "pods/resize".to_owned() });
    Some(remedy)
}

/// What was known to be needed at the last death: the limit, more where it was lowered under use, and what was in swap.
fn need(killed: &Killed<'_, '_>) -> Option<u64> {
    let last = killed.record.as_ref().and_then(super::record::Record::last);
    let swap = last.and_then(|episode| episode.swap_kib).unwrap_or(0).saturating_mul(1024);
    let own = killed.record.as_ref().and_then(|record| record.own_usage(killed.pod));
    let used = own.map_or(0, |(usage, _)| usage);
    Some(killed.limit().and_then(bytes)?.max(used).saturating_add(swap))
}

/// What comes before a higher limit, by what filled it and what came of it.
fn first(killed: &Killed<'_, '_>, class: Class, site: &Site<'_>) -> Vec<Remedy> {
    let name = &killed.container.name;
    let kind = killed.record.as_ref().and_then(|record| record.last()?.kind);
    match (kind, killed.effect(class)) {
        (Some(MemoryKind::Shmem), _) => {
            let in_memory = killed.pod.spec.volumes.iter().find(|volume| {
                volume.empty_dir.as_ref().is_some_and(|dir| dir.medium == "Memory" && dir.size_limit.is_none())
            });
            let bound = in_memory.map_or_else(
                || format!("Clean up what {name} keeps in tmpfs or shared memory."),
                |volume| format!("Give the volume {} a sizeLimit below the memory limit.", volume.name),
            );
            let pages = "files in memory outlive a restart of the container, not the pod";
            let delete = format!("Delete the pod to be rid of what is there now: {pages}.");
            vec![
                site.advice(RemedyKind::Patch, bound),
                spot::remedy(RemedyKind::Delete, &killed.subject.reference(), delete),
            ]
        }
        (_, Effect::WrongCompleted | Effect::ChildDied) if class != Class::ExecVictim && killed.ends_unseen() => {
            let sentence = format!(
                "Let {name} fail when a process of it is killed (`set -e`, the child's exit code, a liveness probe on workers): \
                 a death that nobody sees is repeated."
            );
            vec![site.advice(RemedyKind::Patch, sentence)]
        }
        (_, _) if class == Class::ExecVictim && !killed.is_run_by_a_probe() => {
            let sentence = format!(
                "Run what needs much memory in a container of its own (kubectl debug, a Job): what kubectl exec starts counts to the memory of {name}."
            );
            vec![site.advice(RemedyKind::Outside, sentence)]
        }
        (_, _) if class == Class::ExecVictim => {
            let sentence = format!(
                "Let the probe ask over HTTP, TCP or gRPC: what it runs inside {name} counts to the container's memory."
            );
            vec![site.advice(RemedyKind::Patch, sentence)]
        }
        _ => heap::setting(killed.container)
            .and_then(|flag| {
                let limit = killed.limit().and_then(bytes)?;
                // More than this leaves too little for threads, code and buffers.
                let heap = limit / 4 * 3;
                let sentence = format!(
                    "{} lets the heap of {name} grow to {} of its limit of {}: set {}, three quarters of it, so that the runtime collects garbage before the kernel kills.",
                    flag.written,
                    quantity::bytes(flag.bytes(limit)),
                    quantity::bytes(limit),
                    flag.with(heap)
                );
                (flag.bytes(limit) > heap).then(|| vec![site.advice(RemedyKind::Patch, sentence)])
            })
            .unwrap_or_default(),
    }
}

/// A quantity of memory in whole bytes.
pub(super) fn bytes(limit: &Quantity) -> Option<u64> {
    limit.value().and_then(|value| u64::try_from(value).ok())
}
