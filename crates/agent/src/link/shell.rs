//! What carries a [`Talk`]'s steps out, and begins a new one when it ends.

use super::backoff::Backoff;
use super::connect::{Settings, Socket, connect};
use super::talk::{BUDGET, End, Step, Talk};
use crate::Spool;
use futures::{SinkExt, StreamExt};
use reckon_model::frame::{Frame, Hello, Protocols};
use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_tungstenite::tungstenite::Message;

/// How many frames wait to be written; what is granted by credit is never so many.
const WAITING: usize = 4096;

/// A connection that lasted so long was one, whatever came of it.
const LASTED: Duration = Duration::from_secs(10);

/// How the link is.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkState {
    /// It is being opened.
    Connecting,
    /// The server has taken the agent on.
    Connected,
    /// It will be tried again.
    Waiting {
        /// Why it is not connected, as a sentence.
        why: String,
    },
}

/// Brings what is in the spool to the server, for as long as that can succeed; returns why it cannot. What is in the spool
/// stays there. Dropping the future ends the connection.
pub async fn run(spool: &Spool, settings: &Settings, told: &watch::Sender<LinkState>) -> End {
    let mut backoff = Backoff::new(fastrand::u64(..));
    loop {
        told.send_replace(LinkState::Connecting);
        let begin = Instant::now();
        let mark = spool.status().borrow().mark;
        let (why, after) = match connect(settings).await {
            Ok(socket) => {
                let end = converse(spool, socket, told).await;
                if end.is_final() {
                    return end;
                }
                if spool.status().borrow().mark > mark || begin.elapsed() >= LASTED {
                    backoff.reset();
                }
                (end.to_string(), None)
            }
            Err(error) => (error.why, error.after),
        };
        tracing::info!(%why, "not connected to the server");
        told.send_replace(LinkState::Waiting { why });
        sleep(backoff.pause(after)).await;
    }
}

/// One connection, from hello to its end.
pub(super) async fn converse(spool: &Spool, socket: Socket, told: &watch::Sender<LinkState>) -> End {
    let begin = Instant::now();
    let mut status = spool.status();
    let now = status.borrow_and_update().clone();
    let hello = Hello {
        cluster: spool.cluster().0.clone(),
        instance: now.instance,
        epoch: now.epoch,
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        protocols: Protocols::OURS,
    };
    let (mut sink, mut stream) = socket.split();
    let (frames, mut waiting) = mpsc::channel::<Frame>(WAITING);
    let mut writing = pin!(async move {
        while let Some(frame) = waiting.recv().await {
            sink.send(Message::Binary(frame.encode().into())).await?;
        }
        sink.close().await
    });
    let (mut talk, first) = Talk::new(hello, now.last, Duration::ZERO);
    let mut steps = VecDeque::from([first]);
    loop {
        while let Some(step) = steps.pop_front() {
            let more = match step {
                Step::Send(frame) => match frames.try_send(frame) {
                    Ok(()) => continue,
                    Err(_) => return End::Lost("the server takes nothing".to_owned()),
                },
                Step::Resume { epoch, mark } => {
                    let result = spool.resume(epoch, mark).await;
                    if result.is_ok() {
                        told.send_replace(LinkState::Connected);
                    }
                    talk.resumed(result)
                }
                Step::Acknowledge(mark) => match spool.acknowledge(mark).await {
                    Ok(()) => continue,
                    Err(error) => return End::Turn(error),
                },
                Step::Read(after) => match spool.read(after, BUDGET).await {
                    Ok(blocks) => talk.supply(after, blocks),
                    Err(error) => return End::Lost(format!("the spool does not read: {error}")),
                },
                Step::End(end) => return end,
            };
            steps.extend(more);
        }
        let more = tokio::select! {
            message = stream.next() => match message {
                Some(Ok(Message::Binary(bytes))) => talk.receive(&bytes, begin.elapsed()),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Vec::new(),
                Some(Ok(Message::Text(_))) => return End::Breach("text".to_owned()),
                Some(Ok(Message::Close(_))) | None => return End::Lost("the server closed the connection".to_owned()),
                Some(Err(error)) => return End::Lost(format!("the connection is lost: {error}")),
            },
            changed = status.changed() => match changed {
                Ok(()) => {
                    let last = status.borrow_and_update().last;
                    talk.grown(last)
                }
                Err(_) => return End::Turn(crate::spool::TurnError::Closed),
            },
            () = sleep_until(begin + talk.due()) => talk.tick(begin.elapsed()),
            result = &mut writing => match result {
                Ok(()) => return End::Lost("the server closed the connection".to_owned()),
                Err(error) => return End::Lost(format!("the connection is lost: {error}")),
            },
        };
        steps.extend(more);
    }
}
