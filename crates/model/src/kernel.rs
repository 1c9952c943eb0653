//! What a node's kernel tells about memory: out-of-memory kills from its log, counters and use of its cgroups.
//!
//! These facts come from outside the object store. A node's own process reads them (`reckon node`), or a bundle holds
//! them; detection takes them as they are. Names of processes are hostile text.

use crate::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One out-of-memory episode of the kernel log: an "invoked oom-killer" report with everything that belongs to it, or
/// kills whose report the kernel's rate limit has swallowed. What the log does not say is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OomEpisode {
    /// As printed: `CONSTRAINT_MEMCG`, `CONSTRAINT_NONE`, `CONSTRAINT_CPUSET`, `CONSTRAINT_MEMORY_POLICY`.
    pub constraint: Option<String>,
    /// Whether a memory cgroup's limit was hit or the machine's (or a part of the machine's) memory ran out.
    pub scope: Option<OomScope>,
    /// The thread whose allocation failed, at most 15 bytes. Not always the one that died, nor in the same container.
    pub invoker: Option<String>,
    /// Each process that was killed, once, in the order of the log.
    pub victims: Vec<Victim>,
    /// How many reports the kernel says it has swallowed before or during this one.
    pub suppressed: u64,
    /// The cgroup whose limit was hit.
    pub oom_memcg: Option<String>,
    /// Where in the tree that cgroup is; `None` where it is not Kubernetes' or not named.
    pub level: Option<CgroupLevel>,
    /// The cgroup of the victim.
    pub task_memcg: Option<String>,
    /// The pod of the victim; of the cgroup that was hit if the victim's is not known.
    pub pod_uid: Option<String>,
    /// The container of the victim; of the cgroup that was hit if the victim's is not known.
    pub container_id: Option<String>,
    /// `memory: usage`, in KiB.
    #[serde(rename = "usageKiB")]
    pub usage_kib: Option<u64>,
    /// `memory: … limit`, in KiB.
    #[serde(rename = "limitKiB")]
    pub limit_kib: Option<u64>,
    /// What most of the memory was.
    pub kind: Option<MemoryKind>,
    /// When, if the log says so in a way that can be turned into a time of day.
    pub at: Option<Timestamp>,
    /// Whether that may be minutes off: the kernel's own clock drifts, and by how much is known only of what is read as it
    /// is written.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub at_about: bool,
    /// The size that was asked for, as a power of two of pages; -1 means that a person asked for the kill (sysrq-f).
    pub order: Option<i32>,
    /// `memory.oom.group` was set on the victim's cgroup: all of it was killed.
    pub group_kill: bool,
    /// The kernel found nothing that it may kill.
    pub no_victim: bool,
    /// The base name of the invoker's cpuset cgroup (`cpuset=`): its container where it has its own.
    pub cpuset: Option<String>,
    /// The container that `cpuset=` names: whose allocation failed.
    pub trigger_container_id: Option<String>,
    /// Swap in use by the cgroup, in KiB.
    #[serde(rename = "swapKiB")]
    pub swap_kib: Option<u64>,
    /// What the memory was, in bytes, where the report holds the cgroup's statistics.
    pub breakdown: Option<MemoryBreakdown>,
}

/// What ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OomScope {
    /// The limit of a memory cgroup.
    Memcg,
    /// The memory of the machine, of a NUMA node or of a cpuset.
    Global,
}

/// A process that the kernel has killed for memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Victim {
    /// The name of its first thread, at most 15 bytes, any bytes but NUL.
    pub comm: String,
    /// Its number in the machine's PID namespace.
    pub pid: u32,
    /// Anonymous memory that was resident, in KiB.
    #[serde(rename = "anonKiB", skip_serializing_if = "Option::is_none")]
    pub anon_kib: Option<u64>,
    /// Pages of files that were resident, in KiB.
    #[serde(rename = "fileKiB", skip_serializing_if = "Option::is_none")]
    pub file_kib: Option<u64>,
    /// Shared memory that was resident, in KiB.
    #[serde(rename = "shmemKiB", skip_serializing_if = "Option::is_none")]
    pub shmem_kib: Option<u64>,
    /// Its `oom_score_adj`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    /// Where it came from, if that was seen before it ended. No log says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// Where a process of a container comes from. Of pods whose containers share one PID namespace [`Origin::Entered`] is also
