//! Messages put together to episodes.
//!
//! The kernel writes one report at a time (it holds `oom_lock`), with messages of others in between, and swallows reports
//! when there are more than ten in five seconds; what it kills it always names. So a kill belongs to the open report only
//! if that has none yet, or kills a group.

use super::grammar::{self, Killed, OomKill, Said};
use crate::path::place;
use jiff::Timestamp;
use reckon_model::kernel::{MemoryBreakdown, MemoryKind, OomEpisode, OomScope, Victim};

/// The kernel's limit on reports is counted anew after so much; kills without a report that are closer belong together.
const INTERVAL_MICROS: u64 = 5_000_000;

/// The most processes that one episode names: a container may hold thousands. Further ones make another episode.
const VICTIMS: usize = 1024;

/// The longest path of a cgroup that is kept, as the kernel's own.
const PATH: usize = 4096;

/// Puts messages together.
#[derive(Debug, Default)]
pub(super) struct Reports {
    open: Option<Open>,
    /// Reports that were swallowed before the next one.
    suppressed: u64,
    /// Messages of reports so far.
    taken: u64,
}

#[derive(Debug, Default)]
struct Open {
    episode: OomEpisode,
    /// Whether it began with a report.
    reported: bool,
    /// Whether statistics go on.
    in_stats: bool,
    parts: Parts,
    /// The process that the report is about.
    pid: Option<u32>,
    /// Microseconds since boot at the last message of it.
    last: Option<u64>,
    memory_and_swap: Option<u64>,
    kmem: Option<u64>,
}

#[derive(Debug, Default)]
struct Parts {
    any: bool,
    breakdown: MemoryBreakdown,
    /// Both sorts of slab, where they are not told apart.
    slab: u64,
}

impl Reports {
    /// Whether a report is open, so that every message may be of it.
    pub(super) fn is_open(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.reported || open.episode.group_kill)
    }

    /// Whether there is an episode to which more may come.
    pub(super) fn has_more(&self) -> bool {
        self.open.is_some()
    }

    /// How many messages were of reports.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes a message; gives an episode that it ends.
    pub(super) fn take(&mut self, text: &[u8], at: Option<Timestamp>, boot: Option<u64>) -> Option<OomEpisode> {
        // A log of two boots: what the first left open has ended.
        let last = self.open.as_ref().and_then(|open| open.last);
        if last.zip(boot).is_some_and(|(last, now)| now.saturating_add(INTERVAL_MICROS) < last) {
            let ended = self.end();
            return self.take(text, at, boot).or(ended);
        }
        let in_stats = self.open.as_ref().is_some_and(|open| open.in_stats);
        let said = grammar::read(text, in_stats);
        self.taken += u64::from(said != Said::Other);
        match said {
            // A record of `/dev/kmsg` holds all statistics, a line each. A name with a line break in it has been read above.
            Said::Other if in_stats && memchr::memchr(b'\n', text).is_some() => {
                for line in text.split(|byte| *byte == b'\n') {
                    if let Said::Stat { key, bytes } = grammar::read(line, true) {
                        self.stat(key, bytes);
                    }
                }
                None
            }
            Said::Other => None,
            Said::Suppressed(reports) => {
                // In the middle of a report it is told of that one, else of the next.
                match self.open.as_mut().filter(|open| open.reported && open.episode.victims.is_empty()) {
                    Some(open) => open.episode.suppressed = open.episode.suppressed.saturating_add(reports),
                    None => self.suppressed = self.suppressed.saturating_add(reports),
                }
                None
            }
            Said::Invoked { comm, order } => {
                let ended = self.end();
                let open = self.begin(at, true);
                open.last = boot;
                open.episode.invoker = Some(name(comm));
                open.episode.order = order;
                ended
            }
            Said::Stat { key, bytes } => {
                self.stat(key, bytes);
                None
            }
            Said::Killed(killed) => self.killed(&killed, at, boot),
            Said::Group { path } => {
                if let Some(open) = &mut self.open {
                    open.episode.group_kill = true;
                    open.last = boot.or(open.last);
                    if open.episode.task_memcg.is_none() {
                        open.episode.task_memcg = Some(text_of(path));
                    }
                }
                None
            }
            said => {
                // The head of its report was lost.
                let lost = self.open.as_ref().is_none_or(|open| !open.reported || !open.episode.victims.is_empty());
                let begins = lost && !matches!(said, Said::Tasks | Said::NoVictim);
                let ended = if begins { self.end() } else { None };
                if begins {
                    self.begin(at, true);
                }
                if let Some(open) = &mut self.open {
                    open.last = boot.or(open.last);
                    open.say(&said);
                }
                ended
            }
        }
    }

    /// What is open, as nothing more may come.
    pub(super) fn end(&mut self) -> Option<OomEpisode> {
        let open = self.open.take()?;
        let told = open.episode.invoker.is_some() || !open.episode.victims.is_empty();
        told.then(|| open.finished())
    }

    fn begin(&mut self, at: Option<Timestamp>, reported: bool) -> &mut Open {
        let suppressed = std::mem::take(&mut self.suppressed);
        let episode = OomEpisode { at, suppressed, ..OomEpisode::default() };
        self.open.insert(Open { episode, reported, ..Open::default() })
    }

    fn stat(&mut self, key: &[u8], bytes: u64) {
        if let Some(open) = &mut self.open {
            open.parts.add(key, bytes);
        }
    }

    fn killed(&mut self, killed: &Killed<'_>, at: Option<Timestamp>, boot: Option<u64>) -> Option<OomEpisode> {
        let belongs = self.open.as_ref().is_some_and(|open| open.takes(killed, boot));
        let ended = if belongs { None } else { self.end() };
        if !belongs {
            self.begin(at, false);
        }
        if let Some(open) = &mut self.open {
            open.last = boot.or(open.last);
            open.in_stats = false;
            open.kill(killed);
        }
        ended
    }
}

