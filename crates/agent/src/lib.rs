//! What runs beside a cluster: the spool, which keeps what happened until a server has it, and the link, which brings it there.
//!
//! [`Spool::append`] is durable on return. [`link::run`] sends what is in a spool and notes what the server acknowledged. Neither
//! knows what the entries say.

pub mod link;
mod planted;
pub mod spool;

pub use spool::Spool;
