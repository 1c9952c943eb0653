//! A watch, and the list at its beginning where the server streams it.

use super::known::Death;
use super::line::Event;
use super::look::NAMES;
use super::page::Page;
use super::pulse::Turn;
use super::version::Version;
use super::witness::Beat;
use super::{End, Follower, rewound_as};
use crate::error::ReadError;
use crate::lines::Lines;
use crate::list::MOST_WITHOUT_AN_END;
use crate::planted::{Bug, planted};
use crate::splitter::MAX_ITEM_BYTES;
use crate::wire::{Ask, Incoming};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use reckon_model::{Gap, Obstacle, ResourceRef, Timestamp};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout_at};

/// How long a watch is asked to last, in seconds; up to a minute is added so that the watches of all kinds do not end together.
/// So often it is decided anew whether it is allowed, which has to be within five minutes.
const WATCH_SECONDS: u64 = 240;

/// The list at the beginning of a stream: until when it has to be complete, when it was asked for, and the place it takes
/// among four.
struct Initial<'a> {
    deadline: Instant,
    asked: Timestamp,
    _permit: SemaphorePermit<'a>,
}

/// What was asked beside the stream.
enum Answer {
    Newest(Result<Beat, ReadError>),
    Page(Result<Page, ReadError>),
}

/// A question beside the stream: when it was asked, how far anybody had been told then, and the turn it took.
struct Asking<'a> {
    asked: Timestamp,
    mark: Version,
    turn: Option<Turn<'a>>,
    answer: BoxFuture<'static, Answer>,
}

/// What happened first.
enum Woke {
    Closed,
    /// The pulse changed.
    Told,
    Answered(Answer),
    Due,
    Chunk(Result<Option<Bytes>, ReadError>),
}

impl Follower {
    fn watch_ask(&self, more: &[(&str, &str)]) -> Ask {
        let seconds = (WATCH_SECONDS + self.connection().inner.dice.below(60)).to_string();
        let only = self.scope.only_this_namespace().unwrap_or_default();
        let mut query = vec![("watch", "true")];
        query.extend_from_slice(more);
        query.extend([("allowWatchBookmarks", "true"), ("timeoutSeconds", seconds.as_str()), ("fieldSelector", &only)]);
        self.scope.endpoint.watch(self.scope.namespace.as_deref(), &query)
    }

    pub(super) async fn list_by_streaming(&mut self) -> End {
        let shared = self.shared.clone();
        let Ok(permit) = shared.gate.acquire().await else { return End::Closed };
        let ask = self.watch_ask(&[("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan")]);
        self.known.begin();
        let deadline = Instant::now() + shared.connection.inner.patience.bookmark;
        let initial = Initial { deadline, asked: shared.connection.now(), _permit: permit };
        let end = match timeout_at(deadline, shared.connection.send(&ask)).await {
            Err(_) => no_bookmark(),
            Ok(Err(ReadError::Status { code: code @ (400 | 422), message, .. })) => {
                End::NoStreamingList(format!("{code} {message}"))
            }
            Ok(Err(error)) => refused(error),
            Ok(Ok(incoming)) => match self.stream(&ask, incoming, Some(initial)).await {
                End::Failed(_) if self.mark.is_none() && planted(Bug::BelievesPartialLists) => {
                    let version = if let Version::Number(floor) = self.floor { floor } else { 1 };
                    self.listed(version.to_string(), shared.connection.now()).await
                }
                end => end,
            },
        };
        // Its watch went on with it, for minutes.
        self.fresh = false;
        end
    }

    pub(super) async fn watch(&mut self) -> End {
        let version = self.mark.clone().unwrap_or_default();
        let ask = self.watch_ask(&[("resourceVersion", &version)]);
        let connection = self.connection().clone();
        match self.answer(async { connection.send(&ask).await }).await {
            Ok(incoming) => {
                if self.resumed().await.is_break() {
                    return End::Closed;
                }
                self.stream(&ask, incoming, None).await
            }
            Err(End::Failed(error)) => refused(error),
            Err(end) => end,
        }
    }

