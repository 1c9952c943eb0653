//! A process that appends to a spool is killed at some moment, two hundred times, on the real disk; whatever it said to have
//! appended is there, at the position that it said, once.
//!
//! Has no harness, because it starts itself as the process that is killed. `RECKON_KILLS` says how often.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and has no harness to speak for it"
)]

use reckon_agent::Spool;
use reckon_agent::spool::Limits;
use reckon_model::change::Verb;
use reckon_model::record::{Block, Entry, Fact, Written};
use reckon_model::{ClusterId, Kind, ResourceRef, SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Small, so that segments end, go and are summed up all the time.
const LIMITS: Limits = Limits { bytes: Limits::LEAST, keep: SignedDuration::from_hours(24) };

const THREADS: u64 = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, directory, from] = arguments.as_slice()
        && word == "appends"
    {
        appends(Path::new(directory), from.parse().unwrap());
    }
    let kills = std::env::var("RECKON_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(200);
    let directory = tempfile::tempdir().unwrap();
    let mut dice = fastrand::Rng::with_seed(11);
    let mut acknowledged = BTreeMap::new();
    let (mut next, mut appended) = (1, 0);
    for kill in 0..kills {
        let before = acknowledged.len();
        let told = appends_until_killed(directory.path(), next, Duration::from_micros(dice.u64(..25_000)));
        next = told.keys().max().map_or(next, |id| id / 1000 * 1000 + 1000 * THREADS + 1);
        appended += told.len();
        acknowledged.extend(told);
        let summed_up = look(directory.path(), &acknowledged);
        // What was summed up was looked at, and need not be again.
        acknowledged.retain(|_, seq| *seq > summed_up);
        assert!(acknowledged.len() > before || summed_up > 0, "kill {kill}: nothing was appended");
    }
    println!("{kills} kills, {appended} appends were acknowledged and none is lost");
}

/// The process that is killed: appends, and says what is durable.
fn appends(directory: &Path, from: u64) -> ! {
    let spool = Spool::open(directory, &ClusterId("kills".to_owned()), LIMITS).unwrap();
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let spool = spool.clone();
            std::thread::spawn(move || {
                let mut dice = fastrand::Rng::new();
                for id in (from..).step_by(usize::try_from(THREADS).unwrap()).map(|id| id + thread) {
                    let position = spool.append_blocking(vec![change(id, dice.usize(..3000))]).unwrap();
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "{id} {}", position.seq).unwrap();
                    out.flush().unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    unreachable!("it appends until it is killed")
}

fn change(id: u64, size: usize) -> Entry {
    let noise: String = (0..size).map(|_| fastrand::alphanumeric()).collect();
    let fact = Fact::Change(Written {
        verb: Verb::Updated,
        fields: Vec::new(),
        actor: None,
        generation: None,
        version: id.to_string(),
        object: Some(noise.into()),
        after: None,
    });
    Entry { at: Timestamp::now(), subject: ResourceRef::new(Kind::ConfigMap, Some("a"), "b"), workload: None, fact }
}

/// What it said: numbers and positions.
fn appends_until_killed(directory: &Path, from: u64, after: Duration) -> BTreeMap<u64, u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["appends", directory.to_str().unwrap(), &from.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut told = BTreeMap::new();
    let mut line = String::new();
    // Once it began, any moment will do.
    said.read_line(&mut line).unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    loop {
        // A line that was cut off says nothing.
        if let Some((id, seq)) = line.strip_suffix('\n').and_then(|line| line.split_once(' ')) {
            told.insert(id.parse().unwrap(), seq.parse().unwrap());
        }
        line.clear();
        if said.read_line(&mut line).unwrap() == 0 {
            return told;
        }
    }
}

/// Opens it and holds it against what was said. Up to which position it is summed up.
fn look(directory: &Path, acknowledged: &BTreeMap<u64, u64>) -> u64 {
    let spool = Spool::open(directory, &ClusterId("kills".to_owned()), LIMITS).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut found = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let (mut after, mut summed_up) = (0, 0);
    loop {
        let blocks = runtime.block_on(spool.read(after, 1 << 20)).unwrap();
        let Some(last) = blocks.last() else { break };
        for block in &blocks {
            assert_eq!(block.first, after + 1, "positions without a hole");
            after = block.last;
            for entry in Block::read(block.block.clone()).unwrap().1 {
                match entry.fact {
                    Fact::Change(written) => {
                        let id: u64 = written.version.parse().unwrap();
                        assert!(seen.insert(id), "{id} is there twice");
                        found.insert(id, block.last);
                    }
                    Fact::Summary(summary) => {
                        summed_up = block.last;
                        let those = acknowledged.values().filter(|seq| (block.first..=block.last).contains(seq));
                        assert!(those.count() as u64 <= summary.counts["change"], "entries that no summary counts");
                    }
                    Fact::Unseen(unseen) => {
                        assert!(unseen.why.starts_with("the end of the agent's spool"), "{unseen:?}");
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(after, last.last);
    }
    for (id, seq) in acknowledged.iter().filter(|(_, seq)| **seq > summed_up) {
        assert_eq!(found.get(id), Some(seq), "{id} was acknowledged");
    }
    assert!(spool.status().borrow().bytes <= LIMITS.bytes);
    runtime.block_on(spool.close());
    summed_up
}
