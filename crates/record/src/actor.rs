//! Who wrote, as an object's own `managedFields` remember it.

use reckon_detect::ownership;
use reckon_model::object::Manager;
use reckon_model::{Actor, ActorSource, FieldChange, Object, Timestamp};
use serde_json::Value;

/// Who wrote something, and when.
pub(crate) type Wrote = (Actor, Option<Timestamp>);

/// The names under which the controllers of Kubernetes write: as a program of their own, and as part of one.
const CONTROLLERS: [&str; 3] = ["kube-controller-manager", "k3s", "kubelite"];

/// Whether a controller of Kubernetes itself wrote.
pub(crate) fn is_controller(actor: &Actor) -> bool {
    CONTROLLERS.contains(&actor.manager.as_str())
}

/// Who wrote a field: its owner, or, where it is gone and nobody owns it, who wrote last.
pub(crate) fn of_field(live: Option<&Value>, last: Option<&Wrote>, field: &FieldChange) -> Option<Wrote> {
    owner(live, field).or_else(|| last.cloned())
}

/// Who owns a field.
pub(crate) fn owner(live: Option<&Value>, field: &FieldChange) -> Option<Wrote> {
    field.to.as_ref()?;
    ownership::owner_in(live?, &field.pointer)
}

/// Who wrote last, other than the status, between two states: of those whose time moved the newest. Nobody, where nobody's
/// did: who only takes a field away and owns no other leaves no trace.
pub(crate) fn last(before: Option<&Object>, now: &Object) -> Option<Wrote> {
    let all = now.meta.managers.iter().filter(|manager| manager.subresource != "status");
    let moved = |manager: &&Manager| before.is_none_or(|before| !before.meta.managers.contains(manager));
    // Of two of one second the later in the list: the API server puts who wrote at its end.
    let newest = all.filter(moved).max_by_key(|manager| manager.time)?;
    Some((named(&newest.manager), newest.time))
}

/// A field manager.
pub(crate) fn named(manager: &str) -> Actor {
    Actor { manager: manager.to_owned(), user: None, source: ActorSource::ManagedFields }
}

/// The pointers below a part of an object (`data`, `spec`) that were written unseen: what the last writer came to own, or,
/// where that is nothing, all it owns.
pub(crate) fn unseen(before: Option<&Value>, live: &Value, writer: &str, part: &str) -> Vec<(String, String)> {
    let owned = |whole: &Value| -> Vec<(String, String)> { ownership::owned_by(whole, writer, part) };
    let now = owned(live);
    let had = before.map(owned).unwrap_or_default();
    let new: Vec<(String, String)> = now.iter().filter(|field| !had.contains(field)).cloned().collect();
    if new.is_empty() { now } else { new }
}
