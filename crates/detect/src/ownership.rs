//! Who owns an object and its fields.

use reckon_model::{Actor, Object, Timestamp};

/// What keeps the object as it is, so that a live patch would be reverted: `helm`, `argocd`, `flux`.
pub fn managed_by(_object: &Object) -> Option<&'static str> {
    None
}

/// Who last wrote the field at this pointer into the live object, and when, from `managedFields`.
pub fn field_owner(_object: &Object, _pointer: &str) -> Option<(Actor, Option<Timestamp>)> {
    None
}
