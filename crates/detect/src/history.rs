//! What Kubernetes itself remembers of earlier states.
//!
//! ReplicaSets and ControllerRevisions hold old pod templates; `last-applied-configuration` holds what `kubectl apply` sent;
//! `managedFields` hold who wrote a field last, and when; Helm's Secrets hold manifests. From these, changes are told by a
//! program that was started a second ago.

use crate::ownership;
use crate::view::View;
use jiff::SignedDuration;
use reckon_model::diff::diff;
use reckon_model::object::at;
use reckon_model::selector::LabelSelector;
use reckon_model::{Actor, Change, FieldChange, Kind, Object, Timestamp, Verb};
use serde_json::Value;
use std::collections::BTreeMap;

/// A controller makes the revision of a new template within moments of the write; a manager's time this close is the
/// writer's.
const SAME_WRITE: SignedDuration = SignedDuration::from_secs(10);

/// Objects are finished being created (by several managers in a row) within this time; later writes are changes.
const CREATION: SignedDuration = SignedDuration::from_secs(2);

/// The changes of an object that can be told from what the cluster keeps, oldest first.
pub fn changes<'a>(view: &View<'a>, object: &'a Object) -> Vec<Change> {
    let mut changes = templates(view, object);
    changes.extend(since_applied(object, &changes));
    if changes.is_empty() {
        changes.extend(helm(view, object));
    }
    if changes.is_empty() {
        changes.extend(written(object));
    }
    changes.sort_by_key(|change| change.at);
    changes
}

/// One revision of a pod template.
struct Revision {
    number: i64,
    created: Timestamp,
    template: Value,
}

/// The changes of a workload's pod template, one for each pair of revisions.
fn templates<'a>(view: &View<'a>, workload: &'a Object) -> Vec<Change> {
    let revisions = revisions(view, workload);
    let newest = revisions.last().map(|revision| revision.number);
    revisions
        .windows(2)
        .filter_map(|pair| {
            let [old, new] = pair else { return None };
            let fields = diff(&old.template, &new.template, "spec.template", "/spec/template");
            if fields.is_empty() {
                return None;
            }
            let live = newest == Some(new.number);
            let (actor, at) = writer(workload, &fields, new.created, old.created, live);
            Some(Change { at, subject: workload.reference(), verb: Verb::Updated, fields, actor })
        })
        .collect()
}

/// Who made a revision, and when. For the live one the owner of its fields; for an older one whoever wrote when it was
/// made. A revision that is older than its predecessor was rolled back to: then only the writer's time is true.
fn writer(
    workload: &Object,
    fields: &[FieldChange],
    created: Timestamp,
    before: Timestamp,
    live: bool,
) -> (Option<Actor>, Timestamp) {
    let rolled_back = created < before;
    if live
        && let Some((actor, at)) =
            fields.iter().filter_map(|field| ownership::field_owner(workload, &field.pointer)).max_by_key(|(_, at)| *at)
    {
        let near = at.is_some_and(|at| at.duration_since(created).abs() <= SAME_WRITE);
        return match at {
            Some(at) if near || rolled_back => (Some(actor), if rolled_back { at } else { created.min(at) }),
            _ => (Some(actor), created),
        };
    }
    let close = workload
        .meta
        .managers
        .iter()
        .filter(|manager| manager.subresource != "status")
        .find(|manager| manager.time.is_some_and(|at| at.duration_since(created).abs() <= SAME_WRITE));
    let actor = close.map(|manager| Actor { manager: manager.manager.clone(), user: None, source: "managedFields" });
    (actor, created)
}

/// The revisions of a workload's template, oldest first.
fn revisions<'a>(view: &View<'a>, workload: &'a Object) -> Vec<Revision> {
    let namespace = workload.meta.namespace.as_deref();
    let Some(body) = workload.workload() else { return Vec::new() };
    let mut revisions: Vec<Revision> = match workload.kind {
        Kind::Deployment => view
            .matching(&Kind::ReplicaSet, namespace, &body.spec.selector)
            .items
            .into_iter()
            .filter(|set| controls(workload, set))
            .filter_map(|set| {
                let number = set.meta.annotations.get("deployment.kubernetes.io/revision")?.parse().ok()?;
                let mut template = at(set.whole.as_deref()?, &["spec", "template"])?.clone();
                if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
                    labels.remove("pod-template-hash");
                }
                Some(Revision { number, created: set.meta.created?, template })
            })
            .collect(),
        Kind::StatefulSet | Kind::DaemonSet => view
            .matching(&Kind::ControllerRevision, namespace, &body.spec.selector)
            .items
            .into_iter()
            .filter(|revision| controls(workload, revision))
            .filter_map(|revision| {
                let whole = revision.whole.as_deref()?;
                let mut template = at(whole, &["data", "spec", "template"])?.clone();
                if let Some(fields) = template.as_object_mut() {
                    // A directive of the patch format that revisions are stored in.
                    fields.remove("$patch");
                }
                Some(Revision { number: whole.get("revision")?.as_i64()?, created: revision.meta.created?, template })
            })
            .collect(),
        _ => Vec::new(),
    };
    revisions.sort_by_key(|revision| revision.number);
    revisions
}

