//! Pods and their specs.

mod container;
mod placement;
mod status;
mod volume;

pub use container::*;
pub use placement::*;
pub use status::*;
pub use volume::*;

use super::{Condition, null_default};
use crate::Quantity;
use crate::shared::Shared;
use crate::specs::Origin;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Deref;

/// A Pod.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    /// What is wanted.
    pub spec: PlacedSpec,
    /// What is.
    pub status: PodStatus,
}

/// The spec of a pod: what it has in common with the others of its template, and the node, which it has not.
#[derive(Clone, Debug, Default)]
pub struct PlacedSpec {
    /// The node it is on, empty until scheduled. That of the common part is empty.
    pub node_name: String,
    /// All else.
    pub common: Shared<PodSpec>,
    /// Which bytes it was decoded from, if somebody remembers.
    pub(crate) origin: Option<Origin>,
}

impl From<PodSpec> for PlacedSpec {
    fn from(mut spec: PodSpec) -> Self {
        let node_name = std::mem::take(&mut spec.node_name);
        PlacedSpec { node_name, common: spec.into(), origin: None }
    }
}

impl Deref for PlacedSpec {
    type Target = PodSpec;

    fn deref(&self) -> &PodSpec {
        &self.common
    }
}

/// What a pod should be; also the spec of a pod template.
#[derive(Clone, Debug, Default, PartialEq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// The node it is on, empty until scheduled.
    #[serde(deserialize_with = "null_default")]
    pub node_name: String,
    /// Containers that run side by side.
    #[serde(deserialize_with = "null_default")]
    pub containers: Vec<Container>,
    /// Containers that run before; one with `restartPolicy: Always` is a sidecar.
    #[serde(deserialize_with = "null_default")]
    pub init_containers: Vec<Container>,
    /// Containers that people added for debugging.
    #[serde(deserialize_with = "null_default")]
    pub ephemeral_containers: Vec<Container>,
    /// Volumes.
    #[serde(deserialize_with = "null_default")]
    pub volumes: Vec<Volume>,
    /// `Always`, `OnFailure`, `Never`; absent means `Always`.
    #[serde(deserialize_with = "null_default")]
    pub restart_policy: String,
    /// Who places it.
    #[serde(deserialize_with = "null_default")]
    pub scheduler_name: String,
    /// What must agree before it is scheduled.
    #[serde(deserialize_with = "null_default")]
    pub scheduling_gates: Vec<Named>,
    /// The account it runs as.
    #[serde(deserialize_with = "null_default")]
    pub service_account_name: String,
    /// Labels the node must have.
    #[serde(deserialize_with = "null_default")]
    pub node_selector: BTreeMap<String, String>,
    /// Where it may and may not be.
    #[serde(deserialize_with = "null_default")]
    pub affinity: Shared<Affinity>,
    /// Taints it puts up with.
    #[serde(deserialize_with = "null_default")]
    pub tolerations: Vec<Toleration>,
    /// How it must spread.
    #[serde(deserialize_with = "null_default")]
    pub topology_spread_constraints: Vec<SpreadConstraint>,
    /// Devices that it wants (DRA).
    #[serde(deserialize_with = "null_default")]
    pub resource_claims: Vec<PodClaim>,
    /// The class of its importance.
    #[serde(deserialize_with = "null_default")]
    pub priority_class_name: String,
    /// Its importance.
    pub priority: Option<i64>,
    /// What the runtime class adds to its needs.
    #[serde(deserialize_with = "null_default")]
    pub overhead: BTreeMap<String, Quantity>,
    /// Limits and requests of the pod as a whole (beta from 1.34).
    #[serde(deserialize_with = "null_default")]
    pub resources: Shared<Resources>,
    /// Seconds between SIGTERM and SIGKILL; 30 if absent.
    pub termination_grace_period_seconds: Option<i64>,
    /// Seconds after which the kubelet fails it.
    pub active_deadline_seconds: Option<i64>,
    /// Whether it uses the node's network.
    #[serde(deserialize_with = "null_default")]
    pub host_network: bool,
    /// Whether its containers see each other's processes.
    #[serde(deserialize_with = "null_default")]
    pub share_process_namespace: bool,
    /// Secrets with registry credentials.
    #[serde(deserialize_with = "null_default")]
    pub image_pull_secrets: Vec<Named>,
}

/// A claim of devices: one that is there, or one that is made from a template for this pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodClaim {
    /// What the containers call it.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// The ResourceClaim.
    pub resource_claim_name: Option<String>,
    /// The ResourceClaimTemplate.
    pub resource_claim_template_name: Option<String>,
}

/// A reference by name alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Named {
    /// The name.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
}

impl PodSpec {
    /// All containers with their type, init containers first.
    pub fn all_containers(&self) -> impl Iterator<Item = (ContainerType, &Container)> {
        let init = self.init_containers.iter().map(|container| {
            let sidecar = container.restart_policy == "Always";
            (if sidecar { ContainerType::Sidecar } else { ContainerType::Init }, container)
        });
        init.chain(self.containers.iter().map(|container| (ContainerType::App, container)))
            .chain(self.ephemeral_containers.iter().map(|container| (ContainerType::Ephemeral, container)))
    }

    /// The container of this name.
    pub fn container(&self, name: &str) -> Option<(ContainerType, &Container)> {
        self.all_containers().find(|(_, container)| container.name == name)
    }

    /// The restart policy, which is `Always` where absent.
    pub fn restarts_always(&self) -> bool {
        matches!(self.restart_policy.as_str(), "" | "Always")
    }

    /// What the pod asks of a node for one resource, in 10⁻⁹ units, as the scheduler counts it: the larger of the sum of
    /// the containers (sidecars included) and of each init container beside the sidecars before it, plus overhead; a
    /// pod-level request, where set, takes the place of all that but the overhead.
    pub fn request_nanos(&self, resource: &str) -> i128 {
        let ask = |container: &Container| -> i128 {
            container.resources.requests.get(resource).and_then(Quantity::nanos).unwrap_or(0)
        };
        let mut sidecars = 0;
        let mut init_peak = 0;
        for container in &self.init_containers {
            if container.restart_policy == "Always" {
                sidecars += ask(container);
                init_peak = init_peak.max(sidecars);
            } else {
                init_peak = init_peak.max(sidecars + ask(container));
            }
        }
        let running: i128 = self.containers.iter().map(ask).sum::<i128>() + sidecars;
        let containers = running.max(init_peak);
        let whole = self.resources.requests.get(resource).and_then(Quantity::nanos).unwrap_or(containers);
        whole + self.overhead.get(resource).and_then(Quantity::nanos).unwrap_or(0)
    }
}

impl Pod {
    /// The pod's containers with their type and status; the status is absent until the kubelet has taken the pod.
    pub fn containers(&self) -> impl Iterator<Item = (ContainerType, &Container, Option<&ContainerStatus>)> {
        self.spec.all_containers().map(|(kind, container)| {
            let statuses = match kind {
                ContainerType::Init | ContainerType::Sidecar => &self.status.init_container_statuses,
                ContainerType::App => &self.status.container_statuses,
                ContainerType::Ephemeral => &self.status.ephemeral_container_statuses,
            };
            (kind, container, statuses.iter().find(|status| status.name == container.name))
        })
    }

    /// A condition of the pod.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        Condition::find(&self.status.conditions, kind)
    }

    /// Whether it takes traffic.
    pub fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(Condition::is_true)
    }

    /// Whether it has ended for good.
    pub fn is_finished(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }
}
