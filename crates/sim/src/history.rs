//! What was written, with what it made of each object: for whoever checks what was told against it.

use crate::store::{Key, Stored, Verb};
use crate::world::{World, whole};
use serde_json::Value;

/// One write, as the memory that serves watches has it.
#[derive(Clone, Debug)]
pub struct Past {
    /// The revision it made.
    pub revision: u64,
    /// What happened.
    pub verb: Verb,
    /// The resource, such as `deployments.apps`.
    pub resource: String,
    /// Namespace and name.
    pub key: Key,
    /// The object before, with its kind and version.
    pub before: Option<Value>,
    /// The object after; of what was deleted, its last state.
    pub after: Value,
}

impl World {
    /// All writes after a revision, in their order, as far as the server's memory reaches.
    pub fn since(&self, revision: u64) -> Vec<Past> {
        let mut all: Vec<Past> = Vec::new();
        for table in self.tables.iter().filter(|table| table.served) {
            let resource = &table.resource;
            let object = |stored: &Stored| whole(resource, resource.version(), stored.value());
            let newer = table.log.iter().rev().take_while(|event| event.revision > revision);
            all.extend(newer.map(|event| Past {
                revision: event.revision,
                verb: event.verb,
                resource: resource.qualified(),
                key: event.key.clone(),
                before: event.old.as_ref().map(object),
                after: object(&event.now),
            }));
        }
        all.sort_by_key(|past| past.revision);
        all
    }
}
