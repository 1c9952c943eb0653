//! Pods and their specs.

use super::{Condition, IntOrString, null_default};
use crate::selector::{LabelSelector, Requirement};
use crate::shared::Shared;
use crate::specs::Origin;
use crate::{Quantity, Timestamp};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

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

/// A container of a pod spec.
#[derive(Clone, Debug, Default, PartialEq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Its name, unique in the pod.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// Its image.
    #[serde(deserialize_with = "null_default")]
    pub image: String,
    /// `Always`, `IfNotPresent`, `Never`.
    #[serde(deserialize_with = "null_default")]
    pub image_pull_policy: String,
    /// Overrides the image's entry point.
    #[serde(deserialize_with = "null_default")]
    pub command: Vec<String>,
    /// Arguments.
    #[serde(deserialize_with = "null_default")]
    pub args: Vec<String>,
    /// Environment.
    #[serde(deserialize_with = "null_default")]
    pub env: Vec<EnvVar>,
    /// Environment from whole objects.
    #[serde(deserialize_with = "null_default")]
    pub env_from: Vec<EnvFrom>,
    /// Declared ports.
    #[serde(deserialize_with = "null_default")]
    pub ports: Vec<ContainerPort>,
    /// Limits and requests.
    #[serde(deserialize_with = "null_default")]
    pub resources: Shared<Resources>,
    /// What a change of its resources in the running pod does to it.
    #[serde(deserialize_with = "null_default")]
    pub resize_policy: Vec<ResizePolicy>,
    /// Kills it when it fails.
    pub liveness_probe: Option<Box<Probe>>,
    /// Takes it out of Services when it fails.
    pub readiness_probe: Option<Box<Probe>>,
    /// Holds the other two back until it succeeds.
    pub startup_probe: Option<Box<Probe>>,
    /// Mounted volumes.
    #[serde(deserialize_with = "null_default")]
    pub volume_mounts: Vec<VolumeMount>,
    /// `Always` makes an init container a sidecar.
    #[serde(deserialize_with = "null_default")]
    pub restart_policy: String,
}

/// What a change of one resource in the running pod does to a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResizePolicy {
    /// `cpu`, `memory`.
    #[serde(deserialize_with = "null_default")]
    pub resource_name: String,
    /// `NotRequired`, `RestartContainer`.
    #[serde(deserialize_with = "null_default")]
    pub restart_policy: String,
}

impl ResizePolicy {
    /// Whether the container is started anew for another memory limit.
    pub fn restarts_for_memory(&self) -> bool {
        self.resource_name == "memory" && self.restart_policy == "RestartContainer"
    }
}

/// Limits and requests, by resource.
#[derive(Clone, Debug, Default, PartialEq, Hash, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// At most.
    #[serde(deserialize_with = "null_default")]
    pub limits: BTreeMap<String, Quantity>,
    /// At least.
    #[serde(deserialize_with = "null_default")]
    pub requests: BTreeMap<String, Quantity>,
}

/// One environment variable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvVar {
    /// Its name.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// Its value, if given in place. Redacted at intake.
    pub value: Option<String>,
    /// Where its value comes from.
    pub value_from: Option<Box<EnvSource>>,
}

/// Where the value of a variable comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvSource {
    /// A key of a ConfigMap.
    pub config_map_key_ref: Option<KeyRef>,
    /// A key of a Secret.
    pub secret_key_ref: Option<KeyRef>,
}

/// A key of a ConfigMap or Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct KeyRef {
    /// The object.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// The key.
    #[serde(deserialize_with = "null_default")]
    pub key: String,
    /// Whether it may be absent.
    #[serde(deserialize_with = "null_default")]
    pub optional: bool,
}

/// Environment from a whole object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvFrom {
    /// A ConfigMap.
    pub config_map_ref: Option<ObjectSource>,
    /// A Secret.
    pub secret_ref: Option<ObjectSource>,
}

/// A whole ConfigMap or Secret as a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectSource {
    /// The object (a Secret volume spells it `secretName`).
    #[serde(alias = "secretName", deserialize_with = "null_default")]
    pub name: String,
    /// Whether it may be absent.
    #[serde(deserialize_with = "null_default")]
    pub optional: bool,
    /// The keys that are mounted; empty for all.
    #[serde(deserialize_with = "null_default")]
    pub items: Vec<KeyPath>,
}

/// A key that is mounted under a path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct KeyPath {
    /// The key.
    #[serde(deserialize_with = "null_default")]
    pub key: String,
}

