//! The server's end of the conversation: frames in, commands out. No I/O, no clock and no store: whoever drives it does what
//! it is told with the real ones.
//!
//! An agent that floods, repeats itself or sends what is no frame hurts its own connection alone: what is held for one is
//! bounded by the window it was granted.

#[cfg(test)]
mod tests;

use super::{Code, Credit, Frame, Hello, Instance, Limits, Message, Packed, Protocols, Refusal, Stream, Welcome};
use crate::record::{Batch, Block, Entry, Position};
use std::collections::VecDeque;
use std::time::Duration;

/// How long an agent has to say hello.
const HELLO: Duration = Duration::from_secs(30);

/// How long an agent may be silent. It asks every 20 s whether the server is there.
const SILENT: Duration = Duration::from_secs(75);

/// How many kinds of message that are not known are refused on one connection. A newer agent tries each once or a few times.
const UNKNOWN: u32 = 1000;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Send this.
    Send(Frame),
    /// Look up who writes the record of the token's cluster ([`claim`]), note the answer durably, cut off whoever wrote before with
    /// [`Peer::end`], and call [`Peer::granted`], or [`Peer::end`].
    Claim(Hello),
    /// Append this, and call [`Peer::appended`] when it is durable. In the order of the commands; a position that is there
    /// already is there.
    Append {
        /// A block that was read, with its place.
        batch: Batch,
        /// What is in it.
        entries: Vec<Entry>,
    },
    /// Hang up once all is sent.
    Close,
}

/// Who writes a cluster's record, as a store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// Whose spool it is.
    pub instance: Instance,
    /// Under which epoch.
    pub epoch: u64,
    /// The last position of that epoch in the store.
    pub mark: u64,
}

/// As whom an agent is taken on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Under which epoch it writes.
    pub epoch: u64,
    /// What the store has of that.
    pub mark: u64,
}

/// Decides whether an agent writes a cluster's record, given who wrote it until now. To be done and noted in one transaction.
///
/// Whoever has the spool is the writer. One with a new spool takes over, under the next epoch; one whose epoch was passed is
/// fenced. One that was granted a later epoch than the store knows was so by this server before it was put back.
///
/// # Errors
/// The refusal to send.
pub fn claim(current: Option<&Writer>, hello: &Hello) -> Result<Grant, Refusal> {
    let Some(Writer { instance, epoch, mark }) = current else {
        return Ok(Grant { epoch: hello.epoch.max(1), mark: 0 });
    };
    let same = *instance == hello.instance;
    match hello.epoch {
        0 if same => Ok(Grant { epoch: *epoch, mark: *mark }),
        0 => Ok(Grant { epoch: epoch + 1, mark: 0 }),
        theirs if theirs > *epoch => Ok(Grant { epoch: theirs, mark: 0 }),
        theirs if theirs == *epoch && same => Ok(Grant { epoch: *epoch, mark: *mark }),
        _ => Err(Refusal::new(
            Code::Fenced,
            "another agent writes the record of this cluster: end one of them, or give this one a new spool",
        )),
    }
}

#[derive(Debug, PartialEq)]
enum State {
    /// Nothing was said yet.
    Silent,
    /// It said hello, and the store decides.
    Claiming,
    /// Blocks come.
    Taking,
    Over,
}

/// One conversation, from hello to its end.
#[derive(Debug)]
pub struct Peer {
    state: State,
    /// The cluster that the token is for.
    cluster: String,
    limits: Limits,
    protocol: u8,
    epoch: u64,
    /// Up to which position blocks were given to be appended.
    taken: u64,
    /// Up to which they are durable.
    durable: u64,
    /// Bytes that may still come.
    credit: u64,
    /// What was given to be appended and is not durable: last position and bytes.
    pending: VecDeque<(u64, u64)>,
    /// Bytes that came, were dealt with and may come again, which the agent was not told yet.
    owed: u64,
    /// A block was left out or declined, and the agent knows.
    told_hole: bool,
    unknown: u32,
    heard: Duration,
}

