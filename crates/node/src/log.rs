//! The kernel's log: out-of-memory episodes, from `/dev/kmsg` records, dmesg text or a journal's.
//!
//! [`Parser`] takes bytes as they come and gives [`reckon_model::kernel::OomEpisode`]s. [`line`] takes off what the reader
//! of the log has put in front of a message, [`grammar`] reads one message, and [`report`] puts messages together.
//! Everything in it is hostile text: a process chooses its own name.

mod grammar;
mod line;
mod parser;
mod report;

pub use parser::Parser;
