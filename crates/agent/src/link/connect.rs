//! From an address to a connection: names, TLS, the token, the handshake.

use http::Uri;
use http::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, USER_AGENT};
use reckon_model::frame::MOST_JSON;
use reckon_model::text::clean_line;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Error as WebSocketError, protocol::WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// Where agents connect, below the server's own address.
pub const PATH: &str = reckon_model::frame::PATH;

/// How long each address has to answer: three tries of TCP. Where a network comes and goes, a new attempt is worth more than
/// waiting for an old one.
const TCP: Duration = Duration::from_secs(4);

/// How long name, TCP, TLS and the handshake of the WebSocket have together, on a line that loses much.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// The most that is read of a file with a token.
const MOST_TOKEN: u64 = 16 * 1024;

/// Where connections without TLS may lead. A token that travels in the clear is everybody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// To this machine.
    OnLoopback,
    /// Anywhere: somebody said that the network can be trusted.
    Anywhere,
}

/// The token by which a server knows who comes.
#[derive(Clone)]
pub enum Token {
    /// In this file, which is read anew for each connection.
    File(PathBuf),
    /// This one.
    Given(String),
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Token::File(path) => write!(f, "File({})", path.display()),
            Token::Given(_) => f.write_str("Given(…)"),
        }
    }
}

/// Which server, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    host: String,
    port: u16,
    tls: bool,
    uri: Uri,
    /// The path of the server's own address, without a slash at its end.
    base: String,
    token: Token,
    authorities: Option<PathBuf>,
}

/// What cannot be tried at all.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// No address of a server.
    #[error("{0} is not the address of a server: one begins with https:// and has no ? or #")]
    Address(String),
    /// A token would travel in the clear.
    #[error("{0} has no TLS: the agent's token would be readable on the way")]
    Plain(String),
}

