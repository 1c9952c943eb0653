//! What keeps a cluster going: pure functions from the state to writes, run by [`World::step`].

use crate::world::World;

/// What controllers keep between steps.
#[derive(Debug, Default)]
pub(crate) struct Memory {}

impl World {
    /// Lets the controllers act once. Call it when time has passed or something was written.
    pub fn step(&mut self) {}
}
