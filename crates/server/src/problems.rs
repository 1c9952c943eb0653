//! `GET /api/v1/problems`: the episodes of problems, and the document that was kept of one.

use crate::App;
use crate::paging::PageOf;
use crate::query::{Asked, EPISODES};
use crate::refusal::Refusal;
use crate::shown::Episode;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::header;
use reckon_model::{ClusterId, ProblemId};

/// A document unpacks to so many bytes at most; evidence is shortened long before.
const MOST_DOCUMENT: usize = 4 * 1024 * 1024;

pub(crate) async fn list(
    State(app): State<App>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<PageOf<Episode>>, Refusal> {
    let mut asked = Asked::new(pairs, &[EPISODES])?;
    let (query, (size, cursor)) = (asked.episodes()?, asked.page()?);
    let page = app.store.episodes(&query, cursor.as_ref(), size).await?;
    Ok(Json(PageOf {
        items: page.episodes.into_iter().map(Episode::from).collect(),
        next_page_token: page.next.map(|cursor| cursor.0),
        damaged: Vec::new(),
    }))
}

pub(crate) async fn document(
    State(app): State<App>,
    Path((cluster, problem, episode)): Path<(String, String, u32)>,
) -> Result<Response, Refusal> {
    let kept = app.store.snapshot(&ClusterId(cluster), &ProblemId(problem), episode).await?;
    let kept = kept.ok_or_else(|| Refusal::not_found("no document is kept of this episode"))?;
    let unpacked = zstd::bulk::decompress(&kept.bytes, MOST_DOCUMENT);
    let bytes =
        unpacked.map_err(|error| reckon_store::Error::Corrupt(format!("a document does not unpack: {error}")))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::from(bytes)).into_response())
}
