//! With the client that the cluster crate builds on: in the same process, and over a socket.

use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, ListParams, PostParams, WatchEvent, WatchParams};
use reckon_sim::{Clock, Config, Fault, FaultKind, Listener, Server};
use serde_json::json;

fn server() -> Server {
    Server::new(Config::default(), Clock::running("2026-01-01T00:00:00Z".parse().unwrap(), 1))
}

#[tokio::test(start_paused = true)]
async fn kube_lists_watches_and_writes_in_the_same_process() {
    let server = server();
    let client = kube::Client::new(server.clone(), "default");
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "a"}, "data": {"x": "1"}})).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    assert_eq!(maps.list(&ListParams::default()).await.unwrap().items.len(), 1);
    assert_eq!(client.apiserver_version().await.unwrap().git_version, "v1.37.2");
    let mut watch = maps.watch(&WatchParams::default().timeout(100), "0").await.unwrap().boxed();
    let Some(Ok(WatchEvent::Added(seen))) = watch.next().await else { panic!("no event") };
    assert_eq!(seen.metadata.name.as_deref(), Some("a"));
    // Time runs by itself while everybody waits: the bookmark of the first minute, then the end.
    let Some(Ok(WatchEvent::Bookmark(_))) = watch.next().await else { panic!("no bookmark") };
    assert!(watch.next().await.is_none());
    let error = maps.get("none").await.unwrap_err();
    assert!(matches!(error, kube::Error::Api(status) if status.code == 404));
}

#[tokio::test]
async fn a_socket_serves_the_same_and_breaks_when_it_is_told_to() {
    let server = server();
    server.world().fill(&reckon_sim::Bulk { pods: 300, nodes: 3, namespaces: 3, ..reckon_sim::Bulk::default() });
    let listener = Listener::bind(server.clone(), 0).await.unwrap();
    let client = kube::Client::try_from(kube::Config::new(listener.url().parse().unwrap())).unwrap();
    let pods: Api<Pod> = Api::all(client.clone());
    assert_eq!(pods.list(&ListParams::default()).await.unwrap().items.len(), 300);
    let page = pods.list(&ListParams::default().limit(7)).await.unwrap();
    assert_eq!((page.items.len(), page.metadata.remaining_item_count), (7, Some(293)));
    server.world().fault(Fault::new(FaultKind::CutMidLine).at("pods").times(1));
    let request = http::Request::get("/api/v1/pods").body(Vec::new()).unwrap();
    let lines = client.request_stream(request).await.unwrap().lines();
    assert!(lines.try_collect::<Vec<String>>().await.is_err());
    assert_eq!(pods.list(&ListParams::default()).await.unwrap().items.len(), 300);
}

#[tokio::test]
async fn the_kubeconfig_leads_to_the_server() {
    let listener = Listener::bind(server(), 0).await.unwrap();
    let config = kube::config::Kubeconfig::from_yaml(&listener.kubeconfig(None)).unwrap();
    let config =
        kube::Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default()).await.unwrap();
    let client = kube::Client::try_from(config).unwrap();
    assert_eq!(client.apiserver_version().await.unwrap().minor, "37");
}

#[tokio::test(start_paused = true)]
async fn an_accelerated_clock_brings_the_end_of_a_watch_sooner() {
    let server = Server::new(Config::default(), Clock::running("2026-01-01T00:00:00Z".parse().unwrap(), 100));
    let client = kube::Client::new(server.clone(), "default");
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    let before = tokio::time::Instant::now();
    let watch = maps.watch(&WatchParams::default().timeout(200), "0").await.unwrap();
    assert_eq!(watch.count().await, 3, "a bookmark for each of three minutes");
    assert_eq!(before.elapsed().as_secs(), 2);
    assert_eq!(server.clock().now().duration_since("2026-01-01T00:00:00Z".parse().unwrap()).as_secs(), 200);
}
