//! Limits so small that nothing can start, in what has not tried yet.

use crate::detectors::killed_by;
use crate::detectors::oom_killed::{meant, room};
use crate::detectors::template::Site;
use crate::{Fact, Finding, Place, View, describe};
use reckon_model::document::{Cause, CauseKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Container, ContainerType, Pod, PodSpec};
use reckon_model::{Body, Object, Quantity};

/// With so much runc does not come to start anything (`memory-deaths` A7); CRI-O and Docker refuse more than that, and say so.
const HOPELESS: i64 = 4 << 20;

/// The containers of a template of which there is no pod.
pub(super) fn of_template<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let spec = match &subject.body {
        Body::Workload(workload) => &workload.spec.template.spec,
        Body::CronJob(cron) => &cron.spec.job_template.spec.template.spec,
        _ => return Vec::new(),
    };
    // Nothing is asked for where all is well, and of a template that another object wrote that one tells.
    if subject.meta.controller().is_some() || !containers(spec).any(|(_, item)| hopeless(item).is_some()) {
        return Vec::new();
    }
    let pods = view.pods_of(subject);
    if !pods.complete || !pods.items.is_empty() {
        return Vec::new();
    }
    containers(spec).filter_map(|(kind, container)| finding(subject, subject, (kind, container))).collect()
}

/// A container of a pod that no node has yet.
pub(super) fn of_pod<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &Pod,
    (kind, container): (ContainerType, &'a Container),
) -> Option<Finding> {
    let waits = pod.status.phase == "Pending" && pod.spec.node_name.is_empty();
    if waits { finding(view.workload_of(subject), subject, (kind, container)) } else { None }
}

fn finding<'a>(
    workload: &'a Object,
    shows_on: &'a Object,
    (kind, container): (ContainerType, &'a Container),
) -> Option<Finding> {
    let limit = hopeless(container)?;
    let name = &container.name;
    let meant = meant(limit);
    let hint = meant.as_ref().map(|meant| format!("; {meant} was meant, it seems")).unwrap_or_default();
    let sentence = format!(
        "The memory limit of {name} is {limit}{hint}: not even the runtime that sets the container up will fit into that."
    );
    let site = Site::new(workload, name);
    let cause = Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence);
    let cause = site.blame(cause, "resources.limits.memory", Some(limit.as_str().into()));
    let title = format!(
        "{}: {name} will not start, its memory limit of {limit} leaves no room{hint}",
        describe::object(workload)
    );
    let mut finding = Finding::new("memory-too-small", Place::container(workload, name, kind), title, cause);
    finding.shows_on = [shows_on.reference()].into();
    finding.class = Some("no-room-to-start");
    finding.severity = Severity::Info;
    finding.verdict = Verdict::Confirmed;
    finding.opened = workload.meta.created;
    finding.evidence.push(Fact::new(
        Role::Cause,
        Source::Spec,
        None,
        workload,
        format!("limits.memory {limit} of {name}"),
    ));
    finding.remedies.push(room(&site, container, limit));
    Some(finding)
}

/// A limit that no runtime can start in.
fn hopeless(container: &Container) -> Option<&Quantity> {
    killed_by::no_room(container).filter(|limit| limit.value().is_some_and(|value| value <= HOPELESS))
}

fn containers(spec: &PodSpec) -> impl Iterator<Item = (ContainerType, &Container)> {
    let init = spec.init_containers.iter().map(|item| (ContainerType::Init, item));
    init.chain(spec.containers.iter().map(|item| (ContainerType::App, item)))
}
