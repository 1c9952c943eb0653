//! Asking the server in the same process.

use bytes::Bytes;
use futures::FutureExt;
use http::Request;
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use reckon_sim::{AnswerBody, Clock, Config, Server};
use serde_json::{Value, json};

/// A server whose clock moves only when a test says so.
pub(crate) struct Sim {
    pub(crate) server: Server,
}

/// An answer.
pub(crate) struct Said {
    pub(crate) code: u16,
    pub(crate) json: Value,
    pub(crate) text: String,
    pub(crate) retry_after: Option<String>,
}

pub(crate) fn start() -> Sim {
    start_with(Config { controllers: false, ..Config::default() })
}

pub(crate) fn start_with(config: Config) -> Sim {
    let clock = Clock::stepped("2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap());
    Sim { server: Server::new(config, clock) }
}

impl Sim {
    pub(crate) fn advance(&self, seconds: i64) {
        self.server.clock().advance(SignedDuration::from_secs(seconds));
    }

    /// `METHOD /path`, with headers and a body.
    pub(crate) fn send(
        &self,
        request: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<http::Response<AnswerBody>> {
        let (method, path) = request.split_once(' ').unwrap();
        let mut made = Request::builder().method(method).uri(path.replace(' ', "%20"));
        for (name, value) in headers {
            made = made.header(*name, *value);
        }
        let request = made.body(Bytes::from(body.to_owned())).unwrap();
        self.server.handle(request).now_or_never()
    }

    pub(crate) fn ask_as(&self, request: &str, headers: &[(&str, &str)], body: &Value) -> Said {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.send(request, headers, &body).expect("it waits");
        let code = answer.status().as_u16();
        let retry_after = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        let bytes = answer.into_body().collect().now_or_never().expect("it does not end").unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Said { code, json: serde_json::from_str(&text).unwrap_or_default(), text, retry_after }
    }

    pub(crate) fn ask(&self, request: &str, body: &Value) -> Said {
        self.ask_as(request, &[], body)
    }

    pub(crate) fn get(&self, path: &str) -> Said {
        self.ask(&format!("GET {path}"), &Value::Null)
    }

    pub(crate) fn patch(&self, path: &str, kind: &str, body: &Value) -> Said {
        self.ask_as(&format!("PATCH {path}"), &[("content-type", &format!("application/{kind}+json"))], body)
    }

    pub(crate) fn delete(&self, path: &str) -> Said {
        self.ask(&format!("DELETE {path}"), &Value::Null)
    }

    /// Creates a ConfigMap in `default`.
    pub(crate) fn map(&self, name: &str, labels: &Value) -> Value {
        let object = json!({"metadata": {"name": name, "labels": labels}, "data": {"a": "1"}});
        let said = self.ask("POST /api/v1/namespaces/default/configmaps", &object);
        assert_eq!(said.code, 201, "{}", said.text);
        said.json
    }

    pub(crate) fn watch(&self, path: &str) -> Watch {
        let answer = self.send(&format!("GET {path}"), &[], "").expect("it waits");
        assert_eq!(answer.status(), 200);
        Watch::of(answer.into_body())
    }
}

/// An open watch.
pub(crate) struct Watch {
    body: AnswerBody,
    held: String,
}

/// How a stream stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stands {
    Open,
    Ended,
    /// It broke; what was left of a line.
    Broken(String),
}

impl Watch {
    pub(crate) fn of(body: AnswerBody) -> Watch {
        Watch { body, held: String::new() }
    }

    /// The whole answer as JSON; `None` where it broke off.
    pub(crate) fn whole(&mut self) -> Option<Value> {
        let (_, stands) = self.now();
        if stands == Stands::Ended { serde_json::from_str(&self.held).ok() } else { None }
    }

    /// The events that are there now, and how the stream stands.
    pub(crate) fn now(&mut self) -> (Vec<Value>, Stands) {
        let mut stands = Stands::Open;
        loop {
            // Twice: a stream that breaks lets what came before go out first.
            let frame = self.body.frame().now_or_never().or_else(|| self.body.frame().now_or_never());
            match frame {
                None => break,
                Some(None) => {
                    stands = Stands::Ended;
                    break;
                }
                Some(Some(Err(_))) => {
                    stands = Stands::Broken(String::new());
                    break;
                }
                Some(Some(Ok(frame))) => {
                    self.held.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
                }
            }
        }
        let whole = self.held.rfind('\n').map_or(0, |end| end + 1);
        let events = self.held[..whole].lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        self.held.drain(..whole);
        if let Stands::Broken(rest) = &mut stands {
            *rest = std::mem::take(&mut self.held);
        }
        (events, stands)
    }

    /// `ADDED a`, `BOOKMARK`, …
    pub(crate) fn brief(&mut self) -> Vec<String> {
        self.now().0.iter().map(brief).collect()
    }
}

pub(crate) fn brief(event: &Value) -> String {
    let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default();
    format!("{} {name}", event["type"].as_str().unwrap()).trim_end().to_owned()
}

pub(crate) fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}
