//! One question to a runtime: a unary call of gRPC on HTTP/2 on a socket.
//!
//! `h2` alone and not a gRPC library: of gRPC this takes five bytes before a message and one status after it
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>), what is held of an answer is bounded here, and no
//! feature is turned on in the HTTP client that talks to API servers.

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::{self, SendRequest};
use http::{HeaderMap, Request, StatusCode, header};
use prost::Message;
use reckon_model::text::{clean_line, shorten};
use std::fmt;
use std::path::Path;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How much may come before it is taken: the window of HTTP/2, for a call and for the connection.
const WINDOW: u32 = 64 << 10;

/// The most headers of an answer, in bytes. There are four, of which one is a sentence.
const HEADERS: u32 = 16 << 10;

/// The head of a message: whether it is compressed, and its length in four bytes.
const HEAD: usize = 5;

/// `NOT_FOUND`: <https://github.com/grpc/grpc/blob/master/doc/statuscodes.md>
const NOT_FOUND: &str = "5";

/// How much of a runtime's own words is told.
const WORDS: usize = 200;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// There is no such container any more.
    #[error("not found")]
    Gone,
    /// This question was not answered as it should be; others may be.
    #[error("{0}")]
    Answer(String),
    /// Nothing came in time.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// There is nobody to ask.
    #[error("{0}")]
    Lost(String),
}

impl Trouble {
    fn lost(error: impl fmt::Display) -> Trouble {
        Trouble::Lost(words(&error.to_string()))
    }

    fn answer(error: impl fmt::Display) -> Trouble {
        Trouble::Answer(words(&error.to_string()))
    }
}

/// Whether it is this call alone that failed.
impl From<h2::Error> for Trouble {
    fn from(error: h2::Error) -> Trouble {
        if error.is_reset() { Trouble::answer(error) } else { Trouble::lost(error) }
    }
}

fn words(text: &str) -> String {
    shorten(&clean_line(text), WORDS).into_owned()
}

/// A connection, for one round of questions.
pub(super) struct Client {
    send: SendRequest<Bytes>,
    within: Duration,
    /// What moves its bytes. It may wait for a peer that says nothing, so it is ended and not waited for.
    connection: JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Client {
    /// Connects to a socket.
    pub(super) async fn connect(socket: &Path, within: Duration) -> Result<Client, Trouble> {
        let connecting = async {
            let stream = stream(socket).await.map_err(Trouble::lost)?;
            let (send, connection) = client::Builder::new()
                .enable_push(false)
                .initial_window_size(WINDOW)
                .initial_connection_window_size(WINDOW)
                .max_header_list_size(HEADERS)
                .handshake(stream)
                .await?;
            // Its error is the error of the call that waits for it.
            let connection = tokio::spawn(async { drop(connection.await) });
            Ok(Client { send, within, connection })
        };
        tokio::time::timeout(within, connecting).await.map_err(|_| Trouble::Silent(within))?
    }

    /// Asks, and hands out the bytes of the answering message as they come.
    pub(super) async fn call(
        &mut self,
        method: &str,
        question: &impl Message,
        each: impl FnMut(&[u8]) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let within = self.within;
        tokio::time::timeout(within, self.ask(method, question, each)).await.map_err(|_| Trouble::Silent(within))?
    }

    async fn ask(
        &mut self,
        method: &str,
        question: &impl Message,
        mut each: impl FnMut(&[u8]) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let request = Request::post(format!("http://localhost/runtime.v1.RuntimeService/{method}"))
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header("grpc-timeout", format!("{}m", self.within.as_millis()))
            .body(())
            .map_err(Trouble::answer)?;
        let mut send = self.send.clone().ready().await?;
        let (answer, mut body) = send.send_request(request, false)?;
        body.send_data(framed(question)?, true)?;
        let (head, mut body) = answer.await?.into_parts();
        if head.status != StatusCode::OK {
            return Err(Trouble::Answer(format!("HTTP status {}", head.status.as_u16())));
        }
        // Where there is no message all is said at once.
        status(&head.headers).unwrap_or(Ok(()))?;
        let mut message = Frame::default();
        while let Some(bytes) = body.data().await {
            let bytes = bytes?;
            body.flow_control().release_capacity(bytes.len())?;
            if let Some(bytes) = message.feed(&bytes)? {
                each(bytes)?;
            }
        }
        let trailers = body.trailers().await?.unwrap_or(head.headers);
        match status(&trailers) {
            None => Err(Trouble::Answer("it ended without a status".to_owned())),
            Some(Ok(())) if !message.is_whole() => Err(Trouble::Answer("it was cut off".to_owned())),
            Some(said) => said,
        }
    }
}

#[cfg(unix)]
async fn stream(socket: &Path) -> std::io::Result<tokio::net::UnixStream> {
    tokio::net::UnixStream::connect(socket).await
}

#[cfg(not(unix))]
async fn stream(_: &Path) -> std::io::Result<tokio::io::Empty> {
    Err(std::io::ErrorKind::Unsupported.into())
}

fn framed(question: &impl Message) -> Result<Bytes, Trouble> {
    let length = question.encoded_len();
    let mut bytes = BytesMut::with_capacity(HEAD + length);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).map_err(Trouble::answer)?);
    question.encode(&mut bytes).map_err(Trouble::answer)?;
    Ok(bytes.freeze())
}

/// What `grpc-status` and `grpc-message` say, if they are there.
fn status(headers: &HeaderMap) -> Option<Result<(), Trouble>> {
    let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    Some(match text("grpc-status")?.as_ref() {
        "0" => Ok(()),
        NOT_FOUND => Err(Trouble::Gone),
        code => Err(Trouble::answer(format_args!("code {code}: {}", text("grpc-message").unwrap_or_default()))),
    })
}

/// Takes the head off a message.
#[derive(Default)]
struct Frame {
    head: Vec<u8>,
    left: Option<usize>,
}

impl Frame {
    /// What of these bytes is the message.
    fn feed<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, Trouble> {
        let (head, message) = bytes.split_at(bytes.len().min(HEAD - self.head.len()));
        self.head.extend_from_slice(head);
        let left = match (self.left, self.head.as_slice()) {
            (Some(left), _) => left,
            (None, [0, length @ ..]) if length.len() == HEAD - 1 => {
                length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
            }
            (None, [] | [0, ..]) => return Ok(None),
            (None, _) => return Err(Trouble::Answer("it is compressed, though nobody asked for that".to_owned())),
        };
        self.left = left.checked_sub(message.len());
        match self.left {
            Some(_) => Ok(Some(message)),
            None => Err(Trouble::Answer("it is longer than it says".to_owned())),
        }
    }

    fn is_whole(&self) -> bool {
        self.left == Some(0)
    }
}
