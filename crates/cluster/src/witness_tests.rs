//! An etcd that is restored under a running API server, which goes on to list what it remembers.
//!
//! The simulated server keeps no memory beside its store. What a GET by name would find there, a test decides.

use crate::ListEvent;
use crate::connection::Connection;
use reckon_model::{Kind, Timestamp};
use reckon_sim::{Clock, Config, Server};
use serde_json::json;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::Service;

const SOUND: u8 = 0;
/// The store has nothing of that name.
const WITHOUT: u8 = 1;
/// GETs are refused.
const REFUSED: u8 = 2;

/// Follows the ConfigMaps of a server whose GETs of the last one answer so; what was told, in words.
async fn follow(answers: Arc<AtomicU8>) -> (Server, Arc<Mutex<Vec<String>>>) {
    let base: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let server = Server::new(Config { controllers: false, ..Config::default() }, Clock::running(base, 1));
    server.world().create("namespaces", json!({"metadata": {"name": "shop"}})).unwrap();
    server.world().create("configmaps", json!({"metadata": {"name": "last", "namespace": "shop"}})).unwrap();
    let behind = server.clone();
    let service = tower::service_fn(move |mut request: http::Request<kube::client::Body>| {
        let by_name = request.uri().path().ends_with("/configmaps/last");
        match answers.load(Ordering::Relaxed) {
            WITHOUT if by_name => *request.uri_mut() = "/api/v1/namespaces/shop/configmaps/nothing".parse().unwrap(),
            // As a user whom nobody allowed anything.
            REFUSED if by_name => {
                request.headers_mut().insert("Impersonate-User", "nobody".parse().unwrap());
            }
            _ => {}
        }
        behind.clone().call(request)
    });
    let connection = Connection::over(kube::Client::new(service, "default"), 1, base);
    connection.inner.minor.set(37).unwrap();
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = told.clone();
    let mut listing = connection.follow(vec![Kind::ConfigMap], None);
    tokio::spawn(async move {
        while let Some(event) = listing.next().await {
            heard.lock().unwrap().push(match event {
                ListEvent::Relisting { rewound, reason, .. } => format!("rewound {rewound}: {reason}"),
                ListEvent::Interrupted { gap, .. } => format!("stale: {} {}", gap.what, gap.why),
                ListEvent::Resumed { .. } => "resumed".to_owned(),
                ListEvent::Listed { .. } => "listed".to_owned(),
                other => format!("{other:?}").chars().take(7).collect(),
            });
        }
    });
    tokio::time::sleep(Duration::from_secs(45)).await;
    (server, told)
}

fn take(told: &Mutex<Vec<String>>) -> Vec<String> {
    let mut told = std::mem::take(&mut *told.lock().unwrap());
    told.retain(|said| !said.starts_with("Object"));
    told
}

#[tokio::test(start_paused = true)]
async fn lists_that_show_what_the_store_does_not_hold_are_another_history_and_stay_in_doubt() {
    let answers = Arc::new(AtomicU8::new(SOUND));
    let (_server, told) = follow(answers.clone()).await;
    assert_eq!(take(&told), ["listed"]);
    answers.store(WITHOUT, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_mins(1)).await;
    let said = take(&told);
    assert_eq!(
        said[..2],
        [
            "rewound true: the history of the cluster was rewound: the API server lists what etcd does not hold",
            "listed"
        ]
    );
    assert!(said[2].starts_with("stale: configmap shop/last the API server lists it as it was"), "{said:?}");
    assert_eq!(said.len(), 3, "of one rewinding is told once: {said:?}");
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(take(&told), Vec::<String>::new(), "it stays stale");
    answers.store(SOUND, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_mins(1)).await;
    let said = take(&told);
    assert!(said[0].starts_with("rewound true") && said[0].ends_with("lists what etcd holds again"), "{said:?}");
    assert_eq!(said[1..], ["listed", "resumed"]);
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(take(&told), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_was_deleted_is_no_contradiction_and_neither_is_a_get_that_is_refused() {
    let answers = Arc::new(AtomicU8::new(SOUND));
    let (server, told) = follow(answers.clone()).await;
    server.world().delete("configmaps", "shop", "last").unwrap();
    tokio::time::sleep(Duration::from_mins(2)).await;
    server.world().create("configmaps", json!({"metadata": {"name": "last", "namespace": "shop"}})).unwrap();
    answers.store(REFUSED, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_mins(2)).await;
    let said = take(&told);
    assert!(said.iter().all(|said| said == "listed" || said.starts_with("Deleted")), "{said:?}");
}
