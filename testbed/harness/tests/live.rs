//! Every live test in one run, so that one summary counts them all: `make live`, or `make test` for those named `smoke`.
//!
//! Cases run side by side, each in a namespace of its own. Tests that look at the whole cluster, or break a node, have it
//! to themselves. With `RECORD` the cases it names are recorded (see [`Record`]) and nothing else is run.

mod whole;

use libtest_mimic::{Arguments, Failed, Trial};
use reckon_testbed::{Case, Cluster, Group, Record, all, run};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
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
        let name = format!("{tier}::{group}::{}", case.name);
        trials.push(live(name, move || {
            if case.alone {
                let _alone = cluster.write().unwrap_or_else(PoisonError::into_inner);
                let cluster = Cluster::shared()?;
                whole::quiet(cluster)?;
                return run(cluster, &case, recorded);
            }
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
    let mut known = Known::new();
    let mut know = |problem: &Value| {
        let classes = known.entry(problem["failure"].as_str().unwrap_or_default().to_owned()).or_default();
        classes.extend(problem["class"].as_str().map(str::to_owned));
    };
    whole::FAILURES.iter().for_each(|failure| know(&json!({"failure": failure})));
    for problem in cases.iter().flat_map(|case| case.expect.all()) {
        know(problem);
        problem["symptoms"].as_array().into_iter().flatten().for_each(&mut know);
    }
    let matrix = fs::read_to_string(reckon_testbed::root().join("testbed/harness/matrix/rows.yaml"))?;
    let matrix: Value = serde_saphyr::from_str(&matrix)?;
    matrix["rows"].as_array().into_iter().flatten().for_each(|row| know(&row["expect"]));
    let mut missing = Vec::new();
    let source = reckon_testbed::root().join("crates/detect/src");
    let pages = ["detectors", "pages"].map(|directory| fs::read_dir(source.join(directory)));
    for entry in pages.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "md") {
            missing.extend(unknown(&fs::read_to_string(&path)?, &known));
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(format!("no case in testbed/harness: {}", missing.join(", ")).into()) }
}

/// The classes that are known of each failure.
type Known = BTreeMap<String, BTreeSet<String>>;

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
        if row.ends_with("| live |") && !shown {
            unknown.push(format!("{failure} {}", class.trim()));
        }
    }
    unknown
}

/// What the tiers promise to hold.
fn enough(cases: &[Case]) -> Result<(), Failed> {
    let count = |wanted: fn(&&Case) -> bool| cases.iter().filter(wanted).count();
    let failures = count(|case| case.group == Group::Failure);
    let combined = count(|case| case.group == Group::Combined);
    let look_alikes = count(|case| case.group == Group::LookAlike);
    let smoke = count(|case| case.smoke);
    let repaired = count(|case| !case.repair.is_empty());
    let names = |case: &Case| -> Vec<String> {
        case.expect.all().filter_map(|problem| problem["failure"].as_str().map(str::to_owned)).collect()
    };
    let different: BTreeSet<String> = cases.iter().flat_map(names).filter(|name| !name.contains('*')).collect();
    let different = different.len();
    let counted = format!(
        "{failures} failures, {combined} combined, {look_alikes} look-alikes, {smoke} smoke, {repaired} repaired, {different} different failures"
    );
    let enough =
        failures >= 60 && combined >= 15 && look_alikes >= 10 && smoke == 15 && repaired >= 50 && different >= 60;
    if enough { Ok(()) } else { Err(counted.into()) }
}
