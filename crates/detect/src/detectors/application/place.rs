//! Where a program was told an address, in what a person edits.

use super::Speaker;
use crate::addresses::calls::Written;
use crate::blame::{self, Blame};
use crate::spot::{Path, Spot};
use reckon_model::{FieldChange, Object};
use serde_json::Value;

/// A field that holds an address.
pub(super) struct Place<'a> {
    pub(super) object: &'a Object,
    pub(super) path: Path,
    pub(super) value: Option<Value>,
    /// The variable.
    pub(super) variable: Option<String>,
    /// The key of a ConfigMap.
    pub(super) key: Option<String>,
}

/// Longer values are not repeated, and not written anew for a part of them.
const LONG: usize = 200;

/// The field in which this is written.
pub(super) fn of<'a>(speaker: &Speaker<'_, 'a>, written: &Written) -> Option<Place<'a>> {
    let short = |value: &str| (value.chars().count() <= LONG).then(|| value.into());
    match written {
        Written::Env(container, name) => {
            let spot = Spot::of(speaker.workload)?;
            let path = spot.container(container)?;
            let (_, container) = spot.spec.container(container)?;
            let at = container.env.iter().position(|variable| variable.name == *name)?;
            let value = container.env.get(at)?.value.as_deref().and_then(short);
            let path = path.key("env").item(name, at).key("value");
            Some(Place { object: speaker.workload, path, value, variable: Some(name.clone()), key: None })
        }
        Written::Words(container, field) => {
            let path = Spot::of(speaker.workload)?.container(container)?.key(field);
            Some(Place { object: speaker.workload, path, value: None, variable: None, key: None })
        }
        Written::Data(map, key) => {
            let object = speaker.view.look_up(map).found()?;
            let path = Path { field: "data".to_owned(), pointer: "/data".to_owned() }.entry(key);
            let whole = object.whole()?;
            let value = short(whole.pointer(&path.pointer)?.as_str()?);
            Some(Place { object, path, value, variable: None, key: Some(key.clone()) })
        }
    }
}

/// The change that made this place name the address.
pub(super) fn changed(speaker: &Speaker<'_, '_>, place: &Place<'_>, words: &str) -> Option<Blame> {
    let rank = |field: &FieldChange| {
        let names = |value: &Option<Value>| value.as_ref().is_some_and(|value| value.to_string().contains(words));
        (place.path.is_touched_by(field) && names(&field.to) && !names(&field.from) && field.from.is_some())
            .then_some(0)
    };
    if place.object.reference() == speaker.workload.reference() {
        return blame::template_change(speaker.view, speaker.workload, Some(speaker.subject), None, rank);
    }
    let object = speaker.view.look_up(&place.object.reference()).found()?;
    blame::object_change(speaker.view, object, None, rank)
}
