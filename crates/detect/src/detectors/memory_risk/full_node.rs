//! Containers that may take a node's memory from all others, on a node that has little left.

use crate::detectors::template::Site;
use crate::state::Full;
use crate::{Fact, Finding, Place, View, describe};
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Container, ContainerType, Pod};
use reckon_model::{Kind, Object, Quantity, ResourceRef, quantity};

/// A limit that is more than so many times the request is far above it.
const FAR: u64 = 4;

pub(super) fn finding<'a>(
    view: &View<'a>,
    subject: &'a Object,
    pod: &'a Pod,
    (kind, container): (ContainerType, &'a Container),
) -> Option<Finding> {
    let request = container.resources.requests.get("memory");
    let limit = container.resources.limits.get("memory");
    let (sort, set) = match (limit, request.and_then(bytes)) {
        (None, _) if !pod.spec.resources.limits.contains_key("memory") => {
            ("no-limit", "has no memory limit".to_owned())
        }
        (Some(limit), Some(request)) if bytes(limit)? > request.saturating_mul(FAR) => {
            let requested = container.resources.requests.get("memory")?;
            ("limit-far-above-request", format!("requests {requested} of memory and may take {limit}"))
        }
        _ => return None,
    };
    // Only of a node that is known to be full: nothing is asked for this.
    let Full { requested, share, pressed } = view.full(&pod.spec.node_name).filter(|_| view.all_known(&Kind::Pod))?;
    let node = view.known_one(&ResourceRef::new(Kind::Node, None, &pod.spec.node_name))?;
    let workload = view.workload_of(subject);
    let name = &container.name;
    let sentence = format!(
        "{name} {set}, and of {} that {} gives to pods {} is requested already: what {name} takes beyond its request is missed by others, and the kernel or the kubelet ends one of them for it.",
        quantity::bytes(share),
        describe::name(&node.reference()),
        quantity::bytes(requested),
    );
    let site = Site::new(workload, name);
    let cause = Cause::plain(CauseKind::Resource, Some(&workload.reference()), sentence);
    let cause = site.blame(cause, "resources", limit.map(|limit| limit.as_str().into()));
    let title = format!("{}: {name} {set}, on a node that is full", describe::object(workload));
    let mut finding = Finding::new("memory-unbounded", Place::container(workload, name, kind), title, cause);
    finding.shows_on = [subject.reference()].into();
    finding.class = Some(sort);
    finding.severity = Severity::Info;
    finding.verdict = Verdict::Confirmed;
    finding.opened = pod.status.start_time.or(subject.meta.created);
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, workload, format!("{name} {set}")));
    let pressed = if pressed { ", MemoryPressure" } else { "" };
    let text = format!("{} of {} requested by its pods{pressed}", quantity::bytes(requested), quantity::bytes(share));
    finding.evidence.push(Fact::new(Role::Cause, Source::Status, None, node, text));
    let sentence = format!(
        "Give {name} a memory request of what it uses and a limit not far above it: the scheduler counts requests alone."
    );
    finding.remedies.push(site.advice(RemedyKind::SetResources, sentence));
    Some(finding)
}

fn bytes(quantity: &Quantity) -> Option<u64> {
    quantity.value().and_then(|value| u64::try_from(value).ok())
}
