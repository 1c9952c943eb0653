//! Following one kind: list, watch, resume, list again.
//!
//! The list is a streaming one where the server can, else it comes in pages. Of the objects delivered only names, UIDs
//! and versions are kept: enough to say, after a list that had to be repeated, which objects are gone.

use crate::connection::Connection;
use crate::error::ReadError;
use crate::lines::{Line, Lines, WatchLine};
use crate::list::{Broken, Ended, Item, Scope, Sink, decode_object};
use crate::listing::{ListEvent, Shared};
use crate::splitter::{MAX_ITEM_BYTES, identity_in, name_in};
use crate::wire::Ask;
use reckon_model::ident::Fnv;
use reckon_model::{Gap, Kind, Object, ResourceRef, Timestamp};
use serde::Deserialize;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{SemaphorePermit, mpsc};
use tokio::time::{Instant, sleep, timeout_at};

/// How long a watch is asked to last, in seconds; some are added so that the watches of all kinds do not end together.
const WATCH_SECONDS: u64 = 300;

/// A watch that ends sooner than this without an event counts as a failure, or a server that closes at once would be
/// asked without pause.
const SHORTEST_WATCH: Duration = Duration::from_secs(1);

/// Failures in a row after which the outage is reported. One is an ordinary restart.
const REPORTED_FROM: u32 = 2;

/// Why following ended.
pub(crate) enum Verdict {
    /// Nobody listens any more.
    Done,
    /// The whole cluster may not be listed, and was not before.
    Forbidden(ReadError),
}

/// Follows one kind in one scope.
pub(crate) struct Follower {
    shared: Arc<Shared>,
    scope: Scope,
    events: mpsc::Sender<ListEvent>,
    known: Known,
    /// Where the watch goes on from; `None`: list first.
    version: Option<String>,
    /// When the server was last known to have told everything.
    current_at: Timestamp,
    failures: u32,
    /// The outage or refusal that was reported last.
    reported: Option<Gap>,
}

/// How a stretch of following ended.
enum End {
    Closed,
    /// In the proper way, or by silence: go on from the same version.
    Over {
        progressed: bool,
    },
    /// The version is too old: list again.
    Expired(String),
    /// The server cannot list by streaming.
    NoStreamingList(String),
    Failed(ReadError),
}

impl Follower {
    pub(crate) fn new(shared: Arc<Shared>, scope: Scope, events: mpsc::Sender<ListEvent>) -> Self {
        let current_at = shared.connection.now();
        Follower {
            shared,
            scope,
            events,
            known: Known::default(),
            version: None,
            current_at,
            failures: 0,
            reported: None,
        }
    }

    pub(crate) async fn run(mut self) -> Verdict {
        let mut ever_listed = false;
        loop {
            let started = Instant::now();
            let end = match &self.version {
                Some(_) => self.watch().await,
                None if self.connection().lists_in_pages(&self.scope.kind) => self.list_in_pages().await,
                None => self.list_by_streaming().await,
            };
            ever_listed |= self.version.is_some();
            let outcome = match end {
                End::Closed => return Verdict::Done,
                End::Over { progressed } if progressed || started.elapsed() >= SHORTEST_WATCH => {
                    self.failures = 0;
                    continue;
                }
                // A balancer that resets what it has held for a while: what was heard until then was sound.
                End::Failed(error) if error.is_transient() && started.elapsed() >= SHORTEST_WATCH => {
                    self.failures = 0;
                    self.failed(&error).await
                }
                End::Over { .. } => self.pause().await,
                End::Expired(reason) => self.expired(reason).await,
                End::NoStreamingList(reason) => {
                    tracing::debug!(kind = self.scope.kind.name(), reason, "falling back to lists in pages");
                    self.connection().list_in_pages_from_now_on(&self.scope.kind);
                    ControlFlow::Continue(())
                }
                End::Failed(error @ ReadError::Forbidden { .. })
                    if !ever_listed && self.scope.namespace.is_none() && self.scope.endpoint.namespaced =>
                {
                    return Verdict::Forbidden(error);
                }
                End::Failed(error) => self.failed(&error).await,
            };
            if outcome.is_break() {
                return Verdict::Done;
            }
        }
    }

