//! Tests that need the whole cluster for themselves.

mod access;
mod healthy;
mod node;
mod requests;

use anyhow::Result;
use reckon_testbed::{Cluster, wait};
use serde_json::Value;
use std::time::Duration;

type Test = fn(&Cluster) -> Result<()>;

/// Each by name.
pub(crate) const TESTS: &[(&str, Test)] = &[
    ("a_healthy_cluster_has_no_problems_until_it_has_one", healthy::test),
    ("a_user_of_one_namespace_gets_the_administrators_answer_for_it", access::one_namespace),
    ("a_user_without_nodes_and_secrets_is_told_what_was_not_checked", access::without_nodes_and_secrets),
    ("each_kind_is_listed_once_and_nothing_is_changed", requests::problems),
    ("why_asks_for_its_neighbourhood_only", requests::why),
    ("a_node_that_went_silent_is_the_cause_of_all_that_follows", node::test),
];

/// Waits until the namespaces of earlier tests are gone.
pub(crate) fn quiet(cluster: &Cluster) -> Result<()> {
    wait(Duration::from_secs(180), "the end of earlier tests' namespaces", || {
        let namespaces = cluster.get(&["namespaces"])?;
        Ok(items(&namespaces).iter().all(|namespace| {
            namespace["metadata"]["name"].as_str().is_some_and(|name| name == "default" || name.starts_with("kube-"))
        }))
    })
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
