//! Whether the API server lists what its store holds.
//!
//! Since 1.31 a list that is as new as the store can be comes from the server's own memory, once that has come to the store's
//! version. Of a store that was restored under a running server the memory is ahead, and lists go on to show a history that
//! is no more until the server itself compares the two, every five minutes. A GET by name without a version is answered from
//! the store. So now and then some of the objects that were told of last are asked for both ways.

use super::version::Version;
use crate::connection::Connection;
use crate::error::ReadError;
use crate::list::Scope;
use reckon_model::{Gap, Obstacle};
use serde::Deserialize;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// One object as it was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) version: Option<u64>,
}

impl Told {
    /// Takes the place of an older one. Reuses its memory, as every event does this.
    pub(super) fn replaced_by(&mut self, namespace: &str, name: &str, uid: &str, version: Version) {
        let Version::Number(version) = version else { return };
        if self.version.is_some_and(|known| known >= version) {
            return;
        }
        for (field, text) in [(&mut self.namespace, namespace), (&mut self.name, name), (&mut self.uid, uid)] {
            field.clear();
            field.push_str(text);
        }
        self.version = Some(version);
    }
}

/// An object by which the store is put to the proof.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    pub(super) scope: Scope,
    pub(super) told: Told,
}

/// How many there are: as many as there are turns between two beats.
const WITNESSES: usize = 16;

/// Of how long one is the newest that was told of. No etcd is stopped, exchanged and started in less, so what is told after it
/// does not take the place of what was told before.
const TURN: Duration = Duration::from_secs(2);

/// Objects by which the store is put to the proof: the newest of every two seconds since that was done last. Those alone
/// that are newer than the backup tell, and what is written after it was restored may overtake them at once.
#[derive(Debug, Default)]
pub(super) struct Witnesses {
    /// Oldest first, each with when its turn began.
    turns: VecDeque<(Instant, Witness)>,
    /// The one that was contradicted: lists show what the store does not hold, and prove nothing.
    contradicted: Option<Witness>,
}

impl Witnesses {
    /// Somebody was told of this object.
    pub(super) fn saw(&mut self, scope: &Scope, told: &Told) {
        let last = self.turns.back_mut();
        if told.version <= last.as_ref().and_then(|(_, last)| last.told.version) {
            return;
        }
        match last {
            Some((since, last)) if since.elapsed() < TURN => {
                if last.scope.kind != scope.kind || last.scope.namespace != scope.namespace {
                    last.scope = scope.clone();
                }
                last.told.clone_from(told);
            }
            _ => {
                if self.turns.len() == WITNESSES {
                    self.turns.pop_front();
                }
                self.turns.push_back((Instant::now(), Witness { scope: scope.clone(), told: told.clone() }));
            }
        }
    }

    /// Whom to ask: the one in doubt alone, where there is one.
    pub(super) fn to_ask(&self) -> Vec<Witness> {
        match &self.contradicted {
            Some(witness) => vec![witness.clone()],
            None => self.turns.iter().map(|(_, witness)| witness.clone()).collect(),
        }
    }

    /// All up to this one were asked, and none disagreed: it is enough from now on.
    pub(super) fn asked(&mut self, last: &Witness) {
        self.turns.retain(|(_, witness)| witness.told.version >= last.told.version);
    }

    pub(super) fn contradicted_by(&mut self, witness: Witness) {
        self.contradicted = Some(witness);
    }

    pub(super) fn in_doubt(&self) -> Option<&Witness> {
        self.contradicted.as_ref()
    }
}

/// What became of a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Testimony {
    /// The store has it as it was told, or it changed or went since.
    Agrees,
    /// The store holds an earlier state of it, and so does the list: what was told is of a history that is no more.
    OfThePast,
    /// A list still shows it as it was told. The store holds an earlier state, or nothing.
    Contradicted,
    /// Nobody could be asked.
    Silent,
}

