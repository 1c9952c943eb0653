//! Back to a template that was healthy.
//!
//! `kubectl rollout undo` goes to the revision before, which after two attempts is the first broken one. Here the newest
//! earlier revision is taken whose pods are ready, and the one before only where none has any.

use super::plan::Action;
use reckon_cluster::{Connection, PatchType};
use reckon_model::selector::LabelSelector;
use reckon_model::{Kind, ResourceRef};
use serde::Deserialize;
use serde_json::{Value, json};

/// The way back.
pub(super) struct Back {
    pub(super) action: Action,
    /// To which revision, and why to that.
    pub(super) note: String,
}

/// The patch that brings back an earlier template of a workload; `Err` says why there is none.
pub(super) async fn back(connection: &Connection, target: &ResourceRef, now: &Value) -> Result<Back, String> {
    let kind = if target.kind == Kind::Deployment { Kind::ReplicaSet } else { Kind::ControllerRevision };
    let selector = now.pointer("/spec/selector").cloned().unwrap_or(Value::Null);
    let selector =
        LabelSelector::deserialize(selector).map_err(|error| format!("its selector cannot be read: {error}"))?;
    let all = connection
        .read_all(&kind, target.namespace.as_deref(), &selector.query())
        .await
        .map_err(|error| format!("its revisions cannot be read: {}", error.why()))?;
    let uid = now.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    chosen(&kind, all, uid)
}

/// The revision to go back to among the children of the workload with this UID.
fn chosen(kind: &Kind, all: Vec<Value>, uid: &str) -> Result<Back, String> {
    let mut own: Vec<(i64, Value)> =
        all.into_iter().filter(|it| is_controlled_by(it, uid)).filter_map(|it| Some((revision(&it)?, it))).collect();
    own.sort_by_key(|(revision, _)| *revision);
    // The newest is the one that runs now.
    own.pop();
    let ready = |it: &Value| it.pointer("/status/readyReplicas").and_then(Value::as_i64).unwrap_or(0) > 0;
    let healthy = own.iter().rposition(|(_, it)| ready(it));
    let at = healthy.or(own.len().checked_sub(1)).ok_or("no earlier revision is kept")?;
    let (revision, it) = own.swap_remove(at);
    let note = match healthy {
        Some(_) => format!("back to revision {revision}, of which pods are ready"),
        None => format!("back to revision {revision}, the one before"),
    };
    let action = if *kind == Kind::ReplicaSet {
        let mut template = it.pointer("/spec/template").cloned().ok_or("the earlier template is not there")?;
        if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
            // The controller adds it to each of its ReplicaSets.
            labels.remove("pod-template-hash");
        }
        Action::Patch(PatchType::Json, json!([{"op": "replace", "path": "/spec/template", "value": template}]))
    } else {
        // What the controller stores is a patch already.
        let data =
            it.get("data").filter(|data| data.is_object()).cloned().ok_or("the earlier template is not there")?;
        Action::Patch(PatchType::Strategic, data)
    };
    Ok(Back { action, note })
}

fn is_controlled_by(object: &Value, uid: &str) -> bool {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|owner| owner["uid"] == uid && owner["controller"] == true)
}

/// The number of a revision: an annotation of a ReplicaSet, a field of a ControllerRevision.
fn revision(object: &Value) -> Option<i64> {
    let noted = object.pointer("/metadata/annotations").and_then(|it| it.get("deployment.kubernetes.io/revision"));
    noted.and_then(Value::as_str).and_then(|text| text.parse().ok()).or_else(|| object.get("revision")?.as_i64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(revision: &str, image: &str, ready: i64, uid: &str) -> Value {
        json!({
            "metadata": {
                "annotations": {"deployment.kubernetes.io/revision": revision},
                "ownerReferences": [{"uid": uid, "controller": true}],
            },
            "spec": {"template": {
                "metadata": {"labels": {"app": "web", "pod-template-hash": revision}},
                "spec": {"containers": [{"image": image}]},
            }},
            "status": {"readyReplicas": ready},
        })
    }

    #[test]
    fn a_second_failed_attempt_is_not_gone_back_to() {
        let all = vec![set("10", "c", 0, "u"), set("9", "b", 0, "u"), set("2", "a", 3, "u"), set("8", "x", 1, "other")];
        let back = chosen(&Kind::ReplicaSet, all, "u").unwrap();
        assert_eq!(back.note, "back to revision 2, of which pods are ready");
        let Action::Patch(PatchType::Json, patch) = back.action else { panic!("{:?}", back.action) };
        assert_eq!(
            patch[0]["value"],
            json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": "a"}]}})
        );
    }

    #[test]
    fn where_nothing_is_ready_the_revision_before_is_taken_and_without_one_it_is_said() {
        let all = vec![set("10", "c", 0, "u"), set("9", "b", 0, "u"), set("2", "a", 0, "u")];
        assert_eq!(chosen(&Kind::ReplicaSet, all, "u").unwrap().note, "back to revision 9, the one before");
        let one = vec![set("1", "a", 0, "u")];
        assert_eq!(chosen(&Kind::ReplicaSet, one, "u").err().as_deref(), Some("no earlier revision is kept"));
    }

    #[test]
    fn a_controller_revision_holds_its_own_patch() {
        let one = |number: i64| {
            json!({"revision": number, "data": {"spec": {"template": {"n": number, "$patch": "replace"}}},
            "metadata": {"ownerReferences": [{"uid": "u", "controller": true}]}})
        };
        let back = chosen(&Kind::ControllerRevision, vec![one(2), one(1)], "u").unwrap();
        assert_eq!(
            back.action,
            Action::Patch(PatchType::Strategic, json!({"spec": {"template": {"n": 1, "$patch": "replace"}}}))
        );
    }
}