/// what each container started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The container's first process: the container ends with it.
    First,
    /// A descendant of the first.
    Child,
    /// It was started in the running container: by a probe, by `kubectl exec`, or by what these started.
    Entered,
}

/// What memory is made of: the largest part of what cannot be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MemoryKind {
    /// Heaps and stacks of processes.
    Anon,
    /// tmpfs, memory-backed volumes, `/dev/shm`.
    Shmem,
    /// Objects of the kernel made for the cgroup, such as inodes and dentries.
    Slab,
    /// Other memory of the kernel, such as pipe buffers and page tables.
    Kernel,
    /// Buffers of sockets.
    Sock,
    /// Pages of files.
    File,
}

/// The parts of a cgroup's memory, in bytes. cgroup v1 does not tell the kernel's parts: they are 0 there, or all in
/// `kernel` where `kmem: usage` is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MemoryBreakdown {
    /// Heaps and stacks.
    pub anon: u64,
    /// Pages of files, `shmem` not included.
    pub file: u64,
    /// tmpfs and shared memory.
    pub shmem: u64,
    /// Slab that cannot be given back.
    pub slab_unreclaimable: u64,
    /// Slab that can be given back.
    pub slab_reclaimable: u64,
    /// All of the kernel's memory: slab, stacks, page tables, per-CPU data, pipe buffers.
    pub kernel: u64,
    /// Buffers of sockets.
    pub sock: u64,
}

/// What a cgroup's counters and files say at one moment. What a kernel or cgroup version does not have is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CgroupUse {
    /// When it was read.
    pub at: Option<Timestamp>,
    /// Its path below the root of the memory hierarchy.
    pub path: String,
    /// What it stands for.
    pub level: CgroupLevel,
    /// The pod, as the API names it; the hash of its configuration for a static pod.
    pub pod_uid: Option<String>,
    /// The container's id without the runtime's prefix.
    pub container_id: Option<String>,
    /// Bytes in use, cache included.
    pub usage: Option<u64>,
    /// The limit in bytes; `None` without one.
    pub limit: Option<u64>,
    /// `memory.high` in bytes; `None` without one.
    pub high: Option<u64>,
    /// The most that was ever in use, in bytes.
    pub peak: Option<u64>,
    /// Swap in use, in bytes.
    pub swap: Option<u64>,
    /// The parts.
    pub breakdown: Option<MemoryBreakdown>,
    /// Use without the pages of files that were not touched lately: what the kubelet calls working set, in bytes.
    pub working_set: Option<u64>,
    /// Counts of this cgroup and those below it (`memory.events`; v1: `memory.oom_control`, `memory.failcnt`).
    pub events: MemoryEvents,
    /// Counts of this cgroup alone (`memory.events.local`; v2 only).
    pub local_events: Option<MemoryEvents>,
    /// Share of the last ten seconds in which some, and in which all, of its processes waited for memory, in hundredths
    /// of a percent.
    pub pressure: Option<(u32, u32)>,
    /// How its limit of processor time stopped its processes since the reading before.
    pub throttling: Option<Throttling>,
}

/// Periods of a limit of processor time (`cpu.stat`; 100 ms each unless the kubelet is told otherwise).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Throttling {
    /// Those in which a process wanted to run (`nr_periods`).
    pub periods: u64,
    /// Those of them in which the time was used up before the end, and all had to wait for it (`nr_throttled`).
    pub throttled: u64,
}

impl Throttling {
    /// What was counted since then; `None` if the cgroup is another one.
    pub fn since(self, then: Throttling) -> Option<Throttling> {
        let periods = self.periods.checked_sub(then.periods)?;
        Some(Throttling { periods, throttled: self.throttled.checked_sub(then.throttled)? })
    }

    /// Periods in which its processes were stopped, in percent of those in which they ran.
    pub fn percent(self) -> u64 {
        self.throttled.saturating_mul(100).checked_div(self.periods).unwrap_or(0)
    }
}

