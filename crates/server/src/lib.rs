//! The HTTP API over the record: what happened in which cluster, told to whoever may know it, and the live stream of it.
//!
//! The server knows no cluster and judges nothing: it answers from a [`reckon_store::Store`] alone, so that any number of
//! replicas over one database give the same answers.

mod agents;
mod caller;
mod changes;
mod clusters;
mod guard;
mod lane;
mod live;
mod marks;
mod naming;
mod objects;
mod openapi;
mod paging;
mod problems;
mod query;
mod refusal;
mod routes;
mod serve;
mod shown;
#[cfg(test)]
mod tests;
mod tokens;
mod upkeep;

pub use guard::Names;
pub use openapi::document as openapi;
pub use serve::{Options, ServeError, serve};

use reckon_model::Timestamp;
use reckon_store::{Store, TokenHash};
use std::sync::Arc;

/// What every handler has.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) names: Arc<Names>,
    /// As whom it writes marks.
    pub(crate) lanes: Arc<lane::Lanes>,
    /// The token of this start, for the person who started it; `None` where only issued tokens count.
    pub(crate) start: Option<TokenHash>,
    /// What time it is. A parameter, so that a test can turn the clock.
    pub(crate) now: fn() -> Timestamp,
}
