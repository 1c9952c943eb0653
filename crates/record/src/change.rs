//! Writes of objects, field by field.

use crate::actor::{self, Wrote};
use crate::bound;
use crate::look::Look;
use crate::noise::Noise;
use crate::noise::table::{AUTOSCALED, DEFAULTED, ENDPOINTS, HELM, MADE, SCALED_SET, STATUS};
use crate::written::{self, Text};
use reckon_model::diff::diff;
use reckon_model::record::Written;
use reckon_model::{Actor, Body, FieldChange, Kind, Object, ResourceRef, Timestamp, Verb};
use serde_json::Value;
use std::collections::BTreeMap;

/// What differs between two states of an object.
#[derive(Default)]
pub(crate) struct Updated {
    /// By who wrote it.
    pub(crate) told: Vec<(Timestamp, Written)>,
    /// What people wrote, as it is now, where it differs or may; also where what differs is not told.
    pub(crate) written: Option<Value>,
}

/// What differs between two states of an object; nothing where that is nothing. Of a write whose values nobody may see,
/// that it was.
pub(crate) fn updated(look: &Look<'_>, before: &Object, now: &Object, version: &str) -> Updated {
    if is_untold(look.noise, look.state, now) || is_untouched(look.noise, before, now) {
        return Updated::default();
    }
    let (old, new) = (written::read(before, look.noise), written::read(now, look.noise));
    let last = actor::last(Some(before), now);
    let fields = diff(&old.written, &new.written, "", "");
    // A value that was read of one of the two alone: that it differs is no sight of a write.
    let read_once = |field: &FieldChange| match (&field.from, &field.to) {
        (Some(from), Some(to)) => (from == written::UNREAD) != (to == written::UNREAD),
        _ => false,
    };
    if fields.iter().all(read_once) {
        let told = unseen(look, (before, &old), (now, &new), last, version);
        let written = (!told.is_empty()).then_some(new.written);
        return Updated { told, written };
    }
    let mut by: BTreeMap<Option<Actor>, (Option<Timestamp>, Vec<FieldChange>)> = BTreeMap::new();
    for field in fields {
        let wrote = actor::of_field(new.live.as_deref(), last.as_ref(), &field);
        if is_noise(look, now, &field, wrote.as_ref(), &new) {
            continue;
        }
        let (actor, at) = wrote.map_or((None, None), |(actor, at)| (Some(actor), at));
        let (latest, fields) = by.entry(actor).or_default();
        *latest = (*latest).max(at);
        fields.push(field);
    }
    let written = |(actor, (at, mut fields)): (Option<Actor>, (Option<Timestamp>, Vec<FieldChange>))| {
        fields.iter_mut().for_each(bound::field);
        (look.moment(at), of(Verb::Updated, look, now, version, actor, fields))
    };
    Updated { told: by.into_iter().map(written).collect(), written: Some(new.written) }
}

/// What was created, as it is.
pub(crate) fn created(look: &Look<'_>, object: &Object, version: &str) -> (Timestamp, Written) {
    let maker = actor::last(None, object).map(|(actor, _)| actor);
    let written = of(Verb::Created, look, object, version, maker, Vec::new());
    // When it was created is known, whoever watched.
    let after = look.since.filter(|_| object.meta.created.is_none());
    (look.moment(object.meta.created), Written { object: Some(keyframe(object, look.noise)), after, ..written })
}

/// What was deleted, as it was; who did it Kubernetes does not remember.
pub(crate) fn deleted(look: &Look<'_>, object: &Object) -> Written {
    let written = of(Verb::Deleted, look, object, "", None, Vec::new());
    Written { object: Some(keyframe(object, look.noise)), ..written }
}

/// All that people wrote of an object.
pub(crate) fn keyframe(object: &Object, noise: &Noise) -> Value {
    bounded(written::read(object, noise).written)
}

/// The same of what was read before.
pub(crate) fn bounded(mut written: Value) -> Value {
    bound::value(&mut written);
    written
}

