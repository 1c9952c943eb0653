//! Tails that are cut at every byte, bits that turn, and bytes that look like records.

use super::super::simulated::Simulated;
use super::super::{Limits, Outgoing};
use super::{Log, change, cluster, ids, log};
use crate::spool::record::{HEAD, Record, Scan, Seal, Sort};
use crate::spool::tally::Tally;
use reckon_model::frame::Instance;
use reckon_model::record::{Block, Fact};
use reckon_model::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

const LARGE: Limits = Limits { bytes: 1024 * 1024, keep: SignedDuration::from_hours(24) };

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn append(log: &mut Log, id: u64, size: usize) {
    let entries = [change(id, now(), size)];
    let block = Block::pack(&entries).unwrap().remove(0).bytes;
    log.commit(&[(block, Tally::of(&entries))], now()).unwrap();
}

fn all(log: &mut Log) -> Vec<Outgoing> {
    let found = log.read(0, usize::MAX).unwrap();
    let mut expected = 1;
    for block in &found {
        assert_eq!(block.first, expected);
        expected = block.last + 1;
    }
    assert_eq!(expected, log.next);
    found
}

/// The number of the change in a block, `None` where the block says that something is lost.
fn id(block: &Outgoing) -> Option<u64> {
    let (_, entries) = Block::read(block.block.clone()).unwrap();
    match &entries[0].fact {
        Fact::Change(_) => Some(ids(&entries)[0]),
        Fact::Unseen(_) => None,
        other => panic!("{other:?}"),
    }
}

/// A disk with a spool of so many blocks in one segment, and the segment's name.
fn spool_of(count: u64, size: usize) -> (Simulated, String) {
    let disk = Simulated::new(1);
    let mut log = log(&disk, LARGE, now()).unwrap();
    (1..=count).for_each(|id| append(&mut log, id, size));
    let name = disk.disk().names().into_iter().find(|name| name.ends_with(".records")).unwrap();
    (disk, name)
}

#[test]
fn a_last_record_that_is_cut_at_any_byte_costs_that_record_alone() {
    let (disk, name) = spool_of(5, 40);
    let whole = disk.disk().contents(&name).unwrap();
    let (before, _) = spool_of(4, 40);
    let begin = before.disk().contents(&name).unwrap().len();
    assert!(whole.len() > begin + HEAD);
    for cut in begin..whole.len() {
        disk.disk().put(&name, whole[..cut].to_vec());
        let mut log = log(&disk, LARGE, now()).unwrap();
        let found = all(&mut log);
        let told: Vec<Option<u64>> = found.iter().map(id).collect();
        assert_eq!(told[..4], [Some(1), Some(2), Some(3), Some(4)], "cut at {cut}");
        // Cut where the record begins, nothing of it is there that could be told.
        assert_eq!(told[4..], [None][..usize::from(cut > begin)], "cut at {cut}");
        append(&mut log, 99, 10);
        assert_eq!(all(&mut log).iter().filter_map(id).collect::<Vec<_>>(), [1, 2, 3, 4, 99], "cut at {cut}");
    }
}

#[test]
fn ten_thousand_bits_that_turn_cost_one_record_each_and_give_nothing_wrong() {
    let count = 40;
    let (disk, name) = spool_of(count, 30);
    let names = disk.disk().names();
    let contents = |name: &String| (name.clone(), disk.disk().contents(name).unwrap_or_default());
    let files: Vec<(String, Vec<u8>)> = names.iter().map(contents).collect();
    let mut dice = fastrand::Rng::with_seed(7);
    let mut lost_one = 0;
    for turn in 0..10_000 {
        for (name, bytes) in &files {
            disk.disk().put(name, bytes.clone());
        }
        let (flipped, at) = disk.disk().flip(dice.u64(..), |_| true).unwrap();
        let mut log = log(&disk, LARGE, now()).unwrap_or_else(|error| panic!("{flipped} at {at}: {error}"));
        let found: BTreeSet<u64> = all(&mut log).iter().filter_map(id).collect();
        let missing: Vec<u64> = (1..=count).filter(|id| !found.contains(id)).collect();
        assert!(missing.len() <= usize::from(flipped == name), "turn {turn}, {flipped} at {at}: {missing:?}");
        assert!(found.iter().all(|id| (1..=count).contains(id)), "turn {turn}");
        lost_one += usize::from(missing.len() == 1);
        drop(log);
        let names = disk.disk().names();
        names.iter().for_each(|name| disk.disk().unlink(name));
    }
    assert!(lost_one > 1000, "{lost_one}");
}

