//! The other end for tests: a server of one cluster with a real [`Peer`], whose store is a log in memory. What it acknowledges
//! is in that log.

use futures::{SinkExt, StreamExt};
use reckon_model::frame::peer::{Command, Peer, Writer, claim};
use reckon_model::frame::{Code, Limits, MOST_PACKED, Refusal};
use reckon_model::record::Entry;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

#[derive(Default)]
pub(super) struct Store {
    pub(super) writer: Option<Writer>,
    /// Epoch, position and entries, in the order in which they came.
    pub(super) log: Vec<(u64, u64, Vec<Entry>)>,
    pub(super) token: String,
    /// How many connections were made.
    pub(super) connections: u32,
    /// What is sent instead of an answer, once for each connection.
    pub(super) garbage: VecDeque<Message>,
}

#[derive(Clone)]
pub(super) struct Server {
    store: Arc<Mutex<Store>>,
    /// What all connections are ended with.
    pub(super) ending: watch::Sender<Option<Refusal>>,
    /// How long each block takes until it is durable.
    pub(super) slowness: Duration,
}

impl Server {
    pub(super) fn new() -> Server {
        let store = Store { token: "secret".to_owned(), ..Store::default() };
        Server { store: Arc::new(Mutex::new(store)), ending: watch::channel(None).0, slowness: Duration::ZERO }
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }

    /// The positions that it has, in the order in which they came.
    pub(super) fn positions(&self) -> Vec<u64> {
        self.store().log.iter().map(|(_, seq, _)| *seq).collect()
    }

    /// Listens on loopback; the address of it.
    pub(super) async fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move { server.serve(tcp).await });
            }
        });
        address
    }

    /// Serves one connection to its end.
    pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, wire: S) {
        let bearer = format!("Bearer {}", self.store().token);
        #[expect(clippy::result_large_err, reason = "the signature is the library's")]
        let check = move |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            let known =
                request.headers().get("authorization").is_some_and(|header| header.as_bytes() == bearer.as_bytes());
            if known && request.uri().path() == super::PATH {
                return Ok(response);
            }
            let mut refused = ErrorResponse::new(None);
            *refused.status_mut() = http::StatusCode::UNAUTHORIZED;
            Err(refused)
        };
        let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(wire, check).await else { return };
        let garbage = {
            let mut store = self.store();
            store.connections += 1;
            store.garbage.pop_front()
        };
        if let Some(garbage) = garbage {
            let _ = socket.send(garbage).await;
        }
        let begin = Instant::now();
        let mut ending = self.ending.subscribe();
        let limits = Limits { block: u32::try_from(MOST_PACKED).unwrap(), window: u32::try_from(MOST_PACKED).unwrap() };
        let mut peer = Peer::new("c", limits, Duration::ZERO);
        loop {
            let mut commands = tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(Message::Binary(bytes))) => VecDeque::from(peer.receive(&bytes, begin.elapsed())),
                    Some(Ok(_)) => continue,
                    Some(Err(_)) | None => return,
                },
                Ok(()) = ending.changed() => match ending.borrow_and_update().clone() {
                    Some(refusal) => peer.end(refusal).into(),
                    None => continue,
                },
            };
            while let Some(command) = commands.pop_front() {
                match command {
                    Command::Send(frame) => {
                        if socket.send(Message::Binary(frame.encode().into())).await.is_err() {
                            return;
                        }
                    }
                    Command::Close => {
                        let _ = socket.close(None).await;
                        return;
                    }
                    Command::Claim(hello) => {
                        let claimed = claim(self.store().writer.as_ref(), &hello);
                        commands.extend(match claimed {
                            Ok(grant) => {
                                let (epoch, mark) = (grant.epoch, grant.mark);
                                self.store().writer = Some(Writer { instance: hello.instance, epoch, mark });
                                peer.granted(&grant)
                            }
                            Err(refusal) => peer.end(refusal),
                        });
                    }
                    Command::Append { batch, entries } => {
                        tokio::time::sleep(self.slowness).await;
                        let seq = batch.position.seq;
                        let fenced = {
                            let mut store = self.store();
                            // As a transaction would: who is not the writer any more writes nothing.
                            match &mut store.writer {
                                Some(writer) if writer.epoch == batch.position.epoch => {
                                    if seq > writer.mark {
                                        writer.mark = seq;
                                        store.log.push((batch.position.epoch, seq, entries));
                                    }
                                    false
                                }
                                _ => true,
                            }
                        };
                        commands.extend(match fenced {
                            true => peer.end(Refusal::new(Code::Fenced, "another agent writes")),
                            false => peer.appended(seq),
                        });
                    }
                }
            }
        }
    }
}

/// Bytes go through until there were so many, in both directions together; then the connection is gone.
pub(super) struct Cut<S> {
    wire: S,
    left: usize,
}

impl<S> Cut<S> {
    pub(super) fn after(left: usize, wire: S) -> Cut<S> {
        Cut { wire, left }
    }
}

fn gone() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

impl<S: AsyncRead + Unpin> AsyncRead for Cut<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(gone()));
        }
        let mut bytes = vec![0; self.left.min(into.remaining())];
        let mut some = ReadBuf::new(&mut bytes);
        let polled = Pin::new(&mut self.wire).poll_read(context, &mut some);
        into.put_slice(some.filled());
        self.left -= some.filled().len();
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cut<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.left == 0 {
            return Poll::Ready(Err(gone()));
        }
        let some = bytes.len().min(self.left);
        let polled = Pin::new(&mut self.wire).poll_write(context, &bytes[..some]);
        if let Poll::Ready(Ok(written)) = polled {
            self.left -= written;
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}
