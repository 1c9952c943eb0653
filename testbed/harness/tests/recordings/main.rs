//! What was answered right on a real cluster is answered again, without one, as its case expects.
//!
//! `recordings/CASE/` holds the bundle of a run of `cases/CASE.yaml` and, in `answered.yaml`, what was said. `scripts/record`
//! makes them. `UPDATE=1` writes down anew what is said of each, and `docs/failure-matrix.md`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod page;
mod remedies;
mod score;
mod verified;

use reckon_testbed::{Case, Group, Recording, all, found, recordings, root, word, wrong};
use score::Score;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::thread;

/// Cases of which there is no recording, each with the reason.
const UNRECORDED: &[(&str, &str)] = &[];

/// What a recording may hold, in bytes, and all of them.
const LARGEST: u64 = 95_000;
const LARGEST_OF_ALL: u64 = 4_000_000;

/// A case, its recording, and what is answered to that now.
pub(crate) struct Replayed {
    pub(crate) case: Case,
    pub(crate) recording: Recording,
    pub(crate) document: Value,
}

/// Every case that has a recording, by name. Each is answered once for all tests.
static REPLAYED: LazyLock<Vec<Replayed>> = LazyLock::new(|| {
    let recorded: Vec<(Case, Recording)> = all()
        .unwrap()
        .into_iter()
        .filter_map(|case| Recording::of(&case).unwrap().map(|found| (case, found)))
        .collect();
    let side_by_side = thread::available_parallelism().map_or(2, Into::into);
    let parts = recorded.chunks(recorded.len().div_ceil(side_by_side).max(1));
    let answered = thread::scope(|scope| {
        let running: Vec<_> = parts.map(|part| scope.spawn(|| part.iter().map(replay).collect::<Vec<_>>())).collect();
        running.into_iter().flat_map(|part| part.join().unwrap()).collect::<Vec<Value>>()
    });
    let replayed = recorded.into_iter().zip(answered);
    replayed.map(|((case, recording), document)| Replayed { case, recording, document }).collect()
});

/// Why there is no answer is what is answered then: that is expected by no case.
fn replay((case, recording): &(Case, Recording)) -> Value {
    recording.answer(case).unwrap_or_else(|error| json!({"answer": format!("{error:#}")}))
}

fn update() -> bool {
    std::env::var_os("UPDATE").is_some()
}

#[test]
fn every_case_has_a_recording_or_a_reason_to_have_none() {
    let cases = all().unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let reason = UNRECORDED.iter().find(|(name, _)| *name == case.name);
        match (recordings().join(&case.name).is_dir(), reason) {
            (true, Some(_)) => wrong.push(format!("{} has a recording and a reason to have none", case.name)),
            (false, None) => wrong.push(format!("{0} has no recording: scripts/record {0}", case.name)),
            _ => {}
        }
    }
    for entry in fs::read_dir(recordings()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !cases.iter().any(|case| case.name == name) {
            wrong.push(format!("{name} is a recording of no case"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_expected_problem_has_the_name_of_its_failure_and_of_the_object_to_touch() {
    let mut unnamed = Vec::new();
    for case in all().unwrap() {
        for problem in case.expect.all() {
            let cause = &problem["cause"]["ref"];
            let names = [&problem["failure"], &cause["kind"], &cause["name"]];
            // Of an object that is called as the namespace the beginning is known.
            if !names.into_iter().all(|name| name.as_str().is_some_and(|name| !name.starts_with('*'))) {
                unnamed.push(format!("{}: {problem}", case.name));
            }
        }
    }
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
}

#[test]
fn every_recording_is_answered_as_its_case_expects() {
    let wrong: Vec<String> = REPLAYED
        .iter()
        .filter_map(|Replayed { case, document, .. }| {
            let wrong = wrong(&case.expect, document);
            (!wrong.is_empty()).then(|| format!("{}:\n  {}", case.name, wrong.join("\n  ")))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_said_of_a_recording_is_what_was_said_of_the_cluster() {
    let mut wrong = Vec::new();
    for Replayed { case, recording, document } in REPLAYED.iter() {
        let answered = &recording.answered;
        if answered.answer == word(document) && answered.found == found(document) {
            continue;
        }
        if update() {
            recording.clone().rewrite(document).unwrap();
            continue;
        }
        wrong.push(format!("{}: {} {:?}", case.name, word(document), found(document)));
    }
    assert!(wrong.is_empty(), "run with UPDATE=1 and read what changed:\n{}", wrong.join("\n"));
}

#[test]
fn causes_and_symptoms_are_right_and_nothing_is_found_where_nothing_is_wrong() {
    let score = Score::of(&REPLAYED);
    assert!(score.causes.is_at_least(95), "cause objects: {}", score.causes);
    assert!(score.symptoms.is_at_least(100), "symptoms: {}", score.symptoms);
    assert_eq!(score.unfounded, 0, "findings in cases without a fault");
}

#[test]
fn the_failure_matrix_is_what_cases_and_recordings_give() {
    let path = root().join("docs/failure-matrix.md");
    let page = page::page(&REPLAYED, UNRECORDED);
    if update() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/failure-matrix.md is of other cases or recordings: run with UPDATE=1");
}

#[test]
fn recordings_are_small() {
    let mut sizes: Vec<(u64, String)> = REPLAYED
        .iter()
        .map(|Replayed { case, .. }| {
            let files = files(&recordings().join(&case.name));
            (files.iter().map(|file| fs::metadata(file).unwrap().len()).sum(), case.name.clone())
        })
        .collect();
    sizes.sort();
    let together: u64 = sizes.iter().map(|(size, _)| size).sum();
    let largest = sizes.last().unwrap();
    assert!(largest.0 <= LARGEST && together <= LARGEST_OF_ALL, "largest {largest:?}, together {together}");
}

#[test]
fn no_value_of_a_secret_is_in_a_recording() {
    let mut looked_for = 0;
    for Replayed { case, .. } in REPLAYED.iter() {
        let values = secrets(case);
        looked_for += values.len();
        for file in files(&recordings().join(&case.name)) {
            let text = fs::read_to_string(&file).unwrap();
            for value in &values {
                assert!(!text.contains(value.as_str()), "{value:?} is in {}", file.display());
            }
        }
    }
    assert!(looked_for > 0);
}

/// What the Secrets of a case hold, long enough not to be there by chance.
fn secrets(case: &Case) -> Vec<String> {
    let objects: Vec<Value> =
        case.objects.split("\n---\n").filter_map(|object| serde_saphyr::from_str(object).ok()).collect();
    let secrets = objects.iter().filter(|object| object["kind"] == "Secret");
    let values = secrets.flat_map(|secret| ["data", "stringData"].map(|key| secret[key].clone()));
    let values = values.filter_map(|values| values.as_object().cloned()).flatten();
    values.filter_map(|(_, value)| value.as_str().map(str::to_owned)).filter(|value| value.len() > 7).collect()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// The cases of a group among these.
pub(crate) fn of(replayed: &[Replayed], group: Group) -> Vec<&Replayed> {
    replayed.iter().filter(|one| one.case.group == group).collect()
}
