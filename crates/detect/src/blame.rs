//! Which change made it so.

mod suffix;

use crate::{View, describe, history, ownership};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind};
use reckon_model::{Change, FieldChange, Kind, Object, ResourceRef, Timestamp, Verb};
use serde_json::Value;

/// Clocks of API server, kubelet and controllers differ by less than this; a change that is noted this much after its
/// effect may still have made it.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(60);

/// How near a name has to be to be taken for a slip: two letters.
const SLIP: usize = 2;

/// A change, and which of its fields is to blame.
#[derive(Clone, Debug)]
pub struct Blame {
    /// The change, with only its plausible fields, the most plausible first. Never empty.
    pub change: Change,
    managed_by: Option<String>,
}

impl Blame {
    fn new(object: &Object, mut change: Change, rank: &impl Fn(&FieldChange) -> Option<u8>) -> Option<Blame> {
        let mut fields: Vec<(u8, FieldChange)> =
            change.fields.into_iter().filter_map(|field| Some((rank(&field)?, field))).collect();
        fields.sort_by(|a, b| (a.0, &a.1.pointer).cmp(&(b.0, &b.1.pointer)));
        change.fields = fields.into_iter().map(|(_, field)| field).collect();
        let managed_by = ownership::managed_by(object);
        (!change.fields.is_empty()).then_some(Blame { change, managed_by })
    }

    /// The field to blame.
    pub fn field(&self) -> &FieldChange {
        &self.change.fields[0]
    }

    /// The cause.
    pub fn cause(&self, _view: &View<'_>, sentence: impl Into<String>) -> Cause {
        let mut cause = Cause::changed(&self.change, 0, sentence);
        cause.managed_by = self.managed_by.clone();
        cause
    }

    /// The change in words: `changed from 256Mi to 64Mi at 14:02:31 by kubectl-edit`.
    pub fn words(&self) -> String {
        describe::change(&self.change, self.field())
    }

    /// How a reference came to name its target: the change of the name itself, or of the item that holds it.
    fn words_of(&self, target: &ResourceRef, pointer: &str) -> String {
        let field = self.field();
        let by = self.change.actor.as_ref().map(|actor| format!(" by {}", actor.manager)).unwrap_or_default();
        let at = describe::time(self.change.at);
        match (&field.from, &field.to) {
            (Some(Value::String(_)), _) => format!("the reference was {}", self.words()),
            (Some(_), _) => format!("{} was changed to name {} at {at}{by}", field.field, target.name),
            (None, _) if field.pointer == pointer => format!("the reference was {}", self.words()),
            (None, _) => format!("{} was added at {at}{by}", field.field),
        }
    }
}

/// The newest change of the template that made `pod` (or the newest pods), not after `onset`, in which a field is
/// plausible. `rank` gives a field's plausibility, lower first; `None` for fields that cannot explain the failure.
pub fn template_change<'a>(
    view: &View<'a>,
    workload: &'a Object,
    pod: Option<&'a Object>,
    onset: Option<Timestamp>,
    rank: impl Fn(&FieldChange) -> Option<u8>,
) -> Option<Blame> {
    let pod = pod.filter(|pod| pod.reference() != workload.reference());
    // A pod knows nothing of templates that are younger than itself.
    let born = pod.and_then(|pod| pod.meta.created);
    let until = [born, onset].into_iter().flatten().min();
    let later = pod.map(|pod| later_revisions(view, workload, pod)).unwrap_or_default();
    newest(view, workload, until, &rank, |change, field| {
        let template = ["/spec/template", "/spec/jobTemplate"].iter().any(|at| field.pointer.starts_with(at));
        (workload.kind == Kind::Pod || template) && !later.contains(change)
    })
}

/// The changes that led to revisions younger than the one a pod was made from: within the clocks' slack a time alone does
/// not tell two roll-outs apart.
fn later_revisions<'a>(view: &View<'a>, workload: &'a Object, pod: &Object) -> Vec<Change> {
    let revisions = history::templates(view, workload);
    match revisions.iter().position(|revised| revised.made(pod)) {
        Some(own) => revisions.into_iter().skip(own + 1).filter_map(|revised| revised.change).collect(),
        None => Vec::new(),
    }
}

/// The newest change of any object, not after `onset`, in which a field is plausible.
pub fn object_change<'a>(
    view: &View<'a>,
    object: &'a Object,
    onset: Option<Timestamp>,
    rank: impl Fn(&FieldChange) -> Option<u8>,
) -> Option<Blame> {
    newest(view, object, onset, &rank, |_, _| true)
}

/// The newest change only: an older one had been lived with until the newest, unless the newest has nothing to do with it
/// at all.
fn newest<'a>(
    view: &View<'a>,
    object: &'a Object,
    until: Option<Timestamp>,
    rank: &impl Fn(&FieldChange) -> Option<u8>,
    within: impl Fn(&Change, &FieldChange) -> bool,
) -> Option<Blame> {
    let latest = until.and_then(|until| until.checked_add(CLOCK_SLACK).ok());
    history::changes(view, object)
        .into_iter()
        .rev()
        .filter(|change| latest.is_none_or(|latest| change.at <= latest))
        .find_map(|mut change| {
            let whole = change.clone();
            change.fields.retain(|field| within(&whole, field));
            Blame::new(object, change, rank)
        })
}

