//! What is served, in the forms in which clients ask for it.

use crate::body::Answer;
use crate::faults::FaultKind;
use crate::metrics;
use crate::request::Call;
use crate::resource::Resource;
use crate::reviews::REVIEWS;
use crate::status::ApiError;
use crate::world::World;
use bytes::Bytes;
use serde_json::{Value, json};

/// In the order in which the real server lists those of custom resources.
const CUSTOM_VERBS: &[&str] = &["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

const VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// A resource, or a sub-resource of one, as discovery describes it.
struct Entry {
    name: String,
    singular: String,
    namespaced: bool,
    /// Group, version and kind of what is answered.
    kind: (String, String, String),
    verbs: Vec<&'static str>,
    short: Vec<String>,
    categories: Vec<String>,
}

impl World {
    /// Groups with their versions, in the order of discovery: core first, then as they were added.
    fn groups(&self) -> Vec<(String, Vec<String>)> {
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        let mut add = |group: &str, versions: &[String]| {
            let place = groups.iter().position(|(known, _)| known == group).unwrap_or_else(|| {
                groups.push((group.to_owned(), Vec::new()));
                groups.len() - 1
            });
            for version in versions {
                if !groups[place].1.contains(version) {
                    groups[place].1.push(version.clone());
                }
            }
        };
        for resource in self.resources().filter(|resource| resource.built_in) {
            add(&resource.group, &resource.versions);
        }
        for (group, version, ..) in REVIEWS {
            add(group, &[(*version).to_owned()]);
        }
        for resource in self.resources().filter(|resource| !resource.built_in) {
            add(&resource.group, &resource.versions);
        }
        add(metrics::GROUP, &["v1beta1".to_owned()]);
        groups
    }

    /// Whether a group is served in a version.
    pub(crate) fn knows(&self, group: &str, version: &str) -> bool {
        self.groups().iter().any(|(name, versions)| name == group && versions.iter().any(|known| known == version))
    }

    pub(crate) fn group_down(&self, group: &str) -> bool {
        self.faults
            .holds("", |kind| {
                matches!(kind, FaultKind::GroupUnavailable { group: down } if down == group).then_some(())
            })
            .is_some()
    }

    fn entries(&self, group: &str, version: &str) -> Vec<Entry> {
        let mut entries = Vec::new();
        for resource in self.resources().filter(|r| r.group == group && r.versions.iter().any(|v| v == version)) {
            entries.push(Entry {
                name: resource.plural.clone(),
                singular: resource.singular.clone(),
                namespaced: resource.namespaced,
                kind: (group.to_owned(), version.to_owned(), resource.kind.clone()),
                verbs: verbs(resource),
                short: resource.short.clone(),
                categories: resource.categories.clone(),
            });
            for (sub, kind, verbs) in subs(resource, version) {
                entries.push(Entry {
                    name: format!("{}/{sub}", resource.plural),
                    singular: String::new(),
                    namespaced: resource.namespaced,
                    kind,
                    verbs,
                    short: Vec::new(),
                    categories: Vec::new(),
                });
            }
        }
        let review = REVIEWS.iter().filter(|(of, at, ..)| *of == group && *at == version);
        entries.extend(review.map(|&(group, version, plural, kind, namespaced)| Entry {
            name: plural.to_owned(),
            singular: kind.to_ascii_lowercase(),
            namespaced,
            kind: (group.to_owned(), version.to_owned(), kind.to_owned()),
            verbs: vec!["create"],
            short: Vec::new(),
            categories: Vec::new(),
        }));
        if group == metrics::GROUP {
            entries.extend([("nodes", "NodeMetrics", false), ("pods", "PodMetrics", true)].map(
                |(name, kind, namespaced)| Entry {
                    name: name.to_owned(),
                    singular: String::new(),
                    namespaced,
                    kind: (group.to_owned(), version.to_owned(), kind.to_owned()),
                    verbs: vec!["get", "list"],
                    short: Vec::new(),
                    categories: Vec::new(),
                },
            ));
        }
        entries
    }

    /// Answers `/api`, `/apis` and what lies below them and is no resource; `None` for other paths.
    pub(crate) fn discover(&self, call: &Call) -> Option<Result<Answer, ApiError>> {
        let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
        let aggregated = call.header("accept").split(',').find_map(|part| {
            let wanted = part.contains("as=APIGroupDiscoveryList") && part.contains("g=apidiscovery.k8s.io");
            let version = if part.contains("v=v2beta1") { "v2beta1" } else { "v2" };
            wanted.then_some(version)
        });
        let answer = match segments.as_slice() {
            [root @ ("api" | "apis")] => match aggregated {
                Some(version) => self.aggregated(*root == "api", version),
                None if *root == "api" => Answer::json(
                    200,
                    &json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}]}),
                ),
                None => {
                    let groups = self.groups().into_iter().filter(|(group, _)| !group.is_empty());
                    let groups: Vec<Value> =
                        groups.map(|(group, versions)| group_json(&group, &versions, false)).collect();
                    Answer::json(200, &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
                }
            },
            ["api", "v1"] => self.resource_list("", "v1"),
            ["apis", group] => {
                let Some((group, versions)) = self.groups().into_iter().find(|(name, _)| name == group) else {
                    return Some(Ok(Answer::text(404, "404 page not found\n")));
                };
                Answer::json(200, &group_json(&group, &versions, true))
            }
            ["apis", group, version] => {
                if self.group_down(group) {
                    return Some(Err(unavailable()));
                }
                if !self.knows(group, version) {
                    return Some(Ok(Answer::text(404, "404 page not found\n")));
                }
                self.resource_list(group, version)
            }
            _ => return None,
        };
        Some(Ok(answer))
    }

    fn resource_list(&self, group: &str, version: &str) -> Answer {
        let resources: Vec<Value> = self
            .entries(group, version)
            .into_iter()
            .map(|entry| {
                let mut value = json!({
                    "name": entry.name,
                    "singularName": entry.singular,
                    "namespaced": entry.namespaced,
                    "kind": entry.kind.2,
                    "verbs": entry.verbs,
                });
                if entry.kind.0 != group || entry.kind.1 != version {
                    value["group"] = entry.kind.0.into();
                    value["version"] = entry.kind.1.into();
                }
                if !entry.short.is_empty() {
                    value["shortNames"] = json!(entry.short);
                }
                if !entry.categories.is_empty() {
                    value["categories"] = json!(entry.categories);
                }
                value
            })
            .collect();
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        let list =
            json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": resources});
        Answer::json(200, &list)
    }

    fn aggregated(&self, core: bool, form: &'static str) -> Answer {
        let groups = self.groups().into_iter().filter(|(group, _)| group.is_empty() == core);
        let items: Vec<Value> = groups
            .map(|(group, versions)| {
                let down = self.group_down(&group);
                let versions: Vec<Value> = versions
                    .iter()
                    .map(|version| {
                        let entries = if down { Vec::new() } else { self.entries(&group, version) };
                        json!({
                            "version": version,
                            "freshness": if down { "Stale" } else { "Current" },
                            "resources": aggregated_resources(entries),
                        })
                    })
                    .collect();
                let meta = if group.is_empty() { json!({}) } else { json!({"name": group}) };
                json!({"metadata": meta, "versions": versions})
            })
            .collect();
        let list = json!({
            "kind": "APIGroupDiscoveryList",
            "apiVersion": format!("apidiscovery.k8s.io/{form}"),
            "metadata": {},
            "items": items,
        });
        let media = match form {
            "v2beta1" => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
            _ => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        };
        Answer::of(200, media, crate::body::Payload::Whole(Bytes::from(list.to_string())))
    }
}

