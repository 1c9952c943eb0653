//! Where the API serves a kind.

use crate::error::Intent;
use crate::wire::{Ask, JSON};
use http::Method;
use reckon_model::Kind;

/// Asks for metadata alone: no value of a Secret or ConfigMap crosses the wire. A server that does not know the form
/// answers 406, never with the values.
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
/// The same of kinds whose whole objects are no secret: an aggregated server that does not know the form sends those.
const METADATA_LIST_IF_KNOWN: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;q=0.5";
const METADATA_ONE: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_ONE_IF_KNOWN: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;q=0.5";

/// Where the API serves a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) namespaced: bool,
    /// Whether only metadata is ever asked for.
    metadata_only: bool,
}

impl Endpoint {
    pub(crate) fn new(group: &str, version: &str, plural: &str, namespaced: bool) -> Self {
        Endpoint {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
            namespaced,
            metadata_only: group.is_empty() && matches!(plural, "secrets" | "configmaps"),
        }
    }

    /// The endpoint of a named kind; the others are known to discovery.
    pub(crate) fn of(kind: &Kind) -> Option<Self> {
        let served = kind.served()?;
        Some(Endpoint::new(served.group, served.version, served.plural, served.namespaced))
    }

    /// As RBAC rules name it: `pods`, `deployments.apps`.
    pub(crate) fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// Whether it is of Kubernetes itself. What is of another group may be served by somebody else, with versions of its own.
    pub(crate) fn is_of_kubernetes(&self) -> bool {
        !self.group.contains('.') || self.group.ends_with(".k8s.io")
    }

    fn path(&self, namespace: Option<&str>) -> String {
        let Endpoint { group, version, plural, .. } = self;
        let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{root}/namespaces/{}/{plural}", encode(namespace)),
            None => format!("{root}/{plural}"),
        }
    }

    fn intent(&self, verb: &'static str, namespace: Option<&str>) -> Intent {
        let namespace = namespace.filter(|_| self.namespaced).map(str::to_owned);
        Intent { verb, resource: self.resource(), namespace }
    }

    /// GET of one object.
    pub(crate) fn get(&self, namespace: Option<&str>, name: &str) -> Ask {
        let ask = Ask::get(format!("{}/{}", self.path(namespace), encode(name)), self.intent("get", namespace));
        // The one ConfigMap somebody asks about by name is read with its data, which is no secret.
        ask.accepting(if self.metadata_only && self.plural == "secrets" { METADATA_ONE } else { JSON })
    }

    /// GET of one object with everything in it, a Secret's values included: for Helm's releases alone.
    pub(crate) fn get_with_values(&self, namespace: Option<&str>, name: &str) -> Ask {
        self.get(namespace, name).accepting(JSON)
    }

    /// GET of a list with these query parameters.
    pub(crate) fn list(&self, namespace: Option<&str>, query: &[(&str, &str)]) -> Ask {
        let ask = Ask::get(with_query(self.path(namespace), query), self.intent("list", namespace));
        ask.accepting(if self.metadata_only { METADATA_LIST } else { JSON })
    }

    /// GET of the metadata alone of a list.
    pub(crate) fn names(&self, namespace: Option<&str>, query: &[(&str, &str)]) -> Ask {
        self.list(namespace, query).accepting(if self.metadata_only { METADATA_LIST } else { METADATA_LIST_IF_KNOWN })
    }

    /// GET of the metadata alone of one object.
    pub(crate) fn name(&self, namespace: Option<&str>, name: &str) -> Ask {
        self.get(namespace, name).accepting(if self.metadata_only { METADATA_ONE } else { METADATA_ONE_IF_KNOWN })
    }

    /// PATCH of one object with a body of this media type.
    pub(crate) fn patch(
        &self,
        namespace: Option<&str>,
        name: &str,
        below: Option<&str>,
        query: &[(&str, &str)],
        content: &'static str,
        body: Vec<u8>,
    ) -> Ask {
        let below = below.map(|below| format!("/{below}")).unwrap_or_default();
        let target = with_query(format!("{}/{}{below}", self.path(namespace), encode(name)), query);
        let mut ask = self.writing(target, "patch", namespace);
        ask.intent.resource.push_str(&below);
        Ask { method: Method::PATCH, body, content, ..ask }
    }

    /// POST to a sub-resource of one object.
    pub(crate) fn post_to(&self, namespace: Option<&str>, name: &str, below: &str, body: Vec<u8>) -> Ask {
        let target = format!("{}/{}/{below}", self.path(namespace), encode(name));
        let mut ask = self.writing(target, "create", namespace);
        ask.intent.resource = format!("{}/{below}", self.resource());
        Ask { method: Method::POST, body, ..ask }
    }

    /// POST of a new object.
    pub(crate) fn create(&self, namespace: Option<&str>, body: Vec<u8>) -> Ask {
        Ask { method: Method::POST, body, ..self.writing(self.path(namespace), "create", namespace) }
    }

    fn writing(&self, target: String, verb: &'static str, namespace: Option<&str>) -> Ask {
        // The answer is the object: of what may hold secrets, its metadata.
        let accept = if self.metadata_only && self.plural == "secrets" { METADATA_ONE } else { JSON };
        Ask::get(target, self.intent(verb, namespace)).accepting(accept)
    }

    /// A watch with these query parameters.
    pub(crate) fn watch(&self, namespace: Option<&str>, query: &[(&str, &str)]) -> Ask {
        let mut ask = Ask::get(with_query(self.path(namespace), query), self.intent("watch", namespace));
        ask.endless = true;
        ask.accepting(if self.metadata_only { METADATA_ONE } else { JSON })
    }
}

