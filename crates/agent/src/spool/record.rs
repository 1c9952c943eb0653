//! A record of a segment: a head of 56 bytes, the tally, and the bytes of a block. All numbers are little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 0–3 | where a record may begin |
//! | 4–7 | CRC-32C of the spool's instance and of all that follows |
//! | 8–11 | length of the record, head included |
//! | 12 | what it is |
//! | 13 | zero |
//! | 14–15 | length of the tally |
//! | 16–31 | first and last position |
//! | 32–39 | when it was written, in milliseconds |
//! | 40–55 | from when to when it tells, in milliseconds |
//!
//! The instance is random and not told to the cluster. So whatever people write into objects, no block holds bytes that pass for
//! a record, and neither does a segment of another spool.

use super::tally::Tally;
use crate::planted::{Bug, planted};
use memchr::memmem;
use reckon_model::Timestamp;
use reckon_model::frame::{Instance, MOST_PACKED};

/// Bytes of a head, which are the least a record has.
pub(super) const HEAD: usize = 56;

/// The most that a record has; a tally has less than 64 words of 57 bytes.
pub(super) const MOST: usize = HEAD + 4096 + MOST_PACKED;

/// No text has such bytes.
const BEGIN: [u8; 4] = [0xf5, b'r', b'k', 0xfe];

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// A block, at its position.
    Block = 1,
    /// One entry that sums up blocks that were let go, at all their positions.
    Summary = 2,
    /// One entry that says that positions could not be read.
    Lost = 3,
    /// The server's mark, at no position: `last` is the mark.
    Mark = 4,
}

/// Begins all checksums of a spool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seal(u32);

impl Seal {
    pub(super) fn of(instance: Instance) -> Seal {
        Seal(crc32c::crc32c(&instance.0))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) sort: Sort,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) written: Timestamp,
    pub(super) tally: Tally,
    pub(super) block: Vec<u8>,
}

impl Record {
    /// The server's mark.
    pub(super) fn mark(mark: u64, written: Timestamp) -> Record {
        let tally = Tally { from: written, to: written, ..Tally::empty() };
        Record { sort: Sort::Mark, first: 0, last: mark, written, tally, block: Vec::new() }
    }

    pub(super) fn encode(&self, seal: Seal, into: &mut Vec<u8>) {
        let Record { sort, first, last, written, tally, block } = self;
        let begin = into.len();
        let words = tally.encode();
        let length = HEAD + words.len() + block.len();
        into.extend_from_slice(&BEGIN);
        into.extend_from_slice(&[0; 4]);
        // Both are bounded: a block by the model, a tally by its words.
        into.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        into.extend_from_slice(&[*sort as u8, 0]);
        into.extend_from_slice(&u16::try_from(words.len()).unwrap_or(u16::MAX).to_le_bytes());
        for number in [*first, *last] {
            into.extend_from_slice(&number.to_le_bytes());
        }
        for time in [*written, tally.from, tally.to] {
            into.extend_from_slice(&millisecond(time).to_le_bytes());
        }
        into.extend_from_slice(&words);
        into.extend_from_slice(block);
        let sum = crc32c::crc32c_append(seal.0, &into[begin + 8..]);
        into[begin + 4..begin + 8].copy_from_slice(&sum.to_le_bytes());
    }

    /// The record at the beginning of bytes and its length, if there is one.
    pub(super) fn decode(bytes: &[u8], seal: Seal) -> Option<(Record, usize)> {
        let (head, _) = bytes.split_first_chunk::<HEAD>()?;
        let length = claimed_length(head)?;
        let whole = bytes.get(..length)?;
        let sum = crc32c::crc32c_append(seal.0, whole.get(8..)?);
        if sum.to_le_bytes() != head[4..8] && !planted(Bug::SkipsChecksums) {
            return None;
        }
        let sort = match head[12] {
            1 => Sort::Block,
            2 => Sort::Summary,
            3 => Sort::Lost,
            4 => Sort::Mark,
            _ => return None,
        };
        let number = |at: usize| head.get(at..)?.first_chunk::<8>().copied();
        let time = |at: usize| Timestamp::from_millisecond(i64::from_le_bytes(number(at)?)).ok();
        let words: usize = u16::from_le_bytes([head[14], head[15]]).into();
        let (words, block) = whole.get(HEAD..)?.split_at_checked(words)?;
        let record = Record {
            sort,
            first: u64::from_le_bytes(number(16)?),
            last: u64::from_le_bytes(number(24)?),
            written: time(32)?,
            tally: Tally::decode(words, time(40)?, time(48)?)?,
            block: block.to_vec(),
        };
        let placed = record.sort == Sort::Mark || (record.first > 0 && record.first <= record.last);
        placed.then_some((record, length))
    }
}

/// The last second there is ends before its milliseconds do.
fn millisecond(time: Timestamp) -> i64 {
    let exact = time.as_millisecond();
    if Timestamp::from_millisecond(exact).is_ok() { exact } else { time.as_second() * 1000 }
}

/// How long the record says that it is, if bytes begin like one.
pub(super) fn claimed_length(head: &[u8; HEAD]) -> Option<usize> {
    let length = usize::try_from(u32::from_le_bytes(*head[8..].first_chunk::<4>()?)).ok()?;
    (head.starts_with(&BEGIN) && (HEAD..=MOST).contains(&length)).then_some(length)
}

/// Finds the records in bytes one after the other, whatever lies between them.
pub(super) struct Scan<'a> {
    bytes: &'a [u8],
    seal: Seal,
    /// Where to go on.
    at: usize,
    /// Where the last record ended.
    end: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(bytes: &'a [u8], seal: Seal) -> Scan<'a> {
        Scan { bytes, seal, at: 0, end: 0 }
    }

    /// How many bytes come after the last record that was found, when there is no other.
    pub(super) fn rest(&self) -> usize {
        self.bytes.len() - self.end
    }

    /// Where the last record that was found ends.
    pub(super) fn end(&self) -> usize {
        self.end
    }
}

impl Iterator for Scan<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        loop {
            let rest = self.bytes.get(self.at..)?;
            if let Some((record, length)) = Record::decode(rest, self.seal) {
                self.at += length;
                self.end = self.at;
                return Some(record);
            }
            if planted(Bug::StopsAtDamage) {
                return None;
            }
            self.at += 1 + memmem::find(rest.get(1..)?, &BEGIN)?;
        }
    }
}