impl Open {
    /// Whether a kill is of this episode.
    fn takes(&self, killed: &Killed<'_>, boot: Option<u64>) -> bool {
        let victims = &self.episode.victims;
        let near = match (self.last, boot) {
            (Some(last), Some(now)) => now.saturating_sub(last) <= INTERVAL_MICROS,
            _ => true,
        };
        // The same process once more: the first of a group.
        if victims.iter().any(|victim| victim.pid == killed.pid && victim.comm == name(killed.comm)) {
            return near;
        }
        if victims.len() >= VICTIMS || !near {
            return false;
        }
        if !self.reported && !self.episode.group_kill {
            // Kills without a report, one after the other, for the same reason.
            return victims.is_empty() || self.scope_of(killed) == self.episode.scope;
        }
        match self.pid {
            // The report says whom it kills.
            Some(pid) if victims.is_empty() => pid == killed.pid,
            _ => victims.is_empty() || self.episode.group_kill,
        }
    }

    fn scope_of(&self, killed: &Killed<'_>) -> Option<OomScope> {
        killed.memcg.map(|memcg| if memcg { OomScope::Memcg } else { OomScope::Global })
    }

    fn kill(&mut self, killed: &Killed<'_>) {
        let scope = self.scope_of(killed);
        let episode = &mut self.episode;
        episode.scope = episode.scope.or(scope);
        let victim = Victim {
            comm: name(killed.comm),
            pid: killed.pid,
            anon_kib: killed.anon,
            file_kib: killed.file,
            shmem_kib: killed.shmem,
            oom_score_adj: killed.oom_score_adj,
            origin: None,
        };
        if !episode.victims.iter().any(|known| known.pid == victim.pid && known.comm == victim.comm) {
            episode.victims.push(victim);
        }
    }

    fn say(&mut self, said: &Said<'_>) {
        let episode = &mut self.episode;
        match said {
            Said::Usage { usage, limit } => {
                episode.usage_kib = Some(*usage);
                episode.limit_kib = Some(*limit);
                // The heading of the statistics may be lost.
                self.in_stats = true;
            }
            Said::Swap { usage } => episode.swap_kib = Some(*usage),
            Said::MemoryAndSwap { usage } => self.memory_and_swap = Some(*usage),
            Said::Kmem { usage } => self.kmem = Some(usage.saturating_mul(1024)),
            Said::Stats { path, pairs } => {
                self.in_stats = true;
                episode.scope = episode.scope.or(Some(OomScope::Memcg));
                // Before 5.0 each cgroup below it has a line of its own.
                if episode.oom_memcg.is_none() {
                    episode.oom_memcg = Some(text_of(path));
                }
                for (key, kib) in grammar::pairs(pairs) {
                    self.parts.legacy(key, kib.saturating_mul(1024));
                }
            }
            Said::Tasks => self.in_stats = false,
            Said::OomKill(kill) => {
                self.in_stats = false;
                self.sum_up(kill);
            }
            Said::Legacy { task_memcg, oom_memcg } => {
                episode.task_memcg = Some(text_of(task_memcg));
                episode.oom_memcg = Some(text_of(oom_memcg));
                episode.constraint = Some("CONSTRAINT_MEMCG".to_owned());
                episode.scope = Some(OomScope::Memcg);
            }
            Said::NoVictim => {
                self.in_stats = false;
                episode.no_victim = true;
            }
            _ => {}
        }
    }

    fn sum_up(&mut self, kill: &OomKill<'_>) {
        let episode = &mut self.episode;
        let text = |bytes: &[u8]| (!bytes.is_empty()).then(|| text_of(bytes));
        episode.constraint = text(kill.constraint);
        episode.cpuset = text(kill.cpuset);
        episode.oom_memcg = kill.oom_memcg.map(text_of).or(episode.oom_memcg.take());
        episode.task_memcg = kill.task_memcg.map(text_of);
        if kill.global {
            episode.scope = Some(OomScope::Global);
            episode.oom_memcg = None;
        } else if kill.oom_memcg.is_some() {
            episode.scope = Some(OomScope::Memcg);
        }
        self.pid = kill.pid;
    }

