//! `reckon node` on the nodes of the testbed.

use crate::cluster::Cluster;
use crate::{binary, root};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The manifest as it is committed, with an image of the program under test.
pub fn deploy_node(cluster: &Cluster) -> Result<()> {
    let image = std::env::temp_dir().join(format!("reckon-node-{}.tar", std::process::id()));
    let made = Command::new(root().join("testbed/image/reckon")).arg(binary()?).arg(&image).output()?;
    if !made.status.success() {
        bail!("testbed/image/reckon: {}", String::from_utf8_lossy(&made.stderr));
    }
    let nodes = cluster.get(&["nodes"])?;
    let mut names =
        nodes["items"].as_array().into_iter().flatten().filter_map(|node| node["metadata"]["name"].as_str());
    let loaded: Result<()> = names.try_for_each(|node| load(cluster, node, &image));
    fs::remove_file(&image)?;
    loaded?;
    cluster.apply(&fs::read_to_string(root().join("deploy/node.yaml"))?)?;
    cluster.kubectl(&["-n", "reckon", "rollout", "status", "daemonset/reckon-node", "--timeout=90s"]).map(drop)
}

fn load(cluster: &Cluster, node: &str, image: &Path) -> Result<()> {
    let output = cluster.testbed("node", &[node, "import", image.to_str().context("a path that is no text")?])?;
    if !output.status.success() {
        bail!("testbed/node {node} import: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Takes it away again.
pub fn remove_node(cluster: &Cluster) -> Result<()> {
    cluster.kubectl(&["delete", "namespace", "reckon", "--ignore-not-found", "--timeout=60s"]).map(drop)
}
