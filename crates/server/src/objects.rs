//! `GET /api/v1/objects`: an object as it was at a time.

use crate::App;
use crate::query::{AS_OF, Asked};
use crate::refusal::Refusal;
use crate::shown::Damaged;
use axum::Json;
use axum::extract::{Query, State};
use reckon_model::Timestamp;
use reckon_store::AsOf;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// What the record says of an object at a time.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ObjectAsOf {
    /// Whether it was there.
    state: Known,
    /// All that was recorded of it.
    object: Option<Value>,
    /// When it was last written before that time.
    #[schemars(with = "Option<String>")]
    written: Option<Timestamp>,
    /// Its `metadata.resourceVersion` then.
    version: Option<String>,
    /// When it was deleted.
    #[schemars(with = "Option<String>")]
    deleted: Option<Timestamp>,
    /// Parts of the record that could not be read and may say otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    damaged: Vec<Damaged>,
}

/// Whether an object was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Known {
    /// It was.
    There,
    /// It had been deleted.
    Gone,
    /// The record does not say.
    Unknown,
}

pub(crate) async fn as_of(
    State(app): State<App>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<ObjectAsOf>, Refusal> {
    let (cluster, object, at) = Asked::new(pairs, &[AS_OF])?.as_of((app.now)())?;
    Ok(Json(app.store.object(&cluster, &object, at).await?.into()))
}

impl From<AsOf> for ObjectAsOf {
    fn from(found: AsOf) -> Self {
        let of = |state, damaged: Vec<reckon_store::Damaged>| ObjectAsOf {
            state,
            object: None,
            written: None,
            version: None,
            deleted: None,
            damaged: damaged.into_iter().map(Damaged::from).collect(),
        };
        match found {
            AsOf::There { object, written, version, damaged } => ObjectAsOf {
                object: Some(object),
                written: Some(written),
                version: Some(version).filter(|version| !version.is_empty()),
                ..of(Known::There, damaged)
            },
            AsOf::Gone { deleted, damaged } => ObjectAsOf { deleted: Some(deleted), ..of(Known::Gone, damaged) },
            AsOf::Unknown { damaged } => of(Known::Unknown, damaged),
        }
    }
}
