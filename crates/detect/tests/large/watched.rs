//! An engine that follows a large cluster, and counts what it looks at.

use crate::cluster::Cluster;
use reckon_detect::{Diagnosis, Engine, Scope, State};
use reckon_model::{Answer, ClusterId, Demand, Kind, LogLine, Object, ResourceRef, SignedDuration, Timestamp};
use serde_json::Value;

/// A cluster that was diagnosed once, and whatever is asked of it afterwards is answered.
pub(crate) struct Watched {
    pub(crate) engine: Engine,
    pub(crate) now: Timestamp,
    /// What every container says.
    pub(crate) log: String,
    /// How many questions were answered.
    pub(crate) asked: usize,
}

/// How often a driver goes out for answers.
const ROUNDS: usize = 8;

impl Watched {
    /// Of this cluster, after these changes, diagnosed once.
    pub(crate) fn new(cluster: &Cluster, changes: &[Value]) -> Watched {
        let mut engine = Engine::new(State::new(ClusterId("large".into())));
        for object in cluster.objects().iter().chain(changes) {
            engine.state_mut().apply(decoded(object));
        }
        let ingress = Kind::of_group("networking.k8s.io", "Ingress");
        for kind in Kind::named().cloned().chain([ingress]) {
            engine.state_mut().cover(&kind, None);
        }
        let mut watched = Watched {
            engine,
            now: "2026-01-01T12:00:00Z".parse().unwrap(),
            log: "fatal: invalid level".to_owned(),
            asked: 0,
        };
        watched.settle();
        watched
    }

    /// Diagnoses until nothing more is asked, and tells how many objects were looked at in all of the rounds.
    pub(crate) fn settle(&mut self) -> (Diagnosis, usize) {
        let mut looked_at = 0;
        self.now += SignedDuration::from_secs(1);
        for _ in 0..ROUNDS {
            let diagnosis = self.engine.diagnose(&Scope::Cluster, self.now);
            looked_at += self.engine.looked_at();
            if diagnosis.demands.is_empty() {
                return (diagnosis, looked_at);
            }
            for demand in &diagnosis.demands {
                self.asked += 1;
                self.engine.state_mut().answer(demand.clone(), answer(demand, &self.log));
            }
        }
        panic!("still asks after {ROUNDS} rounds");
    }

    /// How many objects are looked at when these change.
    pub(crate) fn looked_at_for(&mut self, objects: &[Value]) -> usize {
        for object in objects {
            self.engine.state_mut().apply(decoded(object));
        }
        self.settle().1
    }
}

pub(crate) fn decoded(object: &Value) -> Object {
    Object::decode(object.to_string().as_bytes(), None).unwrap()
}

fn answer(demand: &Demand, log: &str) -> Answer {
    match demand {
        Demand::Log { .. } => Answer::Log(vec![LogLine { at: None, text: log.to_owned() }]),
        Demand::List { .. } | Demand::Events { .. } | Demand::PodsOn { .. } => Answer::Objects(Vec::new()),
        _ => Answer::NotFound,
    }
}

impl Watched {
    /// How many objects are looked at when this one goes.
    pub(crate) fn looked_at_without(&mut self, kind: Kind, namespace: &str, name: &str) -> usize {
        let reference = ResourceRef::new(kind, Some(namespace), name);
        assert!(self.engine.state().holds(&reference), "{reference} is not there");
        self.engine.state_mut().delete(&reference, self.now);
        self.settle().1
    }
}
