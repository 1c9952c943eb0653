//! Requests and answers as bytes: time limits, refusals, counting. Nothing here knows what the bytes mean.

use crate::connection::Connection;
use crate::error::{Intent, ReadError};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::client::Body;
use reckon_model::text::{clean_line, shorten};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Plain JSON.
pub(crate) const JSON: &str = "application/json";

/// An answer that took longer says nothing about clocks.
const DATED: Duration = Duration::from_secs(2);

/// The longest pause that is kept. Whoever asks for a longer one has refused.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// How often one request is sent while the server says "later".
const MAX_ATTEMPTS: u32 = 5;

/// The largest answer that is held whole: a single object, a discovery document.
pub(crate) const MAX_ANSWER_BYTES: u64 = 8 * 1024 * 1024;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    /// Path and query, encoded.
    pub(crate) target: String,
    pub(crate) accept: &'static str,
    pub(crate) body: Vec<u8>,
    /// What the body is.
    pub(crate) content: &'static str,
    /// For the message when it is refused.
    pub(crate) intent: Intent,
    /// A watch is not bound by `--request-timeout`.
    pub(crate) endless: bool,
    /// The API server has to ask a kubelet first, which may be gone.
    pub(crate) through_kubelet: bool,
    /// "Later" is an answer to it and not tried again.
    pub(crate) once: bool,
}

impl Ask {
    pub(crate) fn get(target: String, intent: Intent) -> Self {
        Ask {
            method: Method::GET,
            target,
            accept: JSON,
            body: Vec::new(),
            content: JSON,
            intent,
            endless: false,
            through_kubelet: false,
            once: false,
        }
    }

    pub(crate) fn post(target: String, body: Vec<u8>, intent: Intent) -> Self {
        Ask { method: Method::POST, body, ..Ask::get(target, intent) }
    }

    pub(crate) fn through_kubelet(mut self) -> Self {
        self.through_kubelet = true;
        self
    }

    pub(crate) fn accepting(mut self, accept: &'static str) -> Self {
        self.accept = accept;
        self
    }

    /// Whether an API server may answer to this path with plain text that it knows no such page: only what every server has,
    /// the core group and its version, it must know.
    fn may_be_unserved(&self) -> bool {
        !(self.target.starts_with("/api/v1/") || self.target == "/api" || self.target.starts_with("/version"))
    }

    /// `GET /path`, without the query.
    pub(crate) fn describe(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        format!("{} {path}", self.method)
    }
}

/// An answer whose head was good, its body still on the way.
pub(crate) struct Incoming {
    body: Body,
    connection: Connection,
    request: String,
    idle: Duration,
    /// When its last byte came.
    heard: Instant,
    deadline: Option<Instant>,
}

impl Connection {
    /// Sends a request and waits for the head of a good answer. Whatever else the server says is an error; "later" is
    /// obeyed a few times first.
    pub(crate) async fn send(&self, ask: &Ask) -> Result<Incoming, ReadError> {
        let start = Instant::now();
        let deadline = self.inner.request_timeout.filter(|_| !ask.endless).map(|limit| start + limit);
        let mut attempt = 1;
        loop {
            let response = self.send_once(ask, deadline).await?;
            if response.status().is_success() {
                let patience = &self.inner.patience;
                return Ok(Incoming {
                    body: response.into_body(),
                    connection: self.clone(),
                    request: ask.describe(),
                    idle: if ask.endless { patience.watch_idle } else { patience.idle },
                    heard: Instant::now(),
                    deadline,
                });
            }
            let later = retry_after(&response);
            match later {
                Some(pause)
                    if !ask.once
                        && attempt < MAX_ATTEMPTS
                        && deadline.is_none_or(|end| Instant::now() + pause < end) =>
                {
                    tracing::debug!(request = ask.describe(), ?pause, "the server asks to come back later");
                    tokio::time::sleep(pause).await;
                    attempt += 1;
                }
                _ => return Err(self.refusal(ask, response).await),
            }
        }
    }

    async fn send_once(&self, ask: &Ask, deadline: Option<Instant>) -> Result<Response<Body>, ReadError> {
        let malformed = |error: http::Error| ReadError::Malformed {
            server: self.server().to_owned(),
            request: ask.describe(),
            why: error.to_string(),
        };
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(ask.target.as_str())
            .header(http::header::ACCEPT, ask.accept)
            // Watches are gzipped per event by newer servers when asked, and lists cost more to unpack than to read.
            .header(http::header::ACCEPT_ENCODING, "identity");
        if !ask.body.is_empty() {
            request = request.header(http::header::CONTENT_TYPE, ask.content);
        }
        let request = request.body(Body::from(ask.body.clone())).map_err(malformed)?;
        self.inner.requests.fetch_add(1, Ordering::Relaxed);
        let (started, sent) = (Instant::now(), self.local_now());
        let patience = &self.inner.patience;
        let head = if ask.through_kubelet { patience.kubelet } else { patience.head };
        let end =
            deadline.map_or(started + head, |end| if ask.through_kubelet { end.min(started + head) } else { end });
        let response = match timeout_at(end, self.client().send(request)).await {
            Err(_) => return Err(self.timed_out(&ask.describe(), end - started)),
            Ok(Err(error)) => {
                return Err(match ReadError::from_transport(self.server(), &ask.describe(), &error) {
                    // Nothing of an answer had come: a balancer without a server behind it.
                    ReadError::Truncated { server, .. } => {
                        let why = "it closes the connection without an answer".to_owned();
                        ReadError::Unreachable { server, why }
                    }
                    other => other,
                });
            }
            Ok(Ok(response)) => response,
        };
        // The server dates an answer when it writes it: of a slow one nobody knows when that was.
        if let Some(date) = header(&response, http::header::DATE).filter(|_| started.elapsed() <= DATED) {
            self.saw_date(date, sent);
        }
        Ok(response)
    }

