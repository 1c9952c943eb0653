//! What there is only so much of: connections of a server, files, threads.

use super::Speaker;
use crate::detectors::template::Site;
use crate::{Fact, Finding, blame, describe, ownership, spot};
use jiff::SignedDuration;
use reckon_model::document::{Alternative, Cause, CauseKind, Remedy, RemedyKind, Role, Source, Verdict};
use reckon_model::{FieldChange, Kind, ResourceRef, text};
use serde_json::json;

/// A change that was lived with for longer made nothing of what fails now.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// A server takes no more connections.
pub(super) fn connections(speaker: &Speaker<'_, '_>, whose: &str) -> Finding {
    const SLUG: &str = "backend-limit";
    let why = format!("{whose} takes no more connections");
    let more = |field: &FieldChange| {
        let number = |value: &Option<serde_json::Value>| value.as_ref().and_then(serde_json::Value::as_i64);
        let grew = match (number(&field.from), number(&field.to)) {
            (Some(from), Some(to)) => to > from,
            (None, Some(to)) => to > 1,
            _ => false,
        };
        (field.pointer == "/spec/replicas" && grew).then_some(0)
    };
    let ended = speaker.ended.or(speaker.subject.meta.created);
    let since = ended.and_then(|at| at.checked_sub(WINDOW).ok());
    let scaled = blame::object_change(speaker.view, speaker.workload, ended, more)
        .filter(|blame| since.is_none_or(|since| blame.change.at >= since));
    let site = Site::new(speaker.workload, &speaker.container.name);
    let fewer = format!(
        "Let each pod of {} keep fewer connections, or let {whose} take more.",
        describe::object(speaker.workload)
    );
    let Some(scaled) = scaled else {
        let sentence =
            format!("{whose} has as many connections as it takes, and does not take another from {}.", speaker.who());
        let cause = Cause::plain(CauseKind::Application, Some(&speaker.workload.reference()), sentence);
        let mut finding = speaker.claim(SLUG, Some("full"), &why, cause);
        finding.alternatives.push(Alternative {
            reference: None,
            verdict: Verdict::Possible,
            sentence: format!("Somebody else may hold the connections; {whose} can list them by who holds them."),
        });
        finding.remedies.push(site.advice(RemedyKind::Patch, fewer));
        return finding;
    };
    let sentence = format!(
        "spec.replicas of {} {} was {}, and each of its pods keeps connections: {why}.",
        speaker.workload.kind.singular(),
        describe::object(speaker.workload),
        scaled.words()
    );
    let before = scaled.field().from.clone();
    let mut finding = speaker.claim(SLUG, Some("scaled-up"), &why, scaled.cause(speaker.view, sentence));
    finding.verdict = Verdict::Confirmed;
    let sentence = match &before {
        Some(before) => format!("Scale {} back to {}.", describe::object(speaker.workload), describe::value(before)),
        None => format!("Scale {} down again.", describe::object(speaker.workload)),
    };
    let mut remedy = spot::remedy(RemedyKind::Scale, &speaker.workload.reference(), sentence);
    remedy.managed_by = ownership::managed_by(speaker.workload);
    remedy.patch_type = before.is_some().then(|| "merge".to_owned());
    remedy.patch = before.map(|before| json!({"spec": {"replicas": before}}));
    finding.remedies.push(remedy);
    finding.remedies.push(site.advice(RemedyKind::Patch, fewer));
    finding
}

