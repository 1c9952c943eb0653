//! Volumes that do not come to a pod.

mod attach;
mod claims;
mod mount;
mod sorts;
mod topology;

use crate::catalogue::{Failure, Stage, Verified};
use crate::finding::{Fact, Finding, Place};
use crate::spot::{self, Spot};
use crate::{Detector, View, describe};
use jiff::SignedDuration;
use reckon_model::document::{Cause, Role, Source};
use reckon_model::k8s::{Claim, Condition, Event, Pod, Volume};
use reckon_model::{Body, Kind, Object, Timestamp, text};
use serde_json::json;

pub(crate) static DETECTOR: Detector = Detector {
    name: "volume",
    failures: &[
        // Without claim or place the scheduler finds no node: these come before scheduling.
        failure(
            "pvc-missing",
            "A claim does not exist",
            Stage::Storage,
            Verified::Live,
            include_str!("../pages/pvc-missing.md"),
        ),
        failure(
            "volume-topology",
            "A volume is out of reach of every node",
            Stage::Storage,
            Verified::Live,
            include_str!("../pages/volume-topology.md"),
        ),
        failure(
            "multi-attach",
            "A volume is still attached to another node",
            Stage::Volume,
            Verified::Constructed,
            include_str!("../pages/multi-attach.md"),
        ),
        failure(
            "attach-failed",
            "A volume cannot be attached",
            Stage::Volume,
            Verified::Constructed,
            include_str!("../pages/attach-failed.md"),
        ),
        failure(
            "mount-failed",
            "A volume cannot be mounted",
            Stage::Volume,
            Verified::Live,
            include_str!("../pages/mount-failed.md"),
        ),
    ],
    subjects: &[Kind::Pod],
    others: &[],
    detect,
};

const fn failure(
    slug: &'static str,
    title: &'static str,
    stage: Stage,
    verified: Verified,
    page: &'static str,
) -> Failure {
    Failure { slug, title, stage, family: "volume", echo: false, verified, page }
}

/// A pod's start is given this long: claims come moments after pods, attaching and mounting take a while.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// A pod whose volumes are not there.
struct Case<'a, 'v> {
    view: &'v View<'a>,
    pod: &'a Object,
    body: &'a Pod,
    workload: &'a Object,
    spot: Option<Spot<'a>>,
}

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    if subject.meta.deleted.is_some() || pod.is_finished() || pod.spec.volumes.is_empty() || !waits(pod) {
        return Vec::new();
    }
    let due = subject.meta.created.and_then(|created| created.checked_add(GRACE).ok());
    if let Some(due) = due.filter(|due| !view.reached(*due)) {
        view.recheck_at(due);
        return Vec::new();
    }
    let workload = view.workload_of(subject);
    let case = Case { view, pod: subject, body: pod, workload, spot: Spot::of(workload) };
    let unplaced = pod.condition("PodScheduled").filter(|scheduled| !scheduled.is_true());
    match unplaced {
        Some(condition) if pod.spec.node_name.is_empty() => {
            claims::of_unplaced(&case, condition).or_else(|| topology::found(&case, condition))
        }
        _ if pod.spec.node_name.is_empty() => None,
        _ => case.placed(),
    }
    .into_iter()
    .collect()
}

/// Whether no container has got as far as to be created: volumes come before all of them.
fn waits(pod: &Pod) -> bool {
    pod.containers().all(|(_, _, status)| {
        status.is_none_or(|status| {
            status.state.running.is_none()
                && status.state.terminated.is_none()
                && status.state.waiting.as_ref().is_none_or(|waiting| {
                    matches!(waiting.reason.as_str(), "" | "ContainerCreating" | "PodInitializing")
                })
        })
    })
}

