//! What can have happened.

use crate::Timestamp;
use crate::change::{Actor, FieldChange, Verb};
use crate::document::Severity;
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What happened, in the closed set of things a record holds. What a newer program writes and this one does not know is read
/// as [`Fact::Unknown`] and kept as it is.
///
/// In JSON an object with one member, named by [`Fact::word`]: `{"death": {…}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "kebab-case")]
pub enum Fact {
    /// An object was written: what people and controllers decide, not what counters count.
    Change(Written),
    /// An object that was there when watching began: what it looked like, and no news.
    Seen(Seen),
    /// A workload's pods are being replaced, or have been.
    Rollout(Rollout),
    /// A Helm release came to a revision.
    Release(Release),
    /// Argo CD or Flux brought a cluster to a revision of a repository.
    Sync(Synced),
    /// A container died.
    Death(Death),
    /// A pod came to another phase of its life.
    Phase(PhaseTurn),
    /// A node came, left or turned.
    Node(NodeTurn),
    /// Kubernetes Events of one kind about one object, folded into one.
    Event(Folded),
    /// A problem opened, became clearer or closed.
    Problem(ProblemTurn),
    /// A mark that somebody set from outside: a deployment, a feature flag, an alert.
    Mark(Mark),
    /// A time in which nobody watched.
    Unseen(Unseen),
    /// Entries that were let go for want of room, in numbers.
    Summary(Summary),
    /// What a newer program wrote.
    #[serde(skip)]
    Unknown(Value),
}

impl Fact {
    /// The word for it, as in the JSON and in filters.
    pub fn word(&self) -> &str {
        match self {
            Fact::Change(_) => "change",
            Fact::Seen(_) => "seen",
            Fact::Rollout(_) => "rollout",
            Fact::Release(_) => "release",
            Fact::Sync(_) => "sync",
            Fact::Death(_) => "death",
            Fact::Phase(_) => "phase",
            Fact::Node(_) => "node",
            Fact::Event(_) => "event",
            Fact::Problem(_) => "problem",
            Fact::Mark(_) => "mark",
            Fact::Unseen(_) => "unseen",
            Fact::Summary(_) => "summary",
            Fact::Unknown(value) => {
                value.as_object().and_then(|members| members.keys().next()).map_or("unknown", String::as_str)
            }
        }
    }

    /// What it is told apart by within its word, where there is one closed word for that: a death's reason, an Event's, a
    /// pod's or node's, and the failure of a problem.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Fact::Death(death) => Some(&death.reason),
            Fact::Phase(turn) => turn.reason.as_deref(),
            Fact::Node(turn) => turn.reason.as_deref(),
            Fact::Event(folded) => Some(&folded.reason),
            Fact::Problem(turn) => Some(&turn.failure),
            _ => None,
        }
    }
}

impl Fact {
    /// What this says of how the object's written parts are: of a write, and of one that was found as it is.
    pub fn into_written(self) -> Option<Written> {
        match self {
            Fact::Change(written) => Some(written),
            Fact::Seen(Seen { generation, version, object, phase: _ }) => Some(Written {
                verb: Verb::Updated,
                fields: Vec::new(),
                actor: None,
                generation,
                version,
                object,
                after: None,
            }),
            _ => None,
        }
    }
}

impl Serialize for Fact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Fact::Unknown(value) => value.serialize(serializer),
            known => Fact::serialize(known, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Fact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        match Fact::deserialize(&mut serde_json::Deserializer::from_str(raw.get())) {
            Ok(known) => Ok(known),
            Err(_) => serde_json::from_str(raw.get()).map(Fact::Unknown).map_err(D::Error::custom),
        }
    }
}

/// A write to an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Written {
    /// What was done to it.
    pub verb: Verb,
    /// The fields that differ, in the order of their pointers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
    /// Who, as far as the cluster remembers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// `metadata.generation` after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// `metadata.resourceVersion` after it, empty where the API server did not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// All that people wrote of the object, where the fields alone would not tell: of one that came or went, and now and
    /// then of one that changes, so that it can be shown as of any time. Redacted like everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Value>,
    /// Where the moment is not known, since when it may have been: it was between this and the entry's time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub after: Option<Timestamp>,
}

/// An object as it was when watching began: of these, and of what was created since, all later states follow by the fields
/// that changed. It happened at no time; the entry has the time of the look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// `metadata.generation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// `metadata.resourceVersion`, empty where the API server did not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// All that people wrote of it, redacted; `None` for a pod that is as its controller's template says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Value>,
    /// Of a pod, where it is in its life, since when and where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<PhaseTurn>,
}

