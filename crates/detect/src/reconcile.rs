//! What became of the problems that were known.
//!
//! A pure function of the problems before, the problems now and the state. Absence of a symptom is not recovery: a problem
//! closes on a positive signal, which its reason names, and stays open without one.

mod signals;

use crate::View;
use crate::lease::Lease;
use crate::view::Lookup;
use jiff::SignedDuration;
use reckon_model::document::{Alternative, Problem, Severity};
use reckon_model::k8s::Condition;
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Kind, Object, ResourceRef, Timestamp};
use std::collections::BTreeMap;

/// How long pods have to be ready before that counts as recovery: two default probe periods (10 s each).
const RECOVERY: SignedDuration = SignedDuration::from_secs(20);

/// The problems after this run. `part_of` says which id turned out to be a symptom of which problem.
pub(crate) fn problems(
    view: &View<'_>,
    before: Vec<Problem>,
    now_open: Vec<Problem>,
    part_of: &BTreeMap<String, String>,
) -> Vec<Problem> {
    let mut known: BTreeMap<String, Problem> =
        before.into_iter().map(|problem| (problem.id.clone(), problem)).collect();
    let mut after: Vec<Problem> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for mut problem in now_open {
        // Two roots of one family on one container are one problem with two causes: both have to be seen to.
        if let Some(first) = places.get(&problem.id).and_then(|at| after.get_mut(*at)) {
            let Problem { cause, verdict, alternatives, .. } = problem;
            let also = Alternative { reference: cause.reference, verdict, sentence: cause.sentence };
            for other in std::iter::once(also).chain(alternatives) {
                if !first.alternatives.contains(&other) && other.sentence != first.cause.sentence {
                    first.alternatives.push(other);
                }
            }
            continue;
        }
        if let Some(earlier) = known.remove(&problem.id) {
            if earlier.closed.is_none() {
                problem.episode = earlier.episode;
                problem.opened = [problem.opened, earlier.opened].into_iter().flatten().min();
            } else {
                problem.episode = earlier.episode + 1;
            }
        }
        places.insert(problem.id.clone(), after.len());
        after.push(problem);
    }
    for mut problem in known.into_values() {
        if problem.closed.is_none() {
            if let Some(whole) = part_of.get(&problem.id) {
                problem.merged_into = Some(whole.clone());
                close(&mut problem, view.now(), format!("turned out to be part of problem {whole}"));
            } else if let Some(reason) = recovery(view, &problem) {
                close(&mut problem, view.now(), reason);
            }
        }
        after.push(problem);
    }
    after
}

fn close(problem: &mut Problem, at: Timestamp, reason: String) {
    problem.closed = Some(at);
    problem.closed_reason = Some(reason);
}

