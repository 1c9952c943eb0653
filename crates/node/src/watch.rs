//! The loop on a node: reads the kernel's log and counters as they go on, and tells what they say.
//!
//! Nothing on the node is written. What cannot be read is told as not checked, and the rest is read all the same.

mod origin;
mod storm;
mod tail;

use crate::counters::{Ledger, Tree};
use crate::cri::{Pace, Runtime};
use crate::log::Parser;
use crate::uses::{self, Uses};
use jiff::{SignedDuration, Timestamp};
use origin::Chosen;
use reckon_model::kernel::{CgroupUse, NodeReport, OomEpisode};
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use storm::Storm;
use tail::{Heard, Tail};

/// Where a node's facts are.
#[derive(Clone, Debug)]
pub struct Places {
    /// `/dev/kmsg`.
    pub kmsg: PathBuf,
    /// `/sys/fs/cgroup`.
    pub cgroup: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
    /// The socket of the container runtime, where a person wants it to be asked.
    pub runtime: Option<PathBuf>,
}

impl Default for Places {
    fn default() -> Self {
        Places { kmsg: "/dev/kmsg".into(), cgroup: "/sys/fs/cgroup".into(), proc: "/proc".into(), runtime: None }
    }
}

/// How often counters are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A report comes in one go. What was open for so long without anything more has ended.
const QUIET: Duration = Duration::from_millis(500);

/// What is told again is told no sooner than this.
const AGAIN: Duration = Duration::from_secs(60);

/// How often all files of all cgroups are read: pressure is told of the last ten seconds.
const MEASURE: Duration = Duration::from_secs(15);

/// Watches the node until `tell` fails, or until nothing can be read at all.
///
/// # Errors
///
/// What `tell` gave; or why neither the log nor the counters can be read.
pub fn watch(node: &str, places: &Places, mut tell: impl FnMut(NodeReport) -> io::Result<()>) -> io::Result<()> {
    let mut not_checked = Vec::new();
    let mut note = |what: &str, path: &Path, error: &io::Error| {
        not_checked.push(format!("{what}: {}: {error}", path.display()));
    };
    let mut tail =
        Tail::open(&places.kmsg, &places.proc).map_err(|error| note("kernel log", &places.kmsg, &error)).ok();
    let tree = Tree::open(&places.cgroup, &places.proc)
        .map_err(|error| note("counters of cgroups", &places.cgroup, &error))
        .ok();
    let runtime = places.runtime.as_deref().and_then(|socket| {
        Runtime::open(socket, Pace::default()).map_err(|error| note("container runtime", socket, &error)).ok()
    });
    if tail.is_none() && tree.is_none() && runtime.is_none() {
        return Err(io::Error::other(not_checked.join("; ")));
    }
    let boot_id = fs::read_to_string(places.proc.join("sys/kernel/random/boot_id")).ok();
    let boot = boot_time(&places.proc);
    let mut watch = Watch {
        parser: Parser::new(boot),
        tree,
        ledger: Ledger::default(),
        storm: Storm::default(),
        uses: Uses::default(),
        measured: BTreeMap::new(),
        chosen: VecDeque::new(),
        is_rough: true,
        up: boot.map_or(SignedDuration::MAX, |boot| Timestamp::now().duration_since(boot)),
        lost: 0,
    };
    let first = tail.as_ref().and_then(|tail| tail.first(Duration::from_millis(500)));
    tell(NodeReport::Start {
        node: node.to_owned(),
        boot_id: boot_id.map(|id| id.trim().to_owned()),
        since: first.as_deref().and_then(|record| since(record, boot?)),
        not_checked,
    })?;
    if let Some(first) = first {
        watch.parser.feed(&first);
    }
    let mut next_look = Instant::now() + LOOK;
    let mut next_measure = Instant::now();
    let mut next_use = Instant::now();
    let mut quiet = Quiet::default();
    let mut overwritten = None;
    loop {
        while Instant::now() < next_look {
            // What is open has come to its end when nothing more of it comes, whatever else is written meanwhile.
            let until = next_look.min(Instant::now() + QUIET / 2);
            match tail.as_ref().map(|tail| tail.next(until)) {
                None => std::thread::sleep(next_look.saturating_duration_since(Instant::now())),
                Some(None) => {}
                Some(Some(Heard::Bytes(bytes, is_new))) => {
                    if is_new {
                        watch.measure_clock(&bytes, Timestamp::now(), &mut tell)?;
                    }
                    watch.parser.feed(&bytes);
                }
                Some(Some(Heard::Chosen(chosen))) => watch.choose(chosen),
                // In a storm that is so again and again; one word a minute is enough.
                Some(Some(Heard::Overwritten)) if overwritten.is_none_or(|told: Instant| told.elapsed() >= AGAIN) => {
                    overwritten = Some(Instant::now());
                    let why = "kernel log: records were overwritten before they were read".to_owned();
                    tell(NodeReport::NotChecked { why })?;
                }
                Some(Some(Heard::Overwritten)) => {}
                Some(Some(Heard::Failed(error))) => {
                    tell(NodeReport::NotChecked { why: format!("kernel log: {error}") })?;
                    tail = None;
                }
            }
            if quiet.has_come(watch.parser.open(), Instant::now()) {
                watch.parser.settle();
            }
            watch.tell_episodes(&mut tell)?;
            for report in runtime.iter().flat_map(Runtime::told) {
                tell(report)?;
            }
        }
        next_look = Instant::now() + LOOK;
        // As long as no record has told the kernel's clock.
        if watch.is_rough {
            watch.parser.set_boot(boot_time(&places.proc));
        }
        watch.look(Timestamp::now(), &mut tell)?;
        if Instant::now() >= next_use {
            next_use = Instant::now() + uses::CLOSEST.unsigned_abs();
            watch.tell_uses(Timestamp::now(), &mut tell)?;
        }
        if Instant::now() >= next_measure {
            next_measure = Instant::now() + MEASURE;
            watch.measure(&mut tell)?;
        }
    }
}

