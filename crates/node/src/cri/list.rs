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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(Vec<Vec<u8>>, bool), Trouble> {
        let mut items = Vec::new();
        let mut splitter = Splitter::default();
        for piece in pieces {
            splitter.feed(piece, |item| items.push(item.to_vec()))?;
        }
        Ok((items, splitter.is_whole()))
    }

    #[test]
    fn fields_that_are_not_known_are_passed_over() {
        // Field 2 as a number, as eight bytes, as four and as two bytes; between them field 1, once with nothing in it.
        let bytes =
            [&[0x10, 0x80, 0x01, 0x0a, 0x00][..], &[0x11; 9], &[0x15; 5], &[0x0a, 1, 7, 0x12, 2, 0x0a, 9]].concat();
        assert_eq!(split([&bytes[..]]), Ok((vec![vec![], vec![7]], true)));
    }

    #[test]
    fn a_container_that_is_too_large_is_passed_over_and_counted() {
        let mut splitter = Splitter::default();
        let mut items = Vec::new();
        // 2^24 bytes, and one container after them.
        for piece in [&[0x0a, 0x80, 0x80, 0x80, 0x08][..], &vec![0xff; 1 << 24], &[0x0a, 1, 7]] {
            splitter.feed(piece, |item| items.push(item.to_vec())).unwrap();
        }
        assert_eq!((items, splitter.too_large, splitter.is_whole()), (vec![vec![7]], 1, true));
        assert!(splitter.held.capacity() < 100);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for wrong in [
            &[0xff; 20][..],
            &[0x08, 1],
            &[0, 0],
            &[0x0b],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(split([wrong]).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn how_a_list_is_cut_changes_nothing(
            items in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..10),
            size in 1_usize..400,
        ) {
            let mut bytes = Vec::new();
            for item in &items {
                prost::encoding::bytes::encode(1, item, &mut bytes);
            }
            prop_assert_eq!(split(bytes.chunks(size)), Ok((items, true)));
        }

        #[test]
        fn no_bytes_make_it_panic_and_cuts_change_nothing(
            bytes in prop::collection::vec(prop_oneof![Just(0x0a_u8), Just(1), any::<u8>()], 0..200),
        ) {
            prop_assert_eq!(split(bytes.chunks(1)), split([&bytes[..]]));
        }
    }
}
