//! `reckon fix` against the demonstration: what it would do, what it does, and what it refuses.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fixing;

use fixing::{Company, id, stderr};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_shows_the_change_and_applying_it_ends_the_problem() {
    let mut company = Company::new().await;
    let served = &company.served;
    let memory = served.problem("checkout").await.unwrap();
    let tried = served.json(&format!("fix {} -A", id(&memory))).await;
    assert_eq!((&tried["dryRun"], &tried["applied"]), (&Value::Bool(true), &Value::Bool(false)), "{tried}");
    let field = tried["changes"][0]["field"].as_str().unwrap();
    assert!(field.contains("resources.limits.memory"), "{tried}");
    assert_eq!(served.problem("checkout").await.unwrap()["remedies"], memory["remedies"], "nothing was changed");
    assert_eq!(served.told("Deployment", "checkout"), [Value::Null; 0], "nothing was done");

    let done = served.json(&format!("fix {} -A --apply --yes", id(&memory))).await;
    assert_eq!((&done["applied"], &done["event"]), (&Value::Bool(true), &Value::Bool(true)), "{done}");
    assert_eq!(done["changes"], tried["changes"], "what was tried is what was done");
    let namespace = memory["subject"]["namespace"].as_str().unwrap();
    let fixed = served.server.world().get("deployments.apps", namespace, "checkout").unwrap();
    let told = served.told("Deployment", "checkout");
    let [event] = told.as_slice() else { panic!("{told:?}") };
    let remedy = &done["remedy"];
    let message =
        format!("reckon fix {} --option {}: {}", id(&memory), remedy["option"], remedy["sentence"].as_str().unwrap());
    assert_eq!((&event["message"], &event["type"]), (&json!(message), &json!("Normal")));
    assert_eq!((&event["metadata"]["namespace"], &event["source"]["component"]), (&json!(namespace), &json!("reckon")));
    assert_eq!(
        event["involvedObject"],
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "namespace": namespace, "name": "checkout",
            "uid": fixed["metadata"]["uid"], "resourceVersion": event["involvedObject"]["resourceVersion"]})
    );

    // A roll back goes to the revision whose pods are ready.
    let image = served.problem("search").await.unwrap();
    let remedies = image["remedies"].as_array().unwrap();
    let option = remedies.iter().find(|remedy| remedy["kind"] == "roll-back").unwrap()["option"].clone();
    let done = served.json(&format!("fix {} --option {option} -A --apply -y", id(&image))).await;
    let changes = done["changes"].as_array().unwrap();
    let back = changes.iter().find(|change| change["from"] == image["cause"]["to"]);
    assert_eq!(back.unwrap()["to"], image["cause"]["from"], "{done}");

    // What has no generation, by the name of what it is about.
    let done = served.json("fix svc/reviews -n shop --apply -y").await;
    assert_eq!(done["changes"][0]["pointer"], "/spec/selector/app.kubernetes.io~1name", "{done}");

    company.later(30);
    let served = &company.served;
    for name in ["checkout", "search", "reviews"] {
        assert_eq!(served.problem(name).await, None, "{name} is over");
    }
    let again = served.run(&format!("fix {} -A", id(&memory))).await;
    assert_eq!(again.status.code(), Some(5), "{}", stderr(&again));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_done_is_refused_in_a_sentence_and_changes_nothing() {
    let company = Company::new().await;
    let served = &company.served;
    let problem = served.problem("checkout").await.unwrap();
    let known = id(&problem);
    for (words, code, says) in [
        ("fix 0000 -A".to_owned(), 5, "no open problem has the id 0000"),
        ("fix deploy/nowhere -n checkout".to_owned(), 5, "does not exist"),
        (format!("fix {known} -A --option 99"), 5, "has no option 99"),
        (format!("fix {known} -A --dry-run none"), 2, "add --apply"),
        (format!("fix {known} -A --apply"), 2, "add --yes"),
        (format!("fix {known} -n kube-system"), 5, "-A looks in all of them"),
    ] {
        let output = served.run(&words).await;
        assert_eq!(output.status.code(), Some(code), "{words}: {}", stderr(&output));
        assert!(stderr(&output).contains(says), "{words}: {}", stderr(&output));
        assert_eq!(stderr(&output).lines().count(), 1, "{words}: {}", stderr(&output));
    }
    assert_eq!(served.problem("checkout").await.unwrap()["remedies"], problem["remedies"]);
}