impl<'a> Case<'a, '_> {
    /// What the attach controller and the kubelet say of a pod that has its node.
    fn placed(&self) -> Option<Finding> {
        let events = self.view.events(self.pod);
        let progress =
            newest(&events, |event| matches!(event.reason.as_str(), "Pulling" | "Pulled" | "Created" | "Started"));
        let attached = newest(&events, |event| event.reason == "SuccessfulAttachVolume");
        let stands = |event: &Event, after: Option<Timestamp>| after.is_none() || event.last_seen() > after;
        let failed = |reasons: &[&str], after: Option<Timestamp>| -> Vec<&'a Event> {
            let mut told: Vec<&Event> = events
                .iter()
                .copied()
                .filter(|event| reasons.contains(&event.reason.as_str()) && stands(event, after))
                .collect();
            told.reverse();
            told
        };
        let attaching = failed(&["FailedAttachVolume"], attached.max(progress));
        let mounting = failed(&["FailedMount", "FailedMapVolume"], progress);
        claims::of_placed(self, &mounting)
            .or_else(|| attaching.first().and_then(|event| attach::found(self, event)))
            .or_else(|| {
                mounting.iter().find(|event| mount::says_what(event)).and_then(|event| mount::found(self, event))
            })
            .or_else(|| mount::timed_out(self, &mounting))
    }

    fn finding(&self, slug: &'static str, class: Option<&'static str>, what: &str, cause: Cause) -> Finding {
        let title = format!("{}: pods cannot start, {what}", describe::object(self.workload));
        let mut finding = Finding::new(slug, Place::of(self.workload), title, cause);
        finding.class = class;
        finding.severity = spot::severity(self.workload);
        finding.shows_on = [self.pod.reference()].into();
        finding
    }

    /// An Event as a fact.
    fn told(&self, event: &Event) -> Fact {
        let words = text::clean_line(event.message.trim());
        let text = format!("{}: {}", event.reason, text::shorten(&words, 300));
        // When it began: the last time says only how lately the kubelet tried.
        Fact::new(Role::Symptom, Source::Event, event.first_seen(), self.pod, text)
            .raw(json!({"reason": event.reason, "message": event.message, "count": event.count()}))
    }

    /// A condition as a fact.
    fn condition(&self, condition: &Condition) -> Fact {
        let text = format!("the scheduler says: {}", text::shorten(condition.message.trim(), 300));
        Fact::new(Role::Symptom, Source::Condition, condition.since, self.pod, text)
            .raw(json!({"reason": condition.reason, "message": condition.message}))
    }

    /// The claims that the pod mounts, with the volume that names each; those of ephemeral volumes are named after the pod.
    fn claim_names(&self) -> Vec<(&'a Volume, String)> {
        let name = |volume: &'a Volume| match (&volume.persistent_volume_claim, &volume.ephemeral) {
            (Some(claim), _) => Some((volume, claim.claim_name.clone())),
            (None, Some(_)) => Some((volume, format!("{}-{}", self.pod.meta.name, volume.name))),
            (None, None) => None,
        };
        self.body.spec.volumes.iter().filter_map(name).collect()
    }

    /// The claims that exist, with the volume that names each.
    fn claims(&self) -> Vec<(&'a Volume, &'a Object, &'a Claim)> {
        let namespace = self.pod.meta.namespace.as_deref();
        self.claim_names()
            .into_iter()
            .filter_map(|(volume, name)| {
                let object = self.view.object(&Kind::PersistentVolumeClaim, namespace, &name).found()?;
                match &object.body {
                    Body::Claim(claim) => Some((volume, object, &**claim)),
                    _ => None,
                }
            })
            .collect()
    }

    /// The volume of the pod that an Event's `for volume "x"` means: by its own name, or by that of its claim's
    /// PersistentVolume. With the claim, where it has one.
    fn meant(&self, message: &str) -> Option<(&'a Volume, Option<&'a Object>)> {
        let name = quoted(message)?;
        let own = self.body.spec.volumes.iter().find(|volume| volume.name == name);
        if let Some(own) = own.filter(|own| own.persistent_volume_claim.is_none() && own.ephemeral.is_none()) {
            return Some((own, None));
        }
        let claims = self.claims();
        claims
            .iter()
            .find(|(_, _, claim)| claim.spec.volume_name == name)
            .or_else(|| claims.iter().find(|(volume, ..)| volume.name == name))
            .map(|(volume, object, _)| (*volume, Some(*object)))
    }
}

/// What stands after `for volume` in quotes.
fn quoted(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("for volume \"")?;
    rest.split_once('"').map(|(name, _)| name)
}

fn newest(events: &[&Event], which: impl Fn(&Event) -> bool) -> Option<Timestamp> {
    events.iter().filter(|event| which(event)).filter_map(|event| event.last_seen()).max()
}
