//! Which nodes a pod spec was meant for before it was changed.

use reckon_model::FieldChange;
use reckon_model::k8s::{PodSpec, Toleration};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The selector and the tolerations as they were.
pub(super) struct Before {
    pub(super) selector: BTreeMap<String, String>,
    /// Those there are now as well: what was added shuts no node out.
    pub(super) tolerations: Vec<Toleration>,
}

impl Before {
    /// From what they are, and what of them was changed.
    pub(super) fn of(spec: &PodSpec, fields: &[FieldChange]) -> Before {
        let mut before = Before { selector: spec.node_selector.clone(), tolerations: spec.tolerations.clone() };
        for field in fields {
            let Some(below) = field.pointer.strip_prefix("/spec/template/spec/") else { continue };
            if below == "nodeSelector" {
                before.selector = field.from.as_ref().map(labels).unwrap_or_default();
            } else if let Some(key) = below.strip_prefix("nodeSelector/") {
                let key = key.replace("~1", "/").replace("~0", "~");
                match field.from.as_ref().and_then(Value::as_str) {
                    Some(value) => drop(before.selector.insert(key, value.to_owned())),
                    None => drop(before.selector.remove(&key)),
                }
            } else if below.starts_with("tolerations") {
                before.tolerations.extend(field.from.iter().flat_map(tolerations));
            }
        }
        before
    }
}

fn labels(value: &Value) -> BTreeMap<String, String> {
    BTreeMap::deserialize(value).unwrap_or_default()
}

/// A list of them, or one.
fn tolerations(value: &Value) -> Vec<Toleration> {
    let one = std::slice::from_ref(value);
    let items = value.as_array().map_or(one, Vec::as_slice);
    items.iter().filter(|item| item.is_object()).filter_map(|item| Toleration::deserialize(item).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn change(pointer: &str, from: Option<Value>) -> FieldChange {
        FieldChange { field: String::new(), pointer: pointer.to_owned(), from, to: None }
    }

    #[test]
    fn what_was_there_before_is_put_back() {
        let mut spec = PodSpec::default();
        spec.node_selector.insert("a/b".into(), "new".into());
        spec.node_selector.insert("c".into(), "added".into());
        let fields = [
            change("/spec/template/spec/nodeSelector/a~1b", Some(json!("old"))),
            change("/spec/template/spec/nodeSelector/c", None),
            change("/spec/template/spec/tolerations/0", Some(json!({"key": "gpu", "operator": "Exists"}))),
            change("/spec/template/spec/tolerations", Some(json!([{"operator": "Exists"}, 7]))),
            change("/spec/template/spec/tolerations/1/key", Some(json!("x"))),
        ];
        let before = Before::of(&spec, &fields);
        assert_eq!(before.selector, BTreeMap::from([("a/b".to_owned(), "old".to_owned())]));
        assert_eq!(before.tolerations.len(), 2);
        let whole = Before::of(&spec, &[change("/spec/template/spec/nodeSelector", Some(json!({"d": "e"})))]);
        assert_eq!(whole.selector.len(), 1);
        assert!(Before::of(&spec, &[change("/spec/template/spec/nodeSelector", None)]).selector.is_empty());
    }
}
