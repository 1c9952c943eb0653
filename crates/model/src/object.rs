//! One Kubernetes object, decoded to what rules read.

use crate::abridged::{Abridged, Cut};
use crate::k8s::{self, null_default};
use crate::shared::Shared;
use crate::specs::Specs;
use crate::whole::Whole;
use crate::{Kind, ResourceRef, Timestamp};
use serde::Deserialize;
use serde::de::Error;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

/// One object: its metadata, the fields rules read, and for kinds whose old states people compare, all of it.
#[derive(Clone, Debug)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// `apiVersion` as served.
    pub api_version: Shared<String>,
    /// Its metadata.
    pub meta: Meta,
    /// The fields rules read.
    pub body: Body,
    /// The whole object for kinds whose old and new states are compared, with Secret values already gone.
    pub whole: Option<Whole>,
}

/// Metadata that rules read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// `metadata.name`.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// `None` for cluster-scoped kinds.
    pub namespace: Option<String>,
    /// Unique over time, unlike the name.
    #[serde(deserialize_with = "null_default")]
    pub uid: String,
    /// Opaque; compared for equality only.
    #[serde(deserialize_with = "null_default")]
    pub resource_version: String,
    /// Counts writes to the spec.
    pub generation: Option<i64>,
    /// When it was created.
    #[serde(rename = "creationTimestamp")]
    pub created: Option<Timestamp>,
    /// When its deletion (grace period included) is due; set means it is being deleted.
    #[serde(rename = "deletionTimestamp")]
    pub deleted: Option<Timestamp>,
    /// The grace period of that deletion, in seconds.
    #[serde(rename = "deletionGracePeriodSeconds")]
    pub deletion_grace: Option<i64>,
    /// Labels.
    #[serde(deserialize_with = "null_default")]
    pub labels: Shared<BTreeMap<String, String>>,
    /// Annotations, without `last-applied-configuration` (see [`Object::last_applied`]).
    #[serde(deserialize_with = "null_default")]
    pub annotations: Shared<BTreeMap<String, String>>,
    /// Owners; at most one is the controller.
    #[serde(rename = "ownerReferences", deserialize_with = "null_default")]
    pub owners: Shared<Vec<Owner>>,
    /// What must agree before the object goes away.
    #[serde(deserialize_with = "null_default")]
    pub finalizers: Shared<Vec<String>>,
    /// Who wrote, and when last.
    #[serde(rename = "managedFields", deserialize_with = "null_default")]
    pub managers: Box<[Manager]>,
}

/// An owner of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Owner {
    /// `apiVersion` of the owner.
    pub api_version: String,
    /// Kind of the owner.
    pub kind: String,
    /// Name of the owner.
    pub name: String,
    /// UID of the owner.
    pub uid: String,
    /// Whether this owner controls the object.
    #[serde(deserialize_with = "null_default")]
    pub controller: bool,
}

/// Who wrote an object: one entry of `managedFields` without the fields, which are read from [`Object::whole`] when
/// somebody asks who owns one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "ManagerFields")]
pub struct Manager {
    /// Who it is, which many objects have alike.
    pub who: Shared<Writer>,
    /// When this manager last wrote.
    pub time: Option<Timestamp>,
}

/// Who writes what in which way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Writer {
    /// Such as `kubectl-edit`, `helm`.
    pub manager: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// `status`, `scale`, …; empty for the main resource.
    pub subresource: String,
}

impl Deref for Manager {
    type Target = Writer;

    fn deref(&self) -> &Writer {
        &self.who
    }
}

/// An entry of `managedFields` as it is written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ManagerFields {
    #[serde(deserialize_with = "null_default")]
    manager: String,
    #[serde(deserialize_with = "null_default")]
    operation: String,
    time: Option<Timestamp>,
    #[serde(deserialize_with = "null_default")]
    subresource: String,
}

impl From<ManagerFields> for Manager {
    fn from(fields: ManagerFields) -> Self {
        let ManagerFields { manager, operation, time, subresource } = fields;
        Manager { who: Writer { manager, operation, subresource }.into(), time }
    }
}

/// The fields rules read, by kind.
#[derive(Clone, Debug)]
pub enum Body {
    /// A Pod.
    Pod(Box<k8s::Pod>),
    /// A Deployment, ReplicaSet, StatefulSet, DaemonSet, ReplicationController or Job: what has a pod template.
    Workload(Box<k8s::Workload>),
    /// A CronJob.
    CronJob(Box<k8s::CronJob>),
    /// A Service.
    Service(Box<k8s::Service>),
    /// An EndpointSlice.
    EndpointSlice(Box<k8s::EndpointSlice>),
    /// A Node.
    Node(Box<k8s::Node>),
    /// A ConfigMap or Secret: the names of its keys.
    Config(Box<k8s::Config>),
    /// A PersistentVolumeClaim.
    Claim(Box<k8s::Claim>),
    /// A PersistentVolume.
    Volume(Box<k8s::PersistentVolume>),
    /// A StorageClass.
    StorageClass(Box<k8s::StorageClass>),
    /// A HorizontalPodAutoscaler.
    Autoscaler(Box<k8s::Autoscaler>),
    /// An Event.
    Event(Box<k8s::Event>),
    /// A kind of which only metadata is read.
    Bare,
}

