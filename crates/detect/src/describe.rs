//! Words that all detectors use alike.

use reckon_model::{Object, ResourceRef};

/// `namespace/name` as people say it, the bare name for cluster-scoped objects.
pub fn name(reference: &ResourceRef) -> String {
    match &reference.namespace {
        Some(namespace) => format!("{namespace}/{}", reference.name),
        None => reference.name.clone(),
    }
}

/// As [`name`], of an object.
pub fn object(object: &Object) -> String {
    name(&object.reference())
}
