//! `reckon why` among ten thousand pods: it fetches its target's neighbourhood, not the cluster.

use anyhow::{Result, bail};
use reckon_testbed::{AuditLog, Cluster, Meter, Namespace, Reckon, Request, differences, wait};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// Deployments and their replicas: together with the targets a little more than 10,000 pods.
const CROWD: (usize, usize) = (20, 500);

/// What one question may cost: requests, and bytes as they come over the wire.
const REQUESTS: usize = 40;
const BYTES: u64 = 5_000_000;

/// Beside a crash behind a Service: a pod that fits nowhere, and one that is well.
const TARGETS: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: greedy}
spec:
  selector: {matchLabels: {app: greedy}}
  template:
    metadata: {labels: {app: greedy}}
    spec:
      containers:
        - name: app
          image: reckon.test/workload:1
          args: [hold]
          resources: {requests: {memory: 64Gi}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: well}
spec:
  selector: {matchLabels: {app: well}}
  template:
    metadata: {labels: {app: well}}
    spec:
      containers: [{name: app, image: "reckon.test/workload:1", args: [hold]}]
"#;

pub(crate) fn test(cluster: &Cluster) -> Result<()> {
    let shop = cluster.namespace("shop")?;
    let outcome = ask_among(cluster, &shop);
    // So many pods take a while to go, and what comes after would have to share the cluster with that.
    shop.kubectl(&["delete", "deployments", "--all", "--cascade=foreground", "--timeout=300s"])?;
    outcome
}

fn ask_among(cluster: &Cluster, shop: &Namespace<'_>) -> Result<()> {
    shop.apply(super::ORDERS)?;
    shop.apply(TARGETS)?;
    shop.apply(&crowd()?)?;
    wait(Duration::from_secs(300), "ten thousand pods", || {
        let sets = shop.get(&["deployments", "-l", "crowd=yes"])?;
        let made: u64 = super::items(&sets).iter().filter_map(|set| set["status"]["replicas"].as_u64()).sum();
        if made < (CROWD.0 * CROWD.1) as u64 {
            bail!("{made} pods");
        }
        Ok(true)
    })?;
    wait(Duration::from_secs(60), "the crash", || {
        let pods = shop.get(&["pods", "-l", "app=orders"])?;
        Ok(super::items(&pods).iter().all(|pod| {
            pod["status"]["containerStatuses"][0]["restartCount"].as_u64().is_some_and(|restarts| restarts >= 2)
        }))
    })?;
    let meter = Meter::before(cluster.kubeconfig(), "crowd")?;
    let crash = json!([{"failure": "crash-loop", "subject": {"name": "orders"}, "cause": {"kind": "application"},
        "symptoms": [{"failure": "endpoints-empty"}]}]);
    let greedy = json!([{"failure": "request-exceeds-nodes", "subject": {"name": "greedy"}}]);
    let mut wrong = Vec::new();
    for (target, expected) in [
        ("deployment/orders", &crash),
        ("service/orders", &crash),
        ("deployment/greedy", &greedy),
        ("deployment/well", &json!([])),
    ] {
        wrong.extend(costs(shop, &meter, target, expected)?);
    }
    if wrong.is_empty() { Ok(()) } else { bail!("\n  {}", wrong.join("\n  ")) }
}

/// Asks once, when graces have passed, and says what was wrong with the answer or its price. The time is told, not tested.
fn costs(shop: &Namespace<'_>, meter: &Meter, target: &str, expected: &Value) -> Result<Vec<String>> {
    let question = ["why", target, "-n", shop.name()];
    wait(Duration::from_secs(90), target, || {
        let document = Reckon::json(shop.cluster().kubeconfig(), &question)?;
        let mut wrong = differences(expected, &document["problems"]);
        if document["problems"].as_array().map(Vec::len) != expected.as_array().map(Vec::len) {
            wrong.push(format!("answer {}: {}", document["answer"], document["sentence"]));
        }
        if wrong.is_empty() { Ok(true) } else { bail!("{}", wrong.join("\n  ")) }
    })?;
    let log = AuditLog::from_now()?;
    meter.received();
    let begin = Instant::now();
    let document = Reckon::json(meter.kubeconfig(), &question)?;
    let took = begin.elapsed();
    let bytes = meter.received();
    let requests = log.requests()?;
    let (count, milliseconds, answer) = (requests.len(), took.as_millis(), &document["answer"]);
    let told = format!("why {target}: {count} requests, {bytes} bytes, {milliseconds} ms, answer {answer}");
    let _ = writeln!(std::io::stderr(), "{told}");

    let mut wrong = Vec::new();
    if requests.len() > REQUESTS {
        wrong.push(format!("{} requests: {requests:#?}", requests.len()));
    }
    if bytes > BYTES {
        wrong.push(format!("{bytes} bytes: {requests:#?}"));
    }
    let everything = |request: &&Request| {
        let selected = request.uri.contains("Selector=");
        request.verb == "list" && request.resource == "pods" && !selected && !request.uri.contains("limit=1&")
    };
    if let Some(request) = requests.iter().find(everything) {
        wrong.push(format!("it lists every pod: {request:?}"));
    }
    Ok(wrong.into_iter().map(|what| format!("why {target}: {what}")).collect())
}

/// Pods of ordinary size (about 10 kB with what the API server adds) that no scheduler and no kubelet touches, in the
/// targets' own namespace, each set behind a Service of its own.
fn crowd() -> Result<String> {
    let (sets, replicas) = CROWD;
    let mut yaml = String::new();
    let padding = "x".repeat(5_000);
    for number in 0..sets {
        write!(
            yaml,
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: crowd-{number}, labels: {{crowd: 'yes'}}}}\nspec:\n  \
             replicas: {replicas}\n  selector: {{matchLabels: {{app: crowd-{number}}}}}\n  template:\n    metadata: {{labels: \
             {{app: crowd-{number}}}, annotations: {{padding: {padding}}}}}\n    spec:\n      schedulerName: nobody\n      \
             containers: [{{name: app, image: \"reckon.test/workload:1\", args: [hold]}}]\n---\napiVersion: v1\nkind: \
             Service\nmetadata: {{name: crowd-{number}}}\nspec: {{selector: {{app: crowd-{number}}}, ports: [{{port: 80}}]}}\n"
        )?;
    }
    Ok(yaml)
}
