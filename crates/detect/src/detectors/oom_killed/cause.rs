//! What made it so: a change, a node that differs, a neighbour; else the limit as it stands.

use super::class::Class;
use super::elsewhere::Versions;
use super::killed::Killed;
use super::load::Load;
use super::neighbour::Neighbours;
use super::reconfigured;
use super::record::Record;
use super::resize::{Given, Resize};
use crate::detectors::configuration::Edited;
use crate::detectors::revision::{self, Suspect};
use crate::detectors::template::Site;
use crate::{Fact, describe};
use reckon_model::document::{Alternative, Cause, CauseKind, Shape};
use reckon_model::{FieldChange, Quantity, Timestamp};
use serde_json::Value;

/// Where a container's limit stands below it.
const LIMIT: &str = "resources.limits.memory";

/// What speaks for one cause or another. At most one of the first five is the cause: the first that is there.
pub(super) struct Why<'a> {
    /// The limit was lowered in the running pod.
    resize: Option<Resize>,
    /// The pod was made with a lower limit than its template has.
    given: Option<Given>,
    /// The template was changed.
    suspect: Option<Suspect>,
    /// Nodes of another version do not kill.
    versions: Option<Versions>,
    /// What the container reads was changed, shortly before.
    edited: Option<Edited<'a>>,
    /// The same, not so shortly.
    perhaps: Option<Alternative>,
    /// More pods were wanted than there may be.
    load: Option<Load<'a>>,
    pub(super) neighbours: Neighbours,
    /// The limit that was there before, and the one that was set, where a tighter one is the cause.
    pub(super) cut: Option<Cut>,
}

/// A limit that was lowered, or set where there was none.
pub(super) struct Cut {
    pub(super) from: Option<String>,
    pub(super) to: String,
}

impl<'a> Killed<'_, 'a> {
    /// What speaks for what.
    pub(super) fn why(&self, class: Class, shape: Option<Shape>) -> Why<'a> {
        let own = class.is_at_own_limit();
        let resize = self.lowered_in_place().filter(|_| own);
        let given = self.given_lower().filter(|_| own && resize.is_none());
        let suspect = self.suspect().filter(|_| resize.is_none() && given.is_none());
        let open = resize.is_none() && given.is_none() && suspect.is_none() && !self.is_lowered_under_use();
        let versions = if own && open { self.by_version() } else { None };
        let open = open && versions.as_ref().is_none_or(|versions| !versions.settled);
        let edited = if open && (own || class == Class::PodLimit) { self.reconfigured() } else { None };
        let grows = shape == Some(Shape::Growth);
        let (edited, perhaps) = match edited {
            Some(edited) if !grows && reconfigured::is_suspect(&edited, self.onset()) => (Some(edited), None),
            other => (None, other.map(|edited| reconfigured::alternative(&edited, &self.container.name))),
        };
        let open = open && edited.is_none() && !grows && class.may_be_load();
        let load = if class.is_of_the_node() { None } else { self.autoscaled() };
        let cut = match (&resize, &suspect) {
            (Some(resize), _) => Some(Cut { from: Some(resize.from.clone()), to: resize.to.clone() }),
            (None, Some(suspect)) => cut(suspect.blame.field()),
            (None, None) => None,
        };
        let neighbours = if class.is_of_the_node() { self.neighbours() } else { Neighbours::default() };
        Why {
            resize,
            given,
            suspect,
            versions,
            edited,
            perhaps,
            load: load.map(|load| load.wanted(open)),
            neighbours,
            cut,
        }
    }

    /// When the trouble began, at the earliest.
    pub(super) fn onset(&self) -> Option<Timestamp> {
        match self.end {
            Some(end) => revision::onset(self.subject, self.status, end),
            None => self.record.as_ref().and_then(Record::span).map(|(first, _)| first),
        }
    }

    /// What came before the first death and makes one more likely: a lower limit, another program, other settings.
    fn suspect(&self) -> Option<Suspect> {
        revision::suspect(self.view, self.workload, self.subject, &self.container.name, self.onset(), plausible)
    }

    pub(super) fn cause(&self, class: Class, why: &Why<'_>, shape: Option<Shape>) -> Cause {
        let container = &self.container.name;
        let own = class.is_at_own_limit();
        match why {
            Why { resize: Some(resize), .. } => resize.cause(container),
            Why { given: Some(given), .. } => given.cause(&self.subject.reference(), container),
            Why { suspect: Some(Suspect { blame, .. }), cut: Some(_), .. } if own => {
                let words = blame.words();
                let sentence = format!(
                    "The memory limit of {container} was {words}; the container is killed when it reaches the limit."
                );
                blame.cause(self.view, sentence)
            }
            Why { suspect: Some(Suspect { blame, .. }), .. } if own || class == Class::PodLimit => {
                let (field, words) = (&blame.field().field, blame.words());
                let sentence = format!("{field} was {words} while the limit stayed: what runs there needs more since.");
                blame.cause(self.view, sentence)
            }
            Why { versions: Some(versions), .. } if versions.settled => {
                Cause::plain(CauseKind::Node, Some(&versions.node), versions.sentence(container))
            }
            Why { edited: Some(edited), .. } => reconfigured::cause(edited, container),
            _ if class.is_of_the_node() || (self.is_limitless() && class != Class::Manual) => {
                let sentence = self.node_full(class, why.neighbours.blamed.as_deref());
                Cause::plain(CauseKind::Node, self.node_reference().as_ref(), sentence)
            }
            _ if class == Class::ExecVictim => {
                let (kind, sentence) = self.entered();
                Cause::plain(kind, Some(&self.workload.reference()), sentence)
            }
            _ if matches!(class, Class::Manual | Class::Nested) => {
                let kind = if class == Class::Manual { CauseKind::External } else { CauseKind::Application };
                Cause::plain(kind, Some(&self.workload.reference()), self.made_within(class))
            }
            _ => self.limit_as_it_stands(class, shape),
        }
    }

    /// The limit as it stands.
    fn limit_as_it_stands(&self, class: Class, shape: Option<Shape>) -> Cause {
        let sentence = self.too_low(class, shape);
        let cause = Cause::plain(CauseKind::Resource, Some(&self.workload.reference()), sentence);
        match (class, crate::spot::Spot::of(self.workload)) {
            (Class::PodLimit, Some(spot)) if self.is_pod_limited() => {
                let limit = self.pod.spec.resources.limits.get("memory").map(|limit| limit.as_str().into());
                let path = spot.path("resources").key("limits").key("memory");
                spot.wrong(&path, limit, cause.sentence)
            }
            _ => {
                let limit = self.limit().map(|limit| limit.as_str().into());
                Site::new(self.workload, &self.container.name).blame(cause, LIMIT, limit)
            }
        }
    }
}

