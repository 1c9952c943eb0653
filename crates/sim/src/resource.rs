//! How a kind of object is served.

use serde_json::Value;

/// One resource: a kind of object, its names, and what can be done with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// API group, empty for the core group.
    pub group: String,
    /// Versions it is served in, the preferred one first. Objects are stored without a version and served alike in all.
    pub versions: Vec<String>,
    /// As in manifests: `Pod`.
    pub kind: String,
    /// As in paths: `pods`.
    pub plural: String,
    /// As people say it: `pod`.
    pub singular: String,
    /// Short names: `po`.
    pub short: Vec<String>,
    /// Categories: `all`.
    pub categories: Vec<String>,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// Whether `status` is a sub-resource of its own.
    pub status: bool,
    /// Where `scale` reads and writes, if it is a sub-resource.
    pub scale: Option<Scale>,
    /// Whether `metadata.generation` counts changes of the specification.
    pub generation: bool,
    /// Whether it is built in: then items of its lists say neither `kind` nor `apiVersion`.
    pub built_in: bool,
    /// Fields that field selectors may name, beside `metadata.name` and `metadata.namespace`.
    pub fields: Vec<String>,
    /// Columns of its tables, beside the name, where a custom resource defines them.
    pub columns: Vec<Column>,
}

/// Paths of a `scale` sub-resource, with dots: `spec.replicas`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// The wanted number.
    pub replicas: String,
    /// The number there is.
    pub status_replicas: String,
    /// The selector, for autoscalers; empty for none.
    pub selector: String,
}

/// An `additionalPrinterColumns` entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Heading.
    pub name: String,
    /// `string`, `integer`, `date`, …
    pub kind: String,
    /// `.spec.field`, of which plain member access is understood.
    pub path: String,
    /// 0 is always shown, others in wide output.
    pub priority: i64,
}

impl Resource {
    /// `v1`, `apps/v1`.
    pub(crate) fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }

    /// The preferred version.
    pub(crate) fn version(&self) -> &str {
        self.versions.first().map_or("v1", String::as_str)
    }

    /// `pods`, `deployments.apps`.
    pub fn qualified(&self) -> String {
        crate::status::qualified(&self.group, &self.plural)
    }

    /// How an object of this kind begins when it is served: its kind and version, and the comma after them.
    pub(crate) fn head(&self, version: &str) -> String {
        format!(r#"{{"kind":"{}","apiVersion":"{}","#, self.kind, self.api_version(version))
    }

    /// Whether many can be deleted at once: of namespaces each one has to be named.
    pub(crate) fn collections(&self) -> bool {
        !(self.built_in && self.kind == "Namespace")
    }

    /// Whether the object itself is answered when it is deleted at once, and not a `Status`.
    pub(crate) fn returns_deleted(&self) -> bool {
        let names =
            ["pods", "services", "serviceaccounts", "persistentvolumeclaims", "persistentvolumes", "resourcequotas"];
        self.group.is_empty() && names.contains(&self.plural.as_str())
    }
}

/// The value at a path with dots; `Null` where there is none.
pub(crate) fn at<'a>(object: &'a Value, path: &str) -> &'a Value {
    path.trim_start_matches('.').split('.').fold(object, |value, key| &value[key])
}

/// A value as field selectors and columns compare it: text as it stands, absence as nothing.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
