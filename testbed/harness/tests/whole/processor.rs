//! A CPU limit that makes a program answer late, as the counters of its control group tell.

use super::open;
use anyhow::{Result, bail};
use reckon_testbed::{Cluster, Reckon, deploy_node, differences, remove_node, wait};
use serde_json::json;
use std::time::Duration;

/// It answers at once, beside threads that take all the time there is; then its limit is cut. They are so many that an answer waits
/// for seconds: a thread keeps the processor for up to 3 ms, of which the limit then grants one in a tenth of a second.
const BUSY: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: app
          image: reckon.test/workload:1
          args: [listen, "8080", /healthz=200, burn, "32"]
          resources: {requests: {cpu: 10m}, limits: {cpu: "1"}}
          readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 2}
"#;

/// The same load without anybody who waits for an answer.
const BATCH: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: batch}
spec:
  containers:
    - {name: app, image: "reckon.test/workload:1", args: [burn, "4", hold], resources: {requests: {cpu: 10m}, limits: {cpu: 20m}}}
"#;

pub(crate) fn test(cluster: &Cluster) -> Result<()> {
    let told = deploy_node(cluster).and_then(|()| told(cluster));
    remove_node(cluster)?;
    told
}

fn told(cluster: &Cluster) -> Result<()> {
    let shop = cluster.namespace("shop")?;
    shop.apply(BUSY)?;
    shop.apply(BATCH)?;
    shop.kubectl(&["rollout", "status", "deployment/web", "--timeout=90s"])?;
    let cut = r#"{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null},"template":{"spec":{"containers":[{"name":"app","resources":{"limits":{"cpu":"10m"}}}]}}}}"#;
    shop.kubectl(&["patch", "deployment", "web", "-p", cut])?;
    let expected = json!({
        "failure": "cpu-throttled", "verdict": "confirmed",
        "subject": {"kind": "Deployment", "name": "web", "container": "app"},
        "cause": {"kind": "change", "ref": {"kind": "Deployment", "name": "web"},
            "field": "spec.template.spec.containers[app].resources.limits.cpu", "from": "1", "to": "10m"},
        "evidence": [{"source": "kernel"}],
    });
    wait(Duration::from_secs(180), "the limit as the reason of late answers", || {
        let document = Reckon::json(cluster.kubeconfig(), &["problems", "-n", shop.name()])?;
        let problems = open(&document);
        let [problem] = problems.as_slice() else { bail!("{} problems: {}", problems.len(), document["sentence"]) };
        let wrong = differences(&expected, problem);
        if wrong.is_empty() { Ok(true) } else { bail!("\n  {}", wrong.join("\n  ")) }
    })?;
    shop.kubectl(&["rollout", "undo", "deployment/web"])?;
    wait(Duration::from_secs(120), "the end of it", || {
        let document = Reckon::json(cluster.kubeconfig(), &["problems", "-n", shop.name()])?;
        if let Some(problem) = open(&document).first() {
            bail!("still: {}", problem["title"]);
        }
        Ok(true)
    })
}
