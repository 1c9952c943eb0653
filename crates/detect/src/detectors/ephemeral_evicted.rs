//! Pods that the kubelet evicted because they wrote more to the node's disk than they may.

mod words;

use super::killed_by;
use super::revision;
use crate::blame;
use crate::catalogue::{Failure, Stage, Verified};
use crate::spot::{self, Path, Spot};
use crate::{Detector, Fact, Finding, Place, View, describe};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Risk, Role, Severity, Source, Verdict};
use reckon_model::k8s::Pod;
use reckon_model::{Kind, Object, Quantity, Timestamp, text};
use serde_json::json;
use words::Limit;

pub(crate) static DETECTOR: Detector = Detector {
    name: "ephemeral_evicted",
    failures: &[Failure {
        slug: "ephemeral-evicted",
        title: "A pod was evicted for what it wrote to its node's disk",
        stage: Stage::Start,
        family: "ephemeral-storage",
        echo: false,
        verified: Verified::Live,
        page: include_str!("../pages/ephemeral-evicted.md"),
    }],
    subjects: &[Kind::Pod],
    others: &[],
    detect,
};

/// One eviction whose pod was replaced is history; so many of one workload, the last of them not long ago, are none.
const OFTEN: usize = 3;
const LATELY: SignedDuration = SignedDuration::from_hours(1);

/// A replacement of the same template does the same again, unless it lives longer than the one before it, or this long:
/// the kubelet measures what is written every ten seconds, and what fills a disk more slowly is seen by its repetition.
const DOUBT: SignedDuration = SignedDuration::from_mins(5);

/// What a container may write where it names no limit has a name of its own.
const STORAGE: &str = "ephemeral-storage";

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    if !is_evicted(pod) {
        return Vec::new();
    }
    let Some(limit) = Limit::of(&pod.status.message) else { return Vec::new() };
    let workload = view.workload_of(subject);
    let again = evictions(view, workload, subject);
    let replaced = is_replaced(view, workload, subject, pod);
    if replaced && !again && !in_doubt(view, workload, subject) {
        return Vec::new();
    }
    let mut finding = found(view, subject, workload, &limit);
    if replaced && again {
        finding.title.push_str(", again and again");
    }
    let at = evicted_at(pod);
    let mild = replaced || matches!(workload.kind, Kind::Job | Kind::CronJob);
    finding.severity = if mild { Severity::Warning } else { spot::severity(workload) };
    finding.opened = at;
    finding.shows_on = [subject.reference()].into();
    let said = text::shorten(&text::clean_line(pod.status.message.trim()), 300).into_owned();
    let raw = json!({"reason": pod.status.reason, "message": pod.status.message});
    finding.evidence.push(Fact::new(Role::Symptom, Source::Status, at, subject, format!("Evicted: {said}")).raw(raw));
    vec![finding]
}

fn is_evicted(pod: &Pod) -> bool {
    pod.status.phase == "Failed" && pod.status.reason == "Evicted"
}

fn evicted_at(pod: &Pod) -> Option<Timestamp> {
    // Kubelets before 1.26 write no condition about it.
    let told = pod.condition("DisruptionTarget").or(pod.condition("Ready"));
    let ended = pod.containers().filter_map(|(_, _, status)| status?.last_end()?.finished_at).max();
    told.and_then(|told| told.since).or(ended)
}

/// Whether another pod does this one's work.
fn is_replaced<'a>(view: &View<'a>, workload: &'a Object, subject: &'a Object, pod: &Pod) -> bool {
    match workload.kind {
        // Of these the place is the node.
        Kind::DaemonSet => view.pods_of(workload).items.iter().any(|other| {
            other.pod().is_some_and(|other| other.spec.node_name == pod.spec.node_name && other.is_ready())
        }),
        _ => killed_by::superseded(view, workload, subject),
    }
}

