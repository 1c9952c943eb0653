//! Why a kubelet would not run a pod, from the reason that it writes.

/// What a kubelet says of a pod that it fails (Kubernetes 1.24 to 1.37: `pkg/kubelet/lifecycle`, `nodeshutdown`,
/// `preemption`, `cm/topologymanager`, `sysctl`, `volumemanager`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Resource,
    Pods,
    Labels,
    Ports,
    Taint,
    Device,
    Topology,
    System,
    Sysctl,
    Volumes,
    Feature,
    /// The kubelet itself is at a loss.
    Kubelet,
    /// It made room for a critical pod.
    Preempting,
    /// The node is being shut down.
    Shutdown,
    /// A reason that is not known, of a pod that was refused all the same.
    Other,
}

impl Reason {
    /// What a Failed pod's `reason` and `message` tell; `None` for pods that ended in another way.
    pub(super) fn of(reason: &str, message: &str) -> Option<Self> {
        Some(match reason {
            "OutOfpods" => Reason::Pods,
            // NodeName: of a predicate that no scheduler of today sends to a wrong node.
            "NodeAffinity" | "NodeName" | "MatchNodeSelector" => Reason::Labels,
            "NodePorts" | "PodFitsHostPorts" => Reason::Ports,
            "TaintToleration" => Reason::Taint,
            "UnexpectedAdmissionError" => Reason::Device,
            "TopologyAffinityError" => Reason::Topology,
            "PodOSNotSupported" | "PodOSSelectorNodeLabelDoesNotMatch" => Reason::System,
            "SysctlForbidden" => Reason::Sysctl,
            "VolumeAttachmentLimitExceeded" => Reason::Volumes,
            "AppArmor"
            | "InitContainerRestartPolicyForbidden"
            | "SupplementalGroupsPolicyNotSupported"
            | "PodLevelResourcesNotSupported"
            | "PodLevelResourcesNotAdmitted"
            | "PodFeatureUnsupported" => Reason::Feature,
            "InvalidNodeInfo" | "UnknownReason" | "UnexpectedPredicateFailureType" => Reason::Kubelet,
            "Preempting" => Reason::Preempting,
            // `Shutdown`: 1.20 and 1.21.
            "NodeShutdown" | "Shutdown" => Reason::Shutdown,
            "Terminated" if message.contains("node shutdown") => Reason::Shutdown,
            reason if reason.starts_with("OutOf") && reason.len() > "OutOf".len() => Reason::Resource,
            reason if reason.contains("the pod didn't tolerate") => Reason::Taint,
            // Evicted on arrival is the node's pressure.
            "Evicted" => return None,
            _ if message.starts_with("Pod was rejected") => Reason::Other,
            _ => return None,
        })
    }

    /// Which sort of failure it is.
    pub(super) fn class(self) -> &'static str {
        match self {
            Reason::Resource => "resources",
            Reason::Pods => "pods",
            Reason::Labels => "labels",
            Reason::Ports => "host-port",
            Reason::Taint => "taint",
            Reason::Device => "device",
            Reason::Topology => "topology",
            Reason::System => "os",
            Reason::Sysctl => "sysctl",
            Reason::Volumes => "volume-limit",
            Reason::Feature => "feature",
            Reason::Kubelet => "kubelet",
            Reason::Preempting | Reason::Shutdown | Reason::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn what_a_kubelet_writes_is_told_from_other_ways_to_fail() {
        for (reason, message, expected) in [
            ("OutOfcpu", "", Some(Reason::Resource)),
            ("OutOfexample.com/fpga", "", Some(Reason::Resource)),
            ("OutOfpods", "", Some(Reason::Pods)),
            ("NodeAffinity", "Pod was rejected: Predicate NodeAffinity failed", Some(Reason::Labels)),
            ("Terminated", "Pod was terminated in response to imminent node shutdown.", Some(Reason::Shutdown)),
            ("Terminated", "", None),
            ("Novelty", "Pod was rejected: for a new reason", Some(Reason::Other)),
            ("Evicted", "Pod was rejected: The node had condition: [DiskPressure]. ", None),
            ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline", None),
            ("OutOf", "", None),
            ("", "", None),
        ] {
            assert_eq!(Reason::of(reason, message), expected, "{reason}: {message}");
        }
    }
}
