//! Services without a selector, whose endpoints people write, and which point at pods that are gone.

use crate::blame::{self, Blame};
use crate::catalogue::{Failure, Stage, Verified};
use crate::{Detector, Fact, Finding, Lookup, Place, View, describe, ownership, spot};
use core::net::IpAddr;
use jiff::SignedDuration;
use reckon_model::document::{Cause, CauseKind, RemedyKind, Role, Severity, Source, Verdict};
use reckon_model::k8s::{Endpoint, EndpointSlice};
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Kind, Object, ResourceRef, Timestamp, text};
use serde_json::{Value, json};

pub(crate) static DETECTOR: Detector = Detector {
    name: "manual_endpoints",
    failures: &[Failure {
        slug: "manual-endpoints-stale",
        title: "Endpoints that somebody wrote by hand point at nothing",
        stage: Stage::Endpoints,
        family: "endpoints",
        echo: false,
        verified: Verified::Constructed,
        page: include_str!("../pages/manual-endpoints-stale.md"),
    }],
    subjects: &[Kind::Service],
    others: &[],
    detect,
};

/// Programs that write their own endpoints do so moments after a pod went.
const GRACE: SignedDuration = SignedDuration::from_mins(2);

/// Who writes a slice; the first two write for people and from selectors, others for themselves.
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MIRROR: &str = "endpointslicemirroring-controller.k8s.io";
const CONTROLLER: &str = "endpointslice-controller.k8s.io";

/// An address behind which there is nothing.
struct Gone<'a> {
    slice: &'a Object,
    index: usize,
    address: String,
    why: String,
    /// The pod that had it, and when it went.
    pod: Option<(&'a Object, Timestamp)>,
}

fn detect<'a>(view: &View<'a>, subject: &'a Object) -> Vec<Finding> {
    let Body::Service(service) = &subject.body else { return Vec::new() };
    let spec = &service.spec;
    let own = subject.meta.name == "kubernetes" && subject.namespace() == "default";
    if !spec.selector.is_empty() || spec.kind == "ExternalName" || own || subject.meta.deleted.is_some() {
        return Vec::new();
    }
    let label = [("kubernetes.io/service-name".to_owned(), subject.meta.name.clone())].into();
    let slices = view.matching(&Kind::EndpointSlice, subject.meta.namespace.as_deref(), &LabelSelector::exact(&label));
    let by_people =
        |slice: &&Object| slice.meta.labels.get(MANAGED_BY).is_none_or(|by| by == MIRROR || by == CONTROLLER);
    let mut gone: Vec<Gone<'a>> = Vec::new();
    let mut all = 0;
    for slice in slices.items.iter().copied().filter(by_people) {
        let Body::EndpointSlice(body) = &slice.body else { continue };
        all += body.endpoints.iter().filter(|endpoint| endpoint.ready()).count();
        gone.extend(dead(view, subject, slice, body));
    }
    let due = gone.iter().filter_map(|gone| gone.pod?.1.checked_add(GRACE).ok()).max();
    if let Some(due) = due.filter(|due| !view.reached(*due)) {
        view.recheck_at(due);
        return Vec::new();
    }
    told(view, subject, &gone, all).into_iter().collect()
}

/// The endpoints of a slice that are said to be ready, and behind which there is no pod.
fn dead<'a>(view: &View<'a>, service: &Object, slice: &'a Object, body: &'a EndpointSlice) -> Vec<Gone<'a>> {
    let namespace = service.meta.namespace.as_deref();
    let one = |(index, endpoint): (usize, &'a Endpoint)| {
        let address = endpoint.addresses.first()?;
        let (why, pod) = match endpoint.target_ref.as_ref().filter(|target| target.kind == "Pod") {
            Some(target) => of_pod(view, &ResourceRef::new(Kind::Pod, namespace, &target.name), address)?,
            None => of_address(view, namespace, address)?,
        };
        Some(Gone { slice, index, address: address.clone(), why, pod })
    };
    let ready = body.endpoints.iter().enumerate().filter(|(_, endpoint)| endpoint.ready());
    ready.filter_map(one).collect()
}

type Why<'a> = (String, Option<(&'a Object, Timestamp)>);

fn of_pod<'a>(view: &View<'a>, pod: &ResourceRef, address: &str) -> Option<Why<'a>> {
    match view.look_up(pod) {
        Lookup::Absent { .. } => {
            let gone =
                view.deleted(&Kind::Pod, pod.namespace.as_deref()).find(|(object, _)| object.meta.name == pod.name);
            Some((format!("pod {}, which it names, does not exist", pod.name), gone))
        }
        Lookup::Found(object) => {
            let ip = &*object.pod()?.status.pod_ip;
            let moved = !ip.is_empty() && ip != address && !object.pod()?.is_finished();
            moved.then(|| (format!("pod {}, which it names, has the address {ip}", pod.name), None))
        }
        Lookup::Unread => None,
    }
}

