//! Plays `reckon node`: what the kernels of the machines tell about memory, in the logs of its pods.

use jiff::{SignedDuration, Timestamp};
use reckon_model::Quantity;
use reckon_model::k8s::bare_id;
use reckon_model::kernel::{
    CgroupLevel, ContainerUse, MemoryBreakdown, MemoryKind, NodeReport, OomEpisode, OomScope, Origin, Victim,
};
use reckon_sim::World;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How long before the story the readings of memory begin.
const READ_BEFORE: i64 = 6 * 60;

/// How many minutes are between two readings.
const EVERY: i64 = 9;

/// What was told already.
#[derive(Debug, Default)]
pub(crate) struct Kernels {
    deaths: BTreeSet<String>,
    /// The minute of the story of the last reading.
    read: i64,
}

/// The memory that image-resizer holds at a minute of the story, in bytes: half a MiB more in each.
pub(crate) fn resizer_holds(minute: i64) -> u64 {
    u64::try_from((660 + minute) << 19).unwrap_or(0)
}

impl Kernels {
    /// The first lines: which machine it is, and what was read in the hours before.
    pub(crate) fn start(&mut self, world: &mut World, begin: Timestamp) {
        for (node, ..) in crate::ground::NODES {
            let since = begin.checked_sub(SignedDuration::from_hours(24 * 9)).ok();
            let start = NodeReport::Start {
                node: node.to_owned(),
                boot_id: Some(format!("3f0c1a52-77d4-4b1e-9a55-{:0>12}", node.replace(['-', 'i', 'p'], ""))),
                since,
                not_checked: Vec::new(),
            };
            tell(world, node, &start);
        }
        let mut minute = -READ_BEFORE;
        while minute < 0 {
            self.reading(world, begin, minute);
            minute += EVERY;
        }
        self.read = minute - EVERY;
    }

    /// What is new: kills, and readings where one is due.
    pub(crate) fn write(&mut self, world: &mut World, begin: Timestamp) {
        let pods: Vec<Arc<Value>> = world.objects("pods").map(|(_, stored)| stored.shared()).collect();
        for pod in &pods {
            for status in pod["status"]["containerStatuses"].as_array().into_iter().flatten() {
                for state in ["state", "lastState"] {
                    let ended = &status[state]["terminated"];
                    let id = ended["containerID"].as_str().unwrap_or_default();
                    if ended["reason"] == "OOMKilled" && self.deaths.insert(id.to_owned()) {
                        let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
                        let episode = killed(pod, status["name"].as_str().unwrap_or_default(), ended);
                        tell(world, node, &NodeReport::Episode(Box::new(episode)));
                    }
                }
            }
        }
        let minute = world.now().duration_since(begin).as_secs() / 60;
        while self.read + EVERY <= minute {
            self.read += EVERY;
            self.reading(world, begin, self.read);
        }
    }

    fn reading(&self, world: &mut World, begin: Timestamp, minute: i64) {
        let at = begin.checked_add(SignedDuration::from_mins(minute)).unwrap_or(begin);
        let floor = resizer_holds(minute);
        // In the order of lists, which the seed decides as it does all else.
        let pods: Vec<(String, String)> = world
            .objects("pods")
            .filter(|(key, _)| &*key.namespace == "shop" && key.name.starts_with("image-resizer-"))
            .filter_map(|(_, stored)| {
                let pod = stored.shared();
                let id = pod["status"]["containerStatuses"][0]["containerID"].as_str()?;
                Some((pod["spec"]["nodeName"].as_str()?.to_owned(), bare_id(id).to_owned()))
            })
            .collect();
        for (node, id) in pods {
            let uses = vec![ContainerUse { id, floor, peak: floor + (9 << 20) }];
            tell(world, &node, &NodeReport::Uses { at, uses });
        }
    }
}

/// Writes a report into the log of the machine's own pod.
fn tell(world: &mut World, node: &str, report: &NodeReport) {
    let pods = world.objects("pods").filter(|(key, _)| &*key.namespace == "reckon");
    let own =
        pods.filter(|(_, stored)| stored.shared()["spec"]["nodeName"] == node).map(|(key, _)| key.name.to_string());
    let Some(pod) = own.into_iter().next() else { return };
    if let Ok(line) = serde_json::to_string(report) {
        world.log("reckon", &pod, "node", &line);
    }
}

/// The kernel's report of a kill at the container's own limit.
fn killed(pod: &Value, container: &str, ended: &Value) -> OomEpisode {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let uid = text(&pod["metadata"]["uid"]);
    let id = bare_id(ended["containerID"].as_str().unwrap_or_default()).to_owned();
    let mut containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let spec = containers.find(|spec| spec["name"] == container).unwrap_or(&Value::Null);
    let limit = Quantity::new(spec["resources"]["limits"]["memory"].as_str().unwrap_or_default()).value();
    let limit = u64::try_from(limit.unwrap_or(0)).unwrap_or(0);
    let path = format!(
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice/cri-containerd-{id}.scope",
        uid.replace('-', "_")
    );
    // Names of threads end at 15 bytes.
    let comm: String = container.chars().take(15).collect();
    // Ids are random already.
    let pid = 2_000 + id.bytes().fold(0, |sum: u32, byte| (sum * 31 + u32::from(byte)) % 30_000);
    let (file, kernel) = (limit / 64, limit / 50);
    let anon = limit.saturating_sub(file).saturating_sub(kernel);
    OomEpisode {
        constraint: Some("CONSTRAINT_MEMCG".to_owned()),
        scope: Some(OomScope::Memcg),
        invoker: Some(comm.clone()),
        victims: vec![Victim {
            comm,
            pid,
            anon_kib: Some(anon >> 10),
            file_kib: Some(file >> 10),
            shmem_kib: Some(0),
            oom_score_adj: Some(975),
            origin: Some(Origin::First),
        }],
        oom_memcg: Some(path.clone()),
        level: Some(CgroupLevel::Container),
        task_memcg: Some(path),
        pod_uid: Some(uid),
        container_id: Some(id.clone()),
        usage_kib: Some(limit >> 10),
        limit_kib: Some(limit >> 10),
        kind: Some(MemoryKind::Anon),
        at: ended["finishedAt"].as_str().and_then(|at| at.parse().ok()),
        order: Some(0),
        cpuset: Some(format!("cri-containerd-{id}.scope")),
        trigger_container_id: Some(id),
        breakdown: Some(MemoryBreakdown { anon, file, kernel, ..MemoryBreakdown::default() }),
        ..OomEpisode::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::company::workload;

    #[test]
    fn the_resizer_stays_below_its_limit_for_as_long_as_the_story_is() {
        let limit = workload("shop", "image-resizer").and_then(|workload| workload.limit).unwrap_or_default();
        let limit = u64::try_from(Quantity::new(limit).value().unwrap_or(0)).unwrap_or(0);
        assert!(resizer_holds(-READ_BEFORE) > 0);
        assert!(resizer_holds(crate::story::LENGTH.as_secs() / 60) < limit);
    }
}
