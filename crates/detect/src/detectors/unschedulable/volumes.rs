//! Reasons that are about volumes: the claim, the volume or the driver behind them.

use super::cause::Case;
use super::funnel::Decision;
use super::hurdle::Hurdle;
use super::message::Said;
use crate::{Fact, Lookup, View, describe};
use reckon_model::document::{Cause, CauseKind, Role, Source};
use reckon_model::k8s::{Claim, Pod};
use reckon_model::{Body, Kind, Object, ResourceRef};
use serde_json::json;

/// A claim of the pod: its reference, and the object where it could be read.
struct Mounted<'a> {
    reference: ResourceRef,
    found: Option<(&'a Object, &'a Claim)>,
}

/// The claims that a pod mounts, in its order; those of ephemeral volumes are named after the pod.
fn mounted<'a>(view: &View<'a>, subject: &Object, pod: &Pod) -> Vec<Mounted<'a>> {
    let names =
        pod.spec.volumes.iter().filter_map(|volume| match (&volume.persistent_volume_claim, &volume.ephemeral) {
            (Some(claim), _) => Some(claim.claim_name.clone()),
            (None, Some(_)) => Some(format!("{}-{}", subject.meta.name, volume.name)),
            (None, None) => None,
        });
    names
        .map(|name| {
            let reference = ResourceRef::new(Kind::PersistentVolumeClaim, subject.meta.namespace.as_deref(), &name);
            let found = match view.look_up(&reference) {
                Lookup::Found(object) => match &object.body {
                    Body::Claim(claim) => Some((object, &**claim)),
                    _ => None,
                },
                Lookup::Absent { .. } | Lookup::Unread => None,
            };
            Mounted { reference, found }
        })
        .collect()
}

/// Whether what is said of claims and volumes is told by the detectors of claims and volumes. They can where all that they
/// read could be read, and where they know the words.
pub(super) fn told_elsewhere(view: &View<'_>, subject: &Object, pod: &Pod, hurdle: Hurdle, said: &str) -> bool {
    let claims = mounted(view, subject, pod);
    if view.has_gaps() {
        return false;
    }
    let words = said.to_ascii_lowercase();
    let of_their_own =
        |claim: &Mounted<'_>| words.contains(&format!("persistentvolumeclaim \"{}\"", claim.reference.name));
    match hurdle {
        Hurdle::Claim if words.contains("waiting for ephemeral volume controller") => {
            claims.iter().any(|claim| claim.found.is_some())
        }
        Hurdle::Claim => words.contains("unbound immediate") || claims.iter().any(of_their_own),
        _ => true,
    }
}

impl<'a> Case<'_, 'a> {
    /// The cause of a reason that is about volumes.
    pub(super) fn volumes(&self, decision: &Decision<'_, 'a>, said: &Said, sentence: String) -> Cause {
        let claims = mounted(self.view, self.subject, self.pod);
        let words = said.reason(decision.hurdle).map(|reason| reason.what.as_str()).unwrap_or_default();
        let node = decision.on.first().map(|node| node.node.reference());
        let claim = which(&claims, decision.hurdle, words);
        match (decision.hurdle, claim) {
            (Hurdle::VolumeLimit | Hurdle::Driver, _) => {
                let kind = if node.is_some() { CauseKind::Node } else { CauseKind::External };
                Cause::plain(kind, Some(&node.unwrap_or_else(|| self.workload.reference())), sentence)
            }
            (Hurdle::Reach, Some(Mounted { found: Some((_, claim)), .. })) if !claim.spec.volume_name.is_empty() => {
                let volume = ResourceRef::new(Kind::PersistentVolume, None, &claim.spec.volume_name);
                Cause::plain(CauseKind::Resource, Some(&volume), sentence).at_field(
                    "spec.nodeAffinity",
                    "/spec/nodeAffinity",
                    None,
                )
            }
            (Hurdle::VolumeInUse, Some(Mounted { found: Some((object, claim)), .. })) => {
                let modes = json!(claim.spec.access_modes);
                let sentence = match self.holder(&object.meta.name) {
                    Some(holder) => format!("{sentence} {} uses claim {}.", describe::object(holder), object.meta.name),
                    None => sentence,
                };
                Cause::plain(CauseKind::Resource, Some(&object.reference()), sentence).at_field(
                    "spec.accessModes",
                    "/spec/accessModes",
                    Some(modes),
                )
            }
            (_, Some(claim)) => Cause::plain(CauseKind::Resource, Some(&claim.reference), sentence),
            (_, None) => Cause::plain(CauseKind::Unknown, Some(&self.workload.reference()), sentence),
        }
    }

    /// What is known of the claims, for a reason that is about them.
    pub(super) fn claims_told(&self, hurdle: Hurdle, said: &Said) -> Vec<Fact> {
        let about = matches!(hurdle, Hurdle::Claim | Hurdle::Reach | Hurdle::Storage | Hurdle::VolumeInUse);
        if !about {
            return Vec::new();
        }
        let claims = mounted(self.view, self.subject, self.pod);
        let words = said.reason(hurdle).map(|reason| reason.what.as_str()).unwrap_or_default();
        let Some(Mounted { found: Some((object, claim)), .. }) = which(&claims, hurdle, words) else {
            return Vec::new();
        };
        let class = claim.spec.storage_class_name.as_deref().filter(|name| !name.is_empty());
        let class = class.map_or("no class".to_owned(), |name| format!("class {name}"));
        let volume = match claim.spec.volume_name.as_str() {
            "" => "no volume".to_owned(),
            name => format!("volume {name}"),
        };
        let text = format!("claim {} is {}, {class}, {volume}", object.meta.name, claim.status.phase);
        let mut facts = vec![Fact::new(Role::Cause, Source::Status, None, object, text)];
        if let Some(holder) = self.holder(&object.meta.name).filter(|_| hurdle == Hurdle::VolumeInUse) {
            let text = format!("{} on node {} mounts it", holder.meta.name, node_of(holder));
            facts.push(Fact::new(Role::Cause, Source::Spec, None, holder, text));
        }
        facts
    }

    /// Another pod that has a node and mounts this claim.
    fn holder(&self, claim: &str) -> Option<&'a Object> {
        let pods = self.view.all(&Kind::Pod, self.subject.meta.namespace.as_deref()).items;
        pods.into_iter().filter(|other| other.meta.name != self.subject.meta.name).find(|other| {
            other.pod().is_some_and(|pod| {
                !pod.spec.node_name.is_empty()
                    && !pod.is_finished()
                    && pod.spec.volumes.iter().any(|volume| {
                        volume.persistent_volume_claim.as_ref().is_some_and(|source| source.claim_name == claim)
                    })
            })
        })
    }
}

fn node_of(pod: &Object) -> &str {
    pod.pod().map_or("", |pod| pod.spec.node_name.as_str())
}

/// The claim that a reason is about: the one that it names, else the first of its sort, else the first.
fn which<'m, 'a>(claims: &'m [Mounted<'a>], hurdle: Hurdle, words: &str) -> Option<&'m Mounted<'a>> {
    let named = claims.iter().find(|claim| words.contains(&format!("\"{}\"", claim.reference.name)));
    let fits = |claim: &&Mounted<'a>| {
        claim.found.is_some_and(|(_, body)| match hurdle {
            Hurdle::VolumeInUse => body.spec.access_modes.iter().any(|mode| mode == "ReadWriteOncePod"),
            Hurdle::Reach => !body.spec.volume_name.is_empty(),
            _ => body.status.phase != "Bound",
        })
    };
    named.or_else(|| claims.iter().find(fits)).or_else(|| claims.first())
}