impl MemoryBreakdown {
    /// What cannot be given back: neither the pages of files nor the slab that can. Of the kernel's memory that includes
    /// stacks, page tables and pipe buffers.
    pub fn held(&self) -> u64 {
        let kernel = self.kernel.saturating_sub(self.slab_reclaimable).max(self.slab_unreclaimable);
        [self.anon, self.shmem, kernel, self.sock].into_iter().fold(0, u64::saturating_add)
    }
}

/// How much of its memory a container could not give back, over the time since the reading before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryUse {
    /// The end of that time.
    pub at: Timestamp,
    /// The least, in bytes.
    pub floor: u64,
    /// The most, in bytes.
    pub peak: u64,
}

/// The same of one container, in a report that has the time of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerUse {
    /// The container.
    pub id: String,
    /// The least since it was told last, in bytes.
    pub floor: u64,
    /// The most since then, in bytes.
    pub peak: u64,
}

/// Where in the tree a cgroup is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CgroupLevel {
    /// Below a container: made by what runs in it.
    Nested,
    /// A container.
    #[default]
    Container,
    /// A pod.
    Pod,
    /// All pods of the node, or all of one class of service.
    Kubepods,
}

/// Counts since the cgroup was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MemoryEvents {
    /// How often `memory.high` was exceeded.
    pub high: u64,
    /// How often the limit was met (v1: `memory.failcnt`).
    pub max: u64,
    /// How often the limit could not be kept: attempts, not kills.
    pub oom: u64,
    /// Processes killed; a group kill counts its first victim twice.
    pub oom_kill: u64,
    /// How often all of it was killed.
    pub oom_group_kill: u64,
}

/// Kills that only counters tell of: their lines in the kernel's log were lost or never written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CounterKill {
    /// When the counter was seen to have risen.
    pub at: Option<Timestamp>,
    /// The cgroup whose counter rose.
    pub path: String,
    /// The pod.
    pub pod_uid: Option<String>,
    /// The container.
    pub container_id: Option<String>,
    /// Processes that were killed; a group kill's first victim is counted once here.
    pub kills: u64,
    /// Whose limit it was, where the counters of the cgroups above tell.
    pub level: Option<CgroupLevel>,
    /// Whether it was no cgroup's limit: the machine, or a part of it, ran out.
    pub global: bool,
    /// Whether the log does tell of them, faster than it is told here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub logged: bool,
}

/// A cgroup that was refused a process or thread, as it has as many as it may. The kernel says so once of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ForkRefused {
    /// When.
    pub at: Option<Timestamp>,
    /// The cgroup that wanted one more.
    pub path: String,
    /// The pod.
    pub pod_uid: Option<String>,
    /// The container.
    pub container_id: Option<String>,
}

/// What the container runtime of a node says of one container. What it does not say is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerFacts {
    /// When it was asked.
    pub at: Option<Timestamp>,
    /// The container's id without the runtime's prefix.
    pub container_id: String,
    /// Its name in the pod.
    pub name: String,
    /// The pod, as the API names it; the hash of its configuration for a static pod.
    pub pod_uid: Option<String>,
    /// Whether it runs.
    pub state: RuntimeState,
    /// Why it is so, in one word. `OOMKilled` on a container that runs: the kernel has killed one of its processes, and
    /// the first one lives. containerd keeps the word whatever the container ends with later.
    pub reason: Option<String>,
    /// How its first process ended; only of one that has exited.
    pub exit_code: Option<i32>,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The limit that the runtime has set, in bytes; `None` without one, or where the runtime is too old to tell.
    pub memory_limit: Option<u64>,
}

/// Whether a container runs, as its runtime says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeState {
    /// It was made and not yet started.
    Created,
    /// It runs.
    Running,
    /// It has ended. It is not started again: a restart is another container.
    Exited,
    /// The runtime does not know.
    #[default]
    Unknown,
}

