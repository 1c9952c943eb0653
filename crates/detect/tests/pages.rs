//! Every page's scenarios, run through the real pipeline. `UPDATE=1` rewrites what they expect; review it, it is the
//! specification.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the runner reads and writes pages; the room itself does no I/O")]

mod scenario;

use scenario::{Page, Scenario};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

fn pages() -> Vec<Page> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/detectors");
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    paths.iter().map(|path| Page::read(path)).collect()
}

#[test]
fn every_scenario_gives_what_its_page_says() {
    let mut wrong = String::new();
    for mut page in pages() {
        let mut rewritten = false;
        for scenario in &mut page.scenarios {
            let got = scenario.run();
            if got != scenario.expected {
                let _ = write!(wrong, "\n{}: {}\n", page.name, scenario.name);
                let _ = write!(wrong, "{}", difference(&scenario.expected, &got));
                scenario.expected = got;
                rewritten = true;
            }
        }
        if rewritten && std::env::var_os("UPDATE").is_some() {
            page.write();
        }
    }
    assert!(wrong.is_empty() || std::env::var_os("UPDATE").is_some(), "{wrong}");
}

#[test]
fn every_failure_stands_on_its_page_and_is_found_by_a_scenario() {
    let pages = pages();
    let expectations: String =
        pages.iter().flat_map(|page| &page.scenarios).map(|scenario| scenario.expected.as_str()).collect();
    for topic in reckon_detect::topics() {
        let explained = reckon_detect::page(topic).expect(topic);
        assert!(explained.body.contains(&format!("`{topic}`")), "{topic} is not in the table of its page");
        let found = expectations.lines().any(|line| {
            line.strip_prefix("problem ")
                .is_some_and(|rest| rest.starts_with(&format!("{topic} ")) || rest.starts_with(&format!("{topic}/")))
                || line.trim_start().starts_with(&format!("symptom {topic} "))
        });
        assert!(found, "no scenario finds {topic}");
    }
}

#[test]
fn every_page_has_its_headings_a_silent_look_alike_and_a_closing() {
    for page in pages() {
        for heading in ["What it means", "Why it happens", "How to confirm", "How to fix", "What it is not", "Failures"]
        {
            assert!(page.text.contains(&format!("\n## {heading}\n")), "{}: no heading {heading:?}", page.name);
        }
        let any = |what: fn(&Scenario) -> bool| page.scenarios.iter().any(what);
        assert!(any(|scenario| scenario.expected.contains("no problems")), "{}: no silent look-alike", page.name);
        assert!(any(|scenario| scenario.expected.contains("\n  closed")), "{}: no closing", page.name);
    }
}

#[test]
fn no_slug_is_claimed_twice() {
    let topics = reckon_detect::topics();
    assert_eq!(topics.iter().collect::<BTreeSet<_>>().len(), topics.len());
}

#[test]
fn the_order_in_which_objects_arrive_changes_no_byte() {
    for page in pages() {
        for scenario in &page.scenarios {
            let expected = scenario.run();
            for turn in 1..4 {
                assert_eq!(scenario.run_turned(turn), expected, "{}: {}", page.name, scenario.name);
            }
        }
    }
}

/// The lines that differ, with their neighbours left out.
fn difference(expected: &str, got: &str) -> String {
    let (expected, got): (Vec<_>, Vec<_>) = (expected.lines().collect(), got.lines().collect());
    let mut out = String::new();
    for line in expected.iter().filter(|line| !got.contains(line)) {
        let _ = writeln!(out, "- {line}");
    }
    for line in got.iter().filter(|line| !expected.contains(line)) {
        let _ = writeln!(out, "+ {line}");
    }
    out
}
