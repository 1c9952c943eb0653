//! Roll-outs that wait for themselves: the new pod cannot be beside the old one, and the old one may not go before it.

use super::revision;
use crate::catalogue::{Failure, Stage, Verified};
use crate::detectors::host_ports;
use crate::detectors::refusal::{Refusal, Short};
use crate::spot;
use crate::{Detector, Fact, Finding, Place, View, blame, describe, ownership};
use jiff::SignedDuration;
use reckon_model::document::{Alternative, Cause, CauseKind, Ref, RemedyKind, Risk, Role, Source, Verdict};
use reckon_model::k8s::{Condition, IntOrString, Pod, Workload};
use reckon_model::{Kind, Object, Quantity, ResourceRef, Timestamp, text};
use serde_json::{Value, json};

pub(crate) static DETECTOR: Detector = Detector {
    name: "rollout_deadlock",
    failures: &[Failure {
        slug: "rollout-deadlock",
        title: "A rollout waits for itself",
        // What the scheduler or a quota says of the new pod follows from it.
        stage: Stage::Strategy,
        family: "rollout",
        echo: false,
        verified: Verified::Live,
        page: include_str!("../../pages/rollout-deadlock.md"),
    }],
    subjects: &[Kind::Deployment],
    others: &[],
    detect,
};

/// As long as a pod may wait for a node before that is a fault.
const PENDING: SignedDuration = SignedDuration::from_secs(60);

/// A strategy that was lived with for a day is not new.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// What the controller takes where nothing is written.
const QUARTER: &str = "25%";

/// Why the new pod cannot be while the old ones are.
struct Block<'a> {
    class: &'static str,
    /// That, in words.
    why: String,
    /// The old pod that has it.
    holder: &'a Object,
    /// The object that says so, and what it says.
    said: (&'a Object, Source, String),
    since: Option<Timestamp>,
    /// Whether nothing else keeps the new pod from coming.
    alone: bool,
    /// What else could be changed, and in whom.
    or: Option<(ResourceRef, String)>,
}

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(body) = subject.workload() else { return Vec::new() };
    let (spec, status) = (&body.spec, &body.status);
    let wanted = spec.replicas.unwrap_or(1);
    let current = subject.meta.deleted.is_none() && status.observed_generation >= subject.meta.generation;
    let refused = Condition::find(&status.conditions, "ReplicaFailure").filter(|failure| failure.is_true());
    let moving = status.replicas > wanted || status.updated_replicas < wanted;
    if !current || wanted == 0 || spec.paused || !moving || !matches!(spec.strategy.kind.as_str(), "" | "RollingUpdate")
    {
        return Vec::new();
    }
    if may_be_missing(body, wanted) > 0 {
        return Vec::new();
    }
    let Some((old, new)) = revisions(view, subject, body) else { return Vec::new() };
    // One that is going makes room in a moment.
    if old.is_empty() || old.iter().any(|pod| pod.meta.deleted.is_some()) {
        return Vec::new();
    }
    let block = match refused {
        Some(refused) => of_quota(view, subject, refused, &old, old.len() + new.len(), wanted),
        None => new.iter().find_map(|pod| of_pod(view, pod, &old)),
    };
    block.map(|block| finding(view, subject, body, wanted, block)).into_iter().collect()
}

/// How many pods may be missing during the roll-out, as the controller resolves it.
fn may_be_missing(body: &Workload, wanted: i64) -> i64 {
    let bounds = &body.spec.strategy.rolling_update;
    let missing = resolve(bounds.max_unavailable.as_ref(), wanted, false);
    // Both at nothing would be no roll-out at all: then one may be missing.
    if missing == 0 && resolve(bounds.max_surge.as_ref(), wanted, true) == 0 { 1 } else { missing }
}

/// A number, or a share of the wanted pods: that which may be missing is rounded down, that which may be too many up.
fn resolve(value: Option<&IntOrString>, wanted: i64, up: bool) -> i64 {
    let percent = match value {
        Some(IntOrString::Int(number)) => return *number,
        Some(IntOrString::String(text)) => text.as_str(),
        None => QUARTER,
    };
    let percent = percent.strip_suffix('%').and_then(|percent| percent.parse::<i64>().ok()).unwrap_or(0);
    let share = wanted.saturating_mul(percent);
    if up { share.saturating_add(99) / 100 } else { share / 100 }
}

