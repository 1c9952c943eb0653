//! Follows all pods as a Rust controller does: kube's reflector with its defaults, objects kept whole.
//!
//! It prints `synced COUNT` once its store holds all pods, and follows until it is interrupted. The kubeconfig is that of the
//! variable `KUBECONFIG`.

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Client};
use std::error::Error;
use std::pin::pin;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = Client::try_default().await?;
    let (store, writer) = reflector::store::<Pod>();
    let events = watcher(Api::<Pod>::all(client), watcher::Config::default()).default_backoff().reflect(writer);
    let mut events = pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::InitDone) => println!("synced {}", store.len()),
            Ok(_) => {}
            Err(error) => eprintln!("reflector: {error}"),
        }
    }
    Err("the watch ended".into())
}
