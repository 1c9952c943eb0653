//! Rollouts of Deployments, StatefulSets and DaemonSets: one entry for each state they come to.
//!
//! What tells of one is the object in which the controller keeps the template (a ReplicaSet or ControllerRevision): it is
//! made for a template that is new, and gets a higher number when an old one is wanted again. So one look has both templates,
//! whichever watch is ahead.

use crate::actor;
use crate::bound;
use crate::look::Look;
use reckon_model::diff::diff;
use reckon_model::k8s::{Condition, Workload};
use reckon_model::record::{Entry, Fact, Rollout, RolloutState};
use reckon_model::{FieldChange, Kind, Object, ResourceRef, SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How long a rollout waits for the workload that it is of, so that it can be said who wrote it.
const WAITS: SignedDuration = SignedDuration::from_secs(10);

const REVISION: &str = "deployment.kubernetes.io/revision";

/// What is under way.
#[derive(Debug, Default)]
pub(crate) struct Rollouts {
    /// Those of which the workload's own write was not seen yet.
    held: BTreeMap<ResourceRef, Held>,
    /// DaemonSets that are being rolled out: their counts alone would take a lost node for a rollout.
    rolling: BTreeSet<ResourceRef>,
}

#[derive(Debug)]
struct Held {
    until: Timestamp,
    entry: Entry,
    fields: Vec<FieldChange>,
    template: Value,
}

impl Rollouts {
    /// A revision came, or was numbered anew.
    pub(crate) fn revision(&mut self, look: &Look<'_>, before: Option<&Object>, object: &Object) -> Vec<Entry> {
        // Most changes are of the status, and numbers stay as they are.
        let same = |before: &Object| before.meta.annotations.get(REVISION) == object.meta.annotations.get(REVISION);
        if object.kind == Kind::ReplicaSet && before.is_some_and(same) {
            return Vec::new();
        }
        let Some((number, template)) = revision(object) else { return Vec::new() };
        let rose = before.is_none_or(|before| revision(before).is_some_and(|(old, _)| old < number));
        let Some(owner) = object.meta.controller().filter(|_| rose) else { return Vec::new() };
        let workload = owner.reference(object.meta.namespace.as_deref());
        let others = look
            .state
            .children(&workload)
            .filter(|other| other.kind == object.kind && other.meta.name != object.meta.name);
        let mut others: Vec<(i64, Value, &Object)> =
            others.filter_map(|other| revision(other).map(|(number, template)| (number, template, other))).collect();
        others.sort_by_key(|(number, _, other)| (*number, other.meta.name.clone()));
        // An older one that is heard of late is no rollout.
        if others.last().is_some_and(|(newest, ..)| *newest >= number) {
            return Vec::new();
        }
        let (from, old) = match others.pop() {
            Some((number, template, other)) => (Some(called(number, other)), template),
            None => (None, Value::Null),
        };
        let fields = diff(&old, &template, "spec.template", "/spec/template");
        let mut rollout = Rollout {
            state: if before.is_some() { RolloutState::RolledBack } else { RolloutState::Started },
            to: called(number, object),
            from,
            images: images(&old, &template),
            fields: Vec::new(),
            actor: None,
            why: None,
        };
        if !old.is_null() {
            rollout.fields = fields.iter().filter(|field| !is_image(field)).cloned().collect();
            rollout.fields.iter_mut().for_each(bound::field);
        }
        if object.kind == Kind::ControllerRevision && workload.kind == Kind::DaemonSet {
            self.rolling.insert(workload.clone());
        }
        let at = look.moment(object.meta.created.filter(|_| before.is_none()));
        let until = look.now.checked_add(WAITS).unwrap_or(Timestamp::MAX);
        let subject = look.state.get(&workload).map_or(workload.clone(), Object::reference);
        let entry = Entry { at, subject, workload: None, fact: Fact::Rollout(rollout) };
        // One that was held still gives way to the newer.
        let mut told: Vec<Entry> = self.held.remove(&workload).map(|held| held.entry).into_iter().collect();
        self.held.insert(workload.clone(), Held { until, entry, fields, template });
        told.extend(self.try_tell(look, &workload));
        told
    }

    /// Tells of a rollout that was held, if the workload has its template by now.
    fn try_tell(&mut self, look: &Look<'_>, workload: &ResourceRef) -> Option<Entry> {
        let held = self.held.get(workload)?;
        let object = look.state.get(workload)?;
        let live = object.whole()?;
        if !diff(&held.template, live.pointer("/spec/template")?, "", "").is_empty() {
            return None;
        }
        let Held { mut entry, fields, .. } = self.held.remove(workload)?;
        let wrote = fields.iter().filter_map(|field| actor::owner(Some(&live), field)).max_by_key(|(_, at)| *at);
        // What only took away is owned by nobody.
        let removes_only = !fields.is_empty() && fields.iter().all(|field| field.to.is_none());
        let wrote = wrote.or_else(|| actor::last(None, object).filter(|_| removes_only));
        if let (Fact::Rollout(rollout), Some((actor, at))) = (&mut entry.fact, wrote) {
            rollout.actor = Some(actor);
            if rollout.state == RolloutState::RolledBack && at.is_some() {
                entry.at = look.moment(at);
            }
        }
        Some(entry)
    }

    /// A workload was written, or reports another status.
    pub(crate) fn workload(
        &mut self,
        look: &Look<'_>,
        before: (&Object, &Workload),
        now: (&Object, &Workload),
    ) -> Vec<Entry> {
        let (object, workload) = now;
        let reference = object.reference();
        let mut told: Vec<Entry> = self.try_tell(look, &reference).into_iter().collect();
        let outcome = match object.kind {
            Kind::Deployment => deployment(before.1, workload),
            Kind::StatefulSet => {
                is_rolled(workload).then_some(()).filter(|()| !is_rolled(before.1)).map(|()| (RolloutState::Done, None))
            }
            Kind::DaemonSet if self.rolling.contains(&reference) && is_spread(object, workload) => {
                self.rolling.remove(&reference);
                Some((RolloutState::Done, None))
            }
            _ => None,
        };
        let Some((state, why)) = outcome else { return told };
        // That it began is told before that it ended, whoever wrote it.
        told.extend(self.held.remove(&reference).map(|held| held.entry));
        let at = Condition::find(&workload.status.conditions, "Progressing").and_then(|progress| progress.since);
        let Some(to) = current(look, object, workload) else { return told };
        let rollout = Rollout { state, to, from: None, images: BTreeMap::new(), fields: Vec::new(), actor: None, why };
        let at = if state == RolloutState::Failed { look.moment(at) } else { look.now };
        told.push(look.entry(at, object, Fact::Rollout(rollout)));
        told
    }

    /// Tells of what waited long enough.
    pub(crate) fn tick(&mut self, now: Timestamp) -> Vec<Entry> {
        self.held.extract_if(.., |_, held| held.until <= now).map(|(_, held)| held.entry).collect()
    }

    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.held.values().map(|held| held.until).min()
    }

    /// The workload is gone.
    pub(crate) fn forget(&mut self, workload: &ResourceRef) -> Option<Entry> {
        self.rolling.remove(workload);
        self.held.remove(workload).map(|held| held.entry)
    }
}