    fn connection(&self) -> &Connection {
        &self.shared.connection
    }

    async fn send(&self, event: ListEvent) -> ControlFlow<()> {
        match self.events.send(event).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    async fn expired(&mut self, reason: String) -> ControlFlow<()> {
        self.version = None;
        let Scope { kind, namespace, .. } = self.scope.clone();
        self.send(ListEvent::Relisting { kind, namespace, since: self.current_at, reason }).await?;
        // A server that expires every version at once must not be listed without pause.
        self.pause().await
    }

    async fn failed(&mut self, error: &ReadError) -> ControlFlow<()> {
        let Scope { kind, namespace, .. } = self.scope.clone();
        let gap = error.gap(self.scope.endpoint.resource());
        let lasting = !error.is_transient();
        if (lasting || self.failures + 1 >= REPORTED_FROM) && self.reported.as_ref() != Some(&gap) {
            self.reported = Some(gap.clone());
            let event = if lasting {
                ListEvent::Refused { kind, namespace, gap }
            } else {
                ListEvent::Interrupted { kind, namespace, gap }
            };
            self.send(event).await?;
        }
        if lasting {
            // The right may be granted, the definition installed, later.
            let pause = jittered(self.connection().inner.patience.refused);
            self.wait(pause).await
        } else {
            self.pause().await
        }
    }

    async fn pause(&mut self) -> ControlFlow<()> {
        let (shortest, longest) = self.connection().inner.patience.backoff;
        let pause = jittered((shortest * 2_u32.pow(self.failures.min(10))).min(longest));
        self.failures += 1;
        self.wait(pause).await
    }

    async fn wait(&self, pause: Duration) -> ControlFlow<()> {
        tokio::select! {
            () = sleep(pause) => ControlFlow::Continue(()),
            () = self.events.closed() => ControlFlow::Break(()),
        }
    }

    /// Of namespaces the one that is followed, as who may see one may seldom see them all.
    fn only_this_namespace(&self) -> Option<String> {
        let namespace = self.scope.namespace.as_ref().filter(|_| self.scope.kind == Kind::Namespace)?;
        Some(format!("metadata.name={namespace}"))
    }

    async fn list_in_pages(&mut self) -> End {
        let shared = self.shared.clone();
        let Ok(_permit) = shared.gate.acquire().await else { return End::Closed };
        let scope = self.scope.clone();
        self.known.begin();
        let only = self.only_this_namespace();
        let selectors = only.iter().map(|only| ("fieldSelector", only.as_str())).collect::<Vec<_>>();
        let listed = shared.connection.pages(&scope, &selectors, &|| ControlFlow::Continue(()), self).await;
        match listed {
            Ok(Ended::Stopped) => End::Closed,
            Ok(Ended::Complete(meta)) => self.listed(meta.resource_version.unwrap_or_else(|| "0".to_owned())).await,
            Err(error) => End::Failed(error),
        }
    }

    async fn list_by_streaming(&mut self) -> End {
        let shared = self.shared.clone();
        let Ok(permit) = shared.gate.acquire().await else { return End::Closed };
        let seconds = watch_seconds();
        let only = self.only_this_namespace().unwrap_or_default();
        let ask = self.scope.endpoint.watch(
            self.scope.namespace.as_deref(),
            &[
                ("watch", "true"),
                ("sendInitialEvents", "true"),
                ("resourceVersionMatch", "NotOlderThan"),
                ("allowWatchBookmarks", "true"),
                ("timeoutSeconds", &seconds),
                ("fieldSelector", &only),
            ],
        );
        self.known.begin();
        let deadline = Instant::now() + shared.connection.inner.patience.bookmark;
        match self.stream(&ask, Some(Initial { deadline, _permit: permit })).await {
            End::Failed(ReadError::Status { code: code @ (400 | 422), message, .. }) => {
                End::NoStreamingList(format!("{code} {message}"))
            }
            end => end,
        }
    }

    async fn watch(&mut self) -> End {
        let seconds = watch_seconds();
        let version = self.version.clone().unwrap_or_default();
        let only = self.only_this_namespace().unwrap_or_default();
        let ask = self.scope.endpoint.watch(
            self.scope.namespace.as_deref(),
            &[
                ("watch", "true"),
                ("resourceVersion", &version),
                ("allowWatchBookmarks", "true"),
                ("timeoutSeconds", &seconds),
                ("fieldSelector", &only),
            ],
        );
        self.stream(&ask, None).await
    }

    /// Reads events until the stream ends. `initial` while the list that begins it is still coming.
    async fn stream(&mut self, ask: &Ask, mut initial: Option<Initial<'_>>) -> End {
        let no_bookmark = || End::NoStreamingList("the closing bookmark did not come in time".to_owned());
        let connection = self.connection().clone();
        let sent = match &initial {
            Some(Initial { deadline, .. }) => match timeout_at(*deadline, connection.send(ask)).await {
                Ok(sent) => sent,
                Err(_) => return no_bookmark(),
            },
            None => connection.send(ask).await,
        };
        let mut incoming = match sent {
            Ok(incoming) => incoming,
            Err(ReadError::Gone { .. }) => return End::Expired("410 gone".to_owned()),
            Err(ReadError::Status { code: 504, message, .. }) if is_from_the_future(&message) => {
                return End::Expired(message);
            }
            Err(error) => return End::Failed(error),
        };
        if initial.is_none() && self.resumed().await.is_break() {
            return End::Closed;
        }
        let mut lines = Lines::new(MAX_ITEM_BYTES);
        let mut ready = Vec::new();
        let mut progressed = false;
        loop {
            let chunk = match &initial {
                Some(Initial { deadline, .. }) => match timeout_at(*deadline, incoming.next()).await {
                    Ok(chunk) => chunk,
                    Err(_) => return no_bookmark(),
                },
                None => tokio::select! {
                    chunk = incoming.next() => chunk,
                    () = self.events.closed() => return End::Closed,
                },
            };
            let chunk = match chunk {
                Ok(Some(chunk)) => chunk,
                Ok(None) if initial.is_some() => return End::Failed(incoming.truncated()),
                Ok(None) => return End::Over { progressed },
                // Silence: the other side may be gone without a word. Asking again tells.
                Err(ReadError::TimedOut { .. }) if initial.is_none() => return End::Over { progressed },
                Err(ReadError::TimedOut { .. }) => return no_bookmark(),
                Err(error) => return End::Failed(error),
            };
            lines.push(&chunk, &mut |line| ready.push(self.event(&line)));
            for event in ready.drain(..) {
                progressed = true;
                let sent = match event {
                    Event::Item(item) => self.take(item, 0).await,
                    Event::Gone(reference) => {
                        self.known.remove(&reference);
                        self.send(ListEvent::Deleted(reference, connection.now())).await
                    }
                    Event::Bookmark { version, closes_list } => {
                        self.version = Some(version).filter(|_| initial.is_none() || closes_list);
                        if closes_list && initial.take().is_some() {
                            let version = self.version.clone().unwrap_or_default();
                            if let End::Closed = self.listed(version).await {
                                return End::Closed;
                            }
                        }
                        ControlFlow::Continue(())
                    }
                    Event::Error { code: 410, message } => return End::Expired(format!("410 {message}")),
                    Event::Error { message, .. } if is_from_the_future(&message) => return End::Expired(message),
                    Event::Error { code, message } => {
                        return End::Failed(ReadError::Status {
                            server: connection.server().to_owned(),
                            request: ask.describe(),
                            code,
                            message,
                        });
                    }
                };
                if sent.is_break() {
                    return End::Closed;
                }
            }
            if initial.is_none() {
                self.current_at = connection.now();
            }
        }
    }

    /// The list is complete: what was known and was not in it is gone.
    async fn listed(&mut self, version: String) -> End {
        let connection = self.connection().clone();
        self.version = Some(version);
        self.current_at = connection.now();
        for reference in self.known.sweep(&self.scope) {
            if self.send(ListEvent::Deleted(reference, connection.now())).await.is_break() {
                return End::Closed;
            }
        }
        let Scope { kind, namespace, .. } = self.scope.clone();
        if self.send(ListEvent::Listed { kind, namespace }).await.is_break() || self.resumed().await.is_break() {
            return End::Closed;
        }
        End::Over { progressed: true }
    }

    async fn resumed(&mut self) -> ControlFlow<()> {
        if self.reported.take().is_none() {
            return ControlFlow::Continue(());
        }
        let Scope { kind, namespace, .. } = self.scope.clone();
        self.send(ListEvent::Resumed { kind, namespace }).await
    }

    fn event(&self, line: &Line<'_>) -> Event {
        let broken = |name: Option<String>, why: &str| Event::Item(Item::Broken(Broken { name, why: why.to_owned() }));
        let bytes = match line {
            Line::Whole(bytes) => *bytes,
            Line::TooLong { head } => return broken(name_in(head), "it is larger than 8 MiB and was skipped"),
        };
        let Ok(WatchLine { verb, object }) = serde_json::from_slice::<WatchLine<'_>>(bytes) else {
            return broken(name_in(bytes), "a line of the watch could not be decoded");
        };
        let json = object.get().as_bytes();
        match &*verb {
            "BOOKMARK" => match serde_json::from_slice::<BookmarkObject>(json) {
                Ok(BookmarkObject { metadata }) => Event::Bookmark {
                    version: metadata.resource_version,
                    closes_list: metadata.annotations.get("k8s.io/initial-events-end").is_some_and(|end| end == "true"),
                },
                Err(_) => broken(None, "a bookmark of the watch could not be decoded"),
            },
            "ERROR" => {
                let StatusObject { code, message } = serde_json::from_slice(json).unwrap_or_default();
                Event::Error { code, message: reckon_model::text::clean_line(&message) }
            }
            "DELETED" => match decode_object(json, &self.scope.kind, false) {
                Item::Object(object) => Event::Gone(object.reference()),
                // Of what is gone, its name is all that is needed.
                broken => match identity_in(json) {
                    Some((namespace, name)) => {
                        Event::Gone(ResourceRef::new(self.scope.kind.clone(), namespace.as_deref(), &name))
                    }
                    None => Event::Item(broken),
                },
            },
            _ => Event::Item(decode_object(json, &self.scope.kind, false)),
        }
    }
}

