//! From arguments to an exit code.

use crate::again::Again;
use crate::args::{Cli, Command, Data, DataFormat, Global, Moment, Offline, Output};
use crate::bundle;
use crate::exit::{Exit, Failure};
use crate::filter::Filter;
use crate::session::{self, Answered};
use crate::terminal::{Question, Terminal};
use crate::{agent, contexts, demo, diff, doctor, fix, node, serve, timeline, watch};
use clap::{CommandFactory, FromArgMatches};
use reckon_cluster::{ConnectError, Connection, Options};
use reckon_detect::Scope;
use reckon_model::document::Answer;
use reckon_model::kubectl;
use reckon_model::text::{clean, count};
use reckon_model::{Kind, ResourceRef};
use serde_json::json;
use std::process::ExitCode;

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let program = called_as();
    let command = Cli::command().bin_name(program);
    let cli = match command.try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        // Help goes to standard output and is no failure; clap knows which is which.
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Usage.code() } else { Exit::Fine.code() });
        }
    };
    let terminal = Terminal::new(cli.global.color, program);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal.warn(&format!("failed to start: {error}"));
            return ExitCode::from(Exit::Partial.code());
        }
    };
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = run(&cli, &terminal) => outcome,
            _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
        }
    });
    // Watches and exec plug-ins may still be busy; nothing of them is wanted any more.
    runtime.shutdown_background();
    match outcome {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => {
            terminal.warn(&failure.sentence);
            ExitCode::from(failure.exit.code())
        }
    }
}

/// As a kubectl plug-in the help speaks of `kubectl reckon`.
fn called_as() -> &'static str {
    let path = std::env::args_os().next().map(std::path::PathBuf::from);
    let stem = path.as_deref().and_then(std::path::Path::file_stem).and_then(std::ffi::OsStr::to_str);
    if stem.is_some_and(|stem| stem.ends_with("kubectl-reckon")) { "kubectl reckon" } else { "reckon" }
}

async fn run(cli: &Cli, terminal: &Terminal) -> Result<Exit, Failure> {
    match &cli.command {
        Command::Why { target, verbose, offline, output } => {
            let layout = Question::Why { verbose: *verbose };
            why(&cli.global, terminal, target, layout, offline, output).await
        }
        Command::Problems { all_namespaces, watch: true, severity, since, labels, fields, output, .. } => {
            let filter = Filter { severity: *severity, since: *since, labels: labels.as_ref(), fields };
            let connection = connect(&cli.global).await?;
            let scope = scope_here(&cli.global, &connection, *all_namespaces);
            watch::run(&connection, terminal, &scope, filter, &output.format, cli.global.local).await
        }
        Command::Problems { all_namespaces, all_contexts: true, severity, since, labels, fields, output, .. } => {
            let filter = Filter { severity: *severity, since: *since, labels: labels.as_ref(), fields };
            contexts::problems(&cli.global, terminal, *all_namespaces, filter, output).await
        }
        Command::Problems { all_namespaces, severity, since, labels, fields, offline, output, .. } => {
            let filter = Filter { severity: *severity, since: *since, labels: labels.as_ref(), fields };
            problems(&cli.global, terminal, *all_namespaces, filter, offline, output).await
        }
        Command::Timeline(options) => timeline::run(&cli.global, terminal, options).await,
        Command::Diff(options) => diff::run(&cli.global, terminal, options).await,
        Command::Fix(options) => fix::run(&cli.global, terminal, options).await,
        Command::Explain { failure } => explain(terminal, failure.as_deref()),
        Command::Capture { target, directory, all_namespaces } => {
            capture(&cli.global, terminal, target, directory, *all_namespaces).await
        }
        Command::Doctor { all_namespaces, output } => {
            doctor::run(&cli.global, terminal, *all_namespaces, output.format).await
        }
        Command::Demo(options) => demo::run(options, terminal).await,
        Command::Serve(options) => serve::run(&cli.global, options, terminal).await,
        Command::Agent(options) => agent::run(&cli.global, options, terminal).await,
        Command::Node(options) => node::run(options, terminal, cli.global.local).await,
        Command::Version { client, output } => version(&cli.global, terminal, *client, *output).await,
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "reckon", &mut script);
            terminal.data(&String::from_utf8_lossy(&script))?;
            Ok(Exit::Fine)
        }
    }
}

