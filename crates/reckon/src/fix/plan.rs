//! From a remedy to the write that carries it out.

use super::revisions;
use crate::remedy;
use reckon_cluster::{Connection, PatchType};
use reckon_model::diff::diff;
use reckon_model::document::{Remedy, RemedyKind};
use reckon_model::{FieldChange, Kind, ResourceRef};
use serde_json::{Map, Value, json};

/// The write.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// A patch, without a version yet.
    Patch(PatchType, Value),
    /// The resources of a running pod, which are changed by a way of their own. As a strategic patch.
    Resize(Value),
    /// The pod is to be moved away.
    Evict,
}

/// The write and what to call it.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) action: Action,
    /// `Patch deployment shop/web`.
    pub(super) question: String,
    /// `deployment shop/web was patched`.
    pub(super) done: String,
    /// What was decided on the way.
    pub(super) note: Option<String>,
}

impl Plan {
    /// How to carry a remedy out on the object as it is now; `Err` says why it cannot be.
    pub(super) async fn of(
        connection: &Connection,
        remedy: &Remedy,
        target: &ResourceRef,
        now: &Value,
    ) -> Result<Plan, String> {
        let subject = remedy::subject(target);
        if target.kind == Kind::Secret {
            return Err("values of Secrets are neither read nor written".to_owned());
        }
        if !remedy.can_be_carried_out() {
            return Err(match remedy.kind {
                RemedyKind::Outside => "it is for a person outside the cluster".to_owned(),
                RemedyKind::Create => "what has to be made is for its owner to write".to_owned(),
                RemedyKind::Delete => match remedy::command(remedy, "") {
                    Some(command) => format!("nothing is deleted by a fix; by hand it is {command}"),
                    None => "nothing is deleted by a fix".to_owned(),
                },
                _ => "the right value cannot be told from what is known".to_owned(),
            });
        }
        let plan = |action, verb: &str, done: &str| Plan {
            action,
            question: format!("{verb} {subject}"),
            done: format!("{subject} was {done}"),
            note: None,
        };
        let patch = |patch: Value| -> Result<Action, String> {
            let patch_type = match remedy.patch_type.as_deref() {
                Some("json") => PatchType::Json,
                Some("merge") => PatchType::Merge,
                _ if matches!(target.kind, Kind::Other(_)) => {
                    return Err("the API server merges lists of custom resources as a whole".to_owned());
                }
                _ => PatchType::Strategic,
            };
            Ok(Action::Patch(patch_type, patch))
        };
        Ok(match (remedy.kind, remedy.patch.clone()) {
            (RemedyKind::Evict, _) if !made_again(now) => {
                return Err("no controller would make the pod again".to_owned());
            }
            (RemedyKind::Evict, _) => plan(Action::Evict, "Evict", "evicted"),
            (RemedyKind::Cordon, _) => plan(unschedulable(true), "Cordon", "cordoned"),
            (RemedyKind::Uncordon, _) => plan(unschedulable(false), "Uncordon", "uncordoned"),
            (RemedyKind::Restart, _) if now.pointer("/spec/updateStrategy/type") == Some(&json!("OnDelete")) => {
                return Err(
                    "its pods are made anew only when somebody deletes them (updateStrategy OnDelete)".to_owned()
                );
            }
            (RemedyKind::Restart, _) => {
                let at = connection.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                let annotations = json!({"kubectl.kubernetes.io/restartedAt": at});
                let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
                plan(Action::Patch(PatchType::Strategic, patch), "Restart", "restarted")
            }
            (RemedyKind::RollBack, None) => {
                let back = revisions::back(connection, target, now).await?;
                Plan { note: Some(back.note), ..plan(back.action, "Roll back", "rolled back") }
            }
            (RemedyKind::Scale, Some(it)) => plan(patch(it)?, "Scale", "scaled"),
            (RemedyKind::SetResources, Some(it)) if target.kind == Kind::Pod => {
                plan(Action::Resize(it), "Resize", "resized")
            }
            (RemedyKind::RollBack, Some(it)) => plan(patch(it)?, "Roll back", "rolled back"),
            (_, Some(it)) => plan(patch(it)?, "Patch", "patched"),
            (_, None) => return Err("the right value cannot be told from what is known".to_owned()),
        })
    }

    /// What a merge patch would change, as far as that can be told without the server that knows the kind's lists.
    pub(super) fn changes_without_server(&self, now: &Value) -> Vec<FieldChange> {
        let Action::Patch(PatchType::Merge, patch) = &self.action else { return Vec::new() };
        let mut after = now.clone();
        merge(&mut after, patch);
        changes(now, &after)
    }
}

