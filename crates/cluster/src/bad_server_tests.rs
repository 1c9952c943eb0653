//! What a list does with servers that refuse, break off, or send what no server should.

use crate::fake_server::{FakeServer, Reply};
use crate::{ListEvent, Listing, Options, ReadError};
use reckon_model::{Kind, Obstacle};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn pod(name: &str) -> String {
    format!(r#"{{"metadata":{{"name":"{name}","namespace":"shop","uid":"u-{name}","resourceVersion":"1"}}}}"#)
}

fn list(items: &[String]) -> String {
    format!(
        r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{"resourceVersion":"5"}},"items":[{}]}}"#,
        items.join(",")
    )
}

/// Every event in one word, in order.
async fn events(mut listing: Listing) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(event) = listing.next().await {
        let scope = |namespace: Option<String>| namespace.unwrap_or_else(|| "*".to_owned());
        seen.push(match event {
            ListEvent::Object(object) => format!("+{}", object.meta.name),
            ListEvent::Listed { kind, namespace } => format!("listed {kind} {}", scope(namespace)),
            ListEvent::Refused { kind, namespace, gap } => format!("refused {kind} {}: {}", scope(namespace), gap.why),
            ListEvent::Skipped { gap, .. } => format!("skipped {}", gap.what),
            other => format!("{other:?}"),
        });
    }
    seen
}

