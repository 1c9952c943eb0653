//! The answer in a word and a sentence.

use crate::view::{Lookup, View};
use crate::{Scope, describe};
use reckon_model::document::{Answer, Problem, Severity, Verdict as Sureness};
use reckon_model::k8s::{Condition, Service};
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Kind, Object, ResourceRef, text};

mod complaint;
mod led;
#[cfg(test)]
mod tests;
mod waiting;

/// The answer.
pub(crate) struct Verdict {
    pub(crate) answer: Answer,
    pub(crate) sentence: String,
}

impl Verdict {
    /// Something that the object names is not there. No failure was found all the same: what follows is not known.
    pub(crate) fn lacks(&mut self, what: &str) {
        if self.answer == Answer::NoFault {
            let before = self.sentence.strip_prefix("No fault found: ").unwrap_or(&self.sentence);
            self.sentence = format!("{}, but {what}.", before.trim_end_matches('.'));
            self.answer = Answer::Undetermined;
        }
    }
}

/// The answer about a scope in which these problems are known.
pub(crate) fn of(view: &View<'_>, scope: &Scope, problems: &[Problem]) -> Verdict {
    let open: Vec<&Problem> = problems.iter().filter(|problem| problem.closed.is_none()).collect();
    let serious: Vec<&&Problem> = open.iter().filter(|problem| problem.severity != Severity::Info).collect();
    if let Some(first) = serious.first() {
        let unsure = serious.iter().all(|problem| problem.verdict == Sureness::Unknown);
        let answer = if unsure { Answer::Undetermined } else { Answer::Problem };
        let suffers = first.impact.sentence.as_ref().map(|sentence| format!(" {sentence}")).unwrap_or_default();
        let sentence = match serious.len() {
            1 => format!("{}.{suffers}", first.title),
            n => format!("{}. The most severe: {}.{suffers}", text::count(n, "problem"), first.title),
        };
        return Verdict { answer, sentence };
    }
    // Somebody holds it back, and what it says of itself follows from that.
    if let (Scope::Object(_), Some(held)) = (scope, open.iter().find(|problem| HELD.contains(&&*problem.failure))) {
        return quiet(Answer::Intentional, format!("{}.", held.title));
    }
    match scope {
        Scope::Cluster => none_found(view, None, "in the cluster"),
        Scope::Namespace(namespace) => match view.look_up(&ResourceRef::new(Kind::Namespace, None, namespace)) {
            Lookup::Found(object) if object.meta.deleted.is_some() => about(view, object),
            _ => none_found(view, Some(namespace), &format!("in namespace {namespace}")),
        },
        Scope::Object(target) => match view.look_up(target) {
            Lookup::Found(object) => about(view, object),
            Lookup::Absent { deleted: Some(at) } => {
                quiet(Answer::Undetermined, format!("{} was deleted at {at}.", describe::name(target)))
            }
            Lookup::Absent { deleted: None } => {
                quiet(Answer::Undetermined, format!("{} does not exist.", describe::name(target)))
            }
            Lookup::Unread => quiet(Answer::Undetermined, format!("{} could not be read.", describe::name(target))),
        },
    }
}

/// Failures that are a person's decision as long as they are no more than worth knowing.
const HELD: [&str; 5] =
    ["rollout-paused", "scheduling-gated", "update-not-applied", "cronjob-not-running", "scaled-to-zero"];

/// No problem is known; whether that says anything depends on whether what fails could be read.
fn none_found(view: &View<'_>, namespace: Option<&str>, place: &str) -> Verdict {
    let unread: Vec<String> =
        SUBJECTS.iter().filter(|kind| view.is_refused(kind, namespace)).map(Kind::resource).collect();
    match unread.as_slice() {
        [] => quiet(Answer::NoFault, format!("No fault found {place}.")),
        unread => quiet(
            Answer::Undetermined,
            format!("No fault found {place} in what could be read, and {} could not be.", text::enumerate(unread)),
        ),
    }
}

/// The kinds that fail, without which a silence says nothing.
const SUBJECTS: [Kind; 6] = [Kind::Pod, Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet, Kind::Job, Kind::CronJob];

fn quiet(answer: Answer, sentence: String) -> Verdict {
    Verdict { answer, sentence }
}

