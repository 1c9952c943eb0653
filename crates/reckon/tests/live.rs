//! Against a cluster: the answer, what is refused, and how it ends.

mod api;

use api::{Api, Say, command, document, one_sentence, shop, stderr};
use serde_json::{Value, json};

fn a_shop() -> Api {
    let api = Api::new();
    shop(&api);
    api
}

fn forbidden(what: &str) -> Say {
    Say::Status(403, json!({"kind": "Status", "message": format!("{what} is forbidden\u{1b}[31m"), "code": 403}))
}

#[test]
fn why_finds_the_neighbours_by_itself_and_reads_nothing_else() {
    let api = a_shop();
    let output = api.run(&["why", "po/checkout-1-a", "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let answer = document(&output);
    assert_eq!(answer["answer"], "problem");
    assert_eq!(answer["cluster"], "cluster-id");
    assert_eq!(answer["scope"], json!({"kind": "Pod", "namespace": "shop", "name": "checkout-1-a"}));
    assert_eq!(answer["problems"][0]["subject"]["name"], "checkout");
    let asked = api.asked.lock().unwrap();
    assert!(asked.iter().all(|request| !request.contains("/secrets")), "{asked:?}");
    assert!(asked.len() <= 40, "{asked:?}");
}

#[test]
fn problems_are_no_failure_unless_exit_code_is_given() {
    let api = a_shop();
    for (args, code) in
        [(&["problems"][..], 0), (&["problems", "--exit-code"], 1), (&["why", "deploy", "checkout", "--exit-code"], 1)]
    {
        assert_eq!(api.run(args).status.code(), Some(code), "{args:?}");
    }
    assert_eq!(Api::new().run(&["problems", "--exit-code", "-A"]).status.code(), Some(0));
}

#[test]
fn a_cluster_that_does_not_listen_is_unreachable() {
    let api = Api::new();
    let url = "http://127.0.0.1:1";
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config");
    std::fs::write(&config, format!("apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: '{url}'}}}}]\nusers: []\ncontexts: [{{name: c, context: {{cluster: c}}}}]\n")).unwrap();
    for args in [&["problems"][..], &["why", "pod/a"], &["doctor"], &["problems", "-w"]] {
        let output = command(args).env("KUBECONFIG", &config).output().unwrap();
        assert!(one_sentence(&output, 3).contains(url), "{args:?}");
    }
    drop(api);
}

#[test]
fn a_server_that_says_nothing_times_out() {
    let api = Api::new();
    api.say("/api/v1/namespaces/kube-system", Say::Silence);
    one_sentence(&api.run(&["problems", "--request-timeout", "1s"]), 124);
    one_sentence(&api.run(&["why", "pod/a", "--request-timeout", "1s"]), 124);
}

#[test]
fn credentials_that_are_refused_end_with_4() {
    let api = Api::new();
    let unauthorized = || Say::Status(401, json!({"kind": "Status", "message": "Unauthorized", "code": 401}));
    api.say("/api/v1/namespaces/kube-system", unauthorized()).say("/version", unauthorized());
    for args in [&["problems"][..], &["why", "pod/a"], &["doctor"]] {
        assert!(one_sentence(&api.run(args), 4).contains("401"), "{args:?}");
    }
}

#[test]
fn a_target_that_may_not_be_read_ends_with_4_and_names_the_right() {
    let api = a_shop();
    api.say("/api/v1/namespaces/shop/pods/checkout-1-a", forbidden("pods"));
    let sentence = one_sentence(&api.run(&["why", "pod/checkout-1-a"]), 4);
    assert!(sentence.contains("get pods in namespace shop"), "{sentence}");
    assert!(!sentence.contains('\u{1b}'));
}

#[test]
fn an_optional_kind_that_is_forbidden_is_not_checked_and_leaves_0() {
    let api = a_shop();
    api.say("/api/v1/nodes", forbidden("nodes"));
    let output = api.run(&["problems", "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let gaps = document(&output)["notChecked"].to_string();
    assert!(gaps.contains("list nodes"), "{gaps}");
}

#[test]
fn pods_that_are_forbidden_make_a_partial_answer() {
    let api = a_shop();
    api.say("/api/v1/namespaces/shop/pods", forbidden("pods"));
    let output = api.run(&["problems", "-o", "json"]);
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    assert!(document(&output)["notChecked"].to_string().contains("list pods in namespace shop"));
}

#[test]
fn a_kind_that_fails_is_partial_and_a_metrics_api_that_fails_is_not_checked() {
    let api = a_shop();
    api.say(
        "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods/checkout-1-a",
        Say::Status(503, json!({"message": "the server is currently unable to handle the request"})),
    );
    assert_eq!(api.run(&["problems"]).status.code(), Some(0));
    api.say("/api/v1/namespaces/shop/services", Say::Status(500, json!({"message": "etcd"})));
    assert_eq!(api.run(&["problems"]).status.code(), Some(7));
}

#[test]
fn a_list_that_ends_in_the_middle_is_partial_and_the_rest_is_used() {
    let api = a_shop();
    let many: Vec<Value> =
        (0..50).map(|i| json!({"metadata": {"name": format!("s{i}"), "namespace": "shop"}})).collect();
    api.say("/api/v1/namespaces/shop/services", Say::Half(json!({"kind": "ServiceList", "items": many})));
    let output = api.run(&["problems", "-o", "json"]);
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    assert_eq!(document(&output)["answer"], "problem");
}

#[test]
fn an_object_that_cannot_be_decoded_is_named_and_the_rest_is_used() {
    let api = a_shop();
    api.say(
        "/apis/apps/v1/namespaces/shop/statefulsets",
        Say::Json(json!({"kind": "StatefulSetList", "items": [{"metadata": {"name": "bad"}, "spec": "hunter2"}]})),
    );
    let output = api.run(&["problems", "-o", "json"]);
    let sentence = one_sentence(&output, 7);
    assert!(sentence.contains("statefulset bad") && !sentence.contains("hunter2"), "{sentence}");
    let answer = document(&output);
    assert_eq!(answer["answer"], "problem");
    assert!(answer["notChecked"].to_string().contains("statefulset bad"), "{}", answer["notChecked"]);
}

#[test]
fn what_does_not_exist_ends_with_5_and_a_suggestion() {
    let api = a_shop();
    assert!(one_sentence(&api.run(&["why", "deploy/chekout"]), 5).contains("did you mean deployment/checkout?"));
    let sentence = one_sentence(&api.run(&["why", "deploy/checkout", "-n", "default"]), 5);
    assert!(sentence.contains("namespace default does not exist"), "{sentence}");
    api.say("/api/v1/namespaces/default", Say::Json(json!({"kind": "Namespace", "metadata": {"name": "default"}})));
    let sentence = one_sentence(&api.run(&["why", "deploy/checkout", "-n", "default"]), 5);
    assert!(sentence.contains("there is one in namespace shop"), "{sentence}");
    let sentence = one_sentence(&api.run(&["problems", "-n", "nowhere"]), 5);
    assert!(sentence.contains("namespace nowhere does not exist"), "{sentence}");
    assert!(one_sentence(&api.run(&["why", "deploymnt/checkout"]), 2).contains("did you mean deployment?"));
}

#[test]
fn a_capture_gives_the_verdict_of_the_cluster_again() {
    let api = a_shop();
    api.say("/api/v1/nodes", forbidden("nodes"));
    for (live, replay) in [
        (&["why", "deploy/checkout", "-o", "json"][..], &["deploy/checkout"][..]),
        (&["problems", "-o", "json"][..], &[][..]),
        (&["problems", "-A", "-o", "json"][..], &["-A"][..]),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let bundle = directory.path().join("bundle");
        let path = bundle.to_str().unwrap();
        let captured = api.run(&[&["capture", "-o", path][..], replay].concat());
        assert_eq!(stderr(&captured), "");
        let mut first = document(&api.run(live));
        let mut again = document(&command(&[live, &["-f", path]].concat()).output().unwrap());
        let (_, taken) = (first["asOf"].take(), again["asOf"].take());
        assert_eq!(first, again, "{live:?}");
        assert!(!again["problems"][0]["remedies"].is_null());
        let written: Value = serde_json::from_slice(&std::fs::read(bundle.join("bundle.yaml")).unwrap()).unwrap();
        assert_eq!(written["asOf"], taken);
        // Byte for byte, however often.
        let replayed = || command(&[live, &["-f", path]].concat()).output().unwrap().stdout;
        assert!(replayed() == replayed());
    }
}

#[test]
fn a_capture_is_for_its_owner_alone_and_holds_no_secret() {
    let api = a_shop();
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().join("bundle");
    let path = bundle.to_str().unwrap();
    assert_eq!(api.run(&["capture", "-o", path]).status.code(), Some(0));
    let mut queue = vec![bundle.clone()];
    let mut files = 0;
    while let Some(path) = queue.pop() {
        let meta = std::fs::metadata(&path).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(meta.permissions().mode() & 0o777, if meta.is_dir() { 0o700 } else { 0o600 }, "{path:?}");
        }
        if meta.is_dir() {
            queue.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            files += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains("aHVudGVyMi1zM2NyM3Q="), "{path:?}");
        }
    }
    assert!(files > 5);
    let again = api.run(&["capture", "-o", path]);
    assert!(one_sentence(&again, 6).contains("is not empty"));
}

#[test]
fn doctor_names_what_is_missing_and_what_it_costs() {
    let api = a_shop();
    api.say(
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        Say::Status(201, json!({"status": {"allowed": false}})),
    );
    let output = api.run(&["doctor"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&api.url()) && text.contains("list pods"), "{text}");
    let output = Api::new().run(&["doctor", "-o", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report["apiVersion"].as_str(), report["kind"].as_str()), (Some("reckon/v1"), Some("DoctorReport")));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let api = a_shop();
    let script = format!("{} problems -A -o json | true; exit ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_reckon"));
    let output = std::process::Command::new("bash").args(["-c", &script]).env("KUBECONFIG", api.kubeconfig()).output();
    let Ok(output) = output else { return };
    assert_eq!(stderr(&output), "");
    assert_eq!(output.status.code(), Some(0));
}
