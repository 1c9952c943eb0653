//! Configuration that a container reads and that was changed before it began to end.

use super::{Crash, sort};
use crate::describe;
use crate::detectors::configuration::{self, Edited};
use crate::detectors::revision::{self, Suspect, WINDOW};
use jiff::SignedDuration;
use reckon_model::document::{Alternative, Ref, Verdict};
use reckon_model::{Change, LogLine, Object};

/// Clocks differ by less.
const SLACK: SignedDuration = SignedDuration::from_secs(60);

/// What was changed of what the container reads.
#[derive(Default)]
pub(super) struct Changed<'a> {
    /// The change that the log names.
    pub(super) culprit: Option<Edited<'a>>,
    /// Changes that it does not.
    pub(super) alternatives: Vec<Alternative>,
}

/// What of the container's ConfigMaps and Secrets was changed after the template and before the trouble.
pub(super) fn changed<'a>(crash: &Crash<'_, 'a>, suspect: Option<&Suspect>, line: Option<&LogLine>) -> Changed<'a> {
    let mut changed = Changed::default();
    let Some(end) = crash.end.filter(|_| crash.not_started.is_none()) else { return changed };
    let onset = revision::onset(crash.subject, crash.status, end);
    let since = onset.and_then(|onset| onset.checked_sub(WINDOW).ok());
    // The instance that died has read what was there when it started.
    let until = end.started_at.or(end.finished_at).and_then(|at| at.checked_add(SLACK).ok());
    let namespace = crash.subject.meta.namespace.as_deref();
    for (reference, variables) in configuration::read_by(crash.pod, crash.container, namespace) {
        let Some(object) = crash.view.look_up(&reference).found() else { continue };
        let Some(change) = configuration::changed(crash.view, object, since, until) else { continue };
        // The newer of two changes explains what began after it.
        if suspect.is_some_and(|suspect| suspect.blame.change.at > change.at) {
            continue;
        }
        let says = line.map(|line| line.text.as_str()).unwrap_or_default();
        let said = |name: &str| name.len() > 2 && says.contains(name);
        let keys = configuration::keys(object, &change);
        let variable = variables.iter().find(|(variable, key)| keys.contains(key) && said(variable));
        let far = || {
            let field = change.fields.iter().find(|field| sort::names_far_end(says, field))?;
            keys.iter().find(|key| field.pointer.ends_with(&format!("/{}", reckon_model::diff::escape(key))))
        };
        let key = keys.iter().find(|key| said(key)).or(variable.map(|(_, key)| key)).or_else(far).cloned();
        let named = key.is_some() || said(&object.meta.name);
        if named && changed.culprit.is_none() {
            changed.culprit = Some(Edited { object, change, key });
        } else {
            changed.alternatives.push(alternative(object, &change));
        }
    }
    changed
}

fn alternative(object: &Object, change: &Change) -> Alternative {
    let by = change.actor.as_ref().map(|actor| format!(" by {}", actor.manager)).unwrap_or_default();
    Alternative {
        reference: Some(Ref::from(&object.reference())),
        verdict: Verdict::Possible,
        sentence: format!(
            "{} {} was changed at {}{by}, and the container reads it; what it says does not name what was changed. Putting the earlier content back would settle it.",
            object.kind,
            describe::object(object),
            describe::time(change.at)
        ),
    }
}
