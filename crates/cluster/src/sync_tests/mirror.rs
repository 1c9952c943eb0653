//! What a user of the following sees, and whether that is right.

use crate::ListEvent;
use reckon_model::{Kind, SignedDuration, Timestamp};
use reckon_sim::{Server, Verb, Write};
use std::collections::{BTreeMap, HashMap};

/// One name of one kind.
type Name = (Kind, String, String);

/// A stretch of which it was said that it may be incomplete.
#[derive(Debug)]
struct Gap {
    since: Timestamp,
    until: Timestamp,
}

/// Whether a kind is shown as fresh.
#[derive(Debug, Default)]
struct Freshness {
    /// What it is since: `true` from the moment.
    turns: Vec<(Timestamp, bool)>,
}

impl Freshness {
    fn turn(&mut self, now: Timestamp, fresh: bool) {
        if self.turns.last().is_none_or(|(_, before)| *before != fresh) {
            self.turns.push((now, fresh));
        }
    }

    fn is_fresh(&self) -> bool {
        self.turns.last().is_some_and(|(_, fresh)| *fresh)
    }

    /// Whether it was shown as fresh at all times between.
    fn was_fresh(&self, from: Timestamp, to: Timestamp) -> bool {
        let at_first = self.turns.iter().rev().find(|(at, _)| *at <= from).is_some_and(|(_, fresh)| *fresh);
        at_first && !self.turns.iter().any(|(at, fresh)| *at > from && *at <= to && !fresh)
    }
}

/// All that was delivered.
#[derive(Debug)]
pub(super) struct Mirror {
    server: Server,
    objects: BTreeMap<Name, (String, u64)>,
    /// When each version of each object was told; a rewinding begins anew.
    told: HashMap<(Kind, String, u64), Vec<Timestamp>>,
    told_this_epoch: HashMap<(Kind, String), u64>,
    deaths: HashMap<(Kind, String), Vec<Timestamp>>,
    open: BTreeMap<Kind, Timestamp>,
    gaps: BTreeMap<Kind, Vec<Gap>>,
    fresh: BTreeMap<Kind, Freshness>,
    pub(super) log: Vec<String>,
    pub(super) wrong: Vec<String>,
}

impl Mirror {
    pub(super) fn new(server: Server, kinds: &[Kind]) -> Mirror {
        // Before the first list nothing was told.
        let start = server.clock().now();
        Mirror {
            server,
            objects: BTreeMap::new(),
            told: HashMap::new(),
            told_this_epoch: HashMap::new(),
            deaths: HashMap::new(),
            open: kinds.iter().map(|kind| (kind.clone(), start)).collect(),
            gaps: BTreeMap::new(),
            fresh: BTreeMap::new(),
            log: Vec::new(),
            wrong: Vec::new(),
        }
    }

    fn accuse(&mut self, what: String) {
        let at = self.server.clock().now();
        self.wrong.push(format!("{at} {what}"));
    }

