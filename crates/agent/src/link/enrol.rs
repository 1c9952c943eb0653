//! Changing an enrolment token, which is good once and for half an hour, into the token of this cluster's agent.

use super::connect::Settings;
use super::request::{Lost, send};
use http::{Method, StatusCode};
use reckon_model::ClusterId;
use serde::{Deserialize, Serialize};

/// Where agents enrol, below the server's own address.
const PATH: &str = "/api/v1/agents";

/// The largest answer: a token has some sixty characters.
const MOST: usize = 16 * 1024;

/// Why no token was had.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The enrolment token is of no use any more.
    #[error("the server does not take the enrolment token: it is spent, expired or revoked; issue another")]
    Spent,
    /// The server says no for another reason.
    #[error("the server does not enrol the agent: {0}")]
    Refused(String),
    /// There was no answer.
    #[error(transparent)]
    Lost(#[from] Lost),
}

#[derive(Serialize)]
struct Newcomer<'a> {
    cluster: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Deserialize)]
struct Shown {
    token: String,
}

/// Changes the settings' token into the token of this cluster's agent. The former is spent then: whoever gets the latter has to
/// keep it.
///
/// # Errors
/// Why there is none. After [`EnrolError::Lost`] nobody knows whether the enrolment token was spent.
pub async fn enrol(settings: &Settings, cluster: &ClusterId, name: Option<&str>) -> Result<String, EnrolError> {
    let newcomer = Newcomer { cluster: &cluster.0, name };
    let body = serde_json::to_vec(&newcomer).map_err(|error| Lost(error.to_string()))?;
    let answer = send(settings, Method::POST, PATH, body, MOST).await?;
    match answer.status {
        StatusCode::CREATED => serde_json::from_slice::<Shown>(&answer.body)
            .map(|shown| shown.token)
            .map_err(|_| EnrolError::Refused("its answer holds no token".to_owned())),
        StatusCode::UNAUTHORIZED => Err(EnrolError::Spent),
        _ => Err(EnrolError::Refused(answer.refusal())),
    }
}
