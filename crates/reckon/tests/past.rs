//! `reckon timeline` and `reckon diff`: what is printed, in which form, with which exit code; hostile and bad input.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod api;

use api::{Api, Say, command, document, forbidden, one_sentence, shop, stderr};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Output;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn replica_set(revision: u64, memory: &str, password: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": format!("checkout-{revision}"), "namespace": "shop",
            "uid": format!("u-checkout-{revision}"), "creationTimestamp": format!("2026-01-01T00:0{revision}:00Z"),
            "labels": {"app": "checkout"}, "annotations": {"deployment.kubernetes.io/revision": revision.to_string()},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout", "uid": "u-checkout", "controller": true}]},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "checkout"}}, "template": template(memory, password)}})
}

fn template(memory: &str, password: &str) -> Value {
    json!({"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": [{"name": "app", "image": "registry.test/shop:9",
        "resources": {"limits": {"memory": memory}}, "env": [{"name": "DB_PASSWORD", "value": password}]}]}})
}

/// The shop with two revisions, the second of which cut the limit and changed the password.
fn revised() -> Api {
    let api = Api::new();
    shop(&api);
    let sets = [replica_set(1, "512Mi", "hunter2-s3cr3t"), replica_set(2, "256Mi", "hunter3-s3cr3t")];
    api.serve("/apis/apps/v1", "replicasets", "ReplicaSet", &sets);
    api
}

fn config(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop", "uid": format!("u-{name}"),
        "creationTimestamp": "2026-01-01T00:00:00Z"}, "data": data})
}

#[test]
fn a_timeline_has_a_line_for_each_thing_the_newest_last_and_says_what_is_not_remembered() {
    let api = revised();
    let output = api.run(&["timeline", "deploy/checkout"]);
    let text = stdout(&output);
    assert_eq!((code(&output), stderr(&output).as_str()), (Some(0), ""), "{text}");
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} in {text}"));
    assert!(place("created") < place("app: limits.memory 512Mi → 256Mi"));
    assert!(place("app: limits.memory 512Mi → 256Mi") < place("app OOMKilled, exit 137, after 6 restarts"));
    assert!(place("BackOff ×3 in 60s") < place("NOT REMEMBERED"));
    assert!(text.contains("6 deaths not remembered (app of checkout-1-a)"), "{text}");
    assert!(text.lines().all(|line| line.trim_end() == line), "{text}");
    assert!(text.lines().last().unwrap().starts_with("next: reckon why "), "{text}");
    let recent = stdout(&api.run(&["timeline", "deploy/checkout", "--since", "1h"]));
    assert!(
        recent.starts_with("Nothing is remembered of deployment checkout in namespace shop within the last"),
        "{recent}"
    );
}

#[test]
fn a_timeline_of_a_node_a_service_and_a_namespace_is_told_too() {
    let api = revised();
    for (target, part) in [("node/n1", "joined"), ("ns/shop", "OOMKilled"), ("pod/checkout-1-a", "OOMKilled")] {
        let output = api.run(&["timeline", target]);
        assert_eq!(code(&output), Some(0), "{target}: {}", stderr(&output));
        assert!(stdout(&output).contains(part), "{target}: {}", stdout(&output));
    }
}

#[test]
fn nothing_secret_and_no_control_byte_is_printed() {
    let api = revised();
    let hostile = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e2", "namespace": "shop", "uid": "u-e2"},
        "involvedObject": {"kind": "Deployment", "namespace": "shop", "name": "checkout", "uid": "u-checkout"},
        "reason": "Evil\u{1b}[31m", "type": "Warning", "message": "\u{1b}]8;;http://evil\u{7}\r\npassword=hunter2-s3cr3t \u{202e}",
        "count": 1, "firstTimestamp": "2026-01-01T00:02:05Z", "lastTimestamp": "2026-01-01T00:02:05Z"});
    api.serve("/api/v1", "events", "Event", &[hostile]);
    let asked: &[&[&str]] = &[
        &["timeline", "deploy/checkout"],
        &["timeline", "deploy/checkout", "-o", "wide"],
        &["timeline", "deploy/checkout", "-o", "json"],
        &["timeline", "deploy/checkout", "-o", "yaml"],
        &["diff", "deploy/checkout"],
        &["diff", "deploy/checkout", "-o", "json"],
    ];
    for args in asked {
        let text = stdout(&api.run(args));
        assert!(text.contains("512Mi"), "{args:?}: {text}");
        assert!(!text.contains("s3cr3t"), "{args:?}: {text}");
        let hostile = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.chars().any(hostile), "{args:?}: {text:?}");
    }
    assert!(stdout(&api.run(&["timeline", "deploy/checkout"])).contains("Evil\\x1b[31m"));
}

