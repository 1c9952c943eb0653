//! The revisions of a pod template.

use super::writers;
use crate::ownership;
use crate::view::View;
use jiff::SignedDuration;
use reckon_model::diff::diff;
use reckon_model::object::at;
use reckon_model::{Actor, ActorSource, Change, FieldChange, Kind, Object, Timestamp, Verb};
use serde_json::Value;

/// A controller makes the revision of a new template within moments of the write; a manager's time this close is the
/// writer's.
const SAME_WRITE: SignedDuration = SignedDuration::from_secs(10);

/// A revision of a template, and the change that led to it.
pub(crate) struct Revised {
    /// Its number: a Deployment's or a ControllerRevision's; of a Job the second at which it was made.
    pub(crate) number: i64,
    /// When the ReplicaSet, ControllerRevision or Job was made that holds it; of a revision that was rolled back to, this is
    /// older than the rollout.
    pub(crate) created: Timestamp,
    /// The template, without what its controller adds.
    pub(crate) template: Value,
    /// Whether an earlier revision was written again.
    pub(crate) is_rolled_back: bool,
    /// What pods of this revision carry: their hash, or the name of the ControllerRevision or Job.
    marks: Vec<String>,
    /// How it differs from the revision before; `None` for the oldest, and where the difference or its time is not known.
    pub(crate) change: Option<Change>,
}

impl Revised {
    /// Whether a pod was made from this revision.
    pub(crate) fn made(&self, pod: &Object) -> bool {
        let label = |key: &str| pod.meta.labels.get(key);
        let owner = pod.meta.controller().map(|owner| &owner.name);
        [label("pod-template-hash"), label("controller-revision-hash"), owner]
            .into_iter()
            .flatten()
            .any(|mark| self.marks.contains(mark))
    }
}

/// One revision of a pod template.
struct Revision {
    number: i64,
    created: Timestamp,
    template: Value,
    marks: Vec<String>,
}

/// The revisions of a workload's pod template that are kept, oldest first.
pub(crate) fn templates<'a>(view: &View<'a>, workload: &'a Object) -> Vec<Revised> {
    let (field, pointer) = match workload.kind {
        Kind::CronJob => ("spec.jobTemplate.spec.template", "/spec/jobTemplate/spec/template"),
        _ => ("spec.template", "/spec/template"),
    };
    let revisions = revisions(view, workload);
    let newest = revisions.len();
    let mut revised: Vec<Revised> = Vec::with_capacity(newest);
    for (index, new) in revisions.into_iter().enumerate() {
        let live = index + 1 == newest;
        let change = revised.last().and_then(|old| {
            let fields = diff(&old.template, &new.template, field, pointer);
            let (actor, at) = writer(workload, &fields, new.created, old.created, live)?;
            Some(Change { at, subject: workload.reference(), verb: Verb::Updated, fields, actor })
        });
        let is_rolled_back = revised.last().is_some_and(|old| new.created < old.created);
        let Revision { number, created, template, marks } = new;
        revised.push(Revised { number, created, template, is_rolled_back, marks, change });
    }
    revised
}

/// Who made a revision, and when: for the live one the owner of its fields, for an older one whoever wrote when it was
/// made. A revision that is older than its predecessor was rolled back to: then its own age says nothing, and without the
/// writer's time there is no change to tell.
fn writer(
    workload: &Object,
    fields: &[FieldChange],
    created: Timestamp,
    before: Timestamp,
    live: bool,
) -> Option<(Option<Actor>, Timestamp)> {
    if fields.is_empty() {
        return None;
    }
    let rolled_back = created < before;
    let owner = if live {
        fields.iter().filter_map(|field| ownership::field_owner(workload, &field.pointer)).max_by_key(|(_, at)| *at)
    } else {
        None
    };
    match owner {
        Some((actor, Some(at))) if rolled_back => return (at >= before).then_some((Some(actor), at)),
        _ if rolled_back => return None,
        // A manager's time is that of its last write, which may be a later one; it is never after the revision it made.
        Some((actor, Some(at))) if at.duration_since(created).abs() <= SAME_WRITE && at <= created => {
            return Some((Some(actor), at));
        }
        Some((actor, _)) if workload.kind != Kind::CronJob => return Some((Some(actor), created)),
        // A Job is made when it is due, long after the CronJob was written.
        Some((actor, Some(at))) if before <= at && at <= created => return Some((Some(actor), at)),
        _ => {}
    }
    let close = writers(workload).find(|(_, at)| at.duration_since(created).abs() <= SAME_WRITE);
    let actor =
        close.map(|(manager, _)| Actor { manager: manager.to_owned(), user: None, source: ActorSource::ManagedFields });
    Some((actor, created))
}