/// What is asked for now and then.
#[derive(Debug)]
pub(super) struct Beat {
    /// The version of the newest state.
    pub(super) newest: String,
    /// What the witnesses said, up to the first that disagreed.
    pub(super) heard: Vec<(Witness, Testimony)>,
}

#[derive(Deserialize)]
struct Named {
    metadata: Meta,
}

#[derive(Deserialize)]
struct Names {
    items: Vec<Named>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    uid: String,
    resource_version: String,
}

impl Witness {
    fn is(&self, shown: &Meta) -> bool {
        shown.uid == self.told.uid && shown.resource_version.parse().ok() == self.told.version
    }

    /// Whether what the store holds cannot have come after what was told. An object is never undone, but two states of one
    /// object can be compared only where versions are those of Kubernetes itself.
    fn is_undone(&self, stored: Option<&Meta>) -> bool {
        let Some(stored) = stored else { return true };
        let older =
            matches!((stored.resource_version.parse::<u64>(), self.told.version), (Ok(now), Some(told)) if now < told);
        stored.uid == self.told.uid && older && self.scope.endpoint.is_of_kubernetes()
    }

    /// What all who follow the store hear while it is contradicted.
    pub(super) fn gap(&self) -> Gap {
        let Told { namespace, name, .. } = &self.told;
        let place = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        let what = format!("{} {place}{name}", self.scope.kind.singular());
        let why = "the API server lists it as it was, and etcd holds an earlier state of it or nothing, as after a restore of \
                   etcd under a running API server: start the API server again"
            .to_owned();
        Gap { what, why, obstacle: Obstacle::Server }
    }
}

impl Connection {
    /// The version of the newest state, and what became of the witnesses.
    pub(super) async fn beat(
        &self,
        scope: &Scope,
        witnesses: Vec<Witness>,
        limit: Duration,
    ) -> Result<Beat, ReadError> {
        let newest = self.newest(scope, limit).await?;
        let mut heard = Vec::with_capacity(witnesses.len());
        let end = Instant::now() + limit;
        for witness in witnesses {
            // Who may list may not always get; nothing is concluded from that.
            let testimony = timeout_at(end, self.hear(&witness)).await;
            let testimony = testimony.ok().and_then(Result::ok).unwrap_or(Testimony::Silent);
            let last = matches!(testimony, Testimony::Contradicted | Testimony::OfThePast);
            heard.push((witness, testimony));
            if last {
                break;
            }
        }
        Ok(Beat { newest, heard })
    }

    /// Asks for it by name, which the store answers; if it is not as it was told, asks for a list of it as well. That was
    /// asked for later, so where the server is sound it shows nothing older.
    async fn hear(&self, witness: &Witness) -> Result<Testimony, ReadError> {
        let Witness { scope, told } = witness;
        let namespace = Some(told.namespace.as_str()).filter(|namespace| !namespace.is_empty());
        let stored: Option<Named> = found(self.json(&scope.endpoint.name(namespace, &told.name)).await)?;
        if stored.as_ref().is_some_and(|stored| witness.is(&stored.metadata)) {
            return Ok(Testimony::Agrees);
        }
        let only = format!("metadata.name={}", told.name);
        let ask = scope.endpoint.names(namespace, &[("fieldSelector", &only)]);
        let listed: Option<Names> = found(self.json(&ask).await)?;
        let shown = listed.into_iter().flat_map(|listed| listed.items).next();
        let stored = stored.as_ref().map(|stored| &stored.metadata);
        let listed = shown.is_some_and(|shown| witness.is(&shown.metadata));
        Ok(match stored {
            _ if !witness.is_undone(stored) => Testimony::Agrees,
            _ if listed => Testimony::Contradicted,
            Some(_) => Testimony::OfThePast,
            // It was deleted, as both say.
            None => Testimony::Agrees,
        })
    }
}

/// That it is not there is an answer.
fn found<T>(read: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(ReadError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
