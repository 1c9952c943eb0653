//! Creating and changing objects.

use crate::body::Answer;
use crate::checks::{added_finalizers, keep_fixed, right_kind, right_name};
use crate::clock::seconds;
use crate::request::{Call, Target};
use crate::resource::Resource;
use crate::status::ApiError;
use crate::store::Key;
use crate::world::{World, whole};
use serde_json::{Map, Value, json};

/// The group whose objects are rules.
pub(crate) const RBAC: &str = "rbac.authorization.k8s.io";

/// In place of a sub-resource: specification and status are written at once, which no client can.
pub(crate) const DIRECT: &str = "sim";

/// How a change is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct By<'a> {
    /// `metadata.managedFields[].manager`.
    pub(crate) manager: &'a str,
    /// `status`, `scale`, …; empty for the object itself.
    pub(crate) sub: &'a str,
    /// The version asked in.
    pub(crate) version: &'a str,
    pub(crate) dry_run: bool,
}

impl World {
    pub(crate) fn create_called(&mut self, call: &Call, target: &Target, table: usize) -> Result<Answer, ApiError> {
        let resource = self.tables[table].resource.clone();
        let object = call.json()?;
        right_kind(&resource, &object, &target.version)?;
        if resource.namespaced && target.namespace.is_none() {
            return Err(ApiError::method_not_allowed());
        }
        let namespace = target.namespace.clone().unwrap_or_default();
        let manager = call.manager();
        let by = By { manager: &manager, sub: "", version: &target.version, dry_run: call.dry_run()? };
        let made = self.create_in(table, &namespace, object, by)?;
        Ok(Answer::json(201, &whole(&resource, &target.version, made)))
    }

    /// Creates an object as the API does: complete metadata, defaults, checks.
    pub(crate) fn create_in(
        &mut self,
        table: usize,
        namespace: &str,
        mut object: Value,
        by: By<'_>,
    ) -> Result<Value, ApiError> {
        let resource = self.tables[table].resource.clone();
        if !object["metadata"].is_object() {
            object["metadata"] = json!({});
        }
        let claimed = object["metadata"]["namespace"].as_str().unwrap_or_default();
        if !claimed.is_empty() && claimed != namespace {
            let message = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(ApiError::bad_request(message));
        }
        if object["metadata"]["resourceVersion"].as_str().is_some_and(|version| !version.is_empty()) {
            return Err(ApiError::new(500, "", "resourceVersion should not be set on objects to be created"));
        }
        let mut name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let prefix = object["metadata"]["generateName"].as_str().unwrap_or_default();
        if name.is_empty() && !prefix.is_empty() {
            // Names end at 63 bytes, five of which are the server's.
            let prefix: String = prefix.chars().take(58).collect();
            name = format!("{prefix}{}", self.rng.suffix(5));
        }
        right_name(&resource, &name)?;
        if resource.namespaced {
            self.namespace_takes(&resource, namespace, &name)?;
        }
        let key = Key::new(namespace, &name);
        if self.tables[table].objects.contains_key(&key) {
            return Err(ApiError::already_exists(&resource.group, &resource.plural, &name));
        }
        let uid = self.rng.uid();
        let meta = &mut object["metadata"];
        meta["name"] = name.into();
        meta["uid"] = uid.into();
        meta["creationTimestamp"] = seconds(self.now).into();
        if let Some(meta) = meta.as_object_mut() {
            for gone in
                ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields", "resourceVersion"]
            {
                meta.remove(gone);
            }
            if resource.namespaced {
                meta.insert("namespace".to_owned(), namespace.into());
            } else {
                meta.remove("namespace");
            }
            if resource.generation {
                meta.insert("generation".to_owned(), 1.into());
            }
        }
        if let Some(fields) = object.as_object_mut() {
            fields.remove("kind");
            fields.remove("apiVersion");
            if resource.status && by.sub.is_empty() && !matches!(resource.kind.as_str(), "Node" | "PersistentVolume") {
                fields.remove("status");
            }
        }
        crate::defaults::on_create(&resource, &mut object, self);
        crate::crd::check(&resource, &object)?;
        if resource.built_in && resource.kind == "Pod" {
            let prefix = object["metadata"]["generateName"].as_str().filter(|prefix| !prefix.is_empty());
            self.quota_allows(namespace, prefix.unwrap_or(&key.name), &object)?;
        }
        crate::managed::note(None, &mut object, by.manager, by.sub, &resource.api_version(by.version), self.now);
        if by.dry_run {
            return Ok(object);
        }
        let made = self.put(table, key, object);
        Ok(self.after_write(&resource, table, made))
    }

