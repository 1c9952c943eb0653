//! A large cluster in which many things are wrong at once, and what all of it costs to find.

use crate::world::now;
use anyhow::{Result, ensure};
use reckon_detect::{Diagnosis, Engine, Scope, State};
use reckon_model::{Answer, Demand, Kind, LogLine, Object, Specs};
use reckon_sim::{Bulk, Config, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Write;

/// Pods of the cluster.
pub(crate) const PODS: usize = 10_000;

/// One pod in so many is ill, each of another workload.
const ONE_ILL_IN: usize = 20;

/// How often a driver goes out for answers.
const ROUNDS: usize = 8;

/// Kinds that lead to Services, which a driver lists when it is asked.
const LEADING: [&str; 1] = ["Ingress"];

/// An engine that has read such a cluster and diagnosed nothing yet.
pub(crate) fn engine() -> Result<Engine> {
    let world = world()?;
    let specs = Specs::default();
    let mut engine = Engine::new(State::default().with_specs(specs.clone()));
    let ingress = Kind::of_group("networking.k8s.io", LEADING[0]);
    for (resource, kind) in [
        ("namespaces", Kind::Namespace),
        ("nodes", Kind::Node),
        ("deployments.apps", Kind::Deployment),
        ("replicasets.apps", Kind::ReplicaSet),
        ("services", Kind::Service),
        ("ingresses.networking.k8s.io", ingress.clone()),
        ("pods", Kind::Pod),
    ] {
        for (_, stored) in world.objects(resource) {
            engine.state_mut().apply(Object::decode_with(&specs, &stored.bytes, Some(&kind))?);
        }
    }
    for kind in reckon_detect::kinds().into_iter().chain([ingress]) {
        engine.state_mut().cover(&kind, None);
    }
    Ok(engine)
}

/// So many pods with their workloads, Services and Ingresses, and one pod in twenty ill in one of five ways.
fn world() -> Result<World> {
    let config = Config { controllers: false, keep_writes: false, ..Config::default() };
    let mut world = World::new(config, now()?);
    world.fill(&Bulk { pods: PODS, nodes: PODS / 100, namespaces: 20, bytes: 6000, workloads: true });
    let keys = |world: &World, resource: &str| -> Vec<(String, String)> {
        world.objects(resource).map(|(key, _)| (key.namespace.to_string(), key.name.to_string())).collect()
    };
    for (i, (namespace, name)) in keys(&world, "deployments.apps").into_iter().enumerate() {
        let service = json!({"metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}});
        ensure!(world.create("services", service).is_ok(), "no Service {name}");
        if i.is_multiple_of(5) {
            let backend = json!({"service": {"name": name, "port": {"number": 80}}});
            let ingress = json!({"metadata": {"name": name, "namespace": namespace},
                "spec": {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]}});
            ensure!(world.create("ingresses.networking.k8s.io", ingress).is_ok(), "no Ingress {name}");
        }
    }
    let ill: Vec<(String, String)> = keys(&world, "pods").into_iter().step_by(ONE_ILL_IN).collect();
    for (i, (namespace, name)) in ill.into_iter().enumerate() {
        world.edit("pods", &namespace, &name, "kubelet", |pod| fail(pod, i % 5));
    }
    Ok(world)
}

/// Makes a pod fail: it ends again and again, was killed for memory, has no image, is not ready, or finds no node.
fn fail(pod: &mut Value, how: usize) {
    // Longer ago than what is not ready is waited for.
    const SINCE: &str = "2025-12-31T23:45:00Z";
    for condition in pod["status"]["conditions"].as_array_mut().into_iter().flatten() {
        if condition["type"] == "Ready" || condition["type"] == "ContainersReady" {
            condition["status"] = "False".into();
            condition["lastTransitionTime"] = SINCE.into();
        }
    }
    let status = &mut pod["status"]["containerStatuses"][0];
    status["ready"] = false.into();
    let mut ended = |reason: &str, code: i64| {
        status["restartCount"] = 7.into();
        status["state"] = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}});
        status["lastState"] = json!({"terminated": {"reason": reason, "exitCode": code, "startedAt": SINCE,
            "finishedAt": "2025-12-31T23:55:00Z"}});
    };
    match how {
        0 => ended("Error", 1),
        1 => ended("OOMKilled", 137),
        2 => {
            let message = "rpc error: code = NotFound desc = failed to pull and unpack image \"registry.example/app:1.0\": not found";
            status["started"] = false.into();
            status["state"] = json!({"waiting": {"reason": "ImagePullBackOff", "message": message}});
        }
        3 => status["state"] = json!({"running": {"startedAt": "2025-12-31T23:00:00Z"}}),
        _ => {
            pod["spec"]["nodeName"] = Value::Null;
            pod["spec"]["containers"][0]["resources"]["requests"]["memory"] = "512Gi".into();
            let message = format!("0/{0} nodes are available: {0} Insufficient memory.", PODS / 100);
            pod["status"] = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
                "reason": "Unschedulable", "lastTransitionTime": SINCE, "message": message}]});
        }
    }
}

