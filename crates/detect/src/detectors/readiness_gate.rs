//! Pods whose containers are ready, and which a readiness gate keeps from being so.

mod controller;
mod words;

use super::revision;
use crate::blame::{self, Blame};
use crate::catalogue::{Failure, Stage, Verified};
use crate::spot::{self, Spot};
use crate::{Detector, Fact, Finding, Place, View, describe};
use controller::Controller;
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::Pod;
use reckon_model::{Kind, Object, Timestamp, text};
use serde_json::{Value, json};
use words::Gate;

pub(crate) static DETECTOR: Detector = Detector {
    name: "readiness_gate",
    failures: &[Failure {
        slug: "readiness-gate-unmet",
        title: "A readiness gate keeps a pod out of Services",
        stage: Stage::Readiness,
        family: "readiness-gate",
        echo: false,
        verified: Verified::Live,
        page: include_str!("../pages/readiness-gate-unmet.md"),
    }],
    subjects: &[Kind::Pod],
    others: &[],
    detect,
};

/// A load balancer takes its time until it has asked a new target whether it is well.
const GRACE: SignedDuration = SignedDuration::from_mins(5);

/// A pod that waits for a gate.
struct Case<'v, 'a> {
    view: &'v View<'a>,
    subject: &'a Object,
    workload: &'a Object,
    gate: Gate,
}

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Some(pod) = subject.pod() else { return Vec::new() };
    let Some(ready) = pod.condition("Ready").filter(|it| !it.is_true() && it.reason == "ReadinessGatesNotReady") else {
        return Vec::new();
    };
    if subject.meta.deleted.is_some() || pod.is_finished() {
        return Vec::new();
    }
    // The pod was not ready before, either; it waits for its gates since its containers are.
    let since = [ready.since, pod.condition("ContainersReady").and_then(|it| it.since)].into_iter().flatten().max();
    if let Some(due) = since.and_then(|at| at.checked_add(GRACE).ok()).filter(|due| !view.reached(*due)) {
        view.recheck_at(due);
        return Vec::new();
    }
    let gates = words::gates(&ready.message);
    // A wording that is not known says all the same that it is a gate.
    let gate = gates.first().cloned().unwrap_or_default();
    let case = Case { view, subject, workload: view.workload_of(subject), gate };
    let mut finding = case.finding(pod);
    finding.shows_on = [subject.reference()].into();
    finding.severity = spot::severity(case.workload);
    finding.opened = since;
    let said = text::shorten(&text::clean_line(&ready.message), 300).into_owned();
    let raw = json!({"reason": ready.reason, "message": ready.message});
    finding.evidence.push(Fact::new(Role::Symptom, Source::Condition, since, subject, said).raw(raw));
    vec![finding]
}

/// The gates that are not met, as a pod's `Ready` condition names them.
pub(crate) fn unmet(message: &str) -> Vec<String> {
    words::gates(message).iter().map(Gate::shown).collect()
}

