//! What is said is understood, by neighbouring versions too, and what is no frame says why.

use super::*;
use proptest::prelude::*;

fn hello() -> Hello {
    Hello {
        cluster: "5f6d".to_owned(),
        instance: Instance([7; 16]),
        epoch: 3,
        agent: "0.1.0".to_owned(),
        protocols: Protocols::OURS,
    }
}

fn message() -> impl Strategy<Value = Message> {
    let position = || (any::<u64>(), any::<u64>()).prop_map(|(epoch, seq)| Position { epoch, seq });
    let code = prop::sample::select(vec![Code::Fenced, Code::TooLarge, Code::Hole, Code::Other, Code::Unavailable]);
    prop_oneof![
        ("\\PC{0,40}", any::<[u8; 16]>(), any::<u64>(), any::<(u8, u8)>()).prop_map(
            |(cluster, id, epoch, (oldest, newest))| {
                let protocols = Protocols { oldest, newest };
                Message::Hello(Hello { cluster, instance: Instance(id), epoch, protocols, agent: "0.1.0".to_owned() })
            }
        ),
        (any::<u64>(), any::<u64>(), any::<u8>(), any::<(u32, u32)>()).prop_map(
            |(epoch, mark, protocol, (block, window))| {
                Message::Welcome(Welcome { epoch, mark, protocol, limits: Limits { block, window } })
            }
        ),
        (any::<u64>(), 1..u64::MAX, any::<u64>(), prop::collection::vec(any::<u8>(), 0..200)).prop_map(
            |(epoch, first, more, block)| {
                Message::Batch(Packed { position: Position { epoch, seq: first.saturating_add(more) }, first, block })
            }
        ),
        position().prop_map(Message::Ack),
        (code, "[a-z ]{0,40}", any::<Option<u8>>(), prop::option::of(position())).prop_map(
            |(code, sentence, kind, position)| {
                let sentence = sentence.trim().to_owned();
                Message::Refused(Refusal { code, sentence, kind, position })
            }
        ),
        any::<u64>().prop_map(Message::Ping),
        any::<u64>().prop_map(Message::Pong),
        any::<u32>().prop_map(|bytes| Message::Credit(Credit { bytes })),
        (9..=u8::MAX).prop_map(Message::Unknown),
    ]
}

fn frame() -> impl Strategy<Value = Frame> {
    (1..=u8::MAX, any::<u32>(), prop::option::of(1..u32::MAX), message()).prop_map(
        |(version, stream, millis, message)| {
            let deadline = millis.map(|millis| Duration::from_millis(millis.into()));
            Frame { version, stream: Stream(stream), deadline, message }
        },
    )
}

proptest! {
    #[test]
    fn what_is_said_is_understood(frame in frame()) {
        prop_assert_eq!(Frame::decode(&frame.encode()).unwrap(), frame);
    }

    #[test]
    fn what_a_newer_version_adds_to_numbers_is_passed_over(frame in frame(), more in prop::collection::vec(any::<u8>(), 0..20)) {
        prop_assume!(matches!(frame.message, Message::Ack(_) | Message::Ping(_) | Message::Pong(_) | Message::Credit(_)));
        let bytes = [frame.encode(), more].concat();
        prop_assert_eq!(Frame::decode(&bytes).unwrap(), frame);
    }

    #[test]
    fn a_frame_that_is_cut_off_is_an_error_or_a_shorter_block(frame in frame(), cut in any::<prop::sample::Index>()) {
        let bytes = frame.encode();
        let cut = cut.index(bytes.len());
        if let Ok(short) = Frame::decode(&bytes[..cut]) {
            let is_block = matches!(short.message, Message::Batch(_));
            prop_assert!(is_block, "{:?} of {:?}", short, frame);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Frame::decode(&bytes);
    }

    #[test]
    fn no_payload_of_a_known_kind_makes_it_panic(kind in 1..=9u8, payload in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Frame::decode(&[[1, kind, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0].as_slice(), &payload].concat());
    }
}

#[test]
fn what_a_newer_version_adds_to_json_is_passed_over() {
    let mut bytes = Frame::new(Stream::CONTROL, Message::Hello(hello())).encode();
    bytes.pop();
    bytes.extend_from_slice(br#","compression":["zstd"]}"#);
    assert_eq!(Frame::decode(&bytes).unwrap().message, Message::Hello(hello()));
}

#[test]
fn a_kind_that_is_not_known_is_told_with_its_number() {
    let bytes = [&[2, 77, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0][..], b"whatever"].concat();
    let frame = Frame::decode(&bytes).unwrap();
    assert_eq!((frame.version, frame.stream, frame.message), (2, Stream(9), Message::Unknown(77)));
}

#[test]
fn a_code_that_is_not_known_is_some_other() {
    let refusal: Refusal = serde_json::from_str(r#"{"code":"eclipse","sentence":"the sun is away"}"#).unwrap();
    assert_eq!((refusal.code, refusal.code.is_final()), (Code::Other, false));
}

#[test]
fn what_is_larger_than_its_kind_may_be_is_refused_before_it_is_read() {
    let head = |kind: u8| [1, kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let large = [&head(1)[..], &vec![b' '; MOST_JSON + 1]].concat();
    assert!(matches!(Frame::decode(&large), Err(FrameError::Large { most: MOST_JSON, .. })));
    let large = [&head(3)[..], &vec![1; BATCH + MOST_PACKED + 1]].concat();
    assert!(matches!(Frame::decode(&large), Err(FrameError::Large { .. })));
    assert_eq!(large.len(), MOST_BYTES + 1);
}

#[test]
fn the_largest_block_fits_into_a_frame() {
    // As good as random: zstd cannot make it smaller.
    let mut state = 1_u64;
    let noise: Vec<u8> = (0..MOST_INFLATED)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        })
        .collect();
    assert!(zstd::bulk::compress(&noise, 3).unwrap().len() < MOST_PACKED);
}

#[test]
fn positions_that_are_none_are_refused() {
    for (first, last) in [(0, 0), (0, 3), (4, 3)] {
        let packed = Packed { position: Position { epoch: 1, seq: last }, first, block: vec![1] };
        let bytes = Frame::new(Stream::RECORD, Message::Batch(packed)).encode();
        assert!(matches!(Frame::decode(&bytes), Err(FrameError::Positions { .. })), "{first} to {last}");
    }
}

#[test]
fn words_of_the_other_end_have_no_control_bytes() {
    let refusal = Refusal::new(Code::Fenced, "another \u{1b}[31magent\n writes");
    let frame = Frame::decode(&Frame::new(Stream::CONTROL, Message::Refused(refusal)).encode()).unwrap();
    let Message::Refused(refusal) = frame.message else { panic!("{frame:?}") };
    assert!(!refusal.sentence.chars().any(char::is_control), "{:?}", refusal.sentence);
}

#[test]
fn the_newest_version_that_both_speak_is_spoken() {
    let of = |oldest, newest| Protocols { oldest, newest };
    assert_eq!(of(1, 3).shared(of(2, 5)), Some(3));
    assert_eq!(of(2, 5).shared(of(1, 3)), Some(3));
    assert_eq!(of(1, 1).shared(of(2, 3)), None);
}

#[test]
fn an_instance_is_thirty_two_digits() {
    let text = "\"00000000000000000000000000000abc\"";
    let instance: Instance = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&instance).unwrap(), text);
    for wrong in ["\"\"", "\"abc\"", "\"+0000000000000000000000000000abc\"", "\"0000000000000000000000000000xabc\""] {
        assert!(serde_json::from_str::<Instance>(wrong).is_err(), "{wrong}");
    }
}
