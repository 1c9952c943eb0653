//! How the memory of the container that was killed grew, and when the next kill is due.

use super::killed::Killed;
use super::remedy;
use crate::growth::{self, Forecast, Life};
use crate::{Fact, describe};
use jiff::SignedDuration;
use reckon_model::document::{Role, Shape, Source};
use reckon_model::k8s::bare_id;
use reckon_model::kernel::{MemoryUse, NodeFacts};
use reckon_model::{Timestamp, duration, quantity};
use std::collections::BTreeMap;

/// What is known of its growth.
pub(super) struct Course {
    pub(super) shape: Option<Shape>,
    /// When the next kill is due, most likely.
    pub(super) due: Option<Timestamp>,
    /// That as a fact, with what it comes from.
    pub(super) fact: Option<Fact>,
}

impl<'a> Killed<'_, 'a> {
    /// From the readings of the instance that was killed, and of the one that runs.
    pub(super) fn course(&self) -> Course {
        let nothing = Course { shape: None, due: None, fact: None };
        let own = self.record.as_ref().and_then(|record| record.own_usage(self.pod));
        // What the running instance has may be another limit than that of the one that died.
        let now = self.limit().and_then(remedy::bytes);
        let Some(limit) = own.map(|(_, limit)| limit).or(now) else { return nothing };
        let facts = self.view.kernel(&self.pod.spec.node_name, false);
        let usage = own.map(|(usage, _)| usage);
        let started = self.end.and_then(|end| end.started_at);
        let died = self.end.and_then(|end| end.finished_at);
        let id = self.end.map_or(&*self.status.container_id, |end| &end.container_id);
        let life = Life { uses: readings(facts, id), limit, started, killed: died.map(|died| (died, usage)) };
        let shape = life.shape().or_else(|| growth::by_lifetimes(&self.lifetimes(facts)));
        let running = self.status.state.running.as_ref();
        let current = running.and_then(|_| {
            let uses = readings(facts, &self.status.container_id);
            Life { uses, limit: now.unwrap_or(limit), started: None, killed: None }.forecast()
        });
        if let Some(Forecast { from, at, to, per_hour }) = current {
            let text = format!(
                "grows by {} an hour and reaches its limit in {} to {}",
                quantity::bytes(per_hour),
                duration::short(duration::between(self.view.now(), from)),
                duration::short(duration::between(self.view.now(), to)),
            );
            let fact = Fact::new(Role::Symptom, Source::Kernel, None, self.subject, text);
            return Course { shape: shape.or(Some(Shape::Growth)), due: Some(at), fact: Some(fact) };
        }
        // It took so long from its last start; without a better word it takes as long again.
        let lived = started.zip(died).map(|(started, died)| died.duration_since(started));
        let grew = shape == Some(Shape::Growth);
        let due = || running?.started_at?.checked_add(lived?).ok();
        let due = if grew { due().filter(|due| !self.view.reached(*due)) } else { None };
        let text = lived.filter(|_| grew).map(|lived| {
            let next = due.map(|due| format!("; the next kill is due at {}", describe::time(due))).unwrap_or_default();
            format!("grew from its start to its limit in {}{next}", duration::short(lived))
        });
        let fact = text.map(|text| Fact::new(Role::Symptom, Source::Kernel, None, self.subject, text));
        Course { shape, due, fact }
    }

    /// How long instances before lived: from the first reading to the kill. Of a pod with one container, where no instance
    /// can be another container's.
    fn lifetimes(&self, facts: Option<&'a NodeFacts>) -> Vec<SignedDuration> {
        let Some(facts) =
            facts.filter(|_| self.pod.spec.containers.len() == 1 && self.pod.spec.init_containers.is_empty())
        else {
            return Vec::new();
        };
        let mut ends: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for episode in facts.episodes.iter().filter(|episode| episode.pod_uid.as_ref() == Some(&self.subject.meta.uid))
        {
            if let Some((id, at)) = episode.container_id.as_deref().zip(episode.at) {
                ends.insert(id, at);
            }
        }
        let mut lives: Vec<(Timestamp, SignedDuration)> = ends
            .into_iter()
            .filter_map(|(id, end)| Some((end, end.duration_since(readings(Some(facts), id).first()?.at))))
            .collect();
        lives.sort();
        lives.into_iter().map(|(_, lived)| lived).collect()
    }
}

/// The readings of one instance.
pub(crate) fn readings<'a>(facts: Option<&'a NodeFacts>, id: &str) -> &'a [MemoryUse] {
    facts.and_then(|facts| facts.uses.get(bare_id(id))).map_or(&[], Vec::as_slice)
}
