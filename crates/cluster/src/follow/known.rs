//! What was delivered: names, UIDs and versions. Enough to tell news from what is old, and to say what is gone.

use super::version::Version;
use super::witness::Told;
use crate::planted::{Bug, planted};
use reckon_model::{Kind, Object, ResourceRef};
use std::collections::{BTreeSet, HashMap, VecDeque};

/// UIDs whose death is remembered, so that a late word about one of them does not raise it. Late words come within
/// seconds; that many deaths of one kind take longer.
const GRAVES: usize = 4096;

/// Objects that cannot be decoded whose names are remembered; beyond, nothing is concluded from what is missing.
const UNREAD: usize = 1000;

/// Namespace and name.
pub(super) type Key = (Box<str>, Box<str>);

/// What was delivered of one kind in one scope.
#[derive(Debug, Default)]
pub(crate) struct Known {
    objects: HashMap<Key, Seen>,
    graves: Graves,
    /// Counts lists: what carries an older number was not in the last one.
    pass: u32,
    /// Names of objects that could not be decoded.
    unread: BTreeSet<Box<str>>,
    /// Whether this pass met an object it could not name: then nothing can be said to be gone.
    blind: bool,
    /// Whether this list showed something older than what is known, or alive that was dead: it, or the history, is of the past.
    behind: bool,
    /// The newest object that was told of.
    newest: Told,
}

#[derive(Debug)]
pub(super) struct Seen {
    pub(super) uid: Box<str>,
    pub(super) version: Version,
    pass: u32,
}

/// What an object that arrives is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Saw {
    New,
    Same,
    /// Another object had this name; its UID.
    Replacement(Box<str>),
    /// Older than what is known: a late word, or a server that lags.
    Old,
    /// It was seen to die at an earlier version: a history in which it had not.
    Risen,
}

/// What a deletion that arrives is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Death {
    New,
    /// That of another object of this name as well, whose own was never told; its UID.
    OfBoth(Box<str>),
    /// Told already, or a late word about what is known to live on under another UID.
    Old,
    /// It was seen to die before, at another version: two histories.
    Again,
}

impl Known {
    /// A list begins.
    pub(super) fn begin(&mut self) {
        self.pass = self.pass.wrapping_add(1);
        self.unread.clear();
        self.blind = false;
        self.behind = false;
    }

    /// Whether the list that runs showed something of the past.
    pub(super) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Whether nothing can be concluded from what is missing.
    pub(super) fn is_blind(&self) -> bool {
        self.blind
    }

    /// An object of the list that runs, or of the watch after it.
    pub(super) fn saw(&mut self, object: &Object) -> Saw {
        let (uid, now) = (object.meta.uid.as_str(), Version::of(&object.meta.resource_version));
        let key: Key = (object.namespace().into(), object.meta.name.as_str().into());
        if let Some(grave) = self.graves.of(uid)
            && !planted(Bug::ForgetsTheDead)
        {
            self.behind = true;
            return if grave.version.is_before(now) { Saw::Risen } else { Saw::Old };
        }
        self.newest.replaced_by(&key.0, &key.1, uid, now);
        let pass = self.pass;
        let Some(seen) = self.objects.get_mut(&key) else {
            self.objects.insert(key, Seen { uid: uid.into(), version: now, pass });
            return Saw::New;
        };
        seen.pass = pass;
        if now.is_before(seen.version) && !planted(Bug::TravelsInTime) {
            self.behind = true;
            return Saw::Old;
        }
        if &*seen.uid == uid || planted(Bug::NamesForUids) {
            let same = seen.version == now && now != Version::None && !planted(Bug::RepeatsItself);
            seen.version = now;
            return if same { Saw::Same } else { Saw::New };
        }
        let before = std::mem::replace(seen, Seen { uid: uid.into(), version: now, pass });
        self.graves.dig(&before.uid, now, false);
        Saw::Replacement(before.uid)
    }

    /// An object that could not be decoded.
    pub(super) fn saw_broken(&mut self, name: Option<&str>) {
        let Some(name) = name.filter(|_| self.unread.len() < UNREAD) else {
            self.blind = true;
            return;
        };
        self.unread.insert(name.into());
        let pass = self.pass;
        self.objects.iter_mut().filter(|((_, known), _)| &**known == name).for_each(|(_, seen)| seen.pass = pass);
    }

    /// A deletion that the watch tells.
    pub(super) fn died(&mut self, gone: &ResourceRef, at: Version) -> Death {
        let uid = gone.uid.as_deref().unwrap_or_default();
        if let Some(grave) = self.graves.of(uid)
            && !planted(Bug::DiesTwice)
        {
            let twice = grave.exact && grave.version != at;
            return if twice { Death::Again } else { Death::Old };
        }
        let key: Key = (gone.namespace().into(), gone.name.as_str().into());
        self.unread.remove(&*gone.name);
        match self.objects.get(&key) {
            Some(seen) if at.is_before(seen.version) => return Death::Old,
            _ => {}
        }
        self.graves.dig(uid, at, true);
        match self.objects.remove(&key) {
            // Of what could not be decoded, and of what came and went unseen, no UID is known.
            Some(seen) if &*seen.uid != uid && !uid.is_empty() => {
                self.graves.dig(&seen.uid, at, false);
                Death::OfBoth(seen.uid)
            }
            _ => Death::New,
        }
    }

    /// What the list at this version did not have, in order of names.
    pub(super) fn sweep(&mut self, kind: &Kind, at: Version) -> Vec<ResourceRef> {
        if self.blind || planted(Bug::NeverSweeps) {
            return Vec::new();
        }
        let pass = self.pass;
        let gone: Vec<(Key, Seen)> = self.objects.extract_if(|_, seen| seen.pass != pass).collect();
        gone.iter().for_each(|(_, seen)| self.graves.dig(&seen.uid, at, false));
        let mut gone: Vec<ResourceRef> =
            gone.into_iter().map(|((namespace, name), seen)| reference(kind, &namespace, &name, &seen.uid)).collect();
        gone.sort();
        gone
    }

