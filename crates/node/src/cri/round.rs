//! One round of questions: which containers there are, and then how those are of which more may be known.

use super::call::{Client, Trouble};
use super::facts::Listed;
use super::list::Splitter;
use super::message::{
    Container, ContainerStatus, ContainerStatusRequest, ContainerStatusResponse, ListContainersRequest,
};
use super::told::Told;
use jiff::Timestamp;
use prost::Message;
use reckon_model::kernel::{NodeReport, RuntimeState};
use reckon_model::text::count;
use std::path::Path;
use std::time::Duration;

/// The most containers that are read: a node has 110 pods by default and rarely more than five hundred. With these the
/// process stays below 12 MB.
const CONTAINERS: usize = 2048;

/// The largest status. One is some KiB, most of it mounts and annotations.
const STATUS: usize = 256 << 10;

/// So many questions without an answer, and it is the runtime that hangs and not a container.
const SILENCES: usize = 3;

/// What a round remembers for the next.
#[derive(Debug, Default)]
pub(super) struct Round {
    told: Told,
}

/// How a round ended.
pub(super) struct Ended {
    /// Nothing more can be asked for now.
    pub(super) failed: bool,
    /// What was not read.
    pub(super) trouble: Option<String>,
}

impl Round {
    /// Asks, and tells what is new; an error only where it cannot be told.
    pub(super) async fn ask<E>(
        &mut self,
        socket: &Path,
        within: Duration,
        tell: impl FnMut(NodeReport) -> Result<(), E>,
    ) -> Result<Ended, E> {
        let listed = async {
            let mut client = Client::connect(socket, within).await?;
            let list = list(&mut client).await?;
            Ok::<_, Trouble>((client, list))
        };
        match listed.await {
            Ok((client, list)) => self.statuses(client, list, tell).await,
            Err(trouble) => Ok(Ended { failed: true, trouble: Some(format!("list of containers: {trouble}")) }),
        }
    }

    async fn statuses<E>(
        &mut self,
        mut client: Client,
        list: List,
        mut tell: impl FnMut(NodeReport) -> Result<(), E>,
    ) -> Result<Ended, E> {
        self.told.keep(&list.containers);
        let mut trouble = list.trouble();
        let mut silences = 0;
        for listed in list.containers {
            if self.told.is_settled(&listed) {
                continue;
            }
            let said = match listed.state {
                RuntimeState::Running | RuntimeState::Exited => {
                    status(&mut client, &listed.id).await.map(|status| listed.with(&status))
                }
                RuntimeState::Created | RuntimeState::Unknown => Ok(listed.facts()),
            };
            match said {
                Ok(facts) => {
                    if let Some(news) = self.told.take(facts, Timestamp::now()) {
                        tell(NodeReport::Container(Box::new(news)))?;
                    }
                }
                // It was removed since it was listed.
                Err(Trouble::Gone) => {}
                Err(error) => {
                    silences += usize::from(matches!(error, Trouble::Silent(_)));
                    let failed = matches!(error, Trouble::Lost(_)) || silences >= SILENCES;
                    let why = format!("status of a container: {error}");
                    if failed {
                        return Ok(Ended { failed, trouble: Some(why) });
                    }
                    trouble.get_or_insert(why);
                }
            }
        }
        Ok(Ended { failed: false, trouble })
    }
}

/// What a list has given.
#[derive(Default)]
struct List {
    containers: Vec<Listed>,
    /// How many there are beyond those that are read.
    beyond: usize,
    /// How many were no containers, or had no id.
    broken: usize,
}

impl List {
    fn take(&mut self, item: &[u8]) {
        if self.containers.len() >= CONTAINERS {
            self.beyond += 1;
            return;
        }
        match Container::decode(item).ok().and_then(Listed::of) {
            Some(container) => self.containers.push(container),
            None => self.broken += 1,
        }
    }

    fn trouble(&self) -> Option<String> {
        if self.beyond > 0 {
            return Some(format!("there are more than {CONTAINERS} containers; the others were not read"));
        }
        (self.broken > 0).then(|| format!("{} could not be read", count(self.broken, "container")))
    }
}

async fn list(client: &mut Client) -> Result<List, Trouble> {
    let mut list = List::default();
    let mut splitter = Splitter::default();
    let feed = |bytes: &[u8]| splitter.feed(bytes, |item| list.take(item));
    client.call("ListContainers", &ListContainersRequest {}, feed).await?;
    if !splitter.is_whole() {
        return Err(Trouble::Answer("it was cut off".to_owned()));
    }
    list.broken += splitter.too_large;
    Ok(list)
}

async fn status(client: &mut Client, id: &str) -> Result<ContainerStatus, Trouble> {
    let mut answer = Vec::new();
    let question = ContainerStatusRequest { container_id: id.to_owned() };
    let take = |bytes: &[u8]| {
        if answer.len() + bytes.len() > STATUS {
            return Err(Trouble::Answer("it is too large".to_owned()));
        }
        answer.extend_from_slice(bytes);
        Ok(())
    };
    client.call("ContainerStatus", &question, take).await?;
    let wrong = || Trouble::Answer("it is no status".to_owned());
    ContainerStatusResponse::decode(answer.as_slice()).ok().and_then(|answer| answer.status).ok_or_else(wrong)
}
