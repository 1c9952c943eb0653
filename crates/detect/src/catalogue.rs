//! What is known to fail: detectors, their failures and the pages about them.

use crate::finding::Finding;
use crate::registry::DETECTORS;
use crate::{exit, general, http, view::View};
use reckon_model::{Kind, Object};

/// A detector: one file and one line of the registry.
pub struct Detector {
    /// The name of its file.
    pub name: &'static str,
    /// The failures it can claim.
    pub failures: &'static [Failure],
    /// The kinds of objects it is run on.
    pub subjects: &'static [Kind],
    /// Those among them that have no name here, by group and kind.
    pub others: &'static [(&'static str, &'static str)],
    /// Looks at one object. Reads no clock, fetches nothing, keeps no state.
    pub detect: for<'a> fn(&View<'a>, &'a Object) -> Vec<Finding>,
}

impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A way to fail.
#[derive(Debug, Clone, Copy)]
pub struct Failure {
    /// Its name in the catalogue, in JSON and on the command line.
    pub slug: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// Where on the way from admission to traffic it strikes: the earlier one explains the later one.
    pub stage: Stage,
    /// Failures of one family on one container are episodes of one problem, whatever name the symptom has today.
    pub family: &'static str,
    /// Whether it is an echo: listed under `symptoms` unless no root is found.
    pub echo: bool,
    /// How its rules were verified.
    pub verified: Verified,
    /// What `reckon explain` says of it, with the scenarios that test it: a page of its own, `pages/SLUG.md`, or that of its
    /// detector, where the failures are told from each other on one page.
    pub page: &'static str,
}

/// How a rule was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// On a real cluster, by `make live` or `make matrix`.
    Live,
    /// By replay of a real recording.
    Recorded,
    /// By hand-made scenarios.
    Constructed,
}

/// Where on the way from admission to traffic a failure strikes, earliest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// A node is ill.
    Node,
    /// A claim or volume is.
    Storage,
    /// What its controller was told keeps new pods from coming, whatever they are like.
    Strategy,
    /// No pod is made.
    Admission,
    /// The pod finds no node.
    Scheduling,
    /// Its volumes are not mounted.
    Volume,
    /// Its image is not pulled.
    Image,
    /// Its container is not created.
    Config,
    /// It is killed for its memory.
    Memory,
    /// Its probes fail.
    Probe,
    /// Its program ends.
    Start,
    /// It is not ready.
    Readiness,
    /// Its controller does not get ahead.
    Rollout,
    /// Its Service has no endpoints.
    Endpoints,
}

/// A page of `reckon explain`.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its first heading.
    pub title: String,
    /// Markdown, without the scenarios that test it.
    pub body: String,
}

/// Every detector, in the order of the registry.
pub fn detectors() -> impl Iterator<Item = &'static Detector> {
    DETECTORS.iter().copied()
}

/// The failure of this slug and its detector.
pub(crate) fn failure(slug: &str) -> Option<(&'static Detector, &'static Failure)> {
    DETECTORS
        .iter()
        .copied()
        .find_map(|detector| Some((detector, detector.failures.iter().find(|failure| failure.slug == slug)?)))
}

/// The page about a failure's slug, a detector's name, a reason, an exit code or an HTTP status.
pub fn page(topic: &str) -> Option<Page> {
    let wanted = topic.trim().to_ascii_lowercase();
    let failures = || DETECTORS.iter().flat_map(|detector| detector.failures);
    let by_name = || {
        let detector = DETECTORS.iter().find(|detector| detector.name.replace('_', "-") == wanted)?;
        detector.failures.first()
    };
    let known = failures()
        .find(|failure| failure.slug == wanted)
        .or_else(by_name)
        .or_else(|| failures().find(|failure| aliases(failure.page).any(|alias| alias.eq_ignore_ascii_case(&wanted))));
    match known {
        Some(failure) => Some(render(failure.page)),
        None => {
            let number = || wanted.strip_prefix("http ").unwrap_or(&wanted).parse().ok();
            general::page(&wanted.replace('_', "-")).or_else(|| exit::page(number()?).or_else(|| http::page(number()?)))
        }
    }
}

/// Everything [`page`] knows by its first name: the failures' slugs, and topics.
pub fn topics() -> Vec<&'static str> {
    let failures = DETECTORS.iter().flat_map(|detector| detector.failures).map(|failure| failure.slug);
    let mut topics: Vec<_> = failures.chain(general::names()).collect();
    topics.sort_unstable();
    topics
}

/// The words after `Also:` on a page's own line: reasons and codes that lead to it.
fn aliases(page: &str) -> impl Iterator<Item = &str> {
    page.lines()
        .find_map(|line| line.strip_prefix("Also: "))
        .unwrap_or("")
        .split([',', '.'])
        .map(|word| word.trim().trim_matches('`'))
        .filter(|word| !word.is_empty())
}

fn render(page: &str) -> Page {
    let explained = page.split("\n## Scenario: ").next().unwrap_or(page).trim_end();
    let (title, body) = explained.split_once('\n').unwrap_or((explained, ""));
    Page { title: title.trim_start_matches("# ").to_owned(), body: body.trim_start().to_owned() }
}
