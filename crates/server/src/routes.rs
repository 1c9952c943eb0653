//! Every route there is, in one table: the router and the OpenAPI document are both made of it, so neither can have one that
//! the other has not, and none is without an answer to who may ask.

use crate::App;
use crate::caller::{self, Needed};
use crate::openapi::{Answer, Body};
use crate::paging::PageOf;
use crate::query::{ALERTS, AS_OF, ENTRIES, EPISODES, PAGES, Parameter};
use crate::refusal::{Code, Refusal};
use crate::{agents, changes, clusters, live, marks, objects, openapi, problems, shown, tokens};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, post};
use http::{HeaderValue, Method, header};
use reckon_model::document::Problem;
use reckon_model::frame::PATH;
use std::collections::BTreeMap;

/// What a request's body has at most: a token's label or an agent's name has a few hundred bytes.
const MOST_BODY: usize = 1024 * 1024;

/// A route.
pub(crate) struct Route {
    pub(crate) method: Method,
    /// As axum and OpenAPI both write it.
    pub(crate) path: &'static str,
    pub(crate) about: &'static str,
    pub(crate) needed: Needed,
    pub(crate) parameters: &'static [&'static [Parameter]],
    pub(crate) body: Option<Body>,
    pub(crate) answer: Answer,
    handler: fn() -> MethodRouter<App>,
}

/// All of them.
pub(crate) fn all() -> Vec<Route> {
    let read = |path, about, parameters, answer, handler| Route {
        method: Method::GET,
        path,
        about,
        needed: Needed::Reader,
        parameters,
        body: None,
        answer,
        handler,
    };
    vec![
        Route {
            needed: Needed::Agent,
            ..read(
                PATH,
                "An agent's WebSocket, on which the record of its cluster comes",
                &[],
                Answer::Upgraded,
                || get(agents::connect),
            )
        },
        Route {
            needed: Needed::Nothing,
            ..read("/healthz", "Whether the server runs", &[], Answer::Text, || get(health))
        },
        Route {
            needed: Needed::Nothing,
            ..read("/readyz", "Whether the server can answer: the store does", &[], Answer::Text, || get(ready))
        },
        read("/openapi.json", "This document", &[], Answer::Text, || get(openapi::serve)),
        read(
            "/api/v1/clusters",
            "The clusters whose record is kept",
            &[],
            Answer::json::<PageOf<shown::Cluster>>(),
            || get(clusters::list),
        ),
        read(
            "/api/v1/changes",
            "What happened, by time",
            &[ENTRIES, PAGES],
            Answer::json::<PageOf<shown::Change>>(),
            || get(changes::list),
        ),
        Route {
            method: Method::POST,
            path: "/api/v1/changes",
            about: "Set a mark: a deployment, a feature flag, whatever happened outside of the cluster",
            needed: Needed::Reader,
            parameters: &[],
            body: Some(Body::of::<marks::Wanted>()),
            answer: Answer::created::<marks::Noted>(),
            handler: || post(marks::set),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/alertmanager",
            about: "What Alertmanager's webhook sends: each alert becomes a mark",
            needed: Needed::Reader,
            parameters: &[ALERTS],
            body: Some(Body::of::<marks::Notification>()),
            answer: Answer::created::<marks::Noted>(),
            handler: || post(marks::alerts),
        },
        read(
            "/api/v1/stream",
            "What happens, as it is recorded: server-sent events",
            &[ENTRIES],
            Answer::Events,
            || get(live::stream),
        ),
        read(
            "/api/v1/problems",
            "The episodes of problems, latest opening first",
            &[EPISODES],
            Answer::json::<PageOf<shown::Episode>>(),
            || get(problems::list),
        ),
        read(
            "/api/v1/problems/{cluster}/{problem}/{episode}",
            "The document kept of an episode: verdict and evidence as they were",
            &[],
            Answer::json::<Problem>(),
            || get(problems::document),
        ),
        read(
            "/api/v1/objects",
            "An object as it was at a time",
            &[AS_OF],
            Answer::json::<objects::ObjectAsOf>(),
            || get(objects::as_of),
        ),
        Route {
            needed: Needed::Starter,
            ..read("/api/v1/tokens", "The tokens that are good", &[], Answer::json::<PageOf<tokens::Token>>(), || {
                get(tokens::list)
            })
        },
        Route {
            method: Method::POST,
            path: "/api/v1/tokens",
            about: "Issue a token; it is shown once",
            needed: Needed::Starter,
            parameters: &[],
            body: Some(Body::of::<tokens::Wanted>()),
            answer: Answer::created::<tokens::Shown>(),
            handler: || post(tokens::issue),
        },
        Route {
            method: Method::DELETE,
            path: "/api/v1/tokens/{id}",
            about: "Take a token back",
            needed: Needed::Starter,
            parameters: &[],
            body: None,
            answer: Answer::Nothing,
            handler: || delete(tokens::revoke),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/agents",
            about: "Enrol an agent: changes an enrolment token into the token of a cluster's agent",
            needed: Needed::Newcomer,
            parameters: &[],
            body: Some(Body::of::<tokens::Newcomer>()),
            answer: Answer::created::<tokens::Shown>(),
            handler: || post(tokens::enrol),
        },
    ]
}

/// The router of all routes. Names are checked first, on every route and where there is none.
pub(crate) fn router(app: &App) -> Router {
    let mut by_path: BTreeMap<&str, MethodRouter<App>> = BTreeMap::new();
    for route in all() {
        let checked = middleware::from_fn_with_state((app.clone(), route.needed), caller::check);
        let one = (route.handler)().layer(checked);
        let there = by_path.remove(route.path);
        by_path.insert(route.path, there.map_or_else(|| one.clone(), |there| there.merge(one.clone())));
    }
    let mut router = Router::new();
    for (path, methods) in by_path {
        router = router.route(path, methods.fallback(no_such_method));
    }
    let router = router.fallback(no_such_route).layer(DefaultBodyLimit::max(MOST_BODY));
    router.layer(middleware::from_fn_with_state(app.clone(), names)).with_state(app.clone())
}

async fn names(State(app): State<App>, request: Request, next: Next) -> Result<Response, Refusal> {
    app.names.check(request.uri().authority(), request.headers())?;
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    // What is answered is of one caller and of one moment, is no page and is never to be taken for one.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

async fn no_such_route() -> Refusal {
    Refusal::not_found("there is no such route; /openapi.json has all of them")
}

async fn no_such_method() -> Refusal {
    Refusal::new(Code::MethodNotAllowed, "this route has not this method; /openapi.json says which it has")
}

async fn health() -> &'static str {
    "ok\n"
}

async fn ready(State(app): State<App>) -> Result<&'static str, Refusal> {
    app.store.check().await?;
    Ok("ok\n")
}
