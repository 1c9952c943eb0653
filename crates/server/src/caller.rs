//! Who asks: checked before a route is looked at, so that no route can forget it.

use crate::App;
use crate::refusal::{Code, Refusal};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, header};
use reckon_model::ClusterId;
use reckon_store::{Grant, TokenHash, Who};

/// The cookie that a browser gets once it has shown the token of the printed address.
pub(crate) const COOKIE: &str = "reckon";

/// So long may a token be that is looked up; ours have some sixty characters.
const LONGEST: usize = 512;

/// Whose request it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The person who started the server: may do everything.
    Starter,
    /// The bearer of a user's token: may read, and set marks.
    User(String),
    /// An agent: may write the record of its cluster, and nothing else. Its token is looked up again while it is connected.
    Agent(TokenHash, ClusterId),
    /// A newcomer with an enrolment token, which is looked at again when it is spent.
    Newcomer(TokenHash),
}

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needed {
    /// Nothing: health alone.
    Nothing,
    /// Somebody who may read.
    Reader,
    /// Who may issue tokens and take them back.
    Starter,
    /// An agent.
    Agent,
    /// An enrolment token.
    Newcomer,
}

impl Needed {
    fn is_met_by(self, caller: &Caller) -> bool {
        match (self, caller) {
            (Needed::Nothing | Needed::Reader | Needed::Starter, Caller::Starter)
            | (Needed::Nothing | Needed::Reader, Caller::User(_))
            | (Needed::Nothing | Needed::Agent, Caller::Agent(..))
            | (Needed::Nothing | Needed::Newcomer, Caller::Newcomer(_)) => true,
            (_, Caller::Starter | Caller::User(_) | Caller::Agent(..) | Caller::Newcomer(_)) => false,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Needed::Nothing => "anything",
            Needed::Reader => "a user's token",
            Needed::Starter => "the token of the server's start",
            Needed::Agent => "an agent's token",
            Needed::Newcomer => "an enrolment token",
        }
    }
}

/// Lets a request to a route through that asks for `needed`, with its [`Caller`] as an extension.
pub(crate) async fn check(
    State((app, needed)): State<(App, Needed)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    if needed != Needed::Nothing {
        let caller = who(&app, request.headers()).await?;
        if !needed.is_met_by(&caller) {
            let detail = format!("{} is needed here, and the request has another", needed.words());
            return Err(Refusal::new(Code::Forbidden, detail));
        }
        request.extensions_mut().insert(caller);
    }
    Ok(next.run(request).await)
}

async fn who(app: &App, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let unknown = || Refusal::new(Code::NotAuthenticated, "no token, or one that is unknown, used, revoked or expired");
    let token = bearer(headers)?.or_else(|| cookie(headers)).ok_or_else(unknown)?;
    if token.len() > LONGEST {
        return Err(unknown());
    }
    let hash = TokenHash::of(token);
    // Digests of secrets nobody can choose: how long comparing takes tells nothing of the secret.
    if app.start == Some(hash) {
        return Ok(Caller::Starter);
    }
    let Who { id: _, grant, expires: _ } = app.store.who(&hash, (app.now)()).await?.ok_or_else(unknown)?;
    Ok(match grant {
        Grant::Enrol => Caller::Newcomer(hash),
        Grant::Agent(cluster) => Caller::Agent(hash, cluster),
        Grant::User(name) => Caller::User(name),
    })
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let token = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    token.map(Some).ok_or_else(|| Refusal::new(Code::NotAuthenticated, "the Authorization header is not Bearer TOKEN"))
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    })
}