/// Diagnoses until nothing more is asked; every log says one line, and nothing else is there.
pub(crate) fn detect(engine: &mut Engine) -> Result<Diagnosis> {
    let now = now()?;
    for _ in 0..ROUNDS {
        let diagnosis = engine.diagnose(&Scope::Cluster, now);
        if diagnosis.demands.is_empty() {
            return Ok(diagnosis);
        }
        for demand in diagnosis.demands {
            let answer = match &demand {
                Demand::Log { .. } => {
                    Answer::Log(vec![LogLine { at: None, text: "fatal: the level is invalid".to_owned() }])
                }
                Demand::List { .. } | Demand::Events { .. } => Answer::Objects(Vec::new()),
                _ => Answer::NotFound,
            };
            engine.state_mut().answer(demand, answer);
        }
    }
    anyhow::bail!("still asks after {ROUNDS} rounds")
}

/// As a case: all that is wrong is found, so many times.
pub(crate) fn full(count: usize) -> Result<()> {
    let mut engine = engine()?;
    for _ in 0..count {
        engine.forget_runs();
        engine.forget_problems();
        let found = black_box(detect(&mut engine)?).problems;
        let failures: BTreeMap<&str, usize> = found.iter().fold(BTreeMap::new(), |mut counted, problem| {
            *counted.entry(&*problem.failure).or_default() += 1;
            counted
        });
        ensure!(found.len() >= PODS / ONE_ILL_IN * 9 / 10, "only {} problems: {failures:?}", found.len());
    }
    Ok(())
}

/// What finding all that is wrong may hold beside the state at its peak, in bytes (what is asked of detection: 50 MB).
const MOST_MEMORY: f64 = 50e6;

/// What it takes in seconds of one processor and in memory. Fails where it takes too much memory, which hardly varies from
/// run to run; the seconds are only told, as instructions are what is held against a threshold.
pub(crate) fn measure() -> Result<()> {
    let mut engine = engine()?;
    // What the set-up has freed goes back first, or what is used again counts for nothing.
    std::thread::sleep(std::time::Duration::from_secs(1));
    drop(black_box(vec![0_u8; 1 << 20]));
    let before = resident("VmRSS:")?;
    // The kernel's way to begin anew with the peak (proc(5)).
    std::fs::write("/proc/self/clear_refs", "5")?;
    let begun = processor()?;
    let diagnosis = detect(&mut engine)?;
    let seconds = (processor()? - begun) / 1e9;
    let peak = resident("VmHWM:")?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{PODS} pods, {} problems: {seconds:.2} s of one processor, {:.1} MB more at the peak beside {:.1} MB",
        diagnosis.problems.len(),
        (peak - before) / 1e6,
        before / 1e6
    )?;
    ensure!(peak - before <= MOST_MEMORY, "detection holds more than {:.0} MB", MOST_MEMORY / 1e6);
    let begun = processor()?;
    for _ in 0..10 {
        black_box(engine.diagnose(&Scope::Cluster, now()?));
    }
    writeln!(out, "told again when nothing changed: {:.3} s", (processor()? - begun) / 1e10)?;
    Ok(())
}

/// Nanoseconds of the processor that this thread has had.
fn processor() -> Result<f64> {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(schedule.split_whitespace().next().unwrap_or_default().parse()?)
}

/// Bytes of this process in memory: now, or at the most.
fn resident(what: &str) -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap_or_default();
    let kibibytes: f64 = line.split_whitespace().next().unwrap_or_default().parse()?;
    Ok(kibibytes * 1024.0)
}
