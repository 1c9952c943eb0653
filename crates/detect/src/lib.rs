//! From state to a verdict.
//!
//! A pure function of its inputs: no I/O, no async, no clock, no randomness (`clippy.toml` of this crate keeps it so).
//! Objects and answers go into a [`State`]; an [`Engine`] runs every detector of the [`registry`] over it, ranks what they
//! find by root cause, reconciles that with what was known before, and says what it would have to know to go on.

pub mod addresses;
pub mod blame;
pub mod catalogue;
mod clock;
mod considered;
mod contrast;
pub mod describe;
pub mod detectors;
mod engine;
pub mod exit;
mod explore;
pub mod finding;
mod general;
pub mod graph;
mod growth;
mod heap;
pub mod history;
mod http;
mod impact;
mod intake;
pub mod kernel;
mod lease;
mod merge;
pub mod oom_score;
mod operated;
pub mod ownership;
pub mod past;
mod problem;
mod rank;
mod reconcile;
pub mod redact;
mod registry;
mod runs;
mod show;
mod spot;
mod state;
mod verdict;
mod view;

pub use catalogue::{Detector, Failure, Page, Stage, page, topics};
pub use engine::{Diagnosis, Engine, Scope, kinds};
pub use finding::{Fact, Finding, Place};
pub use state::{Full, State};
pub use view::{Lookup, Many, There, View};
