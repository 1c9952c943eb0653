//! A state and a recorder that are given objects as a watch tells of them.
#![allow(dead_code, clippy::allow_attributes, reason = "each test file uses a part of it, and none all")]

use reckon_detect::State;
use reckon_model::record::{Entry, Fact, Written};
use reckon_model::{ClusterId, Kind, Object, SignedDuration, Timestamp};
use reckon_record::{Memory, Noise, Recorded, Recorder, kinds};
use serde_json::{Value, json};

/// When tests begin.
pub(crate) const NOON: &str = "2026-01-01T12:00:00Z";

pub(crate) struct Feed {
    pub(crate) state: State,
    pub(crate) recorder: Recorder,
    pub(crate) now: Timestamp,
    version: u64,
}

impl Feed {
    /// One that has listed everything, and there was nothing.
    pub(crate) fn new() -> Feed {
        Feed::with(Noise::default())
    }

    pub(crate) fn with(noise: Noise) -> Feed {
        let mut feed = Feed::starting(noise, Memory::default());
        kinds().iter().for_each(|kind| feed.listed(kind));
        feed
    }

    /// One that has listed nothing yet.
    pub(crate) fn starting(noise: Noise, memory: Memory) -> Feed {
        let mut state = State::new(ClusterId("c".to_owned()));
        state.keep_steps();
        Feed { state, recorder: Recorder::new(noise, memory), now: at(NOON), version: 100 }
    }

    pub(crate) fn listed(&mut self, kind: &Kind) {
        self.state.cover(kind, None);
        self.recorder.listed(kind, None, self.now);
    }

    pub(crate) fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        self.recorder.tick(self.now);
    }

    /// An object as the watch tells of it, with the next version where it has none.
    pub(crate) fn apply(&mut self, object: &Value) -> Vec<Entry> {
        self.hear(object).entries
    }

    pub(crate) fn hear(&mut self, object: &Value) -> Recorded {
        let mut object = object.clone();
        if object["metadata"]["resourceVersion"].is_null() {
            self.version += 1;
            object["metadata"]["resourceVersion"] = self.version.to_string().into();
        }
        self.state.apply(Object::decode(object.to_string().as_bytes(), None).unwrap());
        self.steps()
    }

    /// The metadata alone of an object, as ConfigMaps and Secrets are watched.
    pub(crate) fn metadata(&mut self, kind: &Kind, object: &Value) -> Vec<Entry> {
        self.version += 1;
        let mut object =
            json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"]});
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.state.apply(Object::decode(object.to_string().as_bytes(), Some(kind)).unwrap());
        self.steps().entries
    }

    pub(crate) fn delete(&mut self, object: &Value) -> Vec<Entry> {
        let object = Object::decode(object.to_string().as_bytes(), None).unwrap();
        self.state.delete(&object.reference(), self.now);
        self.steps().entries
    }

    pub(crate) fn steps(&mut self) -> Recorded {
        for step in self.state.take_steps() {
            self.recorder.step(&self.state, &step, self.now);
        }
        self.recorder.take()
    }
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The only write that is told.
pub(crate) fn change(entries: &[Entry]) -> &Written {
    let all = changes(entries);
    assert_eq!(all.len(), 1, "{entries:#?}");
    all[0]
}

pub(crate) fn changes(entries: &[Entry]) -> Vec<&Written> {
    entries
        .iter()
        .filter_map(|entry| match &entry.fact {
            Fact::Change(written) => Some(written),
            _ => None,
        })
        .collect()
}

pub(crate) fn words(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.fact.word()).collect()
}

pub(crate) fn fields(written: &Written) -> Vec<&str> {
    written.fields.iter().map(|field| field.field.as_str()).collect()
}

/// An object of this kind.
pub(crate) fn object(api_version: &str, kind: &str, name: &str, rest: &Value) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "shop",
        "uid": format!("{}-{name}", kind.to_lowercase()), "creationTimestamp": NOON}});
    merge(&mut object, rest);
    object
}

pub(crate) fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// The same object with more, or other, members.
pub(crate) fn with(object: &Value, rest: &Value) -> Value {
    let mut object = object.clone();
    merge(&mut object, rest);
    object
}

pub(crate) fn owned(kind: &str, name: &str) -> Value {
    let api_version = if matches!(kind, "Job" | "CronJob") {
        "batch/v1"
    } else if kind == "Service" {
        "v1"
    } else {
        "apps/v1"
    };
    json!({"metadata": {"ownerReferences": [{"apiVersion": api_version, "kind": kind, "name": name,
        "uid": format!("{}-{name}", kind.to_lowercase()), "controller": true}]}})
}

/// An entry of `managedFields`.
pub(crate) fn wrote(manager: &str, time: &str, fields: &Value) -> Value {
    json!({"manager": manager, "operation": "Update", "apiVersion": "v1", "time": time, "fieldsType": "FieldsV1", "fieldsV1": fields})
}

pub(crate) fn deployment(name: &str, image: &str) -> Value {
    object(
        "apps/v1",
        "Deployment",
        name,
        &json!({"metadata": {"generation": 1, "labels": {"app": name}}, "spec": {"replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "app", "image": image}]}}}}),
    )
}

pub(crate) fn replica_set(deployment: &Value, hash: &str, revision: u32, created: &str) -> Value {
    let name = deployment["metadata"]["name"].as_str().unwrap();
    let mut template = deployment["spec"]["template"].clone();
    template["metadata"]["labels"]["pod-template-hash"] = hash.into();
    let set = object(
        "apps/v1",
        "ReplicaSet",
        &format!("{name}-{hash}"),
        &json!({"metadata": {"creationTimestamp": created, "generation": 1, "annotations": {"deployment.kubernetes.io/revision": revision.to_string()},
            "labels": {"app": name, "pod-template-hash": hash}}, "spec": {"replicas": 2, "template": template}}),
    );
    with(&set, &owned("Deployment", name))
}

pub(crate) fn pod(name: &str, owner: Option<(&str, &str)>) -> Value {
    let pod = object(
        "v1",
        "Pod",
        name,
        &json!({"spec": {"containers": [{"name": "app", "image": "app:1"}], "restartPolicy": "Always"}, "status": {"phase": "Pending"}}),
    );
    match owner {
        Some((kind, name)) => with(&pod, &owned(kind, name)),
        None => pod,
    }
}

/// A pod that runs, ready or not, with this state and last state of its container.
pub(crate) fn running(pod: &Value, ready: bool, restarts: u32, state: &Value, last: &Value) -> Value {
    with(
        pod,
        &json!({"spec": {"nodeName": "n1"}, "status": {"phase": "Running", "startTime": NOON,
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }, "lastTransitionTime": "2026-01-01T12:00:05Z"}],
            "containerStatuses": [{"name": "app", "ready": ready, "restartCount": restarts, "state": state, "lastState": last}]}}),
    )
}
