//! The JSON contract `reckon/v1`: what `-o json` prints, and what a problem is everywhere in Reckon.
//!
//! Additive changes only. The schema generated from these types is committed as `docs/schema/reckon-v1.json` and checked
//! by a test. Times are RFC 3339 UTC; lists are in a deterministic order; enumerations are closed. Fields that nothing
//! fills yet are `null` or empty, never absent.

mod difference;
mod timeline;

pub use crate::death::{Death, DeathScope, Effect, Shape};
pub use difference::{Diff, Differing, Side};
pub use timeline::Timeline;

use crate::{Change, Kind, ResourceRef, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `apiVersion` of every document.
pub const API_VERSION: &str = "reckon/v1";

/// The answer to `reckon why` and `reckon problems`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemList {
    /// Always `reckon/v1`.
    pub api_version: String,
    /// Always `ProblemList`.
    pub kind: String,
    /// The version that answered.
    pub reckon_version: String,
    /// UID of the cluster's `kube-system` namespace, if it could be read.
    pub cluster: Option<String>,
    /// The context of the kubeconfig, where several were asked.
    pub context: Option<String>,
    /// The clock of the diagnosis.
    #[schemars(with = "String")]
    pub as_of: Timestamp,
    /// What was asked about.
    pub scope: Scope,
    /// The answer in a word.
    pub answer: Answer,
    /// The answer in a sentence.
    pub sentence: String,
    /// What was looked at, kinds first.
    pub looked: Vec<String>,
    /// What could not be read, and why.
    pub not_checked: Vec<NotChecked>,
    /// Most severe first, then widest impact, then oldest.
    pub problems: Vec<Problem>,
    /// What the object that was asked about names, and whether it is there.
    #[serde(default)]
    pub connected: Vec<Connected>,
}

/// What was asked about. All `null` for the whole cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scope {
    /// The kind of the object, if one was named.
    pub kind: Option<String>,
    /// The namespace, if one was named.
    pub namespace: Option<String>,
    /// The object's name, if one was named.
    pub name: Option<String>,
}

/// The answer in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Something is wrong and is listed.
    Problem,
    /// Nothing wrong was found in what was looked at.
    NoFault,
    /// A roll-out, a start, a wait that is normal.
    InProgress,
    /// Scaled to zero, suspended, cordoned for a drain.
    Intentional,
    /// Something is wrong, or could not be read, and no cause is proved.
    Undetermined,
}

/// Something that was not read, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct NotChecked {
    /// What it would have told.
    pub what: String,
    /// The exact missing verb, URL or component.
    pub why: String,
}

/// Findings that share one root, from opening to closing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Stable while the problem lasts and when it comes back.
    pub id: String,
    /// The problem it turned out to be part of.
    pub merged_into: Option<String>,
    /// The failure's slug in the catalogue.
    pub failure: String,
    /// A closed set per failure, or `null`.
    pub class: Option<String>,
    /// What is wrong and why, in a sentence.
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub verdict: Verdict,
    /// The earliest evidence's time.
    #[schemars(with = "Option<String>")]
    pub opened: Option<Timestamp>,
    /// When it closed.
    #[schemars(with = "Option<String>")]
    pub closed: Option<Timestamp>,
    /// Why it closed, in words.
    pub closed_reason: Option<String>,
    /// 1, and one more for every recurrence.
    pub episode: u32,
    /// The nearest owner with a pod template, or the object itself.
    pub subject: Subject,
    /// What has to be touched to end it.
    pub cause: Cause,
    /// Only for memory deaths.
    pub death: Option<Death>,
    /// Causes that are possible too.
    pub alternatives: Vec<Alternative>,
    /// From the root to the last symptom.
    pub chain: Vec<Link>,
    /// Facts, numbered; sentences cite them.
    pub evidence: Vec<Evidence>,
    /// What it is not, and which facts say so.
    pub ruled_out: Vec<RuledOut>,
    /// Changes and other problems that might have been the cause, and why they are not; where one object was asked about.
    #[serde(default)]
    pub considered: Vec<Considered>,
    /// What could not be read about it.
    pub not_checked: Vec<NotChecked>,
    /// Who suffers.
    pub impact: Impact,
    /// What follows from it.
    pub symptoms: Vec<Symptom>,
    /// What would end it, best first.
    pub remedies: Vec<Remedy>,
    /// Where the decisive fact can be looked at.
    #[serde(default)]
    pub show: Option<Show>,
}

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody suffers now.
    Critical,
    /// Somebody will, or a part does.
    Warning,
    /// Worth knowing.
    Info,
}

