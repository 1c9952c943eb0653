//! The known objects, and the ways to find them.

use reckon_model::{Body, Kind, Object, ResourceRef};
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// A number that an object has while it is known. Another object of its name takes it over; it says nothing about order.
pub(crate) type Number = u32;

/// The known objects. There may be a hundred thousand, so nothing here holds a copy of a name: that of all names holds the
/// objects themselves, the others their numbers, and all compare by what the objects are called. A number stays with a
/// name; so an object that changed and is where it was is put into one set alone.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    /// By kind, namespace (empty for cluster-scoped ones) and name.
    named: BTreeMap<Kind, BTreeMap<Box<str>, BTreeSet<Named>>>,
    numbered: Numbered,
    free: Vec<Number>,
    /// Events by what they are about: kind, namespace, name.
    events: BTreeMap<About, Vec<Number>>,
    /// By the owner that controls them.
    children: BTreeMap<ResourceRef, Vec<Number>>,
    /// Pods by node.
    on_node: BTreeMap<Box<str>, OnNode>,
}

type Numbered = Vec<Option<Arc<Object>>>;

/// The pods on a node.
#[derive(Debug, Default)]
struct OnNode {
    pods: Vec<Number>,
    /// Bytes of memory that those of them request that have not ended: every pod without a limit wants to know.
    requested: u128,
}

/// What an Event is about: kind, namespace, name.
pub(crate) type About = (String, String, String);

/// An object in order of names.
#[derive(Debug)]
struct Named {
    object: Arc<Object>,
    number: Number,
}

impl Borrow<str> for Named {
    fn borrow(&self) -> &str {
        &self.object.meta.name
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.object.meta.name == other.object.meta.name
    }
}

impl Eq for Named {}

impl PartialOrd for Named {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Named {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.object.meta.name.cmp(&other.object.meta.name)
    }
}

/// The sets besides that of its names in which an object is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) about: Option<About>,
    pub(crate) owner: Option<ResourceRef>,
    pub(crate) node: Option<Box<str>>,
}

impl Places {
    pub(crate) fn of(object: &Object) -> Places {
        let about = match &object.body {
            Body::Event(event) => {
                let about = &event.involved_object;
                Some((about.kind.clone(), about.namespace.clone(), about.name.clone()))
            }
            _ => None,
        };
        let owner = object.meta.controller().map(|owner| owner.reference(object.meta.namespace.as_deref()));
        let node = object.pod().map(|pod| pod.spec.node_name.as_str()).filter(|node| !node.is_empty());
        Places { about, owner, node: node.map(Box::from) }
    }
}

/// What had a name before, and the sets it was in; `None`: those of what has it now.
pub(crate) type Before = (Arc<Object>, Option<Places>);

/// Whether two objects of one name are in the same sets, as nearly all changes leave them.
fn stays(before: &Object, now: &Object) -> bool {
    match (&before.body, &now.body) {
        (Body::Event(before), Body::Event(now)) if before.involved_object != now.involved_object => return false,
        (Body::Pod(before), Body::Pod(now)) if before.spec.node_name != now.spec.node_name => return false,
        _ => {}
    }
    before.meta.owners == now.meta.owners
}

/// Whether two states of an object certainly request the same.
pub(crate) fn request_alike(before: &Object, now: &Object) -> bool {
    match (before.pod(), now.pod()) {
        (Some(before), Some(now)) => {
            before.spec.common.is_one(&now.spec.common) && before.is_finished() == now.is_finished()
        }
        (before, now) => before.is_none() && now.is_none(),
    }
}

impl Objects {
    /// Puts an object in, and gives its number and what had its name before, with the sets that was in unless they are the
    /// same.
    pub(crate) fn insert(&mut self, object: &Arc<Object>, places: &Places) -> (Number, Option<Before>) {
        let names = self.named.entry(object.kind.clone()).or_default();
        let names = match names.get_mut(object.namespace()) {
            Some(names) => names,
            None => names.entry(object.namespace().into()).or_default(),
        };
        let number = match names.get(object.meta.name.as_str()) {
            Some(before) => before.number,
            None => self.free.pop().unwrap_or_else(|| {
                self.numbered.push(None);
                // Objects that fit into memory have numbers that fit.
                Number::try_from(self.numbered.len() - 1).unwrap_or(Number::MAX)
            }),
        };
        let before = names.replace(Named { object: object.clone(), number });
        let Some(Named { object: before, .. }) = before else {
            self.set(number, object);
            self.enter(places, number, object);
            return (number, None);
        };
        if stays(&before, object) {
            self.set(number, object);
            self.stay(places, &before, object);
            return (number, Some((before, None)));
        }
        let left = Places::of(&before);
        self.leave(&left, number, &before);
        self.set(number, object);
        self.enter(places, number, object);
        (number, Some((before, Some(left))))
    }

    fn set(&mut self, number: Number, object: &Arc<Object>) {
        if let Some(slot) = self.numbered.get_mut(number as usize) {
            *slot = Some(object.clone());
        }
    }

    /// An object changed and is where it was.
    fn stay(&mut self, places: &Places, before: &Object, now: &Object) {
        if !request_alike(before, now)
            && let Some(on_node) = places.node.as_ref().and_then(|node| self.on_node.get_mut(node))
        {
            on_node.requested = on_node.requested - requested(before) + requested(now);
        }
    }

