//! Releases as Helm 3 keeps them: a Secret for each revision, the release as JSON, packed and in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use reckon_sim::World;
use serde_json::{Value, json};
use std::io::Write;

/// Notes a revision of a release; the one before becomes superseded.
pub(crate) fn record(
    world: &mut World,
    namespace: &str,
    release: &str,
    chart: &str,
    revision: u64,
    manifest: &[Value],
) {
    let now = world.now().to_string();
    let old = name(release, revision.saturating_sub(1));
    let first = world.get("secrets", namespace, &old).is_none();
    world.edit("secrets", namespace, &old, "helm", |secret| {
        secret["metadata"]["labels"]["status"] = "superseded".into();
    });
    let (title, version) = chart.rsplit_once('-').unwrap_or((chart, "0.1.0"));
    let description = if first { "Install complete" } else { "Upgrade complete" };
    let whole = json!({
        "name": release,
        "namespace": namespace,
        "version": revision,
        "info": {"first_deployed": now, "last_deployed": now, "deleted": "", "description": description, "status": "deployed"},
        "chart": {"metadata": {"apiVersion": "v2", "name": title, "version": version, "type": "application"}, "lock": null, "templates": [], "values": {}, "schema": null, "files": null},
        "config": {},
        "manifest": manifest.iter().map(|object| document(title, object)).collect::<String>(),
    });
    let secret = json!({
        "metadata": {
            "name": name(release, revision), "namespace": namespace,
            "labels": {"name": release, "owner": "helm", "status": "deployed", "version": revision.to_string(),
                "modifiedAt": world.now().as_second().to_string()},
        },
        "type": "helm.sh/release.v1",
        "data": {"release": packed(&whole)},
    });
    let _ = world.create_as("secrets", secret, "helm");
}

fn name(release: &str, revision: u64) -> String {
    format!("sh.helm.release.v1.{release}.v{revision}")
}

/// One document of a manifest, as charts render it.
fn document(chart: &str, object: &Value) -> String {
    let file = object["kind"].as_str().unwrap_or_default().to_ascii_lowercase();
    // What is rendered here came from JSON, so that it can be written.
    let yaml = serde_saphyr::to_string(object).unwrap_or_default();
    format!("---\n# Source: {chart}/templates/{file}.yaml\n{}\n", yaml.trim_end())
}

fn packed(release: &Value) -> String {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    // Writing into memory does not fail.
    let written = gzip.write_all(release.to_string().as_bytes()).and_then(|()| gzip.finish()).unwrap_or_default();
    STANDARD.encode(STANDARD.encode(written))
}
