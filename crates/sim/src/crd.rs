//! Custom resources: a definition makes its kind served, and takes it away again.

use crate::clock::seconds;
use crate::resource::{Column, Resource, Scale};
use crate::status::ApiError;
use crate::store::Key;
use crate::world::World;
use serde_json::{Value, json};

/// Refuses definitions that could not be served, and objects without a definition's required form.
pub(crate) fn check(resource: &Resource, object: &Value) -> Result<(), ApiError> {
    if resource.kind != "CustomResourceDefinition" || !resource.built_in {
        return Ok(());
    }
    let spec = &object["spec"];
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let expected = format!("{}.{}", text(&spec["names"]["plural"]), text(&spec["group"]));
    let refuse = |field: &str, reason: &str, message: String| {
        Err(ApiError::invalid(&resource.group, &resource.kind, name, &[(field, reason, message)]))
    };
    if name != expected {
        let message = format!("Invalid value: {name:?}: must be spec.names.plural+\".\"+spec.group");
        return refuse("metadata.name", "FieldValueInvalid", message);
    }
    if text(&spec["names"]["kind"]).is_empty() {
        return refuse("spec.names.kind", "FieldValueRequired", "Required value".to_owned());
    }
    let versions = spec["versions"].as_array().map_or(&[][..], Vec::as_slice);
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 {
        let message = "Invalid value: must have exactly one version marked as storage version".to_owned();
        return refuse("spec.versions", "FieldValueInvalid", message);
    }
    Ok(())
}

impl World {
    /// Serves what a definition defines.
    pub(crate) fn define(&mut self, definition: &Value) {
        let resource = resource(definition);
        let accepted = definition["spec"]["names"].clone();
        let served = self.table(&resource.group, &resource.plural).map(|table| (*self.tables[table].resource).clone());
        if served.as_ref() != Some(&resource) {
            self.serve(resource);
        }
        let table = self.table("apiextensions.k8s.io", "customresourcedefinitions");
        let name = definition["metadata"]["name"].as_str().unwrap_or_default();
        let Some(table) = table else { return };
        let storage = definition["spec"]["versions"].as_array().into_iter().flatten().find(|v| v["storage"] == true);
        let mut stored: Vec<Value> = definition["status"]["storedVersions"].as_array().cloned().unwrap_or_default();
        if let Some(storage) = storage.map(|version| version["name"].clone()).filter(|name| !stored.contains(name)) {
            stored.push(storage);
        }
        let mut new = definition.clone();
        let now = seconds(self.now);
        let since = |kind: &str| {
            let conditions = definition["status"]["conditions"].as_array().into_iter().flatten();
            let known = conditions.clone().find(|condition| condition["type"] == kind);
            known.map_or_else(|| json!(now), |condition| condition["lastTransitionTime"].clone())
        };
        new["status"] = json!({
            "acceptedNames": accepted,
            "storedVersions": stored,
            "conditions": [
                {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found",
                 "lastTransitionTime": since("NamesAccepted")},
                {"type": "Established", "status": "True", "reason": "InitialNamesAccepted",
                 "message": "the initial names have been accepted", "lastTransitionTime": since("Established")},
            ],
        });
        if new["status"] != definition["status"] {
            self.put(table, Key::new("", name), new);
        }
    }

    /// Takes away what a definition defined, its objects first.
    pub(crate) fn undefine(&mut self, definition: &Value) {
        let gone = resource(definition);
        let Some(table) = self.table(&gone.group, &gone.plural) else { return };
        let keys: Vec<Key> = self.tables[table].objects.keys().cloned().collect();
        for key in keys {
            self.remove(table, &key);
        }
        self.withdraw(&gone.group, &gone.plural);
    }
}

/// What a definition says.
fn resource(definition: &Value) -> Resource {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
    let served: Vec<&Value> =
        spec["versions"].as_array().into_iter().flatten().filter(|version| version["served"] == true).collect();
    let mut versions: Vec<String> = served.iter().map(|version| text(&version["name"])).collect();
    versions.sort_by_key(|version| std::cmp::Reverse(priority(version)));
    let first = served.iter().find(|version| Some(&text(&version["name"])) == versions.first());
    let first = first.copied().unwrap_or(&Value::Null);
    let scale = &first["subresources"]["scale"];
    let path = |key: &str| text(&scale[key]).trim_start_matches('.').to_owned();
    let kind = text(&names["kind"]);
    Resource {
        group: text(&spec["group"]),
        plural: text(&names["plural"]),
        singular: if names["singular"].is_string() { text(&names["singular"]) } else { kind.to_ascii_lowercase() },
        kind,
        short: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        namespaced: spec["scope"] == "Namespaced",
        status: first["subresources"]["status"].is_object(),
        scale: scale.is_object().then(|| Scale {
            replicas: path("specReplicasPath"),
            status_replicas: path("statusReplicasPath"),
            selector: path("labelSelectorPath"),
        }),
        generation: true,
        built_in: false,
        fields: first["selectableFields"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|field| text(&field["jsonPath"]).trim_start_matches('.').to_owned())
            .collect(),
        columns: first["additionalPrinterColumns"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|column| Column {
                name: text(&column["name"]),
                kind: text(&column["type"]),
                path: text(&column["jsonPath"]),
                priority: column["priority"].as_i64().unwrap_or(0),
            })
            .collect(),
        versions,
    }
}

/// Orders versions as Kubernetes prefers them: v2, v1, v1beta2, v1alpha1, everything else by its name.
fn priority(version: &str) -> (u8, u64, u64, std::cmp::Reverse<String>) {
    let parse = || {
        let rest = version.strip_prefix('v')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let major: u64 = rest[..digits].parse().ok()?;
        let (stage, minor) = match &rest[digits..] {
            "" => return Some((3, major, 0)),
            tail if tail.starts_with("beta") => (2, &tail[4..]),
            tail if tail.starts_with("alpha") => (1, &tail[5..]),
            _ => return None,
        };
        Some((stage, major, minor.parse().ok()?))
    };
    let (stage, major, minor) = parse().unwrap_or((0, 0, 0));
    let name = if stage == 0 { version.to_owned() } else { String::new() };
    (stage, major, minor, std::cmp::Reverse(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable_versions_are_preferred() {
        let mut versions = vec!["v1alpha1", "foo", "v1beta2", "v1", "v2", "v10beta3", "v1beta10"];
        versions.sort_by_key(|version| std::cmp::Reverse(priority(version)));
        assert_eq!(versions, ["v2", "v1", "v10beta3", "v1beta10", "v1beta2", "v1alpha1", "foo"]);
    }
}
