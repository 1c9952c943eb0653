//! Containers: what runs, with what, and how it is asked whether it is well.

use crate::Quantity;
use crate::k8s::{IntOrString, null_default};
use crate::shared::Shared;
use serde::Deserialize;
use std::collections::BTreeMap;

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
