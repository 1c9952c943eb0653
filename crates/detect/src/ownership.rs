//! Who owns an object and its fields.

use reckon_model::diff::escape;
use reckon_model::object::Owner;
use reckon_model::{Actor, ActorSource, Meta, Object, Timestamp};
use serde_json::Value;

/// What keeps the object as it is, so that a live patch would be reverted: `helm`, `argocd`, `flux`, or the custom resource
/// from which an operator makes it.
pub fn managed_by(object: &Object) -> Option<String> {
    // Whoever made the custom resource does not write what its operator makes of it.
    if let Some(owner) = operated(object) {
        return Some(format!("{}/{}", owner.kind, owner.name));
    }
    let Meta { labels, annotations, .. } = &object.meta;
    let argo = annotations.contains_key("argocd.argoproj.io/tracking-id")
        || labels.contains_key("argocd.argoproj.io/instance");
    let flux = ["kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name"]
        .iter()
        .any(|label| labels.contains_key(*label));
    let named = match () {
        // A GitOps controller that installs a chart owns it: Helm alone would not revert anything.
        () if argo => "argocd",
        () if flux => "flux",
        () if helm_release(object).is_some() => "helm",
        () => return None,
    };
    Some(named.to_owned())
}

/// The custom resource that controls an object: an operator made it, and makes it again.
pub(crate) fn operated(object: &Object) -> Option<&Owner> {
    object.meta.controller().filter(|owner| {
        let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
        group.contains('.') && !group.ends_with(".k8s.io")
    })
}

/// The Helm release an object belongs to.
pub fn helm_release(object: &Object) -> Option<&str> {
    let Meta { labels, annotations, .. } = &object.meta;
    let name = annotations.get("meta.helm.sh/release-name").or_else(|| labels.get("app.kubernetes.io/instance"))?;
    let helm = annotations.contains_key("meta.helm.sh/release-name")
        || labels.get("app.kubernetes.io/managed-by").is_some_and(|by| by == "Helm");
    helm.then_some(name.as_str())
}

/// One entry of `managedFields` that is not about the status.
pub(crate) struct Entry<'a> {
    manager: &'a str,
    /// When this manager last wrote.
    pub(crate) at: Option<Timestamp>,
    fields: &'a Value,
    live: &'a Value,
}

/// The entries of an object's `managedFields`, those about its status left out.
pub(crate) fn entries(live: &Value) -> impl Iterator<Item = Entry<'_>> {
    live.pointer("/metadata/managedFields")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|entry| entry.get("subresource").and_then(Value::as_str) != Some("status"))
        .filter_map(move |entry| {
            Some(Entry {
                manager: entry.get("manager").and_then(Value::as_str).unwrap_or(""),
                at: entry.get("time").and_then(Value::as_str).and_then(|at| at.parse::<Timestamp>().ok()),
                fields: entry.get("fieldsV1")?,
                live,
            })
        })
}

impl Entry<'_> {
    /// Who it is.
    pub(crate) fn actor(&self) -> Actor {
        Actor { manager: self.manager.to_owned(), user: None, source: ActorSource::ManagedFields }
    }

    /// How many fields it owns.
    pub(crate) fn size(&self) -> usize {
        fn leaves(fields: &Value) -> usize {
            let below = fields.as_object().into_iter().flatten().filter(|(key, _)| *key != ".");
            below.map(|(_, below)| leaves(below).max(1)).sum()
        }
        leaves(self.fields)
    }

    /// The fields below a part of the object (`spec`, `metadata/labels`) that it owns, for people and as pointers. A list
    /// item that was added as a whole is one field.
    pub(crate) fn owned(&self, part: &str) -> Vec<(String, String)> {
        let mut owned = Vec::new();
        let mut fields = self.fields;
        let mut place = Place { field: String::new(), pointer: String::new() };
        for key in part.split('/') {
            let Some(below) = fields.get(format!("f:{key}")) else { return owned };
            (fields, place) = (below, place.key(key));
        }
        let live = self.live.pointer(&place.pointer).unwrap_or(&Value::Null);
        descend(fields, live, &place, &mut owned);
        owned
    }
}

