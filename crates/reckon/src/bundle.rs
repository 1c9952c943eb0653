//! Bundles: what a cluster was, as plain files.
//!
//! Everything in a bundle is optional; what is missing is *not checked*. Nothing in it is trusted: sizes are bounded, links
//! are not followed, and a file that cannot be read costs that file and a warning that names it.

mod answers;
mod files;
mod logs;
mod objects;
mod read;
mod replay;
mod tape;
mod write;

pub(crate) use read::{Bundle, open};
pub(crate) use tape::Tape;
pub(crate) use write::{Label, Written, refuse_used, write};
