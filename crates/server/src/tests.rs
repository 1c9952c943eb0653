//! The API by its routes, over a real SQLite store.

use crate::caller::Needed;
use crate::routes::{self, Route};
use crate::{App, Names};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use reckon_model::record::{Batch, Block, Death, Entry, Fact, Position};
use reckon_model::{ClusterId, Kind, ResourceRef, Timestamp};
use reckon_store::{Grant, Store, TokenHash};
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;

const START: &str = "the token of this start";

fn now() -> Timestamp {
    "2026-11-27T12:00:00Z".parse().unwrap()
}

fn shop() -> ClusterId {
    ClusterId("c-1".to_owned())
}

struct Served {
    router: Router,
    store: Arc<dyn Store>,
    _directory: tempfile::TempDir,
}

async fn served() -> Served {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(reckon_store::Sqlite::open(&directory.path().join("record.db")).unwrap());
    let names = Arc::new(Names::new(["reckon.example.com"]));
    let app = App { store: store.clone(), names, lanes: Arc::default(), start: Some(TokenHash::of(START)), now };
    Served { router: routes::router(&app), store, _directory: directory }
}

impl Served {
    async fn send(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str, token: &str) -> (StatusCode, Value) {
        let request = asking(Method::GET, path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        read(self.send(request.body(Body::empty()).unwrap()).await).await
    }

    async fn send_json(&self, method: Method, path: &str, token: &str, body: &Value) -> (StatusCode, Value) {
        let request = asking(method, path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        read(self.send(request.body(Body::from(body.to_string())).unwrap()).await).await
    }

    async fn token(&self, grant: Grant) -> String {
        self.store.issue(grant, "a test", None, now()).await.unwrap().secret.reveal().to_owned()
    }
}

fn asking(method: Method, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path).header(header::HOST, "localhost:8080")
}

async fn read(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

/// A path of the route, with something in the place of each parameter.
fn path(route: &Route) -> String {
    route.path.split('/').map(|part| if part.starts_with('{') { "1" } else { part }).collect::<Vec<_>>().join("/")
}

fn death(second: i64, name: &str, reason: &str) -> Entry {
    Entry {
        at: Timestamp::from_second(1_790_000_000 + second).unwrap(),
        subject: ResourceRef::new(Kind::Pod, Some("shop"), name),
        workload: Some(ResourceRef::new(Kind::Deployment, Some("shop"), "checkout")),
        fact: Fact::Death(Death {
            container: "app".to_owned(),
            reason: reason.to_owned(),
            exit_code: 137,
            started: None,
            restarts: 1,
            untold: 0,
            node: None,
        }),
    }
}

async fn append(store: &Arc<dyn Store>, seq: u64, entries: &[Entry]) {
    let begun = store.begin(&shop(), "an instance", 0, now()).await.unwrap();
    let block = Block::pack(entries).unwrap().remove(0);
    let batch = Batch::new(Position { epoch: begun.epoch, seq }, block);
    store.append(&shop(), vec![batch], now()).await.unwrap();
}

#[tokio::test]
async fn every_route_but_health_needs_a_credential() {
    let served = served().await;
    for route in routes::all() {
        let open = served.send(asking(route.method.clone(), &path(&route)).body(Body::empty()).unwrap()).await;
        match route.needed {
            Needed::Nothing => assert_eq!(open.status(), StatusCode::OK, "{} {}", route.method, route.path),
            _ => {
                assert_eq!(open.status(), StatusCode::UNAUTHORIZED, "{} {}", route.method, route.path);
                assert_eq!(open.headers()[header::CONTENT_TYPE], "application/problem+json");
            }
        }
        for wrong in ["", "nonsense", &"x".repeat(4096), "reckon_user_AAAA"] {
            if route.needed != Needed::Nothing {
                let (status, _) = served.send_json(route.method.clone(), &path(&route), wrong, &json!({})).await;
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{} {} with {wrong:?}", route.method, route.path);
            }
        }
    }
}

#[tokio::test]
async fn each_kind_of_token_opens_its_own_routes_and_no_other() {
    let served = served().await;
    let (user, agent) = (served.token(Grant::User("ada".into())).await, served.token(Grant::Agent(shop())).await);
    let enrol = served.token(Grant::Enrol).await;
    for route in routes::all() {
        let opened_by = |needed: Needed, token| (route.needed == Needed::Nothing || route.needed == needed, token);
        let tokens =
            [opened_by(Needed::Reader, &user), opened_by(Needed::Agent, &agent), opened_by(Needed::Newcomer, &enrol)];
        for (opens, token) in tokens.into_iter().filter(|(opens, _)| !opens) {
            assert!(!opens);
            let (status, body) = served.send_json(route.method.clone(), &path(&route), token, &json!({})).await;
            assert_eq!(
                (status, &body["code"]),
                (StatusCode::FORBIDDEN, &json!("forbidden")),
                "{} {}",
                route.method,
                route.path
            );
        }
    }
}

#[tokio::test]
async fn a_wrong_name_or_a_page_of_another_site_is_refused_on_every_route_and_beside_them() {
    let served = served().await;
    let mut asked: Vec<(Method, String)> =
        routes::all().iter().map(|route| (route.method.clone(), path(route))).collect();
    asked.push((Method::GET, "/no/such/route".to_owned()));
    for (method, path) in asked {
        for (host, origin) in [("evil.example", None), ("localhost", Some("http://evil.example"))] {
            let request = Request::builder().method(method.clone()).uri(&path).header(header::HOST, host);
            let request = origin.into_iter().fold(request, |request, origin| request.header(header::ORIGIN, origin));
            let request = request.header(header::AUTHORIZATION, format!("Bearer {START}"));
            let (status, body) = read(served.send(request.body(Body::empty()).unwrap()).await).await;
            assert_eq!((status, &body["code"]), (StatusCode::FORBIDDEN, &json!("wrong-origin")), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_says_so_in_the_same_form() {
    let served = served().await;
    let (status, body) = served.get("/api/v2/changes", START).await;
    assert_eq!((status, &body["code"]), (StatusCode::NOT_FOUND, &json!("not-found")));
    let (status, body) = served.send_json(Method::PUT, "/api/v1/changes", START, &json!({})).await;
    assert_eq!((status, &body["code"]), (StatusCode::METHOD_NOT_ALLOWED, &json!("method-not-allowed")));
    let (status, body) = served.get("/api/v1/changes?fcat=death", START).await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("bad-request")));
    let (status, _) = served.get("/api/v1/problems/c-1/7f3k/1", START).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = served.get("/api/v1/changes?page_token=nonsense", START).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn changes_come_by_pages_that_leave_nothing_out() {
    let served = served().await;
    let entries: Vec<Entry> = (0..25).map(|i| death(i, &format!("checkout-{i}"), "OOMKilled")).collect();
    append(&served.store, 1, &entries).await;
    append(&served.store, 2, &[death(100, "checkout-x", "Error")]).await;
    let user = served.token(Grant::User("ada".into())).await;
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let path =
            format!("/api/v1/changes?workload=deploy/shop/checkout&reason=OOMKilled&page_size=10&page_token={token}");
        let (status, body) = served.get(&path, &user).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let items = body["items"].as_array().unwrap();
        names.extend(items.iter().map(|item| item["subject"]["name"].as_str().unwrap().to_owned()));
        match body["nextPageToken"].as_str() {
            Some(next) => next.clone_into(&mut token),
            None => break,
        }
    }
    let expected: Vec<String> = (0..25).rev().map(|i| format!("checkout-{i}")).collect();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn an_agent_enrols_once_with_a_token_that_is_shown_once() {
    let served = served().await;
    let wanted = json!({"purpose": "enrol", "label": "the shop's cluster"});
    let (status, issued) = served.send_json(Method::POST, "/api/v1/tokens", START, &wanted).await;
    assert_eq!(status, StatusCode::CREATED, "{issued}");
    let enrol = issued["token"].as_str().unwrap();
    let newcomer = json!({"cluster": "c-1", "name": "prod-eu-1"});
    let (status, enrolled) = served.send_json(Method::POST, "/api/v1/agents", enrol, &newcomer).await;
    assert_eq!(status, StatusCode::CREATED, "{enrolled}");
    let agent = served.store.who(&TokenHash::of(enrolled["token"].as_str().unwrap()), now()).await.unwrap().unwrap();
    assert_eq!(agent.grant, Grant::Agent(shop()));
    let (status, _) = served.send_json(Method::POST, "/api/v1/agents", enrol, &newcomer).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (_, tokens) = served.get("/api/v1/tokens", START).await;
    assert!(!tokens.to_string().contains(enrolled["token"].as_str().unwrap()));
    let (_, clusters) = served.get("/api/v1/clusters", START).await;
    assert_eq!(clusters["items"][0]["name"], "prod-eu-1");
    let path = format!("/api/v1/tokens/{}", agent.id.0);
    assert_eq!(served.send_json(Method::DELETE, &path, START, &json!({})).await.0, StatusCode::NO_CONTENT);
    assert_eq!(served.store.who(&TokenHash::of(enrolled["token"].as_str().unwrap()), now()).await.unwrap(), None);
}

#[tokio::test]
async fn a_body_that_is_too_large_or_no_json_is_refused_in_the_same_form() {
    let served = served().await;
    let large = json!({"purpose": "user", "label": "x".repeat(3 * 1024 * 1024)});
    let (status, body) = served.send_json(Method::POST, "/api/v1/tokens", START, &large).await;
    assert_eq!((status, &body["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("too-large")));
    for wrong in [json!("text"), json!({"purpose": "agent", "label": "x"}), json!({"purpose": "user", "label": ""})] {
        let (status, body) = served.send_json(Method::POST, "/api/v1/tokens", START, &wrong).await;
        assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("bad-request")), "{wrong}");
    }
}

#[tokio::test]
async fn a_listener_that_was_cut_off_goes_on_where_it_was() {
    let served = served().await;
    append(&served.store, 1, &[death(1, "before", "Error")]).await;
    let listen = |id: Option<String>| {
        let request =
            asking(Method::GET, "/api/v1/stream?fact=death").header(header::AUTHORIZATION, format!("Bearer {START}"));
        let request = id.into_iter().fold(request, |request, id| request.header("last-event-id", id));
        served.send(request.body(Body::empty()).unwrap())
    };
    let mut stream = listen(None).await.into_body();
    let (_, id) = event(&mut stream).await;
    append(&served.store, 2, &[death(2, "while listening", "Error")]).await;
    let (told, _) = event(&mut stream).await;
    assert!(told.contains("while listening") && !told.contains("before"), "{told}");
    drop(stream);
    append(&served.store, 3, &[death(3, "while away", "Error")]).await;
    let mut again = listen(Some(id)).await.into_body();
    let (told, _) = event(&mut again).await;
    let (more, _) = event(&mut again).await;
    assert!(told.contains("while listening") && more.contains("while away"), "{told} {more}");
    let refused = listen(Some("nonsense".to_owned())).await;
    assert_eq!(refused.status(), StatusCode::GONE);
}

/// The next event of a stream: what it says and its id.
async fn event(stream: &mut Body) -> (String, String) {
    let mut text = String::new();
    while !text.ends_with("\n\n") {
        let frame = stream.frame().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    let id = text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap_or_default().to_owned();
    (text, id)
}

#[test]
fn the_committed_document_is_what_the_routes_are() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let now = serde_json::to_string_pretty(&crate::openapi()).unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == now, "docs/openapi.json is not what the routes are; run this with UPDATE=1");
}

#[tokio::test]
async fn a_mark_from_outside_is_in_the_record_of_its_cluster_once() {
    let served = served().await;
    append(&served.store, 1, &[death(1, "checkout-1", "OOMKilled")]).await;
    let ci = served.token(Grant::User("ci".to_owned())).await;
    let mark = json!({"object": "deploy/shop/checkout", "title": "deployed 1.2.3", "url": "https://ci.example/7", "at": "2026-11-27T11:00:00Z"});
    for noted in [1, 0] {
        let (status, answer) = served.send_json(Method::POST, "/api/v1/changes", &ci, &mark).await;
        assert_eq!((status, &answer["noted"]), (StatusCode::CREATED, &json!(noted)), "{answer}");
    }
    for path in ["/api/v1/changes?cluster=c-1", "/api/v1/changes", "/api/v1/changes?workload=deploy/shop/checkout"] {
        let (_, page) = served.get(path, &ci).await;
        let items = page["items"].as_array().unwrap();
        assert_eq!(items.len(), 2, "{path}");
        let mark = items.iter().find(|item| item["fact"]["mark"].is_object()).unwrap();
        assert_eq!((&mark["cluster"], &mark["fact"]["mark"]["source"]), (&json!("c-1"), &json!("ci")), "{mark}");
    }
    let (_, clusters) = served.get("/api/v1/clusters", &ci).await;
    assert_eq!(clusters["items"].as_array().unwrap().len(), 1, "a lane is no cluster");
    let enrol = served.token(Grant::Enrol).await;
    let (status, _) = served.send_json(Method::POST, "/api/v1/agents", &enrol, &json!({"cluster": "c-1#marks"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "no agent may write marks");
}

#[tokio::test]
async fn a_mark_that_is_wrong_says_what_is() {
    let served = served().await;
    append(&served.store, 1, &[death(1, "checkout-1", "OOMKilled")]).await;
    for (wrong, word) in [
        (json!({}), "title"),
        (json!({"title": ""}), "title has 1 to"),
        (json!({"title": "x", "colour": "red"}), "colour"),
        (json!({"title": "x", "url": "javascript:alert(1)"}), "url begins"),
        (json!({"title": "x", "object": "checkout"}), "names no object"),
        (json!({"title": "x", "at": "2026-11-28T12:00:00Z"}), "future"),
        (json!({"title": "x", "cluster": "elsewhere"}), "elsewhere"),
        (json!({"title": "x", "text": "x".repeat(5_000)}), "text has at most"),
    ] {
        let (status, answer) = served.send_json(Method::POST, "/api/v1/changes", START, &wrong).await;
        let detail = answer["detail"].as_str().unwrap();
        assert!(status.is_client_error() && detail.contains(word), "{wrong}: {status} {detail}");
    }
}

#[tokio::test]
async fn two_replicas_that_set_marks_at_once_lose_none() {
    let served = served().await;
    append(&served.store, 1, &[death(1, "checkout-1", "OOMKilled")]).await;
    let names = Arc::new(Names::new(["reckon.example.com"]));
    let app = App { store: served.store.clone(), names, lanes: Arc::default(), start: Some(TokenHash::of(START)), now };
    let other =
        Served { router: routes::router(&app), store: served.store.clone(), _directory: tempfile::tempdir().unwrap() };
    let marks = |replica, from: usize| async move {
        for number in from..from + 20 {
            let mark = json!({"title": format!("mark {number}")});
            let (status, answer) = Served::send_json(replica, Method::POST, "/api/v1/changes", START, &mark).await;
            assert_eq!(status, StatusCode::CREATED, "{answer}");
        }
    };
    tokio::join!(marks(&served, 0), marks(&other, 100));
    let (_, page) = served.get("/api/v1/changes?fact=mark", START).await;
    assert_eq!(page["items"].as_array().unwrap().len(), 40);
}

#[tokio::test]
async fn alerts_become_marks_on_what_they_are_about() {
    let served = served().await;
    append(&served.store, 1, &[death(1, "checkout-1", "OOMKilled")]).await;
    let alert = |status: &str, labels: Value| {
        json!({"status": status, "labels": labels, "annotations": {"summary": "it burns"}, "startsAt": "2026-11-27T10:00:00.123Z",
            "endsAt": "2026-11-27T10:05:00Z", "generatorURL": "http://prometheus/graph", "fingerprint": "f"})
    };
    let sent = json!({"version": "4", "groupKey": "{}", "status": "firing", "alerts": [
        alert("firing", json!({"alertname": "KubePodCrashLooping", "namespace": "shop", "pod": "checkout-1"})),
        alert("resolved", json!({"alertname": "KubePodCrashLooping", "namespace": "shop", "pod": "checkout-1"})),
        alert("firing", json!({"alertname": "NodeDown", "node": "n1"})),
        alert("firing", json!({"alertname": "Watchdog"})),
    ]});
    for noted in [4, 0] {
        let (status, answer) = served.send_json(Method::POST, "/api/v1/alertmanager", START, &sent).await;
        assert_eq!((status, &answer["noted"]), (StatusCode::CREATED, &json!(noted)), "{answer}");
    }
    let (_, page) = served.get("/api/v1/changes?fact=mark&order=oldest", START).await;
    let told: Vec<_> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["subject"]["name"].as_str().unwrap(), item["fact"]["mark"]["title"].as_str().unwrap()))
        .collect();
    assert!(
        told.contains(&("checkout-1", "KubePodCrashLooping fires")) && told.contains(&("n1", "NodeDown fires")),
        "{told:?}"
    );
    assert!(told.contains(&("kube-system", "Watchdog fires")), "{told:?}");
    assert_eq!(told[3], ("checkout-1", "KubePodCrashLooping resolved"));
}
