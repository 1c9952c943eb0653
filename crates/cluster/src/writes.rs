//! The few writes: what carries out a remedy, and the Event that tells of it.
//!
//! Nothing else in this crate changes a cluster, and nothing calls this but `reckon fix`. Each write says whether it is a
//! dry run, which the API server takes through admission and does not keep. An object that became another since it was
//! looked at is refused by the server itself: the writes carry its version, or its UID.

use crate::connection::Connection;
use crate::endpoint::Endpoint;
use crate::error::ReadError;
use crate::wire::Ask;
use reckon_model::{Kind, ResourceRef, Timestamp};
use serde_json::{Value, json};

/// Who is written down in `managedFields` and as the source of Events.
const WRITER: &str = "reckon";

/// How an API server applies a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    /// Lists of named things are merged by name. Built-in kinds only.
    Strategic,
    /// RFC 7386.
    Merge,
    /// RFC 6902.
    Json,
}

impl PatchType {
    fn media_type(self) -> &'static str {
        match self {
            PatchType::Strategic => "application/strategic-merge-patch+json",
            PatchType::Merge => "application/merge-patch+json",
            PatchType::Json => "application/json-patch+json",
        }
    }
}

/// Whether a write is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The server checks it, as far as admission, and keeps nothing.
    DryRun,
    /// It is kept.
    Apply,
}

impl Mode {
    fn query(self) -> (&'static str, &'static str) {
        ("dryRun", if self == Mode::DryRun { "All" } else { "" })
    }
}

impl Connection {
    /// One object as the server holds it. Of a Secret only its metadata.
    pub async fn read(&self, object: &ResourceRef) -> Result<Value, ReadError> {
        let endpoint = self.endpoint_for_write(&object.kind).await?;
        self.json(&endpoint.get(object.namespace.as_deref(), &object.name)).await
    }

    /// The objects of a kind with these labels, as the server holds them.
    pub async fn read_all(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<Vec<Value>, ReadError> {
        let endpoint = self.endpoint_for_write(kind).await?;
        let mut list: Value = self.json(&endpoint.list(namespace, &[("labelSelector", selector)])).await?;
        Ok(match list.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        })
    }

    /// Patches an object, or what lies below it such as `resize`, and gives what came of it. The patch has to carry the
    /// version that it is meant for.
    pub async fn patch(
        &self,
        object: &ResourceRef,
        below: Option<&str>,
        patch_type: PatchType,
        patch: &Value,
        mode: Mode,
    ) -> Result<Value, ReadError> {
        let endpoint = self.endpoint_for_write(&object.kind).await?;
        let query = [mode.query(), ("fieldManager", WRITER)];
        let body = patch.to_string().into_bytes();
        let content = patch_type.media_type();
        let ask = endpoint.patch(object.namespace.as_deref(), &object.name, below, &query, content, body);
        self.json(&ask).await
    }

    /// Asks for a pod to be moved away, which its PodDisruptionBudgets may refuse: 429, which is not tried again here.
    pub async fn evict(&self, pod: &ResourceRef, uid: &str, mode: Mode) -> Result<(), ReadError> {
        let mut options = json!({"preconditions": {"uid": uid}});
        if mode == Mode::DryRun {
            options["dryRun"] = json!(["All"]);
        }
        let body = json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace()},
            "deleteOptions": options,
        });
        let endpoint = self.endpoint_for_write(&Kind::Pod).await?;
        let ask = endpoint.post_to(pod.namespace.as_deref(), &pod.name, "eviction", body.to_string().into_bytes());
        self.json::<Value>(&Ask { once: true, ..ask }).await.map(drop)
    }

    /// Leaves an Event on an object, as the server holds it: what was done to it, for whoever looks at it next.
    pub async fn tell(&self, object: &Value, reason: &str, message: &str) -> Result<(), ReadError> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        // Events about what lives in no namespace are kept in this one.
        let namespace = Some(text("/metadata/namespace")).filter(|it| !it.is_empty()).unwrap_or("default");
        let now = whole_seconds(self.now());
        let body = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": format!("{}.", text("/metadata/name")), "namespace": namespace},
            "involvedObject": {
                "apiVersion": text("/apiVersion"),
                "kind": text("/kind"),
                "namespace": object.pointer("/metadata/namespace"),
                "name": text("/metadata/name"),
                "uid": text("/metadata/uid"),
                "resourceVersion": text("/metadata/resourceVersion"),
            },
            "type": "Normal",
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": WRITER},
            "reportingComponent": WRITER,
        });
        let endpoint = self.endpoint_for_write(&Kind::Event).await?;
        self.json::<Value>(&endpoint.create(Some(namespace), body.to_string().into_bytes())).await.map(drop)
    }

    /// Where a kind is served; 404 for one that is not.
    async fn endpoint_for_write(&self, kind: &Kind) -> Result<Endpoint, ReadError> {
        self.endpoint(kind).await?.ok_or_else(|| ReadError::NotFound {
            server: self.server().to_owned(),
            request: kind.resource(),
            message: "this cluster does not serve it".to_owned(),
        })
    }
}

/// As `metav1.Time` has it.
fn whole_seconds(at: Timestamp) -> Timestamp {
    at.round(jiff::TimestampRound::new().smallest(jiff::Unit::Second).mode(jiff::RoundMode::Trunc)).unwrap_or(at)
}