/// Where a walk over owned fields is.
struct Place {
    field: String,
    pointer: String,
}

impl Place {
    fn key(&self, key: &str) -> Place {
        let plain = !key.contains(['.', '[', ']', '/']);
        let field = match (self.field.is_empty(), plain) {
            (true, true) => key.to_owned(),
            (false, true) => format!("{}.{key}", self.field),
            (_, false) => format!("{}[{key}]", self.field),
        };
        Place { field, pointer: format!("{}/{}", self.pointer, escape(key)) }
    }
}

/// How deep a walk goes; the API server's own limit on nesting is far below what a stack can take.
const DEPTH: usize = 64;

fn descend(fields: &Value, live: &Value, place: &Place, owned: &mut Vec<(String, String)>) {
    let children: Vec<(&String, &Value)> =
        fields.as_object().into_iter().flatten().filter(|(key, _)| *key != ".").collect();
    if children.is_empty() || place.pointer.matches('/').count() > DEPTH {
        owned.push((place.field.clone(), place.pointer.clone()));
        return;
    }
    for (key, below) in children {
        match (key.strip_prefix("f:"), live) {
            (Some(name), _) => {
                let next = live.get(name).unwrap_or(&Value::Null);
                descend(below, next, &place.key(name), owned);
            }
            (None, Value::Array(items)) => {
                let Some((index, item)) = items.iter().enumerate().find(|(_, item)| selects(key, item)) else {
                    continue;
                };
                let place = Place {
                    field: format!("{}[{}]", place.field, item_name(item, index)),
                    pointer: format!("{}/{index}", place.pointer),
                };
                // `.` says that the item itself is this manager's.
                if below.get(".").is_some() {
                    owned.push((place.field, place.pointer));
                } else {
                    descend(below, item, &place, owned);
                }
            }
            _ => {}
        }
    }
}

/// What people call an item of a list.
fn item_name(item: &Value, index: usize) -> String {
    let text = |key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
    let number = |key: &str| item.get(key).filter(|value| value.is_number()).map(Value::to_string);
    text("name")
        .or_else(|| text("mountPath"))
        .or_else(|| number("containerPort"))
        .or_else(|| number("port"))
        .or_else(|| text("key"))
        .or_else(|| text("type"))
        .unwrap_or_else(|| index.to_string())
}

/// Who last wrote the field at this RFC 6901 pointer into the live object, and when, from `managedFields`. Of several
/// owners (a field may be shared) the newest. Writes to `status` are not looked at.
pub fn field_owner(object: &Object, pointer: &str) -> Option<(Actor, Option<Timestamp>)> {
    owner_in(&*object.whole()?, pointer)
}

/// As [`field_owner`], of an object as JSON.
pub fn owner_in(whole: &Value, pointer: &str) -> Option<(Actor, Option<Timestamp>)> {
    let tokens: Vec<String> =
        pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
    entries(whole)
        .filter(|entry| owns(entry.fields, whole, &tokens))
        .map(|entry| (entry.actor(), entry.at))
        .max_by_key(|(_, at)| *at)
}

/// The fields below a part of an object (`data`, `metadata/labels`) that a manager owns, for people and as pointers.
pub fn owned_by(whole: &Value, manager: &str, part: &str) -> Vec<(String, String)> {
    entries(whole).filter(|entry| entry.manager == manager).flat_map(|entry| entry.owned(part)).collect()
}

/// Whether a set of fields holds the path, or an ancestor of it as a leaf (an atomic list or map is owned as a whole).
fn owns(fields: &Value, live: &Value, tokens: &[String]) -> bool {
    let Some(map) = fields.as_object() else { return false };
    let Some((token, rest)) = tokens.split_first() else { return true };
    if map.is_empty() {
        return true;
    }
    match live {
        Value::Array(items) => {
            let item = token.parse::<usize>().ok().and_then(|index| items.get(index));
            let Some(item) = item else { return false };
            map.iter().any(|(key, below)| selects(key, item) && owns(below, item, rest))
        }
        _ => {
            let below = map.get(&format!("f:{token}"));
            let next = live.get(token).unwrap_or(&Value::Null);
            below.is_some_and(|below| owns(below, next, rest))
        }
    }
}