#[test]
fn bits_that_turn_after_opening_are_found_when_it_is_read() {
    let disk = Simulated::new(1);
    let mut log = log(&disk, LARGE, now()).unwrap();
    (1..=10).for_each(|id| append(&mut log, id, 30));
    let half = disk.disk().contents("00000000000000000001.records").unwrap().len() as u64 / 2;
    disk.disk().flip(half * 8, |name| name.ends_with(".records")).unwrap();
    let told: Vec<Option<u64>> = all(&mut log).iter().map(id).collect();
    assert_eq!(told.iter().filter(|id| id.is_none()).count(), 1, "{told:?}");
    assert_eq!(told.len(), 10);
}

#[test]
fn a_segment_that_is_gone_is_told() {
    let disk = Simulated::new(1);
    let limits = Limits { bytes: 64 * 1024, ..LARGE };
    let mut opened = log(&disk, limits, now()).unwrap();
    (1..=60).for_each(|id| append(&mut opened, id, 400));
    drop(opened);
    let names: Vec<String> = disk.disk().names().into_iter().filter(|name| name.ends_with(".records")).collect();
    assert!(names.len() >= 4, "{names:?}");
    disk.disk().unlink(&names[1]);
    let mut log = log(&disk, limits, now()).unwrap();
    let found = all(&mut log);
    let gaps: Vec<&Outgoing> = found.iter().filter(|block| id(block).is_none()).collect();
    assert_eq!(gaps.len(), 1);
    assert_eq!(format!("{:020}.records", gaps[0].first), names[1]);
    assert_eq!(format!("{:020}.records", gaps[0].last + 1), names[2]);
}

#[test]
fn what_is_not_kept_any_more_and_damaged_ones_after_it_are_told_apart() {
    let disk = Simulated::new(1);
    let limits = Limits { bytes: 64 * 1024, ..LARGE };
    let mut opened = log(&disk, limits, now()).unwrap();
    (1..=60).for_each(|id| append(&mut opened, id, 400));
    let first = opened.closed[1].first;
    opened.acknowledge(first - 1).unwrap();
    opened.trim(now() + SignedDuration::from_hours(25)).unwrap();
    let name = opened.closed[0].name();
    drop(opened);
    let mut bytes = disk.disk().contents(&name).unwrap();
    // Behind the mark that a segment begins with.
    bytes[HEAD + 5] ^= 1;
    disk.disk().put(&name, bytes);
    let found = all(&mut log(&disk, limits, now()).unwrap());
    let ends: Vec<(u64, Option<u64>)> = found.iter().take(3).map(|block| (block.last, id(block))).collect();
    assert_eq!(ends, [(first - 1, None), (first, None), (first + 1, Some(first + 1))]);
}

#[test]
fn a_segment_of_another_spool_is_not_believed() {
    let (theirs, name) = spool_of(3, 20);
    let (ours, _) = spool_of(1, 20);
    ours.disk().put(&name, theirs.disk().contents(&name).unwrap());
    let mut log = log(&ours, LARGE, now()).unwrap();
    assert!(all(&mut log).iter().all(|block| id(block).is_none()));
}

#[test]
fn what_looks_like_a_record_within_a_block_is_none() {
    let (seal, other) = (Seal::of(Instance([1; 16])), Seal::of(Instance([2; 16])));
    let record = |first: u64, block: Vec<u8>| Record {
        sort: Sort::Block,
        first,
        last: first,
        written: now(),
        tally: Tally::of(&[change(1, now(), 0)]),
        block,
    };
    let mut forged = Vec::new();
    record(2, b"forged".to_vec()).encode(other, &mut forged);
    let mut bytes = Vec::new();
    record(1, forged).encode(seal, &mut bytes);
    // The record that the forged one is in is damaged, so that what is in it is looked through.
    bytes[5] ^= 1;
    record(2, b"true".to_vec()).encode(seal, &mut bytes);
    let found: Vec<Vec<u8>> = Scan::new(&bytes, seal).map(|record| record.block).collect();
    assert_eq!(found, [b"true".to_vec()]);
}

#[test]
fn a_record_of_any_time_reads() {
    let seal = Seal::of(Instance([1; 16]));
    for at in [Timestamp::MIN, Timestamp::UNIX_EPOCH, now(), Timestamp::MAX] {
        let mut bytes = Vec::new();
        Record::mark(9, at).encode(seal, &mut bytes);
        assert_eq!(Record::decode(&bytes, seal).map(|(record, _)| record.last), Some(9), "{at}");
    }
}

#[test]
fn a_tally_of_more_words_than_there_are_counts_the_rest_together() {
    let mut tally = Tally::empty();
    (0..1000).for_each(|n| tally.count(&format!("word-{n}-{}", "é".repeat(60)), 2));
    assert_eq!(tally.counts.values().sum::<u64>(), 2000);
    assert!(tally.counts.len() <= 65 && tally.encode().len() < 4096, "{}", tally.encode().len());
    assert_eq!(Tally::decode(&tally.encode(), tally.from, tally.to), Some(tally));
    assert_eq!(cluster().object().uid.as_deref(), Some(cluster().0.as_str()));
}
