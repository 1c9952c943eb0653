//! No server answers.

use super::corefile;
use super::server::{self, Server};
use crate::blame;
use crate::detectors::{logs, revision};
use crate::{Fact, Finding, Place, View, describe, ownership, spot};
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Source, Verdict};
use reckon_model::k8s::Pod;
use reckon_model::{FieldChange, Kind, LogLine, Object, ResourceRef, Timestamp, text};
use serde_json::json;

/// A roll-out keeps some that answer; a single server that is restarted is back within this time.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// Whether no pod answers behind the DNS Service, and why.
pub(super) fn found(server: &Server<'_, '_>) -> Option<Finding> {
    if server.ready().next().is_some() {
        return without_port(server);
    }
    if server.pods.is_empty() { no_pods(server) } else { unready(server) }
}

fn told(server: &Server<'_, '_>, on: &Object, class: &'static str, what: &str, cause: Cause) -> Finding {
    let title = format!("the cluster's DNS is down: {what}");
    let mut finding = Finding::new("dns-down", Place::of(on), title, cause);
    finding.class = Some(class);
    finding.verdict = Verdict::Confirmed;
    finding.shows_on.insert(server.service.reference());
    finding.shows_on.extend(server.pods.iter().map(|pod| pod.reference()));
    finding
}

/// There are pods, and none is ready.
fn unready(server: &Server<'_, '_>) -> Option<Finding> {
    let view = server.view;
    let since = |pod: &&Object| pod.pod()?.condition("Ready").and_then(|it| it.since).or(pod.meta.created);
    let since = server.pods.iter().filter_map(since).max();
    if let Some(due) = since.and_then(|at| at.checked_add(GRACE).ok()).filter(|due| !view.reached(*due)) {
        view.recheck_at(due);
        return None;
    }
    let pod = *server.pods.first()?;
    let workload = view.workload_of(pod);
    let count = text::count(server.pods.len(), "pod");
    let whose = format!("{} {}", workload.kind.singular(), describe::object(workload));
    let what = match server.pods.len() {
        1 => format!("the pod of {whose} is not ready"),
        _ => format!("none of the {count} of {whose} is ready"),
    };
    let line = said(view, server);
    let looped = line.filter(|(_, line)| corefile::looped(&line.text));
    let mut finding = match looped {
        Some((pod, _)) => looping(server, workload, pod, &what),
        None => {
            told(server, workload, "not-ready", &what, cause(view, workload, pod, since, &what, line.map(|(_, it)| it)))
        }
    };
    finding.opened = since;
    if finding.cause.kind != CauseKind::Change && looped.is_none() {
        finding.verdict = Verdict::Likely;
    }
    if finding.cause.kind == CauseKind::Change {
        let ask = format!(
            "Roll back to the revision before: kubectl rollout undo {}/{} -n {}.",
            workload.kind.singular(),
            workload.meta.name,
            workload.namespace()
        );
        finding.remedies.extend(spot::Spot::of(workload).and_then(|spot| spot.roll_back(ask)));
    }
    let words = format!("{count} selected, none ready");
    finding.evidence.push(Fact::new(Role::Symptom, Source::Condition, since, server.service, words));
    if let Some((pod, line)) = line {
        let words = text::shorten(line.text.trim(), 300).into_owned();
        finding.evidence.push(Fact::new(Role::Cause, Source::Log, line.at, pod, words));
    }
    Some(finding)
}

/// The line that says why, of the first pod whose log has one.
fn said<'a>(view: &View<'a>, server: &Server<'_, 'a>) -> Option<(&'a Object, &'a LogLine)> {
    server.pods.iter().take(2).find_map(|object| {
        let pod = object.pod()?;
        let name = Server::container(pod);
        let (_, _, status) = logs::failing(view, pod).find(|(_, container, _)| container.name == name)?;
        let lines = logs::last_words(view, object, status);
        let telling = lines.iter().rev().find(|line| corefile::looped(&line.text));
        let line = telling.or_else(|| logs::decisive(view, object, name, status.state.terminated.is_none()))?;
        Some((*object, line))
    })
}

