//! Answers, and how their bodies become bytes.

use crate::logs::LogCursor;
use crate::status::ApiError;
use crate::watch::Cursor;
use bytes::Bytes;
use jiff::Timestamp;

/// Plain JSON.
pub(crate) const JSON: &str = "application/json";

/// Bytes handed to the connection at once: enough that copying and not calling is what a list costs.
const CHUNK: usize = 256 * 1024;

/// What is answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) media: &'static str,
    pub(crate) retry_after: Option<u32>,
    pub(crate) payload: Payload,
    /// Not before this time.
    pub(crate) not_before: Option<Timestamp>,
    /// The connection is cut after half of the body.
    pub(crate) cut: bool,
}

#[derive(Debug)]
pub(crate) enum Payload {
    Whole(Bytes),
    List(ListBody),
    Watch(Box<Cursor>),
    Log(Box<LogCursor>),
    /// Neither head nor body ever comes.
    Never,
}

impl Answer {
    pub(crate) fn bytes(code: u16, bytes: impl Into<Bytes>) -> Answer {
        Answer::of(code, JSON, Payload::Whole(bytes.into()))
    }

    pub(crate) fn json(code: u16, value: &serde_json::Value) -> Answer {
        Answer::bytes(code, value.to_string())
    }

    pub(crate) fn text(code: u16, text: impl Into<String>) -> Answer {
        Answer::of(code, "text/plain; charset=utf-8", Payload::Whole(Bytes::from(text.into())))
    }

    pub(crate) fn of(code: u16, media: &'static str, payload: Payload) -> Answer {
        Answer { code, media, retry_after: None, payload, not_before: None, cut: false }
    }
}

impl From<ApiError> for Answer {
    fn from(error: ApiError) -> Answer {
        Answer { retry_after: error.retry_after, ..Answer::bytes(error.code, error.bytes()) }
    }
}

/// A list whose items are bytes as they are stored.
#[derive(Debug)]
pub(crate) struct ListBody {
    /// All before the first item.
    pub(crate) head: Bytes,
    pub(crate) items: std::vec::IntoIter<Bytes>,
    /// What each item begins with in place of its brace; empty for items that say no kind.
    pub(crate) item_head: Bytes,
    /// What stands between the last chunk and the next item: a comma, once there was an item.
    pub(crate) separate: bool,
    pub(crate) ended: bool,
}

impl ListBody {
    pub(crate) fn new(head: String, items: Vec<Bytes>, item_head: String) -> ListBody {
        ListBody {
            head: Bytes::from(head),
            items: items.into_iter(),
            item_head: Bytes::from(item_head),
            separate: false,
            ended: false,
        }
    }

    /// The next bytes; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut chunk = Vec::with_capacity(CHUNK + 16 * 1024);
        chunk.extend_from_slice(&std::mem::take(&mut self.head));
        while chunk.len() < CHUNK {
            let Some(item) = self.items.next() else {
                chunk.extend_from_slice(b"]}");
                self.ended = true;
                break;
            };
            if self.separate {
                chunk.push(b',');
            }
            self.separate = true;
            if self.item_head.is_empty() {
                chunk.extend_from_slice(&item);
            } else {
                chunk.extend_from_slice(&self.item_head);
                chunk.extend_from_slice(&item[1..]);
            }
        }
        Some(Bytes::from(chunk))
    }
}

/// Appends events until a chunk is full.
pub(crate) fn full(chunk: &[u8]) -> bool {
    chunk.len() >= CHUNK
}
