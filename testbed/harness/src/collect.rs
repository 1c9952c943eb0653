//! What a person needs to see why a case failed.

use crate::Namespace;
use anyhow::Result;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// Writes the namespace's objects, events and logs and the last answer below `target/live/NAME`.
pub(crate) fn collect(namespace: &Namespace<'_>, name: &str, answer: Option<&Value>) -> Result<PathBuf> {
    let place = crate::root().join("target/live").join(name);
    fs::create_dir_all(&place)?;
    let place = place.canonicalize()?;
    let kinds = "deployments,replicasets,statefulsets,daemonsets,jobs,pods,services,endpointslices,configmaps,\
                 persistentvolumeclaims,events";
    let text = |arguments: &[&str]| namespace.kubectl(arguments).unwrap_or_else(|error| format!("{error:#}\n"));
    fs::write(place.join("objects.yaml"), text(&["get", kinds, "-o", "yaml", "--show-managed-fields"]))?;
    fs::write(place.join("overview.txt"), text(&["get", kinds, "-o", "wide"]))?;
    fs::write(place.join("pods.txt"), text(&["describe", "pods"]))?;
    fs::write(place.join("nodes.yaml"), text(&["get", "nodes", "-o", "yaml", "--show-managed-fields"]))?;
    if let Some(answer) = answer {
        fs::write(place.join("answer.json"), serde_json::to_string_pretty(answer)?)?;
    }
    let pods = namespace.get(&["pods"]).unwrap_or_default();
    for pod in pods["items"].as_array().into_iter().flatten() {
        let Some(pod) = pod["metadata"]["name"].as_str() else { continue };
        let all = ["logs", pod, "--all-containers", "--prefix", "--tail=200"];
        let mut logs = text(&all);
        logs.push_str("\n--- before the last restart\n");
        logs.push_str(&text(&[&all[..], &["--previous"]].concat()));
        fs::write(place.join(format!("{pod}.log")), logs)?;
    }
    Ok(place)
}