#[test]
fn a_hostile_value_stays_on_its_lines() {
    let directory = tempfile::tempdir().unwrap();
    let api = revised();
    let long = |value: &str| format!("a: 1\nb: 2\nc: 3\nd: 4\ne: 5\n{value}\nf: 6\n");
    let other = Api::new();
    api.serve("/api/v1", "configmaps", "ConfigMap", &[config("settings", &json!({"app.yaml": long("x: \u{1b}[2J")}))]);
    other.serve("/api/v1", "configmaps", "ConfigMap", &[config("settings", &json!({"app.yaml": long("x: 7")}))]);
    let output = in_contexts(directory.path(), &api, &other, &["diff", "cm/settings", "--contexts", "one,two"]);
    assert_eq!(code(&output), Some(1), "{}", stderr(&output));
    let text = stdout(&output);
    let expected =
        "--- context one\n+++ context two\ndata[app.yaml]\n  c: 3\n  d: 4\n  e: 5\n- x: \\x1b[2J\n+ x: 7\n  f: 6\n";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn diff_ends_as_that_of_kubectl_does() {
    let api = revised();
    let last = api.run(&["diff", "deploy/checkout"]);
    assert_eq!((code(&last), stderr(&last).as_str()), (Some(1), ""));
    let text = stdout(&last);
    let field = "spec.template.spec.containers[app].resources.limits.memory\n- 512Mi\n+ 256Mi\n";
    assert!(
        text.contains(field) && text.contains("--- revision 1, of ") && text.contains("+++ revision 2, of "),
        "{text}"
    );
    assert_eq!(code(&api.run(&["diff", "deploy", "checkout", "--rev", "1..2"])), Some(1));
    let same = api.run(&["diff", "deploy/checkout", "--rev", "2"]);
    assert_eq!(code(&same), Some(0), "{}", stdout(&same));
    assert!(stdout(&same).contains("Nothing differs"), "{}", stdout(&same));
    let moments = api.run(&["diff", "deploy/checkout", "--at", "2026-01-01T00:01:30Z..2026-01-01T00:02:30Z"]);
    assert_eq!(code(&moments), Some(1), "{}{}", stdout(&moments), stderr(&moments));
    assert!(stdout(&moments).contains("- 512Mi\n+ 256Mi\n"));
    let later = api.run(&["diff", "deploy/checkout", "--at", "2026-01-01T00:02:30Z..now"]);
    assert_eq!(code(&later), Some(0), "{}", stdout(&later));
}

#[test]
fn a_wrong_question_about_the_past_is_answered_by_one_sentence() {
    let api = revised();
    api.serve("/api/v1", "configmaps", "ConfigMap", &[config("settings", &json!({"a": "1"}))]);
    let asked: &[(&[&str], i32, &str)] = &[
        (&["diff", "deploy/checkout", "--rev", "1..41"], 5, "has no revision 41; kept are 1 and 2"),
        (&["diff", "deploy/checkot"], 5, "did you mean deployment/checkout?"),
        (&["timeline", "deploy/checkot"], 5, "did you mean deployment/checkout?"),
        (&["timeline", "deployment"], 2, "write TYPE/NAME"),
        (&["timeline", "deploymnt/checkout"], 2, "did you mean deployment?"),
        (&["diff", "cm/settings"], 2, "has no revisions: Kubernetes keeps none of a ConfigMap"),
        (&["diff", "cm/settings", "--helm"], 2, "is of no Helm release"),
        (&["diff", "deploy/checkout", "--at", "now..2h"], 2, "write the earlier time first"),
        (&["diff", "deploy/checkout", "--at", "1h..2999-01-01T00:00:00Z"], 2, "is yet to come"),
        (&["diff", "deploy/checkout", "--at", "2020-01-01T00:00:00Z..now"], 5, "was not there yet"),
        (&["diff", "deploy/checkout", "--contexts", "c,d"], 2, "the kubeconfig has no context \"d\"; did you mean c?"),
        (&["timeline", "deploy/checkout", "-f", "/nonexistent"], 2, "failed to read /nonexistent"),
    ];
    for (args, exit, part) in asked {
        let output = api.run(args);
        let sentence = one_sentence(&output, *exit);
        assert!(sentence.contains(part), "{args:?}: {sentence}");
        assert_eq!(stdout(&output), "", "{args:?}");
    }
    for args in [
        &["diff", "deploy/checkout", "--rev", "x"][..],
        &["diff", "deploy/checkout", "--rev", "1", "--at", "1h"],
        &["diff", "deploy/checkout", "--contexts", "a"],
        &["diff", "deploy/checkout", "--at", "yesterday"],
        &["timeline", "deploy/checkout", "--since", "soon"],
        &["timeline"],
    ] {
        assert_eq!(code(&api.run(args)), Some(2), "{args:?}");
    }
}

#[test]
fn who_cannot_be_reached_and_who_refuses_have_codes_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config");
    let nobody = "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n\
                  users: [{name: u, user: {token: t}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n";
    std::fs::write(&path, nobody).unwrap();
    for question in ["timeline", "diff"] {
        let output = command(&[question, "deploy/checkout", "--kubeconfig", path.to_str().unwrap()]).output().unwrap();
        one_sentence(&output, 3);
    }
    let api = revised();
    api.say("/apis/apps/v1/namespaces/shop/deployments/checkout", forbidden("deployments"));
    for question in ["timeline", "diff"] {
        let sentence = one_sentence(&api.run(&[question, "deploy/checkout"]), 4);
        assert!(sentence.contains("deployment checkout in namespace shop could not be read"), "{sentence}");
    }
}

