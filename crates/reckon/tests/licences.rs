//! Every package that the lock file names may be used under a licence of `deny.toml`, comes from the registry or from here,
//! and is none of those that are banned there.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

#[test]
fn every_package_is_allowed() {
    let rules = fs::read_to_string(Path::new(ROOT).join("deny.toml")).unwrap();
    let allowed = texts_after(&rules, "allow = [");
    let banned = texts_after(&rules, "deny = [");
    assert!(allowed.contains(&"MIT") && banned.contains(&"openssl"), "deny.toml is not read as it is meant");

    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(ROOT)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50);
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        match package["license"].as_str() {
            Some(expression) if satisfied(expression, &allowed) => {}
            licence => wrong.push(format!("{name}: licence {licence:?}")),
        }
        if package["source"].as_str().is_some_and(|source| !source.contains("crates.io")) {
            wrong.push(format!("{name}: from {}", package["source"]));
        }
        if banned.contains(&name) {
            wrong.push(format!("{name}: banned"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The texts in quotes from `start` to the bracket that closes it.
fn texts_after<'a>(rules: &'a str, start: &str) -> Vec<&'a str> {
    let after = rules.lines().skip_while(|line| !line.starts_with(start)).take_while(|line| *line != "]");
    let list: Vec<&str> = match after.clone().next() {
        Some(line) if line.ends_with(']') => vec![line],
        _ => after.collect(),
    };
    list.iter().flat_map(|line| line.split('"').skip(1).step_by(2)).collect()
}

/// Whether an SPDX expression can be met by what is allowed. `/` is the old way to write OR.
fn satisfied(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any(&mut rest, allowed) && rest.is_empty()
}

fn any(words: &mut &[&str], allowed: &[&str]) -> bool {
    let mut met = both(words, allowed);
    while take(words, "OR") {
        met |= both(words, allowed);
    }
    met
}

fn both(words: &mut &[&str], allowed: &[&str]) -> bool {
    let mut met = one(words, allowed);
    while take(words, "AND") {
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut &[&str], allowed: &[&str]) -> bool {
    if take(words, "(") {
        return any(words, allowed) && take(words, ")");
    }
    let Some((name, rest)) = words.split_first() else { return false };
    *words = rest;
    if take(words, "WITH") {
        let Some((exception, rest)) = words.split_first() else { return false };
        *words = rest;
        return allowed.contains(&format!("{name} WITH {exception}").as_str());
    }
    allowed.contains(name)
}

fn take(words: &mut &[&str], word: &str) -> bool {
    match words.split_first() {
        Some((first, rest)) if *first == word => {
            *words = rest;
            true
        }
        _ => false,
    }
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"];
    for met in ["MIT", "MIT OR GPL-3.0", "GPL-3.0/MIT", "(GPL-3.0 OR MIT) AND ISC", "Apache-2.0 WITH LLVM-exception"] {
        assert!(satisfied(met, &allowed), "{met}");
    }
    for unmet in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0", "Apache-2.0", "(MIT", "MIT ISC"] {
        assert!(!satisfied(unmet, &allowed), "{unmet}");
    }
}
