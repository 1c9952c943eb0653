//! A made-up course of events, from what many scenarios have: objects come, change and go, time passes, questions are
//! answered or refused.

use super::{Answers, NOW, Scenario, complete, entries, list, relative};
use jiff::{SignedDuration, Timestamp};
use reckon_detect::{Diagnosis, Engine, Scope, State};
use reckon_model::{ClusterId, Gap, Kind, Object, Obstacle, ResourceRef};
use serde_json::Value;

/// Two engines that go through the same course: one looks again at what changed, the other at everything.
pub(crate) struct Course {
    objects: Vec<Value>,
    kernels: Vec<(String, Value)>,
    answers: Answers,
    known: Vec<ResourceRef>,
    now: Timestamp,
    quick: Engine,
    thorough: Engine,
    chance: Chance,
    /// Whether some objects come as nobody means them.
    mangles: bool,
    /// What happened, to be told when the two differ.
    told: Vec<String>,
    /// How many objects either looked at.
    pub(crate) looked_at: (usize, usize),
}

impl Course {
    /// A course from what these scenarios have; what happens follows from the seed.
    pub(crate) fn new(scenarios: &[&Scenario], seed: u64) -> Self {
        let engine = || {
            let mut state = State::new(ClusterId("course".into()));
            Kind::named().for_each(|kind| state.cover(kind, None));
            Engine::new(state)
        };
        let mut course = Course {
            objects: Vec::new(),
            kernels: Vec::new(),
            answers: Answers::default(),
            known: Vec::new(),
            now: NOW.parse().unwrap(),
            quick: engine(),
            thorough: engine(),
            chance: Chance(seed),
            mangles: false,
            told: Vec::new(),
            looked_at: (0, 0),
        };
        for scenario in scenarios {
            let input = scenario.input();
            course.objects.extend(list(input, "objects").iter().map(|object| complete(object, course.now)));
            course.kernels.extend(entries(input, "kernel").map(|(node, facts)| (node.clone(), facts.clone())));
            let mut unheard = engine();
            course.answers.learn(&mut unheard, input, course.now, SignedDuration::ZERO);
            for step in list(input, "then") {
                let now = course.now + relative(step["at"].as_str().unwrap()).unwrap();
                course.objects.extend(list(step, "apply").iter().map(|object| complete(object, now)));
            }
        }
        course
    }

    /// Lets one thing happen, and holds the answers of both engines against each other.
    pub(crate) fn step(&mut self) {
        match self.below(20) {
            0..12 => self.apply(),
            12..15 => self.delete(),
            15..18 => {
                let seconds = [1, 10, 29, 61, 300, 3600][self.below(6)];
                self.now += SignedDuration::from_secs(seconds);
                self.told.push(format!("{seconds} s pass"));
            }
            18 => {
                let kinds = [Kind::Pod, Kind::Node, Kind::Event, Kind::ReplicaSet, Kind::Secret];
                let kind = &kinds[self.below(kinds.len())];
                let refused = self.below(2) == 0;
                self.told.push(format!("{kind:?} is refused: {refused}"));
                for engine in [&mut self.quick, &mut self.thorough] {
                    let gap = Gap { what: kind.resource(), why: "no".into(), obstacle: Obstacle::Denied };
                    match refused {
                        true => engine.state_mut().refuse(kind, None, gap),
                        false => engine.state_mut().cover(kind, None),
                    }
                }
            }
            _ => self.rare(),
        }
        self.compare();
    }

    fn rare(&mut self) {
        let which = self.below(2);
        if which == 0 || self.kernels.is_empty() {
            self.told.push("answers are forgotten".to_owned());
            self.quick.state_mut().forget_answers();
            self.thorough.state_mut().forget_answers();
            return;
        }
        let at = self.below(self.kernels.len());
        let (node, mut facts) = self.kernels[at].clone();
        super::absolute(&mut facts, self.now, "");
        self.told.push(format!("the kernel of {node} tells"));
        for engine in [&mut self.quick, &mut self.thorough] {
            engine.state_mut().observe(&node, serde_json::from_value(facts.clone()).unwrap());
        }
    }

    fn apply(&mut self) {
        let at = self.below(self.objects.len());
        let mut json = self.objects[at].clone();
        if self.mangles && self.below(2) == 0 {
            super::mangle::some(&mut json, &mut self.chance);
        }
        let text = json.to_string();
        let object = match Object::decode(text.as_bytes(), None) {
            Ok(object) => object,
            // Who reads a cluster says that there is one that could not be read.
            Err(_) if self.mangles => return,
            Err(error) => panic!("{error}: {text}"),
        };
        let reference = object.reference();
        self.told.push(format!("{text} is applied"));
        self.quick.state_mut().apply(object.clone());
        self.thorough.state_mut().apply(object);
        self.known.retain(|known| *known != reference);
        self.known.push(reference);
    }

    fn delete(&mut self) {
        if self.known.is_empty() {
            return;
        }
        let at = self.below(self.known.len());
        let reference = self.known.remove(at);
        self.told.push(format!("{reference} is deleted"));
        self.quick.state_mut().delete(&reference, self.now);
        self.thorough.state_mut().delete(&reference, self.now);
    }

    fn compare(&mut self) {
        // As a driver does it: an answer may lead to the next question.
        for _ in 0..3 {
            let quick = self.quick.diagnose(&Scope::Cluster, self.now);
            self.thorough.forget_runs();
            let thorough = self.thorough.diagnose(&Scope::Cluster, self.now);
            self.looked_at.0 += self.quick.looked_at();
            self.looked_at.1 += self.thorough.looked_at();
            assert_eq!(words(&quick), words(&thorough), "after\n{}", self.told.join("\n"));
            if quick.demands.is_empty() {
                return;
            }
            for demand in quick.demands {
                let answer = self.answers.to(&demand);
                self.quick.state_mut().answer(demand.clone(), answer.clone());
                self.thorough.state_mut().answer(demand, answer);
            }
        }
    }

    /// The same with objects among the others that are mangled.
    pub(crate) fn mangled(scenarios: &[&Scenario], seed: u64) -> Self {
        Course { mangles: true, ..Course::new(scenarios, seed) }
    }

    fn below(&mut self, end: usize) -> usize {
        self.chance.below(end)
    }
}

/// Numbers that follow from a seed.
pub(super) struct Chance(u64);

impl Chance {
    /// One below this.
    pub(super) fn below(&mut self, end: usize) -> usize {
        // As `Order` mixes.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

fn words(diagnosis: &Diagnosis) -> String {
    format!("{diagnosis:#?}")
}
