//! Bad files and arguments: one clear sentence, the right exit code, and what can be read is still used. Run within 128 MiB
//! by `make test` (`scripts/within-memory`).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api;

use api::{command, stderr};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

fn reckon(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// One sentence, not a stack of causes.
fn one_line(output: &Output) -> String {
    let text = stderr(output);
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}

fn pod(name: &str) -> String {
    format!(
        r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{name}","namespace":"shop","uid":"u-{name}","creationTimestamp":"2026-01-01T00:00:00Z"}},"spec":{{"containers":[{{"name":"app","image":"a:1"}}]}},"status":{{"phase":"Running","conditions":[{{"type":"Ready","status":"True","lastTransitionTime":"2026-01-01T00:00:05Z"}}]}}}}"#
    )
}

fn in_directory(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    directory
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn without_a_kubeconfig_it_says_where_it_looked_and_exits_2() {
    let output = reckon(&["problems"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(one_line(&output).contains("kubeconfig"));
}

#[test]
fn an_unknown_context_is_a_usage_error_that_names_the_contexts_there_are() {
    let directory = in_directory(&[(
        "config",
        b"apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\nusers: [{name: u, user: {}}]\ncontexts: [{name: a, context: {cluster: c, user: u}}]\n",
    )]);
    let config = directory.path().join("config");
    let output = reckon(&["problems", "--kubeconfig", text(&config), "--context", "b"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(one_line(&output).contains('a'));
    let output = reckon(&["problems", "--kubeconfig", text(&config)]);
    assert_eq!(output.status.code(), Some(3), "nothing listens there: {}", stderr(&output));
    assert!(one_line(&output).contains("127.0.0.1:1"));
}

#[test]
fn a_usage_error_exits_2_and_help_exits_0() {
    assert_eq!(reckon(&["why"]).status.code(), Some(2));
    assert_eq!(reckon(&["why", "checkout", "-f", "/dev/null"]).status.code(), Some(2));
    assert_eq!(reckon(&["problems", "--since", "yesterday"]).status.code(), Some(2));
    assert_eq!(reckon(&["--help"]).status.code(), Some(0));
}

#[test]
fn a_target_that_is_not_in_the_bundle_exits_5_and_names_a_near_one() {
    let directory = in_directory(&[("pods.json", pod("checkout").as_bytes())]);
    let output = reckon(&["why", "pod/chekout", "-n", "shop", "-f", text(directory.path())]);
    assert_eq!(output.status.code(), Some(5));
    assert!(one_line(&output).contains("pod/checkout"));
}

#[test]
fn an_unreadable_file_costs_that_file_alone() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let directory = in_directory(&[
        ("objects/a.json", pod("a").as_bytes()),
        ("objects/broken.json", b"{\"kind\": \"Pod\",\n \"metadata\": oops}"),
        ("objects/deep.json", deep.as_bytes()),
        ("objects/latin.yaml", b"kind: Pod\nmetadata: {name: \xff}\n"),
        ("objects/shape.json", br#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"containers":7}}"#),
    ]);
    let output = reckon(&["why", "pod/a", "-n", "shop", "-f", text(directory.path()), "-o", "json"]);
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["answer"], "undetermined");
    let warnings = stderr(&output);
    for name in ["broken.json:2", "deep.json", "latin.yaml:2", "shape.json"] {
        assert_eq!(warnings.lines().filter(|line| line.contains(name)).count(), 1, "{name} in {warnings}");
    }
}

#[test]
fn what_could_not_be_read_is_not_said_to_be_absent() {
    let mut wants: Value = serde_json::from_str(&pod("web")).unwrap();
    wants["spec"]["nodeName"] = "n1".into();
    wants["spec"]["containers"][0]["envFrom"] = serde_json::json!([{"configMapRef": {"name": "settings"}}]);
    wants["status"] = serde_json::json!({"phase": "Pending", "startTime": "2026-01-01T00:00:01Z", "containerStatuses": [{"name": "app", "image": "a", "imageID": "",
        "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "CreateContainerConfigError", "message": "configmap \"settings\" not found"}}}]});
    let configs = br#"{"apiVersion":"v1","kind":"ConfigMapList","items":[
        {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"setings","namespace":"shop"}},
        {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","namespace":"shop"},"data":7}]}"#;
    let directory =
        in_directory(&[("objects/pods.json", wants.to_string().as_bytes()), ("objects/configmaps.json", configs)]);
    let output = reckon(&["problems", "-A", "-f", text(directory.path()), "-o", "json"]);
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    for problem in document["problems"].as_array().unwrap() {
        assert_ne!(problem["verdict"], "confirmed", "{problem:#}");
        assert!(!problem["evidence"].to_string().contains("there is no ConfigMap"), "{problem:#}");
    }
}

#[test]
fn an_owner_that_owns_itself_ends_nothing_but_itself() {
    let owner = r#"[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"a","uid":"u","controller":true}]"#;
    let set = format!(
        r#"{{"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{{"name":"a","namespace":"shop","uid":"u","ownerReferences":{owner}}},"spec":{{"replicas":1}}}}"#
    );
    let directory = in_directory(&[("objects/a.json", set.as_bytes()), ("objects/b.json", pod("b").as_bytes())]);
    assert_eq!(reckon(&["problems", "-A", "-f", text(directory.path())]).status.code(), Some(0));
    assert_eq!(reckon(&["why", "rs/a", "-n", "shop", "-f", text(directory.path())]).status.code(), Some(0));
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let directory = in_directory(&[("objects/bomb.yaml", bomb.as_bytes()), ("objects/a.json", pod("a").as_bytes())]);
    let output = reckon(&["problems", "-A", "-f", text(directory.path())]);
    assert_eq!(output.status.code(), Some(7));
    assert!(one_line(&output).contains("bomb.yaml"));
}

#[test]
fn a_large_object_is_read() {
    let mut object: Value = serde_json::from_str(&pod("large")).unwrap();
    object["metadata"]["annotations"]["blob"] = "x".repeat(1_500_000).into();
    let directory = in_directory(&[("objects/large.json", object.to_string().as_bytes())]);
    let output = reckon(&["why", "pod/large", "-n", "shop", "-f", text(directory.path())]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn an_empty_bundle_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let output = reckon(&["problems", "-f", text(directory.path())]);
    assert_eq!(output.status.code(), Some(2));
    assert!(one_line(&output).contains("no objects"));
}

#[test]
fn terminal_escapes_in_names_and_messages_never_reach_the_terminal() {
    let mut object: Value = serde_json::from_str(&pod("a")).unwrap();
    object["status"] = serde_json::json!({"phase": "Pending", "conditions": [], "containerStatuses": [{"name": "app", "image": "a", "imageID": "",
        "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "ErrImagePull", "message": "evil \u{1b}]0;x\u{7} \u{9b}31m \u{202e} not found"}}}]});
    let directory = in_directory(&[("objects/a.json", object.to_string().as_bytes())]);
    for format in ["human", "wide", "json", "yaml", "name"] {
        for command in [&["why", "pod/a"][..], &["problems"][..]] {
            let mut args = command.to_vec();
            args.extend(["-n", "shop", "-f", text(directory.path()), "-o", format]);
            let output = reckon(&args);
            let shown = stdout(&output) + &stderr(&output);
            assert!(!shown.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{format}: {shown:?}");
        }
    }
}

#[test]
fn a_bundle_is_read_from_standard_input() {
    let mut child = command(&["why", "pod/a", "-n", "shop", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(pod("a").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("No fault found"));
}

#[test]
fn the_same_bundle_gives_the_same_bytes() {
    let directory = in_directory(&[("objects/a.json", pod("a").as_bytes()), ("objects/b.json", pod("b").as_bytes())]);
    let run = || reckon(&["problems", "-A", "-f", text(directory.path()), "-o", "json"]).stdout;
    let first = run();
    assert!(!first.is_empty());
    assert!((0..10).all(|_| run() == first));
}

#[test]
fn a_link_out_of_the_bundle_is_not_followed() {
    let directory = in_directory(&[("objects/a.json", pod("a").as_bytes())]);
    let outside = in_directory(&[("secret.json", pod("stolen").as_bytes())]);
    #[cfg(unix)]
    std::os::unix::fs::symlink(outside.path().join("secret.json"), directory.path().join("objects/b.json")).unwrap();
    let output = reckon(&["why", "pod/stolen", "-n", "shop", "-f", text(directory.path())]);
    assert_eq!(output.status.code(), Some(5));
}
