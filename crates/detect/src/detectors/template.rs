//! Where a container's fields stand in the object that people edit, and patches of them.

use crate::blame::Blame;
use crate::describe;
use crate::spot::{self, Path, Spot};
use reckon_model::document::{Cause, Remedy, RemedyKind};
use reckon_model::{FieldChange, Kind, Object};
use serde_json::{Map, Value, json};

/// A container in the object that people edit.
pub(crate) struct Site<'a> {
    workload: &'a Object,
    container: &'a str,
    /// Where it stands; `None` in a kind of unknown shape, and for what a webhook injected.
    found: Option<(Spot<'a>, Path)>,
}

impl<'a> Site<'a> {
    /// The container of this name in the template of a workload, or in the pod that is its own workload.
    pub(crate) fn new(workload: &'a Object, container: &'a str) -> Self {
        let found = Spot::of(workload).and_then(|spot| {
            let path = spot.container(container)?;
            Some((spot, path))
        });
        Site { workload, container, found }
    }

    /// The cause with this field of the container (`resources.limits.memory`) as what is wrong as it stands.
    pub(crate) fn blame(&self, cause: Cause, below: &str, value: Option<Value>) -> Cause {
        match &self.found {
            Some((spot, path)) => {
                let path = below.split('.').fold(path.clone(), |path, key| path.key(key));
                spot.names(cause.kind, &path, value, cause.sentence)
            }
            None => cause,
        }
    }

    /// A remedy that changes the container: with a strategic merge patch where the workload takes one.
    pub(crate) fn remedy(&self, kind: RemedyKind, change: Value, sentence: impl Into<String>) -> Remedy {
        let Some((spot, path)) = &self.found else { return self.advice(kind, sentence) };
        let mut item = json!({"name": self.container});
        if let (Some(item), Value::Object(change)) = (item.as_object_mut(), change) {
            item.extend(change);
        }
        let list = if path.field.contains(".initContainers[") { "initContainers" } else { "containers" };
        let mut remedy = spot.patch(Some(json!({list: [item]})), sentence);
        remedy.kind = kind;
        remedy
    }

    /// A remedy that a person has to work out.
    pub(crate) fn advice(&self, kind: RemedyKind, sentence: impl Into<String>) -> Remedy {
        let mut remedy = spot::remedy(kind, &self.workload.reference(), sentence);
        remedy.managed_by = crate::ownership::managed_by(self.workload);
        remedy
    }

    /// Back to what the field was before the change that is blamed, and where the workload keeps revisions, back to the
    /// whole revision before.
    pub(crate) fn revert(&self, blame: &Blame) -> Vec<Remedy> {
        let field = blame.field();
        let name = format!("{} {}", self.workload.kind.singular(), describe::object(self.workload));
        let set = below(field, self.container).and_then(|below| nested(below, field.from.as_ref())).map(|change| {
            let sentence = match &field.from {
                Some(from) => format!("Set {} of {name} back to {}.", field.field, describe::value(from)),
                None => format!("Remove {} of {name} again.", field.field),
            };
            self.remedy(RemedyKind::Patch, change, sentence)
        });
        let kind = self.workload.kind.singular();
        let sentence = match self.workload.kind {
            Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet => format!(
                "Roll back to the revision before: kubectl rollout undo {kind}/{} -n {}.",
                self.workload.meta.name,
                self.workload.namespace()
            ),
            _ => format!("Put {name} back to what it was before."),
        };
        let back = self.found.as_ref().and_then(|(spot, _)| spot.roll_back(sentence));
        set.into_iter().chain(back).collect()
    }
}

/// The part of a change's field below this container: `resources.limits.memory`; empty for the whole container.
pub(crate) fn below<'c>(change: &'c FieldChange, container: &str) -> Option<&'c str> {
    let (_, rest) = change.field.split_once(&format!("ontainers[{container}]"))?;
    Some(rest.strip_prefix('.').unwrap_or(rest))
}

/// A patch that sets the field at this path of a container to a value, or takes it away. `None` for paths through lists
/// other than the environment.
fn nested(below: &str, value: Option<&Value>) -> Option<Value> {
    if let Some(rest) = below.strip_prefix("env[") {
        let (name, rest) = rest.split_once(']')?;
        let item = match (rest, value) {
            ("", Some(item)) => item.clone(),
            ("", None) => json!({"name": name, "$patch": "delete"}),
            (".value", Some(value)) => json!({"name": name, "value": value, "valueFrom": null}),
            _ => return None,
        };
        return Some(json!({"env": [item]}));
    }
    if below.is_empty() || below.contains('[') {
        return None;
    }
    let value = value.cloned().unwrap_or(Value::Null);
    Some(below.rsplit('.').fold(value, |inner, key| Value::Object(Map::from_iter([(key.to_owned(), inner)]))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_nests_as_the_field_does() {
        let limit = nested("resources.limits.memory", Some(&json!("64Mi"))).unwrap();
        assert_eq!(limit, json!({"resources": {"limits": {"memory": "64Mi"}}}));
        assert_eq!(nested("args", None).unwrap(), json!({"args": null}));
        let gone = nested("env[A.B]", None).unwrap();
        assert_eq!(gone, json!({"env": [{"name": "A.B", "$patch": "delete"}]}));
        assert_eq!(nested("volumeMounts[x].subPath", None), None);
        assert_eq!(nested("", Some(&json!({}))), None);
    }
}
