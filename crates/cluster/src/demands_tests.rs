//! What detection is told, and what it is told could not be read.

use crate::fake_server::{FakeServer, Reply};
use crate::{AccessAsk, Budget, helm};
use reckon_model::{Answer, Demand, Kind};
use std::collections::BTreeSet;

async fn ask(server: &FakeServer, demand: Demand) -> Answer {
    let demands = BTreeSet::from([demand]);
    server.connection().await.fulfil(&demands, &mut Budget::default()).await.remove(0).1
}

fn why(answer: &Answer) -> &str {
    match answer {
        Answer::Refused(gap) => &gap.why,
        other => panic!("{other:?}"),
    }
}

fn log(previous: bool) -> Demand {
    Demand::Log { namespace: "shop".into(), pod: "a".into(), container: "app".into(), previous }
}

fn object(kind: Kind, name: &str) -> Demand {
    Demand::Object { kind, namespace: Some("shop".into()), name: name.into() }
}

#[tokio::test]
async fn what_does_not_exist_is_told_from_what_may_not_be_read() {
    let server = FakeServer::start(|asked| match asked.target.as_str() {
        "/api/v1/namespaces/shop/services/web" => Reply::status(404, "services \"web\" not found"),
        _ => Reply::status(403, "no"),
    })
    .await;
    assert!(matches!(ask(&server, object(Kind::Service, "web")).await, Answer::NotFound));
    let list = Demand::List { kind: Kind::Pod, namespace: Some("shop".into()), selector: "a=b".into() };
    assert_eq!(why(&ask(&server, list).await), "forbidden: list pods in namespace shop");
    assert_eq!(why(&ask(&server, log(false)).await), "forbidden: get pods/log in namespace shop");
    let node = Demand::NodeStats { node: "n".into() };
    assert_eq!(why(&ask(&server, node).await), "forbidden: get nodes/proxy (cluster-wide)");
}

