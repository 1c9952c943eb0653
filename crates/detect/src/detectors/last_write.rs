//! Who wrote a field last, where that is all that is known: no earlier value is kept of most objects.

use crate::{describe, ownership};
use jiff::SignedDuration;
use reckon_model::document::Cause;
use reckon_model::{Actor, Change, FieldChange, Object, Timestamp, Verb};
use serde_json::Value;

/// Several managers write in a row while an object is being made (a joining node is labelled and tainted by three).
const CREATION: SignedDuration = SignedDuration::from_secs(60);

/// A field that was written after its object had been made.
pub(crate) struct LastWrite {
    change: Change,
    managed_by: Option<String>,
}

impl LastWrite {
    /// The last write of this field, if it came after the creation and its writer is known.
    pub(crate) fn of(object: &Object, field: &str, pointer: &str, to: Option<Value>) -> Option<LastWrite> {
        let (actor, at) = ownership::field_owner(object, pointer)?;
        let at = at?;
        let made = object.meta.created.is_some_and(|created| at.duration_since(created) <= CREATION);
        let field = FieldChange { field: field.to_owned(), pointer: pointer.to_owned(), from: None, to };
        let change =
            Change { at, subject: object.reference(), verb: Verb::Updated, fields: vec![field], actor: Some(actor) };
        (!made).then(|| LastWrite { change, managed_by: ownership::managed_by(object) })
    }

    /// It as a change.
    pub(crate) fn into_change(self) -> Change {
        self.change
    }

    /// When.
    pub(crate) fn at(&self) -> Timestamp {
        self.change.at
    }

    /// Who.
    pub(crate) fn actor(&self) -> &str {
        self.change.actor.as_ref().map_or("", |actor: &Actor| &actor.manager)
    }

    /// When and by whom, in words: `at 14:02:31 UTC by kubectl-taint`.
    pub(crate) fn words(&self) -> String {
        format!("at {} by {}", describe::time(self.at()), self.actor())
    }

    /// The cause.
    pub(crate) fn cause(&self, sentence: impl Into<String>) -> Cause {
        let mut cause = Cause::changed(&self.change, 0, sentence);
        cause.managed_by = self.managed_by.clone();
        cause
    }
}
