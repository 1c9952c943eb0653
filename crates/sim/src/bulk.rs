//! Many pods at once: 100,000 in seconds, each as large as real ones are, and changes of them by the ten thousand.

mod template;

use crate::rng::Rng;
use crate::store::{Key, Labels, Stored};
use crate::world::World;
use serde_json::json;
use std::sync::{Arc, OnceLock};
use template::{Slot, Template};

/// How many pods one workload has.
const REPLICAS: usize = 10;

/// What is made.
#[derive(Clone, Debug)]
pub struct Bulk {
    /// Pods, all running.
    pub pods: usize,
    /// Nodes that they run on.
    pub nodes: usize,
    /// Namespaces `bulk-0`, `bulk-1`, … that they are spread over.
    pub namespaces: usize,
    /// About how many bytes of JSON each pod has; about half of it are `managedFields`. Less than 6,000 is not possible.
    pub bytes: usize,
    /// Whether there is a Deployment and a ReplicaSet for every ten pods.
    pub workloads: bool,
}

impl Default for Bulk {
    fn default() -> Self {
        Bulk { pods: 100_000, nodes: 1000, namespaces: 100, bytes: 10_000, workloads: true }
    }
}

/// Drives changes of pods that were made in bulk.
#[derive(Debug)]
pub struct Churn {
    bulk: Bulk,
    template: Template,
    labels: Vec<Arc<Labels>>,
    /// Name and UID of each workload's ReplicaSet.
    sets: Vec<(String, String)>,
    seed: u64,
    rng: Rng,
    changes: u64,
}

impl World {
    /// Makes nodes, namespaces, workloads and pods. Names and bytes follow from the world's seed.
    pub fn fill(&mut self, bulk: &Bulk) -> Churn {
        let seed = self.rng.bits();
        for i in 0..bulk.namespaces.max(1) {
            let _ = self.create("namespaces", json!({"metadata": {"name": space(bulk, i * REPLICAS)}}));
        }
        for i in 0..bulk.nodes.max(1) {
            let _ = self.create("nodes", template::node(i, self.now));
        }
        let mut churn = Churn {
            bulk: bulk.clone(),
            template: template::pod(bulk.bytes, self.now),
            labels: (0..bulk.pods.div_ceil(REPLICAS)).map(|i| Arc::new(labels(i))).collect(),
            sets: Vec::new(),
            seed,
            rng: Rng::new(seed),
            changes: 0,
        };
        for i in 0..bulk.pods.div_ceil(REPLICAS) {
            let made = if bulk.workloads { self.bulk_workload(&churn, i) } else { None };
            let mut rng = Rng::new(seed ^ (1 << 56) ^ i as u64);
            churn.sets.push(made.unwrap_or_else(|| (format!("{}-{}", workload(i), rng.suffix(9)), rng.uid())));
        }
        for i in 0..bulk.pods {
            self.bulk_pod(&churn, i);
        }
        churn
    }

    /// Changes so many pods, chosen by the seed: a container was restarted.
    pub fn churn(&mut self, churn: &mut Churn, changes: u64) {
        for _ in 0..changes {
            let i = churn.rng.below(churn.bulk.pods.try_into().unwrap_or(u64::MAX));
            churn.changes += 1;
            self.bulk_pod(churn, usize::try_from(i).unwrap_or_default());
        }
    }

