//! One connection to one API server: what every request shares.

use crate::config::{self, ConnectError, Environment, Options};
use crate::dice::Dice;
use crate::discovery::Discovery;
use crate::error::{Intent, ReadError};
use crate::wire::Ask;
use kube::client::ClientBuilder;
use reckon_model::{ClusterId, Kind, SignedDuration, Specs, Timestamp};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::OnceCell;

/// What this program calls itself.
const USER_AGENT: &str = concat!("reckon/", env!("CARGO_PKG_VERSION"));

/// A connection to one cluster's API server. Cheap to clone; clones share counters, clock and what was discovered.
#[derive(Clone)]
pub struct Connection {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    client: RwLock<kube::Client>,
    /// Where the client was made from, to make it again when its credentials count no more.
    source: Option<(Options, Environment)>,
    renewed: Mutex<Option<tokio::time::Instant>>,
    pub(crate) server: String,
    context: Option<String>,
    namespace: String,
    pub(crate) request_timeout: Option<Duration>,
    pub(crate) keep_whole: bool,
    pub(crate) patience: Patience,
    pub(crate) dice: Dice,
    clock: Clock,
    skew_millis: AtomicI64,
    pub(crate) requests: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) discovered: OnceCell<Discovery>,
    /// The server's minor version, 0 where it does not say.
    pub(crate) minor: OnceCell<u32>,
    /// Kinds whose streaming list failed: they are listed in pages from then on.
    paged: Mutex<BTreeSet<Kind>>,
    pub(crate) specs: Specs,
}

impl Inner {
    /// Nothing asked yet, nothing asked for specially.
    fn of(client: kube::Client, server: String, namespace: String) -> Inner {
        Inner {
            client: RwLock::new(client),
            source: None,
            renewed: Mutex::default(),
            server,
            context: None,
            namespace,
            keep_whole: false,
            request_timeout: None,
            patience: Patience::default(),
            dice: Dice::of_this_machine(),
            clock: Clock::Machine,
            skew_millis: AtomicI64::new(0),
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            discovered: OnceCell::new(),
            minor: OnceCell::new(),
            paged: Mutex::default(),
            specs: Specs::default(),
        }
    }
}

/// How long is waited for what. A field of the connection, so that tests need not wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For the head of an answer. A server that lost etcd gives up by itself after 60 s.
    pub(crate) head: Duration,
    /// For the head of an answer that a kubelet has to give: of a node that is gone there is none.
    pub(crate) kubelet: Duration,
    /// For the next byte of an answer.
    pub(crate) idle: Duration,
    /// For the next byte of a watch: bookmarks come every minute.
    pub(crate) watch_idle: Duration,
    /// For the bookmark that closes a streaming list.
    pub(crate) bookmark: Duration,
    /// The shortest and the longest pause after failures.
    pub(crate) backoff: (Duration, Duration),
    /// Before something that was refused is tried again.
    pub(crate) refused: Duration,
    /// For the newest version, or a page of names.
    pub(crate) beat: Duration,
    /// Without a word from the server, before what is known counts as stale. Sixty seconds are promised.
    pub(crate) stale: Duration,
    /// Between two looks at a page of names.
    pub(crate) look: Duration,
    /// For the deletions that a watch tells at once when it is resumed.
    pub(crate) settle: Duration,
    /// Between two readings of credentials that were refused.
    pub(crate) renew: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            head: Duration::from_secs(65),
            kubelet: Duration::from_secs(5),
            idle: Duration::from_secs(30),
            watch_idle: Duration::from_secs(90),
            bookmark: Duration::from_secs(30),
            backoff: (Duration::from_millis(500), Duration::from_secs(30)),
            refused: Duration::from_secs(30),
            beat: Duration::from_secs(10),
            stale: Duration::from_secs(45),
            look: Duration::from_secs(120),
            settle: Duration::from_secs(10),
            renew: Duration::from_secs(5),
        }
    }
}

/// Where the time comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    /// This machine.
    Machine,
    /// The runtime, which a test may have paused: the time at an instant.
    #[cfg(test)]
    Runtime(Timestamp, tokio::time::Instant),
}

impl Clock {
    pub(crate) fn now(self) -> Timestamp {
        match self {
            Clock::Machine => Timestamp::now(),
            #[cfg(test)]
            Clock::Runtime(base, start) => {
                base.checked_add(SignedDuration::try_from(start.elapsed()).unwrap_or_default()).unwrap_or(base)
            }
        }
    }
}

