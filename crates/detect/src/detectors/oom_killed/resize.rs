//! Memory limits that are not the template's: changed in a running pod (`pods/resize`), or set when it was created.

use super::killed::Killed;
use super::remedy::bytes;
use crate::detectors::revision;
use crate::{describe, ownership, spot};
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind};
use reckon_model::{Change, FieldChange, Kind, Object, Quantity, ResourceRef, Verb};
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
    by: By,
}

/// Who is behind a limit that is not the template's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// It says so itself.
    Autoscaler,
    /// A webhook or a policy: nothing of it is left on the pod.
    Admission,
    /// The template had that limit when the pod was made.
    OlderRevision,
}

impl<'a> Killed<'_, 'a> {
    /// The limit, where an admission webhook made it lower than the template's.
    pub(super) fn given_lower(&self) -> Option<Given> {
        if self.subject.meta.is_resized() || self.workload.kind == Kind::Pod {
            return None;
        }
        let limit = self.container.resources.limits.get("memory")?.clone();
        let owner = self.owner()?;
        let template = self.template_of(owner).filter(|template| bytes(template) > bytes(&limit))?;
        let by = match revision::is_made_by(self.view, owner, self.subject)? {
            false => By::OlderRevision,
            true if self.subject.meta.annotations.contains_key(VPA) => By::Autoscaler,
            true => By::Admission,
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
        self.template_of(
            self.owner().filter(|owner| revision::is_made_by(self.view, owner, self.subject) == Some(true))?,
        )
    }

    fn owner(&self) -> Option<&'a Object> {
        let owner = self.subject.meta.controller()?.reference(self.subject.meta.namespace.as_deref());
        self.view.look_up(&owner).found()
    }

    fn template_of(&self, owner: &Object) -> Option<Quantity> {
        let template = &owner.workload()?.spec.template;
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
        let sentence = match by {
            By::OlderRevision => format!(
                "The pod was made when the template gave {container} a memory limit of {limit}; the template gives {template} now, and the pod was not replaced since."
            ),
            By::Autoscaler => format!(
                "The template gives {container} a memory limit of {template}, and a VerticalPodAutoscaler made it {limit} when the pod was created; the container is killed when it reaches that."
            ),
            By::Admission => format!(
                "The template gives {container} a memory limit of {template}, and something at its admission (a webhook, a policy) made it {limit} when the pod was created; the container is killed when it reaches that."
            ),
        };
        let kind = if *by == By::OlderRevision { CauseKind::Resource } else { CauseKind::External };
        let mut cause = Cause::plain(kind, Some(pod), sentence);
        cause.to = Some(json!(limit.as_str()));
        cause
    }

    /// What to do about it.
    pub(super) fn remedy(&self, pod: &ResourceRef) -> Remedy {
        let sentence = match self.by {
            By::OlderRevision => {
                let sentence = format!("Delete the pod: the one that takes its place is made with {}.", self.template);
                return spot::remedy(RemedyKind::Delete, pod, sentence);
            }
            By::Autoscaler => {
                "Raise maxAllowed or minAllowed of the VerticalPodAutoscaler for it, or take memory out of what it controls."
            }
            By::Admission => {
                "Find what changes resources at admission (kubectl get mutatingwebhookconfigurations,mutatingadmissionpolicies) and let it leave this limit alone."
            }
        };
        spot::remedy(RemedyKind::Outside, pod, sentence)
    }

    /// Whether that is certain, and not only what is left.
    pub(super) fn is_certain(&self) -> bool {
        self.by != By::Admission
    }
}