#[test]
fn what_may_not_be_read_is_not_checked_and_the_rest_is_told() {
    let api = revised();
    api.say("/api/v1/namespaces/shop/events", forbidden("events"));
    let output = api.run(&["timeline", "deploy/checkout"]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("NOT CHECKED     events in namespace shop: forbidden"), "{text}");
    assert!(text.contains("app OOMKilled"), "{text}");
    api.say("/apis/apps/v1/namespaces/shop/replicasets", forbidden("replicasets"));
    let sentence = one_sentence(&api.run(&["diff", "deploy/checkout"]), 7);
    assert!(sentence.contains("replicasets.apps in namespace shop: forbidden"), "{sentence}");
}

/// Runs with a kubeconfig of two contexts, `one` and `two`.
fn in_contexts(directory: &Path, one: &Api, two: &Api, args: &[&str]) -> Output {
    let path = directory.join("config");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: one\nclusters: [{{name: a, cluster: {{server: '{}'}}}}, {{name: b, cluster: {{server: '{}'}}}}]\n\
         users: [{{name: u, user: {{token: t}}}}]\ncontexts: [{{name: one, context: {{cluster: a, user: u, namespace: shop}}}}, \
         {{name: two, context: {{cluster: b, user: u, namespace: shop}}}}]\n",
        one.url(),
        two.url()
    );
    std::fs::write(&path, text).unwrap();
    command(args).env("KUBECONFIG", path).output().unwrap()
}

#[test]
fn drift_between_two_clusters_is_what_people_mean() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (revised(), revised());
    let path = "/apis/apps/v1/namespaces/shop/deployments/checkout";
    let mut other = one.said(path);
    other["metadata"]["uid"] = "elsewhere".into();
    other["metadata"]["creationTimestamp"] = "2025-01-01T00:00:00Z".into();
    other["status"]["replicas"] = 7.into();
    two.say(path, Say::Json(other.clone()));
    let ask = |more: &[&str]| {
        let args = [&["diff", "deploy/checkout", "--contexts", "one,two"], more].concat();
        in_contexts(directory.path(), &one, &two, &args)
    };
    let same = ask(&[]);
    assert_eq!(code(&same), Some(0), "{}{}", stdout(&same), stderr(&same));
    assert!(stdout(&same).contains("NOT CHECKED  1 value: what looks like a credential"), "{}", stdout(&same));
    other["spec"]["replicas"] = 3.into();
    two.say(path, Say::Json(other));
    let differs = ask(&["-o", "json"]);
    assert_eq!(code(&differs), Some(1));
    let diff = document(&differs);
    assert_eq!(diff["objects"][0]["fields"][0]["pointer"], "/spec/replicas");
    assert_eq!((&diff["from"]["context"], &diff["to"]["context"]), (&json!("one"), &json!("two")));
    two.say(path, Say::Status(404, json!({"kind": "Status", "message": "not found", "code": 404})));
    two.serve("/apis/apps/v1", "deployments", "Deployment", &[]);
    two.say("/apis/apps/v1/namespaces/shop/deployments", Say::Json(json!({"kind": "DeploymentList", "items": []})));
    let sentence = one_sentence(&ask(&[]), 5);
    assert!(sentence.contains("context two: deployment checkout in namespace shop does not exist"), "{sentence}");
}

