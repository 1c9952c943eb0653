//! Ports of the node that pods take for themselves.

use crate::spot::{Path, Spot};
use reckon_model::Object;
use reckon_model::k8s::{ContainerPort, Pod};

/// A host port that the pod wants and another has, on the same address.
pub(crate) fn taken<'a>(pod: &Pod, here: &[&'a Object]) -> Option<(i64, &'a Object)> {
    let wanted = ports(pod);
    here.iter().copied().find_map(|other| {
        let taken = ports(other.pod()?);
        let clash = wanted.iter().find(|(port, protocol, ip)| {
            taken.iter().any(|(other, as_well, theirs)| {
                port == other && protocol == as_well && (ip == theirs || is_any(ip) || is_any(theirs))
            })
        })?;
        Some((clash.0, other))
    })
}

fn is_any(ip: &str) -> bool {
    matches!(ip, "" | "0.0.0.0" | "::")
}

fn ports(pod: &Pod) -> Vec<(i64, &str, &str)> {
    let sidecars = pod.spec.init_containers.iter().filter(|container| container.restart_policy == "Always");
    let declared = pod.spec.containers.iter().chain(sidecars).flat_map(|container| &container.ports);
    declared
        .filter_map(|port| {
            // On the node's network the container's port is the node's.
            let number = number(port, pod.spec.host_network);
            let protocol = if port.protocol.is_empty() { "TCP" } else { &port.protocol };
            (number != 0).then_some((number, protocol, port.host_ip.as_str()))
        })
        .collect()
}

/// The node's port that a container's port is; 0 for none.
fn number(port: &ContainerPort, shares_network: bool) -> i64 {
    if port.host_port == 0 && shares_network { port.container_port } else { port.host_port }
}

/// Where this port of the node is asked for, or, where none is given, the only one that is.
pub(crate) fn written(spot: &Spot<'_>, taken: Option<i64>) -> Option<(Path, i64)> {
    let shared = spot.spec.host_network;
    let all = spot
        .spec
        .containers
        .iter()
        .chain(&spot.spec.init_containers)
        .flat_map(|container| container.ports.iter().enumerate().map(move |(at, port)| (container, at, port)));
    let wanted: Vec<_> = all
        .filter(|(_, _, port)| number(port, shared) != 0)
        .filter(|(_, _, port)| taken.is_none_or(|taken| number(port, shared) == taken))
        .collect();
    let (container, at, port) = match (wanted.as_slice(), taken) {
        ([only], _) => *only,
        ([first, ..], Some(_)) => *first,
        _ => return None,
    };
    let key = if port.host_port == 0 { "containerPort" } else { "hostPort" };
    // As changes name the items of this list.
    let udp = if matches!(port.protocol.as_str(), "" | "TCP") { String::new() } else { format!("/{}", port.protocol) };
    let name = format!("{}{udp}", port.container_port);
    let path = spot.container(&container.name)?.key("ports").item(&name, at).key(key);
    Some((path, number(port, shared)))
}
