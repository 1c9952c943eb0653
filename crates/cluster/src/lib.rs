//! Everything that talks to one Kubernetes API server.
//!
//! [`Connection`] is how to reach it: kubeconfig, credentials, proxies, the cluster's clock. [`Connection::list`] and
//! [`Connection::follow`] bring objects as [`ListEvent`]s, decoded one by one from the bytes of the answer, which is
//! never held whole. [`Connection::fulfil`] answers what detection needs to know, within a [`Budget`].
//!
//! Three rules hold everywhere. What could not be read is an answer ([`ReadError`], `Gap`), told apart from what does not
//! exist. Nothing a server sends can make this crate fail on the rest: a bad object costs one object, a refused kind one
//! kind. And no value of a Secret is asked for, with one exception that is a file of its own: Helm's releases.

mod access;
mod config;
mod connection;
mod demands;
mod dice;
mod discovery;
mod endpoint;
mod error;
mod follow;
mod following;
mod helm;
mod lines;
mod list;
mod listing;
mod logs;
mod metrics;
mod planted;
mod proxy;
mod splitter;
mod wire;
mod writes;

#[cfg(test)]
mod bad_server_tests;
#[cfg(test)]
mod demands_tests;
#[cfg(test)]
mod fake_server;
#[cfg(test)]
mod follow_tests;
#[cfg(test)]
mod following_tests;
#[cfg(test)]
mod sync_tests;
#[cfg(test)]
mod witness_tests;

pub use access::AccessAsk;
pub use config::{ConnectError, Options, contexts};
pub use connection::{Connection, Usage};
pub use demands::Budget;
pub use discovery::{Discovery, ServedType};
pub use error::{Intent, ReadError};
pub use lines::{Line, Lines, written};
pub use listing::{ListEvent, Listing};
pub use splitter::{ListMeta, MAX_ITEM_BYTES, Piece, SplitError, Splitter, name_in};
pub use writes::{Mode, PatchType};
