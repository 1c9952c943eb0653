//! What a server says to what an agent says.

use super::{Command, Grant, Peer, Writer, claim};
use crate::frame::{Code, Credit, Frame, Hello, Instance, Limits, Message, Packed, Protocols, Refusal, Stream};
use crate::record::{Block, Entry, Fact, NodeTurn, Position};
use crate::{Kind, ResourceRef, Timestamp};
use std::time::Duration;

const LIMITS: Limits = Limits { block: 500, window: 1000 };

fn hello(instance: u8, epoch: u64) -> Hello {
    let (cluster, agent) = ("c".to_owned(), "0.1.0".to_owned());
    Hello { cluster, instance: Instance([instance; 16]), epoch, agent, protocols: Protocols::OURS }
}

fn say(peer: &mut Peer, message: Message) -> Vec<Command> {
    peer.receive(&Frame::new(Stream::RECORD, message).encode(), Duration::ZERO)
}

/// A peer that took an agent on under epoch 2, with everything up to 10.
fn taking() -> Peer {
    let mut peer = Peer::new("c", LIMITS, Duration::ZERO);
    assert_eq!(say(&mut peer, Message::Hello(hello(1, 0))), [Command::Claim(hello(1, 0))]);
    peer.granted(&Grant { epoch: 2, mark: 10 });
    peer
}

fn block() -> Vec<u8> {
    let fact = Fact::Node(NodeTurn { what: "joined".to_owned(), status: None, reason: None });
    let subject = ResourceRef::new(Kind::Node, None, "a");
    Block::pack(&[Entry { at: Timestamp::UNIX_EPOCH, subject, workload: None, fact }]).unwrap().remove(0).bytes
}

fn batch(first: u64, last: u64) -> Message {
    Message::Batch(Packed { position: Position { epoch: 2, seq: last }, first, block: block() })
}

fn appends(commands: &[Command]) -> Vec<u64> {
    let seq = |command: &Command| match command {
        Command::Append { batch, .. } => Some(batch.position.seq),
        _ => None,
    };
    commands.iter().filter_map(seq).collect()
}

fn messages(commands: &[Command]) -> Vec<Message> {
    let message = |command: &Command| match command {
        Command::Send(frame) => Some(frame.message.clone()),
        _ => None,
    };
    commands.iter().filter_map(message).collect()
}

