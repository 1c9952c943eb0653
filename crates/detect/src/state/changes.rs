//! What changed since somebody last looked.

use super::objects::{Number, Places, request_alike, requested};
use reckon_model::shared::digest;
use reckon_model::{Kind, Need, Object, Shared};
use std::collections::{BTreeMap, BTreeSet};

/// What a topic is told apart by.
pub(crate) type Digest = u32;

/// Something that can be read and can change. Whoever reads it is told by its digest; two topics of one digest make
/// somebody look who need not, and nobody miss anything.
#[derive(Debug, Hash)]
pub(crate) enum Topic<'a> {
    /// One object by kind, namespace and name, there or not.
    Object(&'a Kind, &'a str, &'a str),
    /// All objects of a kind.
    All(&'a Kind),
    /// All objects of a kind in a namespace.
    In(&'a Kind, &'a str),
    /// What an owner controls.
    Children(&'a Kind, &'a str, &'a str),
    /// The pods on a node.
    OnNode(&'a str),
    /// How much memory the pods on a node request.
    Requested(&'a str),
    /// The Events about something: kind, namespace, name.
    Events(&'a str, &'a str, &'a str),
    /// What was deleted of a kind.
    Gone(&'a Kind),
    /// A question that was asked one by one, and what it brought.
    Need(&'a Need),
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
        self.touch(&Topic::All(kind));
        self.touch(&Topic::In(kind, namespace));
        let (left, places) = (before.map(|(_, left)| left), now.map(|(_, places)| places));
        if left.zip(places).is_none_or(|(left, places)| !std::ptr::eq(left, places) && left != places) {
            self.places(left);
        }
        self.places(places);
        let alike = |((before, left), (now, places)): (Placed<'_>, Placed<'_>)| {
            left.node == places.node && request_alike(before, now)
        };
        if !before.zip(now).is_some_and(alike) {
            let asks = |(object, places): Placed<'a>| Some((places.node.as_deref()?, requested(object)));
            let (asked, asks) = (before.and_then(asks), now.and_then(asks));
            if asked != asks {
                for (node, _) in asked.iter().chain(&asks) {
                    self.touch(&Topic::Requested(node));
                }
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
