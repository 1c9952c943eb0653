//! `reckon agent`: follows a cluster and sends its record to a server.

use crate::args::{AgentOptions, Global};
use crate::exit::{Exit, Failure};
use crate::observe::{Diary, Observer, private, start};
use crate::run::connect;
use crate::signals::terminated;
use crate::terminal::Terminal;
use reckon_agent::link::{self, EnrolError, LinkState, Plain, Settings, Token};
use reckon_agent::spool::Limits;
use reckon_cluster::Connection;
use reckon_model::ClusterId;
use std::fs;
use std::path::{Path, PathBuf};
use tokio::sync::watch;

/// How a token begins that is to be changed into an agent's.
const ENROLMENT: &str = "reckon_enrol_";

/// The file in the data directory with the token that an enrolment token was changed into.
const TOKEN: &str = "token";

/// Runs until it is ended, or the server will not have it.
pub(crate) async fn run(global: &Global, options: &AgentOptions, terminal: &Terminal) -> Result<Exit, Failure> {
    let settings = |token: &Path| settings(options, token);
    // What is wrong with the command is said before anything is asked.
    settings(&options.token_file)?;
    start::log();
    let connection = connect(global).await?;
    let cluster = connection.cluster_id().await?;
    private(&options.data_dir)?;
    let limits = Limits { bytes: options.keep_bytes, ..Limits::default() };
    let spool = start::spool(&options.data_dir, &cluster, limits)?;
    let diary = Diary::open(&options.data_dir).map_err(|error| Failure::new(Exit::Refused, error.to_string()))?;
    let name = options.cluster_name.as_deref().or(connection.context_name());
    let token = token(options, &cluster, name).await?;
    let settings = settings(&token)?;
    let ended = terminated();
    terminal.data(&welcome(options, &connection, name))?;
    let (told, mut state) = watch::channel(LinkState::Connecting);
    let observer = Observer::new(connection, cluster, spool.clone(), diary);
    tokio::select! {
        end = link::run(&spool, &settings, &told) => Err(Failure::new(Exit::Refused, end.to_string())),
        observed = observer.run() => observed.map(|()| Exit::Fine),
        () = say(terminal, &mut state) => Ok(Exit::Fine),
        () = ended => {
            spool.close().await;
            Ok(Exit::Fine)
        }
    }
}

fn settings(options: &AgentOptions, token: &Path) -> Result<Settings, Failure> {
    let plain = if options.insecure_plain_http { Plain::Anywhere } else { Plain::OnLoopback };
    Settings::new(&options.server, Token::File(token.to_owned()), options.ca_file.as_deref(), plain).map_err(|error| {
        let more = match error {
            link::SettingsError::Plain(_) => "; --insecure-plain-http sends it all the same",
            link::SettingsError::Address(_) => "",
        };
        Failure::new(Exit::Usage, format!("{error}{more}"))
    })
}

/// The file with the agent's own token. An enrolment token is changed into one first, once.
async fn token(options: &AgentOptions, cluster: &ClusterId, name: Option<&str>) -> Result<PathBuf, Failure> {
    let given = &options.token_file;
    let text = fs::read_to_string(given).map_err(|error| {
        Failure::new(Exit::Usage, format!("the token in {} cannot be read: {error}", given.display()))
    })?;
    if text.trim().is_empty() {
        return Err(Failure::new(Exit::Usage, format!("there is no token in {}", given.display())));
    }
    if !text.trim().starts_with(ENROLMENT) {
        return Ok(given.clone());
    }
    let own = options.data_dir.join(TOKEN);
    if own.exists() {
        return Ok(own);
    }
    let token = link::enrol(&settings(options, given)?, cluster, name).await.map_err(|error| {
        let exit = match error {
            EnrolError::Spent => Exit::Forbidden,
            EnrolError::Refused(_) => Exit::Refused,
            EnrolError::Lost(_) => Exit::Unreachable,
        };
        Failure::new(exit, error.to_string())
    })?;
    start::write_secret(&own, &token)?;
    Ok(own)
}

fn welcome(options: &AgentOptions, connection: &Connection, name: Option<&str>) -> String {
    format!(
        "The record of {} at {} goes to {}; what that does not have yet is in {}.\n",
        name.unwrap_or("the cluster"),
        connection.server(),
        options.server,
        options.data_dir.display(),
    )
}

/// Says how the link is, as often as that changes.
async fn say(terminal: &Terminal, state: &mut watch::Receiver<LinkState>) {
    let mut before = None;
    while state.changed().await.is_ok() {
        let now = state.borrow_and_update().clone();
        let sentence = match &now {
            LinkState::Connecting => continue,
            LinkState::Connected => "connected to the server".to_owned(),
            LinkState::Waiting { why } => format!("not connected to the server, which is tried again: {why}"),
        };
        if before.replace(now.clone()) != Some(now) {
            terminal.warn(&sentence);
        }
    }
}
