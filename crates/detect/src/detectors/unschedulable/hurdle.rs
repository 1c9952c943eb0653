//! What keeps a pod off a node.

/// What keeps a pod off a node. In the order in which a person would see to them where several hold: what is put right by
/// one word first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Hurdle {
    /// The node lacks a label, or is not the one asked for.
    Labels,
    /// A volume of the pod cannot be reached from it.
    Reach,
    /// Somebody's taint.
    Taint,
    /// It has not so much of a resource in all.
    Size,
    /// Kubernetes' own taint: the node is ill.
    Ill,
    Cordoned,
    HostPort,
    /// Pods that it wants to be with are not there.
    Affinity,
    /// A pod that it keeps away from is there.
    AntiAffinity,
    /// A pod is there that keeps away from it.
    Existing,
    Spread,
    /// A claim that only one pod may use at a time is in use.
    VolumeInUse,
    VolumeLimit,
    /// No volume, or not enough storage, can be had there.
    Storage,
    /// The driver of its volumes is not there.
    Driver,
    /// It lacks a feature of the kubelet that the pod needs.
    Feature,
    /// A claim of devices (DRA), or what it is made from, does not exist or is not made yet.
    DeviceClaim,
    /// The class of a claim of devices does not exist.
    DeviceClass,
    /// The devices that are claimed are another pod's.
    DevicesInUse,
    /// The devices that are claimed are not to be had there.
    Devices,
    /// Not enough of a resource is free.
    Room,
    /// It runs as many pods as it may.
    Slots,
    /// There is no node at all.
    NoNodes,
    /// Others of its group are missing.
    Gang,
    /// A claim is not bound: another detector's.
    Claim,
    /// The scheduler failed over this pod.
    Failed,
    /// Words that are not known.
    Other,
}

impl Hurdle {
    /// The failure that it is.
    pub(super) fn slug(self) -> &'static str {
        match self {
            Hurdle::Labels => "unschedulable-node-selector",
            Hurdle::Taint | Hurdle::Ill => "unschedulable-taint",
            Hurdle::Size => "request-exceeds-nodes",
            Hurdle::Cordoned => "nodes-cordoned",
            Hurdle::HostPort => "host-port-conflict",
            Hurdle::Affinity | Hurdle::AntiAffinity | Hurdle::Existing => "unschedulable-pod-affinity",
            Hurdle::Spread => "unschedulable-topology-spread",
            Hurdle::Room | Hurdle::Slots | Hurdle::NoNodes => "unschedulable-resources",
            Hurdle::DeviceClaim | Hurdle::DeviceClass | Hurdle::DevicesInUse | Hurdle::Devices => {
                "extended-resource-absent"
            }
            Hurdle::Reach
            | Hurdle::VolumeInUse
            | Hurdle::VolumeLimit
            | Hurdle::Storage
            | Hurdle::Driver
            | Hurdle::Feature
            | Hurdle::Gang
            | Hurdle::Claim
            | Hurdle::Failed
            | Hurdle::Other => "pod-pending",
        }
    }

    /// Which sort of that failure.
    pub(super) fn class(self) -> Option<&'static str> {
        match self {
            Hurdle::Affinity => Some("affinity"),
            Hurdle::AntiAffinity => Some("anti-affinity"),
            Hurdle::Existing => Some("existing"),
            Hurdle::Slots => Some("pods"),
            Hurdle::NoNodes => Some("no-nodes"),
            Hurdle::Devices => Some("devices"),
            Hurdle::DeviceClaim => Some("device-claim"),
            Hurdle::DeviceClass => Some("device-class"),
            Hurdle::DevicesInUse => Some("devices-in-use"),
            Hurdle::Driver => Some("csi-driver"),
            Hurdle::Feature => Some("node-feature"),
            Hurdle::Reach => Some("volume-elsewhere"),
            Hurdle::Claim => Some("claim"),
            Hurdle::Failed => Some("scheduler-error"),
            Hurdle::Ill => Some("node"),
            Hurdle::VolumeInUse => Some("volume-in-use"),
            Hurdle::VolumeLimit => Some("volume-limit"),
            Hurdle::Storage => Some("storage"),
            Hurdle::Gang => Some("gang"),
            Hurdle::Other => Some("other"),
            _ => None,
        }
    }
}
