//! Deleting: at once, after a grace, or when finalizers are gone.

use crate::body::Answer;
use crate::clock::seconds;
use crate::present;
use crate::request::{Call, Target};
use crate::selection::Selection;
use crate::status::ApiError;
use crate::store::{Key, Stored};
use crate::world::{World, whole, whole_bytes};
use crate::write::key_of;
use jiff::SignedDuration;
use serde_json::{Value, json};

/// What a client says about a deletion.
#[derive(Debug, Default)]
struct Options {
    grace: Option<i64>,
    propagation: String,
    uid: String,
    version: String,
    dry_run: bool,
}

/// How a deletion ended.
pub(crate) enum Outcome {
    /// It is gone; its last state.
    Gone(Value),
    /// It is being deleted; its present state.
    Ending(Value),
}

impl Options {
    fn of(call: &Call) -> Result<Options, ApiError> {
        let body: Value = if call.body.is_empty() { json!({}) } else { call.json()? };
        let said = |key: &str| match call.query.get(key) {
            "" => body[key].as_str().unwrap_or_default().to_owned(),
            text => text.to_owned(),
        };
        let orphans = call.query.flag("orphanDependents") || body["orphanDependents"] == true;
        let propagation = said("propagationPolicy");
        if !matches!(propagation.as_str(), "" | "Background" | "Foreground" | "Orphan") {
            let message = format!(
                "Unsupported value: {propagation:?}: supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
            );
            let causes = [("propagationPolicy", "FieldValueNotSupported", message)];
            return Err(ApiError::invalid("meta.k8s.io", "DeleteOptions", "", &causes));
        }
        Ok(Options {
            grace: call.query.number("gracePeriodSeconds")?.or(body["gracePeriodSeconds"].as_i64()),
            propagation: if orphans { "Orphan".to_owned() } else { propagation },
            uid: body["preconditions"]["uid"].as_str().unwrap_or_default().to_owned(),
            version: body["preconditions"]["resourceVersion"].as_str().unwrap_or_default().to_owned(),
            dry_run: call.dry_run()? || body["dryRun"][0] == "All",
        })
    }
}

