//! Runs a case.

use crate::{Case, Cluster, Expect, Namespace, Reckon, Step, Until, collect, differences, matches, repair, wait};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Runs a case in a namespace of its own and says what was not as expected.
pub fn run(cluster: &Cluster, case: &Case) -> Result<()> {
    let namespace = cluster.namespace(&case.name)?;
    let mut last = None;
    let mut outcome = attempt(&namespace, case, &mut last);
    if let Err(error) = outcome {
        let place = collect::collect(&namespace, &case.name, last.as_ref())?;
        outcome = Err(error.context(format!("collected in {}", place.display())));
    }
    for step in &case.finally {
        outcome = outcome.and(take(&namespace, step));
    }
    outcome
}

fn attempt(namespace: &Namespace<'_>, case: &Case, last: &mut Option<Value>) -> Result<()> {
    if !case.objects.trim().is_empty() {
        namespace.apply(&case.objects)?;
    }
    for step in &case.steps {
        take(namespace, step)?;
    }
    let mut arguments = words(case.ask.as_deref().unwrap_or("problems"))?;
    arguments.extend(["-n".to_owned(), namespace.name().to_owned()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut ask = || -> Result<Vec<String>> {
        let document = ask(namespace, case, &arguments)?;
        let wrong = wrong(&case.expect, &document);
        *last = Some(document);
        Ok(wrong)
    };
    if let Some(seconds) = case.expect.lasting {
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end {
            let wrong = ask()?;
            if !wrong.is_empty() {
                bail!("reckon {}:\n  {}", arguments.join(" "), wrong.join("\n  "));
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        return Ok(());
    }
    let within = Duration::from_secs(case.expect.within.unwrap_or(90));
    wait(within, &format!("the answer of reckon {}", arguments.join(" ")), || {
        let wrong = ask()?;
        if !wrong.is_empty() {
            bail!("\n  {}", wrong.join("\n  "));
        }
        Ok(true)
    })?;
    if case.repair.is_empty() { Ok(()) } else { repair::repaired(namespace, case, last) }
}

/// The answer to a question, now or as late as the case wants it.
pub(crate) fn ask(namespace: &Namespace<'_>, case: &Case, question: &[&str]) -> Result<Value> {
    match &case.later {
        None => Reckon::json(namespace.cluster().kubeconfig(), question),
        Some(later) => ask_later(namespace, question, later),
    }
}

/// The answer of a capture by a clock that is so far ahead.
fn ask_later(namespace: &Namespace<'_>, question: &[&str], later: &str) -> Result<Value> {
    let ahead: jiff::SignedDuration = later.parse().with_context(|| format!("later: {later}"))?;
    let scratch = tempfile::tempdir()?;
    let bundle = scratch.path().join("bundle");
    let place = bundle.to_str().context("a path of letters")?;
    // `why X -n N` is captured as X, and `problems -n N` as the namespace.
    let words = question.iter().filter(|word| !matches!(**word, "why" | "problems"));
    let mut capture = vec!["capture", "-o", place];
    capture.extend(words);
    let kubeconfig = namespace.cluster().kubeconfig();
    let captured = Reckon::run(kubeconfig, &capture)?;
    if captured.code != Some(0) {
        bail!("reckon {} exited with {:?}: {}", capture.join(" "), captured.code, captured.stderr.trim());
    }
    let at = (jiff::Timestamp::now() + ahead).to_string();
    Reckon::json(kubeconfig, &[question, &["-f", place, "--at", &at]].concat())
}

/// What in the answer is not as expected.
fn wrong(expect: &Expect, document: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let answer = document["answer"].as_str().unwrap_or("");
    if !expect.answer.iter().any(|word| word == answer) {
        wrong.push(format!("answer: expected {}, got {answer:?}", expect.answer.join(" or ")));
    }
    let open: Vec<&Value> = document["problems"].as_array().into_iter().flatten().filter(is_open).collect();
    let wanted: Vec<&Value> = expect.all().collect();
    match (wanted.as_slice(), open.as_slice()) {
        ([wanted], [only]) => wrong.extend(differences(wanted, only)),
        (wanted, problems) if wanted.len() == problems.len() => {
            for one in wanted {
                if !problems.iter().any(|problem| differences(one, problem).is_empty()) {
                    let titles = titles(problems);
                    wrong.push(format!("problems: none is {one} in {titles}"));
                }
            }
        }
        (wanted, problems) => {
            wrong.push(format!("problems: expected {}, got {}: {}", wanted.len(), problems.len(), titles(problems)));
        }
    }
    wrong
}

pub(crate) fn titles(problems: &[&Value]) -> String {
    let titles: Vec<String> =
        problems.iter().map(|problem| format!("{}: {}", problem["failure"], problem["title"])).collect();
    titles.join("; ")
}

pub(crate) fn is_open(problem: &&Value) -> bool {
    problem["closed"].is_null() && problem["mergedInto"].is_null()
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

/// A command line in words; single quotes keep spaces.
fn words(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    for (index, piece) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(piece.to_owned());
        } else {
            words.extend(piece.split_whitespace().map(str::to_owned));
        }
    }
    if line.matches('\'').count() % 2 == 1 {
        return Err(anyhow::anyhow!("a quote is not closed")).context(line.to_owned());
    }
    Ok(words)
}
