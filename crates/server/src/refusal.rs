//! What an API answers that does not do what it was asked: RFC 9457, with codes that stay.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;

/// Why a request is not done. The code is part of the contract: programs decide by it, people read the sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    code: Code,
    detail: String,
}

/// The closed set of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Code {
    /// 400: the request itself is wrong: a parameter, a body.
    BadRequest,
    /// 401: no credential, or one that is unknown, expired or revoked.
    NotAuthenticated,
    /// 403: the credential is not for this.
    Forbidden,
    /// 403: the request came by a name, or from a page, that is not this server's.
    WrongOrigin,
    /// 404: there is no such thing, or no such route.
    NotFound,
    /// 405: the route is there, but not with this method.
    MethodNotAllowed,
    /// 409: what is there is not what the request was made for.
    Conflict,
    /// 410: the place in the stream to go on from is no longer known.
    Gone,
    /// 413: larger than is taken.
    TooLarge,
    /// 503: the store cannot be reached or is full; the request may be sent again.
    Unavailable,
    /// 500: the server's own mistake.
    Internal,
}

impl Code {
    fn status(self) -> StatusCode {
        match self {
            Code::BadRequest => StatusCode::BAD_REQUEST,
            Code::NotAuthenticated => StatusCode::UNAUTHORIZED,
            Code::Forbidden | Code::WrongOrigin => StatusCode::FORBIDDEN,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Code::Conflict => StatusCode::CONFLICT,
            Code::Gone => StatusCode::GONE,
            Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Code::BadRequest => "The request is wrong",
            Code::NotAuthenticated => "Who asks is not known",
            Code::Forbidden => "Not with this credential",
            Code::WrongOrigin => "Not by this name",
            Code::NotFound => "There is no such thing",
            Code::MethodNotAllowed => "Not with this method",
            Code::Conflict => "Something else is there",
            Code::Gone => "No longer known",
            Code::TooLarge => "Too large",
            Code::Unavailable => "The store does not answer",
            Code::Internal => "A mistake of the server",
        }
    }
}

/// The body of such an answer, `application/problem+json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Details {
    /// `about:blank#` and the code: there is no page for each.
    #[serde(rename = "type")]
    kind: String,
    /// What programs decide by.
    code: Code,
    /// The code for people.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What was wrong, in one sentence.
    detail: String,
}

impl Refusal {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Refusal { code, detail: detail.into() }
    }

    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Refusal::new(Code::BadRequest, detail)
    }

    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Refusal::new(Code::NotFound, what)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Refusal { code, detail } = self;
        let word = serde_json::to_value(code).unwrap_or_default();
        let details = Details {
            kind: format!("about:blank#{}", word.as_str().unwrap_or_default()),
            code,
            title: code.title(),
            status: code.status().as_u16(),
            detail,
        };
        let mut response = (code.status(), axum::Json(details)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match code {
            Code::NotAuthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // As long as a full disk or a database that restarts usually takes to be noticed.
            Code::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}

impl From<reckon_store::Error> for Refusal {
    fn from(error: reckon_store::Error) -> Self {
        use reckon_store::Error;
        let code = match error {
            Error::Cursor => Code::BadRequest,
            Error::Unreachable(_) | Error::Full(_) | Error::Closed | Error::Owned(_) => Code::Unavailable,
            Error::Hole { .. } | Error::Fenced { .. } | Error::NotBegun => Code::Conflict,
            Error::Block { .. } => Code::BadRequest,
            _ => Code::Internal,
        };
        if code == Code::Internal {
            tracing::error!("the store failed: {error}");
        }
        Refusal::new(code, error.to_string())
    }
}
