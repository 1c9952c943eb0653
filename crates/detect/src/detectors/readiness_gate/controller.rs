//! Who sets the condition of a readiness gate.

use crate::View;
use reckon_model::selector::LabelSelector;
use reckon_model::{Kind, Object, Timestamp};

/// A controller that is known to set a gate, and how it is.
pub(super) enum Controller<'a> {
    /// It is there, and not well.
    Ill(&'a Object, String),
    /// It is scaled to zero.
    Idle(&'a Object),
    /// It was there.
    Deleted(&'a Object, Timestamp),
    /// It is there, and nothing is known to ail it.
    Up(&'a Object),
}

/// How gates begin, and what the Deployments are called that set them.
const KNOWN: [(&str, &str); 5] = [
    ("target-health.elbv2.k8s.aws/", "aws-load-balancer-controller"),
    ("target-health.alb.ingress.k8s.aws/", "aws-load-balancer-controller"),
    ("InPlaceUpdateReady", "kruise-controller-manager"),
    ("KruisePodReady", "kruise-controller-manager"),
    ("pod.alpha.kubevirt.io/", "virt-controller"),
];

/// Gates that mean that a load balancer found the pod to be well.
pub(super) fn is_load_balancer(gate: &str) -> bool {
    gate.starts_with("target-health.") || gate.contains("load-balancer")
}

/// The controller of a gate, where one is known and was, or is, in this cluster.
pub(super) fn of<'a>(view: &View<'a>, gate: &str) -> Option<Controller<'a>> {
    let (_, name) = KNOWN.iter().find(|(start, _)| gate.starts_with(start))?;
    let label = [("app.kubernetes.io/name".to_owned(), (*name).to_owned())].into();
    let labelled = view.matching(&Kind::Deployment, None, &LabelSelector::exact(&label)).items;
    let named = || view.known(&Kind::Deployment, None).find(|object| object.meta.name == *name);
    let Some(object) = labelled.first().copied().or_else(named) else {
        let mut gone = view.deleted(&Kind::Deployment, None);
        let (object, at) = gone.find(|(object, _)| object.meta.name == *name)?;
        return Some(Controller::Deleted(object, at));
    };
    let body = object.workload()?;
    Some(match (body.spec.replicas.unwrap_or(1), body.status.ready_replicas) {
        (0, _) => Controller::Idle(object),
        (wanted, 0) => Controller::Ill(object, format!("none of its {wanted} pods is ready")),
        _ => Controller::Up(object),
    })
}