async fn pods_of(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Vec<String> {
    let server = FakeServer::start(move |_| reply()).await;
    events(server.connection().await.list(vec![Kind::Pod], None)).await
}

#[tokio::test]
async fn pages_are_one_list() {
    let server = FakeServer::start(|asked| {
        let page = |token: &str, name: &str| {
            Reply::ok(&format!(r#"{{"metadata":{{"continue":"{token}"}},"items":[{}]}}"#, pod(name)))
        };
        if asked.target.contains("continue=t%2F2") { page("", "b") } else { page("t/2", "a") }
    })
    .await;
    let connection = server.first_connection().await;
    assert_eq!(events(connection.list(vec![Kind::Pod], None)).await, ["+a", "+b", "listed Pod *"]);
    // It does not say its version.
    assert_eq!(server.targets()[..2], ["/version", "/api/v1/pods?limit=500"]);
    let usage = connection.usage();
    assert_eq!(usage.requests, 3);
    assert!(usage.bytes > 200);
    assert!(server.asked.lock().unwrap()[0].head.contains("user-agent: reckon/"));
}

#[tokio::test]
async fn a_server_that_writes_lists_object_by_object_is_asked_for_wide_pages() {
    for (version, limit) in
        [("v1.34.0", "10000"), ("v1.37.2+k3s1", "10000"), ("v1.33.9", "500"), ("v1.9.11-gke.5", "500")]
    {
        let server = FakeServer::start(move |asked| match asked.target.as_str() {
            "/version" => Reply::ok(&format!(r#"{{"gitVersion":"{version}"}}"#)),
            _ => Reply::ok(&list(&[pod("a")])),
        })
        .await;
        let connection = server.first_connection().await;
        assert_eq!(events(connection.list(vec![Kind::Pod], None)).await, ["+a", "listed Pod *"]);
        assert_eq!(server.targets()[1], format!("/api/v1/pods?limit={limit}"), "{version}");
    }
}

#[tokio::test]
async fn one_kind_that_fails_does_not_stop_the_others() {
    let server = FakeServer::start(|asked| match asked.target.as_str() {
        "/api/v1/pods?limit=500" => Reply::Stream(list(&[pod("a")]).into_bytes()),
        "/api/v1/services?limit=500" => Reply::status(503, "the server is currently unable to handle the request"),
        _ => Reply::status(403, "forbidden"),
    })
    .await;
    let mut seen = events(server.connection().await.list(vec![Kind::Pod, Kind::Service, Kind::Node], None)).await;
    seen.sort();
    assert_eq!(
        seen,
        [
            "+a",
            "listed Pod *",
            "refused Node *: forbidden: list nodes (cluster-wide)",
            "refused Service *: GET /api/v1/services: 503 the server is currently unable to handle the request",
        ]
    );
}

#[tokio::test]
async fn a_list_that_stops_in_the_middle_delivers_what_came_and_is_not_complete() {
    let whole = list(&[pod("a"), pod("b"), pod("c")]);
    let cut = whole[..whole.len() - 40].to_owned();
    let why = "refused Pod *: GET /api/v1/pods: the answer ended in the middle";
    let body = cut.clone();
    assert_eq!(pods_of(move || Reply::CutOff(body.clone().into_bytes())).await, ["+a", "+b", why]);
    assert_eq!(pods_of(move || Reply::Stream(cut.clone().into_bytes())).await, ["+a", "+b", why]);
}

#[tokio::test]
async fn a_server_that_falls_silent_is_not_waited_for_for_ever() {
    let start = list(&[pod("a"), pod("b")]).replace("]}", "");
    let seen = pods_of(move || Reply::Silence(start.clone().into_bytes())).await;
    assert_eq!(seen[..2], ["+a", "+b"]);
    assert!(seen[2].contains("no answer within"), "{seen:?}");
}

#[tokio::test]
async fn a_broken_object_costs_itself_and_no_other() {
    let deep = format!(
        r#"{{"metadata":{{"name":"deep"}},"spec":{{"containers":{}{}}}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let big = format!(r#"{{"metadata":{{"name":"big"}},"spec":{{"nodeName":"{}"}}}}"#, "n".repeat(1_500_000));
    let giant = format!(r#"{{"metadata":{{"name":"giant"}},"x":"{}"}}"#, "x".repeat(9 * 1024 * 1024));
    let wrong = r#"{"metadata":{"name":"wrong"},"spec":{"containers":7}}"#.to_owned();
    let mut body = list(&[pod("a"), wrong, deep, big, giant, "[]".to_owned(), pod("LATIN"), pod("z")]).into_bytes();
    let at = memchr::memmem::find(&body, b"LATIN").unwrap();
    body[at] = 0xff;
    let seen = pods_of(move || Reply::Stream(body.clone())).await;
    assert_eq!(
        seen,
        [
            "+a",
            "skipped pod wrong",
            "skipped pod deep",
            "+big",
            "skipped pod giant",
            "skipped one pod",
            "skipped pod \u{fffd}ATIN",
            "+z",
            "listed Pod *"
        ]
    );
}

#[tokio::test]
async fn an_answer_that_is_no_list_is_not_taken_for_an_empty_one() {
    let why = |seen: &[String]| seen[0].clone();
    assert!(why(&pods_of(|| Reply::ok("<html>sign in</html>")).await).contains("not a JSON object"));
    assert!(why(&pods_of(|| Reply::ok(r#"{"kind":"Status"}"#)).await).contains("is a Status and not a list"));
    assert!(why(&pods_of(|| Reply::ok("")).await).contains("ended in the middle"));
}

#[tokio::test]
async fn later_is_obeyed_and_counted() {
    let attempts = AtomicU32::new(0);
    let server = FakeServer::start(move |_| match attempts.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::With(429, "retry-after", "0", Vec::new()),
        1 => Reply::With(503, "retry-after", "0", Vec::new()),
        _ => Reply::ok(&list(&[])),
    })
    .await;
    let connection = server.connection().await;
    assert_eq!(events(connection.list(vec![Kind::Pod], None)).await, ["listed Pod *"]);
    assert_eq!(connection.usage().requests, 3);
}

#[tokio::test]
async fn a_server_that_always_says_later_is_given_up() {
    let seen = pods_of(|| Reply::With(429, "retry-after", "0", Vec::new())).await;
    assert_eq!(seen, ["refused Pod *: GET /api/v1/pods: 429 too many requests"]);
}

#[tokio::test]
async fn what_is_refused_is_asked_for_once_and_said_at_once() {
    for code in [500, 503, 504] {
        let server = FakeServer::start(move |_| Reply::status(code, "Too large resource version")).await;
        let connection = server.connection().await;
        assert_eq!(events(connection.list(vec![Kind::Pod], None)).await.len(), 1);
        let asked = server.targets().iter().filter(|target| target.starts_with("/api/v1/pods")).count();
        assert_eq!((asked, connection.usage().requests), (1, 1), "{code}");
    }
}

#[tokio::test]
async fn who_may_read_one_namespace_gets_all_of_it_and_every_missing_right_by_name() {
    let server = FakeServer::start(|asked| match asked.target.as_str() {
        "/api/v1/namespaces/shop/pods?limit=500" => Reply::ok(&list(&[pod("a")])),
        "/api/v1/namespaces/shop" => Reply::ok(r#"{"metadata":{"name":"shop"}}"#),
        _ => Reply::status(403, "forbidden"),
    })
    .await;
    let connection = server.connection().await;
    let mut seen = events(connection.list(vec![Kind::Pod, Kind::Service, Kind::Namespace], None)).await;
    seen.sort();
    assert_eq!(
        seen,
        [
            "+a",
            "+shop",
            "listed Namespace shop",
            "listed Pod shop",
            "refused Namespace *: forbidden: list namespaces (cluster-wide)",
            "refused Pod *: forbidden: list pods (cluster-wide)",
            "refused Service *: forbidden: list services (cluster-wide)",
            "refused Service shop: forbidden: list services in namespace shop",
        ]
    );
    let given = events(connection.list(vec![Kind::Pod], Some("shop".into()))).await;
    assert_eq!(given, ["+a", "listed Pod shop"]);
}

#[tokio::test]
async fn other_namespaces_are_read_where_the_rules_allow_it() {
    let server = FakeServer::start(|asked| match asked.target.as_str() {
        "/api/v1/namespaces?limit=101" => {
            Reply::ok(r#"{"items":[{"metadata":{"name":"shop"}},{"metadata":{"name":"dev"}},{"metadata":{"name":"ops"}}]}"#)
        }
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews" if asked.body.windows(5).any(|w| w == b"\"dev\"") => {
            Reply::ok(r#"{"status":{"incomplete":false,"resourceRules":[{"verbs":["list"],"apiGroups":[""],"resources":["pods"]}]}}"#)
        }
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews" => {
            Reply::ok(r#"{"status":{"incomplete":false,"resourceRules":[]}}"#)
        }
        "/api/v1/namespaces/dev/pods?limit=500" => Reply::ok(&list(&[pod("d")])),
        _ => Reply::status(403, "forbidden"),
    })
    .await;
    let mut seen = events(server.connection().await.list(vec![Kind::Pod], None)).await;
    seen.sort();
    assert_eq!(
        seen,
        [
            "+d",
            "listed Pod dev",
            "refused Pod *: forbidden: list pods (cluster-wide)",
            "refused Pod shop: forbidden: list pods in namespace shop",
        ]
    );
}

#[tokio::test]
async fn failures_are_told_apart() {
    let refusing = |code: u16| async move {
        let server = FakeServer::start(move |_| Reply::status(code, "no")).await;
        server.connection().await.server_version().await.unwrap_err()
    };
    let unauthorized = refusing(401).await;
    assert_eq!(unauthorized.obstacle(), Obstacle::Unauthenticated);
    assert!(unauthorized.to_string().contains("401 unauthorized"), "{unauthorized}");
    assert_eq!(refusing(403).await.obstacle(), Obstacle::Denied);
    assert_eq!(refusing(404).await.obstacle(), Obstacle::NotFound);
    assert_eq!(refusing(500).await.obstacle(), Obstacle::Server);

    let gone = FakeServer::start(|_| Reply::ok("")).await;
    let connection = gone.connection().await;
    let url = gone.url.clone();
    drop(gone);
    tokio::task::yield_now().await;
    let error = connection.server_version().await.unwrap_err();
    assert_eq!(error.obstacle(), Obstacle::Unreachable, "{error}");
    assert!(error.to_string().contains(&url), "{error}");

    let mut other = FakeServer::start(|_| Reply::ok("")).await;
    other.url = "http://no-such-host.invalid:1".into();
    let error = other.connection().await.server_version().await.unwrap_err();
    assert_eq!(error.obstacle(), Obstacle::Unreachable, "{error}");
}

#[tokio::test]
async fn what_is_no_kubernetes_api_is_said_to_be_none() {
    let server = FakeServer::start(|_| Reply::Json(404, b"default backend - 404".to_vec())).await;
    let connection = server.connection().await;
    for error in [connection.server_version().await.unwrap_err(), connection.cluster_id().await.unwrap_err()] {
        assert!(matches!(error, ReadError::Malformed { .. }), "{error:?}");
        assert!(error.to_string().contains("no Kubernetes API"), "{error}");
    }
}

#[tokio::test]
async fn a_connection_that_is_closed_without_an_answer_is_no_answer_cut_short() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut server = FakeServer::start(|_| Reply::ok("")).await;
    server.url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let error = server.connection().await.server_version().await.unwrap_err();
    assert_eq!(error.obstacle(), Obstacle::Unreachable, "{error}");
}

#[tokio::test]
async fn no_time_limit_is_none() {
    let server = FakeServer::start(|_| Reply::ok(r#"{"gitVersion":"v1"}"#)).await;
    let options = Options { request_timeout: Some(Duration::ZERO), ..Options::default() };
    assert_eq!(server.connection_with(options, "").await.server_version().await.unwrap(), "v1");
}

#[tokio::test]
async fn empty_text_in_a_kubeconfig_is_unset() {
    let server = FakeServer::start(|_| Reply::ok(r#"{"gitVersion":"v1"}"#)).await;
    let cluster = "    certificate-authority-data: ''\n    tls-server-name: ''\n    proxy-url: ''";
    let connection = server.connection_with(Options::default(), cluster).await;
    assert_eq!(connection.server_version().await.unwrap(), "v1");
}

#[tokio::test]
async fn the_time_for_a_request_is_bounded_as_asked() {
    let server = FakeServer::start(|_| Reply::Silence(b"{".to_vec())).await;
    let options = Options { request_timeout: Some(Duration::from_millis(50)), ..Options::default() };
    let error = server.connection_with(options, "").await.server_version().await.unwrap_err();
    assert_eq!(error.obstacle(), Obstacle::TimedOut, "{error}");
}

#[tokio::test]
async fn the_clusters_clock_is_taken_from_its_answers() {
    let server = FakeServer::start(|_| {
        Reply::With(200, "date", "Tue, 15 Nov 2094 08:12:31 GMT", br#"{"gitVersion":"v1.37.0"}"#.to_vec())
    })
    .await;
    let connection = server.connection().await;
    assert_eq!(connection.server_version().await.unwrap(), "v1.37.0");
    assert!(connection.now().to_string().starts_with("2094-11-15T08:1"), "{}", connection.now());
}

#[tokio::test]
async fn acting_as_somebody_else_is_said_to_the_server() {
    let server = FakeServer::start(|_| Reply::ok(r#"{"gitVersion":"v1"}"#)).await;
    let options =
        Options { as_user: Some("jane".into()), as_groups: vec!["devs".into(), "ops".into()], ..Options::default() };
    server.connection_with(options, "").await.server_version().await.unwrap();
    let head = server.asked.lock().unwrap()[0].head.clone();
    for header in ["impersonate-user: jane", "impersonate-group: devs", "impersonate-group: ops", "bearer t"] {
        assert!(head.contains(header), "{header} in {head}");
    }
}

async fn tls_error(change: impl FnOnce(&mut rcgen::CertificateParams), trusted: bool) -> Result<String, ReadError> {
    let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    change(&mut params);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let private = tokio_rustls::rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = tokio_rustls::rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let server = FakeServer::start_with(|_| Reply::ok(r#"{"gitVersion":"v1"}"#), Some(acceptor)).await;
    let authority = if trusted {
        certificate.pem()
    } else {
        rcgen::generate_simple_self_signed(vec!["other".to_owned()]).unwrap().cert.pem()
    };
    let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, authority);
    let cluster = format!("    certificate-authority-data: {data}");
    server.connection_with(Options::default(), &cluster).await.server_version().await
}

#[tokio::test]
async fn a_certificate_that_is_untrusted_expired_or_for_another_host_is_said_to_be() {
    assert_eq!(tls_error(|_| {}, true).await.unwrap(), "v1");
    let untrusted = tls_error(|_| {}, false).await.unwrap_err();
    assert!(matches!(untrusted, ReadError::Untrusted { .. }), "{untrusted:?}");
    let expired = tls_error(|params| params.not_after = rcgen::date_time_ymd(2001, 1, 1), true).await.unwrap_err();
    assert!(matches!(expired, ReadError::CertificateExpired { .. }), "{expired:?}");
    let early = tls_error(|params| params.not_before = rcgen::date_time_ymd(2400, 1, 1), true).await.unwrap_err();
    assert!(matches!(early, ReadError::CertificateExpired { .. }), "{early:?}");
    let elsewhere = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("elsewhere.example".try_into().unwrap())];
    };
    let other = tls_error(elsewhere, true).await.unwrap_err();
    assert!(matches!(other, ReadError::Untrusted { .. }), "{other:?}");
    assert_eq!(other.obstacle(), Obstacle::Unauthenticated);
}
