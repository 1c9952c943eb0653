//! `reckon serve`: keeps the record and serves it over HTTP.

use crate::args::{Global, ServeOptions};
use crate::exit::{Exit, Failure};
use crate::observe::{Diary, Observer, carry, private, start};
use crate::run::connect;
use crate::signals::terminated;
use crate::terminal::Terminal;
use reckon_agent::spool::Limits;
use reckon_cluster::Connection;
use reckon_model::{ClusterId, Timestamp, duration};
use reckon_server::Options;
use reckon_store::{Error, Postgres, Retention, Secret, Sqlite, Store, TokenHash};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// The record in the data directory.
const RECORD: &str = "record.sqlite";

/// The spool of the cluster that the server follows itself, and its diary, in the data directory.
const SPOOL: &str = "spool";

/// A cluster that could not be reached at first is tried again after this.
const AGAIN: Duration = Duration::from_secs(10);

/// Where the record is.
enum Place {
    Directory(PathBuf),
    Database,
}

/// Runs until it is ended.
pub(crate) async fn run(global: &Global, options: &ServeOptions, terminal: &Terminal) -> Result<Exit, Failure> {
    start::log();
    let (store, place) = open(options).await?;
    let unheard =
        |error: std::io::Error| Failure::new(Exit::Refused, format!("failed to listen on {}: {error}", options.listen));
    let listener = TcpListener::bind(options.listen).await.map_err(unheard)?;
    let address = listener.local_addr().map_err(unheard)?;
    let secret = Secret::random("start").map_err(failure)?;
    let ended = terminated();
    terminal.data(&welcome(options, address, &place, &secret))?;
    if !address.ip().is_loopback() {
        terminal.warn("tokens are readable on the way: put a proxy with TLS before this server");
    }
    let retention = Retention { age: Some(options.keep), bytes: options.keep_bytes };
    let served = reckon_server::serve(
        listener,
        store.clone(),
        Options { names: options.names.clone(), start: Some(TokenHash::of(secret.reveal())), retention },
        ended,
    );
    let own = async {
        match &place {
            Place::Directory(directory) if !options.no_cluster => own_cluster(global, terminal, directory, store).await,
            Place::Directory(_) | Place::Database => std::future::pending().await,
        }
    };
    tokio::select! {
        served = served => served.map(|()| Exit::Fine).map_err(|error| Failure::new(Exit::Refused, error.to_string())),
        Err(failure) = own => Err(failure),
    }
}

async fn open(options: &ServeOptions) -> Result<(Arc<dyn Store>, Place), Failure> {
    if let Some(address) = &options.database {
        let store = Postgres::open(address).await.map_err(failure)?;
        return Ok((Arc::new(store), Place::Database));
    }
    let directory = match &options.data_dir {
        Some(directory) => directory.clone(),
        None => home().ok_or_else(|| Failure::new(Exit::Usage, "there is no home directory here: give --data-dir"))?,
    };
    private(&directory)?;
    let store = Sqlite::open(&directory.join(RECORD)).map_err(failure)?;
    Ok((Arc::new(store), Place::Directory(directory)))
}

/// As the XDG base directories have it.
fn home() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
    data.map(|data| data.join("reckon"))
}

fn failure(error: Error) -> Failure {
    let exit = match error {
        Error::Unreachable(_) => Exit::Unreachable,
        Error::Refused(_) => Exit::Forbidden,
        Error::Database(_) => Exit::Usage,
        _ => Exit::Refused,
    };
    Failure::new(exit, error.to_string())
}

fn welcome(options: &ServeOptions, address: SocketAddr, place: &Place, secret: &Secret) -> String {
    let place = match place {
        Place::Directory(directory) => directory.display().to_string(),
        Place::Database => "the database".to_owned(),
    };
    format!(
        "The record is served at http://{address} and kept in {place} for {}.\n\n  export RECKON_SERVER=http://{address} RECKON_TOKEN={}\n\nThe token is of this start and may do everything. Ctrl-C ends it.\n",
        duration::short(options.keep),
        secret.reveal(),
    )
}

/// Follows the cluster of the kubeconfig; one that cannot be reached yet is waited for.
async fn own_cluster(
    global: &Global,
    terminal: &Terminal,
    directory: &Path,
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let (connection, cluster) = reach(global, terminal).await?;
    let directory = directory.join(SPOOL);
    private(&directory)?;
    let spool = start::spool(&directory, &cluster, Limits::default())?;
    let diary = Diary::open(&directory).map_err(|error| Failure::new(Exit::Refused, error.to_string()))?;
    let name = connection.context_name().map(str::to_owned);
    if let Err(error) = store.heard_of(&cluster, name.as_deref(), Timestamp::now()).await {
        tracing::warn!(%error, "the cluster's name was not noted");
    }
    terminal.data(&format!("Follows {} at {}.\n", name.as_deref().unwrap_or("the cluster"), connection.server()))?;
    let observer = Observer::new(connection, cluster, spool.clone(), diary);
    tokio::select! {
        observed = observer.run() => observed,
        error = carry(&spool, &*store) => Err(Failure::new(Exit::Refused, error.to_string())),
    }
}

async fn reach(global: &Global, terminal: &Terminal) -> Result<(Connection, ClusterId), Failure> {
    let mut told = None;
    loop {
        let reached = async {
            let connection = connect(global).await?;
            let cluster = connection.cluster_id().await?;
            Ok::<_, Failure>((connection, cluster))
        };
        let failure = match reached.await {
            Ok(reached) => return Ok(reached),
            Err(failure) => failure,
        };
        if failure.exit == Exit::Usage {
            return Err(Failure::new(failure.exit, format!("{}; --no-cluster follows none", failure.sentence)));
        }
        if told.as_ref() != Some(&failure.sentence) {
            terminal.warn(&format!("{}; it is tried again", failure.sentence));
            told = Some(failure.sentence);
        }
        sleep(AGAIN).await;
    }
}
