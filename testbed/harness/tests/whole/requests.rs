//! What the API server is asked for, by its own audit log.

use anyhow::{Result, bail};
use reckon_testbed::{AuditLog, Cluster, Reckon, Request};

/// Something beside that is well.
const SOME: &str = r#"
apiVersion: batch/v1
kind: Job
metadata: {name: report}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: app, image: "reckon.test/workload:1", args: [exit, "0"]}]}}}
"#;

pub(crate) fn problems(cluster: &Cluster) -> Result<()> {
    let shop = cluster.namespace("shop")?;
    shop.apply(super::ORDERS)?;
    shop.apply(SOME)?;
    std::thread::sleep(std::time::Duration::from_secs(10));
    for question in [vec!["problems", "-A"], vec!["problems", "-n", shop.name()]] {
        let requests = asked(cluster, &question)?;
        for (what, times) in Request::lists(&requests) {
            if times > 1 {
                bail!("reckon {}: {what} was listed {times} times:\n{requests:#?}", question.join(" "));
            }
        }
    }
    Ok(())
}

pub(crate) fn why(cluster: &Cluster) -> Result<()> {
    let shop = cluster.namespace("shop")?;
    shop.apply(super::ORDERS)?;
    shop.apply(SOME)?;
    std::thread::sleep(std::time::Duration::from_secs(10));
    let requests = asked(cluster, &["why", "deployment/orders", "-n", shop.name()])?;
    if requests.len() > 40 {
        bail!("{} requests:\n{requests:#?}", requests.len());
    }
    let everything = |request: &&Request| {
        request.resource == "pods" && request.namespace.is_empty() && !request.uri.contains("Selector=")
    };
    if let Some(request) = requests.iter().find(everything) {
        bail!("it asked for every pod of the cluster: {request:?}");
    }
    Ok(())
}

/// The requests of one run, of which none may change anything.
fn asked(cluster: &Cluster, question: &[&str]) -> Result<Vec<Request>> {
    let log = AuditLog::from_now()?;
    Reckon::json(cluster.kubeconfig(), question)?;
    let requests = log.requests()?;
    if requests.is_empty() {
        bail!("reckon {}: no request with the user agent reckon/ is in the audit log", question.join(" "));
    }
    if let Some(request) = requests.iter().find(|request| request.mutates() && !request.is_self_review()) {
        bail!("reckon {} changed something: {request:?}", question.join(" "));
    }
    Ok(requests)
}
