//! Entries packed together, as they travel and are kept.

use super::Entry;
use crate::Timestamp;

/// How many entries a block holds at most.
pub const MOST_ENTRIES: usize = 1_000;

/// How many bytes of JSON a block holds at most. An entry of the largest object that an API server takes (1.5 MiB, before and
/// after) fits, and whoever unpacks a hostile one is held to it.
pub const MOST_INFLATED: usize = 8 * 1024 * 1024;

/// Blocks are closed when they have so many bytes of JSON, so that a reader of one entry does not unpack megabytes.
const FULL: usize = 512 * 1024;

/// What the bytes begin with: which way they were packed. Others may come; who meets one he does not know says so.
const FORMAT: u8 = 1;

/// zstd's own default: of levels 1 to 9 the last before time grows faster than bytes shrink.
const LEVEL: i32 = 3;

/// For what is packed once more and kept for months: a tenth smaller, at a few milliseconds for a block.
const AGAIN: i32 = 9;

/// Up to [`MOST_ENTRIES`] entries: a byte for the format, then JSON lines compressed by zstd.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// How many entries.
    pub count: u32,
    /// The earliest entry's time.
    pub first: Timestamp,
    /// The latest entry's time.
    pub last: Timestamp,
    /// As it travels.
    pub bytes: Vec<u8>,
}

/// Why bytes are no block.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// Of a way of packing that this program does not know.
    #[error("a block of format {0}; this program knows {FORMAT}")]
    Format(u8),
    /// Empty, cut off, or of more bytes than a block may have.
    #[error("a block that does not unpack: {0}")]
    Packed(#[from] std::io::Error),
    /// A line that is no entry.
    #[error("line {line} of a block: {source}")]
    Entry {
        /// Which, from 1.
        line: usize,
        /// Where and what.
        source: serde_json::Error,
    },
    /// No entry, or too many.
    #[error("a block of {0} entries; it has 1 to {MOST_ENTRIES}")]
    Count(usize),
    /// An entry that fits into no block.
    #[error("an entry of {0} bytes; it may have {MOST_INFLATED}")]
    Large(usize),
}

impl Block {
    /// Packs entries into as few blocks as they fit in, in their order.
    ///
    /// # Errors
    /// [`BlockError::Large`] for an entry that fits into none.
    pub fn pack(entries: &[Entry]) -> Result<Vec<Block>, BlockError> {
        let mut blocks = Vec::new();
        let mut lines = Vec::new();
        let mut begin = 0;
        for (at, entry) in entries.iter().enumerate() {
            let before = lines.len();
            serde_json::to_writer(&mut lines, entry).map_err(|source| BlockError::Entry { line: at + 1, source })?;
            lines.push(b'\n');
            let size = lines.len() - before;
            if size > MOST_INFLATED {
                return Err(BlockError::Large(size));
            }
            if lines.len() > MOST_INFLATED {
                blocks.push(Block::of(&entries[begin..at], &lines[..before])?);
                lines.drain(..before);
                begin = at;
            }
            if at + 1 - begin == MOST_ENTRIES || lines.len() >= FULL || at + 1 == entries.len() {
                blocks.push(Block::of(&entries[begin..=at], &lines)?);
                lines.clear();
                begin = at + 1;
            }
        }
        Ok(blocks)
    }

    /// Reads bytes as they travelled, every entry of them.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn read(bytes: Vec<u8>) -> Result<(Block, Vec<Entry>), BlockError> {
        let entries = entries(&bytes)?;
        let block = Block { count: count(&entries)?, first: first(&entries), last: last(&entries), bytes };
        Ok((block, entries))
    }

    /// The entries, in their order.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn entries(&self) -> Result<Vec<Entry>, BlockError> {
        entries(&self.bytes)
    }

    fn of(entries: &[Entry], lines: &[u8]) -> Result<Block, BlockError> {
        let packed = zstd::bulk::compress(lines, LEVEL)?;
        let bytes = [&[FORMAT], packed.as_slice()].concat();
        Ok(Block { count: count(entries)?, first: first(entries), last: last(entries), bytes })
    }
}

fn count(entries: &[Entry]) -> Result<u32, BlockError> {
    match entries.len() {
        len @ 1..=MOST_ENTRIES => u32::try_from(len).map_err(|_| BlockError::Count(len)),
        len => Err(BlockError::Count(len)),
    }
}

fn first(entries: &[Entry]) -> Timestamp {
    entries.iter().map(|entry| entry.at).min().unwrap_or_default()
}

fn last(entries: &[Entry]) -> Timestamp {
    entries.iter().map(|entry| entry.at).max().unwrap_or_default()
}

pub(super) fn unpack(bytes: &[u8]) -> Result<Vec<u8>, BlockError> {
    let (format, packed) = bytes.split_first().ok_or(BlockError::Count(0))?;
    if *format != FORMAT {
        return Err(BlockError::Format(*format));
    }
    Ok(zstd::bulk::decompress(packed, MOST_INFLATED)?)
}

pub(super) fn pack_again(lines: &[u8], count: usize) -> Result<Vec<u8>, BlockError> {
    if lines.len() > MOST_INFLATED {
        return Err(BlockError::Large(lines.len()));
    }
    if !(1..=MOST_ENTRIES).contains(&count) {
        return Err(BlockError::Count(count));
    }
    let packed = zstd::bulk::compress(lines, AGAIN)?;
    Ok([&[FORMAT], packed.as_slice()].concat())
}

fn entries(bytes: &[u8]) -> Result<Vec<Entry>, BlockError> {
    let lines = unpack(bytes)?;
    let mut entries = Vec::new();
    for (at, line) in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
        if at == MOST_ENTRIES {
            return Err(BlockError::Count(at + 1));
        }
        entries.push(serde_json::from_slice(line).map_err(|source| BlockError::Entry { line: at + 1, source })?);
    }
    Ok(entries)
}
