//! What a real kubelet and kernel have reported is answered the same way every time, and within the contract.
//!
//! Each folder of `recordings/` is a bundle of one run on a real node, and so is each row of the memory-death matrix;
//! `recordings/answers.txt` holds what is said to them. `UPDATE=1` writes that file anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api;

use api::{command, document, stderr};
use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn recordings() -> Vec<PathBuf> {
    let of = |directory: &str| {
        let entries = std::fs::read_dir(Path::new(ROOT).join(directory)).unwrap();
        let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
        found.sort();
        found
    };
    let (recorded, matrix) = (of("tests/recordings"), of("../../testbed/harness/matrix/recordings"));
    assert!(recorded.len() >= 12 && matrix.len() >= 20, "{recorded:?} {matrix:?}");
    recorded.into_iter().chain(matrix).collect()
}

fn answer(recording: &Path) -> Value {
    let output = command(&["problems", "-A", "-o", "json", "-f", recording.to_str().unwrap()]).output().unwrap();
    assert_eq!(stderr(&output), "", "{}", recording.display());
    document(&output)
}

/// One line a problem: what fails, how, how surely, whose; and then why.
fn said(answer: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let mut out = format!("  {}: {}\n", word(&answer["answer"]), word(&answer["sentence"]));
    for problem in answer["problems"].as_array().unwrap() {
        let subject = &problem["subject"];
        let _ = writeln!(
            out,
            "  {}/{} {} {} {} {}: {}",
            word(&problem["failure"]),
            word(&problem["class"]),
            word(&problem["verdict"]),
            word(&subject["kind"]).to_lowercase(),
            word(&subject["name"]),
            word(&subject["container"]),
            word(&problem["cause"]["sentence"]),
        );
        let death = &problem["death"];
        if death.is_object() {
            let facts = death.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
            let facts: Vec<String> = facts.map(|(key, value)| format!("{key}={value}")).collect();
            let _ = writeln!(out, "    {}", facts.join(" "));
        }
    }
    out
}

#[test]
fn recordings_are_answered_as_written_down() {
    let path = Path::new(ROOT).join("tests/recordings/answers.txt");
    let mut generated = String::new();
    for recording in recordings() {
        let name = recording.file_name().unwrap().to_str().unwrap();
        let _ = write!(generated, "{name}\n{}\n", said(&answer(&recording)));
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "run with UPDATE=1 and read what changed:\n{generated}");
}

#[test]
fn every_answer_keeps_to_the_schema() {
    let schema = std::fs::read(Path::new(ROOT).join("../../docs/schema/reckon-v1.json")).unwrap();
    let schema: Value = serde_json::from_slice(&schema).unwrap();
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource("reckon.json", schema).unwrap();
    let index = compiler.compile("reckon.json", &mut schemas).unwrap();
    let mut answers: Vec<Value> = recordings().iter().map(|recording| answer(recording)).collect();
    let shop = api::a_shop();
    for args in [&["why", "deploy/checkout", "-o", "json"][..], &["problems", "-A", "-o", "json"]] {
        answers.push(document(&shop.run(args)));
    }
    assert!(answers.iter().any(|answer| !answer["problems"][0]["remedies"][0].is_null()));
    for answer in &answers {
        if let Err(error) = schemas.validate(answer, index) {
            panic!("{error:#}\n{answer:#}");
        }
    }
    // The schema is not one that takes everything.
    let mut wrong = answers.pop().unwrap();
    wrong["problems"][0]["severity"] = "dreadful".into();
    assert!(schemas.validate(&wrong, index).is_err());
}
