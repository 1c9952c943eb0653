//! Configuration that a container reads and that was changed before it began to end.

use super::{Crash, sort};
use crate::detectors::configuration::{self, Edited};
use crate::detectors::revision::{self, Suspect, WINDOW};
use crate::{describe, history};
use jiff::SignedDuration;
use reckon_model::document::{Alternative, Ref, Verdict};
use reckon_model::k8s::Pod;
use reckon_model::{Change, LogLine, Object, Timestamp};

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
    for (reference, variables) in configuration::read_by(&crash.pod.spec, crash.container, namespace) {
        let Some(object) = crash.view.look_up(&reference).found() else { continue };
        let Some(change) = configuration::changed(crash.view, object, since, until) else { continue };
        let template = suspect.filter(|suspect| suspect.blame.change.at > change.at);
        // The newer of two changes explains what began after it, unless it made the first pods that have read the older one.
        if template.is_some_and(|suspect| !is_new_to_them(crash, change.at, suspect.blame.change.at)) {
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
        // Beside a newer change a key has to be named, and nothing of that change.
        let named = match template {
            Some(template) => key.is_some() && !sort::concerns(says, template.blame.field()),
            None => key.is_some() || said(&object.meta.name),
        };
        if template.is_some() && !named {
            continue;
        }
        if named && changed.culprit.is_none() {
            changed.culprit = Some(Edited { object, change, key });
        } else {
            changed.alternatives.push(alternative(object, &change));
        }
    }
    changed
}

/// Whether, as far as is known, no pod of the templates before has read what was written then: none of them came since,
/// and their pods that are left run since before and are well.
fn is_new_to_them(crash: &Crash<'_, '_>, written: Timestamp, template: Timestamp) -> bool {
    let between = |change: &Change| written < change.at && change.at < template;
    if history::templates(crash.view, crash.workload).iter().filter_map(|it| it.change.as_ref()).any(between) {
        return false;
    }
    let same = revision::peers(crash.view, crash.workload, crash.subject);
    let mut others = crash.view.pods_of(crash.workload).items.into_iter().filter(|other| {
        let own = other.reference();
        other.meta.deleted.is_none()
            && own != crash.subject.reference()
            && same.iter().all(|peer| peer.reference() != own)
    });
    let old = |other: &Object| {
        let mut containers = other.pod().into_iter().flat_map(Pod::containers);
        containers.any(|(_, item, status)| {
            let running = status.filter(|status| status.ready).and_then(|status| status.state.running.as_ref());
            let started = running.and_then(|running| running.started_at);
            item.name == crash.container.name && started.is_some_and(|started| started < written)
        })
    };
    others.all(old)
}

/// A newer change of the template, beside configuration that its pods were the first to read.
pub(super) fn made_them(suspect: &Suspect) -> Alternative {
    let field = &suspect.blame.field().field;
    Alternative {
        reference: Some(Ref::from(&suspect.blame.change.subject)),
        verdict: Verdict::Possible,
        sentence: format!(
            "{field} was {}: that made the pods that were the first to read it. Pods of the template before read it as well when they start next.",
            suspect.blame.words()
        ),
    }
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