/// What was asked of the server so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// HTTP requests, retries included.
    pub requests: u64,
    /// Bytes of answers.
    pub bytes: u64,
}

impl Connection {
    /// What pods are decoded with; for whoever keeps them.
    pub fn specs(&self) -> Specs {
        self.inner.specs.clone()
    }

    /// Decides how to reach the cluster and makes ready to. Reads configuration only: no request is sent.
    pub async fn open(options: &Options) -> Result<Connection, ConnectError> {
        Connection::open_in(options, &Environment::of_process(), Patience::default()).await
    }

    pub(crate) async fn open_in(
        options: &Options,
        env: &Environment,
        patience: Patience,
    ) -> Result<Connection, ConnectError> {
        let config::Target { config, context } = config::target(options, env).await?;
        let server = without_credentials(&config.cluster_url);
        let namespace = config.default_namespace.clone();
        let client = client(config)?;
        let inner = Inner {
            source: Some((options.clone(), env.clone())),
            context,
            keep_whole: options.keep_whole,
            request_timeout: options.request_timeout.filter(|limit| !limit.is_zero()),
            patience,
            ..Inner::of(client, server, namespace)
        };
        Ok(Connection { inner: Arc::new(inner) })
    }

    /// A connection through this client, whose chances and times a test decides.
    #[cfg(test)]
    pub(crate) fn over(client: kube::Client, seed: u64, base: Timestamp) -> Connection {
        let inner = Inner {
            dice: Dice::new(seed),
            clock: Clock::Runtime(base, tokio::time::Instant::now()),
            ..Inner::of(client, "https://sim".to_owned(), "default".to_owned())
        };
        Connection { inner: Arc::new(inner) }
    }

    /// The client as it is now.
    pub(crate) fn client(&self) -> kube::Client {
        self.inner.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The credentials, or the authority that the server's certificate was to be signed by, count no more: reads them again
    /// from where they came from. What runs goes on; what is asked from now on is asked with the new ones. Token files and
    /// plug-ins are kube's own business, which reads them again before they expire.
    pub(crate) async fn renew(&self) {
        let Some((options, env)) = &self.inner.source else { return };
        {
            let now = tokio::time::Instant::now();
            let mut renewed = self.inner.renewed.lock().unwrap_or_else(PoisonError::into_inner);
            if renewed.is_some_and(|last| now.duration_since(last) < self.inner.patience.renew) {
                return;
            }
            *renewed = Some(now);
        }
        match config::target(options, env).await.and_then(|target| client(target.config)) {
            Ok(client) => *self.inner.client.write().unwrap_or_else(PoisonError::into_inner) = client,
            // It may be about to be written. What was had before is tried again, and then this.
            Err(error) => tracing::debug!(%error, "the credentials could not be read again"),
        }
    }

    /// Now, by the clock that the server's dates are compared with.
    pub(crate) fn local_now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// The context of the kubeconfig; `None` in a pod.
    pub fn context_name(&self) -> Option<&str> {
        self.inner.context.as_deref()
    }

    /// The API server's URL.
    pub fn server(&self) -> &str {
        &self.inner.server
    }

    /// The context's namespace.
    pub fn default_namespace(&self) -> &str {
        &self.inner.namespace
    }

    /// The server's version as it says it: `v1.37.0`.
    pub async fn server_version(&self) -> Result<String, ReadError> {
        self.version(false).await
    }

    /// The same; `once` where it can be done without, and "later" is an answer.
    pub(crate) async fn version(&self, once: bool) -> Result<String, ReadError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            git_version: String,
        }
        let intent = Intent { verb: "get", resource: "/version".to_owned(), namespace: None };
        let version: Version = self.json(&Ask { once, ..Ask::get("/version".to_owned(), intent) }).await?;
        Ok(version.git_version)
    }

    /// What names the cluster: the UID of its `kube-system` namespace.
    pub async fn cluster_id(&self) -> Result<ClusterId, ReadError> {
        #[derive(Deserialize)]
        struct Named {
            metadata: Meta,
        }
        #[derive(Deserialize)]
        struct Meta {
            uid: String,
        }
        let intent = Intent { verb: "get", resource: "namespaces".to_owned(), namespace: None };
        let named: Named = self.json(&Ask::get("/api/v1/namespaces/kube-system".to_owned(), intent)).await?;
        Ok(ClusterId(named.metadata.uid))
    }

    /// Now, by the cluster's clock: this machine's, corrected by what the server's answers were dated.
    pub fn now(&self) -> Timestamp {
        let local = self.inner.clock.now();
        local.checked_add(self.clock_skew()).unwrap_or(local)
    }

    /// How far the server's clock is ahead of this machine's; zero while nothing was asked, or within two seconds, which
    /// is what whole seconds in the `Date` header and the way there allow to tell.
    pub fn clock_skew(&self) -> SignedDuration {
        SignedDuration::from_millis(self.inner.skew_millis.load(Ordering::Relaxed))
    }

    /// What was asked of the server so far.
    pub fn usage(&self) -> Usage {
        Usage { requests: self.inner.requests.load(Ordering::Relaxed), bytes: self.inner.bytes.load(Ordering::Relaxed) }
    }

    /// Takes the server's date from an answer to a request that was sent at `sent` and answered now.
    pub(crate) fn saw_date(&self, date: &str, sent: Timestamp) {
        let Ok(theirs) = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(date) else {
            return;
        };
        let ours = self.inner.clock.now();
        let middle = ours.as_millisecond() / 2 + sent.as_millisecond() / 2;
        let skew = theirs.as_millisecond() - middle;
        self.inner.skew_millis.store(if skew.abs() > 2000 { skew } else { 0 }, Ordering::Relaxed);
    }

    pub(crate) fn lists_in_pages(&self, kind: &Kind) -> bool {
        self.inner.paged.lock().unwrap_or_else(PoisonError::into_inner).contains(kind)
    }

    pub(crate) fn list_in_pages_from_now_on(&self, kind: &Kind) {
        self.inner.paged.lock().unwrap_or_else(PoisonError::into_inner).insert(kind.clone());
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("server", &self.inner.server).finish_non_exhaustive()
    }
}

