//! Reading a spool in the order of its positions, each exactly once, with an entry for those that are not to be had.

use super::files::Files;
use super::log::Log;
use super::lost::{lost, summed_up};
use super::record::{Scan, Sort};
use super::tally::Tally;
use crate::planted::{Bug, planted};
use reckon_model::Timestamp;
use reckon_model::record::BlockError;
use std::io;

/// How much of a segment is read at once. A record that is longer is read with all that comes after it in its segment.
const CHUNK: u64 = 256 * 1024;

/// Why positions between others are not to be had.
const DAMAGED: &str = "this part of the agent's spool was damaged on its disk";

/// Why positions before all others are not to be had.
const GONE: &str = "the server had this part of the record, lost it by going back to an older state, and the agent no longer \
                    keeps it";

/// Where the next position begins, as far as is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    base: u64,
    want: u64,
    offset: u64,
    to: Timestamp,
}

/// A block to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The first position it stands for.
    pub first: u64,
    /// The last, which is the block's own.
    pub last: u64,
    /// The bytes of a [`reckon_model::record::Block`].
    pub block: Vec<u8>,
    pub(super) tally: Tally,
    cluster: String,
}

impl Outgoing {
    /// A block of these entries.
    #[cfg(test)]
    pub(crate) fn of(position: u64, cluster: &str, entries: &[reckon_model::record::Entry]) -> Outgoing {
        let block = reckon_model::record::Block::pack(entries).unwrap().remove(0).bytes;
        Outgoing { first: position, last: position, block, tally: Tally::of(entries), cluster: cluster.to_owned() }
    }

    /// What goes in its place where a server does not take it: how many entries of each fact there were, and why they are not
    /// there.
    ///
    /// # Errors
    /// Never in practice: one small entry fits into a block.
    pub fn stand_in(&self, why: &str) -> Result<Outgoing, BlockError> {
        let (block, tally) = summed_up(&self.cluster, &self.tally, why)?;
        Ok(Outgoing { block, tally, ..self.clone() })
    }
}

impl<F: Files> Log<F> {
    /// What comes after a position: one block at least where there is any, and no more once `budget` bytes are reached.
    pub(super) fn read(&mut self, after: u64, budget: usize) -> io::Result<Vec<Outgoing>> {
        let mut found = Found { want: after + 1, ..Found::default() };
        if planted(Bug::SkipsOne) {
            found.want += 1;
        }
        while found.want < self.next && (found.blocks.is_empty() || found.bytes < budget) {
            let next = self.segments().position(|segment| segment.last >= found.want);
            match next {
                Some(at) => self.read_segment(at, &mut found, budget)?,
                None => self.missing(&mut found, self.next, None)?,
            }
        }
        Ok(found.blocks)
    }

    fn read_segment(&mut self, at: usize, found: &mut Found, budget: usize) -> io::Result<()> {
        let Some(segment) = self.segments().nth(at).cloned() else { return Ok(()) };
        let until = self.base_after(at);
        let mut offset = 0;
        if let Some(cursor) = self.cursor.filter(|cursor| (cursor.base, cursor.want) == (segment.base, found.want)) {
            (offset, found.to) = (cursor.offset, Some(cursor.to));
        }
        let mut most = CHUNK;
        while offset < segment.end {
            let left = segment.end - offset;
            let length = usize::try_from(left.min(most)).unwrap_or(usize::MAX);
            let bytes = self.files.read(&segment.name(), offset, length)?;
            let mut scan = Scan::new(&bytes, self.seal);
            while let Some(record) = scan.next() {
                let begin = record.first.max(found.want);
                if record.sort == Sort::Mark {
                    continue;
                }
                if record.first >= until {
                    break;
                }
                if record.last >= found.want {
                    if begin > found.want {
                        self.missing(found, begin, Some(record.tally.from))?;
                    }
                    found.want = record.last + 1;
                    found.bytes += record.block.len();
                    let cluster = self.identity.cluster.clone();
                    let (first, last, tally, block) = (record.first, record.last, record.tally.clone(), record.block);
                    found.blocks.push(Outgoing { first, last, block, tally, cluster });
                }
                found.to = Some(record.tally.to);
                if found.bytes >= budget {
                    let offset = offset + u64::try_from(scan.end()).unwrap_or(0);
                    self.remember(segment.base, found, offset);
                    return Ok(());
                }
            }
            match u64::try_from(scan.end()).unwrap_or(0) {
                0 if left <= most => break,
                0 => most = left,
                read => (offset, most) = (offset + read, CHUNK),
            }
        }
        if found.want <= segment.last {
            // Readable when the spool was opened, and not any more.
            self.missing(found, until, None)?;
        }
        self.remember(segment.base, found, offset);
        Ok(())
    }

    fn remember(&mut self, base: u64, found: &Found, offset: u64) {
        self.cursor = found.to.map(|to| Cursor { base, want: found.want, offset, to });
    }

    /// Until when the last record before a position tells, for whoever did not read it: from wherever is read, what is lost is
    /// lost within the same time.
    fn told_before(&self, position: u64) -> io::Result<Option<Timestamp>> {
        let earlier = self.segments().take_while(|segment| segment.base < position).count();
        for at in (0..earlier).rev() {
            let Some(segment) = self.segments().nth(at) else { continue };
            let until = self.base_after(at).min(position);
            let bytes = self.files.read(&segment.name(), 0, usize::try_from(segment.end).unwrap_or(usize::MAX))?;
            let told = Scan::new(&bytes, self.seal)
                .filter(|record| record.sort != Sort::Mark)
                .take_while(|record| record.first < until)
                .last();
            if let Some(record) = told {
                return Ok(Some(record.tally.to));
            }
        }
        Ok(None)
    }

    /// Tells that the positions from the one that is wanted to the one before `until` are not to be had.
    fn missing(&self, found: &mut Found, until: u64, next: Option<Timestamp>) -> io::Result<()> {
        let oldest = self.segments().next().map_or(self.next, |segment| segment.first);
        if found.want < oldest && oldest < until {
            // What is not kept any more, and damaged ones after it.
            self.missing(found, oldest, next)?;
        }
        let (first, last) = (found.want, until - 1);
        found.want = until;
        if planted(Bug::HidesDamage) {
            return Ok(());
        }
        let why = if last < oldest { GONE } else { DAMAGED };
        let from = match found.to {
            Some(to) => to,
            None => self.told_before(first)?.unwrap_or(self.identity.born),
        };
        let newest = self.segments().map(|segment| segment.written).max().unwrap_or(from);
        let lost = lost(&self.identity, from, next.unwrap_or(newest), why);
        let (block, tally) = lost.map_err(|error| io::Error::other(error.to_string()))?;
        found.bytes += block.len();
        found.blocks.push(Outgoing { first, last, block, tally, cluster: self.identity.cluster.clone() });
        Ok(())
    }
}

/// What was read so far.
#[derive(Default)]
struct Found {
    want: u64,
    blocks: Vec<Outgoing>,
    bytes: usize,
    /// Until when the record before the one that is wanted tells.
    to: Option<Timestamp>,
}
