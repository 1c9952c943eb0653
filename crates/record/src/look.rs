//! What a fact is told from: the state around it, the rules, and the time.

use crate::noise::Noise;
use reckon_detect::State;
use reckon_model::record::{Entry, Fact};
use reckon_model::{Kind, Object, ResourceRef, SignedDuration, Timestamp};

/// The API server's times are cut to seconds, and a watch tells within moments: a time this close to now is now.
const MOMENTS: SignedDuration = SignedDuration::from_secs(2);

/// What a fact is told from.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) state: &'a State,
    pub(crate) noise: &'a Noise,
    pub(crate) now: Timestamp,
    /// Since when the kind was not watched, while what is told happened at some time since.
    pub(crate) since: Option<Timestamp>,
}

impl Look<'_> {
    /// When something happened of which this time is told: to the millisecond where it was just now.
    pub(crate) fn moment(&self, told: Option<Timestamp>) -> Timestamp {
        told.filter(|told| self.now.duration_since(*told) >= MOMENTS).unwrap_or(self.now)
    }

    /// An entry about an object.
    pub(crate) fn entry(&self, at: Timestamp, object: &Object, fact: Fact) -> Entry {
        Entry { at, subject: object.reference(), workload: workload(self.state, object), fact }
    }
}

/// The nearest owner with a pod template, where that is another object.
pub(crate) fn workload(state: &State, object: &Object) -> Option<ResourceRef> {
    if !matches!(object.kind, Kind::Pod | Kind::ReplicaSet | Kind::ControllerRevision | Kind::Job) {
        return None;
    }
    let owner = owner(object)?;
    match owner.kind {
        Kind::ReplicaSet | Kind::Job => Some(above(state, &owner, object).unwrap_or(owner)),
        _ => Some(owner),
    }
}

fn owner(object: &Object) -> Option<ResourceRef> {
    Some(object.meta.controller()?.reference(object.meta.namespace.as_deref()))
}

/// The owner of a pod's owner.
fn above(state: &State, owner: &ResourceRef, pod: &Object) -> Option<ResourceRef> {
    if let Some(known) = state.get(owner) {
        return self::owner(known);
    }
    // A ReplicaSet that is gone, or that nobody may read, is called by its Deployment and the hash that its pods carry.
    let hash = pod.meta.labels.get("pod-template-hash").filter(|_| owner.kind == Kind::ReplicaSet)?;
    let name = owner.name.strip_suffix(hash.as_str())?.strip_suffix('-')?;
    Some(ResourceRef::new(Kind::Deployment, owner.namespace.as_deref(), name))
}

/// The workload of an object that is known by name alone.
pub(crate) fn workload_of(state: &State, reference: &ResourceRef) -> Option<ResourceRef> {
    workload(state, state.get(reference)?)
}
