//! A remedy as people can carry it out: what changes, and the command for it.

use reckon_model::document::{Cause, Remedy, RemedyKind};
use reckon_model::kubectl;
use reckon_model::text::clean_line;
use serde_json::Value;

/// The lines that change, each beginning with `-` or `+`. What is taken away is known for the field of the cause alone.
pub(crate) fn lines(remedy: &Remedy, cause: &Cause) -> Vec<String> {
    let Some(patch) = &remedy.patch else { return Vec::new() };
    let mut out = Vec::new();
    if let Value::Array(operations) = patch {
        for operation in operations {
            let text = |key: &str| operation.get(key).and_then(Value::as_str).unwrap_or("");
            match text("op") {
                "remove" => out.push(format!("-     {}", text("path"))),
                // What has to stand there is what goes.
                "test" => {
                    let value = plain(operation.get("value").unwrap_or(&Value::Null));
                    out.push(format!("-     {}: {value}", text("path")));
                }
                _ => out.push(format!(
                    "+     {}: {}",
                    text("path"),
                    plain(operation.get("value").unwrap_or(&Value::Null))
                )),
            }
        }
        return out.iter().map(|line| clean_end(line)).collect();
    }
    let mut leaves = Vec::new();
    collect(patch, &mut Vec::new(), &mut leaves);
    let same_object = match (&remedy.reference, &cause.reference) {
        (Some(remedy), Some(cause)) => (&remedy.kind, &remedy.name) == (&cause.kind, &cause.name),
        _ => false,
    };
    let field = cause.pointer.as_deref().and_then(|pointer| pointer.rsplit('/').next());
    for (path, value) in leaves {
        let name = path.last().cloned().unwrap_or_default();
        let before = cause.to.as_ref().filter(|_| same_object && field == Some(&name));
        if let Some(before) = before.filter(|before| *before != value) {
            out.push(format!("-     {name}: {}", plain(before)));
        }
        match value {
            Value::Null => out.push(format!("-     {}", path.join("."))),
            value => out.push(format!("+     {name}: {}", plain(value))),
        }
    }
    out.iter().map(|line| clean_end(line)).collect()
}

/// Clean, with the spaces at the front, which say where the line belongs.
fn clean_end(line: &str) -> String {
    let (front, rest) = line.split_at(line.len() - line[1..].trim_start().len());
    format!("{front}{}", clean_line(rest))
}

/// The values at the ends of a patch. A list item's name says which item is meant and is no change.
fn collect<'a>(value: &'a Value, path: &mut Vec<String>, leaves: &mut Vec<(Vec<String>, &'a Value)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter().filter(|(key, _)| *key != "name" || map.len() == 1) {
                path.push(key.clone());
                collect(value, path, leaves);
                path.pop();
            }
        }
        Value::Array(items) if items.iter().all(Value::is_object) => {
            for item in items {
                collect(item, path, leaves);
            }
        }
        leaf => leaves.push((path.clone(), leaf)),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The kubectl command that carries a remedy out. None where there is no such command, where the right is known to be
