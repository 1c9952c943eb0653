//! An API server that says what it is told to, over plain HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod tls;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

/// What is said to a path.
#[derive(Clone)]
pub(crate) enum Say {
    Json(Value),
    Text(String),
    Bytes(Vec<u8>),
    Status(u16, Value),
    /// The first half of an answer, and then the connection ends.
    Half(Value),
    /// Nothing, for ever.
    Silence,
    /// The whole answer, its head included, as it is written here; then the connection ends.
    Flow(Flow),
}

/// Writes an answer, until nobody reads on.
pub(crate) type Flow = Arc<dyn Fn(&mut dyn Write) -> std::io::Result<()> + Send + Sync>;

pub(crate) struct Api {
    url: String,
    says: Arc<Mutex<BTreeMap<String, Say>>>,
    watches: Arc<Mutex<BTreeMap<String, Say>>>,
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    directory: tempfile::TempDir,
}

impl Api {
    /// A cluster with an id, a version and no objects of any kind.
    pub(crate) fn new() -> Api {
        Api::start(None)
    }

    /// The same over TLS.
    pub(crate) fn with_certificate(certificate: tls::Certificate) -> Api {
        Api::start(Some(tls::Identity::new(certificate)))
    }

    fn start(identity: Option<tls::Identity>) -> Api {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if identity.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let authority = identity.as_ref().map(tls::Identity::authority).unwrap_or_default();
        let says: Arc<Mutex<BTreeMap<String, Say>>> = Arc::default();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let watches: Arc<Mutex<BTreeMap<String, Say>>> = Arc::default();
        let (answers, changes, log) = (Arc::clone(&says), Arc::clone(&watches), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, changes, log) = (Arc::clone(&answers), Arc::clone(&changes), Arc::clone(&log));
                let session = identity.as_ref().map(tls::Identity::session);
                std::thread::spawn(move || match session {
                    Some(session) => serve(rustls::StreamOwned::new(session, stream), &answers, &changes, &log),
                    None => serve(stream, &answers, &changes, &log),
                });
            }
        });
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("config"),
            format!("apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: '{url}'{authority}}}}}]\nusers: [{{name: u, user: {{token: t}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u, namespace: shop}}}}]\n"),
        )
        .unwrap();
        let api = Api { url, says, watches, asked, directory };
        api.say("/version", Say::Json(json!({"gitVersion": "v1.37.0", "major": "1", "minor": "37"})));
        api.say("/api/v1/namespaces/kube-system", Say::Json(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": "cluster-id"}})));
        api.say("/api", Say::Json(json!({"versions": ["v1"]}))).say("/apis", Say::Json(json!({"groups": []})));
        api.say("/api/v1", Say::Json(json!({"resources": []})));
        api.say(
            "/api/v1/namespaces/shop",
            Say::Json(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "uid": "n"}})),
        );
        api
    }

    pub(crate) fn say(&self, path: &str, say: Say) -> &Api {
        self.says.lock().unwrap().insert(path.to_owned(), say);
        self
    }

    /// What is said to watches of a collection; the list before them comes in pages.
    pub(crate) fn say_to_watches(&self, path: &str, say: Say) -> &Api {
        self.watches.lock().unwrap().insert(path.to_owned(), say);
        self
    }

    /// Serves objects: each by its name, and all of them in the lists of their namespace and of the cluster.
    pub(crate) fn serve(&self, collection: &str, plural: &str, kind: &str, objects: &[Value]) -> &Api {
        let list = |items: &[Value]| {
            Say::Json(
                json!({"kind": format!("{kind}List"), "apiVersion": "v1", "metadata": {"resourceVersion": "9"}, "items": items}),
            )
        };
        self.say(&format!("{collection}/{plural}"), list(objects));
        let mut by_namespace: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for object in objects {
            let name = object["metadata"]["name"].as_str().unwrap();
            let path = match object["metadata"]["namespace"].as_str() {
                Some(namespace) => {
                    by_namespace.entry(namespace.to_owned()).or_default().push(object.clone());
                    format!("{collection}/namespaces/{namespace}/{plural}/{name}")
                }
                None => format!("{collection}/{plural}/{name}"),
            };
            self.say(&path, Say::Json(object.clone()));
        }
        for (namespace, items) in by_namespace {
            self.say(&format!("{collection}/namespaces/{namespace}/{plural}"), list(&items));
        }
        self
    }

    /// Refuses every list in a namespace and in the cluster.
    pub(crate) fn forbid_everything(&self, namespace: &str) -> &Api {
        for served in reckon_model::Kind::named().filter_map(reckon_model::Kind::served) {
            let group = match served.group {
                "" => format!("/api/{}", served.version),
                group => format!("/apis/{group}/{}", served.version),
            };
            let plural = served.plural;
            self.say(&format!("{group}/{plural}"), forbidden(plural));
            self.say(&format!("{group}/namespaces/{namespace}/{plural}"), forbidden(plural));
        }
        self
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What is said to a path, where that is JSON.
    pub(crate) fn said(&self, path: &str) -> Value {
        match self.says.lock().unwrap().get(path) {
            Some(Say::Json(value)) => value.clone(),
            _ => panic!("no JSON is said to {path}"),
        }
    }

    pub(crate) fn kubeconfig(&self) -> std::path::PathBuf {
        self.directory.path().join("config")
    }

    /// Runs the program against this server.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        command(args).env("KUBECONFIG", self.directory.path().join("config")).output().unwrap()
    }
}

