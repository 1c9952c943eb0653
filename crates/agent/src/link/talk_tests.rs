//! What an agent says to what a server says; and both ends against each other, with everything lost, late, twice and cut off.

use super::talk::{End, Step, Talk};
use crate::spool::Outgoing;
use proptest::prelude::*;
use reckon_model::change::Verb;
use reckon_model::frame::peer::{Command, Grant, Peer, Writer, claim};
use reckon_model::frame::{Code, Credit, Frame, Hello, Instance, Limits, Message, Protocols, Refusal, Stream, Welcome};
use reckon_model::record::{Block, Entry, Fact, Position, Written};
use reckon_model::{Kind, ResourceRef, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

const LIMITS: Limits = Limits { block: 400, window: 1000 };

fn hello() -> Hello {
    let (cluster, agent) = ("c".to_owned(), "0.1.0".to_owned());
    Hello { cluster, instance: Instance([1; 16]), epoch: 0, agent, protocols: Protocols::OURS }
}

fn block(id: u64, size: usize) -> Outgoing {
    let mut dice = fastrand::Rng::with_seed(id);
    let noise: String = (0..size).map(|_| dice.alphanumeric()).collect();
    let fact = Fact::Change(Written {
        verb: Verb::Updated,
        fields: Vec::new(),
        actor: None,
        generation: None,
        version: id.to_string(),
        object: Some(noise.into()),
        after: None,
    });
    let at = Timestamp::from_second(1_800_000_000).unwrap();
    let subject = ResourceRef::new(Kind::ConfigMap, Some("a"), "b");
    Outgoing::of(id, "c", &[Entry { at, subject, workload: None, fact }])
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn send(message: Message) -> Vec<u8> {
    Frame::new(Stream::RECORD, message).encode()
}

fn welcome(mark: u64) -> Vec<u8> {
    send(Message::Welcome(Welcome { epoch: 3, mark, protocol: 1, limits: LIMITS }))
}

/// A talk that was welcomed with this mark, of a spool with so many positions, and the read it asks for.
fn welcomed(mark: u64, last: u64) -> Talk {
    let (mut talk, _) = Talk::new(hello(), last, at(0));
    assert_eq!(talk.receive(&welcome(mark), at(1)), [Step::Resume { epoch: 3, mark }]);
    let reads = if last > mark { vec![Step::Read(mark)] } else { Vec::new() };
    assert_eq!(talk.resumed(Ok(())), reads);
    talk
}

fn ack(seq: u64) -> Vec<u8> {
    send(Message::Ack(Position { epoch: 3, seq }))
}

/// The positions of the blocks that are sent.
fn sent(steps: &[Step]) -> Vec<u64> {
    let seq = |step: &Step| match step {
        Step::Send(Frame { message: Message::Batch(packed), .. }) => Some(packed.position.seq),
        _ => None,
    };
    steps.iter().filter_map(seq).collect()
}

fn end(steps: &[Step]) -> &End {
    match steps {
        [Step::End(end)] => end,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_sent_before_the_spool_has_noted_the_epoch() {
    let (mut talk, first) = Talk::new(hello(), 5, at(0));
    assert_eq!(first, Step::Send(Frame::new(Stream::CONTROL, Message::Hello(hello()))));
    assert_eq!(talk.grown(6), []);
    assert_eq!(talk.receive(&welcome(2), at(1)), [Step::Resume { epoch: 3, mark: 2 }]);
    assert_eq!(talk.grown(7), []);
    assert_eq!(talk.resumed(Ok(())), [Step::Read(2)]);
}

#[test]
fn no_more_is_sent_than_was_granted_and_credit_brings_more() {
    let mut talk = welcomed(0, 20);
    let steps = talk.supply(0, (1..=8).map(|id| block(id, 200)).collect());
    let before = sent(&steps);
    assert!((2..6).contains(&before.len()), "{before:?}");
    assert_eq!(talk.receive(&ack(1), at(2)), [Step::Acknowledge(1)]);
    let after = sent(&talk.receive(&send(Message::Credit(Credit { bytes: 400 })), at(2)));
    assert_eq!(after.first(), before.last().map(|last| last + 1).as_ref());
}

#[test]
fn an_acknowledgement_that_comes_again_changes_nothing() {
    let mut talk = welcomed(0, 3);
    talk.supply(0, (1..=3).map(|id| block(id, 10)).collect());
    assert_eq!(talk.receive(&ack(2), at(2)), [Step::Acknowledge(2)]);
    assert_eq!(talk.receive(&ack(2), at(2)), []);
    assert_eq!(talk.receive(&ack(1), at(2)), []);
    assert_eq!(talk.receive(&ack(3), at(2)), [Step::Acknowledge(3)]);
}

#[test]
fn an_acknowledgement_of_the_future_or_of_another_epoch_ends_the_talk_and_is_not_noted() {
    for wrong in [ack(4), send(Message::Ack(Position { epoch: 4, seq: 1 }))] {
        let mut talk = welcomed(0, 9);
        talk.supply(0, (1..=3).map(|id| block(id, 10)).collect());
        let steps = talk.receive(&wrong, at(2));
        assert!(matches!(end(&steps), End::Breach(_)) && !end(&steps).is_final());
        assert_eq!(talk.receive(&ack(3), at(2)), [], "it is over");
    }
}

#[test]
fn a_block_that_the_server_does_not_take_is_replaced_by_its_numbers() {
    let mut talk = welcomed(0, 3);
    talk.supply(0, (1..=3).map(|id| block(id, 10)).collect());
    let refusal = Refusal::of_batch(Code::BadBlock, Position { epoch: 3, seq: 2 }, "not mine");
    assert_eq!(talk.receive(&send(Message::Refused(refusal.clone())), at(2)), [Step::Read(1)]);
    let steps = talk.supply(1, vec![block(2, 10), block(3, 10)]);
    assert_eq!(sent(&steps), [2, 3]);
    let Step::Send(Frame { message: Message::Batch(packed), .. }) = &steps[0] else { panic!("{steps:?}") };
    let (_, entries) = Block::read(packed.block.clone()).unwrap();
    let Fact::Summary(summary) = &entries[0].fact else { panic!("{entries:?}") };
    assert_eq!((summary.counts["change"], summary.why.contains("not mine")), (1, true));
    // What stands in for it is not declined for ever.
    let steps = talk.receive(&send(Message::Refused(refusal)), at(3));
    assert!(matches!(end(&steps), End::Refused(_)));
}

#[test]
fn a_block_that_is_larger_than_the_server_takes_is_not_sent() {
    let mut talk = welcomed(0, 1);
    let steps = talk.supply(0, vec![block(1, 2000)]);
    let Step::Send(Frame { message: Message::Batch(packed), .. }) = &steps[0] else { panic!("{steps:?}") };
    assert!(packed.block.len() <= LIMITS.block as usize);
    assert!(matches!(Block::read(packed.block.clone()).unwrap().1[0].fact, Fact::Summary(_)));
}

#[test]
fn a_position_that_the_server_awaits_is_sent_again() {
    let mut talk = welcomed(0, 4);
    talk.supply(0, (1..=4).map(|id| block(id, 10)).collect());
    let hole = Refusal::of_batch(Code::Hole, Position { epoch: 3, seq: 3 }, "");
    assert_eq!(talk.receive(&send(Message::Refused(hole)), at(2)), [Step::Read(2)]);
    assert_eq!(sent(&talk.supply(2, vec![block(3, 10), block(4, 10)])), [3, 4]);
}

#[test]
fn who_is_silent_is_asked_and_given_up_within_ninety_seconds() {
    let mut talk = welcomed(0, 0);
    let mut asked = 0;
    let mut now = at(1);
    let silent = loop {
        assert!(talk.due() > now, "it would be asked for nothing");
        now = talk.due();
        match talk.tick(now).as_slice() {
            [Step::Send(Frame { message: Message::Ping(_), .. })] => asked += 1,
            steps => break end(steps).clone(),
        }
    };
    assert_eq!((silent, asked), (End::Silent, 2));
    assert!(now <= at(91));
}

#[test]
fn who_answers_is_asked_for_ever() {
    let mut talk = welcomed(0, 0);
    let mut now = at(1);
    for _ in 0..100 {
        now = talk.due();
        let steps = talk.tick(now);
        let [Step::Send(Frame { message: Message::Ping(number), .. })] = steps.as_slice() else { panic!("{steps:?}") };
        assert_eq!(talk.receive(&send(Message::Pong(*number)), now), []);
    }
    assert!(now > at(1000));
}

#[test]
fn a_server_that_never_welcomes_is_given_up() {
    let (mut talk, _) = Talk::new(hello(), 0, at(0));
    assert_eq!(talk.due(), at(30));
    assert_eq!(end(&talk.tick(at(30))), &End::Silent);
}

#[test]
fn some_refusals_are_final_and_others_are_not() {
    for (code, is_final) in [
        (Code::Fenced, true),
        (Code::Revoked, true),
        (Code::WrongCluster, true),
        (Code::Protocol, true),
        (Code::Unavailable, false),
        (Code::Flood, false),
        (Code::Other, false),
    ] {
        let mut talk = welcomed(0, 0);
        let steps = talk.receive(&send(Message::Refused(Refusal::new(code, "because"))), at(2));
        assert_eq!(end(&steps).is_final(), is_final, "{code:?}");
        assert_eq!(end(&steps).to_string(), "the server refuses: because");
    }
}

#[test]
fn a_kind_that_is_not_known_is_refused_and_the_talk_goes_on() {
    let mut talk = welcomed(0, 1);
    let steps = talk.receive(&send(Message::Unknown(99)), at(2));
    let [Step::Send(Frame { message: Message::Refused(refusal), .. })] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!((refusal.code, refusal.kind), (Code::UnknownKind, Some(99)));
    let theirs = Refusal { kind: Some(98), ..Refusal::new(Code::UnknownKind, "") };
    assert_eq!(talk.receive(&send(Message::Refused(theirs)), at(2)), []);
    assert_eq!(sent(&talk.supply(0, vec![block(1, 1)])), [1]);
}

#[test]
fn a_welcome_that_cannot_be_kept_ends_the_talk() {
    let of = |protocol, block, window| {
        send(Message::Welcome(Welcome { epoch: 1, mark: 0, protocol, limits: Limits { block, window } }))
    };
    for wrong in [of(9, 10, 10), of(0, 10, 10), of(1, 0, 10), of(1, 10, 9)] {
        let (mut talk, _) = Talk::new(hello(), 0, at(0));
        assert!(matches!(end(&talk.receive(&wrong, at(1))), End::Breach(_)));
    }
}

/// What one connection after the other carries between an agent and a server, and what they keep.
struct World {
    dice: fastrand::Rng,
    /// How many blocks there are.
    last: u64,
    /// What the agent noted: epoch and mark.
    noted: (u64, u64),
    /// What the server keeps: who writes, and the blocks.
    writer: Option<Writer>,
    log: BTreeMap<u64, Vec<u8>>,
    /// What the server does not take.
    spoilt: Vec<u64>,
}

impl World {
    fn blocks(&self, after: u64) -> Vec<Outgoing> {
        let some = 1 + after % 4;
        (after + 1..=self.last.min(after + some)).map(|id| block(id, usize::try_from(id * 37 % 250).unwrap())).collect()
    }

    /// One connection, which breaks after so many frames, each way in order.
    fn connect(&mut self, frames: u32) -> Result<(), String> {
        let hello = Hello { epoch: self.noted.0, ..hello() };
        let (mut talk, first) = Talk::new(hello, self.last, at(0));
        let mut peer = Peer::new("c", LIMITS, at(0));
        let (mut up, mut down): (Vec<Vec<u8>>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
        let mut steps = vec![first];
        let mut unwritten = Vec::new();
        for frame in 0..frames {
            while !steps.is_empty() {
                let more = match steps.remove(0) {
                    Step::Send(frame) => {
                        up.push(frame.encode());
                        continue;
                    }
                    Step::Resume { epoch, mark } => {
                        self.noted = (epoch, mark);
                        talk.resumed(Ok(()))
                    }
                    Step::Acknowledge(mark) => {
                        if !self.log.contains_key(&mark) {
                            return Err(format!("{mark} was acknowledged, and is not there"));
                        }
                        self.noted.1 = mark;
                        continue;
                    }
                    Step::Read(after) => talk.supply(after, self.blocks(after)),
                    Step::End(end) => return Err(format!("{end} after {frame} frames")),
                };
                steps.extend(more);
            }
            let commands = match (up.is_empty(), down.is_empty()) {
                (false, down_is_empty) if down_is_empty || self.dice.bool() => {
                    let mut bytes: Vec<u8> = up.remove(0);
                    self.spoil(&mut bytes);
                    peer.receive(&bytes, at(0))
                }
                (_, false) => {
                    steps = talk.receive(&down.remove(0), at(0));
                    Vec::new()
                }
                _ => Vec::new(),
            };
            let mut commands: Vec<Command> = commands;
            while !commands.is_empty() {
                let more = match commands.remove(0) {
                    Command::Send(frame) => {
                        down.push(frame.encode());
                        continue;
                    }
                    Command::Claim(hello) => {
                        let grant: Grant = claim(self.writer.as_ref(), &hello).map_err(|refusal| refusal.sentence)?;
                        let Grant { epoch, mark } = grant;
                        self.writer = Some(Writer { instance: hello.instance, epoch, mark });
                        peer.granted(&grant)
                    }
                    Command::Append { batch, .. } => {
                        unwritten.push((batch.position.seq, batch.block.bytes));
                        continue;
                    }
                    Command::Close => return Err("the server hangs up".to_owned()),
                };
                commands.extend(more);
            }
            // Now and then what came is made durable, together.
            if !unwritten.is_empty()
                && (self.dice.u8(..3) == 0 || (up.is_empty() && down.is_empty() && steps.is_empty()))
            {
                let last = unwritten.last().map_or(0, |(seq, _)| *seq);
                self.log.append(&mut unwritten.drain(..).collect());
                if let Some(writer) = &mut self.writer {
                    writer.mark = last;
                }
                for command in peer.appended(last) {
                    let Command::Send(frame) = command else { return Err(format!("{command:?}")) };
                    down.push(frame.encode());
                }
            }
        }
        Ok(())
    }

    /// Some blocks do not read at the server.
    fn spoil(&self, bytes: &mut Vec<u8>) {
        let Ok(Frame { message: Message::Batch(mut packed), stream, .. }) = Frame::decode(bytes) else { return };
        let is_summary =
            Block::read(packed.block.clone()).is_ok_and(|(_, entries)| matches!(entries[0].fact, Fact::Summary(_)));
        if self.spoilt.contains(&packed.position.seq) && !is_summary {
            packed.block[0] = 9;
            *bytes = Frame::new(stream, Message::Batch(packed)).encode();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_breaks_the_server_gets_every_block_once_and_in_order(
        seed in any::<u64>(),
        breaks in prop::collection::vec(0..60u32, 0..12),
        spoilt in prop::collection::vec(1..40u64, 0..3),
    ) {
        let dice = fastrand::Rng::with_seed(seed);
        let mut world = World { dice, last: 40, noted: (0, 0), writer: None, log: BTreeMap::new(), spoilt };
        for frames in breaks {
            world.connect(frames).map_err(TestCaseError::fail)?;
        }
        world.connect(2000).map_err(TestCaseError::fail)?;
        prop_assert_eq!(world.log.keys().copied().collect::<Vec<_>>(), (1..=40).collect::<Vec<_>>());
        prop_assert_eq!(world.noted, (1, 40));
        for (seq, bytes) in &world.log {
            let own = block(*seq, usize::try_from(seq * 37 % 250).unwrap()).block;
            prop_assert_eq!(*bytes == own, !world.spoilt.contains(seq), "{}", seq);
        }
    }

    #[test]
    fn no_bytes_make_either_end_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), kind in 0..12u8) {
        let framed = [&[1, kind, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], bytes.as_slice()].concat();
        for bytes in [&bytes, &framed] {
            let mut talk = welcomed(0, 3);
            talk.supply(0, (1..=3).map(|id| block(id, 10)).collect());
            talk.receive(bytes, at(2));
            let mut peer = Peer::new("c", LIMITS, at(0));
            peer.receive(bytes, at(1));
            let mut peer = Peer::new("c", LIMITS, at(0));
            peer.receive(&send(Message::Hello(hello())), at(1));
            peer.granted(&Grant { epoch: 1, mark: 0 });
            peer.receive(bytes, at(1));
        }
    }
}
