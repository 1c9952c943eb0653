//! Ten minutes in which everything happens that is no fault, and a watch that has to be silent. Then a fault.

use super::{healthy, open};
use anyhow::{Result, anyhow, bail};
use reckon_testbed::{Cluster, Namespace, Reckon, Watch, wait};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CHURN: Duration = Duration::from_mins(10);

/// From one thing that happens to the next: some overlap, some have time to end.
const TURN: Duration = Duration::from_secs(15);

/// An autoscaler and what it scales. The testbed has no metrics, so the real controller moves the number for its bounds alone,
/// which are moved.
const ELASTIC: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: elastic}
spec:
  selector: {matchLabels: {app: elastic}}
  template:
    metadata: {labels: {app: elastic}}
    spec:
      containers:
        - name: app
          image: reckon.test/workload:1
          args: [listen, "8080", ready-after=2s]
          resources: {requests: {cpu: 10m}}
          readinessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: elastic}
spec: {selector: {app: elastic}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: elastic}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: elastic}
  minReplicas: 1
  maxReplicas: 1
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]
"#;

pub(crate) fn test(cluster: &Cluster) -> Result<()> {
    let mut watch = Watch::start(cluster.kubeconfig(), &["-A"])?;
    let shop = cluster.namespace("shop")?;
    let churned = churn(&shop, &mut watch);
    // However it went.
    cluster.kubectl(&["uncordon", "n2"])?;
    churned?;
    wait(Duration::from_secs(120), "rest", || {
        silent(cluster, &mut watch)?;
        healthy::settled(&shop)
    })?;

    let cut =
        r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","resources":{"limits":{"memory":"24Mi"}}}]}}}}"#;
    shop.kubectl(&["patch", "deployment", "hungry", "-p", cut])?;
    wait(Duration::from_secs(30), "the one fault, by the watch", || {
        let told = watch.problems()?;
        let [problem] = told.as_slice() else { bail!("{} problems: {told:?}", told.len()) };
        let found = problem["failure"] == "oom-killed"
            && problem["closed"].is_null()
            && problem["subject"]["name"] == "hungry"
            && problem["cause"]["kind"] == "change"
            && problem["cause"]["from"] == "128Mi"
            && problem["cause"]["to"] == "24Mi";
        if found { Ok(true) } else { bail!("{problem:#}") }
    })?;
    shop.kubectl(&["rollout", "undo", "deployment/hungry"])?;
    wait(Duration::from_secs(120), "the end of it, by the watch", || {
        let told = watch.problems()?;
        let left: Vec<&Value> = told.iter().filter(|problem| problem["closed"].is_null()).collect();
        if told.len() != 1 || !left.is_empty() {
            bail!("{} problems were told, not closed: {left:?}", told.len());
        }
        Ok(true)
    })
}

/// Does it all, and asks all the while.
fn churn(shop: &Namespace<'_>, watch: &mut Watch) -> Result<()> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let acting = scope.spawn(|| -> Result<()> {
            shop.apply(&healthy::workloads()?)?;
            shop.apply(ELASTIC)?;
            let end = Instant::now() + CHURN;
            let mut turn = 0;
            while Instant::now() < end && !stop.load(Ordering::Relaxed) {
                std::thread::sleep(TURN);
                act(shop, turn)?;
                turn += 1;
            }
            Ok(())
        });
        let mut asked = 0;
        let mut silence = Ok(());
        while !acting.is_finished() && silence.is_ok() {
            asked += 1;
            silence = silent(shop.cluster(), watch).map_err(|error| error.context(format!("question {asked}")));
            std::thread::sleep(Duration::from_secs(1));
        }
        stop.store(true, Ordering::Relaxed);
        let acted = acting.join().map_err(|_| anyhow!("a panic"))?;
        silence.and(acted)
    })
}

/// What happens in a turn.
fn act(shop: &Namespace<'_>, turn: usize) -> Result<()> {
    let round = turn / 8;
    let odd = round % 2 == 1;
    match turn % 8 {
        0 => {
            let image = if odd { "app=reckon.test/workload:1" } else { "app=reckon.test/workload:2" };
            for number in 0..6 {
                shop.kubectl(&["set", "image", &format!("deployment/web-{number}"), image])?;
            }
        }
        1 => {
            let replicas = if odd { "--replicas=1" } else { "--replicas=4" };
            shop.kubectl(&["scale", "deployment/web-6", "deployment/web-7", replicas])?;
        }
        2 => {
            let which = round % 3;
            shop.kubectl(&[
                "rollout",
                "restart",
                &format!("statefulset/store-{which}"),
                &format!("daemonset/agent-{which}"),
            ])?;
        }
        3 => {
            shop.kubectl(&["create", "job", &format!("by-hand-{turn}"), "--from=cronjob/nightly-0"])?;
        }
        4 => {
            let all = ["drain", "n2", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s"];
            shop.kubectl(&all)?;
        }
        5 => {
            shop.kubectl(&["uncordon", "n2"])?;
        }
        6 => {
            let number = if odd { 1 } else { 4 };
            let bounds = format!(r#"{{"spec":{{"minReplicas":{number},"maxReplicas":{number}}}}}"#);
            shop.kubectl(&["patch", "hpa", "elastic", "--type=merge", "-p", &bounds])?;
        }
        _ => {
            shop.kubectl(&["delete", "pod", "-l", "app in (web-10,web-11)", "--wait=false"])?;
        }
    }
    Ok(())
}

/// Neither the watch nor an answer may know of a problem.
fn silent(cluster: &Cluster, watch: &mut Watch) -> Result<()> {
    if let Some(problem) = watch.problems()?.first() {
        bail!("the watch has told of a problem: {problem:#}");
    }
    let document = Reckon::json(cluster.kubeconfig(), &["problems", "-A"])?;
    if let Some(problem) = open(&document).first() {
        bail!("an answer has a problem: {problem:#}");
    }
    Ok(())
}