/// The program without anything of this machine. `RECKON_UNDER` may name a command to run it under, as
/// `scripts/within-memory` is.
pub(crate) fn command(args: &[&str]) -> Command {
    let program = env!("CARGO_BIN_EXE_reckon");
    let mut command = match std::env::var("RECKON_UNDER") {
        Ok(under) => {
            let mut words = under.split(' ');
            let mut command = Command::new(words.next().unwrap());
            command.args(words).arg(program);
            command
        }
        Err(_) => Command::new(program),
    };
    command.args(args).env_remove("KUBERNETES_SERVICE_HOST").env_remove("KUBECONFIG").env("HOME", "/nonexistent");
    for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env_remove(proxy);
    }
    command
}

fn serve(
    stream: impl Read + Write,
    says: &Mutex<BTreeMap<String, Say>>,
    watches: &Mutex<BTreeMap<String, Say>>,
    log: &Mutex<Vec<String>>,
) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut length = 0;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).unwrap_or(0) == 0 {
                return;
            }
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let target = first.split(' ').nth(1).unwrap_or("").to_owned();
        log.lock().unwrap().push(format!("{} {target}", first.split(' ').next().unwrap_or("")));
        let path = target.split('?').next().unwrap_or("").to_owned();
        let say = match target.split_once('?') {
            // No streaming lists, as with an older server; and nothing ever changes.
            Some((_, query)) if query.contains("sendInitialEvents=") => Some(Say::Status(
                400,
                json!({"kind": "Status", "message": "sendInitialEvents is forbidden", "code": 400}),
            )),
            Some((_, query)) if query.contains("watch=") => {
                Some(watches.lock().unwrap().get(&path).cloned().unwrap_or(Say::Silence))
            }
            _ => says.lock().unwrap().get(&path).cloned(),
        };
        let (status, bytes, half) = match say {
            Some(Say::Json(value)) => (200, selected(&target, value).to_string().into_bytes(), false),
            Some(Say::Text(text)) => (200, text.into_bytes(), false),
            Some(Say::Bytes(bytes)) => (200, bytes, false),
            Some(Say::Status(code, value)) => (code, value.to_string().into_bytes(), false),
            Some(Say::Half(value)) => (200, value.to_string().into_bytes(), true),
            Some(Say::Flow(flow)) => {
                let _ = flow(reader.get_mut());
                return;
            }
            Some(Say::Silence) => {
                std::thread::sleep(std::time::Duration::from_secs(60));
                return;
            }
            None if path.ends_with("selfsubjectaccessreviews") => (
                201,
                json!({"kind": "SelfSubjectAccessReview", "status": {"allowed": true}}).to_string().into_bytes(),
                false,
            ),
            None if is_collection(&path) => (
                200,
                json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": []}).to_string().into_bytes(),
                false,
            ),
            None => {
                (404, json!({"kind": "Status", "message": "not found", "code": 404}).to_string().into_bytes(), false)
            }
        };
        let head =
            format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", bytes.len());
        let stream = reader.get_mut();
        let _ = stream.write_all(head.as_bytes());
        if half {
            let _ = stream.write_all(&bytes[..bytes.len() / 2]);
            let _ = stream.flush();
            return;
        }
        let _ = stream.write_all(&bytes);
        let _ = stream.flush();
    }
}

/// `/api/v1/pods`, `/apis/apps/v1/namespaces/shop/deployments`.
fn is_collection(path: &str) -> bool {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let rest = match parts.first() {
        Some(&"api") => parts.get(2..),
        Some(&"apis") => parts.get(3..),
        _ => None,
    };
    match rest {
        Some(["namespaces", _, _]) => true,
        Some([one]) => *one != "metrics.k8s.io",
        _ => false,
    }
}

