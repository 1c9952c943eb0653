//! What is told of one step of one object.

use super::{KEYFRAME, Recorder};
use crate::change::Updated;
use crate::look::Look;
use crate::memory::{self, Mark};
use crate::{change, events, node, pod, release, sync, written};
use reckon_model::record::{Fact, Phase, Seen, Written};
use reckon_model::shared::digest;
use reckon_model::{Body, Kind, Object, Timestamp, Verb};

impl Recorder {
    /// An object appears: created just now, or there before somebody looked.
    pub(super) fn came(&mut self, look: &Look<'_>, object: &Object, version: &str) {
        if let Some(event) = events::event(object, look.noise) {
            // What another run heard is not told again.
            if look.since.is_none_or(|since| event.last_seen().is_none_or(|last| last > since)) {
                let told = self.events.hear(look, None, object, event);
                self.told.entries.extend(told);
            }
            return;
        }
        let mark = self.memory.take(&object.reference());
        let mark = match mark {
            Some(mark) if mark.uid != object.meta.uid => {
                // Another object of this name was there.
                self.left(object.reference(), &mark, look.now);
                None
            }
            mark => mark,
        };
        let news = mark.is_none() && self.is_news(look, object);
        match &mark {
            Some(mark) => self.came_again(look, object, version, mark),
            None if news => self.was_created(look, object, version),
            None => self.was_there(look, object, version),
        }
        self.came_with(look, object, news);
        if news && object.kind == Kind::Node {
            let at = look.moment(object.meta.created);
            self.told.entries.push(node::moved(look, at, object, "joined"));
        }
        if let Some(pod) = object.pod() {
            let before = match (&mark, self.memory.until) {
                (Some(mark), Some(until)) => pod::Before::Told(mark, until),
                _ => pod::Before::Nothing,
            };
            let deaths = pod::deaths(look, &before, object, pod);
            self.told.entries.extend(deaths);
        }
        self.mark(look, object, None, mark.as_ref());
    }

    /// Whether an object that appears was created since somebody looks.
    fn is_news(&self, look: &Look<'_>, object: &Object) -> bool {
        let listed = self.was_listed(&object.kind, object.namespace());
        // The API server cuts off the second in which it was; what was told of then has a mark.
        listed || look.since.zip(object.meta.created).is_some_and(|(since, made)| made.as_second() >= since.as_second())
    }

    fn was_created(&mut self, look: &Look<'_>, object: &Object, version: &str) {
        if !change::is_untold(look.noise, look.state, object) && !change::is_made(look.noise, object) {
            let (at, written) = change::created(look, object, version);
            self.told.entries.push(look.entry(at, object, Fact::Change(written)));
        }
        if let Some(pod) = object.pod() {
            self.told.entries.extend(pod::turn(look, None, object, pod));
        }
    }

    fn was_there(&mut self, look: &Look<'_>, object: &Object, version: &str) {
        let untold = change::is_untold(look.noise, look.state, object) || change::is_made(look.noise, object);
        let phase = object.pod().map(|pod| pod::seen(object, pod));
        if untold && phase.is_none() {
            return;
        }
        let seen = Seen {
            generation: object.meta.generation,
            version: version.to_owned(),
            object: (!untold).then(|| change::keyframe(object, look.noise)),
            phase,
        };
        self.told.entries.push(look.entry(look.now, object, Fact::Seen(seen)));
    }

    /// An object of which another run told: what differs since is not known, that it does is.
    fn came_again(&mut self, look: &Look<'_>, object: &Object, version: &str, mark: &Mark) {
        if let Some(digest) = mark.written
            && memory::of_written(&written::read(object, look.noise).written) != digest
        {
            let since = |at: &Option<Timestamp>| at.is_some_and(|at| look.since.is_none_or(|since| at > since));
            let last = crate::actor::last(None, object).filter(|(_, at)| since(at));
            let (actor, at) = last.unzip();
            let written = Written {
                verb: Verb::Updated,
                fields: Vec::new(),
                actor,
                generation: object.meta.generation,
                version: version.to_owned(),
                object: Some(change::keyframe(object, look.noise)),
                after: look.since,
            };
            self.told.entries.push(look.entry(look.moment(at.flatten()), object, Fact::Change(written)));
        }
        if let Some(pod) = object.pod() {
            self.told.entries.extend(pod::turn(look, mark.phase, object, pod));
        }
    }