impl Sink for Follower {
    async fn take(&mut self, item: Item, _bytes: usize) -> ControlFlow<()> {
        match item {
            Item::Object(object) => {
                if self.version.is_some() && !object.meta.resource_version.is_empty() {
                    self.version = Some(object.meta.resource_version.clone());
                }
                match self.known.saw(&object) {
                    Saw::Same => ControlFlow::Continue(()),
                    Saw::New => self.send(ListEvent::Object(object)).await,
                    Saw::Replacement(uid) => {
                        let gone = ResourceRef { uid: Some(uid.into()), ..object.reference() };
                        self.send(ListEvent::Deleted(gone, self.connection().now())).await?;
                        self.send(ListEvent::Object(object)).await
                    }
                }
            }
            Item::Broken(broken) => {
                self.known.saw_broken(broken.name.as_deref());
                let kind = self.scope.kind.clone();
                let gap = broken.gap(&kind);
                self.send(ListEvent::Skipped { kind, gap }).await
            }
        }
    }
}

/// The list at the beginning of a stream: until when it has to be complete, and the place it takes among four.
struct Initial<'a> {
    deadline: Instant,
    _permit: SemaphorePermit<'a>,
}

#[expect(clippy::large_enum_variant, reason = "nearly all of them are objects, and each is moved at once")]
enum Event {
    Item(Item),
    Gone(ResourceRef),
    Bookmark { version: String, closes_list: bool },
    Error { code: u16, message: String },
}

