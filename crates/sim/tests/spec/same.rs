//! The same seed gives the same bytes.

use crate::ask::start_with;
use reckon_sim::{Bulk, Config, Fault, FaultKind, Rng};
use serde_json::json;

/// Everything that a client is told in a run of writes under faults.
fn run(seed: u64) -> String {
    let sim = start_with(Config { seed, ..Config::default() });
    let mut rng = Rng::new(seed);
    let mut churn = sim.server.world().fill(&Bulk { pods: 6, nodes: 2, namespaces: 2, bytes: 6000, workloads: true });
    sim.server.world().fault(Fault::new(FaultKind::DropEvents).one_in(3));
    sim.server.world().fault(Fault::new(FaultKind::DuplicateEvents).one_in(4));
    let mut told = String::new();
    let mut watch = sim.watch("/api/v1/pods?watch=1");
    for step in 0..20 {
        sim.advance(1);
        sim.server.world().churn(&mut churn, rng.below(3));
        let body = json!({"metadata": {"generateName": "x-"}, "data": {"step": step.to_string()}});
        told += &sim.ask("POST /api/v1/namespaces/default/configmaps", &body).text;
        for event in watch.now().0 {
            told += &event.to_string();
        }
        sim.server.world().step();
    }
    told + &sim.get("/api/v1/pods").text
}

#[test]
fn a_seed_decides_every_byte() {
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}