/// The positive signal that a problem is over, in words; `None` while there is none.
fn recovery(view: &View<'_>, problem: &Problem) -> Option<String> {
    let reference = ResourceRef::from(&problem.subject.reference);
    let subject = match view.look_up(&reference) {
        Lookup::Found(subject) => subject,
        Lookup::Absent { .. } if problem.failure == "node-gone" => {
            return Some(format!("no pod is bound to {reference} any more"));
        }
        Lookup::Absent { .. } => return Some(format!("{reference} was deleted")),
        Lookup::Unread => return None,
    };
    if let Some(signal) = signals::own(view, problem, subject) {
        return signal;
    }
    match &subject.body {
        Body::Pod(pod) if pod.status.phase == "Succeeded" => Some(format!("{reference} completed")),
        Body::Pod(_) => ready_long_enough(view, &[subject]).then(|| format!("{reference} is ready")),
        Body::Workload(workload) if subject.kind == Kind::Job => {
            let complete = Condition::find(&workload.status.conditions, "Complete").is_some_and(Condition::is_true);
            complete.then(|| format!("{reference} completed"))
        }
        Body::Workload(workload) => {
            let wanted = match subject.kind {
                Kind::DaemonSet => workload.status.desired_number_scheduled,
                _ => workload.spec.replicas.unwrap_or(1),
            };
            if wanted == 0 {
                return Some(format!("{reference} was scaled to zero"));
            }
            let current = workload.status.observed_generation >= subject.meta.generation;
            // What has ended is left over: of these workloads no pod ends well.
            let lives = |pod: &&Object| pod.meta.deleted.is_none() && pod.pod().is_some_and(|body| !body.is_finished());
            let pods: Vec<&Object> = view.pods_of(subject).items.into_iter().filter(lives).collect();
            let enough = workload.status.ready_replicas >= wanted && i64::try_from(pods.len()).unwrap_or(0) >= wanted;
            (current && enough && ready_long_enough(view, &pods)).then(|| match pods.len() {
                1 => format!("the pod of {reference} is ready"),
                n => format!("all {n} pods of {reference} are ready"),
            })
        }
        Body::CronJob(cron) => {
            let succeeded = cron.status.last_successful_time?;
            (problem.opened? < succeeded).then(|| format!("a later run of {reference} succeeded"))
        }
        Body::Node(node) => {
            let ready = Condition::find(&node.status.conditions, "Ready").is_some_and(Condition::is_true);
            let pressed = ["MemoryPressure", "DiskPressure", "PIDPressure"]
                .iter()
                .any(|kind| Condition::find(&node.status.conditions, kind).is_some_and(Condition::is_true));
            (ready && !pressed).then(|| format!("{reference} is ready"))
        }
        Body::Claim(claim) => (claim.status.phase == "Bound").then(|| format!("{reference} is bound")),
        Body::Service(service) => {
            let selector = LabelSelector::exact(&service.spec.selector);
            let pods = view.matching(&Kind::Pod, subject.meta.namespace.as_deref(), &selector);
            let ready = pods.items.iter().filter(|pod| pod.pod().is_some_and(reckon_model::k8s::Pod::is_ready)).count();
            (ready > 0).then(|| format!("{reference} has {} again", reckon_model::text::count(ready, "ready endpoint")))
        }
        Body::Bare if subject.kind == Lease::kind() => {
            let renewed = Lease::of(subject)?.renewed;
            // Renewed before the problem began is how it began.
            (renewed > problem.opened? && Lease::of(subject)?.expires() > view.now())
                .then(|| format!("{reference} is renewed again"))
        }
        // Kinds without rules of their own say by a condition that they are well.
        Body::Config(_) if problem.failure == "manifest-rejected" => {
            let labels = ["owner", "name"].map(|key| Some((key.to_owned(), subject.meta.labels.get(key)?.clone())));
            let selector = LabelSelector::exact(&labels.into_iter().flatten().collect());
            let revisions = view.matching(&Kind::Secret, subject.meta.namespace.as_deref(), &selector).items;
            let number = |secret: &Object| secret.meta.labels.get("version").and_then(|it| it.parse::<u64>().ok());
            let deployed = |secret: &&Object| {
                secret.meta.labels.get("status").is_some_and(|it| it == "deployed") && number(secret) > number(subject)
            };
            let later = revisions.into_iter().find(deployed)?;
            Some(format!("revision {} of the release was deployed", number(later)?))
        }
        Body::Bare if subject.meta.deleted.is_none() => {
            let well = well(subject).map(|condition| format!("{reference} is {}", condition.to_lowercase()));
            well.or_else(|| (problem.severity == Severity::Info).then(|| "no longer so".to_owned()))
        }
        // What is merely worth knowing closes when it is no longer so: nobody suffered from it.
        _ => (problem.severity == Severity::Info).then(|| "no longer so".to_owned()),
    }
}

/// The condition by which an object without rules of its own says that it is well.
fn well(subject: &Object) -> Option<&'static str> {
    let whole = subject.whole()?;
    let is = |of: &serde_json::Value, key: &str, value: &str| {
        of.pointer(key).and_then(serde_json::Value::as_str) == Some(value)
    };
    // Argo CD tells by the phase of its last operation.
    if is(&whole, "/status/operationState/phase", "Succeeded") {
        return Some("Synced");
    }
    let conditions = whole.pointer("/status/conditions")?.as_array()?;
    ["Ready", "Available", "Established"].into_iter().find(|kind| {
        conditions.iter().any(|condition| is(condition, "/type", kind) && is(condition, "/status", "True"))
    })
}

fn ready_long_enough(view: &View<'_>, pods: &[&Object]) -> bool {
    !pods.is_empty()
        && pods.iter().all(|object| {
            let Some(pod) = object.pod() else { return false };
            if pod.status.phase == "Succeeded" {
                return true;
            }
            let Some(since) = pod.condition("Ready").filter(|ready| ready.is_true()).and_then(|ready| ready.since)
            else {
                return false;
            };
            let due = since.checked_add(RECOVERY).unwrap_or(since);
            view.recheck_at(due);
            view.reached(due)
        })
}
