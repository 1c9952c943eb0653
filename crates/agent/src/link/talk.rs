//! The agent's end of the conversation: frames in, steps out. No I/O and no clock: whoever drives it says what time it is, as
//! the time since the connection began.

use crate::spool::{Outgoing, TurnError};
use reckon_model::frame::{Code, Credit, Frame, Hello, Limits, Message, Packed, Protocols, Refusal, Stream, Welcome};
use reckon_model::record::Position;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How long nothing may come before somebody asks.
const QUIET: Duration = Duration::from_secs(20);

/// How long nothing may come at all. A connection that is open at one end alone is found within 90 s, tries included.
const SILENT: Duration = Duration::from_secs(60);

/// How long a server has for its welcome: a claim in a store that is slow, on a line that loses much.
const GREETING: Duration = Duration::from_secs(30);

/// How many bytes of blocks are on their way at most, whatever the server grants: many small acknowledgements, and little to
/// be sent again where the connection breaks.
const UNDERWAY: u64 = 1024 * 1024;

/// How many bytes are read of the spool at once.
pub(super) const BUDGET: usize = 128 * 1024;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Send this.
    Send(Frame),
    /// Note epoch and mark in the spool durably, then call [`Talk::resumed`].
    Resume {
        /// The epoch that was granted.
        epoch: u64,
        /// What the server has.
        mark: u64,
    },
    /// Note in the spool that the server has everything up to here.
    Acknowledge(u64),
    /// Read the spool after this position, then call [`Talk::supply`].
    Read(u64),
    /// Hang up.
    End(End),
}

/// Why a conversation ended.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum End {
    /// The server says no.
    #[error("the server refuses: {}", .0.sentence)]
    Refused(Refusal),
    /// Nothing came for a minute, or no welcome for half of one.
    #[error("the server has been silent")]
    Silent,
    /// The server says what it must not.
    #[error("the server does not keep to the protocol: {0}")]
    Breach(String),
    /// What the server has is not of this spool.
    #[error(transparent)]
    Turn(#[from] TurnError),
    /// The connection could not be made, or is gone.
    #[error("{0}")]
    Lost(String),
}

impl End {
    /// Whether trying again is of no use until a person has done something.
    pub fn is_final(&self) -> bool {
        match self {
            End::Refused(refusal) => refusal.code.is_final(),
            End::Turn(TurnError::Ahead { .. } | TurnError::Epoch { .. } | TurnError::Closed) => true,
            End::Turn(TurnError::Io(_)) | End::Silent | End::Breach(_) | End::Lost(_) => false,
        }
    }
}

#[derive(Debug, PartialEq)]
enum State {
    /// It said hello.
    Greeting,
    /// The spool notes what the server granted.
    Resuming,
    /// Blocks are sent.
    Sending,
    Over,
}

/// One conversation, from hello to its end.
#[derive(Debug)]
pub struct Talk {
    state: State,
    protocols: Protocols,
    /// The last position that is in the spool.
    last: u64,
    epoch: u64,
    limits: Limits,
    /// What the server has.
    mark: u64,
    /// Up to which position blocks were sent in order.
    sent: u64,
    /// Up to which position blocks were ever sent.
    reached: u64,
    /// What was sent and not acknowledged: first position, last position, bytes.
    underway: VecDeque<(u64, u64, u64)>,
    /// What was read and not sent.
    ready: VecDeque<Outgoing>,
    /// A read was asked for, after this position.
    reading: Option<u64>,
    /// What the server does not take, by last position, and why.
    declined: BTreeMap<u64, String>,
    credit: u64,
    heard: Duration,
    asked: Option<Duration>,
}

impl Talk {
    /// Begins. `last` is the last position that is in the spool.
    pub fn new(hello: Hello, last: u64, now: Duration) -> (Talk, Step) {
        let talk = Talk {
            state: State::Greeting,
            protocols: hello.protocols,
            last,
            epoch: 0,
            limits: Limits { block: 0, window: 0 },
            mark: 0,
            sent: 0,
            reached: 0,
            underway: VecDeque::new(),
            ready: VecDeque::new(),
            reading: None,
            declined: BTreeMap::new(),
            credit: 0,
            heard: now,
            asked: None,
        };
        (talk, Step::Send(Frame::new(Stream::CONTROL, Message::Hello(hello))))
    }

