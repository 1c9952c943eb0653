//! The rooms depend on each other in one direction, `detect` on next to nothing, and none of them on one operating system.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// What each room may use of the others. A new room gets a line here.
const ROOMS: &[(&str, &[&str])] = &[
    ("reckon-model", &[]),
    ("reckon-detect", &["reckon-model"]),
    ("reckon-record", &["reckon-model", "reckon-detect"]),
    ("reckon-cluster", &["reckon-model"]),
    ("reckon-node", &["reckon-model"]),
    ("reckon-sim", &["reckon-model"]),
    ("reckon-demo", &["reckon-model", "reckon-sim"]),
    ("reckon-server", &["reckon-model", "reckon-store"]),
    ("reckon-store", &["reckon-model"]),
    ("reckon-agent", &["reckon-model"]),
    (
        "reckon",
        &[
            "reckon-agent",
            "reckon-cluster",
            "reckon-demo",
            "reckon-detect",
            "reckon-model",
            "reckon-node",
            "reckon-record",
            "reckon-server",
            "reckon-sim",
            "reckon-store",
        ],
    ),
    // Knows the program only by its output.
    ("reckon-testbed", &[]),
    // Counts what the hot path costs.
    ("reckon-instructions", &["reckon-model", "reckon-detect", "reckon-cluster", "reckon-sim"]),
];

/// What a room may use in its tests alone.
const IN_TESTS: &[(&str, &str)] = &[("reckon-cluster", "reckon-sim"), ("reckon-record", "reckon-sim")];

/// The pure rooms, and all that they may use.
const PURE: &[(&str, &[&str])] = &[
    ("reckon-detect", &["jiff", "reckon-model", "serde", "serde_json"]),
    ("reckon-record", &["jiff", "reckon-detect", "reckon-model", "serde", "serde_json", "thiserror"]),
];

/// Rooms that are about Linux.
const LINUX: &[&str] = &["crates/node"];

/// The dependencies of each package of the workspace: all, and those that are not only for tests.
fn dependencies() -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--no-deps"])
        .current_dir(ROOT)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let all = package["dependencies"].as_array().unwrap();
            let shipped = all.iter().filter(|dependency| dependency["kind"] != "dev");
            (name(package), (all.iter().map(name).collect(), shipped.map(name).collect()))
        })
        .collect()
}

#[test]
fn dependencies_go_one_way() {
    let found = dependencies();
    let rooms: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    for (package, (all, shipped)) in &found {
        let may = rooms.get(package.as_str()).unwrap_or_else(|| panic!("{package} is a new room: say what it may use"));
        for dependency in all.iter().filter(|name| found.contains_key(*name)) {
            let in_tests = !shipped.contains(dependency) && IN_TESTS.contains(&(package, dependency));
            assert!(in_tests || may.contains(&dependency.as_str()), "{package} must not depend on {dependency}");
        }
    }
}

#[test]
fn the_pure_rooms_have_nothing_to_do_input_or_output_with() {
    let found = dependencies();
    for (room, may) in PURE {
        let (_, shipped) = &found[*room];
        assert!(shipped.iter().all(|name| may.contains(&name.as_str())), "{room}: {shipped:?}");
    }
}

#[test]
fn only_the_rooms_about_linux_know_linux() {
    let mut wrong = Vec::new();
    for file in sources(&Path::new(ROOT).join("crates")) {
        let relative = file.strip_prefix(ROOT).unwrap().display().to_string();
        // What measures asks the machine what it took, and is no part of the program.
        let tests = relative.contains("/tests/")
            || relative.contains("/benches/")
            || relative.ends_with("_tests.rs")
            || relative.ends_with("/tests.rs");
        if tests || LINUX.iter().any(|room| relative.starts_with(room)) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
        for (number, line) in shipped.lines().enumerate() {
            // A default of the API in every pod, whatever its node runs.
            let code = line.split("//").next().unwrap_or("").replace("/dev/termination-log", "");
            let linux = ["target_os = \"linux\"", "libc::", "std::os::linux", "\"/proc/", "\"/sys/", "\"/dev/"];
            if linux.iter().any(|word| code.contains(word)) {
                wrong.push(format!("{relative}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}
