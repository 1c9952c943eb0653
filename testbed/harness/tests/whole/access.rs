//! People who may not see everything.

use anyhow::{Result, bail};
use reckon_testbed::{Cluster, Namespace, Reckon, answer_without, differences, wait};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Beside a crash and its Service without endpoints: a missing key; and what needs nodes or Secrets to be told.
const TROUBLE: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue}
---
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
          args: [hold]
          env: [{name: COLOUR, valueFrom: {configMapKeyRef: {name: settings, key: color}}}]
---
apiVersion: v1
kind: Secret
metadata: {name: db}
stringData: {password: not-shown-anywhere}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec:
      nodeSelector: {disktype: nvme}
      containers:
        - name: app
          image: reckon.test/workload:1
          args: [hold]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: billing}
spec:
  selector: {matchLabels: {app: billing}}
  template:
    metadata: {labels: {app: billing}}
    spec:
      containers:
        - name: app
          image: reckon.test/workload:1
          args: [hold]
          env: [{name: DB_PASSWORD, valueFrom: {secretKeyRef: {name: db, key: pasword}}}]
"#;

/// What rightly differs between two users at two moments: the clock, the cluster's identity (the UID of a namespace that not
/// everybody may read), what could be read, and who may apply a remedy.
const OWN: &[&str] = &["asOf", "cluster", "looked", "notChecked", "allowed"];

pub(crate) fn one_namespace(cluster: &Cluster) -> Result<()> {
    let shop = cluster.namespace("shop")?;
    // Without what needs nodes or Secrets: `view` gives neither.
    let trouble: Vec<&str> = TROUBLE.split("---").take(2).collect();
    shop.apply(super::ORDERS)?;
    shop.apply(&trouble.join("---"))?;
    shop.kubectl(&["create", "serviceaccount", "dev"])?;
    let dev = format!("--serviceaccount={}:dev", shop.name());
    shop.kubectl(&["create", "rolebinding", "dev", "--clusterrole=view", &dev])?;
    let kubeconfig = kubeconfig(&shop, "dev")?;

    let question = ["problems", "-n", shop.name()];
    wait(Duration::from_secs(90), "two problems, the same for both", || {
        let ours = Reckon::json(cluster.kubeconfig(), &question)?;
        let theirs = Reckon::json(&kubeconfig, &question)?;
        if super::open(&ours).len() != 2 {
            bail!("the administrator sees {} problems", super::open(&ours).len());
        }
        same(&ours, &theirs)
    })
}

fn same(ours: &Value, theirs: &Value) -> Result<bool> {
    let (ours, theirs) = (answer_without(ours.clone(), OWN), answer_without(theirs.clone(), OWN));
    if ours != theirs {
        let mut all = differences(&ours, &theirs);
        all.extend(differences(&theirs, &ours));
        bail!("{}", all.join("\n  "));
    }
    Ok(true)
}

pub(crate) fn without_nodes_and_secrets(cluster: &Cluster) -> Result<()> {
    let shop = cluster.namespace("shop")?;
    shop.apply(super::ORDERS)?;
    shop.apply(TROUBLE)?;
    shop.kubectl(&["create", "serviceaccount", "auditor"])?;
    let role = format!("{}-auditor", shop.name());
    let account = format!("--serviceaccount={}:auditor", shop.name());
    cluster.kubectl(&["create", "clusterrolebinding", &role, "--clusterrole=view", &account])?;
    let kubeconfig = kubeconfig(&shop, "auditor")?;

    let found = wait(Duration::from_secs(120), "four problems with their gaps", || {
        let document = Reckon::json(&kubeconfig, &["problems", "-A"])?;
        let expected = json!({
            "problems": [
                {"failure": "crash-loop", "subject": {"name": "orders"}, "cause": {"kind": "application"}},
                {"failure": "config-key-missing", "subject": {"name": "web"}, "cause": {"kind": "resource"}},
                {"failure": "config-key-missing", "subject": {"name": "billing"},
                 "cause": {"ref": {"kind": "Deployment", "name": "billing"}}, "notChecked": [{"why": "*secrets*"}]},
                {"failure": "unschedulable-node-selector", "subject": {"name": "api"}, "notChecked": [{"why": "*nodes*"}]},
            ],
            "notChecked": [{"why": "*nodes*"}],
        });
        let wrong = differences(&expected, &document);
        if !wrong.is_empty() {
            bail!("\n  {}", wrong.join("\n  "));
        }
        let sure = super::open(&document)
            .iter()
            .any(|problem| problem["failure"] == "unschedulable-node-selector" && problem["verdict"] == "confirmed");
        if sure {
            bail!("nobody looked at the nodes and yet it is confirmed");
        }
        Ok(true)
    });
    cluster.kubectl(&["delete", "clusterrolebinding", &role])?;
    found
}

/// A kubeconfig of a service account, by token.
fn kubeconfig(namespace: &Namespace<'_>, account: &str) -> Result<PathBuf> {
    let token = namespace.kubectl(&["create", "token", account])?;
    let text = fs::read_to_string(namespace.cluster().kubeconfig())?;
    let mut config: Value = serde_saphyr::from_str(&text)?;
    let user = json!([{"name": account, "user": {"token": token.trim()}}]);
    if let Some(config) = config.as_object_mut() {
        config.insert("users".to_owned(), user);
    }
    if let Some(contexts) = config["contexts"].as_array_mut() {
        for context in contexts {
            context["context"]["user"] = json!(account);
            context["context"]["namespace"] = json!(namespace.name());
        }
    }
    let place = reckon_testbed::root().join("target/live");
    fs::create_dir_all(&place)?;
    let path = place.join(format!("{}-{account}.kubeconfig", namespace.name()));
    fs::write(&path, config.to_string())?;
    Ok(path)
}