    /// Something came.
    pub fn receive(&mut self, bytes: &[u8], now: Duration) -> Vec<Step> {
        if self.state == State::Over {
            return Vec::new();
        }
        let frame = match Frame::decode(bytes) {
            Ok(frame) => frame,
            Err(error) => return self.breach(error.to_string()),
        };
        (self.heard, self.asked) = (now, None);
        match frame.message {
            Message::Welcome(welcome) => self.welcomed(&welcome),
            Message::Ack(position) => self.acknowledged(position),
            Message::Credit(Credit { bytes }) => {
                self.credit = self.credit.saturating_add(bytes.into()).min(self.limits.window.into());
                self.go_on()
            }
            Message::Refused(refusal) => self.refused(refusal),
            Message::Ping(number) => vec![Step::Send(Frame::new(frame.stream, Message::Pong(number)))],
            Message::Pong(_) => Vec::new(),
            Message::Unknown(kind) => {
                let refusal =
                    Refusal { kind: Some(kind), ..Refusal::new(Code::UnknownKind, "not known to this agent") };
                vec![Step::Send(Frame::new(frame.stream, Message::Refused(refusal)))]
            }
            Message::Hello(_) | Message::Batch(_) => self.breach("a message that only agents send".to_owned()),
        }
    }

    fn welcomed(&mut self, welcome: &Welcome) -> Vec<Step> {
        let Welcome { epoch, mark, protocol, limits } = *welcome;
        if self.state != State::Greeting {
            return self.breach("a second welcome".to_owned());
        }
        if !(self.protocols.oldest..=self.protocols.newest).contains(&protocol) {
            return self.breach(format!("version {protocol} of it, which was not offered"));
        }
        if limits.window < limits.block || limits.block == 0 {
            return self.breach("a window in which no block fits".to_owned());
        }
        (self.state, self.epoch, self.mark, self.sent, self.reached) = (State::Resuming, epoch, mark, mark, mark);
        (self.limits, self.credit) = (limits, limits.window.into());
        vec![Step::Resume { epoch, mark }]
    }

    /// The spool has noted what the server granted, or not.
    pub fn resumed(&mut self, result: Result<(), TurnError>) -> Vec<Step> {
        match result {
            Err(error) => self.end(End::Turn(error)),
            Ok(()) if self.state == State::Resuming => {
                self.state = State::Sending;
                self.go_on()
            }
            Ok(()) => Vec::new(),
        }
    }

    /// More is in the spool.
    pub fn grown(&mut self, last: u64) -> Vec<Step> {
        self.last = self.last.max(last);
        self.go_on()
    }

    /// What was read of the spool after a position.
    pub fn supply(&mut self, after: u64, blocks: Vec<Outgoing>) -> Vec<Step> {
        if self.reading != Some(after) {
            // It went back meanwhile.
            return Vec::new();
        }
        self.reading = None;
        for block in blocks {
            let why = match self.declined.get(&block.last) {
                Some(why) => Some(format!("the server does not take this block: {why}")),
                None if block.block.len() > self.limits.block as usize => {
                    Some(format!("the server takes no blocks of {} bytes", block.block.len()))
                }
                None => None,
            };
            match why.map(|why| block.stand_in(&why)).transpose() {
                Ok(stand_in) => self.ready.push_back(stand_in.unwrap_or(block)),
                Err(error) => return self.end(End::Lost(error.to_string())),
            }
        }
        self.go_on()
    }

