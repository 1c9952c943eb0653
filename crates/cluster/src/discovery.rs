//! What the cluster serves: every kind with its path, custom resources included.

use crate::connection::Connection;
use crate::endpoint::Endpoint;
use crate::error::{Intent, ReadError};
use crate::wire::{Ask, JSON};
use futures::StreamExt;
use reckon_model::{Gap, Kind, Obstacle};
use serde::Deserialize;

/// Aggregated discovery (from 1.26) in one request per root; older servers take the last form.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// Group versions that are asked for side by side where discovery is not aggregated.
const SIDE_BY_SIDE: usize = 8;

/// One kind the cluster serves, in its preferred version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedType {
    /// The kind.
    pub kind: Kind,
    /// API group, empty for the core group.
    pub group: String,
    /// The version the server prefers.
    pub version: String,
    /// As in request paths: `certificates`.
    pub plural: String,
    /// As people say it: `certificate`.
    pub singular: String,
    /// Short names: `cert`.
    pub short: Vec<String>,
    /// Categories such as `all`.
    pub categories: Vec<String>,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// What can be done with it: `get`, `list`, `watch`, …
    pub verbs: Vec<String>,
}

/// Every kind the cluster serves.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    types: Vec<ServedType>,
    gaps: Vec<Gap>,
}

impl Discovery {
    /// All of them, in the server's order: core first, each kind once.
    pub fn types(&self) -> &[ServedType] {
        &self.types
    }

    /// What could not be discovered: aggregated APIs that are down.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// What kubectl means by `word`: kind, plural, singular or short name in any case, with or without group
    /// (`certificates.cert-manager.io`) and version (`certificates.v1.cert-manager.io`). Resource names beat kinds beat
    /// short names, and earlier groups beat later ones.
    pub fn resolve(&self, word: &str) -> Option<&ServedType> {
        let word = word.to_ascii_lowercase();
        let (name, group) = word.split_once('.').map_or((word.as_str(), None), |(name, group)| (name, Some(group)));
        let in_group = |served: &&ServedType| {
            group.is_none_or(|group| {
                group == served.group
                    || group.strip_prefix(&served.version).and_then(|rest| rest.strip_prefix('.'))
                        == Some(&served.group)
                    || (served.group.is_empty() && group == served.version)
            })
        };
        let find =
            |matches: &dyn Fn(&ServedType) -> bool| self.types.iter().filter(in_group).find(|served| matches(served));
        find(&|served| served.plural == name || served.singular == name)
            .or_else(|| find(&|served| served.kind.name().eq_ignore_ascii_case(name)))
            .or_else(|| find(&|served| served.short.iter().any(|short| short == name)))
    }

    /// How a kind is served, if it is.
    pub fn get(&self, kind: &Kind) -> Option<&ServedType> {
        self.types.iter().find(|served| &served.kind == kind)
    }

    fn add(&mut self, served: ServedType) {
        if self.get(&served.kind).is_none() {
            self.types.push(served);
        }
    }
}

impl ServedType {
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::new(&self.group, &self.version, &self.plural, self.namespaced)
    }
}

impl Connection {
    /// Everything the cluster serves. An aggregated API that is down is a gap, not an error. The answer is kept: kinds of
    /// custom resources are looked up in it later.
    pub async fn discover(&self) -> Result<Discovery, ReadError> {
        self.discovery().await.cloned()
    }

    pub(crate) async fn discovery(&self) -> Result<&Discovery, ReadError> {
        self.inner.discovered.get_or_try_init(|| self.ask_what_is_served()).await
    }

    /// Where a kind is served. `Err` is why that could not be found out; `Ok(None)`: nowhere.
    pub(crate) async fn endpoint(&self, kind: &Kind) -> Result<Option<Endpoint>, ReadError> {
        if let Some(endpoint) = Endpoint::of(kind) {
            return Ok(Some(endpoint));
        }
        Ok(self.discovery().await?.get(kind).map(ServedType::endpoint))
    }

    pub(crate) async fn ask_what_is_served(&self) -> Result<Discovery, ReadError> {
        let mut discovery = Discovery::default();
        for root in ["/api", "/apis"] {
            let answer: Root = self.json(&ask(root.to_owned()).accepting(AGGREGATED)).await?;
            match answer {
                Root::Aggregated { items } => {
                    items.into_iter().for_each(|group| discovery.add_group(root, group));
                }
                Root::Core { versions } => {
                    let versions = versions.into_iter().map(|version| (String::new(), version)).collect();
                    self.ask_each(versions, &mut discovery).await;
                }
                Root::Groups { groups } => {
                    let versions = groups
                        .into_iter()
                        .flat_map(|group| {
                            let preferred = group.preferred_version.map(|version| version.version);
                            let mut versions: Vec<String> =
                                group.versions.into_iter().map(|version| version.version).collect();
                            versions.sort_by_key(|version| Some(version) != preferred.as_ref());
                            versions.into_iter().map(move |version| (group.name.clone(), version))
                        })
                        .collect();
                    self.ask_each(versions, &mut discovery).await;
                }
            }
        }
        Ok(discovery)
    }

