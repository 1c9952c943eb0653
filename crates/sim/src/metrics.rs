//! `metrics.k8s.io`: what nodes and pods use, as the world says it.

use crate::body::Answer;
use crate::clock::seconds;
use crate::request::{Call, Target};
use crate::selection::Selection;
use crate::status::ApiError;
use crate::store::Key;
use crate::world::World;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The group that is served.
pub(crate) const GROUP: &str = "metrics.k8s.io";

/// What something uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU in billionths of a core.
    pub cpu_nanos: u64,
    /// The working set in bytes.
    pub memory_bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Usages {
    nodes: BTreeMap<String, Usage>,
    /// By pod and container.
    pods: BTreeMap<Key, BTreeMap<String, Usage>>,
}

impl Usages {
    pub(crate) fn forget_pod(&mut self, key: &Key) {
        self.pods.remove(key);
    }
}

impl Usage {
    fn json(self) -> Value {
        json!({"cpu": format!("{}n", self.cpu_nanos), "memory": format!("{}Ki", self.memory_bytes / 1024)})
    }
}

impl World {
    /// Says what a container uses.
    pub fn use_container(&mut self, namespace: &str, pod: &str, container: &str, usage: Usage) {
        self.usages.pods.entry(Key::new(namespace, pod)).or_default().insert(container.to_owned(), usage);
    }

    /// Says what a node uses.
    pub fn use_node(&mut self, node: &str, usage: Usage) {
        self.usages.nodes.insert(node.to_owned(), usage);
    }

    pub(crate) fn metrics_called(&mut self, call: &Call, target: &Target) -> Result<Answer, ApiError> {
        if call.method != http::Method::GET {
            return Err(ApiError::method_not_allowed());
        }
        let (kind, pods) = match target.plural.as_str() {
            "pods" => ("PodMetrics", true),
            "nodes" => ("NodeMetrics", false),
            _ => return Err(ApiError::no_such_resource()),
        };
        let Some(table) = self.table("", &target.plural) else { return Err(ApiError::no_such_resource()) };
        let table = &self.tables[table];
        let selection = Selection::of(&call.query, &table.resource, target.name.as_deref())?;
        let now = seconds(self.now);
        let mut items = Vec::new();
        for (key, stored) in table.range(target.namespace.as_deref(), None) {
            if !selection.matches(key, stored) {
                continue;
            }
            let mut meta = json!({"name": &*key.name, "creationTimestamp": now});
            if !stored.labels.is_empty() {
                meta["labels"] = json!(*stored.labels);
            }
            let mut item = json!({"metadata": meta, "timestamp": now, "window": "15s"});
            if pods {
                let Some(used) = self.usages.pods.get(key) else { continue };
                item["metadata"]["namespace"] = (*key.namespace).into();
                let containers = used.iter().map(|(name, usage)| json!({"name": name, "usage": usage.json()}));
                item["containers"] = containers.collect();
            } else {
                let Some(used) = self.usages.nodes.get(&*key.name) else { continue };
                item["usage"] = used.json();
            }
            items.push(item);
        }
        if let Some(name) = &target.name {
            let Some(mut item) = items.pop() else {
                let kind = if pods { "podmetrics" } else { "nodemetrics" };
                return Err(ApiError::not_found(GROUP, kind, name));
            };
            item["kind"] = kind.into();
            item["apiVersion"] = "metrics.k8s.io/v1beta1".into();
            return Ok(Answer::json(200, &item));
        }
        Ok(Answer::json(
            200,
            &json!({"kind": format!("{kind}List"), "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items}),
        ))
    }
}