/// How sure. Ordered from sure to unsure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// A direct observation and a mechanism.
    Confirmed,
    /// One of the two, and nothing against it.
    Likely,
    /// It fits.
    Possible,
    /// No cause is known.
    Unknown,
}

impl Verdict {
    /// One step less sure: what a missing permission costs.
    #[must_use]
    pub fn weakened(self) -> Verdict {
        match self {
            Verdict::Confirmed => Verdict::Likely,
            Verdict::Likely => Verdict::Possible,
            Verdict::Possible | Verdict::Unknown => Verdict::Unknown,
        }
    }
}

/// An object, as the document names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ref {
    /// As written in manifests.
    pub api_version: String,
    /// As written in manifests.
    pub kind: String,
    /// `null` for cluster-scoped kinds.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// The UID, where it was read.
    pub uid: Option<String>,
}

impl From<&ResourceRef> for Ref {
    fn from(reference: &ResourceRef) -> Self {
        Ref {
            api_version: reference.kind.api_version(),
            kind: reference.kind.name().to_owned(),
            namespace: reference.namespace.clone(),
            name: reference.name.clone(),
            uid: reference.uid.clone(),
        }
    }
}

impl From<&Ref> for ResourceRef {
    fn from(reference: &Ref) -> Self {
        let mut out = ResourceRef::new(
            Kind::of(&reference.api_version, &reference.kind),
            reference.namespace.as_deref(),
            &reference.name,
        );
        out.uid = reference.uid.clone();
        out
    }
}

/// What a problem is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// The object.
    #[serde(flatten)]
    pub reference: Ref,
    /// The container, where it is one's problem.
    pub container: Option<String>,
    /// `init`, `sidecar`, `app` or `ephemeral`.
    pub container_type: Option<String>,
}

/// What has to be touched to end a problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// What sort of cause.
    pub kind: CauseKind,
    /// The one object that a person has to touch.
    #[serde(rename = "ref")]
    pub reference: Option<Ref>,
    /// Where in it, list items by name.
    pub field: Option<String>,
    /// Where in it, as an RFC 6901 pointer.
    pub pointer: Option<String>,
    /// The earlier value, as written.
    pub from: Option<Value>,
    /// The present value, as written.
    pub to: Option<Value>,
    /// When it was changed.
    #[schemars(with = "Option<String>")]
    pub at: Option<Timestamp>,
    /// Who changed it.
    pub actor: Option<Actor>,
    /// What owns the field, so that a live patch would be reverted: `helm`, `argocd`, `flux`, or the custom resource
    /// (`KIND/NAME`) from which an operator makes the object.
    pub managed_by: Option<String>,
    /// In words.
    pub sentence: String,
}

/// What sort of cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CauseKind {
    /// Something was changed or deleted.
    Change,
    /// An object is wrong or missing as it stands.
    Resource,
    /// A node.
    Node,
    /// The program itself.
    Application,
    /// Registry, DNS, cloud, a person outside; `ref` is the object in the cluster that names it.
    External,
    /// Not known.
    Unknown,
}

/// Who wrote, as far as the cluster remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Actor {
    /// Field manager.
    pub manager: String,
    /// Person or account.
    pub user: Option<String>,
    /// `managedFields`, `helm`, `audit`.
    pub source: String,
}

/// A cause that is possible too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alternative {
    /// The object it would be.
    #[serde(rename = "ref")]
    pub reference: Option<Ref>,
    /// How sure.
    pub verdict: Verdict,
    /// In words, with what would settle it.
    pub sentence: String,
}

/// One step from the root to the last symptom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Link {
    /// The object.
    #[serde(rename = "ref")]
    pub reference: Ref,
    /// `root`, `via` or `symptom`.
    pub role: LinkRole,
}

/// The part an object plays in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LinkRole {
    /// Where it starts.
    Root,
    /// What carries it.
    Via,
    /// Where it shows.
    Symptom,
}