fn verbs(resource: &Resource) -> Vec<&'static str> {
    let all = if resource.built_in { VERBS } else { CUSTOM_VERBS };
    all.iter().copied().filter(|verb| *verb != "deletecollection" || resource.collections()).collect()
}

/// The server behind a group does not answer.
pub(crate) fn unavailable() -> ApiError {
    let mut error = ApiError::new(503, "ServiceUnavailable", "the server is currently unable to handle the request");
    error.details = json!({});
    error
}

fn group_json(group: &str, versions: &[String], alone: bool) -> Value {
    let version = |version: &String| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    let mut value = json!({
        "name": group,
        "versions": versions.iter().map(version).collect::<Vec<_>>(),
        "preferredVersion": versions.first().map(version),
    });
    if alone {
        value["kind"] = "APIGroup".into();
        value["apiVersion"] = "v1".into();
    }
    value
}

fn aggregated_resources(entries: Vec<Entry>) -> Vec<Value> {
    let mut resources: Vec<Value> = Vec::new();
    for entry in entries {
        let (group, version, kind) = entry.kind;
        let kind = json!({"group": group, "version": version, "kind": kind});
        if let Some((_, sub)) = entry.name.split_once('/') {
            if let Some(last) = resources.last_mut() {
                let sub = json!({"subresource": sub, "responseKind": kind, "verbs": entry.verbs});
                match last["subresources"].as_array_mut() {
                    Some(subs) => subs.push(sub),
                    None => last["subresources"] = json!([sub]),
                }
            }
            continue;
        }
        let mut value = json!({
            "resource": entry.name,
            "responseKind": kind,
            "scope": if entry.namespaced { "Namespaced" } else { "Cluster" },
            "singularResource": entry.singular,
            "verbs": entry.verbs,
        });
        if !entry.short.is_empty() {
            value["shortNames"] = json!(entry.short);
        }
        if !entry.categories.is_empty() {
            value["categories"] = json!(entry.categories);
        }
        resources.push(value);
    }
    resources
}

type Sub = (&'static str, (String, String, String), Vec<&'static str>);

fn subs(resource: &Resource, version: &str) -> Vec<Sub> {
    let mut subs = Vec::new();
    let own = || (resource.group.clone(), version.to_owned(), resource.kind.clone());
    let of = |group: &str, version: &str, kind: &str| (group.to_owned(), version.to_owned(), kind.to_owned());
    let change = || vec!["get", "patch", "update"];
    if resource.built_in && resource.kind == "Pod" {
        subs.push(("binding", of("", "v1", "Binding"), vec!["create"]));
        subs.push(("eviction", of("policy", "v1", "Eviction"), vec!["create"]));
        subs.push(("log", own(), vec!["get"]));
        subs.push(("resize", own(), change()));
    }
    if resource.built_in && resource.kind == "ServiceAccount" {
        subs.push(("token", of("authentication.k8s.io", "v1", "TokenRequest"), vec!["create"]));
    }
    if resource.built_in && resource.kind == "Namespace" {
        subs.push(("finalize", own(), vec!["update"]));
    }
    if resource.scale.is_some() {
        subs.push(("scale", of("autoscaling", "v1", "Scale"), change()));
    }
    if resource.status {
        // Before `scale` where the kind is a custom one.
        let at = if resource.built_in { subs.len() } else { 0 };
        subs.insert(at, ("status", own(), change()));
    }
    subs
}