/// The pods of earlier revisions, and those of the newest that are not ready. `None` where revisions are not known.
fn revisions<'a>(
    view: &View<'a>,
    subject: &'a Object,
    body: &'a Workload,
) -> Option<(Vec<&'a Object>, Vec<&'a Object>)> {
    let newest = view
        .matching(&Kind::ReplicaSet, subject.meta.namespace.as_deref(), &body.spec.selector)
        .items
        .into_iter()
        .filter(|set| set.meta.controller().is_some_and(|owner| owner.uid == subject.meta.uid))
        .filter_map(|set| Some((revision(set)?, set)))
        .max_by_key(|(number, set)| (*number, &set.meta.name))?
        .1;
    let alive = view.pods_of(subject).items.into_iter().filter(|pod| pod.pod().is_some_and(|pod| !pod.is_finished()));
    let (new, old): (Vec<_>, Vec<_>) =
        alive.partition(|pod| pod.meta.controller().is_some_and(|owner| owner.name == newest.meta.name));
    Some((old, new.into_iter().filter(|pod| pod.pod().is_some_and(|pod| !pod.is_ready())).collect()))
}

/// The new pod finds no node, because of an old one.
fn of_pod<'a>(view: &View<'a>, object: &'a Object, old: &[&'a Object]) -> Option<Block<'a>> {
    let pod = object.pod()?;
    let condition = pod.condition("PodScheduled").filter(|scheduled| !scheduled.is_true())?;
    let due = condition.since.or(object.meta.created)?.checked_add(PENDING).ok()?;
    if !view.reached(due) {
        view.recheck_at(due);
        return None;
    }
    let said = condition.message.as_str();
    let placed: Vec<&'a Object> =
        old.iter().copied().filter(|old| old.pod().is_some_and(|old| !old.spec.node_name.is_empty())).collect();
    let (class, why, holder, words) = if said.contains("have free ports")
        && let Some((port, holder)) = host_ports::taken(pod, &placed)
    {
        (
            "host-port",
            format!("{} has host port {port}, which the new pod needs", holder.meta.name),
            holder,
            "have free ports",
        )
    } else if said.contains("anti-affinity")
        && let Some(holder) = placed.iter().find(|old| avoids(pod, old))
    {
        let why =
            format!("by its anti-affinity the new pod may not be beside {} or another of its kind", holder.meta.name);
        ("anti-affinity", why, *holder, "anti-affinity")
    } else if said.contains("ReadWriteOncePod")
        && let Some((claim, holder)) = shared_claim(pod, &placed)
    {
        let name = &holder.meta.name;
        (
            "volume",
            format!("{name} has the volume of claim {claim}, which one pod may have at a time"),
            holder,
            "ReadWriteOncePod",
        )
    } else if let Some((resource, holder)) = device(said, pod, &placed) {
        ("device", format!("{} has the {resource} that the new pod needs", holder.meta.name), holder, "Insufficient")
    } else {
        return None;
    };
    let text = format!("the scheduler says of the new pod: {}", text::shorten(said.trim(), 300));
    let alone = is_alone(said, words);
    let or = (!alone).then(|| {
        let node = object.reference();
        (
            node,
            "A node that cannot take it for another reason may have been meant for it: see what the scheduler says."
                .to_owned(),
        )
    });
    Some(Block { class, why, holder, said: (object, Source::Condition, text), since: condition.since, alone, or })
}

/// Whether each node is out for this reason, but for those that the pod was never meant for.
fn is_alone(said: &str, words: &str) -> bool {
    // `0/3 nodes are available: 1 node(s) had untolerated taint {…}, 2 node(s) didn't have free ports …. preemption: …`
    let Some((nodes, reasons)) = said.split_once(" nodes are available: ") else { return true };
    let all = nodes.rsplit_once('/').and_then(|(_, all)| all.trim().parse::<u64>().ok());
    let reasons = reasons.split(". ").next().unwrap_or(reasons);
    // What stands for all of them has no number.
    if !reasons.starts_with(|c: char| c.is_ascii_digit()) {
        return true;
    }
    let out = reasons.split(", ").filter(|reason| {
        [words, "taint", "node affinity/selector", "node selector"].iter().any(|known| reason.contains(known))
    });
    let out = out.filter_map(|reason| reason.split(' ').next()?.parse::<u64>().ok()).fold(0, u64::saturating_add);
    all.is_none_or(|all| out >= all)
}

/// Whether a pod must not be where this other one is.
fn avoids(pod: &Pod, other: &Object) -> bool {
    pod.spec.affinity.pod_anti_affinity.required.iter().any(|term| {
        let own = term.namespaces.is_empty() && term.namespace_selector.is_none();
        own && term.label_selector.as_ref().is_some_and(|selector| selector.matches(&other.meta.labels))
    })
}

/// A claim that both mount.
fn shared_claim<'a>(pod: &'a Pod, old: &[&'a Object]) -> Option<(&'a str, &'a Object)> {
    fn claims(pod: &Pod) -> impl Iterator<Item = &str> {
        let claims = pod.spec.volumes.iter().filter_map(|volume| volume.persistent_volume_claim.as_ref());
        claims.map(|claim| claim.claim_name.as_str())
    }
    claims(pod).find_map(|claim| {
        let holder = old.iter().find(|old| old.pod().is_some_and(|old| claims(old).any(|other| other == claim)))?;
        Some((claim, *holder))
    })
}

