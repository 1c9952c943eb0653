//! Who takes a finalizer away: that nobody does is why an object stays.

use super::super::edit::Edit;
use crate::spot::{self, Path};
use crate::{Fact, View, describe, ownership};
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Risk, Role, Source, Verdict};
use reckon_model::{Kind, LogLine, Object, text};
use serde_json::json;

/// Finalizers that wait for something that Kubernetes itself does; what it is.
const BUILT_IN: [(&str, &str); 9] = [
    ("kubernetes.io/pvc-protection", "the controller that watches which claims are in use"),
    ("kubernetes.io/pv-protection", "the controller that watches which volumes are in use"),
    ("batch.kubernetes.io/job-tracking", "the Job controller, once it has counted the pod"),
    ("service.kubernetes.io/load-balancer-cleanup", "the cloud's controller, once the load balancer is gone"),
    ("external-provisioner.volume.kubernetes.io/", "the CSI driver's provisioner, once the volume is deleted"),
    ("kubernetes.io/pv-controller", "the volume controller, once the volume is deleted"),
    ("external-attacher/", "the CSI driver's attacher, once the volume is detached"),
    ("snapshot.storage.kubernetes.io/", "the snapshot controller, once no snapshot needs it"),
    ("resource.kubernetes.io/", "the resource claim controller, once no pod uses it"),
];

/// Finalizers with which an object waits for what it owns: those are looked at themselves.
const OF_OWNERS: [&str; 2] = ["foregroundDeletion", "orphan"];

/// Words that are in many names and tell nothing.
const COMMON: [&str; 10] = [
    "finalizer",
    "finalizers",
    "cleanup",
    "kubernetes",
    "operator",
    "controller",
    "manager",
    "resources",
    "foreground",
    "protection",
];

/// Names that programs give themselves where their makers gave them none.
const NAMELESS: [&str; 6] = ["manager", "controller", "operator", "main", "unknown", "kubectl"];

/// Who takes a finalizer away, as far as it can be found.
pub(super) enum Guardian<'a> {
    /// A workload whose name is in the finalizer or in who writes the object.
    Workload(&'a Object),
    /// A part of Kubernetes, and when it does.
    BuiltIn(&'static str),
    /// Nobody that is known.
    Unknown,
}

/// The finalizers of an object that wait for somebody else.
pub(super) fn foreign(object: &Object) -> Vec<&str> {
    let finalizers = object.meta.finalizers.iter().map(String::as_str);
    finalizers.filter(|finalizer| !OF_OWNERS.contains(finalizer)).collect()
}

/// What it is that a finalizer waits for.
pub(super) struct Holding<'a> {
    pub(super) class: &'static str,
    pub(super) cause: Cause,
    pub(super) verdict: Verdict,
    pub(super) facts: Vec<Fact>,
    pub(super) remedies: Vec<Remedy>,
    /// The workload that should act, for joining its own trouble.
    pub(super) workload: Option<&'a Object>,
}

/// Who takes this finalizer away.
pub(super) fn of<'a>(view: &View<'a>, object: &Object, finalizer: &str) -> Guardian<'a> {
    if let Some((_, what)) = BUILT_IN.iter().find(|(name, _)| finalizer.starts_with(name)) {
        return Guardian::BuiltIn(what);
    }
    let writer = ownership::field_owner(object, "/metadata/finalizers").map(|(actor, _)| actor.manager);
    let status = object.meta.managers.iter().filter(|manager| manager.subresource == "status");
    let writers: Vec<String> = writer.into_iter().chain(status.map(|manager| manager.manager.clone())).collect();
    let written = |name: &str| {
        writers.iter().any(|writer| {
            let named = !NAMELESS.contains(&writer.as_str()) && name.len() > 3;
            named && (writer == name || writer.strip_prefix(name).is_some_and(|rest| rest.starts_with('-')))
        })
    };
    let domain = finalizer.split('/').next().unwrap_or(finalizer);
    let telling: Vec<&str> =
        domain.split('.').filter(|word| word.len() > 4 && !COMMON.contains(word)).take(3).collect();
    let called = |name: &str| {
        telling.iter().any(|word| name == *word || name.strip_prefix(word).is_some_and(|rest| rest.starts_with('-')))
    };
    let kinds = [Kind::Deployment, Kind::StatefulSet].map(|kind| view.all(&kind, None));
    let workloads = || kinds.iter().flat_map(|many| &many.items).copied();
    let found = workloads()
        .find(|workload| written(&workload.meta.name))
        .or_else(|| workloads().find(|workload| called(&workload.meta.name)));
    found.map_or(Guardian::Unknown, Guardian::Workload)
}

