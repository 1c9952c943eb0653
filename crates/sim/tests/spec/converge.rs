//! A client that keeps the rules of lists and watches ends with what the server has, whatever broke on the way.

use crate::ask::{Sim, Stands, Watch, start_with};
use reckon_sim::{Config, Fault, FaultKind, Rng};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// Name to UID and version.
type State = BTreeMap<String, (String, u64)>;

/// The simplest client that keeps the rules.
#[derive(Default)]
struct Client {
    state: State,
    version: Option<u64>,
    watch: Option<Watch>,
}

fn identity(object: &Value) -> Option<(String, (String, u64))> {
    let text = |key: &str| object["metadata"][key].as_str().map(str::to_owned);
    Some((text("name")?, (text("uid")?, text("resourceVersion")?.parse().ok()?)))
}

impl Client {
    /// Goes on as far as it can now.
    fn go_on(&mut self, sim: &Sim) {
        if self.version.is_none() {
            self.list(sim);
        }
        let Some(version) = self.version else { return };
        if self.watch.is_none() {
            let path = format!("GET {MAPS}?watch=1&allowWatchBookmarks=true&resourceVersion={version}");
            let answer = sim.send(&path, &[], "");
            self.watch = answer.filter(|answer| answer.status() == 200).map(|answer| Watch::of(answer.into_body()));
        }
        let Some(watch) = &mut self.watch else { return };
        let (events, stands) = watch.now();
        for event in &events {
            if event["type"] == "ERROR" {
                self.version = None;
                continue;
            }
            let version = event["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
            self.version = self.version.map(|known: u64| known.max(version));
            let Some((name, now)) = identity(&event["object"]) else { continue };
            // What comes late is older than what is known.
            if self.state.get(&name).is_some_and(|known| known.1 > now.1) {
                continue;
            }
            match event["type"].as_str().unwrap() {
                "DELETED" => drop(self.state.remove(&name)),
                _ => drop(self.state.insert(name, now)),
            }
        }
        if stands != Stands::Open {
            self.watch = None;
        }
    }

    fn list(&mut self, sim: &Sim) {
        let mut state = State::new();
        let mut token = String::new();
        loop {
            let Some(answer) = sim.send(&format!("GET {MAPS}?limit=3&continue={token}"), &[], "") else { return };
            let mut body = Watch::of(answer.into_body());
            let Some(list) = body.whole() else { return };
            if list["kind"] != "ConfigMapList" {
                return;
            }
            state.extend(list["items"].as_array().unwrap().iter().filter_map(identity));
            match list["metadata"]["continue"].as_str() {
                Some(next) => next.clone_into(&mut token),
                None => {
                    self.state = state;
                    self.version = list["metadata"]["resourceVersion"].as_str().unwrap().parse().ok();
                    return;
                }
            }
        }
    }
}

fn random_fault(rng: &mut Rng) -> Fault {
    let kind = match rng.below(7) {
        0 => FaultKind::CutMidLine,
        1 => FaultKind::ExpiredInStream,
        2 => FaultKind::DuplicateEvents,
        3 => FaultKind::TooManyRequests { retry_after: 1 },
        4 => FaultKind::Unauthorized,
        5 => FaultKind::RevisionTooLarge,
        _ => FaultKind::Refuse { code: 500 },
    };
    Fault::new(kind).at("configmaps").times(1 + u32::try_from(rng.below(3)).unwrap())
}

#[test]
fn a_client_that_keeps_the_rules_converges() {
    for seed in 0..60 {
        let sim = start_with(Config { seed, controllers: false, log_entries: 20, ..Config::default() });
        let mut rng = Rng::new(seed);
        let mut client = Client::default();
        for step in 0..150 {
            let name = format!("m{}", rng.below(10));
            let mut world = sim.server.world();
            match rng.below(8) {
                0 | 1 => drop(world.create("configmaps", json!({"metadata": {"name": name}}))),
                2 | 3 => drop(
                    world.edit("configmaps", "default", &name, "t", |o| o["data"]["step"] = step.to_string().into()),
                ),
                4 => drop(world.delete("configmaps", "default", &name)),
                5 => drop(world.recreate("configmaps", "default", &name)),
                6 if rng.below(3) == 0 => world.restart(),
                7 if rng.below(2) == 0 => drop(world.fault(random_fault(&mut rng))),
                _ => {}
            }
            drop(world);
            if rng.below(2) == 0 {
                client.go_on(&sim);
            }
        }
        sim.server.world().fault_off(None);
        for _ in 0..4 {
            client.go_on(&sim);
        }
        let world = sim.server.world();
        let there: State = world
            .objects("configmaps")
            .map(|(key, stored)| (key.name.to_string(), (stored.uid.to_string(), stored.revision)))
            .collect();
        assert_eq!(client.state, there, "seed {seed}");
    }
}