/// Why bytes are no object.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, nested too deep, or not of the shape its kind has.
    #[error("{place}: {source}")]
    Json {
        /// What was being decoded: the kind and name as far as they were known.
        place: String,
        /// Where and what.
        source: serde_json::Error,
    },
    /// No `kind`, or no `metadata.name`.
    #[error("no {0}")]
    Missing(&'static str),
}

/// The parts of an object, borrowed from its bytes: all that is looked at before anything is copied.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow, default)]
    api_version: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

/// A pod as a list or a watch has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "S: Deserialize<'de>"))]
struct AnyPod<'a, S> {
    #[serde(borrow, default)]
    api_version: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(default)]
    metadata: Option<Meta>,
    #[serde(default)]
    spec: Option<S>,
    #[serde(default)]
    status: Option<k8s::PodStatus>,
}

impl Object {
    /// Decodes one object. `fallback` is the kind to take where the bytes name none, as in the items of a typed list.
    pub fn decode(json: &[u8], fallback: Option<&Kind>) -> Result<Object, DecodeError> {
        Object::decode_keeping(json, fallback, Keeping::of, json.len() <= LARGE_METADATA)
    }

    /// As [`Object::decode`], but what was read before of a pod, its spec and the sets of fields that managers manage, is
    /// not read again.
    pub fn decode_with(specs: &Specs, json: &[u8], fallback: Option<&Kind>) -> Result<Object, DecodeError> {
        if fallback == Some(&Kind::Pod)
            && let Some(Abridged { rest, spec }) = Abridged::of(json, specs.fields())
            && let Some(pod) = Object::decode_pod(&rest, |cut: Option<Cut>, is_ready| match cut {
                Some(Cut) => specs.decode(spec, is_ready),
                // What was cut out is the spec of something else.
                None => Err(serde_json::Error::custom("no spec")),
            })
        {
            return Ok(pod);
        }
        Object::decode(json, fallback)
    }

    /// As [`Object::decode`], keeping all of it whatever its kind: for writing it down again.
    pub fn decode_whole(json: &[u8], fallback: Option<&Kind>) -> Result<Object, DecodeError> {
        let keep = |kind: &Kind| match Keeping::of(kind) {
            Keeping::Dropped => Keeping::Kept,
            other => other,
        };
        Object::decode_keeping(json, fallback, keep, true)
    }

    /// `annotations`: all of them are kept, however large.
    fn decode_keeping(
        json: &[u8],
        fallback: Option<&Kind>,
        keep: fn(&Kind) -> Keeping,
        annotations: bool,
    ) -> Result<Object, DecodeError> {
        if fallback == Some(&Kind::Pod)
            && matches!(keep(&Kind::Pod), Keeping::Dropped)
            && let Some(pod) =
                Object::decode_pod(json, |spec: Option<k8s::PodSpec>, _| Ok(spec.unwrap_or_default().into()))
        {
            return Ok(pod);
        }
        let fail = |place: String| move |source| DecodeError::Json { place, source };
        let envelope: Envelope<'_> = serde_json::from_slice(json).map_err(fail("object".to_owned()))?;
        let kind = match (&envelope.kind, fallback) {
            (Some(name), _) if !name.is_empty() => Kind::of(envelope.api_version.as_deref().unwrap_or(""), name),
            (_, Some(kind)) => kind.clone(),
            _ => return Err(DecodeError::Missing("kind")),
        };
        // A metadata-only answer carries the kind of its envelope, not of the object.
        let kind = match (&kind, fallback) {
            (Kind::Other(other), Some(fallback)) if other.group == "meta.k8s.io" => fallback.clone(),
            _ => kind,
        };
        let api_version = envelope
            .api_version
            .filter(|version| !version.is_empty() && !version.starts_with("meta.k8s.io/"))
            .map_or_else(|| kind.api_version(), Cow::into_owned);
        let metadata = envelope.metadata.ok_or(DecodeError::Missing("metadata"))?;
        let mut meta: Meta =
            serde_json::from_str(metadata.get()).map_err(fail(format!("metadata of a {}", kind.name())))?;
        if meta.name.is_empty() {
            return Err(DecodeError::Missing("metadata.name"));
        }
        if meta.annotations.contains_key(LAST_APPLIED) {
            meta.annotations.remove(LAST_APPLIED);
        }
        if metadata.get().len() > LARGE_METADATA {
            meta.annotations.retain(|_, value| value.len() <= LARGE_ANNOTATION);
        }
        let place = || format!("{} {}", kind.singular(), meta.name);
        let body = Body::decode(&kind, json).map_err(fail(place()))?;
        let mut whole = match keep(&kind) {
            Keeping::Dropped if !meta.is_resized() => None,
            Keeping::Dropped | Keeping::Kept => Some(serde_json::from_slice::<Value>(json).map_err(fail(place()))?),
            Keeping::WithoutValues => Some(without_values(serde_json::from_slice(json).map_err(fail(place()))?)),
        };
        if let Some(whole) = whole.as_mut().filter(|_| !annotations) {
            without_large_annotations(whole);
        }
        Ok(Object { kind, api_version: api_version.into(), meta, body, whole: whole.map(Whole::new) })
    }

