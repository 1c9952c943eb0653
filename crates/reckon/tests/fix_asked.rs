//! `reckon fix --apply` asks on a terminal, and while it waits for the answer somebody else may write.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fixing;

use fixing::{Company, Served, id, stderr, stdout};
use serde_json::{Value, json};

const DEPLOYMENTS: &str = "deployments.apps";

/// A Deployment with a problem: where it is, and the words that fix it with a remedy of this kind.
async fn broken(served: &Served, name: &str, kind: &str) -> (String, String) {
    let problem = served.problem(name).await.unwrap();
    let remedies = problem["remedies"].as_array().unwrap();
    let option = remedies.iter().find(|remedy| remedy["kind"] == kind).unwrap()["option"].clone();
    let namespace = problem["subject"]["namespace"].as_str().unwrap().to_owned();
    (namespace, format!("fix {} -A --apply --option {option}", id(&problem)))
}

fn deployment(served: &Served, namespace: &str, name: &str) -> Value {
    served.server.world().get(DEPLOYMENTS, namespace, name).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_done_if_a_person_says_yes_and_for_no_other_answer() {
    let company = Company::new().await;
    let served = &company.served;
    let (namespace, fix) = broken(served, "checkout", "set-resources").await;
    let before = deployment(served, &namespace, "checkout");
    let end_of_input = b"\x04";
    for typed in [&b"n\n"[..], b"\n", b"yes please\n", end_of_input] {
        let output = served.asked(&fix, |_| (), typed).await;
        assert_eq!(output.status.code(), Some(6), "{typed:?}: {}", stderr(&output));
        let question = format!("Patch deployment {namespace}/checkout? [y/N] ");
        assert!(stderr(&output).starts_with(&question), "{}", stderr(&output));
        assert!(stderr(&output).ends_with("nothing was changed\n"), "{}", stderr(&output));
        // What it would do stands above the question.
        assert!(stdout(&output).contains("resources.limits.memory"), "{}", stdout(&output));
        assert_eq!(deployment(served, &namespace, "checkout"), before, "{typed:?}");
    }
    let output = served.asked(&fix, |_| (), b"y\n").await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("\ndone: deployment "), "{}", stdout(&output));
    let after = deployment(served, &namespace, "checkout");
    assert_ne!(after["spec"]["template"], before["spec"]["template"]);
    assert_eq!(served.told("Deployment", "checkout").len(), 1);
}

/// Both ways in which a server says that the version is another: 409 to a merge patch, 422 to the test of a JSON patch.
const BOTH: [(&str, &str); 2] = [("checkout", "set-resources"), ("search", "roll-back")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_wrote_between_the_question_and_the_answer_is_not_written_over() {
    let company = Company::new().await;
    let served = &company.served;
    for (name, kind) in BOTH {
        let (namespace, fix) = broken(served, name, kind).await;
        let before = deployment(served, &namespace, name);
        let place = namespace.clone();
        let output = served
            .asked(
                &fix,
                move |server| {
                    let mut world = server.world();
                    assert!(
                        world.edit(DEPLOYMENTS, &place, name, "kubectl-scale", |it| it["spec"]["replicas"] = 7.into())
                    );
                },
                b"y\n",
            )
            .await;
        assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
        assert!(stderr(&output).contains("was changed since it was looked at"), "{}", stderr(&output));
        let after = deployment(served, &namespace, name);
        assert_eq!((&after["spec"]["replicas"], &after["spec"]["template"]), (&json!(7), &before["spec"]["template"]));
        assert_eq!(served.told("Deployment", name), [Value::Null; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_moved_on_between_the_question_and_the_answer_is_no_reason_to_refuse() {
    let company = Company::new().await;
    let served = &company.served;
    for (name, kind) in BOTH {
        let (namespace, fix) = broken(served, name, kind).await;
        let before = deployment(served, &namespace, name);
        let place = namespace.clone();
        let output = served
            .asked(
                &fix,
                move |server| {
                    let mut world = server.world();
                    let moved = |it: &mut serde_json::Value| it["status"]["collisionCount"] = 3.into();
                    assert!(world.edit(DEPLOYMENTS, &place, name, "kube-controller-manager", moved));
                },
                b"y\n",
            )
            .await;
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
        let after = deployment(served, &namespace, name);
        assert_eq!(after["status"]["collisionCount"], 3, "{name}");
        assert_ne!(after["spec"]["template"], before["spec"]["template"], "{name}");
    }
}
