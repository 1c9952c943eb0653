//! What was acknowledged is there after the process was killed, at whatever moment.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "a child tells its parent what was acknowledged")]

use reckon_model::record::{Batch, Block, Entry, Fact, Phase, PhaseTurn, Position};
use reckon_model::{ClusterId, Kind, ResourceRef, SignedDuration, Timestamp};
use reckon_store::{Budget, Order, Query, Sqlite, Store};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const CHILD: &str = "RECKON_STORE_TEST_FILE";
const ROUNDS: usize = 60;

fn at(seq: u64) -> Timestamp {
    "2026-11-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(seq.cast_signed())
}

fn cluster() -> ClusterId {
    ClusterId("shop".to_owned())
}

/// What is in a block follows from its number.
fn entries(seq: u64) -> Vec<Entry> {
    let of = |index: u64| Entry {
        at: at(seq),
        subject: ResourceRef::new(Kind::Pod, Some("shop"), &format!("web-{seq}-{index}")),
        workload: Some(ResourceRef::new(Kind::Deployment, Some("shop"), "web")),
        fact: Fact::Phase(PhaseTurn { to: Phase::Ready, from: None, node: None, reason: None }),
    };
    (0..1 + seq % 5).map(of).collect()
}

fn child(path: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Sqlite::open(path).unwrap();
        let mut mark = store.begin(&cluster(), "spool", 0, at(0)).await.unwrap();
        loop {
            let batches = (mark.seq + 1..=mark.seq + 3).map(|seq| {
                let block = Block::pack(&entries(seq)).unwrap().remove(0);
                Batch::new(Position { epoch: 1, seq }, block)
            });
            let shop = cluster();
            let (appended, packed) = tokio::join!(
                store.append(&shop, batches.collect(), at(mark.seq)),
                store.compact(Budget { blocks: 32 })
            );
            packed.unwrap();
            mark = appended.unwrap();
            println!("kept {}", mark.seq);
            std::io::stdout().flush().unwrap();
        }
    });
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill_at_any_moment() {
    if let Some(path) = std::env::var_os(CHILD) {
        return child(Path::new(&path));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record.db");
    let mut kept = 0;
    for round in 0..ROUNDS {
        let mut killed = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "what_was_acknowledged_is_there_after_a_kill_at_any_moment", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(killed.stdout.take().unwrap());
        let mut told = output.lines();
        // Some rounds end after few acknowledgements, some while it opens what the last one left, or in mid-transaction.
        let acknowledgements = round * 7 % 11;
        let mut last = kept;
        let number = |line: std::io::Result<String>| Some(line.ok()?.split_once("kept ")?.1.parse::<u64>().unwrap());
        while last < kept + 3 * acknowledgements as u64 {
            last = told.find_map(number).unwrap();
        }
        std::thread::sleep(Duration::from_micros(round as u64 * 1_931 % 9_000));
        killed.kill().unwrap();
        killed.wait().unwrap();
        last = told.filter_map(number).last().unwrap_or(last);
        kept = check(&path, last);
    }
    assert!(kept > ROUNDS as u64);
}

/// Opens the store as it was left. All that was acknowledged is in it, and blocks are whole.
fn check(path: &Path, acknowledged: u64) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Sqlite::open(path).unwrap();
        let mark = store.begin(&cluster(), "spool", 0, at(0)).await.unwrap();
        assert!(mark.epoch == 1 && mark.seq >= acknowledged, "{mark:?} after {acknowledged}");
        let query = Query { order: Order::OldestFirst, ..Query::default() };
        let mut found = Vec::new();
        let mut cursor = None;
        loop {
            let page = store.entries(&query, cursor.as_ref(), 10_000).await.unwrap();
            assert!(page.damaged.is_empty());
            found.extend(page.records.into_iter().map(|record| record.entry));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let want: Vec<Entry> = (1..=mark.seq).flat_map(entries).collect();
        assert_eq!(found, want);
        mark.seq
    })
}
