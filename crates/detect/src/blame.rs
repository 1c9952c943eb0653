//! Which change made it so.

use crate::{View, describe, history, ownership};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind};
use reckon_model::{Change, FieldChange, Kind, Object, ResourceRef, Timestamp, Verb};

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
    managed_by: Option<&'static str>,
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
        cause.managed_by = self.managed_by.map(str::to_owned);
        cause
    }

    /// The change in words: `changed from 256Mi to 64Mi at 14:02:31 by kubectl-edit`.
    pub fn words(&self) -> String {
        describe::change(&self.change, self.field())
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
    // A pod knows nothing of templates that are younger than itself.
    let born = pod.filter(|pod| pod.reference() != workload.reference()).and_then(|pod| pod.meta.created);
    let until = [born, onset].into_iter().flatten().min();
    newest(view, workload, until, &rank, |field| {
        workload.kind == Kind::Pod
            || field.pointer.starts_with("/spec/template")
            || field.pointer.starts_with("/spec/jobTemplate")
    })
}

/// The newest change of any object, not after `onset`, in which a field is plausible.
pub fn object_change<'a>(
    view: &View<'a>,
    object: &'a Object,
    onset: Option<Timestamp>,
    rank: impl Fn(&FieldChange) -> Option<u8>,
) -> Option<Blame> {
    newest(view, object, onset, &rank, |_| true)
}

/// The newest change only: an older one had been lived with until the newest, unless the newest has nothing to do with it
/// at all.
fn newest<'a>(
    view: &View<'a>,
    object: &'a Object,
    until: Option<Timestamp>,
    rank: &impl Fn(&FieldChange) -> Option<u8>,
    within: impl Fn(&FieldChange) -> bool,
) -> Option<Blame> {
    let latest = until.and_then(|until| until.checked_add(CLOCK_SLACK).ok());
    history::changes(view, object)
        .into_iter()
        .rev()
        .filter(|change| latest.is_none_or(|latest| change.at <= latest))
        .find_map(|change| Blame::new(object, change, &|field| if within(field) { rank(field) } else { None }))
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
    if let crate::Lookup::Absent { deleted: Some(at) } = view.look_up(target) {
        let change = Change { at, subject: target.clone(), verb: Verb::Deleted, fields: Vec::new(), actor: None };
        let mut cause = Cause::changed(&change, 0, format!("{what} was deleted at {}.", describe::time(at)));
        cause.at = Some(at);
        return cause;
    }
    let names_it = |field: &FieldChange| field.to.as_ref().is_some_and(|to| mentions(to, &target.name));
    if let Some(blame) = template_change(view, referrer, None, None, |field| names_it(field).then_some(0)) {
        let before = blame.field().from.as_ref().and_then(serde_json::Value::as_str).map(str::to_owned);
        let old_is_there =
            before.is_some_and(|name| view.object(&target.kind, target.namespace.as_deref(), &name).found().is_some());
        if old_is_there || blame.field().from.is_none() {
            let sentence = format!(
                "{} refers to {what}, which does not exist: the reference was {}.",
                describe::object(referrer),
                blame.words()
            );
            return blame.cause(view, sentence);
        }
    }
    if let Some((near, why)) = near(view, target) {
        let sentence =
            format!("{} refers to {what}, which does not exist; {near} does ({why}).", describe::object(referrer));
        let mut cause = Cause::plain(CauseKind::Resource, Some(&referrer.reference()), sentence);
        cause.managed_by = ownership::managed_by(referrer).map(str::to_owned);
        return cause.at_field(field, pointer, Some(target.name.clone().into()));
    }
    let sentence = format!("{what} does not exist, and {} needs it.", describe::object(referrer));
    Cause::plain(CauseKind::Resource, Some(target), sentence)
}

/// Whether a value names an object anywhere in it.
fn mentions(value: &serde_json::Value, name: &str) -> bool {
    match value {
        serde_json::Value::String(text) => text == name,
        serde_json::Value::Array(items) => items.iter().any(|item| mentions(item, name)),
        serde_json::Value::Object(map) => map.values().any(|item| mentions(item, name)),
        _ => false,
    }
}

/// An object that may have been meant: a name that differs by a slip, the same name in another namespace, or of the other
/// of the two kinds that hold configuration.
fn near(view: &View<'_>, target: &ResourceRef) -> Option<(String, &'static str)> {
    let namespace = target.namespace.as_deref();
    let siblings = view.all(&target.kind, namespace).items;
    let slip = siblings
        .iter()
        .map(|object| (distance(&object.meta.name, &target.name), &object.meta.name))
        .filter(|(distance, name)| *distance <= SLIP && name.len() > SLIP)
        .min();
    if let Some((_, name)) = slip {
        return Some((format!("{} {name}", target.kind), "a slip of the name"));
    }
    let other = match target.kind {
        Kind::ConfigMap => Some(Kind::Secret),
        Kind::Secret => Some(Kind::ConfigMap),
        _ => None,
    };
    if let Some(other) = other
        && let Some(namespace) = namespace
        && view.known(&other, Some(namespace)).any(|object| object.meta.name == target.name)
    {
        return Some((format!("{other} {}", target.name), "the other kind"));
    }
    view.known(&target.kind, None)
        .find(|object| object.meta.name == target.name && object.meta.namespace != target.namespace)
        .map(|object| (format!("{} {}", target.kind, describe::object(object)), "in another namespace"))
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
mod tests {
    use super::*;

    #[test]
    fn distance_counts_letters_to_change() {
        assert_eq!(distance("checkout", "chekout"), 1);
        assert_eq!(distance("ab", "ba"), 2);
        assert_eq!(distance("", "abc"), 3);
    }
}
