//! The way back from differences to the newer state.

use super::{NameOf, merge_key};
use crate::FieldChange;
use serde_json::{Map, Value};

/// Applies what [`super::diff`] found, with `field` and `pointer` at the root, to the older state. What comes out does not
/// differ from the newer one. Items of lists that are merged are found by name, as they may have moved; where the older state
/// is not the one that the differences were found from, what does not fit is passed over.
pub fn apply(object: &mut Value, changes: &[FieldChange]) {
    // A list that is merged keeps its place for the items that stay while others go, whatever order they are in.
    let (gone, written): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.to.is_none());
    for change in gone.into_iter().chain(written) {
        let keys: Vec<String> = change.pointer.split('/').skip(1).map(unescape).collect();
        if keys.is_empty() {
            *object = change.to.clone().unwrap_or_default();
        } else {
            step(object, &keys, &change.field, "", change);
        }
    }
}

fn unescape(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}

/// One step down: `list` is the key under which this value stands, `field` what is left of the name for people.
fn step(value: &mut Value, keys: &[String], field: &str, list: &str, change: &FieldChange) {
    let [key, rest @ ..] = keys else { return };
    if let Value::Array(items) = value {
        return item(items, key, rest, field, list, change);
    }
    if !value.is_object() {
        if change.to.is_none() {
            return;
        }
        *value = Value::Object(Map::new());
    }
    let Value::Object(members) = value else { return };
    let field = after_key(field, key);
    match (rest.is_empty(), &change.to) {
        (true, Some(to)) => {
            members.insert(key.clone(), to.clone());
        }
        (true, None) => {
            members.remove(key);
        }
        (false, to) => {
            if to.is_some() && !members.get(key).is_some_and(|member| member.is_object() || member.is_array()) {
                // What comes below is of a list where its name for people stands in brackets and its key is a number.
                let number = rest[0].parse::<usize>().is_ok() && merge_key(key, &[], &[]).is_some();
                let empty = if number { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
                members.insert(key.clone(), empty);
            }
            if let Some(member) = members.get_mut(key) {
                step(member, rest, field, key, change);
            }
        }
    }
}

fn item(items: &mut Vec<Value>, key: &str, rest: &[String], field: &str, list: &str, change: &FieldChange) {
    let Ok(index) = key.parse::<usize>() else { return };
    let named = merge_key(list, items, &[]).and_then(|name_of| named(items, name_of, field, rest.is_empty()));
    let Some((at, left)) = named else {
        if let (true, Some(to)) = (rest.is_empty(), &change.to) {
            items.insert(index.min(items.len()), to.clone());
        }
        return;
    };
    match (rest.is_empty(), &change.to) {
        (true, Some(to)) => items[at] = to.clone(),
        (true, None) => {
            items.remove(at);
        }
        (false, _) => step(&mut items[at], rest, left, "", change),
    }
}

/// The item that the name for people begins with: of several the longest, since a name may have a bracket in it.
fn named<'f>(items: &[Value], name_of: NameOf, field: &'f str, last: bool) -> Option<(usize, &'f str)> {
    items
        .iter()
        .enumerate()
        .filter_map(|(at, item)| {
            let left = field.strip_prefix('[')?.strip_prefix(name_of(item)?.as_str())?.strip_prefix(']')?;
            (if last { left.is_empty() } else { left.starts_with(['.', '[']) }).then_some((at, left))
        })
        .min_by_key(|(_, left)| left.len())
}

/// What is left of a name for people after a key, which stands there as [`super::Path::key`] writes it.
fn after_key<'f>(field: &'f str, key: &str) -> &'f str {
    let left = if super::plain(key) {
        field.strip_prefix('.').unwrap_or(field).strip_prefix(key)
    } else {
        field.strip_prefix('[').and_then(|field| field.strip_prefix(key)?.strip_prefix(']'))
    };
    left.unwrap_or(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::diff;
    use proptest::prelude::*;
    use serde_json::json;

    fn forward(old: &Value, new: &Value) -> Value {
        let mut object = old.clone();
        apply(&mut object, &diff(old, new, "", ""));
        object
    }

    #[test]
    fn a_field_of_a_container_that_moved_is_written_to_that_container() {
        let old = json!({"containers": [{"name": "proxy", "image": "p:1"}, {"name": "app", "image": "a:1"}]});
        let new = json!({"containers": [{"name": "app", "image": "a:2"}, {"name": "proxy", "image": "p:1"}]});
        let there = forward(&old, &new);
        assert!(diff(&there, &new, "", "").is_empty(), "{there}");
    }

    #[test]
    fn items_come_and_go_by_name() {
        let old = json!({"env": [{"name": "A"}, {"name": "B", "value": "1"}, {"name": "C"}]});
        let new = json!({"env": [{"name": "N"}, {"name": "B", "value": "2"}]});
        assert!(diff(&forward(&old, &new), &new, "", "").is_empty());
    }

    #[test]
    fn what_does_not_fit_is_passed_over() {
        let old = json!({"env": [{"name": "A", "value": "1"}], "x": {"y": 1}});
        let new = json!({"env": [{"name": "A", "value": "2"}]});
        let changes = diff(&old, &new, "", "");
        let mut other = json!({"env": "text"});
        apply(&mut other, &changes);
        assert_eq!(other["x"], Value::Null);
    }

    fn state() -> impl Strategy<Value = Value> {
        let named = prop::collection::btree_map("[a-d.\\]]{1,2}", "[a-c]", 0..4).prop_map(|items| {
            Value::Array(items.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect())
        });
        let leaf = prop_oneof![(0i64..9).prop_map(Value::from), "[a-c]{0,2}".prop_map(Value::String)];
        let plain = prop::collection::vec(leaf.clone(), 0..3).prop_map(Value::Array);
        let inner = prop_oneof![leaf, named, plain];
        let map = |inner| {
            prop::collection::btree_map("(env|containers|args|a\\.b|limits|a/b|)", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect()))
        };
        let below = map(inner.boxed()).boxed();
        map(prop_oneof![below.clone(), map(below).boxed()].boxed())
    }

    proptest! {
        #[test]
        fn what_differs_applied_to_the_older_gives_the_newer(old in state(), new in state()) {
            let there = forward(&old, &new);
            let left = diff(&there, &new, "", "");
            prop_assert!(left.is_empty(), "{old}\n{new}\n{there}\n{left:?}");
        }
    }
}
