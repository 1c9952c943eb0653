//! From arguments to an exit code.

use crate::args::{Cli, Command, Format, Global, Output, Severity};
use crate::bundle;
use crate::exit::{Exit, Failure};
use crate::session::{self, Answered};
use crate::terminal::{Question, Terminal};
use crate::{doctor, watch};
use clap::{CommandFactory, FromArgMatches};
use reckon_cluster::{Connection, Options};
use reckon_detect::Scope;
use reckon_model::document::{self, Answer, ProblemList};
use reckon_model::text::clean;
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
    if stem == Some("kubectl-reckon") { "kubectl reckon" } else { "reckon" }
}

async fn run(cli: &Cli, terminal: &Terminal) -> Result<Exit, Failure> {
    match &cli.command {
        Command::Why { target, output } => why(&cli.global, terminal, target, *output).await,
        Command::Problems { all_namespaces, watch, severity, since, output } => {
            let filter = Filter { severity: *severity, since: *since };
            problems(&cli.global, terminal, *all_namespaces, *watch, filter, *output).await
        }
        Command::Explain { failure } => explain(terminal, failure.as_deref()),
        Command::Capture { target, directory, all_namespaces } => {
            capture(&cli.global, terminal, target, directory, *all_namespaces).await
        }
        Command::Doctor => doctor::run(&cli.global, terminal).await,
        Command::Version { client, output } => version(&cli.global, terminal, *client, *output).await,
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "reckon", &mut script);
            terminal.data(&String::from_utf8_lossy(&script))?;
            Ok(Exit::Fine)
        }
    }
}

/// Which problems are listed.
#[derive(Clone, Copy)]
pub(crate) struct Filter {
    severity: Option<Severity>,
    since: Option<jiff::SignedDuration>,
}

