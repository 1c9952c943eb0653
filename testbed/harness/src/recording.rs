//! Recordings: what a case showed when it was answered right, as a bundle that is answered again without a cluster.

use crate::alone::alone;
use crate::question::Question;
use crate::{Case, Namespace, expect, wait};
use anyhow::{Context, Result, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The bundle in a recording, and the file beside it.
const BUNDLE: &str = "bundle";
const ANSWERED: &str = "answered.yaml";

/// What a bundle does not say of the run it is from: `answered.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// The namespace of the run.
    pub namespace: String,
    /// The command line, without namespace and output format.
    pub ask: String,
    /// When it was captured.
    pub captured: Timestamp,
    /// How much later it was asked, as the case says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub later: Option<String>,
    /// From the end of the last step to the right answer: waiting for the failure to show, graces and the asking itself.
    pub seconds: f64,
    /// The answer's word.
    pub answer: String,
    /// Each open problem.
    pub found: Vec<Found>,
}

/// What was said of one problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// Its failure.
    pub failure: String,
    /// The class of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// How sure it is.
    pub verdict: String,
    /// Kind and name of the object to touch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Where in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// One folder of `recordings/`.
#[derive(Clone, Debug)]
pub struct Recording {
    directory: PathBuf,
    /// What the bundle does not say.
    pub answered: Answered,
}

/// Where recordings are.
pub fn recordings() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("recordings")
}

impl Recording {
    /// The recording of a case, if there is one.
    pub fn of(case: &Case) -> Result<Option<Recording>> {
        let directory = recordings().join(&case.name);
        if !directory.exists() {
            return Ok(None);
        }
        let path = directory.join(ANSWERED);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let answered = serde_saphyr::from_str(&text).with_context(|| path.display().to_string())?;
        Ok(Some(Recording { directory, answered }))
    }

    /// What is answered to it now.
    pub fn answer(&self, case: &Case) -> Result<Value> {
        let Answered { namespace, ask, captured, later, .. } = &self.answered;
        ensure!(ask == case.ask() && *later == case.later, "the case asks otherwise than it did when it was recorded");
        Question::of(case, namespace)?.captured(&self.directory.join(BUNDLE), moment(*captured, later.as_deref())?)
    }

    /// Puts down what is answered now.
    pub fn rewrite(&mut self, document: &Value) -> Result<()> {
        self.answered.answer = word(document);
        self.answered.found = found(document);
        self.answered.write(&self.directory)
    }
}

impl Answered {
    fn write(&self, directory: &Path) -> Result<()> {
        let path = directory.join(ANSWERED);
        fs::write(&path, serde_saphyr::to_string(self)?).with_context(|| path.display().to_string())
    }
}

/// The moment a capture is asked at.
pub(crate) fn moment(captured: Timestamp, later: Option<&str>) -> Result<Timestamp> {
    let ahead: SignedDuration = match later {
        Some(later) => later.parse().with_context(|| format!("later: {later}"))?,
        None => SignedDuration::ZERO,
    };
    Ok(captured + ahead)
}

/// When a bundle was captured.
pub(crate) fn captured_at(directory: &Path) -> Result<Timestamp> {
    let bundle: Value = serde_saphyr::from_str(&fs::read_to_string(directory.join("bundle.yaml"))?)?;
    bundle["asOf"].as_str().context("a bundle that does not say when it was made")?.parse().context("asOf")
}

/// The answer's word.
pub fn word(document: &Value) -> String {
    document["answer"].as_str().unwrap_or_default().to_owned()
}

/// What is said of each open problem.
pub fn found(document: &Value) -> Vec<Found> {
    expect::open(document).into_iter().map(Found::of).collect()
}

impl Found {
    /// What is said of this problem.
    pub fn of(problem: &Value) -> Found {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Found {
            failure: text(&problem["failure"]).unwrap_or_default(),
            class: text(&problem["class"]),
            verdict: text(&problem["verdict"]).unwrap_or_default(),
            cause: object(&problem["cause"]["ref"]),
            field: text(&problem["cause"]["field"]),
        }
    }
}

/// Kind and name of an object that is referred to, as far as they are given.
fn object(reference: &Value) -> Option<String> {
    let words: Vec<&str> = ["kind", "name"].into_iter().filter_map(|key| reference[key].as_str()).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Captures a case that is answered right, and puts it into `recordings/` once the capture is answered as the cluster is.
pub(crate) fn record(namespace: &Namespace<'_>, case: &Case, question: &Question, after: Duration) -> Result<()> {
    // Beside the recordings in the same file system, so that it takes their place at once.
    let place = crate::root().join("target/live");
    fs::create_dir_all(&place)?;
    let kubeconfig = namespace.cluster().kubeconfig();
    // A state that comes and goes has to come again.
    wait(case.expect.within(), &format!("a capture of {} that is answered as the cluster", case.name), || {
        let live = case.later.is_none().then(|| question.live(kubeconfig)).transpose()?;
        let scratch = tempfile::tempdir_in(&place)?;
        let whole = scratch.path().join(&case.name);
        let directory = whole.join(BUNDLE);
        question.capture(kubeconfig, &directory)?;
        let captured = captured_at(&directory)?;
        let at = moment(captured, case.later.as_deref())?;
        alone(&directory, namespace.name(), || question.captured(&directory, at))?;
        let replayed = question.captured(&directory, at)?;
        let mut wrong = expect::wrong(&case.expect, &replayed);
        if live.as_ref().is_some_and(|live| found(live) != found(&replayed)) {
            wrong.push(format!("the cluster: {:?}, the capture: {:?}", live.as_ref().map(found), found(&replayed)));
        }
        if !wrong.is_empty() {
            bail!("\n  {}", wrong.join("\n  "));
        }
        let answered = Answered {
            namespace: namespace.name().to_owned(),
            ask: case.ask().to_owned(),
            captured,
            later: case.later.clone(),
            seconds: (after.as_secs_f64() * 10.0).round() / 10.0,
            answer: word(&replayed),
            found: found(&replayed),
        };
        answered.write(&whole)?;
        let target = recordings().join(&case.name);
        fs::create_dir_all(recordings())?;
        if target.exists() {
            fs::remove_dir_all(&target)?;
        }
        fs::rename(&whole, &target)?;
        Ok(true)
    })
}

/// Which cases are to be recorded.
#[derive(Clone, Debug)]
pub enum Record {
    /// Each.
    All,
    /// Those of which there is no recording.
    Missing,
    /// These.
    Named(Vec<String>),
}

impl Record {
    /// What `RECORD` asks for: `all`, `missing` or names of cases, with spaces between.
    pub fn asked() -> Option<Record> {
        let text = std::env::var("RECORD").ok().filter(|text| !text.trim().is_empty())?;
        Some(match text.trim() {
            "all" => Record::All,
            "missing" => Record::Missing,
            names => Record::Named(names.split_whitespace().map(str::to_owned).collect()),
        })
    }

    /// The cases among these. A name that no case has is an error.
    pub fn choose(&self, cases: Vec<Case>) -> Result<Vec<Case>> {
        match self {
            Record::All => Ok(cases),
            Record::Missing => Ok(cases.into_iter().filter(|case| !recordings().join(&case.name).exists()).collect()),
            Record::Named(names) => {
                let unknown = names.iter().find(|name| !cases.iter().any(|case| case.name == **name));
                match unknown {
                    Some(name) => bail!("no case is called {name}"),
                    None => Ok(cases.into_iter().filter(|case| names.contains(&case.name)).collect()),
                }
            }
        }
    }
}
