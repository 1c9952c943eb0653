//! Scenarios: objects, answers and steps in YAML, and the problems they give.

mod render;

use jiff::{SignedDuration, Timestamp};
use reckon_detect::{Engine, Scope, State};
use reckon_model::{Answer, ClusterId, Gap, Kind, LogLine, Need, Object, ResourceRef};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// The moment of the diagnosis where a scenario names none.
const NOW: &str = "2026-01-01T12:00:00Z";

/// A page with its scenarios.
pub(crate) struct Page {
    /// Its file's name.
    pub(crate) name: String,
    /// All of it.
    pub(crate) text: String,
    /// Its scenarios, in order.
    pub(crate) scenarios: Vec<Scenario>,
    path: PathBuf,
}

/// One scenario.
pub(crate) struct Scenario {
    /// Its heading.
    pub(crate) name: String,
    /// What it gives.
    pub(crate) expected: String,
    input: String,
}

impl Page {
    /// Reads a page.
    pub(crate) fn read(path: &Path) -> Page {
        let text = fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let scenarios = text.split("\n## Scenario: ").skip(1).map(|part| {
            let (heading, rest) = part.split_once('\n').unwrap();
            Scenario {
                name: heading.trim().to_owned(),
                input: block(rest, "yaml").unwrap_or_else(|| panic!("{name}: {heading}: no yaml block")),
                expected: block(rest, "text").unwrap_or_default(),
            }
        });
        let scenarios = scenarios.collect();
        Page { name, text, scenarios, path: path.to_owned() }
    }

    /// Writes the page with what its scenarios give.
    pub(crate) fn write(&self) {
        let mut parts = self.text.split("\n## Scenario: ");
        let mut out = parts.next().unwrap().trim_end().to_owned();
        out.push('\n');
        for scenario in &self.scenarios {
            out.push_str(&format!(
                "\n## Scenario: {}\n\n```yaml\n{}```\n\n```text\n{}```\n",
                scenario.name, scenario.input, scenario.expected
            ));
        }
        fs::write(&self.path, out).unwrap();
    }
}

/// The first fenced block of a language.
fn block(text: &str, language: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("```{language}\n"))?;
    Some(rest.split_once("```").map_or(rest, |(block, _)| block).to_owned())
}

impl Scenario {
    /// Runs it as an administrator would see it.
    pub(crate) fn run(&self) -> String {
        self.run_turned(0)
    }

    /// The same with the objects in another order.
    pub(crate) fn run_turned(&self, turn: usize) -> String {
        let input: Value = serde_saphyr::from_str(&self.input).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let start: Timestamp = input["now"].as_str().unwrap_or(NOW).parse().unwrap();
        let mut state = State::new(ClusterId("scenario".into()));
        for kind in Kind::named() {
            state.cover(kind, None);
        }
        for refusal in list(&input, "refused") {
            let kind = Kind::parse(refusal["kind"].as_str().unwrap()).unwrap();
            let why = refusal["why"].as_str().unwrap_or("forbidden").to_owned();
            state.refuse(&kind, None, Gap { what: kind.resource(), why });
        }
        let mut engine = Engine::new(state);
        apply(&mut engine, list(&input, "objects"), start, turn);
        let mut now = start;
        let mut diagnosis = settle(&mut engine, &input, now);
        for step in list(&input, "then") {
            now = start + relative(step["at"].as_str().unwrap()).unwrap();
            for name in list(step, "delete") {
                let (kind, name) = name.as_str().unwrap().split_once('/').unwrap();
                let reference = ResourceRef::new(Kind::parse(kind).unwrap(), Some("shop"), name);
                engine.state_mut().delete(&reference, now);
            }
            apply(&mut engine, list(step, "apply"), now, turn);
            diagnosis = settle(&mut engine, &input, now);
        }
        render::diagnosis(&diagnosis, start)
    }
}

/// Diagnoses until everything that is asked has been answered.
fn settle(engine: &mut Engine, input: &Value, now: Timestamp) -> reckon_detect::Diagnosis {
    let mut diagnosis = engine.diagnose(&Scope::Cluster, now);
    for _ in 0..8 {
        if diagnosis.needs.is_empty() {
            break;
        }
        for need in std::mem::take(&mut diagnosis.needs) {
            let answer = answer(input, &need);
            engine.state_mut().answer(need, answer);
        }
        diagnosis = engine.diagnose(&Scope::Cluster, now);
    }
    diagnosis
}