/// An address without a name: it was a pod's that is gone, or lies where only pods have theirs.
fn of_address<'a>(view: &View<'a>, namespace: Option<&str>, address: &str) -> Option<Why<'a>> {
    let has = |object: &Object| object.pod().is_some_and(|pod| &*pod.status.pod_ip == address && !pod.is_finished());
    let parsed: IpAddr = address.parse().ok()?;
    let gone = view
        .deleted(&Kind::Pod, namespace)
        .find(|(object, _)| object.pod().is_some_and(|pod| &*pod.status.pod_ip == address && !pod.spec.host_network));
    let range = || {
        let nodes = view.all(&Kind::Node, None).items;
        nodes.into_iter().find(|node| {
            let whole = node.whole();
            let ranges = whole.as_ref().and_then(|it| it.pointer("/spec/podCIDRs")?.as_array().cloned());
            let ranges = ranges.or_else(|| Some(vec![whole.as_ref()?.pointer("/spec/podCIDR")?.clone()]));
            ranges
                .into_iter()
                .flatten()
                .filter_map(|it| it.as_str().map(str::to_owned))
                .any(|it| is_within(parsed, &it))
        })
    };
    let why = match gone {
        Some((pod, _)) => format!("pod {}, which had the address, is gone", pod.meta.name),
        None => format!("it is an address for pods of node {}, and no pod has it", range()?.meta.name),
    };
    // Another pod, of any namespace, may have it by now.
    let pods = view.all(&Kind::Pod, None);
    (pods.complete && !pods.items.iter().any(|pod| has(pod))).then_some((why, gone))
}

/// Whether an address lies within a range such as `10.1.2.0/24`.
fn is_within(address: IpAddr, range: &str) -> bool {
    let Some((base, length)) = range.split_once('/') else { return false };
    let (Ok(base), Ok(length)) = (base.parse::<IpAddr>(), length.parse::<u32>()) else { return false };
    match (address, base) {
        (IpAddr::V4(address), IpAddr::V4(base)) if length <= 32 => {
            let rest = 32 - length;
            u64::from(address.to_bits()) >> rest == u64::from(base.to_bits()) >> rest
        }
        (IpAddr::V6(address), IpAddr::V6(base)) if (1..=128).contains(&length) => {
            let rest = 128 - length;
            address.to_bits() >> rest == base.to_bits() >> rest
        }
        _ => false,
    }
}

fn told<'a>(view: &View<'a>, service: &'a Object, gone: &[Gone<'a>], all: usize) -> Option<Finding> {
    let first = gone.first()?;
    let name = describe::object(service);
    let every = gone.len() >= all;
    let what = match (every, gone.len()) {
        (true, 1) => format!("its endpoint {} is gone", first.address),
        (true, n) => format!("all of its {n} endpoints are gone"),
        (false, n) => format!("{n} of its {all} endpoints are gone"),
    };
    let frozen = first.slice.meta.labels.get(MANAGED_BY).is_some_and(|by| by == CONTROLLER);
    let (class, cause) =
        if frozen { frozen_cause(view, service, first) } else { ("by-hand", written_cause(service, first)) };
    let mut finding =
        Finding::new("manual-endpoints-stale", Place::of(service), format!("Service {name}: {what}"), cause);
    finding.class = Some(class);
    finding.verdict = Verdict::Confirmed;
    finding.severity = if every { Severity::Critical } else { Severity::Warning };
    finding.opened = gone.iter().filter_map(|gone| Some(gone.pod?.1)).max();
    for gone in gone.iter().take(3) {
        let (about, at) = gone.pod.map_or((gone.slice, None), |(pod, at)| (pod, Some(at)));
        let words = format!("{}: {}", gone.address, gone.why);
        finding.evidence.push(Fact::new(Role::Cause, Source::Absence, at, about, words));
    }
    let words = format!("{} names {} as ready", describe::object(first.slice), first.address);
    finding.evidence.push(Fact::new(Role::Symptom, Source::Spec, None, first.slice, words));
    let target = finding.cause.reference.as_ref().map_or_else(|| first.slice.reference(), ResourceRef::from);
    let labels = first.pod.map(|(pod, _)| &pod.meta.labels);
    let alike = labels.and_then(|labels| {
        // What a roll-out or a StatefulSet adds is no name.
        let own = |key: &str| !key.contains("hash") && !key.contains("pod-name") && !key.contains("pod-index");
        let kept: std::collections::BTreeMap<_, _> =
            labels.iter().filter(|(key, _)| own(key)).map(|(key, value)| (key.clone(), value.clone())).collect();
        let pods = view.matching(&Kind::Pod, service.meta.namespace.as_deref(), &LabelSelector::exact(&kept)).items;
        (!kept.is_empty() && !pods.is_empty()).then_some(kept)
    });
    let before = finding.cause.from.clone().zip(finding.cause.pointer.clone()).filter(|_| frozen);
    match alike {
        _ if before.is_some() => finding.remedies.extend(before.map(|(from, pointer)| {
            let selector = match pointer.strip_prefix("/spec/selector/") {
                Some(key) => json!({key.replace("~1", "/").replace("~0", "~"): from}),
                None => from,
            };
            let sentence = "Give the Service its selector back: the cluster then keeps its endpoints.";
            let mut remedy = spot::remedy(RemedyKind::Patch, &service.reference(), sentence);
            remedy.managed_by = ownership::managed_by(service);
            remedy.patch_type = Some("merge".to_owned());
            remedy.patch = Some(json!({"spec": {"selector": selector}}));
            remedy
        })),
        Some(labels) => {
            let query = LabelSelector::exact(&labels).query();
            let sentence = format!(
                "Give the Service the selector {query}, which pods have now: the cluster then keeps its endpoints."
            );
            let mut remedy = spot::remedy(RemedyKind::Patch, &service.reference(), sentence);
            remedy.managed_by = ownership::managed_by(service);
            remedy.patch_type = Some("merge".to_owned());
            remedy.patch = Some(json!({"spec": {"selector": labels}}));
            finding.remedies.push(remedy);
        }
        None => {
            let ask = "Write the addresses that are right now, or give the Service a selector if pods of the cluster are meant.";
            finding.remedies.push(spot::remedy(RemedyKind::Patch, &target, ask));
        }
    }
    Some(finding)
}

