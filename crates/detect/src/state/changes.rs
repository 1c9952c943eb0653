//! What changed since somebody last looked.

use super::objects::{Number, Places};
use reckon_model::shared::digest;
use reckon_model::{Demand, Kind, Object, Shared};
use std::collections::{BTreeMap, BTreeSet};

/// What a topic is told apart by.
pub(crate) type Digest = u32;

/// Something that can be read and can change. Whoever reads it is told by its digest; two topics of one digest make
/// somebody look who need not, and nobody miss anything.
#[derive(Debug, Hash)]
pub(crate) enum Topic<'a> {
    /// One object by kind, namespace and name, there or not.
    Object(&'a Kind, &'a str, &'a str),
    /// Whether there is an object of this kind, namespace and name, whatever else becomes of it.
    There(&'a Kind, &'a str, &'a str),
    /// All objects of a kind.
    All(&'a Kind),
    /// All objects of a kind in a namespace.
    In(&'a Kind, &'a str),
    /// What an owner controls.
    Children(&'a Kind, &'a str, &'a str),
    /// The pods on a node.
    OnNode(&'a str),
    /// What a scheduler sees of the pods on a node.
    PlacedOn(&'a str),
    /// What a scheduler sees of all pods.
    Placed,
    /// Whether nearly all memory of a node is requested, and how much.
    Full(&'a str),
    /// The Events about something: kind, namespace, name.
    Events(&'a str, &'a str, &'a str),
    /// What was deleted of a kind.
    Gone(&'a Kind),
    /// A question that was asked one by one, and what it brought.
    Demand(&'a Demand),
    /// What a node's kernel tells.
    Kernel(&'a str),
    /// What was measured.
    Samples,
}

impl Topic<'_> {
    /// Half a digest: of a million topics one in four thousand has another's, and there is room for them.
    pub(crate) fn digest(&self) -> Digest {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
        let half = digest(self) as Digest;
        half
    }
}

/// What changed since somebody last looked.
#[derive(Debug)]
pub(crate) struct Changes {
    /// So much that it is not written down: look at everything.
    pub(crate) everything: bool,
    /// Objects by their numbers: new, changed or gone.
    pub(crate) numbers: BTreeSet<Number>,
    /// What else was touched, by the digests of topics.
    pub(crate) topics: BTreeSet<Digest>,
    /// Labels that objects had and may have no more: what selected them has to look again.
    pub(crate) labels: Vec<(Kind, Box<str>, Labels)>,
}

/// Labels, of many objects at once.
type Labels = Shared<BTreeMap<String, String>>;

/// An object and the sets it is in.
pub(crate) type Placed<'a> = (&'a Object, &'a Places);

impl Default for Changes {
    fn default() -> Self {
        Changes { everything: true, ..Changes::none() }
    }
}

impl Changes {
    pub(crate) fn none() -> Self {
        Changes { everything: false, numbers: BTreeSet::new(), topics: BTreeSet::new(), labels: Vec::new() }
    }

    /// Nothing is remembered of what changed but that it did.
    pub(crate) fn all(&mut self) {
        *self = Changes::default();
    }

    pub(crate) fn touch(&mut self, topic: &Topic<'_>) {
        if !self.everything {
            self.topics.insert(topic.digest());
        }
    }

    /// An object came, changed or went: what it was and is, with the sets it was and is in.
    pub(crate) fn object<'a>(&mut self, number: Number, before: Option<Placed<'a>>, now: Option<Placed<'a>>) {
        if self.everything {
            return;
        }
        self.numbers.insert(number);
        let Some((object, _)) = now.or(before) else { return };
        let (kind, namespace) = (&object.kind, object.namespace());
        self.touch(&Topic::Object(kind, namespace, &object.meta.name));
        if before.is_none() || now.is_none() {
            self.touch(&Topic::There(kind, namespace, &object.meta.name));
        }
        self.touch(&Topic::All(kind));
        self.touch(&Topic::In(kind, namespace));
        let (left, places) = (before.map(|(_, left)| left), now.map(|(_, places)| places));
        if left.zip(places).is_none_or(|(left, places)| !std::ptr::eq(left, places) && left != places) {
            self.places(left);
        }
        self.places(places);
        if *kind == Kind::Pod && !before.zip(now).is_some_and(|((before, _), (now, _))| placed_alike(before, now)) {
            self.touch(&Topic::Placed);
            for node in [left, places].into_iter().flatten().filter_map(|places| places.node.as_deref()) {
                self.touch(&Topic::PlacedOn(node));
            }
        }
        let labels = now.map(|(now, _)| &now.meta.labels);
        if let Some((before, _)) = before.filter(|(before, _)| labels != Some(&before.meta.labels)) {
            self.labels.push((kind.clone(), namespace.into(), before.meta.labels.clone()));
        }
    }

    fn places(&mut self, places: Option<&Places>) {
        let Some(Places { about, owner, node }) = places else { return };
        if let Some((kind, namespace, name)) = about {
            self.touch(&Topic::Events(kind, namespace, name));
        }
        if let Some(owner) = owner {
            self.touch(&Topic::Children(&owner.kind, owner.namespace(), &owner.name));
        }
        if let Some(node) = node {
            self.touch(&Topic::OnNode(node));
        }
    }
}

/// Whether a scheduler sees the same in two states of a pod: neither what its containers do nor whether it is ready.
fn placed_alike(before: &Object, now: &Object) -> bool {
    let (Some(old), Some(new)) = (before.pod(), now.pod()) else { return false };
    old.spec.node_name == new.spec.node_name
        && (old.spec.common.is_one(&new.spec.common) || old.spec.common == new.spec.common)
        && before.meta.labels == now.meta.labels
        && before.meta.uid == now.meta.uid
        && before.meta.deleted == now.meta.deleted
        && old.is_finished() == new.is_finished()
        && old.condition("PodScheduled") == new.condition("PodScheduled")
}
