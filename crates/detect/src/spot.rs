//! Where a pod's spec is written in what a person edits, and how to write something else there.

use crate::{View, blame, describe, ownership};
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Requires, Risk, Severity};
use reckon_model::k8s::{ContainerType, PodSpec};
use reckon_model::{Body, FieldChange, Kind, Object, ResourceRef};
use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;

/// The pod spec of a workload (or of a bare pod) and its place in that object.
pub(crate) struct Spot<'a> {
    /// What is edited.
    pub(crate) workload: &'a Object,
    /// The spec as it stands there; pods may have been made from an earlier one, or had things injected.
    pub(crate) spec: Cow<'a, PodSpec>,
    field: &'static str,
    pointer: &'static str,
}

/// A field of an object in both notations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// List items by name.
    pub(crate) field: String,
    /// RFC 6901, list items by index.
    pub(crate) pointer: String,
}

impl Path {
    /// A field below this one; `key` is a plain key.
    pub(crate) fn key(&self, key: &str) -> Path {
        Path { field: format!("{}.{key}", self.field), pointer: format!("{}/{key}", self.pointer) }
    }

    /// An entry of this map, whose key may have dots and slashes.
    pub(crate) fn entry(&self, key: &str) -> Path {
        if key.contains(['.', '/', '~']) {
            let pointer = format!("{}/{}", self.pointer, reckon_model::diff::escape(key));
            return Path { field: format!("{}[{key}]", self.field), pointer };
        }
        self.key(key)
    }

    /// An item of this list, known by name.
    pub(crate) fn item(&self, name: &str, index: usize) -> Path {
        Path { field: format!("{}[{name}]", self.field), pointer: format!("{}/{index}", self.pointer) }
    }