/// A declared port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    /// Its name, often empty.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// Its number.
    #[serde(deserialize_with = "null_default")]
    pub container_port: i64,
    /// The node's port it takes, 0 for none.
    #[serde(deserialize_with = "null_default")]
    pub host_port: i64,
    /// The node's address it takes.
    #[serde(rename = "hostIP", deserialize_with = "null_default")]
    pub host_ip: String,
    /// `TCP`, `UDP`, `SCTP`; absent means TCP.
    #[serde(deserialize_with = "null_default")]
    pub protocol: String,
}

/// A probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Probe {
    /// Ask over HTTP.
    pub http_get: Option<HttpGet>,
    /// Open a connection.
    pub tcp_socket: Option<TcpSocket>,
    /// Run a command.
    pub exec: Option<Exec>,
    /// Ask over gRPC.
    pub grpc: Option<GrpcAction>,
    /// Seconds before the first.
    #[serde(deserialize_with = "null_default")]
    pub initial_delay_seconds: i64,
    /// Seconds between two; 10 if absent.
    pub period_seconds: Option<i64>,
    /// Seconds until one counts as failed; 1 if absent.
    pub timeout_seconds: Option<i64>,
    /// Failures until it acts; 3 if absent.
    pub failure_threshold: Option<i64>,
}

/// An HTTP probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct HttpGet {
    /// Where, empty for `/`.
    #[serde(deserialize_with = "null_default")]
    pub path: String,
    /// The port by number or name.
    pub port: Option<IntOrString>,
    /// `HTTP` or `HTTPS`.
    #[serde(deserialize_with = "null_default")]
    pub scheme: String,
}

/// A TCP probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct TcpSocket {
    /// The port by number or name.
    pub port: Option<IntOrString>,
}

/// A gRPC probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct GrpcAction {
    /// The port.
    #[serde(deserialize_with = "null_default")]
    pub port: i64,
}

/// A probe that runs a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Exec {
    /// The command.
    #[serde(deserialize_with = "null_default")]
    pub command: Vec<String>,
}

/// A mounted volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeMount {
    /// The volume.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// Where.
    #[serde(deserialize_with = "null_default")]
    pub mount_path: String,
    /// Which part of it.
    #[serde(deserialize_with = "null_default")]
    pub sub_path: String,
}

/// A volume of a pod spec.
#[derive(Clone, Debug, Default, PartialEq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    /// Its name, unique in the pod.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// From a ConfigMap.
    pub config_map: Option<ObjectSource>,
    /// From a Secret.
    pub secret: Option<ObjectSource>,
    /// From several of them.
    pub projected: Option<Projected>,
    /// From a claim.
    pub persistent_volume_claim: Option<ClaimSource>,
    /// From a claim made for this pod, named `POD-VOLUME`.
    pub ephemeral: Option<There>,
    /// From the node.
    pub host_path: Option<HostPath>,
    /// Empty at start.
    pub empty_dir: Option<EmptyDir>,
    /// From a CSI driver, inline.
    pub csi: Option<CsiSource>,
    /// From an NFS server.
    pub nfs: Option<NfsSource>,
}

/// That something is there, whatever it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct There;

impl<'de> Deserialize<'de> for There {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| There)
    }
}

/// Several sources in one volume.
#[derive(Clone, Debug, Default, PartialEq, Hash, Deserialize)]
#[serde(default)]
pub struct Projected {
    /// The sources.
    #[serde(deserialize_with = "null_default")]
    pub sources: Vec<ProjectedSource>,
}

/// One source of a projected volume.
#[derive(Clone, Debug, Default, PartialEq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectedSource {
    /// A ConfigMap.
    pub config_map: Option<ObjectSource>,
    /// A Secret.
    pub secret: Option<ObjectSource>,
}

/// A claim as a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSource {
    /// The claim.
    #[serde(deserialize_with = "null_default")]
    pub claim_name: String,
}

/// A path of the node as a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct HostPath {
    /// The path.
    #[serde(deserialize_with = "null_default")]
    pub path: String,
    /// What must be there: `Directory`, `File`, …; empty for anything.
    #[serde(rename = "type", deserialize_with = "null_default")]
    pub kind: String,
}

/// A volume that is empty at start.
#[derive(Clone, Debug, Default, PartialEq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EmptyDir {
    /// `Memory` for a tmpfs.
    #[serde(deserialize_with = "null_default")]
    pub medium: String,
    /// At most.
    pub size_limit: Option<Quantity>,
}

