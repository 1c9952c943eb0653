//! The server on its socket.

use crate::{App, Names, routes, upkeep};
use reckon_model::Timestamp;
use reckon_store::{Retention, Store, TokenHash};
use std::sync::Arc;
use tokio::net::TcpListener;

/// How the server is to be.
#[derive(Debug, Default)]
pub struct Options {
    /// The names it answers to beside those of the loopback.
    pub names: Vec<String>,
    /// The token of this start, with which its starter may do everything; `None` where only issued tokens count.
    pub start: Option<TokenHash>,
    /// What of the record is kept.
    pub retention: Retention,
}

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket failed.
    #[error("the socket: {0}")]
    Socket(#[from] std::io::Error),
}

/// Serves until `ended`; requests that are under way then are answered.
///
/// # Errors
/// The socket's.
pub async fn serve(
    listener: TcpListener,
    store: Arc<dyn Store>,
    options: Options,
    ended: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let Options { names, start, retention } = options;
    let upkeep = tokio::spawn(upkeep::for_ever(store.clone(), retention, Timestamp::now));
    let app = App { store, names: Arc::new(Names::new(names)), lanes: Arc::default(), start, now: Timestamp::now };
    let router = routes::router(&app);
    let served = axum::serve(listener, router).with_graceful_shutdown(ended).await;
    upkeep.abort();
    Ok(served?)
}