    pub(super) fn hear(&mut self, event: ListEvent) {
        let now = self.server.clock().now();
        match event {
            ListEvent::Object(object) => {
                let version: u64 = object.meta.resource_version.parse().unwrap_or_default();
                let uid = object.meta.uid.clone();
                let kind = object.kind.clone();
                self.log.push(format!("{now} +{kind} {} {uid}@{version}", object.meta.name));
                let name = (kind.clone(), object.namespace().to_owned(), object.meta.name.clone());
                match self.told_this_epoch.insert((kind.clone(), uid.clone()), version) {
                    Some(before) if before == version => self.accuse(format!("{name:?}@{version} told twice")),
                    Some(before) if before > version => {
                        self.accuse(format!("{name:?} went back from {before} to {version}"));
                    }
                    _ => {}
                }
                let before = self.objects.insert(name.clone(), (uid.clone(), version));
                if let Some((other, _)) = before.filter(|(before, _)| *before != uid) {
                    self.accuse(format!("{name:?}: {other} was never told to be gone"));
                }
                self.told.entry((kind, uid, version)).or_default().push(now);
            }
            ListEvent::Deleted(gone, _) => {
                let uid = gone.uid.clone().unwrap_or_default();
                self.log.push(format!("{now} -{} {} {uid}", gone.kind, gone.name));
                let name = (gone.kind.clone(), gone.namespace().to_owned(), gone.name.clone());
                match self.objects.get(&name) {
                    Some((known, _)) if *known == uid => {
                        self.objects.remove(&name);
                    }
                    Some((known, _)) => {
                        let known = known.clone();
                        // Its namesake's death: told, but not of this one.
                        if uid.is_empty() {
                            self.accuse(format!("{name:?}: {known} was told to be gone with another"));
                        }
                    }
                    None => {}
                }
                if self.deaths.contains_key(&(gone.kind.clone(), uid.clone())) && self.epoch() == 0 {
                    self.accuse(format!("{name:?}: {uid} told to be gone twice"));
                }
                if self.lives(&gone.kind, &name, &uid) {
                    self.accuse(format!("{name:?}: {uid} lives"));
                }
                self.deaths.entry((gone.kind, uid)).or_default().push(now);
            }
            ListEvent::Listed { kind, namespace: Some(namespace) } => {
                self.log.push(format!("{now} listed {kind} in {namespace}"));
            }
            ListEvent::Listed { kind, namespace: None } => {
                self.log.push(format!("{now} listed {kind}"));
                if let Some(since) = self.open.remove(&kind) {
                    self.gaps.entry(kind.clone()).or_default().push(Gap { since, until: now });
                }
                self.fresh.entry(kind).or_default().turn(now, true);
            }
            ListEvent::Relisting { kind, since, rewound, reason, .. } => {
                self.log.push(format!("{now} relisting {kind} since {since}: {reason}"));
                if rewound {
                    self.told_this_epoch.retain(|(told, _), _| *told != kind);
                }
                let open = self.open.entry(kind.clone()).or_insert(since);
                *open = since.min(*open);
                self.fresh.entry(kind).or_default().turn(now, false);
            }
            ListEvent::Interrupted { kind, gap, .. } | ListEvent::Refused { kind, gap, .. } => {
                self.log.push(format!("{now} stale {kind}: {}", gap.why));
                self.fresh.entry(kind).or_default().turn(now, false);
            }
            ListEvent::Resumed { kind, namespace } => {
                self.log.push(format!("{now} resumed {kind}"));
                // One namespace of many makes no kind fresh.
                if namespace.is_some() {
                    return;
                }
                self.fresh.entry(kind).or_default().turn(now, true);
            }
            ListEvent::Skipped { kind, gap } => self.accuse(format!("{kind}: {}: {}", gap.what, gap.why)),
        }
    }

    fn epoch(&self) -> u32 {
        self.server.world().writes().epoch()
    }

    /// Whether an object that was told to be gone never was.
    fn lives(&self, kind: &Kind, (_, namespace, name): &Name, uid: &str) -> bool {
        let world = self.server.world();
        let there = world.get(&kind.resource(), namespace, name);
        let alive = there.is_some_and(|object| object["metadata"]["uid"] == uid);
        alive && !world.writes().all().iter().any(|write| &*write.uid == uid && write.verb == Verb::Deleted)
    }

