//! One thing at a time.

mod appending;
mod asking;
mod episodes;
mod keeping;
mod objects;
mod tokens;

pub use appending::*;
pub use asking::*;
pub use episodes::*;
pub use keeping::*;
pub use objects::*;
pub use tokens::*;