/// A device (an extended resource) that is short, and that an old pod has enough of.
fn device<'a>(said: &str, pod: &Pod, old: &[&'a Object]) -> Option<(String, &'a Object)> {
    said.split("Insufficient ").skip(1).find_map(|rest| {
        let end = rest.find([',', ' ']).unwrap_or(rest.len());
        let resource = rest.get(..end)?.trim_end_matches('.');
        // Of processors and memory there is more than one use, and another pod may give way.
        let wanted = pod.spec.request_nanos(resource);
        if !resource.contains('/') || wanted == 0 {
            return None;
        }
        let holder = old.iter().find(|old| old.pod().is_some_and(|old| old.spec.request_nanos(resource) >= wanted))?;
        Some((resource.to_owned(), *holder))
    })
}

/// The new pod is not even made: the quota has room for the wanted pods, and not for one more.
fn of_quota<'a>(
    view: &View<'a>,
    subject: &'a Object,
    refused: &'a Condition,
    old: &[&'a Object],
    alive: usize,
    wanted: i64,
) -> Option<Block<'a>> {
    let Refusal::Quota { quota, short } = Refusal::of(&refused.message) else { return None };
    // Fewer than are wanted: then the quota is too small for them, however they are exchanged.
    if short.is_empty() || i64::try_from(alive).unwrap_or(0) < wanted {
        return None;
    }
    let due = refused.since?.checked_add(PENDING).ok()?;
    if !view.reached(due) {
        view.recheck_at(due);
        return None;
    }
    let holder = old.iter().find(|old| old.pod().is_some_and(|pod| makes_room(pod, &short)))?;
    let resources: Vec<&str> = short.iter().map(|short| short.resource).collect();
    let quota = ResourceRef::new(Kind::of_group("", "ResourceQuota"), subject.meta.namespace.as_deref(), quota);
    let why = format!(
        "quota {} has no room for a new pod beside {} and the others ({})",
        quota.name,
        holder.meta.name,
        text::enumerate(&resources)
    );
    let text = format!("FailedCreate: {}", text::shorten(refused.message.trim(), 300));
    let or = format!("Quota {} may be meant to have room for the pods of a roll-out.", quota.name);
    Some(Block {
        class: "quota",
        why,
        holder,
        said: (subject, Source::Condition, text),
        since: refused.since,
        alone: true,
        or: Some((quota, or)),
    })
}

/// Whether the end of this pod would let one more in.
fn makes_room(pod: &Pod, short: &[Short<'_>]) -> bool {
    let nanos = |text: &str| Quantity::new(text).nanos();
    short.iter().all(|Short { resource, wanted, used, limited }| {
        let (Some(wanted), Some(used), Some(limited)) = (nanos(wanted), nanos(used), nanos(limited)) else {
            return false;
        };
        let freed = match *resource {
            "pods" | "count/pods" => 1_000_000_000,
            resource => match resource.strip_prefix("limits.") {
                Some(resource) => {
                    let limit = |container: &reckon_model::k8s::Container| {
                        container.resources.limits.get(resource).and_then(Quantity::nanos).unwrap_or(0)
                    };
                    pod.spec.containers.iter().map(limit).fold(0, i128::saturating_add)
                }
                None => pod.spec.request_nanos(resource.strip_prefix("requests.").unwrap_or(resource)),
            },
        };
        used.saturating_sub(freed).saturating_add(wanted) <= limited
    })
}

fn finding<'a>(view: &View<'a>, subject: &'a Object, body: &Workload, wanted: i64, block: Block<'a>) -> Finding {
    let name = describe::object(subject);
    let Block { class, why, holder, said, since, alone, or } = block;
    let title = format!("{name}: the rollout waits for itself, {why}");
    let bound = body.spec.strategy.rolling_update.max_unavailable.as_ref();
    let pods = text::count(usize::try_from(wanted).unwrap_or(0), "pod");
    let resolved = match bound {
        Some(IntOrString::Int(number)) => format!("maxUnavailable is {number}"),
        Some(written) => format!("maxUnavailable is {written} of {pods}, which is 0"),
        None => format!("maxUnavailable is {QUARTER} of {pods}, as nothing is written, which is 0"),
    };
    let (cause, before) = cause(view, subject, bound, since, &resolved, &why);
    let mut finding = Finding::new("rollout-deadlock", Place::of(subject), title, cause);
    finding.class = Some(class);
    finding.verdict = if alone { Verdict::Confirmed } else { Verdict::Likely };
    finding.severity = spot::severity(subject);
    finding.opened = since;
    finding.shows_on.insert(said.0.reference());
    finding.evidence.push(Fact::new(Role::Symptom, said.1, since, said.0, said.2));
    let text = format!("{} is of a revision before and stays until a new pod is ready", holder.meta.name);
    finding.evidence.push(Fact::new(Role::Cause, Source::Status, None, holder, text));
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, subject, resolved));
    if before.is_some_and(|before| before == "Recreate") {
        let mut remedy = spot::remedy(RemedyKind::Patch, &subject.reference(), "Go back to strategy Recreate.");
        remedy.risk = Risk::Medium;
        remedy.managed_by = ownership::managed_by(subject);
        remedy.patch_type = Some("merge".to_owned());
        remedy.patch = Some(json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}}));
        finding.remedies.push(remedy);
    }
    let sentence =
        "Let an old pod go before the new one is made: maxSurge 0, maxUnavailable 1. One pod is missing meanwhile.";
    let mut remedy = spot::remedy(RemedyKind::Patch, &subject.reference(), sentence);
    remedy.risk = Risk::Medium;
    remedy.managed_by = ownership::managed_by(subject);
    remedy.patch_type = Some("merge".to_owned());
    remedy.patch = Some(
        json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}}}),
    );
    finding.remedies.push(remedy);
    if let Some((other, sentence)) = or {
        finding.alternatives.push(Alternative {
            reference: Some(Ref::from(&other)),
            verdict: Verdict::Possible,
            sentence,
        });
    }
    finding
}

