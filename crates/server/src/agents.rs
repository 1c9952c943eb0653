//! `GET /api/v1/agents/connect`: an agent's connection, on which the record of its cluster comes.
//!
//! What is said is [`Peer`]'s business. Here are the socket, the store and the clock: blocks go to the store in their order while
//! more of them come, as many together as came meanwhile, and are acknowledged when the store has them for good.

#[cfg(test)]
mod tests;

use crate::App;
use crate::caller::Caller;
use crate::refusal::{Code, Refusal};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::response::Response;
use reckon_model::ClusterId;
use reckon_model::frame::peer::{Command, Grant, Peer};
use reckon_model::frame::{self, Hello, Limits, MOST_BYTES};
use reckon_model::record::Batch;
use reckon_store::{Error, Store, TokenHash};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

/// What one connection may have on its way: a block of the largest, or thousands of the usual ones. It bounds what one agent
/// costs in memory.
const LIMITS: Limits = Limits { block: MOST_BLOCK, window: MOST_BLOCK };
const MOST_BLOCK: u32 = 9 * 1024 * 1024;

/// Whether the token is still good, and nobody else has taken over, is looked up this often: a revoked agent is to be cut off
/// within five seconds.
const LOOKED_UP: Duration = Duration::from_secs(2);

/// A store that does not answer is asked again after this; meanwhile nothing is acknowledged, and the window fills up.
const AGAIN: Duration = Duration::from_secs(1);

/// So many blocks are appended at once at most.
const TOGETHER: usize = 256;

pub(crate) async fn connect(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Refusal> {
    let Caller::Agent(token, cluster) = caller else {
        return Err(Refusal::new(Code::Forbidden, "an agent's token is needed here"));
    };
    let upgrade = upgrade.max_message_size(MOST_BYTES).max_frame_size(MOST_BYTES);
    Ok(upgrade.on_upgrade(move |socket| Connection { app, token, cluster }.talk(socket)))
}

/// One agent's connection.
struct Connection {
    app: App,
    token: TokenHash,
    cluster: ClusterId,
}

impl Connection {
    async fn talk(self, mut socket: WebSocket) {
        let begun = Instant::now();
        let mut peer = Peer::new(self.cluster.0.as_str(), LIMITS, Duration::ZERO);
        let (blocks, appended) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let (to_store, mut durable) = (blocks.0, appended.1);
        let appending = tokio::spawn(append(self.app.store.clone(), self.cluster.clone(), blocks.1, appended.0));
        let mut look_up = interval(LOOKED_UP);
        look_up.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut epoch = 0;
        'talk: loop {
            let commands = tokio::select! {
                came = socket.recv() => match came {
                    Some(Ok(Message::Binary(bytes))) => peer.receive(&bytes, begun.elapsed()),
                    Some(Ok(Message::Text(_))) => peer.end(refusal(frame::Code::Malformed, "text where frames are sent")),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => Vec::new(),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                },
                Some(result) = durable.recv() => match result {
                    Ok(seq) => peer.appended(seq),
                    Err(ended) => peer.end(ended),
                },
                _ = look_up.tick() => match self.is_still_good(epoch).await {
                    Ok(()) => Vec::new(),
                    Err(ended) => peer.end(ended),
                },
                () = sleep_until(begun + peer.due()) => peer.tick(begun.elapsed()),
            };
            let mut commands = std::collections::VecDeque::from(commands);
            while let Some(command) = commands.pop_front() {
                match command {
                    Command::Send(frame) => {
                        if socket.send(Message::Binary(frame.encode().into())).await.is_err() {
                            break 'talk;
                        }
                    }
                    Command::Claim(hello) => commands.extend(match self.claim(&hello).await {
                        Ok(grant) => {
                            epoch = grant.epoch;
                            peer.granted(&grant)
                        }
                        Err(ended) => peer.end(ended),
                    }),
                    // Its end is the appender's, which says why on the other channel.
                    Command::Append { batch, entries: _ } => drop(to_store.send(batch)),
                    Command::Close => break 'talk,
                }
            }
        }
        // What came whole is appended though nobody waits for the acknowledgement.
        drop(to_store);
        let _ = appending.await;
        let _ = socket.send(Message::Close(None)).await;
    }

    async fn claim(&self, hello: &Hello) -> Result<Grant, frame::Refusal> {
        let instance = hello.instance.to_string();
        let mark =
            self.app.store.begin(&self.cluster, &instance, hello.epoch, (self.app.now)()).await.map_err(ended)?;
        Ok(Grant { epoch: mark.epoch, mark: mark.seq })
    }

    /// Whether its token is still good and the epoch is still its own. A store that does not answer changes nothing.
    async fn is_still_good(&self, epoch: u64) -> Result<(), frame::Refusal> {
        let now = (self.app.now)();
        if let Ok(None) = self.app.store.who(&self.token, now).await {
            return Err(refusal(frame::Code::Revoked, "the agent's token was revoked"));
        }
        match self.app.store.mark(&self.cluster).await {
            Ok(Some(mark)) if epoch != 0 && mark.epoch > epoch => Err(ended(Error::Fenced { epoch: mark.epoch })),
            Ok(Some(_)) if epoch != 0 => {
                if let Err(error) = self.app.store.heard_of(&self.cluster, None, now).await {
                    tracing::warn!("that an agent is there was not noted: {error}");
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Appends what comes, as much together as there is, and says up to where it is durable, or why no more can be.
async fn append(
    store: Arc<dyn Store>,
    cluster: ClusterId,
    mut blocks: mpsc::UnboundedReceiver<Batch>,
    durable: mpsc::UnboundedSender<Result<u64, frame::Refusal>>,
) {
    let mut together = Vec::new();
    while blocks.recv_many(&mut together, TOGETHER).await > 0 {
        let appended = loop {
            match store.append(&cluster, together.clone(), reckon_model::Timestamp::now()).await {
                // Appending twice is appending once.
                Err(Error::Unreachable(why) | Error::Full(why)) => {
                    tracing::warn!("the record of {} waits: {why}", cluster.0);
                    sleep(AGAIN).await;
                    if durable.is_closed() {
                        return;
                    }
                }
                other => break other,
            }
        };
        together.clear();
        let result = appended.map(|mark| mark.seq).map_err(ended);
        let over = result.is_err();
        if durable.send(result).is_err() || over {
            return;
        }
    }
}

fn refusal(code: frame::Code, sentence: impl Into<String>) -> frame::Refusal {
    frame::Refusal::new(code, sentence)
}

fn ended(error: Error) -> frame::Refusal {
    match error {
        Error::Fenced { .. } => refusal(
            frame::Code::Fenced,
            "another agent writes the record of this cluster: end one of them, or give this one a new spool",
        ),
        other => {
            tracing::error!("an agent's record was not appended: {other}");
            refusal(frame::Code::Unavailable, other.to_string())
        }
    }
}
