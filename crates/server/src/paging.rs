//! Pages of an answer.

use crate::refusal::Refusal;
use reckon_store::{Cursor, Query};
use schemars::JsonSchema;
use serde::Serialize;

/// So many items has a page where nobody says how many.
const USUAL: usize = 100;

/// How many were asked for, held to what a page may have.
pub(crate) fn size(asked: Option<usize>) -> Result<usize, Refusal> {
    match asked {
        None => Ok(USUAL),
        Some(0) => Err(Refusal::bad("page_size is at least 1")),
        Some(size) => Ok(size.min(Query::MOST)),
    }
}

/// The cursor that a page token is.
pub(crate) fn cursor(token: Option<String>) -> Option<Cursor> {
    token.filter(|token| !token.is_empty()).map(Cursor)
}

/// A page of an answer.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PageOf<T> {
    /// What was asked for.
    pub(crate) items: Vec<T>,
    /// Pass it as `page_token` with the same query to go on; absent on the last page. A page may be short, or empty, and have
    /// one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_page_token: Option<String>,
    /// Parts of the record that could not be read any more: what was in them is missing here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) damaged: Vec<crate::shown::Damaged>,
}
