//! `problems --all-contexts`: one answer for each context of the kubeconfig, in its order.

use crate::again::Again;
use crate::args::{Format, Global, Output};
use crate::bundle::Tape;
use crate::exit::{Exit, Failure};
use crate::filter::Filter;
use crate::run::{Asked, finish, options, scope_here};
use crate::session::{self, Answered};
use crate::style::Style;
use crate::terminal::{Question, Terminal};
use reckon_cluster::Connection;
use reckon_detect::Scope;
use reckon_model::text::clean_line;
use tokio::task::JoinHandle;

/// How many clusters are read side by side; each holds the lists of its kinds.
const AT_ONCE: usize = 4;

/// Answers for every context. One that cannot be reached holds nothing up but itself, and is told on standard error; the
/// gravest outcome is the exit code.
pub(crate) async fn problems(
    global: &Global,
    terminal: &Terminal,
    all_namespaces: bool,
    filter: Filter<'_>,
    output: &Output,
) -> Result<Exit, Failure> {
    let (names, _) = reckon_cluster::contexts(&options(global))?;
    if names.is_empty() {
        return Err(Failure::new(Exit::Usage, "failed to choose contexts: the kubeconfig has none"));
    }
    let mut waiting = names.iter().map(|name| Global { context: Some(name.clone()), ..global.clone() });
    let mut running = std::collections::VecDeque::new();
    let mut exit = Exit::Fine;
    loop {
        while running.len() < AT_ONCE
            && let Some(global) = waiting.next()
        {
            let (asked, runtime) = (global.clone(), tokio::runtime::Handle::current());
            // On a thread of its own: diagnosis of a large cluster is work, and must not hold up the reading of another.
            let task = tokio::task::spawn_blocking(move || runtime.block_on(answer(asked, all_namespaces)));
            running.push_back((global, task));
        }
        let Some((global, task)) = running.pop_front() else { return Ok(exit) };
        let name = clean_line(global.context.as_deref().unwrap_or_default());
        let ended = match joined(task).await {
            Ok((scope, answered)) => {
                match output.format {
                    Format::Human | Format::Wide => {
                        terminal
                            .data(&format!("{}\n", terminal.paint().with(Style::Strong, &format!("CONTEXT {name}"))))?;
                    }
                    Format::Yaml => terminal.data("---\n")?,
                    Format::Json | Format::Name | Format::JsonPath(_) => {}
                }
                let again = Again::cluster(&global);
                let filter = Some(filter);
                let asked = Asked { scope: &scope, layout: Question::Problems, output, filter, again };
                finish(&global, terminal, answered, asked)?
            }
            Err(failure) => {
                terminal.warn(&format!("context {name}: {}", failure.sentence));
                failure.exit
            }
        };
        exit = exit.max(ended);
    }
}

async fn answer(global: Global, all_namespaces: bool) -> Result<(Scope, Answered), Failure> {
    let connection = Connection::open(&options(&global)).await?;
    let scope = scope_here(&global, &connection, all_namespaces);
    let mut answered = session::problems(&connection, &scope, &mut Tape::default()).await?;
    answered.context = global.context;
    Ok((scope, answered))
}

async fn joined<T>(task: JoinHandle<Result<T, Failure>>) -> Result<T, Failure> {
    task.await.unwrap_or_else(|error| Err(Failure::new(Exit::Partial, format!("failed to ask: {error}"))))
}
