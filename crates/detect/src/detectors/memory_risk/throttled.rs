//! Containers that are not killed but made to wait: `memory.high` was exceeded, or reclaiming goes on at the limit.

use crate::detectors::template::Site;
use crate::{Fact, Finding, Place, View, describe};
use jiff::SignedDuration;
use reckon_model::document::{
    Cause, CauseKind, Death, DeathScope, Effect, RemedyKind, Role, Severity, Source, Verdict,
};
use reckon_model::k8s::{Container, ContainerStatus, ContainerType, Pod, bare_id};
use reckon_model::{Object, quantity};

/// All processes waited for so much of the last ten seconds, in hundredths of a percent: a fifth (`memory-deaths` §4.1).
const WAITING: u32 = 2_000;

/// For so long a reading stands: four times the pause between two.
const TOLD: SignedDuration = SignedDuration::from_secs(60);

/// Use is at `memory.high` from this share on.
const AT: (u64, u64) = (9, 10);

pub(super) fn finding<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    (kind, container, status): (ContainerType, &'a Container, &'a ContainerStatus),
) -> Option<Finding> {
    status.state.running.as_ref()?;
    let facts = view.kernel(&pod.spec.node_name, false)?;
    let id = bare_id(&status.container_id);
    let group = facts.cgroups.iter().find(|group| !id.is_empty() && group.container_id.as_deref() == Some(id))?;
    // What waits is told again every few seconds: an older word is of what was.
    let due = group.at?.checked_add(TOLD).ok()?;
    if due < view.now() {
        return None;
    }
    view.recheck_at(due);
    let usage = group.usage?;
    let (some, all) = group.pressure.unwrap_or((0, 0));
    let at = |bound: u64| usage >= bound / AT.1 * AT.0;
    let soft =
        group.high.filter(|high| at(*high) && group.events.high > 0 && (all >= WAITING || group.pressure.is_none()));
    let hard = group.limit.filter(|limit| at(*limit) && all >= WAITING);
    let (bound, what) = match (soft, hard) {
        (Some(high), _) => (high, "memory.high, at which the kernel makes it wait rather than kill it"),
        (None, Some(limit)) => (limit, "its limit, where the kernel takes back and reads again the same pages"),
        (None, None) => return None,
    };
    let workload = view.workload_of(subject);
    let name = &container.name;
    let (used, bound) = (quantity::bytes(usage), quantity::bytes(bound));
    let percent = |hundredths: u32| hundredths / 100;
    let sentence = format!(
        "{name} uses {used} and has reached {bound}, {what}: all of its processes wait for memory {} % of the time, and what probes it may find it dead.",
        percent(all)
    );
    let site = Site::new(workload, name);
    let cause = Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence);
    let limit = container.resources.limits.get("memory").map(|limit| limit.as_str().into());
    let cause = site.blame(cause, "resources.limits.memory", limit);
    let title = format!("{}: {name} waits for memory at {bound}, and nothing is killed", describe::object(workload));
    let mut finding = Finding::new("memory-throttled", Place::container(workload, name, kind), title, cause);
    finding.shows_on = [subject.reference()].into();
    finding.class = Some("throttled");
    finding.severity = if status.ready { Severity::Warning } else { Severity::Critical };
    finding.verdict = if all >= WAITING { Verdict::Confirmed } else { Verdict::Likely };
    let text = format!(
        "{used} in use; some of its processes waited for memory {} % of the last ten seconds, all of them {} %; memory.high exceeded {} times",
        percent(some),
        percent(all),
        group.events.high
    );
    finding.evidence.push(Fact::new(Role::Cause, Source::Kernel, group.at, subject, text));
    finding.death = Some(Death {
        scope: Some(DeathScope::Container),
        effect: Some(Effect::Slow),
        usage_bytes: Some(usage),
        limit_bytes: group.limit,
        ..Death::default()
    });
    let more = quantity::bytes(group.limit.unwrap_or(usage).max(usage) / 2 * 3);
    let soft = if soft.is_some() {
        ", and its request with it: memory.high lies between the two (the kubelet's MemoryQoS)"
    } else {
        ""
    };
    let sentence = format!("Raise the memory limit of {name} to {more}{soft}.");
    finding.remedies.push(site.advice(RemedyKind::SetResources, sentence));
    Some(finding)
}
