//! A simulated Kubernetes API server, for three uses: faults on demand in one deterministic process, 100,000 pods on a
//! laptop, and a cluster for demonstrations.
//!
//! [`World`] is the state and does nothing by itself; [`Server`] answers requests from it, as a service for
//! `kube::Client::new` or under a [`Listener`] on loopback. Time comes from a [`Clock`], randomness from a seed:
//! the same calls give the same bytes.

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
mod users;
mod watch;
mod world;
mod write;
mod write_log;
mod writes;

pub use bulk::{Bulk, Churn};
pub use clock::Clock;
pub use faults::{Fault, FaultId, FaultKind, Faults};
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
