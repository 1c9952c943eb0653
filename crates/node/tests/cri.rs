//! What a container runtime says, and what one does that is none.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod runtime;

use reckon_model::kernel::{ContainerFacts, NodeReport, RuntimeState};
use reckon_node::cri::{Pace, Runtime};
use reckon_node::watch::{Places, watch};
use runtime::{
    Answer, Container, EXITED, Fake, Knows, Linux, List, OFFICIAL_LIST, OFFICIAL_STATUS, RUNNING, Resources, Says,
    Status, container, says, unhex,
};
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, io, thread};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Only for waiting: a machine under load is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rounds that come fast, and questions that are answered even by a slow machine.
const FAST: Pace = Pace {
    poll: Duration::from_millis(20),
    call: Duration::from_secs(20),
    wait: Duration::from_millis(20),
    longest: Duration::from_millis(100),
};

/// For runtimes that answer nothing.
const HASTY: Pace = Pace { call: Duration::from_millis(200), ..FAST };

struct Told {
    runtime: Runtime,
    held: Vec<NodeReport>,
}

impl Told {
    fn by(socket: &Path, pace: Pace) -> Told {
        Told { runtime: Runtime::open(socket, pace).unwrap(), held: Vec::new() }
    }

    fn next(&mut self) -> NodeReport {
        let until = Instant::now() + PATIENCE;
        while self.held.is_empty() {
            assert!(Instant::now() < until, "nothing was told");
            thread::sleep(Duration::from_millis(5));
            self.held.extend(self.runtime.told());
        }
        self.held.remove(0)
    }

    fn container(&mut self) -> ContainerFacts {
        match self.next() {
            NodeReport::Container(facts) => *facts,
            other => panic!("no container: {other:?}"),
        }
    }

    fn trouble(&mut self) -> String {
        match self.next() {
            NodeReport::NotChecked { why } => why,
            other => panic!("nothing was wrong: {other:?}"),
        }
    }

    fn nothing_more(&mut self) {
        self.held.extend(self.runtime.told());
        assert_eq!(self.held, []);
    }
}

fn running(container: &Container) -> Status {
    Status { id: container.id.clone(), state: container.state, started_at: 1_000_000_001, ..Status::default() }
}

