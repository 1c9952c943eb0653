//! A cluster's story as watches tell it: each kind in its order, the kinds in any. After every word of it, who looked at
//! what changed says what somebody says who looks at everything.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use reckon_demo::Demo;
use reckon_detect::{Engine, Scope, State};
use reckon_model::{Answer, ClusterId, Kind, Object, ResourceRef, SignedDuration, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// A word of a watch.
enum Word {
    Written(Box<Object>),
    Gone(ResourceRef),
}

/// What was told of a kind: the revisions by namespace and name, and when the next of them is due.
struct Watch {
    kind: Kind,
    told: BTreeMap<(String, String), u64>,
    words: VecDeque<Word>,
}

impl Watch {
    /// Takes what was written since, in the order of its writing; between two looks an object may have had several states,
    /// of which a watch may leave out all but the last.
    fn look(&mut self, demo: &Demo) {
        let world = demo.server().world();
        let mut written = Vec::new();
        let mut there = BTreeMap::new();
        for (key, stored) in world.objects(&self.kind.resource()) {
            let name = (key.namespace.to_string(), key.name.to_string());
            if self.told.get(&name) != Some(&stored.revision) {
                written.push((stored.revision, Object::decode(&stored.bytes, Some(&self.kind)).unwrap()));
            }
            there.insert(name, stored.revision);
        }
        for (namespace, name) in self.told.keys().filter(|name| !there.contains_key(*name)) {
            let namespace = Some(namespace.as_str()).filter(|namespace| !namespace.is_empty());
            self.words.push_back(Word::Gone(ResourceRef::new(self.kind.clone(), namespace, name)));
        }
        written.sort_by_key(|(revision, _)| *revision);
        self.words.extend(written.into_iter().map(|(_, object)| Word::Written(Box::new(object))));
        self.told = there;
    }
}

struct Pair {
    quick: Engine,
    thorough: Engine,
    looked_at: (usize, usize),
}

impl Pair {
    fn hear(&mut self, word: Word, now: Timestamp) {
        for engine in [&mut self.quick, &mut self.thorough] {
            match &word {
                Word::Written(object) => engine.state_mut().apply((**object).clone()),
                Word::Gone(reference) => engine.state_mut().delete(reference, now),
            }
        }
    }

    fn compare(&mut self, now: Timestamp) {
        for _ in 0..3 {
            let quick = self.quick.diagnose(&Scope::Cluster, now);
            self.thorough.forget_runs();
            let thorough = self.thorough.diagnose(&Scope::Cluster, now);
            self.looked_at.0 += self.quick.looked_at();
            self.looked_at.1 += self.thorough.looked_at();
            assert_eq!(format!("{quick:#?}"), format!("{thorough:#?}"), "at {now}");
            if quick.demands.is_empty() {
                return;
            }
            for demand in quick.demands {
                for engine in [&mut self.quick, &mut self.thorough] {
                    engine.state_mut().answer(demand.clone(), Answer::NotFound);
                }
            }
        }
    }
}

/// Of the story so much passes between two looks.
const STEP: SignedDuration = SignedDuration::from_secs(20);

/// So many words of a look are compared one by one: of a storm of them the first, then only how it ends.
const ONE_BY_ONE: usize = 6;

#[test]
fn after_every_prefix_of_a_story_looking_again_gives_what_looking_at_everything_gives() {
    for seed in [1, 2] {
        let mut demo = Demo::new(seed, "2026-05-04T09:00:00Z".parse().unwrap());
        let engine = || {
            let mut state = State::new(ClusterId("story".into()));
            Kind::named().for_each(|kind| state.cover(kind, None));
            Engine::new(state)
        };
        let mut pair = Pair { quick: engine(), thorough: engine(), looked_at: (0, 0) };
        let mut watches: Vec<Watch> = Kind::named()
            .map(|kind| Watch { kind: kind.clone(), told: BTreeMap::new(), words: VecDeque::new() })
            .collect();
        let mut chance = seed;
        let (mut heard, mut compared) = (0, 0);
        let end = demo.begin() + Demo::length();
        let mut now = demo.begin();
        while now < end {
            demo.advance_to(now);
            watches.iter_mut().for_each(|watch| watch.look(&demo));
            let mut alone = 0;
            loop {
                // Words of one kind keep their order; whose turn it is, nobody knows. A kind may stay behind for a while.
                let waiting: Vec<usize> = (0..watches.len()).filter(|at| !watches[*at].words.is_empty()).collect();
                if waiting.is_empty() {
                    break;
                }
                chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = waiting[usize::try_from(chance >> 33).unwrap() % waiting.len()];
                if waiting.len() == 1 && chance.is_multiple_of(4) && now + STEP < end {
                    break;
                }
                let word = watches[at].words.pop_front().unwrap();
                pair.hear(word, now);
                heard += 1;
                if now > demo.begin() && alone < ONE_BY_ONE {
                    pair.compare(now);
                    alone += 1;
                    compared += 1;
                }
            }
            pair.compare(now);
            now += STEP;
        }
        assert!(compared > 100, "{compared} of {heard}");
        assert!(pair.looked_at.0 * 10 < pair.looked_at.1, "{:?} objects were looked at", pair.looked_at);
    }
}