impl<'a> Why<'a> {
    /// Whether what is the case is told, and nothing that may have made it so.
    pub(super) fn is_as_it_stands(&self) -> bool {
        self.suspect.is_none()
            && self.edited.is_none()
            && self.given.is_none()
            && self.versions.as_ref().is_none_or(|versions| !versions.settled)
    }

    /// Whether what is said to be the cause was compared with what is well.
    pub(super) fn is_proven(&self) -> bool {
        self.cut.is_some()
            || self.given.as_ref().is_some_and(Given::is_certain)
            || self.suspect.as_ref().is_some_and(|suspect| suspect.contrast.is_some())
    }

    pub(super) fn facts(&self) -> Vec<Fact> {
        let contrast = self.suspect.iter().filter_map(|suspect| suspect.contrast.clone());
        let versions = self.versions.iter().flat_map(|versions| versions.facts.clone());
        let edited = self.edited.iter().filter_map(Edited::fact);
        let load = self.load.iter().filter_map(Load::at_its_most);
        contrast.chain(versions).chain(edited).chain(self.neighbours.facts.clone()).chain(load).collect()
    }

    pub(super) fn alternatives(&self) -> Vec<Alternative> {
        let few = self.versions.as_ref().filter(|versions| !versions.settled).map(Versions::alternative);
        few.into_iter().chain(self.perhaps.clone()).chain(self.load.iter().filter_map(Load::alternative)).collect()
    }

    /// What was changed of what it reads, where that is the cause.
    pub(super) fn edited(&self) -> Option<&Edited<'a>> {
        self.edited.as_ref()
    }

    pub(super) fn given(&self) -> Option<&Given> {
        self.given.as_ref()
    }

    pub(super) fn load(&self) -> Option<&Load<'a>> {
        self.load.as_ref()
    }
}

/// What can make a container meet its limit: the limit itself first, then what runs in it and how it is told to.
fn plausible(below: &str, change: &FieldChange) -> Option<u8> {
    match below.split(['.', '[']).next().unwrap_or(below) {
        "resources" => cut(change).is_some().then_some(0),
        "image" => Some(1),
        "env" | "envFrom" | "args" | "command" => Some(2),
        // The whole container is new: so is its need.
        "" => Some(3),
        _ => None,
    }
}

/// A change that makes a memory limit tighter: lowers it, or sets one where there was none.
fn cut(change: &FieldChange) -> Option<Cut> {
    if !change.field.ends_with(LIMIT) {
        return None;
    }
    let number = |text: &str| Quantity::new(text).value();
    let to = change.to.as_ref()?;
    match (&change.from, to.as_str().and_then(number)?) {
        (None, _) => Some(Cut { from: None, to: describe::value(to) }),
        (Some(Value::String(from)), lower) if lower < number(from)? => {
            Some(Cut { from: Some(from.clone()), to: describe::value(to) })
        }
        _ => None,
    }
}