fn of(
    verb: Verb,
    look: &Look<'_>,
    object: &Object,
    version: &str,
    actor: Option<Actor>,
    fields: Vec<FieldChange>,
) -> Written {
    Written {
        verb,
        fields,
        actor,
        generation: object.meta.generation,
        version: version.to_owned(),
        object: None,
        after: look.since,
    }
}

/// Whether certainly nothing was written but the status, told without unpacking anything.
fn is_untouched(noise: &Noise, before: &Object, now: &Object) -> bool {
    let (old, new) = (&before.meta, &now.meta);
    let body = match (&before.body, &now.body) {
        (Body::Pod(old), Body::Pod(new)) => {
            old.spec.common.is_one(&new.spec.common) || old.spec.common == new.spec.common
        }
        // Each write of anything else counts as a generation, where there are any.
        _ => noise.holds(STATUS) && old.generation.is_some() && old.generation == new.generation,
    };
    body && old.labels == new.labels
        && old.annotations == new.annotations
        && old.owners == new.owners
        && old.finalizers == new.finalizers
        && old.deleted == new.deleted
}

/// A write of which nothing is to be seen, because what it wrote was redacted or never read.
fn unseen(
    look: &Look<'_>,
    (before, old): (&Object, &Text),
    (now, new): (&Object, &Text),
    last: Option<Wrote>,
    version: &str,
) -> Vec<(Timestamp, Written)> {
    let written = match (before.meta.generation, now.meta.generation) {
        (Some(old), Some(new)) => old != new,
        // What has neither generations nor a status was written whenever it has another version; of what has only a status,
        // it cannot be told from a report.
        _ => {
            let reports = new.live.as_ref().is_some_and(|live| live.get("status").is_some());
            let noted = |object: &Object| (object.meta.annotations.clone(), object.meta.labels.clone());
            let same = noted(before) == noted(now) && before.meta.finalizers == now.meta.finalizers;
            !reports && same && !version.is_empty() && !matches!(now.kind, Kind::Pod | Kind::EndpointSlice)
        }
    };
    if !written || !written::hides(&new.written) {
        return Vec::new();
    }
    let (Some(live), Some((actor, at))) = (new.live.as_deref(), last) else {
        return vec![(look.now, of(Verb::Updated, look, now, version, None, Vec::new()))];
    };
    let parts = new.written.as_object().into_iter().flatten().map(|(part, _)| part.as_str());
    let owned = parts.flat_map(|part| actor::unseen(old.live.as_deref(), live, &actor.manager, part));
    let mut fields: Vec<FieldChange> = owned
        .filter_map(|(field, pointer)| {
            let value = |text: &Text| text.written.pointer(&pointer).cloned();
            let to = value(new).filter(written::hides)?;
            Some(FieldChange { field, pointer: pointer.clone(), from: value(old), to: Some(to) })
        })
        .collect();
    fields.sort_by(|a, b| a.pointer.cmp(&b.pointer));
    fields.iter_mut().for_each(bound::field);
    vec![(look.moment(at), of(Verb::Updated, look, now, version, Some(actor), fields))]
}

/// Whether a rule leaves out all that is written of an object.
pub(crate) fn is_untold(noise: &Noise, state: &reckon_detect::State, object: &Object) -> bool {
    match &object.kind {
        Kind::Event => true,
        Kind::EndpointSlice => {
            noise.holds(ENDPOINTS)
                && (object.meta.controller().is_some()
                    || object
                        .meta
                        .labels
                        .get("endpointslice.kubernetes.io/managed-by")
                        .is_some_and(|by| by.ends_with(".k8s.io")))
        }
        Kind::Other(other) if other.group.is_empty() && other.kind == "Endpoints" => {
            let service = ResourceRef::new(Kind::Service, object.meta.namespace.as_deref(), &object.meta.name);
            let selects = state.get(&service).is_some_and(
                |service| matches!(&service.body, Body::Service(service) if !service.spec.selector.is_empty()),
            );
            noise.holds(ENDPOINTS) && selects
        }
        Kind::Secret => noise.holds(HELM) && object.meta.labels.get("owner").is_some_and(|owner| owner == "helm"),
        _ => false,
    }
}