    /// Decodes what is expected to be a pod in one go: most objects are, and finding out what one is first takes as long as
    /// reading it. `None` for whatever needs a second look.
    fn decode_pod<'a, S: Deserialize<'a>>(
        json: &'a [u8],
        spec_of: impl FnOnce(Option<S>, bool) -> Result<k8s::PlacedSpec, serde_json::Error>,
    ) -> Option<Object> {
        let AnyPod { api_version, kind, metadata, spec, status } = serde_json::from_slice(json).ok()?;
        let mut meta = metadata?;
        let is_pod =
            matches!((kind.as_deref(), api_version.as_deref()), (None, None) | (Some("Pod"), None | Some("v1")));
        if !is_pod || meta.name.is_empty() || meta.is_resized() {
            return None;
        }
        if meta.annotations.contains_key(LAST_APPLIED) {
            meta.annotations.remove(LAST_APPLIED);
        }
        if json.len() > LARGE_METADATA {
            meta.annotations.retain(|_, value| value.len() <= LARGE_ANNOTATION);
        }
        let mut pod = k8s::Pod { status: status.unwrap_or_default(), ..k8s::Pod::default() };
        pod.spec = spec_of(spec, pod.is_ready()).ok()?;
        let api_version = Kind::Pod.api_version().into();
        Some(Object { kind: Kind::Pod, api_version, meta, body: Body::Pod(Box::new(pod)), whole: None })
    }

    /// A reference to it.
    pub fn reference(&self) -> ResourceRef {
        ResourceRef {
            kind: self.kind.clone(),
            namespace: self.meta.namespace.clone(),
            name: self.meta.name.clone(),
            uid: (!self.meta.uid.is_empty()).then(|| self.meta.uid.clone()),
        }
    }

    /// The namespace, empty for cluster-scoped objects.
    pub fn namespace(&self) -> &str {
        self.meta.namespace.as_deref().unwrap_or("")
    }

    /// The Pod, if it is one.
    pub fn pod(&self) -> Option<&k8s::Pod> {
        match &self.body {
            Body::Pod(pod) => Some(pod),
            _ => None,
        }
    }

    /// What has a pod template, if it does.
    pub fn workload(&self) -> Option<&k8s::Workload> {
        match &self.body {
            Body::Workload(workload) => Some(workload),
            _ => None,
        }
    }

    /// What `kubectl apply` last sent, if the object was applied that way: the one record of a field's earlier value
    /// that plain objects carry with them.
    pub fn last_applied(&self) -> Option<Value> {
        let whole = self.whole()?;
        let text = whole.pointer("/metadata/annotations")?.get(LAST_APPLIED)?.as_str()?;
        serde_json::from_str(text).ok()
    }

    /// All of it, for kinds of which all is kept. Takes some time where it was put away.
    pub fn whole(&self) -> Option<Arc<Value>> {
        self.whole.as_ref().map(Whole::value)
    }
}

impl Meta {
    /// Whether its resources were changed in place: of such pods, which are few, the whole tells what they were before.
    pub fn is_resized(&self) -> bool {
        self.managers.iter().any(|manager| manager.subresource == "resize")
    }

    /// The owner that controls the object.
    pub fn controller(&self) -> Option<&Owner> {
        self.owners.iter().find(|owner| owner.controller)
    }
}

impl Owner {
    /// A reference to the owner of an object in this namespace.
    pub fn reference(&self, namespace: Option<&str>) -> ResourceRef {
        let mut reference = ResourceRef::new(Kind::of(&self.api_version, &self.kind), namespace, &self.name);
        reference.uid = (!self.uid.is_empty()).then(|| self.uid.clone());
        reference
    }
}