    async fn ask_each(&self, versions: Vec<(String, String)>, discovery: &mut Discovery) {
        let answers = futures::stream::iter(versions).map(|(group, version)| async move {
            let path = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
            let answer = self.json::<ResourceList>(&ask(path).accepting(JSON)).await;
            (group, version, answer)
        });
        let mut answers = std::pin::pin!(answers.buffered(SIDE_BY_SIDE));
        while let Some((group, version, answer)) = answers.next().await {
            match answer {
                Ok(list) => list.resources.into_iter().filter_map(|r| r.served(&group, &version)).for_each(|served| {
                    discovery.add(served);
                }),
                Err(error) => discovery.gaps.push(error.gap(api(&group, &version))),
            }
        }
    }
}

fn api(group: &str, version: &str) -> String {
    format!("API {}", if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") })
}

fn ask(path: String) -> Ask {
    let intent = Intent { verb: "get", resource: path.clone(), namespace: None };
    Ask::get(path, intent)
}

impl Discovery {
    fn add_group(&mut self, root: &str, group: GroupDiscovery) {
        let name = group.metadata.name;
        for version in group.versions {
            if version.freshness == "Stale" {
                let path = if name.is_empty() {
                    format!("{root}/{}", version.version)
                } else {
                    format!("{root}/{name}/{}", version.version)
                };
                self.gaps.push(Gap {
                    what: api(&name, &version.version),
                    why: format!("GET {path}: the server behind it does not answer"),
                    obstacle: Obstacle::Server,
                });
            }
            for resource in version.resources {
                let Some(kind) = resource.response_kind.filter(|kind| !kind.kind.is_empty()) else { continue };
                self.add(ServedType {
                    kind: Kind::of_group(&name, &kind.kind),
                    group: name.clone(),
                    version: version.version.clone(),
                    plural: resource.resource,
                    singular: resource.singular_resource,
                    short: resource.short_names,
                    categories: resource.categories,
                    namespaced: resource.scope == "Namespaced",
                    verbs: resource.verbs,
                });
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Root {
    Aggregated { items: Vec<GroupDiscovery> },
    Groups { groups: Vec<Group> },
    Core { versions: Vec<String> },
}

#[derive(Deserialize)]
struct GroupDiscovery {
    #[serde(default)]
    metadata: Name,
    #[serde(default)]
    versions: Vec<VersionDiscovery>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Name {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct VersionDiscovery {
    version: String,
    freshness: String,
    resources: Vec<ResourceDiscovery>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ResourceDiscovery {
    resource: String,
    response_kind: Option<KindName>,
    scope: String,
    singular_resource: String,
    verbs: Vec<String>,
    short_names: Vec<String>,
    categories: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct KindName {
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: String,
    #[serde(default)]
    versions: Vec<GroupVersion>,
    #[serde(default)]
    preferred_version: Option<GroupVersion>,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
}

#[derive(Deserialize)]
struct ResourceList {
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Resource {
    name: String,
    singular_name: String,
    namespaced: bool,
    kind: String,
    verbs: Vec<String>,
    short_names: Vec<String>,
    categories: Vec<String>,
}

impl Resource {
    /// `None` for subresources.
    fn served(self, group: &str, version: &str) -> Option<ServedType> {
        (!self.name.contains('/') && !self.kind.is_empty()).then(|| ServedType {
            kind: Kind::of_group(group, &self.kind),
            group: group.to_owned(),
            version: version.to_owned(),
            singular: if self.singular_name.is_empty() { self.kind.to_ascii_lowercase() } else { self.singular_name },
            plural: self.name,
            short: self.short_names,
            categories: self.categories,
            namespaced: self.namespaced,
            verbs: self.verbs,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(group: &str, version: &str, kind: &str, plural: &str, short: &[&str]) -> ServedType {
        ServedType {
            kind: Kind::of_group(group, kind),
            group: group.into(),
            version: version.into(),
            plural: plural.into(),
            singular: kind.to_ascii_lowercase(),
            short: short.iter().map(|&short| short.to_owned()).collect(),
            categories: vec![],
            namespaced: true,
            verbs: vec![],
        }
    }

    #[test]
    fn a_type_is_found_in_every_spelling_of_kubectl() {
        let mut discovery = Discovery::default();
        discovery.add(served("", "v1", "Pod", "pods", &["po"]));
        discovery.add(served("metrics.k8s.io", "v1beta1", "PodMetrics", "pods", &[]));
        discovery.add(served("cert-manager.io", "v1", "Certificate", "certificates", &["cert"]));
        discovery.add(served("example.org", "v2", "Certificate", "certificates", &[]));
        let group = |word: &str| discovery.resolve(word).map(|served| served.group.as_str());
        for word in ["Certificate", "certificates", "cert", "certificates.cert-manager.io", "CERT"] {
            assert_eq!(group(word), Some("cert-manager.io"), "{word}");
        }
        assert_eq!(group("certificates.v2.example.org"), Some("example.org"));
        assert_eq!(group("pods"), Some(""));
        assert_eq!(group("pods.v1"), Some(""));
        assert_eq!(group("podmetrics"), Some("metrics.k8s.io"));
        assert_eq!(group("certificates.nowhere.org"), None);
    }
}
