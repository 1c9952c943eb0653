//! What `reckon fix --apply` can do was done on a real cluster, and ended the problem.

use crate::{REPLAYED, Replayed};
use reckon_testbed::{Step, open, root};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Kinds of remedies that are told and never carried out.
const TOLD_ONLY: &[&str] = &["create", "delete", "outside"];

/// What a remedy needs a patch for, or it is only told, too.
const PATCHED: &[&str] = &["patch", "set-resources", "scale"];

#[test]
fn each_kind_of_remedy_that_can_be_applied_repairs_a_case() {
    let mut applied: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for one in REPLAYED.iter() {
        for step in &one.case.repair {
            if let Step::Fix(line) = step {
                let kind = kind(one, line).unwrap_or_else(|| panic!("{}: fix {line}: no such remedy", one.case.name));
                applied.entry(kind).or_default().push(&one.case.name);
            }
        }
    }
    let known = kinds();
    let expected: BTreeSet<&str> = known.iter().map(String::as_str).filter(|kind| !TOLD_ONLY.contains(kind)).collect();
    let applied_kinds: BTreeSet<&str> = applied.keys().map(String::as_str).collect();
    assert_eq!(applied_kinds, expected, "{applied:?}");
}

/// Every kind that the program can tell, as it says itself.
fn kinds() -> BTreeSet<String> {
    let schema = fs::read_to_string(root().join("docs/schema/reckon-v1.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let kinds = schema["$defs"]["RemedyKind"]["oneOf"].as_array().unwrap().iter();
    let kinds: BTreeSet<String> = kinds.map(|kind| kind["const"].as_str().unwrap().to_owned()).collect();
    assert!(TOLD_ONLY.iter().chain(PATCHED).all(|kind| kinds.contains(*kind)), "{kinds:?}");
    kinds
}

/// The kind of remedy that a `fix` of a case carries out: the option that it names, or the first that can be.
fn kind(one: &Replayed, line: &str) -> Option<String> {
    let mut words = line.split(' ');
    let (kind, name) = words.next()?.split_once('/')?;
    let option = words.skip_while(|word| *word != "--option").nth(1);
    let problems = open(&one.document);
    let about = |problem: &&&Value| {
        let subject = &problem["subject"];
        subject["name"] == name && subject["kind"].as_str().is_some_and(|is| is.eq_ignore_ascii_case(kind))
    };
    let problem = problems.iter().find(about).or(problems.first())?;
    let mut remedies = problem["remedies"].as_array()?.iter();
    let remedy = remedies.find(|remedy| match option {
        Some(option) => remedy["option"].as_u64() == option.parse().ok(),
        None => {
            let kind = remedy["kind"].as_str().unwrap_or_default();
            !TOLD_ONLY.contains(&kind) && (!PATCHED.contains(&kind) || !remedy["patch"].is_null())
        }
    })?;
    remedy["kind"].as_str().map(str::to_owned)
}