impl<'a> Case<'_, 'a> {
    fn finding(&self, pod: &'a Pod) -> Finding {
        let name = self.gate.shown();
        let whose = describe::object(self.workload);
        let (class, title) = match &self.gate.status {
            None if self.gate.name.is_empty() => ("unsaid", format!("{whose}: not ready, a readiness gate is not met")),
            None => ("absent", format!("{whose}: not ready, nobody sets its readiness gate {name}")),
            Some(status) => ("refused", format!("{whose}: not ready, its readiness gate {name} is {status}")),
        };
        let mut finding = match controller::of(self.view, &self.gate.name) {
            Some(Controller::Ill(object, why)) => self.ill(object, title, &why),
            Some(Controller::Idle(object)) => self.idle(object, title),
            Some(Controller::Deleted(object, at)) => self.deleted(object, at, title),
            Some(Controller::Up(object)) => self.up(pod, Some(object), title),
            None => self.up(pod, None, title),
        };
        finding.class = Some(class);
        finding
    }

    fn told(&self, title: String, cause: Cause) -> Finding {
        let mut finding = Finding::new("readiness-gate-unmet", Place::of(self.workload), title, cause);
        finding.verdict = Verdict::Confirmed;
        finding
    }

    /// The gate's controller is there, and none of its pods is ready: what ails it is to be found there.
    fn ill(&self, object: &'a Object, title: String, why: &str) -> Finding {
        let name = format!("{} {}", object.kind.singular(), describe::object(object));
        let sentence = format!("{name} sets the readiness gate {}, and {why}.", self.gate.shown());
        let mut finding = self.told(title, Cause::plain(CauseKind::Resource, Some(&object.reference()), sentence));
        finding.evidence.push(Fact::new(Role::Cause, Source::Status, None, object, why));
        let ask = format!("Bring up {name}; it sets the gate of all pods that wait.");
        finding.remedies.push(spot::remedy(RemedyKind::Restart, &object.reference(), ask));
        finding
    }

    fn idle(&self, object: &'a Object, title: String) -> Finding {
        let name = format!("{} {}", object.kind.singular(), describe::object(object));
        let gate = self.gate.shown();
        let zero = |field: &reckon_model::FieldChange| {
            (field.pointer == "/spec/replicas" && field.to == Some(json!(0))).then_some(0)
        };
        let cause = match blame::object_change(self.view, object, None, zero) {
            Some(blame) => {
                let sentence =
                    format!("{name} sets the readiness gate {gate}, and its replicas were {}.", blame.words());
                blame.cause(self.view, sentence)
            }
            None => {
                let sentence = format!("{name} sets the readiness gate {gate}, and is scaled to zero.");
                Cause::plain(CauseKind::Resource, Some(&object.reference()), sentence).at_field(
                    "spec.replicas",
                    "/spec/replicas",
                    Some(json!(0)),
                )
            }
        };
        let mut finding = self.told(title, cause);
        finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, object, "spec.replicas is 0"));
        let mut remedy = spot::remedy(RemedyKind::Scale, &object.reference(), format!("Scale {name} up again."));
        remedy.managed_by = crate::ownership::managed_by(object);
        remedy.patch_type = Some("merge".to_owned());
        remedy.patch = Some(json!({"spec": {"replicas": 1}}));
        finding.remedies.push(remedy);
        finding
    }

    fn deleted(&self, object: &'a Object, at: Timestamp, title: String) -> Finding {
        let name = format!("{} {}", object.kind.singular(), describe::object(object));
        let sentence = format!(
            "{name}, which sets the readiness gate {}, was deleted at {}.",
            self.gate.shown(),
            describe::time(at)
        );
        let mut cause = Cause::plain(CauseKind::Change, Some(&object.reference()), sentence);
        cause.at = Some(at);
        cause.managed_by = crate::ownership::managed_by(object);
        let mut finding = self.told(title, cause);
        finding.evidence.push(Fact::new(Role::Cause, Source::Absence, Some(at), object, format!("{name} was deleted")));
        let make = format!("Install {name} again, or take the gate out of the pods that wait for it.");
        finding.remedies.push(spot::remedy(RemedyKind::Create, &object.reference(), make));
        finding
    }

    /// Nobody is known to be ill: either the one who answers says no, or there is nobody who would.
    fn up(&self, pod: &'a Pod, controller: Option<&'a Object>, title: String) -> Finding {
        if self.gate.status.is_some() {
            return self.says_no(pod, controller, title);
        }
        let gate = self.gate.shown();
        let spot = Spot::of(self.workload);
        let written = spot.as_ref().and_then(|spot| self.written(spot));
        let nobody = match controller {
            Some(object) => format!("{} {} runs and has not set it", object.kind.singular(), describe::object(object)),
            None => "no controller that sets it is known here".to_owned(),
        };
        let mut finding = match (self.added(), spot.as_ref().zip(written)) {
            (Some(blame), _) => {
                let sentence = format!(
                    "{} was {}; the condition {gate} is set by nobody since.",
                    blame.field().field,
                    blame.words()
                );
                self.told(title, blame.cause(self.view, sentence))
            }
            (None, Some((spot, (path, value)))) => {
                let sentence = format!("The pod is ready only when somebody sets its condition {gate}, and {nobody}.");
                self.told(title, spot.wrong(&path, Some(value), sentence))
            }
            (None, None) => {
                // A pod is not kept whole: whether the gate stands in it is known only of what it was made from.
                let injected = self.workload.kind != Kind::Pod && spot.is_some();
                let sentence = match gate.as_str() {
                    "" => "The containers are ready, and a readiness gate of the pod is not met.".to_owned(),
                    _ if injected => format!(
                        "The readiness gate {gate} is not in what the pod was made from: a webhook added it, and {nobody}."
                    ),
                    _ => format!("The pod is ready only when somebody sets its condition {gate}, and {nobody}."),
                };
                let cause = Cause::plain(CauseKind::Resource, Some(&self.workload.reference()), sentence);
                self.told(title, cause)
            }
        };
        if finding.cause.kind != CauseKind::Change {
            // Somebody may set it whom we do not know.
            finding.verdict = if gate.is_empty() { Verdict::Possible } else { Verdict::Likely };
        }
        if let Some(object) = controller {
            let ask = format!("Look at the log of {}; restart it if it is silent.", describe::object(object));
            finding.remedies.push(spot::remedy(RemedyKind::Restart, &object.reference(), ask));
        }
        finding.remedies.extend(spot.as_ref().and_then(|spot| self.without(spot)));
        finding
    }

    /// Who sets the condition has looked, and does not let the pod in.
    fn says_no(&self, pod: &'a Pod, controller: Option<&'a Object>, title: String) -> Finding {
        let gate = self.gate.shown();
        let condition = pod.condition(&self.gate.name);
        let why = condition.map(|it| words::why(&it.reason, &it.message)).unwrap_or_default();
        let who =
            controller.map(|object| object.meta.name.clone()).or_else(|| writer(self.subject)).unwrap_or_default();
        let by = if who.is_empty() { String::new() } else { format!(" {who}, who sets it,") };
        let said = match (by.is_empty(), why.is_empty()) {
            (true, true) => String::new(),
            (true, false) => format!(" It says: {why}."),
            (false, true) => format!("{by} gives no reason."),
            (false, false) => format!("{by} says: {why}."),
        };
        let status = self.gate.status.as_deref().unwrap_or("not True");
        let sentence = format!("The containers are ready, and the condition {gate} is {status}.{said}");
        let on = self.workload.reference();
        let mut finding = self.told(title, Cause::plain(CauseKind::External, Some(&on), sentence));
        finding.verdict = Verdict::Likely;
        if let Some(condition) = condition.filter(|_| !why.is_empty()) {
            let said = format!("{gate}={} {why}", condition.status);
            finding.evidence.push(Fact::new(Role::Cause, Source::Condition, condition.since, self.subject, said));
        }
        let ask = match controller::is_load_balancer(&self.gate.name) {
            true => "Look at the target's health in the load balancer: its health check's port and path, and whether its network reaches the pod.".to_owned(),
            false => format!("Ask whoever sets {gate} what the pod lacks."),
        };
        finding.remedies.push(spot::remedy(RemedyKind::Outside, &on, ask));
        finding
    }

    /// Where the gate stands in what people edit.
    fn written(&self, spot: &Spot<'_>) -> Option<(spot::Path, Value)> {
        let list = spot.path("readinessGates");
        let gates = spot.written(&list)?;
        let of = |gate: &Value| gate.get("conditionType").and_then(Value::as_str) == Some(&self.gate.name);
        let index = gates.as_array()?.iter().position(of)?;
        let mut path = list;
        path.field.push_str(&format!("[{index}].conditionType"));
        path.pointer.push_str(&format!("/{index}/conditionType"));
        Some((path, json!(self.gate.name)))
    }

    /// The template without the gate.
    fn without(&self, spot: &Spot<'_>) -> Option<Remedy> {
        self.written(spot)?;
        let mut gates = spot.written(&spot.path("readinessGates"))?;
        let list = gates.as_array_mut()?;
        list.retain(|gate| gate.get("conditionType").and_then(Value::as_str) != Some(&self.gate.name));
        let rest = if list.is_empty() { Value::Null } else { gates };
        let sentence = format!("Take the readiness gate {} out, if nobody is to set it.", self.gate.shown());
        Some(spot.patch(Some(json!({"readinessGates": rest})), sentence))
    }

    /// The change that brought the gate, if no pod has been ready with it.
    fn added(&self) -> Option<Blame> {
        let rank = |field: &reckon_model::FieldChange| field.pointer.contains("/readinessGates").then_some(0);
        let blame = blame::template_change(self.view, self.workload, Some(self.subject), None, rank)?;
        let born = self.subject.meta.created?;
        let fresh = born.checked_sub(revision::WINDOW).is_ok_and(|since| blame.change.at >= since);
        let pod = self.subject.pod()?;
        let worked = revision::peers(self.view, self.workload, self.subject);
        let worked = worked.iter().any(|peer| peer.pod().is_some_and(Pod::is_ready)) || pod.is_ready();
        (fresh && !worked).then_some(blame)
    }
}

/// Who else than the cluster itself writes the pod's status.
fn writer(pod: &Object) -> Option<String> {
    let own = |name: &str| name == "kubelet" || name.starts_with("kube-") || name.starts_with("kubectl");
    let writers = pod.meta.managers.iter().filter(|manager| manager.subresource == "status" && !own(&manager.manager));
    writers.max_by_key(|manager| manager.time).map(|manager| text::shorten(&manager.manager, 60).into_owned())
}
