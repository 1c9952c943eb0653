//! Following one kind for ever: wherever it may be read, and as long as it is served. Both change while a program runs.

use crate::access::Listable;
use crate::discovery::{Discovery, ServedType};
use crate::endpoint::Endpoint;
use crate::error::{ReadError, not_served};
use crate::follow::{Follower, Known, Stop, Verdict};
use crate::list::Scope;
use crate::listing::{OneKind, Shared, readable_namespaces};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How old the list of what is served may be while a kind waits for its definition: a new one is to be followed within
/// ten seconds.
const SERVED_EVERY: Duration = Duration::from_secs(8);

impl Shared {
    /// What the cluster serves, at most so old.
    async fn what_is_served(&self) -> Result<Arc<Discovery>, ReadError> {
        let mut served = self.served.lock().await;
        match &*served {
            Some((at, discovery)) if at.elapsed() < SERVED_EVERY => Ok(discovery.clone()),
            _ => {
                let discovery = Arc::new(self.connection.ask_what_is_served().await?);
                *served = Some((Instant::now(), discovery.clone()));
                Ok(discovery)
            }
        }
    }
}

impl OneKind {
    pub(crate) async fn for_ever(&self, namespace: Option<String>) {
        let mut known = Known::default();
        let mut place = Endpoint::of(&self.kind);
        let mut refused = false;
        loop {
            let Some(endpoint) = place.take() else {
                let why = match self.shared.what_is_served().await {
                    Ok(discovery) => {
                        place = discovery.get(&self.kind).map(ServedType::endpoint);
                        not_served(self.kind.resource())
                    }
                    Err(error) => error.gap(self.kind.resource()),
                };
                if place.is_none() {
                    if !std::mem::replace(&mut refused, true) {
                        self.refused(None, why).await;
                    }
                    if self.wait(SERVED_EVERY).await.is_break() {
                        return;
                    }
                }
                continue;
            };
            refused = false;
            let scope = self.scope(endpoint, namespace.clone());
            match self.follow(scope.clone(), Arc::default(), std::mem::take(&mut known)).await {
                Verdict::Done(_) => return,
                Verdict::NotServed => {
                    self.refused(scope.namespace.clone(), not_served(self.kind.resource())).await;
                    refused = true;
                    if self.wait(self.shared.connection.inner.patience.beat / 4).await.is_break() {
                        return;
                    }
                    // Where it is served now, if it is: what was read before may be what is no more.
                    *self.shared.served.lock().await = None;
                }
                Verdict::Forbidden(error, delivered) => {
                    self.refused(scope.namespace.clone(), error.gap(self.kind.resource())).await;
                    match self.by_namespace(&scope, delivered).await {
                        Some(delivered) => known = delivered,
                        None => return,
                    }
                    place = Some(scope.endpoint);
                }
            }
        }
    }

    async fn follow(&self, scope: Scope, stop: Arc<Stop>, known: Known) -> Verdict {
        Follower::new(self.shared.clone(), scope, self.events.clone(), stop, known).run().await
    }

    /// Follows the kind in the namespaces where it may be read, until it may be in the whole cluster or is no longer
    /// served; then what was delivered is the answer. `None`: nobody listens.
    async fn by_namespace(&self, scope: &Scope, mut known: Known) -> Option<Known> {
        let stop: Arc<Stop> = Arc::default();
        let mut followed: BTreeSet<String> = BTreeSet::new();
        let mut followers = FuturesUnordered::new();
        let mut again = std::pin::pin!(sleep(Duration::ZERO));
        loop {
            let more = tokio::select! {
                biased;
                () = self.events.closed() => return None,
                Some((name, verdict)) = followers.next(), if !followers.is_empty() => {
                    followed.remove(&name);
                    match verdict {
                        Verdict::Done(delivered) => known.inherit(delivered),
                        Verdict::Forbidden(_, delivered) => known.inherit(delivered),
                        Verdict::NotServed => stop.call(),
                    }
                    false
                }
                // Where all are to end, nobody is to begin: a time that has passed would be heard of without a pause.
                () = &mut again, if !stop.is_called() => true,
            };
            if stop.is_called() && followers.is_empty() {
                return Some(known);
            }
            if !more || stop.is_called() {
                continue;
            }
            if !followed.is_empty() && self.may_list_all(scope).await {
                stop.call();
                continue;
            }
            let namespaces = readable_namespaces(&self.shared.connection).await;
            self.narrow(scope, &namespaces).into_iter().for_each(|(name, scope)| {
                if followed.insert(name.clone()) {
                    let follower = self.follow(scope, stop.clone(), known.split_off(&name));
                    followers.push(async move { (name, follower.await) });
                }
            });
            let pause = self.shared.connection.inner.patience.refused;
            again.as_mut().reset(Instant::now() + self.shared.connection.inner.dice.jittered(pause));
        }
    }

    fn narrow(&self, scope: &Scope, namespaces: &[(String, Option<Listable>)]) -> Vec<(String, Scope)> {
        let scopes = self.scopes_in(scope, namespaces);
        scopes.into_iter().map(|scope| (scope.namespace.clone().unwrap_or_default(), scope)).collect()
    }

    async fn may_list_all(&self, scope: &Scope) -> bool {
        let ask = scope.endpoint.names(None, &[("limit", "1")]);
        self.shared.connection.send(&ask).await.is_ok()
    }

    async fn wait(&self, pause: Duration) -> ControlFlow<()> {
        tokio::select! {
            biased;
            () = self.events.closed() => ControlFlow::Break(()),
            () = sleep(pause) => ControlFlow::Continue(()),
        }
    }
}
