//! `GET /api/v1/stream`: what happens, as it is recorded, for as long as somebody listens.
//!
//! Server-sent events. The last of those that were read together has the cursor after them as its id, so who was cut off goes on
//! with `Last-Event-ID` on any replica and misses nothing; what came after the last id comes again, and each entry's own id
//! tells it. What was trimmed or damaged in between is told as `lost`.

use crate::App;
use crate::lane;
use crate::query::{Asked, ENTRIES};
use crate::refusal::{Code, Refusal};
use crate::shown::{Change, Damaged};
use axum::extract::{Query, State};
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::Stream;
use http::HeaderMap;
use reckon_store::{LiveCursor, LivePage};
use serde::Serialize;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

/// What other replicas append is looked for this often.
const EVERY: Duration = Duration::from_millis(200);

/// A connection on which nothing happens is written to this often, so that whoever stands in between does not end it; most
/// proxies wait for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// So many entries are read at once.
const AT_ONCE: usize = 1_000;

/// Somebody who listens.
struct Live {
    app: App,
    query: reckon_store::Query,
    /// Up to where the record was read.
    at: Option<LiveCursor>,
    /// How many appends were known of then.
    seen: u64,
    /// What was read and not told yet.
    ready: VecDeque<Event>,
}

impl Live {
    /// The next event; waits for it as long as it takes.
    async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return event;
            }
            match self.app.store.live(&self.query, self.at.as_ref(), AT_ONCE).await {
                Ok(page) => self.take(page),
                // Who listens will go on from where he is once the store answers again.
                Err(error) => tracing::warn!("the live stream waits: {error}"),
            }
            if self.ready.is_empty() {
                self.seen = self.app.store.appended(self.seen, EVERY).await;
            }
        }
    }

    fn take(&mut self, page: LivePage) {
        let LivePage { records, next, more: _, damaged, trimmed } = page;
        let is_first = self.at.is_none();
        let moved = self.at.as_ref() != Some(&next);
        if !damaged.is_empty() || !trimmed.is_empty() {
            let lost = Lost {
                damaged: damaged.into_iter().map(Damaged::from).collect(),
                trimmed: trimmed.iter().map(|id| lane::cluster(id).0).collect(),
            };
            self.ready.extend(json("lost", &lost));
        }
        self.ready.extend(records.into_iter().filter_map(|recorded| json("change", &Change::from(recorded))));
        // The cursor is that of the page's end: only its last event may be gone on from. Where nothing was told the cursor is
        // told all the same, or who is cut off would begin with what was now then.
        if self.ready.is_empty() && (is_first || moved) {
            self.ready.push_back(Event::default().event("at").data("{}"));
        }
        if let Some(last) = self.ready.pop_back() {
            self.ready.push_back(last.id(next.0.clone()));
        }
        self.at = Some(next);
    }
}

fn json(name: &str, data: &impl Serialize) -> Option<Event> {
    Event::default().event(name).json_data(data).inspect_err(|error| tracing::error!("an event: {error}")).ok()
}

pub(crate) async fn stream(
    State(app): State<App>,
    Query(pairs): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let query = Asked::new(pairs, &[ENTRIES])?.entries()?;
    let at = match headers.get("last-event-id") {
        None => None,
        Some(id) => {
            let text = id.to_str().map_err(|_| Refusal::bad("Last-Event-ID is none of this stream's"))?;
            Some(LiveCursor(text.to_owned())).filter(|cursor| !cursor.0.is_empty())
        }
    };
    // A wrong cursor is told by a status and not by a stream that ends.
    let first = app.store.live(&query, at.as_ref(), AT_ONCE).await.map_err(|error| match error {
        reckon_store::Error::Cursor => Refusal::new(Code::Gone, "Last-Event-ID is none of this stream's"),
        other => other.into(),
    })?;
    let mut state = Live { app, query, at: None, seen: 0, ready: VecDeque::new() };
    state.take(first);
    let events = futures::stream::unfold(state, |mut state| async move {
        let event = state.next().await;
        Some((Ok(event), state))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// A part of the stream that cannot be told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Lost {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    damaged: Vec<Damaged>,
    /// Clusters of which entries were trimmed before they were told here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trimmed: Vec<String>,
}