fn answer(input: &Value, need: &Need) -> Answer {
    let about = match need {
        Need::Object { kind, .. } | Need::List { kind, .. } => Some(kind),
        Need::Events { .. } => Some(&Kind::Event),
        _ => None,
    };
    // Who may not list a kind may not get one of it either, and is not told whether it is there.
    let refusal = list(input, "refused")
        .iter()
        .find(|refusal| about.is_some() && about == refusal["kind"].as_str().and_then(Kind::parse).as_ref());
    if let Some(refusal) = refusal {
        let why = refusal["why"].as_str().unwrap_or("forbidden").to_owned();
        return Answer::Refused(Gap { what: need.what(), why });
    }
    match need {
        Need::Log { pod, container, previous, .. } => {
            let key = if *previous { format!("{pod}/{container}/previous") } else { format!("{pod}/{container}") };
            match input["logs"][&key].as_str() {
                Some(text) => {
                    Answer::Log(text.lines().map(|line| LogLine { at: None, text: line.to_owned() }).collect())
                }
                None => Answer::NotFound,
            }
        }
        _ => Answer::NotFound,
    }
}

fn apply(engine: &mut Engine, objects: &[Value], now: Timestamp, turn: usize) {
    let mut objects: Vec<Value> = objects.iter().map(|object| complete(object, now)).collect();
    if turn > 0 && !objects.is_empty() {
        let by = turn * 7 % objects.len();
        objects.rotate_left(by);
        if turn % 2 == 1 {
            objects.reverse();
        }
    }
    for object in objects {
        let text = object.to_string();
        engine
            .state_mut()
            .apply(Object::decode(text.as_bytes(), None).unwrap_or_else(|error| panic!("{error}: {text}")));
    }
}

/// An object with what every real one has: namespace, UID, creation time, owners, absolute times.
fn complete(object: &Value, now: Timestamp) -> Value {
    let mut object = object.clone();
    absolute(&mut object, now, "");
    let kind = object["kind"].as_str().expect("kind").to_owned();
    let version = object["apiVersion"]
        .as_str()
        .map(str::to_owned)
        .unwrap_or_else(|| Kind::parse(&kind).unwrap_or_else(|| panic!("apiVersion of {kind}")).api_version());
    let known = Kind::of(&version, &kind);
    object["apiVersion"] = version.into();
    let meta = object.as_object_mut().unwrap().entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    let meta = meta.as_object_mut().unwrap();
    if known.namespaced() {
        meta.entry("namespace").or_insert_with(|| "shop".into());
    }
    let name = meta["name"].as_str().expect("name").to_owned();
    meta.entry("uid").or_insert_with(|| uid(&kind, &name).into());
    meta.entry("creationTimestamp").or_insert_with(|| (now - SignedDuration::from_hours(1)).to_string().into());
    if let Some(owner) = meta.remove("owner") {
        let (kind, name) = owner.as_str().unwrap().split_once('/').unwrap();
        let version = Kind::parse(kind).unwrap().api_version();
        meta.insert(
            "ownerReferences".into(),
            json!([{"apiVersion": version, "kind": kind, "name": name, "uid": uid(kind, name), "controller": true}]),
        );
    }
    object
}

fn uid(kind: &str, name: &str) -> String {
    format!("uid-{}-{name}", kind.to_lowercase())
}

/// Turns `-5m` into a time wherever a time stands.
fn absolute(value: &mut Value, now: Timestamp, key: &str) {
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(key, value)| absolute(value, now, key)),
        Value::Array(items) => items.iter_mut().for_each(|item| absolute(item, now, key)),
        Value::String(text) => {
            let time = key.ends_with("Time") || key.ends_with("Timestamp") || key.ends_with("At") || key == "time";
            if time && let Some(span) = relative(text) {
                *text = (now + span).to_string();
            }
        }
        _ => {}
    }
}

fn relative(text: &str) -> Option<SignedDuration> {
    let (sign, span) = match text.split_at_checked(1)? {
        ("-", rest) => (-1, rest),
        ("+", rest) => (1, rest),
        _ => return None,
    };
    Some(reckon_model::duration::parse(span)? * sign)
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
