//! From files to a state.

use super::{answers, files};
use crate::exit::{Exit, Failure};
use reckon_detect::{Diagnosis, Engine, Scope, State};
use reckon_model::{Answer, Body, ClusterId, Gap, Kind, LogLine, Need, Object, Timestamp, duration};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// What a bundle holds.
#[derive(Default)]
pub(crate) struct Bundle {
    pub(crate) cluster: Option<String>,
    pub(crate) as_of: Option<Timestamp>,
    objects: Vec<Object>,
    changes: Vec<(Timestamp, Object, bool)>,
    answers: Vec<(Need, Answer)>,
    /// What was read completely; `None` where the bundle does not say.
    complete: Option<Vec<(Kind, Option<String>)>>,
    refused: Vec<(Kind, Option<String>, Gap)>,
    /// Files and objects that could not be used, each a sentence.
    pub(crate) warnings: Vec<String>,
}

/// Opens a bundle directory, a file of objects, a `kubectl cluster-info dump` or standard input.
pub(crate) fn open(path: &Path) -> Result<Bundle, Failure> {
    let mut bundle = Bundle::default();
    let missing =
        |error: std::io::Error| Failure::new(Exit::Usage, format!("failed to read {}: {error}", path.display()));
    if path.as_os_str() != "-" && std::fs::metadata(path).map_err(missing)?.is_dir() {
        for file in files::walk(path, &mut bundle.warnings) {
            bundle.file(path, &file);
        }
    } else {
        bundle.take_objects(path, None);
    }
    if bundle.objects.is_empty() && bundle.changes.is_empty() {
        let why = bundle.warnings.first().cloned().unwrap_or_else(|| format!("{}: holds no objects", path.display()));
        return Err(Failure::new(Exit::Usage, why));
    }
    Ok(bundle)
}

