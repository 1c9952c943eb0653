//! What was written to an object: that it was made, changes of its fields, rollouts of its template.

use crate::history::{self, Revised};
use crate::ownership;
use crate::view::View;
use jiff::SignedDuration;
use reckon_model::record::{Entry, Fact, Rollout, RolloutState, Written};
use reckon_model::{Actor, ActorSource, Change, FieldChange, Kind, Object, Timestamp, Verb};
use serde_json::Value;
use std::collections::BTreeMap;

/// Who writes within this time of the creation made the object.
const CREATION: SignedDuration = SignedDuration::from_secs(2);

/// Everything that is remembered of writes to an object.
pub(super) fn entries<'a>(view: &View<'a>, object: &'a Object) -> Vec<Entry> {
    let mut entries: Vec<Entry> = created(object).into_iter().collect();
    let templates = history::templates(view, object);
    let mut told: Vec<Change> = Vec::new();
    let mut before: Option<i64> = None;
    for revised in &templates {
        if let Some(change) = &revised.change {
            let state = if revised.is_rolled_back { RolloutState::RolledBack } else { RolloutState::Started };
            entries.push(rollout(change, state, revised.number, before, object));
            told.push(change.clone());
        }
        before = Some(revised.number);
    }
    entries.extend(outcome(object, templates.last().map(|revised| revised.number)));
    let mut others = beside(object, &told, &templates);
    if others.is_empty() && told.is_empty() && templates.is_empty() {
        others.extend(last(object));
    }
    entries.extend(others.into_iter().map(|change| updated(change, object)));
    entries
}

/// That somebody wrote last: worth telling where nothing else is known of it, and where people write.
pub(super) fn last(object: &Object) -> Option<Change> {
    let by_machines = matches!(object.kind, Kind::Pod | Kind::Node | Kind::ReplicaSet | Kind::Job);
    history::written(object).filter(|_| !by_machines)
}

/// Two times this close are those of one write: a controller makes a revision within moments of it.
const SAME_WRITE: SignedDuration = SignedDuration::from_secs(10);

/// The changes beside those of the template that are sure. A manager's time is that of its last write; where a rollout was
/// that write, of its other fields nothing is known.
pub(super) fn beside(object: &Object, told: &[Change], templates: &[Revised]) -> Vec<Change> {
    let mut changes = history::beside(object, told, templates);
    // Lists show ConfigMaps without their data: what it was is known, what it is is not, and nothing was taken away.
    let without_data = object.whole().is_some_and(|whole| whole.get("data").is_none());
    for change in &mut changes {
        if without_data {
            let actor = change.actor.clone();
            let wrote = |pointer: &str| ownership::field_owner(object, pointer).map(|(owner, _)| owner) == actor;
            let is_gone = |field: &FieldChange| field.pointer.starts_with("/data/") && field.to.is_none();
            change.fields.retain(|field| !is_gone(field) || wrote(&field.pointer));
            change.fields.iter_mut().filter(|field| is_gone(field)).for_each(|field| field.from = None);
        }
        let is_that =
            |other: &Change| other.actor == change.actor && other.at.duration_since(change.at).abs() <= SAME_WRITE;
        if told.iter().any(is_that) {
            change.fields.retain(|field| field.from.is_some());
        }
    }
    changes.retain(|change| !change.fields.is_empty());
    changes
}

/// That an object is gone.
pub(super) fn deleted((object, at): &(&Object, Timestamp)) -> Vec<Entry> {
    let fact = match object.kind {
        Kind::Pod => super::pods::deleted(object),
        _ => Fact::Change(write(Verb::Deleted, Vec::new(), None)),
    };
    let workload = object.meta.controller().map(|owner| owner.reference(object.meta.namespace.as_deref()));
    vec![Entry { at: *at, subject: object.reference(), workload, fact }]
}

fn write(verb: Verb, fields: Vec<FieldChange>, actor: Option<Actor>) -> Written {
    Written { verb, fields, actor, generation: None, version: String::new(), object: None, after: None }
}

fn created(object: &Object) -> Option<Entry> {
    // Pods have phases, nodes join.
    if matches!(object.kind, Kind::Pod | Kind::Node) {
        return None;
    }
    let at = object.meta.created?;
    let first = object
        .meta
        .managers
        .iter()
        .filter(|manager| manager.subresource.is_empty())
        .filter(|manager| manager.time.is_some_and(|time| time.duration_since(at) <= CREATION))
        .min_by_key(|manager| manager.time);
    let actor = first.map(|m| Actor { manager: m.manager.clone(), user: None, source: ActorSource::ManagedFields });
    let fact = Fact::Change(write(Verb::Created, Vec::new(), actor));
    Some(Entry { at, subject: object.reference(), workload: None, fact })
}

fn updated(change: Change, object: &Object) -> Entry {
    let Change { at, verb, fields, actor, .. } = change;
    let fact = Fact::Change(write(verb, fields, actor));
    Entry { at, subject: object.reference(), workload: None, fact }
}

fn rollout(change: &Change, state: RolloutState, to: i64, from: Option<i64>, object: &Object) -> Entry {
    let mut images = BTreeMap::new();
    let mut fields = Vec::new();
    for field in &change.fields {
        match image_of(field) {
            Some(container) => {
                let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).map(str::to_owned);
                images.insert(container.to_owned(), (text(&field.from), text(&field.to)));
            }
            None => fields.push(field.clone()),
        }
    }
    // A CronJob's Jobs have no numbers: the second in which one was made is none.
    let number = |number: i64| if object.kind == Kind::CronJob { String::new() } else { number.to_string() };
    let rollout = Rollout {
        state,
        to: number(to),
        from: from.map(number).filter(|from| !from.is_empty()),
        images,
        fields,
        actor: change.actor.clone(),
        why: None,
    };
    Entry { at: change.at, subject: object.reference(), workload: None, fact: Fact::Rollout(rollout) }
}

/// The container whose image this field is.
fn image_of(field: &FieldChange) -> Option<&str> {
    let (_, name) = field.field.strip_suffix("].image")?.rsplit_once("ontainers[")?;
    Some(name)
}

/// That the last rollout is done, or that its controller gave it up. Of Deployments alone the time is kept.
fn outcome(object: &Object, to: Option<i64>) -> Option<Entry> {
    if object.kind != Kind::Deployment {
        return None;
    }
    let to = to?;
    let whole = object.whole()?;
    let conditions = whole.pointer("/status/conditions")?.as_array()?;
    let progressing = conditions.iter().find(|it| it.get("type").is_some_and(|kind| kind == "Progressing"))?;
    let text = |key: &str| progressing.get(key).and_then(Value::as_str);
    let (state, time, why) = match text("reason")? {
        // The status has turned `True` long ago; that the reason is another is an update.
        "NewReplicaSetAvailable" => (RolloutState::Done, text("lastUpdateTime")?, None),
        "ProgressDeadlineExceeded" => (RolloutState::Failed, text("lastTransitionTime")?, text("message")),
        _ => return None,
    };
    let rollout = Rollout {
        state,
        to: to.to_string(),
        from: None,
        images: BTreeMap::new(),
        fields: Vec::new(),
        actor: None,
        why: why.map(str::to_owned),
    };
    Some(Entry { at: time.parse().ok()?, subject: object.reference(), workload: None, fact: Fact::Rollout(rollout) })
}
