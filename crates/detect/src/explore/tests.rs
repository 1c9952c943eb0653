//! How far a question reaches, and what it asks for on the way.

use crate::{Engine, Scope, State};
use reckon_model::{Answer, ClusterId, Demand, Kind, Object, ResourceRef};
use serde_json::{Value, json};

fn decoded(value: &Value) -> Object {
    Object::decode(value.to_string().as_bytes(), None).unwrap()
}

/// The demands of each round about an Ingress that leads to so many Services, of which none exists.
fn rounds(backends: usize) -> Vec<usize> {
    let kind = Kind::of_group("networking.k8s.io", "Ingress");
    let path = |at: usize| json!({"path": format!("/{at}"), "backend": {"service": {"name": format!("s{at}")}}});
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "front", "namespace": "shop"},
        "spec": {"rules": [{"http": {"paths": (0..backends).map(path).collect::<Vec<_>>()}}]}});
    let mut engine = Engine::new(State::new(ClusterId("c".into())));
    engine.state_mut().apply(decoded(&ingress));
    let scope = Scope::Object(ResourceRef::new(kind, Some("shop"), "front"));
    let mut asked = Vec::new();
    for _ in 0..8 {
        let diagnosis = engine.diagnose(&scope, "2026-01-01T12:00:00Z".parse().unwrap());
        if diagnosis.demands.is_empty() {
            assert!(diagnosis.sentence.ends_with("which does not exist."), "{}", diagnosis.sentence);
            return asked;
        }
        asked.push(diagnosis.demands.len());
        for demand in diagnosis.demands {
            let answer = match demand {
                Demand::List { .. } => Answer::Objects(Vec::new()),
                _ => Answer::NotFound,
            };
            engine.state_mut().answer(demand, answer);
        }
    }
    panic!("still asks");
}

#[test]
fn services_behind_an_ingress_are_asked_for_one_by_one_only_where_they_are_few() {
    let few = rounds(3);
    assert!(few[0] >= 3, "{few:?}");
    let first = rounds(10_000)[0];
    assert!(first < 10, "{first}");
}

#[test]
fn however_many_an_ingress_names_so_many_are_asked_for_at_most() {
    let most = rounds(10_000).into_iter().max().unwrap();
    assert!(most <= 510, "{most}");
}
