//! The past of the demonstration's incidents, as people read it: `demo-past.txt` holds it. `UPDATE=1` writes it anew.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use reckon_demo::Demo;
use reckon_sim::Listener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

async fn ask(kubeconfig: &Path, line: String) -> Output {
    let kubeconfig = kubeconfig.to_owned();
    let asking = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reckon"));
        command.args(line.split(' ')).arg("--kubeconfig").arg(kubeconfig).env_remove("KUBECONFIG").stdin(Stdio::null());
        command.output().unwrap()
    });
    asking.await.unwrap()
}

/// What does not depend on the moment of the question: all but ages, and what is said below the answer.
fn lasting(text: &str) -> String {
    let lines = text.split("\n\n").next().unwrap().lines();
    lines
        .filter(|line| !line.starts_with("--- ") && !line.starts_with("+++ "))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_of_every_incident_is_told_as_written_down() {
    let mut demo = Demo::new(1, "2026-05-04T09:00:00Z".parse().unwrap());
    let listener = Listener::bind(demo.server().clone(), 0).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    std::fs::write(&kubeconfig, listener.kubeconfig(None)).unwrap();
    demo.advance_to(demo.begin() + Demo::length());
    let mut told = String::new();
    let mut questions: Vec<String> = demo.incidents().iter().map(|it| format!("timeline {}", it.question())).collect();
    questions.extend(
        [
            "diff deployment/checkout -n shop",
            "diff deployment/checkout -n shop --rev 1",
            "diff deployment/checkout -n shop --helm --rev 12..13",
            "diff deployment/search -n shop --at 2026-05-04T09:00:00Z..2026-05-04T09:30:00Z",
            "diff configmap/ledger-config -n payments --at 2026-05-04T09:00:00Z..2026-05-04T09:30:00Z",
            "diff deployment/storefront -n shop --rev 99",
        ]
        .map(str::to_owned),
    );
    for question in questions {
        let output = ask(&kubeconfig, question.clone()).await;
        let (text, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        let code = output.status.code().unwrap();
        told.push_str(&format!("$ reckon {question}\n{}{said}exit {code}\n\n", lasting(&text)));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/demo-past.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &told).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(told == expected, "run with UPDATE=1 and read what changed:\n{told}");
}