    /// Compares what was told with every write; `times` says when each was.
    /// `undone` has the revision that each rewinding went back to.
    pub(super) fn judge(&mut self, kinds: &[Kind], times: &[Timestamp], undone: &[u64], leave: &Leave) {
        let writes: Vec<Write> = self.server.world().writes().all().to_vec();
        // Who was restored from a backup dies twice.
        let mut died: HashMap<&str, Vec<Timestamp>> = HashMap::new();
        for (write, at) in writes.iter().zip(times).filter(|(write, _)| write.verb == Verb::Deleted) {
            died.entry(&*write.uid).or_default().push(*at);
        }
        let mut newest: HashMap<&str, u64> = HashMap::new();
        for (_, uid, version) in self.told.keys() {
            let entry = newest.entry(uid).or_default();
            *entry = (*version).max(*entry);
        }
        let mut wrong = Vec::new();
        for (write, at) in writes.iter().zip(times) {
            let Some(kind) = kinds.iter().find(|kind| kind.name() == write.kind) else { continue };
            let uid = write.uid.to_string();
            let told = match write.verb {
                Verb::Deleted => self.deaths.get(&(kind.clone(), uid.clone())),
                _ => self.told.get(&(kind.clone(), uid.clone(), write.revision)),
            };
            let told = told.and_then(|told| told.iter().find(|told| *told >= at)).copied();
            let gaps = self.gaps.get(kind).map_or(&[][..], Vec::as_slice);
            let in_gap = gaps.iter().any(|gap| gap.since <= *at && *at <= gap.until);
            // What came after something newer of the same object is told no more.
            let newer = newest.get(&*uid).is_some_and(|newest| *newest > write.revision);
            // Nor is what came and went before anybody looked.
            let soon = SignedDuration::ZERO..=SignedDuration::from_secs(600);
            let dead =
                died.get(&*uid).is_some_and(|died| died.iter().any(|died| soon.contains(&died.duration_since(*at))));
            let overtaken = leave.overtaken && (newer || dead);
            // What was undone before it was told never was, for all that anybody can find out.
            let undone = undone.get(write.epoch as usize).is_some_and(|back_to| write.revision > *back_to);
            let what = || format!("{} {:?} {uid}@{} of {at}", write.kind, write.verb, write.revision);
            match told {
                None if in_gap || overtaken || undone => {}
                // A history that was rewound for a moment came to the same version of the same object, which was told.
                None if write.epoch > 0
                    && writes.iter().any(|twin| {
                        twin.epoch < write.epoch && (&twin.uid, twin.revision) == (&write.uid, write.revision)
                    })
                    && self.told.contains_key(&(kind.clone(), uid.clone(), write.revision)) => {}
                None => wrong.push(format!("{} was lost", what())),
                Some(told) => {
                    let late = at.checked_add(leave.late).unwrap_or(Timestamp::MAX);
                    let fresh = self.fresh.get(kind).is_some_and(|fresh| fresh.was_fresh(*at, late));
                    if told > late && fresh && !in_gap && !overtaken && !undone {
                        wrong.push(format!("{} was told at {told} and nothing called stale", what()));
                    }
                }
            }
        }
        self.wrong.extend(wrong);
    }

    /// Compares the objects with those there are.
    pub(super) fn settled(&mut self, kinds: &[Kind]) {
        let mut there = BTreeMap::new();
        {
            let world = self.server.world();
            for kind in kinds {
                for (key, stored) in world.objects(&kind.resource()) {
                    let name = (kind.clone(), key.namespace.to_string(), key.name.to_string());
                    there.insert(name, (stored.uid.to_string(), stored.revision));
                }
            }
        }
        let only = |a: &BTreeMap<Name, (String, u64)>, b: &BTreeMap<Name, (String, u64)>| {
            a.iter().filter(|(name, object)| b.get(*name) != Some(object)).map(|x| format!("{x:?}")).collect::<Vec<_>>()
        };
        if there != self.objects {
            let (a, b) = (only(&there, &self.objects), only(&self.objects, &there));
            self.accuse(format!("not the same: there is {a:?}, told was {b:?}"));
        }
        for kind in kinds {
            if !self.fresh.get(kind).is_some_and(Freshness::is_fresh) {
                self.accuse(format!("{kind} is still shown as stale"));
            }
        }
    }
}

/// What the faults of a run excuse.
#[derive(Debug)]
pub(super) struct Leave {
    /// How late a change may be told while its kind is shown as fresh.
    pub(super) late: SignedDuration,
    /// Whether a state may be left out of which a newer one was told before.
    pub(super) overtaken: bool,
}