/// Events of one object, as a field selector asks for them.
fn selected(target: &str, mut list: Value) -> Value {
    if let Some((_, selector)) = target.split_once("fieldSelector=") {
        let wanted: Vec<String> = selector
            .split('&')
            .next()
            .unwrap_or("")
            .split("%2C")
            .filter_map(|part| part.split_once("involvedObject.name%3D").map(|(_, name)| name.to_owned()))
            .collect();
        if let Some(items) = list["items"].as_array_mut() {
            items.retain(|item| wanted.iter().any(|name| item["involvedObject"]["name"] == **name));
        }
    }
    list
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {} {}", String::from_utf8_lossy(&output.stdout), stderr(output)))
}

/// Asserts the exit code and one sentence on standard error, which is given back.
pub(crate) fn one_sentence(output: &Output, code: i32) -> String {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}

pub(crate) fn forbidden(what: &str) -> Say {
    Say::Status(403, json!({"kind": "Status", "message": format!("{what} is forbidden\u{1b}[31m"), "code": 403}))
}

pub(crate) fn a_shop() -> Api {
    let api = Api::new();
    shop(&api);
    api
}

/// A shop that is killed at its memory limit: a pod, its ReplicaSet and its Deployment.
pub(crate) fn shop(api: &Api) {
    let owner = |kind: &str, name: &str| json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": format!("u-{name}"), "controller": true}]);
    let template = json!({"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": [{"name": "app", "image": "registry.test/shop:9", "resources": {"limits": {"memory": "256Mi"}}, "env": [{"name": "DB_PASSWORD", "value": "hunter2-s3cr3t"}]}]}});
    let killed = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled", "startedAt": "2026-01-01T00:05:00Z", "finishedAt": "2026-01-01T00:06:00Z"}});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "checkout-1-a", "namespace": "shop", "uid": "u-pod", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "checkout"}, "ownerReferences": owner("ReplicaSet", "checkout-1")},
        "spec": {"nodeName": "n1", "containers": template["spec"]["containers"]},
        "status": {"phase": "Running", "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"}, {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "lastTransitionTime": "2026-01-01T00:00:01Z"}],
            "containerStatuses": [{"name": "app", "image": "registry.test/shop:9", "imageID": "", "ready": false, "restartCount": 6, "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}}, "lastState": killed}]}});
    let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "checkout-1", "namespace": "shop", "uid": "u-checkout-1", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "checkout"}, "annotations": {"deployment.kubernetes.io/revision": "1"}, "ownerReferences": owner("Deployment", "checkout")},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "checkout"}}, "template": template}, "status": {"replicas": 1}});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "checkout", "namespace": "shop", "uid": "u-checkout", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {"deployment.kubernetes.io/revision": "1"}},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "checkout"}}, "template": template}, "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "unavailableReplicas": 1}});
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "uid": "u-n1", "creationTimestamp": "2025-01-01T00:00:00Z"}, "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2025-01-01T00:00:00Z"}]}});
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e1", "namespace": "shop", "uid": "u-e1", "creationTimestamp": "2026-01-01T00:00:05Z"}, "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "checkout-1-a", "uid": "u-pod"}, "reason": "BackOff", "type": "Warning", "message": "Back-off restarting failed container app", "count": 3, "firstTimestamp": "2026-01-01T00:00:05Z", "lastTimestamp": "2026-01-01T00:01:05Z", "source": {"component": "kubelet"}});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "shop", "uid": "u-s"}, "type": "Opaque", "data": {"password": "aHVudGVyMi1zM2NyM3Q="}});
    api.say(
        "/api/v1/namespaces/shop/pods/checkout-1-a/log",
        Say::Text(
            "2026-01-01T00:05:59Z password=hunter2-s3cr3t\n2026-01-01T00:05:59.5Z loading \u{1b}[31mall\n".to_owned(),
        ),
    );
    api.serve("/api/v1", "pods", "Pod", &[pod])
        .serve("/apis/apps/v1", "replicasets", "ReplicaSet", &[set])
        .serve("/apis/apps/v1", "deployments", "Deployment", &[deployment])
        .serve("/api/v1", "nodes", "Node", &[node])
        .serve("/api/v1", "events", "Event", &[event])
        .serve("/api/v1", "secrets", "Secret", &[secret]);
}