/// Why a finalizer of an object is not taken away.
pub(super) fn holding<'a>(view: &View<'a>, object: &'a Object, finalizer: &str) -> Holding<'a> {
    let name = format!("{} {}", object.kind.singular(), describe::object(object));
    let waits = format!("The finalizer {finalizer} keeps {name}");
    match of(view, object, finalizer) {
        Guardian::Workload(workload) => by_workload(view, object, workload, &waits),
        Guardian::BuiltIn(what) => {
            let facts = told(view, object);
            // What says that it failed speaks of something outside: a cloud, a disk.
            let (kind, verdict) = match facts.first() {
                Some(_) => (CauseKind::External, Verdict::Likely),
                None => (CauseKind::Resource, Verdict::Possible),
            };
            let said =
                facts.first().map(|fact| format!(" It says {}.", fact.text.trim_end_matches('.'))).unwrap_or_default();
            let sentence = format!("{waits}; it is taken away by {what}.{said}");
            let mut cause = Cause::plain(kind, Some(&object.reference()), sentence);
            cause.managed_by = ownership::managed_by(object);
            let cause = cause.at_field("metadata.finalizers", "/metadata/finalizers", Some(json!([finalizer])));
            Holding {
                class: "built-in",
                cause,
                verdict,
                facts,
                remedies: vec![without(object, finalizer)],
                workload: None,
            }
        }
        Guardian::Unknown => {
            let sentence =
                format!("{waits}, and no workload is known that would take it away: what set it may be gone for good.");
            let mut cause = Cause::plain(CauseKind::Resource, Some(&object.reference()), sentence);
            cause.managed_by = ownership::managed_by(object);
            let cause = cause.at_field("metadata.finalizers", "/metadata/finalizers", Some(json!([finalizer])));
            let remedies = vec![without(object, finalizer)];
            Holding {
                class: "controller-unknown",
                cause,
                verdict: Verdict::Likely,
                facts: told(view, object),
                remedies,
                workload: None,
            }
        }
    }
}