/// Since when nothing more has come of what is open.
#[derive(Default)]
struct Quiet {
    since: Option<(u64, Instant)>,
}

impl Quiet {
    fn has_come(&mut self, open: Option<u64>, now: Instant) -> bool {
        match (open, self.since) {
            (None, _) => self.since = None,
            (Some(taken), Some((before, since))) if taken == before => return now.duration_since(since) >= QUIET,
            (Some(taken), _) => self.since = Some((taken, now)),
        }
        false
    }
}

struct Watch {
    parser: Parser,
    tree: Option<Tree>,
    ledger: Ledger,
    storm: Storm,
    uses: Uses,
    /// How each cgroup was last, and whether that was worth telling.
    measured: BTreeMap<String, (CgroupUse, bool)>,
    /// Where processes came from that the log has said or will say to be killed, the newest last.
    chosen: VecDeque<Chosen>,
    /// Whether times come from the machine's uptime, as nothing new was read yet.
    is_rough: bool,
    /// How long the machine has been up when the log was opened.
    up: SignedDuration,
    lost: u64,
}

/// So many are held, and so long: an episode is told within a second of its last word, and a number is given anew later.
const CHOSEN: usize = 256;
const KEPT: Duration = Duration::from_secs(60);

/// The clock that stamps the log is not kept right and drifts by some parts in 100,000: after a day by a second, after two
/// months by more than a minute.
const DRIFTS: SignedDuration = SignedDuration::from_hours(24);

impl Watch {
    fn choose(&mut self, chosen: Chosen) {
        self.chosen.retain(|one| one.seen.elapsed() < KEPT);
        if self.chosen.len() >= CHOSEN {
            self.chosen.pop_front();
        }
        self.chosen.push_back(chosen);
    }

    /// Sets the kernel's clock by a record that was written now. What was read before it had the uptime's word alone.
    fn measure_clock(
        &mut self,
        record: &[u8],
        now: Timestamp,
        tell: &mut impl FnMut(NodeReport) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(usec) = stamp(record) else { return Ok(()) };
        if self.is_rough {
            self.parser.settle();
            self.tell_episodes(tell)?;
            self.is_rough = false;
        }
        self.parser.set_boot(now.checked_sub(SignedDuration::from_micros(usec)).ok());
        Ok(())
    }

    fn tell_episodes(&mut self, tell: &mut impl FnMut(NodeReport) -> io::Result<()>) -> io::Result<()> {
        for mut episode in self.parser.episodes() {
            episode.at_about = self.is_rough && self.up > DRIFTS && episode.at.is_some();
            for victim in &mut episode.victims {
                let is_it =
                    |one: &Chosen| one.pid == victim.pid && one.comm == victim.comm && one.seen.elapsed() < KEPT;
                let at = self.chosen.iter().position(is_it);
                victim.origin = at.and_then(|at| self.chosen.remove(at)).map(|one| one.origin);
            }
            self.ledger.logged(&episode);
            if let Some(episode) = self.storm.take(episode, Timestamp::now()) {
                tell(NodeReport::Episode(Box::new(episode)))?;
            }
        }
        for fork in self.parser.forks() {
            tell(NodeReport::Fork(fork))?;
        }
        let lost = self.parser.lost();
        if lost > self.lost {
            tell(NodeReport::NotChecked { why: format!("kernel log: {} records are missing", lost - self.lost) })?;
            self.lost = lost;
        }
        Ok(())
    }

