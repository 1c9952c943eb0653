//! A container runtime that is a thread: it answers on a socket as a test tells it to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use h2::server;
use http::{HeaderMap, Request, Response};
use prost::Message;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::net::{UnixListener, UnixStream};

/// Fields of `k8s.io/cri-api`, `pkg/apis/runtime/v1/api.proto`, written down a second time: also some that nobody reads.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct List {
    #[prost(message, repeated, tag = "1")]
    pub(crate) containers: Vec<Container>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Container {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) metadata: Option<Metadata>,
    #[prost(string, tag = "5")]
    pub(crate) image_ref: String,
    #[prost(int32, tag = "6")]
    pub(crate) state: i32,
    #[prost(btree_map = "string, string", tag = "8")]
    pub(crate) labels: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "9")]
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Metadata {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Question {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Answer {
    #[prost(message, optional, tag = "1")]
    pub(crate) status: Option<Status>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Status {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(int32, tag = "3")]
    pub(crate) state: i32,
    #[prost(int64, tag = "5")]
    pub(crate) started_at: i64,
    #[prost(int64, tag = "6")]
    pub(crate) finished_at: i64,
    #[prost(int32, tag = "7")]
    pub(crate) exit_code: i32,
    #[prost(string, tag = "10")]
    pub(crate) reason: String,
    #[prost(message, optional, tag = "16")]
    pub(crate) resources: Option<Resources>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Resources {
    #[prost(message, optional, tag = "1")]
    pub(crate) linux: Option<Linux>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Linux {
    #[prost(int64, tag = "4")]
    pub(crate) memory_limit_in_bytes: i64,
}

pub(crate) const RUNNING: i32 = 1;
pub(crate) const EXITED: i32 = 2;

pub(crate) fn container(id: &str, state: i32) -> Container {
    Container {
        id: id.to_owned(),
        metadata: Some(Metadata { name: "app".to_owned() }),
        image_ref: "sha256:1".to_owned(),
        state,
        labels: [("io.kubernetes.pod.uid".to_owned(), format!("pod-of-{id}"))].into(),
        annotations: [("note".to_owned(), "x".repeat(1000))].into(),
    }
}

/// How one question is answered.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// A message.
    Bytes(Vec<u8>),
    /// A message of which less comes than it says.
    Short(Vec<u8>),
    /// `grpc-status` and `grpc-message`, with no message before them.
    Refusal(&'static str, &'static str),
    /// The stream ends without a word.
    Reset,
    /// Nothing, ever.
    Nothing,
}

/// What the official Go types give for a container with every field set.
pub(crate) const OFFICIAL_LIST: &str = include_str!("list.hex");
/// The same for its status. Made with `k8s.io/cri-api` v0.37.2.
pub(crate) const OFFICIAL_STATUS: &str = include_str!("status.hex");

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|digit| digit.to_digit(16)?.try_into().ok()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

pub(crate) fn says(message: &impl Message) -> Says {
    Says::Bytes(message.encode_to_vec())
}

/// What a runtime knows, by question: `ListContainers`, or the id of a container. What it does not know is not found.
pub(crate) type Knows = BTreeMap<String, Says>;

/// A runtime on a socket of its own.
pub(crate) struct Fake {
    pub(crate) socket: PathBuf,
    knows: Arc<Mutex<Knows>>,
    asked: Arc<Mutex<Vec<String>>>,
    _directory: tempfile::TempDir,
}

impl Fake {
    pub(crate) fn new(knows: Knows) -> Fake {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("runtime.sock");
        let (knows, asked) = (Arc::new(Mutex::new(knows)), Arc::new(Mutex::new(Vec::new())));
        let (held, noted) = (knows.clone(), asked.clone());
        serve(&socket, move |stream| connection(stream, held.clone(), noted.clone()));
        Fake { socket, knows, asked, _directory: directory }
    }

    /// One with these containers, all with this status.
    pub(crate) fn of(containers: &[Container], status: impl Fn(&Container) -> Status) -> Fake {
        let fake = Fake::new(Knows::new());
        for container in containers {
            fake.now(&container.id, says(&Answer { status: Some(status(container)) }));
        }
        fake.now("ListContainers", says(&List { containers: containers.to_vec() }));
        fake
    }

    /// From now on it answers so.
    pub(crate) fn now(&self, question: &str, answer: Says) {
        self.knows.lock().unwrap().insert(question.to_owned(), answer);
    }

    /// What it was asked, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Listens on a thread of its own; when this returns, connecting works.
pub(crate) fn serve<F>(socket: &Path, each: impl Fn(UnixStream) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let reactor = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        reactor.block_on(async move {
            let listener = UnixListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(each(stream));
            }
        });
    });
}

async fn connection(stream: UnixStream, knows: Arc<Mutex<Knows>>, asked: Arc<Mutex<Vec<String>>>) {
    let Ok(mut connection) = server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(answer(request, respond, knows.clone(), asked.clone()));
    }
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: server::SendResponse<Bytes>,
    knows: Arc<Mutex<Knows>>,
    asked: Arc<Mutex<Vec<String>>>,
) {
    let (head, mut body) = request.into_parts();
    assert_eq!((head.method.as_str(), &head.headers["te"]), ("POST", &"trailers".parse().unwrap()));
    assert_eq!(head.headers["content-type"], "application/grpc");
    let mut question = Vec::new();
    while let Some(Ok(bytes)) = body.data().await {
        question.extend_from_slice(&bytes);
    }
    assert_eq!(question[..5], [&[0], &(u32::try_from(question.len()).unwrap() - 5).to_be_bytes()[..]].concat());
    let key = match head.uri.path() {
        "/runtime.v1.RuntimeService/ListContainers" => "ListContainers".to_owned(),
        "/runtime.v1.RuntimeService/ContainerStatus" => Question::decode(&question[5..]).unwrap().id,
        other => panic!("nobody may call {other}"),
    };
    asked.lock().unwrap().push(key.clone());
    let says = knows.lock().unwrap().get(&key).cloned();
    let ok = || Response::builder().header("content-type", "application/grpc");
    let (message, length) = match says.unwrap_or(Says::Refusal("5", "not found")) {
        Says::Bytes(bytes) => (bytes.clone(), bytes.len()),
        Says::Short(bytes) => (bytes.clone(), bytes.len() + 1),
        Says::Refusal(code, why) => {
            let refusal = ok().header("grpc-status", code).header("grpc-message", why).body(()).unwrap();
            drop(respond.send_response(refusal, true));
            return;
        }
        Says::Reset => return respond.send_reset(h2::Reason::INTERNAL_ERROR),
        Says::Nothing => return std::future::pending().await,
    };
    let Ok(mut send) = respond.send_response(ok().body(()).unwrap(), false) else { return };
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    framed.extend_from_slice(&message);
    // In odd pieces, as a runtime need not know where a container begins.
    for piece in framed.chunks(1021) {
        drop(send.send_data(Bytes::copy_from_slice(piece), false));
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    drop(send.send_trailers(trailers));
}
