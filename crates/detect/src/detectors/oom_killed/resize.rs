//! A memory limit that was changed in a running pod (`pods/resize`): the workload's template still says the old one.

use super::killed::Killed;
use super::remedy::bytes;
use crate::{describe, ownership};
use reckon_model::document::Cause;
use reckon_model::{Change, FieldChange, Kind, Quantity, Verb};
use serde_json::json;

/// A limit that was lowered in place.
pub(super) struct Resize {
    change: Change,
    pub(super) from: String,
    pub(super) to: String,
}

impl Killed<'_, '_> {
    /// The change, where a resize made the pod's limit lower than the one it was made with.
    pub(super) fn lowered_in_place(&self) -> Option<Resize> {
        // Without a resize a lower limit than the template's was given at the creation, by an admission webhook.
        if !self.subject.meta.is_resized() {
            return None;
        }
        let to = self.container.resources.limits.get("memory")?;
        let from = self.made_with()?;
        if bytes(&from)? <= bytes(to)? {
            return None;
        }
        let index = self.pod.spec.containers.iter().position(|item| item.name == self.container.name)?;
        let pointer = format!("/spec/containers/{index}/resources/limits/memory");
        let (actor, at) = ownership::field_owner(self.subject, &pointer)?;
        let field = format!("spec.containers[{}].resources.limits.memory", self.container.name);
        let field = FieldChange { field, pointer, from: Some(json!(from.as_str())), to: Some(json!(to.as_str())) };
        let (subject, actor) = (self.subject.reference(), Some(actor));
        let change = Change { at: at?, subject, verb: Verb::Updated, fields: vec![field], actor };
        Some(Resize { change, from: from.as_str().to_owned(), to: to.as_str().to_owned() })
    }

    /// The limit of the template, or of what was applied where the pod is its own workload.
    fn made_with(&self) -> Option<Quantity> {
        if self.workload.kind == Kind::Pod {
            let applied = self.subject.last_applied()?;
            let containers = applied.pointer("/spec/containers")?.as_array()?;
            let own = containers.iter().find(|item| item["name"] == self.container.name.as_str())?;
            return Some(Quantity::new(own.pointer("/resources/limits/memory")?.as_str()?));
        }
        // A revision that is not the pod's own has limits of its own: those are compared where revisions are.
        let template =
            self.view.look_up(&self.subject.meta.controller()?.reference(self.subject.meta.namespace.as_deref()));
        let template = &template.found()?.workload()?.spec.template;
        let own = template.spec.containers.iter().find(|item| item.name == self.container.name)?;
        own.resources.limits.get("memory").cloned()
    }
}

impl Resize {
    pub(super) fn cause(&self, container: &str) -> Cause {
        let by = self.change.actor.as_ref().map(|actor| format!(" by {}", actor.manager)).unwrap_or_default();
        let sentence = format!(
            "The memory limit of {container} was lowered from {} to {} in the running pod at {}{by}; the container is killed when it reaches the limit.",
            self.from,
            self.to,
            describe::time(self.change.at)
        );
        Cause::changed(&self.change, 0, sentence)
    }
}