/// An object without a problem: done on purpose, under way, or fine.
fn about<'a>(view: &View<'a>, object: &'a Object) -> Verdict {
    let name = format!("{} {}", object.kind.singular(), describe::object(object));
    if object.meta.deleted.is_some() {
        let finalizers = &object.meta.finalizers;
        let s = if finalizers.len() > 1 { "s" } else { "" };
        let waits = match finalizers.is_empty() {
            true => String::new(),
            false => format!(", and waits for its finalizer{s} {}", text::enumerate(finalizers)),
        };
        return quiet(Answer::InProgress, format!("{name} is being deleted{waits}."));
    }
    if let Body::Service(service) = &object.body
        && let Some(verdict) = of_service(view, object, service, &name)
    {
        return verdict;
    }
    if let Some(verdict) = led::of(view, object, &name) {
        return verdict;
    }
    if let Some(pod) = object.pod().filter(|pod| pod.status.phase == "Failed") {
        let why = match (pod.status.reason.as_str(), pod.status.message.trim()) {
            ("", "") => String::new(),
            (reason, "") => format!(": {reason}"),
            ("", message) => format!(": {message}"),
            (reason, message) => format!(": {reason}, {message}"),
        };
        let why = why.trim_end_matches('.');
        return quiet(Answer::Undetermined, format!("{name} failed{why}, and why is not known."));
    }
    if let Some(complaint) = complaint::of(object) {
        let sentence = format!("{name} says of itself: {complaint}. No rule knows what stands behind it.");
        return quiet(Answer::Undetermined, sentence);
    }
    let top = view.workload_of(object);
    if let Some(sentence) = on_purpose(object, &name) {
        return quiet(Answer::Intentional, sentence);
    }
    if let Some(sentence) = under_way(view, object, &name) {
        return quiet(Answer::InProgress, sentence);
    }
    if top.reference() != object.reference() && object.kind != Kind::Pod {
        let owner = format!("{} {}", top.kind.singular(), describe::object(top));
        if let Some(sentence) = on_purpose(top, &owner) {
            return quiet(Answer::Intentional, sentence);
        }
    }
    quiet(Answer::NoFault, format!("No fault found: {name} {}.", state(object)))
}

/// A Service behind which there is nothing, or nothing ready, and nobody to blame for it.
fn of_service<'a>(view: &View<'a>, object: &'a Object, service: &Service, name: &str) -> Option<Verdict> {
    if service.spec.selector.is_empty() || service.spec.kind == "ExternalName" {
        return None;
    }
    let selector = LabelSelector::exact(&service.spec.selector);
    let pods = view.matching(&Kind::Pod, object.meta.namespace.as_deref(), &selector);
    let serving = pods.items.iter().filter_map(|pod| pod.pod()).filter(|pod| !pod.is_finished());
    let (ready, all) = serving.fold((0, 0), |(ready, all), pod| (ready + usize::from(pod.is_ready()), all + 1));
    if !pods.complete {
        return Some(quiet(Answer::Undetermined, format!("The pods of {name} could not be read.")));
    }
    if ready > 0 {
        let sentence = format!("No fault found: {name} has {}.", text::count(ready, "ready endpoint"));
        return Some(quiet(Answer::NoFault, sentence));
    }
    if all > 0 {
        let pods = if all == 1 { "its one pod is".to_owned() } else { format!("none of its {all} pods is") };
        let not = if all == 1 { " not" } else { "" };
        let sentence = format!("{name} has no ready endpoint yet: {pods}{not} ready.");
        return Some(quiet(Answer::InProgress, sentence));
    }
    let idle = [Kind::Deployment, Kind::StatefulSet].iter().find_map(|kind| {
        view.known(kind, object.meta.namespace.as_deref()).find(|workload| {
            workload.workload().is_some_and(|body| {
                body.spec.replicas == Some(0) && selector.matches(&body.spec.template.metadata.labels)
            })
        })
    });
    Some(match idle {
        Some(workload) => {
            let other = format!("{} {}", workload.kind.singular(), workload.meta.name);
            quiet(Answer::Intentional, format!("{name} has no endpoint: {other} is scaled to zero."))
        }
        None => quiet(Answer::Undetermined, format!("{name} has no endpoint: its selector matches no pod.")),
    })
}

fn on_purpose(object: &Object, name: &str) -> Option<String> {
    match &object.body {
        Body::Workload(workload) if object.kind == Kind::Job => {
            workload.spec.suspend.then(|| format!("{name} is suspended: it starts no pod until spec.suspend is false."))
        }
        Body::Workload(workload) if object.kind != Kind::DaemonSet => {
            (workload.spec.replicas == Some(0)).then(|| format!("{name} is scaled to zero."))
        }
        Body::CronJob(cron) => {
            cron.spec.suspend.then(|| format!("{name} is suspended: it starts no Job until spec.suspend is false."))
        }
        Body::Node(node) => node.spec.unschedulable.then(|| format!("{name} is cordoned.")),
        _ => None,
    }
}

