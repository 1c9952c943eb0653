//! Faults on demand: what a server under strain, half dead, restored or replaced does to its clients.
//!
//! Standing faults are switched on here and strike at requests and streams until their count is used up or they are
//! switched off. What happens once and at once (a restart, a restored backup, a compaction, a cut of all connections) are
//! methods of [`World`](crate::World). Whether a fault strikes follows from the world's seed.

use crate::rng::Rng;
use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FaultKind {
    /// The connection is cut in the middle of the next line of a watch or the next chunk of a list.
    CutMidLine,
    /// The next watch that names a version is answered 200 with an `ERROR` event: 410 `Expired`.
    ExpiredInStream,
    /// Lists at a version, and streaming lists, are answered 504 `ResourceVersionTooLarge`.
    RevisionTooLarge,
    /// etcd is dead: `/readyz` is well, lists at version 0 are served from memory, watches open and stay silent,
    /// everything else gets 504 after 60 s of the server's clock.
    StorageDown,
    /// The bookmark that closes a streaming list never comes, nor does anything after it.
    NoClosingBookmark,
    /// 429 with `Retry-After`.
    TooManyRequests {
        /// Seconds to wait.
        retry_after: u32,
    },
    /// New calls are answered 401; open watches go on.
    Unauthorized,
    /// The server behind an API group is down: 503, and `Stale` in discovery. The aim is the group.
    GroupUnavailable {
        /// The group: `metrics.k8s.io`.
        group: String,
    },
    /// Requests and open streams stay without another byte, and nothing is closed. A stream that was struck stays dead.
    HalfOpen,
    /// Answers from memory (version 0, or one that is named) come from a state so many revisions back, and watches are so
    /// far behind. What is asked without a version is never old: etcd is asked first.
    Lagging {
        /// How many.
        revisions: u64,
    },
    /// Watch events come twice.
    DuplicateEvents,
    /// A watch event comes after the one that follows it.
    ReorderEvents,
    /// Watch events are lost.
    DropEvents,
    /// Any other refusal.
    Refuse {
        /// HTTP status code.
        code: u16,
    },
}

/// A fault and its aim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// `pods`, `deployments.apps`; `None` for all.
    #[serde(default)]
    pub resource: Option<String>,
    /// How often it strikes; `None` until it is switched off.
    #[serde(default)]
    pub count: Option<u32>,
    /// It strikes at one in so many occasions, chosen by the seed; 0 and 1 at all.
    #[serde(default)]
    pub one_in: u32,
}

impl Fault {
    /// A fault that strikes everything until it is switched off.
    pub fn new(kind: FaultKind) -> Fault {
        Fault { kind, resource: None, count: None, one_in: 1 }
    }

    /// Only at one resource: `pods`, `deployments.apps`.
    pub fn at(mut self, resource: &str) -> Fault {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Only so many times.
    pub fn times(mut self, count: u32) -> Fault {
        self.count = Some(count);
        self
    }

    /// At one in so many occasions.
    pub fn one_in(mut self, occasions: u32) -> Fault {
        self.one_in = occasions;
        self
    }
}

/// Names a fault that was switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FaultId(pub u64);

/// The faults that are switched on.
#[derive(Debug)]
pub struct Faults {
    active: Vec<(FaultId, Fault)>,
    next: u64,
    rng: Rng,
    struck: u64,
}

impl Faults {
    pub(crate) fn new(rng: Rng) -> Faults {
        Faults { active: Vec::new(), next: 1, rng, struck: 0 }
    }

    /// Those that are switched on, in the order they were.
    pub fn active(&self) -> &[(FaultId, Fault)] {
        &self.active
    }

    /// How often any fault struck.
    pub fn struck(&self) -> u64 {
        self.struck
    }

    pub(crate) fn on(&mut self, fault: Fault) -> FaultId {
        let id = FaultId(self.next);
        self.next += 1;
        self.active.push((id, fault));
        id
    }

    pub(crate) fn off(&mut self, id: Option<FaultId>) {
        self.active.retain(|(active, _)| id.is_some_and(|id| id != *active));
    }

    /// Whether a fault strikes at this resource now; counts it.
    pub(crate) fn strike<T>(&mut self, resource: &str, want: impl Fn(&FaultKind) -> Option<T>) -> Option<T> {
        if self.active.is_empty() {
            return None;
        }
        let Faults { active, rng, struck, .. } = self;
        for (i, (_, fault)) in active.iter_mut().enumerate() {
            let Some(found) = want(&fault.kind) else { continue };
            if fault.resource.as_deref().is_some_and(|aim| aim != resource)
                || (fault.one_in > 1 && rng.below(fault.one_in.into()) != 0)
            {
                continue;
            }
            *struck += 1;
            if let Some(count) = &mut fault.count {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    active.remove(i);
                }
            }
            return Some(found);
        }
        None
    }

    /// Whether this fault strikes at this resource now.
    pub(crate) fn strikes(&mut self, resource: &str, kind: &FaultKind) -> bool {
        self.strike(resource, |active| (active == kind).then_some(())).is_some()
    }

    /// Whether a fault is on for this resource; counts nothing.
    pub(crate) fn holds<T>(&self, resource: &str, want: impl Fn(&FaultKind) -> Option<T>) -> Option<T> {
        let aimed = |fault: &&(FaultId, Fault)| fault.1.resource.as_deref().is_none_or(|aim| aim == resource);
        self.active.iter().filter(aimed).find_map(|(_, fault)| want(&fault.kind))
    }

    pub(crate) fn storage_down(&self, resource: &str) -> bool {
        self.holds(resource, |kind| matches!(kind, FaultKind::StorageDown).then_some(())).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_where_it_is_aimed_and_so_often() {
        let mut faults = Faults::new(Rng::new(1));
        faults.on(Fault::new(FaultKind::CutMidLine).at("pods").times(2));
        let struck: Vec<bool> =
            ["nodes", "pods", "pods", "pods"].iter().map(|at| faults.strikes(at, &FaultKind::CutMidLine)).collect();
        assert_eq!(struck, [false, true, true, false]);
    }

    #[test]
    fn a_fault_is_written_in_json() {
        let fault: Fault =
            serde_json::from_str(r#"{"fault":"tooManyRequests","retryAfter":2,"resource":"pods","count":3}"#).unwrap();
        assert_eq!(
            fault,
            Fault { one_in: 0, ..Fault::new(FaultKind::TooManyRequests { retry_after: 2 }).at("pods").times(3) }
        );
    }
}
