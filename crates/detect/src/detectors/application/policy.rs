//! NetworkPolicies between a program and whom it calls.

use super::Speaker;
use crate::detectors::network_policy::{self, Passage, Way};
use crate::{Fact, Finding};
use reckon_model::document::{Role, Source, Verdict};
use reckon_model::k8s::{IntOrString, Pod, Service};
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Kind, Object};

/// So many pods behind a Service are looked at: policies choose by labels, which they have alike.
const BEHIND: usize = 3;

/// Whether NetworkPolicies let the program reach the pods behind a Service.
pub(super) fn passage<'a>(speaker: &Speaker<'_, 'a>, service: &Object, port: Option<u16>) -> Passage<'a> {
    let Body::Service(body) = &service.body else { return Passage::Unknown };
    let selector = LabelSelector::exact(&body.spec.selector);
    let pods = speaker.view.matching(&Kind::Pod, service.meta.namespace.as_deref(), &selector).items;
    let ready = pods.into_iter().filter(|pod| pod.pod().is_some_and(Pod::is_ready)).take(BEHIND);
    let mut found = None;
    for pod in ready {
        let port = target_port(body, pod, port);
        match network_policy::between(speaker.view, speaker.subject, pod, port) {
            Passage::Open => found = found.or(Some(Passage::Open)),
            shut @ Passage::Shut(..) => return shut,
            Passage::Unknown => found = Some(Passage::Unknown),
        }
    }
    found.unwrap_or(Passage::Unknown)
}

/// The port of a pod that a Service's port leads to.
fn target_port(service: &Service, pod: &Object, port: Option<u16>) -> Option<u16> {
    let mut ports = service.spec.ports.iter().filter(|own| port.is_none_or(|port| own.port == i64::from(port)));
    let (only, others) = (ports.next()?, ports.next());
    let number = match &only.target_port {
        _ if others.is_some() && port.is_none() => return None,
        None => only.port,
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(name)) => {
            let mut own = pod.pod()?.spec.containers.iter().flat_map(|container| &container.ports);
            own.find(|port| port.name == *name)?.container_port
        }
    };
    u16::try_from(number).ok()
}

/// A NetworkPolicy keeps the two apart.
pub(super) fn shut(
    speaker: &Speaker<'_, '_>,
    slug: &'static str,
    why: &str,
    policy: &Object,
    way: Way,
    open: &str,
) -> Finding {
    let says = network_policy::words(policy, way);
    let sentence = format!("{} gets no answer: {says}.", speaker.who());
    let cause = network_policy::cause(speaker.view, policy, way, &sentence);
    let why = format!("{why}: NetworkPolicy {} is between", policy.meta.name);
    let mut finding = speaker.claim(slug, Some("policy"), &why, cause);
    finding.verdict = Verdict::Likely;
    finding.evidence.push(Fact::new(Role::Cause, Source::Spec, None, policy, says));
    finding.remedies.push(network_policy::open(policy, open.to_owned()));
    finding
}
