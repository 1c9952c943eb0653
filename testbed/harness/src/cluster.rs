//! The cluster the tests run on, and namespaces in it.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A running testbed.
#[derive(Debug)]
pub struct Cluster {
    testbed: PathBuf,
    /// Held as long as this runs: two runs on one cluster would find each other's faults.
    _alone: File,
}

/// A namespace of one test. It is deleted when this is dropped, without waiting for the end of its pods.
#[derive(Debug)]
pub struct Namespace<'a> {
    cluster: &'a Cluster,
    name: String,
}

static SHARED: OnceLock<std::result::Result<Cluster, String>> = OnceLock::new();
static NAMESPACES: AtomicU32 = AtomicU32::new(0);

/// Not where the cluster's state is: that goes with it.
const LOCK: &str = "/run/lock/reckon-live";

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(500);

impl Cluster {
    /// The cluster that runs, or else one started now with two nodes. It is left running: `make` ends it, and a person who
    /// looks for the reason of a failure wants to find it.
    pub fn shared() -> Result<&'static Cluster> {
        let made = SHARED.get_or_init(|| Cluster::running_or_started().map_err(|error| format!("{error:#}")));
        made.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
    }

    fn running_or_started() -> Result<Cluster> {
        let alone = File::create(LOCK).context(LOCK)?;
        alone.lock().context(LOCK)?;
        let cluster = Cluster { testbed: crate::root().join("testbed"), _alone: alone };
        if !cluster.testbed("status", &[])?.status.success() {
            let up = cluster.testbed("up", &["2"])?;
            if !up.status.success() {
                bail!("testbed/up 2: {}", String::from_utf8_lossy(&up.stderr));
            }
        }
        let nodes = cluster.get(&["nodes"])?;
        let count = nodes["items"].as_array().map_or(0, Vec::len);
        if count < 2 {
            bail!("the live tests need two nodes and the running cluster has {count}: testbed/down, then testbed/up 2");
        }
        Ok(cluster)
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        Path::new("/run/reckon-testbed/kubeconfig")
    }

    /// A command of the testbed.
    pub fn testbed(&self, command: &str, arguments: &[&str]) -> Result<Output> {
        let path = self.testbed.join(command);
        Command::new(&path)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {}", path.display()))
    }

    /// `kubectl` as administrator; its output.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl_with(arguments, "")
    }

    fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut child = Command::new(self.testbed.join("kubectl"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run testbed/kubectl")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("kubectl {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// `kubectl get … -o json`.
    pub fn get(&self, arguments: &[&str]) -> Result<Value> {
        let mut all = vec!["get", "-o", "json"];
        all.extend(arguments);
        Ok(serde_json::from_str(&self.kubectl(&all)?)?)
    }

    /// Applies objects, given as YAML, to the whole cluster.
    pub fn apply(&self, yaml: &str) -> Result<()> {
        self.kubectl_with(&["apply", "-f", "-"], yaml).map(drop)
    }

    /// A new namespace, in which pods can be made at once.
    pub fn namespace(&self, name: &str) -> Result<Namespace<'_>> {
        let run = std::process::id();
        let number = NAMESPACES.fetch_add(1, Ordering::Relaxed);
        let namespace = Namespace { cluster: self, name: format!("{name}-{run}-{number}") };
        self.kubectl(&["create", "namespace", &namespace.name])?;
        // The first pods would otherwise wait for these, and their events tell so.
        wait(Duration::from_secs(30), "the namespace's service account and certificate", || {
            let there = namespace.get(&["serviceaccounts,configmaps"])?;
            let names: Vec<_> =
                there["items"].as_array().into_iter().flatten().map(|item| &item["metadata"]["name"]).collect();
            Ok(names.iter().any(|name| *name == "default") && names.iter().any(|name| *name == "kube-root-ca.crt"))
        })?;
        Ok(namespace)
    }
}

impl Namespace<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster it is in.
    pub fn cluster(&self) -> &Cluster {
        self.cluster
    }

    /// `kubectl -n NAMESPACE`. Where the words have `$NAMESPACE`, its name is put in: for what lives in no namespace and is to
    /// be told apart from the other cases'.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl_with(arguments, "")
    }

    fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<String> {
        let named = |text: &str| text.replace("$NAMESPACE", &self.name);
        let arguments: Vec<String> = arguments.iter().map(|argument| named(argument)).collect();
        let mut all = vec!["-n", &self.name];
        all.extend(arguments.iter().map(String::as_str));
        self.cluster.kubectl_with(&all, &named(input))
    }

    /// `kubectl -n NAMESPACE get … -o json`.
    pub fn get(&self, arguments: &[&str]) -> Result<Value> {
        let mut all = vec!["-n", &self.name];
        all.extend(arguments);
        self.cluster.get(&all)
    }

    /// Applies objects, given as YAML, in this namespace.
    pub fn apply(&self, yaml: &str) -> Result<()> {
        self.kubectl_with(&["apply", "-f", "-"], yaml).map(drop)
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        // A namespace that stays is deleted with its cluster.
        let _ = self.cluster.kubectl(&["delete", "namespace", &self.name, "--wait=false"]);
    }
}

/// Looks again and again until the condition holds; an error of the last look is told when it never does.
pub fn wait(within: Duration, what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + within;
    loop {
        let seen = condition();
        if matches!(seen, Ok(true)) {
            return Ok(());
        }
        if Instant::now() >= end {
            let why = seen.err().map(|error| format!(": {error:#}")).unwrap_or_default();
            bail!("not within {} s: {what}{why}", within.as_secs());
        }
        std::thread::sleep(LOOK);
    }
}
