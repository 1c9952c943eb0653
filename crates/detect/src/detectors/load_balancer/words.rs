//! What controllers of load balancers say: those of clouds (`cloud-provider`, 1.24 to 1.37), and others by their habits.

/// Why a Service gets no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Too many there already, or no address left.
    Quota,
    /// The controller may not.
    Permission,
    /// No subnet or zone for it.
    Network,
    /// The address that was asked for.
    Address,
    /// No node to send to.
    Nodes,
    /// In other words.
    Other,
}

/// What tells them from each other, in lower case; the first that fits.
const TELLING: [(Refusal, &[&str]); 5] = [
    (Refusal::Nodes, &["no available nodes", "no nodes available", "there are no nodes"]),
    (
        Refusal::Permission,
        &["unauthorized", "accessdenied", "access denied", "forbidden", "not authorized", "permission", "credential"],
    ),
    (
        Refusal::Address,
        &[
            "is not allowed in config",
            "not in any pool",
            "already allocated",
            "address is already in use",
            "already in use by",
            "is not reserved",
            "requested ip",
            "can't change sharing key",
            "incompatible with",
            "already_allocated",
        ],
    ),
    (
        Refusal::Quota,
        &[
            "quota",
            "limitexceeded",
            "limit exceeded",
            "toomany",
            "too many",
            "no available ip",
            "out of ips",
            "out_of_ips",
            "no_pool",
            "exhausted",
            "no matching",
            "exceeded",
        ],
    ),
    (Refusal::Network, &["subnet", "availability zone", "network not found", "vpc"]),
];

impl Refusal {
    pub(super) fn of(message: &str) -> Refusal {
        let lower = message.to_lowercase();
        let fits = |(_, words): &&(Refusal, &[&str])| words.iter().any(|word| lower.contains(word));
        TELLING.iter().find(fits).map_or(Refusal::Other, |(refusal, _)| *refusal)
    }
}

/// Reasons of Events that say that it was tried in vain.
pub(super) fn is_refusal(reason: &str) -> bool {
    const KNOWN: [&str; 9] = [
        // Clouds; until 1.19 the second.
        "SyncLoadBalancerFailed",
        "CreatingLoadBalancerFailed",
        "UnAvailableLoadBalancer",
        // MetalLB.
        "AllocationFailed",
        // AWS' own controller.
        "FailedBuildModel",
        "FailedDeployModel",
        "FailedReconcile",
        // GKE's own.
        "LoadBalancerFailed",
        "UpdateLoadBalancerFailed",
    ];
    KNOWN.contains(&reason)
}

/// Reasons of Events after which it has an address.
pub(super) fn is_success(reason: &str) -> bool {
    matches!(reason, "EnsuredLoadBalancer" | "UpdatedLoadBalancer" | "IPAllocated" | "SuccessfullyReconciled")
}

/// What stands behind the words of those who passed it on.
pub(super) fn tail(message: &str) -> &str {
    let message = message.trim();
    [
        "failed to ensure load balancer: ",
        "Error syncing load balancer: ",
        "Failed build model due to ",
        "Failed deploy model due to ",
    ]
    .iter()
    .find_map(|before| Some(message.split_once(before)?.1))
    .unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_from_each_other() {
        for (said, expected) in [
            (
                "Error syncing load balancer: failed to ensure load balancer: TooManyLoadBalancers: Exceeded quota of account 1",
                Refusal::Quota,
            ),
            (
                "AccessDenied: User is not authorized to perform: elasticloadbalancing:CreateLoadBalancer",
                Refusal::Permission,
            ),
            ("could not find any suitable subnets for creating the ELB", Refusal::Network),
            ("Failed to allocate IP for \"shop/web\": no available IPs", Refusal::Quota),
            ("Failed to allocate IP for \"shop/web\": [\"10.0.0.9\"] is not allowed in config", Refusal::Address),
            ("There are no available nodes for LoadBalancer", Refusal::Nodes),
            ("backend answered 500", Refusal::Other),
            ("", Refusal::Other),
        ] {
            assert_eq!(Refusal::of(said), expected, "{said}");
        }
        assert_eq!(tail("Error syncing load balancer: failed to ensure load balancer: no"), "no");
    }
}
