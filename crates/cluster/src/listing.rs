//! Many kinds listed side by side, once or for ever.

use crate::access::Listable;
use crate::connection::Connection;
use crate::discovery::Discovery;
use crate::endpoint::Endpoint;
use crate::error::{ReadError, not_served};
use crate::follow::Pulse;
use crate::list::{Ended, Item, Scope, Sink};
use futures::StreamExt;
use reckon_model::{Gap, Kind, Object, ResourceRef, Timestamp};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OnceCell, Semaphore, mpsc};
use tokio::task::JoinSet;

/// Lists that run side by side: more would only make a starved server refuse.
const SIDE_BY_SIDE: usize = 4;

/// Events that wait to be taken. Reading stops when they are not.
const WAITING: usize = 256;

/// Namespaces that are tried where the cluster as a whole may not be listed.
const MAX_NAMESPACES: usize = 100;

/// What a [`Listing`] brings.
#[derive(Debug)]
pub enum ListEvent {
    /// An object as it is now. In following mode it may be new, changed or, after a relist, merely seen again.
    Object(Object),
    /// An object is gone. The time is when that was noticed; after a [`ListEvent::Relisting`] it went at some time since.
    Deleted(ResourceRef, Timestamp),
    /// Every object of that kind in that scope has now been delivered.
    Listed {
        /// The kind.
        kind: Kind,
        /// `None` for the whole cluster.
        namespace: Option<String>,
    },
    /// That kind could not be listed in that scope, or not to the end; what was delivered of it is not all.
    Refused {
        /// The kind.
        kind: Kind,
        /// `None` for the whole cluster.
        namespace: Option<String>,
        /// The exact missing verb, URL or component.
        gap: Gap,
    },
    /// One object that could not be decoded was left out.
    Skipped {
        /// The kind.
        kind: Kind,
        /// Its name as far as known, and why.
        gap: Gap,
    },
    /// Following: the server's history no longer reaches back to what was seen last. A new list follows, ended by
    /// [`ListEvent::Listed`]; what is not in it comes as [`ListEvent::Deleted`].
    Relisting {
        /// The kind.
        kind: Kind,
        /// `None` for the whole cluster.
        namespace: Option<String>,
        /// Changes since then may have been missed.
        since: Timestamp,
        /// Why.
        reason: String,
        /// Whether the history itself went back, as when etcd was restored from a backup: versions that were seen are not
        /// those of that name any more, and whatever is listed comes as if it were new.
        rewound: bool,
    },
    /// Following: no changes are coming in for now; what is known grows stale.
    Interrupted {
        /// The kind.
        kind: Kind,
        /// `None` for the whole cluster.
        namespace: Option<String>,
        /// Why.
        gap: Gap,
    },
    /// Following: changes are coming in again after [`ListEvent::Interrupted`].
    Resumed {
        /// The kind.
        kind: Kind,
        /// `None` for the whole cluster.
        namespace: Option<String>,
    },
}

/// Lists on their way. Dropping it ends them.
#[derive(Debug)]
pub struct Listing {
    events: mpsc::Receiver<ListEvent>,
    _tasks: JoinSet<()>,
}

impl Listing {
    /// The next event; `None` when every kind has been listed or refused. A following listing has no end.
    pub async fn next(&mut self) -> Option<ListEvent> {
        self.events.recv().await
    }

    /// An event that has come already.
    pub fn ready(&mut self) -> Option<ListEvent> {
        self.events.try_recv().ok()
    }
}

impl Connection {
    /// Lists these kinds once, four at a time: in a namespace, or in the whole cluster. A kind that may not be listed in
    /// the whole cluster is listed in the context's namespace and in those where the user may.
    ///
    /// Has to be called within a tokio runtime.
    pub fn list(&self, kinds: Vec<Kind>, namespace: Option<String>) -> Listing {
        self.start(kinds, namespace, Mode::Once)
    }

    /// Lists these kinds and follows their changes for ever; see [`Connection::list`] for the scope.
    ///
    /// Has to be called within a tokio runtime.
    pub fn follow(&self, kinds: Vec<Kind>, namespace: Option<String>) -> Listing {
        self.start(kinds, namespace, Mode::ForEver)
    }