fn client(mut config: kube::Config) -> Result<kube::Client, ConnectError> {
    // What is asked again, and when, is decided in `wire` and `follow`: below them a refusal would be hidden, and a version
    // of the future be asked for without an end.
    config.default_retry = false;
    config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(USER_AGENT)));
    Ok(ClientBuilder::try_from(config).map_err(|error| no_client(&error))?.build())
}

/// What a client cannot be made of: a file or a field of the kubeconfig, or credentials that somebody else gives out.
fn no_client(error: &kube::Error) -> ConnectError {
    use kube::client::AuthError;
    let why = credentials(error);
    match error {
        kube::Error::Auth(
            AuthError::InvalidBasicAuth(_)
            | AuthError::InvalidBearerToken(_)
            | AuthError::ReadTokenFile(..)
            | AuthError::MissingCommand
            | AuthError::ExecMissingClusterInfo,
        ) => ConnectError::Credentials { why },
        kube::Error::Auth(_) => ConnectError::NoCredentials { why },
        _ => ConnectError::Credentials { why },
    }
}

/// Why credentials could not be had, without what a plug-in was given and what it printed: both hold credentials.
pub(crate) fn credentials(error: &(dyn std::error::Error + 'static)) -> String {
    let mut link = Some(error);
    while let Some(this) = link {
        if let Some(kube::client::AuthError::AuthExecRun { out, .. }) = this.downcast_ref() {
            return format!(
                "the credential plug-in of the kubeconfig ended with {}; run it by hand to see why",
                out.status
            );
        }
        link = this.source();
    }
    error.to_string()
}

/// The URL as shown: without a user and password, without the trailing slash.
fn without_credentials(url: &http::Uri) -> String {
    let text = url.to_string();
    let text = text.trim_end_matches('/');
    match (text.split_once("://"), url.authority().is_some_and(|authority| authority.as_str().contains('@'))) {
        (Some((scheme, rest)), true) => {
            format!("{scheme}://{}", rest.split_once('@').map_or(rest, |(_, host)| host))
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_servers_url_is_not_shown() {
        assert_eq!(without_credentials(&"https://u:p@k8s:6443/base/".parse().unwrap()), "https://k8s:6443/base");
        assert_eq!(without_credentials(&"https://10.0.0.1:6443".parse().unwrap()), "https://10.0.0.1:6443");
    }
}
