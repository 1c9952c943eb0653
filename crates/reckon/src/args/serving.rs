//! Arguments of what runs for months.

use super::duration;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What a server keeps, where, and who may ask it.
#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    /// The directory with the record; without it, reckon in $XDG_DATA_HOME or ~/.local/share
    #[arg(long, value_name = "DIR", conflicts_with = "database")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Keep the record in this PostgreSQL database, as one of any number of replicas: postgres://USER@HOST/NAME. Such a
    /// server follows no cluster itself
    #[arg(long, value_name = "URL", env = "RECKON_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// The address to serve on; more than this machine reaches anything but a loopback address
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7325")]
    pub(crate) listen: SocketAddr,
    /// A name or address by which clients ask for this server, beside localhost; may be repeated
    #[arg(long = "name", value_name = "HOST")]
    pub(crate) names: Vec<String>,
    /// How long the record is kept, such as 90d
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "90d")]
    pub(crate) keep: jiff::SignedDuration,
    /// How large the record may become, such as 20Gi; the oldest goes first
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) keep_bytes: Option<u64>,
    /// Follow no cluster: serve what agents send
    #[arg(long)]
    pub(crate) no_cluster: bool,
}

/// Which server an agent tells, and where it keeps what that does not have yet.
#[derive(Debug, Args)]
pub(crate) struct AgentOptions {
    /// The server, such as https://reckon.example.com
    #[arg(long, value_name = "URL")]
    pub(crate) server: String,
    /// The file with the agent's token, or with the enrolment token that it is to change into one
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: PathBuf,
    /// The directory with what the server does not have yet; of one agent alone, and to be kept
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// What people call this cluster; without it, the name of the kubeconfig's context
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster_name: Option<String>,
    /// A file with certificates in PEM that are believed beside the machine's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Send the token over a connection without TLS to other machines, too
    #[arg(long)]
    pub(crate) insecure_plain_http: bool,
    /// How much is kept while the server cannot be reached; then the oldest is summed up
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "256Mi")]
    pub(crate) keep_bytes: u64,
}

fn bytes(text: &str) -> Result<u64, String> {
    let value = reckon_model::Quantity::new(text).value();
    value.and_then(|bytes| u64::try_from(bytes).ok()).ok_or_else(|| format!("{text:?} is no size; write 256Mi or 20Gi"))
}
