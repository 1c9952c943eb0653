//! A memory limit so small that not even the container runtime fits in: the pod never starts, and no word of memory is
//! said.

use crate::blame::{self, Blame};
use crate::detectors::killed_by;
use crate::detectors::template::Site;
use crate::spot::{self, Spot};
use crate::{Fact, Finding, Place, View, describe};
use reckon_model::document::{Cause, CauseKind, Death, DeathScope, Effect, Remedy, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::{Container, ContainerStatus, ContainerType, Pod, Volume};
use reckon_model::kernel::MemoryKind;
use reckon_model::{FieldChange, Object, Quantity, Timestamp};
use serde_json::json;

/// Below this a limit is a slip of its unit: `512m` is half a byte, `512` are bytes, and no program of any kind fits.
const SLIP: i64 = 1 << 20;

pub(super) fn finding<'a>(view: &View<'a>, subject: &'a Object, pod: &'a Pod) -> Option<Finding> {
    let (kind, container, status) = tightest(pod)?;
    let limit = container.resources.limits.get("memory")?;
    let said = said(view, subject, pod, container, status)?;
    let workload = view.workload_of(subject);
    if killed_by::no_room(container).is_none() {
        return Some(kept(subject, pod, workload, (kind, container, limit), said));
    }
    let Said { at, source, text } = said;
    let (name, whose) = (&container.name, describe::object(workload));
    let meant = meant(limit);
    let slip = limit.value().is_some_and(|value| value < SLIP);
    let hint = meant.as_ref().map(|meant| format!("; {meant} was meant, it seems")).unwrap_or_default();
    let sentence = format!(
        "The memory limit of {name} is {limit}{hint}: not even the runtime that sets the container up fits into that."
    );
    let site = Site::new(workload, name);
    let cause = match changed(view, subject, workload, name) {
        Some(blame) => {
            let words = format!("{} was {}.", blame.field().field, blame.words());
            blame.cause(view, format!("{sentence} {words}"))
        }
        None => {
            let cause = Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence);
            site.blame(cause, "resources.limits.memory", Some(limit.as_str().into()))
        }
    };
    let title = format!("{whose}: {name} cannot start, its memory limit of {limit} leaves no room{hint}");
    let mut finding = Finding::new("killed-before-start", Place::container(workload, name, kind), title, cause);
    finding.class = Some("killed-before-start");
    finding.shows_on = [subject.reference()].into();
    // So little is wrong whatever is said of it; newer runtimes say what it was.
    let told = killed_at_start(&text);
    finding.verdict = if slip || told { Verdict::Confirmed } else { Verdict::Likely };
    finding.opened = at.or(subject.meta.created);
    let fact = format!("limits.memory {limit} of {name}");
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, workload, fact));
    finding.evidence.push(Fact::new(Role::Symptom, source, at, subject, text));
    finding.death = Some(Death {
        scope: Some(DeathScope::Container),
        effect: Some(Effect::StartFailed),
        limit_bytes: super::remedy::bytes(limit),
        limit_lowered: None,
        ..Death::default()
    });
    finding.remedies.push(room(&site, container, limit));
    Some(finding)
}

/// Who made the limit of a container what it is.
fn changed<'a>(view: &View<'a>, pod: &'a Object, workload: &'a Object, container: &str) -> Option<Blame> {
    let path = Spot::of(workload)?.container(container)?.key("resources").key("limits").key("memory");
    let touches = |change: &FieldChange| path.is_touched_by(change).then_some(0);
    blame::template_change(view, workload, Some(pod), pod.meta.created, touches)
}

/// A limit that the program fits into.
pub(crate) fn room(site: &Site<'_>, container: &Container, limit: &Quantity) -> Remedy {
    let name = &container.name;
    let Some(meant) = meant(limit) else {
        let sentence = format!("Give {name} a memory limit of at least 16Mi; most programs need more.");
        return site.advice(RemedyKind::SetResources, sentence);
    };
    let mut resources = json!({"limits": {"memory": meant}});
    // A request above the limit is refused, and one that was copied from the limit has the same slip.
    if container.resources.requests.get("memory") == Some(limit) {
        resources["requests"] = json!({"memory": meant});
    }
    let sentence = format!("Set the memory limit of {name} to {meant}.");
    site.remedy(RemedyKind::SetResources, json!({"resources": resources}), sentence)
}

