//! What the simulated API server does, asked as clients ask. One process, a clock that stands still, no sockets but where
//! a test is about them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod ask;
mod behaviour;
mod client;
mod controllers;
mod converge;
mod custom;
mod faults;
mod lists;
mod pods;
mod same;
mod tables;
mod watches;
mod writes;