/// The replacement of a workload's pods by those of another template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// How far it is.
    pub state: RolloutState,
    /// The revision it goes to: a Deployment's number, a StatefulSet's or DaemonSet's controller revision.
    pub to: String,
    /// The revision it came from, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Images that differ, by container: old and new.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, (Option<String>, Option<String>)>,
    /// Other fields of the pod template that differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
    /// Who wrote the template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// Why, in the controller's words, where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How far a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RolloutState {
    /// The template was written.
    Started,
    /// All pods are of the new template and available.
    Done,
    /// The controller gave up waiting.
    Failed,
    /// The template of an earlier revision was written again.
    RolledBack,
}

/// A revision of a Helm release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// The release.
    pub name: String,
    /// Its revision.
    pub revision: u64,
    /// Helm's own word: `deployed`, `failed`, `superseded`, `pending-upgrade` …
    pub status: String,
    /// The chart, such as `checkout`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub chart: String,
    /// The chart's version, and the one before where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<(Option<String>, String)>,
    /// What differs in the manifests it made, by object: `Deployment shop/checkout` and the fields.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub objects: BTreeMap<String, Vec<FieldChange>>,
}

/// A synchronisation by Argo CD or Flux.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Synced {
    /// `argocd` or `flux`.
    pub tool: String,
    /// The revision it came to.
    pub to: String,
    /// The one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The tool's own word for how it went.
    pub status: String,
    /// Its own message, where it did not go well.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// The end of a container's process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Death {
    /// The container.
    pub container: String,
    /// The kubelet's word: `OOMKilled`, `Error`, `Completed`, `ContainerStatusUnknown` …
    pub reason: String,
    /// The exit code.
    pub exit_code: i32,
    /// When it had begun, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub started: Option<Timestamp>,
    /// How often the container had been restarted before this death.
    pub restarts: u32,
    /// How many deaths came just before this one of which nothing is known but that the kubelet counted them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub untold: u32,
    /// The node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// Whether there is nothing to say.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Where a pod is in its life, as people speak of it and `status.phase` alone does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Not on a node yet.
    Pending,
    /// On a node, its containers not all running.
    Starting,
    /// Running and ready.
    Ready,
    /// Running and not ready.
    NotReady,
    /// Ended well.
    Succeeded,
    /// Ended badly, evicted included.
    Failed,
    /// To be deleted.
    Terminating,
    /// Gone.
    Deleted,
}

/// A pod's step from one phase to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PhaseTurn {
    /// The phase it came to.
    pub to: Phase,
    /// The one it was in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Phase>,
    /// The node it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// `status.reason` or that of the container that waits: `Evicted`, `CrashLoopBackOff` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What became of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeTurn {
    /// `joined`, `left`, or a condition that turned, such as `Ready` or `MemoryPressure`.
    pub what: String,
    /// The condition's new status: `True`, `False`, `Unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The condition's reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Kubernetes Events of one reason about one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Folded {
    /// `reason`.
    pub reason: String,
    /// The last message.
    pub message: String,
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// How often since `first`.
    pub count: u64,
    /// When the first of them was.
    #[schemars(with = "String")]
    pub first: Timestamp,
    /// Who reported it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub component: String,
}

/// What became of a problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemTurn {
    /// The problem.
    pub id: String,
    /// Which time it is that this problem is there, from 1.
    pub episode: u32,
    /// What happened to it.
    pub turn: Turn,
    /// The failure's slug.
    pub failure: String,
    /// How bad it is.
    pub severity: Severity,
    /// The problem in a sentence.
    pub title: String,
    /// Why it closed, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What can happen to a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Turn {
    /// It is there.
    Opened,
    /// Its cause or severity is another.
    Changed,
    /// It is over.
    Closed,
}

/// A mark from outside the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// Who set it, such as `alertmanager` or the name of a pipeline.
    pub source: String,
    /// What it says, in a few words.
    pub title: String,
    /// More of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Where more is to be read: http or https.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Names and values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A time in which a kind was not watched. What differs after it happened at some moment of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unseen {
    /// From when.
    #[schemars(with = "String")]
    pub from: Timestamp,
    /// Until when.
    #[schemars(with = "String")]
    pub to: Timestamp,
    /// What was not watched, as in RBAC rules: `pods`, `deployments.apps`; empty for all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resource: String,
    /// Why not.
    pub why: String,
}

/// What was let go for want of room: how many entries of each fact between two times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The first one's time.
    #[schemars(with = "String")]
    pub from: Timestamp,
    /// The last one's time.
    #[schemars(with = "String")]
    pub to: Timestamp,
    /// By the word of the fact.
    pub counts: BTreeMap<String, u64>,
    /// Why.
    pub why: String,
}
