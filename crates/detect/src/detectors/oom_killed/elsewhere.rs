//! The same template on nodes of another version: well there and killed here, it is the version that differs.

use super::killed::Killed;
use crate::detectors::revision;
use crate::{Fact, describe};
use reckon_model::document::{Alternative, Role, Source, Verdict};
use reckon_model::k8s::{ContainerStatus, NodeInfo, Pod};
use reckon_model::{Body, Kind, Object, ResourceRef, Timestamp};
use std::collections::BTreeSet;

/// So many nodes are asked for what they run, beside those that are known.
const ASKED: usize = 8;

/// Fewer pods on either side, or fewer nodes, may be so by accident: of three and three pods chance parts one in twenty so.
const PODS: usize = 3;
const NODES: usize = 2;

/// So many pods are compared.
const COMPARED: usize = 64;

/// A version that parts the nodes where pods of one template are killed from those where they are well.
pub(super) struct Versions {
    sentence: String,
    /// One of the nodes where they are killed: the same for each of the pods.
    pub(super) node: ResourceRef,
    pub(super) facts: Vec<Fact>,
    /// Whether there are enough pods on both sides.
    pub(super) settled: bool,
}

impl<'a> Killed<'_, 'a> {
    /// The first of kernel, kubelet and container runtime that parts them.
    pub(super) fn by_version(&self) -> Option<Versions> {
        let (mut ill, mut well) = (vec![self.subject], Vec::new());
        for other in revision::peers(self.view, self.workload, self.subject).into_iter().take(COMPARED) {
            let Some(body) = other.pod() else { continue };
            if self.was_killed(body) {
                ill.push(other);
            } else if revision::outlives(self.view, other, self.subject, &self.container.name) {
                well.push(other);
            }
        }
        let mut asked = BTreeSet::new();
        let mut info = |pod: &Object| self.info(pod, &mut asked);
        let ill: Vec<(&Object, &NodeInfo)> =
            ill.into_iter().map(|pod| Some((pod, info(pod)?))).collect::<Option<_>>()?;
        let well: Vec<(&Object, &NodeInfo)> = well.into_iter().filter_map(|pod| Some((pod, info(pod)?))).collect();
        let (healthy, elsewhere) = well.first()?;
        let here = ill.first()?.1;
        let (what, of) = VERSIONS.into_iter().find(|(_, of)| {
            let own = of(here);
            !own.is_empty()
                && ill.iter().all(|(_, info)| of(info) == own)
                && well.iter().all(|(_, info)| of(info) != own)
        })?;
        let (own, other) = (of(here), of(elsewhere));
        let sentence = format!(
            "Pods of the same template are killed on nodes with {what} {own} and are well on those with {what} {other}",
        );
        let text = format!("{} is ready, on a node with {what} {other}", describe::object(healthy));
        let since = healthy.pod().and_then(|body| body.condition("Ready")?.since);
        let facts = vec![
            Fact::new(Role::Cause, Source::Status, since, healthy, text),
            Fact::new(Role::Cause, Source::Status, None, self.subject, format!("its node has {what} {own}")),
        ];
        let nodes = ill.iter().filter_map(|(pod, _)| Some(pod.pod()?.spec.node_name.as_str()));
        let node = ResourceRef::new(Kind::Node, None, nodes.min()?);
        let on = |pods: &[(&Object, &NodeInfo)]| {
            let nodes: BTreeSet<&str> =
                pods.iter().filter_map(|(pod, _)| Some(pod.pod()?.spec.node_name.as_str())).collect();
            pods.len() >= PODS && nodes.len() >= NODES
        };
        Some(Versions { sentence, node, facts, settled: on(&ill) && on(&well) })
    }

    /// Whether a pod's container was killed for memory lately.
    fn was_killed(&self, pod: &Pod) -> bool {
        let lately = |at: Timestamp| at.checked_add(revision::WINDOW).is_ok_and(|until| !self.view.reached(until));
        pod.containers().any(|(_, item, status)| {
            let end = status.and_then(ContainerStatus::last_end);
            item.name == self.container.name
                && end.is_some_and(|end| end.reason == "OOMKilled" && end.finished_at.is_some_and(lately))
        })
    }

    /// What the node of a pod runs; asked for of few nodes only.
    fn info(&self, pod: &Object, asked: &mut BTreeSet<String>) -> Option<&'a NodeInfo> {
        let name = &pod.pod()?.spec.node_name;
        if name.is_empty() {
            return None;
        }
        asked.insert(name.clone());
        let node = match asked.len() <= ASKED {
            true => self.view.object(&Kind::Node, None, name).found(),
            false if self.view.all_known(&Kind::Node) => self.view.object(&Kind::Node, None, name).found(),
            false => None,
        };
        match &node?.body {
            Body::Node(body) => Some(&body.status.node_info),
            _ => None,
        }
    }
}

type Version = fn(&NodeInfo) -> &str;

/// What of a node decides how memory is counted and who is killed.
const VERSIONS: [(&str, Version); 3] = [
    ("kernel", |info| &info.kernel_version),
    ("kubelet", |info| &info.kubelet_version),
    ("container runtime", |info| &info.container_runtime_version),
];

impl Versions {
    /// It as the cause.
    pub(super) fn sentence(&self, container: &str) -> String {
        format!(
            "{}: look at what differs between those nodes before {container}, its settings or its limit.",
            self.sentence
        )
    }

    /// It as one possibility, where there are few pods to compare.
    pub(super) fn alternative(&self) -> Alternative {
        let sentence = format!("{}; with so few pods that may be an accident.", self.sentence);
        Alternative { reference: None, verdict: Verdict::Possible, sentence }
    }
}
