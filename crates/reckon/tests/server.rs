//! Against a server: the answer, and what it cost. What a server does wrong is in `bad_servers.rs`.

mod api;

use api::{Api, Say, a_shop, command, document, forbidden, one_sentence, stderr};
use serde_json::{Value, json};

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
fn a_capture_that_has_lost_a_file_is_not_healthy() {
    let api = a_shop();
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().join("bundle");
    let path = bundle.to_str().unwrap();
    assert_eq!(api.run(&["capture", "-A", "-o", path]).status.code(), Some(0));
    assert_eq!(
        document(&command(&["problems", "-A", "-f", path, "-o", "json"]).output().unwrap())["answer"],
        "problem"
    );
    std::fs::remove_file(bundle.join("objects/pods.json")).unwrap();
    let output = command(&["problems", "-A", "-f", path, "-o", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    let answer = document(&output);
    assert_eq!(answer["answer"], "undetermined");
    assert!(answer["notChecked"].to_string().contains("pods"), "{}", answer["notChecked"]);
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
    assert!(text.contains(api.url()) && text.contains("list pods"), "{text}");
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

#[test]
fn all_contexts_are_answered_in_their_order_and_a_dead_one_holds_nothing_up() {
    let (shop, empty) = (a_shop(), Api::new());
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config");
    let clusters = [("shop", shop.url()), ("dead", "http://127.0.0.1:1"), ("empty", empty.url())];
    let list = |what: &dyn Fn(&str, &str) -> Value| -> Vec<Value> {
        clusters.iter().map(|(name, url)| what(name, url)).collect()
    };
    let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "current-context": "shop", "users": [],
        "clusters": list(&|name, url| json!({"name": name, "cluster": {"server": url}})),
        "contexts": list(&|name, _| json!({"name": name, "context": {"cluster": name}}))});
    std::fs::write(&config, kubeconfig.to_string()).unwrap();
    let run = |args: &[&str]| command(args).env("KUBECONFIG", &config).output().unwrap();
    let output = run(&["problems", "-A", "--all-contexts", "-o", "json"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("context dead: "), "{}", stderr(&output));
    let answers: Vec<Value> =
        serde_json::Deserializer::from_slice(&output.stdout).into_iter().map(Result::unwrap).collect();
    let said: Vec<_> = answers.iter().map(|answer| (answer["context"].clone(), answer["answer"].clone())).collect();
    assert_eq!(said, [(json!("shop"), json!("problem")), (json!("empty"), json!("no-fault"))]);
    let shown = run(&["problems", "-A", "--all-contexts"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    let at = |words: &str| shown.find(words).unwrap_or_else(|| panic!("{words}: {shown}"));
    assert!(at("CONTEXT shop") < at("shop/checkout") && at("shop/checkout") < at("CONTEXT empty"));
    assert!(shown.contains("--context shop"), "{shown}");
}

#[test]
fn watching_what_cannot_be_read_or_does_not_exist_ends_instead_of_staying_silent() {
    let api = Api::new();
    let sentence = one_sentence(&api.run(&["problems", "-w", "-n", "nowhere"]), 5);
    assert!(sentence.contains("namespace nowhere does not exist"), "{sentence}");
    let api = Api::new();
    api.forbid_everything("shop");
    let sentence = one_sentence(&api.run(&["problems", "-w", "-n", "shop"]), 4);
    assert!(sentence.contains("pods"), "{sentence}");
}

#[test]
fn version_says_why_the_server_has_none() {
    let api = Api::new();
    api.say("/version", forbidden("version"));
    let output = api.run(&["version"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("reckon "));
    assert!(stderr(&output).contains("/version"), "{}", stderr(&output));
}