fn controls(workload: &Object, child: &Object) -> bool {
    child.meta.controller().is_some_and(|owner| owner.uid == workload.meta.uid)
}

/// What differs between the live object and what `kubectl apply` sent last: a later write by somebody else. What the
/// template's revisions tell already is left to them.
fn since_applied(object: &Object, told: &[Change]) -> Vec<Change> {
    let (Some(applied), Some(live)) = (object.last_applied(), object.whole.as_deref()) else { return Vec::new() };
    let mut by_write: BTreeMap<(Timestamp, Option<Actor>), Vec<FieldChange>> = BTreeMap::new();
    for part in ["spec", "data", "rules", "subjects", "roleRef", "webhooks", "provisioner", "parameters"] {
        let (Some(old), Some(new)) = (applied.get(part), live.get(part)) else { continue };
        for field in diff(old, new, part, &format!("/{part}")) {
            // What only the live object has is a default, or another manager's own business; who applied left it open.
            if field.from.is_none()
                || told.iter().any(|change| change.fields.iter().any(|known| known.pointer == field.pointer))
            {
                continue;
            }
            let Some((actor, Some(at))) = ownership::field_owner(object, &field.pointer) else { continue };
            by_write.entry((at, Some(actor))).or_default().push(field);
        }
    }
    by_write
        .into_iter()
        .map(|((at, actor), fields)| Change { at, subject: object.reference(), verb: Verb::Updated, fields, actor })
        .collect()
}

/// That somebody wrote after the creation, when nothing tells what.
fn written(object: &Object) -> Option<Change> {
    let created = object.meta.created?;
    let last = object
        .meta
        .managers
        .iter()
        .filter(|manager| manager.subresource != "status")
        .max_by_key(|manager| manager.time)?;
    let at = last.time.filter(|at| at.duration_since(created) > CREATION)?;
    let actor = Some(Actor { manager: last.manager.clone(), user: None, source: "managedFields" });
    Some(Change { at, subject: object.reference(), verb: Verb::Updated, fields: Vec::new(), actor })
}

/// The difference between the last two revisions of the Helm release an object belongs to.
fn helm<'a>(view: &View<'a>, object: &'a Object) -> Option<Change> {
    let release = ownership::helm_release(object)?;
    let namespace = object
        .meta
        .annotations
        .get("meta.helm.sh/release-namespace")
        .map(String::as_str)
        .or(object.meta.namespace.as_deref())?;
    let labels = BTreeMap::from([("owner".to_owned(), "helm".to_owned()), ("name".to_owned(), release.to_owned())]);
    let mut secrets = view.matching(&Kind::Secret, Some(namespace), &LabelSelector::exact(&labels)).items;
    secrets.sort_by_key(|secret| secret.meta.labels.get("version").and_then(|version| version.parse::<u64>().ok()));
    let [.., old, new] = secrets.as_slice() else { return None };
    let find = |secret: &Object| {
        let manifest = view.helm_revision(namespace, &secret.meta.name)?;
        manifest.iter().find(|candidate| {
            candidate.get("kind").and_then(Value::as_str) == Some(object.kind.name())
                && candidate.pointer("/metadata/name").and_then(Value::as_str) == Some(object.meta.name.as_str())
        })
    };
    let (before, after) = (find(old), find(new));
    let fields = diff(before?, after?, "", "");
    let actor = Some(Actor { manager: "helm".to_owned(), user: None, source: "helm" });
    (!fields.is_empty()).then_some(Change {
        at: new.meta.created?,
        subject: object.reference(),
        verb: Verb::Updated,
        fields,
        actor,
    })
}
