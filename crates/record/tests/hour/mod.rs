//! An hour of a cluster that people and programs work on.

use crate::feed::Feed;
use reckon_model::record::Entry;
use reckon_model::{Kind, Object, SignedDuration};
use reckon_record::{Memory, Noise, Recorded, kinds};
use reckon_sim::{Clock, Config, Past, Rng, Server, Verb};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How large the cluster is, and how many half minutes it is watched for.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) pods: usize,
    pub(crate) steps: usize,
    /// Once in how many times ten seconds somebody decides something.
    pub(crate) one_in: u64,
}

pub(crate) struct Hour {
    server: Server,
    dice: Rng,
    workloads: usize,
    nodes: usize,
    left: usize,
    one_in: u64,
    count: u64,
    revision: u64,
    /// What was told of what was there at the beginning.
    pub(crate) first: Vec<Entry>,
    /// What is to be remembered of what was told.
    pub(crate) memory: Memory,
    pub(crate) feed: Feed,
    /// Which revisions people wrote, and as whom.
    pub(crate) wrote: BTreeMap<u64, String>,
    /// Which revisions an autoscaler wrote within its bounds.
    pub(crate) autoscaled: BTreeSet<u64>,
    /// The Deployments that have an autoscaler.
    pub(crate) scaled: BTreeSet<String>,
}

/// Lists everything that is there.
fn list(server: &Server, feed: &mut Feed) {
    let world = server.world();
    let resources: Vec<String> = world.resources().map(reckon_sim::Resource::qualified).collect();
    for resource in resources.iter().filter(|resource| !resource.starts_with("leases")) {
        for (key, _) in world.objects(resource) {
            let object = world.get(resource, &key.namespace, &key.name).unwrap();
            feed.state.apply(Object::decode(object.to_string().as_bytes(), None).unwrap());
        }
    }
}

const REPLICAS: usize = 10;
const SPACES: usize = 5;

fn space(i: usize) -> String {
    format!("team-{}", i % SPACES)
}

fn name(i: usize) -> String {
    format!("app-{i}")
}

