//! That this room is a pure function of its inputs: its sources name nothing that is not.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test reads the sources; the room does no I/O")]

use std::fs;
use std::path::{Path, PathBuf};

/// What reads the world, or would make an answer depend on when, where or in which order it is given.
const FORBIDDEN: [(&str, &str); 16] = [
    ("std::fs", "reads files"),
    ("std::net", "talks to the network"),
    ("std::process", "runs programs"),
    ("std::thread", "runs beside itself"),
    ("std::io", "does I/O"),
    ("std::env", "reads the environment"),
    ("SystemTime", "reads the clock"),
    ("Instant", "reads the clock"),
    ("Timestamp::now", "reads the clock"),
    ("Zoned::now", "reads the clock"),
    ("TimeZone::system", "depends on the machine"),
    ("HashMap", "has a random order"),
    ("HashSet", "has a random order"),
    ("async fn", "waits"),
    (".await", "waits"),
    ("thread_local!", "keeps state"),
];

/// State that outlives a call.
const STATICS: [&str; 5] = ["static mut", "OnceLock", "LazyLock", "Mutex<", "Atomic"];

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A source without its comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn no_source_reads_a_clock_the_network_files_or_the_environment() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let sources = sources(&root);
    assert!(sources.len() > 20, "the sources were not found");
    let mut faults = Vec::new();
    for path in &sources {
        let code = code(path);
        let name = path.strip_prefix(&root).unwrap().display();
        let words = FORBIDDEN.iter().filter(|(word, _)| code.contains(word));
        faults.extend(words.map(|(word, why)| format!("{name}: {word} {why}")));
        faults.extend(
            STATICS.iter().filter(|word| code.contains(**word)).map(|word| format!("{name}: {word} keeps state")),
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn it_depends_on_the_vocabulary_and_on_nothing_that_does_io() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let (_, rest) = manifest.split_once("[dependencies]\n").unwrap();
    let section = rest.split("\n[").next().unwrap();
    let names: Vec<&str> =
        section.lines().filter_map(|line| line.split(['.', ' ', '=']).next()).filter(|name| !name.is_empty()).collect();
    assert_eq!(names, ["jiff", "reckon-model", "serde", "serde_json"], "a new dependency must be as pure as these");
}

#[test]
fn a_source_is_short_enough_to_be_read_at_once() {
    // A few hundred lines; what grows beyond is split by what it holds.
    const LINES: usize = 600;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in sources(&root) {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= LINES, "{} has {lines} lines", path.display());
    }
}
