//! A list of containers, taken apart while its bytes come: it is never held as a whole.

use super::call::Trouble;
use super::message::CONTAINERS;

/// The largest container of a list that is read. One is some KiB, most of it annotations.
const ITEM: u64 = 256 << 10;

/// The longest head of a field: a tag and a length, of ten bytes each.
const HEAD: usize = 20;

/// Splits the fields of a message.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    held: Vec<u8>,
    /// What comes next and is not read.
    skip: u64,
    /// How many containers were too large to be read.
    pub(super) too_large: usize,
}

impl Splitter {
    /// Takes some bytes and gives each container that they complete.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), Trouble> {
        loop {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            bytes = bytes.get(skipped..).unwrap_or_default();
            self.skip -= skipped as u64;
            if bytes.is_empty() {
                return Ok(());
            }
            // As much as makes the head known, then as much as makes the field whole.
            let head = match head(&self.held)? {
                Some(head) => head,
                None => {
                    let (first, rest) = bytes.split_at(1);
                    self.held.extend_from_slice(first);
                    bytes = rest;
                    match head(&self.held)? {
                        Some(head) => head,
                        None => continue,
                    }
                }
            };
            if head.field != CONTAINERS || head.length > ITEM {
                self.too_large += usize::from(head.field == CONTAINERS);
                self.held.clear();
                self.skip = head.length;
                continue;
            }
            let whole = head.size + usize::try_from(head.length).unwrap_or(usize::MAX);
            let (taken, rest) = bytes.split_at(bytes.len().min(whole - self.held.len()));
            self.held.extend_from_slice(taken);
            bytes = rest;
            if self.held.len() == whole {
                each(self.held.get(head.size..).unwrap_or_default());
                self.held.clear();
            }
        }
    }

    /// Whether it ended where a field ends.
    pub(super) fn is_whole(&self) -> bool {
        self.held.is_empty() && self.skip == 0
    }
}

/// The beginning of a field.
struct Head {
    field: u64,
    /// Its own size.
    size: usize,
    /// How much follows it.
    length: u64,
}

/// The head of a field, once all of it is there.
fn head(bytes: &[u8]) -> Result<Option<Head>, Trouble> {
    let wrong = || Trouble::Answer("the list of containers is no protocol buffer".to_owned());
    let Some((tag, tag_size)) = varint(bytes) else {
        return if bytes.len() < HEAD / 2 { Ok(None) } else { Err(wrong()) };
    };
    let rest = bytes.get(tag_size..).unwrap_or_default();
    // The kinds of fields: https://protobuf.dev/programming-guides/encoding/#structure
    let (size, length) = match tag & 7 {
        0 | 2 => match varint(rest) {
            Some((length, size)) => (tag_size + size, if tag & 7 == 2 { length } else { 0 }),
            None if rest.len() < HEAD / 2 => return Ok(None),
            None => return Err(wrong()),
        },
        1 => (tag_size, 8),
        5 => (tag_size, 4),
        _ => return Err(wrong()),
    };
    match tag >> 3 {
        0 => Err(wrong()),
        CONTAINERS if tag & 7 != 2 => Err(wrong()),
        field => Ok(Some(Head { field, size, length })),
    }
}

/// A number of seven bits a byte, and how many bytes it has; nothing if it does not end within ten.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().take(HEAD / 2).enumerate() {
        number |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(index).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((number, index + 1));
        }
    }
    None
}