/// What the controller says of a Deployment's rollout that it did not say before.
fn deployment(before: &Workload, now: &Workload) -> Option<(RolloutState, Option<String>)> {
    let reason = |workload: &Workload| {
        let progress = Condition::find(&workload.status.conditions, "Progressing")?;
        Some((progress.reason.clone(), progress.message.clone()))
    };
    let (old, new) = (reason(before).map(|(reason, _)| reason).unwrap_or_default(), reason(now)?);
    match new {
        (word, _) if word == old => None,
        (word, _) if word == "NewReplicaSetAvailable" => Some((RolloutState::Done, None)),
        (word, message) if word == "ProgressDeadlineExceeded" => Some((RolloutState::Failed, Some(message))),
        _ => None,
    }
}

fn is_rolled(set: &Workload) -> bool {
    let status = &set.status;
    !status.update_revision.is_empty() && status.update_revision == status.current_revision
}

fn is_spread(object: &Object, set: &Workload) -> bool {
    let status = &set.status;
    let wanted = status.desired_number_scheduled;
    status.observed_generation >= object.meta.generation
        && status.updated_replicas >= wanted
        && status.available_replicas >= wanted
}

/// The revision that a workload is at.
fn current(look: &Look<'_>, object: &Object, workload: &Workload) -> Option<String> {
    match object.kind {
        Kind::Deployment => object.meta.annotations.get(REVISION).cloned(),
        Kind::StatefulSet => Some(workload.status.update_revision.clone()),
        _ => {
            let reference = object.reference();
            let own = look.state.children(&reference).filter(|child| child.kind == Kind::ControllerRevision);
            let newest = own.filter_map(|child| Some((revision(child)?.0, child))).max_by_key(|(number, _)| *number)?;
            Some(called(newest.0, newest.1))
        }
    }
}

/// What people call a revision.
fn called(number: i64, object: &Object) -> String {
    if object.kind == Kind::ReplicaSet { number.to_string() } else { object.meta.name.clone() }
}

/// The number and the template of a revision.
fn revision(object: &Object) -> Option<(i64, Value)> {
    let whole = object.whole()?;
    match object.kind {
        Kind::ReplicaSet => {
            let number = object.meta.annotations.get(REVISION)?.parse().ok()?;
            let mut template = whole.pointer("/spec/template")?.clone();
            if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
                labels.remove("pod-template-hash");
            }
            Some((number, template))
        }
        Kind::ControllerRevision => {
            let mut template = whole.pointer("/data/spec/template")?.clone();
            if let Some(fields) = template.as_object_mut() {
                // A directive of the patch format that revisions are stored in.
                fields.remove("$patch");
            }
            Some((whole.get("revision")?.as_i64()?, template))
        }
        _ => None,
    }
}

/// The images of two templates that differ, by container.
fn images(old: &Value, new: &Value) -> BTreeMap<String, (Option<String>, Option<String>)> {
    let of = |template: &Value| -> BTreeMap<String, String> {
        let lists = ["/spec/initContainers", "/spec/containers"]
            .into_iter()
            .filter_map(|list| template.pointer(list)?.as_array());
        let text = |container: &Value, key: &str| Some(container.get(key)?.as_str()?.to_owned());
        lists.flatten().filter_map(|container| Some((text(container, "name")?, text(container, "image")?))).collect()
    };
    let (old, new) = (of(old), of(new));
    let names = old.keys().chain(new.keys());
    let pairs = names.map(|name| (name.clone(), (old.get(name).cloned(), new.get(name).cloned())));
    pairs.filter(|(_, (old, new))| old != new).collect()
}

fn is_image(field: &FieldChange) -> bool {
    field.pointer.ends_with("/image")
}
