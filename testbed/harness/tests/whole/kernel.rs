//! What the kernels of the nodes tell, as `reckon node` reports it from a DaemonSet.

use super::open;
use anyhow::{Result, bail};
use reckon_testbed::{Cluster, Namespace, Reckon, deploy_node, differences, remove_node, wait};
use serde_json::{Value, json};
use std::time::Duration;

/// Each dies, or loses a process, in a way of its own.
const DEATHS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: over}
spec:
  containers:
    - {name: app, image: "reckon.test/workload:1", args: [memory, anon, 300Mi, hold], resources: {limits: {memory: 64Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: unseen}
spec:
  containers:
    - name: app
      image: reckon.test/workload:1
      args: [child, memory, anon, 300Mi, hold, end, hold]
      resources: {limits: {memory: 64Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: masked}
spec:
  restartPolicy: Never
  containers:
    - name: app
      image: reckon.test/workload:1
      command: [sh, -c, "workload memory anon 300Mi hold; true"]
      resources: {limits: {memory: 64Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: echo}
spec:
  restartPolicy: Never
  containers:
    - name: app
      image: reckon.test/workload:1
      command: [sh, -c, "workload memory anon 300Mi hold; exit $?"]
      resources: {limits: {memory: 64Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: pipes}
spec:
  containers:
    - {name: app, image: "reckon.test/workload:1", args: [memory, pipe, 300Mi, hold], resources: {limits: {memory: 64Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: well}
spec:
  containers:
    - {name: app, image: "reckon.test/workload:1", args: [memory, anon, 20Mi, hold], resources: {limits: {memory: 64Mi}}}
"#;

/// What has to be said of each, written down before it was run.
fn expected(name: &str) -> Option<Value> {
    let problem = |class: &str, effect: &str, kind: &str| {
        json!({
            "failure": "oom-killed", "class": class, "verdict": "confirmed",
            "subject": {"kind": "Pod", "name": name, "container": "app"},
            "death": {"scope": "container", "effect": effect, "memoryKind": kind, "victim": "workload", "limitBytes": 67_108_864},
        })
    };
    match name {
        "over" => Some(problem("container-limit", "container-died", "anon")),
        "unseen" => Some(problem("invisible-child", "child-died", "anon")),
        "masked" => Some(problem("masked-child", "wrong-completed", "anon")),
        "echo" => Some(problem("shell-echo", "shell-echo", "anon")),
        "pipes" => Some(problem("container-limit", "container-died", "kernel")),
        _ => None,
    }
}

pub(crate) fn test(cluster: &Cluster) -> Result<()> {
    let deployed = deploy_node(cluster);
    let told = deployed.and_then(|()| told(cluster));
    remove_node(cluster)?;
    told
}

fn told(cluster: &Cluster) -> Result<()> {
    let shop = cluster.namespace("shop")?;
    shop.apply(DEATHS)?;
    for name in ["over", "unseen", "masked", "echo", "pipes", "well"] {
        wait(Duration::from_secs(90), &format!("the answer for {name}"), || answered(&shop, name))?;
    }
    // The list of all finds the same, those that no status shows included.
    let document = Reckon::json(cluster.kubeconfig(), &["problems", "-A"])?;
    let named = |name: &str| open(&document).iter().any(|problem| problem["subject"]["name"] == name);
    if let Some(missing) = ["over", "unseen", "masked", "echo", "pipes"].into_iter().find(|name| !named(name)) {
        bail!("{missing} is not among the problems of the cluster");
    }
    if named("well") {
        bail!("there is nothing wrong with well");
    }
    Ok(())
}

fn answered(shop: &Namespace<'_>, name: &str) -> Result<bool> {
    let pod = format!("pod/{name}");
    let document = Reckon::json(shop.cluster().kubeconfig(), &["why", &pod, "-n", shop.name()])?;
    let problems = open(&document);
    let Some(expected) = expected(name) else {
        if document["answer"] != "no-fault" {
            bail!("{}", document["sentence"]);
        }
        return Ok(true);
    };
    let Some(problem) = problems.iter().find(|problem| problem["failure"] == "oom-killed") else {
        bail!("{}", document["sentence"]);
    };
    let wrong = differences(&expected, problem);
    if !wrong.is_empty() {
        bail!("\n  {}", wrong.join("\n  "));
    }
    Ok(true)
}
