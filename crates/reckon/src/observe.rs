//! Following a cluster for its record: what is watched becomes entries, which are durable before anything else becomes of them.
//!
//! One loop hears what the cluster tells, diagnoses when it has been quiet for a moment, and hands what is worth keeping to
//! the spool. While the spool takes nothing, nothing is heard: what comes then is listed again, and the time between is told
//! as one in which nobody watched.

mod carry;
mod diary;
pub(crate) mod start;

pub(crate) use carry::carry;
pub(crate) use diary::Diary;
pub(crate) use start::private;

use crate::exit::Failure;
use crate::session;
use crate::watch::{AT_MOST, FIRST, FRESH, QUIET};
use reckon_agent::Spool;
use reckon_cluster::{Connection, ListEvent, Listing};
use reckon_detect::{Engine, Scope, State};
use reckon_model::{ClusterId, Gap, Kind, Timestamp};
use reckon_record::{Noise, Recorded, Recorder};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// How long entries wait for others to be made durable with: what happens is to be visible within a quarter of a second.
const TOGETHER: Duration = Duration::from_millis(50);

/// Entries that do not wait any longer: a block has a thousand at most.
const FULL: usize = 1000;

/// How often is noted until when everything was told. Where the process is killed, so much at most counts as not watched.
const NOTED: Duration = Duration::from_secs(10);

/// A spool that takes nothing is tried again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// Follows one cluster for its record.
pub(crate) struct Observer {
    connection: Connection,
    engine: Engine,
    recorder: Recorder,
    spool: Spool,
    diary: Diary,
    /// What waits to be made durable, and since when.
    waiting: Recorded,
    since: Option<Instant>,
    /// Kinds of which an object could not be decoded since they were last listed.
    unread: BTreeMap<Kind, Gap>,
    /// Kinds that were neither listed nor refused yet.
    awaited: BTreeSet<Kind>,
    /// Whether anything was ever listed, and until then what was refused.
    listed: bool,
    refused: Vec<(Kind, Gap)>,
    /// What is not being watched just now.
    unwatched: BTreeSet<(Kind, Option<String>)>,
}

impl Observer {
    /// An observer that takes up where the diary ends.
    pub(crate) fn new(connection: Connection, cluster: ClusterId, spool: Spool, mut diary: Diary) -> Observer {
        let mut state = State::new(cluster).with_specs(connection.specs());
        state.keep_steps();
        let (memory, problems) = diary.take();
        let mut engine = Engine::new(state);
        let mut recorder = Recorder::new(Noise::default(), memory);
        recorder.resume_problems(&problems);
        engine.resume(problems);
        Observer {
            connection,
            engine,
            recorder,
            spool,
            diary,
            waiting: Recorded::default(),
            since: None,
            unread: BTreeMap::new(),
            awaited: kinds().into_iter().collect(),
            listed: false,
            refused: Vec::new(),
            unwatched: BTreeSet::new(),
        }
    }

    /// Follows for ever.
    ///
    /// # Errors
    /// That nothing at all can be listed.
    pub(crate) async fn run(mut self) -> Result<(), Failure> {
        let mut listing = self.connection.follow(kinds(), None);
        let mut asked = Instant::now();
        let mut noted: Option<Instant> = None;
        // When time alone may change the diagnosis, and when a burst of writes is over or has lasted long enough.
        let (mut recheck, mut settled) = (Instant::now() + FIRST, None);
        let mut burst: Option<Instant> = None;
        let mut listed_once = false;
        loop {
            let told = self.since.map(|since| since + TOGETHER);
            let held = self.recorder.due().map(|at| Instant::now() + until(self.connection.now(), at));
            let wake =
                [told, held, settled].into_iter().flatten().fold(recheck.min(Instant::now() + NOTED), Instant::min);
            tokio::select! {
                event = listing.next() => {
                    let Some(event) = event else { return Ok(()) };
                    self.hear(event);
                    self.hear_what_is_ready(&mut listing);
                    let now = Instant::now();
                    if self.awaited.is_empty() && !self.listed {
                        return Err(session::nothing_listed(&self.connection, &self.refused));
                    }
                    if self.awaited.is_empty() {
                        // The first diagnosis was waited for.
                        let start = *burst.get_or_insert_with(|| match std::mem::replace(&mut listed_once, true) {
                            true => now,
                            false => now.checked_sub(AT_MOST).unwrap_or(now),
                        });
                        settled = Some((now + QUIET).min(start + AT_MOST));
                    }
                }
                () = sleep_until(wake) => {}
            }
            self.recorder.tick(self.connection.now());
            if settled.unwrap_or(recheck).min(recheck) <= Instant::now() {
                (burst, settled) = (None, None);
                if asked.elapsed() >= FRESH {
                    asked = Instant::now();
                    self.engine.state_mut().forget_answers();
                }
                recheck = Instant::now() + self.diagnose().await;
            }
            self.collect();
            if self.since.is_some_and(|since| since.elapsed() >= TOGETHER) || self.waiting.entries.len() >= FULL {
                self.keep().await;
            }
            if noted.is_none_or(|noted| noted.elapsed() >= NOTED) && self.is_current() {
                noted = Some(Instant::now());
                self.note();
            }
        }
    }

