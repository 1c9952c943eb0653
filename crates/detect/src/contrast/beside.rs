//! Pods and workloads that are like the failing one and well.

use crate::describe;
use crate::detectors::revision;
use crate::finding::{Fact, Finding};
use crate::view::View;
use reckon_model::document::{Role, Source};
use reckon_model::k8s::Container;
use reckon_model::{Object, text};
use std::collections::BTreeSet;

/// So many nodes are named.
const NAMED: usize = 3;

/// The pods of the same template that are ready, and whether it is the node that parts them from those that fail.
pub(super) fn siblings(view: &View<'_>, workload: &Object, failing: &[&Object]) -> Option<Fact> {
    let first = failing.first()?;
    let ill: BTreeSet<_> = failing.iter().map(|pod| pod.reference()).collect();
    let well: Vec<&Object> = revision::peers(view, workload, first)
        .into_iter()
        .filter(|pod| !ill.contains(&pod.reference()) && pod.pod().is_some_and(reckon_model::k8s::Pod::is_ready))
        .collect();
    let (bad, good) = (nodes(failing), nodes(&well));
    let count = text::count(well.len(), "pod");
    let are = if well.len() == 1 { "is" } else { "are" };
    let text = match bad.iter().collect::<Vec<_>>().as_slice() {
        _ if well.is_empty() => return None,
        // One that fails alone may fail anywhere.
        [node] if failing.len() > 1 && good.iter().any(|other| other != *node) && !good.contains(**node) => {
            let elsewhere: Vec<String> = good.iter().map(|node| (*node).to_owned()).collect();
            let more = elsewhere.len().saturating_sub(NAMED);
            let mut named: Vec<String> = elsewhere.into_iter().take(NAMED).collect();
            named.extend((more > 0).then(|| text::count(more, "other node")));
            format!(
                "all {} that fail are on node {node}; {count} of the same template {are} ready, on {}",
                failing.len(),
                text::enumerate(&named)
            )
        }
        _ => format!("{count} of the same template {are} ready"),
    };
    // Without a time: what is well says nothing of when the rest began to fail.
    Some(Fact::new(Role::Symptom, Source::Status, None, workload, text))
}

fn nodes<'a>(pods: &[&'a Object]) -> BTreeSet<&'a str> {
    let names = pods.iter().filter_map(|pod| Some(pod.pod()?.spec.node_name.as_str()));
    names.filter(|name| !name.is_empty()).collect()
}

/// A workload of the same kind and name in another namespace that is well, and what of it is not like here.
pub(super) fn namesake(view: &View<'_>, root: &Finding, workload: &Object) -> Option<Fact> {
    let (name, _) = root.place.container.as_ref()?;
    let own = container(workload, name)?;
    // The one that is most like it says most.
    let (differences, other) = view
        .namesakes(workload)
        .filter(|other| is_well(other))
        .filter_map(|other| Some((differences(own, container(other, name)?)?, other)))
        .min_by_key(|(differences, other)| (differences.len(), other.namespace()))?;
    let ready = other.workload().map_or(0, |body| body.status.ready_replicas);
    let what = match differences.as_slice() {
        [] => format!("{name} has the same image, command and limits there"),
        differences => format!("{name} has {} there", text::enumerate(differences)),
    };
    let text = format!("{} {} is well ({ready} ready): {what}", other.kind.singular(), describe::object(other));
    Some(Fact::new(Role::Symptom, Source::Status, None, other, text))
}

fn container<'a>(workload: &'a Object, name: &str) -> Option<&'a Container> {
    Some(workload.workload()?.spec.template.spec.container(name)?.1)
}

fn is_well(workload: &Object) -> bool {
    workload.workload().is_some_and(|body| {
        let wanted = body.spec.replicas.unwrap_or(1).max(body.status.desired_number_scheduled);
        workload.meta.deleted.is_none()
            && wanted > 0
            && body.status.ready_replicas >= wanted
            && body.status.observed_generation >= workload.meta.generation
    })
}

/// What of another container is not like this one; `None` where they are not the same program.
fn differences(own: &Container, other: &Container) -> Option<Vec<String>> {
    if repository(&own.image) != repository(&other.image) {
        return None;
    }
    let mut found = Vec::new();
    if own.image != other.image {
        found.push(format!("image {}", other.image));
    }
    for (what, differs) in [("command", own.command != other.command), ("args", own.args != other.args)] {
        found.extend(differs.then(|| format!("another {what}")));
    }
    let (limit, here) = (other.resources.limits.get("memory"), own.resources.limits.get("memory"));
    if limit.map(reckon_model::Quantity::nanos) != here.map(reckon_model::Quantity::nanos) {
        found.push(limit.map_or("no memory limit".to_owned(), |limit| format!("limits.memory {limit}")));
    }
    Some(found)
}

/// An image without its tag and digest, and without its registry: mirrors are named otherwise.
fn repository(image: &str) -> &str {
    let path = image.split('@').next().unwrap_or(image);
    let last = path.rsplit('/').next().unwrap_or(path);
    last.split(':').next().unwrap_or(last)
}
