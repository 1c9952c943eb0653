//! Controllers that do not get ahead.

pub(crate) mod deadlock;

use super::admission;
use super::last_write::LastWrite;
use crate::catalogue::{Failure, Stage, Verified};
use crate::spot;
use crate::{Detector, Fact, Finding, Place, View, describe, ownership};
use jiff::SignedDuration;
use reckon_model::diff::diff;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Condition, Pod, Workload};
use reckon_model::object::at;
use reckon_model::{Kind, Object, Timestamp, text};
use serde_json::{Value, json};

pub(crate) static DETECTOR: Detector = Detector {
    name: "rollout",
    failures: &[
        echo("rollout-stalled", "A rollout has not finished in time", include_str!("../pages/rollout-stalled.md")),
        echo("replicas-missing", "Fewer pods serve than are wanted", include_str!("../pages/replicas-missing.md")),
        Failure {
            slug: "rollout-paused",
            title: "A rollout is paused",
            stage: Stage::Rollout,
            family: "rollout-paused",
            echo: false,
            verified: Verified::Live,
            page: include_str!("../pages/rollout-paused.md"),
        },
    ],
    subjects: &[Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet],
    others: &[],
    detect,
};

/// What merely follows from the state of pods, whichever name the controller gives it.
const fn echo(slug: &'static str, title: &'static str, page: &'static str) -> Failure {
    Failure { slug, title, stage: Stage::Rollout, family: "rollout", echo: true, verified: Verified::Constructed, page }
}

/// How long pods may take to be ready where no deadline is set: the default `progressDeadlineSeconds`.
const DEADLINE: SignedDuration = SignedDuration::from_secs(600);

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(workload) = subject.workload() else { return Vec::new() };
    let status = &workload.status;
    // A status that speaks of an earlier spec says nothing of this one.
    if subject.meta.deleted.is_some() || status.observed_generation < subject.meta.generation {
        return Vec::new();
    }
    let wanted = match subject.kind {
        Kind::DaemonSet => status.desired_number_scheduled,
        _ => workload.spec.replicas.unwrap_or(1),
    };
    if wanted == 0 {
        return Vec::new();
    }
    // Pods that are refused are missed whether a new template waits or not: that is told there, and nothing here.
    let behind = status.ready_replicas < wanted || status.updated_replicas < wanted;
    if behind && admission::is_refused(view, subject) {
        return Vec::new();
    }
    if let Some(finding) = paused(view, subject, workload) {
        return vec![finding];
    }
    if !behind {
        return Vec::new();
    }
    stalled(view, subject, workload).or_else(|| missing(view, subject, workload, wanted)).into_iter().collect()
}

/// A new template waits for a person.
fn paused<'a>(view: &View<'a>, subject: &'a Object, workload: &Workload) -> Option<Finding> {
    if subject.kind != Kind::Deployment || !workload.spec.paused {
        return None;
    }
    let newest = view
        .matching(&Kind::ReplicaSet, subject.meta.namespace.as_deref(), &workload.spec.selector)
        .items
        .into_iter()
        .filter(|set| set.meta.controller().is_some_and(|owner| owner.uid == subject.meta.uid))
        .max_by_key(|set| revision(set))?;
    let waiting = diff(&template(newest)?, &template(subject)?, "spec.template", "/spec/template");
    let first = waiting.first()?;
    let name = describe::object(subject);
    let title = format!("{name}: a new template waits because the rollout is paused");
    let write = LastWrite::of(subject, "spec.paused", "/spec/paused", Some(json!(true)));
    let cause = match &write {
        Some(write) => write.cause(format!(
            "The rollout was paused {}; changes of the template wait until it is resumed.",
            write.words()
        )),
        None => {
            let sentence = "The rollout is paused; changes of the template wait until it is resumed.";
            let mut cause = Cause::plain(CauseKind::Resource, Some(&subject.reference()), sentence);
            cause.managed_by = ownership::managed_by(subject);
            cause.at_field("spec.paused", "/spec/paused", Some(json!(true)))
        }
    };
    let mut finding = Finding::new("rollout-paused", Place::of(subject), title, cause);
    finding.severity = Severity::Info;
    finding.verdict = Verdict::Confirmed;
    let since = Condition::find(&workload.status.conditions, "Progressing")
        .filter(|condition| condition.reason == "DeploymentPaused")
        .and_then(|condition| condition.since);
    finding.opened = since.or(write.as_ref().map(LastWrite::at));
    let more = match waiting.len() {
        1 => String::new(),
        n => format!(" and {} more", text::count(n - 1, "field")),
    };
    let text = format!("the template differs from the newest ReplicaSet's in {}{more}", first.field);
    finding.evidence.push(Fact::new(Role::Symptom, Source::Spec, None, newest, text));
    let mut remedy = spot::remedy(RemedyKind::Patch, &subject.reference(), "Resume it: kubectl rollout resume.");
    remedy.patch_type = Some("merge".to_owned());
    remedy.patch = Some(json!({"spec": {"paused": false}}));
    remedy.managed_by = ownership::managed_by(subject);
    finding.remedies.push(remedy);
    Some(finding)
}

fn revision(set: &Object) -> Option<i64> {
    set.meta.annotations.get("deployment.kubernetes.io/revision")?.parse().ok()
}

