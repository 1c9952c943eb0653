//! Tests that need the whole cluster for themselves.

mod access;
mod churn;
mod crowd;
mod healthy;
mod kernel;
mod node;
mod processor;
mod requests;

use anyhow::{Result, bail};
use reckon_testbed::{Cluster, wait};
use serde_json::Value;
use std::time::Duration;

/// A program that crashes, and a Service that is empty for it.
const ORDERS: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: orders}
spec:
  replicas: 3
  selector: {matchLabels: {app: orders}}
  template:
    metadata: {labels: {app: orders}}
    spec:
      containers: [{name: app, image: "reckon.test/workload:1", args: [complain, "panic: no database", exit, "3"]}]
---
apiVersion: v1
kind: Service
metadata: {name: orders}
spec: {selector: {app: orders}, ports: [{port: 80, targetPort: 8080}]}
"#;

type Test = fn(&Cluster) -> Result<()>;

/// Each by name.
pub(crate) const TESTS: &[(&str, Test)] = &[
    ("a_healthy_cluster_has_no_problems_until_it_has_one", healthy::test),
    ("ten_minutes_of_churn_have_no_problem_and_a_fault_after_them_is_found_and_closed", churn::test),
    ("a_user_of_one_namespace_gets_the_administrators_answer_for_it", access::one_namespace),
    ("a_user_without_nodes_and_secrets_is_told_what_was_not_checked", access::without_nodes_and_secrets),
    ("each_kind_is_listed_once_and_nothing_is_changed", requests::problems),
    ("why_asks_for_its_neighbourhood_only", requests::why),
    ("why_among_ten_thousand_pods_costs_no_more", crowd::test),
    ("the_kernels_of_the_nodes_say_whose_limit_it_was_and_who_died", kernel::test),
    ("a_cpu_limit_that_makes_answers_late_is_told_by_the_nodes", processor::test),
    ("a_node_that_went_silent_is_the_cause_of_all_that_follows", node::test),
];

/// Waits until the namespaces of earlier tests are gone. One that somebody else made is not waited for: it is not ours to
/// delete, and what is wrong in it would be found.
pub(crate) fn quiet(cluster: &Cluster) -> Result<()> {
    let mut foreign = None;
    wait(Duration::from_secs(180), "the end of earlier tests' namespaces", || {
        let namespaces = cluster.get(&["namespaces"])?;
        let names = |ending: bool| {
            let all = items(&namespaces).iter().map(|namespace| &namespace["metadata"]);
            let of = all.filter(move |meta| meta["deletionTimestamp"].is_string() == ending);
            of.filter_map(|meta| meta["name"].as_str()).filter(|name| *name != "default" && !name.starts_with("kube-"))
        };
        foreign = names(false).next().map(str::to_owned);
        Ok(foreign.is_some() || names(true).next().is_none())
    })?;
    foreign.map_or(Ok(()), |name| bail!("this test needs a cluster of its own, and there is a namespace {name}"))
}

/// The items of a list.
pub(crate) fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

/// The problems that are open.
pub(crate) fn open(document: &Value) -> Vec<&Value> {
    let problems = document["problems"].as_array();
    problems
        .into_iter()
        .flatten()
        .filter(|problem| problem["closed"].is_null() && problem["mergedInto"].is_null())
        .collect()
}