    /// As many as have come already, so that they are made durable together.
    fn hear_what_is_ready(&mut self, listing: &mut Listing) {
        for _ in 0..FULL {
            let Some(event) = listing.ready() else { return };
            self.hear(event);
        }
    }

    fn hear(&mut self, event: ListEvent) {
        let now = self.connection.now();
        match event {
            ListEvent::Object(object) => {
                self.engine.state_mut().apply(object);
                self.step(now);
            }
            ListEvent::Deleted(reference, at) => {
                self.engine.state_mut().delete(&reference, at);
                self.step(now);
            }
            ListEvent::Listed { kind, namespace } => {
                self.recorder.listed(&kind, namespace.as_deref(), now);
                self.awaited.remove(&kind);
                self.listed = true;
                self.refused = Vec::new();
                self.unwatched.remove(&(kind.clone(), namespace.clone()));
                match self.unread.remove(&kind) {
                    // What could not be decoded is there all the same.
                    Some(gap) => self.engine.state_mut().refuse(&kind, namespace.as_deref(), gap),
                    None => self.engine.state_mut().cover(&kind, namespace.as_deref()),
                }
            }
            ListEvent::Refused { kind, namespace, gap } => {
                self.recorder.lost(&kind, namespace.as_deref(), now, &gap.why);
                self.awaited.remove(&kind);
                self.engine.state_mut().refuse(&kind, namespace.as_deref(), gap.clone());
                if !self.listed {
                    self.refused.push((kind, gap));
                }
            }
            ListEvent::Skipped { kind, gap } => {
                tracing::warn!(kind = kind.name(), why = gap.why, "an object was left out");
                self.unread.insert(kind, gap);
            }
            ListEvent::Relisting { kind, namespace, since, reason, .. } => {
                self.recorder.lost(&kind, namespace.as_deref(), since, &reason);
                self.unwatched.insert((kind, namespace));
            }
            // What is known grows stale: nothing may be concluded from its silence until it is followed again.
            ListEvent::Interrupted { kind, namespace, gap } => {
                self.engine.state_mut().refuse(&kind, namespace.as_deref(), gap);
                self.unwatched.insert((kind, namespace));
            }
            ListEvent::Resumed { kind, namespace } => {
                self.engine.state_mut().cover(&kind, namespace.as_deref());
                self.unwatched.remove(&(kind, namespace));
            }
        }
    }

    fn step(&mut self, now: Timestamp) {
        for step in self.engine.state_mut().take_steps() {
            self.recorder.step(self.engine.state(), &step, now);
        }
    }

    /// Diagnoses, and says after which time that is to be done again though nothing happens.
    async fn diagnose(&mut self) -> Duration {
        let diagnosis = session::follow_up(&self.connection, &mut self.engine, &Scope::Cluster).await;
        let now = self.connection.now();
        // What was fetched to know more is no change of anything.
        drop(self.engine.state_mut().take_steps());
        self.recorder.problems(&diagnosis.problems, now);
        if let Err(error) = self.diary.problems(&diagnosis.problems) {
            tracing::warn!(%error, "the problems were not noted");
        }
        diagnosis.recheck_at.map_or(FRESH, |at| until(now, at).min(FRESH))
    }

    fn collect(&mut self) {
        let Recorded { entries, marks } = self.recorder.take();
        if !entries.is_empty() || !marks.is_empty() {
            self.since.get_or_insert_with(Instant::now);
        }
        self.waiting.entries.extend(entries);
        self.waiting.marks.extend(marks);
    }

    /// Makes durable what waits. Until that is done, nothing else is.
    async fn keep(&mut self) {
        self.since = None;
        let Recorded { entries, marks } = std::mem::take(&mut self.waiting);
        let mut told = false;
        while !entries.is_empty() {
            match self.spool.append(entries.clone()).await {
                Ok(_) => break,
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(%error, "the record waits");
                    }
                    sleep(AGAIN).await;
                }
            }
        }
        if let Err(error) = self.diary.learn(&marks) {
            tracing::warn!(%error, "what was told was not noted");
        }
        if self.is_current() {
            self.note();
        }
    }

    /// Whether everything is watched and all that was heard is durable.
    fn is_current(&self) -> bool {
        self.awaited.is_empty() && self.unwatched.is_empty() && self.since.is_none()
    }

    /// Notes until when everything was told.
    fn note(&mut self) {
        if let Err(error) = self.diary.until(self.connection.now()) {
            tracing::warn!(%error, "until when everything was told was not noted");
        }
    }
}

/// What rules of diagnosis read, and what people write.
fn kinds() -> Vec<Kind> {
    let all: BTreeSet<Kind> = reckon_detect::kinds().into_iter().chain(reckon_record::kinds()).collect();
    all.into_iter().collect()
}

fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default().max(TOGETHER)
}
