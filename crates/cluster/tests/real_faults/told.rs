//! What those who follow were told, and whether that is right.

use crate::writes::{Write, Writer};
use reckon_cluster::{Connection, ListEvent};
use reckon_model::{Kind, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// A stretch of which it was said that it may be incomplete.
#[derive(Clone, Debug)]
pub(crate) struct Gap {
    pub(crate) kind: Kind,
    pub(crate) since: Timestamp,
    pub(crate) told: Timestamp,
    /// `None` while its list is on the way.
    pub(crate) until: Option<Timestamp>,
    pub(crate) rewound: bool,
    pub(crate) reason: String,
}

/// What was told of whether changes are coming in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Interrupted(String),
    Refused(String),
    Resumed,
    Listed,
}

#[derive(Default)]
pub(crate) struct Told {
    namespace: String,
    /// ConfigMaps of the namespace, by name: UID and version.
    objects: BTreeMap<String, (String, u64)>,
    versions: HashMap<(String, u64), u32>,
    newest: HashMap<String, u64>,
    pub(crate) deaths: HashMap<String, u32>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) states: Vec<(Timestamp, Kind, State)>,
    wrong: Vec<String>,
}

impl Told {
    fn hear(&mut self, event: ListEvent) {
        let now = Timestamp::now();
        match event {
            ListEvent::Object(object) if object.kind == Kind::ConfigMap && object.namespace() == self.namespace => {
                let version: u64 = object.meta.resource_version.parse().unwrap();
                let (name, uid) = (object.meta.name.clone(), object.meta.uid.clone());
                let times = self.versions.entry((uid.clone(), version)).or_default();
                *times += 1;
                if *times > 1 {
                    self.wrong.push(format!("{name}@{version} was told twice"));
                }
                if let Some(before) = self.newest.insert(uid.clone(), version).filter(|before| *before > version) {
                    self.wrong.push(format!("{name} went back from {before} to {version}"));
                }
                if let Some((before, _)) =
                    self.objects.insert(name.clone(), (uid.clone(), version)).filter(|(before, _)| *before != uid)
                {
                    self.wrong.push(format!("{name}: {before} was never told to be gone"));
                }
            }
            ListEvent::Deleted(gone, _) if gone.kind == Kind::ConfigMap && gone.namespace() == self.namespace => {
                let uid = gone.uid.clone().unwrap_or_default();
                let times = self.deaths.entry(uid.clone()).or_default();
                *times += 1;
                if *times > 1 {
                    self.wrong.push(format!("{} was told to be gone twice", gone.name));
                }
                if self.objects.get(&gone.name).is_some_and(|(known, _)| *known == uid) {
                    self.objects.remove(&gone.name);
                }
            }
            ListEvent::Object(_) | ListEvent::Deleted(..) => {}
            ListEvent::Listed { kind, .. } => {
                for gap in self.gaps.iter_mut().filter(|gap| gap.kind == kind && gap.until.is_none()) {
                    gap.until = Some(now);
                }
                self.states.push((now, kind, State::Listed));
            }
            ListEvent::Relisting { kind, since, reason, rewound, .. } => {
                if rewound && kind == Kind::ConfigMap {
                    // Another history: its versions are other ones, and who died may live.
                    self.versions.clear();
                    self.newest.clear();
                    self.deaths.clear();
                }
                self.gaps.push(Gap { kind, since, told: now, until: None, rewound, reason });
            }
            ListEvent::Interrupted { kind, gap, .. } => self.states.push((now, kind, State::Interrupted(gap.why))),
            ListEvent::Refused { kind, gap, .. } => self.states.push((now, kind, State::Refused(gap.why))),
            ListEvent::Resumed { kind, .. } => self.states.push((now, kind, State::Resumed)),
            ListEvent::Skipped { kind, gap } => self.wrong.push(format!("{kind} {}: {}", gap.what, gap.why)),
        }
    }

