//! The spool itself: segments of records, the newest of which is written to.
//!
//! What keeps it right, whenever it is stopped:
//!
//! - Nothing is acknowledged or sent that is not durable. A segment is durable as far as `end`.
//! - **A segment that a write or a sync failed on is never written again.** Pages that could not be written count as clean
//!   afterwards, so a second sync proves nothing. The next segment begins at the first position that was not durable, and a
//!   segment ends where the next begins.
//! - **What is found in the newest segment at opening is written anew**, synced and put in its place: what a page cache shows
//!   may never have reached the disk.
//! - **The positions of a tail that does not read are not given again.** Mostly it was being written and nobody knew of it; it may
//!   also have been damaged later, and the server may have it. An entry says that they are lost.
//! - A segment has no head that could be lost. Its name says its first position, its records say the rest.

use super::Limits;
use super::error::{AppendError, OpenError, TurnError};
use super::files::{Files, UNFINISHED, is_full, replace, sync, write_all};
use super::identity::{self, Identity};
use super::lost::lost;
use super::reading::Cursor;
use super::record::{HEAD, Record, Scan, Seal, Sort};
use super::tally::Tally;
use crate::planted::{Bug, planted};
use reckon_model::frame::Instance;
use reckon_model::{ClusterId, Timestamp};
use std::collections::VecDeque;
use std::io;

/// A file of records.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// The first position that could be in it; its name.
    pub(super) base: u64,
    /// The first position that it should have: of a summary, what came before was acknowledged and let go.
    pub(super) first: u64,
    /// The last position that is in it; before `base` if there is none.
    pub(super) last: u64,
    /// How many of its bytes are durable.
    pub(super) end: u64,
    /// How many it takes.
    pub(super) size: u64,
    /// When its newest record was written.
    pub(super) written: Timestamp,
    /// It is one summary.
    pub(super) summary: bool,
}

impl Segment {
    pub(super) fn name(&self) -> String {
        name(self.base)
    }
}

/// Twenty digits: in the order of names they are in the order of positions.
fn name(base: u64) -> String {
    format!("{base:020}.records")
}

fn base(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".records")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

pub(super) struct Log<F: Files> {
    pub(super) files: F,
    pub(super) seal: Seal,
    pub(super) identity: Identity,
    pub(super) limits: Limits,
    /// What is not written to any more, oldest first.
    pub(super) closed: VecDeque<Segment>,
    /// What is written to; none after something failed.
    pub(super) active: Option<(F::File, Segment)>,
    /// The next position.
    pub(super) next: u64,
    /// What the server has.
    pub(super) mark: u64,
    /// The mark that is on the disk.
    noted: u64,
    pub(super) cursor: Option<Cursor>,
}

impl<F: Files> Log<F> {
    /// Opens the spool in a directory that nobody else writes to, or makes one where there is none.
    pub(super) fn open(mut files: F, cluster: &ClusterId, limits: Limits, now: Timestamp) -> Result<Log<F>, OpenError> {
        if cluster.0.is_empty() || cluster.0.len() > identity::MOST_ID {
            return Err(OpenError::ClusterId(cluster.0.len()));
        }
        let names = files.list()?;
        let mut bases: Vec<u64> = names.iter().filter_map(|name| base(name)).collect();
        bases.sort_unstable();
        let identity = match Identity::read(&mut files)? {
            Some(found) if found.cluster != cluster.0 => {
                return Err(OpenError::OtherCluster { found: found.cluster, wanted: cluster.0.clone() });
            }
            Some(found) => found,
            None if !bases.is_empty() => return Err(OpenError::Identity),
            None => {
                let new = Identity::new(cluster, now)?;
                new.write(&mut files).map_err(full_or_else)?;
                new
            }
        };
        match files.remove(UNFINISHED) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let seal = Seal::of(identity.instance);
        let (closed, active) = (VecDeque::new(), None);
        let mut log = Log { files, seal, identity, limits, closed, active, next: 1, mark: 0, noted: 0, cursor: None };
        let newest = bases.pop();
        for (at, base) in bases.iter().enumerate() {
            log.survey(*base, bases.get(at + 1).copied().or(newest))?;
        }
        log.write_anew(newest.unwrap_or(1), newest.is_some(), now)?;
        Ok(log)
    }

