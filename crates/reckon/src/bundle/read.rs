//! From files to what a bundle holds.

use super::objects::{self, Reader};
use super::{answers, files, logs};
use crate::exit::{Exit, Failure};
use crate::session::Right;
use crate::target;
use reckon_model::kernel::NodeFacts;
use reckon_model::{Answer, Demand, Gap, Kind, Object, ResourceRef, Timestamp};
use reckon_node::log::Parser;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a bundle holds.
#[derive(Default)]
pub(crate) struct Bundle {
    pub(crate) cluster: Option<String>,
    pub(crate) as_of: Option<Timestamp>,
    /// The one namespace that was captured.
    pub(crate) namespace: Option<String>,
    pub(super) objects: Vec<Object>,
    pub(super) changes: Vec<Step>,
    pub(super) answers: Vec<(Demand, Answer)>,
    pub(super) logs: BTreeMap<Demand, logs::Place>,
    /// What the files show by what they hold: kinds, in the namespace whose files they are.
    pub(super) shown: BTreeSet<(Kind, Option<String>)>,
    /// What was read completely, where the bundle says so; then that alone is believed.
    pub(super) complete: Option<Vec<(Kind, Option<String>)>>,
    pub(super) refused: Vec<(Kind, Option<String>, Gap)>,
    pub(super) skipped: Vec<Gap>,
    /// What nodes' kernels tell, where their logs are in the bundle.
    pub(super) kernels: BTreeMap<String, NodeFacts>,
    pub(super) rights: BTreeMap<Right, bool>,
    /// Files and objects that could not be used, each a sentence.
    pub(crate) warnings: Vec<String>,
}

/// One line of `changes.jsonl`.
pub(super) struct Step {
    pub(super) at: Timestamp,
    pub(super) object: Object,
    pub(super) deleted: bool,
}

