//! Following one kind: list, watch, resume, list again, and lose nothing without saying so.
//!
//! The list comes in pages from a server that writes it object by object, is a streaming one from an older server that can,
//! and comes in small pages from others. What was delivered is remembered by name, UID and version ([`known`]), so that a
//! late word changes nothing and a list that had to be repeated shows what is gone. That silence is health is not taken for
//! granted: the newest version is asked for ([`pulse`]) and pages of names are compared ([`page`]), before a watch is resumed
//! and now and then. What may have been missed is one gap, which begins at the last moment up to which everything is known to
//! have been told.

mod known;
mod line;
mod look;
mod page;
mod pulse;
mod stop;
mod stream;
mod version;
mod witness;

pub(crate) use known::Known;
pub(crate) use pulse::Pulse;
pub(crate) use stop::Stop;

use crate::connection::Connection;
use crate::error::ReadError;
use crate::list::{Ended, Item, Scope, Sink};
use crate::listing::{ListEvent, Shared};
use crate::planted::{Bug, planted};
use known::Saw;
use look::Awaited;
use page::Next;
use reckon_model::{Gap, ResourceRef, Timestamp};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use version::Version;

/// A watch that ends sooner than this without an event counts as a failure, or a server that closes at once would be
/// asked without pause.
const SHORTEST_WATCH: Duration = Duration::from_secs(1);

/// Failures in a row after which the outage is reported. One is an ordinary restart.
const REPORTED_FROM: u32 = 2;

/// Why following ended.
pub(crate) enum Verdict {
    /// Nobody listens any more, or it was to stop; with what was delivered.
    Done(Known),
    /// The whole cluster may not be listed, and was not before; with what had been delivered by others.
    Forbidden(ReadError, Known),
    /// The server does not serve the kind, or not where it did; whatever was known of it has been told to be gone.
    NotServed,
}

fn rewound_as(why: &str) -> End {
    End::Rewound(format!("the history of the cluster was rewound: {why}"))
}

/// Follows one kind in one scope.
pub(crate) struct Follower {
    shared: Arc<Shared>,
    pulse: Arc<Pulse>,
    scope: Scope,
    events: mpsc::Sender<ListEvent>,
    stop: Arc<Stop>,
    known: Known,
    /// Where the watch goes on from, everything up to there having been told; `None`: list first.
    mark: Option<String>,
    /// What the next list must not be older than.
    floor: Version,
    /// The rewindings that this follower took part in.
    epoch: u64,
    /// Until when everything has been told.
    current_at: Timestamp,
    /// When the kind was seen whole, and as it had been told, the last time and the time before: by a list, or by a page
    /// with all of it. What was left out was so after the last; that history was the same then is known only of the first,
    /// as what was never seen of a lost one cannot be missed.
    sound_at: [Timestamp; 2],
    /// Until when everything had been told when the last watch ended.
    broke_at: Timestamp,
    /// Where the next gap begins, if that is known better.
    gap_from: Option<Timestamp>,
    /// Whether a watch is open, of whatever history.
    streaming: bool,
    /// When the server last said anything.
    heard: Instant,
    failures: u32,
    /// The outage or refusal that was reported last.
    reported: Option<Gap>,
    ever_listed: bool,
    /// The list is just complete: its watch needs no look at the history.
    fresh: bool,
    /// How often in a row the server knew nothing of the kind.
    unserved: u32,
    awaited: Option<Awaited>,
    /// The next page that is compared, and when.
    next_page: Option<Next>,
    look_at: Instant,
    /// From when on the newest version may be asked for: who may watch may not always list.
    look_from: Instant,
}

/// How a stretch of following ended.
enum End {
    Closed,
    /// In the proper way, or by silence: go on from the same version.
    Over,
    /// The version is too old, or something was missed: list again.
    Expired(String),
    /// What was told is of a history that is no more.
    Rewound(String),
    /// The server cannot list by streaming.
    NoStreamingList(String),
    Failed(ReadError),
}

impl Follower {
    /// A follower who finds `known` delivered already. Stopped, it has sent whatever it knows.
    pub(crate) fn new(
        shared: Arc<Shared>,
        scope: Scope,
        events: mpsc::Sender<ListEvent>,
        stop: Arc<Stop>,
        known: Known,
    ) -> Self {
        let current_at = shared.connection.now();
        let look_at = Instant::now() + shared.connection.inner.patience.look;
        let pulse = shared.pulse(&scope);
        let epoch = pulse.epoch();
        Follower {
            shared,
            pulse,
            scope,
            events,
            stop,
            known,
            mark: None,
            floor: Version::None,
            epoch,
            current_at,
            sound_at: [current_at; 2],
            broke_at: current_at,
            gap_from: None,
            streaming: false,
            heard: Instant::now(),
            failures: 0,
            reported: None,
            ever_listed: false,
            fresh: false,
            unserved: 0,
            awaited: None,
            next_page: None,
            look_at,
            look_from: Instant::now(),
        }
    }

