//! An agent's connection over a real socket, with a real store.

use crate::{Options, serve};
use futures::{SinkExt, StreamExt};
use http::{HeaderValue, Request, StatusCode};
use reckon_model::frame::{Code, Frame, Hello, Instance, Message, PATH, Packed, Protocols, Stream};
use reckon_model::record::{Block, Entry, Fact, NodeTurn, Position};
use reckon_model::{ClusterId, Kind, ResourceRef, Timestamp};
use reckon_store::{Grant, Issued, Query, Sqlite, Store};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Error as SocketError};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Far beyond what anything here takes; what is waited for that long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

fn shop() -> ClusterId {
    ClusterId("c-1".to_owned())
}

struct Server {
    address: SocketAddr,
    store: Arc<dyn Store>,
    agent: Issued,
    _directory: tempfile::TempDir,
}

async fn server() -> Server {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(&directory.path().join("record.db")).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, store.clone(), Options::default(), std::future::pending()));
    let agent = store.issue(Grant::Agent(shop()), "a test", None, Timestamp::now()).await.unwrap();
    Server { address, store, agent, _directory: directory }
}

/// One agent as far as it speaks.
struct Agent(WebSocketStream<TcpStream>);

impl Server {
    async fn connect(&self, token: &str) -> Result<Agent, SocketError> {
        let mut request: Request<()> = format!("ws://{}{PATH}", self.address).into_client_request().unwrap();
        request.headers_mut().insert("authorization", HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
        let stream = TcpStream::connect(self.address).await.unwrap();
        client_async(request, stream).await.map(|(socket, _)| Agent(socket))
    }

    /// An agent with a spool of this name, as it is after the server's answer to its first word.
    async fn greeted(&self, instance: u8, epoch: u64) -> (Agent, Message) {
        let mut agent = self.connect(self.agent.secret.reveal()).await.unwrap();
        let hello = Hello {
            cluster: shop().0,
            instance: Instance([instance; 16]),
            epoch,
            agent: "0.1.0".to_owned(),
            protocols: Protocols::OURS,
        };
        agent.say(Stream::CONTROL, Message::Hello(hello)).await;
        let answer = agent.hear().await.unwrap();
        (agent, answer)
    }

    async fn told(&self) -> Vec<String> {
        let page = self.store.entries(&Query::default(), None, 100).await.unwrap();
        page.records.into_iter().rev().map(|recorded| recorded.entry.subject.name).collect()
    }
}

impl Agent {
    async fn say(&mut self, stream: Stream, message: Message) {
        let bytes = Frame::new(stream, message).encode();
        self.0.send(tungstenite::Message::Binary(bytes.into())).await.unwrap();
    }

