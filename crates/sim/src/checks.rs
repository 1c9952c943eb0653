//! What a client may write, and what of the old state stays.

use crate::resource::Resource;
use crate::status::ApiError;
use crate::write::RBAC;
use serde_json::Value;

/// Metadata that a client cannot change.
const FIXED: &[&str] =
    &["uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion"];

/// Keeps of the old state what this way of writing does not reach.
pub(crate) fn keep_fixed(resource: &Resource, old: &Value, new: &mut Value, sub: &str) {
    if let Some(fields) = new.as_object_mut() {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    let sub_status = matches!(sub, "status");
    if sub_status {
        let status = new["status"].take();
        let meta = new["metadata"].take();
        *new = old.clone();
        // The real server takes labels and annotations of some kinds here, too; those of Pods and Nodes are needed.
        if matches!(resource.kind.as_str(), "Pod" | "Node") && resource.built_in {
            for key in ["labels", "annotations"] {
                if !meta[key].is_null() {
                    new["metadata"][key] = meta[key].clone();
                }
            }
        }
        if status.is_null() {
            if let Some(fields) = new.as_object_mut() {
                fields.remove("status");
            }
        } else {
            new["status"] = status;
        }
    } else if resource.status && sub.is_empty() {
        match &old["status"] {
            Value::Null => new.as_object_mut().and_then(|fields| fields.remove("status")).map_or((), drop),
            status => new["status"] = status.clone(),
        }
    }
    for key in FIXED {
        match &old["metadata"][*key] {
            Value::Null => {
                if let Some(meta) = new["metadata"].as_object_mut() {
                    meta.remove(*key);
                }
            }
            value => new["metadata"][*key] = value.clone(),
        }
    }
    for key in ["name", "namespace"] {
        if !old["metadata"][key].is_null() {
            new["metadata"][key] = old["metadata"][key].clone();
        }
    }
    if new["metadata"]["managedFields"].is_null() && !old["metadata"]["managedFields"].is_null() {
        new["metadata"]["managedFields"] = old["metadata"]["managedFields"].clone();
    }
}

/// The finalizers that the new state has and the old one has not, in quotes.
pub(crate) fn added_finalizers(old: &Value, new: &Value) -> Vec<String> {
    let had = old["metadata"]["finalizers"].as_array().map_or(&[][..], Vec::as_slice);
    let all = new["metadata"]["finalizers"].as_array().into_iter().flatten();
    all.filter(|finalizer| !had.contains(finalizer)).map(ToString::to_string).collect()
}

/// Whether the body is an object of the kind that the path names.
pub(crate) fn right_kind(resource: &Resource, object: &Value, version: &str) -> Result<(), ApiError> {
    if !object.is_object() {
        return Err(ApiError::bad_request("the object provided is unrecognized: it is no JSON object"));
    }
    let (kind, api) = (object["kind"].as_str().unwrap_or_default(), object["apiVersion"].as_str().unwrap_or_default());
    let expected = resource.api_version(version);
    if !kind.is_empty() && kind != resource.kind {
        return Err(ApiError::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {}: converting ({version}.{kind}) to ({}.{}): unknown conversion",
            resource.kind,
            if resource.group.is_empty() { "core" } else { &resource.group },
            resource.kind
        )));
    }
    if !api.is_empty() && api != expected {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({api}) does not match the expected API version ({expected})"
        )));
    }
    Ok(())
}

pub(crate) fn right_name(resource: &Resource, name: &str) -> Result<(), ApiError> {
    let (group, kind) = (&resource.group, &resource.kind);
    if name.is_empty() {
        let message = "Required value: name or generateName is required".to_owned();
        return Err(ApiError::invalid(group, kind, "", &[("metadata.name", "FieldValueRequired", message)]));
    }
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    // Names of roles are path segments; everything else is a subdomain.
    let free = group == RBAC;
    let fine = if free {
        !name.contains(['/', '%']) && !matches!(name, "." | "..")
    } else {
        name.len() <= 253
            && name.chars().all(inner)
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.ends_with(|c: char| c.is_ascii_alphanumeric())
    };
    if fine {
        return Ok(());
    }
    let message = format!(
        "Invalid value: {name:?}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    );
    Err(ApiError::invalid(group, kind, name, &[("metadata.name", "FieldValueInvalid", message)]))
}
