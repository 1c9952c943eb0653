//! Events about the parts, those of one reason about one object folded into one.

use super::parts::Parts;
use crate::view::View;
use reckon_model::k8s::Event;
use reckon_model::record::{Entry, Fact, Folded};
use reckon_model::{Body, Kind, Object, ResourceRef, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Entries for the Events about the parts, and about pods that are gone, which are known by their makers' names.
pub(super) fn entries(view: &View<'_>, parts: &Parts<'_>) -> Vec<Entry> {
    // One list for each namespace holds what is said of pods that are gone as well; what lives in no namespace is asked one by
    // one, as its Events may be in any.
    let namespaces: BTreeSet<&str> =
        parts.members.iter().filter_map(|member| member.object.meta.namespace.as_deref()).collect();
    for namespace in &namespaces {
        let _ = view.all(&Kind::Event, Some(namespace));
    }
    let mut folds: BTreeMap<(ResourceRef, Option<ResourceRef>, &str, &str), Vec<&Event>> = BTreeMap::new();
    let known: BTreeMap<ResourceRef, (&Object, Option<&ResourceRef>)> = parts
        .members
        .iter()
        .filter(|member| !matches!(member.tell, super::Tell::Ills | super::Tell::Ends))
        .map(|member| (member.object.reference(), (member.object, member.line.as_ref())))
        .collect();
    for (object, _) in known.values().filter(|(object, _)| object.meta.namespace.is_none()) {
        for event in view.events(object) {
            let key = (object.reference(), None, event.reason.as_str(), event.container().unwrap_or(""));
            folds.entry(key).or_default().push(event);
        }
    }
    for namespace in namespaces {
        for event in view.known(&Kind::Event, Some(namespace)).filter_map(event) {
            let involved = &event.involved_object;
            let kind = Kind::of(&involved.api_version, &involved.kind);
            // Not every writer of Events says the version.
            let kind = if involved.api_version.is_empty() { Kind::parse(&involved.kind).unwrap_or(kind) } else { kind };
            let about = ResourceRef::new(kind, Some(namespace), &involved.name);
            let (subject, line) = match known.get(&about) {
                // A predecessor of the same name has another UID, and is told as what it was: somebody else.
                Some((object, line)) => {
                    let is_other =
                        !involved.uid.is_empty() && involved.uid != object.meta.uid && !object.meta.uid.is_empty();
                    let uid = Some(if is_other { &involved.uid } else { &object.meta.uid });
                    (ResourceRef { uid: uid.filter(|uid| !uid.is_empty()).cloned(), ..about }, line.cloned())
                }
                None if matches!(about.kind, Kind::Pod | Kind::ReplicaSet | Kind::Job) => {
                    let Some(line) = parts.line_of_name(namespace, &involved.name) else { continue };
                    let uid = Some(involved.uid.clone()).filter(|uid| !uid.is_empty());
                    (ResourceRef { uid, ..about }, Some(line.clone()))
                }
                None => continue,
            };
            let key = (subject, line, event.reason.as_str(), event.container().unwrap_or(""));
            folds.entry(key).or_default().push(event);
        }
    }
    folds.into_iter().filter_map(|((subject, line, _, _), events)| folded(subject, line, &events)).collect()
}

fn event(object: &Object) -> Option<&Event> {
    match &object.body {
        Body::Event(event) => Some(event),
        _ => None,
    }
}

fn folded(subject: ResourceRef, workload: Option<ResourceRef>, events: &[&Event]) -> Option<Entry> {
    let last = events.iter().max_by(|a, b| (a.last_seen(), &a.message).cmp(&(b.last_seen(), &b.message)))?;
    let at = last.last_seen()?;
    let first = events.iter().filter_map(|event| event.first_seen()).min().unwrap_or(at);
    let fact = Fact::Event(Folded {
        reason: last.reason.clone(),
        message: last.message.clone(),
        warning: last.severity == "Warning",
        count: events.iter().map(|event| u64::from(event.count())).sum(),
        first: first.min(at),
        component: last.component().to_owned(),
    });
    Some(Entry { at, subject, workload, fact })
}

/// When the oldest Event was last seen that is kept of a namespace.
pub(super) fn oldest(view: &View<'_>, namespace: Option<&str>) -> Option<Timestamp> {
    view.known(&Kind::Event, namespace).filter_map(event).filter_map(Event::last_seen).min()
}