/// One line of what `reckon node --print` writes: a JSON object whose `report` says what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "kebab-case")]
pub enum NodeReport {
    /// The first line of each start: everything before it was of another process and is told again.
    #[serde(rename_all = "camelCase")]
    Start {
        /// The node, as the API names it.
        node: String,
        /// Which boot it is.
        boot_id: Option<String>,
        /// From when on the kernel's log is still held; `None` if not known.
        since: Option<Timestamp>,
        /// What cannot be read there, each with the reason.
        #[serde(default)]
        not_checked: Vec<String>,
    },
    /// An episode of the log.
    Episode(Box<OomEpisode>),
    /// Kills of which the log does not tell.
    Kill(CounterKill),
    /// A cgroup that may start no more processes.
    Fork(ForkRefused),
    /// Counters and use of one cgroup.
    Cgroup(Box<CgroupUse>),
    /// What containers held, of those of which there is something to tell.
    Uses {
        /// When it was read.
        at: Timestamp,
        /// Each container.
        uses: Vec<ContainerUse>,
    },
    /// What the container runtime says of one container, where that differs from what was told before.
    Container(Box<ContainerFacts>),
    /// Something that could not be read lately, or was lost: records that the kernel overwrote, reports that were too many.
    #[serde(rename_all = "camelCase")]
    NotChecked {
        /// In a sentence.
        why: String,
    },
}

/// The most episodes, and the most kills, and so on, that are held of one node: the oldest go first.
const HELD: usize = 4096;

/// The most readings of one container, some days; and the most containers with readings. Those that were read longest ago
/// go first.
const READINGS: usize = 1024;
const READ: usize = 1024;

impl NodeFacts {
    /// Takes one report.
    pub fn take(&mut self, report: NodeReport) {
        match report {
            NodeReport::Start { boot_id, since, not_checked, .. } => {
                *self = NodeFacts { boot_id, since, not_checked, ..NodeFacts::default() };
            }
            NodeReport::Episode(episode) => push(&mut self.episodes, *episode),
            NodeReport::Kill(kill) => push(&mut self.kills, kill),
            NodeReport::Fork(fork) => push(&mut self.forks, fork),
            NodeReport::Cgroup(now) => match self.cgroups.iter_mut().find(|cgroup| cgroup.path == now.path) {
                Some(cgroup) => *cgroup = *now,
                None => push(&mut self.cgroups, *now),
            },
            NodeReport::Uses { at, uses } => {
                for ContainerUse { id, floor, peak } in uses {
                    self.read(id, MemoryUse { at, floor, peak });
                }
            }
            NodeReport::Container(now) => {
                match self.containers.iter_mut().find(|held| held.container_id == now.container_id) {
                    Some(held) => *held = *now,
                    None => push(&mut self.containers, *now),
                }
            }
            NodeReport::NotChecked { why } if !self.not_checked.contains(&why) => push(&mut self.not_checked, why),
            NodeReport::NotChecked { .. } => {}
        }
    }

    fn read(&mut self, id: String, reading: MemoryUse) {
        if self.uses.len() >= READ && !self.uses.contains_key(&id) {
            let last = |readings: &[MemoryUse]| readings.last().map(|reading| reading.at);
            let oldest = self.uses.iter().min_by_key(|(_, readings)| last(readings)).map(|(id, _)| id.clone());
            oldest.and_then(|oldest| self.uses.remove(&oldest));
        }
        let readings = self.uses.entry(id).or_default();
        // A clock that was set back: what came before is of another time.
        readings.retain(|before| before.at < reading.at);
        if readings.len() >= READINGS {
            readings.remove(0);
        }
        readings.push(reading);
    }
}

fn push<T>(held: &mut Vec<T>, one: T) {
    if held.len() >= HELD {
        held.remove(0);
    }
    held.push(one);
}

