//! Two revisions of an object side by side: of a pod template, or of the Helm release that the object belongs to.

use super::Read;
use crate::history::{self, Revised};
use crate::state::State;
use crate::view::View;
use reckon_model::diff::diff;
use reckon_model::document::Side;
use reckon_model::text::enumerate;
use reckon_model::{Actor, FieldChange, Kind, Object, ResourceRef, Timestamp};
use serde_json::Value;
use std::fmt;

/// Whose revisions are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The object's own where its kind has some, else those of its Helm release.
    Own,
    /// Those of its Helm release.
    Release,
}

/// Which revisions are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The last two; the only one there is with what is now.
    Last,
    /// One with what is now.
    Since(i64),
    /// Two.
    Two(i64, i64),
}

/// Two states of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The older, or the first.
    pub from: Side,
    /// The newer, or the second.
    pub to: Side,
    /// What differs, in the order of pointers.
    pub fields: Vec<FieldChange>,
}

/// Why two states cannot be compared, as a sentence's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Untold {
    /// The object was not read, or more has to be known first.
    Unread,
    /// Nothing keeps earlier states of it.
    NoRevisions {
        /// Its kind.
        kind: Kind,
        /// Whether the revisions of a Helm release were asked for.
        whose: Whose,
    },
    /// There is no such revision.
    Missing {
        /// The one that was asked for.
        wanted: i64,
        /// Those that are kept, oldest first.
        kept: Vec<i64>,
        /// The release whose revisions these are, if they are.
        release: Option<String>,
        /// The Helm release that has the revision, where the object's own were asked for.
        helm: Option<String>,
    },
    /// A revision that is there could not be read, or does not hold the object.
    Unreadable {
        /// Its number.
        revision: i64,
        /// The release.
        release: String,
    },
    /// It was made later than that.
    NotYet {
        /// When it was made.
        created: Timestamp,
    },
    /// What it was like then is not kept.
    Forgotten {
        /// Since when it is.
        since: Timestamp,
    },
}

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Untold::Unread => f.write_str("could not be read"),
            Untold::NoRevisions { kind, whose: Whose::Own } => write!(
                f,
                "has no revisions: Kubernetes keeps none of a {}, and it is of no Helm release whose revisions can be read; \
                 --at tells what its managers wrote between two moments",
                kind.name()
            ),
            Untold::NoRevisions { whose: Whose::Release, .. } => {
                f.write_str("is of no Helm release whose revisions can be read")
            }
            Untold::Missing { wanted, kept, release, helm } => {
                let numbers: Vec<String> = kept.iter().map(i64::to_string).collect();
                let of = release.as_ref().map(|name| format!(" of release {name}")).unwrap_or_default();
                write!(f, "has no revision {wanted}{of}; kept are {}", enumerate(&numbers))?;
                match helm {
                    Some(name) => write!(f, " (its Helm release {name} has a revision {wanted}: give --helm)"),
                    None => Ok(()),
                }
            }
            Untold::Unreadable { revision, release } => {
                write!(f, "cannot be read in revision {revision} of release {release}, or is not part of it")
            }
            Untold::NotYet { created } => write!(f, "was not there yet: it was made at {created}"),
            Untold::Forgotten { since } => {
                write!(f, "is not remembered as it was then: what is kept begins at {since}")
            }
        }
    }
}

impl std::error::Error for Untold {}

/// Compares two revisions of an object.
pub fn revisions(
    state: &State,
    target: &ResourceRef,
    which: Which,
    whose: Whose,
    now: Timestamp,
) -> Read<Result<Comparison, Untold>> {
    let view = View::new(state, now).closely(true);
    let found = match view.look_up(target).found() {
        Some(object) => compared(&view, object, which, whose),
        None => Err(Untold::Unread),
    };
    Read::new(found, view)
}

