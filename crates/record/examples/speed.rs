//! How many writes a second become entries on one core, and how large these are:
//! `cargo run --release -p reckon-record --example speed`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::cast_precision_loss,
    reason = "it measures"
)]

use reckon_detect::State;
use reckon_model::record::Block;
use reckon_model::{ClusterId, Object, SignedDuration, Timestamp};
use reckon_record::{Memory, Noise, Recorder, kinds};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const WORKLOADS: usize = 200;
const ROUNDS: usize = 100;

fn deployment(i: usize, round: usize) -> Value {
    let name = format!("app-{i}");
    let fields = json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {"f:replicas": {}, "f:strategy": {"f:type": {}},
        "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:args": {}, "f:env": {}, "f:resources": {".": {}, "f:limits": {}}}}}}}});
    let image =
        json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:image": {}}}}}}});
    let time = format!("2026-01-01T{:02}:{:02}:00Z", 12 + round / 60, round % 60);
    let env: Value = (0..12).map(|n| json!({"name": format!("SETTING_{n}"), "value": format!("value-{n}")})).collect();
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": format!("team-{}", i % 10), "uid": format!("{i:032x}"),
        "resourceVersion": (round * WORKLOADS + i + 1_000_000).to_string(), "generation": round + 1, "creationTimestamp": "2026-01-01T11:00:00Z", "labels": {"app": name, "team": "blue"},
        "managedFields": [{"manager": "helm", "operation": "Update", "time": "2026-01-01T11:00:00Z", "fieldsV1": fields},
            {"manager": "argocd-controller", "operation": "Update", "time": time, "fieldsV1": image}]},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": name}}, "strategy": {"type": "RollingUpdate"}, "template": {"metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "app", "image": format!("registry.example/team/app:{round}"), "args": ["serve", "--port=8080"], "env": env,
                "resources": {"limits": {"memory": "512Mi"}}, "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}}}]}}},
        "status": {"replicas": 3, "readyReplicas": 3, "conditions": [{"type": "Available", "status": "True"}]}})
}

fn main() {
    let mut state = State::new(ClusterId::default());
    state.keep_steps();
    let mut recorder = Recorder::new(Noise::default(), Memory::default());
    let start: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    kinds().iter().for_each(|kind| recorder.listed(kind, None, start));
    let (mut taking, mut recording) = (Duration::ZERO, Duration::ZERO);
    let mut entries = Vec::new();
    let mut writes = 0;
    for round in 0..ROUNDS {
        let now = start + SignedDuration::from_mins(i64::try_from(round).unwrap());
        let objects: Vec<Object> = (0..WORKLOADS)
            .map(|i| Object::decode(deployment(i, round).to_string().as_bytes(), None).unwrap())
            .collect();
        for object in objects {
            let begin = Instant::now();
            state.apply(object);
            let steps = state.take_steps();
            taking += begin.elapsed();
            let begin = Instant::now();
            steps.iter().for_each(|step| recorder.step(&state, step, now));
            recording += begin.elapsed();
            writes += 1;
        }
        entries.extend(recorder.take().entries);
    }
    let json: usize = entries.iter().map(|entry| serde_json::to_vec(entry).unwrap().len()).sum();
    let begin = Instant::now();
    let packed: usize = Block::pack(&entries).unwrap().iter().map(|block| block.bytes.len()).sum();
    let packing = begin.elapsed();
    let per = |time: Duration| time.as_secs_f64() * 1e6 / writes as f64;
    println!(
        "{writes} writes of Deployments, {} entries: {:.1} µs a write to record ({:.0}/s), {:.1} µs to take in; an entry has {} bytes of \
         JSON, {:.0} packed in {:.1} µs",
        entries.len(),
        per(recording),
        writes as f64 / recording.as_secs_f64(),
        per(taking),
        json / entries.len(),
        packed as f64 / entries.len() as f64,
        packing.as_secs_f64() * 1e6 / entries.len() as f64,
    );
}
