//! What a spool promises: courses of failures on a simulated disk, planted bugs that have to show in them, and every promise
//! that can be told by itself.

mod course;
mod damage;
mod opening;

use super::log;
use super::simulated::Simulated;
use super::{Limits, OpenError};
use crate::planted::{Bug, plant};
use course::{Op, ops, run};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reckon_model::change::Verb;
use reckon_model::record::{Entry, Fact, Written};
use reckon_model::{ClusterId, Kind, ResourceRef, Timestamp};

type Log = log::Log<Simulated>;

fn cluster() -> ClusterId {
    ClusterId("5f6d9c1e-8a3b-4b57-9c42-0d2f6f3a7e11".to_owned())
}

fn log(disk: &Simulated, limits: Limits, now: Timestamp) -> Result<Log, OpenError> {
    Log::open(disk.clone(), &cluster(), limits, now)
}

/// A change that is known by its number, with so many bytes that do not shrink.
fn change(id: u64, at: Timestamp, size: usize) -> Entry {
    let mut dice = fastrand::Rng::with_seed(id);
    let noise: String = (0..size).map(|_| dice.alphanumeric()).collect();
    let fact = Fact::Change(Written {
        verb: Verb::Updated,
        fields: Vec::new(),
        actor: None,
        generation: None,
        version: id.to_string(),
        object: (size > 0).then(|| noise.into()),
        after: None,
    });
    Entry { at, subject: ResourceRef::new(Kind::ConfigMap, Some("shop"), "flags"), workload: None, fact }
}

fn ids(entries: &[Entry]) -> Vec<u64> {
    let id = |entry: &Entry| match &entry.fact {
        Fact::Change(written) => written.version.parse().unwrap_or(0),
        _ => 0,
    };
    entries.iter().map(id).collect()
}

fn number(variable: &str, otherwise: u32) -> u32 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// Courses that are the same in each run; `RECKON_COURSES` says how many there are.
fn courses(otherwise: u32, shrink: u32) -> TestRunner {
    let cases = number("RECKON_COURSES", otherwise);
    let config = Config { cases, max_shrink_iters: shrink, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[3; 32]))
}

#[test]
fn nothing_that_was_acknowledged_is_lost_whatever_happens() {
    let course = (any::<u64>(), ops());
    let result = courses(3000, 20_000).run(&course, |(seed, ops)| run(seed, &ops).map_err(TestCaseError::fail));
    if let Err(wrong) = result {
        panic!("{wrong}");
    }
}

/// Each has to show in the courses.
const BUGS: &[Bug] = &[
    Bug::NeverSyncs,
    Bug::ForgetsTheDirectory,
    Bug::OverlooksSyncErrors,
    Bug::GoesOnAfterErrors,
    Bug::TrustsTheCache,
    Bug::SkipsChecksums,
    Bug::StopsAtDamage,
    Bug::HidesDamage,
    Bug::ReusesTheTail,
    Bug::ForgetsTheMark,
    Bug::BelievesTheFuture,
    Bug::NeverGoesBack,
    Bug::DropsTheOldest,
    Bug::CountsBlocks,
    Bug::ForgetsSummaries,
    Bug::SumsUpDamage,
    Bug::RemovesTooEarly,
    Bug::CountsAcknowledged,
    Bug::OutgrowsItsBound,
    Bug::BelievesShortWrites,
    Bug::KeepsNothing,
    Bug::ForgetsTheEpoch,
    Bug::BelievesWhatFailed,
    Bug::SkipsOne,
    Bug::HoardsOnFullDisks,
];

#[test]
fn every_planted_bug_is_found() {
    let missed: Vec<Bug> = BUGS.iter().copied().filter(|bug| !is_found(*bug)).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

fn is_found(bug: Bug) -> bool {
    plant(Some(bug));
    let course = (any::<u64>(), ops());
    // What is wrong may also show in a number that wraps or in a file that is not there.
    let run = |(seed, ops): (u64, Vec<Op>)| run(seed, &ops).map_err(TestCaseError::fail);
    let found = courses(3000, 0).run(&course, run).is_err();
    plant(None);
    found
}
