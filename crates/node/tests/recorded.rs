//! Reports of real kernels, with what was counted in them by hand and by regular expressions as the oracle.
//!
//! `kmsg/` holds what Linux 6.1 and 6.12 wrote in small virtual machines; `kmsg/expected.tsv` says for each scenario what is
//! in it; `kmsg/episodes.txt` what is read from it. `UPDATE=1` writes the latter anew: review it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use reckon_model::kernel::{OomEpisode, OomScope};
use reckon_node::log::Parser;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/kmsg")
}

/// The text of each scenario of each file.
fn scenarios() -> BTreeMap<(String, String), Vec<u8>> {
    let mut scenarios = BTreeMap::new();
    for entry in fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        if !file.starts_with("linux-") {
            continue;
        }
        let text = fs::read(&path).unwrap();
        let mut name = None;
        let mut block = Vec::new();
        for line in text.split_inclusive(|byte| *byte == b'\n').chain([&b"=== SCENARIO end ::"[..]]) {
            match line.strip_prefix(b"=== SCENARIO ") {
                Some(heading) => {
                    let next = String::from_utf8_lossy(heading).split(" ::").next().unwrap().trim().to_owned();
                    if let Some(name) = name.replace(next) {
                        scenarios.insert((file.clone(), name), std::mem::take(&mut block));
                    }
                    block.clear();
                }
                None => block.extend_from_slice(line),
            }
        }
    }
    scenarios
}

fn read(bytes: &[u8]) -> Vec<OomEpisode> {
    let mut parser = Parser::new(None);
    parser.feed(bytes);
    parser.finish();
    parser.episodes()
}

/// Each once, in the order in which they first come.
fn distinct(names: impl Iterator<Item = String>) -> String {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    if seen.is_empty() { "-".to_owned() } else { seen.join("|") }
}

fn or_dash(value: Option<u64>) -> String {
    value.map_or("-".to_owned(), |value| value.to_string())
}

#[test]
fn recorded_reports_are_read_as_the_oracle_says() {
    let scenarios = scenarios();
    let oracle = fs::read_to_string(directory().join("expected.tsv")).unwrap();
    let mut wrong = String::new();
    let mut rows = 0;
    for row in oracle.lines().skip(1) {
        let row: Vec<&str> = row.split('\t').collect();
        let [file, scenario, _, constraint, scope, invokers, victims, invoked, _, _, pids, suppressed, usage, limit] =
            row[..]
        else {
            panic!("{row:?}")
        };
        rows += 1;
        let episodes = read(&scenarios[&(file.to_owned(), scenario.to_owned())]);
        let first = |of: fn(&OomEpisode) -> Option<String>| episodes.iter().find_map(of).unwrap_or("-".to_owned());
        let word = |scope: OomScope| if scope == OomScope::Memcg { "memcg" } else { "global" }.to_owned();
        let mut got = [
            ("constraint", first(|episode| episode.constraint.clone())),
            ("scope", episodes.iter().find_map(|episode| episode.scope.map(word)).unwrap_or("-".to_owned())),
            ("invokers", distinct(episodes.iter().filter_map(|episode| episode.invoker.clone()))),
            (
                "victims",
                distinct(episodes.iter().flat_map(|episode| &episode.victims).map(|victim| victim.comm.clone())),
            ),
            ("invoked", episodes.iter().filter(|episode| episode.invoker.is_some()).count().to_string()),
            (
                "pids",
                episodes
                    .iter()
                    .flat_map(|episode| &episode.victims)
                    .map(|victim| victim.pid)
                    .collect::<BTreeSet<_>>()
                    .len()
                    .to_string(),
            ),
            ("suppressed", episodes.iter().map(|episode| episode.suppressed).sum::<u64>().to_string()),
            ("usage", or_dash(episodes.iter().find_map(|episode| episode.usage_kib))),
            ("limit", or_dash(episodes.iter().find_map(|episode| episode.limit_kib))),
        ];
        let mut expected: Vec<String> =
            [constraint, scope, invokers, victims, invoked, pids, suppressed, usage, limit].map(str::to_owned).into();
        // Where the oracle's regular expressions see less than there is.
        match scenario {
            // A name with a tab and a line break.
            "v2-odd-comm" => {
                expected[3] = "a,pid=1 (x) b|kworker/0:1|tab\tnl|café".to_owned();
                expected[5] = "4".to_owned();
            }
            "v2-raw-kmsg" => {
                expected[2] = "a\tb\nc".to_owned();
                expected[3] = "a\tb\nc".to_owned();
                expected[4] = "1".to_owned();
            }
            // Nobody is killed, so there is no summary; the statistics are of a cgroup all the same.
            "v2-unkillable" => expected[1] = "memcg".to_owned(),
            _ => {}
        }
        for ((what, got), expected) in got.iter_mut().zip(expected) {
            if *got != expected {
                let _ = writeln!(wrong, "{file} {scenario}: {what} is {got:?}, not {expected:?}");
            }
        }
    }
    assert!(rows >= 60, "{rows}");
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn recorded_reports_are_read_as_written_down() {
    let mut out = String::new();
    for ((file, scenario), bytes) in scenarios() {
        let _ = writeln!(out, "{file} {scenario}");
        for episode in read(&bytes) {
            let _ = writeln!(out, "  {}", serde_json::to_string(&episode).unwrap());
        }
    }
    let path = directory().join("episodes.txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &out).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap_or_default() == out, "UPDATE=1 writes {} anew", path.display());
}

#[test]
fn where_the_bytes_are_cut_changes_nothing() {
    for ((file, scenario), bytes) in scenarios() {
        let whole = read(&bytes);
        for size in [1, 7, 4096] {
            let mut parser = Parser::new(None);
            bytes.chunks(size).for_each(|chunk| parser.feed(chunk));
            parser.finish();
            assert_eq!(parser.episodes(), whole, "{file} {scenario} by {size}");
        }
    }
}
