//! From what is watched to entries of the record.
//!
//! A [`Recorder`] hears each step that a [`State`](reckon_detect::State) takes, with the object as it was and as it is, and
//! tells what is worth keeping for months: who wrote which field, which pods came and died and why, what was rolled out,
//! which problems there were. What is not worth it is left out by the rules of [`noise`], and by nothing else.
//!
//! Pure like `detect`: no I/O, no clock, no order but that of what is heard. The same steps give the same bytes.

mod actor;
mod bound;
mod change;
mod events;
mod kinds;
mod look;
mod memory;
mod node;
pub mod noise;
mod pod;
mod problems;
mod recorder;
mod release;
mod rollout;
mod sync;
mod written;

pub use bound::LONGEST;
pub use events::WINDOW;
pub use kinds::kinds;
pub use memory::{Mark, Memory, MemoryError, line};
pub use noise::{Noise, Rule, UnknownRule};
pub use recorder::{KEYFRAME, Recorded, Recorder};
pub use written::UNREAD;

use reckon_model::Object;
use serde_json::Value;

/// What people wrote of an object, without what the rules leave out: what the record compares, and what comes out when
/// the changes of an object are done one after the other to what it was first.
pub fn written(object: &Object, noise: &Noise) -> Value {
    change::keyframe(object, noise)
}
