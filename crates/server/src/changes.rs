//! `GET /api/v1/changes`: what happened, by time.

use crate::App;
use crate::paging::PageOf;
use crate::query::{Asked, ENTRIES, PAGES};
use crate::refusal::Refusal;
use crate::shown::Change;
use axum::Json;
use axum::extract::{Query, State};

pub(crate) async fn list(
    State(app): State<App>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<PageOf<Change>>, Refusal> {
    let mut asked = Asked::new(pairs, &[ENTRIES, PAGES])?;
    let (query, (size, cursor)) = (asked.entries()?, asked.page()?);
    let page = app.store.entries(&query, cursor.as_ref(), size).await?;
    Ok(Json(PageOf {
        items: page.records.into_iter().map(Change::from).collect(),
        next_page_token: page.next.map(|cursor| cursor.0),
        damaged: page.damaged.into_iter().map(Into::into).collect(),
    }))
}
