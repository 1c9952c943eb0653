//! ConfigMaps that are written, and which of the writes the server said to have kept: what must be told.

use crate::testbed::kubeconfig;
use http::{Request, header};
use kube::client::Body;
use reckon_model::Timestamp;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A write that was acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    #[expect(dead_code, reason = "named where it was lost")]
    pub(crate) name: String,
    pub(crate) uid: String,
    /// Of a deletion: that before it.
    pub(crate) version: u64,
    pub(crate) deleted: bool,
    /// It happened between these two.
    pub(crate) sent: Timestamp,
    pub(crate) acknowledged: Timestamp,
}

/// Writes ConfigMaps of one namespace as administrator.
#[derive(Clone)]
pub(crate) struct Writer {
    client: kube::Client,
    path: String,
    kept: Arc<Mutex<Vec<Write>>>,
}

impl Writer {
    pub(crate) async fn new(namespace: &str) -> Writer {
        Writer::with(kubeconfig(), namespace).await
    }

    pub(crate) async fn with(kubeconfig: PathBuf, namespace: &str) -> Writer {
        let config = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
        let mut config = kube::Config::from_custom_kubeconfig(config, &Default::default()).await.unwrap();
        // What was not acknowledged must not be tried again unseen.
        config.default_retry = false;
        config.read_timeout = Some(Duration::from_secs(40));
        Writer {
            client: kube::Client::try_from(config).unwrap(),
            path: format!("/api/v1/namespaces/{namespace}/configmaps"),
            kept: Arc::default(),
        }
    }

    pub(crate) fn kept(&self) -> Vec<Write> {
        self.kept.lock().unwrap().clone()
    }

    /// What was written until now counts no more: it was undone.
    pub(crate) fn forget(&self) {
        self.kept.lock().unwrap().clear();
    }

    /// What the server says to this, as text, whether good or not, within ten seconds; nothing where it is not there.
    pub(crate) async fn words(&self, path: &str) -> String {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let saying = async {
            let answer = self.client.send(request).await.ok()?;
            Some(http_body_util::BodyExt::collect(answer.into_body()).await.ok()?.to_bytes())
        };
        let bytes = tokio::time::timeout(Duration::from_secs(10), saying).await.ok().flatten();
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Option<Value> {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, kind);
        let answer = self.client.send(request.body(Body::from(body)).unwrap()).await.ok()?;
        let good = answer.status().is_success();
        let bytes = http_body_util::BodyExt::collect(answer.into_body()).await.ok()?.to_bytes();
        good.then(|| serde_json::from_slice(&bytes).ok()).flatten()
    }

    async fn write(&self, method: &str, name: &str, body: Option<Value>) -> bool {
        let path = if method == "POST" { self.path.clone() } else { format!("{}/{name}", self.path) };
        let sent = Timestamp::now();
        let Some(answer) = self.ask(method, &path, body).await else { return false };
        let deleted = method == "DELETE";
        let uid = if deleted { &answer["details"]["uid"] } else { &answer["metadata"]["uid"] };
        let version = answer["metadata"]["resourceVersion"].as_str().and_then(|version| version.parse().ok());
        self.kept.lock().unwrap().push(Write {
            name: name.to_owned(),
            uid: uid.as_str().unwrap().to_owned(),
            version: version.unwrap_or_default(),
            deleted,
            sent,
            acknowledged: Timestamp::now(),
        });
        true
    }

    /// Whether it was acknowledged.
    pub(crate) async fn create(&self, name: &str, bytes: usize) -> bool {
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"fill": "x".repeat(bytes)}});
        self.write("POST", name, Some(body)).await
    }

    /// Writes that a webhook holds, and that are none.
    pub(crate) async fn hog(&self) {
        let body =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hog", "labels": {"hog": "true"}}});
        let path = format!("{}?dryRun=All", self.path);
        loop {
            self.ask("POST", &path, Some(body.clone())).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn edit(&self, name: &str, mark: usize) -> bool {
        self.write("PATCH", name, Some(json!({"data": {"mark": mark.to_string()}}))).await
    }

    pub(crate) async fn delete(&self, name: &str) -> bool {
        self.write("DELETE", name, None).await
    }

    /// So many writes: of ten, six create, three edit and one deletes. How many were acknowledged.
    pub(crate) async fn some(&self, prefix: &str, count: usize) -> usize {
        let mut kept = 0;
        for i in 0..count {
            let name = |i: usize| format!("{prefix}-{i}");
            kept += usize::from(match i % 10 {
                3 | 6 | 8 => self.edit(&name(i - 1), i).await,
                9 => self.delete(&name(i - 9)).await,
                _ => self.create(&name(i), 10).await,
            });
        }
        kept
    }

    /// Name, UID and version of all there are.
    pub(crate) async fn there(&self) -> Vec<(String, String, u64)> {
        let list = self.ask("GET", &self.path, None).await.unwrap();
        let mut there: Vec<_> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| {
                let meta = |field: &str| item["metadata"][field].as_str().unwrap().to_owned();
                (meta("name"), meta("uid"), meta("resourceVersion").parse().unwrap())
            })
            .collect();
        there.sort();
        there
    }
}
