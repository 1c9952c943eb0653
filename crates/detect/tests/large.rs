//! Large and bad clusters: what a change costs among ten thousand pods, by the number of objects that are looked at, and what
//! is said of input that nobody meant.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "large/bad_input.rs"]
mod bad_input;
#[path = "large/changes.rs"]
mod changes;
#[path = "large/cluster.rs"]
mod cluster;
#[path = "large/watched.rs"]
mod watched;
