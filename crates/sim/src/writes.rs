//! Writing to the world from Rust: what a test or a controller does without a request.

use crate::delete::Outcome;
use crate::status::ApiError;
use crate::store::Key;
use crate::world::{World, whole};
use crate::write::{By, DIRECT};
use serde_json::Value;

impl World {
    /// Creates an object, its status included, as an administrator; `resource` is `pods`, `deployments.apps`. The answer
    /// has its kind and version.
    pub fn create(&mut self, resource: &str, object: Value) -> Result<Value, ApiError> {
        self.create_as(resource, object, "sim")
    }

    /// The same under the name of a field manager, as `managedFields` keep it.
    pub fn create_as(&mut self, resource: &str, object: Value, manager: &str) -> Result<Value, ApiError> {
        let table = self.named(resource).ok_or_else(ApiError::no_such_resource)?;
        let namespaced = self.tables[table].resource.namespaced;
        let named = object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        let namespace = if namespaced && named.is_empty() { "default" } else { &named };
        let status = object["status"].clone();
        let version = self.tables[table].resource.version().to_owned();
        let made =
            self.create_in(table, namespace, object, By { manager, sub: "", version: &version, dry_run: false })?;
        let name = made["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if status.is_object() && made["status"] != status {
            self.edit(resource, namespace, &name, manager, |object| object["status"] = status);
        }
        Ok(self.get(resource, namespace, &name).unwrap_or(made))
    }

    /// Changes an object, its status included; a changed specification counts as a generation. `false` where there is
    /// no such object, or nothing changed.
    pub fn edit(
        &mut self,
        resource: &str,
        namespace: &str,
        name: &str,
        manager: &str,
        change: impl FnOnce(&mut Value),
    ) -> bool {
        let Some(table) = self.named(resource) else { return false };
        let before = self.revision;
        let version = self.tables[table].resource.version().to_owned();
        let by = By { manager, sub: DIRECT, version: &version, dry_run: false };
        let changed = self.change(table, &Key::new(namespace, name), by, |old| {
            let mut new = old.clone();
            change(&mut new);
            Ok(new)
        });
        changed.is_ok() && self.revision > before
    }

    /// Deletes as a client does: pods on a node and objects with finalizers are ending. `true` where it is gone at once.
    pub fn delete(&mut self, resource: &str, namespace: &str, name: &str) -> Result<bool, ApiError> {
        let table = self.named(resource).ok_or_else(ApiError::no_such_resource)?;
        let outcome = self.delete_plainly(table, &Key::new(namespace, name), None)?;
        Ok(matches!(outcome, Outcome::Gone(_)))
    }

    /// Removes an object whatever finalizers say.
    pub fn remove_now(&mut self, resource: &str, namespace: &str, name: &str) -> bool {
        let Some(table) = self.named(resource) else { return false };
        self.remove_object(table, &Key::new(namespace, name)).is_some()
    }

    /// Removes an object and creates one like it under the same name: another UID, nothing between.
    pub fn recreate(&mut self, resource: &str, namespace: &str, name: &str) -> Result<Value, ApiError> {
        let table = self.named(resource).ok_or_else(ApiError::no_such_resource)?;
        let key = Key::new(namespace, name);
        let Some(gone) = self.remove_object(table, &key) else {
            let resource = &self.tables[table].resource;
            return Err(ApiError::not_found(&resource.group, &resource.plural, name));
        };
        let mut object = gone.value();
        if let Some(meta) = object["metadata"].as_object_mut() {
            meta.retain(|key, _| {
                matches!(key.as_str(), "name" | "namespace" | "labels" | "annotations" | "ownerReferences")
            });
        }
        let object = whole(&self.tables[table].resource.clone(), "v1", object);
        self.create(resource, without_version(object))
    }

    /// A ConfigMap of about so many bytes: the largest object that etcd takes has 1.5 MiB.
    pub fn create_large(&mut self, namespace: &str, name: &str, bytes: usize) -> Result<Value, ApiError> {
        let data = serde_json::json!({"data": "x".repeat(bytes)});
        let meta = serde_json::json!({"name": name, "namespace": namespace});
        self.create("configmaps", serde_json::json!({"metadata": meta, "data": data}))
    }

    /// Changes an annotation of objects of a resource, in their order and around again, so many times: a storm.
    pub fn storm(&mut self, resource: &str, changes: u64) {
        let Some(table) = self.named(resource) else { return };
        let keys: Vec<Key> = self.tables[table].objects.keys().cloned().collect();
        for (i, key) in (0..changes).zip(keys.iter().cycle()) {
            self.edit(resource, &key.namespace, &key.name, "storm", |object| {
                object["metadata"]["annotations"]["sim.reckon.dev/storm"] = i.to_string().into();
            });
        }
    }
}

fn without_version(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    object
}
