//! Memory limits that are not the template's: changed in a running pod (`pods/resize`), or set when it was created.

use super::killed::Killed;
use super::remedy::bytes;
use crate::{describe, ownership, spot};
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind};
use reckon_model::{Change, FieldChange, Kind, Quantity, ResourceRef, Verb};
use serde_json::json;

/// A limit that was lowered in place.
pub(super) struct Resize {
    change: Change,
    pub(super) from: String,
    pub(super) to: String,
}

/// The annotation of a pod whose resources a vertical autoscaler has set.
pub(super) const VPA: &str = "vpaUpdates";

/// A limit that the pod was given at its creation, other than its template says.
pub(super) struct Given {
    /// What the template says.
    pub(super) template: Quantity,
    limit: Quantity,
    by: &'static str,
}

impl Killed<'_, '_> {
    /// The limit, where an admission webhook made it lower than the template's.
    pub(super) fn given_lower(&self) -> Option<Given> {
        if self.subject.meta.is_resized() || self.workload.kind == Kind::Pod {
            return None;
        }
        let limit = self.container.resources.limits.get("memory")?.clone();
        let template = self.made_with().filter(|template| bytes(template) > bytes(&limit))?;
        let by = match self.subject.meta.annotations.contains_key(VPA) {
            true => "a VerticalPodAutoscaler",
            false => "an admission webhook",
        };
        Some(Given { template, limit, by })
    }

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

impl Given {
    /// It as the cause.
    pub(super) fn cause(&self, pod: &ResourceRef, container: &str) -> Cause {
        let Given { template, limit, by } = self;
        let sentence = format!(
            "The template gives {container} a memory limit of {template}, and {by} made it {limit} when the pod was created; the container is killed when it reaches that."
        );
        let mut cause = Cause::plain(CauseKind::External, Some(pod), sentence);
        cause.to = Some(json!(limit.as_str()));
        cause
    }

    /// What to do about it.
    pub(super) fn remedy(&self, pod: &ResourceRef) -> Remedy {
        let sentence = match self.by {
            "a VerticalPodAutoscaler" => {
                "Raise maxAllowed or minAllowed of the VerticalPodAutoscaler for it, or take memory out of what it controls.".to_owned()
            }
            _ => "Find the webhook that changes resources (kubectl get mutatingwebhookconfigurations) and let it leave this limit alone.".to_owned(),
        };
        spot::remedy(RemedyKind::Outside, pod, sentence)
    }
}
