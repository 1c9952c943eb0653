//! Bundles: what a cluster was, as plain files.
//!
//! Everything in a bundle is optional; what is missing is *not checked*. Nothing in it is trusted: sizes are bounded, links
//! are not followed, and a file that cannot be read costs that file and a warning that names it.

mod answers;
mod capture;
mod files;
mod read;

pub(crate) use capture::{Tape, write};
pub(crate) use read::open;