/// An inline CSI volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct CsiSource {
    /// The driver.
    #[serde(deserialize_with = "null_default")]
    pub driver: String,
}

/// An NFS volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct NfsSource {
    /// The server.
    #[serde(deserialize_with = "null_default")]
    pub server: String,
    /// The exported path.
    #[serde(deserialize_with = "null_default")]
    pub path: String,
}

/// A taint that a pod puts up with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Toleration {
    /// The key; empty with `Exists` for all.
    #[serde(deserialize_with = "null_default")]
    pub key: String,
    /// `Exists` or `Equal`; absent means `Equal`.
    #[serde(deserialize_with = "null_default")]
    pub operator: String,
    /// The value, for `Equal`.
    #[serde(deserialize_with = "null_default")]
    pub value: String,
    /// The effect; empty for all.
    #[serde(deserialize_with = "null_default")]
    pub effect: String,
    /// For how long, for `NoExecute`.
    pub toleration_seconds: Option<i64>,
}

/// Where a pod may and may not be.
#[derive(Clone, Debug, Default, PartialEq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Affinity {
    /// To nodes.
    #[serde(deserialize_with = "null_default")]
    pub node_affinity: NodeAffinity,
    /// To other pods.
    #[serde(deserialize_with = "null_default")]
    pub pod_affinity: PodAffinity,
    /// Away from other pods.
    #[serde(deserialize_with = "null_default")]
    pub pod_anti_affinity: PodAffinity,
}

/// Affinity to nodes; preferences bind nobody and are not read.
#[derive(Clone, Debug, Default, PartialEq, Hash, Deserialize)]
#[serde(default)]
pub struct NodeAffinity {
    /// What must hold.
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub required: Option<NodeSelector>,
}

/// Terms of which one must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelector {
    /// The terms.
    #[serde(deserialize_with = "null_default")]
    pub node_selector_terms: Vec<NodeSelectorTerm>,
}

/// One term: all of it must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelectorTerm {
    /// Conditions on labels.
    #[serde(deserialize_with = "null_default")]
    pub match_expressions: Vec<Requirement>,
    /// Conditions on fields (only `metadata.name`).
    #[serde(deserialize_with = "null_default")]
    pub match_fields: Vec<Requirement>,
}

/// Affinity to or away from pods; preferences bind nobody and are not read.
#[derive(Clone, Debug, Default, PartialEq, Hash, Deserialize)]
#[serde(default)]
pub struct PodAffinity {
    /// What must hold.
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution", deserialize_with = "null_default")]
    pub required: Vec<PodAffinityTerm>,
}

/// One term of pod affinity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodAffinityTerm {
    /// Which pods.
    pub label_selector: Option<LabelSelector>,
    /// In which namespaces; empty for the pod's own.
    #[serde(deserialize_with = "null_default")]
    pub namespaces: Vec<String>,
    /// In which namespaces, by label.
    pub namespace_selector: Option<LabelSelector>,
    /// The node label that says what "together" means.
    #[serde(deserialize_with = "null_default")]
    pub topology_key: String,
}

/// How pods must spread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SpreadConstraint {
    /// The largest allowed difference.
    #[serde(deserialize_with = "null_default")]
    pub max_skew: i64,
    /// The node label that names the domains.
    #[serde(deserialize_with = "null_default")]
    pub topology_key: String,
    /// `DoNotSchedule` or `ScheduleAnyway`.
    #[serde(deserialize_with = "null_default")]
    pub when_unsatisfiable: String,
    /// Which pods count.
    pub label_selector: Option<LabelSelector>,
    /// Labels of the pod itself that those that count must have alike.
    #[serde(deserialize_with = "null_default")]
    pub match_label_keys: Vec<String>,
    /// With fewer domains than this, the emptiest counts as empty.
    pub min_domains: Option<i64>,
    /// Whether nodes that the pod's selector excludes count as domains: `Honor` (not; the default) or `Ignore`.
    #[serde(deserialize_with = "null_default")]
    pub node_affinity_policy: String,
    /// Whether nodes with a taint that is not tolerated count as domains: `Honor` (not) or `Ignore` (the default).
    #[serde(deserialize_with = "null_default")]
    pub node_taints_policy: String,
}