    /// Reads events until the stream ends. `initial` while the list that begins it is still coming.
    async fn stream(&mut self, ask: &Ask, mut incoming: Incoming, mut initial: Option<Initial<'_>>) -> End {
        let pulse = &*self.pulse.clone();
        self.streaming = initial.is_none();
        let mut lines = Lines::new(MAX_ITEM_BYTES);
        let mut ready = Vec::new();
        let mut endless = 0;
        let mut asking: Option<Asking<'_>> = None;
        loop {
            let told = pulse.changed.notified();
            let mut told = std::pin::pin!(told);
            told.as_mut().enable();
            if let ControlFlow::Break(end) = self.heed_the_pulse(initial.is_some()).await {
                return end;
            }
            let due = match &initial {
                Some(initial) => initial.deadline,
                None => self.due(asking.is_some()),
            };
            let answered = async {
                match &mut asking {
                    Some(asking) => (&mut asking.answer).await,
                    None => std::future::pending().await,
                }
            };
            let woke = tokio::select! {
                biased;
                () = self.ended() => Woke::Closed,
                () = told => Woke::Told,
                answer = answered => Woke::Answered(answer),
                () = sleep_until(due) => Woke::Due,
                chunk = incoming.next() => Woke::Chunk(chunk),
            };
            let chunk = match woke {
                Woke::Closed => return End::Closed,
                Woke::Told => continue,
                Woke::Answered(answer) => {
                    let Some(Asking { asked, mark, turn, .. }) = asking.take() else { continue };
                    let heard = self.heard_beside(asked, mark, turn.is_some(), answer).await;
                    drop(turn);
                    match heard {
                        ControlFlow::Continue(()) => continue,
                        ControlFlow::Break(end) => return end,
                    }
                }
                Woke::Due if initial.is_some() => return no_bookmark(),
                Woke::Due => {
                    if self.come_due().is_some_and(|at| at <= Instant::now())
                        && let ControlFlow::Break(end) = self.judge_awaited(true)
                    {
                        return end;
                    }
                    if asking.is_none() {
                        asking = self.ask_beside(pulse);
                    }
                    continue;
                }
                Woke::Chunk(chunk) => chunk,
            };
            let chunk = match chunk {
                Ok(Some(chunk)) => chunk,
                Ok(None) if initial.is_some() => return End::Failed(incoming.truncated()),
                Ok(None) => {
                    // That a watch has lasted as long as it was asked to is a word of the server, too, and of a quiet
                    // kind the last one before may be a minute old.
                    self.heard = Instant::now();
                    return End::Over;
                }
                // Silence: the other side may be gone without a word. Asking again tells.
                Err(ReadError::TimedOut { .. }) if initial.is_none() => return End::Over,
                Err(ReadError::TimedOut { .. }) => return no_bookmark(),
                Err(error) => return End::Failed(error),
            };
            self.heard = Instant::now();
            lines.push(&chunk, &mut |line| ready.push(Event::of(&self.shared.connection, &line, &self.scope.kind)));
            // A line without an end would be listened to for ever, and nothing else be heard.
            endless = if memchr::memchr(b'\n', &chunk).is_some() { 0 } else { endless + chunk.len() };
            if endless > MOST_WITHOUT_AN_END {
                return End::Failed(incoming.malformed("a line in it has no end".to_owned()));
            }
            for event in ready.drain(..) {
                if let ControlFlow::Break(end) = self.happened(event, ask, &mut initial).await {
                    return end.unwrap_or(End::Closed);
                }
            }
            if let ControlFlow::Break(end) = self.judge_awaited(false) {
                return end;
            }
        }
    }

    /// One event of the stream; `Break(None)`: nobody listens.
    async fn happened(
        &mut self,
        event: Event,
        ask: &Ask,
        initial: &mut Option<Initial<'_>>,
    ) -> ControlFlow<Option<End>> {
        let failed = |end| ControlFlow::Break(Some(end));
        match event {
            Event::Item(item) => match self.arrived(item).await {
                // The list goes on: at its end the known says that it was behind.
                ControlFlow::Break(Some(_)) if initial.is_some() => ControlFlow::Continue(()),
                arrived => arrived,
            },
            Event::Gone(gone, at) => self.went(gone, at).await,
            Event::Bookmark { version, closes_list } => match initial.take_if(|_| closes_list) {
                Some(Initial { asked, .. }) => match self.listed(version, asked).await {
                    End::Over => {
                        self.streaming = true;
                        ControlFlow::Continue(())
                    }
                    End::Closed => ControlFlow::Break(None),
                    end => failed(end),
                },
                None => {
                    if initial.is_none() {
                        self.came_to(version);
                    }
                    ControlFlow::Continue(())
                }
            },
            Event::Error { .. } if planted(Bug::SkipsErrors) => ControlFlow::Continue(()),
            Event::Error { code: 410, message } => failed(End::Expired(format!("410 {message}"))),
            Event::Error { message, .. } if is_from_the_future(&message) => failed(End::Expired(message)),
            Event::Error { code, message } => failed(End::Failed(ReadError::Status {
                server: self.connection().server().to_owned(),
                request: ask.describe(),
                code,
                message,
            })),
        }
    }

    async fn went(&mut self, gone: ResourceRef, at: String) -> ControlFlow<Option<End>> {
        let version = Version::of(&at);
        if self.mark.is_some() {
            self.came_to(at);
        }
        let closed = |sent: ControlFlow<()>| sent.map_break(|()| None);
        match self.known.died(&gone, version) {
            Death::Old => ControlFlow::Continue(()),
            Death::New => closed(self.deleted(gone).await),
            Death::OfBoth(uid) => {
                closed(self.deleted(ResourceRef { uid: Some(uid.into()), ..gone.clone() }).await)?;
                closed(self.deleted(gone).await)?;
                ControlFlow::Break(Some(self.left_out("an object was replaced of which no end was told")))
            }
            Death::Again => ControlFlow::Break(Some(rewound_as("what was deleted is deleted again"))),
        }
    }

