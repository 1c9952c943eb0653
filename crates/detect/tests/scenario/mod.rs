//! Scenarios: objects, answers and steps in YAML, and the problems they give.
//!
//! ```yaml
//! now: 2026-01-01T12:00:00Z       # the default
//! objects: [...]                  # see `complete` for what may be left out
//! logs: {pod/app: "-5m a line\nanother", pod/app/previous: "..."}      # a first word that is a time is the line's
//!                                 # namespace/pod/app of pods that are not in shop
//! metrics: {pod/app: {memory: 60Mi, cpu: 20m, at: "-10s"}}              # or a list of samples
//! helm: {sh.helm.release.v1.shop.v2: [...]}                             # the manifest of that revision
//! kernel: {n1: {episodes: [{at: "-5m", ...}], kills: [...]}}           # what `reckon node` reports of that node
//! refused: [{kind: Secret, why: "forbidden: list secrets"}]             # also kind: logs, metrics
//! captured: true                 # objects are kept whole, as a capture keeps them
//! scope: Pod/checkout-abc                                               # or Namespace/shop; else the whole cluster
//! why: Deployment/web                                                   # also what is answered about this object, and
//!                                 # what was considered: a name, or a list of them
//! then: [{at: "+5m", apply: [...], delete: [Pod/checkout-abc], logs: {...}, metrics: {...}}]
//! ```
//!
//! Times are relative to the step they stand in, and everything that is not given does not exist.

pub(crate) mod course;
mod mangle;
mod render;
mod skew;

use jiff::{SignedDuration, Timestamp};
use reckon_detect::catalogue::detectors;
use reckon_detect::{Diagnosis, Engine, Scope, State};
use reckon_model::{Answer, ClusterId, Demand, Gap, Kind, LogLine, Object, Obstacle, Quantity, ResourceRef, Sample};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The moment of the diagnosis where a scenario names none.
const NOW: &str = "2026-01-01T12:00:00Z";

/// A page with its scenarios.
pub(crate) struct Page {
    /// Its file's name.
    pub(crate) name: String,
    /// All of it.
    pub(crate) text: String,
    /// Its scenarios, in order: its own, then those of the files in the directory of its name, where it has many.
    pub(crate) scenarios: Vec<Scenario>,
}

/// One scenario.
pub(crate) struct Scenario {
    /// Its heading.
    pub(crate) name: String,
    /// What it gives.
    pub(crate) expected: String,
    /// As it stands on the page.
    text: String,
    /// Where it stands.
    path: PathBuf,
    input: OnceLock<Value>,
}

impl Page {
    /// Reads a page.
    pub(crate) fn read(path: &Path) -> Page {
        let text = fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut further: Vec<PathBuf> =
            fs::read_dir(path.with_extension("")).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        further.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
        further.sort();
        let mut scenarios = scenarios(path, &text);
        for path in further {
            scenarios.extend(self::scenarios(&path, &fs::read_to_string(&path).unwrap()));
        }
        Page { name, text, scenarios }
    }

    /// The rows of the table under a heading, without its head; cells without code marks.
    pub(crate) fn table(&self, heading: &str) -> Vec<Vec<String>> {
        let (_, rest) = self.text.split_once(&format!("\n## {heading}\n")).unwrap_or(("", ""));
        let section = rest.split("\n## ").next().unwrap_or("");
        let rows =
            section.lines().filter(|line| line.starts_with('|') && !line.starts_with("|-") && !line.starts_with("| -"));
        let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
        let mut table: Vec<Vec<String>> = rows.skip(1).map(cells).collect();
        // An empty first cell stands for the one above.
        for at in 1..table.len() {
            if table[at][0].is_empty() {
                table[at][0] = table[at - 1][0].clone();
            }
        }
        table
    }

    /// Writes the page, and its further files, with what the scenarios give.
    pub(crate) fn write(&self) {
        for of_file in self.scenarios.chunk_by(|one, next| one.path == next.path) {
            let path = &of_file[0].path;
            let text = fs::read_to_string(path).unwrap();
            let mut out = text.split("\n## Scenario: ").next().unwrap().trim_end().to_owned();
            out.push('\n');
            for scenario in of_file {
                out.push_str(&format!(
                    "\n## Scenario: {}\n\n```yaml\n{}```\n\n```text\n{}```\n",
                    scenario.name, scenario.text, scenario.expected
                ));
            }
            fs::write(path, out).unwrap();
        }
    }
}