#[tokio::test]
async fn the_budget_bounds_requests_and_refuses_the_same_demands_every_time() {
    let server = FakeServer::start(|_| Reply::ok(r#"{"metadata":{"name":"x"}}"#)).await;
    let demands: BTreeSet<Demand> = (0..50).map(|i| object(Kind::Service, &format!("s{i:02}"))).collect();
    let connection = server.connection().await;
    let mut budget = Budget::default();
    let answers = connection.fulfil(&demands, &mut budget).await;
    assert!(answers.iter().map(|(demand, _)| demand).eq(demands.iter()));
    for (i, (_, answer)) in answers.iter().enumerate() {
        if i < 40 {
            assert!(matches!(answer, Answer::Objects(objects) if objects.len() == 1), "{i}");
        } else {
            assert_eq!(why(answer), "not asked: the limit of 40 requests for one question was reached");
        }
    }
    assert_eq!((budget.requests, connection.usage().requests), (0, 40));
}

#[tokio::test]
async fn the_budget_bounds_bytes() {
    let big = format!(r#"{{"metadata":{{"name":"x"}},"y":"{}"}}"#, "z".repeat(4000));
    let server = FakeServer::start(move |_| Reply::ok(&big)).await;
    let demands = BTreeSet::from([object(Kind::Service, "a")]);
    let mut budget = Budget::new(40, 1000);
    let answer = server.connection().await.fulfil(&demands, &mut budget).await.remove(0).1;
    assert_eq!(why(&answer), "not read: the limit of 1 MB for one question was reached");
    assert_eq!(budget.bytes, 0);
}

#[tokio::test]
async fn of_too_many_objects_those_that_were_read_are_kept_and_the_rest_is_said_to_be_unread() {
    let items: Vec<String> = (0..2001).map(|i| format!(r#"{{"metadata":{{"name":"p{i}"}}}}"#)).collect();
    let body = format!(r#"{{"items":[{}]}}"#, items.join(","));
    let server = FakeServer::start(move |_| Reply::ok(&body)).await;
    let list = Demand::List { kind: Kind::Pod, namespace: None, selector: String::new() };
    let Answer::Part(read, gap) = ask(&server, list).await else { panic!("not a part") };
    assert_eq!(read.len(), 2000);
    assert!(gap.why.starts_with("more than 2000 pods or 3 MB match"), "{}", gap.why);
}

#[tokio::test]
async fn a_list_with_an_object_that_cannot_be_decoded_is_not_all_there_is() {
    let body = r#"{"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"},"spec":"hunter2"}]}"#;
    let server = FakeServer::start(move |_| Reply::ok(body)).await;
    let list = Demand::List { kind: Kind::Pod, namespace: None, selector: String::new() };
    let Answer::Part(read, gap) = ask(&server, list).await else { panic!("not a part") };
    assert_eq!(read.len(), 1);
    assert!(gap.why.starts_with("pod b: ") && !gap.why.contains("hunter2"), "{}", gap.why);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubelet_that_is_gone_holds_no_other_answer_up() {
    let mut server = FakeServer::start(|asked| match asked.target.contains("/log?") {
        true => {
            std::thread::sleep(std::time::Duration::from_millis(1500));
            Reply::ok("")
        }
        false => Reply::ok(r#"{"metadata":{"name":"web"}}"#),
    })
    .await;
    let demands = BTreeSet::from([log(false), object(Kind::Service, "web")]);
    server.patience.kubelet = std::time::Duration::from_millis(200);
    let answers = server.connection().await.fulfil(&demands, &mut Budget::default()).await;
    // In the order of the demands, whatever came first.
    assert!(matches!(&answers[0].1, Answer::Objects(found) if found.len() == 1));
    assert!(why(&answers[1].1).contains("no answer within"), "{:?}", answers[1]);
}

#[tokio::test]
async fn events_are_asked_for_by_what_they_are_about() {
    let server = FakeServer::start(|asked| {
        if asked.target.starts_with("/api/v1/events?") {
            return Reply::status(403, "no");
        }
        Reply::ok(r#"{"items":[{"metadata":{"name":"e","namespace":"default"},"reason":"NodeNotReady"}]}"#)
    })
    .await;
    let pod = Demand::Events { kind: Kind::Pod, namespace: Some("shop".into()), name: "a".into() };
    assert!(matches!(ask(&server, pod).await, Answer::Objects(events) if events.len() == 1));
    assert!(server.targets()[0].starts_with("/api/v1/namespaces/shop/events?"));
    assert!(
        server.targets()[0].contains("involvedObject.kind%3DPod%2CinvolvedObject.name%3Da"),
        "{}",
        server.targets()[0]
    );
    // Who may not read the Events of the whole cluster may find those of a node where components write them.
    let node = Demand::Events { kind: Kind::Node, namespace: None, name: "n".into() };
    assert!(matches!(ask(&server, node).await, Answer::Objects(events) if events.len() == 1));
    assert!(server.targets()[2].starts_with("/api/v1/namespaces/default/events?"));
}

#[tokio::test]
async fn a_log_has_times_and_its_absence_a_reason() {
    let server = FakeServer::start(|asked| {
        assert!(asked.target.contains("container=app&tailLines=200&limitBytes=262144&timestamps=true"));
        match asked.target.contains("previous=true") {
            false => Reply::Json(200, b"2026-11-23T14:02:31Z one\n2026-11-23T14:02:32Z two\n".to_vec()),
            true => Reply::Json(200, b"unable to retrieve container logs for containerd://3f".to_vec()),
        }
    })
    .await;
    let Answer::Log(lines) = ask(&server, log(false)).await else { panic!() };
    assert_eq!(lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(why(&ask(&server, log(true)).await), "unable to retrieve container logs for containerd://3f");

    let waits = FakeServer::start(|asked| match asked.target.contains("previous=true") {
        true => Reply::status(400, "previous terminated container \"app\" in pod \"a\" not found"),
        false => Reply::status(400, "container \"app\" in pod \"a\" is waiting to start: ContainerCreating"),
    })
    .await;
    assert!(matches!(ask(&waits, log(true)).await, Answer::NotFound));
    assert!(why(&ask(&waits, log(false)).await).ends_with("is waiting to start: ContainerCreating"));
}

#[tokio::test]
async fn the_newest_lines_of_a_log_are_not_cut_off_by_its_bound() {
    let server = FakeServer::start(|asked| match asked.target.contains("tailLines=200") {
        true => Reply::Json(200, vec![b'x'; 256 * 1024]),
        false => Reply::Json(200, b"2026-11-23T14:02:32Z last\n".to_vec()),
    })
    .await;
    let Answer::Log(lines) = ask(&server, log(false)).await else { panic!() };
    assert_eq!(lines[0].text, "last");
}

#[tokio::test]
async fn missing_metrics_name_the_url_that_failed() {
    let server = FakeServer::start(|_| Reply::Json(404, b"404 page not found\n".to_vec())).await;
    let demand = Demand::PodMetrics { namespace: "shop".into(), pod: "a".into() };
    assert_eq!(
        why(&ask(&server, demand).await),
        "GET /apis/metrics.k8s.io/v1beta1/namespaces/shop/pods/a: 404 not found"
    );
}

#[tokio::test]
async fn no_secret_is_asked_for_with_its_values_but_a_helm_release() {
    let release = helm::tests::release_secret("kind: Deployment\nmetadata: {name: web}\n");
    let server = FakeServer::start(move |asked| match asked.head.contains("partialobjectmetadata") {
        true => Reply::ok(
            r#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"db","namespace":"shop","managedFields":[{"manager":"m","fieldsV1":{"f:data":{"f:password":{}}}}]}}"#,
        ),
        false => Reply::Json(200, release.clone()),
    })
    .await;
    let Answer::Objects(objects) = ask(&server, object(Kind::Secret, "db")).await else { panic!() };
    assert_eq!(objects[0].kind, Kind::Secret);
    assert!(server.asked.lock().unwrap()[0].head.contains("accept: application/json;as=partialobjectmetadata;"));
    let demand = Demand::HelmRevision { namespace: "shop".into(), secret: "sh.helm.release.v1.shop.v1".into() };
    let Answer::Manifest(objects) = ask(&server, demand).await else { panic!() };
    assert_eq!(objects[0]["metadata"]["name"], "web");
}

#[tokio::test]
async fn a_custom_resource_is_found_by_discovery_which_is_asked_once() {
    let server = FakeServer::start(|asked| match asked.target.as_str() {
        "/api" => Reply::ok(r#"{"kind":"APIGroupDiscoveryList","items":[]}"#),
        "/apis" => Reply::ok(
            r#"{"kind":"APIGroupDiscoveryList","items":[
            {"metadata":{"name":"cert-manager.io"},"versions":[{"version":"v1","freshness":"Current","resources":[
                {"resource":"certificates","responseKind":{"group":"cert-manager.io","version":"v1","kind":"Certificate"},
                 "scope":"Namespaced","singularResource":"certificate","shortNames":["cert"],"verbs":["get"]}]}]},
            {"metadata":{"name":"metrics.k8s.io"},"versions":[{"version":"v1beta1","freshness":"Stale"}]}]}"#,
        ),
        "/apis/cert-manager.io/v1/namespaces/shop/certificates/tls" => {
            Reply::ok(r#"{"apiVersion":"cert-manager.io/v1","kind":"Certificate","metadata":{"name":"tls"}}"#)
        }
        other => panic!("{other}"),
    })
    .await;
    let connection = server.connection().await;
    let certificate = Kind::of("cert-manager.io/v1", "Certificate");
    let demands = BTreeSet::from([object(certificate, "tls"), object(Kind::of("no.such/v1", "Thing"), "x")]);
    let answers = connection.fulfil(&demands, &mut Budget::default()).await;
    assert!(matches!(&answers[0].1, Answer::Objects(objects) if objects[0].meta.name == "tls"));
    assert_eq!(why(&answers[1].1), "this cluster does not serve it");
    let discovery = connection.discover().await.unwrap();
    assert_eq!(discovery.resolve("cert").unwrap().plural, "certificates");
    assert_eq!(discovery.gaps()[0].what, "API metrics.k8s.io/v1beta1");
    assert_eq!(server.targets().iter().filter(|target| *target == "/apis").count(), 1);
}

#[tokio::test]
async fn discovery_of_an_older_server_survives_an_aggregated_api_that_is_down() {
    let server = FakeServer::start(|asked| match asked.target.as_str() {
        "/api" => Reply::ok(r#"{"kind":"APIVersions","versions":["v1"]}"#),
        "/api/v1" => Reply::ok(
            r#"{"resources":[{"name":"pods","singularName":"pod","namespaced":true,"kind":"Pod","verbs":["get"],"shortNames":["po"]},{"name":"pods/log","namespaced":true,"kind":"Pod"}]}"#,
        ),
        "/apis" => Reply::ok(
            r#"{"kind":"APIGroupList","groups":[{"name":"metrics.k8s.io","versions":[{"version":"v1beta1"}],"preferredVersion":{"version":"v1beta1"}}]}"#,
        ),
        _ => Reply::status(503, "the server is currently unable to handle the request"),
    })
    .await;
    let discovery = server.connection().await.discover().await.unwrap();
    assert_eq!(discovery.types().len(), 1);
    assert_eq!(discovery.resolve("po").unwrap().kind, Kind::Pod);
    assert!(discovery.gaps()[0].why.starts_with("GET /apis/metrics.k8s.io/v1beta1: 503 "), "{:?}", discovery.gaps());
}

#[tokio::test]
async fn reviews_say_yes_no_or_do_not_know() {
    let server = FakeServer::start(|asked| {
        let body = String::from_utf8_lossy(&asked.body).into_owned();
        match () {
            () if body.contains("\"patch\"") => Reply::Json(201, br#"{"status":{"allowed":true}}"#.to_vec()),
            () if body.contains("\"delete\"") => Reply::Json(201, br#"{"status":{"allowed":false}}"#.to_vec()),
            () => Reply::status(500, "no"),
        }
    })
    .await;
    let asks = ["patch", "delete", "get"].map(|verb| AccessAsk { verb: verb.into(), ..AccessAsk::default() });
    assert_eq!(server.connection().await.reviews(&asks).await, [Some(true), Some(false), None]);
}

#[tokio::test]
async fn the_cluster_is_named_by_the_uid_of_kube_system() {
    let server = FakeServer::start(|_| Reply::ok(r#"{"metadata":{"name":"kube-system","uid":"9b2c"}}"#)).await;
    let connection = server.connection().await;
    assert_eq!(connection.cluster_id().await.unwrap().0, "9b2c");
    assert_eq!((connection.context_name(), connection.default_namespace()), (Some("test"), "shop"));
    assert_eq!(connection.server(), server.url);
}