impl Filter {
    pub(crate) fn keep(self, list: &mut ProblemList) {
        let worst = self.severity.map(|severity| match severity {
            Severity::Critical => document::Severity::Critical,
            Severity::Warning => document::Severity::Warning,
            Severity::Info => document::Severity::Info,
        });
        let horizon = self.since.and_then(|since| list.as_of.checked_sub(since).ok());
        list.problems.retain(|problem| {
            worst.is_none_or(|worst| problem.severity <= worst)
                && horizon.is_none_or(|horizon| problem.opened.is_none_or(|opened| opened >= horizon))
        });
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
    Connection::open(&options(global)).await.map_err(|error| session::failed(error.class(), &error))
}

async fn why(global: &Global, terminal: &Terminal, words: &[String], output: Output) -> Result<Exit, Failure> {
    if let Some(path) = &global.file {
        let namespace = global.namespace.as_deref().unwrap_or("default");
        let target = session::target(None, words, namespace).await?;
        let scope = scope_of(target);
        return from_bundle(global, terminal, path, &scope, Question::Why, output, None);
    }
    let connection = connect(global).await?;
    let namespace = global.namespace.as_deref().unwrap_or(connection.default_namespace()).to_owned();
    let target = session::target(Some(&connection), words, &namespace).await?;
    let scope = scope_of(target.clone());
    let answered = match &scope {
        Scope::Namespace(_) => namespace_problems(&connection, &target, &scope).await?,
        _ => session::why(&connection, &target, &mut bundle::Tape::default()).await?,
    };
    finish(global, terminal, answered, &scope, Question::Why, output, None)
}

/// A namespace is asked about as a whole; that it exists is looked up first where that is allowed.
async fn namespace_problems(connection: &Connection, target: &ResourceRef, scope: &Scope) -> Result<Answered, Failure> {
    let need = reckon_model::Need::Object { kind: Kind::Namespace, namespace: None, name: target.name.clone() };
    let found =
        connection.fulfil(&std::collections::BTreeSet::from([need]), &mut reckon_cluster::Budget::default()).await;
    if let Some((_, reckon_model::Answer::NotFound)) = found.first() {
        return Err(Failure::new(Exit::NotFound, format!("{} does not exist", session::target_name(target))));
    }
    session::problems(connection, scope, &mut bundle::Tape::default()).await
}

fn scope_of(target: ResourceRef) -> Scope {
    if target.kind == Kind::Namespace { Scope::Namespace(target.name) } else { Scope::Object(target) }
}

async fn problems(
    global: &Global,
    terminal: &Terminal,
    all: bool,
    watching: bool,
    filter: Filter,
    output: Output,
) -> Result<Exit, Failure> {
    if let Some(path) = &global.file {
        let scope = global.namespace.clone().filter(|_| !all).map_or(Scope::Cluster, Scope::Namespace);
        return from_bundle(global, terminal, path, &scope, Question::Problems, output, Some(filter));
    }
    let connection = connect(global).await?;
    let scope = if all {
        Scope::Cluster
    } else {
        Scope::Namespace(global.namespace.clone().unwrap_or_else(|| connection.default_namespace().to_owned()))
    };
    if watching {
        return watch::run(&connection, terminal, &scope, filter, output.format, global.local).await;
    }
    let answered = session::problems(&connection, &scope, &mut bundle::Tape::default()).await?;
    finish(global, terminal, answered, &scope, Question::Problems, output, Some(filter))
}

fn from_bundle(
    global: &Global,
    terminal: &Terminal,
    path: &std::path::Path,
    scope: &Scope,
    question: Question,
    output: Output,
    filter: Option<Filter>,
) -> Result<Exit, Failure> {
    let bundle = bundle::open(path)?;
    let cluster = bundle.cluster.clone();
    let (engine, diagnosis, as_of, warnings) = bundle.diagnose(scope, global.at.as_deref())?;
    if let Scope::Object(target) = scope
        && !engine.state().holds(target)
    {
        warnings.iter().for_each(|warning| terminal.warn(warning));
        let names = engine.state().names(&target.kind, target.namespace.as_deref());
        let near = session::nearest(&target.name, &names)
            .map(|near| format!("; did you mean {}/{near}?", target.kind.singular()));
        let sentence = format!("{} is not in the bundle{}", session::target_name(target), near.unwrap_or_default());
        return Err(Failure::new(Exit::NotFound, sentence));
    }
    let partial = !warnings.is_empty();
    let answered = Answered { diagnosis, cluster, as_of, partial, warnings };
    finish(global, terminal, answered, scope, question, output, filter)
}

fn finish(
    global: &Global,
    terminal: &Terminal,
    answered: Answered,
    scope: &Scope,
    question: Question,
    output: Output,
    filter: Option<Filter>,
) -> Result<Exit, Failure> {
    answered.warnings.iter().for_each(|warning| terminal.warn(warning));
    let partial = answered.partial;
    let mut list = answered.document(scope);
    if let Some(filter) = filter {
        filter.keep(&mut list);
    }
    terminal.document(&list, output.format, question, global.local)?;
    Ok(match (partial, list.answer) {
        (true, _) => Exit::Partial,
        (false, Answer::Problem | Answer::Undetermined) if global.exit_code && !list.problems.is_empty() => {
            Exit::Problems
        }
        _ => Exit::Fine,
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
                session::nearest(topic, &topics).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            let sentence =
                format!("there is no page about {:?}{near} `{} explain` lists all", clean(topic), terminal.program);
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
    let options = Options { keep_whole: true, ..options(global) };
    let connection = Connection::open(&options).await.map_err(|error| session::failed(error.class(), &error))?;
    let namespace = global.namespace.clone().unwrap_or_else(|| connection.default_namespace().to_owned());
    let mut tape = bundle::Tape::default();
    let answered = if words.is_empty() {
        let scope = if all { Scope::Cluster } else { Scope::Namespace(namespace) };
        session::problems(&connection, &scope, &mut tape).await?
    } else {
        let target = session::target(Some(&connection), words, &namespace).await?;
        session::why(&connection, &target, &mut tape).await?
    };
    let server = connection.server_version().await.ok();
    answered.warnings.iter().for_each(|warning| terminal.warn(warning));
    let count = bundle::write(directory, tape, answered.cluster.as_deref(), server.as_deref(), answered.as_of)?;
    terminal.data(&format!(
        "{}: {}\nnext: {} problems -f {}\n",
        directory.display(),
        reckon_model::text::count(count, "object"),
        terminal.program,
        directory.display()
    ))?;
    Ok(if answered.partial { Exit::Partial } else { Exit::Fine })
}

async fn version(global: &Global, terminal: &Terminal, client: bool, output: Output) -> Result<Exit, Failure> {
    let own = env!("CARGO_PKG_VERSION");
    let server = match (client, Connection::open(&options(global)).await) {
        (false, Ok(connection)) => connection.server_version().await.ok(),
        _ => None,
    };
    let text = match output.format {
        Format::Json => format!("{}\n", json!({"reckonVersion": own, "serverVersion": server})),
        Format::Yaml => format!(
            "reckonVersion: {own}\nserverVersion: {}\n",
            server.as_deref().map_or("null".into(), |v| clean(v).into_owned())
        ),
        _ => {
            let server = server.map(|server| format!("server {}\n", clean(&server))).unwrap_or_default();
            format!("reckon {own}\n{server}")
        }
    };
    terminal.data(&text)?;
    Ok(Exit::Fine)
}
