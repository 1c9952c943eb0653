//! Whether a container was killed while it was still starting.

use super::answer::{Answer, Which};
use super::{Failing, budget};
use crate::detectors::killed_by;
use jiff::SignedDuration;
use reckon_model::k8s::Terminated;
use reckon_model::{LogLine, Timestamp};

/// What programs write while they start.
const STARTING: [&str; 10] = [
    "starting",
    "loading",
    "initializ",
    "initialis",
    "migrat",
    "warming",
    "booting",
    "bootstrap",
    "recovering",
    "replaying",
];

impl Failing<'_, '_> {
    /// Whether the kill came as soon as it could after the start: the program was never given the time it needs.
    pub(super) fn early(&self, end: &Terminated) -> bool {
        if self.which == Which::Startup {
            return true;
        }
        let Some(started) = end.started_at else { return false };
        // A program that takes the connection and does not answer has started, and is busy.
        if self.answer == Answer::Timeout {
            return false;
        }
        let before_end = |at: &Timestamp| end.finished_at.is_none_or(|end| *at <= end) && *at >= started;
        let killing = self
            .view
            .events(self.subject)
            .into_iter()
            .filter(|event| event.reason == "Killing" && killed_by::names(event, &self.container.name))
            .flat_map(|event| [event.first_seen(), event.last_seen()])
            .flatten()
            .filter(before_end)
            .max();
        // Between the kill and the end stands the grace period, all of it where the program does not heed SIGTERM.
        let grace = self.pod.spec.termination_grace_period_seconds.unwrap_or(30).clamp(0, 3600);
        let spare = SignedDuration::from_secs(self.probe.period().clamp(1, 3600) + 3);
        let limit = budget(self.probe).saturating_add(spare);
        match (killing, end.finished_at) {
            (Some(killing), _) => killing.duration_since(started) <= limit,
            (None, Some(finished)) => {
                finished.duration_since(started) <= limit.saturating_add(SignedDuration::from_secs(grace))
            }
            (None, None) => false,
        }
    }

    /// The last line of the instance that was killed, if it tells of a start.
    pub(super) fn starting(&self) -> Option<&LogLine> {
        let previous = self.status.state.terminated.is_none();
        let lines = self.view.log(self.subject, &self.container.name, previous)?;
        lines.iter().rev().find(|line| !line.text.trim().is_empty()).filter(|line| {
            let lower = line.text.to_lowercase();
            STARTING.iter().any(|word| lower.contains(word))
        })
    }
}
