//! Configuration that the container reads and that was changed before it first met its limit.

use super::killed::Killed;
use crate::detectors::configuration::{self, Edited};
use crate::detectors::revision;
use jiff::SignedDuration;
use reckon_model::document::Cause;

/// Clocks differ by less.
const SLACK: SignedDuration = SignedDuration::from_secs(60);

impl<'a> Killed<'_, 'a> {
    /// The newest change of a ConfigMap or Secret that the instance read at its start, in the day before the trouble began.
    /// None that a pod lives well with.
    pub(super) fn reconfigured(&self) -> Option<Edited<'a>> {
        let started = match self.end {
            Some(end) => end.started_at,
            None => self.status.state.running.as_ref()?.started_at,
        };
        let until = started?.checked_add(SLACK).ok();
        let since = self.onset().and_then(|onset| onset.checked_sub(revision::WINDOW).ok());
        let read = configuration::read_by(self.pod, self.container, self.subject.meta.namespace.as_deref());
        let changed = read.keys().filter_map(|reference| {
            let object = self.view.look_up(reference).found()?;
            let change = configuration::changed(self.view, object, since, until)?;
            // Where it is known what was changed, one key of several is no better a guess than none.
            let key = match configuration::keys(object, &change).as_slice() {
                [key] => Some(key.clone()),
                _ => None,
            };
            Some(Edited { object, change, key })
        });
        let newest = changed.max_by_key(|edited| edited.change.at)?;
        let started_after = |other: &reckon_model::Object| {
            let status = other
                .pod()
                .and_then(|body| body.containers().find(|(_, item, _)| item.name == self.container.name)?.2.cloned());
            status.and_then(|status| status.state.running?.started_at).is_some_and(|at| at > newest.change.at)
        };
        let lives_with_it = |other: &&reckon_model::Object| {
            started_after(other) && revision::outlives(self.view, other, self.subject, &self.container.name)
        };
        let peers = revision::peers(self.view, self.workload, self.subject);
        (!peers.iter().any(lives_with_it)).then_some(newest)
    }
}

/// What follows from such a change.
pub(super) fn cause(edited: &Edited<'_>, container: &str) -> Cause {
    edited.cause(&format!(" while the limit stayed: {container} reads it and needs more memory since."))
}
