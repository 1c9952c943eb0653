//! A course of a spool's life on a disk that fails, held against a model of what it promises.

use super::super::simulated::Simulated;
use super::super::{AppendError, Limits, Outgoing};
use super::{Log, change, ids, log};
use crate::spool::tally::Tally;
use proptest::prelude::*;
use reckon_model::record::{Block, Entry, Fact};
use reckon_model::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// What can happen.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// Blocks of so many entries are appended together; the number is how large they are.
    Append(Vec<u8>, u16),
    /// The server acknowledges so much of what it has not (of 255).
    Acknowledge(u8),
    /// The server is put back, to so much of what it had (of 255).
    GoBack(u8),
    /// The process is killed after so many steps, while it appends; then power is lost, or not.
    Kill(u8, bool),
    /// Power is lost between two steps, or the process is killed there.
    Stop(bool),
    /// One bit turns while nobody looks.
    Flip(u64),
    /// The next sync fails.
    FailSync,
    /// The disk has room for so many bytes more, then it is full; and then it has room again.
    Fill(u16),
    /// Hours pass.
    Wait(u8),
    /// It is closed and opened.
    Reopen,
}

pub(super) fn ops() -> impl Strategy<Value = Vec<Op>> {
    let sizes = || prop::collection::vec(1..4u8, 1..4);
    let op = prop_oneof![
        10 => (sizes(), 0..600u16).prop_map(|(blocks, size)| Op::Append(blocks, size)),
        3 => any::<u8>().prop_map(Op::Acknowledge),
        1 => any::<u8>().prop_map(Op::GoBack),
        3 => (0..14u8, any::<bool>()).prop_map(|(steps, power)| Op::Kill(steps, power)),
        2 => any::<bool>().prop_map(Op::Stop),
        1 => any::<u64>().prop_map(Op::Flip),
        1 => Just(Op::FailSync),
        1 => (0..4000u16).prop_map(Op::Fill),
        1 => (0..30u8).prop_map(Op::Wait),
        1 => Just(Op::Reopen),
    ];
    prop::collection::vec(op, 1..60)
}

/// How much the spools of courses hold: small, so that they overflow.
pub(super) const LIMITS: Limits = Limits { bytes: 24 * 1024, keep: SignedDuration::from_hours(24) };

const EPOCH: u64 = 7;

pub(super) struct Course {
    pub(super) disk: Simulated,
    log: Option<Log>,
    now: Timestamp,
    next_id: u64,
    /// What is known to be there, by position, and when it was appended.
    kept: BTreeMap<u64, (Vec<u64>, Timestamp)>,
    /// What was appended without an answer, by position: it may be there.
    possible: BTreeMap<u64, Vec<Vec<u64>>>,
    mark: u64,
    /// The largest mark there ever was.
    most: u64,
    /// Whether there was ever too little room.
    pressed: bool,
    /// How many bits turned since somebody looked.
    flips: usize,
    flipped_ever: bool,
    /// The server was put back, and what it had is asked for again.
    went_back: bool,
    /// Positions that were told as lost.
    lost: BTreeSet<u64>,
    /// Which positions went into one record when somebody last looked.
    together: BTreeMap<u64, u64>,
}

type Checked = Result<(), String>;

/// Runs a course; what was promised and did not hold is told.
pub(super) fn run(seed: u64, ops: &[Op]) -> Checked {
    let mut course = Course::new(seed)?;
    for (at, op) in ops.iter().enumerate() {
        course.step(op).map_err(|wrong| format!("step {at}, {op:?}: {wrong}"))?;
    }
    course.reopen(false).map_err(|wrong| format!("at the end: {wrong}"))
}

impl Course {
    fn new(seed: u64) -> Result<Course, String> {
        let disk = Simulated::new(seed);
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let mut log = log(&disk, LIMITS, now).map_err(|error| error.to_string())?;
        log.resume(EPOCH, 0).map_err(|error| error.to_string())?;
        Ok(Course {
            disk,
            log: Some(log),
            now,
            next_id: 1,
            kept: BTreeMap::new(),
            possible: BTreeMap::new(),
            mark: 0,
            most: 0,
            pressed: false,
            flips: 0,
            flipped_ever: false,
            went_back: false,
            lost: BTreeSet::new(),
            together: BTreeMap::new(),
        })
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().unwrap()
    }