/// Waits until so many rounds were begun from now on.
fn rounds(fake: &Fake, more: usize) {
    let lists = || fake.asked().iter().filter(|question| *question == "ListContainers").count();
    let (until, enough) = (Instant::now() + PATIENCE, lists() + more);
    while lists() < enough {
        assert!(Instant::now() < until, "it is not asked");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_kill_in_a_container_that_goes_on_running_is_told_once() {
    let fake = Fake::of(&[container("c1", RUNNING)], running);
    let mut told = Told::by(&fake.socket, FAST);
    let first = told.container();
    let expected = ContainerFacts {
        at: first.at,
        container_id: "c1".into(),
        name: "app".into(),
        pod_uid: Some("pod-of-c1".into()),
        state: RuntimeState::Running,
        started_at: Some("1970-01-01T00:00:01.000000001Z".parse().unwrap()),
        ..ContainerFacts::default()
    };
    assert!(first.at.is_some());
    assert_eq!(first, expected);
    rounds(&fake, 3);
    told.nothing_more();
    let killed = Status { reason: "OOMKilled".into(), ..running(&container("c1", RUNNING)) };
    fake.now("c1", says(&Answer { status: Some(killed) }));
    let now = told.container();
    assert_eq!((now.state, now.reason.as_deref(), now.exit_code), (RuntimeState::Running, Some("OOMKilled"), None));
    rounds(&fake, 3);
    told.nothing_more();
}

#[test]
fn an_end_is_told_with_its_code_and_its_times_and_then_nobody_asks_any_more() {
    let ended = |_: &Container| Status {
        state: EXITED,
        started_at: 1_000_000_000,
        finished_at: 2_000_000_000,
        exit_code: 137,
        reason: "OOMKilled".into(),
        resources: Some(Resources { linux: Some(Linux { memory_limit_in_bytes: 64 << 20 }) }),
        ..Status::default()
    };
    let fake = Fake::of(&[container("c1", EXITED)], ended);
    let mut told = Told::by(&fake.socket, FAST);
    let facts = told.container();
    assert_eq!((facts.exit_code, facts.memory_limit), (Some(137), Some(64 << 20)));
    assert_eq!(facts.finished_at.unwrap().as_second(), 2);
    rounds(&fake, 5);
    assert_eq!(fake.asked().iter().filter(|question| *question == "c1").count(), 2);
    told.nothing_more();
}

#[test]
fn what_the_official_types_write_is_read() {
    let id = "8f3c2f4d9a1be07d35c6a1f0b2e4d6c8091a2b3c4d5e6f708192a3b4c5d6e7f8";
    let knows = [
        ("ListContainers".to_owned(), Says::Bytes(unhex(OFFICIAL_LIST))),
        (id.to_owned(), Says::Bytes(unhex(OFFICIAL_STATUS))),
    ];
    let fake = Fake::new(knows.into());
    let facts = Told::by(&fake.socket, FAST).container();
    let expected = ContainerFacts {
        at: facts.at,
        container_id: id.into(),
        name: "app".into(),
        pod_uid: Some("3d1f6f2e-9c0b-4a57-8f7e-0123456789ab".into()),
        state: RuntimeState::Exited,
        reason: Some("OOMKilled".into()),
        exit_code: Some(137),
        started_at: Some("2025-11-25T20:08:21Z".parse().unwrap()),
        finished_at: Some("2025-11-25T20:08:22.5Z".parse().unwrap()),
        memory_limit: Some(67_108_864),
    };
    assert_eq!(facts, expected);
}

#[test]
fn a_changed_limit_is_told_and_none_is_none() {
    let with = |limit| Status {
        state: RUNNING,
        started_at: -6_795_364_578_871_345_152,
        resources: Some(Resources { linux: Some(Linux { memory_limit_in_bytes: limit }) }),
        ..Status::default()
    };
    let fake = Fake::of(&[container("c1", RUNNING)], |_| with(0));
    let mut told = Told::by(&fake.socket, FAST);
    let facts = told.container();
    assert_eq!((facts.memory_limit, facts.started_at, facts.reason), (None, None, None));
    for limit in [1, -1] {
        fake.now("c1", says(&Answer { status: Some(with(limit)) }));
        assert_eq!(told.container().memory_limit, u64::try_from(limit).ok());
    }
}

#[test]
fn a_container_that_vanishes_after_the_list_is_no_error() {
    let fake = Fake::of(&[container("c1", RUNNING), container("c2", RUNNING)], running);
    fake.now("c1", Says::Refusal("5", "an error occurred when try to find container: not found"));
    let mut told = Told::by(&fake.socket, FAST);
    assert_eq!(told.container().container_id, "c2");
    rounds(&fake, 3);
    told.nothing_more();
}

#[test]
fn one_container_that_cannot_be_read_costs_one_container() {
    let broken = [
        Says::Refusal("2", "shim: \u{1b}[31mred"),
        Says::Reset,
        Says::Bytes(b"\xff\xff\xff".to_vec()),
        Says::Bytes(Vec::new()),
        Says::Short(Vec::new()),
        Says::Bytes(vec![0; 1 << 20]),
    ];
    for broken in broken {
        let what = format!("{broken:?}").chars().take(40).collect::<String>();
        let fake = Fake::of(&[container("c1", RUNNING), container("c2", RUNNING)], running);
        fake.now("c1", broken);
        let mut told = Told::by(&fake.socket, FAST);
        assert_eq!(told.container().container_id, "c2", "{what}");
        let why = told.trouble();
        assert!(why.starts_with("container runtime: ") && why.contains("status of a container: "), "{what}: {why}");
        assert!(!why.contains('\u{1b}'), "{why}");
        rounds(&fake, 3);
        told.nothing_more();
    }
}

#[test]
fn a_status_that_never_comes_is_not_waited_for_and_many_of_them_end_the_round() {
    let containers: Vec<Container> = (0..10).map(|number| container(&format!("c{number}"), RUNNING)).collect();
    let fake = Fake::of(&containers, running);
    fake.now("c0", Says::Nothing);
    let mut told = Told::by(&fake.socket, HASTY);
    assert_eq!(told.container().container_id, "c1");
    drop(told);
    let fake = Fake::new(Knows::new());
    fake.now("ListContainers", says(&List { containers: containers.clone() }));
    for container in &containers {
        fake.now(&container.id, Says::Nothing);
    }
    let mut told = Told::by(&fake.socket, Pace { wait: PATIENCE, ..HASTY });
    assert!(told.trouble().ends_with("status of a container: no answer within 200ms"));
    assert_eq!(fake.asked(), ["ListContainers", "c0", "c1", "c2"]);
}

#[test]
fn a_socket_that_is_absent_is_told_once_and_used_when_it_comes() {
    let fake = Fake::of(&[container("c1", RUNNING)], running);
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("late.sock");
    let mut told = Told::by(&socket, FAST);
    let why = told.trouble();
    assert!(why.starts_with(&format!("container runtime: {}: ", socket.display())) && why.contains("No such file"));
    thread::sleep(FAST.longest * 3);
    told.nothing_more();
    fs::rename(&fake.socket, &socket).unwrap();
    assert_eq!(told.container().container_id, "c1");
    fs::remove_file(&socket).unwrap();
    thread::sleep(FAST.longest * 3);
    told.nothing_more();
    fs::write(&socket, "no socket").unwrap();
    assert!(told.trouble().contains("Connection refused"));
}

#[test]
fn what_is_no_runtime_is_told_and_nothing_waits_for_it() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    runtime::serve(&at("hangs"), |stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    });
    runtime::serve(&at("swallows"), |mut stream| async move {
        while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
    });
    runtime::serve(&at("closes"), |stream| async move { drop(stream) });
    runtime::serve(&at("http1"), |mut stream| async move {
        drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await);
        drop(stream.read(&mut [0; 1024]).await);
    });
    runtime::serve(&at("pours"), |mut stream| async move { while stream.write_all(&[0xff; 4096]).await.is_ok() {} });
    runtime::serve(&at("pings"), |mut stream| async move {
        // SETTINGS, and then nothing but PING.
        drop(stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await);
        let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        while stream.write_all(&ping).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    for name in ["hangs", "swallows", "closes", "http1", "pours", "pings"] {
        let mut told = Told::by(&at(name), HASTY);
        let why = told.trouble();
        assert!(why.contains(": list of containers: ") && why.len() < 500, "{name}: {why}");
    }
}

#[test]
fn a_list_that_is_refused_or_broken_is_told_in_the_runtimes_words() {
    let answers = [
        (Says::Refusal("12", "unknown service runtime.v1.RuntimeService"), "code 12: unknown service"),
        (Says::Refusal("5", ""), "not found"),
        (Says::Short(prost::Message::encode_to_vec(&List { containers: vec![container("c1", RUNNING)] })), "cut off"),
        (Says::Bytes(vec![0x0a, 0x7f, 0]), "cut off"),
        (Says::Bytes(vec![0xff; 100]), "no protocol buffer"),
    ];
    for (answer, expected) in answers {
        let fake = Fake::new([("ListContainers".to_owned(), answer)].into());
        let why = Told::by(&fake.socket, FAST).trouble();
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn of_ten_thousand_containers_some_are_read_and_the_rest_is_told_as_not_checked() {
    let containers: Vec<Container> = (0..10_000).map(|number| container(&format!("c{number}"), RUNNING)).collect();
    let fake = Fake::of(&containers, running);
    let mut told = Told::by(&fake.socket, FAST);
    for number in 0..2048 {
        assert_eq!(told.container().container_id, format!("c{number}"));
    }
    assert!(told.trouble().ends_with("there are more than 2048 containers; the others were not read"));
}

#[test]
fn names_without_end_and_containers_without_an_id_are_kept_within_bounds() {
    let mut long = container("c1", RUNNING);
    long.metadata = Some(runtime::Metadata { name: "\u{202e}ä".repeat(50_000) });
    let huge = Container { image_ref: "x".repeat(1 << 20), ..container("c2", RUNNING) };
    let nameless = container("", RUNNING);
    let endless = container(&"c".repeat(100_000), RUNNING);
    let good = container("c3", RUNNING);
    let fake = Fake::of(&[huge, nameless, long, endless, good], |container| Status {
        reason: "y".repeat(200_000),
        ..running(container)
    });
    let mut told = Told::by(&fake.socket, FAST);
    let first = told.container();
    assert!(first.container_id == "c1" && first.name.len() < 1000 && first.reason.unwrap().len() < 200);
    assert_eq!(told.container().container_id, "c3");
    assert!(told.trouble().ends_with("3 containers could not be read"));
}

#[test]
fn a_runtime_that_hangs_keeps_neither_the_log_nor_the_counters_waiting() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    runtime::serve(&at("hangs"), |stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    });
    fs::create_dir(at("proc")).unwrap();
    fs::write(at("kmsg"), "3,1,1,-;Out of memory: Killed process 105 (java) total-vm:1kB, anon-rss:1kB\n").unwrap();
    let places = Places { kmsg: at("kmsg"), cgroup: at("cgroup"), proc: at("proc"), runtime: Some(at("hangs")) };
    let mut told = Vec::new();
    let ended = watch("n1", &places, |report| {
        told.push(report);
        if told.len() == 3 { Err(io::Error::other("enough")) } else { Ok(()) }
    });
    assert_eq!(ended.unwrap_err().to_string(), "enough");
    let [NodeReport::Start { .. }, NodeReport::Episode(_), NodeReport::NotChecked { why }] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert!(why.ends_with("list of containers: no answer within 2s"), "{why}");
}
