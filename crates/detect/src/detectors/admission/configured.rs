//! Webhooks as they are configured.

use super::case;
use crate::spot::Path;
use crate::{View, ownership};
use reckon_model::document::{Cause, CauseKind};
use reckon_model::{Object, ResourceRef};
use serde_json::Value;

/// The kinds that hold webhooks, and how access rules name them.
const KINDS: [(&str, &str); 2] = [
    ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations.admissionregistration.k8s.io"),
    ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations.admissionregistration.k8s.io"),
];

/// A webhook and where it stands.
pub(super) struct Configured<'a> {
    /// The configuration.
    pub(super) object: &'a Object,
    /// The webhook in it.
    pub(super) path: Path,
    /// How access rules name the configuration.
    pub(super) resource: &'static str,
    /// The webhook as it is written.
    pub(super) entry: Value,
}

/// The webhook of this name, if it can be found.
pub(super) fn configured<'a>(view: &View<'a>, name: &str) -> Option<Configured<'a>> {
    KINDS.iter().find_map(|(kind, resource)| {
        let kind = case::kind("admissionregistration.k8s.io", kind);
        view.all(&kind, None).items.into_iter().find_map(|object| {
            let whole = object.whole()?;
            let webhooks = whole.get("webhooks")?.as_array()?;
            let index = webhooks.iter().position(|it| it.get("name").and_then(Value::as_str) == Some(name))?;
            let list = Path { field: "webhooks".to_owned(), pointer: "/webhooks".to_owned() };
            let entry = webhooks.get(index)?.clone();
            Some(Configured { object, path: list.item(name, index), resource, entry })
        })
    })
}

impl Configured<'_> {
    /// Whether requests pass when it does not answer.
    pub(super) fn is_ignored(&self) -> bool {
        self.entry.get("failurePolicy").and_then(Value::as_str) == Some("Ignore")
    }

    /// The port that is asked.
    pub(super) fn port(&self) -> Option<i64> {
        self.entry.pointer("/clientConfig/service/port").map_or(Some(443), Value::as_i64)
    }

    /// Kind and name of the configuration.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.object.kind, self.object.meta.name)
    }

    /// A field of the configuration as the cause.
    pub(super) fn wrong(&self, path: &Path, value: Option<Value>, sentence: String) -> Cause {
        let mut cause = Cause::plain(CauseKind::Resource, Some(&self.object.reference()), sentence);
        cause.managed_by = ownership::managed_by(self.object);
        cause.at_field(&path.field, &path.pointer, value)
    }
}

/// The kind of a policy that this reference may be of.
pub(super) fn reference(group: &str, kind: &str, name: &str) -> ResourceRef {
    ResourceRef::new(case::kind(group, kind), None, name)
}