    /// Whether a change is of this field, of something below it, or brought the whole of what it is in.
    pub(crate) fn is_touched_by(&self, change: &FieldChange) -> bool {
        let below = |whole: &str, part: &str| {
            part.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        below(&self.field, &change.field) || (below(&change.field, &self.field) && change.to.is_some())
    }
}

impl<'a> Spot<'a> {
    /// The pod spec of this object, if it has one that is known.
    pub(crate) fn of(workload: &'a Object) -> Option<Spot<'a>> {
        const TEMPLATE: (&str, &str) = ("spec.template.spec", "/spec/template/spec");
        let (spec, (field, pointer)) = match &workload.body {
            Body::Pod(pod) => (Cow::Borrowed(&*pod.spec.common), ("spec", "/spec")),
            Body::Workload(body) => (Cow::Borrowed(&*body.spec.template.spec), TEMPLATE),
            Body::CronJob(body) => (
                Cow::Borrowed(&*body.spec.job_template.spec.template.spec),
                ("spec.jobTemplate.spec.template.spec", "/spec/jobTemplate/spec/template/spec"),
            ),
            // Custom controllers (Argo Rollouts, Knative, …) mostly write the template where the built-in ones do.
            Body::Bare => {
                let whole = workload.whole()?;
                let value = whole.pointer(TEMPLATE.1)?;
                (Cow::Owned(PodSpec::deserialize(value).ok()?), TEMPLATE)
            }
            _ => return None,
        };
        (!spec.containers.is_empty()).then_some(Spot { workload, spec, field, pointer })
    }

    /// The node that the pod spec names. Of a pod it does not stand in what is common to its template.
    pub(crate) fn node_name(&self) -> &str {
        self.workload.pod().map_or(&self.spec.node_name, |pod| &pod.spec.node_name)
    }

    /// A field of the pod spec; `key` is a plain key.
    pub(crate) fn path(&self, key: &str) -> Path {
        Path { field: format!("{}.{key}", self.field), pointer: format!("{}/{key}", self.pointer) }
    }

    /// A container of the pod spec; `None` where it stands only in the pod: then a webhook injected it.
    pub(crate) fn container(&self, name: &str) -> Option<Path> {
        let at = |list: &[reckon_model::k8s::Container]| list.iter().position(|container| container.name == name);
        let (list, index) = at(&self.spec.containers)
            .map(|index| ("containers", index))
            .or_else(|| at(&self.spec.init_containers).map(|index| ("initContainers", index)))?;
        Some(self.path(list).item(name, index))
    }

    /// A volume of the pod spec.
    pub(crate) fn volume(&self, name: &str) -> Option<Path> {
        let index = self.spec.volumes.iter().position(|volume| volume.name == name)?;
        Some(self.path("volumes").item(name, index))
    }

    /// What stands at a path, as written. Pods are not kept whole: nothing is known of them here.
    pub(crate) fn written(&self, path: &Path) -> Option<Value> {
        self.workload.whole()?.pointer(&path.pointer).cloned()
    }

    /// A cause that is a field wrong as it stands.
    pub(crate) fn wrong(&self, path: &Path, value: Option<Value>, sentence: impl Into<String>) -> Cause {
        self.names(CauseKind::Resource, path, value, sentence)
    }

    /// A cause of this kind for which a field stands: it names what is outside.
    pub(crate) fn names(
        &self,
        kind: CauseKind,
        path: &Path,
        value: Option<Value>,
        sentence: impl Into<String>,
    ) -> Cause {
        let mut cause = Cause::plain(kind, Some(&self.workload.reference()), sentence);
        cause.managed_by = ownership::managed_by(self.workload);
        cause.at_field(&path.field, &path.pointer, value)
    }

    /// A remedy that writes this part of the pod spec, with its patch where a patch of this object would be accepted.
    pub(crate) fn patch(&self, pod_spec: Option<Value>, sentence: impl Into<String>) -> Remedy {
        let mut remedy = remedy(RemedyKind::Patch, &self.workload.reference(), sentence);
        remedy.risk = Risk::Medium;
        remedy.managed_by = ownership::managed_by(self.workload);
        let patch = match self.workload.kind {
            Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet => {
                pod_spec.map(|spec| json!({"spec": {"template": {"spec": spec}}}))
            }
            Kind::CronJob => {
                pod_spec.map(|spec| json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}}))
            }
            // Templates of Jobs and most of a pod may not be changed: they are made anew from their manifest.
            _ => None,
        };
        remedy.patch_type = patch.is_some().then(|| "strategic".to_owned());
        remedy.patch = patch;
        remedy
    }

    /// A remedy that goes back to the template before; only Deployments, StatefulSets and DaemonSets keep one.
    pub(crate) fn roll_back(&self, sentence: impl Into<String>) -> Option<Remedy> {
        matches!(self.workload.kind, Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet).then(|| {
            let mut remedy = remedy(RemedyKind::RollBack, &self.workload.reference(), sentence);
            remedy.risk = Risk::Medium;
            remedy.managed_by = ownership::managed_by(self.workload);
            remedy
        })
    }

    /// The list of a pod spec that a container of this type stands in.
    pub(crate) fn list(kind: ContainerType) -> &'static str {
        match kind {
            ContainerType::Init | ContainerType::Sidecar => "initContainers",
            ContainerType::App => "containers",
            ContainerType::Ephemeral => "ephemeralContainers",
        }
    }
}

/// How bad it is that new pods of a workload do not start: while as many as wanted serve, nobody suffers yet.
pub(crate) fn severity(workload: &Object) -> Severity {
    let serves = match (&workload.kind, workload.workload()) {
        (Kind::Deployment | Kind::StatefulSet, Some(body)) => {
            let wanted = body.spec.replicas.unwrap_or(1);
            wanted > 0 && body.status.available_replicas >= wanted
        }
        _ => false,
    };
    if serves { Severity::Warning } else { Severity::Critical }
}

