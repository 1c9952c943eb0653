//! Services and their endpoints.

use super::{IntOrString, null_default};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A Service.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// What is wanted.
    pub spec: ServiceSpec,
    /// What is.
    pub status: ServiceStatus,
}

/// What a Service should be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// `ClusterIP`, `NodePort`, `LoadBalancer`, `ExternalName`.
    #[serde(rename = "type", deserialize_with = "null_default")]
    pub kind: String,
    /// Labels of the pods behind it; empty means that somebody else writes its endpoints.
    #[serde(deserialize_with = "null_default")]
    pub selector: BTreeMap<String, String>,
    /// Ports.
    #[serde(deserialize_with = "null_default")]
    pub ports: Vec<ServicePort>,
    /// `None` for headless.
    #[serde(rename = "clusterIP", deserialize_with = "null_default")]
    pub cluster_ip: String,
    /// Whether unready pods are endpoints as well.
    #[serde(deserialize_with = "null_default")]
    pub publish_not_ready_addresses: bool,
    /// Who gives it an address; empty for the cluster's own.
    #[serde(deserialize_with = "null_default")]
    pub load_balancer_class: String,
    /// `Local`: what comes from outside goes to pods of the node that it came to, or nowhere.
    #[serde(deserialize_with = "null_default")]
    pub external_traffic_policy: String,
    /// `Local`: what comes from pods goes to pods of their own node, or nowhere.
    #[serde(deserialize_with = "null_default")]
    pub internal_traffic_policy: String,
}

/// A port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// Its name; empty if it is the only one.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// The Service's own port.
    #[serde(deserialize_with = "null_default")]
    pub port: i64,
    /// The pods' port, by number or name; absent means the same number.
    pub target_port: Option<IntOrString>,
    /// `TCP`, `UDP`, `SCTP`.
    #[serde(deserialize_with = "null_default")]
    pub protocol: String,
}

/// What a Service is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceStatus {
    #[serde(deserialize_with = "null_default")]
    load_balancer: LoadBalancer,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct LoadBalancer {
    #[serde(deserialize_with = "null_default")]
    ingress: Vec<Address>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Address {
    #[serde(deserialize_with = "null_default")]
    ip: String,
    #[serde(deserialize_with = "null_default")]
    hostname: String,
}

impl ServiceStatus {
    /// The first address that a load balancer has for it.
    pub fn address(&self) -> Option<&str> {
        let names = self.load_balancer.ingress.iter().flat_map(|address| [&address.ip, &address.hostname]);
        names.map(String::as_str).find(|name| !name.is_empty())
    }
}

/// Some of the endpoints of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointSlice {
    /// The endpoints.
    #[serde(deserialize_with = "null_default")]
    pub endpoints: Vec<Endpoint>,
    /// The ports all of them serve.
    #[serde(deserialize_with = "null_default")]
    pub ports: Vec<EndpointPort>,
}

/// One endpoint.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    /// Addresses of one and the same endpoint.
    #[serde(deserialize_with = "null_default")]
    pub addresses: Vec<String>,
    /// Whether it takes traffic; absent means yes.
    #[serde(deserialize_with = "null_default")]
    conditions: EndpointConditions,
    /// The pod behind it.
    pub target_ref: Option<TargetRef>,
    /// The node it is on.
    pub node_name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EndpointConditions {
    ready: Option<bool>,
}

impl Endpoint {
    /// Whether it takes traffic. The API says that absent means ready.
    pub fn ready(&self) -> bool {
        self.conditions.ready.unwrap_or(true)
    }
}

/// The object behind an endpoint.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TargetRef {
    /// Its kind, nearly always `Pod`.
    #[serde(deserialize_with = "null_default")]
    pub kind: String,
    /// Its name.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
}

/// A port of an EndpointSlice.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointPort {
    /// The Service port's name.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// The number.
    pub port: Option<i64>,
}