/// The scenarios of a file.
fn scenarios(path: &Path, text: &str) -> Vec<Scenario> {
    let scenario = |part: &str| {
        let (heading, rest) = part.split_once('\n').unwrap();
        Scenario {
            name: heading.trim().to_owned(),
            text: block(rest, "yaml").unwrap_or_else(|| panic!("{}: {heading}: no yaml block", path.display())),
            input: OnceLock::new(),
            expected: block(rest, "text").unwrap_or_default(),
            path: path.to_owned(),
        }
    };
    text.split("\n## Scenario: ").skip(1).map(scenario).collect()
}

/// The first fenced block of a language.
fn block(text: &str, language: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("```{language}\n"))?;
    Some(rest.split_once("```").map_or(rest, |(block, _)| block).to_owned())
}

impl Scenario {
    fn input(&self) -> &Value {
        self.input.get_or_init(|| serde_saphyr::from_str(&self.text).unwrap_or_else(|error| panic!("{error}")))
    }

    /// The same with these lines before those of every log; `None` where it has no log.
    pub(crate) fn after_lines(&self, lines: &str) -> Option<Scenario> {
        let mut input = self.input().clone();
        let mut logs = 0;
        let steps = input.get("then").and_then(Value::as_array).map_or(0, Vec::len);
        let places = std::iter::once("/logs".to_owned()).chain((0..steps).map(|step| format!("/then/{step}/logs")));
        for place in places {
            for (_, log) in input.pointer_mut(&place).and_then(Value::as_object_mut).into_iter().flatten() {
                // One that says nothing says something by that.
                if log.as_str().unwrap().trim().is_empty() {
                    continue;
                }
                *log = format!("{lines}\n{}", log.as_str().unwrap()).into();
                logs += 1;
            }
        }
        let (name, text, path) = (self.name.clone(), self.text.clone(), self.path.clone());
        let scenario = Scenario { name, text, path, expected: self.expected.clone(), input: OnceLock::from(input) };
        (logs > 0).then_some(scenario)
    }

    /// Runs it as an administrator would see it, with objects, answers and detectors in the order of this turn (0: as
    /// written).
    pub(crate) fn run_turned(&self, turn: u64) -> String {
        let input = self.input();
        let scope = self.scope();
        let (diagnosis, start) = self.run(turn, SignedDuration::ZERO, &scope);
        let mut out = render::diagnosis(&diagnosis, start);
        if let (Scope::Object(_), Some(target)) = (&scope, input["scope"].as_str()) {
            out.push_str(&render::answer(target, &diagnosis));
        }
        let one = std::slice::from_ref(&input["why"]);
        for target in input["why"].as_array().map_or(one, Vec::as_slice).iter().filter_map(Value::as_str) {
            let (diagnosis, _) = self.run(turn, SignedDuration::ZERO, &Scope::Object(reference(target)));
            out.push_str(&render::answer(target, &diagnosis));
        }
        out
    }

    /// Runs it on nodes whose clocks are so much ahead of the API server's, as it is written else.
    pub(crate) fn run_skewed(&self, ahead: SignedDuration) -> Diagnosis {
        self.run(0, ahead, &self.scope()).0
    }

    fn scope(&self) -> Scope {
        self.input()["scope"].as_str().map_or(Scope::Cluster, |name| match name.strip_prefix("Namespace/") {
            Some(namespace) => Scope::Namespace(namespace.to_owned()),
            None => Scope::Object(reference(name)),
        })
    }

    /// Runs it so, and then again at each moment for which it asks, until this long after its end: what it gives at each.
    pub(crate) fn run_skewed_on(&self, ahead: SignedDuration, long: SignedDuration) -> Vec<Diagnosis> {
        let scope = self.scope();
        let (mut engine, answers, diagnosis, end) = self.played(0, ahead, &scope);
        let mut all = vec![diagnosis];
        while let Some(at) = all.last().and_then(|last| last.recheck_at).filter(|at| *at <= end + long) {
            let at = at.max(end);
            all.push(settle(&mut engine, &scope, &answers, at, &mut Order(0), false));
            if all.len() > MOMENTS {
                break;
            }
        }
        all
    }

    fn start(&self) -> Timestamp {
        self.input()["now"].as_str().unwrap_or(NOW).parse().unwrap()
    }

