//! What somebody did to an object that is in the way of others: the last change of a field, or that the object was made.

use super::last_write::LastWrite;
use crate::spot::Path;
use crate::{Fact, View, blame, describe, ownership};
use jiff::SignedDuration;
use reckon_model::document::{Cause, Role, Source};
use reckon_model::{Actor, ActorSource, Change, FieldChange, Object, Timestamp, Verb};
use serde_json::Value;

/// Clocks differ by less than this.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(60);

/// Managers that write the number of replicas because something else asked them to.
const AUTOSCALERS: [&str; 4] = ["kube-controller-manager", "keda-operator", "keda", "horizontal-pod-autoscaler"];

/// A change of one field.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    change: Change,
    managed_by: Option<String>,
}

impl Edit {
    /// The newest change of a field between two times, as far as they are known. Of an object that was made within them,
    /// that it was made.
    pub(crate) fn of<'a>(
        view: &View<'a>,
        object: &'a Object,
        path: &Path,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Option<Edit> {
        let latest = until.and_then(|until| until.checked_add(CLOCK_SLACK).ok());
        let value = object.whole().and_then(|whole| whole.pointer(&path.pointer).cloned());
        let changed = blame::object_change(view, object, until, |field| path.is_touched_by(field).then_some(0));
        let change = changed
            .map(|blame| narrowed(blame.change, path))
            .or_else(|| Some(LastWrite::of(object, &path.field, &path.pointer, value.clone())?.into_change()))
            .or_else(|| made(object, path, value));
        let change = change.filter(|change| {
            since.is_none_or(|since| change.at > since) && latest.is_none_or(|latest| change.at <= latest)
        })?;
        Some(Edit { change, managed_by: ownership::managed_by(object) })
    }

    /// When.
    pub(crate) fn at(&self) -> Timestamp {
        self.change.at
    }

    /// What the field was before, where that is known.
    pub(crate) fn from(&self) -> Option<&Value> {
        self.change.fields.first()?.from.as_ref()
    }

    /// The field.
    pub(crate) fn field(&self) -> &str {
        self.change.fields.first().map_or("", |field| &field.field)
    }

    /// Whether the object itself is new.
    pub(crate) fn is_new(&self) -> bool {
        self.change.verb == Verb::Created
    }

    /// Whether an autoscaler did it, which follows a load and is no cause.
    pub(crate) fn is_autoscaled(&self) -> bool {
        self.change.actor.as_ref().is_some_and(|actor| AUTOSCALERS.contains(&actor.manager.as_str()))
    }

    /// What was done, in words: `changed from 5 to 2 at 14:02:31 UTC by kubectl-edit`, `made at …`.
    pub(crate) fn words(&self) -> String {
        match self.change.fields.first() {
            Some(field) if !self.is_new() && !field.to.as_ref().is_some_and(is_long) => {
                describe::change(&self.change, field)
            }
            _ => {
                let by = self.change.actor.as_ref().map(|actor| format!(" by {}", actor.manager)).unwrap_or_default();
                let verb = if self.is_new() { "made" } else { "changed" };
                format!("{verb} at {}{by}", describe::time(self.at()))
            }
        }
    }

    /// The cause.
    pub(crate) fn cause(&self, sentence: impl Into<String>) -> Cause {
        // Of a whole that is new no part is more to blame than another.
        let whole =
            self.is_new() && self.change.fields.first().is_some_and(|field| field.to.as_ref().is_none_or(is_long));
        let mut cause = Cause::changed(&self.change, if whole { usize::MAX } else { 0 }, sentence);
        cause.managed_by = self.managed_by.clone();
        cause
    }

    /// That the object was written, as a fact, where its values tell nobody anything.
    pub(crate) fn fact(&self) -> Fact {
        let by = self.change.actor.as_ref().map(|actor| format!("  ({})", actor.manager)).unwrap_or_default();
        let text = format!("{} was written{by}", self.change.subject);
        let about = self.change.subject.clone();
        Fact { role: Role::Cause, source: Source::Change, at: Some(self.at()), about, text, raw: None }
    }
}

/// Whether a value is not one that a sentence shows.
fn is_long(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

/// The change of a whole, as that of the part of it that is asked about.
fn narrowed(mut change: Change, path: &Path) -> Change {
    change.fields.truncate(1);
    let Some(field) = change.fields.first_mut() else { return change };
    if let Some(rest) = path.pointer.strip_prefix(&field.pointer).filter(|rest| !rest.is_empty()) {
        let part = |value: &Option<Value>| value.as_ref().and_then(|value| value.pointer(rest).cloned());
        let (from, to) = (part(&field.from), part(&field.to));
        *field = FieldChange { field: path.field.clone(), pointer: path.pointer.clone(), from, to };
    }
    change
}

fn made(object: &Object, path: &Path, value: Option<Value>) -> Option<Change> {
    let at = object.meta.created?;
    let first = object.meta.managers.iter().filter(|manager| manager.subresource != "status").min_by_key(|m| m.time);
    let actor =
        first.map(|first| Actor { manager: first.manager.clone(), user: None, source: ActorSource::ManagedFields });
    let field = FieldChange { field: path.field.clone(), pointer: path.pointer.clone(), from: None, to: value };
    Some(Change { at, subject: object.reference(), verb: Verb::Created, fields: vec![field], actor })
}
