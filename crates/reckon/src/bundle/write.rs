//! Writing a bundle.

use super::answers;
use super::tape::Tape;
use crate::exit::{Exit, Failure};
use crate::terminal::escape;
use reckon_model::document::{self, API_VERSION};
use reckon_model::{Answer, Demand, Gap, Kind, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

/// Refuses a directory that holds something: a bundle is never mixed with what was there.
pub(crate) fn refuse_used(directory: &Path) -> Result<(), Failure> {
    match fs::read_dir(directory).map(Iterator::count) {
        Ok(1..) => {
            Err(Failure::new(Exit::Refused, format!("{} is not empty; name a new directory", directory.display())))
        }
        Ok(0) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(directory)(error)),
    }
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> Failure {
    move |error| Failure::new(Exit::Refused, format!("failed to write {}: {error}", path.display()))
}

/// What the files of a bundle do not say.
pub(crate) struct Label<'a> {
    pub(crate) cluster: Option<&'a str>,
    pub(crate) server: Option<&'a str>,
    pub(crate) as_of: Timestamp,
    pub(crate) scope: document::Scope,
}

/// How much was written.
pub(crate) struct Written {
    pub(crate) objects: usize,
    pub(crate) logs: usize,
}

/// Writes a tape as a bundle. What is on a tape is redacted already.
pub(crate) fn write(directory: &Path, tape: Tape, label: Label<'_>) -> Result<Written, Failure> {
    refuse_used(directory)?;
    let Tape { objects, logs, answers, complete, refused, skipped, rights, .. } = tape;
    let written = Written { objects: objects.len(), logs: logs.len() };
    private_directory(&directory.join("objects")).map_err(failed(directory))?;
    let mut by_kind: BTreeMap<Kind, Vec<Value>> = BTreeMap::new();
    for (reference, whole) in objects {
        by_kind.entry(reference.kind).or_default().push(whole);
    }
    // That there is none of a kind is said by its file: one that gets lost is told from one that was empty.
    for (kind, _) in &complete {
        by_kind.entry(kind.clone()).or_default();
    }
    for (kind, items) in by_kind {
        let path = directory.join("objects").join(format!("{}.json", segment(&kind.resource())));
        private_file(&path, list(&kind, &items).as_bytes()).map_err(failed(&path))?;
    }
    let mut log_entries = Vec::new();
    for (demand, lines) in &logs {
        let Demand::Log { namespace, pod, container, previous } = demand else { continue };
        let folder = directory.join("logs").join(segment(namespace)).join(segment(pod));
        private_directory(&folder).map_err(failed(&folder))?;
        let name = format!("{}{}.log", segment(container), if *previous { ".previous" } else { "" });
        let text: String = lines
            .iter()
            .map(|line| match line.at {
                Some(at) => format!("{at} {}\n", line.text),
                None => format!("{}\n", line.text),
            })
            .collect();
        let path = folder.join(name);
        private_file(&path, text.as_bytes()).map_err(failed(&path))?;
        log_entries.push(answers::entry(demand, &Answer::Log(Vec::new())));
    }
    let mut answer_entries: Vec<Value> =
        answers.iter().map(|(demand, answer)| answers::entry(demand, answer)).collect();
    answer_entries.extend(log_entries);
    let gaps = |gap: &Gap| json!({"what": gap.what, "why": gap.why, "obstacle": gap.obstacle});
    let refused: Vec<Value> = refused
        .iter()
        .map(|(kind, namespace, gap)| {
            let mut entry = answers::kind_entry(kind, namespace.as_deref());
            entry["what"] = gap.what.clone().into();
            entry["why"] = gap.why.clone().into();
            entry["obstacle"] = json!(gap.obstacle);
            entry
        })
        .collect();
    let manifest = json!({
        "apiVersion": API_VERSION, "kind": "Bundle", "reckonVersion": env!("CARGO_PKG_VERSION"),
        "asOf": label.as_of, "cluster": label.cluster, "serverVersion": label.server, "scope": label.scope,
        "complete": complete.iter().map(|(kind, namespace)| answers::kind_entry(kind, namespace.as_deref())).collect::<Vec<_>>(),
        "refused": refused,
        "skipped": skipped.iter().map(gaps).collect::<Vec<_>>(),
        "rights": rights.iter().map(answers::right_entry).collect::<Vec<_>>(),
        "answers": answer_entries,
    });
    let path = directory.join("bundle.yaml");
    private_file(&path, escape(&laid_out(&manifest)).as_bytes()).map_err(failed(&path))?;
    Ok(written)
}

/// JSON, which is YAML and exact about what is a string, with one entry of a list a line: an answer is found by its line, and
/// thousands of them are not mostly blanks.
fn laid_out(manifest: &Value) -> String {
    let entries = manifest.as_object().into_iter().flatten().map(|(key, value)| {
        let value = match value.as_array() {
            Some(items) if !items.is_empty() => {
                let items: Vec<String> = items.iter().map(Value::to_string).collect();
                format!("[\n{}\n]", items.join(",\n"))
            }
            _ => value.to_string(),
        };
        format!("{}: {value}", Value::from(key.as_str()))
    });
    format!("{{\n{}\n}}\n", entries.collect::<Vec<_>>().join(",\n"))
}

/// A list with one object a line, so that a message about a line is a message about an object.
fn list(kind: &Kind, items: &[Value]) -> String {
    let items: Vec<String> = items.iter().map(Value::to_string).collect();
    // The version of a kind that nobody knows is not read; that there is one tells the group from the version.
    let api_version = if kind.served().is_some() { kind.api_version() } else { format!("{}/v1", kind.group()) };
    format!(
        "{{\"apiVersion\":{},\"kind\":{},\"items\":[\n{}\n]}}\n",
        Value::from(api_version),
        Value::from(format!("{}List", kind.name())),
        items.join(",\n")
    )
}

/// A name from a cluster as one segment of a path: it never climbs.
fn segment(name: &str) -> String {
    let clean: String = name.chars().map(|c| if c == '/' || c == '\\' || c.is_control() { '_' } else { c }).collect();
    if clean.is_empty() || clean.starts_with('.') { format!("_{clean}") } else { clean }
}

/// A directory that only its owner can enter, where the platform knows owners.
fn private_directory(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn private_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(bytes)
}