/// A change of what makes the pods, or what they say.
fn cause<'a>(
    view: &View<'a>,
    workload: &'a Object,
    pod: &'a Object,
    since: Option<Timestamp>,
    what: &str,
    line: Option<&LogLine>,
) -> Cause {
    let name = pod.pod().map(Server::container).unwrap_or_default();
    let rank = |below: &str, _: &FieldChange| match below.split(['.', '[']).next().unwrap_or_default() {
        "" | "image" => Some(0),
        "args" | "command" | "resources" | "readinessProbe" | "livenessProbe" | "securityContext" => Some(1),
        _ => Some(2),
    };
    if let Some(suspect) = revision::suspect(view, workload, pod, name, since, rank) {
        let field = suspect.blame.field().field.clone();
        let sentence = format!("{field} was {}; since then {what}.", suspect.blame.words());
        return suspect.blame.cause(view, sentence);
    }
    let says =
        line.map(|line| format!(" Its log says: {}", text::shorten(line.text.trim().trim_end_matches('.'), 200)));
    let mut sentence = format!("No pod answers for names: {what}.{}", says.unwrap_or_default());
    if !sentence.ends_with('.') {
        sentence.push('.');
    }
    Cause::plain(CauseKind::Application, Some(&workload.reference()), sentence)
}

/// What it asks sends the question back to it.
fn looping(server: &Server<'_, '_>, workload: &Object, pod: &Object, what: &str) -> Finding {
    let own = server.spec.cluster_ip.as_str();
    let config = server.config();
    let text = config.and_then(Object::whole).and_then(|it| it.pointer("/data/Corefile")?.as_str().map(str::to_owned));
    let text = text.unwrap_or_default();
    let itself = corefile::directives(&text).any(|(name, rest)| {
        matches!(name, "forward" | "proxy")
            && rest.split_whitespace().skip(1).any(|to| to == own || to.starts_with("127."))
    });
    let what = format!("{what}, as what it asks sends its questions back to it");
    if let Some(config) = config.filter(|_| itself) {
        let sentence = "The Corefile has CoreDNS ask its own address for the names that it does not know.";
        let mut cause = Cause::plain(CauseKind::Resource, Some(&config.reference()), sentence);
        cause.managed_by = ownership::managed_by(config);
        let cause = cause.at_field("data.Corefile", "/data/Corefile", None);
        let mut finding = told(server, workload, "loop", &what, cause);
        let ask = "Let forward name servers outside of the cluster.";
        finding.remedies.push(spot::remedy(RemedyKind::Patch, &config.reference(), ask));
        return finding;
    }
    let name = pod.pod().map_or("", |pod| pod.spec.node_name.as_str());
    let node = ResourceRef::new(Kind::Node, None, name);
    let sentence = format!(
        "CoreDNS asks the servers of /etc/resolv.conf, which it has from node {name}, and that names an address of the node itself: the question comes back."
    );
    let mut finding = told(server, workload, "loop", &what, Cause::plain(CauseKind::Node, Some(&node), sentence));
    let ask = "Let resolvConf of the kubelet name a file with the real servers (/run/systemd/resolve/resolv.conf with systemd-resolved), then delete the pods of CoreDNS.";
    finding.remedies.push(spot::remedy(RemedyKind::Outside, &node, ask));
    finding
}

