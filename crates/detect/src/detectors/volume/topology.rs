//! Volumes that no node reaches.

use super::Case;
use crate::finding::{Fact, Finding};
use crate::spot;
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::{Condition, PersistentVolume, PodSpec};
use reckon_model::selector::Requirement;
use reckon_model::{Body, Change, Kind, Object, Verb, text};
use std::collections::{BTreeMap, BTreeSet};

/// What the scheduler says of a volume elsewhere: up to 1.32, from 1.33 on, and of zones named by labels.
const SAID: [&str; 3] =
    ["volume node affinity conflict", "didn't match PersistentVolume's node affinity", "no available volume zone"];

/// How long a machine may take from being asked for until it is a node.
const SCALING: SignedDuration = SignedDuration::from_mins(10);

/// The scheduler says that volumes are elsewhere, and no node reaches all of them; `None` where one does and something else
/// keeps the pod from it.
pub(super) fn found(case: &Case<'_, '_>, condition: &Condition) -> Option<Finding> {
    if !SAID.iter().any(|said| condition.message.contains(said)) {
        return None;
    }
    let volumes: Vec<(&Object, &PersistentVolume)> = case
        .claims()
        .into_iter()
        .filter(|(_, _, claim)| !claim.spec.volume_name.is_empty())
        .filter_map(|(_, _, claim)| {
            let object = case.view.object(&Kind::PersistentVolume, None, &claim.spec.volume_name).found()?;
            match &object.body {
                Body::Volume(volume) if !volume.spec.node_terms().is_empty() => Some((object, &**volume)),
                _ => None,
            }
        })
        .collect();
    let nodes = case.view.all(&Kind::Node, None);
    if volumes.is_empty() || !nodes.complete {
        return None;
    }
    let reach = |volume: &PersistentVolume| -> BTreeSet<&str> {
        nodes.items.iter().filter(|node| reaches(volume, node)).map(|node| node.meta.name.as_str()).collect()
    };
    let finding = match volumes.iter().find(|(_, volume)| reach(volume).is_empty()) {
        Some(_) if is_scaling_up(case) => return None,
        Some((object, volume)) => out_of_reach(case, object, volume),
        None => {
            let common = volumes
                .iter()
                .map(|(_, volume)| reach(volume))
                .reduce(|all, these| all.intersection(&these).copied().collect())
                .unwrap_or_default();
            if common.is_empty() {
                apart(case, &volumes)
            } else {
                let allowed = nodes
                    .items
                    .iter()
                    .any(|node| common.contains(node.meta.name.as_str()) && may_run_on(&case.body.spec, node));
                if allowed {
                    return None;
                }
                kept_away(case, &volumes, &common)
            }
        }
    };
    let mut finding = finding;
    finding.verdict = Verdict::Confirmed;
    for (object, volume) in volumes.iter().take(4) {
        let text = format!("volume {} is reached from nodes with {}", object.meta.name, terms(volume));
        finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, object, text));
    }
    finding.evidence.push(case.condition(condition));
    Some(finding)
}

/// Whether an autoscaler is making a node for this pod: that may be the one that reaches the volume.
fn is_scaling_up(case: &Case<'_, '_>) -> bool {
    let events = case.view.events(case.pod);
    let begun = events.iter().filter(|event| event.reason == "TriggeredScaleUp").filter_map(|event| event.last_seen());
    let Some(due) = begun.max().and_then(|begun| begun.checked_add(SCALING).ok()) else { return false };
    case.view.recheck_at(due);
    !case.view.reached(due)
}

fn reaches(volume: &PersistentVolume, node: &Object) -> bool {
    volume.spec.node_terms().iter().any(|term| term.iter().all(|requirement| requirement.matches(&node.meta.labels)))
}

fn terms(volume: &PersistentVolume) -> String {
    let terms: Vec<String> = volume
        .spec
        .node_terms()
        .iter()
        .map(|term| term.iter().map(Requirement::describe).collect::<Vec<_>>().join(" and "))
        .collect();
    terms.join(", or ")
}