    /// The next message; `None` where the server has hung up.
    async fn hear(&mut self) -> Option<Message> {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("the server says nothing") {
                Some(Ok(tungstenite::Message::Binary(bytes))) => return Some(Frame::decode(&bytes).unwrap().message),
                Some(Ok(tungstenite::Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    async fn send(&mut self, position: Position, node: &str) {
        let entry = Entry {
            at: Timestamp::from_millisecond(position.seq.cast_signed()).unwrap(),
            subject: ResourceRef::new(Kind::Node, None, node),
            workload: None,
            fact: Fact::Node(NodeTurn { what: "joined".to_owned(), status: None, reason: None }),
        };
        let block = Block::pack(&[entry]).unwrap().remove(0).bytes;
        self.say(Stream::RECORD, Message::Batch(Packed { position, first: position.seq, block })).await;
    }

    /// Everything up to a position is durable.
    async fn acknowledged(&mut self, position: Position) {
        loop {
            match self.hear().await.expect("the server has hung up") {
                Message::Ack(mark) if mark >= position => return,
                Message::Ack(_) | Message::Credit(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn refused(&mut self) -> Code {
        loop {
            match self.hear().await.expect("the server has hung up without a word") {
                Message::Refused(refusal) => return refusal.code,
                Message::Ack(_) | Message::Credit(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn what_an_agent_sends_is_in_the_store_once_when_it_is_acknowledged() {
    let server = server().await;
    let (mut agent, answer) = server.greeted(1, 0).await;
    assert!(matches!(&answer, Message::Welcome(welcome) if (welcome.epoch, welcome.mark) == (1, 0)), "{answer:?}");
    agent.send(Position { epoch: 1, seq: 1 }, "a").await;
    agent.send(Position { epoch: 1, seq: 2 }, "b").await;
    agent.acknowledged(Position { epoch: 1, seq: 2 }).await;
    assert_eq!(server.told().await, ["a", "b"]);
    drop(agent);
    // The acknowledgement was lost: it goes on from before it.
    let (mut again, answer) = server.greeted(1, 1).await;
    assert!(matches!(&answer, Message::Welcome(welcome) if (welcome.epoch, welcome.mark) == (1, 2)), "{answer:?}");
    again.send(Position { epoch: 1, seq: 2 }, "b").await;
    again.send(Position { epoch: 1, seq: 3 }, "c").await;
    again.acknowledged(Position { epoch: 1, seq: 3 }).await;
    assert_eq!(server.told().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn an_agent_is_cut_off_when_its_token_is_taken_back() {
    let server = server().await;
    let (mut agent, _) = server.greeted(1, 0).await;
    assert!(server.store.revoke(&server.agent.id).await.unwrap());
    assert_eq!(agent.refused().await, Code::Revoked);
    assert!(agent.hear().await.is_none());
    let refused = server.connect(server.agent.secret.reveal()).await.err().unwrap();
    assert!(matches!(refused, SocketError::Http(answer) if answer.status() == StatusCode::UNAUTHORIZED));
}

#[tokio::test]
async fn of_two_agents_with_one_identity_the_first_is_fenced_and_nothing_is_doubled() {
    let server = server().await;
    let (mut first, _) = server.greeted(1, 0).await;
    first.send(Position { epoch: 1, seq: 1 }, "a").await;
    first.acknowledged(Position { epoch: 1, seq: 1 }).await;
    let (mut second, answer) = server.greeted(2, 0).await;
    assert!(matches!(&answer, Message::Welcome(welcome) if (welcome.epoch, welcome.mark) == (2, 0)), "{answer:?}");
    first.send(Position { epoch: 1, seq: 2 }, "late").await;
    assert_eq!(first.refused().await, Code::Fenced);
    let (_, answer) = server.greeted(1, 1).await;
    assert!(matches!(&answer, Message::Refused(refusal) if refusal.code == Code::Fenced), "{answer:?}");
    second.send(Position { epoch: 2, seq: 1 }, "b").await;
    second.acknowledged(Position { epoch: 2, seq: 1 }).await;
    let mut told = server.told().await;
    told.sort();
    assert_eq!(told, ["a", "b"]);
}

#[tokio::test]
async fn an_agent_writes_its_own_cluster_and_no_other() {
    let server = server().await;
    let other = server.store.issue(Grant::Agent(ClusterId("c-2".to_owned())), "a test", None, Timestamp::now()).await;
    let mut agent = server.connect(other.unwrap().secret.reveal()).await.unwrap();
    let hello = Hello {
        cluster: shop().0,
        instance: Instance([3; 16]),
        epoch: 0,
        agent: "0.1.0".to_owned(),
        protocols: Protocols::OURS,
    };
    agent.say(Stream::CONTROL, Message::Hello(hello)).await;
    assert_eq!(agent.refused().await, Code::WrongCluster);
    assert_eq!(server.store.mark(&shop()).await.unwrap(), None);
}

#[tokio::test]
async fn bytes_that_are_no_frame_end_their_own_connection_alone() {
    let server = server().await;
    let (mut good, _) = server.greeted(1, 0).await;
    let mut bad = server.connect(server.agent.secret.reveal()).await.unwrap();
    bad.0.send(tungstenite::Message::Binary(vec![0; 64].into())).await.unwrap();
    assert_eq!(bad.refused().await, Code::Malformed);
    assert!(bad.hear().await.is_none());
    good.send(Position { epoch: 1, seq: 1 }, "a").await;
    good.acknowledged(Position { epoch: 1, seq: 1 }).await;
}