/// Nobody made a pod.
fn no_pods(server: &Server<'_, '_>) -> Option<Finding> {
    let view = server.view;
    let Some(workload) = server.workload() else { return no_workload(server) };
    let name = format!("{} {}", workload.kind.singular(), describe::object(workload));
    let zero =
        workload.workload().is_some_and(|body| body.spec.replicas == Some(0)) && workload.kind != Kind::DaemonSet;
    if !zero {
        let sentence = format!("{name} has no pods.");
        let cause = Cause::plain(CauseKind::Unknown, Some(&workload.reference()), sentence);
        let mut finding = told(server, workload, "no-pods", &format!("{name} has no pods"), cause);
        finding.verdict = Verdict::Likely;
        finding.evidence.push(Fact::new(Role::Symptom, Source::Absence, None, server.service, "no pod is selected"));
        return Some(finding);
    }
    let what = format!("{name} is scaled to zero");
    let to_zero = |field: &FieldChange| (field.pointer == "/spec/replicas").then_some(0);
    let before = blame::object_change(view, workload, None, to_zero);
    let replicas =
        before.as_ref().and_then(|blame| blame.field().from.as_ref()?.as_i64()).filter(|it| *it > 0).unwrap_or(2);
    let cause = match before {
        Some(blame) => {
            let sentence = format!("The replicas of {name} were {}.", blame.words());
            blame.cause(view, sentence)
        }
        None => {
            let mut cause =
                Cause::plain(CauseKind::Resource, Some(&workload.reference()), format!("{name} has no replicas."))
                    .at_field("spec.replicas", "/spec/replicas", Some(json!(0)));
            cause.managed_by = ownership::managed_by(workload);
            cause
        }
    };
    let mut finding = told(server, workload, "scaled-to-zero", &what, cause);
    finding.opened = finding.cause.at;
    finding.evidence.push(Fact::new(Role::Symptom, Source::Absence, None, server.service, "no pod is selected"));
    let mut remedy = spot::remedy(RemedyKind::Scale, &workload.reference(), format!("Scale {name} up again."));
    remedy.managed_by = ownership::managed_by(workload);
    remedy.patch_type = Some("merge".to_owned());
    remedy.patch = Some(json!({"spec": {"replicas": replicas}}));
    finding.remedies.push(remedy);
    Some(finding)
}

/// Nothing makes pods that the Service selects: it was deleted, or the selector is another's.
fn no_workload(server: &Server<'_, '_>) -> Option<Finding> {
    let view = server.view;
    let namespace = server.service.meta.namespace.as_deref();
    if let Some(near) = server.workloads(server::is_server) {
        let name = format!("{} {}", near.kind.singular(), describe::object(near));
        let what = format!("its Service does not select the pods of {name}");
        let selector = |field: &FieldChange| field.pointer.starts_with("/spec/selector").then_some(0);
        let cause = match blame::object_change(view, server.service, None, selector) {
            Some(blame) => {
                let sentence =
                    format!("{} of the Service was {}; no pod has such labels.", blame.field().field, blame.words());
                blame.cause(view, sentence)
            }
            None => {
                let sentence = "No pod has the labels that the Service's selector asks for.";
                Cause::plain(CauseKind::Resource, Some(&server.service.reference()), sentence).at_field(
                    "spec.selector",
                    "/spec/selector",
                    Some(json!(server.spec.selector)),
                )
            }
        };
        let mut finding = told(server, server.service, "selector", &what, cause);
        let words = format!("{name} makes pods, and the selector is {}", json!(server.spec.selector));
        finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, server.service, words));
        let labels = near.workload().map(|body| (*body.spec.template.metadata.labels).clone()).unwrap_or_default();
        // What no pod has goes, what all have stays or is put right.
        let selector: serde_json::Map<String, serde_json::Value> = server
            .spec
            .selector
            .keys()
            .map(|key| (key.clone(), labels.get(key).map_or(serde_json::Value::Null, |value| json!(value))))
            .collect();
        if selector.values().any(serde_json::Value::is_string) {
            let ask = format!("Let the Service select the pods of {name}.");
            let mut remedy = spot::remedy(RemedyKind::Patch, &server.service.reference(), ask);
            remedy.managed_by = ownership::managed_by(server.service);
            remedy.patch_type = Some("merge".to_owned());
            remedy.patch = Some(json!({"spec": {"selector": selector}}));
            finding.remedies.push(remedy);
        }
        return Some(finding);
    }
    let complete =
        [Kind::Deployment, Kind::DaemonSet, Kind::StatefulSet].iter().all(|kind| view.all(kind, namespace).complete);
    if !complete {
        return None;
    }
    let gone = [Kind::Deployment, Kind::DaemonSet]
        .into_iter()
        .find_map(|kind| view.deleted(&kind, namespace).find(|(object, _)| server::is_server(object)));
    let (what, cause) = match gone {
        Some((object, at)) => {
            let name = format!("{} {}", object.kind.singular(), describe::object(object));
            let mut cause = Cause::plain(
                CauseKind::Change,
                Some(&object.reference()),
                format!("{name} was deleted at {}.", describe::time(at)),
            );
            cause.at = Some(at);
            cause.managed_by = ownership::managed_by(object);
            (format!("{name} was deleted"), cause)
        }
        None => {
            let sentence = "No workload makes pods that the Service would send questions to.";
            (
                "nothing makes its pods".to_owned(),
                Cause::plain(CauseKind::Resource, Some(&server.service.reference()), sentence),
            )
        }
    };
    let mut finding = told(server, server.service, "absent", &what, cause);
    finding.opened = finding.cause.at;
    finding.evidence.push(Fact::new(Role::Symptom, Source::Absence, None, server.service, "no pod is selected"));
    let target = finding.cause.reference.as_ref().map_or_else(|| server.service.reference(), ResourceRef::from);
    let ask = "Install the cluster's DNS again (kubeadm init phase addon coredns, or as the cluster's vendor does).";
    finding.remedies.push(spot::remedy(RemedyKind::Create, &target, ask));
    Some(finding)
}