/// What ends a missing reference: to make what is missing, or, where the reference is what is wrong, to correct that; with
/// its patch where only one name can be meant.
pub(crate) fn supply(view: &View<'_>, cause: &Cause, missing: &ResourceRef, make: impl Into<String>) -> Remedy {
    let Some(referrer) = cause.reference.as_ref().map(ResourceRef::from).filter(|referrer| referrer != missing) else {
        return remedy(RemedyKind::Create, missing, make);
    };
    let field = cause.field.as_deref().unwrap_or("the reference");
    let (who, lacks) = (describe::name(&referrer), format!("{} {}", missing.kind, missing.name));
    let meant = meant(view, cause, &referrer, missing);
    let sentence = match &meant {
        Some((_, right)) => format!("Let {field} in {who} name {right}, which exists, or make {lacks}."),
        None => format!("Correct {field} in {who}, or make {lacks}."),
    };
    let mut remedy = remedy(RemedyKind::Patch, &referrer, sentence);
    remedy.managed_by.clone_from(&cause.managed_by);
    if let Some((pointer, right)) = meant {
        exchange(&mut remedy, &pointer, &missing.name, &right);
    }
    remedy
}

/// What the field of the cause should name, and where it is, in objects in which it can be written.
fn meant(view: &View<'_>, cause: &Cause, referrer: &ResourceRef, missing: &ResourceRef) -> Option<(String, String)> {
    let pointer = cause.pointer.as_deref()?;
    let template = match referrer.kind {
        Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet => "/spec/template/spec/",
        Kind::CronJob => "/spec/jobTemplate/spec/template/spec/",
        Kind::ConfigMap => "/data/",
        _ => return None,
    };
    if !pointer.starts_with(template) || cause.to.as_ref() != Some(&json!(missing.name)) {
        return None;
    }
    // A change of a template is told with the places that its revision had, which may have moved.
    let stands = view.known_one(referrer)?.whole().is_none_or(|whole| whole.pointer(pointer) == cause.to.as_ref());
    let before = || {
        let before = cause.from.as_ref()?.as_str()?;
        let target = ResourceRef::new(missing.kind.clone(), missing.namespace.as_deref(), before);
        view.look_up(&target).found().map(|_| before)
    };
    let right = before().or_else(|| blame::only_near(view, missing)).filter(|_| stands)?;
    Some((pointer.to_owned(), right.to_owned()))
}

/// Gives a remedy the patch that writes one value in place of another, and does nothing where that other is gone.
pub(crate) fn exchange(remedy: &mut Remedy, pointer: &str, wrong: &str, right: &str) {
    remedy.risk = Risk::Medium;
    remedy.patch_type = Some("json".to_owned());
    remedy.patch = Some(json!([
        {"op": "test", "path": pointer, "value": wrong},
        {"op": "replace", "path": pointer, "value": right},
    ]));
}

/// A remedy without a patch: low risk, reversible, with the right that an action of this kind needs.
pub(crate) fn remedy(kind: RemedyKind, on: &ResourceRef, sentence: impl Into<String>) -> Remedy {
    // A pod is its own workload where nothing would make it again: somebody has to.
    let kind = match kind {
        RemedyKind::Restart if on.kind == Kind::Pod => RemedyKind::Create,
        kind => kind,
    };
    let requires = |verb: &str, resource: String| Some(Requires { verb: verb.to_owned(), resource });
    let requires = match kind {
        RemedyKind::Create => requires("create", on.kind.resource()),
        RemedyKind::Delete => requires("delete", on.kind.resource()),
        RemedyKind::Evict => requires("create", "pods/eviction".to_owned()),
        RemedyKind::Outside => None,
        RemedyKind::Patch
        | RemedyKind::SetResources
        | RemedyKind::RollBack
        | RemedyKind::Scale
        | RemedyKind::Restart
        | RemedyKind::Cordon
        | RemedyKind::Uncordon => requires("patch", on.kind.resource()),
    };
    Remedy {
        option: 0,
        kind,
        reference: Some(on.into()),
        managed_by: None,
        patch_type: None,
        patch: None,
        risk: Risk::Low,
        reversible: !matches!(kind, RemedyKind::Delete | RemedyKind::Evict),
        requires,
        allowed: None,
        sentence: sentence.into(),
    }
}
