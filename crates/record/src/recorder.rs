//! The recorder: hears what becomes of objects, tells what is worth keeping.

mod steps;

use crate::events::Events;
use crate::look::Look;
use crate::memory::{Mark, Memory};
use crate::noise::Noise;
use crate::problems::Problems;
use crate::rollout::Rollouts;
use reckon_detect::{State, Step};
use reckon_model::document::Problem;
use reckon_model::record::{Entry, Fact, Unseen, Written};
use reckon_model::{Kind, ResourceRef, Timestamp, Verb};
use std::collections::BTreeMap;

/// With which change of an object all of it is kept again: whoever wants to see it as of a time does so many steps at most,
/// twenty fields where a step is one, and a twentieth of what all objects take is added to what their changes take.
pub const KEYFRAME: u8 = 20;

/// Hears what becomes of objects and tells what is worth keeping.
///
/// It keeps nothing of an object that only stays as it is: the state has it.
#[derive(Debug, Default)]
pub struct Recorder {
    noise: Noise,
    followed: BTreeMap<Scope, Followed>,
    memory: Memory,
    events: Events,
    rollouts: Rollouts,
    problems: Problems,
    /// Changes since all of it was kept last, of objects that changed, by a digest of their UID.
    changes: BTreeMap<u64, u8>,
    told: Recorded,
}

/// A kind in a namespace, or in the whole cluster.
type Scope = (Kind, Option<String>);

/// How far a kind was watched.
#[derive(Debug, Default)]
struct Followed {
    /// Whether it was listed once: what comes later was created since, or not seen for a reason.
    listed: bool,
    /// Since when it was not watched, and why.
    gap: Option<(Timestamp, String)>,
}

/// What came of hearing something.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    /// What happened, in the order in which it was heard.
    pub entries: Vec<Entry>,
    /// What to remember of objects beside the entries, for a recorder that starts again; `None`: nothing any more.
    pub marks: Vec<(ResourceRef, Option<Mark>)>,
}

impl Recorder {
    /// A recorder that takes up where another ended. What the memory does not hold and what is not younger than it was there
    /// before; without one, so is everything that is listed first.
    pub fn new(noise: Noise, memory: Memory) -> Self {
        Recorder { noise, memory, ..Recorder::default() }
    }

    /// Takes that these problems are open, as another run told it.
    pub fn resume_problems(&mut self, open: &[Problem]) {
        self.problems.resume(open);
    }

    /// Something became of an object. Call it for each of [`State::take_steps`], in order and before the next is applied:
    /// what is around the object is read from the state.
    pub fn step(&mut self, state: &State, step: &Step, now: Timestamp) {
        let object = match &step.now {
            Ok(now) => now,
            Err(_) => match &step.before {
                Some(before) => before,
                None => return,
            },
        };
        if self.noise.drops_kind(&object.kind) {
            return;
        }
        let since = self.gap(&object.kind, object.namespace());
        let noise = self.noise.clone();
        let look = Look { state, noise: &noise, now, since };
        match (&step.before, &step.now) {
            (Some(before), Ok(now)) if before.meta.uid == now.meta.uid => {
                self.changed(&look, before, now, &step.version);
            }
            (before, Ok(now)) => {
                if let Some(before) = before {
                    // Another object has its name: it was gone by then.
                    self.went(&look, look.moment(now.meta.created), before);
                }
                self.came(&look, now, &step.version);
            }
            (Some(before), Err(at)) => self.went(&look, *at, before),
            (None, Err(_)) => {}
        }
    }