/// Questions come to port 53, by UDP first.
fn without_port(server: &Server<'_, '_>) -> Option<Finding> {
    let asks = |port: &reckon_model::k8s::ServicePort| port.port == 53 && port.protocol == "UDP";
    if server.spec.ports.is_empty() || server.spec.ports.iter().any(asks) {
        return None;
    }
    let ports = |field: &FieldChange| field.pointer.starts_with("/spec/ports").then_some(0);
    let changed = blame::object_change(server.view, server.service, None, ports);
    let sentence = "Pods ask for names at port 53 by UDP, and the Service does not take it.";
    let cause = match changed {
        Some(blame) => blame.cause(server.view, format!("{sentence} {} was {}.", blame.field().field, blame.words())),
        None => Cause::plain(CauseKind::Resource, Some(&server.service.reference()), sentence).at_field(
            "spec.ports",
            "/spec/ports",
            None,
        ),
    };
    let mut finding = told(server, server.service, "port", "its Service has no port 53 by UDP", cause);
    finding.shows_on = [server.service.reference()].into();
    let has: Vec<String> = server.spec.ports.iter().map(|port| format!("{}/{}", port.port, port.protocol)).collect();
    finding.evidence.push(Fact::new(
        Role::Cause,
        Source::Spec,
        None,
        server.service,
        format!("its ports: {}", text::enumerate(&has)),
    ));
    let ask = "Give the Service its port 53 back, by UDP and by TCP.";
    finding.remedies.push(spot::remedy(RemedyKind::Patch, &server.service.reference(), ask));
    Some(finding)
}

/// The servers run, and the Service through which pods reach them is not there.
pub(super) fn without_service<'a>(view: &View<'a>, subject: &'a Object) -> Option<Finding> {
    let services = server::services(view);
    if !services.complete
        || !services.items.is_empty()
        || subject.namespace() != "kube-system"
        || subject.meta.deleted.is_some()
    {
        return None;
    }
    let due = subject.meta.created.and_then(|at| at.checked_add(GRACE).ok());
    if let Some(due) = due.filter(|due| !view.reached(*due)) {
        view.recheck_at(due);
        return None;
    }
    let running = view.pods_of(subject).items.iter().any(|pod| pod.pod().is_some_and(Pod::is_ready));
    let mut deleted = view.deleted(&Kind::Service, Some("kube-system"));
    let gone = deleted.find(|(object, _)| object.meta.labels.get("k8s-app").is_some_and(|it| it == "kube-dns"));
    // A second set of servers, or one that serves nodes alone, may do without.
    let (object, at) = gone.filter(|_| running)?;
    let target = object.reference();
    let sentence = format!(
        "Service {} was deleted at {}; pods ask its address for names.",
        describe::object(object),
        describe::time(at)
    );
    let mut cause = Cause::plain(CauseKind::Change, Some(&target), sentence);
    cause.at = Some(at);
    let title = "the cluster's DNS is down: its Service was deleted".to_owned();
    let mut finding = Finding::new("dns-down", Place::of(subject), title, cause);
    finding.class = Some("service-deleted");
    finding.verdict = Verdict::Confirmed;
    finding.opened = Some(at);
    let words = "no Service is labelled k8s-app=kube-dns in kube-system".to_owned();
    finding.evidence.push(Fact::new(Role::Symptom, Source::Absence, Some(at), subject, words));
    let ask = "Make the Service again with the same clusterIP: pods that run have it in their /etc/resolv.conf.";
    finding.remedies.push(spot::remedy(RemedyKind::Create, &target, ask));
    Some(finding)
}