    fn bulk_pod(&mut self, churn: &Churn, i: usize) {
        let Some(table) = self.table("", "pods") else { return };
        let pod = BulkPod::new(churn, i);
        let key = Key::new(&pod.namespace, &pod.name);
        let labels = churn.labels[i / REPLICAS].clone();
        let fields: Arc<[String]> =
            [&pod.node, "Always", "default-scheduler", "default", "", "Running", &pod.ip, ""].map(str::to_owned).into();
        let restarts = churn.changes.to_string();
        self.put_bytes(table, key, |revision| {
            let revision_text = revision.to_string();
            let bytes = churn.template.fill(|slot| match slot {
                Slot::Name => &pod.name,
                Slot::Namespace => &pod.namespace,
                Slot::Uid => &pod.uid,
                Slot::Revision => &revision_text,
                Slot::Workload => &pod.workload,
                Slot::ReplicaSet => &pod.replica_set,
                Slot::OwnerUid => &pod.owner,
                Slot::Node => &pod.node,
                Slot::Ip => &pod.ip,
                Slot::Restarts => &restarts,
            });
            Stored { bytes, uid: pod.uid.as_str().into(), revision, labels, fields, parsed: OnceLock::new() }
        });
    }

    /// A Deployment and its ReplicaSet; the latter's name and UID.
    fn bulk_workload(&mut self, churn: &Churn, i: usize) -> Option<(String, String)> {
        let (name, namespace) = (workload(i), space(&churn.bulk, i * REPLICAS));
        let replicas = REPLICAS.min(churn.bulk.pods - i * REPLICAS);
        let labels = json!(labels(i));
        let spec = json!({"containers": [{"name": "app", "image": "registry.example/app:1.0"}]});
        let template = json!({"metadata": {"labels": labels}, "spec": spec});
        let status = json!({
            "observedGeneration": 1, "replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
        });
        let mut deployment = json!({
            "metadata": {"name": name, "namespace": namespace, "labels": labels,
                "annotations": {"deployment.kubernetes.io/revision": "1"}},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
            "status": status,
        });
        deployment["status"]["updatedReplicas"] = replicas.into();
        let deployment = self.create("deployments.apps", deployment).ok()?;
        // As the controller names it, so that it is taken for the Deployment's own.
        let hash = crate::controllers::hash(&deployment["spec"]["template"]);
        let mut set = json!({
            "metadata": {"name": format!("{name}-{hash}"), "namespace": namespace, "labels": labels,
                "annotations": {"deployment.kubernetes.io/revision": "1"},
                "ownerReferences": crate::world::controlled_by("apps/v1", "Deployment", &deployment)},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
            "status": status,
        });
        set["metadata"]["labels"]["pod-template-hash"] = hash.into();
        let set = self.create("replicasets.apps", set).ok()?;
        let text = |key: &str| set["metadata"][key].as_str().map(str::to_owned);
        Some((text("name")?, text("uid")?))
    }
}

/// What differs between pods; it follows from the seed and the pod's number.
struct BulkPod {
    name: String,
    namespace: String,
    uid: String,
    workload: String,
    replica_set: String,
    owner: String,
    node: String,
    ip: String,
}

impl BulkPod {
    fn new(churn: &Churn, i: usize) -> BulkPod {
        let group = i / REPLICAS;
        let (replica_set, owner) = churn.sets[group].clone();
        let mut rng = Rng::new(churn.seed ^ (2 << 56) ^ i as u64);
        BulkPod {
            name: format!("{replica_set}-{}{}", rng.suffix(4), i % REPLICAS),
            namespace: space(&churn.bulk, i),
            uid: rng.uid(),
            workload: workload(group),
            owner,
            replica_set,
            node: template::node_name(i % churn.bulk.nodes.max(1)),
            ip: format!("10.{}.{}.{}", 128 + (i >> 16), (i >> 8) & 255, i & 255),
        }
    }
}

fn workload(group: usize) -> String {
    const WORDS: [&str; 8] = ["api", "web", "worker", "cache", "search", "billing", "mail", "report"];
    format!("{}-{group}", WORDS[group % WORDS.len()])
}

fn labels(group: usize) -> Labels {
    let name = workload(group);
    let pairs = [("app", name.as_str()), ("app.kubernetes.io/name", &name), ("tier", "bulk")];
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

fn space(bulk: &Bulk, i: usize) -> String {
    format!("bulk-{}", i / REPLICAS % bulk.namespaces.max(1))
}
