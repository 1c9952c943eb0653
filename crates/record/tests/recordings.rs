//! What real clusters were recorded with is taken in without a complaint; of two recordings is written down what is told.
//!
//! `UPDATE=1` writes `recordings.txt` anew: review it.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and reads files; the room does not"
)]

mod feed;

use feed::Feed;
use reckon_model::record::Entry;
use reckon_record::{Memory, Noise};
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn folders() -> Vec<PathBuf> {
    let of = |directory: &str| {
        let entries = fs::read_dir(Path::new(ROOT).join(directory)).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let mut all = of("../reckon/tests/recordings");
    all.extend(of("../../testbed/harness/matrix/recordings"));
    all.sort();
    assert!(all.len() >= 32, "{}", all.len());
    all
}

/// The objects of a recording, nodes first and Events last, as they came to be.
fn objects(folder: &Path) -> Vec<Value> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder.join("objects")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut objects: Vec<Value> = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "json")) {
        let read: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        match read["items"].as_array() {
            Some(items) => {
                let kind = read["kind"].as_str().unwrap();
                objects.extend(items.iter().cloned().map(|mut item| {
                    // The items of a typed list do not say what they are.
                    if item["kind"].is_null() {
                        item["kind"] = kind.strip_suffix("List").unwrap().into();
                        item["apiVersion"] = read["apiVersion"].clone();
                    }
                    item
                }));
            }
            None => objects.push(read),
        }
    }
    assert!(!objects.is_empty(), "{}", folder.display());
    objects.sort_by_key(|object| object["kind"] == "Event");
    objects
}

fn told(folder: &Path, noise: Noise, listed: bool) -> Vec<Entry> {
    let mut feed = if listed { Feed::with(noise) } else { Feed::starting(noise, Memory::default()) };
    feed.now = feed::at("2026-12-01T00:00:00Z");
    let mut entries = Vec::new();
    for object in objects(folder) {
        entries.extend(feed.apply(&object));
    }
    for mut object in objects(folder) {
        object["metadata"]["annotations"]["reviewed"] = "yes".into();
        object["metadata"]["resourceVersion"] = "999999999".into();
        entries.extend(feed.apply(&object));
    }
    for object in objects(folder) {
        entries.extend(feed.delete(&object));
    }
    feed.pass(3_600);
    entries.extend(feed.steps().entries);
    entries
}

#[test]
fn every_recording_is_told_of_the_same_at_each_time() {
    for folder in folders() {
        for listed in [true, false] {
            let entries = told(&folder, Noise::default(), listed);
            assert!(entries.len() >= 3, "{}", folder.display());
            assert_eq!(entries, told(&folder, Noise::default(), listed), "{}", folder.display());
            let text = serde_json::to_string(&entries).unwrap();
            assert_eq!(serde_json::from_str::<Vec<Entry>>(&text).unwrap(), entries);
        }
        told(&folder, Noise::without(reckon_record::noise::RULES.iter().map(|rule| rule.id)).unwrap(), true);
    }
}

#[test]
fn two_recordings_are_told_as_written_down() {
    let mut out = String::new();
    for name in ["cgroup2-oom-restart", "cgroup2-evict"] {
        let folder = Path::new(ROOT).join("../reckon/tests/recordings").join(name);
        let _ = writeln!(out, "{name}");
        for mut entry in told(&folder, Noise::default(), true) {
            // All of an object is told elsewhere.
            if let reckon_model::record::Fact::Change(written) = &mut entry.fact {
                written.object = None;
            }
            let _ = writeln!(out, "  {}", serde_json::to_string(&entry).unwrap());
        }
    }
    let path = Path::new(ROOT).join("tests/recordings.txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &out).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap_or_default() == out, "run with UPDATE=1 and read what changed:\n{out}");
}