    fn start(&self, kinds: Vec<Kind>, namespace: Option<String>, mode: Mode) -> Listing {
        let (sender, events) = mpsc::channel(WAITING);
        let shared = Arc::new(Shared {
            connection: self.clone(),
            gate: Semaphore::new(SIDE_BY_SIDE),
            namespaces: OnceCell::new(),
            pulses: Mutex::default(),
            served: tokio::sync::Mutex::new(None),
        });
        let mut tasks = JoinSet::new();
        let mut seen = BTreeSet::new();
        for kind in kinds.into_iter().filter(|kind| seen.insert(kind.clone())) {
            let task = OneKind { shared: shared.clone(), kind, mode, events: sender.clone() };
            tasks.spawn(task.run(namespace.clone()));
        }
        Listing { events, _tasks: tasks }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Once,
    ForEver,
}

/// What the kinds of one listing share.
pub(crate) struct Shared {
    pub(crate) connection: Connection,
    pub(crate) gate: Semaphore,
    /// Where the user may list something, asked for at most once.
    namespaces: OnceCell<Vec<(String, Option<Listable>)>>,
    /// By store.
    pulses: Mutex<BTreeMap<String, Arc<Pulse>>>,
    /// What the cluster serves, while something is followed that it did not.
    pub(crate) served: tokio::sync::Mutex<Option<(tokio::time::Instant, Arc<Discovery>)>>,
}

impl Shared {
    /// That of the store that a kind is in. Large clusters keep Events apart; others may keep what they serve anywhere.
    pub(crate) fn pulse(&self, scope: &Scope) -> Arc<Pulse> {
        let group = &scope.endpoint.group;
        let store = match () {
            () if scope.kind == Kind::Event => "events",
            () if scope.endpoint.is_of_kubernetes() => "",
            () => group,
        };
        let mut pulses = self.pulses.lock().unwrap_or_else(PoisonError::into_inner);
        pulses.entry(store.to_owned()).or_insert_with(|| Arc::new(Pulse::new())).clone()
    }
}

pub(crate) struct OneKind {
    pub(crate) shared: Arc<Shared>,
    pub(crate) kind: Kind,
    mode: Mode,
    pub(crate) events: mpsc::Sender<ListEvent>,
}

impl OneKind {
    async fn run(self, namespace: Option<String>) {
        if self.mode == Mode::ForEver {
            return self.for_ever(namespace).await;
        }
        let endpoint = match self.shared.connection.endpoint(&self.kind).await {
            Ok(Some(endpoint)) => endpoint,
            Ok(None) => return self.refused(None, not_served(self.kind.resource())).await,
            Err(error) => return self.refused(None, error.gap(self.kind.resource())).await,
        };
        self.once(self.scope(endpoint, namespace)).await;
    }

    pub(crate) fn scope(&self, endpoint: Endpoint, namespace: Option<String>) -> Scope {
        let namespace = namespace.filter(|_| endpoint.namespaced || self.kind == Kind::Namespace);
        Scope { kind: self.kind.clone(), endpoint, namespace }
    }

    async fn once(&self, scope: Scope) {
        let Err(error) = self.list(&scope).await else { return };
        self.refused(scope.namespace.clone(), error.gap(self.kind.resource())).await;
        if self.falls_back(&scope, &error) {
            for scope in self.scopes_where_allowed(&scope).await {
                if let Err(error) = self.list(&scope).await {
                    self.refused(scope.namespace.clone(), error.gap(self.kind.resource())).await;
                }
            }
        }
    }

    fn falls_back(&self, scope: &Scope, error: &ReadError) -> bool {
        let by_namespace = scope.endpoint.namespaced || scope.kind == Kind::Namespace;
        matches!(error, ReadError::Forbidden { .. }) && scope.namespace.is_none() && by_namespace
    }

