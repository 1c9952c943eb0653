//! Counters of memory cgroups: kills that the kernel's log does not tell of, and use now.
//!
//! The log is rate-limited and overwritten; counters are neither. [`Tree`] reads them, [`scope`] tells from them whose
//! limit it was, and [`Ledger`] takes off what the log has told already.

mod files;
mod ledger;
mod read;
mod scope;
mod tree;

pub use ledger::Ledger;
pub use tree::{Rise, Tree};
