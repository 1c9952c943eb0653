//! `/api/v1/tokens`: who may read and who may write, and the enrolment of agents.

use crate::App;
use crate::caller::Caller;
use crate::paging::PageOf;
use crate::query::Asked;
use crate::refusal::{Code, Refusal};
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, Path, Query, State};
use axum::{Json, body::Bytes};
use http::StatusCode;
use reckon_model::{ClusterId, SignedDuration, Timestamp};
use reckon_store::{Grant, Issued, KnownToken, TokenId};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// An enrolment token is good for so long: time enough to paste a command, too short to be found in a wiki.
const ENROLMENT: SignedDuration = SignedDuration::from_mins(30);

/// What a label or a name may have of characters.
const LONGEST: usize = 200;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Purpose {
    /// To enrol one agent, once, within half an hour.
    Enrol,
    /// To write the record of one cluster.
    Agent,
    /// To read, and to set marks.
    User,
}

/// A token to be issued.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Wanted {
    /// `enrol` or `user`; an agent's token is had by enrolling.
    purpose: Purpose,
    /// What it is for, in words; of a user's token, whose it is.
    label: String,
}

/// A token just issued. It is not shown again.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown {
    /// Its name, which is no secret.
    id: String,
    /// The token.
    token: String,
    /// Until when it is good.
    #[schemars(with = "Option<String>")]
    expires: Option<Timestamp>,
}

/// A token without its secret.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Token {
    /// Its name.
    id: String,
    /// What it is good for.
    purpose: Purpose,
    /// The cluster whose record it may write.
    cluster: Option<String>,
    /// What it is for, in words.
    label: String,
    /// When it was issued.
    #[schemars(with = "String")]
    issued: Timestamp,
    /// Until when it is good.
    #[schemars(with = "Option<String>")]
    expires: Option<Timestamp>,
}

/// An agent that enrols.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Newcomer {
    /// The UID of its cluster's namespace kube-system.
    cluster: String,
    /// What people call the cluster.
    #[serde(default)]
    name: Option<String>,
}

/// What came as a body, if it came whole.
pub(crate) type Came = Result<Bytes, BytesRejection>;

/// A body of JSON, whatever its content type says.
pub(crate) fn body<T: DeserializeOwned>(came: Came) -> Result<T, Refusal> {
    let bytes = came.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::new(Code::TooLarge, "the body is larger than a mebibyte"),
        _ => Refusal::bad("the body did not come whole"),
    })?;
    serde_json::from_slice(&bytes).map_err(|error| Refusal::bad(format!("the body is not what is asked for: {error}")))
}

fn short(what: &str, text: &str) -> Result<(), Refusal> {
    match text.chars().count() {
        1..=LONGEST => Ok(()),
        _ => Err(Refusal::bad(format!("{what} has 1 to {LONGEST} characters"))),
    }
}

pub(crate) async fn issue(State(app): State<App>, came: Came) -> Result<(StatusCode, Json<Shown>), Refusal> {
    let Wanted { purpose, label } = body(came)?;
    short("label", &label)?;
    let now = (app.now)();
    let (grant, expires) = match purpose {
        Purpose::Enrol => (Grant::Enrol, Some(now + ENROLMENT)),
        Purpose::User => (Grant::User(label.clone()), None),
        Purpose::Agent => return Err(Refusal::bad("an agent's token is had by enrolling")),
    };
    let Issued { id, secret } = app.store.issue(grant, &label, expires, now).await?;
    Ok((StatusCode::CREATED, Json(Shown { id: id.0, token: secret.reveal().to_owned(), expires })))
}

pub(crate) async fn list(
    State(app): State<App>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<PageOf<Token>>, Refusal> {
    Asked::new(pairs, &[])?;
    let items = app.store.tokens().await?.into_iter().map(Token::from).collect();
    Ok(Json(PageOf { items, next_page_token: None, damaged: Vec::new() }))
}

pub(crate) async fn revoke(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    match app.store.revoke(&TokenId(id)).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Refusal::not_found("there is no token of this id")),
    }
}

pub(crate) async fn enrol(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    came: Came,
) -> Result<(StatusCode, Json<Shown>), Refusal> {
    let Newcomer { cluster, name } = body(came)?;
    short("cluster", &cluster)?;
    if cluster.contains('#') {
        return Err(Refusal::bad("the id of a cluster has no #"));
    }
    name.as_deref().map_or(Ok(()), |name| short("name", name))?;
    let spent = || Refusal::new(Code::NotAuthenticated, "the enrolment token is spent, expired or revoked");
    let Caller::Newcomer(token) = caller else { return Err(spent()) };
    let (cluster, now) = (ClusterId(cluster), (app.now)());
    let Issued { id, secret } = app.store.enrol(&token, &cluster, now).await?.ok_or_else(spent)?;
    app.store.heard_of(&cluster, name.as_deref(), now).await?;
    Ok((StatusCode::CREATED, Json(Shown { id: id.0, token: secret.reveal().to_owned(), expires: None })))
}

impl From<KnownToken> for Token {
    fn from(known: KnownToken) -> Self {
        let KnownToken { id, grant, label, issued, expires } = known;
        let (purpose, cluster) = match grant {
            Grant::Enrol => (Purpose::Enrol, None),
            Grant::Agent(cluster) => (Purpose::Agent, Some(cluster.0)),
            Grant::User(_) => (Purpose::User, None),
        };
        Token { id: id.0, purpose, cluster, label, issued, expires }
    }
}
