//! What Linux knows about memory and processor time: the kernel's log, cgroup paths and counters, pressure, the runtime of
//! containers.
//!
//! Parsers are pure functions over bytes; what reads files and sockets is a thin shell around them.

pub mod counters;
pub mod cri;
pub mod log;
pub mod path;
pub mod uses;
pub mod watch;
