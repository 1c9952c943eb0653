//! What the kernel tells of kills in one instance of a container.

use crate::Fact;
use crate::kernel::{self, MANUAL, resident};
use jiff::SignedDuration;
use reckon_model::document::{DeathScope, Role, Source};
use reckon_model::k8s::{Container, ContainerType, Pod, Terminated, bare_id};
use reckon_model::kernel::{CgroupLevel, CounterKill, NodeFacts, OomEpisode, OomScope, RuntimeState, Victim};
use reckon_model::text::count;
use reckon_model::{Object, Timestamp};

/// A mirror pod carries the hash that is the static pod's UID on its node.
const CONFIG_HASH: &str = "kubernetes.io/config.hash";

/// More of a container's own limit than this in its processes is reaching it: the rest is page tables and buffers.
const AT_ITS_LIMIT: (u64, u64) = (9, 10);

/// A limit that is missed by more than this was lowered under use: charges come in batches of 64 pages for each processor.
const ABOVE_LIMIT_KIB: u64 = 1024;

/// The kernel kills and the runtime notices within so much. An end that came later had another reason.
const NOTICED: SignedDuration = SignedDuration::from_secs(10);

/// Kills in one instance of a container.
pub(crate) struct Record<'a> {
    /// What the log tells, oldest first.
    pub(super) episodes: Vec<&'a OomEpisode>,
    /// What counters alone tell.
    pub(super) counted: Vec<&'a CounterKill>,
}

/// Whose memory ran out, where it did at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Somebody's, and nothing tells whose.
    Unknown,
    Of(DeathScope),
    /// Nobody's: a person asked for a kill by sysrq-f.
    Manual,
}

impl<'a> Record<'a> {
    /// What is told of the instance with this id (`containerd://…`). A kill of which only the pod is known is told of its
    /// only container.
    pub(crate) fn of(facts: &'a NodeFacts, subject: &Object, pod: &Pod, id: &str) -> Option<Record<'a>> {
        let id = bare_id(id);
        let uid = subject.meta.annotations.get(CONFIG_HASH).unwrap_or(&subject.meta.uid);
        let alone = pod.spec.containers.len() == 1 && pod.spec.init_containers.is_empty();
        let is_its = |container: &Option<String>, of_pod: &Option<String>| match container {
            Some(container) => !id.is_empty() && container == id,
            None => alone && !uid.is_empty() && of_pod.as_ref() == Some(uid),
        };
        let episodes: Vec<_> =
            facts.episodes.iter().filter(|episode| is_its(&episode.container_id, &episode.pod_uid)).collect();
        let counted: Vec<_> = facts.kills.iter().filter(|kill| is_its(&kill.container_id, &kill.pod_uid)).collect();
        (!episodes.is_empty() || !counted.is_empty()).then_some(Record { episodes, counted })
    }

    /// Whether the end came too long after the last kill to be that kill's.
    pub(crate) fn is_late(&self, end: &Terminated) -> bool {
        let rough = self.episodes.iter().any(|episode| episode.at_about);
        let killed = self.span().map(|(_, last)| last).filter(|_| !rough);
        killed.zip(end.finished_at).is_some_and(|(killed, finished)| finished.duration_since(killed) > NOTICED)
    }

    /// The last episode that killed, else the last of all.
    pub(super) fn last(&self) -> Option<&'a OomEpisode> {
        let killed = self.episodes.iter().rev().find(|episode| !episode.victims.is_empty());
        killed.or(self.episodes.last()).copied()
    }

