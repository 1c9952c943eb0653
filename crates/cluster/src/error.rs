//! Why a cluster could not be read: the whole space of failures, each with one sentence for a person.

use reckon_model::text::{clean_line, shorten};
use reckon_model::{Gap, Obstacle};
use std::error::Error as StdError;
use std::io;

/// What was being asked, in the words of RBAC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// `get`, `list`, `watch`, `create`.
    pub verb: &'static str,
    /// With group and subresource: `pods`, `deployments.apps`, `pods/log`.
    pub resource: String,
    /// `None` for the whole cluster.
    pub namespace: Option<String>,
}

impl Intent {
    /// `list nodes (cluster-wide)`, `get pods/log in namespace shop`.
    pub fn describe(&self) -> String {
        let Intent { verb, resource, namespace } = self;
        match namespace {
            Some(namespace) => format!("{verb} {resource} in namespace {namespace}"),
            None => format!("{verb} {resource} (cluster-wide)"),
        }
    }
}

/// Why a request did not bring an answer. Reads as a fragment after "failed to".
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// Refused, no such host, no route, reset.
    #[error(
        "reach the API server {server}: {why}; check that it is running and that the address in the kubeconfig is right"
    )]
    Unreachable {
        /// The server's URL.
        server: String,
        /// Refused, no such host, …
        why: String,
    },
    /// No answer, or no further byte, within the time given.
    #[error(
        "get an answer from {server} within {seconds} s ({request}); the server or the network is slow or silent, --request-timeout gives it longer"
    )]
    TimedOut {
        /// The server's URL.
        server: String,
        /// `GET /path`.
        request: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The server's certificate is not signed by the authority the kubeconfig names, or is for another host.
    #[error(
        "trust the certificate of {server}: {why}; the certificate authority or the server name in the kubeconfig does not fit this server"
    )]
    Untrusted {
        /// The server's URL.
        server: String,
        /// What is wrong with it.
        why: String,
    },
    /// The server's certificate has expired, or is not valid yet.
    #[error(
        "trust the certificate of {server}: it {why}; renew the server's certificate or correct this machine's clock"
    )]
    CertificateExpired {
        /// The server's URL.
        server: String,
        /// Since or until when.
        why: String,
    },
    /// The server refuses the client's certificate during the handshake.
    #[error("sign in to {server}: it refuses the client certificate of the kubeconfig ({why}); renew it")]
    ClientCertificate {
        /// The server's URL.
        server: String,
        /// The alert.
        why: String,
    },
    /// The credentials could not be had: an exec plug-in failed, a token file cannot be read.
    #[error("get credentials for {server}: {why}")]
    Credentials {
        /// The server's URL.
        server: String,
        /// What the plug-in said.
        why: String,
    },
    /// 401.
    #[error("sign in to {server}: 401 unauthorized; the credentials are missing, wrong or expired, sign in again")]
    Unauthorized {
        /// The server's URL.
        server: String,
    },
    /// 403.
    #[error("{} at {server}: forbidden; ask for that right, or use -n or --context for what you may read", intent.describe())]
    Forbidden {
        /// The server's URL.
        server: String,
        /// The missing right.
        intent: Intent,
        /// What the server said.
        message: String,
    },
    /// 404.
    #[error("find {request} at {server}: 404 not found")]
    NotFound {
        /// The server's URL.
        server: String,
        /// `GET /path`.
        request: String,
        /// What the server said; plain text where not even the API is there.
        message: String,
    },
    /// 410: too old to go on from.
    #[error("go on with {request} at {server}: 410 gone")]
    Gone {
        /// The server's URL.
        server: String,
        /// `GET /path`.
        request: String,
    },
    /// Any other status.
    #[error("get {request} from {server}: {code} {message}")]
    Status {
        /// The server's URL.
        server: String,
        /// `GET /path`.
        request: String,
        /// The HTTP status.
        code: u16,
        /// What the server said.
        message: String,
    },
    /// The connection broke in the middle of an answer.
    #[error("read all of {request} from {server}: the answer ended in the middle")]
    Truncated {
        /// The server's URL.
        server: String,
        /// `GET /path`.
        request: String,
    },
    /// The answer is larger than is read.
    #[error("read {request} from {server}: the answer is larger than {limit} bytes")]
    TooLarge {
        /// The server's URL.
        server: String,
        /// `GET /path`.
        request: String,
        /// The bound.
        limit: u64,
    },
    /// The answer is not what a Kubernetes API server says.
    #[error("understand the answer of {server} to {request}: {why}; is this the address of a Kubernetes API server?")]
    Malformed {
        /// The server's URL.
        server: String,
        /// `GET /path`.
        request: String,
        /// What is wrong with it.
        why: String,
    },
}

