//! An object at two moments, as far as revisions and managers tell.

use super::Read;
use super::revisions::{Comparison, Untold, template_place};
use crate::history::{self, Revised};
use crate::state::State;
use crate::view::View;
use reckon_model::diff::diff;
use reckon_model::document::{NotChecked, Side};
use reckon_model::{Change, FieldChange, Object, ResourceRef, Timestamp};
use serde_json::Value;

/// What is told of two moments.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// What differs.
    pub comparison: Comparison,
    /// What cannot be told of it.
    pub untold: Vec<NotChecked>,
}

/// Compares an object at two moments, the first the earlier one.
pub fn between(
    state: &State,
    target: &ResourceRef,
    moments: (Timestamp, Timestamp),
    now: Timestamp,
) -> Read<Result<Told, Untold>> {
    let view = View::new(state, now).closely(true);
    let found = match view.look_up(target).found() {
        Some(object) => compared(&view, object, moments),
        None => Err(Untold::Unread),
    };
    Read::new(found, view)
}

fn compared<'a>(view: &View<'a>, object: &'a Object, (from, to): (Timestamp, Timestamp)) -> Result<Told, Untold> {
    if let Some(created) = object.meta.created.filter(|created| from < *created) {
        return Err(Untold::NotYet { created });
    }
    let templates = history::templates(view, object);
    let mut untold = Vec::new();
    let mut fields = of_template(object, &templates, from, to)?;
    for revised in templates.iter().skip(1).filter(|revised| revised.change.is_none() && revised.is_rolled_back) {
        let what = format!("when revision {} was rolled back to", revised.number);
        untold.push(NotChecked { what, why: "neither its ReplicaSet nor a manager of its fields tells".to_owned() });
    }
    let told: Vec<Change> = templates.iter().filter_map(|revised| revised.change.clone()).collect();
    let within = |change: &Change| from < change.at && change.at <= to;
    let others = history::beside(object, &told, &templates);
    for change in others.iter().filter(|change| within(change)) {
        for field in &change.fields {
            if field.from.is_none() {
                untold.push(not_remembered(field, change));
            }
            fields.push(field.clone());
        }
    }
    if templates.is_empty() && others.is_empty() {
        fields.extend(of_release(view, object, from, to));
        if let Some(change) = history::written(object).filter(|change| fields.is_empty() && within(change)) {
            let by = change.actor.map(|actor| format!(" by {}", actor.manager)).unwrap_or_default();
            let what = format!("what was written at {}{by}", change.at);
            untold.push(NotChecked { what, why: "nothing keeps what the object was before".to_owned() });
        }
    }
    fields.sort_by(|a, b| a.pointer.cmp(&b.pointer));
    Ok(Told { comparison: Comparison { from: side(from), to: side(to), fields }, untold })
}

fn side(at: Timestamp) -> Side {
    Side { name: at.to_string(), at: Some(at), ..Side::default() }
}

fn not_remembered(field: &FieldChange, change: &Change) -> NotChecked {
    let what = format!("{} before {}", field.field, change.at);
    NotChecked { what, why: "managedFields tell who wrote it and when, not what it was".to_owned() }
}

/// What differs between the templates in force at two moments.
fn of_template(
    object: &Object,
    templates: &[Revised],
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<FieldChange>, Untold> {
    if templates.is_empty() {
        return Ok(Vec::new());
    }
    let (field, pointer) = template_place(object);
    Ok(diff(in_force(templates, from)?, in_force(templates, to)?, field, pointer))
}

/// The template in force at a moment.
fn in_force(templates: &[Revised], at: Timestamp) -> Result<&Value, Untold> {
    let begins = |(place, revised): (usize, &'_ Revised)| match (&revised.change, place) {
        (Some(change), _) => Some(change.at),
        (None, 0) => Some(revised.created),
        (None, _) => None,
    };
    let last = templates.iter().enumerate().rev().find(|it| begins(*it).is_some_and(|begin| begin <= at));
    if let Some((_, revised)) = last {
        return Ok(&revised.template);
    }
    // What was rolled back to carries a later number now, and was in force under an earlier one.
    let earlier = templates.iter().filter(|revised| revised.created <= at).max_by_key(|revised| revised.created);
    let since = templates.iter().map(|revised| revised.created).min().unwrap_or(at);
    earlier.map(|revised| &revised.template).ok_or(Untold::Forgotten { since })
}

/// What differs between the revisions of its Helm release that were the newest at two moments.
fn of_release<'a>(view: &View<'a>, object: &'a Object, from: Timestamp, to: Timestamp) -> Vec<FieldChange> {
    let Some((namespace, name)) = history::release_of(object) else { return Vec::new() };
    let revisions = history::release_revisions(view, namespace, name);
    let at = |moment: Timestamp| {
        let newest = revisions.iter().rev().find(|(_, secret)| secret.meta.created.is_some_and(|at| at <= moment));
        history::manifest(view, namespace, newest?.1, object)
    };
    match (at(from), at(to)) {
        (Some(old), Some(new)) => history::meant(old, new),
        _ => Vec::new(),
    }
}
