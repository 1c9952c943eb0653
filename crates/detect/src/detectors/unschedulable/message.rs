//! What the scheduler says, read (Kubernetes 1.21 to 1.37).
//!
//! `0/5 nodes are available: 2 Insufficient cpu, 3 node(s) had untolerated taint(s). preemption: …`: for each node the first
//! filter that failed, counted; or, before any node was looked at, one reason for all. The reasons are sorted as text, so
//! their order means nothing. What follows `preemption:` is about making room, and never a cause.

use super::hurdle::Hurdle;

/// The scheduler's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Reasons with the number of nodes each of them excludes.
    pub(super) reasons: Vec<(usize, Reason)>,
    /// A reason that holds for all nodes.
    pub(super) whole: Option<Reason>,
    /// Whether room is being made: a victim is on its way out.
    pub(super) making_room: bool,
}

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reason {
    pub(super) hurdle: Hurdle,
    /// The resource that is short, the taint, or the words themselves where nothing else is known of them.
    pub(super) what: String,
}

/// A fragment in lower case, and what it tells; the first that is found wins. All that the plug-ins in the tree say,
/// `pkg/scheduler/framework/plugins` of Kubernetes 1.24 to 1.37.
const FRAGMENTS: &[(&str, Hurdle)] = &[
    ("too many pods", Hurdle::Slots),
    ("untolerated taint", Hurdle::Taint),
    ("that the pod didn't tolerate", Hurdle::Taint),
    ("didn't match pod's node affinity", Hurdle::Labels),
    ("didn't match pod's node selector", Hurdle::Labels),
    ("didn't match scheduler-enforced node affinity", Hurdle::Labels),
    ("pod affinity terms conflict", Hurdle::Labels),
    // What several plug-ins leave together is nothing: the volumes are where the labels are not.
    ("volumebinding]", Hurdle::Reach),
    ("[nodeaffinity", Hurdle::Labels),
    ("filtered out by the prefilter result", Hurdle::Labels),
    ("didn't match the requested node name", Hurdle::Labels),
    ("were unschedulable", Hurdle::Cordoned),
    ("had unknown conditions", Hurdle::Ill),
    ("didn't have free ports", Hurdle::HostPort),
    ("didn't satisfy existing pods anti-affinity rules", Hurdle::Existing),
    ("anti-affinity rules", Hurdle::AntiAffinity),
    ("didn't match pod affinity rules", Hurdle::Affinity),
    ("pod topology spread constraints", Hurdle::Spread),
    ("volume node affinity conflict", Hurdle::Reach),
    ("didn't match persistentvolume's node affinity", Hurdle::Reach),
    ("no available volume zone", Hurdle::Reach),
    ("exceed max volume count", Hurdle::VolumeLimit),
    ("csi driver is not installed", Hurdle::Driver),
    ("readwriteoncepod access mode", Hurdle::VolumeInUse),
    ("no available disk", Hurdle::VolumeInUse),
    ("did not have enough free storage", Hurdle::Storage),
    ("didn't find available persistent volumes to bind", Hurdle::Storage),
    ("binding volumes", Hurdle::Storage),
    ("node declared features check failed", Hurdle::Feature),
    ("device class", Hurdle::DeviceClass),
    ("resource class", Hurdle::DeviceClass),
    ("resourceclaim in use", Hurdle::DevicesInUse),
    ("cannot be shared across pods", Hurdle::DevicesInUse),
    ("shared by multiple pods", Hurdle::DevicesInUse),
    ("cannot allocate all claims", Hurdle::Devices),
    ("resourceclaim not available on the node", Hurdle::Devices),
    ("cannot be allocated for the node", Hurdle::Devices),
    ("waiting for resource driver", Hurdle::Devices),
    ("selector #", Hurdle::Devices),
    ("resourceclaim", Hurdle::DeviceClaim),
    ("resource claim", Hurdle::DeviceClaim),
    ("no nodes available", Hurdle::NoNodes),
    ("waiting for mincount pods", Hurdle::Gang),
    ("waiting for pods's", Hurdle::Gang),
    ("pod group", Hurdle::Gang),
    ("podgroup", Hurdle::Gang),
    ("persistentvolumeclaim", Hurdle::Claim),
    ("non-existent persistentvolume", Hurdle::Claim),
    ("non-existent pv", Hurdle::Claim),
    ("persistentvolume had no name", Hurdle::Claim),
    ("persistentvolume \"", Hurdle::Claim),
    ("pvc ", Hurdle::Claim),
    ("storageclass", Hurdle::Claim),
    ("volumebindingmode not set", Hurdle::Claim),
    // What a plug-in did not expect.
    ("running prefilter plugin", Hurdle::Failed),
    ("running filter plugin", Hurdle::Failed),
    ("filter plugin", Hurdle::Failed),
    ("running reserve plugin", Hurdle::Failed),
    ("running permit plugin", Hurdle::Failed),
    ("running prebind plugin", Hurdle::Failed),
    ("running bind plugin", Hurdle::Failed),
    ("binding rejected", Hurdle::Failed),
];