fn by_workload<'a>(view: &View<'a>, object: &'a Object, workload: &'a Object, waits: &str) -> Holding<'a> {
    let who = format!("{} {}", workload.kind.singular(), describe::object(workload));
    let body = workload.workload();
    let ready = body.map_or(0, |body| body.status.ready_replicas);
    let zero = body.is_some_and(|body| body.spec.replicas == Some(0));
    let plain = |sentence: String| {
        let mut cause = Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence);
        cause.managed_by = ownership::managed_by(workload);
        cause
    };
    if zero {
        let path = Path { field: "spec.replicas".to_owned(), pointer: "/spec/replicas".to_owned() };
        let edit = Edit::of(view, workload, &path, workload.meta.created, None).filter(|edit| !edit.is_new());
        let cause = match edit {
            Some(edit) => {
                edit.cause(format!("{waits}; spec.replicas of {who}, which takes it away, was {}.", edit.words()))
            }
            None => plain(format!("{waits}; {who}, which takes it away, is scaled to zero.")).at_field(
                path.field,
                path.pointer,
                Some(json!(0)),
            ),
        };
        let mut up = spot::remedy(
            RemedyKind::Scale,
            &workload.reference(),
            format!("Scale {} up again.", describe::object(workload)),
        );
        up.managed_by = ownership::managed_by(workload);
        up.patch_type = Some("merge".to_owned());
        up.patch = Some(json!({"spec": {"replicas": 1}}));
        let facts = vec![Fact::new(Role::Cause, Source::Spec, None, workload, format!("{who} is at zero replicas"))];
        return Holding {
            class: "controller-down",
            cause,
            verdict: Verdict::Likely,
            facts,
            remedies: vec![up],
            workload: Some(workload),
        };
    }
    if ready == 0 {
        let cause = plain(format!("{waits}; {who}, which takes it away, has no ready pod."));
        let facts = vec![Fact::new(Role::Cause, Source::Status, None, workload, format!("{who} has no ready pod"))];
        return Holding {
            class: "controller-down",
            cause,
            verdict: Verdict::Likely,
            facts,
            remedies: Vec::new(),
            workload: Some(workload),
        };
    }
    // It runs: what it says of the object is why.
    let said = complaint(view, workload, &object.meta.name);
    let what = match &said {
        Some((_, line)) => format!("says of it: {}", text::shorten(line.text.trim(), 200)),
        None => "runs, and does not do so".to_owned(),
    };
    let cause = plain(format!("{waits}; {who}, which takes it away, {what}."));
    let verdict = if said.is_some() { Verdict::Likely } else { Verdict::Possible };
    let mut facts = told(view, object);
    if let Some((pod, line)) = said {
        let text = text::shorten(line.text.trim(), 300).into_owned();
        facts.push(Fact::new(Role::Cause, Source::Log, line.at, pod, text));
    }
    let sentence = format!(
        "Read the log of {} for {}: what it cannot clean up has to be.",
        describe::object(workload),
        object.meta.name
    );
    let look = spot::remedy(RemedyKind::Restart, &workload.reference(), sentence);
    Holding { class: "controller-failing", cause, verdict, facts, remedies: vec![look], workload: Some(workload) }
}

/// The last thing that a controller's log says about an object and that sounds like trouble.
fn complaint<'a>(view: &View<'a>, workload: &'a Object, name: &str) -> Option<(&'a Object, &'a LogLine)> {
    const TROUBLE: [&str; 5] = ["error", "fail", "denied", "forbidden", "unable"];
    let pods = view.pods_of(workload).items;
    let pod = pods.into_iter().find(|pod| pod.pod().is_some_and(reckon_model::k8s::Pod::is_ready))?;
    let container = &pod.pod()?.spec.containers.first()?.name;
    let line = view.log(pod, container, false)?.iter().rev().find(|line| {
        let lower = line.text.to_ascii_lowercase();
        line.text.contains(name) && TROUBLE.iter().any(|word| lower.contains(word))
    })?;
    Some((pod, line))
}

/// The last warning about an object: controllers write there what they cannot do.
fn told<'a>(view: &View<'a>, object: &'a Object) -> Vec<Fact> {
    let events = view.events(object);
    let last = events.iter().rev().find(|event| event.severity == "Warning");
    let fact = last.map(|event| {
        let text = format!("{}: {}", event.reason, text::shorten(event.message.trim(), 300));
        Fact::new(Role::Cause, Source::Event, event.last_seen(), object, text)
            .raw(json!({"reason": event.reason, "message": event.message, "count": event.count()}))
    });
    fact.into_iter().collect()
}

/// Taking the finalizer away by hand: the last resort, as what it stands for is then never cleaned up.
fn without(object: &Object, finalizer: &str) -> Remedy {
    let rest: Vec<&String> = object.meta.finalizers.iter().filter(|it| *it != finalizer).collect();
    let sentence = format!(
        "Only if nothing is left to be cleaned up: take {finalizer} away by hand. What it stands for (a volume, a load balancer, an account elsewhere) stays behind."
    );
    let mut remedy = spot::remedy(RemedyKind::Patch, &object.reference(), sentence);
    remedy.risk = Risk::High;
    remedy.reversible = false;
    remedy.patch_type = Some("merge".to_owned());
    remedy.patch = Some(json!({"metadata": {"finalizers": if rest.is_empty() { json!(null) } else { json!(rest) }}}));
    remedy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finalizers_of_owners_wait_for_nobody_else() {
        let json = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","finalizers":["foregroundDeletion","example.org/x"]}}"#;
        let object = Object::decode(json.as_bytes(), None).unwrap();
        assert_eq!(foreign(&object), ["example.org/x"]);
    }
}
