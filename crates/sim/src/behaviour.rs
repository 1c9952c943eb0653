//! What programs do, told from outside the cluster's objects: a demonstration's templates hold what real ones hold, and
//! nothing of how their containers are made to behave.

use crate::world::World;
use serde_json::Value;
use std::collections::BTreeMap;

/// How the containers of some pods behave.
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviour {
    /// The namespace of the pods.
    pub namespace: String,
    /// Labels that they carry, all of them.
    pub labels: BTreeMap<String, String>,
    /// Only containers of this image.
    pub image: Option<String>,
    /// The members of a script, as the kubelet reads them from an annotation: see `controllers/kubelet.rs`.
    pub script: Value,
}

impl World {
    /// Says how containers behave under a name that replaces what was said under it before; `None` takes it back. Of
    /// several that apply, the later in the order of names decides each member; the annotation of a pod decides before all.
    ///
    /// Like uses and logs this is no state of the cluster: a restored snapshot finds the programs as they are.
    pub fn behave(&mut self, name: &str, behaviour: Option<Behaviour>) {
        if self.behaviours.get(name) == behaviour.as_ref() {
            return;
        }
        match behaviour {
            Some(behaviour) => drop(self.behaviours.insert(name.to_owned(), behaviour)),
            None => drop(self.behaviours.remove(name)),
        }
        // No write tells the controllers that there is something to do.
        self.due_now();
    }

    /// What was said of a container.
    pub(crate) fn behaviour_of(&self, pod: &Value, image: &str) -> Value {
        let labels = &pod["metadata"]["labels"];
        let mut script = serde_json::Map::new();
        for behaviour in self.behaviours.values() {
            let applies = pod["metadata"]["namespace"] == *behaviour.namespace
                && behaviour.image.as_deref().is_none_or(|of| of == image)
                && behaviour.labels.iter().all(|(key, value)| labels[key.as_str()] == **value);
            if let Some(members) = behaviour.script.as_object().filter(|_| applies) {
                script.extend(members.clone());
            }
        }
        script.into()
    }
}