/// How to reach the cluster, as the flags say.
pub(crate) fn options(global: &Global) -> Options {
    Options {
        kubeconfig: global.kubeconfig.clone(),
        context: global.context.clone(),
        cluster: global.cluster.clone(),
        user: global.user.clone(),
        as_user: global.as_user.clone(),
        as_groups: global.as_groups.clone(),
        request_timeout: global.request_timeout.and_then(|timeout| timeout.try_into().ok()),
        keep_whole: false,
    }
}

pub(crate) async fn connect(global: &Global) -> Result<Connection, Failure> {
    Ok(Connection::open(&options(global)).await?)
}

/// One namespace or all of them, as the flags and the context say.
pub(crate) fn scope_here(global: &Global, connection: &Connection, all: bool) -> Scope {
    if all {
        return Scope::Cluster;
    }
    Scope::Namespace(global.namespace.clone().unwrap_or_else(|| connection.default_namespace().to_owned()))
}

async fn why(
    global: &Global,
    terminal: &Terminal,
    words: &[String],
    layout: Question,
    offline: &Offline,
    output: &Output,
) -> Result<Exit, Failure> {
    if let Some(path) = &offline.file {
        let bundle = bundle::open(path)?;
        let scope = scope_of(bundle.target(words, global.namespace.as_deref())?);
        let asked = Asked { scope: &scope, layout, output, filter: None, again: Again::bundle(path, offline.at) };
        return from_bundle(global, terminal, bundle, offline.at, asked);
    }
    let connection = connect(global).await?;
    let namespace = global.namespace.as_deref().unwrap_or(connection.default_namespace()).to_owned();
    let target = session::named_object(&connection, words, &namespace).await?;
    let (scope, answered) = look_at(&connection, target, &mut bundle::Tape::default()).await?;
    let asked = Asked { scope: &scope, layout, output, filter: None, again: Again::cluster(global) };
    finish(global, terminal, answered, asked)
}

/// Answers about one object. A namespace is asked about as a whole.
pub(crate) async fn look_at(
    connection: &Connection,
    target: ResourceRef,
    tape: &mut bundle::Tape,
) -> Result<(Scope, Answered), Failure> {
    let scope = scope_of(target.clone());
    let answered = match &scope {
        Scope::Namespace(namespace) => {
            session::exists(connection, namespace).await?;
            session::problems(connection, &scope, tape).await?
        }
        _ => session::why(connection, &target, tape).await?,
    };
    Ok((scope, answered))
}

pub(crate) fn scope_of(target: ResourceRef) -> Scope {
    if target.kind == Kind::Namespace { Scope::Namespace(target.name) } else { Scope::Object(target) }
}

async fn problems(
    global: &Global,
    terminal: &Terminal,
    all: bool,
    filter: Filter<'_>,
    offline: &Offline,
    output: &Output,
) -> Result<Exit, Failure> {
    if let Some(path) = &offline.file {
        let bundle = bundle::open(path)?;
        // A bundle of one namespace answers for that namespace, as the capture did.
        let namespace = global.namespace.clone().or_else(|| bundle.namespace.clone()).filter(|_| !all);
        let scope = namespace.map_or(Scope::Cluster, Scope::Namespace);
        let asked = Asked {
            scope: &scope,
            layout: Question::Problems,
            output,
            filter: Some(filter),
            again: Again::bundle(path, offline.at),
        };
        return from_bundle(global, terminal, bundle, offline.at, asked);
    }
    let connection = connect(global).await?;
    let scope = scope_here(global, &connection, all);
    let answered = session::problems(&connection, &scope, &mut bundle::Tape::default()).await?;
    let asked = Asked {
        scope: &scope,
        layout: Question::Problems,
        output,
        filter: Some(filter),
        again: Again::cluster(global),
    };
    finish(global, terminal, answered, asked)
}

/// A question as it was asked.
pub(crate) struct Asked<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) layout: Question,
    pub(crate) output: &'a Output,
    pub(crate) filter: Option<Filter<'a>>,
    /// What the next command needs to read the same.
    pub(crate) again: Again,
}

fn from_bundle(
    global: &Global,
    terminal: &Terminal,
    mut bundle: bundle::Bundle,
    at: Option<Moment>,
    asked: Asked<'_>,
) -> Result<Exit, Failure> {
    // Said before the answer is tried, so that they are said whatever becomes of it.
    let warnings = std::mem::take(&mut bundle.warnings);
    warnings.iter().for_each(|warning| terminal.warn(warning));
    let mut answered = bundle.answer(asked.scope, at)?;
    answered.partial |= !warnings.is_empty();
    finish(global, terminal, answered, asked)
}