/// The revisions of a workload's template, oldest first.
fn revisions<'a>(view: &View<'a>, workload: &'a Object) -> Vec<Revision> {
    let namespace = workload.meta.namespace.as_deref();
    let selector = workload.workload().map(|workload| &workload.spec.selector);
    let mut revisions: Vec<Revision> = match (&workload.kind, selector) {
        (Kind::Deployment, Some(selector)) => view
            .matching(&Kind::ReplicaSet, namespace, selector)
            .items
            .into_iter()
            .filter(|set| controls(workload, set))
            .filter_map(replica_set)
            .collect(),
        (Kind::StatefulSet | Kind::DaemonSet, Some(selector)) => view
            .matching(&Kind::ControllerRevision, namespace, selector)
            .items
            .into_iter()
            .filter(|revision| controls(workload, revision))
            .filter_map(controller_revision)
            .collect(),
        (Kind::CronJob, _) => {
            view.children(&workload.reference()).filter(|job| controls(workload, job)).filter_map(job).collect()
        }
        _ => Vec::new(),
    };
    revisions.sort_by(|a, b| (a.number, a.created, &a.marks).cmp(&(b.number, b.created, &b.marks)));
    revisions
}

fn replica_set(set: &Object) -> Option<Revision> {
    let number = set.meta.annotations.get("deployment.kubernetes.io/revision")?.parse().ok()?;
    let template = without_labels(at(&*set.whole()?, &["spec", "template"])?, &["pod-template-hash"]);
    let marks = set.meta.labels.get("pod-template-hash").into_iter().chain([&set.meta.name]).cloned().collect();
    Some(Revision { number, created: set.meta.created?, template, marks })
}

fn controller_revision(revision: &Object) -> Option<Revision> {
    let whole = revision.whole()?;
    let mut template = at(&whole, &["data", "spec", "template"])?.clone();
    if let Some(fields) = template.as_object_mut() {
        // A directive of the patch format that revisions are stored in.
        fields.remove("$patch");
    }
    // Pods of a StatefulSet carry the name, those of a DaemonSet the hash.
    let hash = revision.meta.labels.get("controller-revision-hash");
    let marks = hash.into_iter().chain([&revision.meta.name]).cloned().collect();
    Some(Revision { number: whole.get("revision")?.as_i64()?, created: revision.meta.created?, template, marks })
}

/// A Job of a CronJob: as old as the moment it was due.
fn job(job: &Object) -> Option<Revision> {
    let own = ["controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"];
    let template = without_labels(at(&*job.whole()?, &["spec", "template"])?, &own);
    let created = job.meta.created?;
    Some(Revision { number: created.as_second(), created, template, marks: vec![job.meta.name.clone()] })
}

/// A template without the labels that its controller adds.
fn without_labels(template: &Value, own: &[&str]) -> Value {
    let mut template = template.clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        own.iter().for_each(|label| drop(labels.remove(*label)));
    }
    template
}

fn controls(workload: &Object, child: &Object) -> bool {
    child.meta.controller().is_some_and(|owner| owner.uid == workload.meta.uid)
}