/// The refusal that a conversation ends with.
fn ended(commands: &[Command]) -> Code {
    match commands {
        [Command::Send(Frame { message: Message::Refused(refusal), .. }), Command::Close] => refusal.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_acknowledged_before_it_is_durable() {
    let mut peer = taking();
    assert_eq!(appends(&say(&mut peer, batch(11, 11))), [11]);
    assert_eq!(appends(&say(&mut peer, batch(12, 15))), [15]);
    let bytes = u32::try_from(block().len()).unwrap();
    let ack = |seq| Message::Ack(Position { epoch: 2, seq });
    assert_eq!(messages(&peer.appended(11)), [ack(11)]);
    assert_eq!(messages(&peer.appended(15)), [ack(15), Message::Credit(Credit { bytes: 2 * bytes })]);
    assert_eq!(peer.appended(15), []);
    assert_eq!(peer.appended(99), [], "what was never given cannot be durable");
}

#[test]
fn what_comes_again_is_acknowledged_again_and_not_appended() {
    let mut peer = taking();
    let commands = say(&mut peer, batch(9, 10));
    assert!(appends(&commands).is_empty());
    assert_eq!(messages(&commands)[0], Message::Ack(Position { epoch: 2, seq: 10 }));
    say(&mut peer, batch(11, 11));
    // It is on its way, and will be acknowledged once it is durable.
    assert_eq!(say(&mut peer, batch(11, 11)), []);
    // A summary of what is here in part is new.
    assert_eq!(appends(&say(&mut peer, batch(11, 14))), [14]);
}

#[test]
fn a_hole_is_told_once_and_what_follows_is_left_out() {
    let mut peer = taking();
    let told = messages(&say(&mut peer, batch(13, 13)));
    let Message::Refused(Refusal { code: Code::Hole, position, .. }) = &told[0] else { panic!("{told:?}") };
    assert_eq!(*position, Some(Position { epoch: 2, seq: 11 }));
    let left_out = say(&mut peer, batch(14, 14));
    assert!(messages(&left_out).iter().all(|message| matches!(message, Message::Credit(_))), "{left_out:?}");
    assert_eq!(appends(&say(&mut peer, batch(11, 11))), [11]);
}

#[test]
fn blocks_that_do_not_read_or_are_too_large_are_declined_and_the_next_ones_awaited() {
    let mut peer = taking();
    for (bytes, code) in [(vec![1, 2, 3], Code::BadBlock), (vec![7; 600], Code::TooLarge)] {
        let packed = Packed { position: Position { epoch: 2, seq: 11 }, first: 11, block: bytes };
        let told = messages(&say(&mut peer, Message::Batch(packed)));
        let Message::Refused(refusal) = &told[0] else { panic!("{told:?}") };
        assert_eq!((refusal.code, refusal.position), (code, Some(Position { epoch: 2, seq: 11 })));
    }
    assert!(appends(&say(&mut peer, batch(12, 12))).is_empty());
    assert_eq!(appends(&say(&mut peer, batch(11, 11))), [11]);
}

#[test]
fn more_than_was_granted_ends_the_conversation() {
    let mut peer = taking();
    for seq in 11.. {
        let commands = say(&mut peer, batch(seq, seq));
        if appends(&commands).is_empty() {
            assert_eq!(ended(&commands), Code::Flood);
            assert!((seq - 11) * block().len() as u64 <= LIMITS.window.into());
            assert_eq!(say(&mut peer, batch(seq, seq)), [], "it is over");
            return;
        }
    }
}

#[test]
fn another_cluster_version_or_epoch_is_refused() {
    let refused = |hello: Hello| ended(&say(&mut Peer::new("c", LIMITS, Duration::ZERO), Message::Hello(hello)));
    assert_eq!(refused(Hello { cluster: "d".to_owned(), ..hello(1, 0) }), Code::WrongCluster);
    assert_eq!(refused(Hello { protocols: Protocols { oldest: 8, newest: 9 }, ..hello(1, 0) }), Code::Protocol);
    assert_eq!(refused(hello(1, u64::MAX)), Code::Malformed);
    let packed = Packed { position: Position { epoch: 1, seq: 11 }, first: 11, block: block() };
    assert_eq!(ended(&say(&mut taking(), Message::Batch(packed))), Code::Fenced);
}

#[test]
fn who_does_not_begin_with_hello_or_says_it_twice_is_cut_off() {
    let mut peer = Peer::new("c", LIMITS, Duration::ZERO);
    assert_eq!(ended(&say(&mut peer, batch(1, 1))), Code::Malformed);
    assert_eq!(ended(&say(&mut taking(), Message::Hello(hello(1, 0)))), Code::Malformed);
    assert_eq!(ended(&taking().receive(b"GET /", Duration::ZERO)), Code::Malformed);
}

#[test]
fn kinds_that_are_not_known_are_refused_one_by_one_and_not_for_ever() {
    let mut peer = taking();
    let mut refused = 0;
    loop {
        match messages(&say(&mut peer, Message::Unknown(42))).as_slice() {
            [Message::Refused(Refusal { code: Code::UnknownKind, kind: Some(42), .. })] => refused += 1,
            [Message::Refused(Refusal { code: Code::Flood, .. })] => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refused, 1000);
}

#[test]
fn an_agent_that_is_silent_is_cut_off() {
    let mut peer = taking();
    assert!(peer.due() <= Duration::from_secs(90));
    assert_eq!(peer.tick(peer.due() - Duration::from_millis(1)), []);
    assert_eq!(peer.tick(peer.due()), [Command::Close]);
    assert_eq!(say(&mut peer, batch(11, 11)), []);
}

#[test]
fn an_agent_that_is_fenced_or_revoked_is_told_and_cut_off() {
    for code in [Code::Fenced, Code::Revoked, Code::Unavailable] {
        let mut peer = taking();
        assert_eq!(ended(&peer.end(Refusal::new(code, ""))), code);
        assert_eq!(peer.end(Refusal::new(code, "")), []);
    }
}

#[test]
fn whoever_has_the_spool_is_the_writer() {
    let writer = |instance: u8, epoch, mark| Writer { instance: Instance([instance; 16]), epoch, mark };
    let fenced = Err(Code::Fenced);
    let granted = |epoch, mark| Ok((epoch, mark));
    for (current, hello, expected) in [
        // The first of a cluster, whose epoch a server may have granted that lost its store.
        (None, hello(1, 0), granted(1, 0)),
        (None, hello(1, 4), granted(4, 0)),
        // The same again, which may not have noted what it was granted.
        (Some(writer(1, 3, 20)), hello(1, 3), granted(3, 20)),
        (Some(writer(1, 3, 20)), hello(1, 0), granted(3, 20)),
        // One with a new spool.
        (Some(writer(1, 3, 20)), hello(2, 0), granted(4, 0)),
        // One whose time is over.
        (Some(writer(2, 4, 0)), hello(1, 3), fenced),
        (Some(writer(2, 4, 0)), hello(1, 4), fenced),
        (Some(writer(2, 4, 0)), hello(2, 3), fenced),
        // The store was put back to before the epoch.
        (Some(writer(1, 3, 20)), hello(2, 4), granted(4, 0)),
        (Some(writer(1, 3, 20)), hello(1, 5), granted(5, 0)),
    ] {
        let found = claim(current.as_ref(), &hello).map(|grant| (grant.epoch, grant.mark));
        assert_eq!(found.map_err(|refusal| refusal.code), expected, "{current:?} {hello:?}");
    }
}