    /// Sends what may be sent, and asks for more.
    fn go_on(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.state != State::Sending {
            return steps;
        }
        while let Some(next) = self.ready.front() {
            let bytes = next.block.len() as u64;
            let on_its_way: u64 = self.underway.iter().map(|(_, _, bytes)| bytes).sum();
            if bytes > self.credit || (on_its_way > 0 && on_its_way + bytes > UNDERWAY) {
                return steps;
            }
            let Some(Outgoing { first, last, block, .. }) = self.ready.pop_front() else { break };
            self.credit -= bytes;
            self.underway.push_back((first, last, bytes));
            (self.sent, self.reached) = (last, self.reached.max(last));
            let packed = Packed { position: Position { epoch: self.epoch, seq: last }, first, block };
            steps.push(Step::Send(Frame::new(Stream::RECORD, Message::Batch(packed))));
        }
        if self.sent < self.last && self.reading.is_none() {
            self.reading = Some(self.sent);
            steps.push(Step::Read(self.sent));
        }
        steps
    }

    fn acknowledged(&mut self, position: Position) -> Vec<Step> {
        let Position { epoch, seq } = position;
        if self.state != State::Sending || epoch != self.epoch || seq > self.reached {
            return self.breach(format!("an acknowledgement of {seq} in epoch {epoch}, which was never sent"));
        }
        if seq <= self.mark {
            return Vec::new();
        }
        self.mark = seq;
        while self.underway.front().is_some_and(|(_, last, _)| *last <= seq) {
            self.underway.pop_front();
        }
        self.declined = self.declined.split_off(&(seq + 1));
        if self.sent < seq {
            self.go_back(seq);
        }
        let mut steps = vec![Step::Acknowledge(seq)];
        steps.append(&mut self.go_on());
        steps
    }

    fn refused(&mut self, refusal: Refusal) -> Vec<Step> {
        let Refusal { code, position, sentence, .. } = &refusal;
        match (code, position) {
            (Code::UnknownKind, _) => Vec::new(),
            (Code::TooLarge | Code::BadBlock, Some(Position { seq, .. })) if self.state == State::Sending => {
                let found = self.underway.iter().find(|(_, last, _)| last == seq);
                match found.map(|(first, ..)| *first) {
                    Some(first) if !self.declined.contains_key(seq) => {
                        self.declined.insert(*seq, sentence.clone());
                        self.go_back(first - 1);
                        self.go_on()
                    }
                    _ => self.end(End::Refused(refusal)),
                }
            }
            (Code::Hole, Some(Position { seq, .. })) if self.state == State::Sending => {
                if *seq <= self.mark || *seq > self.reached + 1 {
                    return self.breach(format!("position {seq} is awaited, and {} was acknowledged", self.mark));
                }
                self.go_back(seq - 1);
                self.go_on()
            }
            _ => self.end(End::Refused(refusal)),
        }
    }

    /// What comes after a position is read and sent again.
    fn go_back(&mut self, to: u64) {
        self.sent = to;
        self.ready.clear();
        self.reading = None;
        self.underway.retain(|(_, last, _)| *last <= to);
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Duration) -> Vec<Step> {
        if self.state == State::Over || now < self.due() {
            return Vec::new();
        }
        if now >= self.end_of_patience() {
            return self.end(End::Silent);
        }
        self.asked = Some(now);
        vec![Step::Send(Frame::new(Stream::CONTROL, Message::Ping(now.as_secs())))]
    }

    /// When [`Talk::tick`] has something to do at the latest.
    pub fn due(&self) -> Duration {
        let end = self.end_of_patience();
        if self.state == State::Greeting { end } else { end.min(self.asked.unwrap_or(self.heard) + QUIET) }
    }

    fn end_of_patience(&self) -> Duration {
        self.heard + if self.state == State::Greeting { GREETING } else { SILENT }
    }

    /// Whether the server has taken the agent on.
    pub fn is_welcome(&self) -> bool {
        self.state == State::Sending
    }

    fn breach(&mut self, what: String) -> Vec<Step> {
        self.end(End::Breach(what))
    }

    fn end(&mut self, end: End) -> Vec<Step> {
        self.state = State::Over;
        vec![Step::End(end)]
    }
}
