//! What the cases work on: pods as the simulated API server makes them in bulk, some of them ill, and changes of them.

use anyhow::{Context, Result};
use reckon_detect::{Engine, State};
use reckon_model::{Kind, Object, Specs, Timestamp};
use reckon_sim::{Bulk, Churn, Config, World};
use serde_json::json;

/// One pod in so many is killed again and again.
const ONE_ILL_IN: usize = 100;

/// The moment of every run: the same counts come from the same bytes.
pub(crate) fn now() -> Result<Timestamp> {
    "2026-01-01T00:00:00Z".parse().context("a moment")
}

/// So many pods with their workloads and nodes.
pub(crate) fn world(pods: usize) -> Result<(World, Churn)> {
    let config = Config { controllers: false, keep_writes: false, ..Config::default() };
    let mut world = World::new(config, now()?);
    let churn = world.fill(&Bulk { pods, nodes: 20, namespaces: 10, ..Bulk::default() });
    let ill: Vec<(String, String)> = world
        .objects("pods")
        .step_by(ONE_ILL_IN)
        .map(|(key, _)| (key.namespace.to_string(), key.name.to_string()))
        .collect();
    for (namespace, name) in ill {
        world.edit("pods", &namespace, &name, "kubelet", |pod| {
            let status = &mut pod["status"]["containerStatuses"][0];
            status["ready"] = false.into();
            status["restartCount"] = 7.into();
            status["state"] = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}});
            status["lastState"] = json!({"terminated": {
                "reason": "OOMKilled", "exitCode": 137,
                "startedAt": "2025-12-31T23:50:00Z", "finishedAt": "2025-12-31T23:55:00Z",
            }});
        });
    }
    Ok((world, churn))
}

/// The pods as the server would send them.
pub(crate) fn pods(world: &World) -> Vec<Vec<u8>> {
    world.objects("pods").map(|(_, stored)| stored.bytes.to_vec()).collect()
}

/// An engine that has read the whole world and diagnosed nothing yet, and what it was decoded with.
pub(crate) fn engine(world: &World) -> Result<(Engine, Specs)> {
    let specs = Specs::default();
    let mut engine = Engine::new(State::default().with_specs(specs.clone()));
    for (resource, kind) in [
        ("namespaces", Kind::Namespace),
        ("nodes", Kind::Node),
        ("deployments.apps", Kind::Deployment),
        ("replicasets.apps", Kind::ReplicaSet),
        ("pods", Kind::Pod),
    ] {
        for (_, stored) in world.objects(resource) {
            engine.state_mut().apply(Object::decode_with(&specs, &stored.bytes, Some(&kind))?);
        }
    }
    for kind in reckon_detect::kinds() {
        engine.state_mut().cover(&kind, None);
    }
    Ok((engine, specs))
}
