//! Servers that refuse, lie, break off and overflow: one clear sentence, the right exit code, and what can be read is still
//! used. Run within 128 MiB by `make test` (`scripts/within-memory`).

mod api;

use api::tls::Certificate;
use api::{Api, Say, a_shop, command, document, forbidden, one_sentence, stderr};
use serde_json::{Value, json};

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
fn credentials_that_expire_in_the_middle_make_a_partial_answer() {
    let unauthorized = || Say::Status(401, json!({"kind": "Status", "message": "Unauthorized", "code": 401}));
    let api = a_shop();
    api.say("/api/v1/nodes", unauthorized());
    assert_eq!(api.run(&["problems"]).status.code(), Some(7));
    let api = a_shop();
    api.say("/apis/apps/v1/namespaces/shop/replicasets/checkout-1", unauthorized());
    assert_eq!(api.run(&["why", "pod/checkout-1-a"]).status.code(), Some(7));
}

#[test]
fn a_kubeconfig_with_files_that_are_not_there_is_wrong_and_nobody_has_refused() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config");
    for cluster in [
        "server: 'https://127.0.0.1:1', certificate-authority: missing.pem",
        "server: 'https://127.0.0.1:1', certificate-authority-data: '%%%'",
        "server: 'https://127.0.0.1:1', proxy-url: 'ftp://127.0.0.1:1'",
    ] {
        std::fs::write(&config, format!("apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{{cluster}}}}}]\nusers: []\ncontexts: [{{name: c, context: {{cluster: c}}}}]\n")).unwrap();
        one_sentence(&command(&["problems"]).env("KUBECONFIG", &config).output().unwrap(), 2);
    }
}

#[test]
fn an_object_that_cannot_be_decoded_is_not_said_not_to_exist() {
    let api = Api::new();
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "shop", "uid": "u-data", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"storageClassName": "fast", "accessModes": ["ReadWriteOnce"]}, "status": {"phase": "Pending"}});
    api.serve("/api/v1", "persistentvolumeclaims", "PersistentVolumeClaim", &[claim]);
    let asked = [&["problems", "-o", "json"][..], &["why", "pvc/data", "-o", "json"]];
    for args in asked {
        let said = String::from_utf8(api.run(args).stdout).unwrap();
        assert!(said.contains("does not exist"), "{args:?}: {said}");
    }
    let class = json!({"metadata": {"name": "fast"}, "provisioner": 7});
    api.say("/apis/storage.k8s.io/v1/storageclasses", Say::Json(json!({"items": [class]})));
    api.say("/apis/storage.k8s.io/v1/storageclasses/fast", Say::Json(class));
    for args in asked {
        let said = String::from_utf8(api.run(args).stdout).unwrap();
        assert!(!said.contains("does not exist"), "{args:?}: {said}");
    }
    let listed = document(&api.run(&["problems", "-o", "json"]));
    assert!(listed["notChecked"].to_string().contains("storageclass fast"), "{}", listed["notChecked"]);
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().join("bundle");
    let path = bundle.to_str().unwrap();
    assert_eq!(api.run(&["capture", "-o", path]).status.code(), Some(7));
    let again = command(&["problems", "-o", "json", "-f", path]).output().unwrap();
    assert_eq!(again.status.code(), Some(7));
    assert!(!String::from_utf8(again.stdout).unwrap().contains("does not exist"));
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
fn a_certificate_that_has_expired_or_is_not_trusted_ends_with_4_and_says_so() {
    for (certificate, what) in [
        (Certificate::Expired, "has expired"),
        (Certificate::Untrusted, "signed by an unknown authority"),
        (Certificate::ForAnotherHost, "for another host"),
    ] {
        let api = Api::with_certificate(certificate);
        for args in [&["problems"][..], &["why", "pod/a"], &["doctor"], &["problems", "-w"]] {
            let sentence = one_sentence(&api.run(args), 4);
            assert!(sentence.contains("certificate") && sentence.contains(what), "{args:?}: {sentence}");
        }
    }
    let api = Api::with_certificate(Certificate::Good);
    assert_eq!(api.run(&["problems", "-A"]).status.code(), Some(0));
}

