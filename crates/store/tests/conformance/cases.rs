//! One thing at a time.

mod appending;
mod asking;
mod episodes;
mod keeping;
mod objects;
mod tokens;

pub(crate) use appending::*;
pub(crate) use asking::*;
pub(crate) use episodes::*;
pub(crate) use keeping::*;
pub(crate) use objects::*;
pub(crate) use tokens::*;
