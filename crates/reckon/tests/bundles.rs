//! Bundles: what `-f` accepts, and what it says about time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod api;

use api::{command, document, one_sentence, stderr};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Output;

fn run(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn write(directory: &Path, name: &str, text: impl AsRef<[u8]>) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn pod(name: &str, namespace: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "uid": format!("u-{name}"), "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": name}},
        "spec": {"containers": [{"name": "app", "image": "a:1", "resources": {"limits": {"memory": "64Mi"}}}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:05Z"}],
            "containerStatuses": [{"name": "app", "image": "a:1", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {"startedAt": "2026-01-01T00:00:04Z"}}}]}})
}

fn killed(name: &str, namespace: &str, at: &str) -> Value {
    let mut pod = pod(name, namespace);
    pod["status"]["conditions"] = json!([{"type": "Ready", "status": "False", "lastTransitionTime": at}]);
    pod["status"]["containerStatuses"] = json!([{"name": "app", "image": "a:1", "imageID": "", "ready": false, "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "startedAt": "2026-01-01T00:00:04Z", "finishedAt": at}}}]);
    pod
}

fn recovered(name: &str, namespace: &str, at: &str) -> Value {
    let mut pod = killed(name, namespace, "2026-01-01T00:10:00Z");
    pod["status"]["conditions"] = json!([{"type": "Ready", "status": "True", "lastTransitionTime": at}]);
    pod["status"]["containerStatuses"][0]["ready"] = json!(true);
    pod["status"]["containerStatuses"][0]["state"] = json!({"running": {"startedAt": at}});
    pod
}

fn line(at: &str, verb: &str, object: &Value) -> String {
    format!("{}\n", json!({"at": at, "type": verb, "object": object}))
}

fn history() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let changes = line("2026-01-01T00:00:00Z", "ADDED", &pod("a", "shop"))
        + &line("2026-01-01T00:10:00Z", "MODIFIED", &killed("a", "shop", "2026-01-01T00:10:00Z"))
        + &line("2026-01-01T00:20:00Z", "MODIFIED", &recovered("a", "shop", "2026-01-01T00:20:00Z"))
        + &line("2026-01-01T00:40:00Z", "MODIFIED", &recovered("a", "shop", "2026-01-01T00:20:00Z"));
    write(directory.path(), "changes.jsonl", changes);
    directory
}

#[test]
fn changes_are_replayed_in_order_so_that_a_problem_closes() {
    let directory = history();
    let path = directory.path().to_str().unwrap();
    let answer = document(&run(&["why", "pod/a", "-f", path, "-o", "json"]));
    assert_eq!(answer["asOf"], "2026-01-01T00:40:00Z", "the newest time in the bundle");
    let problem = &answer["problems"][0];
    assert_eq!(problem["failure"], "oom-killed", "{answer}");
    assert!(problem["closed"].is_string() && problem["closedReason"].is_string(), "{problem}");
    assert_eq!(answer["answer"], "no-fault");
}

#[test]
fn the_clock_can_be_set_to_a_time_or_to_a_while_after_the_first_change() {
    let directory = history();
    let path = directory.path().to_str().unwrap();
    for (at, answer) in
        [("+5m", "no-fault"), ("+11m", "problem"), ("2026-01-01T00:11:00Z", "problem"), ("+30m", "no-fault")]
    {
        let said = document(&run(&["why", "pod/a", "-f", path, "-o", "json", "--at", at]));
        assert_eq!(said["answer"], answer, "{at}: {said}");
    }
    let said = document(&run(&["why", "pod/a", "-f", path, "-o", "json", "--at", "+11m"]));
    assert_eq!(said["asOf"], "2026-01-01T00:11:00Z");
    assert_eq!(run(&["why", "pod/a", "-f", path, "--at", "soon"]).status.code(), Some(2));
    assert_eq!(run(&["problems", "--at", "+11m"]).status.code(), Some(2), "a cluster has no other clock");
}

#[test]
fn changes_out_of_order_and_broken_lines_cost_nothing_but_themselves() {
    let directory = tempfile::tempdir().unwrap();
    let changes = line("2026-01-01T00:10:00Z", "MODIFIED", &killed("a", "shop", "2026-01-01T00:10:00Z"))
        + "{\"at\": \"yesterday\"}\n\n"
        + &line("2026-01-01T00:00:00Z", "ADDED", &pod("a", "shop"));
    write(directory.path(), "changes.jsonl", changes);
    let output = run(&["why", "pod/a", "-f", directory.path().to_str().unwrap(), "-o", "json"]);
    assert!(one_sentence(&output, 7).contains("changes.jsonl:2: "));
    assert_eq!(document(&output)["answer"], "problem");
}

#[test]
fn a_log_beside_the_objects_is_read_when_it_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    write(
        directory.path(),
        "objects/pods.json",
        json!({"kind": "List", "items": [killed("a", "shop", "2026-01-01T00:10:00Z")]}).to_string(),
    );
    write(
        directory.path(),
        "logs/shop/a/app.previous.log",
        b"2026-01-01T00:09:59Z java.lang.OutOfMemoryError \xff\x1b[31m: Java heap space\n",
    );
    let path = directory.path().to_str().unwrap();
    let output = run(&["why", "pod/a", "-f", path, "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let without = document(&output)["problems"][0]["notChecked"].to_string();
    assert!(!without.contains("previous log of app in a"), "{without}");
}

#[test]
fn where_nothing_can_be_carried_out_why_says_where_to_look() {
    let directory = tempfile::tempdir().unwrap();
    let mut ended = killed("a", "shop", "2026-01-01T00:10:00Z");
    ended["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] = json!(1);
    ended["status"]["containerStatuses"][0]["lastState"]["terminated"]["reason"] = json!("Error");
    write(directory.path(), "objects/pods.json", json!({"kind": "List", "items": [ended]}).to_string());
    write(directory.path(), "logs/shop/a/app.previous.log", "2026-01-01T00:09:59Z fatal: cannot read the price list\n");
    let path = directory.path().to_str().unwrap();
    let output = run(&["why", "pod/a", "-f", path]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("SHOW (E1)\n  kubectl logs pod/a -n shop -c app --previous\n"), "{text}");
    let json = document(&run(&["why", "pod/a", "-f", path, "-o", "json"]));
    let show = &json["problems"][0]["show"];
    assert_eq!((&show["look"], &show["previous"], &show["ref"]["name"]), (&json!("log"), &json!(true), &json!("a")));
}

#[test]
fn a_dump_of_kubectl_is_read_namespace_by_namespace() {
    let directory = tempfile::tempdir().unwrap();
    let list = |kind: &str, items: Vec<Value>| {
        json!({"kind": kind, "apiVersion": "v1", "metadata": {}, "items": items}).to_string()
    };
    // As kubectl writes it: the items of a typed list name no kind.
    let mut killed = killed("a", "shop", "2026-01-01T00:10:00Z");
    killed.as_object_mut().unwrap().remove("kind");
    killed.as_object_mut().unwrap().remove("apiVersion");
    write(directory.path(), "nodes.json", list("NodeList", vec![]));
    write(directory.path(), "shop/pods.json", list("PodList", vec![killed]));
    write(directory.path(), "shop/events.json", list("EventList", vec![]));
    write(directory.path(), "shop/replication-controllers.json", list("ReplicationControllerList", vec![]));
    write(
        directory.path(),
        "shop/a/logs.txt",
        "==== START logs for container app of pod shop/a ====\nhello\n==== END logs for container app of pod shop/a ====\n",
    );
    let output = run(&["problems", "-f", directory.path().to_str().unwrap(), "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let answer = document(&output);
    assert_eq!(answer["problems"][0]["failure"], "oom-killed", "{answer}");
    assert!(answer["looked"].to_string().contains("ReplicationController"), "an empty list is known to be empty");
}

#[test]
fn the_namespace_is_found_unless_there_are_several() {
    let directory = tempfile::tempdir().unwrap();
    let objects: Vec<Value> = vec![pod("a", "shop"), pod("b", "shop"), pod("b", "test")];
    write(directory.path(), "objects.yaml", objects.iter().map(Value::to_string).collect::<Vec<_>>().join("\n---\n"));
    let path = directory.path().join("objects.yaml");
    let path = path.to_str().unwrap();
    assert_eq!(document(&run(&["why", "pod", "a", "-f", path, "-o", "json"]))["scope"]["namespace"], "shop");
    assert!(one_sentence(&run(&["why", "pod/b", "-f", path]), 2).contains("shop, test"));
    assert_eq!(run(&["why", "pod/b", "-f", path, "-n", "test"]).status.code(), Some(0));
}

#[test]
fn a_custom_resource_is_named_as_its_objects_name_it() {
    let directory = tempfile::tempdir().unwrap();
    write(
        directory.path(),
        "x.yaml",
        "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: web, namespace: shop}\n",
    );
    let path = directory.path().to_str().unwrap();
    for word in ["certificate/web", "Certificates/web", "certificates.cert-manager.io/web"] {
        let output = run(&["why", word, "-f", path, "-o", "json"]);
        assert_eq!(document(&output)["scope"]["kind"], "Certificate", "{word}");
    }
    assert_eq!(run(&["why", "issuer/web", "-f", path]).status.code(), Some(2));
}

#[test]
fn a_file_that_is_too_large_is_left_out_and_named() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "objects/a.json", pod("a", "shop").to_string());
    write(directory.path(), "objects/large.json", "");
    // Holes cost no disk.
    fs::OpenOptions::new()
        .write(true)
        .open(directory.path().join("objects/large.json"))
        .unwrap()
        .set_len((64 << 20) + 1)
        .unwrap();
    let output = run(&["why", "pod/a", "-f", directory.path().to_str().unwrap()]);
    let sentence = one_sentence(&output, 7);
    assert!(sentence.contains("large.json") && sentence.contains("64 MiB"), "{sentence}");
}

/// Bombs cost little: the most memory the process had, by what the kernel keeps.
#[cfg(target_os = "linux")]
mod memory {
    use super::*;

    /// The peak of a run in MiB, read from the process before it is waited for.
    fn peak(args: &[&str]) -> u64 {
        let mut child =
            command(args).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0;
        // An ended process that was not waited for keeps its entry but not its memory: the last reading counts.
        while child.try_wait().unwrap().is_none() {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let high = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = high.and_then(|rest| rest.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
            peak = peak.max(kib.unwrap_or(0) / 1024);
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        peak
    }

    #[test]
    fn bombs_cost_little_memory() {
        let idle = peak(&["explain"]);
        let directory = tempfile::tempdir().unwrap();
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", ")));
        }
        write(directory.path(), "bomb.yaml", bomb);
        let deep = format!(
            "{{\"kind\":\"Pod\",\"metadata\":{{\"name\":\"d\"}},\"spec\":{}{}}}",
            "[".repeat(1_000_000),
            "]".repeat(1_000_000)
        );
        write(directory.path(), "deep.json", deep);
        write(directory.path(), "deep.yaml", format!("a: {}", "[".repeat(100_000)));
        write(
            directory.path(),
            "block.yaml",
            (0..2_000).fold(String::new(), |text, depth| text + &" ".repeat(depth) + "- a:\n"),
        );
        write(directory.path(), "ok.json", pod("a", "shop").to_string());
        let used = peak(&["problems", "-f", directory.path().to_str().unwrap()]);
        assert!(used <= idle + 64, "{used} MiB, idle {idle} MiB");
    }

    #[test]
    fn a_thousand_pods_cost_less_than_128_mib() {
        let idle = peak(&["explain"]);
        let directory = tempfile::tempdir().unwrap();
        let mut large = pod("large", "shop");
        large["metadata"]["annotations"] = json!({"blob": "x".repeat(1_500_000)});
        let mut pods: Vec<Value> = (0..1_000).map(|i| pod(&format!("p{i}"), "shop")).collect();
        pods.push(large);
        write(directory.path(), "pods.json", json!({"kind": "List", "apiVersion": "v1", "items": pods}).to_string());
        let used = peak(&["problems", "-f", directory.path().to_str().unwrap()]);
        assert!(used <= idle + 128, "{used} MiB, idle {idle} MiB");
    }
}