/// There is room to start in the limit, if something did not fill it already: what lies in memory outlives a container.
fn kept(
    subject: &Object,
    pod: &Pod,
    workload: &Object,
    (kind, container, limit): (ContainerType, &Container, &Quantity),
    Said { at, source, text }: Said,
) -> Finding {
    let (name, whose) = (&container.name, describe::object(workload));
    let in_memory = |volume: &&Volume| {
        volume.empty_dir.as_ref().is_some_and(|dir| dir.medium == "Memory")
            && container.volume_mounts.iter().any(|mount| mount.name == volume.name)
    };
    let volume = pod.spec.volumes.iter().find(in_memory);
    let (what, sentence) = match volume {
        Some(Volume { name: volume, .. }) => (
            format!("what it keeps in the volume {volume} fills the limit of {limit}"),
            format!(
                "The volume {volume} lies in memory and outlives the container: what was written into it fills the limit of {limit}, and nothing is left to start {name} with."
            ),
        ),
        None => (
            format!("something else fills its limit of {limit}"),
            format!(
                "{name} was killed for memory while it was set up, though {limit} has room for that: something else counts to the same limit."
            ),
        ),
    };
    let spot = Spot::of(workload);
    let at_fault = volume.zip(spot).and_then(|(volume, spot)| {
        let path = spot.volume(&volume.name)?.key("emptyDir").key("sizeLimit");
        let size = volume.empty_dir.as_ref().and_then(|dir| dir.size_limit.as_ref()).map(|size| size.as_str().into());
        Some(spot.wrong(&path, size, sentence.clone()))
    });
    let cause = at_fault.unwrap_or_else(|| Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence));
    let title = format!("{whose}: {name} cannot start again, {what}");
    let mut finding = Finding::new("killed-before-start", Place::container(workload, name, kind), title, cause);
    finding.class = Some("killed-before-start");
    finding.shows_on = [subject.reference()].into();
    finding.verdict = if volume.is_some() { Verdict::Likely } else { Verdict::Possible };
    finding.opened = at.or(subject.meta.created);
    let fact = format!("limits.memory {limit} of {name}");
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, workload, fact));
    finding.evidence.push(Fact::new(Role::Symptom, source, at, subject, text));
    finding.death = Some(Death {
        scope: Some(DeathScope::Container),
        effect: Some(Effect::StartFailed),
        memory_kind: volume.map(|_| MemoryKind::Shmem),
        limit_bytes: super::remedy::bytes(limit),
        ..Death::default()
    });
    if let Some(Volume { name: volume, .. }) = volume {
        let sentence = format!("Give the volume {volume} a sizeLimit that leaves {name} room within {limit}.");
        finding.remedies.push(Site::new(workload, name).advice(RemedyKind::Patch, sentence));
    }
    let sentence = "Delete the pod: what it keeps in memory goes with it, and not with its containers.";
    finding.remedies.push(spot::remedy(RemedyKind::Delete, &subject.reference(), sentence));
    finding
}

/// The container with the smallest limit that has not come up.
fn tightest(pod: &Pod) -> Option<(ContainerType, &Container, Option<&ContainerStatus>)> {
    pod.containers()
        .filter(|(_, container, status)| {
            container.resources.limits.contains_key("memory")
                && status.is_none_or(|status| status.state.running.is_none() && !status.ready)
        })
        .min_by_key(|(_, container, _)| container.resources.limits.get("memory").and_then(Quantity::value))
}

/// What the kubelet says of it.
struct Said {
    at: Option<Timestamp>,
    source: Source,
    text: String,
}

/// Whether a runtime's words are those of a container that was killed while it was set up: newer ones of runc say so, older
/// ones name what they were doing when its process was gone.
fn killed_at_start(message: &str) -> bool {
    ["OOM-killed", "memory limit too low"].iter().any(|words| message.contains(words))
}

/// The same where the limit is so small that nothing else is to be expected. A command that is not there, or a mount that
/// fails, is told with other words.
fn gone_at_start(message: &str) -> bool {
    const WORDS: [&str; 7] =
        ["bpf", "openat2", "stopped process", "went away", "signal: killed", "read init-p: connection reset", "EOF"];
    WORDS.iter().any(|words| message.contains(words))
}

/// That the container was not started, in the status; or, as the pod's own group has the limits' sum and its tokens are kept
/// in memory of that size, that its sandbox or its volumes could not be made, in Events.
fn said(
    view: &View<'_>,
    subject: &Object,
    pod: &Pod,
    container: &Container,
    status: Option<&ContainerStatus>,
) -> Option<Said> {
    let tight = killed_by::no_room(container).is_some();
    let fits = |message: &str| killed_at_start(message) || (tight && gone_at_start(message));
    let waiting = status.and_then(|status| status.state.waiting.as_ref());
    let end = status.and_then(ContainerStatus::last_end);
    if let Some(waiting) = waiting.filter(|waiting| {
        matches!(waiting.reason.as_str(), "RunContainerError" | "CreateContainerError") && fits(&waiting.message)
    }) {
        let text = format!("{}: {}", waiting.reason, waiting.message.trim());
        return Some(Said { at: None, source: Source::Status, text });
    }
    if let Some(end) = end.filter(|end| end.reason == "StartError" && fits(&end.message)) {
        let text = format!("{}, exit {}: {}", end.reason, end.exit_code, end.message.trim());
        return Some(Said { at: end.finished_at, source: Source::Status, text });
    }
    if !tight || pod.status.phase != "Pending" || pod.spec.node_name.is_empty() {
        return None;
    }
    let event = view.events(subject).into_iter().rev().find(|event| match event.reason.as_str() {
        "FailedCreatePodSandBox" => fits(&event.message),
        "FailedMount" => event.message.contains("no space left on device"),
        _ => false,
    })?;
    let text = format!("{}: {}", event.reason, event.message.trim());
    Some(Said { at: event.first_seen(), source: Source::Event, text })
}

/// What the unit was meant to be: `512m` and `512` for `512Mi`.
pub(crate) fn meant(limit: &Quantity) -> Option<String> {
    let text = limit.as_str();
    let digits = text.strip_suffix('m').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let slip = limit.value().is_some_and(|value| value < SLIP);
    (plain && slip && digits.trim_start_matches('0').len() >= 2).then(|| format!("{digits}Mi"))
}
