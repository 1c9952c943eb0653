//! What may be read, what is served and who one is change while a program runs.

use crate::config::{Environment, Options};
use crate::connection::Connection;
use crate::fake_server::{Asked, FakeServer, Reply};
use crate::{ListEvent, Listing};
use reckon_model::Kind;
use reckon_sim::{Clock, Config, Server, User};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tower::ServiceExt;

fn sim(open: bool) -> Server {
    let clock = Clock::running("2026-01-01T00:00:00Z".parse().unwrap(), 1);
    Server::new(Config { seed: 3, open, controllers: false, ..Config::default() }, clock)
}

fn word(event: &ListEvent) -> Option<String> {
    let scope = |namespace: &Option<String>| namespace.clone().unwrap_or_else(|| "*".to_owned());
    Some(match event {
        ListEvent::Object(object) => format!("+{}/{}", object.namespace(), object.meta.name),
        ListEvent::Deleted(gone, _) => format!("-{}/{}", gone.namespace(), gone.name),
        ListEvent::Listed { namespace, .. } => format!("listed {}", scope(namespace)),
        ListEvent::Refused { namespace, gap, .. } => format!("refused {}: {}", scope(namespace), gap.why),
        ListEvent::Interrupted { gap, .. } => format!("interrupted: {}", gap.why),
        _ => return None,
    })
}

/// What is told within so many seconds, in order of names.
async fn within(listing: &mut Listing, seconds: u64) -> Vec<String> {
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut told = Vec::new();
    while let Ok(Some(event)) = timeout_at(end, listing.next()).await {
        told.extend(word(&event));
    }
    told.sort();
    told
}

fn things(versions: &[&str]) -> Value {
    let version = |(i, name): (usize, &&str)| json!({"name": name, "served": true, "storage": i == 0});
    json!({
        "metadata": {"name": "things.example.org"},
        "spec": {
            "group": "example.org", "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
            "versions": versions.iter().enumerate().map(version).collect::<Vec<_>>(),
        },
    })
}

const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";
const NOT_SERVED: &str = "refused *: this cluster does not serve it";

#[tokio::test(start_paused = true)]
async fn a_kind_is_followed_within_ten_seconds_of_its_definition_and_gone_with_it() {
    let server = sim(true);
    let connection = Connection::over(kube::Client::new(server.clone(), "default"), 1, server.clock().now());
    let mut listing = connection.follow(vec![Kind::of_group("example.org", "Thing")], None);
    assert_eq!(within(&mut listing, 60).await, [NOT_SERVED], "it is told once");

    server.world().create(DEFINITIONS, things(&["v1"])).unwrap();
    server.world().create("things.example.org", json!({"metadata": {"name": "a"}})).unwrap();
    assert_eq!(within(&mut listing, 10).await, ["+default/a", "listed *"]);

    // Its version is another one: the objects are the same, and followed on.
    server.world().edit(DEFINITIONS, "", "things.example.org", "test", |object| {
        object["spec"] = things(&["v2"])["spec"].clone();
    });
    let told = within(&mut listing, 10).await;
    assert!(told.contains(&"listed *".to_owned()), "{told:?}");
    server.world().create("things.example.org", json!({"metadata": {"name": "b"}})).unwrap();
    assert_eq!(within(&mut listing, 1).await, ["+default/b"]);

    server.world().delete(DEFINITIONS, "", "things.example.org").unwrap();
    assert_eq!(within(&mut listing, 10).await, ["-default/a", "-default/b", NOT_SERVED]);
}

#[tokio::test(start_paused = true)]
async fn what_is_quiet_for_hours_is_never_said_to_be_stale() {
    let server = sim(true);
    let connection = Connection::over(kube::Client::new(server.clone(), "default"), 1, server.clock().now());
    let mut listing = connection.follow(vec![Kind::ConfigMap, Kind::Secret, Kind::Job], None);
    assert_eq!(within(&mut listing, 5).await, ["listed *"; 3]);
    assert_eq!(within(&mut listing, 4 * 3600).await, [""; 0]);
}

#[tokio::test]
async fn a_discovery_that_failed_is_not_told_as_a_kind_that_is_not_served() {
    let server = FakeServer::start(|_| Reply::status(500, "etcd is away")).await;
    let mut listing = server.connection().await.follow(vec![Kind::of_group("example.org", "Thing")], None);
    let told = word(&listing.next().await.unwrap()).unwrap();
    assert_eq!(told, "refused *: GET /api: 500 etcd is away");
    let more = tokio::time::timeout(Duration::from_millis(200), listing.next()).await;
    assert!(more.is_err(), "{more:?}");
}

