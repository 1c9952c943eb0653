//! From an older state and what differs to the newer one.

use super::{name_of, text_of_key};
use crate::FieldChange;
use serde_json::{Map, Value};

/// The newer state, from an older one and the differences that [`diff`](super::diff) told from it to the newer. It may
/// differ in what is no difference: the order of named items, empty against absent, the spelling of quantities.
pub fn replay(old: &Value, changes: &[FieldChange]) -> Value {
    let mut state = old.clone();
    for change in changes {
        // What was told of is found by name; where it is in neither state, it was not told by `diff`.
        if let Some(steps) = steps(old, change) {
            put(&mut state, &steps, change.to.as_ref());
        }
    }
    state
}

/// One step down.
enum Step {
    Key(String),
    /// The item of a list, by the key of the list and its own name.
    Item(String, String),
}

/// The way to what changed. Pointers number items as one of the two states has them; what a field is called names them.
fn steps(old: &Value, change: &FieldChange) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut at = Some(old);
    let mut field = change.field.as_str();
    let mut list = String::new();
    let tokens: Vec<&str> = change.pointer.split('/').skip(1).collect();
    for (depth, token) in tokens.iter().enumerate() {
        let key = token.replace("~1", "/").replace("~0", "~");
        let is_item = field.starts_with('[') && !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
        if !is_item {
            let said = text_of_key(&key, field.len() == change.field.len());
            field = field.strip_prefix(said.as_str())?;
            at = at.and_then(|at| at.get(&key));
            list.clone_from(&key);
            steps.push(Step::Key(key));
            continue;
        }
        let named = name_of(&list)?;
        let known = at.and_then(Value::as_array).into_iter().flatten();
        let added = change.to.as_ref().filter(|_| depth + 1 == tokens.len());
        let names = known.chain(added).filter_map(named);
        let name = names.filter(|name| begins(field, name)).max_by_key(String::len)?;
        field = field.get(name.len() + 2..)?;
        let is_it = |item: &&Value| named(item).as_deref() == Some(&name);
        at = at.and_then(Value::as_array).and_then(|items| items.iter().find(is_it));
        steps.push(Step::Item(std::mem::take(&mut list), name));
    }
    Some(steps)
}

/// Whether a field goes on with the item of this name.
fn begins(field: &str, name: &str) -> bool {
    let rest = field.strip_prefix('[').and_then(|rest| rest.strip_prefix(name)).and_then(|rest| rest.strip_prefix(']'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn put(state: &mut Value, steps: &[Step], to: Option<&Value>) {
    let Some((step, below)) = steps.split_first() else {
        *state = to.cloned().unwrap_or_default();
        return;
    };
    match step {
        Step::Key(key) => {
            if !state.is_object() {
                *state = Value::Object(Map::new());
            }
            let Some(members) = state.as_object_mut() else { return };
            match (below, to) {
                ([], None) => drop(members.remove(key)),
                _ => put(members.entry(key.as_str()).or_insert(Value::Null), below, to),
            }
        }
        Step::Item(list, name) => {
            if !state.is_array() {
                *state = Value::Array(Vec::new());
            }
            let (Some(items), Some(named)) = (state.as_array_mut(), name_of(list)) else { return };
            let place = items.iter().position(|item| named(item).as_deref() == Some(name));
            match (below, to, place) {
                ([], None, Some(place)) => drop(items.remove(place)),
                (_, _, Some(place)) => put(&mut items[place], below, to),
                ([], Some(item), None) => items.push(item.clone()),
                _ => {}
            }
        }
    }
}