/// Whether all that stands for this pod is of its own template and younger than it became.
fn in_doubt<'a>(view: &View<'a>, workload: &'a Object, subject: &'a Object) -> bool {
    if matches!(workload.kind, Kind::Job | Kind::CronJob) {
        return false;
    }
    let Some((born, evicted)) = subject.meta.created.zip(subject.pod().and_then(evicted_at)) else { return false };
    let lived = evicted.duration_since(born).min(DOUBT);
    let ready_since = |other: &&'a Object| {
        let ready = other.pod()?.condition("Ready").filter(|ready| ready.is_true())?;
        other.meta.deleted.is_none().then_some(ready.since)?
    };
    let peers = revision::peers(view, workload, subject);
    let all = view.pods_of(workload).items;
    let others = all.iter().filter(|other| ready_since(other).is_some()).count();
    let due: Vec<Timestamp> = peers.iter().filter_map(|peer| ready_since(peer)?.checked_add(lived).ok()).collect();
    // A pod of another template is another program, and what its limits are is not known from this one.
    if due.len() < others || due.is_empty() {
        return false;
    }
    let doubtful = !due.iter().any(|due| view.reached(*due));
    if let Some(first) = due.into_iter().min().filter(|_| doubtful) {
        view.recheck_at(first);
    }
    doubtful
}

/// Whether pods of this workload are evicted for their own writing again and again, this one not long ago.
fn evictions<'a>(view: &View<'a>, workload: &'a Object, subject: &'a Object) -> bool {
    let Some(until) = subject.pod().and_then(evicted_at).and_then(|at| at.checked_add(LATELY).ok()) else {
        return false;
    };
    if view.reached(until) || is_of_before(view, workload, subject) {
        return false;
    }
    let own =
        |pod: &&&'a Object| pod.pod().is_some_and(|pod| is_evicted(pod) && Limit::of(&pod.status.message).is_some());
    view.pods_of(workload).items.iter().filter(own).count() >= OFTEN
}

/// Whether a pod of a later template has been ready for longer than this one lived: what the template before did is history.
fn is_of_before<'a>(view: &View<'a>, workload: &'a Object, subject: &'a Object) -> bool {
    let Some(born) = subject.meta.created else { return false };
    let lived = subject.pod().and_then(evicted_at).map(|at| at.duration_since(born)).unwrap_or_default();
    let same = revision::peers(view, workload, subject);
    view.pods_of(workload).items.into_iter().any(|other| {
        let later = other.meta.deleted.is_none()
            && other.meta.created.is_some_and(|created| created > born)
            && same.iter().all(|peer| peer.reference() != other.reference());
        let ready = other.pod().and_then(|pod| pod.condition("Ready")).filter(|ready| later && ready.is_true());
        let Some(due) = ready.and_then(|ready| ready.since?.checked_add(lived).ok()) else { return false };
        if !view.reached(due) {
            view.recheck_at(due);
        }
        view.reached(due)
    })
}

fn found<'a>(view: &View<'a>, subject: &'a Object, workload: &'a Object, limit: &Limit) -> Finding {
    let spot = Spot::of(workload);
    let written = spot.as_ref().and_then(|spot| place(spot, limit));
    let whose = describe::object(workload);
    let of = |size: &str| if size.is_empty() { String::new() } else { format!(" of {size}") };
    let (class, what, does) = match limit {
        Limit::EmptyDir { volume, size } => (
            "empty-dir",
            format!("its emptyDir volume {} grew beyond its limit{}", text::shorten(volume, 60), of(size)),
            format!("What is in the emptyDir volume {volume} grew beyond its sizeLimit{}", of(size)),
        ),
        Limit::Container { name, size } => (
            "container",
            format!("{} wrote more to the node's disk than its limit{}", text::shorten(name, 60), of(size)),
            format!("The writable layer and the logs of {name} grew beyond its limit{} of ephemeral storage", of(size)),
        ),
        Limit::Pod { size } => (
            "pod",
            format!("its containers wrote more to the node's disk than their limits{} together", of(size)),
            format!(
                "The writable layers, logs and emptyDir volumes of the pod grew beyond the sum of its containers' limits{}",
                of(size)
            ),
        ),
    };
    let changed = written.as_ref().and_then(|(path, _)| {
        let rank = |field: &reckon_model::FieldChange| {
            (path.is_touched_by(field) && field.to.is_some()).then_some(u8::from(field.field != path.field))
        };
        let blame = blame::template_change(view, workload, Some(subject), None, rank)?;
        let born = subject.meta.created?;
        born.checked_sub(revision::WINDOW).is_ok_and(|since| blame.change.at >= since).then_some(blame)
    });
    let before = changed.as_ref().and_then(|blame| blame.field().from.as_ref()?.as_str().map(str::to_owned));
    let cause = match (changed, spot.as_ref().zip(written.clone())) {
        (Some(blame), _) => {
            let field = blame.field().field.clone();
            blame.cause(view, format!("{does}, and the kubelet evicted the pod. {field} was {}.", blame.words()))
        }
        (None, Some((spot, (path, size)))) => {
            let value = size.as_ref().map(|size| json!(size.as_str()));
            spot.wrong(&path, value, format!("{does}, and the kubelet evicted the pod."))
        }
        (None, None) => {
            let sentence = format!("{does}, and the kubelet evicted the pod.");
            Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence)
        }
    };
    let mut finding =
        Finding::new("ephemeral-evicted", Place::of(workload), format!("{whose}: evicted, {what}"), cause);
    finding.class = Some(class);
    finding.verdict = Verdict::Confirmed;
    finding.remedies.extend(spot.as_ref().map(|spot| raise(spot, limit, before, written.and_then(|(_, size)| size))));
    let advice = match limit {
        Limit::EmptyDir { volume, .. } => {
            format!("Or let what writes to {volume} clean up after itself; what has to be kept belongs into a claim.")
        }
        _ => "Or write less there: logs count as well, and large files belong into a volume of their own.".to_owned(),
    };
    finding.remedies.push(spot::remedy(RemedyKind::Patch, &workload.reference(), advice));
    finding
}

