//! What differs between two states of an object.
//!
//! A walker over JSON values that knows how Kubernetes merges lists: containers by name, ports by number, and so on, so
//! that an inserted container is one change and not a shift of all the others. Key order, empty against absent, and the
//! spelling of quantities are no change.

mod apply;

pub use apply::apply;

use crate::{FieldChange, Quantity};
use serde_json::{Map, Value};

/// The differences from `old` to `new`, both found at `field` and `pointer` (pass `"spec.template"` and
/// `"/spec/template"` for templates that were stored elsewhere). In the order of the pointers.
pub fn diff(old: &Value, new: &Value, field: &str, pointer: &str) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    walk(Some(old), Some(new), &Path { field: field.to_owned(), pointer: pointer.to_owned() }, &mut changes);
    changes.sort_by(|a, b| a.pointer.cmp(&b.pointer));
    changes
}

/// Where the walk is, in both notations.
struct Path {
    field: String,
    pointer: String,
}

impl Path {
    fn key(&self, key: &str) -> Path {
        let field = match (self.field.is_empty(), plain(key)) {
            (true, true) => key.to_owned(),
            (false, true) => format!("{}.{key}", self.field),
            (_, false) => format!("{}[{key}]", self.field),
        };
        Path { field, pointer: format!("{}/{}", self.pointer, escape(key)) }
    }

    fn item(&self, name: &str, index: usize) -> Path {
        Path { field: format!("{}[{name}]", self.field), pointer: format!("{}/{index}", self.pointer) }
    }

    /// The last key of the pointer: what decides how a list is merged.
    fn last(&self) -> &str {
        self.pointer.rsplit('/').next().unwrap_or("")
    }

    /// Whether values here are quantities: below `limits`, `requests`, `capacity`, `allocatable`, `hard`, `overhead`.
    fn holds_quantities(&self) -> bool {
        let mut parts = self.pointer.rsplit('/');
        let (last, parent) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        last == "sizeLimit"
            || matches!(
                parent,
                "limits" | "requests" | "capacity" | "allocatable" | "hard" | "overhead" | "allocatedResources"
            )
    }
}

/// Whether a key may stand after a dot. One with a dot or bracket would be ambiguous there, so it stands in brackets:
/// `labels[app.kubernetes.io/name]`.
fn plain(key: &str) -> bool {
    !key.is_empty() && !key.contains(['.', '[', ']', '/'])
}

/// A key as RFC 6901 writes it.
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn walk(old: Option<&Value>, new: Option<&Value>, path: &Path, out: &mut Vec<FieldChange>) {
    if blank(old) && blank(new) {
        return;
    }
    let empty_object = Value::Object(Map::new());
    let empty_array = Value::Array(Vec::new());
    match (old.filter(|v| !v.is_null()), new.filter(|v| !v.is_null())) {
        (Some(Value::Object(_)) | None, Some(Value::Object(b)))
            if !b.is_empty() || old.is_some_and(Value::is_object) =>
        {
            objects(old.filter(|v| v.is_object()).unwrap_or(&empty_object), &Value::Object(b.clone()), path, out);
        }
        (Some(a @ Value::Object(_)), None) => objects(a, &empty_object, path, out),
        (Some(a @ Value::Array(_)), Some(b @ Value::Array(_))) => arrays(a, b, path, out),
        (Some(a @ Value::Array(_)), None) => arrays(a, &empty_array, path, out),
        (None, Some(b @ Value::Array(_))) => arrays(&empty_array, b, path, out),
        (Some(Value::String(a)), Some(Value::String(b)))
            if path.holds_quantities() && Quantity::new(a) == Quantity::new(b) => {}
        (a, b) if a == b => {}
        (a, b) => out.push(FieldChange {
            field: path.field.clone(),
            pointer: path.pointer.clone(),
            from: a.cloned(),
            to: b.cloned(),
        }),
    }
}

/// Absent, null, and empty containers are one and the same to the API server.
fn blank(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(_) => false,
    }
}

fn objects(old: &Value, new: &Value, path: &Path, out: &mut Vec<FieldChange>) {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else { return };
    for (key, value) in new {
        walk(old.get(key), Some(value), &path.key(key), out);
    }
    for (key, value) in old {
        if !new.contains_key(key) {
            walk(Some(value), None, &path.key(key), out);
        }
    }
}

fn arrays(old: &Value, new: &Value, path: &Path, out: &mut Vec<FieldChange>) {
    let (Some(old), Some(new)) = (old.as_array(), new.as_array()) else { return };
    let Some(name_of) = merge_key(path.last(), old, new) else {
        if old != new {
            out.push(FieldChange {
                field: path.field.clone(),
                pointer: path.pointer.clone(),
                from: (!old.is_empty()).then(|| Value::Array(old.clone())),
                to: (!new.is_empty()).then(|| Value::Array(new.clone())),
            });
        }
        return;
    };
    for (index, item) in new.iter().enumerate() {
        let name = name_of(item);
        let before = old.iter().find(|candidate| name_of(candidate) == name);
        let path = path.item(name.as_deref().unwrap_or(""), index);
        match before {
            Some(before) => walk(Some(before), Some(item), &path, out),
            // A whole item that came is one change, not one for each of its fields.
            None => {
                out.push(FieldChange { field: path.field, pointer: path.pointer, from: None, to: Some(item.clone()) });
            }
        }
    }
    for (index, item) in old.iter().enumerate() {
        let name = name_of(item);
        if !new.iter().any(|candidate| name_of(candidate) == name) {
            let path = path.item(name.as_deref().unwrap_or(""), index);
            out.push(FieldChange { field: path.field, pointer: path.pointer, from: Some(item.clone()), to: None });
        }
    }
}

