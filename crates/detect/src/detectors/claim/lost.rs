//! Claims whose volume is gone.

use super::Case;
use crate::finding::{Fact, Finding};
use crate::spot;
use crate::{Lookup, blame};
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Source, Verdict};
use reckon_model::{Body, Kind, ResourceRef};

/// The controller calls a claim lost when its volume is gone or belongs to another: the data may be lost with it, and the
/// claim never comes back by itself.
pub(super) fn found(case: &Case<'_, '_>) -> Finding {
    let name = case.spec.volume_name.as_str();
    let target = ResourceRef::new(Kind::PersistentVolume, None, name);
    let mut facts = Vec::new();
    let (class, what, cause, verdict) = match case.view.look_up(&target) {
        Lookup::Found(volume) => {
            let owner = match &volume.body {
                Body::Volume(body) => body.spec.claim_ref.as_ref(),
                _ => None,
            };
            let whose = match owner {
                Some(owner) if owner.name == case.claim.meta.name && owner.namespace == case.claim.namespace() => {
                    "an earlier claim of the same name".to_owned()
                }
                Some(owner) => format!("claim {}/{}", owner.namespace, owner.name),
                None => "no claim any more".to_owned(),
            };
            let text = format!("volume {name} belongs to {whose}");
            facts.push(Fact::new(Role::Cause, Source::Spec, None, volume, text));
            let cause = Cause::plain(
                CauseKind::Resource,
                Some(&volume.reference()),
                format!("The claim is bound to volume {name}, but the volume belongs to {whose}."),
            )
            .at_field("spec.claimRef", "/spec/claimRef", None);
            ("misbound", format!("lost its volume {name}, which belongs to {whose}"), cause, Verdict::Confirmed)
        }
        read => {
            let sure = read.is_absent();
            let mut cause =
                blame::missing_reference(case.view, case.claim, &target, "spec.volumeName", "/spec/volumeName");
            if !sure {
                cause.sentence = format!("PersistentVolume {name} is gone, says the claim's status.");
            }
            facts.push(Fact {
                role: Role::Cause,
                source: Source::Absence,
                at: cause.at,
                about: target.clone(),
                text: format!("PersistentVolume {name} does not exist"),
                raw: None,
            });
            if !sure {
                facts.clear();
            }
            let verdict = if sure { Verdict::Confirmed } else { Verdict::Likely };
            ("volume-deleted", format!("lost its volume: PersistentVolume {name} is gone"), cause, verdict)
        }
    };
    let mut finding = case.finding("pvc-lost", Some(class), what, cause);
    finding.verdict = verdict;
    finding.evidence = facts;
    let lost = "the claim's phase is Lost".to_owned();
    finding.evidence.push(Fact::new(Role::Symptom, Source::Status, None, case.claim, lost));
    finding.remedies.push(spot::remedy(
        RemedyKind::Outside,
        &case.claim.reference(),
        "Find the disk behind the volume with the storage provider before anything else is deleted.",
    ));
    finding.remedies.push(if class == "misbound" {
        spot::remedy(
            RemedyKind::Create,
            &case.claim.reference(),
            "Make a new claim under another name and restore what is missing from a backup.",
        )
    } else {
        spot::remedy(
            RemedyKind::Create,
            &target,
            format!(
                "Make PersistentVolume {name} again for that disk with reclaim policy Retain and a claimRef to {}, or make a new claim and restore a backup.",
                case.claim.meta.name
            ),
        )
    });
    finding
}