    fn namespace_takes(&self, resource: &Resource, namespace: &str, name: &str) -> Result<(), ApiError> {
        let spaces = self.table("", "namespaces").map(|table| &self.tables[table].objects);
        let Some(space) = spaces.and_then(|spaces| spaces.get(&Key::new("", namespace))) else {
            return Err(ApiError::not_found("", "namespaces", namespace));
        };
        if space.fields.first().is_some_and(|phase| phase == "Terminating") {
            let message = format!(
                "{} {name:?} is forbidden: unable to create new content in namespace {namespace} because it is being terminated",
                resource.qualified()
            );
            let mut error = ApiError::new(403, "Forbidden", message).about(&resource.group, &resource.plural, name);
            error.details["causes"] = json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            }]);
            return Err(error);
        }
        Ok(())
    }

    pub(crate) fn update_called(&mut self, call: &Call, target: &Target, table: usize) -> Result<Answer, ApiError> {
        let resource = self.tables[table].resource.clone();
        let object = call.json()?;
        right_kind(&resource, &object, &target.version)?;
        let key = key_of(target);
        if object["metadata"]["name"].as_str().is_some_and(|name| *name != *key.name) {
            let message = format!(
                "the name of the object ({}) does not match the name on the URL ({})",
                crate::resource::plain(&object["metadata"]["name"]),
                key.name
            );
            return Err(ApiError::bad_request(message));
        }
        let manager = call.manager();
        let by = By { manager: &manager, sub: target.sub(), version: &target.version, dry_run: call.dry_run()? };
        let made = self.change(table, &key, by, |_| Ok(object))?;
        Ok(Answer::json(200, &whole(&resource, &target.version, made)))
    }

    /// Replaces an object by what `make` makes of it, as the API does: versions are compared, what a client cannot change
    /// stays, the generation counts, the last finalizer removes. Nothing is written where nothing changed.
    pub(crate) fn change(
        &mut self,
        table: usize,
        key: &Key,
        by: By<'_>,
        make: impl FnOnce(&Value) -> Result<Value, ApiError>,
    ) -> Result<Value, ApiError> {
        let resource = self.tables[table].resource.clone();
        let (group, plural, name) = (&resource.group, &resource.plural, &key.name);
        let Some(stored) = self.tables[table].objects.get(key) else {
            return Err(ApiError::not_found(group, plural, name));
        };
        let old = stored.value();
        let mut new = make(&old)?;
        if !new["metadata"].is_object() {
            return Err(ApiError::bad_request("metadata: it is no object"));
        }
        let wanted = new["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        if !wanted.is_empty() && wanted != old["metadata"]["resourceVersion"] {
            return Err(ApiError::modified(group, plural, name));
        }
        if let Some(uid) =
            new["metadata"]["uid"].as_str().filter(|uid| !uid.is_empty() && old["metadata"]["uid"] != *uid)
        {
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: /registry/{plural}/{}/{name}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                key.namespace,
                old["metadata"]["uid"].as_str().unwrap_or_default()
            );
            return Err(ApiError::conflict(group, plural, name, &why));
        }
        keep_fixed(&resource, &old, &mut new, by.sub);
        if resource.kind == "Pod" && resource.built_in {
            crate::pods::may_change(&old, &new, by.sub)?;
        }
        let same = |key: &str| old[key] == new[key];
        let all = old.as_object().into_iter().chain(new.as_object()).flat_map(Map::keys);
        let spec_changed = all.clone().any(|key| !matches!(key.as_str(), "metadata" | "status") && !same(key));
        if resource.generation && spec_changed {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            new["metadata"]["generation"] = generation.into();
        }
        let ending = old["metadata"]["deletionTimestamp"].is_string();
        let added = if ending { added_finalizers(&old, &new) } else { Vec::new() };
        if !added.is_empty() {
            let message = format!(
                "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            return Err(ApiError::invalid(
                group,
                &resource.kind,
                name,
                &[("metadata.finalizers", "FieldValueForbidden", message)],
            ));
        }
        crate::crd::check(&resource, &new)?;
        let mut plain_old = old.clone();
        let mut plain_new = new.clone();
        for object in [&mut plain_old, &mut plain_new] {
            if let Some(meta) = object["metadata"].as_object_mut() {
                meta.remove("managedFields");
            }
        }
        if plain_old == plain_new {
            return Ok(old);
        }
        let noted = if by.sub == DIRECT { "" } else { by.sub };
        crate::managed::note(Some(&old), &mut new, by.manager, noted, &resource.api_version(by.version), self.now);
        if by.dry_run {
            return Ok(new);
        }
        let last_finalizer = ending
            && new["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty)
            && new["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
            && (resource.kind != "Namespace" || new["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty));
        if last_finalizer {
            self.put(table, key.clone(), new);
            let gone = self.remove_object(table, key).map(|stored| stored.value());
            return Ok(gone.unwrap_or(old));
        }
        let made = self.put(table, key.clone(), new);
        Ok(self.after_write(&resource, table, made))
    }

    /// What follows from a write at once; the object as it is after that.
    fn after_write(&mut self, resource: &Resource, table: usize, made: Value) -> Value {
        if resource.group == RBAC {
            self.rules.forget();
        }
        if resource.built_in && resource.kind == "CustomResourceDefinition" {
            self.define(&made);
            let key = Key::new("", made["metadata"]["name"].as_str().unwrap_or_default());
            return self.tables[table].objects.get(&key).map_or(made, crate::store::Stored::value);
        }
        made
    }
}

pub(crate) fn key_of(target: &Target) -> Key {
    Key::new(target.namespace.as_deref().unwrap_or_default(), target.name.as_deref().unwrap_or_default())
}
