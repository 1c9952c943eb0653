//! Who owns an object and its fields.

use reckon_model::{Actor, Meta, Object, Timestamp};
use serde_json::Value;

/// What keeps the object as it is, so that a live patch would be reverted: `helm`, `argocd`, `flux`.
pub fn managed_by(object: &Object) -> Option<&'static str> {
    let Meta { labels, annotations, .. } = &object.meta;
    let argo = annotations.contains_key("argocd.argoproj.io/tracking-id")
        || labels.contains_key("argocd.argoproj.io/instance");
    let flux = ["kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name"]
        .iter()
        .any(|label| labels.contains_key(*label));
    match () {
        // A GitOps controller that installs a chart owns it: Helm alone would not revert anything.
        () if argo => Some("argocd"),
        () if flux => Some("flux"),
        () if helm_release(object).is_some() => Some("helm"),
        () => None,
    }
}

/// The Helm release an object belongs to.
pub fn helm_release(object: &Object) -> Option<&str> {
    let Meta { labels, annotations, .. } = &object.meta;
    let name = annotations.get("meta.helm.sh/release-name").or_else(|| labels.get("app.kubernetes.io/instance"))?;
    let helm = annotations.contains_key("meta.helm.sh/release-name")
        || labels.get("app.kubernetes.io/managed-by").is_some_and(|by| by == "Helm");
    helm.then_some(name.as_str())
}

/// Who last wrote the field at this RFC 6901 pointer into the live object, and when, from `managedFields`. Of several
/// owners (a field may be shared) the newest. Writes to `status` are not looked at.
pub fn field_owner(object: &Object, pointer: &str) -> Option<(Actor, Option<Timestamp>)> {
    let whole = object.whole.as_deref()?;
    let tokens: Vec<String> =
        pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
    let entries = whole.pointer("/metadata/managedFields")?.as_array()?;
    entries
        .iter()
        .filter(|entry| entry.get("subresource").and_then(Value::as_str) != Some("status"))
        .filter(|entry| entry.get("fieldsV1").is_some_and(|fields| owns(fields, whole, &tokens)))
        .map(|entry| {
            let manager = entry.get("manager").and_then(Value::as_str).unwrap_or("").to_owned();
            let at = entry.get("time").and_then(Value::as_str).and_then(|at| at.parse::<Timestamp>().ok());
            (Actor { manager, user: None, source: "managedFields" }, at)
        })
        .max_by_key(|(_, at)| *at)
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

/// Whether `k:{"name":"app"}` or `v:"x"` names this item of a list.
fn selects(key: &str, item: &Value) -> bool {
    if let Some(keys) = key.strip_prefix("k:").and_then(|keys| serde_json::from_str::<Value>(keys).ok()) {
        return keys.as_object().is_some_and(|keys| keys.iter().all(|(key, value)| item.get(key) == Some(value)));
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
        assert_eq!(managed_by(&object), Some("helm"));
        object.meta.labels.insert("argocd.argoproj.io/instance".into(), "shop".into());
        assert_eq!(managed_by(&object), Some("argocd"));
    }
}