/// What is known of one node's kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeFacts {
    /// Which boot they are of.
    pub boot_id: Option<String>,
    /// From when on the log is still held; `None` if not known.
    pub since: Option<Timestamp>,
    /// Episodes of the kernel's log, oldest first.
    pub episodes: Vec<OomEpisode>,
    /// Kills that the log does not tell of.
    pub kills: Vec<CounterKill>,
    /// Cgroups that were refused a process or thread.
    pub forks: Vec<ForkRefused>,
    /// Counters and use, the newest of each cgroup.
    pub cgroups: Vec<CgroupUse>,
    /// What each container held over time, oldest first.
    pub uses: BTreeMap<String, Vec<MemoryUse>>,
    /// What the container runtime says, the newest of each container: as it was seen last, be it gone since.
    pub containers: Vec<ContainerFacts>,
    /// What could not be read there, each with the reason.
    pub not_checked: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(node: &str) -> NodeReport {
        NodeReport::Start { node: node.into(), boot_id: Some("b".into()), since: None, not_checked: Vec::new() }
    }

    #[test]
    fn a_report_is_one_line_that_says_what_it_is() {
        let episode = OomEpisode { container_id: Some("c1".into()), usage_kib: Some(7), ..OomEpisode::default() };
        for report in [
            start("n1"),
            NodeReport::Episode(Box::new(episode)),
            NodeReport::Kill(CounterKill { kills: 2, ..CounterKill::default() }),
            NodeReport::Cgroup(Box::default()),
            NodeReport::Uses {
                at: Timestamp::UNIX_EPOCH,
                uses: vec![ContainerUse { id: "c1".into(), floor: 1, peak: 2 }],
            },
            NodeReport::Container(Box::default()),
            NodeReport::NotChecked { why: "why".into() },
        ] {
            let line = serde_json::to_string(&report).unwrap();
            assert!(line.starts_with("{\"report\":\"") && !line.contains('\n'), "{line}");
            assert_eq!(serde_json::from_str::<NodeReport>(&line).unwrap(), report);
        }
    }

    #[test]
    fn a_new_start_forgets_what_was_told_before_it() {
        let mut facts = NodeFacts::default();
        facts.take(NodeReport::Kill(CounterKill::default()));
        facts.take(start("n1"));
        facts.take(NodeReport::NotChecked { why: "lost".into() });
        facts.take(NodeReport::NotChecked { why: "lost".into() });
        assert_eq!((facts.kills.len(), facts.not_checked.len(), facts.boot_id.as_deref()), (0, 1, Some("b")));
    }

    #[test]
    fn a_storm_of_reports_is_held_within_bounds_and_the_newest_stay() {
        let mut facts = NodeFacts::default();
        for kills in 0..10_000 {
            facts.take(NodeReport::Kill(CounterKill { kills, ..CounterKill::default() }));
        }
        assert_eq!((facts.kills.len(), facts.kills.last().unwrap().kills), (HELD, 9_999));
    }

    #[test]
    fn readings_are_held_in_order_and_within_bounds() {
        let mut facts = NodeFacts::default();
        let mut take = |second: i64, id: usize| {
            let at = Timestamp::from_second(second).unwrap();
            let uses = vec![ContainerUse { id: format!("c{id}"), floor: 1, peak: 2 }];
            facts.take(NodeReport::Uses { at, uses });
        };
        (0..5_000).for_each(|second| take(second, 0));
        (1..2_000).for_each(|id| take(10_000, id));
        take(10_001, 1_999);
        take(9_000, 1_999);
        assert_eq!((facts.uses.len(), facts.uses.contains_key("c0")), (READ, false));
        assert_eq!(facts.uses["c1999"].iter().map(|reading| reading.at.as_second()).collect::<Vec<_>>(), [9_000]);
    }

    #[test]
    fn a_cgroup_is_held_once_as_it_is_now() {
        let mut facts = NodeFacts::default();
        for usage in [1, 2] {
            let now = CgroupUse { path: "/kubepods".into(), usage: Some(usage), ..CgroupUse::default() };
            facts.take(NodeReport::Cgroup(Box::new(now)));
        }
        assert_eq!(facts.cgroups.iter().map(|cgroup| cgroup.usage).collect::<Vec<_>>(), [Some(2)]);
    }

    #[test]
    fn a_container_is_held_once_as_it_is_now_and_no_more_than_the_newest_are_held() {
        let mut facts = NodeFacts::default();
        for state in [RuntimeState::Running, RuntimeState::Exited] {
            for id in 0..5_000 {
                let now = ContainerFacts { container_id: id.to_string(), state, ..ContainerFacts::default() };
                facts.take(NodeReport::Container(Box::new(now)));
            }
        }
        let last = facts.containers.last().map(|held| (held.container_id.as_str(), held.state));
        assert_eq!((facts.containers.len(), last), (HELD, Some(("4999", RuntimeState::Exited))));
        let again = ContainerFacts { container_id: "4999".into(), ..ContainerFacts::default() };
        facts.take(NodeReport::Container(Box::new(again)));
        assert_eq!((facts.containers.len(), facts.containers[HELD - 1].state), (HELD, RuntimeState::Unknown));
    }
}