#[derive(Deserialize)]
struct BookmarkObject {
    metadata: BookmarkMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookmarkMeta {
    resource_version: String,
    #[serde(default)]
    annotations: HashMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StatusObject {
    code: u16,
    message: String,
}

/// The server's history is shorter than ours: it was restored from a backup, or is behind its siblings.
fn is_from_the_future(message: &str) -> bool {
    message.contains("Too large resource version") || message.contains("ResourceVersionTooLarge")
}

/// What was delivered: names, UIDs and versions.
#[derive(Debug, Default)]
struct Known {
    objects: HashMap<(Box<str>, Box<str>), Seen>,
    pass: u32,
    /// Whether this pass met an object it could not name: then nothing can be said to be gone.
    blind: bool,
}

#[derive(Debug)]
struct Seen {
    uid: Box<str>,
    /// A hash of the resource version: it is compared for equality alone.
    version: u64,
    pass: u32,
}

enum Saw {
    New,
    Same,
    /// Another object had this name; its UID.
    Replacement(Box<str>),
}

impl Known {
    fn begin(&mut self) {
        self.pass = self.pass.wrapping_add(1);
        self.blind = false;
    }

    fn saw(&mut self, object: &Object) -> Saw {
        let meta = &object.meta;
        let mut hash = Fnv::new();
        hash.write(meta.resource_version.as_bytes());
        let now = Seen { uid: meta.uid.as_str().into(), version: hash.value(), pass: self.pass };
        let key = (object.namespace().into(), meta.name.as_str().into());
        let (uid, version) = (now.uid.clone(), now.version);
        match self.objects.insert(key, now) {
            Some(before) if before.uid != uid => Saw::Replacement(before.uid),
            Some(before) if before.version == version && !meta.resource_version.is_empty() => Saw::Same,
            _ => Saw::New,
        }
    }

    fn saw_broken(&mut self, name: Option<&str>) {
        let Some(name) = name else {
            self.blind = true;
            return;
        };
        let pass = self.pass;
        self.objects.iter_mut().filter(|((_, known), _)| &**known == name).for_each(|(_, seen)| seen.pass = pass);
    }

    fn remove(&mut self, reference: &ResourceRef) {
        self.objects.remove(&(reference.namespace().into(), reference.name.as_str().into()));
    }

    /// What the list did not have, in order of names.
    fn sweep(&mut self, scope: &Scope) -> Vec<ResourceRef> {
        if self.blind {
            return Vec::new();
        }
        let pass = self.pass;
        let mut gone: Vec<ResourceRef> = self
            .objects
            .extract_if(|_, seen| seen.pass != pass)
            .map(|((namespace, name), seen)| ResourceRef {
                kind: scope.kind.clone(),
                namespace: (!namespace.is_empty()).then(|| namespace.into()),
                name: name.into(),
                uid: Some(seen.uid.into()),
            })
            .collect();
        gone.sort();
        gone
    }
}

fn watch_seconds() -> String {
    (WATCH_SECONDS + random() % 60).to_string()
}

/// Between half of the duration and all of it.
fn jittered(duration: Duration) -> Duration {
    let half = duration / 2;
    let span = u64::try_from(half.as_millis()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_millis(random() % span)
}

/// The standard library seeds its hashers at random, which is all the randomness that spreading load needs.
fn random() -> u64 {
    RandomState::new().hash_one(())
}
