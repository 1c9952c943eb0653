//! Cases as they are written down.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// One file of `cases/`: a YAML document that is this, then the objects that are applied first.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Case {
    /// The file's name without its end.
    #[serde(skip)]
    pub name: String,
    /// The objects that are applied first, as YAML.
    #[serde(skip)]
    pub objects: String,
    /// What is shown, in a sentence.
    pub shows: String,
    /// Whether it is a failure or looks like one.
    pub group: Group,
    /// Whether it is one of those that `make test` runs.
    #[serde(default)]
    pub smoke: bool,
    /// Whether it needs the cluster for itself, as it touches a node: it runs beside no other.
    #[serde(default)]
    pub alone: bool,
    /// What happens after the objects were applied.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// What is done once the answer was as expected, so that what is broken is no more: after it no problem may be left, and
    /// a watch that runs all the while has to close each that it opened.
    #[serde(default)]
    pub repair: Vec<Step>,
    /// What is done at the end, however it went: what reaches beyond the case's namespace is put back.
    #[serde(default)]
    pub finally: Vec<Step>,
    /// The command line that is asked, without namespace and output format.
    #[serde(default)]
    pub ask: Option<String>,
    /// How long after the last step the question is asked, such as `11m`: of a capture, by a clock that is ahead. For graces
    /// that are longer than a test may wait.
    #[serde(default)]
    pub later: Option<String>,
    /// What must be answered.
    pub expect: Expect,
}

/// What a case is an example of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// One thing is broken.
    Failure,
    /// Several are, or something else looks guilty.
    Combined,
    /// Nothing is.
    LookAlike,
}

/// Something that happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// A `kubectl` command line in the case's namespace; words in single quotes are one argument.
    Kubectl(String),
    /// Applies objects, given as YAML.
    Apply(String),
    /// Waits until the cluster shows something.
    Until(Until),
    /// Lets time pass: a program has to be healthy for a while before it may fail.
    Seconds(u64),
    /// A `reckon fix` command line without namespace: it is applied, without a question.
    Fix(String),
    /// A command line of the testbed, such as `node n2 run ip link`. Of cases that are alone.
    Testbed(String),
}

/// What the cluster has to show.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Until {
    /// What `kubectl get` is asked for.
    pub get: String,
    /// Keys and indices from the answer on, `*` for each of a list: `items.*.status.phase`.
    pub at: String,
    /// What one of the values there is; a text with `*` is a pattern.
    #[serde(default)]
    pub is: Option<Value>,
    /// What a number there is at least.
    #[serde(default)]
    pub at_least: Option<f64>,
    /// Seconds; a minute if not given.
    #[serde(default)]
    pub within: Option<u64>,
}

/// What must be answered.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expect {
    /// The answer, one of these words.
    pub answer: Vec<String>,
    /// The problem: a part of its JSON. There must be exactly one problem then, and none without this.
    #[serde(default)]
    pub problem: Option<Value>,
    /// Several problems: a part of the JSON of each. There must be these and no others.
    #[serde(default)]
    pub problems: Vec<Value>,
    /// Seconds in which the answer must come to be so; a minute and a half if not given.
    #[serde(default)]
    pub within: Option<u64>,
    /// Seconds for which every answer must be so, from the first on. For look-alikes.
    #[serde(default, rename = "for")]
    pub lasting: Option<u64>,
}

/// Every case, by name.
pub fn all() -> Result<Vec<Case>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut cases = Vec::new();
    for entry in fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "yaml") {
            cases.push(read(&path).with_context(|| format!("in {}", path.display()))?);
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}

fn read(path: &Path) -> Result<Case> {
    let text = fs::read_to_string(path)?;
    let (first, objects) = text.split_once("\n---\n").unwrap_or((&text, ""));
    let mut case: Case = serde_saphyr::from_str(first)?;
    case.name = path.file_stem().context("a file without a name")?.to_string_lossy().into_owned();
    objects.clone_into(&mut case.objects);
    match (case.group, case.expect.all().count()) {
        (Group::Failure | Group::Combined, 0) => bail!("a failure without a problem"),
        (Group::Failure, 2..) => bail!("several problems are a combined case"),
        (Group::LookAlike, 1..) => bail!("a look-alike with a problem"),
        _ => Ok(case),
    }
}

impl Case {
    /// The command line that is asked.
    pub fn ask(&self) -> &str {
        self.ask.as_deref().unwrap_or("problems")
    }

    /// For how many seconds it only lets time pass.
    pub fn pauses(&self) -> u64 {
        let pause = |step: &Step| if let Step::Seconds(seconds) = step { *seconds } else { 0 };
        self.steps.iter().map(pause).sum()
    }

    /// At which of its steps a failure begins: the first that changes anything, once something was waited for. Before it,
    /// nothing may be wrong. `None` of what is broken from the start, and of what is no failure.
    pub fn healthy_until(&self) -> Option<usize> {
        let first = self.steps.iter().position(|step| !matches!(step, Step::Until(_) | Step::Seconds(_)))?;
        let waited = self.steps[..first].iter().any(|step| matches!(step, Step::Until(_)));
        (waited && self.group != Group::LookAlike).then_some(first)
    }

    /// Whether it is broken by one change, and nothing was wrong before that.
    pub fn is_one_change(&self) -> bool {
        self.healthy_until().is_some() && self.changes() == 1
    }

    /// How much is changed in all. That pods are made anew, which lets a change show, is none.
    fn changes(&self) -> usize {
        let changes = |step: &&Step| match step {
            Step::Kubectl(line) => !line.starts_with("delete pod ") && !line.starts_with("rollout status "),
            Step::Apply(_) | Step::Testbed(_) | Step::Fix(_) => true,
            Step::Until(_) | Step::Seconds(_) => false,
        };
        self.steps.iter().filter(changes).count()
    }
}

impl Expect {
    /// How long the answer may take to come to be so.
    pub(crate) fn within(&self) -> Duration {
        Duration::from_secs(self.within.unwrap_or(90))
    }

    /// The problems that must be there.
    pub fn all(&self) -> impl Iterator<Item = &Value> {
        self.problem.iter().chain(&self.problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(group: &str, steps: &str) -> Case {
        let text = format!("{{shows: it, group: {group}, steps: {steps}, expect: {{answer: [problem]}}}}");
        serde_saphyr::from_str(&text).unwrap()
    }

    #[test]
    fn a_failure_begins_with_the_first_change_after_something_was_waited_for() {
        let ready = "{until: {get: pods, at: items}}";
        let steps = format!("[{ready}, {{seconds: 2}}, {{kubectl: set image a b}}, {{kubectl: delete pod a}}]");
        let changed = case("failure", &steps);
        assert_eq!((changed.healthy_until(), changed.changes()), (Some(2), 1));
        assert!(changed.is_one_change());
        assert_eq!(case("look-alike", &steps).healthy_until(), None);
        let broken = case("failure", &format!("[{ready}, {{seconds: 2}}]"));
        assert_eq!((broken.healthy_until(), broken.changes()), (None, 0));
        let at_once = case("failure", &format!("[{{kubectl: set image a b}}, {ready}, {{apply: x}}]"));
        assert_eq!((at_once.healthy_until(), at_once.changes()), (None, 2));
    }
}
