//! Answers to demands, as `bundle.yaml` lists them.

use crate::session::Right;
use reckon_model::{Answer, Demand, Gap, Kind, Obstacle, Quantity, Sample, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// An entry for a right and whether the user has it.
pub(crate) fn right_entry(((verb, resource, namespace), allowed): (&Right, &bool)) -> Value {
    json!({"verb": verb, "resource": resource, "namespace": namespace, "allowed": allowed})
}

/// Reads what [`right_entry`] wrote.
pub(crate) fn right(entry: &Value) -> Option<(Right, bool)> {
    let right = (text(entry, "verb").to_owned(), text(entry, "resource").to_owned(), optional(entry, "namespace"));
    Some((right, entry.get("allowed")?.as_bool()?))
}

/// Whether an entry is about a log that was read: its lines are a file.
pub(crate) fn is_log(entry: &Value) -> bool {
    text(entry, "need") == "log" && text(entry, "answer") == "read"
}

/// An answer as it could be given at this moment.
pub(crate) fn until(answer: Answer, now: Timestamp) -> Answer {
    match answer {
        Answer::Samples(mut samples) => {
            samples.retain(|sample| sample.at <= now);
            Answer::Samples(samples)
        }
        other => other,
    }
}

/// A kind in a scope: `{"kind": "Pod", "group": "", "namespace": null}`.
pub(crate) fn kind(entry: &Value) -> (Kind, Option<String>) {
    (Kind::of_group(text(entry, "group"), text(entry, "kind")), optional(entry, "namespace"))
}

/// The gap of an entry.
pub(crate) fn gap(entry: &Value) -> Gap {
    // A bundle made by hand need not say it: what its author could not read was mostly a missing right.
    let obstacle = entry.get("obstacle").and_then(|obstacle| serde_json::from_value(obstacle.clone()).ok());
    Gap {
        what: text(entry, "what").to_owned(),
        why: text(entry, "why").to_owned(),
        obstacle: obstacle.unwrap_or(Obstacle::Denied),
    }
}

/// An entry for a kind in a scope.
pub(crate) fn kind_entry(kind: &Kind, namespace: Option<&str>) -> Value {
    json!({"kind": kind.name(), "group": kind.group(), "namespace": namespace})
}

/// A demand and what came of it. Objects and logs are files of their own: here stands only that they were read.
pub(crate) fn entry(demand: &Demand, answer: &Answer) -> Value {
    let mut entry = match demand {
        Demand::Object { kind, namespace, name } => {
            json!({"need": "object", "kind": kind.name(), "group": kind.group(), "namespace": namespace, "name": name})
        }
        Demand::List { kind, namespace, selector } => {
            json!({"need": "list", "kind": kind.name(), "group": kind.group(), "namespace": namespace, "selector": selector})
        }
        Demand::PodsOn { node } => json!({"need": "pods-on", "name": node}),
        Demand::Events { kind, namespace, name } => {
            json!({"need": "events", "kind": kind.name(), "group": kind.group(), "namespace": namespace, "name": name})
        }
        Demand::Log { namespace, pod, container, previous } => {
            json!({"need": "log", "namespace": namespace, "pod": pod, "container": container, "previous": previous})
        }
        Demand::PodMetrics { namespace, pod } => json!({"need": "pod-metrics", "namespace": namespace, "pod": pod}),
        Demand::NodeStats { node } => json!({"need": "node-stats", "name": node}),
        Demand::Kernel { node, namespace, pod } => {
            json!({"need": "kernel", "name": node, "namespace": namespace, "pod": pod})
        }
        Demand::HelmRevision { namespace, secret } => {
            json!({"need": "helm-revision", "namespace": namespace, "name": secret})
        }
    };
    let outcome = match answer {
        Answer::Objects(_) | Answer::Log(_) => json!({"answer": "read"}),
        Answer::NotFound => json!({"answer": "not found"}),
        Answer::Part(_, gap) | Answer::Refused(gap) => {
            json!({"answer": "refused", "what": gap.what, "why": gap.why, "obstacle": gap.obstacle})
        }
        Answer::Kernel(facts) => json!({"answer": "read", "kernel": facts}),
        Answer::Manifest(objects) => json!({"answer": "read", "manifest": objects}),
        Answer::Samples(samples) => {
            let samples: Vec<Value> = samples.iter().map(sample_entry).collect();
            json!({"answer": "read", "samples": samples})
        }
    };
    if let (Value::Object(entry), Value::Object(outcome)) = (&mut entry, outcome) {
        entry.extend(outcome);
    }
    entry
}

/// Reads what [`entry`] wrote. A log that was read is a file, and its answer comes from there.
pub(crate) fn read(entry: &Value) -> Option<(Demand, Answer)> {
    let name = || text(entry, "name").to_owned();
    let namespace = || text(entry, "namespace").to_owned();
    let demand = match text(entry, "need") {
        "object" => {
            let (kind, namespace) = kind(entry);
            Demand::Object { kind, namespace, name: name() }
        }
        "list" => {
            let (kind, namespace) = kind(entry);
            Demand::List { kind, namespace, selector: text(entry, "selector").to_owned() }
        }
        "pods-on" => Demand::PodsOn { node: name() },
        "events" => {
            let (kind, namespace) = kind(entry);
            Demand::Events { kind, namespace, name: name() }
        }
        "log" => Demand::Log {
            namespace: namespace(),
            pod: text(entry, "pod").to_owned(),
            container: text(entry, "container").to_owned(),
            previous: entry.get("previous").and_then(Value::as_bool).unwrap_or(false),
        },
        "pod-metrics" => Demand::PodMetrics { namespace: namespace(), pod: text(entry, "pod").to_owned() },
        "node-stats" => Demand::NodeStats { node: name() },
        "kernel" => Demand::Kernel { node: name(), namespace: namespace(), pod: text(entry, "pod").to_owned() },
        "helm-revision" => Demand::HelmRevision { namespace: namespace(), secret: name() },
        _ => return None,
    };
    let answer = match (text(entry, "answer"), &demand) {
        ("not found", _) => Answer::NotFound,
        ("refused", _) => Answer::Refused(gap(entry)),
        ("read", Demand::PodMetrics { .. } | Demand::NodeStats { .. }) => {
            Answer::Samples(entry.get("samples")?.as_array()?.iter().filter_map(sample).collect())
        }
        ("read", Demand::Kernel { .. }) => {
            Answer::Kernel(Box::new(serde_json::from_value(entry.get("kernel")?.clone()).ok()?))
        }
        ("read", Demand::HelmRevision { .. }) => Answer::Manifest(entry.get("manifest")?.as_array()?.clone()),
        ("read", Demand::Log { .. }) => return None,
        ("read", _) => Answer::Objects(Vec::new()),
        _ => return None,
    };
    Some((demand, answer))
}

fn sample_entry(sample: &Sample) -> Value {
    let Sample { at, namespace, pod, container, memory_bytes, cpu_millicores, source } = sample;
    json!({"at": at, "namespace": namespace, "pod": pod, "container": container,
        "memoryBytes": memory_bytes, "cpuMillicores": cpu_millicores, "source": source})
}

fn sample(entry: &Value) -> Option<Sample> {
    Some(Sample {
        at: text(entry, "at").parse().ok()?,
        namespace: text(entry, "namespace").to_owned(),
        pod: text(entry, "pod").to_owned(),
        container: text(entry, "container").to_owned(),
        memory_bytes: entry.get("memoryBytes").and_then(Value::as_u64),
        cpu_millicores: entry.get("cpuMillicores").and_then(Value::as_u64),
        source: if text(entry, "source") == "kubelet" { "kubelet" } else { "metrics.k8s.io" },
    })
}

/// The answers in a list of `PodMetrics`.
pub(crate) fn pod_metrics(list: &Value) -> Vec<(Demand, Answer)> {
    let mut answers: BTreeMap<Demand, Vec<Sample>> = BTreeMap::new();
    for item in list.get("items").and_then(Value::as_array).into_iter().flatten() {
        let Some(meta) = item.get("metadata") else { continue };
        let Some(at) = item.get("timestamp").and_then(Value::as_str).and_then(|at| at.parse::<Timestamp>().ok()) else {
            continue;
        };
        let (namespace, pod) = (text(meta, "namespace").to_owned(), text(meta, "name").to_owned());
        let samples = answers.entry(Demand::PodMetrics { namespace: namespace.clone(), pod: pod.clone() }).or_default();
        for container in item.get("containers").and_then(Value::as_array).into_iter().flatten() {
            let usage = |resource| {
                container.get("usage").and_then(|usage| usage.get(resource)).and_then(Value::as_str).map(Quantity::new)
            };
            samples.push(Sample {
                at,
                namespace: namespace.clone(),
                pod: pod.clone(),
                container: text(container, "name").to_owned(),
                memory_bytes: usage("memory").and_then(|q| q.value()).and_then(|v| u64::try_from(v).ok()),
                cpu_millicores: usage("cpu").and_then(|q| q.millis()).and_then(|v| u64::try_from(v).ok()),
                source: "metrics.k8s.io",
            });
        }
    }
    answers.into_iter().map(|(demand, samples)| (demand, Answer::Samples(samples))).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("")
}

fn optional(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}