    fn finished(self) -> OomEpisode {
        let Open { mut episode, mut parts, memory_and_swap, kmem, .. } = self;
        if let (Some(both), Some(usage)) = (memory_and_swap, episode.usage_kib) {
            episode.swap_kib = Some(both.saturating_sub(usage));
        }
        let at = |path: &Option<String>| path.as_deref().and_then(place);
        let (hit, victim) = (at(&episode.oom_memcg), at(&episode.task_memcg));
        episode.level = hit.as_ref().map(|hit| hit.level);
        let whose = victim.as_ref().or(hit.as_ref());
        episode.pod_uid = whose.and_then(|place| place.pod_uid.clone());
        episode.container_id = whose.and_then(|place| place.container_id.clone());
        // The base name of a cpuset is a container's where it has one.
        let cpuset = episode.cpuset.as_deref().and_then(crate::path::container_id);
        episode.trigger_container_id = cpuset.map(str::to_owned);
        if parts.any {
            parts.breakdown.kernel = parts.breakdown.kernel.max(kmem.unwrap_or(0));
            episode.kind = parts.kind();
            // The kernel counts shared memory among the pages of files.
            let file = parts.breakdown.file.saturating_sub(parts.breakdown.shmem);
            episode.breakdown = Some(MemoryBreakdown { file, ..parts.breakdown });
        }
        episode.kind = episode.kind.or_else(|| by_victims(&episode));
        episode
    }
}

/// What most of the memory was, where only the processes that were killed tell: more than half of it was theirs.
fn by_victims(episode: &OomEpisode) -> Option<MemoryKind> {
    let usage = episode.usage_kib.filter(|_| episode.scope == Some(OomScope::Memcg))?;
    let held = |of: fn(&Victim) -> Option<u64>| episode.victims.iter().filter_map(of).fold(0, u64::saturating_add);
    let most = |kib: u64| kib > usage / 2;
    match () {
        () if most(held(|victim| victim.anon_kib)) => Some(MemoryKind::Anon),
        () if most(held(|victim| victim.shmem_kib)) => Some(MemoryKind::Shmem),
        () => None,
    }
}

impl Parts {
    fn add(&mut self, key: &[u8], bytes: u64) {
        let parts = &mut self.breakdown;
        let part = match key {
            // Version 1 has names of its own, and counts what is below apart.
            b"anon" | b"total_rss" => &mut parts.anon,
            b"file" | b"total_cache" => &mut parts.file,
            b"shmem" | b"total_shmem" => &mut parts.shmem,
            b"slab_unreclaimable" => &mut parts.slab_unreclaimable,
            b"slab_reclaimable" => &mut parts.slab_reclaimable,
            b"kernel" => &mut parts.kernel,
            b"sock" => &mut parts.sock,
            b"slab" => &mut self.slab,
            // Before 5.18 the kernel's memory is not summed up.
            b"kernel_stack" | b"pagetables" | b"percpu" => {
                self.any = true;
                parts.kernel = parts.kernel.max(bytes);
                return;
            }
            _ => return,
        };
        *part = bytes;
        self.any = true;
    }

    /// Version 1 before 5.0: of each cgroup its own, in a line.
    fn legacy(&mut self, key: &[u8], bytes: u64) {
        let parts = &mut self.breakdown;
        let part = match key {
            b"rss" => &mut parts.anon,
            b"cache" => &mut parts.file,
            b"shmem" => &mut parts.shmem,
            _ => return,
        };
        *part = part.saturating_add(bytes);
        self.any = true;
    }

    /// The largest part of what cannot be given back; pages of files only where there is nothing else to speak of.
    fn kind(&self) -> Option<MemoryKind> {
        let parts = &self.breakdown;
        let slab = parts.slab_unreclaimable.saturating_add(parts.slab_reclaimable).max(self.slab);
        let largest = [
            (parts.anon, MemoryKind::Anon),
            (parts.shmem, MemoryKind::Shmem),
            (slab, MemoryKind::Slab),
            (parts.kernel.saturating_sub(slab), MemoryKind::Kernel),
            (parts.sock, MemoryKind::Sock),
        ];
        let (most, kind) = largest.into_iter().max_by_key(|(bytes, kind)| (*bytes, std::cmp::Reverse(*kind)))?;
        let files = parts.file.saturating_sub(parts.shmem);
        match (most, files) {
            (0, 0) => None,
            // Some of them are being written, or are held by somebody, or the kernel would not have killed.
            (most, files) if files / 4 > most => Some(MemoryKind::File),
            _ => Some(kind),
        }
    }
}

/// A name of a process as text; bytes that are none become U+FFFD.
fn name(comm: &[u8]) -> String {
    String::from_utf8_lossy(comm).into_owned()
}

fn text_of(path: &[u8]) -> String {
    String::from_utf8_lossy(&path[..path.len().min(PATH)]).into_owned()
}