/// A fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// `E1`, `E2`, … within the problem.
    pub id: String,
    /// The part it plays.
    pub role: Role,
    /// Where it is from.
    pub source: Source,
    /// When it happened.
    #[schemars(with = "Option<String>")]
    pub at: Option<Timestamp>,
    /// The object it is about.
    #[serde(rename = "ref")]
    pub reference: Option<Ref>,
    /// In words.
    pub text: String,
    /// As the cluster said it.
    pub raw: Option<Value>,
}

/// The part a fact plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It shows why.
    Cause,
    /// It shows what.
    Symptom,
    /// It shows what it is not.
    RuledOut,
}

/// Where a fact is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A write to an object.
    Change,
    /// A container's status.
    Status,
    /// A condition.
    Condition,
    /// What an object asks for.
    Spec,
    /// An Event.
    Event,
    /// A log line.
    Log,
    /// A measurement.
    Metric,
    /// A Node object.
    Node,
    /// The kernel's own words.
    Kernel,
    /// That something is not there.
    Absence,
}

/// What it is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuledOut {
    /// In a few words.
    pub what: String,
    /// Ids of the evidence that says so.
    pub because: Vec<String>,
}

/// What an object names in one of its fields, and what is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connected {
    /// What it is to the object: `owner`, `backend`, `configuration`, `storage`, `class`, …
    pub relation: String,
    /// The field that names it, list items by name or index.
    pub field: String,
    /// The object that is named, where it is one.
    #[serde(rename = "ref")]
    pub reference: Option<Ref>,
    /// What is named, in words.
    pub what: String,
    /// Whether it is there.
    pub state: Connection,
    /// Whether the object does without it.
    pub optional: bool,
    /// When it was deleted, where that is known.
    #[schemars(with = "Option<String>")]
    pub deleted: Option<Timestamp>,
    /// What may have been meant where it is missing.
    pub hint: Option<String>,
}

/// Whether what is named is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    /// It is there.
    There,
    /// It is not there.
    Missing,
    /// It was not read, or may not be.
    Unknown,
    /// No object stands for it.
    Program,
}

/// What might have been the cause and is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Considered {
    /// The object.
    #[serde(rename = "ref")]
    pub reference: Option<Ref>,
    /// When it was changed, or began to fail.
    #[schemars(with = "Option<String>")]
    pub at: Option<Timestamp>,
    /// What was done to it, or what ails it.
    pub what: String,
    /// Why that is not the cause.
    pub because: String,
}

/// Who suffers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Impact {
    /// Pods of the subject.
    pub pods: PodCount,
    /// Other workloads.
    pub workloads: Vec<Ref>,
    /// Services with fewer or no endpoints.
    pub services: Vec<Ref>,
    /// Those of the Services that have no ready endpoint.
    #[serde(default)]
    pub empty_services: Vec<Ref>,
    /// Routes and ingresses to them.
    pub routes: Vec<Ref>,
    /// Who calls them.
    pub callers: Vec<Ref>,
    /// What of it people meet: Services without a ready endpoint, what leads to them and who calls them, in sentences.
    #[serde(default)]
    pub sentence: Option<String>,
}

/// Affected pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PodCount {
    /// Affected.
    pub affected: u32,
    /// Of how many.
    pub of: u32,
}

/// What follows from a problem.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Symptom {
    /// Its own slug.
    pub failure: String,
    /// The object it shows on.
    #[serde(rename = "ref")]
    pub reference: Ref,
}

/// One look at a cluster that shows a fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Show {
    /// The object looked at.
    #[serde(rename = "ref")]
    pub reference: Ref,
    /// What of it.
    #[serde(flatten)]
    pub look: Look,
    /// Id of the evidence that it shows; `null` where it shows the cause's field.
    pub evidence: Option<String>,
}

/// What of an object is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "look", rename_all = "kebab-case")]
pub enum Look {
    /// Whether it is there.
    Object,
    /// What it is and what was said of it.
    Describe,
    /// A part of it.
    Field {
        /// In kubectl's JSONPath, without the braces.
        path: String,
    },
    /// What a container of it wrote.
    Log {
        /// The container.
        container: String,
        /// Of the instance before the present one.
        previous: bool,
    },
    /// The Events about it.
    Events,
    /// What it uses.
    Usage,
    /// The pods in its namespace with certain labels.
    Pods {
        /// Which labels.
        selector: String,
    },
}