    /// Takes a segment in that is not written to any more. What it has from where the next begins was never acknowledged.
    fn survey(&mut self, base: u64, until: Option<u64>) -> Result<(), OpenError> {
        let name = name(base);
        let size = self.files.length(&name)?;
        let bytes = self.files.read(&name, 0, usize::try_from(size).unwrap_or(usize::MAX))?;
        let until = until.unwrap_or(self.next);
        // Up to the next one, whether it reads or not.
        let last = until.saturating_sub(1);
        let mut segment = Segment { base, first: base, last, end: size, size, written: Timestamp::MIN, summary: false };
        let (mut marks, mut first) = (Vec::new(), None);
        for record in Scan::new(&bytes, self.seal) {
            match record.sort {
                Sort::Mark => marks.push(record.last),
                _ if record.first >= until && !planted(Bug::BelievesWhatFailed) => break,
                sort => {
                    segment.last = segment.last.max(record.last);
                    segment.summary = sort == Sort::Summary;
                    first = first.or(Some(if segment.summary { record.first } else { base }));
                }
            }
            segment.written = segment.written.max(record.written);
        }
        segment.first = first.unwrap_or(base);
        if segment.last < self.next {
            // A summary covers it.
            self.files.remove(&name)?;
        } else {
            self.next = segment.last + 1;
            self.closed.push_back(segment);
        }
        self.mark = marks.last().copied().unwrap_or(self.mark);
        Ok(())
    }

    /// Writes what is in the newest segment into a new one of its name, which is written on.
    fn write_anew(&mut self, base: u64, is_there: bool, now: Timestamp) -> Result<(), OpenError> {
        let name = name(base);
        let bytes = match is_there {
            true => self.files.read(&name, 0, usize::try_from(self.files.length(&name)?).unwrap_or(usize::MAX))?,
            false => Vec::new(),
        };
        let covered = self.next > base;
        self.next = self.next.max(base);
        let begin = self.next;
        let mut scan = Scan::new(&bytes, self.seal);
        let mut records = Vec::new();
        let (mut to, mut summary) = (self.identity.born, false);
        for record in scan.by_ref() {
            match record.sort {
                Sort::Mark => self.mark = record.last,
                _ if record.last < self.next => {}
                sort => {
                    self.next = record.last + 1;
                    to = record.tally.to;
                    summary = sort == Sort::Summary;
                    records.push(record);
                }
            }
        }
        if scan.rest() > 0 && !planted(Bug::ReusesTheTail) {
            // As many records as fit into so many bytes, or one that was cut off.
            let last = self.next + u64::try_from(scan.rest() / HEAD).unwrap_or(0);
            let why = "the end of the agent's spool does not read: it was being written when the agent stopped, or was damaged";
            let entry = lost(&self.identity, to, now, why);
            let (block, tally) = entry.map_err(|error| io::Error::other(error.to_string()))?;
            records.push(Record { sort: Sort::Lost, first: self.next, last, written: now, tally, block });
            self.next = last + 1;
            summary = false;
        }
        let base = if covered && records.is_empty() { begin } else { base };
        self.mark = self.mark.min(self.next - 1);
        let mut anew = Vec::with_capacity(bytes.len() + 2 * HEAD);
        Record::mark(self.mark, now).encode(self.seal, &mut anew);
        let written = records.last().map_or(Timestamp::MIN, |record| record.written);
        records.iter().for_each(|record| record.encode(self.seal, &mut anew));
        let size = u64::try_from(anew.len()).unwrap_or(u64::MAX);
        let oldest = records.first().filter(|record| record.sort == Sort::Summary);
        let first = oldest.map_or(base, |record| record.first);
        let segment = Segment { base, first, last: self.next - 1, end: size, size, written, summary };
        if is_there && planted(Bug::TrustsTheCache) {
            self.closed.push_back(Segment { end: bytes.len() as u64, ..segment });
            return Ok(());
        }
        let file = loop {
            match replace(&mut self.files, &segment.name(), &anew) {
                Err(error) if is_full(&error) && self.let_go_of_acknowledged()? => {}
                result => break result.map_err(full_or_else)?,
            }
        };
        if is_there && segment.name() != name {
            self.files.remove(&name)?;
        }
        self.noted = self.mark;
        self.active = Some((file, segment));
        Ok(())
    }