/// The cause where `referrer` names `target`, which is not there: deleted lately, reference changed, near name, or absent
/// (rule "missing reference" of the catalogue). `field` and `pointer` say where the referrer names it.
pub fn missing_reference<'a>(
    view: &View<'a>,
    referrer: &'a Object,
    target: &ResourceRef,
    field: &str,
    pointer: &str,
) -> Cause {
    let what = format!("{} {}", target.kind, describe::name(target));
    let who = describe::object(referrer);
    if let crate::Lookup::Absent { deleted: Some(at) } = view.look_up(target) {
        let change = Change { at, subject: target.clone(), verb: Verb::Deleted, fields: Vec::new(), actor: None };
        let sentence = format!("{what} was deleted at {}.", describe::time(at));
        let mut cause = Cause::changed(&change, 0, sentence);
        let gone = view
            .deleted(&target.kind, target.namespace.as_deref())
            .find_map(|(object, _)| (object.meta.name == target.name).then(|| ownership::managed_by(object)).flatten());
        cause.managed_by = gone;
        return cause;
    }
    if let Some(blame) = reference_changed(view, referrer, target, pointer) {
        let meant = near(view, target).map(|(near, why)| format!("; {near} does ({why})")).unwrap_or_default();
        let words = blame.words_of(target, pointer);
        let sentence = format!("{who} refers to {what}, which does not exist{meant}: {words}.");
        return blame.cause(view, sentence);
    }
    if let Some((near, why)) = near(view, target) {
        let sentence = format!("{who} refers to {what}, which does not exist; {near} does ({why}).");
        let mut cause = Cause::plain(CauseKind::Resource, Some(&referrer.reference()), sentence);
        cause.managed_by = ownership::managed_by(referrer);
        return cause.at_field(field, pointer, Some(target.name.clone().into()));
    }
    Cause::plain(CauseKind::Resource, Some(target), format!("{what} does not exist, and {who} needs it."))
}

/// The newest change of the referrer that made it name the target, if what it named before is there, or it named nothing.
fn reference_changed<'a>(view: &View<'a>, referrer: &'a Object, target: &ResourceRef, pointer: &str) -> Option<Blame> {
    let rank = |field: &FieldChange| {
        let to = field.to.as_ref()?;
        if !mentions(to, &target.name) {
            return None;
        }
        match &field.from {
            // The old name of another field, which is written along with that one.
            _ if field.pointer.ends_with("/serviceAccount") => Some(3),
            // A volume and its mounts may have the name of what they hold: the reference itself comes first.
            None => Some(if pointer.starts_with(&*field.pointer) { 1 } else { 2 }),
            // A list that is written as a whole may have named it all along.
            Some(from) if mentions(from, &target.name) => None,
            Some(from) => texts(from)
                .into_iter()
                .filter(|old| !mentions(to, old))
                .any(|old| view.object(&target.kind, target.namespace.as_deref(), old).found().is_some())
                .then_some(0),
        }
    };
    let template = referrer.workload().is_some() || matches!(referrer.kind, Kind::Pod | Kind::CronJob);
    if template { template_change(view, referrer, None, None, rank) } else { object_change(view, referrer, None, rank) }
}

/// Whether a value names an object anywhere in it.
fn mentions(value: &Value, name: &str) -> bool {
    texts(value).contains(&name)
}

/// Every string within a value.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(map) => map.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// An object that may have been meant: a name that differs by a slip or by a version, the same name of the other of the two
/// kinds that hold configuration, or in another namespace.
pub(crate) fn near(view: &View<'_>, target: &ResourceRef) -> Option<(String, &'static str)> {
    let namespace = target.namespace.as_deref();
    let siblings = view.all(&target.kind, namespace).items;
    if let Some((name, why)) = nearest(siblings.iter().map(|object| object.meta.name.as_str()), target) {
        return Some((format!("{} {name}", target.kind), why));
    }
    let other = match target.kind {
        Kind::ConfigMap => Some(Kind::Secret),
        Kind::Secret => Some(Kind::ConfigMap),
        _ => None,
    };
    if let Some(other) = other
        && view.perhaps(&ResourceRef::new(other.clone(), namespace, &target.name)).is_some()
    {
        return Some((format!("{other} {}", target.name), "the other kind"));
    }
    // Nobody can be asked for a name in all namespaces at once: what is known has to do.
    view.known(&target.kind, None)
        .find(|object| object.meta.name == target.name && object.meta.namespace != target.namespace)
        .map(|object| (format!("{} {}", target.kind, describe::object(object)), "in another namespace"))
}

/// The name that is most like the one that is missing, and in what they differ.
fn nearest<'n>(names: impl Iterator<Item = &'n str>, target: &ResourceRef) -> Option<(&'n str, &'static str)> {
    // The claims of a StatefulSet's pods are numbered: a number makes another claim and no version of it.
    let numbered = target.kind == Kind::PersistentVolumeClaim;
    let like = |name: &'n str| {
        let distance = distance(name, &target.name);
        if is_slip(distance, name.chars().count()) {
            return Some((0, distance, name, "a slip of the name"));
        }
        let differ = suffix::only(name, &target.name).filter(|suffix| !(numbered && suffix.is_number()))?;
        Some((1, distance, name, differ.words()))
    };
    names.filter_map(like).min().map(|(_, _, name, why)| (name, why))
}

/// The one object of which a name is a slip; `None` where several may be meant, or where not all are known.
pub(crate) fn only_near<'a>(view: &View<'a>, target: &ResourceRef) -> Option<&'a str> {
    let siblings = view.all(&target.kind, target.namespace.as_deref());
    let names = siblings.items.into_iter().map(|object| object.meta.name.as_str());
    let mut near = names.filter(|name| is_slip(distance(name, &target.name), name.chars().count()));
    let name = near.next()?;
    (siblings.complete && near.next().is_none()).then_some(name)
}

/// Whether so many letters of a name may be a slip: of a short name, any other short name is near.
pub fn is_slip(distance: usize, length: usize) -> bool {
    distance > 0 && distance <= SLIP && distance * 3 <= length
}

/// Levenshtein distance, for names.
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
