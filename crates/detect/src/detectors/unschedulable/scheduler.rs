//! Pods that no scheduler has looked at: because theirs has stopped, is far behind, or is not there.

use super::devices;
use crate::lease::Lease;
use crate::spot::{self, Spot};
use crate::{Fact, Finding, Lookup, Place, View, blame, describe};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::{Condition, Event, Pod};
use reckon_model::{Body, Kind, Object, ResourceRef, Timestamp};
use serde_json::json;

/// The name of the cluster's own scheduler, and what its Lease is called.
const DEFAULT: &str = "default-scheduler";
const DEFAULT_LEASE: &str = "kube-scheduler";
/// Where the control plane's Leases are, and by default those of schedulers beside it.
const SYSTEM: &str = "kube-system";
/// How lately a scheduler must have done something to count as there.
const LATELY: SignedDuration = SignedDuration::from_mins(10);
/// How long a scheduler that is there may leave a pod waiting: its queue is long, or it batches on purpose.
const BEHIND: SignedDuration = SignedDuration::from_mins(10);

/// No scheduler has looked at the pod.
pub(super) fn silent<'a>(view: &View<'a>, subject: &'a Object, pod: &Pod, since: Option<Timestamp>) -> Option<Finding> {
    // A pod whose claim of devices is not there is not even taken up, and nothing is written of it.
    if let Some(finding) = devices::missing(view, subject, pod) {
        return Some(finding);
    }
    let name = if pod.spec.scheduler_name.is_empty() { DEFAULT } else { &pod.spec.scheduler_name };
    let object = view.object(&Lease::kind(), Some(SYSTEM), if name == DEFAULT { DEFAULT_LEASE } else { name }).found();
    let lease = object.and_then(|object| Some((object, Lease::of(object)?)));
    // One that works without a leader, or as another's second name, renews nothing, and is there all the same.
    let last = last_act(view, subject, name);
    let alive = match (&lease, last) {
        (Some((_, lease)), _) if lease.expires() > view.now() => {
            view.recheck_at(lease.expires());
            Some((lease.renewed, format!("it renewed its lease at {}", describe::time(lease.renewed))))
        }
        (_, Some(at)) if at.checked_add(LATELY).is_ok_and(|until| !view.reached(until)) => {
            Some((at, format!("it looked at another pod at {}", describe::time(at))))
        }
        _ => None,
    };
    match (alive, lease) {
        (Some((at, sign)), _) => behind(view, subject, name, since, at, &sign),
        (None, Some((object, lease))) if last.is_none_or(|at| at <= lease.expires()) => {
            Some(down(view, object, &lease, name))
        }
        _ => Some(unknown(view, subject, name, last)),
    }
}

/// When this scheduler last decided about any pod that is known: it placed one, or said why not.
fn last_act(view: &View<'_>, subject: &Object, name: &str) -> Option<Timestamp> {
    // What its neighbours went through is worth a list where the name is not everybody's.
    let _ = if name == DEFAULT { None } else { Some(view.all(&Kind::Pod, subject.meta.namespace.as_deref())) };
    let served = |other: &'_ Object| {
        let body = other.pod()?;
        let own = body.spec.scheduler_name == name || (body.spec.scheduler_name.is_empty() && name == DEFAULT);
        // A pod that was given its node by hand has no such condition from a scheduler: the kubelet writes it, too.
        body.condition("PodScheduled").filter(|_| own)?.since
    };
    let placed = view.placed().filter_map(served).max();
    let told = view
        .known(&Kind::Event, None)
        .filter_map(|event| match &event.body {
            Body::Event(event) => Some(&**event),
            _ => None,
        })
        .filter(|event| event.component() == name && matches!(event.reason.as_str(), "Scheduled" | "FailedScheduling"))
        .filter_map(Event::last_seen)
        .max();
    placed.max(told)
}

/// It is there and has not come to this pod yet.
fn behind<'a>(
    view: &View<'a>,
    subject: &'a Object,
    name: &str,
    since: Option<Timestamp>,
    at: Timestamp,
    sign: &str,
) -> Option<Finding> {
    let due = since?.checked_add(BEHIND).ok()?;
    if !view.reached(due) {
        view.recheck_at(due);
        return None;
    }
    let workload = view.workload_of(subject);
    let sentence = format!(
        "The scheduler {name} is there ({sign}) and has not looked at the pod for {} minutes: its queue is long, or it leaves the pod out on purpose.",
        BEHIND.as_mins()
    );
    let cause = Cause::plain(CauseKind::External, Some(&workload.reference()), sentence);
    let title = format!("{}: the scheduler {name} has not come to its pod", describe::object(workload));
    let mut finding = Finding::new("pod-pending", Place::of(workload), title, cause);
    finding.class = Some("scheduler-busy");
    finding.verdict = Verdict::Possible;
    finding.evidence.push(Fact::new(Role::RuledOut, Source::Status, Some(at), subject, format!("{name}: {sign}")));
    let ask = format!("Look at the log of the scheduler {name} and at the length of its queue.");
    finding.remedies.push(spot::remedy(RemedyKind::Outside, &workload.reference(), ask));
    Some(finding)
}