    /// What an object's appearance says of others.
    fn came_with(&mut self, look: &Look<'_>, object: &Object, news: bool) {
        if !news {
            return;
        }
        let told = self.rollouts.revision(look, None, object);
        self.told.entries.extend(told);
        self.told.entries.extend(release::turn(look, None, object));
        self.told.entries.extend(sync::turn(look, None, object));
    }

    /// An object changed.
    pub(super) fn changed(&mut self, look: &Look<'_>, before: &Object, now: &Object, version: &str) {
        if let Some(event) = events::event(now, look.noise) {
            let old = match &before.body {
                Body::Event(old) => Some(&**old),
                _ => None,
            };
            let told = self.events.hear(look, old, now, event);
            self.told.entries.extend(told);
            return;
        }
        let Updated { mut told, written } = change::updated(look, before, now, version);
        let digest = written.as_ref().map(memory::of_written);
        if let Some((_, last)) = told.last_mut()
            && self.is_keyframe(now)
        {
            last.object = written.map(change::bounded);
        }
        let mut marked = digest.is_some();
        let entries = told.into_iter().map(|(at, written)| look.entry(at, now, Fact::Change(written)));
        self.told.entries.extend(entries);
        match (&before.body, &now.body) {
            (Body::Pod(old), Body::Pod(new)) => {
                let deaths = pod::deaths(look, &pod::Before::Pod(old), now, new);
                let turn = pod::turn(look, Some(pod::phase(before, old).0), now, new);
                marked |= !deaths.is_empty() || turn.is_some() || pod::count(old) != pod::count(new);
                self.told.entries.extend(deaths.into_iter().chain(turn));
            }
            (Body::Node(old), Body::Node(new)) => self.told.entries.extend(node::turns(look, old, now, new)),
            (Body::Workload(old), Body::Workload(new)) => {
                let told = self.rollouts.workload(look, (before, old), (now, new));
                self.told.entries.extend(told);
            }
            _ => {}
        }
        let told = self.rollouts.revision(look, Some(before), now);
        self.told.entries.extend(told);
        self.told.entries.extend(release::turn(look, Some(before), now));
        self.told.entries.extend(sync::turn(look, Some(before), now));
        if marked {
            self.mark(look, now, digest, None);
        }
    }

    /// An object is gone, seen at this time.
    pub(super) fn went(&mut self, look: &Look<'_>, at: Timestamp, object: &Object) {
        if events::event(object, look.noise).is_some() {
            return;
        }
        self.changes.remove(&digest(&object.meta.uid));
        let told = self.rollouts.forget(&object.reference());
        self.told.entries.extend(told);
        if let Some(pod) = object.pod() {
            self.told.entries.push(pod::gone(look, at, object, pod));
        }
        if object.kind == Kind::Node {
            self.told.entries.push(node::moved(look, at, object, "left"));
        }
        if !change::is_untold(look.noise, look.state, object) && !change::is_made(look.noise, object) {
            let written = change::deleted(look, object);
            self.told.entries.push(look.entry(at, object, Fact::Change(written)));
        }
        if self.is_marked(look, object) {
            self.told.marks.push((object.reference(), None));
        }
    }

    /// Whether this is the change with which all of an object is kept again.
    fn is_keyframe(&mut self, object: &Object) -> bool {
        let count = self.changes.entry(digest(&object.meta.uid)).or_default();
        *count = (*count + 1) % KEYFRAME;
        *count == 0
    }

    /// Whether something is remembered of an object: of what nothing is told as such nothing is.
    fn is_marked(&self, look: &Look<'_>, object: &Object) -> bool {
        let told = !change::is_untold(look.noise, look.state, object) && !change::is_made(look.noise, object);
        told || object.kind == Kind::Pod
    }

    /// Remembers what was told of an object, where that is another than what is remembered.
    fn mark(&mut self, look: &Look<'_>, object: &Object, digest: Option<u64>, before: Option<&Mark>) {
        if !self.is_marked(look, object) {
            return;
        }
        let made = change::is_made(look.noise, object);
        let pod = object.pod();
        let phase: Option<Phase> = pod.map(|pod| pod::phase(object, pod).0);
        let mark = Mark {
            uid: object.meta.uid.clone(),
            written: (!made)
                .then(|| digest.unwrap_or_else(|| memory::of_written(&written::read(object, look.noise).written))),
            deaths: pod.map_or(0, pod::count),
            phase,
        };
        if before != Some(&mark) {
            self.told.marks.push((object.reference(), Some(mark)));
        }
    }
}