impl Hour {
    pub(crate) fn new(plan: &Plan) -> Hour {
        let config = Config { seed: plan.seed, log_entries: 100_000, ..Config::default() };
        let server = Server::new(config, Clock::stepped(crate::feed::at("2026-01-01T11:00:00Z")));
        let (workloads, nodes) = (plan.pods / REPLICAS, plan.pods / 40 + 1);
        let mut scaled = BTreeSet::new();
        {
            let mut world = server.world();
            for i in 0..SPACES {
                world.create("namespaces", json!({"metadata": {"name": space(i)}})).unwrap();
                let role = json!({"metadata": {"name": "reader", "namespace": space(i)}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]});
                world.create_as("roles.rbac.authorization.k8s.io", role, "terraform").unwrap();
            }
            for i in 0..nodes {
                let amounts = json!({"cpu": "64", "memory": "256Gi", "pods": "110"});
                let ready = json!([{"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": "2026-01-01T11:00:00Z", "lastTransitionTime": "2026-01-01T11:00:00Z"}]);
                world.create("nodes", json!({"metadata": {"name": format!("node-{i}")}, "status": {"capacity": amounts, "allocatable": amounts, "conditions": ready}})).unwrap();
                let lease = json!({"metadata": {"name": format!("node-{i}"), "namespace": "default"}, "spec": {"holderIdentity": "x"}});
                world.create("leases.coordination.k8s.io", lease).unwrap();
            }
            for i in 0..workloads {
                let meta = json!({"name": name(i), "namespace": space(i), "labels": {"app": name(i)}});
                let container = json!({"name": "app", "image": "registry.example/app:1", "env": [{"name": "DB_PASSWORD", "value": "x0"}, {"name": "LEVEL", "value": "0"}]});
                let template = json!({"metadata": {"labels": {"app": name(i)}}, "spec": {"containers": [container]}});
                let spec =
                    json!({"replicas": REPLICAS, "selector": {"matchLabels": {"app": name(i)}}, "template": template});
                world.create_as("deployments.apps", json!({"metadata": meta, "spec": spec}), "helm").unwrap();
                world
                    .create_as(
                        "services",
                        json!({"metadata": meta, "spec": {"selector": {"app": name(i)}, "ports": [{"port": 80}]}}),
                        "helm",
                    )
                    .unwrap();
                world
                    .create_as("configmaps", json!({"metadata": meta, "data": {"level": "0", "text": "a"}}), "helm")
                    .unwrap();
                if i % 5 == 0 {
                    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": name(i)});
                    world.create("horizontalpodautoscalers.autoscaling", json!({"metadata": meta, "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 20}})).unwrap();
                    scaled.insert(name(i));
                }
            }
            world.step();
        }
        // Images are pulled, programs start.
        for _ in 0..8 {
            server.clock().advance(SignedDuration::from_secs(15));
            server.world().step();
        }
        let mut feed = Feed::starting(Noise::default(), Memory::default());
        feed.now = server.clock().now();
        list(&server, &mut feed);
        let revision = server.world().revision();
        let Recorded { entries: first, marks } = feed.steps();
        let mut memory = Memory::default();
        marks.into_iter().for_each(|(of, mark)| memory.learn(&of, mark));
        kinds().iter().for_each(|kind| feed.listed(kind));
        feed.steps();
        let pods = feed.state.objects(&Kind::Pod, None).count();
        assert!(pods >= plan.pods, "{pods}");
        Hour {
            server,
            dice: Rng::new(plan.seed),
            workloads,
            nodes,
            left: plan.steps,
            one_in: plan.one_in,
            count: 0,
            revision,
            first,
            memory,
            feed,
            wrote: BTreeMap::new(),
            autoscaled: BTreeSet::new(),
            scaled,
        }
    }

    /// Half a minute: each write of it, and what was told of it. `None` when the time is over.
    pub(crate) fn step(&mut self) -> Option<Vec<(Past, Vec<Entry>)>> {
        self.left = self.left.checked_sub(1)?;
        for _ in 0..3 {
            self.server.clock().advance(SignedDuration::from_secs(10));
            self.heartbeats();
            let acts = self.dice.below(self.one_in) == 0;
            if acts {
                self.act();
            }
            let mut world = self.server.world();
            // What only says that it is there makes nobody act.
            if acts || world.due().is_some_and(|due| due <= world.now()) {
                world.step();
            }
        }
        let past = self.server.world().since(self.revision);
        self.revision = self.server.world().revision();
        self.feed.now = self.server.clock().now();
        self.feed.recorder.tick(self.feed.now);
        let mut late = self.feed.steps().entries;
        Some(
            past.into_iter()
                .map(|past| {
                    let mut entries = std::mem::take(&mut late);
                    entries.retain(|entry| entry.fact.word() != "change");
                    entries.extend(self.tell(&past));
                    (past, entries)
                })
                .collect(),
        )
    }

    fn tell(&mut self, past: &Past) -> Vec<Entry> {
        if past.resource.starts_with("leases") {
            return Vec::new();
        }
        let object = Object::decode(past.after.to_string().as_bytes(), None).unwrap();
        match past.verb {
            Verb::Deleted => self.feed.state.delete(&object.reference(), self.feed.now),
            _ => self.feed.state.apply(object),
        }
        let Recorded { entries, marks } = self.feed.steps();
        marks.into_iter().for_each(|(of, mark)| self.memory.learn(&of, mark));
        entries
    }

    /// What another recorder tells that starts now and knows what was told.
    pub(crate) fn start_again(&self) -> Vec<Entry> {
        let lines = self.memory.lines();
        println!("{} bytes are remembered of each of {} objects", lines.len() / self.memory.len(), self.memory.len());
        let mut feed = Feed::starting(Noise::default(), Memory::read(Some(self.feed.now), &lines).unwrap());
        feed.now = self.feed.now;
        feed.pass(60);
        list(&self.server, &mut feed);
        let mut entries = feed.steps().entries;
        kinds().iter().for_each(|kind| feed.listed(kind));
        entries.extend(feed.steps().entries);
        entries
    }

    /// What a cluster writes to say nothing.
    fn heartbeats(&mut self) {
        self.count += 1;
        let mut world = self.server.world();
        let now = world.now().to_string();
        for i in 0..self.nodes {
            let node = format!("node-{i}");
            world.edit("leases.coordination.k8s.io", "default", &node, "kubelet", |lease| {
                lease["spec"]["renewTime"] = now.as_str().into();
            });
            if self.count.is_multiple_of(30) {
                world.edit("nodes", "", &node, "kubelet", |node| {
                    node["status"]["conditions"][0]["lastHeartbeatTime"] = now.as_str().into();
                });
            }
        }
        // Controllers that elect a leader renew their lease every two seconds.
        for _ in 0..5 {
            for i in 0..4 {
                let tick = self.dice.bits();
                world.edit(
                    "leases.coordination.k8s.io",
                    "default",
                    &format!("node-{}", i % self.nodes),
                    "controller",
                    |lease| lease["spec"]["leaseTransitions"] = tick.into(),
                );
            }
        }
        for i in (0..self.workloads).step_by(5) {
            // An autoscaler looks every 15 seconds.
            if !self.count.is_multiple_of(3) {
                let use_of = self.dice.below(100);
                world.edit(
                    "horizontalpodautoscalers.autoscaling",
                    &space(i),
                    &name(i),
                    "kube-controller-manager",
                    |scaler| scaler["status"]["currentMetrics"] = json!([{"use": use_of}]),
                );
            }
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.dice.below(bound as u64)).unwrap()
    }

    fn write(&mut self, resource: &str, namespace: &str, name: &str, manager: &str, change: impl FnOnce(&mut Value)) {
        let mut world = self.server.world();
        if world.edit(resource, namespace, name, manager, change) {
            self.wrote.insert(world.revision(), manager.to_owned());
        }
    }

    /// Somebody decides something.
    fn act(&mut self) {
        let (i, n) = (self.below(self.workloads), self.dice.below(1_000_000).to_string());
        let (namespace, name) = (space(i), name(i));
        match self.below(32) {
            0 => self.write("deployments.apps", &namespace, &name, "argocd-controller", |it| {
                it["spec"]["template"]["spec"]["containers"][0]["image"] = format!("registry.example/app:{n}").into();
            }),
            1 => self.write("deployments.apps", &namespace, &name, "kubectl-patch", |it| {
                it["spec"]["template"]["spec"]["containers"][0]["resources"] =
                    json!({"limits": {"memory": format!("{n}Ki")}});
            }),
            2 if !self.scaled.contains(&name) => {
                self.write("deployments.apps", &namespace, &name, "kubectl-scale", |it| {
                    it["spec"]["replicas"] = (8 + n.len()).into();
                });
            }
            2..5 => self.autoscale(i),
            5..9 => {
                self.write("configmaps", &namespace, &name, "kubectl-edit", |it| { it["data"]["level"] = n.into(); });
            }
            9 => self.write("configmaps", &namespace, &name, "helm", |it| {
                it["data"]["text"] = n.repeat(4_000).into();
                it["metadata"]["labels"]["tier"] = n.into();
            }),
            10 => self.write("configmaps", &namespace, &name, "kubectl-edit", |it| {
                let was = it["data"].as_object_mut().unwrap().remove("more").is_some();
                it["data"]["level"] = n.as_str().into();
                if !was {
                    it["data"]["more"] = n.into();
                }
            }),
            11..14 => self.write("roles.rbac.authorization.k8s.io", &namespace, "reader", "terraform", |it| {
                it["rules"] =
                    json!([{"apiGroups": [""], "resources": ["pods"], "resourceNames": [n], "verbs": ["get", "list"]}]);
            }),
            14..17 => self.write("deployments.apps", &namespace, &name, "kubectl-label", |it| {
                it["metadata"]["labels"]["tier"] = n.into();
            }),
            17 => self.write("deployments.apps", &namespace, &name, "kubectl-annotate", |it| {
                it["metadata"]["annotations"]["example.org/team.name"] = n.into();
            }),
            18..20 => {
                let node = format!("node-{}", self.below(self.nodes));
                self.write("nodes", "", &node, "kubectl-label", |it| { it["metadata"]["labels"]["pool"] = n.into(); });
            }
            20 => {
                let node = format!("node-{}", self.below(self.nodes));
                self.write("nodes", "", &node, "kubectl-cordon", |it| {
                    it["spec"]["unschedulable"] = (it["spec"]["unschedulable"] != true).into();
                });
            }
            21..24 => {
                let pod = self
                    .server
                    .world()
                    .objects("pods")
                    .find(|(key, _)| *key.namespace == *namespace)
                    .map(|(key, _)| key.name.to_string())
                    .unwrap();
                self.write("pods", &namespace, &pod, "kubectl-label", |it| {
                    it["metadata"]["labels"]["debug"] = n.into();
                });
            }
            24 => self.write("services", &namespace, &name, "kubectl-edit", |it| {
                it["spec"]["ports"][0]["targetPort"] = (1 + n.len() * 1000 + n.parse::<usize>().unwrap() % 1000).into();
            }),
            25 => self.write("deployments.apps", &namespace, &name, "kubectl-set", |it| {
                it["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = format!("x{n}").into();
            }),
            26 => self.write("configmaps", &namespace, &name, "controller", |it| {
                it["metadata"]["annotations"]["control-plane.alpha.kubernetes.io/leader"] = n.into();
            }),
            27 => drop(self.server.world().create_as(
                "configmaps",
                json!({"metadata": {"name": format!("extra-{n}"), "namespace": namespace}, "data": {"a": n}}),
                "kubectl-create",
            )),
            28 => {
                let extra = self
                    .server
                    .world()
                    .objects("configmaps")
                    .map(|(key, _)| key.clone())
                    .find(|key| key.name.starts_with("extra"));
                if let Some(key) = extra {
                    self.server.world().delete("configmaps", &key.namespace, &key.name).unwrap();
                }
            }
            29..31 => {
                let container = json!({"name": "job", "image": "registry.example/job:1"});
                let job = json!({"metadata": {"name": format!("job-{n}"), "namespace": namespace}, "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}});
                self.server.world().create_as("jobs.batch", job, "kubectl-create").unwrap();
            }
            _ => {
                let pod = self
                    .server
                    .world()
                    .objects("pods")
                    .find(|(key, _)| *key.namespace == *namespace)
                    .map(|(key, _)| key.name.to_string())
                    .unwrap();
                self.server.world().delete("pods", &namespace, &pod).unwrap();
            }
        }
    }

    fn autoscale(&mut self, i: usize) {
        let i = i / 5 * 5;
        let to = 9 + self.below(4);
        let before = self.server.world().revision();
        self.write("deployments.apps", &space(i), &name(i), "kube-controller-manager", |it| {
            it["spec"]["replicas"] = to.into();
        });
        let after = self.server.world().revision();
        if after > before {
            self.autoscaled.insert(after);
        }
    }
}