impl Bundle {
    fn file(&mut self, root: &Path, path: &Path) {
        let relative = path.strip_prefix(root).unwrap_or(path);
        let parts: Vec<&str> = relative.iter().filter_map(|part| part.to_str()).collect();
        match parts.as_slice() {
            ["bundle.yaml"] => self.manifest(path),
            ["changes.jsonl"] => self.take_changes(path),
            ["logs", namespace, pod, file] => self.take_log(path, namespace, pod, file),
            // `kubectl cluster-info dump` does not say which container: the pod's first.
            [namespace, pod, "logs.txt"] => self.take_log(path, namespace, pod, ".log"),
            ["metrics", "pods.json"] => self.take_metrics(path),
            ["metrics" | "nodes", ..] => {}
            [.., file] if file.ends_with(".json") || file.ends_with(".yaml") || file.ends_with(".yml") => {
                let stem = file.rsplit_once('.').map_or(*file, |(stem, _)| stem);
                self.take_objects(path, Kind::parse(stem).as_ref());
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

    fn take_objects(&mut self, path: &Path, fallback: Option<&Kind>) {
        let Some(bytes) = self.bytes(path) else { return };
        let name = if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
        let objects = files::objects(&name, &bytes, fallback, &mut self.warnings);
        self.objects.extend(objects);
    }

    fn manifest(&mut self, path: &Path) {
        let Some(bytes) = self.bytes(path) else { return };
        let Some(manifest) = files::values(&path.display().to_string(), &bytes, &mut self.warnings).into_iter().next()
        else {
            return;
        };
        let text = |key: &str| manifest.get(key).and_then(Value::as_str);
        self.cluster = text("cluster").map(str::to_owned);
        self.as_of = text("asOf").and_then(|at| at.parse().ok());
        self.complete =
            manifest.get("complete").and_then(Value::as_array).map(|kinds| kinds.iter().map(answers::kind).collect());
        for entry in manifest.get("refused").and_then(Value::as_array).into_iter().flatten() {
            let (kind, namespace) = answers::kind(entry);
            self.refused.push((kind, namespace, answers::gap(entry)));
        }
        for entry in manifest.get("answers").and_then(Value::as_array).into_iter().flatten() {
            match answers::read(entry) {
                Some(answer) => self.answers.push(answer),
                None => self.warnings.push(format!("{}: an answer was left out: {entry}", path.display())),
            }
        }
    }

    fn take_changes(&mut self, path: &Path) {
        let Some(bytes) = self.bytes(path) else { return };
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let change = serde_json::from_slice::<Value>(line).map_err(|error| error.to_string()).and_then(|value| {
                let at = value
                    .get("at")
                    .and_then(Value::as_str)
                    .and_then(|at| at.parse().ok())
                    .ok_or("no time under \"at\"")?;
                let object = value.get("object").ok_or("no \"object\"")?.to_string();
                let object = Object::decode_whole(object.as_bytes(), None).map_err(|error| error.to_string())?;
                Ok((at, object, value.get("type").and_then(Value::as_str) == Some("DELETED")))
            });
            match change {
                Ok(change) => self.changes.push(change),
                Err(why) => self.warnings.push(format!("{}:{number}: {why}", path.display())),
            }
        }
        self.changes.sort_by_key(|(at, _, _)| *at);
    }

    fn take_log(&mut self, path: &Path, namespace: &str, pod: &str, file: &str) {
        let Some(bytes) = self.bytes(path) else { return };
        let Some(stem) = file.strip_suffix(".log") else { return };
        let (container, previous) = stem.strip_suffix(".previous").map_or((stem, false), |stem| (stem, true));
        let lines = String::from_utf8_lossy(&bytes).lines().map(log_line).collect();
        let need = Need::Log {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            container: container.to_owned(),
            previous,
        };
        self.answers.push((need, Answer::Log(lines)));
    }

    fn take_metrics(&mut self, path: &Path) {
        let Some(bytes) = self.bytes(path) else { return };
        match serde_json::from_slice::<Value>(&bytes) {
            Ok(list) => self.answers.extend(answers::pod_metrics(&list)),
            Err(error) => self.warnings.push(format!("{}:{}: {error}", path.display(), error.line())),
        }
    }

    /// Diagnoses what the bundle holds, replaying its changes in order of time.
    pub(crate) fn diagnose(
        self,
        scope: &Scope,
        at: Option<&str>,
    ) -> Result<(Engine, Diagnosis, Timestamp, Vec<String>), Failure> {
        let now = self.clock(at)?;
        let Bundle { cluster, objects, changes, mut answers, complete, refused, warnings, .. } = self;
        let mut state = State::new(ClusterId(cluster.unwrap_or_default()));
        // What appears in plain files is taken to be all of its kind there is; a bundle that says what it read is believed.
        let mut kinds: BTreeSet<Kind> = objects.iter().map(|object| object.kind.clone()).collect();
        kinds.extend(changes.iter().map(|(_, object, _)| object.kind.clone()));
        let first_containers: Vec<(String, String, String)> = objects
            .iter()
            .filter_map(|object| {
                Some((
                    object.namespace().to_owned(),
                    object.meta.name.clone(),
                    object.pod()?.spec.containers.first()?.name.clone(),
                ))
            })
            .collect();
        for (need, _) in &mut answers {
            if let Need::Log { namespace, pod, container, .. } = need
                && container.is_empty()
                && let Some((_, _, first)) =
                    first_containers.iter().find(|(ns, name, _)| ns == namespace && name == pod)
            {
                container.clone_from(first);
            }
        }
        for object in objects {
            state.apply(object);
        }
        if complete.is_none() {
            kinds.iter().for_each(|kind| state.cover(kind, None));
        }
        for (kind, namespace) in complete.iter().flatten() {
            state.cover(kind, namespace.as_deref());
        }
        for (kind, namespace, gap) in refused {
            state.refuse(&kind, namespace.as_deref(), gap);
        }
        for (need, answer) in answers {
            state.answer(need, answer);
        }
        let mut engine = Engine::new(state);
        let mut replayed = None;
        for (at, object, deleted) in changes {
            if at > now {
                break;
            }
            if replayed.is_some_and(|before| before < at) {
                settle(&mut engine, scope, replayed.unwrap_or(at));
            }
            replayed = Some(at);
            if deleted { engine.state_mut().delete(&object.reference(), at) } else { engine.state_mut().apply(object) }
        }
        if let Some(last) = replayed {
            settle(&mut engine, scope, last);
        }
        let diagnosis = settle(&mut engine, scope, now);
        Ok((engine, diagnosis, now, warnings))
    }

    /// The moment of the diagnosis: `--at`, the bundle's own, or the newest time in it.
    fn clock(&self, at: Option<&str>) -> Result<Timestamp, Failure> {
        let wrong =
            |text: &str| Failure::new(Exit::Usage, format!("{text:?} is no time; write 2026-01-31T12:00:00Z or +11m"));
        let times = || self.changes.iter().map(|(at, _, _)| *at).chain(self.objects.iter().flat_map(times_of));
        match at.map(|text| (text, text.strip_prefix('+'))) {
            Some((text, Some(after))) => {
                let span = duration::parse(after).ok_or_else(|| wrong(text))?;
                let start = self.changes.first().map(|(at, _, _)| *at).or_else(|| times().min());
                start.and_then(|start| start.checked_add(span).ok()).ok_or_else(|| wrong(text))
            }
            Some((text, None)) => text.parse().map_err(|_| wrong(text)),
            None => Ok(self.as_of.or_else(|| times().max()).unwrap_or(Timestamp::UNIX_EPOCH)),
        }
    }
}

/// Diagnoses until nothing more is asked: what a bundle does not hold is not checked.
fn settle(engine: &mut Engine, scope: &Scope, now: Timestamp) -> Diagnosis {
    let mut diagnosis = engine.diagnose(scope, now);
    for _ in 0..8 {
        if diagnosis.needs.is_empty() {
            break;
        }
        for need in std::mem::take(&mut diagnosis.needs) {
            let gap = Gap { what: need.what(), why: "not in the bundle".to_owned() };
            engine.state_mut().answer(need, Answer::Refused(gap));
        }
        diagnosis = engine.diagnose(scope, now);
    }
    diagnosis
}

/// The times an object speaks of, as far as they tell when it was read.
fn times_of(object: &Object) -> Vec<Timestamp> {
    let mut times: Vec<Timestamp> = object.meta.created.into_iter().collect();
    times.extend(object.meta.managers.iter().filter_map(|manager| manager.time));
    match &object.body {
        Body::Pod(pod) => {
            times.extend(pod.status.conditions.iter().filter_map(|condition| condition.since));
            for (_, _, status) in pod.containers() {
                let Some(status) = status else { continue };
                times.extend(status.state.running.as_ref().and_then(|running| running.started_at));
                times.extend(status.last_end().and_then(|end| end.finished_at));
            }
        }
        Body::Event(event) => times.extend(event.last_seen()),
        Body::Node(node) => times.extend(node.status.conditions.iter().filter_map(|condition| condition.since)),
        Body::Workload(workload) => {
            times.extend(workload.status.conditions.iter().filter_map(|condition| condition.since))
        }
        _ => {}
    }
    times
}

fn log_line(line: &str) -> LogLine {
    match line.split_once(' ').map(|(first, rest)| (first.parse(), rest)) {
        Some((Ok(at), rest)) => LogLine { at: Some(at), text: rest.to_owned() },
        _ => LogLine { at: None, text: line.to_owned() },
    }
}