    fn step(&mut self, op: &Op) -> Checked {
        self.now += SignedDuration::from_secs(1);
        match op {
            Op::Append(blocks, size) => self.append(blocks, *size).and_then(|appended| match appended {
                Ok(()) => Ok(()),
                Err(error) => Err(format!("nothing was wrong, and it says: {error}")),
            }),
            Op::Acknowledge(part) => {
                let last = self.log().next - 1;
                let mark = self.mark + (last - self.mark) * u64::from(*part) / 255;
                self.log().acknowledge(mark).map_err(|error| error.to_string())?;
                self.mark = mark;
                self.most = self.most.max(mark);
                check(self.log().mark == mark, || "the mark was not noted".to_owned())?;
                check(self.log().acknowledge(last + 1).is_err(), || "a mark of the future was believed".to_owned())?;
                self.trim()
            }
            Op::GoBack(part) => {
                self.went_back = true;
                self.mark = self.mark * u64::from(*part) / 255;
                let mark = self.mark;
                self.log().resume(EPOCH, mark).map_err(|error| error.to_string())?;
                check(self.log().mark == mark, || "the server went back, and the mark did not".to_owned())?;
                self.look()
            }
            Op::Kill(steps, power) => {
                self.disk.disk().steps_to_live = Some((*steps).into());
                while self.disk.disk().steps_to_live != Some(0) {
                    let _ = self.append(&[2, 1], 300)?;
                }
                self.stop(*power)
            }
            Op::Stop(power) => self.stop(*power),
            Op::Flip(number) => {
                self.look()?;
                self.disk.disk().flip(*number, |_| true);
                self.flips += 1;
                self.flipped_ever = true;
                self.look()
            }
            Op::FailSync => {
                self.disk.disk().failing_syncs = 1;
                let appended = self.append(&[1], 20)?;
                let failed = self.disk.disk().failing_syncs == 0;
                self.disk.disk().failing_syncs = 0;
                check(!failed || appended.is_err(), || "a sync failed, and the append did not".to_owned())?;
                self.append(&[1, 1], 20)?.map_err(|error| format!("the disk answers again, and it says: {error}"))
            }
            Op::Fill(room) => {
                let capacity = self.disk.disk().used() + usize::from(*room);
                self.disk.disk().capacity = capacity;
                self.pressed = true;
                for _ in 0..4 {
                    if let Err(error) = self.append(&[3], 400)? {
                        check(matches!(error, AppendError::NoRoom), || format!("full, and it says: {error}"))?;
                        let mark = self.mark;
                        let hoards = self.log().closed.front().is_some_and(|oldest| oldest.last <= mark);
                        check(!hoards, || "full, and what the server has is kept".to_owned())?;
                    }
                }
                self.look()?;
                self.disk.disk().capacity = usize::MAX;
                self.append(&[1], 20)?.map_err(|error| format!("there is room again, and it says: {error}"))
            }
            Op::Wait(hours) => {
                self.now += SignedDuration::from_hours((*hours).into());
                self.trim()
            }
            Op::Reopen => self.reopen(true),
        }
    }

    fn trim(&mut self) -> Checked {
        let now = self.now;
        self.log().trim(now).map_err(|error| error.to_string())
    }

    /// Appends, and notes what that promises.
    fn append(&mut self, blocks: &[u8], size: u16) -> Result<Result<(), AppendError>, String> {
        let mut contents = Vec::new();
        let mut packed = Vec::new();
        for count in blocks {
            let ids: Vec<u64> = (self.next_id..).take((*count).into()).collect();
            self.next_id += u64::from(*count);
            let entries: Vec<Entry> = ids.iter().map(|id| change(*id, self.now, size.into())).collect();
            packed.push((Block::pack(&entries).unwrap().remove(0).bytes, Tally::of(&entries)));
            contents.push(ids);
        }
        let now = self.now;
        let expected = self.log().next;
        let more: usize = packed.iter().map(|(block, _)| block.len() + 200).sum();
        if self.log().size() + more as u64 + 600 > LIMITS.bytes {
            self.pressed = true;
        }
        let before = self.log().size();
        let result = self.log().commit(&packed, now);
        let size = self.log().size();
        // A loss of power may bring back what was let go. The next append makes room. One that fails may do so before, having
        // put a summary in the place of a smaller one.
        let most = if result.is_ok() { LIMITS.bytes } else { LIMITS.bytes.max(before + 1024) };
        check(size <= most, || format!("{size} bytes, more than the bound"))?;
        match result {
            Ok((first, last)) => {
                check(first == expected && last + 1 == first + contents.len() as u64, || {
                    format!("positions {first} to {last} instead of {expected} on")
                })?;
                for (position, ids) in (first..).zip(contents) {
                    self.kept.insert(position, (ids, now));
                }
                Ok(Ok(()))
            }
            Err(error) => {
                check(self.log().next == expected, || "a failed append took positions".to_owned())?;
                for (position, ids) in (expected..).zip(contents) {
                    self.possible.entry(position).or_default().push(ids);
                }
                Ok(Err(error))
            }
        }
    }

    fn stop(&mut self, power: bool) -> Checked {
        self.log = None;
        if power {
            self.disk.disk().lose_power();
        } else {
            self.disk.disk().revive();
        }
        self.open()
    }

    fn reopen(&mut self, cleanly: bool) -> Checked {
        let (now, mark) = (self.now, self.mark);
        if cleanly {
            self.log().note(now).map_err(|error| error.to_string())?;
        }
        self.log = None;
        self.open_noting(if cleanly && self.flips == 0 { Some(mark) } else { None })
    }

    fn open(&mut self) -> Checked {
        self.open_noting(None)
    }

