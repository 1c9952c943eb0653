//! Every live test in one run, so that one summary counts them all: `make live`, or `make test` for those named `smoke`.
//!
//! Cases run side by side, each in a namespace of its own. Tests that look at the whole cluster, or break a node, have it
//! to themselves. With `RECORD` the cases it names are recorded (see [`Record`]) and nothing else is run.

mod whole;

use libtest_mimic::{Arguments, Failed, Trial};
use reckon_testbed::{Case, Cluster, Group, Record, all, run};
use serde_json::Value;
use std::fs;
use std::process::ExitCode;
use std::sync::{Arc, PoisonError, RwLock};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each waits most of the time.
    arguments.test_threads.get_or_insert(8);
    let (cases, read) = match all() {
        Ok(cases) => (cases, Ok(())),
        Err(error) => (Vec::new(), Err(Failed::from(format!("{error:#}")))),
    };
    let record = Record::asked();
    let cluster = Arc::new(RwLock::new(()));
    let mut trials = vec![
        Trial::test("cases_are_enough", {
            let cases = cases.clone();
            move || read.and_then(|()| enough(&cases))
        }),
        Trial::test("what_a_page_calls_live_has_a_case", {
            let cases = cases.clone();
            move || verified(&cases)
        }),
    ];
    let chosen = record.as_ref().map_or(Ok(cases.clone()), |record| record.choose(cases));
    let cases = chosen.unwrap_or_else(|error| {
        trials.push(live("full::cases_to_record".to_owned(), || Err(error)));
        Vec::new()
    });
    let recorded = record.is_some();
    for case in cases {
        let tier = if case.smoke { "smoke" } else { "full" };
        let group = match case.group {
            Group::Failure => "failure",
            Group::Combined => "combined",
            Group::LookAlike => "look-alike",
        };
        let cluster = Arc::clone(&cluster);
        trials.push(live(format!("{tier}::{group}::{}", case.name), move || {
            let _shared = cluster.read().unwrap_or_else(PoisonError::into_inner);
            run(Cluster::shared()?, &case, recorded)
        }));
    }
    let others = if recorded { &[] } else { whole::TESTS };
    for (name, test) in others {
        let cluster = Arc::clone(&cluster);
        trials.push(live(format!("full::whole::{name}"), move || {
            let _alone = cluster.write().unwrap_or_else(PoisonError::into_inner);
            let cluster = Cluster::shared()?;
            whole::quiet(cluster)?;
            test(cluster)
        }));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Ignored unless asked for: it needs root and a cluster.
fn live(name: String, test: impl FnOnce() -> anyhow::Result<()> + Send + 'static) -> Trial {
    Trial::test(name, move || test().map_err(|error| Failed::from(format!("{error:#}")))).with_ignored_flag(true)
}

/// Every failure, and every class of one, whose page says `live` is expected by a case, or by a row of the matrix.
fn verified(cases: &[Case]) -> Result<(), Failed> {
    let mut known: Vec<String> = whole::FAILURES.iter().map(ToString::to_string).collect();
    let mut know = |value: &Value| known.extend(value.as_str().map(str::to_owned));
    for problem in cases.iter().flat_map(|case| case.expect.all()) {
        know(&problem["failure"]);
        know(&problem["class"]);
        problem["symptoms"].as_array().into_iter().flatten().for_each(|symptom| know(&symptom["failure"]));
    }
    let matrix = fs::read_to_string(reckon_testbed::root().join("testbed/harness/matrix/rows.yaml"))?;
    let matrix: Value = serde_saphyr::from_str(&matrix)?;
    for row in matrix["rows"].as_array().into_iter().flatten() {
        know(&row["expect"]["failure"]);
        know(&row["expect"]["class"]);
    }
    let mut missing = Vec::new();
    let source = reckon_testbed::root().join("crates/detect/src");
    let pages = ["detectors", "pages"].map(|directory| fs::read_dir(source.join(directory)));
    for entry in pages.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
        let path = entry?.path();
        if path.extension().is_none_or(|end| end != "md") {
            continue;
        }
        let page = fs::read_to_string(&path)?;
        // A failure, or in a row without one a class of the failure above.
        let rows = page.lines().filter(|line| line.starts_with("| ") && line.ends_with("| live |"));
        let slugs = rows.filter_map(|row| row.split('`').nth(1));
        missing.extend(slugs.filter(|slug| !known.iter().any(|known| known == slug)).map(str::to_owned));
    }
    if missing.is_empty() { Ok(()) } else { Err(format!("no case in testbed/harness: {}", missing.join(", ")).into()) }
}

/// What the tiers promise to hold.
fn enough(cases: &[Case]) -> Result<(), Failed> {
    let count = |wanted: fn(&&Case) -> bool| cases.iter().filter(wanted).count();
    let failures = count(|case| case.group == Group::Failure);
    let look_alikes = count(|case| case.group == Group::LookAlike);
    let smoke = count(|case| case.smoke);
    if failures < 20 || look_alikes < 5 || smoke != 15 {
        return Err(format!("{failures} failures, {look_alikes} look-alikes, {smoke} smoke").into());
    }
    Ok(())
}
