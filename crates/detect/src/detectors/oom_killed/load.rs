//! Horizontal autoscalers: whether more pods were wanted than there may be, and what a larger request does to them.

use super::class::Class;
use super::killed::Killed;
use crate::{Fact, describe, ownership, spot};
use reckon_model::document::{Alternative, Remedy, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::Autoscaler;
use reckon_model::{Body, Kind, Object};

/// The autoscaler of the workload, where that tells something.
pub(super) struct Load<'a> {
    object: &'a Object,
    autoscaler: &'a Autoscaler,
    /// Whether nothing else explains the need, so that a maximum which was reached tells something.
    open: bool,
}

impl<'a> Killed<'_, 'a> {
    /// Asked for where one object is asked about; of all problems only what is known.
    pub(super) fn autoscaled(&self) -> Option<Load<'a>> {
        let namespace = self.workload.meta.namespace.as_deref();
        let kind = &Kind::HorizontalPodAutoscaler;
        let all: Vec<&Object> = match self.view.is_close() && self.workload.kind != Kind::Pod {
            true => self.view.all(kind, namespace).items,
            false => self.view.known(kind, namespace).collect(),
        };
        all.into_iter().find_map(|object| match &object.body {
            Body::Autoscaler(autoscaler) => {
                let target = &autoscaler.spec.scale_target_ref;
                let kind = Kind::of(&target.api_version, &target.kind);
                let ours = target.name == self.workload.meta.name && kind == self.workload.kind;
                ours.then_some(Load { object, autoscaler, open: false })
            }
            _ => None,
        })
    }
}

impl<'a> Load<'a> {
    pub(super) fn wanted(self, open: bool) -> Load<'a> {
        let open = open && self.autoscaler.at_its_most().is_some();
        Load { open, ..self }
    }

    /// That it would have more pods than it may, as a fact.
    pub(super) fn at_its_most(&self) -> Option<Fact> {
        let limited = self.autoscaler.at_its_most().filter(|_| self.open)?;
        let text = format!("wants more than its maximum of {} pods", self.autoscaler.spec.max_replicas);
        Some(Fact::new(Role::Cause, Source::Condition, limited.since, self.object, text))
    }

    /// What follows from that where no change explains the need.
    pub(super) fn alternative(&self) -> Option<Alternative> {
        let sentence = format!(
            "{} {} wants more pods than its maximum of {}: each of them may carry more load than it was given memory for.",
            self.object.kind,
            describe::object(self.object),
            self.autoscaler.spec.max_replicas,
        );
        let reference = Some((&self.object.reference()).into());
        self.open.then_some(Alternative { reference, verdict: Verdict::Possible, sentence })
    }

    /// More pods instead of larger ones.
    pub(super) fn remedy(&self) -> Option<Remedy> {
        let sentence = format!(
            "Raise maxReplicas of {} {} above {} if it is more load that fills the memory: more pods share it then.",
            self.object.kind, self.object.meta.name, self.autoscaler.spec.max_replicas
        );
        let mut remedy = spot::remedy(RemedyKind::Scale, &self.object.reference(), sentence);
        remedy.managed_by = ownership::managed_by(self.object);
        self.open.then_some(remedy)
    }

    /// What another request does, where the autoscaler goes by it.
    pub(super) fn beware(&self) -> Option<String> {
        let name = &self.object.meta.name;
        self.autoscaler.goes_by_requested_memory().then(|| {
            format!(" HorizontalPodAutoscaler {name} goes by the share of the memory request that is used: with another request it asks for another number of pods.")
        })
    }
}

impl Class {
    /// Whether more load on each pod may be what filled the memory.
    pub(super) fn may_be_load(self) -> bool {
        matches!(self, Class::ContainerLimit | Class::GroupKill | Class::PodLimit | Class::InvisibleChild)
    }
}