    /// The gaps in what was told of the ConfigMaps.
    pub(crate) fn gaps(&self) -> Vec<Gap> {
        self.gaps.iter().filter(|gap| gap.kind == Kind::ConfigMap).cloned().collect()
    }

    /// The first state of this kind since then, and when it was told.
    pub(crate) fn first(&self, kind: &Kind, since: Timestamp, is: impl Fn(&State) -> bool) -> Option<Timestamp> {
        self.states.iter().find(|(at, of, state)| *at >= since && of == kind && is(state)).map(|(at, ..)| *at)
    }

    /// Whether the last that was told of this kind is that it grows stale, or nothing was told of it at all.
    pub(crate) fn is_stale(&self, kind: &Kind) -> bool {
        let last = self.states.iter().rev().find(|(_, of, _)| of == kind);
        last.is_none_or(|(.., state)| matches!(state, State::Interrupted(_) | State::Refused(_)))
    }

    pub(crate) fn knew(&self, write: &Write) -> bool {
        self.versions.contains_key(&(write.uid.clone(), write.version))
    }

    /// How many of these writes were told, and what is wrong with the rest.
    fn judge(&self, writes: &[Write]) -> (usize, Vec<String>) {
        let mut wrong = self.wrong.clone();
        let mut told = 0;
        for write in writes {
            let seen = if write.deleted { self.deaths.contains_key(&write.uid) } else { self.knew(write) };
            let in_gap = self
                .gaps()
                .iter()
                .any(|gap| gap.since <= write.acknowledged && gap.until.is_none_or(|until| write.sent <= until));
            told += usize::from(seen);
            if !seen && !in_gap {
                wrong.push(format!("{write:?} was lost"));
            }
        }
        (told, wrong)
    }
}

/// One who follows, beside the test.
pub(crate) struct Following {
    told: Arc<Mutex<Told>>,
    task: JoinHandle<()>,
    begun: Timestamp,
}

impl Following {
    pub(crate) fn begin(connection: &Connection, kinds: Vec<Kind>, namespace: &str) -> Following {
        let told = Arc::new(Mutex::new(Told { namespace: namespace.to_owned(), ..Told::default() }));
        let mut listing = connection.follow(kinds, None);
        let hears = told.clone();
        let task = tokio::spawn(async move {
            while let Some(event) = listing.next().await {
                hears.lock().unwrap().hear(event);
            }
        });
        Following { told, task, begun: Timestamp::now() }
    }

    pub(crate) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    /// Waits until this is so; after `limit` the test has failed. How long it took.
    pub(crate) async fn until(&self, what: &str, limit: Duration, so: impl Fn(&Told) -> bool) -> Duration {
        let start = Instant::now();
        while !so(&self.told()) {
            assert!(start.elapsed() < limit, "not within {limit:?}: {what}\n{}", self.account());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        start.elapsed()
    }

    /// All that was told beside objects.
    fn account(&self) -> String {
        let told = self.told();
        format!("{:?}\n{:?}\n{:?}", told.states, told.gaps, told.wrong)
    }

    pub(crate) async fn listed(&self, kinds: &[Kind]) {
        let so = |told: &Told| {
            kinds.iter().all(|kind| told.first(kind, self.begun, |state| *state == State::Listed).is_some())
        };
        self.until("listed", Duration::from_secs(60), so).await;
    }

    /// Waits until what was told is what there is, sixty seconds at most; then nothing may have been lost or told twice.
    /// How many of the writes were told one by one.
    pub(crate) async fn settled(&self, writer: &Writer) -> usize {
        let there = writer.there().await;
        let same = |told: &Told| {
            told.objects.iter().map(|(name, (uid, version))| (name.clone(), uid.clone(), *version)).collect::<Vec<_>>()
                == there
        };
        let closed = |told: &Told| told.gaps().iter().all(|gap| gap.until.is_some());
        self.until("what was told is what there is", Duration::from_secs(60), |told| closed(told) && same(told)).await;
        let (told, wrong) = self.told().judge(&writer.kept());
        assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), self.account());
        told
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}
