//! Bits that flip.

use super::*;
use crate::{Budget, Error, Order};
use rusqlite::Connection;
use std::fs;

/// Flips where the dice say, of so many.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

#[test]
fn a_block_of_which_a_bit_flipped_is_named_and_all_else_is_served() {
    let place = Place::new();
    wait(async {
        let store = Sqlite::open(&place.path()).unwrap();
        store.begin(&shop(), "a", 0, at(0)).await.unwrap();
        fill(&store, 1..=20).await.unwrap();
        store.compact(Budget { blocks: 100 }).await.unwrap();
        let (whole, damaged) = all(&store).await;
        assert!(whole.len() == 60 && damaged.is_empty());
        let raw = Connection::open(place.path()).unwrap();
        let places: Vec<(i64, i64)> = raw
            .prepare("SELECT last, first FROM block ORDER BY last")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(places.len(), 5);
        let mut dice = Dice(7);
        for round in 0..400 {
            let (last, first) = places[dice.below(places.len())];
            let own: Vec<u8> =
                raw.query_row("SELECT bytes FROM body WHERE last = ?1", [last], |row| row.get(0)).unwrap();
            let mut flipped = own.clone();
            let bit = dice.below(own.len() * 8);
            flipped[bit / 8] ^= 1 << (bit % 8);
            raw.execute("UPDATE body SET bytes = ?1 WHERE last = ?2", (&flipped, last)).unwrap();
            let order = if round % 2 == 0 { Order::NewestFirst } else { Order::OldestFirst };
            let page = store.entries(&Query { order, ..Query::default() }, None, 1_000).await.unwrap();
            let [damaged] = &page.damaged[..] else { panic!("bit {bit} of {last}: {:?}", page.damaged) };
            assert_eq!((damaged.first.cast_signed(), damaged.last.cast_signed(), damaged.epoch), (first, last, 1));
            let mut others = page.records;
            others.sort_by_key(|record| std::cmp::Reverse(record.entry.at));
            let of = |record: &Recorded| (first..=last).contains(&record.position.seq.cast_signed());
            let want: Vec<_> = whole.iter().filter(|record| !of(record)).cloned().collect();
            assert_eq!(others, want);
            let begin = crate::cursor::write_live(&[(1, (0, 0))].into()).unwrap();
            let live = store.live(&Query::default(), Some(&begin), 1_000).await.unwrap();
            assert_eq!((live.records.len(), live.damaged.len()), (want.len(), 1));
            raw.execute("UPDATE body SET bytes = ?1 WHERE last = ?2", (&own, last)).unwrap();
        }
        assert_eq!(all(&store).await.0, whole);
    });
}

#[test]
fn what_is_told_of_a_block_is_believed_only_with_its_checksum() {
    let place = Place::new();
    wait(async {
        let store = Sqlite::open(&place.path()).unwrap();
        store.begin(&shop(), "a", 0, at(0)).await.unwrap();
        fill(&store, 1..=18).await.unwrap();
        store.compact(Budget { blocks: 100 }).await.unwrap();
        let raw = Connection::open(place.path()).unwrap();
        for column in ["first", "entries", "from_ms", "to_ms", "arrived", "size", "crc"] {
            let own: i64 =
                raw.query_row(&format!("SELECT {column} FROM block WHERE last = 16"), [], |row| row.get(0)).unwrap();
            for bit in 0..62 {
                let set = |value: i64| {
                    raw.execute(&format!("UPDATE block SET {column} = ?1 WHERE last = 16"), [value]).unwrap()
                };
                set(own ^ (1 << bit));
                // Of a time that the block has, whatever it says now.
                let from = Some(at(3 * 3_600));
                let page = store.entries(&Query { from, ..Query::default() }, None, 1_000).await.unwrap();
                assert_eq!((page.damaged.len(), page.records.len()), (1, 6), "{column} {bit}");
                set(own);
            }
        }
        // Packing and trimming get over what cannot be read.
        raw.execute("UPDATE body SET bytes = x'01' WHERE last = 17", []).unwrap();
        fill(&store, 19..=60).await.unwrap();
        let mut steps = 0;
        while store.compact(Budget { blocks: 4 }).await.unwrap().more {
            steps += 1;
            assert!(steps < 100);
        }
        let retention = crate::Retention { age: None, bytes: Some(0) };
        assert!(!store.trim(&retention, Budget { blocks: 1_000 }, at(0)).await.unwrap().more);
        let (records, damaged) = all(&store).await;
        assert!(records.is_empty() && damaged.is_empty());
        let left: i64 = raw.query_row("SELECT COUNT(*) FROM fact", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 0);
    });
}

#[test]
fn a_file_of_which_any_bit_flipped_makes_nothing_up() {
    let place = Place::new();
    let whole = wait(async {
        let store = Sqlite::open(&place.path()).unwrap();
        store.begin(&shop(), "a", 0, at(0)).await.unwrap();
        fill(&store, 1..=120).await.unwrap();
        all(&store).await.0
    });
    let raw = Connection::open(place.path()).unwrap();
    raw.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(raw);
    let sound = fs::read(place.path()).unwrap();
    let mut dice = Dice(11);
    let mut noticed = 0;
    for _ in 0..300 {
        let mut flipped = sound.clone();
        let bit = dice.below(flipped.len() * 8);
        flipped[bit / 8] ^= 1 << (bit % 8);
        for end in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{end}", place.path().display()));
        }
        fs::write(place.path(), &flipped).unwrap();
        let store = match Sqlite::open(&place.path()) {
            Ok(store) => store,
            Err(Error::Corrupt(_) | Error::Foreign(_) | Error::Newer { .. } | Error::Database(_)) => {
                noticed += 1;
                continue;
            }
            Err(other) => panic!("bit {bit}: {other:?}"),
        };
        wait(async {
            match store.entries(&Query::default(), None, 1_000).await {
                Ok(page) => {
                    noticed += usize::from(!page.damaged.is_empty());
                    assert!(page.records.iter().all(|record| whole.contains(record)), "bit {bit}");
                }
                Err(_) => noticed += 1,
            }
        });
    }
    // Most of a file is blocks; a flip where nothing lies is none.
    assert!(noticed > 20, "{noticed}");
}