/// What somebody wrote, and nobody keeps.
fn written_cause(service: &Object, gone: &Gone<'_>) -> Cause {
    let mirrored = gone.slice.meta.labels.get(MANAGED_BY).is_some_and(|by| by == MIRROR);
    let sentence = format!(
        "The Service has no selector, so nobody keeps its endpoints: {} stands there, and {}.",
        gone.address, gone.why
    );
    let target = match mirrored {
        true => {
            ResourceRef::new(Kind::of_group("", "Endpoints"), service.meta.namespace.as_deref(), &service.meta.name)
        }
        false => gone.slice.reference(),
    };
    let cause = Cause::plain(CauseKind::Resource, Some(&target), sentence);
    match mirrored {
        true => cause.at_field("subsets", "/subsets", Some(Value::from(gone.address.clone()))),
        false => cause.at_field(
            format!("endpoints[{}].addresses", gone.index),
            format!("/endpoints/{}/addresses/0", gone.index),
            Some(Value::from(gone.address.clone())),
        ),
    }
}

/// The cluster wrote them as long as there was a selector, and left them as they were.
fn frozen_cause<'a>(view: &View<'a>, service: &'a Object, gone: &Gone<'a>) -> (&'static str, Cause) {
    let removed: Option<Blame> = blame::object_change(view, service, None, |field| {
        (field.pointer.starts_with("/spec/selector") && field.to.is_none()).then_some(0)
    });
    let address = text::shorten(&gone.address, 60);
    let rest = format!("its endpoints have stayed as they were since: {address} stands there, and {}.", gone.why);
    let cause = match removed {
        Some(blame) => {
            blame.cause(view, format!("{} of the Service was {}; {rest}", blame.field().field, blame.words()))
        }
        None => {
            let sentence = format!("The Service had a selector and has none any more; {rest}");
            let mut cause = Cause::plain(CauseKind::Resource, Some(&service.reference()), sentence).at_field(
                "spec.selector",
                "/spec/selector",
                None,
            );
            cause.managed_by = ownership::managed_by(service);
            cause
        }
    };
    ("selector-removed", cause)
}

#[cfg(test)]
mod tests {
    use super::is_within;

    #[test]
    fn a_range_holds_its_addresses_and_no_others() {
        let within = |address: &str, range: &str| is_within(address.parse().unwrap(), range);
        assert!(within("10.1.2.3", "10.1.2.0/24") && within("10.1.2.3", "0.0.0.0/0"));
        assert!(within("fd00::1:2", "fd00::/64"));
        for (address, range) in [
            ("10.1.3.3", "10.1.2.0/24"),
            ("10.1.2.3", "fd00::/64"),
            ("10.1.2.3", "10.1.2.0/99"),
            ("10.1.2.3", "10.1.2.0"),
            ("10.1.2.3", "x/24"),
        ] {
            assert!(!within(address, range), "{address} {range}");
        }
    }
}
