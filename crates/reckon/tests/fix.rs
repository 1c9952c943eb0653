//! `reckon fix` against the demonstration: what it would do, what it does, and what it refuses.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use reckon_demo::Demo;
use reckon_model::SignedDuration;
use reckon_sim::Listener;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// The company at the end of its story, by HTTP through a kubeconfig as for everybody.
struct Company {
    demo: Demo,
    _listener: Listener,
    directory: tempfile::TempDir,
}

impl Company {
    async fn new() -> Company {
        let mut demo = Demo::new(1, "2026-05-04T09:00:00Z".parse().unwrap());
        let listener = Listener::bind(demo.server().clone(), 0).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("kubeconfig"), listener.kubeconfig(None)).unwrap();
        demo.advance_to(demo.begin() + Demo::length());
        Company { demo, _listener: listener, directory }
    }

    fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    async fn run(&self, words: &str) -> Output {
        let (kubeconfig, words) = (self.kubeconfig(), words.to_owned());
        let running = tokio::task::spawn_blocking(move || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_reckon"));
            command.args(words.split(' ')).arg("--kubeconfig").arg(kubeconfig);
            command.env_remove("KUBECONFIG").stdin(Stdio::null()).output().unwrap()
        });
        running.await.unwrap()
    }

    async fn json(&self, words: &str) -> Value {
        let output = self.run(&format!("{words} -o json")).await;
        assert_eq!(output.status.code(), Some(0), "{words}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The open problem about a workload.
    async fn problem(&self, name: &str) -> Option<Value> {
        let answer = self.json("problems -A").await;
        let about = |problem: &&Value| problem["subject"]["name"] == name && problem["closed"].is_null();
        answer["problems"].as_array().unwrap().iter().find(about).cloned()
    }

    fn later(&mut self, minutes: i64) {
        self.demo.advance_to(self.demo.begin() + Demo::length() + SignedDuration::from_mins(minutes));
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn id(problem: &Value) -> &str {
    problem["id"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_shows_the_change_and_applying_it_ends_the_problem() {
    let mut company = Company::new().await;
    let memory = company.problem("checkout").await.unwrap();
    let tried = company.json(&format!("fix {} -A", id(&memory))).await;
    assert_eq!((&tried["dryRun"], &tried["applied"]), (&Value::Bool(true), &Value::Bool(false)), "{tried}");
    let field = tried["changes"][0]["field"].as_str().unwrap();
    assert!(field.contains("resources.limits.memory"), "{tried}");
    assert_eq!(company.problem("checkout").await.unwrap()["remedies"], memory["remedies"], "nothing was changed");

    let done = company.json(&format!("fix {} -A --apply --yes", id(&memory))).await;
    assert_eq!((&done["applied"], &done["event"]), (&Value::Bool(true), &Value::Bool(true)), "{done}");
    assert_eq!(done["changes"], tried["changes"], "what was tried is what was done");

    // A roll back goes to the revision whose pods are ready.
    let image = company.problem("search").await.unwrap();
    let remedies = image["remedies"].as_array().unwrap();
    let option = remedies.iter().find(|remedy| remedy["kind"] == "roll-back").unwrap()["option"].clone();
    let done = company.json(&format!("fix {} --option {option} -A --apply -y", id(&image))).await;
    let changes = done["changes"].as_array().unwrap();
    let back = changes.iter().find(|change| change["from"] == image["cause"]["to"]);
    assert_eq!(back.unwrap()["to"], image["cause"]["from"], "{done}");

    // What has no generation, by the name of what it is about.
    let done = company.json("fix svc/reviews -n shop --apply -y").await;
    assert_eq!(done["changes"][0]["pointer"], "/spec/selector/app.kubernetes.io~1name", "{done}");

    company.later(30);
    for name in ["checkout", "search", "reviews"] {
        assert_eq!(company.problem(name).await, None, "{name} is over");
    }
    let again = company.run(&format!("fix {} -A", id(&memory))).await;
    assert_eq!(again.status.code(), Some(5), "{}", stderr(&again));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_done_is_refused_in_a_sentence_and_changes_nothing() {
    let company = Company::new().await;
    let problem = company.problem("checkout").await.unwrap();
    let known = id(&problem);
    for (words, code, says) in [
        ("fix 0000 -A".to_owned(), 5, "no open problem has the id 0000"),
        ("fix deploy/nowhere -n checkout".to_owned(), 5, "does not exist"),
        (format!("fix {known} -A --option 99"), 5, "has no option 99"),
        (format!("fix {known} -A --dry-run none"), 2, "add --apply"),
        (format!("fix {known} -A --apply"), 2, "add --yes"),
        (format!("fix {known} -n kube-system"), 5, "-A looks in all of them"),
    ] {
        let output = company.run(&words).await;
        assert_eq!(output.status.code(), Some(code), "{words}: {}", stderr(&output));
        assert!(stderr(&output).contains(says), "{words}: {}", stderr(&output));
        assert_eq!(stderr(&output).lines().count(), 1, "{words}: {}", stderr(&output));
    }
    assert_eq!(company.problem("checkout").await.unwrap()["remedies"], problem["remedies"]);
}