    fn look(&mut self, now: Timestamp, tell: &mut impl FnMut(NodeReport) -> io::Result<()>) -> io::Result<()> {
        for rise in self.tree.iter_mut().flat_map(Tree::rises) {
            self.ledger.counted(&rise, now);
        }
        for kill in self.ledger.untold(now).into_iter().chain(self.storm.due(now)) {
            tell(NodeReport::Kill(kill))?;
        }
        Ok(())
    }

    fn tell_uses(&mut self, at: Timestamp, tell: &mut impl FnMut(NodeReport) -> io::Result<()>) -> io::Result<()> {
        let held = self.tree.as_mut().map(Tree::held).unwrap_or_default();
        let uses = self.uses.take(at, held);
        if uses.is_empty() { Ok(()) } else { tell(NodeReport::Uses { at, uses }) }
    }

    fn measure(&mut self, tell: &mut impl FnMut(NodeReport) -> io::Result<()>) -> io::Result<()> {
        let Some(tree) = &mut self.tree else { return Ok(()) };
        let mut measured = BTreeMap::new();
        for now in tree.samples() {
            let before = self.measured.remove(&now.path);
            let worth = is_worth_telling(&now, before.as_ref().map(|(before, _)| before));
            // Once more where it was: or what has ended would seem to go on.
            if worth || before.is_some_and(|(_, told)| told) {
                tell(NodeReport::Cgroup(Box::new(now.clone())))?;
            }
            measured.insert(now.path.clone(), (now, worth));
        }
        self.measured = measured;
        Ok(())
    }
}

/// So many periods tell something, and from this share of them on it is felt (`cpu-throttled`, catalogue §1.15).
const PERIODS: u64 = 20;
const STOPPED: u64 = 25;

/// Near its limit, waiting for memory or for processor time, or counted something since: what is well is not told every minute.
fn is_worth_telling(now: &CgroupUse, before: Option<&CgroupUse>) -> bool {
    let near = now.usage.zip(now.limit).is_some_and(|(usage, limit)| usage >= limit / 5 * 4);
    let waits = now.pressure.is_some_and(|(_, full)| full >= 100);
    let counted = before.is_some_and(|before| {
        now.events.high > before.events.high
            || now.events.oom > before.events.oom
            || now.events.oom_kill > before.events.oom_kill
    });
    let stopped = now.throttling.is_some_and(|it| it.periods >= PERIODS && it.percent() >= STOPPED);
    near || waits || stopped || counted
}

/// When the machine booted, by its clock as it is now.
fn boot_time(proc: &Path) -> Option<Timestamp> {
    let uptime = fs::read_to_string(proc.join("uptime")).ok()?;
    let (seconds, hundredths) = uptime.split_ascii_whitespace().next()?.split_once('.')?;
    let hundredths = hundredths.get(..2)?.parse::<i64>().ok()?;
    let up = SignedDuration::from_secs(seconds.parse().ok()?) + SignedDuration::from_millis(hundredths * 10);
    Timestamp::now().checked_sub(up).ok()
}

/// From when on the log is held: its beginning, if its first record is the first of all.
fn since(record: &[u8], boot: Timestamp) -> Option<Timestamp> {
    let (seq, usec) = numbers(record)?;
    if seq == 0 { Some(boot) } else { boot.checked_add(SignedDuration::from_micros(usec)).ok() }
}

/// When a record was written, in microseconds of the kernel's own clock.
fn stamp(record: &[u8]) -> Option<i64> {
    numbers(record).map(|(_, usec)| usec)
}

/// Sequence number and microseconds at the head of a record.
fn numbers(record: &[u8]) -> Option<(u64, i64)> {
    let head = str::from_utf8(record.split(|byte| *byte == b';').next()?).ok()?;
    let mut fields = head.split(',').skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// What of an episode tells one container from another.
fn whose(episode: &OomEpisode) -> Option<&str> {
    let OomEpisode { container_id, pod_uid, task_memcg, oom_memcg, .. } = episode;
    [container_id, pod_uid, task_memcg, oom_memcg].into_iter().find_map(|name| name.as_deref())
}