    /// Takes an object out, and tells the sets it was in.
    pub(crate) fn remove(&mut self, reference: &ResourceRef) -> Option<(Number, Arc<Object>, Places)> {
        let spaces = self.named.get_mut(&reference.kind)?;
        let names = spaces.get_mut(reference.namespace())?;
        let Named { object, number } = names.take(reference.name.as_str())?;
        if names.is_empty() {
            spaces.remove(reference.namespace());
        }
        if spaces.is_empty() {
            self.named.remove(&reference.kind);
        }
        let places = Places::of(&object);
        self.leave(&places, number, &object);
        if let Some(slot) = self.numbered.get_mut(number as usize) {
            *slot = None;
        }
        self.free.push(number);
        Some((number, object, places))
    }

    pub(crate) fn get(&self, reference: &ResourceRef) -> Option<&Object> {
        self.named(&reference.kind, reference.namespace(), &reference.name)
    }

    /// The object of this name; the namespace is empty for cluster-scoped ones.
    pub(crate) fn named(&self, kind: &Kind, namespace: &str, name: &str) -> Option<&Object> {
        Some(&*self.named.get(kind)?.get(namespace)?.get(name)?.object)
    }

    /// Those of a kind and name, by namespace.
    pub(crate) fn of_name<'a>(&'a self, kind: &Kind, name: &str) -> impl Iterator<Item = &'a Object> {
        let spaces = self.named.get(kind).into_iter().flat_map(BTreeMap::values);
        spaces.filter_map(move |names| Some(&*names.get(name)?.object))
    }

    pub(crate) fn numbered(&self, number: Number) -> Option<&Object> {
        self.numbered.get(number as usize)?.as_deref()
    }

    /// Those of a kind with their numbers, in a namespace if one is given, by namespace and name.
    pub(crate) fn of<'a>(
        &'a self,
        kind: &Kind,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = (Number, &'a Object)> + use<'a> {
        let bound = |unbounded| namespace.map_or(unbounded, Bound::Included);
        let spaces = self
            .named
            .get(kind)
            .map(|spaces| spaces.range::<str, _>((bound(Bound::Unbounded), bound(Bound::Unbounded))));
        spaces.into_iter().flatten().flat_map(|(_, names)| names).map(|named| (named.number, &*named.object))
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.named.keys()
    }

    /// The namespaces in which there is something.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.named.values().flat_map(BTreeMap::keys).map(|space| &**space).filter(|space| !space.is_empty())
    }

    pub(crate) fn events<'a>(&'a self, about: &About) -> impl Iterator<Item = &'a Object> + use<'a> {
        self.all(self.events.get(about))
    }

    pub(crate) fn children<'a>(&'a self, owner: &ResourceRef) -> impl Iterator<Item = &'a Object> + use<'a> {
        self.all(self.children.get(owner))
    }

    pub(crate) fn on_node<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Object> + use<'a> {
        self.all(self.on_node.get(node).map(|on_node| &on_node.pods))
    }

    /// Bytes of memory that the pods on a node request which have not ended.
    pub(crate) fn requested_on(&self, node: &str) -> u128 {
        self.on_node.get(node).map_or(0, |on_node| on_node.requested)
    }

    fn all<'a>(&'a self, set: Option<&'a Vec<Number>>) -> impl Iterator<Item = &'a Object> + use<'a> {
        set.into_iter().flatten().filter_map(|number| self.numbered(*number))
    }

    fn enter(&mut self, places: &Places, number: Number, object: &Object) {
        let Places { about, owner, node } = places;
        let Objects { numbered, events, children, on_node, .. } = self;
        if let Some(about) = about {
            put(events.entry(about.clone()).or_default(), number, object, numbered);
        }
        if let Some(owner) = owner {
            put(children.entry(owner.clone()).or_default(), number, object, numbered);
        }
        if let Some(node) = node {
            let on_node = on_node.entry(node.clone()).or_default();
            put(&mut on_node.pods, number, object, numbered);
            on_node.requested += requested(object);
        }
    }

    fn leave(&mut self, places: &Places, number: Number, object: &Object) {
        let Places { about, owner, node } = places;
        if let Some(about) = about {
            take(&mut self.events, about, number);
        }
        if let Some(owner) = owner {
            take(&mut self.children, owner, number);
        }
        if let Some(node) = node {
            let Some(on_node) = self.on_node.get_mut(node) else { return };
            on_node.pods.retain(|other| *other != number);
            on_node.requested -= requested(object);
            if on_node.pods.is_empty() {
                self.on_node.remove(node);
            }
        }
    }
}

/// The order of objects in a set: by kind, namespace and name.
fn order(object: &Object) -> (&Kind, &str, &str) {
    (&object.kind, object.namespace(), &object.meta.name)
}

fn put(set: &mut Vec<Number>, number: Number, object: &Object, numbered: &Numbered) {
    let of = |other: &Number| numbered.get(*other as usize).and_then(Option::as_deref).map(order);
    if let Err(at) = set.binary_search_by(|other| of(other).cmp(&Some(order(object)))) {
        set.insert(at, number);
    }
}

fn take<K: Ord>(sets: &mut BTreeMap<K, Vec<Number>>, key: &K, number: Number) {
    let Some(set) = sets.get_mut(key) else { return };
    set.retain(|other| *other != number);
    if set.is_empty() {
        sets.remove(key);
    }
}

/// Bytes of memory that the containers of a pod request that has not ended.
pub(crate) fn requested(object: &Object) -> u128 {
    let Some(pod) = object.pod().filter(|pod| !pod.is_finished()) else { return 0 };
    let requests = pod.spec.containers.iter().filter_map(|container| container.resources.requests.get("memory"));
    requests.filter_map(|request| u128::try_from(request.value()?).ok()).sum()
}