/// The annotation in which `kubectl apply` keeps what it sent.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// From how many bytes of metadata on it is looked for what is not worth keeping.
const LARGE_METADATA: usize = 64 * 1024;

/// The largest annotation that is then kept: what rules read is short, and thousands of objects may have large ones.
const LARGE_ANNOTATION: usize = 4 * 1024;

/// What an API server takes of annotations, all together; what is said to have been applied is not larger.
const MOST_APPLIED: usize = 256 * 1024;

/// Which kinds keep the whole object.
enum Keeping {
    Dropped,
    Kept,
    WithoutValues,
}

impl Keeping {
    fn of(kind: &Kind) -> Keeping {
        match kind {
            Kind::Pod | Kind::Event | Kind::EndpointSlice => Keeping::Dropped,
            Kind::Secret => Keeping::WithoutValues,
            _ => Keeping::Kept,
        }
    }
}

/// A Secret without its values, wherever a client may have put them.
fn without_values(mut secret: Value) -> Value {
    if let Some(object) = secret.as_object_mut() {
        for field in ["data", "stringData"] {
            if let Some(Value::Object(entries)) = object.get_mut(field) {
                entries.values_mut().for_each(|value| *value = Value::Null);
            }
        }
        if let Some(Value::Object(annotations)) =
            object.get_mut("metadata").and_then(|meta| meta.get_mut("annotations"))
        {
            annotations.remove(LAST_APPLIED);
        }
    }
    secret
}

fn without_large_annotations(whole: &mut Value) {
    let Some(Value::Object(annotations)) = whole.pointer_mut("/metadata/annotations") else { return };
    annotations.retain(|key, value| {
        let most = if key == LAST_APPLIED { MOST_APPLIED } else { LARGE_ANNOTATION };
        value.as_str().is_none_or(|value| value.len() <= most)
    });
}

#[derive(Deserialize)]
struct SpecAndStatus<S, T> {
    #[serde(default = "Option::default")]
    spec: Option<S>,
    #[serde(default = "Option::default")]
    status: Option<T>,
}

fn parts<'de, S, T>(json: &'de [u8]) -> Result<(S, T), serde_json::Error>
where
    S: Deserialize<'de> + Default,
    T: Deserialize<'de> + Default,
{
    let SpecAndStatus { spec, status } = serde_json::from_slice(json)?;
    Ok((spec.unwrap_or_default(), status.unwrap_or_default()))
}

impl Body {
    fn decode(kind: &Kind, json: &[u8]) -> Result<Body, serde_json::Error> {
        Ok(match kind {
            Kind::Pod => {
                let (spec, status) = parts::<k8s::PodSpec, _>(json)?;
                Body::Pod(Box::new(k8s::Pod { spec: spec.into(), status }))
            }
            Kind::Deployment
            | Kind::ReplicaSet
            | Kind::StatefulSet
            | Kind::DaemonSet
            | Kind::ReplicationController
            | Kind::Job => {
                let (spec, status) = parts(json)?;
                Body::Workload(Box::new(k8s::Workload { spec, status }))
            }
            Kind::CronJob => {
                let (spec, status) = parts(json)?;
                Body::CronJob(Box::new(k8s::CronJob { spec, status }))
            }
            Kind::Service => {
                let (spec, status) = parts(json)?;
                Body::Service(Box::new(k8s::Service { spec, status }))
            }
            Kind::Node => {
                let (spec, status) = parts(json)?;
                Body::Node(Box::new(k8s::Node { spec, status }))
            }
            Kind::PersistentVolumeClaim => {
                let (spec, status) = parts(json)?;
                Body::Claim(Box::new(k8s::Claim { spec, status }))
            }
            Kind::PersistentVolume => {
                let (spec, status) = parts(json)?;
                Body::Volume(Box::new(k8s::PersistentVolume { spec, status }))
            }
            Kind::HorizontalPodAutoscaler => {
                let (spec, status) = parts(json)?;
                Body::Autoscaler(Box::new(k8s::Autoscaler { spec, status }))
            }
            Kind::EndpointSlice => Body::EndpointSlice(Box::new(serde_json::from_slice(json)?)),
            Kind::StorageClass => Body::StorageClass(Box::new(serde_json::from_slice(json)?)),
            Kind::Event => Body::Event(Box::new(serde_json::from_slice(json)?)),
            Kind::ConfigMap | Kind::Secret => Body::Config(Box::new(k8s::Config::decode(json)?)),
            Kind::Namespace | Kind::ControllerRevision | Kind::ServiceAccount | Kind::Other(_) => Body::Bare,
        })
    }
}

/// The value at a path of object keys, for reading [`Object::whole`].
pub fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

/// An empty JSON object, for patches.
pub fn empty() -> Value {
    Value::Object(Map::new())
}