pub(crate) fn with_query(path: String, query: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = query
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| format!("{key}={}", encode(value)))
        .collect();
    if pairs.is_empty() { path } else { format!("{path}?{}", pairs.join("&")) }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986, so that a name cannot leave its segment.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => out.push(char::from(byte)),
            // A segment of dots alone would be taken for a step upwards.
            b'.' if text.bytes().any(|other| other != b'.') => out.push('.'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_config_maps_are_asked_for_as_metadata_alone() {
        for kind in [Kind::Secret, Kind::ConfigMap] {
            let endpoint = Endpoint::of(&kind).unwrap();
            assert_eq!(endpoint.list(None, &[]).accept, METADATA_LIST);
            assert_eq!(endpoint.watch(None, &[]).accept, METADATA_ONE);
        }
        assert_eq!(Endpoint::of(&Kind::Secret).unwrap().get(Some("shop"), "db").accept, METADATA_ONE);
        assert_eq!(Endpoint::of(&Kind::ConfigMap).unwrap().get(Some("shop"), "db").accept, JSON);
        assert_eq!(Endpoint::of(&Kind::Pod).unwrap().list(None, &[]).accept, JSON);
    }

    #[test]
    fn a_name_cannot_leave_its_place_in_the_path() {
        let pods = Endpoint::of(&Kind::Pod).unwrap();
        assert_eq!(pods.get(Some(".."), "a/b?c#d").target, "/api/v1/namespaces/%2E%2E/pods/a%2Fb%3Fc%23d");
        let ask = Endpoint::of(&Kind::Deployment).unwrap().list(Some("shop"), &[("labelSelector", "a in (b,c)")]);
        assert_eq!(ask.target, "/apis/apps/v1/namespaces/shop/deployments?labelSelector=a%20in%20%28b%2Cc%29");
        assert_eq!(ask.describe(), "GET /apis/apps/v1/namespaces/shop/deployments");
        assert_eq!(ask.intent.describe(), "list deployments.apps in namespace shop");
    }

    #[test]
    fn a_namespace_is_ignored_for_kinds_without_one() {
        let ask = Endpoint::of(&Kind::Node).unwrap().list(Some("shop"), &[]);
        assert_eq!((ask.target.as_str(), ask.intent.namespace), ("/api/v1/nodes", None));
    }
}
