//! Kubernetes Events: one entry for what is said again and again about one object.

use crate::look::{Look, workload_of};
use crate::noise::Noise;
use reckon_detect::State;
use reckon_model::k8s::Event;
use reckon_model::record::{Entry, Fact, Folded};
use reckon_model::{Kind, Object, ResourceRef, SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// How long what is said again is put together: a crash loop at its slowest says the same every five minutes.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(10);

/// About how many objects and reasons something is remembered: beyond, the oldest is told at once. Each takes about 500 bytes.
const MOST: usize = 4_096;

/// What was said lately.
#[derive(Debug, Default)]
pub(crate) struct Events {
    windows: BTreeMap<(ResourceRef, String), Window>,
}

#[derive(Debug)]
struct Window {
    ends: Timestamp,
    workload: Option<ResourceRef>,
    /// What was said since it began, besides what was told at its beginning.
    more: Option<Folded>,
    last: Timestamp,
}

impl Events {
    /// Something is said, for the first time or again. The first time it is told at once, and then what came until the
    /// window ends.
    pub(crate) fn hear(
        &mut self,
        look: &Look<'_>,
        before: Option<&Event>,
        object: &Object,
        event: &Event,
    ) -> Vec<Entry> {
        let warning = event.severity == "Warning";
        let count = event.count().saturating_sub(before.map_or(0, Event::count));
        if count == 0 || (!warning && look.noise.drops_event(&event.reason)) {
            return Vec::new();
        }
        let last = event.last_seen().or(object.meta.created).unwrap_or(look.now).min(look.now);
        let first = if before.is_none() { event.first_seen().unwrap_or(last).min(last) } else { last };
        let said = Folded {
            reason: event.reason.clone(),
            message: event.message.clone(),
            warning,
            count: count.into(),
            first,
            component: event.component().to_owned(),
        };
        let subject = about(look.state, event);
        let key = (subject, event.reason.clone());
        if let Some(window) = self.windows.get_mut(&key) {
            window.last = window.last.max(last);
            window.more = Some(match window.more.take() {
                Some(before) => {
                    Folded { count: before.count.saturating_add(said.count), first: before.first.min(first), ..said }
                }
                None => said,
            });
            return Vec::new();
        }
        let mut told = Vec::new();
        if self.windows.len() >= MOST
            && let Some(oldest) = self.windows.iter().min_by_key(|(_, window)| window.ends).map(|(key, _)| key.clone())
        {
            told.extend(self.close(&oldest));
        }
        let workload = workload_of(look.state, &key.0);
        told.push(entry(last, &key.0, workload.clone(), said));
        let ends = look.now.checked_add(WINDOW).unwrap_or(Timestamp::MAX);
        self.windows.insert(key, Window { ends, workload, more: None, last });
        told
    }

    /// Tells what was said in windows that have ended.
    pub(crate) fn tick(&mut self, now: Timestamp) -> Vec<Entry> {
        let over: Vec<_> =
            self.windows.iter().filter(|(_, window)| window.ends <= now).map(|(key, _)| key.clone()).collect();
        let mut told = Vec::new();
        for key in over {
            let Some(entry) = self.close(&key) else { continue };
            // It goes on: the next is told in ten minutes.
            let ends = now.checked_add(WINDOW).unwrap_or(Timestamp::MAX);
            self.windows.insert(key, Window { ends, workload: entry.workload.clone(), more: None, last: entry.at });
            told.push(entry);
        }
        told
    }

    /// When the next window ends in which something was said.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.windows.values().map(|window| window.ends).min()
    }

    fn close(&mut self, key: &(ResourceRef, String)) -> Option<Entry> {
        let window = self.windows.remove(key)?;
        Some(entry(window.last, &key.0, window.workload, window.more?))
    }
}

fn entry(at: Timestamp, subject: &ResourceRef, workload: Option<ResourceRef>, said: Folded) -> Entry {
    Entry { at, subject: subject.clone(), workload, fact: Fact::Event(said) }
}

/// What an Event is about, with the UID that its own object has: kubelets write a node's name for it.
fn about(state: &State, event: &Event) -> ResourceRef {
    let about = &event.involved_object;
    let kind = Kind::of(&about.api_version, &about.kind);
    let namespace = Some(about.namespace.as_str()).filter(|namespace| !namespace.is_empty());
    let mut reference = ResourceRef::new(kind, namespace, &about.name);
    reference.uid = match state.get(&reference) {
        Some(known) => Some(known.meta.uid.clone()).filter(|uid| !uid.is_empty()),
        None => Some(about.uid.clone()).filter(|uid| !uid.is_empty() && *uid != about.name),
    };
    reference
}

/// Whether Events as such are left out.
pub(crate) fn event<'a>(object: &'a Object, noise: &Noise) -> Option<&'a Event> {
    match &object.body {
        reckon_model::Body::Event(event) if !noise.drops_kind(&object.kind) => Some(event),
        _ => None,
    }
}