/// What a pod is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "PodStatusFields")]
pub struct PodStatus {
    /// What many pods say alike.
    pub words: Shared<PodWords>,
    /// `PodScheduled`, `Ready`, …
    pub conditions: Box<[Condition]>,
    /// Of `containers`.
    pub container_statuses: Box<[ContainerStatus]>,
    /// Of `initContainers`.
    pub init_container_statuses: Box<[ContainerStatus]>,
    /// Of `ephemeralContainers`.
    pub ephemeral_container_statuses: Box<[ContainerStatus]>,
    /// When the kubelet took it.
    pub start_time: Option<Timestamp>,
    /// Its address.
    pub pod_ip: Box<str>,
}

/// What a pod says of itself in words.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub struct PodWords {
    /// `Pending`, `Running`, `Succeeded`, `Failed`, `Unknown`.
    pub phase: String,
    /// One word, such as `Evicted`.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// `Guaranteed`, `Burstable`, `BestEffort`.
    pub qos_class: String,
    /// The node that preemption makes room on.
    pub nominated_node_name: String,
}

impl Deref for PodStatus {
    type Target = PodWords;

    fn deref(&self) -> &PodWords {
        &self.words
    }
}

impl DerefMut for PodStatus {
    fn deref_mut(&mut self) -> &mut PodWords {
        &mut self.words
    }
}

/// A pod's status as it is written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodStatusFields {
    #[serde(deserialize_with = "null_default")]
    phase: String,
    #[serde(deserialize_with = "null_default")]
    reason: String,
    #[serde(deserialize_with = "null_default")]
    message: String,
    #[serde(deserialize_with = "null_default")]
    conditions: Box<[Condition]>,
    #[serde(deserialize_with = "null_default")]
    container_statuses: Box<[ContainerStatus]>,
    #[serde(deserialize_with = "null_default")]
    init_container_statuses: Box<[ContainerStatus]>,
    #[serde(deserialize_with = "null_default")]
    ephemeral_container_statuses: Box<[ContainerStatus]>,
    start_time: Option<Timestamp>,
    #[serde(deserialize_with = "null_default")]
    qos_class: String,
    #[serde(deserialize_with = "null_default")]
    nominated_node_name: String,
    #[serde(rename = "podIP", deserialize_with = "null_default")]
    pod_ip: Box<str>,
}

impl From<PodStatusFields> for PodStatus {
    fn from(fields: PodStatusFields) -> Self {
        let PodStatusFields { phase, reason, message, qos_class, nominated_node_name, .. } = fields;
        PodStatus {
            words: PodWords { phase, reason, message, qos_class, nominated_node_name }.into(),
            conditions: fields.conditions,
            container_statuses: fields.container_statuses,
            init_container_statuses: fields.init_container_statuses,
            ephemeral_container_statuses: fields.ephemeral_container_statuses,
            start_time: fields.start_time,
            pod_ip: fields.pod_ip,
        }
    }
}

/// What a container is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "ContainerStatusFields")]
pub struct ContainerStatus {
    /// What it is made of, which the pods of a template have alike.
    pub made_of: Shared<MadeOf>,
    /// Now.
    pub state: ContainerState,
    /// Of the instance before.
    pub last_state: Shared<ContainerState>,
    /// Whether it takes traffic (init containers: whether it is done).
    pub ready: bool,
    /// Whether its startup probe succeeded.
    pub started: Option<bool>,
    /// How often it was restarted.
    pub restart_count: u32,
    /// The instance.
    pub container_id: Box<str>,
}

/// What a container is made of.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub struct MadeOf {
    /// Its name.
    pub name: String,
    /// The image as resolved.
    pub image: String,
    /// Its digest.
    pub image_id: String,
    /// Limits and requests in force, which a resize may not have reached yet.
    pub resources: Option<Resources>,
}

impl Deref for ContainerStatus {
    type Target = MadeOf;

    fn deref(&self) -> &MadeOf {
        &self.made_of
    }
}

impl DerefMut for ContainerStatus {
    fn deref_mut(&mut self) -> &mut MadeOf {
        &mut self.made_of
    }
}

/// A container's status as it is written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatusFields {
    #[serde(deserialize_with = "null_default")]
    name: String,
    #[serde(deserialize_with = "null_default")]
    state: ContainerState,
    #[serde(deserialize_with = "null_default")]
    last_state: ContainerState,
    #[serde(deserialize_with = "null_default")]
    ready: bool,
    started: Option<bool>,
    #[serde(deserialize_with = "null_default")]
    restart_count: u32,
    #[serde(deserialize_with = "null_default")]
    image: String,
    #[serde(rename = "imageID", deserialize_with = "null_default")]
    image_id: String,
    #[serde(rename = "containerID", deserialize_with = "null_default")]
    container_id: Box<str>,
    resources: Option<Resources>,
}