    pub(crate) async fn run(mut self) -> Verdict {
        loop {
            let (started, before) = (Instant::now(), self.mark.clone());
            let end = self.stretch().await;
            self.ever_listed |= self.mark.is_some();
            let outcome = match end {
                End::Closed => return Verdict::Done(self.known),
                End::Over if self.mark != before || started.elapsed() >= SHORTEST_WATCH => {
                    self.failures = 0;
                    continue;
                }
                // A balancer that resets what it has held for a while: what was heard until then was sound.
                End::Failed(error) if error.is_transient() && started.elapsed() >= SHORTEST_WATCH => {
                    self.failures = self.failures.min(1);
                    self.failed(&error).await
                }
                End::Over => self.pause().await,
                End::Expired(reason) => self.expired(reason).await,
                End::Rewound(reason) => self.rewound(reason).await,
                End::NoStreamingList(reason) => {
                    tracing::debug!(kind = self.scope.kind.name(), reason, "falling back to lists in pages");
                    self.connection().list_in_pages_from_now_on(&self.scope.kind);
                    ControlFlow::Continue(())
                }
                End::Failed(error @ ReadError::Forbidden { .. })
                    if !self.ever_listed && self.scope.namespace.is_none() && self.scope.endpoint.namespaced =>
                {
                    return Verdict::Forbidden(error, self.known);
                }
                End::Failed(ReadError::NotFound { .. }) => {
                    // A server that starts may for a moment not know its custom resources.
                    self.unserved += 1;
                    if self.unserved < 2 && self.ever_listed {
                        self.wait(self.connection().inner.patience.beat / 4).await
                    } else {
                        return self.not_served().await;
                    }
                }
                End::Failed(error) => self.failed(&error).await,
            };
            // What comes between two watches is in no doubt.
            if std::mem::take(&mut self.streaming) {
                self.broke_at = self.current_at;
            }
            if outcome.is_break() {
                return Verdict::Done(self.known);
            }
        }
    }

    /// Lists or watches until that ends.
    async fn stretch(&mut self) -> End {
        if self.pulse.epoch() != self.epoch {
            return rewound_as("another kind showed it");
        }
        if self.mark.is_some() {
            return match self.look_before_resuming().await {
                ControlFlow::Continue(()) => self.watch().await,
                ControlFlow::Break(end) => end,
            };
        }
        if self.floor != Version::None
            && let ControlFlow::Break(end) = self.look_before_relisting().await
        {
            return end;
        }
        if self.connection().lists_in_pages(&self.scope.kind) {
            return self.list_in_pages().await;
        }
        let connection = self.connection().clone();
        match self.answer(async { Ok(connection.writes_by_object().await) }).await {
            // A streamed list costs such a server three times the work of a list, and saves it nothing.
            Ok(true) => self.list_in_pages().await,
            Ok(false) => self.list_by_streaming().await,
            Err(end) => end,
        }
    }

    /// Waits until nobody listens any more, or it is to stop.
    async fn ended(&self) {
        tokio::select! {
            biased;
            () = self.events.closed() => {}
            () = self.stop.called() => {}
        }
    }

    fn connection(&self) -> &Connection {
        &self.shared.connection
    }

    fn mark(&self) -> Version {
        self.mark.as_deref().map_or(Version::None, Version::of)
    }

    /// Everything up to this version has been told, if it is no step back.
    fn came_to(&mut self, mut version: String) {
        if planted(Bug::SkipsOne)
            && let Version::Number(number) = Version::of(&version)
        {
            version = (number + 1).to_string();
        }
        if Version::of(&version) != Version::None && !Version::of(&version).is_before(self.mark()) {
            self.mark = Some(version);
        }
    }

    /// Notes how far everything has been told.
    fn is_current(&mut self) {
        let mark = self.mark();
        self.pulse.came_to(mark);
        self.pulse.saw(&self.scope, self.known.newest());
        self.current_at = self.pulse.told_until(mark).map_or(self.current_at, |told| told.max(self.current_at));
        if planted(Bug::BelievesItsEars) {
            self.current_at = self.connection().now();
        }
    }

    /// Where a gap begins that is found now. A watch whose history is in doubt proves nothing of what it told.
    fn gap_from(&mut self, in_doubt: bool) -> Timestamp {
        let known = self.gap_from.take();
        let before = self.awaited.take().and_then(|awaited| awaited.resumed).map(|(_, before)| before);
        if !in_doubt {
            return known.unwrap_or(self.current_at);
        }
        let sound = if self.streaming { self.sound_at[0] } else { self.current_at };
        before.or(known).unwrap_or(sound).min(self.broke_at)
    }

