//! `docs/failure-matrix.md`.

use crate::score::{Score, pairs};
use crate::{Replayed, of};
use reckon_testbed::{Found, Group, found, word};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What most fields begin with, and what stands for it in the tables.
const TEMPLATE: (&str, &str) = ("spec.template.spec.", "….");

const ABOUT: &str = "\
# The failure matrix

Generated from [the cases](../testbed/harness/cases) and [their recordings](../testbed/harness/recordings). A case breaks
something on a real cluster, or does what only looks like it; what must be answered was written down before. What was
answered right is recorded, and every test run answers all recordings again. A case that is answered otherwise, a cause
object that is right in less than 95 % or a symptom in less than 100 %, or any finding where nothing is wrong, fails it.

`….` stands for `spec.template.spec.`, a `*` in what is expected for anything. *s* is the time in seconds from the end of what
was done to the right answer: in it the failure shows itself, a grace may end, and the question is asked. Where a case is
asked by a later clock, by how much stands beside it.
";

/// The page.
pub(crate) fn page(replayed: &[Replayed], unrecorded: &[(&str, &str)]) -> String {
    let mut page = ABOUT.to_owned();
    totals(&mut page, replayed);
    for (group, title) in
        [(Group::Failure, "One thing is broken"), (Group::Combined, "Several are, or another looks guilty")]
    {
        let cases = of(replayed, group);
        heading(&mut page, title, cases.len());
        page.push_str("| Case | What it shows | Expected | Found | Verdict | s |\n|---|---|---|---|---|---:|\n");
        for one in cases {
            // Each that is expected beside what was found of it.
            let pairs = pairs(one);
            let expected: Vec<String> = pairs.iter().map(|(wanted, _)| expected(wanted)).collect();
            let found: Vec<Found> = pairs.iter().filter_map(|(_, found)| found.map(Found::of)).collect();
            let verdicts: Vec<&str> = found.iter().map(|found| found.verdict.as_str()).collect();
            let found: Vec<String> = found.iter().map(told).collect();
            let cells = [expected.join("<br>"), found.join("<br>"), verdicts.join(", ")];
            row(&mut page, one, &cells);
        }
    }
    let cases = of(replayed, Group::LookAlike);
    heading(&mut page, "Nothing is wrong", cases.len());
    page.push_str("| Case | What it shows | Expected | Found | s |\n|---|---|---|---|---:|\n");
    for one in cases {
        let found: Vec<String> = found(&one.document).iter().map(told).collect();
        let answer = [vec![word(&one.document)], found].concat();
        row(&mut page, one, &[one.case.expect.answer.join(" or "), answer.join("<br>")]);
    }
    if !unrecorded.is_empty() {
        page.push_str("\n## Not recorded\n\n| Case | Why |\n|---|---|\n");
    }
    for (case, why) in unrecorded {
        let _ = writeln!(page, "| {case} | {why} |");
    }
    page
}

fn totals(page: &mut String, replayed: &[Replayed]) {
    let score = Score::of(replayed);
    let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
    for found in replayed.iter().flat_map(|one| found(&one.document)) {
        *verdicts.entry(found.verdict).or_default() += 1;
    }
    let mut verdicts: Vec<(String, usize)> = verdicts.into_iter().collect();
    verdicts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let verdicts: Vec<String> = verdicts.into_iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
    let mut times: Vec<f64> = replayed.iter().map(|one| one.recording.answered.seconds).collect();
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times.get(times.len() * share / 100).or(times.last()).copied().unwrap_or_default();
    let rows = [
        ("Recorded cases", replayed.len().to_string()),
        ("Failures by one change in what was healthy before", injected(replayed)),
        ("Cause objects, at first place", score.causes.to_string()),
        ("Failures, classes and symptoms", score.symptoms.to_string()),
        ("Findings where nothing is wrong", score.unfounded.to_string()),
        ("Verdicts", verdicts.join(", ")),
        ("Seconds to the right answer", format!("half of them {:.1}, nine in ten {:.1} or less", at(50), at(90))),
    ];
    page.push_str("\n| | |\n|---|---|\n");
    for (what, figure) in rows {
        let _ = writeln!(page, "| {what} | {figure} |");
    }
}

/// How many of the failures that are one thing began so.
fn injected(replayed: &[Replayed]) -> String {
    let failures = of(replayed, Group::Failure);
    let injected = failures.iter().filter(|one| one.case.is_one_change()).count();
    format!("{injected} of {}", failures.len())
}

fn heading(page: &mut String, title: &str, count: usize) {
    let _ = write!(page, "\n## {title} ({count})\n\n");
}

fn row(page: &mut String, one: &Replayed, cells: &[String]) {
    let later = one.case.later.as_ref().map(|later| format!(", {later} later")).unwrap_or_default();
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    let case = &one.case;
    let shows = case.shows.replace('|', "\\|");
    let _ = writeln!(
        page,
        "| [{0}](../testbed/harness/cases/{0}.yaml) | {shows} | {1} | {2:.1}{later} |",
        case.name,
        cells.join(" | "),
        one.recording.answered.seconds,
    );
}

fn expected(problem: &Value) -> String {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let reference = &problem["cause"]["ref"];
    lines(
        text(&problem["failure"]).unwrap_or_else(|| "*".to_owned()),
        text(&problem["class"]),
        Some(
            [&reference["kind"], &reference["name"]]
                .into_iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(" "),
        ),
        text(&problem["cause"]["field"]),
    )
}

fn told(found: &Found) -> String {
    lines(found.failure.clone(), found.class.clone(), found.cause.clone(), found.field.clone())
}

/// Failure and class, object, field: each on its own line, or the table would be wide.
fn lines(failure: String, class: Option<String>, cause: Option<String>, field: Option<String>) -> String {
    let field = field.map(|field| match field.strip_prefix(TEMPLATE.0) {
        Some(rest) => format!("{}{rest}", TEMPLATE.1),
        None => field,
    });
    let failure = class.map_or(failure.clone(), |class| format!("{failure} / {class}"));
    let parts = [
        Some(format!("`{failure}`")),
        cause.filter(|cause| !cause.is_empty()),
        field.map(|field| format!("`{field}`")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("<br>")
}
