//! A simulated Kubernetes API server, for three uses: faults on demand in one deterministic process, 100,000 pods on a
//! laptop, and a cluster for demonstrations.
//!
//! [`World`] is the state and does nothing by itself; [`Server`] answers requests from it, as a service for
//! `kube::Client::new` or under a [`Listener`] on loopback. Time comes from a [`Clock`], randomness from a seed:
//! the same calls give the same bytes.
//!
//! In a test: tokio's clock is paused, so that time runs by itself while everybody waits, and no socket is opened.
//!
//! ```
//! use reckon_sim::{Clock, Config, Fault, FaultKind, Server};
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = Clock::running("2026-01-01T00:00:00Z".parse()?, 1);
//! let server = Server::new(Config { seed: 7, controllers: false, ..Config::default() }, clock);
//! let client = kube::Client::new(server.clone(), "default");
//!
//! // Writes without a request, and what they were.
//! server.world().create("configmaps", json!({"metadata": {"name": "a"}, "data": {"x": "1"}}))?;
//! let written = server.world().writes().all().len();
//!
//! // Faults: aimed, counted, by the seed's dice; and what happens at once.
//! let fault = server.world().fault(Fault::new(FaultKind::DropEvents).at("configmaps").one_in(3));
//! server.world().fault_off(Some(fault));
//! let snapshot = server.world().snapshot();
//! server.world().restart();
//! server.world().restore(&snapshot);
//! # assert!(written > 0);
//! # client.apiserver_version().await?;
//! # Ok(())
//! # }
//! ```
//!
//! What the real server has and this one has not: server-side apply, `exec`, `attach`, `port-forward` and `proxy`,
//! `watch` below old `/watch/` paths, admission but for quotas of pods, validation by schemas, TLS, HTTP/2, storage in protobuf,
//! Leases and Endpoints that somebody keeps up to date, and more than one version's fields of one kind.

mod behaviour;
mod body;
mod bootstrap;
mod builtin;
mod bulk;
mod checks;
mod clock;
mod columns;
mod control;
mod controllers;
mod crd;
mod defaults;
mod delete;
mod discovery;
mod dispatch;
mod faults;
mod history;
mod list;
mod listener;
mod logs;
mod managed;
mod metrics;
mod openapi;
mod patch;
mod pods;
mod present;
mod protobuf;
mod quota;
mod rbac;
mod request;
mod resource;
mod reviews;
mod rng;
mod scale;
mod selection;
mod server;
mod snapshot;
mod status;
mod store;
mod tokens;
mod users;
mod watch;
mod world;
mod write;
mod write_log;
mod writes;

pub use behaviour::Behaviour;
pub use bulk::{Bulk, Churn};
pub use clock::Clock;
pub use faults::{Fault, FaultId, FaultKind, Faults};
pub use history::Past;
pub use listener::Listener;
pub use metrics::Usage;
pub use resource::{Column, Resource, Scale};
pub use rng::Rng;
pub use server::{AnswerBody, Server};
pub use snapshot::Snapshot;
pub use status::ApiError;
pub use store::{Key, Labels, Stored, Verb};
pub use users::User;
pub use world::{Config, World};
pub use write_log::{Write, WriteLog};
