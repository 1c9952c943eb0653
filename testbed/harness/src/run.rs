//! Runs a case.

use crate::expect::{self, wrong};
use crate::question::{Question, words};
use crate::{Case, Cluster, Namespace, Reckon, Step, Until, collect, differences, matches, recording, repair, wait};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// Runs a case in a namespace of its own and says what was not as expected. What was is recorded, if asked for.
pub fn run(cluster: &Cluster, case: &Case, recorded: bool) -> Result<()> {
    let namespace = cluster.namespace(&case.name)?;
    let mut last = None;
    let mut outcome = attempt(&namespace, case, recorded, &mut last);
    if let Err(error) = outcome {
        let place = collect::collect(&namespace, &case.name, last.as_ref())?;
        outcome = Err(error.context(format!("collected in {}", place.display())));
    }
    for step in &case.finally {
        outcome = outcome.and(take(&namespace, step));
    }
    outcome
}

fn attempt(namespace: &Namespace<'_>, case: &Case, recorded: bool, last: &mut Option<Value>) -> Result<()> {
    if !case.objects.trim().is_empty() {
        namespace.apply(&case.objects)?;
    }
    for (index, step) in case.steps.iter().enumerate() {
        if case.healthy_until() == Some(index) {
            healthy(namespace)?;
        }
        take(namespace, step)?;
    }
    let question = Question::of(case, namespace.name())?;
    let after = answered(namespace, case, &question, last)?;
    if recorded {
        recording::record(namespace, case, &question, after)?;
    }
    if case.repair.is_empty() { Ok(()) } else { repair::repaired(namespace, case, last) }
}

/// What is to be broken is whole before.
fn healthy(namespace: &Namespace<'_>) -> Result<()> {
    let question = Question::problems(namespace.name());
    wait(Duration::from_secs(60), "health before the change", || {
        let document = question.live(namespace.cluster().kubeconfig())?;
        let found = expect::open(&document);
        let sound = document["answer"] == "no-fault" && found.is_empty();
        if sound { Ok(true) } else { bail!("the answer is {}: {}", document["answer"], expect::titles(&found)) }
    })
}

/// Asks until the answer is right, and of a look-alike as long as it must be. How long it took to be right.
fn answered(namespace: &Namespace<'_>, case: &Case, question: &Question, last: &mut Option<Value>) -> Result<Duration> {
    let kubeconfig = namespace.cluster().kubeconfig();
    let line = question.line().join(" ");
    let begun = Instant::now();
    let mut look = || -> Result<Vec<String>> {
        let document = ask(case, question, kubeconfig)?;
        let wrong = wrong(&case.expect, &document);
        *last = Some(document);
        Ok(wrong)
    };
    if let Some(seconds) = case.expect.lasting {
        let mut first = None;
        while begun.elapsed() < Duration::from_secs(seconds) {
            let wrong = look()?;
            if !wrong.is_empty() {
                bail!("reckon {line}:\n  {}", wrong.join("\n  "));
            }
            first.get_or_insert_with(|| begun.elapsed());
            std::thread::sleep(Duration::from_secs(1));
        }
        return first.context("a look-alike that is not asked");
    }
    wait(case.expect.within(), &format!("the answer of reckon {line}"), || {
        let wrong = look()?;
        if !wrong.is_empty() {
            bail!("\n  {}", wrong.join("\n  "));
        }
        Ok(true)
    })?;
    Ok(begun.elapsed())
}

/// The answer to a question, now or as late as the case wants it.
pub(crate) fn ask(case: &Case, question: &Question, kubeconfig: &Path) -> Result<Value> {
    match &case.later {
        None => question.live(kubeconfig),
        Some(later) => ask_later(question, kubeconfig, later),
    }
}

/// The answer of a capture by a clock that is so far ahead.
fn ask_later(question: &Question, kubeconfig: &Path, later: &str) -> Result<Value> {
    let scratch = tempfile::tempdir()?;
    let bundle = scratch.path().join("bundle");
    question.capture(kubeconfig, &bundle)?;
    question.captured(&bundle, recording::moment(jiff::Timestamp::now(), Some(later))?)
}

pub(crate) fn take(namespace: &Namespace<'_>, step: &Step) -> Result<()> {
    match step {
        Step::Kubectl(line) => {
            let words = words(line)?;
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            namespace.kubectl(&words).map(drop)
        }
        Step::Apply(yaml) => namespace.apply(yaml),
        Step::Fix(line) => {
            let words = words(line)?;
            let mut arguments = vec!["fix"];
            arguments.extend(words.iter().map(String::as_str));
            arguments.extend(["--apply", "--yes", "-n", namespace.name()]);
            // The problem may have a grace to wait for.
            wait(Duration::from_secs(120), "the problem that is fixed", || {
                let answer = Reckon::json(namespace.cluster().kubeconfig(), &arguments)?;
                if answer["applied"] != true || answer["event"] != true {
                    bail!("reckon {}: {answer}", arguments.join(" "));
                }
                Ok(true)
            })
        }
        Step::Testbed(line) => {
            let words = words(line)?;
            let (command, arguments) = words.split_first().context("a command of the testbed")?;
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let output = namespace.cluster().testbed(command, &arguments)?;
            if !output.status.success() {
                bail!("testbed/{line}: {}", String::from_utf8_lossy(&output.stderr).trim());
            }
            Ok(())
        }
        Step::Seconds(seconds) => {
            std::thread::sleep(Duration::from_secs(*seconds));
            Ok(())
        }
        Step::Until(until) => {
            let within = Duration::from_secs(until.within.unwrap_or(60));
            wait(within, &format!("{} at {}", until.get, until.at), || holds(namespace, until))
        }
    }
}

fn holds(namespace: &Namespace<'_>, until: &Until) -> Result<bool> {
    let words = words(&until.get)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let document = namespace.get(&words)?;
    let mut values = vec![&document];
    for part in until.at.split('.') {
        values = values.into_iter().flat_map(|value| inside(value, part)).collect();
    }
    let holds = values.iter().any(|value| {
        until.is.as_ref().is_none_or(|wanted| differences(wanted, value).is_empty())
            && until.at_least.is_none_or(|least| value.as_f64().is_some_and(|number| number >= least))
    });
    if !holds {
        let seen: Vec<String> = values.iter().map(ToString::to_string).collect();
        bail!("it shows {}", if seen.is_empty() { "nothing".to_owned() } else { seen.join(", ") });
    }
    Ok(true)
}

fn inside<'a>(value: &'a Value, part: &str) -> Vec<&'a Value> {
    match value {
        Value::Array(list) if part == "*" => list.iter().collect(),
        // A condition or a container by its type or name.
        Value::Array(list) => list
            .iter()
            .filter(|item| ["name", "type"].iter().any(|key| item[*key].as_str().is_some_and(|is| matches(part, is))))
            .collect(),
        _ => value.get(part).into_iter().collect(),
    }
}
