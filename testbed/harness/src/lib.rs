//! Live tests: a real kubelet kills a real container, and `reckon` must say why.
//!
//! A [`Case`] is a file in `cases/`: what is applied, what is waited for, and what must be answered, written down before
//! the first run. The library runs it on the [`Cluster`] that the testbed starts, in a namespace of its own, with the
//! `reckon` binary a user gets. What failed is collected below `target/live/CASE/`.
//! What was answered right is kept as a [`Recording`], if asked for, and answered again in every test run.

mod alone;
mod answer;
mod audit;
mod case;
mod cluster;
mod collect;
mod deploy;
mod expect;
mod meter;
mod question;
mod recording;
mod repair;
mod run;
mod watch;

pub use answer::{Reckon, answer_without, binary};
pub use audit::{AuditLog, Request};
pub use case::{Case, Expect, Group, Step, Until, all};
pub use cluster::{Cluster, Namespace, wait};
pub use deploy::{deploy_node, remove_node};
pub use expect::{differences, matches, open, wrong};
pub use meter::Meter;
pub use recording::{Answered, Found, Record, Recording, found, recordings, word};
pub use run::run;
pub use watch::Watch;

use std::path::PathBuf;

/// The checkout.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