    fn run(&self, turn: u64, ahead: SignedDuration, scope: &Scope) -> (Diagnosis, Timestamp) {
        let start = self.start();
        (self.played(turn, ahead, scope).2, start)
    }

    fn played(&self, turn: u64, ahead: SignedDuration, scope: &Scope) -> (Engine, Answers, Diagnosis, Timestamp) {
        let mut order = Order(turn);
        let input = self.input();
        let parts = [
            "now",
            "objects",
            "logs",
            "metrics",
            "absent-metrics",
            "helm",
            "kernel",
            "refused",
            "captured",
            "scope",
            "why",
            "then",
        ];
        known(input, &parts);
        let start = self.start();
        let mut state = State::new(ClusterId("scenario".into()));
        for kind in Kind::named() {
            state.cover(kind, None);
        }
        let mut answers = Answers::default();
        for refusal in list(input, "refused") {
            let why = refusal["why"].as_str().unwrap_or("forbidden").to_owned();
            let what = refusal["kind"].as_str().unwrap();
            match Kind::parse(what) {
                Some(kind) => {
                    state.refuse(
                        &kind,
                        None,
                        Gap { what: kind.resource(), why: why.clone(), obstacle: Obstacle::Denied },
                    );
                    answers.refused.insert(kind.name().to_owned(), why);
                }
                None => {
                    // Kinds without a name here are asked for one by one, and refused by their name.
                    let kind = what.starts_with(|first: char| first.is_ascii_uppercase());
                    assert!(
                        kind || matches!(what, "logs" | "metrics"),
                        "refused: {what} is neither a kind nor logs or metrics"
                    );
                    answers.refused.insert(what.to_owned(), why);
                }
            }
        }
        let captured = input["captured"].as_bool() == Some(true);
        let mut engine = Engine::with_detectors(state, order.of(detectors()));
        let arrival = Arrival { captured, ahead };
        arrival.of(&mut engine, list(input, "objects"), start, &mut order);
        answers.learn(&mut engine, input, start, ahead);
        let mut diagnosis = settle(&mut engine, scope, &answers, start, &mut order, true);
        let mut end = start;
        for step in list(input, "then") {
            known(step, &["at", "apply", "delete", "logs", "metrics", "helm", "kernel"]);
            let now = start + relative(step["at"].as_str().unwrap()).unwrap();
            for name in list(step, "delete") {
                let reference = reference(name.as_str().unwrap());
                assert!(engine.state().holds(&reference), "{name} is not there to be deleted");
                engine.state_mut().delete(&reference, now);
            }
            arrival.of(&mut engine, list(step, "apply"), now, &mut order);
            answers.learn(&mut engine, step, now, ahead);
            diagnosis = settle(&mut engine, scope, &answers, now, &mut order, false);
            end = now;
        }
        (engine, answers, diagnosis, end)
    }
}

/// The order in which things happen in one turn: a shuffle by its number, none for 0.
struct Order(u64);

impl Order {
    fn of<T>(&mut self, things: impl IntoIterator<Item = T>) -> Vec<T> {
        let mut things: Vec<T> = things.into_iter().collect();
        if self.0 == 0 {
            return things;
        }
        for last in (1..things.len()).rev() {
            // An odd multiplier and the high bits (Knuth, MMIX): enough to mix, the same every time.
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) | 1;
            things.swap(last, usize::try_from(self.0 >> 33).unwrap() % (last + 1));
        }
        things
    }
}

/// So often at most a scenario is gone on with after its end.
const MOMENTS: usize = 50;

/// How often a driver goes out for answers.
const ROUNDS: usize = 8;

/// Diagnoses until everything that is asked has been answered. What was thought on the way there is forgotten at first, as
/// drivers do it.
fn settle(
    engine: &mut Engine,
    scope: &Scope,
    answers: &Answers,
    now: Timestamp,
    order: &mut Order,
    first: bool,
) -> Diagnosis {
    let mut diagnosis = engine.diagnose(scope, now);
    for _ in 0..ROUNDS {
        if diagnosis.demands.is_empty() {
            return diagnosis;
        }
        for demand in order.of(std::mem::take(&mut diagnosis.demands)) {
            let answer = answers.to(&demand);
            engine.state_mut().answer(demand, answer);
        }
        if first {
            engine.forget_problems();
        }
        diagnosis = engine.diagnose(scope, now);
    }
    assert!(diagnosis.demands.is_empty(), "still asks after {ROUNDS} rounds: {:?}", diagnosis.demands);
    diagnosis
}

