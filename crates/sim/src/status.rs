//! What a server says when it does not do what was asked: `Status` objects with the words of the real one.

use bytes::Bytes;
use serde_json::{Map, Value, json};

/// A refusal, as the `Status` object that tells it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// HTTP status code.
    pub code: u16,
    /// `NotFound`, `Conflict`, …; empty where the real server says none.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// What it is about; `Null` for none.
    pub details: Value,
    /// The `Retry-After` header, in seconds.
    pub retry_after: Option<u32>,
    /// The token with which an expired list can be gone on with, though inconsistently.
    pub continue_token: Option<String>,
}

impl ApiError {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> ApiError {
        ApiError {
            code,
            reason,
            message: message.into(),
            details: Value::Null,
            retry_after: None,
            continue_token: None,
        }
    }

    pub(crate) fn about(mut self, group: &str, plural: &str, name: &str) -> ApiError {
        let mut details = Map::new();
        for (key, value) in [("name", name), ("group", group), ("kind", plural)] {
            if !value.is_empty() {
                details.insert(key.to_owned(), value.into());
            }
        }
        self.details = Value::Object(details);
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> ApiError {
        ApiError::new(400, "BadRequest", message)
    }

    /// An object that is not there.
    pub(crate) fn not_found(group: &str, plural: &str, name: &str) -> ApiError {
        ApiError::new(404, "NotFound", format!("{} {name:?} not found", qualified(group, plural)))
            .about(group, plural, name)
    }

    /// A path that leads nowhere.
    pub(crate) fn no_such_resource() -> ApiError {
        let mut error = ApiError::new(404, "NotFound", "the server could not find the requested resource");
        error.details = json!({});
        error
    }

    pub(crate) fn already_exists(group: &str, plural: &str, name: &str) -> ApiError {
        ApiError::new(409, "AlreadyExists", format!("{} {name:?} already exists", qualified(group, plural)))
            .about(group, plural, name)
    }

    pub(crate) fn conflict(group: &str, plural: &str, name: &str, why: &str) -> ApiError {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", qualified(group, plural));
        ApiError::new(409, "Conflict", message).about(group, plural, name)
    }

    /// An update of a version that is not the newest.
    pub(crate) fn modified(group: &str, plural: &str, name: &str) -> ApiError {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        ApiError::conflict(group, plural, name, why)
    }

    /// Fields that may not be as they are: `(field, reason of the cause, message of the cause)`.
    pub(crate) fn invalid(group: &str, kind: &str, name: &str, causes: &[(&str, &str, String)]) -> ApiError {
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let lines: Vec<String> = causes.iter().map(|(field, _, message)| format!("{field}: {message}")).collect();
        let all = if lines.len() == 1 { lines.concat() } else { format!("[{}]", lines.join(", ")) };
        let mut error =
            ApiError::new(422, "Invalid", format!("{qualified} {name:?} is invalid: {all}")).about(group, kind, name);
        let causes =
            causes.iter().map(|(field, reason, message)| json!({"reason": reason, "message": message, "field": field}));
        error.details["causes"] = causes.collect();
        error
    }

    /// Options of a list or watch that do not go together.
    pub(crate) fn options(field: &str, message: &str) -> ApiError {
        let causes = [(field, "FieldValueForbidden", format!("Forbidden: {message}"))];
        ApiError::invalid("meta.k8s.io", "ListOptions", "", &causes)
    }

    pub(crate) fn expired(message: impl Into<String>) -> ApiError {
        ApiError::new(410, "Expired", message)
    }

    /// A version that this server has not reached.
    pub(crate) fn too_large(wanted: u64, current: u64) -> ApiError {
        let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
        let mut error = ApiError::new(504, "Timeout", message);
        error.details = json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        });
        error.retry_after = Some(1);
        error
    }

    /// The storage does not answer.
    pub(crate) fn storage_timeout() -> ApiError {
        let mut error = ApiError::new(504, "Timeout", "Timeout: request did not complete within the allotted timeout");
        error.details = json!({});
        error
    }

    pub(crate) fn unauthorized() -> ApiError {
        ApiError::new(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn method_not_allowed() -> ApiError {
        let mut error =
            ApiError::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
        error.details = json!({});
        error
    }

    pub(crate) fn unsupported_media(accepted: &[&str]) -> ApiError {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        ApiError::new(415, "UnsupportedMediaType", message)
    }

    /// The `Status` object.
    pub fn to_json(&self) -> Value {
        let mut metadata = json!({});
        if let Some(token) = &self.continue_token {
            metadata["continue"] = token.as_str().into();
        }
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": self.message,
            "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }

    pub(crate) fn bytes(&self) -> Bytes {
        Bytes::from(self.to_json().to_string())
    }
}

/// `pods`, `deployments.apps`.
pub(crate) fn qualified(group: &str, plural: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}