/// What plug-ins say about making room, after the reasons and before `preemption:`.
const ABOUT_ROOM: [&str; 3] =
    ["no new claims to deallocate", "still not schedulable", "deallocation of resourceclaim completed"];

/// What the default preemption says of nodes, which is no reason.
const TRAILERS: [&str; 5] = [
    "no preemption victims",
    "preemption is not helpful",
    "no victims found",
    "not eligible due to",
    "no candidate node",
];

/// Reasons that are read at most: a message names a dozen at the worst, and is hostile text.
const REASONS: usize = 64;

impl Said {
    pub(super) fn of(message: &str) -> Said {
        let (body, trailer) = match message.split_once("preemption:") {
            Some((body, trailer)) => (body, trailer),
            None => (message, ""),
        };
        let making_room = [body, trailer].iter().any(|part| part.contains("not eligible due to a terminating pod"));
        let lower = body.to_ascii_lowercase();
        let end = ABOUT_ROOM.iter().filter_map(|words| lower.find(words)).min();
        // Lower case of ASCII alone leaves every byte where it was.
        let body = end.and_then(|end| body.get(..end)).unwrap_or(body);
        let body = match body.split_once(" nodes are available:") {
            Some((_, reasons)) => reasons,
            // `running PreFilter plugin …`, `no nodes available to schedule pods`.
            None => body,
        };
        let mut said = Said { making_room, ..Said::default() };
        for part in parts(body).take(REASONS) {
            let words = part.split_once(' ').and_then(|(count, words)| Some((count.parse().ok()?, words)));
            match words {
                Some((count, words)) => {
                    if let Some(reason) = Reason::of(words) {
                        said.reasons.push((count, reason));
                    }
                }
                None => said.whole = said.whole.or_else(|| Reason::of(part)),
            }
        }
        said.reasons.sort();
        said
    }

    /// How many nodes a hurdle is said to exclude.
    pub(super) fn count(&self, hurdle: Hurdle) -> usize {
        self.reasons.iter().filter(|(_, reason)| reason.hurdle == hurdle).map(|(count, _)| count).sum()
    }

    /// Whether any of it is about claims of devices.
    pub(super) fn is_about_devices(&self) -> bool {
        let devices = [Hurdle::DeviceClaim, Hurdle::DeviceClass, Hurdle::DevicesInUse, Hurdle::Devices];
        devices.into_iter().any(|hurdle| self.reason(hurdle).is_some())
    }

    /// The first reason of a hurdle.
    pub(super) fn reason(&self, hurdle: Hurdle) -> Option<&Reason> {
        let counted = self.reasons.iter().map(|(_, reason)| reason);
        counted.chain(&self.whole).find(|reason| reason.hurdle == hurdle)
    }
}

/// The reasons between commas that a count follows: some reasons have commas of their own.
fn parts(body: &str) -> impl Iterator<Item = &str> {
    let mut rest = body.trim();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.match_indices(", ").map(|(at, _)| at).find(|at| {
            let next = rest.get(at + 2..).unwrap_or("");
            let digits = next.bytes().take_while(u8::is_ascii_digit).count();
            digits > 0 && next.as_bytes().get(digits) == Some(&b' ')
        });
        let (part, after) = match end {
            Some(at) => (rest.get(..at)?, rest.get(at + 2..)?),
            None => (rest, ""),
        };
        rest = after;
        Some(part.trim().trim_end_matches('.'))
    })
}