impl ReadError {
    /// What could not be read because of this, as *not checked* says it.
    pub(crate) fn gap(&self, what: impl Into<String>) -> Gap {
        Gap { what: what.into(), why: self.why(), obstacle: self.obstacle() }
    }

    /// What kind of failure it is.
    pub fn obstacle(&self) -> Obstacle {
        match self {
            ReadError::Unreachable { .. } => Obstacle::Unreachable,
            ReadError::TimedOut { .. } => Obstacle::TimedOut,
            ReadError::Untrusted { .. }
            | ReadError::CertificateExpired { .. }
            | ReadError::ClientCertificate { .. }
            | ReadError::Credentials { .. }
            | ReadError::Unauthorized { .. } => Obstacle::Unauthenticated,
            ReadError::Forbidden { .. } => Obstacle::Denied,
            ReadError::NotFound { .. } => Obstacle::NotFound,
            ReadError::Gone { .. }
            | ReadError::Status { .. }
            | ReadError::Truncated { .. }
            | ReadError::Malformed { .. } => Obstacle::Server,
            ReadError::TooLarge { .. } => Obstacle::Limit,
        }
    }

    /// The reason in the form of *not checked*: the exact missing verb, URL or component, without advice.
    pub fn why(&self) -> String {
        match self {
            ReadError::Unreachable { server, why } => format!("{server} is unreachable: {why}"),
            ReadError::TimedOut { request, seconds, .. } => format!("{request}: no answer within {seconds} s"),
            ReadError::Untrusted { server, why } => format!("the certificate of {server} is not trusted: {why}"),
            ReadError::CertificateExpired { server, why } => format!("the certificate of {server} {why}"),
            ReadError::ClientCertificate { why, .. } => format!("the client certificate was refused: {why}"),
            ReadError::Credentials { why, .. } => format!("no credentials: {why}"),
            ReadError::Unauthorized { server } => format!("401 unauthorized at {server}"),
            ReadError::Forbidden { intent, .. } => format!("forbidden: {}", intent.describe()),
            ReadError::NotFound { request, .. } => format!("{request}: 404 not found"),
            ReadError::Gone { request, .. } => format!("{request}: 410 gone"),
            ReadError::Status { request, code, message, .. } => format!("{request}: {code} {message}"),
            ReadError::Truncated { request, .. } => format!("{request}: the answer ended in the middle"),
            ReadError::TooLarge { request, limit, .. } => format!("{request}: larger than {limit} bytes"),
            ReadError::Malformed { request, why, .. } => format!("{request}: {why}"),
        }
    }

    /// Whether the same request may well succeed a moment later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            ReadError::Unreachable { .. } | ReadError::TimedOut { .. } | ReadError::Truncated { .. } => true,
            ReadError::Status { code, .. } => *code == 429 || *code >= 500,
            _ => false,
        }
    }

    /// A failure to send, to connect or to read on, told from what the layers below say.
    pub(crate) fn from_transport(server: &str, request: &str, error: &(dyn StdError + 'static)) -> ReadError {
        let server = server.to_owned();
        let chain = chain(error);
        let said = || {
            // The innermost error is the one that names the cause.
            let innermost = chain.last().map_or_else(|| error.to_string(), ToString::to_string);
            shorten(&clean_line(&innermost), 300).into_owned()
        };
        for link in &chain {
            if let Some(tls) = link.downcast_ref::<rustls::Error>() {
                return from_tls(server, tls);
            }
            if link.is::<kube::client::AuthError>() {
                return ReadError::Credentials {
                    server,
                    why: shorten(&clean_line(&crate::connection::credentials(*link)), 500).into_owned(),
                };
            }
        }
        if let Some(kind) = chain.iter().find_map(|link| link.downcast_ref::<io::Error>().map(io::Error::kind)) {
            let why = match kind {
                io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
                io::ErrorKind::TimedOut => "no answer to the attempt to connect".to_owned(),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "the connection was reset".to_owned(),
                io::ErrorKind::UnexpectedEof => return ReadError::Truncated { server, request: request.to_owned() },
                _ => said(),
            };
            return ReadError::Unreachable { server, why };
        }
        let text = said();
        if text.contains("connection closed before message completed") || text.contains("unexpected EOF") {
            return ReadError::Truncated { server, request: request.to_owned() };
        }
        if chain.iter().any(|link| link.to_string().contains("dns error")) {
            return ReadError::Unreachable { server, why: format!("no such host ({text})") };
        }
        ReadError::Unreachable { server, why: text }
    }
}

