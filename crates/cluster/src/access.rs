//! What the user may do: access reviews.

use crate::connection::Connection;
use crate::error::Intent;
use crate::wire::Ask;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::json;

/// Reviews that are asked for side by side.
const SIDE_BY_SIDE: usize = 8;

/// One thing the user may or may not do.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessAsk {
    /// `get`, `list`, `patch`, …
    pub verb: String,
    /// API group, empty for the core group.
    pub group: String,
    /// Plural resource name: `deployments`.
    pub resource: String,
    /// Such as `eviction`; `None` for the resource itself.
    pub subresource: Option<String>,
    /// `None` for the whole cluster.
    pub namespace: Option<String>,
    /// `None` for any.
    pub name: Option<String>,
}

impl Connection {
    /// Whether the user may do these things, in their order. `None` where that could not be found out.
    pub async fn reviews(&self, asks: &[AccessAsk]) -> Vec<Option<bool>> {
        futures::stream::iter(asks).map(|ask| self.review(ask)).buffered(SIDE_BY_SIDE).collect().await
    }

    async fn review(&self, ask: &AccessAsk) -> Option<bool> {
        let AccessAsk { verb, group, resource, subresource, namespace, name } = ask;
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "verb": verb,
                "group": group,
                "resource": resource,
                "subresource": subresource.as_deref().unwrap_or(""),
                "namespace": namespace.as_deref().unwrap_or(""),
                "name": name.as_deref().unwrap_or(""),
            }},
        });
        #[derive(Deserialize)]
        struct Review {
            status: Status,
        }
        #[derive(Deserialize)]
        struct Status {
            #[serde(default)]
            allowed: bool,
        }
        let review: Review = self.json(&review_ask("selfsubjectaccessreviews", &body)).await.ok()?;
        Some(review.status.allowed)
    }

    /// What the user may list in a namespace; `None` where the server cannot say, or not completely.
    pub(crate) async fn listable(&self, namespace: &str) -> Option<Listable> {
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        });
        let review: RulesReview = self.json(&review_ask("selfsubjectrulesreviews", &body)).await.ok()?;
        let rules = review.status.resource_rules;
        (!review.status.incomplete)
            .then(|| Listable(rules.into_iter().filter(|rule| grants(&rule.verbs, "list")).collect()))
    }
}

fn review_ask(resource: &str, body: &serde_json::Value) -> Ask {
    let intent = Intent { verb: "create", resource: format!("{resource}.authorization.k8s.io"), namespace: None };
    Ask::post(format!("/apis/authorization.k8s.io/v1/{resource}"), body.to_string().into_bytes(), intent)
}

/// The rules that grant `list` in a namespace.
#[derive(Debug)]
pub(crate) struct Listable(Vec<Rule>);

impl Listable {
    pub(crate) fn allows(&self, group: &str, plural: &str) -> bool {
        self.0.iter().any(|rule| {
            grants(&rule.api_groups, group) && grants(&rule.resources, plural) && rule.resource_names.is_empty()
        })
    }
}

fn grants(granted: &[String], wanted: &str) -> bool {
    granted.iter().any(|word| word == "*" || word == wanted)
}

#[derive(Deserialize)]
struct RulesReview {
    status: RulesStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RulesStatus {
    #[serde(default)]
    resource_rules: Vec<Rule>,
    #[serde(default)]
    incomplete: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Rule {
    verbs: Vec<String>,
    api_groups: Vec<String>,
    resources: Vec<String>,
    resource_names: Vec<String>,
}