    /// The process that died last.
    pub(super) fn victim(&self) -> Option<&'a Victim> {
        self.last()?.victims.first()
    }

    /// Processes that were killed, each once.
    pub(super) fn kills(&self) -> u64 {
        let logged: usize = self.episodes.iter().map(|episode| episode.victims.len()).sum();
        let counted: u64 = self.counted.iter().map(|kill| kill.kills).sum();
        u64::try_from(logged).unwrap_or(u64::MAX).saturating_add(counted)
    }

    /// When the first and the last of it happened, as far as it is known.
    pub(super) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let times = || {
            let logged = self.episodes.iter().filter_map(|episode| episode.at);
            logged.chain(self.counted.iter().filter_map(|kill| kill.at))
        };
        times().min().zip(times().max())
    }

    /// Whether the kernel found nothing that it may kill, ever.
    pub(super) fn spares_all(&self) -> bool {
        self.kills() == 0 && self.episodes.iter().any(|episode| episode.no_victim)
    }

    /// Whose memory it was, with the trap that the pod's own cgroup is as small as the sum of its containers' limits: where
    /// one container has all of it, the pod's is hit first, although nobody has limited the pod.
    pub(super) fn whose(&self, pod: &Pod, container: &Container) -> Whose {
        let Some(episode) = self.last() else {
            let Some(kill) = self.counted.last() else { return Whose::Unknown };
            return match (kill.global, kill.level) {
                (true, _) => Whose::Of(DeathScope::Node),
                (false, Some(level)) => Whose::Of(self.at_level(level, pod, container)),
                (false, None) => Whose::Unknown,
            };
        };
        if episode.order == Some(MANUAL) {
            return Whose::Manual;
        }
        match (episode.scope, episode.constraint.as_deref(), episode.level) {
            (_, Some("CONSTRAINT_CPUSET" | "CONSTRAINT_MEMORY_POLICY"), _) => Whose::Of(DeathScope::Numa),
            (Some(OomScope::Global), ..) => Whose::Of(DeathScope::Node),
            (_, _, Some(level)) => Whose::Of(self.at_level(level, pod, container)),
            // Its header is lost. The words of the kill tell a cgroup's limit from the machine's, and no more.
            _ => Whose::Unknown,
        }
    }

    fn at_level(&self, level: CgroupLevel, pod: &Pod, container: &Container) -> DeathScope {
        match level {
            CgroupLevel::Nested => DeathScope::Nested,
            CgroupLevel::Container => DeathScope::Container,
            CgroupLevel::Kubepods => DeathScope::NodeAllocatable,
            CgroupLevel::Pod if pod.spec.resources.limits.contains_key("memory") => DeathScope::Pod,
            CgroupLevel::Pod => {
                if (pod.spec.containers.len() == 1 && others(pod) == 0) || self.is_at(container) {
                    DeathScope::Container
                } else {
                    DeathScope::Pod
                }
            }
        }
    }

    /// Whether what was killed alone was as large as this container may be.
    fn is_at(&self, container: &Container) -> bool {
        let limit = container.resources.limits.get("memory").and_then(super::remedy::bytes);
        let (parts, whole) = AT_ITS_LIMIT;
        let Some(episode) = self.last() else { return false };
        let victims = if episode.group_kill { episode.victims.len() } else { 1 };
        let held = episode.victims.iter().take(victims).map(resident).fold(0, u64::saturating_add);
        limit.is_some_and(|limit| held.saturating_mul(1024) >= limit / whole * parts)
    }

    /// Until when a status that does not show the one kill there was may only be late.
    pub(super) fn told_at(&self) -> Option<Timestamp> {
        let episode = self.last().filter(|episode| !episode.at_about && (episode.group_kill || self.kills() == 1))?;
        episode.at?.checked_add(super::TOLD_WITHIN).ok()
    }

    /// Use and limit in bytes at the last kill.
    pub(super) fn usage(&self) -> Option<(u64, u64)> {
        let episode = self.last()?;
        Some((episode.usage_kib?.saturating_mul(1024), episode.limit_kib?.saturating_mul(1024)))
    }

    /// The same where they are the container's own, and not its pod's or the node's.
    pub(super) fn own_usage(&self, pod: &Pod) -> Option<(u64, u64)> {
        match self.last()?.level? {
            CgroupLevel::Container => self.usage(),
            CgroupLevel::Pod if pod.spec.containers.len() == 1 && others(pod) == 0 => self.usage(),
            _ => None,
        }
    }

    /// Whether the limit was lowered while more was in use.
    pub(super) fn is_lowered(&self) -> bool {
        let kib = self.last().and_then(|episode| episode.usage_kib.zip(episode.limit_kib));
        kib.is_some_and(|(usage, limit)| usage > limit.saturating_add(ABOVE_LIMIT_KIB))
    }

    /// That the node had memory left, where the kernel says that it was a cgroup which had none.
    pub(super) fn spared_node(&self, subject: &Object) -> Option<Fact> {
        let episode = self.last().filter(|episode| episode.scope == Some(OomScope::Memcg))?;
        let text = "the kernel met the limit of a cgroup, not the end of the node's memory";
        Some(Fact::new(Role::RuledOut, Source::Kernel, episode.at, subject, text))
    }

    /// The facts in a line each: the last kill in full, and how many there were.
    /// Where nothing ended, they are what is to be seen.
    pub(super) fn facts(&self, subject: &Object, ended: bool) -> Vec<Fact> {
        let role = if ended { Role::Cause } else { Role::Symptom };
        let fact = |at, text| Fact::new(role, Source::Kernel, at, subject, text);
        let mut facts = Vec::new();
        if let Some(episode) = self.last() {
            let raw = serde_json::to_value(episode).unwrap_or_default();
            facts.push(fact(episode.at, kernel::episode(episode)).raw(raw));
        }
        if let Some(kill) = self.counted.last() {
            let text = match kill.logged {
                true => format!("{} more, too fast to be told one by one", count_of(kill.kills)),
                false => {
                    format!("counters of its cgroup rose by {}, of which the log says nothing", count_of(kill.kills))
                }
            };
            facts.push(fact(kill.at, text));
        }
        if self.kills() > 1 && self.episodes.len() + self.counted.len() > 1 {
            let text = format!("{} in this instance of the container", count_of(self.kills()));
            let first = self.span().map(|(first, _)| first);
            facts.push(Fact { role: Role::Symptom, ..fact(first, text) });
        }
        facts
    }
}

/// Containers beside the pod's own that count to its cgroup while it runs: sidecars, and what `kubectl debug` put there.
fn others(pod: &Pod) -> usize {
    let stays = |init: &&Container| init.restart_policy == "Always";
    let debugs = pod.containers().filter(|(kind, _, status)| {
        let runs = status.is_some_and(|status| status.state.running.is_some());
        *kind == ContainerType::Ephemeral && runs
    });
    pod.spec.init_containers.iter().filter(stays).count() + debugs.count()
}

/// Whether the runtime marks a container that runs: the kernel has killed a process of it, and nothing else tells so.
pub(super) fn marked(facts: &NodeFacts, id: &str) -> bool {
    facts.containers.iter().any(|told| {
        told.state == RuntimeState::Running
            && told.container_id == bare_id(id)
            && told.reason.as_deref() == Some("OOMKilled")
    })
}

fn count_of(kills: u64) -> String {
    count(usize::try_from(kills).unwrap_or(usize::MAX), "kill")
}
