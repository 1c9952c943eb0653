//! The `scale` sub-resource.

use crate::body::Answer;
use crate::patch::patched;
use crate::request::{Call, Target};
use crate::resource::{Resource, Scale, at, plain};
use crate::status::ApiError;
use crate::store::Key;
use crate::world::World;
use crate::write::{By, key_of};
use http::Method;
use serde_json::{Value, json};

impl World {
    pub(crate) fn scale_called(&mut self, call: &Call, target: &Target, table: usize) -> Result<Answer, ApiError> {
        let resource = self.tables[table].resource.clone();
        let Some(scale) = resource.scale.clone() else { return Err(ApiError::no_such_resource()) };
        let key = key_of(target);
        if call.method == Method::GET {
            let Some(stored) = self.tables[table].objects.get(&key) else {
                return Err(ApiError::not_found(&resource.group, &resource.plural, &key.name));
            };
            return Ok(Answer::json(200, &shown(&scale, &key, &stored.value())));
        }
        let manager = call.manager();
        let by = By { manager: &manager, sub: "scale", version: &target.version, dry_run: call.dry_run()? };
        let made = self.change(table, &key, by, |old| {
            let before = shown(&scale, &key, old);
            let after = if call.method == Method::PATCH {
                patched(call, &Resource { built_in: false, ..Resource::clone(&resource) }, &before)?
            } else {
                call.json()?
            };
            let wanted = after["spec"]["replicas"].as_i64().unwrap_or(0);
            if wanted < 0 {
                let message = format!("Invalid value: {wanted}: must be greater than or equal to 0");
                let causes = [("spec.replicas", "FieldValueInvalid", message)];
                return Err(ApiError::invalid("autoscaling", "Scale", &key.name, &causes));
            }
            let version = after["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            if !version.is_empty() && version != old["metadata"]["resourceVersion"] {
                return Err(ApiError::modified(&resource.group, &resource.plural, &key.name));
            }
            let mut new = old.clone();
            let place = scale.replicas.split('.').fold(&mut new, |value, member| &mut value[member]);
            *place = wanted.into();
            Ok(new)
        })?;
        Ok(Answer::json(200, &shown(&scale, &key, &made)))
    }
}

fn shown(scale: &Scale, key: &Key, object: &Value) -> Value {
    let meta = &object["metadata"];
    let selector = at(object, &scale.selector);
    let labels = if selector["matchLabels"].is_object() { &selector["matchLabels"] } else { selector };
    let selector = match labels {
        Value::Object(labels) => {
            labels.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect::<Vec<_>>().join(",")
        }
        other => plain(other),
    };
    let mut shown = json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": &*key.name,
            "namespace": &*key.namespace,
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
            "creationTimestamp": meta["creationTimestamp"],
        },
        "spec": {"replicas": at(object, &scale.replicas).as_i64().unwrap_or(0)},
        "status": {"replicas": at(object, &scale.status_replicas).as_i64().unwrap_or(0)},
    });
    if !selector.is_empty() {
        shown["status"]["selector"] = selector.into();
    }
    shown
}