/// Why a kind could not be read that this cluster does not have.
pub(crate) const NOT_SERVED: &str = "this cluster does not serve it";

/// A kind that this cluster does not have.
pub(crate) fn not_served(what: impl Into<String>) -> Gap {
    Gap { what: what.into(), why: NOT_SERVED.to_owned(), obstacle: Obstacle::NotFound }
}

fn from_tls(server: String, error: &rustls::Error) -> ReadError {
    use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error};
    match error {
        Error::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => {
            ReadError::CertificateExpired { server, why: "has expired".to_owned() }
        }
        Error::InvalidCertificate(Certificate::NotValidYet | Certificate::NotValidYetContext { .. }) => {
            ReadError::CertificateExpired { server, why: "is not valid yet".to_owned() }
        }
        // An authority of the same name with another key is not the one that the kubeconfig means either.
        Error::InvalidCertificate(Certificate::UnknownIssuer | Certificate::BadSignature) => {
            ReadError::Untrusted { server, why: "signed by an unknown authority".to_owned() }
        }
        Error::InvalidCertificate(Certificate::NotValidForName | Certificate::NotValidForNameContext { .. }) => {
            ReadError::Untrusted { server, why: "it is for another host name".to_owned() }
        }
        Error::InvalidCertificate(other) => ReadError::Untrusted { server, why: clean_line(&other.to_string()) },
        Error::AlertReceived(
            alert @ (Alert::BadCertificate
            | Alert::CertificateExpired
            | Alert::CertificateRequired
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::UnsupportedCertificate
            | Alert::UnknownCA
            | Alert::AccessDenied),
        ) => ReadError::ClientCertificate { server, why: format!("{alert:?}") },
        Error::InvalidMessage(_) => {
            ReadError::Unreachable { server, why: "it does not speak TLS on this port".to_owned() }
        }
        other => ReadError::Unreachable { server, why: clean_line(&other.to_string()) },
    }
}

/// An error and everything beneath it. `io::Error` hides what it wraps from `source`, so it is opened by hand.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> Vec<&'a (dyn StdError + 'static)> {
    let mut links: Vec<&'a (dyn StdError + 'static)> = Vec::new();
    let mut next = Some(error);
    while let Some(link) = next.filter(|_| links.len() < 32) {
        links.push(link);
        next = match link.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
            None => link.source(),
        };
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_right_is_named_by_verb_resource_and_scope() {
        let error = |namespace: Option<&str>| ReadError::Forbidden {
            server: "https://k".into(),
            intent: Intent { verb: "list", resource: "pods".into(), namespace: namespace.map(str::to_owned) },
            message: String::new(),
        };
        assert_eq!(error(None).why(), "forbidden: list pods (cluster-wide)");
        assert_eq!(error(Some("shop")).why(), "forbidden: list pods in namespace shop");
        assert!(error(None).to_string().starts_with("list pods (cluster-wide) at https://k: forbidden; "));
        assert_eq!(error(None).obstacle(), Obstacle::Denied);
    }

    #[test]
    fn a_certificate_error_is_found_beneath_the_layers_that_wrap_it() {
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, tls));
        let error = ReadError::from_transport("https://k", "GET /version", &wrapped);
        assert!(matches!(error, ReadError::Untrusted { .. }), "{error}");
    }
}
