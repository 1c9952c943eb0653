//! Programs that answer late because their limit of processor time stops them.
//!
//! To be throttled is no fault: what has work to do uses what it may. It is one where something waits for the answer.

use super::answer::Answer;
use super::{Failing, target};
use crate::detectors::revision::{self, Suspect};
use crate::detectors::template::Site;
use crate::{Fact, Finding, Place, View, describe, spot};
use jiff::SignedDuration;
use reckon_model::Timestamp;
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Container, ContainerStatus, Event, Pod, bare_id};
use reckon_model::kernel::Throttling;
use serde_json::json;

/// Stopped in so many of a hundred periods, it is felt. Fewer periods than these tell nothing.
const FELT: u64 = 25;
const PERIODS: u64 = 20;

/// For so long a reading stands: four times the pause between two.
const TOLD: SignedDuration = SignedDuration::from_secs(60);

/// For so long after the last late answer it counts as slow: probes are made every few seconds.
const LATE: SignedDuration = SignedDuration::from_mins(2);

/// That a container is stopped, as its node reads it.
pub(super) struct Stopped {
    at: Timestamp,
    limit: String,
    /// In thousandths of a core.
    millis: i64,
    counted: Throttling,
}

impl Stopped {
    /// How the container is stopped now, where it has a limit and its node tells.
    pub(super) fn of(view: &View<'_>, pod: &Pod, container: &Container, status: &ContainerStatus) -> Option<Stopped> {
        let limit = container.resources.limits.get("cpu")?;
        let id = bare_id(&status.container_id);
        let facts = view.kernel(&pod.spec.node_name, false)?;
        let group = facts.cgroups.iter().find(|group| !id.is_empty() && group.container_id.as_deref() == Some(id))?;
        let (at, counted) = (group.at?, group.throttling?);
        let due = at.checked_add(TOLD).ok().filter(|due| *due >= view.now())?;
        view.recheck_at(due);
        let felt = counted.periods >= PERIODS && counted.percent() >= FELT;
        felt.then(|| Stopped { at, limit: limit.as_str().to_owned(), millis: limit.millis().unwrap_or(0), counted })
    }

    /// It as a fact.
    pub(super) fn fact(&self, failing: &Failing<'_, '_>) -> Fact {
        let Throttling { periods, throttled } = self.counted;
        let words = format!(
            "{} was stopped in {throttled} of {periods} periods ({} %), as its CPU limit of {} was used up",
            failing.container.name,
            self.counted.percent(),
            self.limit
        );
        Fact::new(Role::Cause, Source::Kernel, Some(self.at), failing.subject, words)
    }

    /// Twice as much; who needs more is stopped again, and is told so again.
    pub(super) fn more(&self, failing: &Failing<'_, '_>) -> Option<Remedy> {
        let name = &failing.container.name;
        let more = format!("{}m", self.millis.checked_mul(2).filter(|millis| *millis > 0)?);
        let sentence =
            format!("Raise the CPU limit of {name} to {more}, or take it away: the request is what it is sure of.");
        let change = json!({"resources": {"limits": {"cpu": more}}});
        Some(Site::new(failing.workload, name).remedy(RemedyKind::SetResources, change, sentence))
    }
}

/// The container is stopped, and its probe lately had no answer in time.
pub(super) fn finding(failing: &Failing<'_, '_>, stopped: &Stopped, since: Option<Timestamp>) -> Option<Finding> {
    if failing.answer != Answer::Timeout {
        return None;
    }
    let late = failing.event?.last_seen()?;
    let over = late.checked_add(LATE).ok().filter(|over| *over >= failing.view.now())?;
    failing.view.recheck_at(over);
    let name = &failing.container.name;
    let (word, whose) = (failing.which.word(), describe::object(failing.workload));
    let percent = stopped.counted.percent();
    let slow = format!("its {word} probe {} is answered too late{}", target::words(failing.probe), failing.because());
    let title = format!("{whose}: {name} is stopped by its CPU limit in {percent} % of all periods, {slow}");
    let said = format!(
        "{name} may use {} of CPU and was stopped in {} of {} periods because that was used up: {slow}.",
        stopped.limit, stopped.counted.throttled, stopped.counted.periods
    );
    let site = Site::new(failing.workload, name);
    let plausible = |below: &str, _: &_| below.starts_with("resources").then_some(0);
    let suspect = revision::suspect(failing.view, failing.workload, failing.subject, name, since, plausible);
    let place = Place::container(failing.workload, name, failing.kind);
    let mut finding = match suspect {
        Some(Suspect { blame, contrast }) => {
            let sentence = format!("{} was {}. {said}", blame.field().field, blame.words());
            let mut finding = Finding::new("cpu-throttled", place, title, blame.cause(failing.view, sentence));
            finding.evidence.extend(contrast);
            finding.remedies = site.revert(&blame);
            finding
        }
        None => {
            let cause = Cause::plain(CauseKind::Resource, Some(&failing.workload.reference()), said);
            let cause = site.blame(cause, "resources.limits.cpu", Some(stopped.limit.as_str().into()));
            Finding::new("cpu-throttled", place, title, cause)
        }
    };
    finding.shows_on = [failing.subject.reference()].into();
    finding.opened = since.or(failing.event.and_then(Event::first_seen));
    finding.verdict = Verdict::Confirmed;
    finding.severity = if failing.status.ready { Severity::Warning } else { spot::severity(failing.workload) };
    finding.evidence.push(stopped.fact(failing));
    finding.evidence.extend(failing.words(Role::Symptom));
    finding.remedies.extend(stopped.more(failing));
    Some(finding)
}
