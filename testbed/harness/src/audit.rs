//! What was asked of the API server, by its own audit log.

use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

/// The place in the audit log from which requests are counted.
#[derive(Debug)]
pub struct AuditLog {
    from: usize,
}

/// One request of `reckon`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// `get`, `list`, `watch`, `create` …
    pub verb: String,
    /// The path with its query.
    pub uri: String,
    /// `pods`, `pods/log`; empty for requests that are about no resource.
    pub resource: String,
    /// Empty for the whole cluster.
    pub namespace: String,
}

const PATH: &str = "/run/reckon-testbed/audit.log";

impl AuditLog {
    /// From now on.
    pub fn from_now() -> Result<AuditLog> {
        // Requests of a program that has just ended may still be on their way into the log.
        std::thread::sleep(Duration::from_millis(500));
        Ok(AuditLog { from: fs::read(PATH).context(PATH)?.len() })
    }

    /// All requests whose user agent begins with `reckon/` since then, in the order of the log.
    pub fn requests(&self) -> Result<Vec<Request>> {
        std::thread::sleep(Duration::from_millis(500));
        let log = fs::read(PATH).context(PATH)?;
        let new = String::from_utf8_lossy(log.get(self.from..).unwrap_or_default()).into_owned();
        let mut seen = BTreeSet::new();
        let mut out = Vec::new();
        for line in new.lines() {
            let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
            let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
            let ours = event["userAgent"].as_str().is_some_and(|agent| agent.starts_with("reckon/"));
            // A watch is told twice: when it starts and when it ends.
            if !ours || !seen.insert(text(&event["auditID"])) {
                continue;
            }
            let object = &event["objectRef"];
            let mut resource = text(&object["resource"]);
            if let Some(sub) = object["subresource"].as_str() {
                resource = format!("{resource}/{sub}");
            }
            out.push(Request {
                verb: text(&event["verb"]),
                uri: text(&event["requestURI"]),
                resource,
                namespace: text(&object["namespace"]),
            });
        }
        Ok(out)
    }
}

impl Request {
    /// Whether it changes something.
    pub fn mutates(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }

    /// Whether it asks a cluster what the asking user may do, which is the one thing that has to be created to be read.
    pub fn is_self_review(&self) -> bool {
        self.resource.starts_with("selfsubject")
    }

    /// How often each kind was listed in each scope and with each selector; further pages of a list are not counted.
    pub fn lists(requests: &[Request]) -> BTreeMap<String, usize> {
        let mut counted = BTreeMap::new();
        for request in requests {
            let further = request.uri.contains("continue=");
            if !further && matches!(request.verb.as_str(), "list" | "watch") {
                *counted.entry(format!("{} in {:?}", request.resource, request.namespace)).or_default() += 1;
            }
        }
        counted
    }
}
