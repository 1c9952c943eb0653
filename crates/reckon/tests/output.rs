//! What is printed where: help, colour, formats, following, interruption.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod api;

use api::{Api, Say, command, document, shop, stderr};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

fn stdout(args: &[&str]) -> String {
    String::from_utf8(command(args).output().unwrap().stdout).unwrap()
}

#[test]
fn as_a_plugin_of_kubectl_the_help_speaks_of_kubectl() {
    let directory = tempfile::tempdir().unwrap();
    let plugin = directory.path().join("kubectl-reckon");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_reckon"), &plugin).unwrap();
        let output = std::process::Command::new(&plugin).args(["why", "--help"]).output().unwrap();
        assert!(String::from_utf8(output.stdout).unwrap().contains("Usage: kubectl reckon why"));
    }
    assert!(stdout(&["why", "--help"]).contains("Usage: reckon why"));
}

#[test]
fn the_help_lists_no_command_that_is_not_built() {
    let help = stdout(&["--help"]);
    for built in [
        "why",
        "problems",
        "timeline",
        "diff",
        "explain",
        "fix",
        "capture",
        "doctor",
        "serve",
        "agent",
        "demo",
        "node",
        "version",
        "completion",
    ] {
        assert!(help.contains(&format!("\n  {built} ")), "{built}");
    }
    for planned in ["logs", "mcp", "map", "top", "can"] {
        assert!(!help.contains(&format!("\n  {planned} ")), "{planned}");
        assert_eq!(command(&[planned]).output().unwrap().status.code(), Some(2), "{planned}");
    }
}

#[test]
fn every_shell_gets_a_completion_script() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(stdout(&["completion", shell]).contains("problems"), "{shell}");
    }
}

#[test]
fn explain_lists_prints_and_suggests() {
    assert!(stdout(&["explain"]).lines().any(|line| line == "oom-killed"));
    assert!(stdout(&["explain", "OOMKilled"]).contains("What it means"));
    assert!(!stdout(&["explain", "oom-killed"]).contains("Scenario"));
    assert!(stdout(&["explain", "137"]).contains("137"));
    let output = command(&["explain", "oom-kiled"]).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(stderr(&output).contains("oom-killed"));
}

#[test]
fn the_version_needs_no_cluster() {
    assert!(stdout(&["version", "--client"]).starts_with("reckon "));
    let api = Api::new();
    let version = document(&api.run(&["version", "-o", "json"]));
    assert_eq!(version["serverVersion"], "v1.37.0");
    assert_eq!(command(&["version"]).output().unwrap().status.code(), Some(0));
}

#[test]
fn nothing_is_coloured_off_a_terminal_unless_it_is_asked_for() {
    let api = Api::new();
    shop(&api);
    let coloured = |args: &[&str]| api.run(args).stdout.contains(&0x1b);
    assert!(!coloured(&["problems"]));
    assert!(coloured(&["problems", "--color", "always"]));
    assert!(!coloured(&["problems", "--color", "never"]));
    assert!(!coloured(&["problems", "--color", "always", "-o", "json"]));
}

#[test]
fn data_goes_to_standard_output_and_nothing_else_does() {
    let api = Api::new();
    shop(&api);
    let output = api.run(&["why", "deploy/checkout"]);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(stderr(&output), "");
    for part in ["CRITICAL", "CAUSE (", "EVIDENCE (UTC)", "E1", "next: "] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(text.lines().all(|line| line.trim_end() == line), "{text}");
}

#[test]
fn json_is_the_contract_and_yaml_is_the_same() {
    let api = Api::new();
    shop(&api);
    let mut json = document(&api.run(&["why", "deploy/checkout", "-o", "json"]));
    let yaml = api.run(&["why", "deploy/checkout", "-o", "yaml"]).stdout;
    let mut yaml: Value = serde_saphyr::from_slice(&yaml).unwrap();
    json["asOf"].take();
    yaml["asOf"].take();
    assert_eq!(json, yaml);
    assert_eq!((json["apiVersion"].as_str(), json["kind"].as_str()), (Some("reckon/v1"), Some("ProblemList")));
    assert_eq!(String::from_utf8(api.run(&["problems", "-o", "name"]).stdout).unwrap(), "deployment.apps/checkout\n");
}

#[test]
fn a_credential_in_a_log_reaches_no_output() {
    let api = Api::new();
    shop(&api);
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().join("b");
    assert_eq!(api.run(&["capture", "deploy/checkout", "-o", bundle.to_str().unwrap()]).status.code(), Some(0));
    let mut queue = vec![bundle];
    while let Some(path) = queue.pop() {
        if path.is_dir() {
            queue.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            assert!(!std::fs::read_to_string(&path).unwrap().contains("hunter2"), "{path:?}");
        }
    }
    for format in ["human", "json", "yaml"] {
        let output = api.run(&["why", "deploy/checkout", "-o", format]);
        assert!(!String::from_utf8(output.stdout).unwrap().contains("hunter2"), "{format}");
    }
}

struct Following(Child);

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn following_prints_a_problem_as_it_opens_and_an_interrupt_ends_with_130() {
    let api = Api::new();
    shop(&api);
    // Lists answer; watches hang, as they do while nothing happens.
    let child = command(&["problems", "-w", "-o", "json"])
        .env("KUBECONFIG", api.kubeconfig())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut following = Following(child);
    let mut line = String::new();
    BufReader::new(following.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let document: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(document["problems"][0]["failure"], "oom-killed");
    #[cfg(unix)]
    {
        let pid = following.0.id().to_string();
        std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
        assert_eq!(following.0.wait().unwrap().code(), Some(130));
    }
}

#[test]
fn problems_are_selected_by_labels_and_fields() {
    let api = Api::new();
    shop(&api);
    let names = |args: &[&str]| {
        let output = api.run(&[&["problems", "-o", "name"], args].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    for fits in [
        &["-l", "app=checkout"][..],
        &["-l", "app in (checkout),!old"],
        &["--field-selector", "metadata.name=checkout"],
    ] {
        assert_eq!(names(fits), "deployment.apps/checkout\n", "{fits:?}");
    }
    for does_not in
        [&["-l", "app=web"][..], &["-l", "app!=checkout,app"], &["--field-selector", "metadata.name!=checkout"]]
    {
        assert_eq!(names(does_not), "", "{does_not:?}");
    }
    assert_eq!(api.run(&["problems", "-l", "a b"]).status.code(), Some(2));
    assert_eq!(api.run(&["problems", "--field-selector", "status.phase=Failed"]).status.code(), Some(2));
}

#[test]
fn a_template_takes_what_it_names() {
    let api = Api::new();
    shop(&api);
    let template = "jsonpath={range .problems[*]}{.failure} {.subject.name}{\"\\n\"}{end}";
    assert_eq!(api.run(&["problems", "-o", template]).stdout, b"oom-killed checkout\n");
    let output = api.run(&["problems", "-o", "jsonpath={.problems[}"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("no path"), "{}", stderr(&output));
}

#[test]
fn what_is_left_out_by_a_filter_is_said() {
    let api = Api::new();
    shop(&api);
    let output = api.run(&["problems", "--since", "1m"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("No problem fits the flags given; 1 other problem not shown"), "{text}");
    assert_eq!(api.run(&["problems", "--since", "1m", "--exit-code"]).status.code(), Some(0));
    assert_eq!(
        document(&api.run(&["problems", "--severity", "critical", "-o", "json"]))["problems"].as_array().unwrap().len(),
        1
    );
    api.say("/version", Say::Json(json!({"gitVersion": "v1.37.0"})));
}
