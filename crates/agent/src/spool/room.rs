//! How a spool stays within its bound: first what the server has goes, then what it has not is summed up, oldest first.

use super::error::AppendError;
use super::files::{Files, replace};
use super::log::{Log, Segment};
use super::lost::summed_up;
use super::record::{Record, Scan, Sort};
use super::tally::Tally;
use crate::planted::{Bug, planted};
use reckon_model::Timestamp;
use std::io;

/// Why entries are summed up.
const WHY: &str = "the agent's spool was full, and the server did not take more; what it had taken and could not acknowledge \
                   may be counted again";

/// What a summary takes at most while it is made, beside what it replaces.
const MARGIN: u64 = 8 * 1024;

impl<F: Files> Log<F> {
    /// Lets go of what the server has had for as long as it is kept.
    pub(super) fn trim(&mut self, now: Timestamp) -> io::Result<()> {
        let keep = if planted(Bug::KeepsNothing) { reckon_model::SignedDuration::ZERO } else { self.limits.keep };
        while let Some(oldest) = self.closed.front()
            && oldest.last <= self.mark
            && now.duration_since(oldest.written) >= keep
        {
            self.let_go_of_acknowledged()?;
        }
        Ok(())
    }

    /// Removes the oldest segment if the server has all of it, and says whether it did.
    pub(super) fn let_go_of_acknowledged(&mut self) -> io::Result<bool> {
        match self.closed.front() {
            Some(oldest) if oldest.last <= self.mark => {
                // Where this is undone by a loss of power, it is there again and goes again. But only while its successor is
                // there as well: what that held would else pass for damaged.
                self.files.remove(&oldest.name())?;
                self.closed.pop_front();
                self.files.sync_directory()?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Sees to it that so many bytes more are within the bound.
    pub(super) fn make_room(&mut self, more: u64, now: Timestamp) -> Result<(), AppendError> {
        if more + MARGIN.min(self.limits.bytes / 2) > self.limits.bytes {
            return Err(AppendError::Large(more));
        }
        while self.size() + more > self.limits.bytes && !planted(Bug::OutgrowsItsBound) {
            if self.let_go_of_acknowledged()? {
                continue;
            }
            let wanted = 1 + usize::from(self.closed.front().is_some_and(|oldest| oldest.summary));
            if self.closed.len() < wanted {
                let has_something = self.active.as_ref().is_some_and(|(_, newest)| newest.last >= newest.base);
                if !has_something {
                    return Err(AppendError::Large(more));
                }
                self.retire();
            } else if planted(Bug::DropsTheOldest) {
                let oldest = self.closed.pop_front();
                self.files.remove(&oldest.map(|oldest| oldest.name()).unwrap_or_default())?;
            } else {
                self.sum_up(wanted, now)?;
            }
        }
        Ok(())
    }

    /// Puts one summary in the place of the oldest segments. It has the name of the first, so that it is there or not.
    fn sum_up(&mut self, segments: usize, now: Timestamp) -> Result<(), AppendError> {
        let Some(oldest) = self.closed.front().cloned() else { return Ok(()) };
        let until = self.base_after(segments - 1);
        let mut sum = Tally::empty();
        let mut first = oldest.base.max(self.mark + 1);
        let mut expected = first;
        for at in 0..segments {
            let records = self.records(at)?;
            for record in records {
                let has = record.sort == Sort::Mark || (record.last < expected && !planted(Bug::CountsAcknowledged));
                if has || (planted(Bug::ForgetsSummaries) && record.sort == Sort::Summary) {
                    continue;
                }
                sum.damaged += record.first.saturating_sub(expected);
                expected = expected.max(record.last + 1);
                // A summary that the mark is in the middle of is not taken apart.
                first = first.min(record.first);
                if planted(Bug::CountsBlocks) {
                    sum.add(&Tally { counts: [("change".to_owned(), 1)].into(), ..record.tally });
                } else {
                    sum.add(&record.tally);
                }
            }
        }
        sum.damaged += until.saturating_sub(expected);
        if planted(Bug::SumsUpDamage) {
            sum.damaged = 0;
        }
        if sum.from > sum.to {
            // All of it was damaged.
            (sum.from, sum.to) = (self.identity.born.min(now), now);
        }
        let (block, tally) = summed_up(&self.identity.cluster, &sum, WHY)?;
        let last = until - 1;
        let first = first.min(last);
        let record = Record { sort: Sort::Summary, first, last, written: now, tally, block };
        let mut bytes = Vec::new();
        record.encode(self.seal, &mut bytes);
        let replaced: Vec<Segment> = self.closed.iter().take(segments).skip(1).cloned().collect();
        if planted(Bug::RemovesTooEarly) {
            replaced.iter().try_for_each(|segment| self.files.remove(&segment.name()))?;
            self.files.sync_directory()?;
        }
        replace(&mut self.files, &oldest.name(), &bytes)?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.closed.drain(..segments);
        self.closed.push_front(Segment { first, last, end: size, size, written: now, summary: true, ..oldest });
        self.cursor = None;
        if !planted(Bug::RemovesTooEarly) {
            replaced.iter().try_for_each(|segment| self.files.remove(&segment.name()))?;
        }
        Ok(())
    }

    /// Where the segment after this closed one begins.
    pub(super) fn base_after(&self, at: usize) -> u64 {
        self.segments().nth(at + 1).map_or(self.next, |segment| segment.base)
    }

    /// What reads of a closed segment.
    fn records(&self, at: usize) -> io::Result<Vec<Record>> {
        let Some(segment) = self.closed.get(at) else { return Ok(Vec::new()) };
        let until = self.base_after(at);
        let bytes = self.files.read(&segment.name(), 0, usize::try_from(segment.end).unwrap_or(usize::MAX))?;
        let of_others = |record: &Record| record.sort != Sort::Mark && record.first >= until;
        Ok(Scan::new(&bytes, self.seal).take_while(|record| !of_others(record)).collect())
    }
}