impl Peer {
    /// Begins, for an agent whose token is for this cluster.
    ///
    /// A window smaller than a block is taken for one of a block.
    pub fn new(cluster: impl Into<String>, limits: Limits, now: Duration) -> Peer {
        Peer {
            state: State::Silent,
            cluster: cluster.into(),
            limits: Limits { window: limits.window.max(limits.block), ..limits },
            protocol: 0,
            epoch: 0,
            taken: 0,
            durable: 0,
            credit: 0,
            pending: VecDeque::new(),
            owed: 0,
            told_hole: false,
            unknown: 0,
            heard: now,
        }
    }

    /// Something came.
    pub fn receive(&mut self, bytes: &[u8], now: Duration) -> Vec<Command> {
        if self.state == State::Over {
            return Vec::new();
        }
        let frame = match Frame::decode(bytes) {
            Ok(frame) => frame,
            Err(error) => return self.end(Refusal::new(Code::Malformed, error.to_string())),
        };
        self.heard = now;
        match (frame.message, &self.state) {
            (Message::Hello(hello), State::Silent) => self.greeted(hello),
            (_, State::Silent) => self.end(Refusal::new(Code::Malformed, "an agent says hello first")),
            (Message::Batch(packed), State::Taking) => self.take(packed),
            (Message::Ping(number), _) => vec![Command::Send(Frame::new(frame.stream, Message::Pong(number)))],
            (Message::Pong(_) | Message::Refused(_), _) => Vec::new(),
            (Message::Unknown(kind), _) => {
                self.unknown += 1;
                if self.unknown > UNKNOWN {
                    return self.end(Refusal::new(Code::Flood, "too many messages of kinds that are not known"));
                }
                let refusal =
                    Refusal { kind: Some(kind), ..Refusal::new(Code::UnknownKind, "not known to this server") };
                vec![Command::Send(Frame::new(frame.stream, Message::Refused(refusal)))]
            }
            (message, _) => {
                let sentence = format!("a message of kind {} out of turn", message.kind());
                self.end(Refusal::new(Code::Malformed, sentence))
            }
        }
    }

    fn greeted(&mut self, hello: Hello) -> Vec<Command> {
        if hello.cluster != self.cluster {
            let sentence = "the token is for another cluster than the one the agent runs beside";
            return self.end(Refusal::new(Code::WrongCluster, sentence));
        }
        if i64::try_from(hello.epoch).is_err() {
            return self.end(Refusal::new(Code::Malformed, format!("there is no epoch {}", hello.epoch)));
        }
        let Some(protocol) = Protocols::OURS.shared(hello.protocols) else {
            let Protocols { oldest, newest } = Protocols::OURS;
            let theirs = hello.protocols;
            let sentence = format!(
                "the server speaks versions {oldest} to {newest} of the protocol, the agent {} to {}",
                theirs.oldest, theirs.newest
            );
            return self.end(Refusal::new(Code::Protocol, sentence));
        };
        (self.state, self.protocol) = (State::Claiming, protocol);
        vec![Command::Claim(hello)]
    }

    /// The store has noted as whom the agent is taken on.
    pub fn granted(&mut self, grant: &Grant) -> Vec<Command> {
        if self.state != State::Claiming {
            return Vec::new();
        }
        let Grant { epoch, mark } = *grant;
        (self.state, self.epoch, self.taken, self.durable) = (State::Taking, epoch, mark, mark);
        self.credit = self.limits.window.into();
        let welcome = Welcome { epoch, mark, protocol: self.protocol, limits: self.limits };
        vec![Command::Send(Frame::new(Stream::CONTROL, Message::Welcome(welcome)))]
    }

