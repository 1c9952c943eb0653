//! Writing a bundle.

use super::answers;
use crate::exit::{Exit, Failure};
use reckon_detect::redact;
use reckon_model::document::API_VERSION;
use reckon_model::{Answer, Gap, Kind, LogLine, Need, Object, ResourceRef, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// Everything a diagnosis was told, in the order of names and not of arrival.
#[derive(Default)]
pub(crate) struct Tape {
    objects: BTreeMap<ResourceRef, Arc<Value>>,
    logs: BTreeMap<Need, Vec<LogLine>>,
    answers: BTreeMap<Need, Answer>,
    complete: Vec<(Kind, Option<String>)>,
    refused: Vec<(Kind, Option<String>, Gap)>,
}

impl Tape {
    /// An object was delivered.
    pub(crate) fn object(&mut self, object: &Object) {
        if let Some(whole) = &object.whole {
            self.objects.insert(object.reference(), Arc::clone(whole));
        }
    }

    /// A kind was listed to the end.
    pub(crate) fn listed(&mut self, kind: &Kind, namespace: Option<&str>) {
        self.complete.push((kind.clone(), namespace.map(str::to_owned)));
    }

    /// A kind could not be listed.
    pub(crate) fn refused(&mut self, kind: &Kind, namespace: Option<&str>, gap: &Gap) {
        self.refused.push((kind.clone(), namespace.map(str::to_owned), gap.clone()));
    }

    /// A need was answered.
    pub(crate) fn answer(&mut self, need: &Need, answer: &Answer) {
        match answer {
            Answer::Objects(objects) => {
                objects.iter().for_each(|object| self.object(object));
                self.answers.insert(need.clone(), Answer::Objects(Vec::new()));
            }
            Answer::Log(lines) => {
                self.logs.insert(need.clone(), lines.clone());
            }
            other => {
                self.answers.insert(need.clone(), other.clone());
            }
        }
    }
}

/// Writes a tape as a bundle. Redacted on the way out, whatever was redacted before.
pub(crate) fn write(
    directory: &Path,
    tape: Tape,
    cluster: Option<&str>,
    server: Option<&str>,
    as_of: Timestamp,
) -> Result<usize, Failure> {
    let failed =
        |error: std::io::Error| Failure::new(Exit::Usage, format!("failed to write {}: {error}", directory.display()));
    match fs::read_dir(directory).map(Iterator::count) {
        Ok(1..) => {
            return Err(Failure::new(
                Exit::Usage,
                format!("{} is not empty; name a new directory", directory.display()),
            ));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => private_directory(directory).map_err(failed)?,
        Err(error) => return Err(failed(error)),
    }
    let Tape { objects, logs, answers, mut complete, mut refused } = tape;
    complete.sort();
    complete.dedup();
    refused.sort();
    refused.dedup();
    let mut by_kind: BTreeMap<Kind, Vec<Value>> = BTreeMap::new();
    let count = objects.len();
    for (reference, whole) in objects {
        let mut value = Arc::unwrap_or_clone(whole);
        redact::object(&mut value);
        by_kind.entry(reference.kind).or_default().push(value);
    }
    private_directory(&directory.join("objects")).map_err(failed)?;
    for (kind, items) in by_kind {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        let text = serde_json::to_vec_pretty(&list).map_err(|error| failed(error.into()))?;
        private_file(&directory.join("objects").join(format!("{}.json", kind.resource())), &text).map_err(failed)?;
    }
    for (need, lines) in logs {
        let Need::Log { namespace, pod, container, previous } = &need else { continue };
        let folder = directory.join("logs").join(segment(namespace)).join(segment(pod));
        private_directory(&folder).map_err(failed)?;
        let name = if *previous {
            format!("{}.previous.log", segment(container))
        } else {
            format!("{}.log", segment(container))
        };
        let mut text = String::new();
        for line in &lines {
            if let Some(at) = line.at {
                text.push_str(&format!("{at} "));
            }
            text.push_str(&redact::text(&line.text));
            text.push('\n');
        }
        private_file(&folder.join(name), text.as_bytes()).map_err(failed)?;
    }
    let answers: Vec<Value> = answers
        .iter()
        .map(|(need, answer)| {
            let mut entry = answers::entry(need, answer);
            if let Some(Value::Array(manifest)) = entry.get_mut("manifest") {
                manifest.iter_mut().for_each(redact::object);
            }
            entry
        })
        .collect();
    let complete: Vec<Value> =
        complete.iter().map(|(kind, namespace)| answers::kind_entry(kind, namespace.as_deref())).collect();
    let refused: Vec<Value> = refused
        .iter()
        .map(|(kind, namespace, gap)| {
            let mut entry = answers::kind_entry(kind, namespace.as_deref());
            entry["what"] = gap.what.clone().into();
            entry["why"] = gap.why.clone().into();
            entry
        })
        .collect();
    let manifest = json!({
        "apiVersion": API_VERSION, "kind": "Bundle", "asOf": as_of, "cluster": cluster, "serverVersion": server,
        "complete": complete, "refused": refused, "answers": answers,
    });
    // JSON is YAML, and exact about what is a string.
    let text = serde_json::to_vec_pretty(&manifest).map_err(|error| failed(error.into()))?;
    private_file(&directory.join("bundle.yaml"), &text).map_err(failed)?;
    Ok(count)
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