/// Whether `k:{"name":"app"}` or `v:"x"` names this item of a list. A key that is absent has its default.
fn selects(key: &str, item: &Value) -> bool {
    if let Some(keys) = key.strip_prefix("k:").and_then(|keys| serde_json::from_str::<Value>(keys).ok()) {
        let is = |key: &str, value: &Value| match item.get(key) {
            Some(live) => live == value,
            None => key == "protocol" && value == "TCP",
        };
        return keys.as_object().is_some_and(|keys| keys.iter().all(|(key, value)| is(key, value)));
    }
    key.strip_prefix("v:")
        .and_then(|value| serde_json::from_str::<Value>(value).ok())
        .is_some_and(|value| value == *item)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment() -> Object {
        let json = r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"c","namespace":"shop","managedFields":[
            {"manager":"kubectl-create","operation":"Update","time":"2026-01-01T10:00:00Z","fieldsV1":{"f:spec":{"f:replicas":{},"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"app\"}":{".":{},"f:image":{}}}}}}}},
            {"manager":"kubectl-edit","operation":"Update","time":"2026-01-01T11:00:00Z","fieldsV1":{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"app\"}":{"f:resources":{"f:limits":{"f:memory":{}}}}}}}}}},
            {"manager":"kube-controller-manager","operation":"Update","time":"2026-01-01T12:00:00Z","subresource":"status","fieldsV1":{"f:status":{}}}]},
            "spec":{"replicas":1,"template":{"spec":{"containers":[{"name":"proxy"},{"name":"app","image":"a","resources":{"limits":{"memory":"64Mi"}}}]}}}}"#;
        Object::decode(json.as_bytes(), None).unwrap()
    }

    #[test]
    fn the_owner_of_a_list_items_field_is_found_by_its_merge_key() {
        let object = deployment();
        let owner = |pointer: &str| field_owner(&object, pointer).map(|(actor, _)| actor.manager);
        assert_eq!(owner("/spec/template/spec/containers/1/resources/limits/memory").as_deref(), Some("kubectl-edit"));
        assert_eq!(owner("/spec/template/spec/containers/1/image").as_deref(), Some("kubectl-create"));
        assert_eq!(owner("/spec/template/spec/containers/0/image"), None);
        assert_eq!(owner("/status/replicas"), None);
    }

    #[test]
    fn a_gitops_controller_owns_before_helm() {
        let mut object = deployment();
        object.meta.annotations.insert("meta.helm.sh/release-name".into(), "shop".into());
        assert_eq!(managed_by(&object).as_deref(), Some("helm"));
        object.meta.labels.insert("argocd.argoproj.io/instance".into(), "shop".into());
        assert_eq!(managed_by(&object).as_deref(), Some("argocd"));
    }

    #[test]
    fn an_operator_owns_before_who_made_its_custom_resource() {
        let owned = |api_version: &str, kind: &str, controller: bool| {
            let mut object = deployment();
            object.meta.labels.insert("argocd.argoproj.io/instance".into(), "shop".into());
            let (api_version, kind) = (api_version.to_owned(), kind.to_owned());
            object.meta.owners =
                vec![Owner { api_version, kind, name: "main".into(), uid: "u".into(), controller }].into();
            managed_by(&object)
        };
        assert_eq!(owned("kafka.strimzi.io/v1beta2", "Kafka", true).as_deref(), Some("Kafka/main"));
        assert_eq!(owned("kafka.strimzi.io/v1beta2", "Kafka", false).as_deref(), Some("argocd"));
        for built_in in ["apps/v1", "v1", "batch/v1", "node.k8s.io/v1"] {
            assert_eq!(owned(built_in, "X", true).as_deref(), Some("argocd"), "{built_in}");
        }
    }
}