    fn take(&mut self, packed: Packed) -> Vec<Command> {
        let Packed { position, first, block } = packed;
        let bytes = block.len() as u64;
        if position.epoch != self.epoch {
            let sentence = format!("a block of epoch {}, and epoch {} was granted", position.epoch, self.epoch);
            return self.end(Refusal::new(Code::Fenced, sentence));
        }
        if bytes > self.credit {
            return self.end(Refusal::new(Code::Flood, format!("{bytes} bytes where {} were granted", self.credit)));
        }
        self.credit -= bytes;
        let mut commands = Vec::new();
        if position.seq <= self.taken {
            // It is here, or on its way to the store: then it will be acknowledged.
            if position.seq <= self.durable {
                commands.push(self.ack());
            }
        } else if first > self.taken + 1 {
            if !self.told_hole {
                self.told_hole = true;
                let awaited = Position { seq: self.taken + 1, ..position };
                let sentence = format!("position {} is missing before {first}", awaited.seq);
                commands.push(refused(Refusal::of_batch(Code::Hole, awaited, sentence)));
            }
        } else if block.len() > self.limits.block as usize {
            let sentence = format!("a block has {} bytes at most", self.limits.block);
            commands.push(self.declined(Code::TooLarge, position, sentence));
        } else {
            match Block::read(block) {
                Ok((block, entries)) => {
                    (self.taken, self.told_hole) = (position.seq, false);
                    self.pending.push_back((position.seq, bytes));
                    return vec![Command::Append { batch: Batch { position, first, block }, entries }];
                }
                Err(error) => commands.push(self.declined(Code::BadBlock, position, error.to_string())),
            }
        }
        self.owed += bytes;
        commands.extend(self.give_credit());
        commands
    }

    /// The agent sends something else for it; what comes before that does not follow.
    fn declined(&mut self, code: Code, position: Position, sentence: String) -> Command {
        self.told_hole = true;
        refused(Refusal::of_batch(code, position, sentence))
    }

    /// All that was given to be appended up to this position is durable.
    pub fn appended(&mut self, seq: u64) -> Vec<Command> {
        if self.state != State::Taking || seq <= self.durable || seq > self.taken {
            return Vec::new();
        }
        self.durable = seq;
        while let Some((_, bytes)) = self.pending.pop_front_if(|(last, _)| *last <= seq) {
            self.owed += bytes;
        }
        let mut commands = vec![self.ack()];
        commands.extend(self.give_credit());
        commands
    }

    fn ack(&self) -> Command {
        let position = Position { epoch: self.epoch, seq: self.durable };
        Command::Send(Frame::new(Stream::RECORD, Message::Ack(position)))
    }

    /// Says what may come again: in large portions, or when nothing is left to be done, so that nobody waits for a little. What
    /// the store has not yet is not given back: a store that is slow slows its agents.
    fn give_credit(&mut self) -> Option<Command> {
        let enough = self.pending.is_empty() || self.owed >= u64::from(self.limits.window) / 4;
        if self.owed == 0 || !enough {
            return None;
        }
        let bytes = u32::try_from(std::mem::take(&mut self.owed)).unwrap_or(u32::MAX);
        self.credit += u64::from(bytes);
        Some(Command::Send(Frame::new(Stream::RECORD, Message::Credit(Credit { bytes }))))
    }

    /// Ends the conversation, with the reason: that the agent is fenced or revoked, or the server is being ended.
    pub fn end(&mut self, refusal: Refusal) -> Vec<Command> {
        if self.state == State::Over {
            return Vec::new();
        }
        self.state = State::Over;
        vec![refused(refusal), Command::Close]
    }

    /// Time has passed: an agent that is silent for too long is gone.
    pub fn tick(&mut self, now: Duration) -> Vec<Command> {
        if self.state == State::Over || now < self.due() {
            return Vec::new();
        }
        self.state = State::Over;
        vec![Command::Close]
    }

    /// When [`Peer::tick`] has something to do.
    pub fn due(&self) -> Duration {
        self.heard + if self.state == State::Silent { HELLO } else { SILENT }
    }
}

fn refused(refusal: Refusal) -> Command {
    let stream = if refusal.position.is_some() { Stream::RECORD } else { Stream::CONTROL };
    Command::Send(Frame::new(stream, Message::Refused(refusal)))
}