    async fn list(&self, scope: &Scope) -> Result<(), ReadError> {
        let Ok(_permit) = self.shared.gate.acquire().await else { return Ok(()) };
        let mut sink = Channel { kind: &self.kind, events: &self.events };
        let connection = &self.shared.connection;
        // One namespace is read by name: the right to list them all is rare.
        let ended = match &scope.namespace {
            Some(name) if self.kind == Kind::Namespace => {
                let bytes = connection.send(&scope.endpoint.get(None, name)).await?.all(MAX_NAMESPACE_BYTES).await?;
                let _ = sink.take(crate::list::decode_object(&bytes, &self.kind, false), bytes.len()).await;
                Ended::Complete(crate::splitter::ListMeta::default())
            }
            _ => connection.pages(scope, &[], &|| ControlFlow::Continue(()), &mut sink).await?,
        };
        if let Ended::Complete(_) = ended {
            let listed = ListEvent::Listed { kind: self.kind.clone(), namespace: scope.namespace.clone() };
            let _ = self.events.send(listed).await;
        }
        Ok(())
    }

    pub(crate) async fn refused(&self, namespace: Option<String>, gap: Gap) {
        let _ = self.events.send(ListEvent::Refused { kind: self.kind.clone(), namespace, gap }).await;
    }

    /// The namespaces to list in where the whole cluster is forbidden.
    async fn scopes_where_allowed(&self, scope: &Scope) -> Vec<Scope> {
        let namespaces = self.shared.namespaces.get_or_init(|| readable_namespaces(&self.shared.connection)).await;
        self.scopes_in(scope, namespaces)
    }

    /// Of these namespaces the context's in any case, so that its answer is either the objects or the exact missing right;
    /// others only where the rules say that they may be listed.
    pub(crate) fn scopes_in(&self, scope: &Scope, namespaces: &[(String, Option<Listable>)]) -> Vec<Scope> {
        let own = self.shared.connection.default_namespace();
        if scope.kind == Kind::Namespace {
            return vec![Scope { namespace: Some(own.to_owned()), ..scope.clone() }];
        }
        let Endpoint { group, plural, .. } = &scope.endpoint;
        namespaces
            .iter()
            .filter(|(name, rules)| name == own || rules.as_ref().is_none_or(|rules| rules.allows(group, plural)))
            .map(|(name, _)| Scope { namespace: Some(name.clone()), ..scope.clone() })
            .collect()
    }
}

/// A Namespace object is small; this is a bound, not an expectation.
const MAX_NAMESPACE_BYTES: u64 = 2 * 1024 * 1024;

/// The context's namespace first, then the others, as far as the user may see that they exist.
pub(crate) async fn readable_namespaces(connection: &Connection) -> Vec<(String, Option<Listable>)> {
    #[derive(Deserialize)]
    struct Namespaces {
        items: Vec<Named>,
    }
    #[derive(Deserialize)]
    struct Named {
        metadata: Meta,
    }
    #[derive(Deserialize)]
    struct Meta {
        name: String,
    }
    let own = connection.default_namespace().to_owned();
    let limit = (MAX_NAMESPACES + 1).to_string();
    let ask = Endpoint::new("", "v1", "namespaces", false).list(None, &[("limit", &limit)]);
    let others: Vec<String> = match connection.json::<Namespaces>(&ask).await {
        Ok(list) => list.items.into_iter().map(|item| item.metadata.name).filter(|name| *name != own).collect(),
        Err(_) => Vec::new(),
    };
    let rules = futures::stream::iter(others.into_iter().take(MAX_NAMESPACES)).map(|name| async move {
        let rules = connection.listable(&name).await;
        (name, rules)
    });
    let mut all = vec![(own, None)];
    all.extend(rules.buffered(SIDE_BY_SIDE).collect::<Vec<_>>().await);
    all
}

struct Channel<'a> {
    kind: &'a Kind,
    events: &'a mpsc::Sender<ListEvent>,
}

impl Sink for Channel<'_> {
    async fn take(&mut self, item: Item, _bytes: usize) -> ControlFlow<()> {
        let event = match item {
            Item::Object(object) => ListEvent::Object(object),
            Item::Broken(broken) => ListEvent::Skipped { kind: self.kind.clone(), gap: broken.gap(self.kind) },
        };
        match self.events.send(event).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}