    /// All of it goes: the kind is served no longer.
    pub(super) fn clear(&mut self, kind: &Kind) -> Vec<ResourceRef> {
        self.begin();
        self.sweep(kind, Version::None)
    }

    /// Takes out what is in a namespace.
    pub(crate) fn split_off(&mut self, namespace: &str) -> Known {
        let objects = self.objects.extract_if(|(of, _), _| &**of == namespace).collect();
        Known { objects, ..Known::default() }
    }

    /// What others have delivered beside this, whose watches have ended.
    pub(crate) fn inherit(&mut self, other: Known) {
        // Lists are counted by each for itself: what was inherited was in none.
        let never = self.pass.wrapping_sub(1);
        self.objects.extend(other.objects.into_iter().map(|(key, seen)| (key, Seen { pass: never, ..seen })));
        self.unread.extend(other.unread);
        self.blind |= other.blind;
    }

    /// The history was rewound: whatever is listed next is news, whatever its version.
    pub(super) fn rewind(&mut self) {
        self.graves = Graves::default();
        self.newest = Told::default();
        if planted(Bug::KeepsLostVersions) {
            return;
        }
        self.objects.values_mut().for_each(|seen| seen.version = Version::None);
    }

    /// The newest object that was told of since the history began.
    pub(super) fn newest(&self) -> &Told {
        &self.newest
    }

    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<&Seen> {
        self.objects.get(&(namespace.into(), name.into()))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Seen)> {
        self.objects.iter()
    }

    pub(super) fn is_unread(&self, name: &str) -> bool {
        self.unread.contains(name)
    }

    /// When this UID was seen to die, if it was.
    pub(super) fn grave(&self, uid: &str) -> Option<&Grave> {
        self.graves.of(uid)
    }
}

pub(super) fn reference(kind: &Kind, namespace: &str, name: &str, uid: &str) -> ResourceRef {
    ResourceRef {
        kind: kind.clone(),
        namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
        name: name.to_owned(),
        uid: (!uid.is_empty()).then(|| uid.to_owned()),
    }
}

/// The death of one UID.
#[derive(Debug)]
pub(super) struct Grave {
    /// Of the death itself, or a later one at which it was dead.
    pub(super) version: Version,
    /// Whether it is that of the death itself.
    pub(super) exact: bool,
}

/// The last deaths.
#[derive(Debug, Default)]
struct Graves {
    by_uid: HashMap<Box<str>, Grave>,
    order: VecDeque<Box<str>>,
}

impl Graves {
    fn of(&self, uid: &str) -> Option<&Grave> {
        self.by_uid.get(uid)
    }

    fn dig(&mut self, uid: &str, version: Version, exact: bool) {
        if uid.is_empty() || self.by_uid.contains_key(uid) {
            return;
        }
        if self.order.len() >= GRAVES
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_uid.remove(&oldest);
        }
        self.by_uid.insert(uid.into(), Grave { version, exact });
        self.order.push_back(uid.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, uid: &str, version: u32) -> Object {
        let json = format!(
            r#"{{"metadata":{{"name":"{name}","namespace":"shop","uid":"{uid}","resourceVersion":"{version}"}}}}"#
        );
        Object::decode(json.as_bytes(), Some(&Kind::ConfigMap)).unwrap()
    }

    fn death(known: &mut Known, name: &str, uid: &str, version: &str) -> Death {
        known.died(&reference(&Kind::ConfigMap, "shop", name, uid), Version::of(version))
    }

    #[test]
    fn a_late_word_changes_nothing() {
        let mut known = Known::default();
        known.begin();
        assert_eq!(known.saw(&object("a", "1", 5)), Saw::New);
        assert_eq!(known.saw(&object("a", "1", 5)), Saw::Same);
        assert_eq!(known.saw(&object("a", "1", 4)), Saw::Old);
        assert_eq!(known.saw(&object("a", "2", 7)), Saw::Replacement("1".into()));
        // The death of the first and what came before it.
        assert_eq!(death(&mut known, "a", "1", "6"), Death::Old);
        assert_eq!(known.saw(&object("a", "1", 5)), Saw::Old);
        assert_eq!(death(&mut known, "a", "2", "8"), Death::New);
        assert_eq!(death(&mut known, "a", "2", "8"), Death::Old);
        assert_eq!(known.saw(&object("a", "2", 7)), Saw::Old);
    }

    #[test]
    fn who_dies_twice_or_rises_lived_in_two_histories() {
        let mut known = Known::default();
        known.saw(&object("a", "1", 5));
        assert_eq!(death(&mut known, "a", "1", "6"), Death::New);
        assert_eq!(death(&mut known, "a", "1", "9"), Death::Again);
        assert_eq!(known.saw(&object("a", "1", 9)), Saw::Risen);
    }

    #[test]
    fn the_death_of_a_successor_that_was_never_seen_is_that_of_both() {
        let mut known = Known::default();
        known.saw(&object("a", "1", 5));
        assert_eq!(death(&mut known, "a", "2", "9"), Death::OfBoth("1".into()));
    }

    #[test]
    fn deaths_beyond_the_bound_are_forgotten_oldest_first() {
        let mut graves = Graves::default();
        for i in 0..=GRAVES {
            graves.dig(&format!("u{i}"), Version::Number(1), true);
        }
        assert!(graves.of("u0").is_none() && graves.of("u1").is_some());
        assert_eq!((graves.by_uid.len(), graves.order.len()), (GRAVES, GRAVES));
    }
}