/// It has as many files open as it may, or as many watches as its node has for all.
pub(super) fn files(speaker: &Speaker<'_, '_>, watches: bool) -> Finding {
    const SLUG: &str = "fd-limit";
    if watches {
        let node = ResourceRef::new(Kind::Node, None, &speaker.pod.spec.node_name);
        let sentence = format!(
            "{} may watch no more files: fs.inotify.max_user_instances or max_user_watches of node {} is used up, by all pods of one user together.",
            speaker.who(),
            node.name
        );
        let cause = Cause::plain(CauseKind::Node, Some(&node), sentence);
        let mut finding = speaker.claim(SLUG, Some("inotify"), "its node has no more watches of files to give", cause);
        let advice =
            format!("Raise fs.inotify.max_user_instances and fs.inotify.max_user_watches on node {}.", node.name);
        let mut remedy = spot::remedy(RemedyKind::Outside, &node, advice);
        remedy.requires = None;
        finding.remedies.push(remedy);
        return finding;
    }
    let sentence = format!(
        "{} has as many files and connections open as it may: most often it does not close them.",
        speaker.who()
    );
    let cause = Cause::plain(CauseKind::Application, Some(&speaker.workload.reference()), sentence);
    let mut finding = speaker.claim(SLUG, Some("open-files"), "it has too many files open", cause);
    let site = Site::new(speaker.workload, &speaker.container.name);
    finding.remedies.push(
        site.advice(
            RemedyKind::Patch,
            "Close what is opened; the limit itself is the container runtime's (LimitNOFILE), no field of the pod's."
                .to_owned(),
        ),
    );
    finding
}

/// It can start no more threads or processes.
pub(super) fn threads(speaker: &Speaker<'_, '_>) -> Finding {
    const SLUG: &str = "thread-limit";
    let node = &speaker.pod.spec.node_name;
    let sentence = format!(
        "{} may start no more threads or processes: the kubelet of {node} gives each pod so many (podPidsLimit), and the node has so many for all.",
        speaker.who()
    );
    let cause = Cause::plain(CauseKind::Application, Some(&speaker.workload.reference()), sentence);
    let mut finding = speaker.claim(SLUG, None, "it can start no more threads", cause);
    let node = ResourceRef::new(Kind::Node, None, node);
    let pressed = speaker.view.look_up(&node).found().filter(|node| match &node.body {
        reckon_model::Body::Node(body) => reckon_model::k8s::Condition::find(&body.status.conditions, "PIDPressure")
            .is_some_and(reckon_model::k8s::Condition::is_true),
        _ => false,
    });
    if let Some(pressed) = pressed {
        let sentence =
            format!("Node {} has no more process numbers to give, which stops {} as well.", node.name, speaker.who());
        finding.cause = Cause::plain(CauseKind::Node, Some(&node), sentence);
        finding.verdict = Verdict::Confirmed;
        let words = format!("PIDPressure of {} is True", node.name);
        finding.evidence.push(Fact::new(Role::Cause, Source::Node, None, pressed, words));
    }
    let uid = speaker.subject.meta.uid.as_str();
    let facts = speaker.view.kernel(&speaker.pod.spec.node_name, false);
    let forks = facts.into_iter().flat_map(|facts| &facts.forks);
    let refused = forks.rev().find(|fork| !uid.is_empty() && fork.pod_uid.as_deref() == Some(uid));
    if let (Some(refused), None) = (refused, pressed) {
        let words = format!("cgroup: fork rejected by pids controller in {}", text::shorten(&refused.path, 200));
        finding.evidence.push(Fact::new(Role::Cause, Source::Kernel, refused.at, speaker.subject, words));
        finding.verdict = Verdict::Confirmed;
        finding.remedies.push(fewer(speaker));
        return finding;
    }
    finding.alternatives.push(Alternative {
        reference: Some((&speaker.workload.reference()).into()),
        verdict: Verdict::Possible,
        sentence: "Memory for the stacks of threads may be what is missing: a JVM says the same of both.".to_owned(),
    });
    finding.remedies.push(fewer(speaker));
    finding
}

fn fewer(speaker: &Speaker<'_, '_>) -> Remedy {
    let site = Site::new(speaker.workload, &speaker.container.name);
    let sentence = format!(
        "Let {} use fewer threads (pool sizes), or give it a node with a higher podPidsLimit.",
        speaker.container.name
    );
    site.advice(RemedyKind::Patch, sentence)
}