    /// All objects of a kind in a scope (`None`: the whole cluster) have been heard of. What was told of before and did not
    /// come is gone, and where nobody watched for a time, that is told.
    pub fn listed(&mut self, kind: &Kind, namespace: Option<&str>, now: Timestamp) {
        let followed = self.followed.entry((kind.clone(), namespace.map(str::to_owned))).or_default();
        let first = !std::mem::replace(&mut followed.listed, true);
        let gap = followed.gap.take();
        let before = self.memory.until.filter(|until| first && *until < now);
        let why = || (before, "nothing ran that watches".to_owned());
        let (from, why) = gap.map_or_else(why, |(since, why)| (Some(since), why));
        if let Some(from) = from {
            let unseen = Unseen { from, to: now, resource: kind.resource(), why };
            let entry = Entry { at: now, subject: scope(namespace), workload: None, fact: Fact::Unseen(unseen) };
            self.told.entries.push(entry);
        }
        if first {
            for (reference, mark) in self.memory.rest(kind, namespace) {
                self.left(reference, &mark, now);
            }
        }
    }

    /// A kind is not watched any more, or was not for a time, since then: what differs when it is listed again happened at
    /// some time between.
    pub fn lost(&mut self, kind: &Kind, namespace: Option<&str>, since: Timestamp, why: &str) {
        let followed = self.followed.entry((kind.clone(), namespace.map(str::to_owned))).or_default();
        if followed.listed {
            match &mut followed.gap {
                Some((earliest, _)) => *earliest = since.min(*earliest),
                None => followed.gap = Some((since, why.to_owned())),
            }
        }
    }

    /// The problems as they are now.
    pub fn problems(&mut self, problems: &[Problem], now: Timestamp) {
        let entries = self.problems.see(problems, now);
        self.told.entries.extend(entries);
    }

    /// Time has passed: tells what was held back. To be called at [`Recorder::due`], and as often as one likes.
    pub fn tick(&mut self, now: Timestamp) {
        let (rollouts, events) = (self.rollouts.tick(now), self.events.tick(now));
        self.told.entries.extend(rollouts.into_iter().chain(events));
    }

    /// When there will be something to tell though nothing is heard; `None`: not before something is.
    pub fn due(&self) -> Option<Timestamp> {
        [self.rollouts.due(), self.events.due()].into_iter().flatten().min()
    }

    /// What is to be told since this was last asked.
    pub fn take(&mut self) -> Recorded {
        std::mem::take(&mut self.told)
    }

    /// Since when this kind was not watched, while what is heard happened at some time since.
    fn gap(&self, kind: &Kind, namespace: &str) -> Option<Timestamp> {
        let followed = self.follows(kind, namespace);
        match followed {
            Some(followed) if followed.listed => followed.gap.as_ref().map(|(since, _)| *since),
            // The first list tells what happened since another run.
            _ => self.memory.until,
        }
    }

    fn follows(&self, kind: &Kind, namespace: &str) -> Option<&Followed> {
        let of = |namespace: Option<String>| self.followed.get(&(kind.clone(), namespace));
        of(Some(namespace.to_owned())).or_else(|| of(None))
    }

    /// Whether this kind was listed once, so that what comes now was not there before.
    fn was_listed(&self, kind: &Kind, namespace: &str) -> bool {
        self.follows(kind, namespace).is_some_and(|followed| followed.listed)
    }

    /// What another run told of went while nobody watched.
    fn left(&mut self, reference: ResourceRef, mark: &Mark, now: Timestamp) {
        let subject = ResourceRef { uid: Some(mark.uid.clone()), ..reference.clone() };
        if let Some(phase) = mark.phase {
            let fact = Fact::Phase(crate::pod::gone_unseen(phase));
            self.told.entries.push(Entry { at: now, subject: subject.clone(), workload: None, fact });
        }
        if mark.written.is_some() {
            let written = Written {
                verb: Verb::Deleted,
                fields: Vec::new(),
                actor: None,
                generation: None,
                version: String::new(),
                object: None,
                after: self.memory.until,
            };
            self.told.entries.push(Entry { at: now, subject, workload: None, fact: Fact::Change(written) });
        }
        self.told.marks.push((reference, None));
    }
}

/// What a gap is a gap of: a namespace, or the cluster, which is called by its `kube-system`.
fn scope(namespace: Option<&str>) -> ResourceRef {
    ResourceRef::new(Kind::Namespace, None, namespace.unwrap_or("kube-system"))
}