#[test]
fn a_list_in_invalid_utf_8_costs_the_objects_that_are() {
    let api = a_shop();
    let mut bytes =
        br#"{"kind":"ServiceList","metadata":{},"items":[{"metadata":{"name":"a","namespace":"shop","labels":{"x":""#
            .to_vec();
    bytes.extend([0xff, 0xfe]);
    bytes.extend(br#""}}},{"metadata":{"name":"b","namespace":"shop"},"spec":{}}]}"#);
    api.say("/api/v1/namespaces/shop/services", Say::Bytes(bytes));
    let output = api.run(&["problems", "-o", "json"]);
    assert!(one_sentence(&output, 7).contains("service a"), "{}", stderr(&output));
    assert_eq!(document(&output)["answer"], "problem");
}

#[test]
fn an_object_nested_100_000_deep_costs_itself() {
    let api = a_shop();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let text = format!(
        r#"{{"kind":"ServiceList","metadata":{{}},"items":[{{"metadata":{{"name":"deep","namespace":"shop"}},"spec":{{"ports":{deep}}}}}]}}"#
    );
    api.say("/api/v1/namespaces/shop/services", Say::Text(text));
    let output = api.run(&["problems", "-o", "json"]);
    assert!(one_sentence(&output, 7).contains("service deep"), "{}", stderr(&output));
    assert_eq!(document(&output)["answer"], "problem");
}

#[test]
fn objects_of_1_5_mb_are_read() {
    let api = a_shop();
    let large = |n: usize| {
        json!({"metadata": {"name": format!("large-{n}"), "namespace": "shop", "annotations": {"blob": "x".repeat(1_500_000)}},
            "data": {"key": "y".repeat(1_000_000)}})
    };
    let items: Vec<Value> = (0..3).map(large).collect();
    api.say(
        "/api/v1/namespaces/shop/configmaps",
        Say::Json(json!({"kind": "ConfigMapList", "metadata": {}, "items": items})),
    );
    let output = api.run(&["problems", "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(document(&output)["answer"], "problem");
}

#[test]
fn an_answer_without_an_end_is_cut_off() {
    let api = a_shop();
    // One item larger than any object that an API server stores.
    let text = format!(
        r#"{{"kind":"ServiceList","metadata":{{}},"items":[{{"metadata":{{"name":"{}"}}}}]}}"#,
        "x".repeat(40_000_000)
    );
    api.say("/api/v1/namespaces/shop/services", Say::Text(text));
    let output = api.run(&["problems", "-o", "json"]);
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    assert_eq!(document(&output)["answer"], "problem");
}

#[test]
fn escapes_in_names_messages_and_logs_never_reach_the_terminal() {
    let evil = "evil \u{1b}]0;x\u{7} \u{9b}31m \u{202e} \r\u{8}";
    let api = a_shop();
    let mut pod = api.said("/api/v1/namespaces/shop/pods/checkout-1-a");
    pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"] = evil.into();
    pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["message"] = evil.into();
    api.serve("/api/v1", "pods", "Pod", &[pod]);
    api.say(
        "/api/v1/namespaces/shop/pods/checkout-1-a/log",
        Say::Text(format!("2026-01-01T00:05:59Z {evil} error: {evil}\n")),
    );
    api.say("/api/v1/nodes/n1", Say::Status(403, json!({"kind": "Status", "message": evil, "code": 403})));
    for args in [
        &["why", "pod/checkout-1-a"][..],
        &["problems"],
        &["problems", "-o", "wide"],
        &["why", "pod/checkout-1-a", "-o", "json"],
    ] {
        let output = api.run(args);
        let shown = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
        assert!(shown.contains("checkout"), "{shown}");
        assert!(!shown.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{args:?}: {shown:?}");
    }
}
