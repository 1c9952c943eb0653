//! A real spool, a real WebSocket and a server's real end of the protocol, over loopback or memory.

use super::connect::upgrade;
use super::double::{Cut, Server};
use super::shell::converse;
use super::{End, LinkState, Plain, Settings, Token, run};
use crate::Spool;
use crate::spool::Limits;
use http::HeaderValue;
use reckon_model::frame::{Code, Refusal};
use reckon_model::record::{Entry, Fact, NodeTurn};
use reckon_model::{ClusterId, Kind, ResourceRef, Timestamp};
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

/// For waiting alone: nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(30);

fn entry(what: u64) -> Entry {
    let fact = Fact::Node(NodeTurn { what: what.to_string(), status: None, reason: None });
    Entry { at: Timestamp::UNIX_EPOCH, subject: ResourceRef::new(Kind::Node, None, "a"), workload: None, fact }
}

/// A spool with so many blocks of one entry.
async fn spool(directory: &Path, blocks: u64) -> Spool {
    let spool = Spool::open(directory, &ClusterId("c".to_owned()), Limits::default()).unwrap();
    for what in 1..=blocks {
        spool.append(vec![entry(what)]).await.unwrap();
    }
    spool
}

fn settings(address: &str, directory: &Path) -> Settings {
    let token = directory.join("token");
    if !token.exists() {
        std::fs::write(&token, "secret\n").unwrap();
    }
    Settings::new(address, Token::File(token), None, Plain::OnLoopback).unwrap()
}

async fn acknowledged(spool: &Spool, mark: u64) {
    let mut status = spool.status();
    let found = matches!(timeout(PATIENCE, status.wait_for(|status| status.mark >= mark)).await, Ok(Ok(_)));
    assert!(found, "{mark} is not acknowledged: {:?}", spool.status().borrow());
}

/// Runs the link until everything up to a position is acknowledged.
async fn run_until(spool: &Spool, settings: &Settings, mark: u64) {
    let told = watch::channel(LinkState::Connecting).0;
    tokio::select! {
        end = run(spool, settings, &told) => panic!("{end}"),
        () = acknowledged(spool, mark) => {}
    }
}

async fn run_to_its_end(spool: &Spool, settings: &Settings) -> End {
    let told = watch::channel(LinkState::Connecting).0;
    timeout(PATIENCE, run(spool, settings, &told)).await.expect("it does not end")
}

#[tokio::test]
async fn what_is_in_the_spool_and_what_comes_into_it_gets_to_the_server_once() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::new();
    let spool = spool(&directory.path().join("spool"), 20).await;
    let settings = settings(&server.listen().await, directory.path());
    let told = watch::channel(LinkState::Connecting).0;
    tokio::select! {
        end = run(&spool, &settings, &told) => panic!("{end}"),
        () = async {
            acknowledged(&spool, 20).await;
            for what in 21..=40 {
                let position = spool.append(vec![entry(what)]).await.unwrap();
                assert_eq!((position.epoch, position.seq), (1, what));
            }
            acknowledged(&spool, 40).await;
        } => {}
    }
    assert_eq!(*told.borrow(), LinkState::Connected);
    assert_eq!(server.positions(), (1..=40).collect::<Vec<_>>());
    let whats: Vec<Entry> = server.store().log.iter().flat_map(|(.., entries)| entries.clone()).collect();
    assert_eq!(whats, (1..=40).map(entry).collect::<Vec<_>>());
    assert_eq!(server.store().connections, 1);
}

/// One connection in memory that is gone after so many bytes; whether all of them were used.
async fn connection(server: &Server, spool: &Spool, settings: &Settings, bytes: usize, until: u64) -> bool {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let token = HeaderValue::from_static("Bearer secret");
    let told = watch::channel(LinkState::Connecting).0;
    let agent = async {
        let Ok(socket) = upgrade(settings, &token, Box::new(Cut::after(bytes, ours))).await else { return };
        tokio::select! {
            _ = converse(spool, socket, &told) => {}
            () = async {
                let mut status = spool.status();
                let _ = status.wait_for(|status| status.mark >= until).await;
            } => {}
        }
    };
    let serving = server.serve(theirs);
    let (_, ()) = futures::join!(timeout(PATIENCE, serving), agent);
    spool.status().borrow().mark >= until
}

#[tokio::test]
async fn a_connection_that_is_cut_at_any_byte_costs_nothing_and_doubles_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let spool = spool(&directory.path().join("spool"), 4).await;
    let settings = settings("http://127.0.0.1:1", directory.path());
    let mut cut = 0;
    loop {
        let server = Server::new();
        // A server that lost everything takes the spool on under the epoch that it has.
        spool.resume(1, 0).await.unwrap();
        let whole = connection(&server, &spool, &settings, cut, 4).await;
        connection(&server, &spool, &settings, usize::MAX, 4).await;
        assert_eq!(server.positions(), [1, 2, 3, 4], "cut at {cut}");
        if whole {
            break;
        }
        cut += 1;
    }
    assert!(cut > 500, "{cut}");
}

