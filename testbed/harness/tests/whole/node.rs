//! A node whose kubelet dies.

use super::open;
use anyhow::{Result, bail};
use reckon_testbed::{Cluster, Reckon, differences, wait};
use serde_json::json;
use std::time::Duration;

const ON_N2: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {kubernetes.io/hostname: n2}
      containers:
        - name: app
          image: reckon.test/workload:1
          args: [listen, "8080"]
          readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"#;

pub(crate) fn test(cluster: &Cluster) -> Result<()> {
    let shop = cluster.namespace("shop")?;
    shop.apply(ON_N2)?;
    shop.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
    cluster.testbed("node", &["n2", "stop", "kubelet"])?;
    let found = lost(cluster);
    cluster.testbed("node", &["n2", "start", "kubelet"])?;
    found?;
    wait(Duration::from_secs(90), "the end of it", || {
        let document = Reckon::json(cluster.kubeconfig(), &["problems", "-A"])?;
        if let Some(problem) = open(&document).first() {
            bail!("still: {}", problem["title"]);
        }
        Ok(true)
    })
}

fn lost(cluster: &Cluster) -> Result<()> {
    wait(Duration::from_secs(120), "the node as the one problem", || {
        let document = Reckon::json(cluster.kubeconfig(), &["problems", "-A"])?;
        let problems = open(&document);
        let [problem] = problems.as_slice() else {
            bail!(
                "{} problems: {:?}",
                problems.len(),
                problems.iter().map(|problem| &problem["title"]).collect::<Vec<_>>()
            )
        };
        let expected = json!({
            "failure": "node-unreachable",
            "subject": {"kind": "Node", "name": "n2"},
            "cause": {"kind": "node", "ref": {"kind": "Node", "name": "n2"}},
            "symptoms": [{"ref": {"kind": "Service", "name": "web"}}],
        });
        let wrong = differences(&expected, problem);
        if !wrong.is_empty() {
            bail!("\n  {}", wrong.join("\n  "));
        }
        Ok(true)
    })
}