fn compared<'a>(view: &View<'a>, object: &'a Object, which: Which, whose: Whose) -> Result<Comparison, Untold> {
    let own = if whose == Whose::Own { states_of_template(view, object) } else { Vec::new() };
    if !own.is_empty() {
        let (field, pointer) = template_place(object);
        let live = object.whole().and_then(|whole| whole.pointer(pointer).cloned()).unwrap_or_default();
        return match choose(&own, which) {
            Ok((from, to)) => {
                let (newer, side) = match to {
                    Some(to) => (&to.value, to.side("revision")),
                    None => (&live, now()),
                };
                Ok(Comparison {
                    fields: diff(&from.value, newer, field, pointer),
                    from: from.side("revision"),
                    to: side,
                })
            }
            Err(wanted) => {
                let kept = own.iter().map(|state| state.number).collect();
                let helm = history::release_of(object)
                    .filter(|(namespace, name)| {
                        history::release_revisions(view, namespace, name)
                            .iter()
                            .any(|(number, _)| i64::try_from(*number) == Ok(wanted))
                    })
                    .map(|(_, name)| name.to_owned());
                Err(Untold::Missing { wanted, kept, release: None, helm })
            }
        };
    }
    let none = || Untold::NoRevisions { kind: object.kind.clone(), whose };
    let (namespace, name) = history::release_of(object).ok_or_else(none)?;
    let kept: Vec<Kept<&Object>> = history::release_revisions(view, namespace, name)
        .into_iter()
        .filter_map(|(number, secret)| {
            Some(Kept { number: i64::try_from(number).ok()?, at: secret.meta.created, actor: None, value: secret })
        })
        .collect();
    if kept.is_empty() {
        return Err(none());
    }
    let (from, to) = choose(&kept, which).map_err(|wanted| Untold::Missing {
        wanted,
        kept: kept.iter().map(|state| state.number).collect(),
        release: Some(name.to_owned()),
        helm: None,
    })?;
    let read = |state: &Kept<&'a Object>| {
        history::manifest(view, namespace, state.value, object)
            .ok_or_else(|| Untold::Unreadable { revision: state.number, release: name.to_owned() })
    };
    let word = format!("release {name} revision");
    // Both are asked for before either is missed.
    let (older, newer) = (read(from), to.map(read).transpose());
    let (older, newer) = (older?, newer?);
    match (newer, to) {
        (Some(newer), Some(to)) => {
            Ok(Comparison { fields: history::meant(older, newer), from: from.side(&word), to: to.side(&word) })
        }
        _ => {
            let live = object.whole().map(|whole| Value::clone(&whole)).unwrap_or_default();
            // What only the live object has is a default, or another manager's own business; the chart left it open.
            let fields = history::meant(older, &live).into_iter().filter(|field| field.from.is_some()).collect();
            Ok(Comparison { fields, from: from.side(&word), to: now() })
        }
    }
}

/// A state that is kept.
struct Kept<T> {
    number: i64,
    at: Option<Timestamp>,
    actor: Option<Actor>,
    value: T,
}

impl<T> Kept<T> {
    fn side(&self, word: &str) -> Side {
        let Kept { number, at, actor, .. } = self;
        Side { name: format!("{word} {number}"), revision: Some(*number), at: *at, context: None, actor: actor.clone() }
    }
}

fn now() -> Side {
    Side { name: "now".to_owned(), ..Side::default() }
}

/// The two that were asked for, the second of them `None` for what is now; or the number that is not there.
fn choose<T>(kept: &[Kept<T>], which: Which) -> Result<(&Kept<T>, Option<&Kept<T>>), i64> {
    let find = |number: i64| kept.iter().find(|state| state.number == number).ok_or(number);
    match (which, kept) {
        (Which::Two(from, to), _) => Ok((find(from)?, Some(find(to)?))),
        (Which::Since(from), _) => Ok((find(from)?, None)),
        (Which::Last, [.., before, last]) => Ok((before, Some(last))),
        (Which::Last, [only]) => Ok((only, None)),
        (Which::Last, []) => Err(0),
    }
}

/// Where an object has its pod template, in both notations.
pub(super) fn template_place(object: &Object) -> (&'static str, &'static str) {
    match object.kind {
        Kind::CronJob => ("spec.jobTemplate.spec.template", "/spec/jobTemplate/spec/template"),
        _ => ("spec.template", "/spec/template"),
    }
}

/// The kept states of a template that have numbers; the Jobs of a CronJob have none.
fn states_of_template<'a>(view: &View<'a>, object: &'a Object) -> Vec<Kept<Value>> {
    if !matches!(object.kind, Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet) {
        return Vec::new();
    }
    let state = |revised: Revised| {
        let at = revised.change.as_ref().map(|change| change.at);
        // When an older one was rolled back to may not be known; when it was made is another time.
        let at = at.or(Some(revised.created).filter(|_| !revised.is_rolled_back));
        let actor = revised.change.and_then(|change| change.actor);
        Kept { number: revised.number, at, actor, value: revised.template }
    };
    history::templates(view, object).into_iter().map(state).collect()
}
