//! Pods that had to go for more important ones.

use super::Case;
use crate::detectors::preemption::Preemption;
use crate::{Fact, Finding, Place, describe, spot};
use reckon_model::Object;
use reckon_model::document::{Cause, CauseKind, Remedy, RemedyKind, Role, Source, Verdict};

/// What pods of the control plane have at least: `system-cluster-critical` (`scheduling.SystemCriticalPriority`).
const CRITICAL: i64 = 2_000_000_000;

/// A scheduler deleted it, to place another.
pub(super) fn by_scheduler(case: &Case<'_, '_>) -> Finding {
    let events = case.view.events(case.subject);
    let event = events.iter().rev().find(|event| event.reason == "Preempted");
    let preemption = event.and_then(|event| Preemption::of(case.view, event));
    let whose = describe::object(case.workload);
    let (who, cause) = match &preemption {
        Some(preemption) => {
            let by = format!("{}{}", preemption.name, preemption.importance(Some(case.subject)));
            let sentence = format!("The scheduler removed the pod from node {} to make room for {by}.", case.node());
            (preemption.name.clone(), preemption.cause(case.view, case.workload, sentence))
        }
        None => {
            let sentence = format!(
                "The scheduler removed the pod from node {} to make room for a pod of higher priority; which one is not told any more.",
                case.node()
            );
            let cause = Cause::plain(CauseKind::External, Some(&case.workload.reference()), sentence);
            ("a pod of higher priority".to_owned(), cause)
        }
    };
    let title = format!("{whose}: its pod had to go for {who}");
    let mut finding = finding(case, "scheduler", title, cause);
    if let Some((preemption, by)) = preemption.as_ref().and_then(|it| Some((it, it.by?))) {
        finding.verdict = Verdict::Confirmed;
        finding.evidence.push(importance(preemption, by));
    }
    finding
}

/// A kubelet ended it, to run a pod that the node cannot do without.
pub(super) fn by_kubelet(case: &Case<'_, '_>) -> Finding {
    let node = case.node();
    let here = case.view.pods_on(node).unwrap_or_default();
    // The one that came last to a node that was full.
    let critical = here
        .into_iter()
        .filter(|other| other.reference() != case.subject.reference())
        .filter(|other| other.pod().is_some_and(|pod| !pod.is_finished() && pod.spec.priority >= Some(CRITICAL)))
        .max_by_key(|other| (other.meta.created, other.reference()));
    let whose = describe::object(case.workload);
    let who = critical.map_or("a critical pod".to_owned(), describe::object);
    let sentence = format!(
        "The kubelet of node {node} ended the pod to make room for {who}, without which the node does not work."
    );
    let cause = match critical {
        Some(pod) => {
            let preemption = Preemption { at: None, by: Some(pod), name: describe::object(pod) };
            preemption.cause(case.view, case.workload, sentence)
        }
        None => Cause::plain(CauseKind::Node, Some(&case.node_ref()), sentence),
    };
    let mut finding = finding(case, "kubelet", format!("{whose}: its pod had to go for {who} on node {node}"), cause);
    if let Some(pod) = critical {
        let preemption = Preemption { at: None, by: Some(pod), name: describe::object(pod) };
        finding.evidence.push(importance(&preemption, pod));
    }
    finding
}

fn importance(preemption: &Preemption<'_>, by: &Object) -> Fact {
    let text = format!("{}{}", preemption.name, preemption.importance(None));
    Fact::new(Role::Cause, Source::Spec, preemption.at, by, text)
}

fn finding(case: &Case<'_, '_>, class: &'static str, title: String, cause: Cause) -> Finding {
    let mut finding = Finding::new("preempted", Place::of(case.workload), title, cause);
    finding.class = Some(class);
    let workload = case.workload.reference();
    let sentence = "Add nodes, or give this workload a priority class that fits its importance.";
    finding.remedies.push(Remedy { requires: None, ..spot::remedy(RemedyKind::Outside, &workload, sentence) });
    finding
}