impl World {
    pub(crate) fn delete_called(&mut self, call: &Call, target: &Target, table: usize) -> Result<Answer, ApiError> {
        let resource = self.tables[table].resource.clone();
        let options = Options::of(call)?;
        let outcome = self.delete_with(table, &key_of(target), &options)?;
        Ok(match outcome {
            Outcome::Gone(object) if !resource.returns_deleted() => {
                let mut details = json!({
                    "name": object["metadata"]["name"],
                    "kind": resource.plural,
                    "uid": object["metadata"]["uid"],
                });
                if !resource.group.is_empty() {
                    details["group"] = resource.group.as_str().into();
                }
                Answer::json(
                    200,
                    &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}),
                )
            }
            Outcome::Gone(object) | Outcome::Ending(object) => {
                Answer::json(200, &whole(&resource, &target.version, object))
            }
        })
    }

    /// Deletes as a client does that says nothing further.
    pub(crate) fn delete_plainly(&mut self, table: usize, key: &Key, grace: Option<i64>) -> Result<Outcome, ApiError> {
        self.delete_with(table, key, &Options { grace, ..Options::default() })
    }

    fn delete_with(&mut self, table: usize, key: &Key, options: &Options) -> Result<Outcome, ApiError> {
        let resource = self.tables[table].resource.clone();
        let (group, plural) = (resource.group.as_str(), resource.plural.as_str());
        let Some(stored) = self.tables[table].objects.get(key) else {
            return Err(ApiError::not_found(group, plural, &key.name));
        };
        let old = stored.value();
        for (wanted, field, what) in
            [(&options.uid, "uid", "UID"), (&options.version, "resourceVersion", "ResourceVersion")]
        {
            let is = old["metadata"][field].as_str().unwrap_or_default();
            if !wanted.is_empty() && wanted != is {
                let then = if what == "UID" { "deleted and then recreated" } else { "modified" };
                let why = format!(
                    "the {what} in the precondition ({wanted}) does not match the {what} in record ({is}). The object might have been {then}"
                );
                // Here the real server names the kind and not the resource.
                return Err(ApiError::conflict(group, &resource.kind, &key.name, &why));
            }
        }
        let mut new = old.clone();
        let mut finalizers = old["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        match options.propagation.as_str() {
            "Orphan" => finalizers.push("orphan".into()),
            "Foreground" => finalizers.push("foregroundDeletion".into()),
            _ => {}
        }
        finalizers.dedup();
        let namespace = resource.built_in && resource.kind == "Namespace";
        let grace = if resource.built_in && resource.kind == "Pod" { pod_grace(&old, options.grace) } else { 0 };
        let ending = old["metadata"]["deletionTimestamp"].is_string();
        let sooner = ending && grace < old["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
        if finalizers.is_empty() && grace == 0 && !namespace {
            if options.dry_run {
                return Ok(Outcome::Gone(old));
            }
            let mut gone = self.remove_object(table, key).map_or(old, |stored| stored.value());
            if resource.built_in && resource.kind == "Pod" {
                gone["metadata"]["deletionTimestamp"] = seconds(self.now).into();
                gone["metadata"]["deletionGracePeriodSeconds"] = 0.into();
                gone["metadata"]["generation"] = (gone["metadata"]["generation"].as_i64().unwrap_or(0) + 1).into();
            }
            return Ok(Outcome::Gone(gone));
        }
        if ending && !sooner && finalizers.len() == old["metadata"]["finalizers"].as_array().map_or(0, Vec::len) {
            return Ok(Outcome::Ending(old));
        }
        if !ending || sooner {
            let end = self.now.checked_add(SignedDuration::from_secs(grace)).unwrap_or(self.now);
            new["metadata"]["deletionTimestamp"] = seconds(end).into();
            new["metadata"]["deletionGracePeriodSeconds"] = grace.into();
        }
        if !finalizers.is_empty() {
            new["metadata"]["finalizers"] = finalizers.into();
        }
        if namespace {
            new["status"]["phase"] = "Terminating".into();
            if let Some(meta) = new["metadata"].as_object_mut() {
                meta.remove("deletionGracePeriodSeconds");
            }
        } else if resource.generation && !ending {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            new["metadata"]["generation"] = generation.into();
        }
        if options.dry_run {
            return Ok(Outcome::Ending(new));
        }
        Ok(Outcome::Ending(self.put(table, key.clone(), new)))
    }

    /// Removes an object for good, and what goes with it.
    pub(crate) fn remove_object(&mut self, table: usize, key: &Key) -> Option<Stored> {
        let resource = self.tables[table].resource.clone();
        let gone = self.remove(table, key)?;
        if resource.kind == "CustomResourceDefinition" && resource.built_in {
            self.undefine(&gone.value());
        }
        if resource.kind == "Pod" && resource.built_in {
            self.logs.forget(&gone.uid);
            self.usages.forget_pod(key);
        }
        if resource.group == crate::write::RBAC {
            self.rules.forget();
        }
        Some(gone)
    }

    pub(crate) fn delete_collection(&mut self, call: &Call, target: &Target, table: usize) -> Result<Answer, ApiError> {
        let resource = self.tables[table].resource.clone();
        if (resource.namespaced && target.namespace.is_none()) || !resource.collections() {
            return Err(ApiError::method_not_allowed());
        }
        let options = Options::of(call)?;
        let selection = Selection::of(&call.query, &resource, None)?;
        let range = self.tables[table].range(target.namespace.as_deref(), None);
        let chosen: Vec<(Key, Stored)> = range
            .filter(|(key, stored)| selection.matches(key, stored))
            .map(|(key, stored)| (key.clone(), stored.clone()))
            .collect();
        for (key, _) in &chosen {
            self.delete_with(table, key, &options)?;
        }
        let meta = crate::list::meta(self.revision, None, None);
        let items: Vec<_> = chosen.into_iter().map(|(_, stored)| stored.bytes).collect();
        if present::form(call)? != present::Form::Plain {
            let form = present::form(call)?;
            return Ok(Answer::bytes(200, present::list(form, &resource, &target.version, &meta, &items, self.now)));
        }
        let mut out = format!(
            r#"{{"kind":"{}List","apiVersion":"{}","metadata":{meta},"items":["#,
            resource.kind,
            resource.api_version(&target.version)
        )
        .into_bytes();
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            if resource.built_in {
                out.extend_from_slice(item);
            } else {
                out.extend_from_slice(&whole_bytes(&resource, &target.version, item));
            }
        }
        out.extend_from_slice(b"]}");
        Ok(Answer::bytes(200, out))
    }
}

/// How long a pod has to end: nothing where no kubelet has it, or it has ended already.
fn pod_grace(pod: &Value, asked: Option<i64>) -> i64 {
    let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    let unscheduled = pod["spec"]["nodeName"].as_str().unwrap_or_default().is_empty();
    if ended || unscheduled {
        return 0;
    }
    asked.or(pod["spec"]["terminationGracePeriodSeconds"].as_i64()).unwrap_or(30).max(0)
}
