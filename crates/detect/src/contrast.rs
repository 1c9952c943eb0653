//! What stands beside a failing pod and is not like it.
//!
//! People who look for a cause compare: the pod with what its controller declares, with the others of its template, with
//! the same workload elsewhere. Whatever detector found a problem, these facts are added to it where they are known; they
//! ask for nothing and change no cause.

mod admitted;
mod beside;
mod namesake;

use crate::catalogue::{self, Stage};
use crate::finding::Finding;
use crate::rank::Incident;
use crate::view::View;
pub(crate) use namesake::is_well;
use reckon_model::{Kind, Object};

/// Adds to an incident what a comparison of its pods shows.
pub(crate) fn add(view: &View<'_>, incident: &mut Incident) {
    let Some(stage) = stage(&incident.root) else { return };
    let Some(workload) = view.known_one(&incident.root.place.workload) else { return };
    let pods = incident.root.shows_on.iter().filter(|object| object.kind == Kind::Pod);
    let failing: Vec<&Object> = pods.filter_map(|pod| view.known_one(pod)).collect();
    let Some(first) = failing.first() else { return };
    let mut facts: Vec<_> = admitted::fact(view, &incident.root, stage, workload, first).into_iter().collect();
    let runs =
        matches!(stage, Stage::Image | Stage::Config | Stage::Memory | Stage::Probe | Stage::Start | Stage::Readiness);
    if runs || matches!(stage, Stage::Scheduling | Stage::Volume) {
        facts.extend(beside::siblings(view, workload, &failing));
    }
    facts.extend(match stage {
        Stage::Scheduling => namesake::of_placing(view, workload),
        _ if runs => namesake::of_container(view, &incident.root, workload),
        _ => None,
    });
    for fact in facts {
        if !incident.root.evidence.iter().any(|told| told.text == fact.text) {
            incident.root.evidence.push(fact);
        }
    }
}

fn stage(root: &Finding) -> Option<Stage> {
    root.stage.or_else(|| catalogue::failure(root.failure).map(|(_, failure)| failure.stage))
}
