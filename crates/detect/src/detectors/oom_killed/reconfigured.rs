//! Configuration that the container reads and that was changed before it first met its limit.

use super::killed::Killed;
use crate::describe;
use crate::detectors::configuration::{self, Edited};
use crate::detectors::revision;
use jiff::SignedDuration;
use reckon_model::document::{Alternative, Cause, Verdict};
use reckon_model::{Body, Kind, Object, Timestamp};

/// A change before the first death by more than this is one of many.
const NEAR: SignedDuration = SignedDuration::from_hours(1);

/// Clocks differ by less.
const SLACK: SignedDuration = SignedDuration::from_secs(60);

impl<'a> Killed<'_, 'a> {
    /// The newest change of a ConfigMap or Secret that the instance read at its start, in the day before the trouble began.
    /// None that a pod lives well with. In a list of all problems only of what is known already.
    pub(super) fn reconfigured(&self) -> Option<Edited<'a>> {
        let started = match self.end {
            Some(end) => end.started_at,
            None => self.status.state.running.as_ref()?.started_at,
        };
        let until = started?.checked_add(SLACK).ok();
        let since = self.onset().and_then(|onset| onset.checked_sub(revision::WINDOW).ok());
        let read = configuration::read_by(&self.pod.spec, self.container, self.subject.meta.namespace.as_deref());
        let changed = read.keys().filter_map(|reference| {
            let object = match self.view.is_close() || self.view.all_known(&reference.kind) {
                true => self.view.look_up(reference).found().filter(|object| !is_renewed_by_itself(object))?,
                false => return None,
            };
            let change = configuration::changed(self.view, object, since, until)?;
            // Where it is known what was changed, one key of several is no better a guess than none.
            let key = match configuration::keys(object, &change).as_slice() {
                [key] => Some(key.clone()),
                _ => None,
            };
            Some(Edited { object, change, key })
        });
        let name = &self.container.name;
        let newest = changed.max_by_key(|edited| edited.change.at)?;
        let started_after = |other: &&Object| {
            let status = other.pod().and_then(|body| body.containers().find(|(_, item, _)| item.name == *name)?.2);
            let running = status.and_then(|status| status.state.running.as_ref()?.started_at);
            running.is_some_and(|at| at > newest.change.at)
        };
        let lives_with_it =
            |other: &&Object| started_after(other) && revision::outlives(self.view, other, self.subject, name);
        let peers = revision::peers(self.view, self.workload, self.subject);
        (!peers.iter().any(lives_with_it)).then_some(newest)
    }
}

/// Certificates and tokens are written anew all the time, and no program needs more memory for that.
fn is_renewed_by_itself(object: &Object) -> bool {
    match &object.body {
        Body::Config(config) => {
            config.kind == "kubernetes.io/tls" || config.kind.starts_with("kubernetes.io/service-account")
        }
        _ => false,
    }
}

/// Whether it is near enough to the first death to be taken for its cause. Of a Secret nobody can say what it means.
pub(super) fn is_suspect(edited: &Edited<'_>, onset: Option<Timestamp>) -> bool {
    let near = |onset: Timestamp| onset.duration_since(edited.change.at) <= NEAR;
    edited.object.kind == Kind::ConfigMap && onset.is_some_and(near)
}

/// What follows from such a change.
pub(super) fn cause(edited: &Edited<'_>, container: &str) -> Cause {
    edited.cause(&format!(
        " while the limit stayed: {container} reads it and is killed for memory since; whether it needs more for that is not proven."
    ))
}

/// The same as one possibility.
pub(super) fn alternative(edited: &Edited<'_>, container: &str) -> Alternative {
    let by = edited.change.actor.as_ref().map(|actor| format!(" by {}", actor.manager)).unwrap_or_default();
    let sentence = format!(
        "{} was changed at {}{by}, and {container} reads it: it may need more memory since.",
        edited.name(),
        describe::time(edited.change.at)
    );
    Alternative { reference: Some((&edited.object.reference()).into()), verdict: Verdict::Possible, sentence }
}
