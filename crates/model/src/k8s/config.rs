//! ConfigMaps and Secrets: which keys they hold.

use super::null_default;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A ConfigMap or Secret: the names of its keys. Values are skipped in the decoder and never copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The keys; `None` where they could not be told (a metadata-only answer without field ownership).
    pub keys: Option<BTreeSet<String>>,
    /// Whether it may not be changed any more.
    pub immutable: bool,
    /// A Secret's type, empty if not known.
    pub kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    #[serde(default)]
    data: Option<BTreeMap<String, IgnoredAny>>,
    #[serde(default)]
    string_data: Option<BTreeMap<String, IgnoredAny>>,
    #[serde(default)]
    binary_data: Option<BTreeMap<String, IgnoredAny>>,
    #[serde(default, deserialize_with = "null_default")]
    immutable: bool,
    #[serde(default, rename = "type", deserialize_with = "null_default")]
    kind: String,
    #[serde(default, deserialize_with = "null_default")]
    api_version: String,
    #[serde(default)]
    metadata: Option<RawMeta>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMeta {
    #[serde(default, deserialize_with = "null_default")]
    managed_fields: Vec<RawManager>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawManager {
    #[serde(default)]
    fields_v1: Option<Value>,
}

impl Config {
    /// Reads the key names from the data where it was sent, else from who owns which field: the API server tracks the
    /// owner of every key, so a metadata-only answer tells the names without a single value crossing the wire.
    pub(crate) fn decode(json: &[u8]) -> Result<Config, serde_json::Error> {
        let raw: Raw = serde_json::from_slice(json)?;
        let metadata_only = raw.api_version.starts_with("meta.k8s.io/");
        let keys = if metadata_only {
            let managers = raw.metadata.map(|meta| meta.managed_fields).unwrap_or_default();
            (!managers.is_empty())
                .then(|| managers.iter().filter_map(|m| m.fields_v1.as_ref()).flat_map(owned).collect())
        } else {
            Some(
                [raw.data, raw.string_data, raw.binary_data]
                    .into_iter()
                    .flatten()
                    .flat_map(BTreeMap::into_keys)
                    .collect(),
            )
        };
        Ok(Config { keys, immutable: raw.immutable, kind: raw.kind })
    }
}

fn owned(fields: &Value) -> impl Iterator<Item = String> + '_ {
    ["f:data", "f:stringData", "f:binaryData"]
        .into_iter()
        .filter_map(|part| fields.get(part)?.as_object())
        .flat_map(|entries| entries.keys())
        .filter_map(|key| key.strip_prefix("f:").map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_metadata_only_secret_come_from_field_ownership() {
        let json =
            br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"db","managedFields":[
            {"manager":"kubectl","fieldsV1":{"f:data":{".":{},"f:password":{},"f:user":{}},"f:type":{}}}]}}"#;
        let keys = Config::decode(json).unwrap().keys.unwrap();
        assert_eq!(keys.into_iter().collect::<Vec<_>>(), ["password", "user"]);
    }

    #[test]
    fn without_field_ownership_the_keys_are_unknown_and_not_absent() {
        let json = br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"db"}}"#;
        assert_eq!(Config::decode(json).unwrap().keys, None);
    }
}
