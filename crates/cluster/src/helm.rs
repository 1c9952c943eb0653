//! One revision of a Helm release: the only Secret whose value is ever asked for.
//!
//! Helm keeps each revision as base64 of gzip of JSON in a Secret of type `helm.sh/release.v1`. It is unpacked in memory
//! under bounds, since who may write a Secret in one namespace could otherwise exhaust whoever reads it. Of what is in
//! it only the manifest leaves this file; the values people gave, the chart and its templates are dropped, and so is what
//! the Secrets of the manifest hold.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::Value;
use std::io::Read;

/// The largest release that is unpacked. A Secret holds at most 1 MiB, and charts pack about ten to one.
const MAX_RELEASE_BYTES: u64 = 32 * 1024 * 1024;

/// The largest ratio that is believed; beyond it the bytes were made to grow.
const MAX_RATIO: u64 = 200;

/// Bounds on the manifest's YAML.
const MAX_DOCUMENTS: usize = 5_000;
const MAX_NODES: usize = 1_000_000;
const MAX_DEPTH: usize = 100;

/// Why a Secret is no readable release. Completes "Helm revision … :".
#[derive(Debug, thiserror::Error)]
pub(crate) enum HelmError {
    #[error("the Secret is not of type helm.sh/release.v1")]
    NotARelease,
    #[error("the release cannot be decoded: {0}")]
    Encoding(String),
    #[error("the release unpacks to more than 32 MiB, or to more than 200 times its size")]
    Bomb,
    #[error("the release's manifest is not readable YAML (line {line})")]
    Manifest { line: u64 },
}

#[derive(Deserialize)]
struct Secret {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(default)]
    release: String,
}

#[derive(Deserialize)]
struct Release {
    #[serde(default)]
    manifest: String,
}

/// The objects of the manifest in a release's Secret.
pub(crate) fn manifest(secret: &[u8]) -> Result<Vec<Value>, HelmError> {
    // Positions are told, contents never.
    let encoding = |what: &str| HelmError::Encoding(what.to_owned());
    let secret: Secret = serde_json::from_slice(secret).map_err(|_| encoding("not a Secret"))?;
    if secret.kind != "helm.sh/release.v1" {
        return Err(HelmError::NotARelease);
    }
    let helms = STANDARD.decode(secret.data.release.as_bytes()).map_err(|_| encoding("the data is not base64"))?;
    let packed = STANDARD.decode(helms.trim_ascii()).map_err(|_| encoding("Helm's layer is not base64"))?;
    let json = unpack(&packed)?;
    let release: Release = serde_json::from_slice(&json).map_err(|_| encoding("not the JSON of a release"))?;
    documents(&release.manifest)
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, HelmError> {
    // Helm wrote plain JSON before it packed.
    if !packed.starts_with(&[0x1f, 0x8b]) {
        return Ok(packed.to_vec());
    }
    let limit = MAX_RELEASE_BYTES.min((packed.len() as u64).saturating_mul(MAX_RATIO).max(64 * 1024));
    let mut json = Vec::new();
    GzDecoder::new(packed)
        .take(limit + 1)
        .read_to_end(&mut json)
        .map_err(|_| HelmError::Encoding("the gzip data is damaged".to_owned()))?;
    if json.len() as u64 > limit { Err(HelmError::Bomb) } else { Ok(json) }
}

fn documents(manifest: &str) -> Result<Vec<Value>, HelmError> {
    let options = serde_saphyr::options! {
        // Messages would quote the lines around an error.
        with_snippet: false,
        // As the API server reads it: `yes` is a string in what Helm renders for it only if it is quoted there.
        strict_booleans: true,
        budget: serde_saphyr::budget! {
            max_documents: MAX_DOCUMENTS,
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_depth: MAX_DEPTH,
            max_aliases: 1_000,
            max_anchors: 1_000,
        },
    };
    let values: Vec<Value> = serde_saphyr::from_str_multiple_with_options::<Value, Vec<Value>>(manifest, options)
        .map_err(|error| HelmError::Manifest { line: error.location().map_or(0, |at| at.line()) })?;
    Ok(values.into_iter().filter(Value::is_object).flat_map(items).map(without_secret_values).collect())
}

/// A `List` in a manifest stands for its items.
fn items(mut document: Value) -> Vec<Value> {
    let is_list = document.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    match document.get_mut("items") {
        Some(Value::Array(items)) if is_list => std::mem::take(items),
        _ => vec![document],
    }
}

fn without_secret_values(mut document: Value) -> Value {
    if document.get("kind").and_then(Value::as_str) == Some("Secret")
        && let Some(object) = document.as_object_mut()
    {
        object.remove("data");
        object.remove("stringData");
        if let Some(Value::Object(annotations)) =
            object.get_mut("metadata").and_then(|meta| meta.get_mut("annotations"))
        {
            annotations.remove(reckon_model::object::LAST_APPLIED);
        }
    }
    document
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::json;
    use std::io::Write;

    pub(crate) fn release_secret(manifest: &str) -> Vec<u8> {
        let release = json!({"name": "shop", "config": {"password": "CANARY"}, "manifest": manifest}).to_string();
        secret_of(release.as_bytes())
    }

    fn secret_of(release: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(release).unwrap();
        let data = STANDARD.encode(STANDARD.encode(gzip.finish().unwrap()));
        json!({"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
            "metadata": {"name": "sh.helm.release.v1.shop.v1"}, "data": {"release": data}})
        .to_string()
        .into_bytes()
    }

    #[test]
    fn a_manifest_comes_out_without_a_single_secret_value() {
        let yaml = "---\n# Source: a\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {k: Q0FOQVJZ}\nstringData: {k: CANARY}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 2\n---\n\n---\napiVersion: v1\nkind: List\nitems:\n- kind: Secret\n  stringData: {k: CANARY}\n";
        let objects = manifest(&release_secret(yaml)).unwrap();
        let kinds: Vec<_> = objects.iter().map(|object| object["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["Secret", "Deployment", "Secret"]);
        assert_eq!(objects[1]["spec"]["replicas"], 2);
        let text = Value::from(objects).to_string();
        assert!(!text.contains("CANARY") && !text.contains("Q0FOQVJZ"), "{text}");
    }

    #[test]
    fn a_release_that_was_made_to_grow_is_refused() {
        let bomb = vec![b'a'; 100 * 1024 * 1024];
        assert!(matches!(manifest(&secret_of(&bomb)), Err(HelmError::Bomb)));
    }

    #[test]
    fn yaml_that_was_made_to_grow_is_refused() {
        let mut yaml = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for i in 1..12 {
            let refs = vec![format!("*a{}", i - 1); 10].join(",");
            yaml.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
        }
        assert!(matches!(manifest(&release_secret(&yaml)), Err(HelmError::Manifest { .. })));
        let deep = format!("a: {}{}", "[".repeat(20_000), "]".repeat(20_000));
        assert!(matches!(manifest(&release_secret(&deep)), Err(HelmError::Manifest { .. })));
    }

    #[test]
    fn another_secret_is_not_looked_into() {
        let other = json!({"type": "Opaque", "data": {"release": "Q0FOQVJZ"}}).to_string();
        assert!(matches!(manifest(other.as_bytes()), Err(HelmError::NotARelease)));
        let broken = json!({"type": "helm.sh/release.v1", "data": {"release": "%CANARY%"}}).to_string();
        let error = manifest(broken.as_bytes()).unwrap_err().to_string();
        assert!(!error.contains("CANARY"), "{error}");
    }
}
