//! What is packed is unpacked, and what is no block says so.

use super::*;
use crate::Kind;
use crate::change::{Actor, ActorSource, FieldChange, Verb};
use serde_json::json;

fn entry(at: i64) -> Entry {
    let pod = ResourceRef::new(Kind::Pod, Some("shop"), "checkout-7d9f-x2k4");
    Entry {
        at: Timestamp::from_millisecond(at).unwrap(),
        subject: ResourceRef { uid: Some("u-1".to_owned()), ..pod },
        workload: Some(ResourceRef::new(Kind::Deployment, Some("shop"), "checkout")),
        fact: Fact::Change(Written {
            verb: Verb::Updated,
            fields: vec![FieldChange {
                field: "metadata.labels.tier".to_owned(),
                pointer: "/metadata/labels/tier".to_owned(),
                from: None,
                to: Some(json!("front")),
            }],
            actor: Some(Actor { manager: "kubectl-edit".to_owned(), user: None, source: ActorSource::ManagedFields }),
            generation: Some(3),
            version: "17".to_owned(),
            object: None,
            after: None,
        }),
    }
}

#[test]
fn what_is_packed_is_unpacked() {
    let entries: Vec<Entry> = (0..2_500).map(entry).collect();
    let blocks = Block::pack(&entries).unwrap();
    assert!(blocks.len() >= 3 && blocks.iter().all(|block| block.count as usize <= MOST_ENTRIES));
    let unpacked: Vec<Entry> = blocks
        .into_iter()
        .flat_map(|block| {
            let (read, entries) = Block::read(block.bytes.clone()).unwrap();
            assert_eq!(read, block);
            entries
        })
        .collect();
    assert_eq!(unpacked, entries);
    // Equality of references leaves the uid out.
    assert_eq!(unpacked[0].subject.uid, entries[0].subject.uid);
}

#[test]
fn a_fact_that_this_program_does_not_know_is_kept_as_it_is() {
    let text = r#"{"at":"2026-11-27T10:00:00Z","subject":{"kind":"Node","name":"a"},"fact":{"eclipse":{"of":"sun"}}}"#;
    let entry: Entry = serde_json::from_str(text).unwrap();
    assert_eq!(entry.fact.word(), "eclipse");
    assert_eq!(serde_json::to_string(&entry).unwrap(), text);
}

#[test]
fn what_a_known_fact_says_beyond_what_is_known_is_no_error() {
    let text = r#"{"at":"2026-11-27T10:00:00Z","subject":{"kind":"Node","name":"a"},"fact":{"node":{"what":"joined","why":"x"}}}"#;
    let entry: Entry = serde_json::from_str(text).unwrap();
    assert_eq!(entry.fact.word(), "node");
    assert!(matches!(entry.fact, Fact::Node(_)));
}

#[test]
fn a_bomb_does_not_unpack() {
    let bomb = zstd::bulk::compress(&vec![b' '; MOST_INFLATED + 1], 3).unwrap();
    assert!(matches!(Block::read([&[1], bomb.as_slice()].concat()), Err(BlockError::Packed(_))));
}

#[test]
fn bytes_that_are_no_block_say_why() {
    assert!(matches!(Block::read(vec![]), Err(BlockError::Count(0))));
    assert!(matches!(Block::read(vec![9, 1, 2]), Err(BlockError::Format(9))));
    assert!(matches!(Block::read(vec![1, 1, 2]), Err(BlockError::Packed(_))));
    let empty = zstd::bulk::compress(b"\n", 3).unwrap();
    assert!(matches!(Block::read([&[1], empty.as_slice()].concat()), Err(BlockError::Count(0))));
    let other = zstd::bulk::compress(b"{}\n", 3).unwrap();
    assert!(matches!(Block::read([&[1], other.as_slice()].concat()), Err(BlockError::Entry { line: 1, .. })));
    let block = Block::pack(&[entry(0)]).unwrap().remove(0);
    for cut in 0..block.bytes.len() {
        assert!(Block::read(block.bytes[..cut].to_vec()).is_err(), "cut at {cut}");
    }
}

#[test]
fn an_entry_that_fits_into_no_block_is_refused() {
    let mut large = entry(0);
    if let Fact::Change(written) = &mut large.fact {
        written.object = Some(json!("x".repeat(MOST_INFLATED)));
    }
    assert!(matches!(Block::pack(&[large]), Err(BlockError::Large(_))));
}

#[test]
fn nothing_packs_into_nothing() {
    assert!(Block::pack(&[]).unwrap().is_empty());
}
