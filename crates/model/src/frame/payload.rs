//! What frames carry.

use super::FrameError;
use crate::record::Position;
use crate::text::clean_line;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Who writes a cluster's record: drawn at random when a spool is made, and kept in it. Whoever has the spool is the writer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance(pub [u8; 16]);

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Instance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Instance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(&text, 16).ok().filter(|_| digits);
        number
            .map(|number| Instance(number.to_be_bytes()))
            .ok_or_else(|| D::Error::custom("an instance is 32 hexadecimal digits"))
    }
}

/// Which versions of the protocol somebody speaks: all from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocols {
    /// The oldest.
    pub oldest: u8,
    /// The newest.
    pub newest: u8,
}

impl Protocols {
    /// What this program speaks.
    pub const OURS: Protocols = Protocols { oldest: super::OLDEST, newest: super::NEWEST };

    /// The newest version that both speak.
    pub fn shared(self, other: Protocols) -> Option<u8> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }
}

/// How an agent introduces itself. What it may do is for its token to say, which is in the head of the HTTP request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// The id of its cluster.
    pub cluster: String,
    /// Whose spool it has.
    pub instance: Instance,
    /// The epoch that a server granted to this spool, 0 where none has yet.
    pub epoch: u64,
    /// The version of the program.
    pub agent: String,
    /// What it speaks.
    pub protocols: Protocols,
}

/// How much a server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Bytes of a block, packed.
    pub block: u32,
    /// Bytes of blocks that may be on their way before more [`Credit`] comes; never less than one block.
    pub window: u32,
}

/// A server's answer to [`Hello`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Welcome {
    /// The epoch of this agent's positions. To be durable in the spool before anything is sent under it.
    pub epoch: u64,
    /// What the server has of this epoch: all up to this `seq`, 0 for nothing.
    pub mark: u64,
    /// The version of the protocol both will speak.
    pub protocol: u8,
    /// How much may be sent.
    pub limits: Limits,
}

/// A block on its way. Most have one position. One that sums up blocks which were let go has theirs, `first` to
/// `position.seq`, so that no position is ever missing.
#[derive(Clone, PartialEq)]
pub struct Packed {
    /// The last position it stands for, which is its own.
    pub position: Position,
    /// The first, of the same epoch; at least 1 and at most `position.seq`.
    pub first: u64,
    /// The bytes of a [`crate::record::Block`].
    pub block: Vec<u8>,
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Packed { position, first, block } = self;
        write!(f, "Packed({}: {first}..={}, {} bytes)", position.epoch, position.seq, block.len())
    }
}

/// More of what may be sent on a stream, beyond what was granted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// Bytes of blocks.
    pub bytes: u32,
}

/// A no.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// Why, for programs.
    pub code: Code,
    /// Why, for people: one line.
    pub sentence: String,
    /// The kind of message that was refused, where it was one message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<u8>,
    /// The batch that was refused; for [`Code::Hole`] the position that is awaited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

impl Refusal {
    /// Of all that was said, rather than of one message.
    pub fn new(code: Code, sentence: impl Into<String>) -> Refusal {
        Refusal { code, sentence: sentence.into(), kind: None, position: None }
    }

    /// Of one batch.
    pub fn of_batch(code: Code, position: Position, sentence: impl Into<String>) -> Refusal {
        Refusal { kind: Some(3), position: Some(position), ..Refusal::new(code, sentence) }
    }

    /// The other end chose the words.
    pub(super) fn cleaned(mut self) -> Refusal {
        self.sentence = clean_line(&self.sentence);
        self
    }
}

/// Why somebody says no. Stable: what a newer program says beyond these is [`Code::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// Another agent has become the writer of this cluster.
    Fenced,
    /// The token is for another cluster.
    WrongCluster,
    /// The token is no longer good.
    Revoked,
    /// No version of the protocol that both speak.
    Protocol,
    /// A block larger than the limit, which goes on without it.
    TooLarge,
    /// A block that does not unpack, which goes on without it.
    BadBlock,
    /// Positions between the last one and this are missing.
    Hole,
    /// A kind of message that is not known here. The connection goes on.
    UnknownKind,
    /// Bytes that are no frame, or a message out of turn.
    Malformed,
    /// More than was granted.
    Flood,
    /// Not now: the store is away, or the server is being ended.
    Unavailable,
    /// Something that a newer program says.
    #[serde(other)]
    Other,
}

impl Code {
    /// Whether trying again is of no use until a person has done something.
    pub const fn is_final(self) -> bool {
        matches!(self, Code::Fenced | Code::WrongCluster | Code::Revoked | Code::Protocol)
    }
}

/// What is left of a payload.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(FrameError::Short(self.0.len()))?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn number(&mut self) -> Result<u64, FrameError> {
        self.take().map(u64::from_be_bytes)
    }
}

pub(super) fn to_json<T: Serialize>(value: &T, bytes: &mut Vec<u8>) {
    // Strings and numbers alone, into memory: there is nothing that could go wrong.
    let _ = serde_json::to_writer(bytes, value);
}

pub(super) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    Ok(serde_json::from_slice(bytes)?)
}
