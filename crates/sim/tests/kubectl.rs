//! The real `kubectl` against the simulated server. It is the one that the testbed builds; `RECKON_KUBECTL` names another.
//!
//! Run by `scripts/live-tests`, as the program is not there without the testbed's build.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use reckon_sim::{Bulk, Clock, Config, Listener, Server};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where the testbed keeps what it has built, below the cache of the user.
const CACHE: &str = "reckon-testbed";

fn kubectl() -> PathBuf {
    if let Some(named) = std::env::var_os("RECKON_KUBECTL") {
        return named.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache")).join(CACHE);
    let built = std::fs::read_dir(&cache)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("kubectl"));
    built.filter(|path| path.exists()).max().expect("there is no kubectl: run testbed/build, or set RECKON_KUBECTL")
}

struct Shell {
    dir: tempfile::TempDir,
}

impl Shell {
    /// What `kubectl` prints; it must succeed.
    fn run(&self, arguments: &str) -> String {
        let (code, out) = self.try_run(arguments);
        assert_eq!(code, 0, "kubectl {arguments}: {out}");
        out
    }

    fn try_run(&self, arguments: &str) -> (i32, String) {
        let output = Command::new(kubectl())
            .args(arguments.split(' '))
            .current_dir(self.dir.path())
            .env("KUBECONFIG", self.dir.path().join("config"))
            .env("HOME", self.dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the kubectl that testbed/build makes: scripts/live-tests"]
async fn kubectl_works_as_on_a_real_cluster() {
    let server = Server::new(Config::default(), Clock::real());
    server.world().fill(&Bulk { pods: 0, nodes: 2, namespaces: 1, workloads: false, ..Bulk::default() });
    let listener = Listener::bind(server.clone(), 0).await.unwrap();
    let stepping = tokio::spawn(async move {
        loop {
            server.world().step();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let shell = Shell { dir: tempfile::tempdir().unwrap() };
    std::fs::write(shell.dir.path().join("config"), listener.kubeconfig(None)).unwrap();
    std::fs::write(shell.dir.path().join("web.yaml"), WEB).unwrap();
    tokio::task::spawn_blocking(move || everyday(&shell)).await.unwrap();
    stepping.abort();
}

fn everyday(shell: &Shell) {
    assert!(shell.run("version").contains("Server Version: v1.37.2"));
    let resources = shell.run("api-resources");
    for word in ["deployments", "customresourcedefinitions", "endpointslices"] {
        assert!(resources.contains(word), "{resources}");
    }
    assert!(shell.run("apply -f web.yaml").contains("deployment.apps/web created"));
    assert!(shell.run("apply -f web.yaml").contains("deployment.apps/web unchanged"));
    assert!(shell.run("rollout status deployment/web --timeout=20s").contains("successfully rolled out"));
    let pods = shell.run("get pods");
    assert!(pods.starts_with("NAME") && pods.matches("1/1     Running").count() == 2, "{pods}");
    let pod = shell.run("get pods -o name").lines().next().unwrap().to_owned();
    let described = shell.run(&format!("describe {pod}"));
    for word in ["Controlled By:  ReplicaSet/web-", "Successfully assigned default/web-", "Restart Count:  0"] {
        assert!(described.contains(word), "{word}: {described}");
    }
    assert_eq!(shell.run(&format!("logs {pod}")), "hello\n");
    assert!(shell.run("scale deployment/web --replicas=3").contains("scaled"));
    assert!(
        shell
            .run("wait deployment/web --for=jsonpath={.status.readyReplicas}=3 --timeout=20s")
            .contains("condition met")
    );
    assert!(shell.run("set image deployment/web app=hello:2").contains("image updated"));
    assert!(shell.run("rollout status deployment/web --timeout=20s").contains("successfully rolled out"));
    assert!(shell.run("get events").contains("ScalingReplicaSet"));
    assert!(shell.run("get nodes -o wide").contains("node-1   Ready"));
    assert!(shell.run("top pods").contains("web-"));
    assert_eq!(shell.run("auth can-i list pods").trim(), "yes");
    let (code, out) = shell.try_run("auth can-i list pods --as=jane");
    assert_eq!((code, out.trim().ends_with("no")), (1, true), "{out}");
    assert!(shell.run("create configmap one --from-literal=a=b").contains("created"));
    assert!(shell.run("patch configmap one -p {\"data\":{\"a\":\"c\"}}").contains("patched"));
    assert!(shell.run("label configmap one x=y").contains("labeled"));
    assert!(shell.run("get configmap one -o jsonpath={.data.a}{.metadata.labels.x}").ends_with("cy"));
    assert!(shell.run("create token default").starts_with("sim-"));
    assert!(shell.run("create namespace other").contains("created"));
    assert!(shell.run("delete namespace other --timeout=20s").contains("deleted"));
    assert!(shell.run("drain node-0 --timeout=20s --ignore-daemonsets").contains("drained"));
    assert!(shell.run("uncordon node-0").contains("uncordoned"));
    assert!(shell.run("delete deployment web --timeout=20s").contains("deleted"));
    let (code, out) = shell.try_run("get deployment web");
    assert_eq!(code, 1);
    assert!(out.contains(r#"Error from server (NotFound): deployments.apps "web" not found"#), "{out}");
}

const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
      annotations: {sim.reckon.dev/behaviour: '{"*": {"log": ["hello"]}}'}
    spec:
      containers: [{name: app, image: "hello:1"}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"#;