#[tokio::test]
async fn connections_that_last_for_a_few_blocks_each_bring_all_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let spool = spool(&directory.path().join("spool"), 100).await;
    let settings = settings("http://127.0.0.1:1", directory.path());
    let server = Server::new();
    let mut before = 0;
    for window in 1.. {
        let done = connection(&server, &spool, &settings, 3000, 100).await;
        let now = server.positions().len();
        assert!(now > before, "window {window} brought nothing");
        before = now;
        if done {
            assert!(window > 5, "{window}");
            break;
        }
    }
    assert_eq!(server.positions(), (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_token_that_was_exchanged_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::new();
    let spool = spool(&directory.path().join("spool"), 1).await;
    let settings = settings(&server.listen().await, directory.path());
    server.store().token = "another".to_owned();
    let (told, mut state) = watch::channel(LinkState::Connecting);
    tokio::select! {
        end = run(&spool, &settings, &told) => panic!("{end}"),
        () = async {
            let waits = |state: &LinkState| matches!(state, LinkState::Waiting { why } if why.contains("does not know the agent's token (401)"));
            timeout(PATIENCE, state.wait_for(waits)).await.unwrap().unwrap();
            std::fs::write(directory.path().join("token"), "another").unwrap();
            acknowledged(&spool, 1).await;
        } => {}
    }
}

#[tokio::test]
async fn of_two_agents_with_one_identity_the_first_is_fenced_and_nothing_is_doubled() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::new();
    let address = server.listen().await;
    let settings = settings(&address, directory.path());
    let first = spool(&directory.path().join("first"), 5).await;
    run_until(&first, &settings, 5).await;
    let second = spool(&directory.path().join("second"), 3).await;
    run_until(&second, &settings, 3).await;
    first.append(vec![entry(6)]).await.unwrap();
    let End::Refused(refusal) = run_to_its_end(&first, &settings).await else { panic!() };
    assert_eq!(refusal.code, Code::Fenced);
    assert!(refusal.sentence.contains("another agent writes the record of this cluster"));
    let log: Vec<(u64, u64)> = server.store().log.iter().map(|(epoch, seq, _)| (*epoch, *seq)).collect();
    assert_eq!(log, [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (2, 1), (2, 2), (2, 3)]);
    // What it has stays.
    assert_eq!(first.read(5, 1000).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_agent_that_is_revoked_ends_and_keeps_its_spool() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::new();
    let settings = settings(&server.listen().await, directory.path());
    let spool = spool(&directory.path().join("spool"), 2).await;
    let revoke = async {
        acknowledged(&spool, 2).await;
        server.ending.send_replace(Some(Refusal::new(Code::Revoked, "the agent was revoked")));
    };
    let (end, ()) = futures::join!(run_to_its_end(&spool, &settings), revoke);
    assert_eq!(end.to_string(), "the server refuses: the agent was revoked");
    assert_eq!(spool.read(0, 10_000).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_server_that_was_put_back_gets_again_what_it_lost() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::new();
    let settings = settings(&server.listen().await, directory.path());
    let spool = spool(&directory.path().join("spool"), 10).await;
    run_until(&spool, &settings, 10).await;
    {
        let mut store = server.store();
        store.log.truncate(4);
        store.writer.as_mut().unwrap().mark = 4;
    }
    spool.append(vec![entry(11)]).await.unwrap();
    run_until(&spool, &settings, 11).await;
    assert_eq!(server.positions(), (1..=11).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_server_that_sends_garbage_is_left_and_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::new();
    let settings = settings(&server.listen().await, directory.path());
    let spool = spool(&directory.path().join("spool"), 3).await;
    let garbage = [
        Message::Text("hello".into()),
        Message::Binary(vec![0; 3].into()),
        Message::Binary(vec![1; 60_000].into()),
        // More than is taken in at all.
        Message::Binary(vec![1; 1_000_000].into()),
        Message::Ping(vec![1; 10].into()),
    ];
    server.store().garbage.extend(garbage);
    run_until(&spool, &settings, 3).await;
    assert_eq!(server.store().connections, 5);
    assert_eq!(server.positions(), [1, 2, 3]);
}

#[tokio::test]
async fn a_store_that_is_slow_gets_everything_in_its_time() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::new();
    server.slowness = Duration::from_millis(5);
    let settings = settings(&server.listen().await, directory.path());
    let spool = spool(&directory.path().join("spool"), 60).await;
    run_until(&spool, &settings, 60).await;
    assert_eq!(server.positions(), (1..=60).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_server_is_believed_by_the_authority_that_was_given_and_by_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let server = Server::new();
    let serving = server.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            if let Ok(tls) = acceptor.accept(tcp).await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(tls).await });
            }
        }
    });
    let spool = spool(&directory.path().join("spool"), 1).await;
    let unknown = settings(&address, directory.path());
    let (told, mut state) = watch::channel(LinkState::Connecting);
    tokio::select! {
        end = run(&spool, &unknown, &told) => panic!("{end}"),
        result = timeout(PATIENCE, state.wait_for(|state| matches!(state, LinkState::Waiting { why } if why.starts_with("no secure connection: ")))) => drop(result.unwrap().unwrap()),
    }
    let authorities = directory.path().join("ca.pem");
    std::fs::write(&authorities, made.cert.pem()).unwrap();
    let known =
        Settings::new(&address, Token::File(directory.path().join("token")), Some(&authorities), Plain::OnLoopback)
            .unwrap();
    run_until(&spool, &known, 1).await;
    assert_eq!(server.positions(), [1]);
}
