//! One request to a server's API, on a connection of its own.

use super::connect::Settings;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use reckon_model::text::{clean_line, shorten};
use serde::Deserialize;
use std::pin::pin;
use std::time::Duration;
use tokio::time::timeout;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// That no answer came, as a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Lost(pub String);

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// All of its body.
    pub body: Vec<u8>,
}

/// The error document of the API, as far as it is read.
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

impl Answer {
    /// What the server says is wrong, in its words.
    pub fn refusal(&self) -> String {
        let detail = serde_json::from_slice::<Problem>(&self.body).map(|problem| problem.detail);
        detail.map_or_else(|_| self.status.to_string(), |detail| shorten(&clean_line(&detail), 300).into_owned())
    }
}

/// GET of a path with its query below the server's own address; the answer has at most `most` bytes.
///
/// # Errors
/// That no answer came.
pub async fn get(settings: &Settings, path: &str, most: usize) -> Result<Answer, Lost> {
    send(settings, Method::GET, path, Vec::new(), most).await
}

/// A request with a body of JSON, if it has one.
pub(super) async fn send(
    settings: &Settings,
    method: Method,
    path: &str,
    body: Vec<u8>,
    most: usize,
) -> Result<Answer, Lost> {
    let late = |_| Lost(format!("no answer in {} s", PATIENCE.as_secs()));
    timeout(PATIENCE, exchange(settings, method, path, body, most)).await.map_err(late)?
}

async fn exchange(settings: &Settings, method: Method, path: &str, body: Vec<u8>, most: usize) -> Result<Answer, Lost> {
    let lost = |error: &dyn std::fmt::Display| Lost(format!("the connection is lost: {error}"));
    let token = settings.token().map_err(|error| Lost(error.why))?;
    let wire = settings.wire().await.map_err(|error| Lost(error.why))?;
    let request = Request::builder()
        .method(method)
        .uri(settings.below(path))
        .header(HOST, settings.authority())
        .header(AUTHORIZATION, token)
        .header(USER_AGENT, concat!("reckon/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| lost(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(wire)).await.map_err(|error| lost(&error))?;
    let answering = async {
        let response = sender.send_request(request).await.map_err(|error| lost(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), most).collect().await.map_err(|error| lost(&error))?;
        Ok(Answer { status, body: body.to_bytes().to_vec() })
    };
    let (mut answering, mut connection) = (pin!(answering), pin!(connection));
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            answer = &mut answering => return answer,
            // What had come by then is still to be read.
            _ = &mut connection, if open => open = false,
        }
    }
}