/// What names the items of a list.
type NameOf = fn(&Value) -> Option<String>;

/// How the items of the list under this key are told apart, as the API types' merge keys say; `None` for lists that are
/// replaced as a whole, and where names are missing or not unique.
fn merge_key(list: &str, old: &[Value], new: &[Value]) -> Option<NameOf> {
    let name_of: NameOf = match list {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "schedulingGates" => |item| text(item, "name"),
        "volumeMounts" => |item| text(item, "mountPath"),
        "volumeDevices" => |item| text(item, "devicePath"),
        "ports" => |item| {
            let port = item.get("containerPort").or_else(|| item.get("port"))?;
            let protocol = item.get("protocol").and_then(Value::as_str).unwrap_or("TCP");
            Some(if protocol == "TCP" { port.to_string() } else { format!("{port}/{protocol}") })
        },
        "conditions" => |item| text(item, "type"),
        "hostAliases" => |item| text(item, "ip"),
        "topologySpreadConstraints" => |item| text(item, "topologyKey"),
        "taints" => |item| Some(format!("{}:{}", text(item, "key")?, text(item, "effect")?)),
        "volumeClaimTemplates" => |item| text(item.get("metadata")?, "name"),
        _ => return None,
    };
    let unique = |items: &[Value]| {
        let mut names: Vec<_> = items.iter().map(name_of).collect();
        names.sort();
        names.iter().all(Option::is_some) && names.windows(2).all(|pair| pair[0] != pair[1])
    };
    (unique(old) && unique(new)).then_some(name_of)
}

fn text(item: &Value, key: &str) -> Option<String> {
    item.get(key).and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn fields(old: &Value, new: &Value) -> Vec<String> {
        diff(old, new, "", "").into_iter().map(|change| change.field).collect()
    }

    #[test]
    fn a_limit_is_one_change_named_by_its_container() {
        let old = json!({"spec": {"containers": [{"name": "proxy"}, {"name": "app", "resources": {"limits": {"memory": "256Mi"}}}]}});
        let new = json!({"spec": {"containers": [{"name": "app", "resources": {"limits": {"memory": "64Mi"}}}, {"name": "proxy"}]}});
        let changes = diff(&old, &new, "spec.template", "/spec/template");
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].field, "spec.template.spec.containers[app].resources.limits.memory");
        assert_eq!(changes[0].pointer, "/spec/template/spec/containers/0/resources/limits/memory");
        assert_eq!(changes[0].from, Some(json!("256Mi")));
        assert_eq!(changes[0].to, Some(json!("64Mi")));
    }

    #[test]
    fn order_emptiness_and_spelling_are_no_change() {
        let old = json!({"a": {}, "limits": {"cpu": "1000m"}, "env": [{"name": "A"}, {"name": "B"}], "c": null});
        let new = json!({"limits": {"cpu": "1"}, "env": [{"name": "B"}, {"name": "A"}], "b": []});
        assert_eq!(fields(&old, &new), Vec::<String>::new());
    }

    #[test]
    fn an_item_that_came_or_went_is_one_change() {
        let old = json!({"env": [{"name": "A", "value": "1"}]});
        let new = json!({"env": [{"name": "B", "value": "2"}]});
        assert_eq!(fields(&old, &new), ["env[B]", "env[A]"]);
    }

    #[test]
    fn a_key_with_dots_stands_in_brackets_and_escaped() {
        let changes = diff(&json!({"labels": {}}), &json!({"labels": {"app.kubernetes.io/name": "x"}}), "", "");
        assert_eq!(changes[0].field, "labels[app.kubernetes.io/name]");
        assert_eq!(changes[0].pointer, "/labels/app.kubernetes.io~1name");
    }

    #[test]
    fn a_list_without_names_is_replaced_as_a_whole() {
        let changes = diff(&json!({"args": ["a", "b"]}), &json!({"args": ["a"]}), "", "");
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].from, Some(json!(["a", "b"])));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (0i64..9).prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::String)
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::btree_map("(name|env|ports|limits|a)", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_state_does_not_differ_from_itself(v in value()) {
            prop_assert!(diff(&v, &v, "", "").is_empty());
        }

        #[test]
        fn a_difference_is_seen_from_both_sides(a in value(), b in value()) {
            let there = diff(&a, &b, "", "");
            let back = diff(&b, &a, "", "");
            prop_assert_eq!(there.is_empty(), back.is_empty());
        }

        #[test]
        fn the_new_value_is_found_at_the_pointer(a in value(), b in value()) {
            for change in diff(&a, &b, "", "") {
                if let Some(to) = &change.to {
                    prop_assert_eq!(b.pointer(&change.pointer), Some(to));
                }
                if change.to.is_none() && let Some(from) = &change.from {
                    prop_assert_eq!(a.pointer(&change.pointer).is_some(), true, "{} {:?}", change.pointer, from);
                }
            }
        }
    }
}
