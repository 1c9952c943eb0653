//! Following a real API server that is killed, restarted, restored from a backup, cut off from its etcd, starved and told to
//! refuse. What must be told is what the server said to have kept ([`writes`]).
//!
//! Run by `scripts/live-tests`, one after the other, on a testbed that is left well. Not here: a streaming list whose closing
//! bookmark does not come. The real server is late with it under a hundred thousand pods only, which two cores do not hold
//! beside a test; the simulated one leaves it out (`sync_tests`, `no-closing-bookmark`).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "what was measured")]

mod account;
mod aggregated;
mod audit;
mod cable;
mod etcd;
mod permissions;
mod rewinds;
mod starved;
mod stops;
mod testbed;
mod told;
mod writes;

use reckon_cluster::{Connection, Options};
use reckon_model::Kind;
use std::path::PathBuf;

/// What is followed beside the ConfigMaps.
const KINDS: &[Kind] = &[Kind::ConfigMap, Kind::Pod, Kind::Node, Kind::Deployment, Kind::Service];

/// A connection by this kubeconfig.
async fn connect(kubeconfig: PathBuf) -> Connection {
    Connection::open(&Options { kubeconfig: Some(kubeconfig), ..Options::default() }).await.unwrap()
}
