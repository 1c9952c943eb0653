//! Every live test in one run, so that one summary counts them all: `make live`, or `make test` for those named `smoke`.
//!
//! Cases run side by side, each in a namespace of its own. Tests that look at the whole cluster, or break a node, have it
//! to themselves. With `RECORD` the cases it names are recorded (see [`Record`]) and nothing else is run.

mod whole;

use libtest_mimic::{Arguments, Failed, Trial};
use reckon_testbed::{Case, Cluster, Group, Record, all, run};
use std::collections::BTreeSet;
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
    let mut trials = vec![Trial::test("cases_are_enough", {
        let cases = cases.clone();
        move || read.and_then(|()| enough(&cases))
    })];
    let chosen = record.as_ref().map_or(Ok(cases.clone()), |record| record.choose(cases));
    let cases = chosen.unwrap_or_else(|error| {
        trials.push(live("full::cases_to_record".to_owned(), || Err(error)));
        Vec::new()
    });
    let recorded = record.is_some();
    // The longest first, so that nobody has to wait for it at the end; those that are alone last, as they wait for all.
    let mut cases = cases;
    cases.sort_by_key(|case| (case.alone, std::cmp::Reverse(case.pauses())));
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

/// What the tiers promise to hold.
fn enough(cases: &[Case]) -> Result<(), Failed> {
    let count = |wanted: fn(&&Case) -> bool| cases.iter().filter(wanted).count();
    let failures = count(|case| case.group == Group::Failure);
    let combined = count(|case| case.group == Group::Combined);
    let look_alikes = count(|case| case.group == Group::LookAlike);
    let smoke = count(|case| case.smoke);
    let repaired = count(|case| !case.repair.is_empty());
    let injected = count(|case| case.group == Group::Failure && case.is_one_change());
    let smoke_injected = count(|case| case.smoke && case.is_one_change());
    let names = |case: &Case| -> Vec<String> {
        case.expect.all().filter_map(|problem| problem["failure"].as_str().map(str::to_owned)).collect()
    };
    let different: BTreeSet<String> = cases.iter().flat_map(names).filter(|name| !name.contains('*')).collect();
    let different = different.len();
    let counted = format!(
        "{failures} failures, {injected} of them by one change in what was healthy, {combined} combined, {look_alikes} look-alikes, {smoke} smoke, {smoke_injected} of these by one change, {repaired} repaired, {different} different failures"
    );
    let groups = injected >= 60 && combined >= 15 && look_alikes >= 10 && smoke == 15 && smoke_injected >= 10;
    let enough = groups && repaired >= 50 && different >= 60;
    if enough { Ok(()) } else { Err(counted.into()) }
}