    /// What all who follow the store have to hear.
    async fn heed_the_pulse(&mut self, listing: bool) -> ControlFlow<End> {
        if self.pulse.epoch() != self.epoch {
            return ControlFlow::Break(rewound_as("another kind showed it"));
        }
        if !listing {
            self.is_current();
        }
        self.pulse.count_silence(|| self.scope.endpoint.resource());
        let done = match self.pulse.trouble() {
            Some(gap) if self.reported.is_none() && !listing && !planted(Bug::KeepsTroubleToItself) => {
                self.report(gap, false).await
            }
            None if !listing => self.resumed().await,
            _ => ControlFlow::Continue(()),
        };
        done.map_break(|()| End::Closed)
    }

    /// Until when the watch has to have come to the page that waits for it.
    fn come_due(&self) -> Option<Instant> {
        self.awaited.as_ref().and_then(|awaited| awaited.resumed).map(|(until, _)| until)
    }

    /// When there is something to do though nothing is heard.
    fn due(&self, asking: bool) -> Instant {
        let judged = self.come_due();
        let asked = (!asking).then(|| {
            let look = if planted(Bug::NeverLooksAgain) { None } else { Some(self.look_at) };
            self.pulse.due().into_iter().chain(look).min().map(|at| at.max(self.look_from))
        });
        let far = Instant::now() + Duration::from_secs(3600);
        judged.into_iter().chain(asked.flatten()).chain(self.pulse.silent_at()).min().unwrap_or(far)
    }

    /// Asks for the newest version where it is time to, else for a page.
    fn ask_beside<'a>(&mut self, pulse: &'a super::Pulse) -> Option<Asking<'a>> {
        if !self.may_look() {
            return None;
        }
        let connection = self.connection().clone();
        let scope = Arc::new(self.scope.clone());
        let (asked, mark, limit) = (connection.now(), pulse.highest(), connection.inner.patience.beat);
        if let Some(turn) = pulse.turn() {
            let witnesses = pulse.witnesses();
            let answer = async move { Answer::Newest(connection.beat(&scope, witnesses, limit).await) }.boxed();
            return Some(Asking { asked, mark, turn: Some(turn), answer });
        }
        if self.look_at > Instant::now() || planted(Bug::NeverLooksAgain) {
            return None;
        }
        self.look_at = Instant::now() + connection.inner.dice.jittered(connection.inner.patience.look);
        let next = self.next_page.take();
        let answer = async move { Answer::Page(connection.names_page(&scope, NAMES, next, limit).await) }.boxed();
        Some(Asking { asked, mark, turn: None, answer })
    }

    /// What the answer to a question beside the stream means.
    async fn heard_beside(
        &mut self,
        asked: Timestamp,
        mark: Version,
        had_the_turn: bool,
        answer: Answer,
    ) -> ControlFlow<End> {
        let newest = match &answer {
            Answer::Newest(Ok(beat)) => Version::of(&beat.newest),
            Answer::Page(Ok(page)) => page.version(),
            Answer::Newest(Err(error @ ReadError::Forbidden { .. }))
            | Answer::Page(Err(error @ ReadError::Forbidden { .. })) => {
                self.may_not_look();
                if had_the_turn {
                    self.pulse.forbidden(error.gap(self.scope.endpoint.resource()));
                }
                return ControlFlow::Continue(());
            }
            Answer::Newest(Err(error)) | Answer::Page(Err(error)) => {
                let why = format!("{}; nothing can be known to be as it was", error.why());
                self.pulse.missed(Gap { what: self.scope.endpoint.resource(), why, obstacle: error.obstacle() });
                if error.obstacle() == Obstacle::Unauthenticated {
                    // The stream was opened with credentials that count no more.
                    self.connection().renew().await;
                }
                return ControlFlow::Continue(());
            }
        };
        if newest.is_before(mark) {
            return ControlFlow::Break(rewound_as("its newest version is older than what was seen"));
        }
        match answer {
            Answer::Page(Ok(page)) if self.awaited.is_none() => {
                self.next_page.clone_from(&page.next);
                self.judge(page, asked, None)
            }
            answer => {
                if let Answer::Newest(Ok(Beat { heard, .. })) = answer {
                    self.believe(heard)?;
                }
                self.pulse.answered(asked, newest);
                ControlFlow::Continue(())
            }
        }
    }
}

fn no_bookmark() -> End {
    End::NoStreamingList("the closing bookmark did not come in time".to_owned())
}

/// What it means that a watch was refused.
fn refused(error: ReadError) -> End {
    match error {
        ReadError::Gone { .. } => End::Expired("410 gone".to_owned()),
        ReadError::Status { code: 504, message, .. } if is_from_the_future(&message) => End::Expired(message),
        error => End::Failed(error),
    }
}

/// The server's history is shorter than ours: it was restored from a backup, or is behind its siblings.
fn is_from_the_future(message: &str) -> bool {
    message.contains("Too large resource version") || message.contains("ResourceVersionTooLarge")
}
