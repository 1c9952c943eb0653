//! The world as a service: in the same process for `kube::Client`, and under the listener.

use crate::body::{Answer, Payload};
use crate::clock::Clock;
use crate::watch::Read;
use crate::world::{Config, World};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use http::{Request, Response, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// The body of an answer. It breaks with an error where a connection breaks.
pub type AnswerBody = UnsyncBoxBody<Bytes, io::Error>;

/// A simulated API server. Clones are the same server.
///
/// ```no_run
/// # use reckon_sim::{Clock, Config, Server};
/// let server = Server::new(Config::default(), Clock::real());
/// let client = kube::Client::new(server.clone(), "default");
/// server.world().cut_all();
/// ```
#[derive(Clone, Debug)]
pub struct Server {
    world: Arc<Mutex<World>>,
    clock: Clock,
}

impl Server {
    /// A new cluster.
    pub fn new(config: Config, clock: Clock) -> Server {
        let world = World::new(config, clock.now());
        Server { world: Arc::new(Mutex::new(world)), clock }
    }

    /// The clock it goes by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The world, at the clock's present time. Nobody is served while it is held.
    pub fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.now = self.clock.now();
        world
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<AnswerBody> {
        let answer = self.world().answer(request);
        if let Some(time) = answer.not_before {
            self.clock.sleep_until(time).await;
        }
        if matches!(answer.payload, Payload::Never) {
            std::future::pending::<()>().await;
        }
        self.respond(answer)
    }

    fn respond(&self, answer: Answer) -> Response<AnswerBody> {
        let cut = answer.cut;
        let length = match &answer.payload {
            Payload::Whole(bytes) => Some(bytes.len()),
            _ => None,
        };
        let body: AnswerBody = match answer.payload {
            Payload::Whole(bytes) => Full::new(bytes).map_err(|never| match never {}).boxed_unsync(),
            Payload::List(list) => streamed(listed(list, cut)),
            Payload::Watch(cursor) => streamed(self.watch(cursor)),
            Payload::Log(cursor) => streamed(self.log(cursor)),
            Payload::Never => streamed(stream::pending().boxed()),
        };
        let mut response = Response::new(body);
        *response.status_mut() =
            http::StatusCode::from_u16(answer.code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(answer.media));
        headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache, private"));
        if let Some(length) = length {
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        if let Some(seconds) = answer.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        // Of this server's clock, not of the machine's: clients measure by it how far theirs is off.
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&self.clock.now());
        if let Some(date) = date.ok().and_then(|date| date.parse().ok()) {
            headers.insert(header::DATE, date);
        }
        response
    }

    fn watch(&self, cursor: Box<crate::watch::Cursor>) -> BoxStream<'static, io::Result<Bytes>> {
        let state = Some((self.clone(), cursor));
        stream::unfold((state, false), |(state, broken_off)| async move {
            if broken_off {
                tokio::task::yield_now().await;
                return Some((Err(broken()), (None, false)));
            }
            let (server, mut cursor) = state?;
            let wake = cursor.wake.clone();
            loop {
                let woken = wake.notified();
                tokio::pin!(woken);
                woken.as_mut().enable();
                let read = server.world().read(&mut cursor);
                match read {
                    Read::Chunk(bytes) => return Some((Ok(bytes), (Some((server, cursor)), false))),
                    Read::End => return None,
                    Read::Cut(bytes) if bytes.is_empty() => return Some((Err(broken()), (None, false))),
                    Read::Cut(bytes) => return Some((Ok(bytes), (None, true))),
                    Read::Silence => std::future::pending().await,
                    Read::Wait(until) => tokio::select! {
                        () = woken => {}
                        () = server.clock.sleep_until(until) => {}
                    },
                }
            }
        })
        .boxed()
    }

    fn log(&self, cursor: Box<crate::logs::LogCursor>) -> BoxStream<'static, io::Result<Bytes>> {
        stream::unfold(Some((self.clone(), cursor)), |state| async move {
            let (server, mut cursor) = state?;
            let wake = cursor.wake.clone();
            loop {
                let woken = wake.notified();
                tokio::pin!(woken);
                woken.as_mut().enable();
                let read = server.world().read_log(&mut cursor);
                match read {
                    Ok(Some(bytes)) => return Some((Ok(bytes), Some((server, cursor)))),
                    Ok(None) => woken.await,
                    Err(true) => return Some((Err(broken()), None)),
                    Err(false) => return None,
                }
            }
        })
        .boxed()
    }
}

/// The chunks of a list; cut in the middle of the first where a fault wants that.
fn listed(list: crate::body::ListBody, cut: bool) -> BoxStream<'static, io::Result<Bytes>> {
    stream::unfold((Some(list), false), move |(list, broken_off)| async move {
        if broken_off {
            // Once around, so that what came before goes out before the connection breaks.
            tokio::task::yield_now().await;
            return Some((Err(broken()), (None, false)));
        }
        let mut list = list?;
        let chunk = list.next()?;
        if cut {
            let half = chunk.len() / 2;
            return Some((Ok(chunk.slice(..half)), (None, true)));
        }
        Some((Ok(chunk), (Some(list), false)))
    })
    .boxed()
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was cut")
}

fn streamed(chunks: BoxStream<'static, io::Result<Bytes>>) -> AnswerBody {
    StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))).boxed_unsync()
}

impl<B> tower_service::Service<Request<B>> for Server
where
    B: Body + Send + 'static,
    B::Data: Send,
{
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            // A body that breaks off is as good as empty: whoever sent it is gone.
            let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            Ok(server.handle(Request::from_parts(head, bytes)).await)
        })
    }
}