/// The field that holds the limit, and the limit.
fn place(spot: &Spot<'_>, limit: &Limit) -> Option<(Path, Option<Quantity>)> {
    match limit {
        Limit::EmptyDir { volume, .. } => {
            let item = spot.spec.volumes.iter().find(|item| item.name == *volume)?;
            let size = item.empty_dir.as_ref()?.size_limit.clone();
            Some((spot.volume(volume)?.key("emptyDir").key("sizeLimit"), size))
        }
        Limit::Container { name, .. } => {
            let (_, container) = spot.spec.container(name)?;
            let path = spot.container(name)?.key("resources").key("limits").key(STORAGE);
            Some((path, container.resources.limits.get(STORAGE).cloned()))
        }
        Limit::Pod { .. } => {
            let size = |container: &&reckon_model::k8s::Container| container.resources.limits.get(STORAGE)?.nanos();
            // Of several nobody says which wrote how much.
            let mut limited = spot.spec.containers.iter().filter(|it| size(it).is_some());
            let most = limited.next().filter(|_| limited.next().is_none())?;
            let path = spot.container(&most.name)?.key("resources").key("limits").key(STORAGE);
            Some((path, most.resources.limits.get(STORAGE).cloned()))
        }
    }
}

/// What the limit was before, or twice the limit: how much it needs is known to nobody yet.
fn raise(spot: &Spot<'_>, limit: &Limit, before: Option<String>, size: Option<Quantity>) -> Remedy {
    let twice = before.or_else(|| size.as_ref().and_then(doubled));
    let (part, what) = match limit {
        Limit::EmptyDir { volume, .. } => (
            twice.as_ref().map(|size| json!({"volumes": [{"name": volume, "emptyDir": {"sizeLimit": size}}]})),
            format!("the sizeLimit of {volume}"),
        ),
        Limit::Container { name, .. } => (
            twice
                .as_ref()
                .map(|size| json!({"containers": [{"name": name, "resources": {"limits": {STORAGE: size}}}]})),
            format!("limits.ephemeral-storage of {name}"),
        ),
        Limit::Pod { .. } => (None, "limits.ephemeral-storage of the containers that write".to_owned()),
    };
    let to = twice.filter(|_| part.is_some()).map(|size| format!(" to {size}")).unwrap_or_default();
    let mut remedy = spot.patch(part, format!("Raise {what}{to}, as far as the nodes' disks allow."));
    remedy.kind = RemedyKind::SetResources;
    remedy.risk = Risk::Medium;
    remedy
}

/// Twice a quantity in its own unit.
pub(crate) fn doubled(size: &Quantity) -> Option<String> {
    let text = size.as_str();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    let twice = digits.parse::<u64>().ok()?.checked_mul(2)?;
    (twice > 0 && !unit.starts_with('.')).then(|| format!("{twice}{unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_doubled_in_its_own_unit() {
        let twice = |text: &str| doubled(&Quantity::new(text));
        assert_eq!(twice("10Gi").as_deref(), Some("20Gi"));
        assert_eq!(twice("500").as_deref(), Some("1000"));
        assert_eq!(twice("1.5Gi"), None);
        assert_eq!(twice("0"), None);
        assert_eq!(twice("ä"), None);
        assert_eq!(twice("99999999999999999999Gi"), None);
    }
}
