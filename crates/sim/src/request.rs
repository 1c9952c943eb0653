//! What a request asks for: its path, query and headers taken apart.

use crate::status::ApiError;
use crate::users::User;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};

/// A request under way.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Decoded segments of the path.
    pub(crate) segments: Vec<String>,
    pub(crate) path: String,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) user: User,
}

/// Decoded parameters, in their order.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// The first value of a parameter; empty for none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Whether a parameter says yes. Kubernetes takes everything but `false` and `0` for that.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0.iter().any(|(key, value)| key == name && value != "false" && value != "0")
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.get(name) {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))),
        }
    }
}

impl Call {
    pub(crate) fn new(request: Request<Bytes>) -> Call {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let decode = |segment: &str| percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned();
        let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
        Call {
            method: head.method,
            segments: path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect(),
            path,
            query: Query(query.into_owned().collect()),
            headers: head.headers,
            body,
            user: User::default(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Who writes: `fieldManager`, or the first word of the user agent as the real server takes it.
    pub(crate) fn manager(&self) -> String {
        match self.query.get("fieldManager") {
            "" => {
                let agent = self.header("user-agent");
                let name = agent.split(['/', ' ']).next().unwrap_or_default();
                if name.is_empty() { "unknown".to_owned() } else { name.to_owned() }
            }
            manager => manager.to_owned(),
        }
    }

    pub(crate) fn dry_run(&self) -> Result<bool, ApiError> {
        match self.query.get("dryRun") {
            "" => Ok(false),
            "All" => Ok(true),
            other => {
                let message = format!("Unsupported value: [{other:?}]: supported values: \"All\"");
                Err(ApiError::invalid(
                    "meta.k8s.io",
                    "CreateOptions",
                    "",
                    &[("dryRun", "FieldValueNotSupported", message)],
                ))
            }
        }
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<serde_json::Value, ApiError> {
        let media = self.header("content-type").split(';').next().unwrap_or_default().trim();
        if media == crate::protobuf::MEDIA {
            let unknown = || ApiError::unsupported_media(&["application/json"]);
            return crate::protobuf::decode(&self.body).ok_or_else(unknown);
        }
        if !matches!(media, "" | "application/json" | "*/*") {
            return Err(ApiError::unsupported_media(&["application/json"]));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            ApiError::bad_request(format!("the object provided is unrecognized (must be of type Status): {error}"))
        })
    }
}

/// Where the path of an object or a list leads.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    /// The sub-resource and what follows it.
    pub(crate) sub: Vec<String>,
}

impl Target {
    /// `None` for paths that name no resource.
    pub(crate) fn of(segments: &[String]) -> Option<Target> {
        let (group, version, rest) = match segments {
            [root, version, rest @ ..] if root == "api" => ("", version, rest),
            [root, group, version, rest @ ..] if root == "apis" => (group.as_str(), version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            [word, namespace, plural, ..]
                if word == "namespaces" && !matches!(plural.as_str(), "status" | "finalize") =>
            {
                (Some(namespace.clone()), &rest[2..])
            }
            _ => (None, rest),
        };
        let (plural, rest) = rest.split_first()?;
        Some(Target {
            group: group.to_owned(),
            version: version.clone(),
            plural: plural.clone(),
            namespace,
            name: rest.first().cloned(),
            sub: rest.get(1..).unwrap_or_default().to_vec(),
        })
    }

    pub(crate) fn sub(&self) -> &str {
        self.sub.first().map_or("", String::as_str)
    }

    pub(crate) fn qualified(&self) -> String {
        crate::status::qualified(&self.group, &self.plural)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_the_real_server_does() {
        let target = |path: &str| {
            let segments: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
            let t = Target::of(&segments)?;
            let text = |part: Option<String>| part.unwrap_or_else(|| "-".to_owned());
            Some([t.group, t.version, text(t.namespace), t.plural, text(t.name), t.sub.join("/")].join(" "))
        };
        assert_eq!(target("/api/v1/pods").as_deref(), Some(" v1 - pods - "));
        assert_eq!(target("/api/v1/namespaces/a").as_deref(), Some(" v1 - namespaces a "));
        assert_eq!(target("/api/v1/namespaces/a/status").as_deref(), Some(" v1 - namespaces a status"));
        assert_eq!(target("/api/v1/namespaces/a/pods/p/log").as_deref(), Some(" v1 a pods p log"));
        assert_eq!(target("/apis/apps/v1/deployments").as_deref(), Some("apps v1 - deployments - "));
        assert_eq!(target("/apis/apps"), None);
    }
}
