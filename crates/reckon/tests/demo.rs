//! The demonstration: the command, and that Reckon finds in its cluster what was put there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use reckon_demo::Demo;
use reckon_sim::Listener;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn reckon(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reckon"));
    command.args(args).env_remove("KUBECONFIG").stdin(Stdio::null());
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What Reckon answers, by HTTP through a kubeconfig as to everybody.
async fn ask(kubeconfig: &Path, args: Vec<String>) -> Value {
    let kubeconfig = kubeconfig.to_owned();
    let asking = tokio::task::spawn_blocking(move || {
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        reckon(&words).args(["-o", "json", "--kubeconfig"]).arg(kubeconfig).output().unwrap()
    });
    let output = asking.await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// Each problem in a line: its failure, where it shows, how sure it is, who is to blame and for what.
fn told(answer: &Value) -> Vec<String> {
    let problems = answer["problems"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let line = |problem: &Value| {
        let cause = &problem["cause"];
        format!(
            "{} {}/{} {} {} {} {}",
            text(&problem["failure"]),
            text(&problem["subject"]["kind"]),
            text(&problem["subject"]["name"]),
            text(&problem["verdict"]),
            text(&cause["kind"]),
            text(&cause["field"]),
            text(&cause["actor"]["manager"]),
        )
    };
    problems.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_incident_is_diagnosed_and_nothing_else() {
    let mut demo = Demo::new(1, "2026-05-04T09:00:00Z".parse().unwrap());
    let listener = Listener::bind(demo.server().clone(), 0).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    std::fs::write(&kubeconfig, listener.kubeconfig(None)).unwrap();
    let all = || words("problems -A");
    let before = told(&ask(&kubeconfig, all()).await);
    assert_eq!(before, ["memory-growing Deployment/image-resizer likely application - -"], "all else is well");
    for incident in demo.incidents().to_vec() {
        demo.advance_to(demo.begin() + incident.after + incident.shows);
        let answer = ask(&kubeconfig, words(&format!("why {}", incident.question()))).await;
        let found = told(&answer);
        assert!(
            found.iter().any(|line| line.split(' ').next() == Some(incident.failure)),
            "{}: {} is not among {found:#?}",
            incident.question(),
            incident.failure
        );
    }
    demo.advance_to(demo.begin() + Demo::length());
    let answer = ask(&kubeconfig, all()).await;
    let mut found = told(&answer);
    found.sort();
    // An Ingress that is asked about brings what ails the pods behind it, with all that is fetched for that.
    let mut routes = 0;
    for problem in answer["problems"].as_array().unwrap() {
        for route in problem["impact"]["routes"].as_array().unwrap() {
            let [kind, name, namespace] = ["kind", "name", "namespace"].map(|key| route[key].as_str().unwrap());
            let about = ask(&kubeconfig, words(&format!("why {kind}/{name} -n {namespace}"))).await;
            let ids: Vec<&Value> = about["problems"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
            assert!(ids.contains(&&problem["id"]), "{kind}/{name}: {} is not among {ids:?}", problem["id"]);
            routes += 1;
        }
    }
    assert!(routes > 0, "no incident is met from outside");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/demo.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, found.join("\n") + "\n").unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(found, expected.lines().collect::<Vec<_>>(), "{}", found.join("\n"));
}

/// A demonstration that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts one and waits until it says where it is.
    fn start(args: &[&str]) -> (Running, BufReader<std::process::ChildStdout>, String) {
        let child = reckon(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut running = Running(child);
        let mut lines = BufReader::new(running.0.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains("export KUBECONFIG=") {
            assert_ne!(lines.read_line(&mut text).unwrap(), 0, "{text}");
        }
        (running, lines, text)
    }

    #[cfg(unix)]
    fn end(mut self, signal: &str) -> Option<i32> {
        Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        self.0.wait().unwrap().code()
    }
}

#[cfg(unix)]
#[test]
fn it_runs_until_it_is_ended_and_others_can_ask_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let (running, _lines, text) = Running::start(&["demo", "--speed", "1"]);
    let path = text.split("export KUBECONFIG=").nth(1).unwrap().lines().next().unwrap().to_owned();
    assert!(Path::new(&path).exists());
    let output = reckon(&["problems", "-A", "--kubeconfig", &path]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(running.end("-INT"), Some(130));
    assert!(!Path::new(&path).exists(), "the temporary kubeconfig goes");

    let named = directory.path().join("kubeconfig");
    let (running, _lines, _) = Running::start(&["demo", "--speed", "1", "--kubeconfig-out", named.to_str().unwrap()]);
    let output = reckon(&["version", "--kubeconfig", named.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(running.end("-TERM"), Some(0));
    assert!(named.exists(), "the one that was named stays");
}

#[test]
fn bad_input_is_refused_in_a_sentence() {
    for (args, code) in [
        (&["demo", "--port", "65536"][..], 2),
        (&["demo", "--speed", "0"], 2),
        (&["demo", "--seed", "-1"], 2),
        (&["demo", "--kubeconfig-out", "/"], 6),
        (&["demo", "--kubeconfig-out", "/nowhere/at/all"], 6),
    ] {
        let output = reckon(args).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?} {}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
    let directory = tempfile::tempdir().unwrap();
    let foreign = directory.path().join("config");
    std::fs::write(&foreign, "apiVersion: v1\nkind: Config\n").unwrap();
    let output = reckon(&["demo", "--kubeconfig-out", foreign.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(&foreign).unwrap(), "apiVersion: v1\nkind: Config\n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = reckon(&["demo", "--port", &port]).output().unwrap();
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    assert!(stderr(&output).contains(&port), "{}", stderr(&output));
}