impl From<ContainerStatusFields> for ContainerStatus {
    fn from(fields: ContainerStatusFields) -> Self {
        let ContainerStatusFields { name, image, image_id, resources, .. } = fields;
        ContainerStatus {
            made_of: MadeOf { name, image, image_id, resources }.into(),
            state: fields.state,
            last_state: fields.last_state.into(),
            ready: fields.ready,
            started: fields.started,
            restart_count: fields.restart_count,
            container_id: fields.container_id,
        }
    }
}

/// The state of a container: exactly one is set, or none for waiting without a reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// Not started.
    pub waiting: Option<Box<Waiting>>,
    /// Running.
    pub running: Option<Running>,
    /// Ended.
    pub terminated: Option<Box<Terminated>>,
}

/// Why a container is not started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Waiting {
    /// One word, such as `ImagePullBackOff`.
    #[serde(deserialize_with = "null_default")]
    pub reason: String,
    /// A sentence.
    #[serde(deserialize_with = "null_default")]
    pub message: String,
}

/// A running container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Running {
    /// Since when.
    pub started_at: Option<Timestamp>,
}

/// An ended container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    /// Exit code; 128+n for a signal n.
    #[serde(deserialize_with = "null_default")]
    pub exit_code: i64,
    /// One word: `Completed`, `Error`, `OOMKilled`, `StartError`, …
    #[serde(deserialize_with = "null_default")]
    pub reason: String,
    /// What the program left, or why it did not start.
    #[serde(deserialize_with = "null_default")]
    pub message: String,
    /// From.
    pub started_at: Option<Timestamp>,
    /// To.
    pub finished_at: Option<Timestamp>,
    /// The runtime's id of it, `containerd://…`.
    #[serde(rename = "containerID", deserialize_with = "null_default")]
    pub container_id: String,
}

/// What kind of container it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContainerType {
    /// Runs before the others and ends.
    Init,
    /// Starts before the others and stays.
    Sidecar,
    /// The pod's own purpose.
    App,
    /// Added by a person.
    Ephemeral,
}

impl ContainerType {
    /// As in the JSON contract.
    pub fn as_str(self) -> &'static str {
        match self {
            ContainerType::Init => "init",
            ContainerType::Sidecar => "sidecar",
            ContainerType::App => "app",
            ContainerType::Ephemeral => "ephemeral",
        }
    }
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

/// A container's id without the runtime's prefix (`containerd://`), as cgroups and the kernel name it.
pub fn bare_id(id: &str) -> &str {
    id.rsplit_once("://").map_or(id, |(_, bare)| bare)
}

impl ContainerStatus {
    /// The end of the newest instance that ended: the current one, or the one before.
    pub fn last_end(&self) -> Option<&Terminated> {
        self.state.terminated.as_deref().or(self.last_state.terminated.as_deref())
    }

    /// The ids of its instances that are known, without the runtime's prefix: the current one, and the one before.
    pub fn instances(&self) -> impl Iterator<Item = &str> {
        let ended = [&self.state, &*self.last_state].into_iter().filter_map(|state| state.terminated.as_deref());
        let ids = std::iter::once(&*self.container_id).chain(ended.map(|end| end.container_id.as_str()));
        ids.map(bare_id).filter(|id| !id.is_empty())
    }
}

impl Probe {
    /// Seconds between two, with the API's default.
    pub fn period(&self) -> i64 {
        self.period_seconds.unwrap_or(10)
    }

    /// Seconds until one counts as failed, with the API's default.
    pub fn timeout(&self) -> i64 {
        self.timeout_seconds.unwrap_or(1)
    }

    /// Failures until it acts, with the API's default.
    pub fn threshold(&self) -> i64 {
        self.failure_threshold.unwrap_or(3)
    }

    /// The port it asks, by number or name.
    pub fn port(&self) -> Option<IntOrString> {
        let Probe { http_get, tcp_socket, grpc, .. } = self;
        http_get
            .as_ref()
            .and_then(|http| http.port.clone())
            .or_else(|| tcp_socket.as_ref().and_then(|tcp| tcp.port.clone()))
            .or_else(|| grpc.as_ref().map(|grpc| IntOrString::Int(grpc.port)))
    }
}