impl Settings {
    /// `server` is such as `https://reckon.example`, with a path where there is one. `authorities` is a file with certificates in
    /// PEM that are believed beside the machine's, read anew for each connection.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn new(
        server: &str,
        token: Token,
        authorities: Option<&Path>,
        plain: Plain,
    ) -> Result<Settings, SettingsError> {
        let wrong = || SettingsError::Address(clean_line(server));
        let uri: Uri = server.parse().map_err(|_| wrong())?;
        let tls = match uri.scheme_str() {
            Some("https" | "wss") => true,
            Some("http" | "ws") => false,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(wrong)?;
        if uri.query().is_some() || server.contains('#') {
            return Err(wrong());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let loopback = host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        if !tls && !loopback && plain == Plain::OnLoopback {
            return Err(SettingsError::Plain(clean_line(server)));
        }
        let scheme = if tls { "wss" } else { "ws" };
        let path = uri.path().trim_end_matches('/');
        let target = format!("{scheme}://{authority}{path}{PATH}").parse().map_err(|_| wrong())?;
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let authorities = authorities.map(Path::to_owned);
        let base = path.to_owned();
        Ok(Settings { host, port, tls, uri: target, base, token, authorities })
    }

    /// A path below the server's own address.
    pub(super) fn below(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Host and port, as a `Host` header has them.
    pub(super) fn authority(&self) -> &str {
        self.uri.authority().map_or("", http::uri::Authority::as_str)
    }

    /// A connection that bytes go through, secured where the address says so.
    pub(super) async fn wire(&self) -> Result<Box<dyn Wire>, ConnectError> {
        let tcp = dial(&self.host, self.port).await?;
        Ok(if self.tls { Box::new(secured(self, tcp).await?) } else { Box::new(tcp) })
    }

    /// What is read anew each time may have been exchanged since.
    pub(super) fn token(&self) -> Result<HeaderValue, ConnectError> {
        let (text, shown) = match &self.token {
            Token::Given(text) => (text.clone(), "what was given".to_owned()),
            Token::File(path) => {
                let shown = path.display().to_string();
                let failed =
                    |error: io::Error| ConnectError::new(format!("the token in {shown} cannot be read: {error}"));
                let file = std::fs::File::open(path).map_err(failed)?;
                let mut text = String::new();
                io::Read::read_to_string(&mut io::Read::take(file, MOST_TOKEN), &mut text).map_err(failed)?;
                (text, shown)
            }
        };
        let token = text.trim();
        let printable = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let header = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| printable);
        let mut header = header.ok_or_else(|| ConnectError::new(format!("there is no token in {shown}")))?;
        header.set_sensitive(true);
        Ok(header)
    }

    fn tls(&self) -> Result<ClientConfig, ConnectError> {
        let mut roots = RootCertStore::empty();
        let (_, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = &self.authorities {
            let shown = path.display();
            let found: Result<Vec<_>, _> =
                CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let found = found
                .map_err(|error| ConnectError::new(format!("the certificates in {shown} do not read: {error}")))?;
            if found.is_empty() {
                return Err(ConnectError::new(format!("there are no certificates in {shown}")));
            }
            for certificate in found {
                let added = roots.add(certificate);
                added.map_err(|error| ConnectError::new(format!("a certificate in {shown} is none: {error}")))?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ConnectError::new(error.to_string()))?;
        Ok(config.with_root_certificates(roots).with_no_client_auth())
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) struct ConnectError {
    pub(super) why: String,
    /// How long the server asks to wait.
    pub(super) after: Option<Duration>,
}

impl ConnectError {
    fn new(why: String) -> ConnectError {
        ConnectError { why, after: None }
    }
}

/// Anything that bytes go through.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

pub(super) type Socket = WebSocketStream<Box<dyn Wire>>;

/// Opens a connection.
pub(super) async fn connect(settings: &Settings) -> Result<Socket, ConnectError> {
    let token = settings.token()?;
    let shaken = async { upgrade(settings, &token, settings.wire().await?).await };
    let silent = |_| ConnectError::new(format!("no answer to the handshake in {} s", HANDSHAKE.as_secs()));
    timeout(HANDSHAKE, shaken).await.map_err(silent)?
}

/// Makes a WebSocket of what bytes go through.
pub(super) async fn upgrade(
    settings: &Settings,
    token: &HeaderValue,
    wire: Box<dyn Wire>,
) -> Result<Socket, ConnectError> {
    // It was made of text that is printable.
    let token = token.to_str().map(str::to_owned).unwrap_or_default();
    let request = ClientRequestBuilder::new(settings.uri.clone())
        .with_header(AUTHORIZATION.as_str(), token)
        .with_header(USER_AGENT.as_str(), concat!("reckon-agent/", env!("CARGO_PKG_VERSION")));
    let most = Some(4 * MOST_JSON);
    let config = WebSocketConfig::default().max_message_size(most).max_frame_size(most).read_buffer_size(16 * 1024);
    let (socket, _) = client_async_with_config(request, wire, Some(config)).await.map_err(refused)?;
    Ok(socket)
}

async fn dial(host: &str, port: u16) -> Result<TcpStream, ConnectError> {
    let shown = clean_line(host);
    let found = timeout(TCP, tokio::net::lookup_host((host, port))).await;
    let addresses: Vec<SocketAddr> = match found {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return Err(ConnectError::new(format!("{shown} has no address: {error}"))),
        Err(_) => return Err(ConnectError::new(format!("nobody says which address {shown} has"))),
    };
    let mut last = ConnectError::new(format!("{shown} has no address"));
    for address in addresses {
        match timeout(TCP, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                // Acknowledgements are small, and nobody should wait for more to come.
                let _ = tcp.set_nodelay(true);
                return Ok(tcp);
            }
            Ok(Err(error)) => last = ConnectError::new(format!("{address} does not answer: {error}")),
            Err(_) => last = ConnectError::new(format!("{address} does not answer within {} s", TCP.as_secs())),
        }
    }
    Err(last)
}

async fn secured(
    settings: &Settings,
    tcp: TcpStream,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, ConnectError> {
    let host = settings.host.clone();
    let name = ServerName::try_from(host).map_err(|error| ConnectError::new(error.to_string()))?;
    let connector = TlsConnector::from(Arc::new(settings.tls()?));
    connector.connect(name, tcp).await.map_err(|error| ConnectError::new(format!("no secure connection: {error}")))
}

fn refused(error: WebSocketError) -> ConnectError {
    let WebSocketError::Http(response) = error else { return ConnectError::new(format!("no WebSocket: {error}")) };
    let status = response.status();
    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let why = match status.as_u16() {
        401 => "the server does not know the agent's token (401): it was revoked or has expired".to_owned(),
        403 => "the server knows the agent's token, and does not let it in (403)".to_owned(),
        404 => format!("there is nothing for agents at this address (404 for {PATH})"),
        429 | 503 => format!("the server has no room for the agent now ({})", status.as_u16()),
        _ => format!("the server answers {status} instead of opening a WebSocket"),
    };
    ConnectError { why, after: after.map(Duration::from_secs) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(server: &str) -> Result<Settings, SettingsError> {
        Settings::new(server, Token::File("token".into()), None, Plain::OnLoopback)
    }

    #[test]
    fn an_address_is_taken_apart() {
        let found = settings("https://reckon.example:8443/base/").unwrap();
        assert_eq!((found.host.as_str(), found.port, found.tls), ("reckon.example", 8443, true));
        assert_eq!(found.uri, "wss://reckon.example:8443/base/api/v1/agents/connect");
        let found = settings("http://[::1]:80").unwrap();
        assert_eq!((found.host.as_str(), found.port, found.tls), ("::1", 80, false));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in ["", "reckon.example", "ftp://a", "https://", "https://u:p@a", "https://a/?q", "https://a/#f"] {
            assert_eq!(settings(wrong).unwrap_err(), SettingsError::Address(wrong.to_owned()), "{wrong}");
        }
    }

    #[test]
    fn a_token_does_not_travel_in_the_clear_unless_somebody_says_so() {
        assert!(matches!(settings("http://reckon.example"), Err(SettingsError::Plain(_))));
        assert!(matches!(settings("http://localhost.example"), Err(SettingsError::Plain(_))));
        assert!(Settings::new("http://reckon.example", Token::File("token".into()), None, Plain::Anywhere).is_ok());
        assert!(settings("http://127.0.0.1:1").is_ok() && settings("http://localhost").is_ok());
    }

    #[test]
    fn a_file_without_a_token_is_told_and_what_is_in_it_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        let settings = Settings::new("https://a", Token::File(file.clone()), None, Plain::OnLoopback).unwrap();
        assert!(settings.token().unwrap_err().why.contains("cannot be read"));
        for wrong in ["", " \n", "two words", "se\u{7f}cret", "sécret"] {
            std::fs::write(&file, wrong).unwrap();
            let why = settings.token().unwrap_err().why;
            assert!(why.starts_with("there is no token in ") && !why.contains("cret"), "{why}");
        }
        std::fs::write(&file, "abc.def\n").unwrap();
        assert_eq!(settings.token().unwrap(), "Bearer abc.def");
        assert!(!format!("{:?}", settings.token().unwrap()).contains("abc"));
    }
}