/// The strategy, or whoever changed it lately; and what it was before, where that is known.
fn cause<'a>(
    view: &View<'a>,
    subject: &'a Object,
    bound: Option<&IntOrString>,
    since: Option<Timestamp>,
    resolved: &str,
    why: &str,
) -> (Cause, Option<Value>) {
    let rank = |field: &reckon_model::FieldChange| match field.pointer.as_str() {
        "/spec/strategy/rollingUpdate/maxUnavailable" => Some(0),
        "/spec/strategy/type" => Some(1),
        pointer => pointer.starts_with("/spec/strategy").then_some(2),
    };
    let follows = format!("no old pod may go before a new one is ready, and {why}");
    let fresh = since.and_then(|since| since.checked_sub(WINDOW).ok());
    let changed = blame::object_change(view, subject, since, rank)
        .filter(|blame| fresh.is_none_or(|fresh| blame.change.at >= fresh));
    if let Some(blame) = changed {
        let sentence = format!("{} was {}: {follows}.", blame.field().field, blame.words());
        let before = blame.field().from.clone().filter(|_| blame.field().pointer == "/spec/strategy/type");
        return (blame.cause(view, sentence), before);
    }
    let mut cause = Cause::plain(CauseKind::Resource, Some(&subject.reference()), format!("{resolved}: {follows}."));
    cause.managed_by = ownership::managed_by(subject);
    let value = match bound {
        Some(IntOrString::Int(number)) => Some(json!(number)),
        Some(IntOrString::String(text)) => Some(json!(text)),
        None => None,
    };
    let (field, pointer) =
        ("spec.strategy.rollingUpdate.maxUnavailable", "/spec/strategy/rollingUpdate/maxUnavailable");
    (cause.at_field(field, pointer, value), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_rounded_as_the_controller_rounds_them() {
        let percent = |text: &str| Some(IntOrString::String(text.to_owned()));
        assert_eq!(resolve(None, 3, false), 0);
        assert_eq!(resolve(None, 4, false), 1);
        assert_eq!(resolve(None, 1, true), 1);
        assert_eq!(resolve(percent("50%").as_ref(), 3, false), 1);
        assert_eq!(resolve(percent("50%").as_ref(), 3, true), 2);
        assert_eq!(resolve(percent("nonsense").as_ref(), 3, true), 0);
        assert_eq!(resolve(Some(&IntOrString::Int(2)), 1, true), 2);
    }

    #[test]
    fn other_reasons_are_seen() {
        let ports = "have free ports";
        assert!(is_alone(
            "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
            ports
        ));
        assert!(is_alone(
            "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 node(s) didn't have free ports for the requested pod ports.",
            ports
        ));
        assert!(!is_alone(
            "0/2 nodes are available: 1 node(s) didn't have free ports for the requested pod ports, 1 node(s) were unschedulable.",
            ports
        ));
        assert!(is_alone("0/2 nodes are available: pod has a claim with ReadWriteOncePod.", "ReadWriteOncePod"));
        assert!(is_alone("", ports));
    }

    #[test]
    fn a_device_is_told_by_its_full_name() {
        let pod = Pod::default();
        assert!(device("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.", &pod, &[]).is_none());
        assert!(device("3 Insufficient ", &pod, &[]).is_none());
    }
}