/// Its Lease has run out, and nothing was placed since.
fn down(view: &View<'_>, object: &Object, lease: &Lease, name: &str) -> Finding {
    let when = describe::time(lease.renewed);
    let node = Some(lease.host.as_str()).filter(|host| !host.is_empty());
    let node = node.and_then(|host| view.object(&Kind::Node, None, host).found());
    let ill = node.filter(|node| match &node.body {
        Body::Node(body) => !Condition::find(&body.status.conditions, "Ready").is_some_and(Condition::is_true),
        _ => false,
    });
    let (pod, gone) = if lease.host.is_empty() { (None, false) } else { replica(view, &lease.host, node.is_some()) };
    let who = if name == DEFAULT { "The cluster's scheduler".to_owned() } else { format!("The scheduler {name}") };
    let by = if lease.host.is_empty() { String::new() } else { format!(" by {}", lease.host) };
    let what = format!("{who} has stopped: its lease was last renewed at {when}{by}");
    let (cause, look) = match (ill, pod) {
        (Some(node), _) => (
            Cause::plain(
                CauseKind::Node,
                Some(&node.reference()),
                format!("{what}, and node {} is not ready.", node.meta.name),
            ),
            format!("Bring back node {}, or another replica of the scheduler.", node.meta.name),
        ),
        (None, Some(pod)) => (
            Cause::plain(
                CauseKind::Resource,
                Some(&pod.reference()),
                format!("{what}. No pod is placed while that lasts."),
            ),
            format!("Look at the log of pod {} and why it does not lead.", describe::object(pod)),
        ),
        (None, None) => {
            let gone = if gone { ", and its pod is gone" } else { "" };
            (
                Cause::plain(CauseKind::External, Some(&object.reference()), format!("{what}{gone}.")),
                "Start the scheduler again; on a managed cluster its provider has to.".to_owned(),
            )
        }
    };
    let title = if name == DEFAULT {
        format!("the cluster's scheduler has stopped (last sign at {when}): no pod finds a node")
    } else {
        format!("the scheduler {name} has stopped (last sign at {when}): its pods find no node")
    };
    let mut finding = Finding::new("scheduler-down", Place::of(object), title, cause);
    finding.verdict = Verdict::Confirmed;
    let text = format!("lease {} was last renewed at {when}{by}", describe::object(object));
    finding.evidence.push(Fact::new(Role::Cause, Source::Status, Some(lease.renewed), object, text));
    let about = finding.cause.reference.as_ref().map_or_else(|| object.reference(), ResourceRef::from);
    finding.remedies.push(spot::remedy(RemedyKind::Outside, &about, look));
    finding
}

/// The pod that held the Lease: a static one is called after its node, another has its own name for a host. Whether it is
/// known to be gone.
fn replica<'a>(view: &View<'a>, host: &str, is_node: bool) -> (Option<&'a Object>, bool) {
    let name = if is_node { format!("{DEFAULT_LEASE}-{host}") } else { host.to_owned() };
    match view.object(&Kind::Pod, Some(SYSTEM), &name) {
        Lookup::Found(pod) => (Some(pod), false),
        Lookup::Absent { .. } => (None, true),
        Lookup::Unread => (None, false),
    }
}

/// Nothing tells whether it is there.
fn unknown<'a>(view: &View<'a>, subject: &'a Object, name: &str, last: Option<Timestamp>) -> Finding {
    let workload = view.workload_of(subject);
    let whose = describe::object(workload);
    if name == DEFAULT {
        let sentence = "The scheduler of the cluster has not looked at the pod: it does not run, or is far behind. No pod is placed while that lasts.";
        let cause = Cause::plain(CauseKind::External, Some(&workload.reference()), sentence);
        let title = format!("{whose}: the scheduler does not take its pod");
        let mut finding = Finding::new("scheduler-not-found", Place::of(workload), title, cause);
        finding.class = Some("default");
        return finding;
    }
    let (verdict, what) = match last {
        Some(at) => (
            Verdict::Possible,
            format!("it last decided about a pod at {}, and may have stopped since", describe::time(at)),
        ),
        None => (Verdict::Likely, "it does not run, or does not exist".to_owned()),
    };
    let sentence = format!("The pod waits for the scheduler {name}, which has not looked at it: {what}.");
    let changed = blame::template_change(view, workload, Some(subject), None, |change| {
        change.pointer.ends_with("/schedulerName").then_some(0)
    });
    let cause = match (&changed, Spot::of(workload)) {
        (Some(blame), _) => {
            let words = format!("{} was {}; {sentence}", blame.field().field, blame.words());
            blame.cause(view, words.replacen("; The pod", "; the pod", 1))
        }
        (None, Some(spot)) => spot.wrong(&spot.path("schedulerName"), Some(json!(name)), sentence),
        (None, None) => Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence),
    };
    let title = format!("{whose}: no scheduler takes the pod; it asks for {name}");
    let mut finding = Finding::new("scheduler-not-found", Place::of(workload), title, cause);
    finding.verdict = verdict;
    if let (Some(blame), Some(spot)) = (changed, Spot::of(workload)) {
        let back = blame.field().from.clone().unwrap_or_else(|| json!(DEFAULT));
        let sentence = format!("Let {} take it again.", describe::value(&back));
        finding.remedies.push(spot.patch(Some(json!({"schedulerName": back})), sentence));
    }
    finding
}