#[test]
fn two_pods_of_one_name_are_compared_field_by_field() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (revised(), revised());
    let path = "/api/v1/namespaces/shop/pods/checkout-1-a";
    let mut other = one.said(path);
    other["spec"]["nodeName"] = "n2".into();
    other["spec"]["dnsPolicy"] = "Default".into();
    two.say(path, Say::Json(other));
    let output = in_contexts(directory.path(), &one, &two, &["diff", "pod/checkout-1-a", "--contexts", "one,two"]);
    let text = stdout(&output);
    assert_eq!(code(&output), Some(1), "{text}{}", stderr(&output));
    assert!(text.contains("spec.dnsPolicy\n+ Default\n1 field of "), "{text}");
}

#[test]
fn nothing_is_coloured_off_a_terminal_unless_it_is_asked_for() {
    let api = revised();
    for question in ["timeline", "diff"] {
        let coloured = |more: &[&str]| api.run(&[&[question, "deploy/checkout"], more].concat()).stdout.contains(&0x1b);
        assert!(!coloured(&[]), "{question}");
        assert!(coloured(&["--color", "always"]), "{question}");
        assert!(!coloured(&["--color", "always", "-o", "json"]), "{question}");
    }
}

fn recordings() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(ROOT).join("tests/recordings")).unwrap();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    found.sort();
    assert!(found.len() >= 12, "{found:?}");
    found
}

/// The pods of a bundle that a problem is about, with their namespaces.
fn targets(recording: &str) -> Vec<(String, String)> {
    let answer = document(&command(&["problems", "-A", "-o", "json", "-f", recording]).output().unwrap());
    let subject = |problem: &Value| {
        let word = |key: &str| problem["subject"][key].as_str().unwrap_or_default().to_owned();
        (format!("{}/{}", word("kind"), word("name")), word("namespace"))
    };
    answer["problems"].as_array().unwrap().iter().map(subject).filter(|(_, namespace)| !namespace.is_empty()).collect()
}

#[test]
fn every_answer_about_the_past_keeps_to_its_schema() {
    let schema = |file: &str| -> Value {
        let path = Path::new(ROOT).join("../../docs/schema").join(file);
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource("timeline.json", schema("reckon-v1-timeline.json")).unwrap();
    compiler.add_resource("diff.json", schema("reckon-v1-diff.json")).unwrap();
    let timeline = compiler.compile("timeline.json", &mut schemas).unwrap();
    let diff = compiler.compile("diff.json", &mut schemas).unwrap();
    let api = revised();
    let mut timelines = vec![document(&api.run(&["timeline", "deploy/checkout", "-o", "json"]))];
    let mut deaths = 0;
    for recording in recordings() {
        let recording = recording.to_str().unwrap();
        for (target, namespace) in targets(recording) {
            let args = ["timeline", &target, "-n", &namespace, "-o", "json", "-f", recording];
            let output = command(&args).output().unwrap();
            assert_eq!(code(&output), Some(0), "{args:?}: {}", stderr(&output));
            let answer = document(&output);
            deaths += answer["entries"].as_array().unwrap().iter().filter(|it| !it["fact"]["death"].is_null()).count();
            timelines.push(answer);
        }
    }
    assert!(timelines.len() > 10 && deaths > 5, "{} {deaths}", timelines.len());
    for answer in &timelines {
        assert_eq!((&answer["apiVersion"], &answer["kind"]), (&json!("reckon/v1"), &json!("Timeline")));
        if let Err(error) = schemas.validate(answer, timeline) {
            panic!("{error:#}\n{answer:#}");
        }
    }
    let mut wrong = timelines.remove(0);
    wrong["entries"][0]["fact"] = json!({"miracle": {}});
    assert!(schemas.validate(&wrong, timeline).is_err());
    let mut answer = document(&api.run(&["diff", "deploy/checkout", "-o", "json"]));
    assert!(schemas.validate(&answer, diff).is_ok(), "{answer:#}");
    answer["differs"] = "much".into();
    assert!(schemas.validate(&answer, diff).is_err());
    let mut json = document(&api.run(&["diff", "deploy/checkout", "-o", "json"]));
    let mut yaml: Value =
        serde_saphyr::from_slice(&api.run(&["diff", "deploy/checkout", "-o", "yaml"]).stdout).unwrap();
    json["asOf"].take();
    yaml["asOf"].take();
    assert_eq!(json, yaml);
}

#[test]
fn a_bundle_tells_the_same_past_every_time_and_standard_input_is_one() {
    let recording = recordings().into_iter().find(|path| path.ends_with("cgroup2-oom-restart")).unwrap();
    let recording = recording.to_str().unwrap();
    let (target, namespace) = targets(recording).remove(0);
    let ask = || stdout(&command(&["timeline", &target, "-n", &namespace, "-f", recording]).output().unwrap());
    let first = ask();
    assert!(first.contains("OOMKilled"), "{first}");
    assert_eq!(first, ask());
}