/// The pod template without the label that the Deployment's controller adds.
fn template(object: &Object) -> Option<Value> {
    let mut template = at(&*object.whole()?, &["spec", "template"])?.clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove("pod-template-hash");
    }
    Some(template)
}

/// A rollout that its controller calls failed, or that has not moved for as long as a Deployment's may.
fn stalled<'a>(view: &View<'a>, subject: &'a Object, workload: &Workload) -> Option<Finding> {
    let status = &workload.status;
    let name = describe::object(subject);
    let (since, said, unready) = match subject.kind {
        Kind::Deployment => {
            let progressing = Condition::find(&status.conditions, "Progressing")
                .filter(|condition| condition.status == "False" && condition.reason == "ProgressDeadlineExceeded")?;
            (
                progressing.since,
                format!("ProgressDeadlineExceeded: {}", progressing.message.trim()),
                unready(view, subject),
            )
        }
        Kind::StatefulSet
            if !status.update_revision.is_empty() && status.update_revision != status.current_revision =>
        {
            let unready = unready(view, subject);
            let since = waited(view, &unready)?;
            (Some(since), format!("revision {} is not reached", status.update_revision), unready)
        }
        _ => return None,
    };
    let title = format!(
        "{name}: the rollout has not finished in time, {} of {} updated and {} ready",
        status.updated_replicas,
        text::count(usize::try_from(workload.spec.replicas.unwrap_or(1)).unwrap_or(0), "pod"),
        status.ready_replicas
    );
    let mut finding = follows(subject, "rollout-stalled", title, since, &unready);
    finding.evidence.push(Fact::new(Role::Symptom, Source::Condition, since, subject, said));
    Some(finding)
}

/// Pods that are wanted and do not serve, although no rollout is under way.
fn missing<'a>(view: &View<'a>, subject: &'a Object, workload: &Workload, wanted: i64) -> Option<Finding> {
    let status = &workload.status;
    if status.ready_replicas >= wanted {
        return None;
    }
    if subject.kind == Kind::Deployment {
        let progressing = Condition::find(&status.conditions, "Progressing");
        // Until its deadline a rollout may take its time; the controller tells when it passed.
        if progressing.is_some_and(|condition| condition.is_true() && condition.reason != "NewReplicaSetAvailable") {
            return None;
        }
    }
    let unready = unready(view, subject);
    let since = match unready.is_empty() {
        false => waited(view, &unready)?,
        true => {
            let since = Condition::find(&status.conditions, "Available").filter(|c| c.status == "False")?.since?;
            let due = since.checked_add(DEADLINE).ok()?;
            view.recheck_at(due);
            (view.reached(due)).then_some(since)?
        }
    };
    // One serves and the others stand by, up and unready: that is how a leader is elected.
    let standing_by = |pod: &&Object| {
        pod.pod().is_some_and(|pod| {
            pod.status.phase == "Running"
                && pod.containers().all(|(_, _, status)| {
                    status.is_none_or(|status| status.restart_count == 0 && status.state.waiting.is_none())
                })
        })
    };
    if status.ready_replicas > 0 && !unready.is_empty() && unready.iter().all(standing_by) {
        return None;
    }
    let name = describe::object(subject);
    let title = format!(
        "{name}: {} of {} ready",
        status.ready_replicas,
        text::count(usize::try_from(wanted).unwrap_or(0), "pod")
    );
    let mut finding = follows(subject, "replicas-missing", title, Some(since), &unready);
    if status.ready_replicas > 0 {
        finding.severity = Severity::Warning;
    }
    let text = format!("{} wanted, {} ready", wanted, status.ready_replicas);
    finding.evidence.push(Fact::new(Role::Symptom, Source::Status, Some(since), subject, text));
    Some(finding)
}

/// The pods of a workload that are not ready.
fn unready<'a>(view: &View<'a>, subject: &'a Object) -> Vec<&'a Object> {
    let alive = |pod: &&Object| {
        pod.meta.deleted.is_none() && pod.pod().is_some_and(|pod| !pod.is_ready() && !Pod::is_finished(pod))
    };
    view.pods_of(subject).items.into_iter().filter(alive).collect()
}

/// Since when the pod that waits longest waits, once that is longer than it may take.
fn waited(view: &View<'_>, pods: &[&Object]) -> Option<Timestamp> {
    let since = |pod: &&Object| pod.pod()?.condition("Ready").and_then(|ready| ready.since).or(pod.meta.created);
    let since = pods.iter().filter_map(since).min()?;
    let due = since.checked_add(DEADLINE).ok()?;
    view.recheck_at(due);
    (view.reached(due)).then_some(since)
}

/// A finding that says what follows from the state of pods, and nothing of why.
fn follows(subject: &Object, slug: &'static str, title: String, since: Option<Timestamp>, pods: &[&Object]) -> Finding {
    let sentence = "Why its pods are not ready was not found.";
    let cause = Cause::plain(CauseKind::Unknown, Some(&subject.reference()), sentence);
    let mut finding = Finding::new(slug, Place::of(subject), title, cause);
    finding.verdict = Verdict::Unknown;
    finding.severity = spot::severity(subject);
    finding.opened = since;
    finding.shows_on.extend(pods.iter().map(|pod| pod.reference()));
    finding
}