/// What a driver would find out.
#[derive(Default)]
struct Answers {
    given: BTreeMap<Demand, Answer>,
    refused: BTreeMap<String, String>,
}

impl Answers {
    /// Takes what a scenario or a step of it says. It stands at once in the place of what was answered before.
    fn learn(&mut self, engine: &mut Engine, input: &Value, now: Timestamp, ahead: SignedDuration) {
        // What a node tells, it tells by its own clock.
        let now = now + ahead;
        let mut learned = Vec::new();
        for (name, log) in entries(input, "logs") {
            let (name, previous) = match name.strip_suffix("/previous") {
                Some(name) => (name, true),
                None => (name.as_str(), false),
            };
            let (pod, container) = name.split_once('/').unwrap_or_else(|| panic!("logs: {name} is not pod/container"));
            // `namespace/pod/container` for those elsewhere.
            let (namespace, pod, container) = match container.split_once('/') {
                Some((name, container)) => (pod.to_owned(), name.to_owned(), container.to_owned()),
                None => ("shop".to_owned(), pod.to_owned(), container.to_owned()),
            };
            let lines = log.as_str().unwrap().lines().map(|text| line(text, now)).collect();
            learned.push((Demand::Log { namespace, pod, container, previous }, Answer::Log(lines)));
        }
        let mut samples: BTreeMap<&str, Vec<Sample>> = BTreeMap::new();
        for (name, measured) in entries(input, "metrics") {
            let (pod, container) =
                name.split_once('/').unwrap_or_else(|| panic!("metrics: {name} is not pod/container"));
            let one = std::slice::from_ref(measured);
            for measured in measured.as_array().map_or(one, Vec::as_slice) {
                samples.entry(pod).or_default().push(sample(measured, pod, container, now));
            }
        }
        for (pod, samples) in samples {
            learned.push((Demand::PodMetrics { namespace: "shop".into(), pod: pod.into() }, Answer::Samples(samples)));
        }
        for (secret, manifest) in entries(input, "helm") {
            let manifest = manifest.as_array().unwrap().clone();
            let demand = Demand::HelmRevision { namespace: "shop".into(), secret: secret.clone() };
            learned.push((demand, Answer::Manifest(manifest)));
        }
        for (node, facts) in entries(input, "kernel") {
            let mut facts = facts.clone();
            absolute(&mut facts, now, "");
            let facts = serde_json::from_value(facts).unwrap_or_else(|error| panic!("kernel of {node}: {error}"));
            engine.state_mut().observe(node, facts);
        }
        for (demand, answer) in learned {
            // In a step: what was asked before is told anew.
            if input.get("at").is_some() {
                engine.state_mut().answer(demand.clone(), answer.clone());
            }
            self.given.insert(demand, answer);
        }
    }

    fn to(&self, demand: &Demand) -> Answer {
        if let Some(answer) = self.given.get(demand) {
            return answer.clone();
        }
        // Who may not list a kind may not get one of it either, and is not told whether it is there.
        let about = match demand {
            Demand::Object { kind, .. } | Demand::List { kind, .. } => kind.name(),
            Demand::PodsOn { .. } => Kind::Pod.name(),
            Demand::Events { .. } => Kind::Event.name(),
            Demand::Log { .. } => "logs",
            Demand::Kernel { .. } => "logs",
            Demand::PodMetrics { .. } | Demand::NodeStats { .. } => "metrics",
            Demand::HelmRevision { .. } => Kind::Secret.name(),
        };
        match self.refused.get(about) {
            Some(why) => Answer::Refused(Gap { what: demand.what(), why: why.clone(), obstacle: Obstacle::Denied }),
            None => Answer::NotFound,
        }
    }
}

/// A line of a log, with its time if it begins with one: `-5m text`, `2026-01-01T11:55:00Z text`.
fn line(text: &str, now: Timestamp) -> LogLine {
    let timed = text.split_once(' ').and_then(|(first, rest)| {
        let span = relative(first).filter(|_| first.ends_with(['s', 'm', 'h', 'd']));
        let at = span.map(|span| now + span).or_else(|| first.parse().ok())?;
        Some(LogLine { at: Some(at), text: rest.to_owned() })
    });
    timed.unwrap_or_else(|| LogLine { at: None, text: text.to_owned() })
}

