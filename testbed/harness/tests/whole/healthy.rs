//! Thirty ordinary workloads that are rolled out, scaled, run to their end: nothing is wrong. Then something is.

use super::open;
use anyhow::{Result, bail};
use reckon_testbed::{Cluster, Namespace, Reckon, wait};
use std::fmt::Write;
use std::time::Duration;

const DEPLOYMENTS: usize = 18;

pub(crate) fn test(cluster: &Cluster) -> Result<()> {
    let shop = cluster.namespace("shop")?;
    shop.apply(&workloads()?)?;
    // Every start is looked at, too.
    while_it_happens(cluster, "the start", || settled(&shop))?;

    for number in 0..6 {
        shop.kubectl(&["set", "image", &format!("deployment/web-{number}"), "app=reckon.test/workload:2"])?;
    }
    shop.kubectl(&["scale", "deployment/web-6", "deployment/web-7", "--replicas=4"])?;
    shop.kubectl(&["scale", "deployment/web-8", "deployment/web-9", "--replicas=0"])?;
    shop.kubectl(&["rollout", "restart", "statefulset/store-0", "daemonset/agent-0"])?;
    shop.kubectl(&["delete", "pod", "-l", "app=web-10", "--wait=false"])?;
    shop.kubectl(&["create", "job", "by-hand", "--from=cronjob/nightly-0"])?;
    while_it_happens(cluster, "roll-outs, scaling and jobs", || settled(&shop))?;

    let cut =
        r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","resources":{"limits":{"memory":"24Mi"}}}]}}}}"#;
    shop.kubectl(&["patch", "deployment", "hungry", "-p", cut])?;
    wait(Duration::from_secs(30), "the one fault", || {
        let document = Reckon::json(cluster.kubeconfig(), &["problems", "-A"])?;
        let problems = open(&document);
        let [problem] = problems.as_slice() else { bail!("{} problems", problems.len()) };
        let found = problem["failure"] == "oom-killed"
            && problem["subject"]["name"] == "hungry"
            && problem["cause"]["kind"] == "change"
            && problem["cause"]["from"] == "128Mi"
            && problem["cause"]["to"] == "24Mi";
        if !found {
            bail!("{problem:#}");
        }
        Ok(true)
    })
}

/// Asks again and again until it is over; not one answer may have a problem.
fn while_it_happens(cluster: &Cluster, what: &str, mut over: impl FnMut() -> Result<bool>) -> Result<()> {
    let mut asked = 0;
    let mut trouble = None;
    wait(Duration::from_secs(240), what, || {
        let document = Reckon::json(cluster.kubeconfig(), &["problems", "-A"])?;
        asked += 1;
        if let Some(problem) = open(&document).first() {
            trouble = Some(format!("answer {asked} during {what} has a problem: {problem:#}"));
            return Ok(true);
        }
        // Once more after it is over.
        Ok(over()? && asked >= 5)
    })?;
    trouble.map_or(Ok(()), |trouble| bail!(trouble))
}

pub(super) fn settled(shop: &Namespace<'_>) -> Result<bool> {
    let workloads = shop.get(&["deployments,statefulsets"])?;
    let daemons = shop.get(&["daemonsets"])?;
    let jobs = shop.get(&["jobs"])?;
    let number = |value: &serde_json::Value| value.as_i64().unwrap_or(0);
    let up = super::items(&workloads).iter().all(|workload| {
        let (wanted, status) = (number(&workload["spec"]["replicas"]), &workload["status"]);
        status["observedGeneration"] == workload["metadata"]["generation"]
            && number(&status["replicas"]) == wanted
            && number(&status["updatedReplicas"]) == wanted
            && number(&status["readyReplicas"]) == wanted
    });
    let everywhere = super::items(&daemons).iter().all(|daemon| {
        let status = &daemon["status"];
        status["observedGeneration"] == daemon["metadata"]["generation"]
            && number(&status["updatedNumberScheduled"]) == number(&status["desiredNumberScheduled"])
            && number(&status["numberReady"]) == number(&status["desiredNumberScheduled"])
    });
    Ok(up && everywhere && super::items(&jobs).iter().all(|job| number(&job["status"]["succeeded"]) == 1))
}

/// 18 Deployments with Services, one of them hungry later; 3 StatefulSets, 3 DaemonSets, 4 Jobs, 2 CronJobs.
pub(super) fn workloads() -> Result<String> {
    let mut yaml = String::from("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {COLOUR: blue}\n");
    let server = r#"image: "reckon.test/workload:1", args: [listen, "8080", ready-after=3s], ports: [{name: http, containerPort: 8080}],
        envFrom: [{configMapRef: {name: settings}}], resources: {requests: {memory: 16Mi}, limits: {memory: 64Mi}},
        readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1},
        livenessProbe: {httpGet: {path: /, port: http}}"#;
    let set = |yaml: &mut String, kind: &str, name: &str, more: &str, container: &str| {
        write!(
            yaml,
            "---\napiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n  selector: {{matchLabels: {{app: \
             {name}}}}}\n{more}  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      containers:\n      \
             - {{name: app, {container}}}\n"
        )
    };
    for number in 0..DEPLOYMENTS - 1 {
        let name = format!("web-{number}");
        let replicas = if number == DEPLOYMENTS - 2 { 0 } else { 1 + number % 2 };
        set(&mut yaml, "Deployment", &name, &format!("  replicas: {replicas}\n"), server)?;
        write!(
            yaml,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{selector: {{app: {name}}}, ports: \
             [{{port: 80, targetPort: http}}]}}\n"
        )?;
    }
    let hungry =
        r#"image: "reckon.test/workload:1", args: [memory, anon, 60Mi, hold], resources: {limits: {memory: 128Mi}}"#;
    set(&mut yaml, "Deployment", "hungry", "  replicas: 1\n", hungry)?;
    for number in 0..3 {
        let more = format!("  serviceName: store-{number}\n  replicas: 2\n");
        set(&mut yaml, "StatefulSet", &format!("store-{number}"), &more, server)?;
        set(&mut yaml, "DaemonSet", &format!("agent-{number}"), "", server)?;
    }
    let work =
        r#"containers: [{name: app, image: "reckon.test/workload:1", args: [say, working, sleep, 3s, exit, "0"]}]"#;
    for number in 0..4 {
        write!(
            yaml,
            "---\napiVersion: batch/v1\nkind: Job\nmetadata: {{name: report-{number}}}\nspec: {{template: {{spec: \
             {{restartPolicy: Never, {work}}}}}}}\n"
        )?;
    }
    for (number, suspend) in [(0, false), (1, true)] {
        write!(
            yaml,
            "---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: nightly-{number}}}\nspec: {{schedule: \"0 3 * * *\", \
             suspend: {suspend}, jobTemplate: {{spec: {{template: {{spec: {{restartPolicy: Never, {work}}}}}}}}}}}\n"
        )?;
    }
    Ok(yaml)
}