    /// Opens, with the mark that it has to have if that is known, and looks.
    fn open_noting(&mut self, noted: Option<u64>) -> Checked {
        let log = log(&self.disk, LIMITS, self.now).map_err(|error| format!("does not open: {error}"))?;
        let (mark, epoch) = (log.mark, log.identity.epoch);
        self.log = Some(log);
        check(epoch == EPOCH, || format!("of epoch {epoch}"))?;
        check(noted.is_none_or(|noted| noted == mark), || format!("the mark is {mark}, and {noted:?} was noted"))?;
        let mark = self.mark;
        self.log().resume(EPOCH, mark).map_err(|error| error.to_string())?;
        self.look()?;
        // What an append without an answer left is there for good now, or not at all.
        let next = self.log().next;
        self.possible.retain(|position, _| *position >= next);
        let at = self.kept.last_key_value().map_or(0, |(position, _)| *position);
        check(next > at, || format!("position {next} would be given again"))
    }

    /// Reads all of it, and holds it against what was promised.
    fn look(&mut self) -> Checked {
        let found = self.read(0)?;
        // From anywhere the same is read.
        if let Some(middle) = found.get(found.len() / 2) {
            let again = self.read(middle.last)?;
            let rest = &found[found.len() / 2 + 1..];
            check(again == rest, || format!("read after {}, there is something else", middle.last))?;
        }
        let next = self.log().next;
        let mut expected = 1;
        let mut newly_lost = BTreeSet::new();
        let mut together = BTreeMap::new();
        for block in &found {
            let Outgoing { first, last, .. } = block;
            check(*first == expected, || format!("position {first} comes where {expected} was awaited"))?;
            expected = last + 1;
            together.extend((*first..=*last).map(|position| (position, *first)));
            self.hold(block, &mut newly_lost)?;
        }
        check(expected == next, || format!("it ends before {expected}, and the next is {next}"))?;
        let records: BTreeSet<u64> =
            newly_lost.iter().map(|at| self.together.get(at).copied().unwrap_or(*at)).collect();
        let told: Vec<(u64, u64)> = found.iter().map(|block| (block.first, block.last)).collect();
        let segments: Vec<_> = self.log().segments().cloned().collect();
        check(records.len() <= self.flips, || {
            format!("{newly_lost:?} are lost, {} bits turned, mark {}: {told:?} of {segments:?}", self.flips, self.mark)
        })?;
        self.flips = 0;
        self.lost.extend(newly_lost);
        self.together = together;
        Ok(())
    }

    fn read(&mut self, after: u64) -> Result<Vec<Outgoing>, String> {
        let mut found: Vec<Outgoing> = Vec::new();
        loop {
            let from = found.last().map_or(after, |block| block.last);
            let more = self.log().read(from, 700).map_err(|error| format!("does not read: {error}"))?;
            if more.is_empty() {
                return Ok(found);
            }
            let on = more.iter().all(|block| block.last > from);
            check(on, || format!("read after {from}, there is what was read"))?;
            found.extend(more);
        }
    }

    /// Holds one block against what was promised of its positions.
    fn hold(&mut self, block: &Outgoing, newly_lost: &mut BTreeSet<u64>) -> Checked {
        let Outgoing { first, last, block, .. } = block;
        let (_, entries) = Block::read(block.clone()).map_err(|error| format!("{first} does not unpack: {error}"))?;
        let promised = self.kept.range(first..=last);
        match &entries[0].fact {
            Fact::Unseen(unseen) if unseen.why.contains("going back") => {
                check(*last <= self.most, || format!("{first} to {last} are gone, and nobody had them"))?;
                for (position, (_, written)) in promised {
                    let old = self.now.duration_since(*written) >= LIMITS.keep;
                    let excused = old || self.pressed || self.flipped_ever;
                    check(excused, || format!("{position} is gone before its time"))?;
                }
            }
            Fact::Unseen(_) => {
                let lost = promised.map(|(position, _)| *position).filter(|at| !self.lost.contains(at));
                newly_lost.extend(lost);
            }
            Fact::Summary(summary) => {
                check(self.pressed, || format!("{first} to {last} are summed up, and there was room"))?;
                let all: u64 = promised.map(|(_, (ids, _))| ids.len() as u64).sum();
                let told = summary.counts.get("change").copied().unwrap_or(0);
                // What was damaged when it was summed up, and what had been when the spool was opened before.
                let damage = summary.why.contains("not counted") || summary.counts.contains_key("unseen");
                check(told == all || (told < all && damage && (self.flipped_ever || self.went_back)), || {
                    format!("{first} to {last} are summed up as {told}, and were {all}")
                })?;
                if !damage {
                    let gone = self.lost.range(first..=last).next();
                    check(gone.is_none() || told == all, || format!("{gone:?} was damaged, and is not told"))?;
                }
            }
            _ => {
                check(first == last, || format!("{first} to {last} in one block"))?;
                let ids = ids(&entries);
                let right = match self.kept.get(first) {
                    Some((promised, _)) => *promised == ids,
                    None => self.possible.get(first).is_some_and(|possible| possible.contains(&ids)),
                };
                check(right, || format!("{first} has {ids:?}, and {:?} was promised", self.kept.get(first)))?;
                let now = self.now;
                self.kept.entry(*first).or_insert((ids, now));
            }
        }
        Ok(())
    }
}

fn check(holds: bool, wrong: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(wrong()) }
}
