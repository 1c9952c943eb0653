//! What is not told, by rule: each rule has a name, says in a sentence what it leaves out and why, and can be turned off.

mod page;
pub(crate) mod table;

pub use page::page;
pub use table::RULES;

use reckon_model::Kind;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// What it is called: in configuration, in `docs/noise.md`.
    pub id: &'static str,
    /// What is not told, and why nobody misses it.
    pub sentence: &'static str,
    /// What exactly.
    pub matches: Matches,
}

/// What a rule leaves out.
#[derive(Debug)]
pub enum Matches {
    /// Fields of every object, as pointers.
    Fields(&'static [&'static str]),
    /// Annotations, wherever there are any; `*` at the end stands for anything.
    Annotations(&'static [&'static str]),
    /// Labels, of objects and of pod templates.
    Labels(&'static [&'static str]),
    /// Finalizers.
    Finalizers(&'static [&'static str]),
    /// Taints of nodes, by key.
    Taints(&'static [&'static str]),
    /// Objects of these kinds, by group and kind.
    Kinds(&'static [(&'static str, &'static str)]),
    /// Normal Events of these reasons.
    Events(&'static [&'static str]),
    /// What takes more than a name to be told: in words.
    Judged(&'static str),
}

/// No rule has this name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no rule {0:?}; docs/noise.md lists them all")]
pub struct UnknownRule(String);

/// The rules that hold: all of them, unless some are turned off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noise {
    off: BTreeSet<&'static str>,
}

impl Noise {
    /// All rules but these.
    ///
    /// # Errors
    /// Where one of the names is no rule's.
    pub fn without<'a>(ids: impl IntoIterator<Item = &'a str>) -> Result<Noise, UnknownRule> {
        let known = |id: &str| RULES.iter().map(|rule| rule.id).find(|known| *known == id);
        let off =
            ids.into_iter().map(|id| known(id).ok_or_else(|| UnknownRule(id.to_owned()))).collect::<Result<_, _>>()?;
        Ok(Noise { off })
    }

    /// Whether the rule of this name holds.
    pub(crate) fn holds(&self, id: &str) -> bool {
        !self.off.contains(id)
    }

    fn rules(&self) -> impl Iterator<Item = &'static Rule> {
        RULES.iter().filter(|rule| self.holds(rule.id))
    }

    /// Whether nothing is told of objects of this kind.
    pub(crate) fn drops_kind(&self, kind: &Kind) -> bool {
        self.rules().any(|rule| match rule.matches {
            Matches::Kinds(kinds) => kinds.contains(&(kind.group(), kind.name())),
            _ => false,
        })
    }

    /// Whether an Event that warns of nothing is told by other facts.
    pub(crate) fn drops_event(&self, reason: &str) -> bool {
        self.rules().any(|rule| matches!(rule.matches, Matches::Events(reasons) if reasons.contains(&reason)))
    }

    /// Takes out of an object what no rule lets through whoever wrote it.
    pub(crate) fn strip(&self, object: &mut Value) {
        for rule in self.rules() {
            match rule.matches {
                Matches::Fields(pointers) => pointers.iter().for_each(|pointer| remove(object, pointer)),
                Matches::Annotations(keys) => strip_keys(object, "annotations", keys),
                Matches::Labels(keys) => strip_keys(object, "labels", keys),
                Matches::Finalizers(names) => {
                    retain(object, "/metadata", "finalizers", |item| !item.as_str().is_some_and(|it| named(names, it)));
                }
                Matches::Taints(keys) => {
                    retain(object, "/spec", "taints", |item| {
                        !item.get("key").and_then(Value::as_str).is_some_and(|key| named(keys, key))
                    });
                }
                Matches::Kinds(_) | Matches::Events(_) | Matches::Judged(_) => {}
            }
        }
    }
}

/// Whether a name is among these, some of which stand for all that begin like them.
fn named(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| match known.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => *known == name,
    })
}

fn remove(object: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    if let Some(members) = object.pointer_mut(parent).and_then(Value::as_object_mut) {
        members.remove(key);
    }
}

/// Where objects have labels and annotations of their own, and for the pods that they make.
const METADATA: [&str; 3] = ["/metadata", "/spec/template/metadata", "/spec/jobTemplate/spec/template/metadata"];

fn strip_keys(object: &mut Value, map: &str, keys: &[&str]) {
    for place in METADATA {
        let Some(members) = object.pointer_mut(place).and_then(Value::as_object_mut) else { continue };
        let Some(entries) = members.get_mut(map).and_then(Value::as_object_mut) else { continue };
        entries.retain(|key, _| !named(keys, key));
        if entries.is_empty() {
            members.remove(map);
        }
    }
}

fn retain(object: &mut Value, place: &str, list: &str, stays: impl Fn(&Value) -> bool) {
    let Some(members) = object.pointer_mut(place).and_then(Value::as_object_mut) else { return };
    let Some(items) = members.get_mut(list).and_then(Value::as_array_mut) else { return };
    items.retain(stays);
    if items.is_empty() {
        members.remove(list);
    }
}

/// An object without members has no metadata worth a word.
pub(crate) fn prune(object: &mut Map<String, Value>) {
    if object.get("metadata").and_then(Value::as_object).is_some_and(Map::is_empty) {
        object.remove("metadata");
    }
}