    /// Reads a whole answer as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&self, ask: &Ask) -> Result<T, ReadError> {
        let bytes = self.send(ask).await?.all(MAX_ANSWER_BYTES).await?;
        serde_json::from_slice(&bytes).map_err(|error| ReadError::Malformed {
            server: self.server().to_owned(),
            request: ask.describe(),
            why: error.to_string(),
        })
    }

    fn timed_out(&self, request: &str, waited: Duration) -> ReadError {
        ReadError::TimedOut {
            server: self.server().to_owned(),
            request: request.to_owned(),
            seconds: waited.as_secs().max(1),
        }
    }

    async fn refusal(&self, ask: &Ask, response: Response<Body>) -> ReadError {
        let (server, request) = (self.server().to_owned(), ask.describe());
        let status = response.status();
        let incoming = Incoming {
            body: response.into_body(),
            connection: self.clone(),
            request: request.clone(),
            idle: self.inner.patience.idle.min(Duration::from_secs(5)),
            heard: Instant::now(),
            deadline: None,
        };
        let body = incoming.head(16 * 1024).await;
        let message = message(&body, status);
        match status {
            // Every refusal of an API server is a Status, but for paths that it does not know.
            StatusCode::NOT_FOUND if !is_status(&body) && !ask.may_be_unserved() => {
                let why = format!("this is no Kubernetes API: 404 {message}; look at the address in the kubeconfig");
                ReadError::Malformed { server, request, why }
            }
            StatusCode::UNAUTHORIZED => ReadError::Unauthorized { server },
            StatusCode::FORBIDDEN => ReadError::Forbidden { server, intent: ask.intent.clone(), message },
            StatusCode::NOT_FOUND => ReadError::NotFound { server, request, message },
            StatusCode::GONE => ReadError::Gone { server, request },
            _ => ReadError::Status { server, request, code: status.as_u16(), message },
        }
    }
}

fn header(response: &Response<Body>, name: http::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// How long to wait before the same request may be sent again, if the server says it may.
fn retry_after(response: &Response<Body>) -> Option<Duration> {
    let said = header(response, http::header::RETRY_AFTER).and_then(|value| value.trim().parse::<u64>().ok());
    match (response.status(), said) {
        (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, Some(seconds)) => {
            Some(Duration::from_secs(seconds)).filter(|pause| *pause <= MAX_RETRY_AFTER)
        }
        (StatusCode::TOO_MANY_REQUESTS, None) => Some(Duration::from_secs(1)),
        _ => None,
    }
}

/// Whether a body is a Status, as an API server writes it.
fn is_status(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Kind {
        kind: String,
    }
    serde_json::from_slice::<Kind>(body).is_ok_and(|kind| kind.kind == "Status")
}

/// What the server says in the body of a refusal: the message of a Status, or the text itself.
fn message(body: &[u8], status: StatusCode) -> String {
    #[derive(Deserialize)]
    struct Status {
        message: String,
    }
    let text = match serde_json::from_slice::<Status>(body) {
        Ok(status) => status.message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let text = clean_line(text.trim());
    let reason = || status.canonical_reason().unwrap_or("error").to_ascii_lowercase();
    if text.is_empty() || text.starts_with('<') { reason() } else { shorten(&text, 400).into_owned() }
}

impl Incoming {
    /// The next bytes; `None` at the proper end of the answer. Nothing is lost where this is given up and called again, and
    /// the silence goes on to be counted.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        loop {
            let idle = self.heard + self.idle;
            let end = self.deadline.map_or(idle, |deadline| deadline.min(idle));
            let frame = timeout_at(end, self.body.frame()).await;
            let silent = std::mem::replace(&mut self.heard, Instant::now());
            match frame {
                Err(_) => return Err(self.connection.timed_out(&self.request, end - silent)),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => {
                    let transport = ReadError::from_transport(self.connection.server(), &self.request, &error);
                    // The connection was there: whatever broke it, the answer ended in the middle.
                    return Err(match transport {
                        ReadError::Unreachable { server, .. } => {
                            ReadError::Truncated { server, request: self.request.clone() }
                        }
                        other => other,
                    });
                }
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.connection.inner.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// All of it, up to a bound.
    pub(crate) async fn all(mut self, limit: u64) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::new();
        while let Some(data) = self.next().await? {
            if (bytes.len() + data.len()) as u64 > limit {
                return Err(ReadError::TooLarge {
                    server: self.connection.server().to_owned(),
                    request: self.request,
                    limit,
                });
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes)
    }

    /// As much of it as came, up to a bound: for messages.
    async fn head(mut self, limit: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Ok(Some(data)) = self.next().await {
            bytes.extend_from_slice(&data[..data.len().min(limit - bytes.len())]);
            if bytes.len() >= limit {
                break;
            }
        }
        bytes
    }

    pub(crate) fn malformed(&self, why: String) -> ReadError {
        ReadError::Malformed { server: self.connection.server().to_owned(), request: self.request.clone(), why }
    }

    pub(crate) fn truncated(&self) -> ReadError {
        ReadError::Truncated { server: self.connection.server().to_owned(), request: self.request.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_the_status_says_and_never_a_control_byte() {
        let status = br#"{"kind":"Status","message":"pods is forbidden\u001b[31m\n!"}"#;
        assert_eq!(message(status, StatusCode::FORBIDDEN), "pods is forbidden\\x1b[31m !");
        assert_eq!(message(b"404 page not found\n", StatusCode::NOT_FOUND), "404 page not found");
        assert_eq!(message(b"<html>", StatusCode::BAD_GATEWAY), "bad gateway");
    }
}
