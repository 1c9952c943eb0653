//! What ends deaths at a memory limit.

use super::killed::Killed;
use crate::detectors::revision::Suspect;
use crate::detectors::template::Site;
use reckon_model::document::{Remedy, RemedyKind, Risk};
use reckon_model::{Quantity, quantity};
use serde_json::json;

/// Back to the old limit where it was cut; half as much again where it was not, as the true need is cut off by the limit.
/// Nothing of this container's own ends what its node has too little of.
pub(super) fn of(killed: &Killed<'_, '_>, class: &str, cut: Option<&Suspect>) -> Vec<Remedy> {
    let site = Site::new(killed.workload, &killed.container.name);
    let name = &killed.container.name;
    match class {
        _ if class == "node" || killed.is_limitless() => {
            let sentence = format!(
                "Give {name} a memory request of what it uses and a limit above it, so that it is placed where there is room."
            );
            return vec![site.advice(RemedyKind::SetResources, sentence)];
        }
        "pod-limit" => {
            let sentence =
                format!("Raise the pod's memory limit, or give {name} a limit of its own if it takes too much of it.");
            return vec![site.advice(RemedyKind::SetResources, sentence)];
        }
        _ => {}
    }
    let old = cut.and_then(|suspect| suspect.blame.field().from.as_ref()?.as_str().map(str::to_owned));
    let raised = || Some(quantity::bytes(killed.limit().and_then(bytes)?.checked_mul(3)? / 2));
    let (to, sentence) = match (old, raised()) {
        (Some(old), _) => (old.clone(), format!("Restore the memory limit of {name} to {old}.")),
        (None, Some(more)) => {
            let why = "the need above the limit is not known, so watch the peak and correct again";
            (more.clone(), format!("Raise the memory limit of {name} to {more}; {why}."))
        }
        (None, None) => return Vec::new(),
    };
    // A Guaranteed pod keeps request and limit equal, or it would lose its place in the order of eviction.
    let mut resources = json!({"limits": {"memory": to}});
    if killed.pod.status.qos_class == "Guaranteed" {
        resources["requests"] = json!({"memory": to});
    }
    let mut remedy = site.remedy(RemedyKind::SetResources, json!({"resources": resources}), sentence);
    remedy.risk = Risk::Low;
    vec![remedy]
}

/// A quantity of memory in whole bytes.
pub(super) fn bytes(limit: &Quantity) -> Option<u64> {
    limit.value().and_then(|value| u64::try_from(value).ok())
}