    async fn send(&self, event: ListEvent) -> ControlFlow<()> {
        match self.events.send(event).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    async fn deleted(&self, gone: ResourceRef) -> ControlFlow<()> {
        if planted(Bug::KeepsTheDeleted) {
            return ControlFlow::Continue(());
        }
        self.send(ListEvent::Deleted(gone, self.connection().now())).await
    }

    async fn expired(&mut self, reason: String) -> ControlFlow<()> {
        let mut since = self.gap_from(false);
        if planted(Bug::GapFromNow) {
            since = self.connection().now();
        }
        self.current_at = since;
        self.floor = self.floor.later(self.mark());
        if !planted(Bug::InsistsOnItsVersion) {
            self.mark = None;
        }
        let Scope { kind, namespace, .. } = self.scope.clone();
        if !planted(Bug::HidesTheGap) {
            self.send(ListEvent::Relisting { kind, namespace, since, reason, rewound: false }).await?;
        }
        // A server that expires every version at once must not be listed without pause.
        self.pause().await
    }

    /// The history that was told is lost; all others who follow the store hear of it.
    async fn rewound(&mut self, reason: String) -> ControlFlow<()> {
        let since = self.gap_from(true);
        self.pulse.rewound(self.epoch);
        self.epoch = self.pulse.epoch();
        self.current_at = since;
        self.known.rewind();
        self.mark = None;
        self.floor = Version::None;
        self.next_page = None;
        let Scope { kind, namespace, .. } = self.scope.clone();
        self.send(ListEvent::Relisting { kind, namespace, since, reason, rewound: true }).await?;
        self.pause().await
    }

    async fn not_served(mut self) -> Verdict {
        for gone in self.known.clear(&self.scope.kind) {
            if self.deleted(gone).await.is_break() {
                return Verdict::Done(self.known);
            }
        }
        Verdict::NotServed
    }

    async fn failed(&mut self, error: &ReadError) -> ControlFlow<()> {
        let gap = error.gap(self.scope.endpoint.resource());
        // Credentials change under a program that runs for months; what a refused one may read is not less for that.
        let unknown = error.obstacle() == reckon_model::Obstacle::Unauthenticated;
        let passing = error.is_transient() || (unknown && self.ever_listed);
        let lasting = !passing;
        let outage =
            self.failures + 1 >= REPORTED_FROM || self.heard.elapsed() >= self.connection().inner.patience.beat;
        if lasting {
            self.report(gap, true).await?;
        } else if outage {
            self.report(gap, false).await?;
        }
        if unknown {
            self.connection().renew().await;
        }
        if lasting {
            // The right may be granted, the definition installed, later.
            let pause = self.connection().inner.dice.jittered(self.connection().inner.patience.refused);
            self.wait(pause).await
        } else {
            self.pause().await
        }
    }

    /// Says that what is known grows stale; of one outage once.
    async fn report(&mut self, gap: Gap, refused: bool) -> ControlFlow<()> {
        let is_news = self.reported.as_ref().is_none_or(|reported| refused && *reported != gap);
        if !is_news || planted(Bug::ShowsStaleAsFresh) {
            return ControlFlow::Continue(());
        }
        self.reported = Some(gap.clone());
        let Scope { kind, namespace, .. } = self.scope.clone();
        self.send(if refused {
            ListEvent::Refused { kind, namespace, gap }
        } else {
            ListEvent::Interrupted { kind, namespace, gap }
        })
        .await
    }

    /// Changes are coming in. Where the store itself is gone that means nothing.
    async fn resumed(&mut self) -> ControlFlow<()> {
        if self.reported.is_none() || self.pulse.trouble().is_some() {
            return ControlFlow::Continue(());
        }
        self.reported = None;
        let Scope { kind, namespace, .. } = self.scope.clone();
        self.send(ListEvent::Resumed { kind, namespace }).await
    }

    async fn pause(&mut self) -> ControlFlow<()> {
        let (shortest, longest) = self.connection().inner.patience.backoff;
        let pause = (shortest * 2_u32.pow(self.failures.min(10))).min(longest);
        let pause = self.connection().inner.dice.jittered(pause);
        self.failures += 1;
        self.wait(pause).await
    }

    async fn wait(&self, pause: Duration) -> ControlFlow<()> {
        tokio::select! {
            biased;
            () = self.ended() => ControlFlow::Break(()),
            () = sleep(pause) => ControlFlow::Continue(()),
        }
    }

    /// Waits for what was asked; says that what is known grows stale when that takes long.
    async fn answer<T>(&mut self, asking: impl Future<Output = Result<T, ReadError>>) -> Result<T, End> {
        let mut asking = std::pin::pin!(asking);
        let late = self.heard + self.connection().inner.patience.stale;
        let mut told = self.reported.is_some();
        loop {
            tokio::select! {
                biased;
                () = self.ended() => return Err(End::Closed),
                answer = &mut asking => {
                    if answer.is_ok() {
                        self.heard = Instant::now();
                    }
                    return answer.map_err(End::Failed);
                }
                () = sleep_until(late), if !told => {
                    told = true;
                    let seconds = self.connection().inner.patience.stale.as_secs();
                    let why = format!("the server has not answered for {seconds} s");
                    let what = self.scope.endpoint.resource();
                    let gap = Gap { what, why, obstacle: reckon_model::Obstacle::TimedOut };
                    if self.report(gap, false).await.is_break() {
                        return Err(End::Closed);
                    }
                }
            }
        }
    }

    async fn list_in_pages(&mut self) -> End {
        let shared = self.shared.clone();
        let Ok(_permit) = shared.gate.acquire().await else { return End::Closed };
        let scope = self.scope.clone();
        let asked = shared.connection.now();
        self.known.begin();
        let only = scope.only_this_namespace();
        let selectors = only.iter().map(|only| ("fieldSelector", only.as_str())).collect::<Vec<_>>();
        let listed = shared.connection.pages(&scope, &selectors, &|| ControlFlow::Continue(()), self).await;
        match listed {
            Ok(Ended::Stopped) => End::Closed,
            Ok(Ended::Complete(meta)) => {
                self.listed(meta.resource_version.unwrap_or_else(|| "0".to_owned()), asked).await
            }
            Err(error) => End::Failed(error),
        }
    }

    /// The list that was asked for at that time is complete: what was known and was not in it is gone.
    async fn listed(&mut self, version: String, asked: Timestamp) -> End {
        let at = Version::of(&version);
        if at.is_before(self.floor) {
            // The newest version was not: it is this server that is behind the others.
            return End::Expired(format!("the list is of version {version}, older than what was seen"));
        }
        // That may be so of a first list, too: one that was cut off before it was of another history.
        if self.known.is_behind() {
            return rewound_as("its list is older than what was seen");
        }
        self.mark = Some(version);
        self.pulse.came_to(at);
        self.pulse.vouched();
        self.floor = Version::None;
        // What is listed while lists are contradicted proves nothing.
        if !self.pulse.is_doubted() {
            self.current_at = asked;
            self.sound_at = [asked; 2];
            self.broke_at = asked;
        }
        self.gap_from = None;
        self.heard = Instant::now();
        self.fresh = true;
        self.unserved = 0;
        for gone in self.known.sweep(&self.scope.kind, at) {
            if self.deleted(gone).await.is_break() {
                return End::Closed;
            }
        }
        let Scope { kind, namespace, .. } = self.scope.clone();
        if self.send(ListEvent::Listed { kind, namespace }).await.is_break() || self.resumed().await.is_break() {
            return End::Closed;
        }
        // Whoever hears that it is listed takes it for fresh: trouble that lasts has to be told anew.
        self.reported = None;
        End::Over
    }

    /// An object that the list or the watch delivered; `Break(None)`: nobody listens.
    async fn arrived(&mut self, item: Item) -> ControlFlow<Option<End>> {
        let closed = |sent: ControlFlow<()>| sent.map_break(|()| None);
        let object = match item {
            Item::Object(object) => object,
            Item::Broken(broken) => {
                self.known.saw_broken(broken.name.as_deref());
                let kind = self.scope.kind.clone();
                let gap = broken.gap(&kind);
                return closed(self.send(ListEvent::Skipped { kind, gap }).await);
            }
        };
        if self.mark.is_some() {
            self.came_to(object.meta.resource_version.clone());
        }
        match self.known.saw(&object) {
            Saw::Same | Saw::Old => ControlFlow::Continue(()),
            Saw::New => closed(self.send(ListEvent::Object(object)).await),
            Saw::Replacement(uid) => {
                let gone = ResourceRef { uid: Some(uid.into()), ..object.reference() };
                closed(self.deleted(gone).await)?;
                closed(self.send(ListEvent::Object(object)).await)?;
                if self.streaming {
                    return ControlFlow::Break(Some(self.left_out("an object was replaced of which no end was told")));
                }
                ControlFlow::Continue(())
            }
            Saw::Risen => ControlFlow::Break(Some(rewound_as("what was deleted lives on"))),
        }
    }
}

impl Sink for Follower {
    async fn take(&mut self, item: Item, _bytes: usize) -> ControlFlow<()> {
        match self.arrived(item).await {
            // The list goes on: at its end the known says that it was behind.
            ControlFlow::Continue(()) | ControlFlow::Break(Some(_)) => ControlFlow::Continue(()),
            ControlFlow::Break(None) => ControlFlow::Break(()),
        }
    }
}