fn sample(measured: &Value, pod: &str, container: &str, now: Timestamp) -> Sample {
    let amount = |key: &str, unit: i128| {
        let nanos = Quantity::new(measured[key].as_str()?).nanos()?;
        u64::try_from(nanos / unit).ok()
    };
    let span = measured["at"].as_str().map_or(SignedDuration::ZERO, |at| relative(at).unwrap());
    Sample {
        at: now + span,
        namespace: "shop".into(),
        pod: pod.into(),
        container: container.into(),
        memory_bytes: amount("memory", 1_000_000_000),
        cpu_millicores: amount("cpu", 1_000_000),
        source: "metrics.k8s.io",
    }
}

/// How objects come.
struct Arrival {
    captured: bool,
    /// By how much the clocks of nodes are ahead of the API server's.
    ahead: SignedDuration,
}

impl Arrival {
    fn of(&self, engine: &mut Engine, objects: &[Value], now: Timestamp, order: &mut Order) {
        let decode = if self.captured { Object::decode_whole } else { Object::decode };
        let objects = order.of(objects.iter().map(|object| skew::by(complete(object, now), self.ahead)));
        for object in objects {
            let text = object.to_string();
            engine.state_mut().apply(decode(text.as_bytes(), None).unwrap_or_else(|error| panic!("{error}: {text}")));
        }
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
    involved(&mut object);
    let seen = ["firstTimestamp", "eventTime", "lastTimestamp"]
        .iter()
        .find_map(|key| object.get(*key).filter(|it| it.is_string()));
    let seen = seen.filter(|_| kind == "Event").cloned();
    let taken =
        object["status"]["startTime"].as_str().filter(|_| kind == "Pod").and_then(|at| at.parse::<Timestamp>().ok());
    let meta = object.as_object_mut().unwrap().entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    let meta = meta.as_object_mut().unwrap();
    if known.namespaced() {
        meta.entry("namespace").or_insert_with(|| "shop".into());
    }
    let name = meta["name"].as_str().expect("name").to_owned();
    meta.entry("uid").or_insert_with(|| uid(&kind, &name).into());
    // An Event is made when what it tells was seen first, and a pod before a kubelet takes it.
    let made = now - SignedDuration::from_hours(1);
    let made = match (seen, taken) {
        (Some(seen), _) => seen,
        (None, Some(taken)) => json!(made.min(taken).to_string()),
        (None, None) => json!(made.to_string()),
    };
    meta.entry("creationTimestamp").or_insert(made);
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

/// What an Event is about may be written `Kind/name`, and is in the scenario's namespace.
fn involved(event: &mut Value) {
    let Some(about) = event.get_mut("involvedObject") else { return };
    if let Some((kind, name)) = about.as_str().and_then(|name| name.split_once('/')) {
        *about = json!({"kind": kind, "name": name});
    }
    let namespaced = about["kind"].as_str().and_then(Kind::parse).is_none_or(|kind| kind.namespaced());
    if let (true, Some(about)) = (namespaced, about.as_object_mut()) {
        about.entry("namespace").or_insert_with(|| "shop".into());
    }
}

/// `Kind/name`, or `Kind/namespace/name`; kinds that no rule knows by name with their group, `Ingress.networking.k8s.io`.
fn reference(text: &str) -> ResourceRef {
    let (kind, name) = text.split_once('/').unwrap_or_else(|| panic!("{text} is not Kind/name"));
    let other = || kind.split_once('.').map(|(kind, group)| Kind::of_group(group, kind));
    let kind = Kind::parse(kind).or_else(other).unwrap_or_else(|| panic!("{kind} is no kind"));
    let (namespace, name) = name.split_once('/').unwrap_or(("shop", name));
    ResourceRef::new(kind, Some(namespace), name)
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
            let time = key.ends_with("Time")
                || key.ends_with("Timestamp")
                || key.ends_with("At")
                || key == "time"
                || key == "at"
                || key == "since";
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

fn entries<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(key).and_then(Value::as_object).into_iter().flatten()
}

/// A misspelt part would be a scenario that tests nothing.
fn known(value: &Value, parts: &[&str]) {
    let unknown = value.as_object().unwrap().keys().find(|key| !parts.contains(&key.as_str()));
    assert!(unknown.is_none(), "{unknown:?} is no part of a scenario");
}
