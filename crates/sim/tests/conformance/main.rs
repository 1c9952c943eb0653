//! One list of requests, sent to the simulated and to a real API server: they must answer alike.
//!
//! `recorded.json` is what the testbed's API server answered. The ordinary test holds the simulated server against it; the
//! live one (`scripts/live-tests`) holds the recording against a real server again, and `UPDATE=1` writes it anew.
//!
//! What differs for a reason is left out of the comparison in `target.rs` and listed here:
//!
//! 1. Messages about malformed JSON and unknown fields are those of the decoder at hand; code and reason are compared.
//! 2. Typed bookmarks of the real server carry an empty specification and status; their metadata is compared.
//! 3. `metadata.managedFields` is compared by manager, operation and sub-resource, not field by field: for updates only
//!    what readers use (who, when, which leaf) is kept as the real server keeps it.
//! 4. Rules of label selectors are quoted in the decoder's words; code and reason are compared.
//! 5. Descriptions of table columns are empty: nobody parses prose.
//! 6. The reason of an allowed review names the binding; whether it is allowed is compared.
//! 7. Continue tokens are opaque, and hashes of storage versions nobody's business.
//! 8. A refused change of a pod carries a difference in Go's notation; code and reason are compared.
//! 9. Members that are null are compared as if they were not there: that depends on Go's types.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod suite;
mod target;

use reckon_sim::{Clock, Config, Server};
use serde_json::Value;
use std::path::Path;
use target::Target;

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/recorded.json");

/// Where the testbed leaves the administrator's kubeconfig.
const KUBECONFIG: &str = "/run/reckon-testbed/kubeconfig";

fn recorded() -> Vec<Value> {
    serde_json::from_str(&std::fs::read_to_string(RECORDED).unwrap()).unwrap()
}

/// Every difference at once, each with what was asked.
fn compare(expected: &[Value], found: &[Value]) {
    let mut wrong = Vec::new();
    for (i, expected) in expected.iter().enumerate() {
        let found = found.get(i).unwrap_or(&Value::Null);
        if expected != found {
            wrong.push(format!("{}\n  real: {expected}\n  here: {found}", expected["asked"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {} answers differ:\n{}", wrong.len(), expected.len(), wrong.join("\n"));
    assert_eq!(expected.len(), found.len());
}

#[tokio::test(start_paused = true)]
async fn the_simulated_server_answers_as_the_real_one_did() {
    let config = Config { controllers: false, ..Config::default() };
    let server = Server::new(config, Clock::running("2026-01-01T00:00:00Z".parse().unwrap(), 1));
    let mut target = Target::new(kube::Client::new(server, "default"));
    suite::run(&mut target).await;
    compare(&recorded(), &target.said);
}

#[tokio::test]
#[ignore = "needs a real API server: scripts/live-tests"]
async fn the_real_server_answers_as_it_was_recorded() {
    assert!(Path::new(KUBECONFIG).exists(), "no testbed is up: testbed/up 2");
    let config = kube::config::Kubeconfig::read_from(KUBECONFIG).unwrap();
    let mut config =
        kube::Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default()).await.unwrap();
    // The client would repeat what gets 429, 503 or 504.
    config.default_retry = false;
    let mut target = Target::new(kube::Client::try_from(config).unwrap());
    suite::clean(&mut target).await;
    suite::run(&mut target).await;
    if std::env::var_os("UPDATE").is_some() {
        let lines: Vec<String> = target.said.iter().map(Value::to_string).collect();
        std::fs::write(RECORDED, format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
    }
    compare(&recorded(), &target.said);
}