    /// Appends blocks with one sync for all of them; durable on return. The positions are the first's and the last's.
    pub(super) fn commit(&mut self, blocks: &[(Vec<u8>, Tally)], now: Timestamp) -> Result<(u64, u64), AppendError> {
        let mut bytes = Vec::new();
        if self.mark != self.noted {
            Record::mark(self.mark, now).encode(self.seal, &mut bytes);
        }
        if blocks.is_empty() && bytes.is_empty() {
            return Ok((self.next, self.next - 1));
        }
        let mut position = self.next;
        for (block, tally) in blocks {
            let (block, tally) = (block.clone(), tally.clone());
            let record = Record { sort: Sort::Block, first: position, last: position, written: now, tally, block };
            record.encode(self.seal, &mut bytes);
            position += 1;
        }
        self.make_room(u64::try_from(bytes.len() + HEAD).unwrap_or(u64::MAX), now)?;
        loop {
            match self.write(&bytes, now) {
                Ok(()) => break,
                Err(error) if is_full(&error) && !planted(Bug::HoardsOnFullDisks) => {
                    if !self.let_go_of_acknowledged()? {
                        return Err(error.into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        let first = self.next;
        self.next = position;
        self.noted = self.mark;
        if let Some((_, segment)) = &mut self.active {
            segment.last = self.next - 1;
            segment.summary = false;
            segment.written = segment.written.max(now);
        }
        Ok((first, self.next - 1))
    }

    /// Writes and syncs, beginning a segment where there is none or the last one is full.
    fn write(&mut self, bytes: &[u8], now: Timestamp) -> io::Result<()> {
        if self.active.as_ref().is_some_and(|(_, segment)| segment.end >= self.limits.segment()) {
            self.retire();
        }
        if self.active.is_none() {
            self.begin(now)?;
        }
        let Some((file, segment)) = &mut self.active else { return Err(io::ErrorKind::NotFound.into()) };
        let more = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        segment.size += more;
        let written = match write_all(&mut self.files, file, bytes) {
            Ok(()) => sync(&mut self.files, file),
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => segment.end = segment.size,
            Err(_) if planted(Bug::GoesOnAfterErrors) => {}
            Err(_) => self.retire(),
        }
        written
    }

    /// Begins a segment. One of the same name has nothing that was acknowledged.
    fn begin(&mut self, now: Timestamp) -> io::Result<()> {
        let mut bytes = Vec::new();
        Record::mark(self.mark, now).encode(self.seal, &mut bytes);
        let file = replace(&mut self.files, &name(self.next), &bytes)?;
        let end = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let (base, last) = (self.next, self.next - 1);
        self.active =
            Some((file, Segment { base, first: base, last, end, size: end, written: Timestamp::MIN, summary: false }));
        Ok(())
    }

    /// Writes no more to the newest segment.
    pub(super) fn retire(&mut self) {
        if let Some((_, segment)) = self.active.take()
            && segment.last >= segment.base
        {
            self.closed.push_back(segment);
        }
    }

    /// The server has everything up to `mark`.
    pub(super) fn acknowledge(&mut self, mark: u64) -> Result<(), TurnError> {
        self.is_ours(mark)?;
        if !planted(Bug::ForgetsTheMark) {
            self.mark = self.mark.max(mark);
        }
        Ok(())
    }

    /// A server takes the agent on under this epoch and has everything up to `mark`, which may be less than it once had.
    pub(super) fn resume(&mut self, epoch: u64, mark: u64) -> Result<(), TurnError> {
        self.is_ours(mark)?;
        let ours = self.identity.epoch;
        if epoch == 0 || (ours != 0 && ours != epoch) {
            return Err(TurnError::Epoch { theirs: epoch, ours });
        }
        if ours == 0 {
            let granted = Identity { epoch, ..self.identity.clone() };
            if !planted(Bug::ForgetsTheEpoch) {
                granted.write(&mut self.files).map_err(|error| TurnError::Io(error.to_string()))?;
            }
            self.identity = granted;
        }
        self.mark = if planted(Bug::NeverGoesBack) { self.mark.max(mark) } else { mark };
        Ok(())
    }

    fn is_ours(&self, mark: u64) -> Result<(), TurnError> {
        let last = self.next - 1;
        if mark > last && !planted(Bug::BelievesTheFuture) {
            return Err(TurnError::Ahead { mark, last });
        }
        Ok(())
    }

    /// Notes the mark, for when the spool is opened again.
    pub(super) fn note(&mut self, now: Timestamp) -> Result<(), AppendError> {
        if self.mark == self.noted { Ok(()) } else { self.commit(&[], now).map(drop) }
    }

    /// Bytes of all segments.
    pub(super) fn size(&self) -> u64 {
        let active = self.active.iter().map(|(_, segment)| segment.size);
        self.closed.iter().map(|segment| segment.size).chain(active).sum()
    }

    /// The segments that have something, oldest first.
    pub(super) fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.closed.iter().chain(self.active.iter().map(|(_, segment)| segment))
    }

    pub(super) fn instance(&self) -> Instance {
        self.identity.instance
    }
}

fn full_or_else(error: io::Error) -> OpenError {
    if is_full(&error) { OpenError::NoRoom } else { OpenError::Io(error) }
}
