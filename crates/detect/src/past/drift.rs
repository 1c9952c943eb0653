//! One object in two clusters: what differs of what people mean by it.

use crate::redact;
use reckon_model::diff::diff;
use reckon_model::document::NotChecked;
use reckon_model::text::count;
use reckon_model::{FieldChange, Kind, Object};
use serde_json::{Map, Value};

/// What differs between two objects, and what was not compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// What differs, in the order of pointers.
    pub fields: Vec<FieldChange>,
    /// What was not compared, and why.
    pub not_checked: Vec<NotChecked>,
}

/// Compares two objects of one kind by what people write: without their status, names of instances, times, and what clusters and
/// nodes assign.
pub fn compared(first: &Object, second: &Object) -> Compared {
    let bare = |object: &Object| object.whole().map(|whole| meant(&whole, &object.kind)).unwrap_or_default();
    let (first, second, kind) = (bare(first), bare(second), &first.kind);
    let mut not_checked = Vec::new();
    if *kind == Kind::Secret {
        let why = "they are never read; the names of keys are compared".to_owned();
        not_checked.push(NotChecked { what: "values of the Secret".to_owned(), why });
    }
    let redacted = redacted(&first).max(redacted(&second));
    if redacted > 0 && *kind != Kind::Secret {
        let why = "what looks like a credential is left out before anything is compared".to_owned();
        not_checked.push(NotChecked { what: count(redacted, "value"), why });
    }
    Compared { fields: diff(&first, &second, "", ""), not_checked }
}

/// How many strings were redacted.
fn redacted(value: &Value) -> usize {
    match value {
        Value::String(text) => usize::from(redact::is_redacted(text)),
        Value::Array(items) => items.iter().map(redacted).sum(),
        Value::Object(map) => map.values().map(redacted).sum(),
        _ => 0,
    }
}

/// Annotations that controllers and clients keep their own affairs in, by the beginnings of their names.
const BOOKKEEPING: [&str; 9] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "kubectl.kubernetes.io/restartedAt",
    "deployment.kubernetes.io/",
    "deprecated.daemonset.template.generation",
    "pv.kubernetes.io/",
    "volume.kubernetes.io/selected-node",
    "control-plane.alpha.kubernetes.io/leader",
    "autoscaling.alpha.kubernetes.io/",
    "node.alpha.kubernetes.io/",
];

/// Labels that name an instance.
const INSTANCES: [&str; 6] = [
    "pod-template-hash",
    "controller-revision-hash",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "pod-template-generation",
    "kubernetes.io/hostname",
];

/// What is left of an object when all that follows from where and when it is has gone.
fn meant(whole: &Value, kind: &Kind) -> Value {
    let Some(object) = whole.as_object() else { return Value::Null };
    let mut kept: Map<String, Value> = object.clone();
    for key in ["apiVersion", "kind", "status"] {
        kept.remove(key);
    }
    if let Some(metadata) = kept.get_mut("metadata") {
        let names = ["labels", "annotations", "finalizers"];
        let lasting: Map<String, Value> =
            names.into_iter().filter_map(|name| Some((name.to_owned(), metadata.get(name)?.clone()))).collect();
        *metadata = Value::Object(lasting);
        plain_metadata(metadata);
    }
    let mut kept = Value::Object(kept);
    for place in ["/spec/template/metadata", "/spec/jobTemplate/metadata", "/spec/jobTemplate/spec/template/metadata"] {
        if let Some(metadata) = kept.pointer_mut(place) {
            remove(metadata, &["creationTimestamp"]);
            plain_metadata(metadata);
        }
    }
    assigned(&mut kept, kind);
    if *kind == Kind::Secret {
        // Whatever stands for a value that was not read: that there is one is what is compared.
        for value in kept.get_mut("data").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
            *value = Value::from("(a value)");
        }
    }
    kept
}

fn plain_metadata(metadata: &mut Value) {
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|key, _| !BOOKKEEPING.iter().any(|start| key.starts_with(start)));
    }
    if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
        labels.retain(|key, _| !INSTANCES.contains(&key.as_str()));
    }
}

fn remove(value: &mut Value, keys: &[&str]) {
    if let Some(map) = value.as_object_mut() {
        keys.iter().for_each(|key| drop(map.remove(*key)));
    }
}

/// Takes away what a cluster or a node assigns.
fn assigned(object: &mut Value, kind: &Kind) {
    // A headless Service is one on purpose.
    let headless = object.pointer("/spec/clusterIP").is_some_and(|address| address == "None");
    if *kind == Kind::ServiceAccount {
        remove(object, &["secrets"]);
    }
    let Some(spec) = object.get_mut("spec") else { return };
    match kind {
        Kind::Pod => {
            remove(spec, &["nodeName"]);
            without_tokens(spec);
        }
        Kind::Service => {
            remove(spec, &["healthCheckNodePort"]);
            if !headless {
                remove(spec, &["clusterIP", "clusterIPs"]);
            }
            for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
                remove(port, &["nodePort"]);
            }
        }
        Kind::PersistentVolumeClaim => remove(spec, &["volumeName"]),
        Kind::PersistentVolume => {
            if let Some(claim) = spec.get_mut("claimRef") {
                remove(claim, &["uid", "resourceVersion"]);
            }
        }
        Kind::Node => remove(spec, &["podCIDR", "podCIDRs", "providerID"]),
        Kind::Job => {
            if let Some(labels) = spec.pointer_mut("/selector/matchLabels") {
                remove(labels, &INSTANCES);
            }
        }
        _ => {}
    }
}

/// Takes the volume of the token away that an admission adds to every pod, with five letters of its own.
fn without_tokens(spec: &mut Value) {
    let is_token = |item: &Value| {
        item.get("name").and_then(Value::as_str).is_some_and(|name| name.starts_with("kube-api-access-"))
    };
    if let Some(volumes) = spec.get_mut("volumes").and_then(Value::as_array_mut) {
        volumes.retain(|volume| !is_token(volume));
    }
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(mounts) = container.get_mut("volumeMounts").and_then(Value::as_array_mut) {
                mounts.retain(|mount| !is_token(mount));
            }
        }
    }
}