pub(crate) fn finish(
    global: &Global,
    terminal: &Terminal,
    answered: Answered,
    asked: Asked<'_>,
) -> Result<Exit, Failure> {
    answered.warnings.iter().for_each(|warning| terminal.warn(warning));
    let partial = answered.partial;
    let (mut list, state) = answered.document(asked.scope);
    if partial && list.answer == Answer::NoFault {
        list.answer = Answer::Undetermined;
        list.sentence = format!("{} But not all could be read.", list.sentence);
    }
    if let Some(filter) = asked.filter {
        filter.keep(&mut list, &state);
    }
    terminal.document(&list, &asked.output.format, asked.layout, global.local, &asked.again)?;
    let found = matches!(list.answer, Answer::Problem | Answer::Undetermined)
        && list.problems.iter().any(|problem| problem.closed.is_none());
    Ok(match (partial, found && asked.output.exit_code) {
        (true, _) => Exit::Partial,
        (false, true) => Exit::Problems,
        (false, false) => Exit::Fine,
    })
}

fn explain(terminal: &Terminal, topic: Option<&str>) -> Result<Exit, Failure> {
    let Some(topic) = topic else {
        let topics: String = reckon_detect::topics().iter().map(|topic| format!("{topic}\n")).collect();
        terminal.data(&topics)?;
        return Ok(Exit::Fine);
    };
    match reckon_detect::page(topic) {
        Some(page) => {
            terminal.data(&format!("{}\n\n{}\n", page.title, page.body))?;
            Ok(Exit::Fine)
        }
        None => {
            let topics: Vec<String> = reckon_detect::topics().into_iter().map(str::to_owned).collect();
            let near =
                crate::near::nearest(topic, &topics).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            let sentence =
                format!("there is no page about {:?}{near}; `{} explain` lists all", clean(topic), terminal.program);
            Err(Failure::new(Exit::NotFound, sentence))
        }
    }
}

async fn capture(
    global: &Global,
    terminal: &Terminal,
    words: &[String],
    directory: &std::path::Path,
    all: bool,
) -> Result<Exit, Failure> {
    bundle::refuse_used(directory)?;
    let options = Options { keep_whole: true, ..options(global) };
    let connection = Connection::open(&options).await?;
    let mut tape = bundle::Tape::running();
    let (scope, answered) = if words.is_empty() {
        let scope = scope_here(global, &connection, all);
        let answered = session::problems(&connection, &scope, &mut tape).await?;
        (scope, answered)
    } else {
        let namespace = global.namespace.as_deref().unwrap_or(connection.default_namespace());
        let target = session::named_object(&connection, words, namespace).await?;
        look_at(&connection, target, &mut tape).await?
    };
    let server = connection.server_version().await.ok();
    answered.warnings.iter().for_each(|warning| terminal.warn(warning));
    let label = bundle::Label {
        cluster: answered.cluster.as_deref(),
        server: server.as_deref(),
        as_of: answered.as_of,
        scope: session::named(&scope),
    };
    let bundle::Written { objects, logs } = bundle::write(directory, tape, label)?;
    let again = match &scope {
        Scope::Object(target) => format!("why {target}"),
        _ => "problems".to_owned(),
    };
    let place = kubectl::word(&directory.display().to_string());
    terminal.data(&format!(
        "{}: {}, {}\nnext: {} {again} -f {place}\n",
        directory.display(),
        count(objects, "object"),
        count(logs, "log"),
        terminal.program,
    ))?;
    Ok(if answered.partial { Exit::Partial } else { Exit::Fine })
}

async fn version(global: &Global, terminal: &Terminal, client: bool, output: Data) -> Result<Exit, Failure> {
    let own = env!("CARGO_PKG_VERSION");
    let server = if client { Ok(None) } else { server_version(global).await };
    let (server, exit) = match server {
        Ok(server) => (server, Exit::Fine),
        Err(failure) => {
            terminal.warn(&failure.sentence);
            (None, failure.exit)
        }
    };
    let text = match output.format {
        DataFormat::Human => {
            let server = server.map(|server| format!("server {}\n", clean(&server))).unwrap_or_default();
            format!("reckon {own}\n{server}")
        }
        format => crate::terminal::value(&json!({"reckonVersion": own, "serverVersion": server}), format)?,
    };
    terminal.data(&text)?;
    Ok(exit)
}

/// The server's version; `None` where no kubeconfig says that there is a server.
async fn server_version(global: &Global) -> Result<Option<String>, Failure> {
    let connection = match Connection::open(&options(global)).await {
        Ok(connection) => connection,
        Err(ConnectError::NoKubeconfig { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(connection.server_version().await?))
}