fn under_way<'a>(view: &View<'a>, object: &'a Object, name: &str) -> Option<String> {
    let first = || waiting::of_workload(view, object).map(|pod| format!("; {pod}")).unwrap_or_default();
    match &object.body {
        Body::Workload(workload) if object.kind == Kind::Job => {
            let status = &workload.status;
            let ended = |c: &Condition| matches!(c.kind.as_str(), "Complete" | "Failed") && c.is_true();
            let done = status.completion_time.is_some() || status.conditions.iter().any(ended);
            let of = workload.spec.completions.filter(|wanted| *wanted > 1);
            let of = of.map(|wanted| format!(": {} of {wanted} completed", status.succeeded)).unwrap_or_default();
            (!done).then(|| format!("{name} is running{of}{}.", first()))
        }
        Body::Workload(workload) => {
            let wanted = match object.kind {
                Kind::DaemonSet => workload.status.desired_number_scheduled,
                _ => workload.spec.replicas.unwrap_or(1),
            };
            let status = &workload.status;
            // Nobody counts what is updated of a ReplicaSet or ReplicationController; and where updates wait for a person or
            // a partition, that they do is no roll-out.
            let counts = !matches!(object.kind.name(), "ReplicaSet" | "ReplicationController");
            let waits = object.whole().is_some_and(|whole| {
                let at = |pointer: &str| whole.pointer(pointer);
                at("/spec/updateStrategy/type").is_some_and(|kind| kind == "OnDelete")
                    || at("/spec/updateStrategy/rollingUpdate/partition")
                        .and_then(serde_json::Value::as_i64)
                        .is_some_and(|it| it > 0)
            });
            let behind = status.observed_generation < object.meta.generation
                || (counts && !waits && status.updated_replicas < wanted)
                || status.ready_replicas < wanted
                || status.replicas > wanted;
            behind.then(|| format!("{name} is rolling out: {} of {wanted} ready{}.", status.ready_replicas, first()))
        }
        Body::Pod(pod) => match (pod.status.phase.as_str(), waiting::of_pod(view, object, pod)) {
            ("Pending" | "Running", Some(waits)) => Some(format!("{name} {waits}.")),
            ("Pending", None) => Some(format!("{name} is starting.")),
            ("Running", None) if !pod.is_ready() => Some(format!("{name} is running and not ready yet.")),
            _ => None,
        },
        Body::Claim(claim) if claim.status.phase == "Pending" => {
            Some(format!("{name} {}.", waiting::of_claim(view, object, claim)))
        }
        Body::StorageClass(_) => waiting::of_class(view, object).map(|waits| format!("{name} {waits}.")),
        _ => None,
    }
}

fn state(object: &Object) -> String {
    match &object.body {
        Body::Pod(pod) if pod.status.phase == "Succeeded" => "completed".to_owned(),
        Body::Pod(pod) if pod.is_ready() => "is ready".to_owned(),
        Body::Workload(workload) if object.kind == Kind::Job => {
            if workload.status.completion_time.is_some() {
                "completed".to_owned()
            } else {
                "has ended".to_owned()
            }
        }
        Body::Workload(workload) => {
            format!("has {} ready", text::count(usize::try_from(workload.status.ready_replicas).unwrap_or(0), "pod"))
        }
        Body::Node(node) if Condition::find(&node.status.conditions, "Ready").is_some_and(Condition::is_true) => {
            "is ready".to_owned()
        }
        Body::Claim(claim) => format!("is {}", claim.status.phase.to_lowercase()),
        Body::Volume(volume) => {
            let claim = volume.spec.claim_ref.as_ref().map(|claim| format!("{}/{}", claim.namespace, claim.name));
            match (volume.status.phase.as_str(), claim) {
                ("Bound", Some(claim)) => format!("is bound to claim {claim}"),
                ("Released", Some(claim)) => format!("is released, and kept: its claim {claim} is gone"),
                ("Available", _) => "is available: no claim has taken it".to_owned(),
                _ => "looks as it should".to_owned(),
            }
        }
        Body::StorageClass(_) => "has no claim that waits for a volume".to_owned(),
        Body::CronJob(cron) => format!("waits for its next run, by schedule {}", cron.spec.schedule),
        _ => "looks as it should".to_owned(),
    }
}
