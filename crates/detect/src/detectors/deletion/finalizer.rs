//! Objects of all kinds that a finalizer keeps.

use super::guardian::{self, Holding};
use crate::{Fact, Finding, Lookup, Place, View, describe};
use jiff::SignedDuration;
use reckon_model::document::{Cause, RemedyKind, Risk, Role, Severity, Source, Verdict};
use reckon_model::{Body, Change, Kind, Object, Verb, text};

/// What is cleaned up outside of the cluster may take minutes.
const GRACE: SignedDuration = SignedDuration::from_secs(600);

/// How many pods are named.
const NAMED: usize = 3;

/// The finding about an object that is being deleted.
pub(super) fn found<'a>(view: &View<'a>, object: &'a Object) -> Option<Finding> {
    let finalizers = guardian::foreign(object);
    let first = finalizers.first()?;
    let due = object.meta.deleted?.checked_add(GRACE).ok()?;
    if !view.reached(due) {
        view.recheck_at(due);
        return None;
    }
    let in_use = match object.kind {
        Kind::PersistentVolumeClaim if finalizers.contains(&"kubernetes.io/pvc-protection") => claim(view, object),
        Kind::PersistentVolume if finalizers.contains(&"kubernetes.io/pv-protection") => volume(view, object),
        _ => None,
    };
    let finding = in_use.unwrap_or_else(|| {
        let finalizer = finalizers.iter().find(|it| !it.ends_with("-protection")).unwrap_or(first);
        let holding = guardian::holding(view, object, finalizer);
        held(object, finalizer, holding)
    });
    if view.is_waiting() { None } else { Some(finding) }
}

fn held(object: &Object, finalizer: &str, holding: Holding<'_>) -> Finding {
    let name = format!("{} {}", object.kind.singular(), describe::object(object));
    let title = format!("{name} was deleted and does not go away: its finalizer {finalizer} is not taken away");
    let mut finding = Finding::new("finalizer-stuck", Place::of(object), title, holding.cause);
    finding.class = Some(holding.class);
    finding.severity = Severity::Warning;
    finding.verdict = holding.verdict;
    finding.opened = object.meta.deleted;
    finding.evidence.push(waits(object, finalizer));
    finding.evidence.extend(holding.facts);
    finding.remedies = holding.remedies;
    finding
}

fn waits(object: &Object, finalizer: &str) -> Fact {
    let text = format!("being deleted, and still has the finalizer {finalizer}");
    Fact::new(Role::Symptom, Source::Status, object.meta.deleted, object, text)
}

/// A claim that pods still use: it was deleted under them.
fn claim<'a>(view: &View<'a>, claim: &'a Object) -> Option<Finding> {
    let pods = view.all(&Kind::Pod, claim.meta.namespace.as_deref()).items;
    let uses = |pod: &&Object| {
        pod.pod().is_some_and(|body| {
            !body.is_finished()
                && body.spec.volumes.iter().any(|volume| {
                    volume.persistent_volume_claim.as_ref().is_some_and(|it| it.claim_name == claim.meta.name)
                        || (volume.ephemeral.is_some()
                            && claim.meta.name == format!("{}-{}", pod.meta.name, volume.name))
                })
        })
    };
    let users: Vec<&Object> = pods.into_iter().filter(uses).collect();
    if users.is_empty() {
        return None;
    }
    let names: Vec<&str> = users.iter().take(NAMED).map(|pod| pod.meta.name.as_str()).collect();
    let more = match users.len().saturating_sub(NAMED) {
        0 => String::new(),
        n => format!(" and {}", text::count(n, "more pod")),
    };
    let by = format!("{}{more}", text::enumerate(&names));
    let mut finding = in_use(claim, "kubernetes.io/pvc-protection", &by, "no new pod can use it any more")?;
    finding.shows_on.extend(users.iter().map(|pod| pod.reference()));
    Some(finding)
}

/// A volume that a claim is still bound to.
fn volume<'a>(view: &View<'a>, volume: &'a Object) -> Option<Finding> {
    let Body::Volume(body) = &volume.body else { return None };
    let bound = body.spec.claim_ref.as_ref()?;
    match view.object(&Kind::PersistentVolumeClaim, Some(&bound.namespace), &bound.name) {
        // A claim that is being deleted as well is the one to look at; the volume follows it.
        Lookup::Found(claim) if claim.meta.deleted.is_none() => {
            let by = format!("claim {}", describe::object(claim));
            in_use(volume, "kubernetes.io/pv-protection", &by, "no claim can be bound to it any more")
        }
        _ => None,
    }
}

fn in_use(object: &Object, finalizer: &str, by: &str, follows: &str) -> Option<Finding> {
    let at = object.meta.deleted?;
    let change = Change { at, subject: object.reference(), verb: Verb::Deleted, fields: Vec::new(), actor: None };
    let name = format!("{} {}", object.kind.singular(), describe::object(object));
    let sentence = format!(
        "Somebody deleted {name} at {} while it is used by {by}: it goes with the last that uses it, and {follows}.",
        describe::time(at)
    );
    let title = format!("{name} was deleted while it is used by {by}");
    let mut finding = Finding::new("finalizer-stuck", Place::of(object), title, Cause::changed(&change, 0, sentence));
    finding.class = Some("in-use");
    finding.severity = Severity::Warning;
    finding.verdict = Verdict::Confirmed;
    finding.opened = Some(at);
    finding.evidence.push(waits(object, finalizer));
    let mut keep = crate::spot::remedy(
        RemedyKind::Outside,
        &object.reference(),
        "A deletion cannot be taken back: copy the data while it is there, make another one and let the workload use that.",
    );
    keep.risk = Risk::Medium;
    finding.remedies.push(keep);
    Some(finding)
}
