//! The link: one connection, which the agent opens, over which a server gets what is in the spool.
//!
//! What is said on it is decided by [`Talk`] at this end and [`Peer`](reckon_model::frame::peer::Peer) at the other, neither of which does I/O; [`run`] is the
//! shell around the one, and a server has its own around the other.

mod backoff;
mod connect;
#[cfg(test)]
mod double;
mod enrol;
#[cfg(test)]
mod loopback_tests;
mod request;
mod shell;
mod talk;
#[cfg(test)]
mod talk_tests;

pub use connect::{PATH, Plain, Settings, SettingsError, Token};
pub use enrol::{EnrolError, enrol};
pub use request::{Answer, Lost, get};
pub use shell::{LinkState, run};
pub use talk::{End, Step, Talk};
