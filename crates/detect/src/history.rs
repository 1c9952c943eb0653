//! What Kubernetes itself remembers of earlier states.

use crate::View;
use reckon_model::{Change, Object};

/// The changes of an object that can be told from what the cluster keeps, oldest first.
pub fn changes<'a>(_view: &View<'a>, _object: &'a Object) -> Vec<Change> {
    Vec::new()
}
