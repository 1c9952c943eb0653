//! `reckon node`: what a node's kernel says about memory.

use crate::args::{DataFormat, NodeOptions};
use crate::exit::{Exit, Failure};
use crate::signals::terminated;
use crate::terminal::Terminal;
use crate::when::When;
use reckon_detect::kernel;
use reckon_model::Timestamp;
use reckon_model::kernel::OomEpisode;
use reckon_model::text::clean_line;
use reckon_node::log::Parser;
use reckon_node::watch::{Places, watch};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// How much of a log is read at once.
const CHUNK: usize = 256 << 10;

/// Reads a log, or watches this machine.
pub(crate) async fn run(options: &NodeOptions, terminal: &Terminal, local: bool) -> Result<Exit, Failure> {
    match &options.kmsg {
        Some(_) if options.output.format == DataFormat::Yaml => {
            Err(Failure::new(Exit::Usage, "episodes are written for people, or with -o json one a line"))
        }
        Some(log) => episodes(log, options.output.format == DataFormat::Json, terminal, local),
        None => print(options).await,
    }
}

/// The episodes of a log, a line each.
fn episodes(log: &Path, json: bool, terminal: &Terminal, local: bool) -> Result<Exit, Failure> {
    let unreadable = |error: io::Error| Failure::new(Exit::Usage, format!("failed to read {}: {error}", log.display()));
    let mut from: Box<dyn Read> = match log.as_os_str() == "-" {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(log).map_err(unreadable)?),
    };
    let when = When::new(local, Timestamp::now());
    let mut parser = Parser::new(None);
    let mut chunk = vec![0; CHUNK];
    let mut found = 0;
    loop {
        let read = match from.read(&mut chunk) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(error)),
        };
        match chunk.get(..read).filter(|bytes| !bytes.is_empty()) {
            Some(bytes) => parser.feed(bytes),
            None => parser.finish(),
        }
        let mut lines = String::new();
        for episode in parser.episodes() {
            found += 1;
            lines.push_str(&match json {
                true => serde_json::to_string(&episode).unwrap_or_default(),
                false => in_words(&episode, &when),
            });
            lines.push('\n');
        }
        if !lines.is_empty() {
            terminal.data(&lines)?;
        }
        if read == 0 {
            break;
        }
    }
    if found == 0 && !json {
        terminal.data("no out-of-memory kill in this log\n")?;
    }
    Ok(Exit::Fine)
}

fn in_words(episode: &OomEpisode, when: &When) -> String {
    let mut line = episode.at.map(|at| format!("{}  ", when.full(at))).unwrap_or_default();
    line.push_str(&kernel::episode(episode));
    let id = |id: &Option<String>| id.as_deref().map(|id| clean_line(id.get(..12).unwrap_or(id)));
    if let Some(container) = id(&episode.container_id) {
        line.push_str(&format!("; container {container}"));
    }
    if let Some(pod) = &episode.pod_uid {
        line.push_str(&format!("; pod {}", clean_line(pod)));
    }
    if episode.group_kill {
        line.push_str("; all of it at once");
    }
    line
}

/// Goes on until it is ended, one report a line.
async fn print(options: &NodeOptions) -> Result<Exit, Failure> {
    become_small();
    let usual = Places::default();
    let places = Places {
        kmsg: options.device.clone().unwrap_or(usual.kmsg),
        cgroup: options.cgroup.clone().unwrap_or(usual.cgroup),
        proc: options.proc.clone().unwrap_or(usual.proc),
        runtime: options.cri.clone(),
    };
    let node = options.node_name.clone();
    let watching = tokio::task::spawn_blocking(move || {
        watch(&node, &places, |report| {
            let mut line = serde_json::to_string(&report).map_err(io::Error::other)?;
            line.push('\n');
            let mut out = io::stdout().lock();
            out.write_all(line.as_bytes()).and_then(|()| out.flush())
        })
    });
    tokio::select! {
        ended = watching => match ended {
            Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Fine),
            Ok(Err(error)) => Err(Failure::new(Exit::Partial, format!("failed to watch this machine: {error}"))),
            Ok(Ok(())) | Err(_) => Ok(Exit::Fine),
        },
        () = terminated() => Ok(Exit::Fine),
    }
}

/// Begins anew with an allocator that takes no huge pages: whole ones of which a small part is used would be more than all
/// the rest of a process that is there for years, on every node. The allocator reads its settings before `main`.
#[cfg(unix)]
fn become_small() {
    use std::os::unix::process::CommandExt;
    const SETTING: &str = "MIMALLOC_ALLOW_THP";
    if std::env::var_os(SETTING).is_some() {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        // Where this fails it goes on as it is.
        let _ = std::process::Command::new(program).args(std::env::args_os().skip(1)).env(SETTING, "0").exec();
    }
}

#[cfg(not(unix))]
fn become_small() {}