/// Whether something makes a pod again that is gone.
fn made_again(pod: &Value) -> bool {
    let owners = pod.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|owner| owner["controller"] == true)
}

fn unschedulable(wanted: bool) -> Action {
    // What is false is left out, as kubectl leaves it.
    let value = if wanted { json!(true) } else { Value::Null };
    Action::Patch(PatchType::Merge, json!({"spec": {"unschedulable": value}}))
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.remove(key)),
            value => merge(target.entry(key.clone()).or_insert(Value::Null), value),
        }
    }
}

/// The patch for this version of the object and no other.
pub(super) fn for_version(patch_type: PatchType, patch: &Value, now: &Value) -> Value {
    let version = now.pointer("/metadata/resourceVersion").cloned().unwrap_or(Value::Null);
    let mut patch = patch.clone();
    match (patch_type, &mut patch) {
        (PatchType::Json, Value::Array(steps)) => {
            steps.insert(0, json!({"op": "test", "path": "/metadata/resourceVersion", "value": version}));
        }
        (_, Value::Object(map)) => {
            let metadata = map.entry("metadata").or_insert_with(|| json!({}));
            if let Value::Object(metadata) = metadata {
                metadata.insert("resourceVersion".to_owned(), version);
            }
        }
        _ => {}
    }
    patch
}

/// What differs of what people write: all but the status and what the server keeps for itself.
pub(super) fn changes(before: &Value, after: &Value) -> Vec<FieldChange> {
    let empty = Map::new();
    let parts = |object: &Value| -> Vec<String> {
        let keys = object.as_object().unwrap_or(&empty).keys();
        keys.filter(|key| !matches!(key.as_str(), "status" | "metadata" | "apiVersion" | "kind")).cloned().collect()
    };
    let mut all = parts(before);
    all.extend(parts(after));
    all.sort();
    all.dedup();
    let mut changes = Vec::new();
    let at = |object: &Value, pointer: &str| object.pointer(pointer).cloned().unwrap_or(Value::Null);
    for part in all {
        let pointer = format!("/{}", reckon_model::diff::escape(&part));
        changes.extend(diff(&at(before, &pointer), &at(after, &pointer), &part, &pointer));
    }
    for part in ["labels", "annotations"] {
        let pointer = format!("/metadata/{part}");
        changes.extend(diff(&at(before, &pointer), &at(after, &pointer), &format!("metadata.{part}"), &pointer));
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_made_again_by_its_controller_and_by_no_other_owner() {
        let pod = |owners: Value| made_again(&json!({"metadata": {"ownerReferences": owners}}));
        assert!(pod(json!([{"kind": "Gang"}, {"kind": "ReplicaSet", "controller": true}])));
        assert!(!pod(json!([{"kind": "Gang", "controller": false}])));
        assert!(!made_again(&json!({"metadata": {}})));
    }

    #[test]
    fn a_patch_counts_for_one_version_alone() {
        let now = json!({"metadata": {"resourceVersion": "7"}});
        assert_eq!(
            for_version(PatchType::Merge, &json!({"spec": {"replicas": 2}}), &now),
            json!({"spec": {"replicas": 2}, "metadata": {"resourceVersion": "7"}})
        );
        assert_eq!(
            for_version(PatchType::Json, &json!([{"op": "remove", "path": "/spec/x"}]), &now),
            json!([{"op": "test", "path": "/metadata/resourceVersion", "value": "7"}, {"op": "remove", "path": "/spec/x"}])
        );
    }

    #[test]
    fn what_the_server_writes_is_no_change() {
        let before =
            json!({"metadata": {"resourceVersion": "1", "labels": {"a": "b"}}, "spec": {"x": 1}, "status": {"n": 1}});
        let after =
            json!({"metadata": {"resourceVersion": "2", "labels": {"a": "c"}}, "spec": {"x": 2}, "status": {"n": 2}});
        let fields: Vec<String> = changes(&before, &after).into_iter().map(|change| change.field).collect();
        assert_eq!(fields, ["spec.x", "metadata.labels.a"]);
    }

    #[test]
    fn a_merge_is_told_without_a_server() {
        let plan = Plan { action: unschedulable(false), question: String::new(), done: String::new(), note: None };
        let changes = plan.changes_without_server(&json!({"spec": {"unschedulable": true, "podCIDR": "x"}}));
        assert_eq!(changes.len(), 1);
        assert_eq!((changes[0].field.as_str(), changes[0].to.as_ref()), ("spec.unschedulable", None));
    }
}
