//! The vocabulary of Reckon: what an object, a change, an observation, a finding and a problem are.
//!
//! Pure data and pure functions over it. Nothing here does I/O, reads a clock or knows who is asking, so that every
//! other room can share one set of words. One word per thing: see the table in `ARCHITECTURE.md`.

mod abridged;
pub mod change;
pub mod death;
pub mod demand;
pub mod diff;
pub mod document;
pub mod duration;
pub mod frame;
pub mod ident;
pub mod k8s;
pub mod kernel;
pub mod kind;
pub mod kubectl;
pub mod object;
pub mod observation;
pub mod quantity;
pub mod record;
pub mod selector;
pub mod shared;
pub mod specs;
pub mod text;
pub mod whole;

pub use change::{Actor, ActorSource, Change, FieldChange, Verb};
pub use demand::{Answer, Demand, Gap, Obstacle};
pub use ident::{ClusterId, ProblemId, ResourceRef};
pub use jiff::{SignedDuration, Timestamp};
pub use kind::Kind;
pub use object::{Body, DecodeError, Meta, Object};
pub use observation::{LogLine, Sample};
pub use quantity::Quantity;
pub use shared::Shared;
pub use specs::Specs;
pub use whole::Whole;