impl Reason {
    fn of(words: &str) -> Option<Reason> {
        let words = words.trim().trim_end_matches(['.', ',']);
        let lower = words.to_ascii_lowercase();
        if words.is_empty() || TRAILERS.iter().any(|trailer| lower.starts_with(trailer)) {
            return None;
        }
        if let Some(resource) = words.strip_prefix("Insufficient ") {
            return Some(Reason { hurdle: Hurdle::Room, what: resource.trim().to_owned() });
        }
        let hurdle = FRAGMENTS.iter().find(|(fragment, _)| lower.contains(fragment)).map(|(_, hurdle)| *hurdle);
        let taint =
            || Some(words.split_once('{')?.1.split_once('}')?.0.replace(": ", "=").trim_end_matches('=').to_owned());
        let what = match hurdle {
            Some(Hurdle::Taint) => taint().unwrap_or_default(),
            Some(Hurdle::Spread) if words.contains("missing required label") => "missing required label".to_owned(),
            Some(Hurdle::Labels | Hurdle::Cordoned | Hurdle::HostPort | Hurdle::Slots) => String::new(),
            _ => words.trim_start_matches("node(s) ").to_owned(),
        };
        Some(Reason { hurdle: hurdle.unwrap_or(Hurdle::Other), what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &str) -> Vec<(usize, Hurdle, String)> {
        let said = Said::of(message);
        let mut all: Vec<_> =
            said.reasons.into_iter().map(|(count, reason)| (count, reason.hurdle, reason.what)).collect();
        all.extend(said.whole.map(|reason| (0, reason.hurdle, reason.what)));
        all
    }

    #[test]
    fn reasons_are_read_in_the_wording_of_every_version() {
        let all = |count, hurdle, what: &str| vec![(count, hurdle, what.to_owned())];
        for (message, expected) in [
            ("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.", all(3, Hurdle::Room, "nvidia.com/gpu")),
            ("0/1 nodes are available: 1 Too many pods.", all(1, Hurdle::Slots, "")),
            (
                "0/2 nodes are available: 2 node(s) had taint {team: data}, that the pod didn't tolerate.",
                all(2, Hurdle::Taint, "team=data"),
            ),
            (
                "0/2 nodes are available: 2 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.",
                all(2, Hurdle::Taint, "node.kubernetes.io/not-ready"),
            ),
            ("0/2 nodes are available: 2 node(s) had untolerated taint(s).", all(2, Hurdle::Taint, "")),
            ("0/1 nodes are available: 1 node(s) didn't satisfy plugin(s) [NodeAffinity].", all(1, Hurdle::Labels, "")),
            ("0/1 nodes are available: 1 node(s) didn't match the requested node name.", all(1, Hurdle::Labels, "")),
            (
                "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.",
                all(1, Hurdle::Existing, "didn't satisfy existing pods anti-affinity rules"),
            ),
            (
                "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label).",
                all(1, Hurdle::Spread, "missing required label"),
            ),
            (
                "0/1 nodes are available: 1 node(s) exceed max volume count.",
                all(1, Hurdle::VolumeLimit, "exceed max volume count"),
            ),
            (
                "0/1 nodes are available: 1 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod.",
                all(
                    1,
                    Hurdle::VolumeInUse,
                    "unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod",
                ),
            ),
            (
                "0/1 nodes are available: 1 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode.",
                all(
                    1,
                    Hurdle::VolumeInUse,
                    "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode",
                ),
            ),
            (
                "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
                all(0, Hurdle::Claim, "pod has unbound immediate PersistentVolumeClaims"),
            ),
            ("no nodes available to schedule pods", all(0, Hurdle::NoNodes, "no nodes available to schedule pods")),
            (
                "0/1 nodes are available: 1 cannot allocate all claims.",
                all(1, Hurdle::Devices, "cannot allocate all claims"),
            ),
            (
                "0/2 nodes are available: 2 node(s) failed the phase of the moon.",
                all(2, Hurdle::Other, "failed the phase of the moon"),
            ),
        ] {
            assert_eq!(read(message), expected, "{message}");
        }
    }

    /// Each reason of the plug-ins in the tree, as it stands after the count of nodes or, where the first part is 0, alone.
    const ALL: &[(usize, &str, Hurdle)] = &[
        // NodeUnschedulable, NodeName, TaintToleration, NodeAffinity, NodePorts
        (1, "node(s) were unschedulable", Hurdle::Cordoned),
        (1, "node(s) had unknown conditions", Hurdle::Ill),
        (1, "node(s) didn't match the requested node name", Hurdle::Labels),
        (1, "node(s) had taint {a: b}, that the pod didn't tolerate", Hurdle::Taint),
        (1, "node(s) had untolerated taint {a: b}", Hurdle::Taint),
        (1, "node(s) had untolerated taint(s)", Hurdle::Taint),
        (1, "node(s) didn't match Pod's node affinity/selector", Hurdle::Labels),
        (1, "node(s) didn't match scheduler-enforced node affinity", Hurdle::Labels),
        (0, "pod affinity terms conflict", Hurdle::Labels),
        (1, "node(s) didn't satisfy plugin(s) [NodeAffinity]", Hurdle::Labels),
        (1, "node(s) didn't satisfy plugin(s) [VolumeBinding]", Hurdle::Reach),
        (0, "node(s) didn't satisfy plugin(s) [NodeAffinity VolumeBinding] simultaneously", Hurdle::Reach),
        (1, "node is filtered out by the prefilter result", Hurdle::Labels),
        (1, "node(s) didn't have free ports for the requested pod ports", Hurdle::HostPort),
        // NodeResourcesFit
        (1, "Insufficient cpu", Hurdle::Room),
        (1, "Insufficient ephemeral-storage", Hurdle::Room),
        (1, "Insufficient example.com/fpga", Hurdle::Room),
        (1, "Too many pods", Hurdle::Slots),
        // InterPodAffinity, PodTopologySpread
        (1, "node(s) didn't match pod affinity rules", Hurdle::Affinity),
        (1, "node(s) didn't match pod anti-affinity rules", Hurdle::AntiAffinity),
        (1, "node(s) didn't satisfy existing pods anti-affinity rules", Hurdle::Existing),
        (1, "node(s) didn't match pod topology spread constraints", Hurdle::Spread),
        (1, "node(s) didn't match pod topology spread constraints (missing required label)", Hurdle::Spread),
        // VolumeBinding
        (0, "pod has unbound immediate PersistentVolumeClaims", Hurdle::Claim),
        (0, "persistentvolumeclaim \"data\" not found", Hurdle::Claim),
        (0, "persistentvolumeclaim \"data\" is being deleted", Hurdle::Claim),
        (0, "persistentvolumeclaim \"data\" bound to non-existent persistentvolume \"pv\"", Hurdle::Claim),
        (0, "waiting for ephemeral volume controller to create the persistentvolumeclaim \"p-scratch\"", Hurdle::Claim),
        (0, "PVC shop/p-scratch was not created for pod shop/p (pod is not owner)", Hurdle::Claim),
        (1, "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)", Hurdle::Claim),
        (
            1,
            "node(s) unavailable due to PersistentVolumeClaim(s) bound to non-existent PersistentVolume(s)",
            Hurdle::Claim,
        ),
        (1, "node(s) didn't find available persistent volumes to bind", Hurdle::Storage),
        (1, "node(s) did not have enough free storage", Hurdle::Storage),
        (1, "node(s) had volume node affinity conflict", Hurdle::Reach),
        (1, "node(s) didn't match PersistentVolume's node affinity", Hurdle::Reach),
        (
            0,
            "running PreBind plugin \"VolumeBinding\": binding volumes: timed out waiting for the condition",
            Hurdle::Storage,
        ),
        // VolumeZone, VolumeRestrictions, NodeVolumeLimits
        (1, "node(s) had no available volume zone", Hurdle::Reach),
        (0, "PersistentVolumeClaim had no name", Hurdle::Claim),
        (0, "PersistentVolumeClaim had no pv name and storageClass name", Hurdle::Claim),
        (0, "PersistentVolume had no name", Hurdle::Claim),
        (0, "persistentvolume \"pv\" not found", Hurdle::Claim),
        (0, "storageclass.storage.k8s.io \"fast\" not found", Hurdle::Claim),
        (0, "VolumeBindingMode not set for StorageClass \"fast\"", Hurdle::Claim),
        (1, "node(s) had no available disk", Hurdle::VolumeInUse),
        (
            1,
            "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode",
            Hurdle::VolumeInUse,
        ),
        (
            1,
            "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod",
            Hurdle::VolumeInUse,
        ),
        (1, "node(s) exceed max volume count", Hurdle::VolumeLimit),
        (1, "ebs.csi.aws.com CSI driver is not installed on the node", Hurdle::Driver),
        // DynamicResources
        (1, "cannot allocate all claims", Hurdle::Devices),
        (1, "resourceclaim not available on the node", Hurdle::Devices),
        (1, "resourceclaim cannot be allocated for the node (unsuitable)", Hurdle::Devices),
        (0, "waiting for resource driver to allocate resource", Hurdle::Devices),
        (0, "waiting for resource driver to provide information", Hurdle::Devices),
        (1, "filter node n1: claim shop/p-gpu: selector #0: CEL runtime error: no such key: healthy", Hurdle::Devices),
        (0, "resourceclaim in use", Hurdle::DevicesInUse),
        (
            0,
            "node allocatable resource claim gpu has a mapped device and cannot be shared across pods",
            Hurdle::DevicesInUse,
        ),
        (0, "request gpu: device class gpu.example.com does not exist", Hurdle::DeviceClass),
        (0, "resource class gpu.example.com does not exist", Hurdle::DeviceClass),
        (0, "resourceclaim \"gpu\" not found", Hurdle::DeviceClaim),
        (0, "resourceclaim must be reallocated", Hurdle::DeviceClaim),
        (0, "waiting for dynamic resource controller to create the resourceclaim \"p-gpu\"", Hurdle::DeviceClaim),
        // NodeDeclaredFeatures (1.35), GangScheduling (1.35)
        (1, "node declared features check failed - unsatisfied requirements: FeatureA, FeatureB", Hurdle::Feature),
        (0, "waiting for minCount pods from a gang to appear in scheduling queue", Hurdle::Gang),
        (0, "waiting for minCount pods from a gang to be scheduled", Hurdle::Gang),
        (0, "waiting for pods's pod group \"g\" to appear in scheduling queue", Hurdle::Gang),
        (0, "waiting for pods's workload \"w\" to appear in scheduling queue", Hurdle::Gang),
        // The scheduler itself
        (0, "no nodes available to schedule pods", Hurdle::NoNodes),
        (0, "running \"InterPodAffinity\" filter plugin: getting state: not found", Hurdle::Failed),
        (0, "running Reserve plugin \"Example\": no", Hurdle::Failed),
        (0, "binding rejected: Operation cannot be fulfilled on pods/binding \"p\"", Hurdle::Failed),
    ];

    #[test]
    fn every_reason_of_the_plug_ins_in_the_tree_is_known() {
        let trailer = " preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
        for (count, words, hurdle) in ALL {
            let said = match count {
                0 => Said::of(&format!("0/1 nodes are available: {words}.{trailer}")),
                count => Said::of(&format!("0/3 nodes are available: {count} {words}, 2 Too many pods.{trailer}")),
            };
            let found = if *count == 0 { said.whole.clone() } else { said.reason(*hurdle).cloned() };
            assert_eq!(found.map(|reason| reason.hurdle), Some(*hurdle), "{words}");
            // A reason for all nodes is also told without their number.
            if *count == 0 {
                assert_eq!(Said::of(words).whole.map(|reason| reason.hurdle), Some(*hurdle), "{words}");
            }
        }
    }

    #[test]
    fn what_is_said_about_making_room_is_part_of_no_reason() {
        for trailer in [
            "no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
            "still not schedulable, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
            "preemption: not eligible due to preemptionPolicy=Never.",
            "no new claims to deallocate",
        ] {
            let message = format!("0/1 nodes are available: 1 Insufficient cpu. {trailer}");
            assert_eq!(read(&message), [(1, Hurdle::Room, "cpu".to_owned())], "{message}");
        }
    }

    #[test]
    fn several_reasons_are_told_apart_by_their_counts() {
        let message = "0/12 nodes are available: 10 Insufficient cpu, 2 node(s) had taint {a: b}, that the pod didn't tolerate, 3 Insufficient memory. preemption: 0/12 nodes are available: 12 No preemption victims found for incoming pod.";
        let said = Said::of(message);
        assert_eq!((said.count(Hurdle::Room), said.count(Hurdle::Taint), said.reasons.len()), (13, 2, 3));
        assert!(!said.making_room);
        let waiting = "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to a terminating pod on the nominated node.";
        assert!(Said::of(waiting).making_room);
    }

    #[test]
    fn hostile_text_is_no_more_than_text() {
        for message in ["", ", , ,", "0/ nodes are available: ", "9999999999999999999999 x", "\u{fffd} 1 é, 2 ü", "1 "]
        {
            let _ = Said::of(message);
        }
        assert_eq!(Said::of(&"1 Insufficient x, ".repeat(10_000)).reasons.len(), REASONS);
    }
}
