//! What has to be there before a record can be kept: directories, secrets on disk, the spool, a log.

use crate::exit::{Exit, Failure};
use reckon_agent::Spool;
use reckon_agent::spool::{Limits, OpenError};
use reckon_model::ClusterId;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use tracing_subscriber::EnvFilter;

/// What goes on in a program that runs for months is told on standard error, a line each. `RECKON_LOG` says how much.
pub(crate) fn log() {
    let filter = EnvFilter::builder().with_env_var("RECKON_LOG").with_default_directive(tracing::Level::WARN.into());
    let log = tracing_subscriber::fmt().with_env_filter(filter.from_env_lossy()).with_writer(io::stderr);
    // Two of them are one too many, and no reason to end.
    let _ = log.with_ansi(false).try_init();
}

/// Makes a directory that nobody else may read, where there is none.
pub(crate) fn private(directory: &Path) -> Result<(), Failure> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(|error| {
        Failure::new(Exit::Refused, format!("the directory {} cannot be made: {error}", directory.display()))
    })
}

/// Writes a secret into a new file that nobody else may read.
pub(crate) fn write_secret(file: &Path, secret: &str) -> Result<(), Failure> {
    let write = || {
        let new = file.with_extension("new");
        let _ = fs::remove_file(&new);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut opened = options.open(&new)?;
        opened.write_all(secret.as_bytes())?;
        opened.sync_all()?;
        fs::rename(&new, file)
    };
    write().map_err(|error: io::Error| {
        Failure::new(Exit::Refused, format!("{} cannot be written: {error}", file.display()))
    })
}

/// Opens the spool of a cluster.
pub(crate) fn spool(directory: &Path, cluster: &ClusterId, limits: Limits) -> Result<Spool, Failure> {
    Spool::open(directory, cluster, limits).map_err(|error| {
        let exit = if matches!(error, OpenError::Bound(_)) { Exit::Usage } else { Exit::Refused };
        Failure::new(exit, error.to_string())
    })
}
