//! What a failure's page calls verified live was found on a real cluster, and its recording says so.

use crate::REPLAYED;
use reckon_testbed::{open, root};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Failures that tests of the whole cluster find and that no case can: each with the test, which must name it.
const BY_OTHER_TESTS: &[(&str, &str)] =
    &[("node-unreachable", include_str!("../whole/node.rs")), ("cpu-throttled", include_str!("../whole/processor.rs"))];

/// The classes that were found of each failure.
type Known = BTreeMap<String, BTreeSet<String>>;

#[test]
fn what_a_page_calls_live_is_in_a_recording() {
    let known = found();
    let mut missing = Vec::new();
    let source = root().join("crates/detect/src");
    let mut rows = 0;
    for entry in ["detectors", "pages"].into_iter().flat_map(|place| fs::read_dir(source.join(place)).unwrap()) {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "md") {
            let page = fs::read_to_string(&path).unwrap();
            rows += page.lines().filter(|row| row.ends_with(LIVE)).count();
            missing.extend(unknown(&page, &known));
        }
    }
    assert!(rows > 60, "only {rows} rows of pages say live");
    assert!(missing.is_empty(), "called live, and in no recording: {}", missing.join(", "));
}

/// What the recordings are answered with: problems and symptoms, not what a case expects.
fn found() -> Known {
    let mut known = Known::new();
    let mut know = |problem: &Value| {
        let classes = known.entry(problem["failure"].as_str().unwrap_or_default().to_owned()).or_default();
        classes.extend(problem["class"].as_str().map(str::to_owned));
    };
    for problem in REPLAYED.iter().flat_map(|one| open(&one.document)) {
        know(problem);
        problem["symptoms"].as_array().into_iter().flatten().for_each(&mut know);
    }
    // Rows of the matrix are held against their recordings by `tests/matrix.rs`.
    let matrix = root().join("testbed/harness/matrix");
    let rows: Value = serde_saphyr::from_str(&fs::read_to_string(matrix.join("rows.yaml")).unwrap()).unwrap();
    for row in rows["rows"].as_array().unwrap() {
        let recording = format!("{:02}-{}", row["row"].as_u64().unwrap(), row["name"].as_str().unwrap());
        if matrix.join("recordings").join(recording).is_dir() {
            know(&row["expect"]);
        }
    }
    for (failure, test) in BY_OTHER_TESTS {
        assert!(test.contains(&format!("\"{failure}\"")), "{failure} is not expected by the test that should find it");
        known.entry((*failure).to_owned()).or_default();
    }
    known
}

/// How a row ends that says so.
const LIVE: &str = "| live |";

/// The rows of a page that say `live` and that nothing shows.
fn unknown(page: &str, known: &Known) -> Vec<String> {
    let mut failure = "";
    let mut unknown = Vec::new();
    for row in page.lines().filter(|row| row.starts_with("| ")) {
        // Failure, class, meaning, verified; a page whose failures have no classes leaves these out.
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        failure = cells.first().and_then(|cell| cell.split('`').nth(1)).unwrap_or(failure);
        let class = cells.get(1).filter(|_| cells.len() == 4).copied().unwrap_or_default();
        // Of several in a row, one will do.
        let classes: Vec<&str> = class.split('`').skip(1).step_by(2).collect();
        let shown = known
            .get(failure)
            .is_some_and(|known| classes.is_empty() || classes.iter().any(|class| known.contains(*class)));
        if row.ends_with(LIVE) && !shown {
            unknown.push(format!("{failure} {}", class.trim()));
        }
    }
    unknown
}

#[test]
fn a_row_without_a_recording_is_told() {
    let known = Known::from([("a".to_owned(), BTreeSet::from(["x".to_owned()]))]);
    let page =
        "| `a` | `x` | it | live |\n|  | `y` | it | live |\n|  | `z` | it | constructed |\n| `b` | it | live |\n";
    assert_eq!(unknown(page, &known), ["a `y`", "b "]);
}