/// Whether the pod's own selector and required affinity let it on a node.
fn may_run_on(spec: &PodSpec, node: &Object) -> bool {
    let selected = spec.node_selector.iter().all(|(key, value)| node.meta.labels.get(key) == Some(value));
    let name = BTreeMap::from([("metadata.name".to_owned(), node.meta.name.clone())]);
    let wanted = spec.affinity.node_affinity.required.as_ref().is_none_or(|required| {
        required.node_selector_terms.iter().any(|term| {
            term.match_expressions.iter().all(|requirement| requirement.matches(&node.meta.labels))
                && term.match_fields.iter().all(|requirement| requirement.matches(&name))
        })
    });
    selected && wanted
}

/// The nodes it was reached from are gone.
fn out_of_reach(case: &Case<'_, '_>, object: &Object, volume: &PersistentVolume) -> Finding {
    let name = &object.meta.name;
    let terms = terms(volume);
    let gone = case.view.deleted(&Kind::Node, None).find(|(node, _)| reaches(volume, node));
    let (what, cause) = match &gone {
        Some((node, at)) => {
            let change =
                Change { at: *at, subject: node.reference(), verb: Verb::Deleted, fields: Vec::new(), actor: None };
            let sentence = format!("Node {}, from which volume {name} was reached, was deleted.", node.meta.name);
            (
                format!("their volume {name} is reached from no node since node {} was deleted", node.meta.name),
                Cause::changed(&change, 0, sentence),
            )
        }
        None => (
            format!("their volume {name} is reached from no node there is"),
            Cause::plain(
                CauseKind::Resource,
                Some(&object.reference()),
                format!("Volume {name} is reached from nodes with {terms} only, and there is none."),
            )
            .at_field(
                "spec.nodeAffinity",
                "/spec/nodeAffinity",
                object.whole().and_then(|whole| whole.pointer("/spec/nodeAffinity").cloned()),
            ),
        ),
    };
    let mut finding = case.finding("volume-topology", Some("no-node"), &what, cause);
    finding.remedies.push(spot::remedy(
        RemedyKind::Outside,
        &object.reference(),
        format!("Bring back a node with {terms}, or restore the data to a volume where there are nodes."),
    ));
    finding
}

/// Each volume has nodes, and none has all.
fn apart(case: &Case<'_, '_>, volumes: &[(&Object, &PersistentVolume)]) -> Finding {
    let names: Vec<&str> = volumes.iter().map(|(object, _)| object.meta.name.as_str()).collect();
    let names = text::enumerate(&names);
    let cause = Cause::plain(
        CauseKind::Resource,
        Some(&case.workload.reference()),
        format!("The volumes {names} are reached from different nodes, and no node reaches all of them."),
    );
    let what = format!("their volumes {names} are reached from no common node");
    let mut finding = case.finding("volume-topology", Some("volumes-apart"), &what, cause);
    finding.remedies.push(spot::remedy(
        RemedyKind::Outside,
        &case.workload.reference(),
        "Move one volume's data to where the other is, and use a class with WaitForFirstConsumer: then both are made for one node.",
    ));
    finding
}

/// There are nodes that reach it, and the pod may run on none of them.
fn kept_away(case: &Case<'_, '_>, volumes: &[(&Object, &PersistentVolume)], common: &BTreeSet<&str>) -> Finding {
    let name = volumes.first().map_or("", |(object, _)| object.meta.name.as_str());
    let mut nodes: Vec<&str> = common.iter().copied().take(4).collect();
    if common.len() > nodes.len() {
        nodes.push("others");
    }
    let nodes = text::enumerate(&nodes);
    let sentence = format!("Volume {name} is reached from {nodes}, and the pods may not run there.");
    let key = if case.body.spec.node_selector.is_empty() { "affinity" } else { "nodeSelector" };
    let cause = match &case.spot {
        Some(spot) => {
            let path = spot.path(key);
            spot.wrong(&path, spot.written(&path), sentence)
        }
        None => Cause::plain(CauseKind::Resource, Some(&case.workload.reference()), sentence),
    };
    let what = format!("their volume {name} is on nodes that they may not run on");
    let mut finding = case.finding("volume-topology", Some("selector"), &what, cause);
    if let Some(spot) = &case.spot {
        finding
            .remedies
            .push(spot.patch(None, format!("Let the pods run on {nodes}: correct {}.", spot.path(key).field)));
    }
    finding
}
