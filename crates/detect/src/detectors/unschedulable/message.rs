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

/// A fragment, and what it tells.
const FRAGMENTS: &[(&str, Hurdle)] = &[
    ("Too many pods", Hurdle::Slots),
    ("untolerated taint", Hurdle::Taint),
    ("that the pod didn't tolerate", Hurdle::Taint),
    ("didn't match Pod's node affinity/selector", Hurdle::Labels),
    ("pod affinity terms conflict", Hurdle::Labels),
    ("[NodeAffinity", Hurdle::Labels),
    ("didn't match the requested node name", Hurdle::Labels),
    ("were unschedulable", Hurdle::Cordoned),
    ("didn't have free ports", Hurdle::HostPort),
    ("didn't satisfy existing pods anti-affinity rules", Hurdle::Existing),
    ("anti-affinity rules", Hurdle::AntiAffinity),
    ("didn't match pod affinity rules", Hurdle::Affinity),
    ("pod topology spread constraints", Hurdle::Spread),
    ("volume node affinity conflict", Hurdle::Reach),
    ("didn't match PersistentVolume's node affinity", Hurdle::Reach),
    ("no available volume zone", Hurdle::Reach),
    ("exceed max volume count", Hurdle::VolumeLimit),
    ("CSI driver is not installed", Hurdle::VolumeLimit),
    ("ReadWriteOncePod access mode", Hurdle::VolumeInUse),
    ("no available disk", Hurdle::VolumeInUse),
    ("did not have enough free storage", Hurdle::Storage),
    ("didn't find available persistent volumes to bind", Hurdle::Storage),
    ("cannot allocate all claims", Hurdle::Devices),
    ("device class", Hurdle::Devices),
    ("resourceclaim", Hurdle::Devices),
    ("no nodes available", Hurdle::NoNodes),
    ("waiting for minCount pods", Hurdle::Gang),
    ("pod group", Hurdle::Gang),
    ("ersistentvolumeclaim", Hurdle::Claim),
    ("ersistentVolumeClaims", Hurdle::Claim),
    ("non-existent persistentvolume", Hurdle::Claim),
    ("non-existent pv", Hurdle::Claim),
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
        if words.is_empty()
            || words.starts_with("No preemption victims")
            || words.starts_with("Preemption is not helpful")
        {
            return None;
        }
        if let Some(resource) = words.strip_prefix("Insufficient ") {
            return Some(Reason { hurdle: Hurdle::Room, what: resource.trim().to_owned() });
        }
        let hurdle = FRAGMENTS.iter().find(|(fragment, _)| words.contains(fragment)).map(|(_, hurdle)| *hurdle);
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