/// Whether a controller of Kubernetes made it, and makes it again.
pub(crate) fn is_made(noise: &Noise, object: &Object) -> bool {
    let kinds = [Kind::Pod, Kind::ReplicaSet, Kind::ControllerRevision, Kind::Job, Kind::EndpointSlice];
    noise.holds(MADE)
        && kinds.contains(&object.kind)
        && object.meta.controller().is_some_and(|owner| {
            matches!(
                Kind::of(&owner.api_version, &owner.kind),
                Kind::Deployment
                    | Kind::ReplicaSet
                    | Kind::StatefulSet
                    | Kind::DaemonSet
                    | Kind::ReplicationController
                    | Kind::Job
                    | Kind::CronJob
                    | Kind::Service
            )
        })
}

/// Whether a rule leaves out a field of an object because of who wrote it, or what.
fn is_noise(look: &Look<'_>, object: &Object, field: &FieldChange, wrote: Option<&Wrote>, text: &Text) -> bool {
    let by_controller = wrote.is_some_and(|(actor, _)| actor::is_controller(actor));
    if by_controller && is_made(look.noise, object) && !matches!(object.kind, Kind::ReplicaSet) {
        return true;
    }
    if by_controller && object.kind == Kind::ReplicaSet && is_made(look.noise, object) {
        return field.pointer != "/spec/replicas" || look.noise.holds(SCALED_SET);
    }
    if by_controller && field.pointer == "/spec/replicas" && look.noise.holds(AUTOSCALED) {
        return is_within_bounds(look, object, field);
    }
    field.from.is_none()
        && look.noise.holds(DEFAULTED)
        && actor::owner(text.live.as_deref(), field).is_none()
        && is_default(field)
}

/// Whether an autoscaler may have set this number of replicas.
fn is_within_bounds(look: &Look<'_>, object: &Object, field: &FieldChange) -> bool {
    let Some(wanted) = field.to.as_ref().and_then(Value::as_i64) else { return false };
    let mut scalers = look.state.objects(&Kind::HorizontalPodAutoscaler, object.meta.namespace.as_deref());
    scalers.any(|scaler| {
        let Body::Autoscaler(body) = &scaler.body else { return false };
        let target = &body.spec.scale_target_ref;
        let is_target = target.name == object.meta.name && Kind::of(&target.api_version, &target.kind) == object.kind;
        // One pod at least, where nothing is said.
        let least = || scaler.whole().and_then(|whole| whole.pointer("/spec/minReplicas")?.as_i64()).unwrap_or(1);
        is_target && wanted <= i64::from(body.spec.max_replicas) && wanted >= least()
    })
}

/// Fields by their last key with the value that the API server gives them.
const DEFAULTS: [(&str, &str); 22] = [
    ("terminationMessagePath", "\"/dev/termination-log\""),
    ("terminationMessagePolicy", "\"File\""),
    ("imagePullPolicy", "\"IfNotPresent\""),
    ("imagePullPolicy", "\"Always\""),
    ("restartPolicy", "\"Always\""),
    ("dnsPolicy", "\"ClusterFirst\""),
    ("schedulerName", "\"default-scheduler\""),
    ("protocol", "\"TCP\""),
    ("terminationGracePeriodSeconds", "30"),
    ("revisionHistoryLimit", "10"),
    ("progressDeadlineSeconds", "600"),
    ("podManagementPolicy", "\"OrderedReady\""),
    ("sessionAffinity", "\"None\""),
    ("internalTrafficPolicy", "\"Cluster\""),
    ("externalTrafficPolicy", "\"Cluster\""),
    ("ipFamilyPolicy", "\"SingleStack\""),
    ("allocateLoadBalancerNodePorts", "true"),
    ("podReplacementPolicy", "\"TerminatingOrFailed\""),
    ("completionMode", "\"NonIndexed\""),
    ("volumeMode", "\"Filesystem\""),
    ("defaultMode", "420"),
    ("enableServiceLinks", "true"),
];

fn is_default(field: &FieldChange) -> bool {
    let key = field.pointer.rsplit('/').next().unwrap_or_default();
    let value = field.to.as_ref().map(Value::to_string).unwrap_or_default();
    DEFAULTS.contains(&(key, value.as_str()))
}
