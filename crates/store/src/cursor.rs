//! Cursors: where a page ended, as text that passes through addresses and headers.

use crate::sql::unsigned;
use crate::{Cursor, Error, LiveCursor};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reckon_model::ident::Fnv;
use std::collections::BTreeMap;

/// The place of an entry in the order of time. What is compared first comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) at: i64,
    pub(crate) cluster: i64,
    pub(crate) epoch: i64,
    pub(crate) seq: i64,
    pub(crate) index: i64,
}

/// Of which query a cursor is: the first byte says what kind of cursor it is.
const BY_TIME: u8 = 1;
const LIVE: u8 = 2;
const EPISODES: u8 = 3;

/// A digest of what was asked, so that a cursor of another query is told from one of this.
pub(crate) fn digest(asked: &impl std::fmt::Debug) -> u64 {
    let mut hash = Fnv::new();
    hash.write(format!("{asked:?}").as_bytes());
    hash.value() & 0xffff_ffff
}

pub(crate) fn write_key(key: Key, digest: u64) -> Cursor {
    let mut bytes = vec![BY_TIME];
    for value in [digest, zigzag(key.at), zigzag(key.cluster), zigzag(key.epoch), zigzag(key.seq), zigzag(key.index)] {
        write_number(&mut bytes, value);
    }
    Cursor(URL_SAFE_NO_PAD.encode(bytes))
}

pub(crate) fn read_key(cursor: &Cursor, digest: u64) -> Result<Key, Error> {
    let bytes = open(&cursor.0, BY_TIME)?;
    let mut rest = bytes.as_slice();
    let mut next = || read_number(&mut rest).ok_or(Error::Cursor);
    if next()? != digest {
        return Err(Error::Cursor);
    }
    let mut next = || next().map(unzigzag);
    let key = Key { at: next()?, cluster: next()?, epoch: next()?, seq: next()?, index: next()? };
    if rest.is_empty() { Ok(key) } else { Err(Error::Cursor) }
}

/// An episode's place: opened, cluster, problem, episode.
pub(crate) type EpisodeKey = (i64, i64, String, i64);

pub(crate) fn write_episode((opened, cluster, problem, episode): &EpisodeKey, digest: u64) -> Cursor {
    let mut bytes = vec![EPISODES];
    for value in [digest, zigzag(*opened), zigzag(*cluster), zigzag(*episode)] {
        write_number(&mut bytes, value);
    }
    bytes.extend_from_slice(problem.as_bytes());
    Cursor(URL_SAFE_NO_PAD.encode(bytes))
}

pub(crate) fn read_episode(cursor: &Cursor, digest: u64) -> Result<EpisodeKey, Error> {
    let bytes = open(&cursor.0, EPISODES)?;
    let mut rest = bytes.as_slice();
    let mut next = || read_number(&mut rest).ok_or(Error::Cursor);
    if next()? != digest {
        return Err(Error::Cursor);
    }
    let (opened, cluster, episode) = (unzigzag(next()?), unzigzag(next()?), unzigzag(next()?));
    let problem = String::from_utf8(rest.to_vec()).map_err(|_| Error::Cursor)?;
    Ok((opened, cluster, problem, episode))
}

/// A position for each cluster's number.
pub(crate) type Positions = BTreeMap<i64, (i64, i64)>;

pub(crate) fn write_live(positions: &Positions) -> Result<LiveCursor, Error> {
    let mut bytes = vec![LIVE];
    let mut before = 0;
    for (cluster, (epoch, seq)) in positions {
        // Numbers follow each other, so what lies between them takes a byte.
        for value in [cluster - before, *epoch, *seq] {
            write_number(&mut bytes, unsigned(value)?);
        }
        before = *cluster;
    }
    Ok(LiveCursor(URL_SAFE_NO_PAD.encode(bytes)))
}

pub(crate) fn read_live(cursor: &LiveCursor) -> Result<Positions, Error> {
    let bytes = open(&cursor.0, LIVE)?;
    let mut rest = bytes.as_slice();
    let mut positions = Positions::new();
    let mut before = 0_i64;
    while !rest.is_empty() {
        let mut next = || read_number(&mut rest).and_then(|value| i64::try_from(value).ok()).ok_or(Error::Cursor);
        before = before.checked_add(next()?).ok_or(Error::Cursor)?;
        positions.insert(before, (next()?, next()?));
    }
    Ok(positions)
}

fn open(text: &str, kind: u8) -> Result<Vec<u8>, Error> {
    let mut bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Error::Cursor)?;
    if bytes.first() != Some(&kind) {
        return Err(Error::Cursor);
    }
    bytes.remove(0);
    Ok(bytes)
}

/// Small numbers of either sign as small numbers.
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Seven bits a byte, the lowest first.
pub(crate) fn write_number(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push((value & 0x7f) as u8);
}

pub(crate) fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 {
            return None;
        }
        value |= part << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_is_read_as_it_was_written(at: i64, cluster: i64, epoch: i64, seq: i64, index: i64, digest: u64) {
            let key = Key { at, cluster, epoch, seq, index };
            prop_assert_eq!(read_key(&write_key(key, digest), digest).unwrap(), key);
            prop_assert!(matches!(read_key(&write_key(key, digest), digest ^ 1), Err(Error::Cursor)));
        }

        #[test]
        fn a_live_cursor_is_read_as_it_was_written(
            positions in prop::collection::btree_map(1..i64::MAX, (1..i64::MAX, 0..i64::MAX), 0..20)
        ) {
            prop_assert_eq!(read_live(&write_live(&positions).unwrap()).unwrap(), positions);
        }

        #[test]
        fn whatever_text_is_handed_in_is_a_cursor_or_refused(text in ".{0,40}", bytes: Vec<u8>) {
            for text in [text, URL_SAFE_NO_PAD.encode(bytes)] {
                let _ = read_key(&Cursor(text.clone()), 0);
                let _ = read_episode(&Cursor(text.clone()), 0);
                let _ = read_live(&LiveCursor(text));
            }
        }
    }
}
