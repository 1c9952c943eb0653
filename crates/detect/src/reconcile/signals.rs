//! Signals of failures whose objects are well in every other way: a claim that was bound all along, a Service whose pods
//! were always ready.

use crate::View;
use reckon_model::document::Problem;
use reckon_model::k8s::{Endpoint, Pod};
use reckon_model::selector::LabelSelector;
use reckon_model::{Body, Kind, Object, Quantity, text};

/// What says that a problem of this failure is over: `None` where the failure has no signal of its own, `Some(None)` while
/// there is none.
pub(super) fn own(view: &View<'_>, problem: &Problem, subject: &Object) -> Option<Option<String>> {
    let name = subject.reference();
    Some(match (problem.failure.as_str(), &subject.body) {
        ("volume-resize-stuck", Body::Claim(claim)) => {
            let (wanted, has) = (claim.spec.size().and_then(Quantity::nanos), claim.status.size());
            let enough = has.filter(|has| has.nanos() >= wanted);
            enough.map(|has| format!("{name} has the size that it asks for, {}", has.as_str()))
        }
        ("local-traffic-policy", Body::Service(service)) => {
            let spec = &service.spec;
            let local =
                [&spec.internal_traffic_policy, &spec.external_traffic_policy].into_iter().any(|it| it == "Local");
            let selector = LabelSelector::exact(&spec.selector);
            let pods = || view.matching(&Kind::Pod, subject.meta.namespace.as_deref(), &selector).items;
            let ready = || pods().iter().any(|pod| pod.pod().is_some_and(Pod::is_ready));
            match local {
                false => Some(format!("traffic of {name} goes to pods of all nodes")),
                // That there is no pod at all is no recovery.
                true => ready().then(|| format!("{name} has ready pods where it is asked")),
            }
        }
        ("load-balancer-pending", Body::Service(service)) => match service.status.address() {
            Some(address) => Some(format!("{name} has the address {}", text::shorten(address, 80))),
            None if service.spec.kind != "LoadBalancer" => Some(format!("{name} asks for no load balancer any more")),
            None => None,
        },
        ("manual-endpoints-stale", Body::Service(service)) => Some(match service.spec.selector.is_empty() {
            true => format!("the endpoints of {name} are there"),
            false => format!("{name} has a selector"),
        })
        .filter(|_| endpoints(view, subject)),
        // The servers were ready all along.
        ("dns-upstream", Body::Workload(_)) => Some(format!("no failing program asks {name} in vain any more")),
        ("dns-config", Body::Workload(_)) if problem.class.as_deref() != Some("parse-error") => {
            Some(format!("the pods of {name} take the Corefile as it is"))
        }
        _ => return None,
    })
}

/// Whether a Service has an endpoint that is ready.
fn endpoints(view: &View<'_>, service: &Object) -> bool {
    let label = [("kubernetes.io/service-name".to_owned(), service.meta.name.clone())].into();
    let namespace = service.meta.namespace.as_deref();
    let slices = view.matching(&Kind::EndpointSlice, namespace, &LabelSelector::exact(&label)).items;
    slices.iter().any(|slice| match &slice.body {
        Body::EndpointSlice(body) => body.endpoints.iter().any(Endpoint::ready),
        _ => false,
    })
}
