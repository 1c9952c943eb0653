//! A server on 127.0.0.1 that answers as a test tells it to, however wrong.

use crate::config::{Environment, Options};
use crate::connection::{Connection, Patience};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) target: String,
    /// The head as sent, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// What to say.
pub(crate) enum Reply {
    /// A proper answer.
    Json(u16, Vec<u8>),
    /// A proper answer with one header more.
    With(u16, &'static str, &'static str, Vec<u8>),
    /// The head of a good answer of unknown length and these bytes, then the end of the connection without the end of
    /// the answer.
    CutOff(Vec<u8>),
    /// The head of a good answer and these bytes, properly ended.
    Stream(Vec<u8>),
    /// The head of a good answer and these bytes, then silence.
    Silence(Vec<u8>),
}

impl Reply {
    pub(crate) fn ok(json: &str) -> Reply {
        Reply::Json(200, json.as_bytes().to_vec())
    }

    pub(crate) fn status(code: u16, message: &str) -> Reply {
        let status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "code": code, "message": message});
        Reply::Json(code, status.to_string().into_bytes())
    }
}

pub(crate) struct FakeServer {
    pub(crate) url: String,
    pub(crate) asked: Arc<Mutex<Vec<Asked>>>,
    /// How long its clients wait for what: not long.
    pub(crate) patience: Patience,
    _tasks: JoinSet<()>,
}

type Handler = dyn Fn(&Asked) -> Reply + Send + Sync;

impl FakeServer {
    pub(crate) async fn start(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> FakeServer {
        FakeServer::start_with(handler, None).await
    }

    pub(crate) async fn start_with(
        handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
        tls: Option<tokio_rustls::TlsAcceptor>,
    ) -> FakeServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let handler: Arc<Handler> = Arc::new(handler);
        let mut tasks = JoinSet::new();
        let seen = asked.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (handler, seen, tls) = (handler.clone(), seen.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => serve(stream, &*handler, &seen).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &*handler, &seen).await;
                            }
                        }
                    }
                });
            }
        });
        let patience = Patience {
            head: Duration::from_secs(20),
            kubelet: Duration::from_secs(20),
            idle: Duration::from_millis(300),
            watch_idle: Duration::from_millis(300),
            bookmark: Duration::from_millis(300),
            backoff: (Duration::from_millis(1), Duration::from_millis(5)),
            refused: Duration::from_millis(5),
            beat: Duration::from_secs(20),
            stale: Duration::from_secs(20),
            look: Duration::from_secs(20),
            settle: Duration::from_secs(20),
            renew: Duration::ZERO,
        };
        FakeServer { url, asked, patience, _tasks: tasks }
    }

    /// A connection to it that waits for nothing long.
    /// A connection that takes it for a server of version 1.33.
    pub(crate) async fn connection(&self) -> Connection {
        self.connection_with(Options::default(), "").await
    }

    /// A connection that has yet to ask for the version.
    pub(crate) async fn first_connection(&self) -> Connection {
        self.connect(Options::default(), "").await
    }

    pub(crate) async fn connection_with(&self, options: Options, cluster: &str) -> Connection {
        let connection = self.connect(options, cluster).await;
        connection.inner.minor.set(33).unwrap();
        connection
    }

    async fn connect(&self, options: Options, cluster: &str) -> Connection {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        let yaml = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\ncontexts:\n- name: test\n  context: {{cluster: c, user: u, namespace: shop}}\nclusters:\n- name: c\n  cluster:\n    server: {}\n{cluster}\nusers:\n- name: u\n  user: {{token: t}}\n",
            self.url
        );
        std::fs::write(&file, yaml).unwrap();
        let options = Options { kubeconfig: Some(file), ..options };
        Connection::open_in(&options, &Environment::default(), self.patience).await.unwrap()
    }

    pub(crate) fn targets(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|asked| asked.target.clone()).collect()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, handler: &Handler, seen: &Mutex<Vec<Asked>>) {
    let Some(asked) = read(&mut stream).await else { return };
    let reply = handler(&asked);
    seen.lock().unwrap().push(asked);
    let chunked = |bytes: &[u8]| {
        let mut out =
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        // Small pieces, so that items and lines are torn apart.
        let size = if bytes.len() > 100_000 { 16 * 1024 } else { 37 };
        for piece in bytes.chunks(size) {
            out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            out.extend_from_slice(piece);
            out.extend_from_slice(b"\r\n");
        }
        out
    };
    let whole = |code: u16, extra: String, body: &[u8]| {
        let head = format!(
            "HTTP/1.1 {code} X\r\ncontent-type: application/json\r\nconnection: close\r\n{extra}content-length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let (bytes, stay) = match reply {
        Reply::Json(code, body) => (whole(code, String::new(), &body), false),
        Reply::With(code, name, value, body) => (whole(code, format!("{name}: {value}\r\n"), &body), false),
        Reply::CutOff(body) => (chunked(&body), false),
        Reply::Stream(body) => ([chunked(&body), b"0\r\n\r\n".to_vec()].concat(), false),
        Reply::Silence(body) => (chunked(&body), true),
    };
    let _ = stream.write_all(&bytes).await;
    let _ = stream.flush().await;
    if stay {
        std::future::pending::<()>().await;
    }
    let _ = stream.shutdown().await;
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Asked> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let lower = head.to_ascii_lowercase();
            let length = lower
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |value| value.trim().parse::<usize>().unwrap());
            if bytes.len() >= end + 4 + length {
                let target = head.split(' ').nth(1)?.to_owned();
                return Some(Asked { target, head: lower, body: bytes[end + 4..].to_vec() });
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
        }
    }
}
