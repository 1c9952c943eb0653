//! Pods of the same template that are well.

use crate::detectors::revision;
use crate::finding::Fact;
use crate::view::View;
use reckon_model::document::{Role, Source};
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