/// Opens a bundle directory, a file of objects, a `kubectl cluster-info dump` or standard input.
pub(crate) fn open(path: &Path) -> Result<Bundle, Failure> {
    let mut bundle = Bundle::default();
    let missing =
        |error: std::io::Error| Failure::new(Exit::Usage, format!("failed to read {}: {error}", path.display()));
    if path.as_os_str() != "-" && std::fs::metadata(path).map_err(missing)?.is_dir() {
        let dumped = !path.join("bundle.yaml").exists() && !path.join("objects").exists();
        for file in files::walk(path, &mut bundle.warnings) {
            bundle.file(path, &file, dumped);
        }
    } else {
        bundle.take_objects(path, None, None);
    }
    if bundle.objects.is_empty() && bundle.changes.is_empty() && bundle.complete.is_none() {
        let why = match bundle.warnings.as_slice() {
            [] => format!("{}: holds no objects", files::name(path)),
            [only] => only.clone(),
            [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
        };
        return Err(Failure::new(Exit::Usage, why));
    }
    Ok(bundle)
}

impl Bundle {
    fn file(&mut self, root: &Path, path: &Path, dumped: bool) {
        let relative = path.strip_prefix(root).unwrap_or(path);
        let parts: Vec<&str> = relative.iter().filter_map(|part| part.to_str()).collect();
        match parts.as_slice() {
            ["bundle.yaml"] => self.manifest(path),
            ["changes.jsonl"] => self.take_changes(path),
            ["logs", namespace, pod, file] => self.take_log(path, namespace, pod, file),
            [namespace, pod, "logs.txt"] if dumped => self.take_dumped_logs(path, namespace, pod),
            ["metrics", "pods.json"] => self.take_metrics(path),
            ["nodes", node, "kmsg.txt"] => self.take_kernel_log(path, node),
            ["metrics" | "nodes" | "logs", ..] => {}
            [folders @ .., file] if [".json", ".yaml", ".yml"].iter().any(|end| file.ends_with(end)) => {
                let stem = file.rsplit_once('.').map_or(*file, |(stem, _)| stem);
                // `cluster-info dump` writes a directory for each namespace, and not for all of them.
                let namespace = folders.first().filter(|_| dumped).map(|namespace| (*namespace).to_owned());
                self.take_objects(path, Kind::parse(&stem.replace('-', "")), namespace);
            }
            _ => {}
        }
    }

    fn bytes(&mut self, path: &Path) -> Option<Vec<u8>> {
        match files::bytes(path) {
            Ok(bytes) => Some(bytes),
            Err(sentence) => {
                self.warnings.push(sentence);
                None
            }
        }
    }

    /// The log holds times since boot alone, and nothing here says when that was.
    fn take_kernel_log(&mut self, path: &Path, node: &str) {
        let Some(bytes) = self.bytes(path) else { return };
        let mut parser = Parser::new(None);
        parser.feed(&bytes);
        parser.finish();
        let facts = NodeFacts { episodes: parser.episodes(), ..NodeFacts::default() };
        self.kernels.insert(node.to_owned(), facts);
    }

    fn take_objects(&mut self, path: &Path, fallback: Option<Kind>, namespace: Option<String>) {
        let Some(bytes) = self.bytes(path) else { return };
        let name = files::name(path);
        let mut reader =
            Reader { name: &name, fallback, objects: Vec::new(), listed: Vec::new(), warnings: Vec::new() };
        reader.read(&bytes);
        let Reader { objects, listed, warnings, .. } = reader;
        let kinds = objects.iter().map(|object| object.kind.clone()).chain(listed);
        self.shown.extend(kinds.map(|kind| {
            let namespace = namespace.clone().filter(|_| kind.namespaced());
            (kind, namespace)
        }));
        self.objects.extend(objects);
        self.warnings.extend(warnings);
    }

    fn manifest(&mut self, path: &Path) {
        let Some(bytes) = self.bytes(path) else { return };
        let manifest = match objects::one_value(&bytes) {
            Ok(manifest) => manifest,
            Err(why) => return self.warnings.push(format!("{}: {why}", path.display())),
        };
        let text = |key: &str| manifest.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        self.cluster = text("cluster").map(str::to_owned);
        if let Some(at) = text("asOf") {
            match at.parse() {
                Ok(at) => self.as_of = Some(at),
                Err(_) => self.warnings.push(format!("{}: asOf: {at:?} is no time", path.display())),
            }
        }
        self.namespace = manifest.pointer("/scope/namespace").and_then(Value::as_str).map(str::to_owned).filter(|_| {
            // The namespace of a single object says nothing about the rest of it.
            manifest.pointer("/scope/name").is_none_or(Value::is_null)
        });
        let entries = |key: &str| manifest.get(key).and_then(Value::as_array).into_iter().flatten();
        if manifest.get("complete").is_some() {
            self.complete = Some(entries("complete").map(answers::kind).collect());
        }
        for entry in entries("refused") {
            let (kind, namespace) = answers::kind(entry);
            self.refused.push((kind, namespace, answers::gap(entry)));
        }
        self.skipped.extend(entries("skipped").map(answers::gap));
        self.rights.extend(entries("rights").filter_map(answers::right));
        for entry in entries("answers") {
            match answers::read(entry) {
                Some(answer) => self.answers.push(answer),
                None if answers::is_log(entry) => {}
                None => {
                    self.warnings.push(format!("{}: an answer was left out: it is of no known form", path.display()));
                }
            }
        }
    }

    fn take_changes(&mut self, path: &Path) {
        #[derive(Deserialize)]
        struct Line<'a> {
            at: Timestamp,
            #[serde(rename = "type", default)]
            verb: String,
            #[serde(borrow)]
            object: &'a RawValue,
        }
        let Some(bytes) = self.bytes(path) else { return };
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let step = serde_json::from_slice::<Line<'_>>(line).map_err(|error| error.to_string()).and_then(|line| {
                let object = Object::decode(line.object.get().as_bytes(), None)
                    .map_err(|error| format!("its object was left out: {}", super::objects::reason(&error).1))?;
                Ok(Step { at: line.at, object, deleted: line.verb == "DELETED" })
            });
            match step {
                Ok(step) => self.changes.push(step),
                Err(why) => self.warnings.push(format!("{}:{number}: {why}", path.display())),
            }
        }
        self.shown.extend(self.changes.iter().map(|step| (step.object.kind.clone(), None)));
        self.changes.sort_by_key(|step| step.at);
    }

    fn take_log(&mut self, path: &Path, namespace: &str, pod: &str, file: &str) {
        let Some(stem) = file.strip_suffix(".log") else { return };
        let (container, previous) = stem.strip_suffix(".previous").map_or((stem, false), |stem| (stem, true));
        self.logs.insert(
            Demand::Log {
                namespace: namespace.to_owned(),
                pod: pod.to_owned(),
                container: container.to_owned(),
                previous,
            },
            logs::Place { path: path.to_owned(), section: None },
        );
    }

    fn take_dumped_logs(&mut self, path: &Path, namespace: &str, pod: &str) {
        match logs::sections(path) {
            Ok(containers) => self.logs.extend(containers.into_iter().map(|container| {
                let place = logs::Place { path: path.to_owned(), section: Some(container.clone()) };
                let (namespace, pod) = (namespace.to_owned(), pod.to_owned());
                (Demand::Log { namespace, pod, container, previous: false }, place)
            })),
            Err(sentence) => self.warnings.push(sentence),
        }
    }

    fn take_metrics(&mut self, path: &Path) {
        let Some(bytes) = self.bytes(path) else { return };
        match serde_json::from_slice::<Value>(&bytes) {
            Ok(list) => self.answers.extend(answers::pod_metrics(&list)),
            Err(error) => self.warnings.push(format!("{}:{}: {error}", path.display(), error.line())),
        }
    }

    /// The object that `TYPE/NAME` or `TYPE NAME` names in the bundle. Without a namespace it is the one in which the
    /// bundle has such an object.
    pub(crate) fn target(&self, words: &[String], namespace: Option<&str>) -> Result<ResourceRef, Failure> {
        let target::Words { kind: word, name } = target::words(words)?;
        let all = || self.objects.iter().chain(self.changes.iter().map(|step| &step.object));
        let is_meant = |kind: &Kind| {
            let (name, word) = (kind.singular(), word.to_ascii_lowercase());
            let (word, group) = word.split_once('.').map_or((word.as_str(), None), |(word, group)| (word, Some(group)));
            (word == name || word.strip_suffix('s') == Some(&name)) && group.is_none_or(|group| group == kind.group())
        };
        let kind = Kind::parse(word)
            .or_else(|| all().map(|object| &object.kind).find(|kind| is_meant(kind)).cloned())
            .ok_or_else(|| target::unknown(word, "the bundle"))?;
        let places: BTreeSet<Option<&str>> = all()
            .filter(|object| object.kind == kind && object.meta.name == name)
            .map(|object| object.meta.namespace.as_deref())
            .collect();
        let namespace = match (namespace, places.into_iter().collect::<Vec<_>>().as_slice()) {
            (Some(namespace), _) => Some(namespace.to_owned()),
            (None, []) => Some(self.namespace.clone().unwrap_or_else(|| "default".to_owned())),
            (None, [only]) => only.map(str::to_owned),
            (None, several) => {
                let names: Vec<&str> = several.iter().flatten().copied().collect();
                let sentence = format!("{word}/{name} is in namespaces {}; give -n", names.join(", "));
                return Err(Failure::new(Exit::Usage, sentence));
            }
        };
        let mut reference = ResourceRef::new(kind, namespace.as_deref(), name);
        // Of kinds that nobody knows, the objects say whether they live in a namespace.
        if all().any(|object| object.kind == reference.kind && object.meta.namespace.is_none()) {
            reference.namespace = None;
        }
        Ok(reference)
    }
}
