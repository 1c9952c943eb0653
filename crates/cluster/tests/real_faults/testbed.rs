//! The testbed's control plane, and what a test broke of it.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Where the testbed leaves the administrator's kubeconfig; `RECKON_REAL_KUBECONFIG` names another place.
const KUBECONFIG: &str = "/run/reckon-testbed/kubeconfig";

/// Two runs on one cluster would find each other's faults.
const LOCK: &str = "/run/lock/reckon-live";

/// A running cluster that is left well.
pub(crate) struct Testbed {
    namespace: String,
    /// What was made outside of the namespace.
    made: Vec<String>,
    _alone: File,
}

impl Testbed {
    /// The cluster that is up, with a namespace for this test.
    pub(crate) fn for_test(name: &str) -> Testbed {
        let alone = File::create(LOCK).unwrap();
        alone.lock().unwrap();
        assert!(kubeconfig().exists(), "no testbed is up: testbed/up 2");
        let testbed = Testbed { namespace: format!("real-{name}"), made: Vec::new(), _alone: alone };
        testbed.control(&["is-well"]);
        testbed.kubectl(&["delete", "namespace", &testbed.namespace, "--ignore-not-found", "--timeout=60s"]);
        testbed.kubectl(&["create", "namespace", &testbed.namespace]);
        testbed
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// `testbed/control-plane`; it must succeed.
    pub(crate) fn control(&self, arguments: &[&str]) {
        succeed("testbed/control-plane", arguments, "");
    }

    /// `kubectl` as administrator; what it prints.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        succeed("testbed/kubectl", arguments, "")
    }

    /// Makes what this YAML says; it goes with the test.
    pub(crate) fn apply(&mut self, yaml: &str) {
        succeed("testbed/kubectl", &["apply", "-f", "-"], yaml);
        self.made.push(yaml.to_owned());
    }

    /// Runs what waits without holding up those who follow.
    pub(crate) async fn control_beside(&self, arguments: &'static [&'static str]) {
        tokio::task::spawn_blocking(|| succeed("testbed/control-plane", arguments, "")).await.unwrap();
    }
}

pub(crate) fn kubeconfig() -> PathBuf {
    std::env::var_os("RECKON_REAL_KUBECONFIG").map_or_else(|| KUBECONFIG.into(), PathBuf::from)
}

/// Runs a command of the checkout; what it prints.
fn succeed(program: &str, arguments: &[&str], input: &str) -> String {
    let (good, out) = run(program, arguments, input);
    assert!(good, "{program} {arguments:?}: {out}");
    out
}

fn run(program: &str, arguments: &[&str], input: &str) -> (bool, String) {
    use std::io::Write;
    let mut child = Command::new(PathBuf::from(ROOT).join(program))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).trim().to_owned())
}

impl Drop for Testbed {
    /// Whatever state a test that failed left it in.
    fn drop(&mut self) {
        for program in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            run("testbed/control-plane", &[program, "resume"], "");
            run("testbed/control-plane", &[program, "start"], "");
        }
        run("testbed/control-plane", &["is-well"], "");
        for yaml in &self.made {
            run("testbed/kubectl", &["delete", "--ignore-not-found", "--wait=false", "-f", "-"], yaml);
        }
        run("testbed/kubectl", &["delete", "namespace", &self.namespace, "--wait=false"], "");
    }
}