/// A client that says who it is.
fn client_of(server: &Server, token: &'static str) -> kube::Client {
    let service = server.clone().map_request(move |mut request: http::Request<kube::client::Body>| {
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        request
    });
    kube::Client::new(service, "default")
}

fn grant(server: &Server, kind: &str, namespace: &str) {
    let mut world = server.world();
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}]);
    let (roles, bindings) = match kind {
        "Role" => ("roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io"),
        _ => ("clusterroles.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io"),
    };
    world.create(roles, json!({"metadata": {"name": "reader", "namespace": namespace}, "rules": rules})).unwrap();
    let binding = json!({
        "metadata": {"name": "reader", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "reader"},
        "subjects": [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}],
    });
    world.create(bindings, binding).unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_forbidden_and_later_allowed_is_followed_and_nothing_is_told_twice() {
    let server = sim(false);
    server.world().add_token("jane", User::new("jane", &[]));
    for namespace in ["default", "shop"] {
        if namespace != "default" {
            server.world().create("namespaces", json!({"metadata": {"name": namespace}})).unwrap();
        }
        server.world().create("configmaps", json!({"metadata": {"name": "a", "namespace": namespace}})).unwrap();
    }
    let connection = Connection::over(client_of(&server, "jane"), 1, server.clock().now());
    let mut listing = connection.follow(vec![Kind::ConfigMap], None);
    let told = within(&mut listing, 5).await;
    assert!(told.iter().all(|told| told.starts_with("refused")) && !told.is_empty(), "{told:?}");

    grant(&server, "Role", "default");
    assert_eq!(within(&mut listing, 60).await, ["+default/a", "listed default"]);

    grant(&server, "ClusterRole", "");
    assert_eq!(within(&mut listing, 60).await, ["+shop/a", "listed *"]);
    server.world().remove_now("configmaps", "default", "a");
    assert_eq!(within(&mut listing, 1).await, ["-default/a"]);
}

/// Writes a kubeconfig with this token.
fn kubeconfig(file: &Path, server: &str, token: &str) {
    let yaml = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: t\ncontexts:\n- name: t\n  context: {{cluster: c, user: u}}\nclusters:\n- name: c\n  cluster: {{server: \"{server}\"}}\nusers:\n- name: u\n  user: {{token: {token}}}\n"
    );
    std::fs::write(file, yaml).unwrap();
}

#[tokio::test]
async fn credentials_that_are_refused_are_read_again_and_nothing_is_missed() {
    let rotated = Arc::new(AtomicBool::new(false));
    let is_rotated = rotated.clone();
    let streamed = AtomicBool::new(false);
    let server = FakeServer::start(move |asked: &Asked| {
        let valid = if is_rotated.load(Ordering::Relaxed) { "bearer new" } else { "bearer old" };
        if !asked.head.contains(valid) {
            return Reply::status(401, "Unauthorized");
        }
        if asked.target == "/version" {
            return Reply::status(404, "not found");
        }
        let bookmark = |version: u32, more: &str| {
            format!(
                "{{\"type\":\"BOOKMARK\",\"object\":{{\"metadata\":{{\"resourceVersion\":\"{version}\"{more}}}}}}}\n"
            )
        };
        if asked.head.contains("partialobjectmetadatalist") && !asked.target.contains("watch") {
            return Reply::ok(r#"{"metadata":{"resourceVersion":"100"},"items":[]}"#);
        }
        if !streamed.swap(true, Ordering::Relaxed) {
            return Reply::Stream(bookmark(1, r#","annotations":{"k8s.io/initial-events-end":"true"}"#).into_bytes());
        }
        if valid == "bearer old" {
            return Reply::Silence(Vec::new());
        }
        let object = r#"{"metadata":{"name":"a","namespace":"shop","uid":"1","resourceVersion":"2"}}"#;
        Reply::Silence(format!("{{\"type\":\"ADDED\",\"object\":{object}}}\n").into_bytes())
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config");
    kubeconfig(&file, &server.url, "old");
    let options = Options { kubeconfig: Some(file.clone()), ..Options::default() };
    let connection = Connection::open_in(&options, &Environment::default(), server.patience).await.unwrap();
    let mut listing = connection.follow(vec![Kind::Pod], None);
    assert_eq!(word(&listing.next().await.unwrap()).unwrap(), "listed *");
    rotated.store(true, Ordering::Relaxed);
    kubeconfig(&file, &server.url, "new");
    // The silent watch is given up, the next one refused, and the one after it opened as somebody who is known again.
    loop {
        match word(&listing.next().await.unwrap()) {
            Some(told) if told.starts_with('+') => break assert_eq!(told, "+shop/a"),
            Some(told) => assert!(told.starts_with("interrupted"), "{told}"),
            None => {}
        }
    }
}
