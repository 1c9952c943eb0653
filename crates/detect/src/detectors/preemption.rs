//! Pods that had to make room for more important ones.

use crate::spot::Spot;
use crate::{View, describe, ownership};
use reckon_model::document::{Cause, CauseKind};
use reckon_model::k8s::Event;
use reckon_model::{Body, Kind, Object, Timestamp, text};
use serde_json::json;

/// A preemption by a scheduler.
pub(crate) struct Preemption<'a> {
    /// When.
    pub(crate) at: Option<Timestamp>,
    /// The pod for which room was made, where it is known.
    pub(crate) by: Option<&'a Object>,
    /// How it is called where it is not.
    pub(crate) name: String,
}

impl<'a> Preemption<'a> {
    /// What an Event `Preempted` says: `Preempted by pod UID on node N`, up to 1.28 `Preempted by NAMESPACE/NAME on node N`.
    pub(crate) fn of(view: &View<'a>, event: &Event) -> Option<Self> {
        let said = event.message.split_once("Preempted by ")?.1;
        let said = said.strip_prefix("a pod ").or(said.strip_prefix("pod ")).unwrap_or(said);
        let word = said.split([' ', ',']).next().unwrap_or_default();
        let related = &event.related;
        let is_it = |pod: &Object| {
            let named =
                !related.name.is_empty() && pod.meta.name == related.name && pod.namespace() == related.namespace;
            named || pod.meta.uid == word || describe::object(pod) == word
        };
        let by = view.known(&Kind::Pod, None).find(|pod| is_it(pod));
        let name = match (by, related.name.is_empty()) {
            (Some(pod), _) => describe::object(pod),
            (None, false) => format!("{}/{}", related.namespace, related.name),
            (None, true) => text::shorten(word, 120).into_owned(),
        };
        Some(Preemption { at: event.last_seen(), by, name })
    }

    /// The newest preemption of a pod with such a name in a namespace, whether or not it is still there.
    pub(crate) fn newest(view: &View<'a>, namespace: &str, is_it: impl Fn(&str) -> bool) -> Option<Self> {
        let events = view.known(&Kind::Event, Some(namespace)).filter_map(|object| match &object.body {
            Body::Event(event) => Some(&**event),
            _ => None,
        });
        let of_it = |event: &&Event| {
            event.reason == "Preempted" && event.involved_object.kind == "Pod" && is_it(&event.involved_object.name)
        };
        let newest = events.filter(of_it).max_by_key(|event| (event.last_seen(), &event.involved_object.name))?;
        Preemption::of(view, newest)
    }

    /// How important the other is, in words; nothing where it is not known.
    pub(crate) fn importance(&self, victim: Option<&Object>) -> String {
        let priority = |pod: &Object| pod.pod().and_then(|pod| pod.spec.priority).unwrap_or(0);
        let Some(pod) = self.by else { return String::new() };
        let class = pod.pod().map_or("", |pod| pod.spec.priority_class_name.as_str());
        let class = if class.is_empty() { String::new() } else { format!(" (class {class})") };
        match victim {
            Some(victim) => format!(", whose priority is {}{class} and not {}", priority(pod), priority(victim)),
            None => format!(", whose priority is {}{class}", priority(pod)),
        }
    }

    /// The priority class of the pod for which room was made; where it is not known, what lost is all there is to name.
    pub(crate) fn cause(&self, view: &View<'a>, lost: &Object, sentence: String) -> Cause {
        let Some(pod) = self.by else {
            return Cause::plain(CauseKind::External, Some(&lost.reference()), sentence);
        };
        let workload = view.workload_of(pod);
        let class = pod.pod().map_or("", |pod| pod.spec.priority_class_name.as_str());
        let mut cause = Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence);
        cause.managed_by = ownership::managed_by(workload);
        match Spot::of(workload).filter(|_| !class.is_empty()) {
            Some(spot) => {
                let path = spot.path("priorityClassName");
                cause.at_field(&path.field, &path.pointer, Some(json!(class)))
            }
            None => cause,
        }
    }
}