/// missing, or where a name holds what no name holds. `flags` choose the cluster.
pub(crate) fn command(remedy: &Remedy, flags: &str) -> Option<String> {
    let reference = remedy.reference.as_ref()?;
    if remedy.allowed == Some(false) {
        return None;
    }
    let object = kubectl::object(reference)?;
    let command = match (remedy.kind, &remedy.patch) {
        (RemedyKind::Outside | RemedyKind::Create | RemedyKind::Evict, _) => return None,
        (RemedyKind::RollBack, None) if has_rollouts(&reference.kind) => {
            format!("kubectl{flags} rollout undo {object}")
        }
        (RemedyKind::Restart, None)
            if matches!(reference.kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet") =>
        {
            format!("kubectl{flags} rollout restart {object}")
        }
        (RemedyKind::Delete, None) => format!("kubectl{flags} delete {object}"),
        (RemedyKind::Cordon, _) => format!("kubectl{flags} cordon {}", kubectl::word(&reference.name)),
        (RemedyKind::Uncordon, _) => format!("kubectl{flags} uncordon {}", kubectl::word(&reference.name)),
        (RemedyKind::Scale, Some(patch)) if patch.pointer("/spec/replicas").is_some_and(Value::is_u64) => {
            format!("kubectl{flags} scale {object} --replicas={}", patch["spec"]["replicas"])
        }
        (_, None) => return None,
        (_, Some(patch)) => {
            let below = match (remedy.kind, reference.kind.as_str()) {
                (RemedyKind::SetResources, "Pod") => " --subresource resize",
                _ => "",
            };
            let patch_type = match remedy.patch_type.as_deref() {
                Some("merge") => " --type merge",
                Some("json") => " --type json",
                _ => "",
            };
            format!("kubectl{flags} patch {object}{below}{patch_type} -p {}", kubectl::word(&patch.to_string()))
        }
    };
    // A command is copied as it stands: one that would have to be cleaned is not offered.
    (clean_line(&command) == command).then_some(command)
}

/// `deployment shop/checkout`, `node n1`.
pub(crate) fn subject(reference: &reckon_model::ResourceRef) -> String {
    let namespace = reference.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    clean_line(&format!("{} {namespace}{}", reference.kind.singular(), reference.name))
}

/// The kinds that `kubectl rollout` knows.
fn has_rollouts(kind: &str) -> bool {
    matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet")
}

#[cfg(test)]
mod tests {
    use super::*;
    use reckon_model::document::{CauseKind, Ref, Risk};
    use reckon_model::{Kind, ResourceRef};
    use serde_json::json;

    fn remedy(kind: RemedyKind, name: &str, patch: Option<Value>) -> Remedy {
        Remedy {
            option: 1,
            kind,
            reference: Some(Ref::from(&ResourceRef::new(Kind::Deployment, Some("shop"), name))),
            managed_by: None,
            patch_type: Some("strategic".into()),
            patch,
            risk: Risk::Low,
            reversible: true,
            requires: None,
            allowed: None,
            sentence: String::new(),
        }
    }

    #[test]
    fn a_patch_is_shown_as_the_lines_it_changes_and_as_a_command_to_copy() {
        let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "resources": {"limits": {"memory": "512Mi"}}}]}}}});
        let fix = remedy(RemedyKind::SetResources, "checkout", Some(patch));
        let target = ResourceRef::new(Kind::Deployment, Some("shop"), "checkout");
        let cause = Cause::plain(CauseKind::Change, Some(&target), "").at_field(
            "memory",
            "/spec/template/spec/containers/0/resources/limits/memory",
            Some(json!("256Mi")),
        );
        assert_eq!(lines(&fix, &cause), ["-     memory: 256Mi", "+     memory: 512Mi"]);
        let command = command(&fix, "").unwrap();
        assert!(command.starts_with("kubectl patch deployment/checkout -n shop -p '{\"spec\""), "{command}");
    }

    #[test]
    fn an_exchange_is_shown_as_what_goes_and_what_comes() {
        let patch = json!([{"op": "test", "path": "/data/host", "value": "db"}, {"op": "replace", "path": "/data/host", "value": "db-1"}]);
        let fix = remedy(RemedyKind::Patch, "checkout", Some(patch));
        assert_eq!(
            lines(&fix, &Cause::plain(CauseKind::Resource, None, "")),
            ["-     /data/host: db", "+     /data/host: db-1"]
        );
    }

    #[test]
    fn a_hostile_name_never_becomes_part_of_a_command() {
        let undo = |name: &str| command(&remedy(RemedyKind::RollBack, name, None), "");
        assert_eq!(undo("a").as_deref(), Some("kubectl rollout undo deployment/a -n shop"));
        assert_eq!(undo("a;reboot").as_deref(), Some("kubectl rollout undo 'deployment/a;reboot' -n shop"));
        assert_eq!(undo("a'$(reboot)").as_deref(), Some("kubectl rollout undo 'deployment/a'\\''$(reboot)' -n shop"));
        assert_eq!(undo("--all"), None);
        assert_eq!(undo("a\u{1b}[2K"), None);
    }

    #[test]
    fn what_the_user_may_not_do_is_not_offered_as_a_command() {
        let mut fix = remedy(RemedyKind::RollBack, "a", None);
        fix.allowed = Some(false);
        assert_eq!(command(&fix, ""), None);
    }
}
