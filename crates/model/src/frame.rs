//! What an agent and a server say to each other: one frame for each message of their connection, in both directions.
//!
//! A frame is a head of twelve bytes and a payload; all numbers are big-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | version of the protocol that the sender speaks |
//! | 1 | kind of message |
//! | 2–3 | zero; who reads does not look |
//! | 4–7 | stream |
//! | 8–11 | deadline: milliseconds in which an answer is still of use, 0 for none |
//! | 12– | payload |
//!
//! The head never changes. A kind that somebody does not know is refused by itself and the connection goes on, and what a
//! payload says beyond what is known is passed over: so neighbouring versions understand each other.

mod payload;
pub mod peer;
#[cfg(test)]
mod tests;

pub use payload::{Code, Credit, Hello, Instance, Limits, Packed, Protocols, Refusal, Welcome};

use crate::record::{MOST_INFLATED, Position};
use payload::{Reader, from_json, to_json};
use std::time::Duration;

/// Where a server takes the connections of agents.
pub const PATH: &str = "/api/v1/agents/connect";

/// The oldest version of the protocol that this program speaks.
pub const OLDEST: u8 = 1;

/// The newest version of the protocol that this program speaks.
pub const NEWEST: u8 = 1;

/// How many bytes a block has at most as it travels: zstd makes what it cannot shrink a 256th longer at most.
pub const MOST_PACKED: usize = MOST_INFLATED + MOST_INFLATED / 256 + 1024;

/// How many bytes a frame has at most.
pub const MOST_BYTES: usize = HEAD + BATCH + MOST_PACKED;

/// How many bytes of JSON a message has at most: names and sentences, none of them long.
pub const MOST_JSON: usize = 16 * 1024;

const HEAD: usize = 12;
const BATCH: usize = 24;

/// What of a connection a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream(pub u32);

impl Stream {
    /// The connection itself.
    pub const CONTROL: Stream = Stream(0);
    /// The record of the cluster, from agent to server.
    pub const RECORD: Stream = Stream(1);
}

/// One message with what stands on its envelope.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Which version of the protocol the sender speaks.
    pub version: u8,
    /// What it belongs to.
    pub stream: Stream,
    /// How long an answer is of use, in whole milliseconds, from when the frame came.
    pub deadline: Option<Duration>,
    /// What it says.
    pub message: Message,
}

/// What can be said.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// The agent's first: who it is.
    Hello(Hello),
    /// The server's answer: as whom it takes the agent, and what it has.
    Welcome(Welcome),
    /// A part of the record.
    Batch(Packed),
    /// Everything up to this position is durable at the server.
    Ack(Position),
    /// No, and why.
    Refused(Refusal),
    /// Are you there? With a number that comes back.
    Ping(u64),
    /// Yes.
    Pong(u64),
    /// So much more may be sent.
    Credit(Credit),
    /// Of a kind that this program does not know.
    Unknown(u8),
}

/// Why bytes are no frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Fewer bytes than a head or a payload has.
    #[error("a frame that ends after {0} bytes")]
    Short(usize),
    /// More bytes than this kind of message may have.
    #[error("a message of {found} bytes; it may have {most}")]
    Large {
        /// How many it has.
        found: usize,
        /// How many it may have.
        most: usize,
    },
    /// Version 0, which there never was.
    #[error("a frame of version 0")]
    Version,
    /// Positions that are none.
    #[error("a batch of positions {first} to {last}")]
    Positions {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// A payload that is not what its kind says.
    #[error("a message that does not read: {0}")]
    Json(#[from] serde_json::Error),
}

impl Message {
    /// The number of its kind, as on the wire.
    pub const fn kind(&self) -> u8 {
        match self {
            Message::Hello(_) => 1,
            Message::Welcome(_) => 2,
            Message::Batch(_) => 3,
            Message::Ack(_) => 4,
            Message::Refused(_) => 5,
            Message::Ping(_) => 6,
            Message::Pong(_) => 7,
            Message::Credit(_) => 8,
            Message::Unknown(kind) => *kind,
        }
    }
}

impl Frame {
    /// A frame of the newest version without a deadline.
    pub const fn new(stream: Stream, message: Message) -> Frame {
        Frame { version: NEWEST, stream, deadline: None, message }
    }

    /// As it travels. Of what a program does not know, the head alone.
    pub fn encode(&self) -> Vec<u8> {
        let Frame { version, stream, deadline, message } = self;
        let mut bytes = Vec::with_capacity(64);
        let millis = deadline.map_or(0, |deadline| u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX).max(1));
        bytes.extend_from_slice(&[*version, message.kind(), 0, 0]);
        bytes.extend_from_slice(&stream.0.to_be_bytes());
        bytes.extend_from_slice(&millis.to_be_bytes());
        match message {
            Message::Hello(hello) => to_json(hello, &mut bytes),
            Message::Welcome(welcome) => to_json(welcome, &mut bytes),
            Message::Refused(refusal) => to_json(refusal, &mut bytes),
            Message::Batch(Packed { position, first, block }) => {
                for number in [position.epoch, *first, position.seq] {
                    bytes.extend_from_slice(&number.to_be_bytes());
                }
                bytes.extend_from_slice(block);
            }
            Message::Ack(position) => {
                bytes.extend_from_slice(&position.epoch.to_be_bytes());
                bytes.extend_from_slice(&position.seq.to_be_bytes());
            }
            Message::Ping(number) | Message::Pong(number) => bytes.extend_from_slice(&number.to_be_bytes()),
            Message::Credit(Credit { bytes: more }) => bytes.extend_from_slice(&more.to_be_bytes()),
            Message::Unknown(_) => {}
        }
        bytes
    }

    /// Reads a frame. Nothing is allocated for a payload that is larger than its kind may be.
    ///
    /// # Errors
    /// What is wrong with the bytes. Who gets one cannot know what the other meant, and hangs up.
    pub fn decode(bytes: &[u8]) -> Result<Frame, FrameError> {
        let mut head = Reader(bytes);
        let [version, kind, _, _] = head.take::<4>()?;
        let stream = Stream(u32::from_be_bytes(head.take()?));
        let millis = u32::from_be_bytes(head.take()?);
        if version == 0 {
            return Err(FrameError::Version);
        }
        let most = match kind {
            1 | 2 | 5 => MOST_JSON,
            _ => BATCH + MOST_PACKED,
        };
        let mut payload = Reader(head.0);
        if payload.0.len() > most {
            return Err(FrameError::Large { found: payload.0.len(), most });
        }
        let message = match kind {
            1 => Message::Hello(from_json(payload.0)?),
            2 => Message::Welcome(from_json(payload.0)?),
            3 => Message::Batch(packed(&mut payload)?),
            4 => Message::Ack(Position { epoch: payload.number()?, seq: payload.number()? }),
            5 => Message::Refused(from_json::<Refusal>(payload.0)?.cleaned()),
            6 => Message::Ping(payload.number()?),
            7 => Message::Pong(payload.number()?),
            8 => Message::Credit(Credit { bytes: u32::from_be_bytes(payload.take()?) }),
            unknown => Message::Unknown(unknown),
        };
        let deadline = (millis > 0).then(|| Duration::from_millis(millis.into()));
        Ok(Frame { version, stream, deadline, message })
    }
}

fn packed(payload: &mut Reader<'_>) -> Result<Packed, FrameError> {
    let (epoch, first, last) = (payload.number()?, payload.number()?, payload.number()?);
    if first == 0 || first > last {
        return Err(FrameError::Positions { first, last });
    }
    Ok(Packed { position: Position { epoch, seq: last }, first, block: payload.0.to_vec() })
}