/// What would end a problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Remedy {
    /// 1, 2, … within the problem.
    pub option: u32,
    /// What sort of action.
    pub kind: RemedyKind,
    /// The object acted on.
    #[serde(rename = "ref")]
    pub reference: Option<Ref>,
    /// What owns the field, so that the change belongs there first.
    pub managed_by: Option<String>,
    /// `strategic`, `merge` or `json`, where there is a patch.
    pub patch_type: Option<String>,
    /// The patch.
    pub patch: Option<Value>,
    /// What may go wrong.
    pub risk: Risk,
    /// Whether it can be undone.
    pub reversible: bool,
    /// The right it needs.
    pub requires: Option<Requires>,
    /// Whether the asking user has that right; `null` if not asked.
    pub allowed: Option<bool>,
    /// In words.
    pub sentence: String,
}

impl Remedy {
    /// Whether there is enough in it to carry it out: the kinds that `fix --apply` knows, with their patch where they need
    /// one.
    #[must_use]
    pub fn can_be_carried_out(&self) -> bool {
        let Some(reference) = &self.reference else { return false };
        let rolled_out = matches!(reference.kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet");
        match self.kind {
            RemedyKind::Patch | RemedyKind::SetResources | RemedyKind::Scale => self.patch.is_some(),
            RemedyKind::RollBack => self.patch.is_some() || rolled_out,
            RemedyKind::Restart => rolled_out,
            RemedyKind::Cordon | RemedyKind::Uncordon => reference.kind == "Node",
            RemedyKind::Evict => reference.kind == "Pod",
            RemedyKind::Create | RemedyKind::Delete | RemedyKind::Outside => false,
        }
    }
}

/// What sort of action. A closed set: nothing outside it can be proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RemedyKind {
    /// Change a field.
    Patch,
    /// Set limits or requests.
    SetResources,
    /// Go back to an earlier revision.
    RollBack,
    /// Change the number of replicas.
    Scale,
    /// Make new pods.
    Restart,
    /// Make an object that is missing.
    Create,
    /// Delete one object.
    Delete,
    /// Move a pod away.
    Evict,
    /// Keep new pods off a node.
    Cordon,
    /// Let pods onto a node again.
    Uncordon,
    /// Something for a person outside the cluster.
    Outside,
}

/// What may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Little.
    Low,
    /// A restart, a shortage.
    Medium,
    /// An outage, lost data.
    High,
}

/// The right an action needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Requires {
    /// Such as `patch`.
    pub verb: String,
    /// Such as `deployments.apps`.
    pub resource: String,
}

impl From<&crate::Actor> for Actor {
    fn from(actor: &crate::Actor) -> Self {
        Actor { manager: actor.manager.clone(), user: actor.user.clone(), source: actor.source.word().to_owned() }
    }
}

impl Cause {
    /// A cause without a change: an object, or nothing, and a sentence.
    pub fn plain(kind: CauseKind, reference: Option<&ResourceRef>, sentence: impl Into<String>) -> Self {
        Cause {
            kind,
            reference: reference.map(Ref::from),
            field: None,
            pointer: None,
            from: None,
            to: None,
            at: None,
            actor: None,
            managed_by: None,
            sentence: sentence.into(),
        }
    }

    /// A cause that is the `n`th field of a change.
    pub fn changed(change: &Change, field: usize, sentence: impl Into<String>) -> Self {
        let mut cause = Cause::plain(CauseKind::Change, Some(&change.subject), sentence);
        if let Some(field) = change.fields.get(field) {
            cause.field = Some(field.field.clone());
            cause.pointer = Some(field.pointer.clone());
            cause.from = field.from.clone();
            cause.to = field.to.clone();
        }
        cause.at = Some(change.at);
        cause.actor = change.actor.as_ref().map(Actor::from);
        cause
    }

    /// The same cause with the field that is wrong as it stands.
    #[must_use]
    pub fn at_field(mut self, field: impl Into<String>, pointer: impl Into<String>, value: Option<Value>) -> Self {
        self.field = Some(field.into());
        self.pointer = Some(pointer.into());
        self.to = value;
        self
    }
}
